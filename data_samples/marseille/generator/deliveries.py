"""The four incident sources, each in its own format, columns, clock and reference system.

| source | file | clock | coordinates |
|---|---|---|---|
| main courante | ``;`` CSV, ISO-8859-1, decimal comma | local, no offset | longitude, latitude |
| verbalisations | XLSX | local, date and time in two columns | EPSG:2154 |
| Allô Mairie | GeoJSON, two deliveries | local with its offset | EPSG:2154 |
| CSU | GeoPackage | UTC | EPSG:4326 |

Sources without an offset mean the first pass of an hour that happens twice; an hour that does not exist is read with
the offset before the change (what Python calls fold 0).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from data_samples.marseille.generator import formats
from data_samples.marseille.generator import parameters as p
from data_samples.marseille.generator.correction import first_state
from data_samples.marseille.generator.dirty import DirtyRow, dirty_main_courante
from data_samples.marseille.generator.land import to_degrees
from data_samples.marseille.generator.randomness import Streams, points_at
from data_samples.marseille.generator.timeline import utc_offset_hours

FILES = {
    p.MC: ("main_courante.csv",),
    p.VF: ("verbalisations.xlsx",),
    p.AM: ("allo_mairie_1.geojson", "allo_mairie_2.geojson"),
    p.CSU: ("csu.gpkg",),
}
ORIGIN = {"reported": "S", "discovered": "C"}
PLAIN = str.maketrans({"’": "'", "œ": "oe", "Œ": "OE"})
ABBREVIATED = {"Boulevard": "Bd", "Avenue": "Av.", "Chemin": "Ch.", "Impasse": "Imp.", "Traverse": "Trav."}


def write_incidents(
    folder: Path, records: pd.DataFrame, street_names: Sequence[str], streams: Streams
) -> tuple[list[DirtyRow], pd.DataFrame]:
    """Write every incident delivery.

    Parameters
    ----------
    folder
        Where the files go.
    records
        What :func:`recording.record` returns.
    street_names
        Name of each street.
    streams
        Random streams of the seed.

    Returns
    -------
    dirty, corrections
        The planted dirty rows, and what the second delivery of Allô Mairie changes.
    """
    by_source = {source: rows.reset_index(drop=True) for source, rows in records.groupby("source", sort=True)}
    dirty = _main_courante(folder, by_source[p.MC], street_names, streams)
    _verbalisations(folder, by_source[p.VF], street_names)
    before, corrections = first_state(by_source[p.AM], streams)
    added = set(corrections.loc[corrections["change"] == "added", "record_id"])
    withdrawn = set(corrections.loc[corrections["change"] == "withdrawn", "record_id"])
    _allo_mairie(folder / FILES[p.AM][0], before[~before["record_id"].isin(added)], street_names)
    _allo_mairie(folder / FILES[p.AM][1], by_source[p.AM][~by_source[p.AM]["record_id"].isin(withdrawn)], street_names)
    _csu(folder, by_source[p.CSU], street_names)
    return dirty, corrections


def addresses(rows: pd.DataFrame, names: Sequence[str], *, style: str = "plain") -> list[str]:
    """Number and street of each record that has an address, else an empty text.

    ``style`` is ``plain``, or ``hasty``: by its number, every third record in capitals, every fifth abbreviated.
    """
    out = []
    for identifier, has, street, number in zip(
        rows["record_id"], rows["has_address"], rows["street"], rows["number"], strict=True
    ):
        index = int(identifier[-6:])
        text = f"{number} {names[street]}" if has else ""
        if style == "hasty" and has:
            if index % 5 == 0:
                kind = names[street].split(" ", 1)[0]
                text = text.replace(kind, ABBREVIATED.get(kind, kind), 1)
            if index % 3 == 0:
                text = text.upper()
        out.append(text)
    return out


def _main_courante(folder: Path, rows: pd.DataFrame, names: Sequence[str], streams: Streams) -> list[DirtyRow]:
    header = (
        "NUM_MC",
        "DATE_FAIT",
        "HEURE_FAIT",
        "FIN_FAIT",
        "CODE",
        "LIBELLE",
        "GRAVITE",
        "ORIGINE",
        "ADRESSE",
        "LONGITUDE",
        "LATITUDE",
        "PRECISION_M",
    )
    lon, lat = _degrees(rows)
    clock = formats.local_clock(rows["start_minute"].to_numpy(), p.START.isoformat(), "DD/MM/YYYY hh:mm")
    end = formats.local_clock(rows["end_minute"].to_numpy(), p.START.isoformat(), "DD/MM/YYYY hh:mm")
    table = [
        [identifier, *when.split(" "), until, code, category.replace("_", " ").capitalize(),
         str(severity) if severity else "", ORIGIN[origin], address.translate(PLAIN),
         _comma(x, 7), _comma(y, 7), _comma(precision, 0)]
        for identifier, when, until, code, category, severity, origin, address, x, y, precision in zip(
            rows["record_id"], clock, end, rows["code"], rows["category"], rows["severity"], rows["provenance"],
            addresses(rows, names, style="hasty"), lon, lat, rows["precision_m"], strict=True)
    ]  # fmt: skip
    table, dirty = dirty_main_courante(header, table, streams)
    formats.write_csv(folder / FILES[p.MC][0], header, table, encoding="iso-8859-1", delimiter=";")
    return dirty


def _verbalisations(folder: Path, rows: pd.DataFrame, names: Sequence[str]) -> None:
    header = ("NUMERO", "DATE", "HEURE", "FIN", "CODE_INFRACTION", "ADRESSE", "X_L93", "Y_L93", "PRECISION_M")
    clock = formats.local_clock(rows["start_minute"].to_numpy(), p.START.isoformat(), "DD/MM/YYYY hh:mm")
    end = formats.local_clock(rows["end_minute"].to_numpy(), p.START.isoformat(), "DD/MM/YYYY hh:mm")
    table = [
        (identifier, *when.split(" "), until, code, address, float(x), float(y), int(precision))
        for identifier, when, until, code, address, x, y, precision in zip(
            rows["record_id"],
            clock,
            end,
            rows["code"],
            addresses(rows, names),
            rows["rx_m"],
            rows["ry_m"],
            rows["precision_m"],
            strict=True,
        )
    ]
    formats.write_xlsx(folder / FILES[p.VF][0], "Verbalisations", header, table)


def _allo_mairie(path: Path, rows: pd.DataFrame, names: Sequence[str]) -> None:
    start = _with_offset(rows, "start_minute")
    end = _with_offset(rows, "end_minute")
    properties: list[dict[str, Any]] = [
        {"id_signalement": identifier, "type": code, "date_debut": begin, "date_fin": until or None,
         "gravite": int(severity) or None, "adresse": address or None, "precision_m": int(precision)}
        for identifier, code, begin, until, severity, address, precision in zip(
            rows["record_id"], rows["code"], start, end, rows["severity"], addresses(rows, names, style="hasty"),
            rows["precision_m"], strict=True)
    ]  # fmt: skip
    points = [
        None if np.isnan(x) else {"type": "Point", "coordinates": [round(float(x), 2), round(float(y), 2)]}
        for x, y in zip(rows["rx_m"], rows["ry_m"], strict=True)
    ]
    formats.write_geojson(path, "allo_mairie", properties, points, epsg=2154)


def _csu(folder: Path, rows: pd.DataFrame, names: Sequence[str]) -> None:
    lon, lat = _degrees(rows)
    offset = _offset_minutes(rows, "start_minute")
    start = np.datetime64(p.START) + (rows["start_minute"].to_numpy() - offset).astype("timedelta64[m]")
    until = rows["end_minute"].to_numpy() - _offset_minutes(rows, "end_minute")
    end = np.datetime64(p.START) + until.astype("timedelta64[m]")
    unknown_end = rows["end_minute"].to_numpy() < 0
    table = pa.table({
        "id_csu": pa.array([int(r) for r in rows["record_id"]], pa.int64()),
        "code": pa.array(rows["code"].tolist(), pa.string()),
        "horodatage": pa.array(start.astype("datetime64[ms]"), pa.timestamp("ms", "UTC")),
        "fin": pa.array(end.astype("datetime64[ms]"), pa.timestamp("ms", "UTC"), mask=unknown_end),
        "gravite": pa.array([int(s) or None for s in rows["severity"]], pa.int32()),
        "adresse": pa.array([a or None for a in addresses(rows, names)], pa.string()),
        "precision_m": pa.array(rows["precision_m"].to_numpy().astype(np.int32)),
    })  # fmt: skip
    points = points_at(np.round(lon, 7), np.round(lat, 7))
    formats.write_gpkg(folder / FILES[p.CSU][0], "csu", table, points, geometry_type="Point", crs="EPSG:4326")


def _degrees(rows: pd.DataFrame) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    located = rows["rx_m"].notna().to_numpy()
    lon, lat = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    x, y = rows["rx_m"].to_numpy(float), rows["ry_m"].to_numpy(float)
    lon[located], lat[located] = to_degrees(x[located], y[located])
    return lon, lat


def _comma(value: float, decimals: int) -> str:
    return "" if np.isnan(value) else f"{value:.{decimals}f}".replace(".", ",")


def _offset_minutes(rows: pd.DataFrame, column: str) -> np.ndarray[Any, Any]:
    minutes = np.maximum(rows[column].to_numpy(), 0)
    second = rows["second_pass"].to_numpy(bool)
    return utc_offset_hours(minutes // 1440, minutes // 60 % 24, second_pass=second) * 60


def _with_offset(rows: pd.DataFrame, column: str) -> list[str]:
    """ISO 8601 local time with its offset; an empty text for −1."""
    text = formats.local_clock(rows[column].to_numpy(), p.START.isoformat(), "YYYY-MM-DDThh:mm")
    offset = _offset_minutes(rows, column) // 60
    return [f"{t}:00+{o:02d}:00" if t else "" for t, o in zip(text, offset, strict=True)]
