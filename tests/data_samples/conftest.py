"""The generated sample, read by plain means: no floor of the house is used here."""

from __future__ import annotations

import csv
import json
from contextlib import closing
from pathlib import Path

import geopandas as gpd
import numpy as np
import openpyxl
import pandas as pd
import pyarrow.parquet as pq
import pytest
import shapely

from data_samples.marseille.generator import parameters as p
from data_samples.marseille.generator.land import FOLDER, to_metric
from data_samples.marseille.generator.sample import GENERATED, ensure_sample


@pytest.fixture(scope="session")
def sample() -> Path:
    """Folder of the generated sample (made now if it is not there)."""
    ensure_sample()
    return FOLDER / GENERATED


@pytest.fixture(scope="session")
def truth(sample: Path) -> dict:
    return json.loads((sample / "truth" / "truth.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def truth_records(sample: Path) -> pd.DataFrame:
    return pq.read_table(sample / "truth" / "records.parquet").to_pandas()


@pytest.fixture(scope="session")
def truth_areas(sample: Path) -> gpd.GeoDataFrame:
    return gpd.read_parquet(sample / "truth" / "areas.parquet").set_index("id")


def read_main_courante(sample: Path) -> pd.DataFrame:
    path = sample / "deliveries" / "main_courante.csv"
    with path.open(encoding="iso-8859-1", newline="") as handle:
        table = pd.DataFrame(list(csv.DictReader(handle, delimiter=";")))
    table["row"] = np.arange(len(table)) + 1
    return table


@pytest.fixture(scope="session")
def main_courante(sample: Path) -> pd.DataFrame:
    """The CSV as text, with its row numbers."""
    return read_main_courante(sample)


@pytest.fixture(scope="session")
def verbalisations(sample: Path) -> pd.DataFrame:
    """The sheet as it is."""
    path = sample / "deliveries" / "verbalisations.xlsx"
    with closing(openpyxl.load_workbook(path, read_only=True)) as workbook:
        header, *rows = workbook["Verbalisations"].iter_rows(values_only=True)
    return pd.DataFrame(rows, columns=header)


@pytest.fixture(scope="session")
def allo_mairie(sample: Path) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """Both deliveries."""
    first, second = (gpd.read_file(sample / "deliveries" / f"allo_mairie_{k}.geojson") for k in (1, 2))
    return first, second


@pytest.fixture(scope="session")
def csu(sample: Path) -> gpd.GeoDataFrame:
    return gpd.read_file(sample / "deliveries" / "csu.gpkg")


@pytest.fixture(scope="session")
def delivered(
    truth: dict,
    main_courante: pd.DataFrame,
    verbalisations: pd.DataFrame,
    allo_mairie: tuple[gpd.GeoDataFrame, gpd.GeoDataFrame],
    csu: gpd.GeoDataFrame,
) -> pd.DataFrame:
    """All good records of the last deliveries: source, record_id, code, local time, x_m, y_m (NaN when not located)."""
    dirty = {row["row"] for row in truth["dirty_rows"]}
    mc = main_courante[~main_courante["row"].isin(dirty)]
    lon, lat = (
        pd.to_numeric(mc[c].str.replace(",", "."), errors="coerce").to_numpy() for c in ("LONGITUDE", "LATITUDE")
    )
    x, y = np.full(len(mc), np.nan), np.full(len(mc), np.nan)
    located = ~np.isnan(lon)
    x[located], y[located] = to_metric(lon[located], lat[located])
    parts = [
        _records(p.MC, mc["NUM_MC"], mc["CODE"], mc["DATE_FAIT"] + " " + mc["HEURE_FAIT"], x, y),
        _records(
            p.VF,
            verbalisations["NUMERO"],
            verbalisations["CODE_INFRACTION"],
            verbalisations["DATE"] + " " + verbalisations["HEURE"],
            verbalisations["X_L93"],
            verbalisations["Y_L93"],
        ),
    ]
    am = allo_mairie[1]
    when = pd.to_datetime(am["date_debut"], utc=True).dt.tz_convert(p.TIME_ZONE).dt.tz_localize(None)
    parts.append(_records(p.AM, am["id_signalement"], am["type"], when, am.geometry.x, am.geometry.y))
    metric = csu.geometry.to_crs(2154)
    when = pd.to_datetime(csu["horodatage"], utc=True).dt.tz_convert(p.TIME_ZONE).dt.tz_localize(None)
    parts.append(_records(p.CSU, csu["id_csu"].astype(str), csu["code"], when, metric.x, metric.y))
    every = pd.concat(parts, ignore_index=True)
    themes = {code: (t.key, c.key) for t in p.THEMES for c in t.categories for _, code, _ in c.codes}
    every["theme"] = [themes[c][0] for c in every["code"]]
    every["category"] = [themes[c][1] for c in every["code"]]
    every["month"] = (every["time"].dt.year - p.START.year) * 12 + every["time"].dt.month - 1
    return every


def _records(source, record_id, code, time, x, y) -> pd.DataFrame:
    time = pd.to_datetime(time, format="%d/%m/%Y %H:%M") if not pd.api.types.is_datetime64_dtype(time) else time
    return pd.DataFrame(
        {
            "source": source,
            "record_id": list(record_id),
            "code": list(code),
            "time": time.to_numpy().astype("datetime64[us]"),
            "x_m": np.asarray(x, dtype=float),
            "y_m": np.asarray(y, dtype=float),
        }
    )


@pytest.fixture(scope="session")
def quartiers() -> gpd.GeoDataFrame:
    return gpd.read_file(FOLDER / "quartiers.geojson").to_crs(2154)


@pytest.fixture(scope="session")
def land(quartiers: gpd.GeoDataFrame) -> shapely.Geometry:
    union = shapely.union_all(quartiers.geometry.to_numpy())
    shapely.prepare(union)
    return union
