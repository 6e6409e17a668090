"""Parquet: cut, of types that are no values, and with metadata that lie."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from support.corpus.case import NAMES, ROWS, SPOILT, WITH_SHAPES, Case, good_row, good_rows
from support.corpus.vector import frame
from support.malformed_files import Writer, cut, text

ROW = good_row(SPOILT)
WHERE = SPOILT - 1


def table(**columns: Any) -> pa.Table:
    """Good rows, some columns replaced."""
    made = dict(zip(NAMES, zip(*(row.cells for row in good_rows()), strict=True), strict=True))
    return pa.table({name: pa.array(columns.get(name, list(values))) for name, values in made.items()})


def spoilt(name: str, value: Any, kind: pa.DataType | None = None) -> pa.Array:
    """A column with one value replaced."""
    values = [row.cells[NAMES.index(name)] for row in good_rows()]
    values[WHERE] = value
    return pa.array(values, kind)


def parquet(made: pa.Table, **keys: object) -> Case:
    """One Parquet file with coordinates as columns."""
    return Case(file="log.parquet", write=written(made), **keys)


def written(made: pa.Table, **options: Any) -> Writer:
    """Parquet file of a table."""
    return lambda path: pq.write_table(made, path, **options)


def geo(**changes: Any) -> Case:
    """GeoParquet whose metadata are changed."""

    def write(path: Path) -> None:
        frame().to_parquet(path)
        made = pq.read_table(path)
        metadata = json.loads(made.schema.metadata[b"geo"])
        metadata["columns"]["geometry"] |= changes.pop("column", {})
        metadata |= changes.pop("document", {})
        pq.write_table(made.replace_schema_metadata({"geo": changes.pop("text", json.dumps(metadata))}), path)

    changes = dict(changes)
    keys = {key: changes.pop(key) for key in ("refused", "faults", "changed", "crs") if key in changes}
    return Case(**({"file": "log.parquet", "write": write, "crs": None, "columns": WITH_SHAPES} | keys))


def shapes(made: gpd.GeoDataFrame | None = None, wkb: bytes | None = None, **keys: object) -> Case:
    """GeoParquet, one geometry replaced."""

    def write(path: Path) -> None:
        (made if made is not None else frame()).to_parquet(path)
        if wkb is not None:
            whole = pq.read_table(path)
            values = whole.column("geometry").to_pylist()
            values[WHERE] = wkb
            position = whole.column_names.index("geometry")
            column = pa.array(values, whole.schema.field("geometry").type)
            pq.write_table(whole.set_column(position, whole.schema.field("geometry"), column), path)

    return Case(**({"file": "log.parquet", "write": write, "crs": None, "columns": WITH_SHAPES} | keys))


def bad(field: str, reason: str) -> dict[str, object]:
    """One fault of the spoilt row."""
    return {"faults": ((SPOILT, field, reason),)}


def not_utf8() -> pa.Array:
    """Text of which one value is not UTF-8; nobody checks when Parquet is written."""
    values = [row.address.encode() for row in good_rows()]
    values[WHERE] = b"5 rue \xe9\xff"
    return pa.Array.from_buffers(pa.string(), ROWS, pa.array(values, pa.binary()).buffers())


def split(path: Path) -> None:
    """Row groups of one row, some of none."""
    made = table()
    with pq.ParquetWriter(path, made.schema) as file:
        for start in range(ROWS):
            file.write_table(made.slice(start, 1))
            file.write_table(made.slice(0, 0))


def no_groups(path: Path) -> None:
    """No row group."""
    pq.ParquetWriter(path, table().schema).close()


def far(value: int, unit: str = "s") -> pa.Array:
    """Moments, of which one is far away."""
    moments = [np.datetime64(row.moment, unit).astype(np.int64) for row in good_rows()]
    moments[WHERE] = value
    return pa.array(moments, pa.int64()).cast(pa.timestamp(unit))


COLUMNAR: dict[str, Case] = {
    "a good Parquet": parquet(table()),
    "a Parquet cut short": Case(file="log.parquet", write=cut(written(table()), 0.9), refused="cannot be read"),
    "a Parquet cut at its half": Case(file="log.parquet", write=cut(written(table()), 0.5), refused="cannot be read"),
    "a Parquet that is empty": Case(file="log.parquet", write=text(b""), refused="cannot be read"),
    "a Parquet that is text": Case(file="log.parquet", write=text("PAR1" * 20), refused="cannot be read"),
    "a Parquet without row groups": Case(file="log.parquet", write=no_groups, rows=0, good=0),
    "a Parquet of many row groups": Case(file="log.parquet", write=split),
    "a Parquet of dictionaries": parquet(table(ADRESSE=spoilt("ADRESSE", ROW.address).dictionary_encode())),
    "a list as the address": parquet(table(ADRESSE=[[row.address] for row in good_rows()]), refused="'ADRESSE'.*list"),
    "a structure as the address": parquet(
        table(ADRESSE=[{"a": row.address} for row in good_rows()]), refused="'ADRESSE'.*struct"
    ),
    "bytes as the address": parquet(
        table(ADRESSE=[row.address.encode() for row in good_rows()]), refused="'ADRESSE'.*binary"
    ),
    "a list that is dropped": parquet(
        table().append_column("LISTE", pa.array([[1, 2]] * ROWS)), more='drop = ["LISTE"]'
    ),
    "a column of nothing": parquet(
        table(ADRESSE=pa.nulls(ROWS)), changed={row.name: {"address": None} for row in good_rows()}
    ),
    "text in a Parquet that is not UTF-8": parquet(table(ADRESSE=not_utf8()), refused="row 5, column 'ADRESSE'.*UTF-8"),
    "a duration as the date": parquet(
        table(MOMENT=pa.array([1] * ROWS, pa.duration("s"))), refused="MOMENT|started_at"
    ),
    "a time as the date": parquet(table(MOMENT=pa.array([1] * ROWS, pa.time32("s"))), refused="MOMENT|started_at"),
    "a date beyond all calendars": parquet(
        table(MOMENT=far(300_000 * 31_556_952)), **bad("started_at", "impossible_date")
    ),
    "a date as far as numbers go": parquet(table(MOMENT=far(2**62, "ms")), **bad("started_at", "impossible_date")),
    "year 0000 in a Parquet": parquet(table(MOMENT=far(-62_167_219_200)), **bad("started_at", "impossible_date")),
    "a moment with a zone": parquet(
        table(MOMENT=pa.array([row.moment for row in good_rows()], pa.timestamp("us", "UTC"))),
        changed={row.name: {"started_at": row.moment.replace(tzinfo=dt.UTC)} for row in good_rows()},
    ),
    "NaN in a column of numbers": parquet(table(X=spoilt("X", float("nan"))), **bad("x", "invalid_coordinates")),
    "an infinite number": parquet(table(Y=spoilt("Y", float("inf"))), **bad("y", "invalid_coordinates")),
    "a missing number": parquet(table(X=spoilt("X", None)), **bad("coordinates", "incomplete_coordinates")),
    "NaN as the severity": parquet(
        table(GRAVITE=spoilt("GRAVITE", float("nan"), pa.float64())), **bad("severity", "invalid_number")
    ),
    "a severity of twenty digits": parquet(
        table(GRAVITE=spoilt("GRAVITE", 2**63 + 1, pa.uint64())), **bad("severity", "out_of_range")
    ),
    "a good GeoParquet": shapes(),
    "geometry that is no WKB": shapes(wkb=b"\x01\xde\xad\xbe\xef", **bad("geometry", "invalid_geometry")),
    "geometry that is cut": shapes(wkb=shapely.Point(1, 2).wkb[:-3], **bad("geometry", "invalid_geometry")),
    "geometry of no bytes": shapes(wkb=b"", **bad("geometry", "invalid_geometry")),
    "a geometry of a kind that is not": shapes(
        wkb=b"\x01\x63\x00\x00\x00" + bytes(16), **bad("geometry", "invalid_geometry")
    ),
    "a list of a billion points": shapes(
        wkb=b"\x01\x04\x00\x00\x00\xff\xff\xff\x3f" + bytes(32), **bad("geometry", "invalid_geometry")
    ),
    "a point of NaN and a number": shapes(
        wkb=b"\x01\x01\x00\x00\x00" + np.array([np.nan, 6_247_500.0]).tobytes(),
        **bad("coordinates", "incomplete_coordinates"),
    ),
    "metadata that are no JSON": geo(text="{", refused="metadata cannot be read"),
    "metadata that are a number": geo(text="1", refused="metadata cannot be read"),
    "metadata of another column": geo(document={"primary_column": "gone"}, refused="metadata cannot be read"),
    "metadata that name a column of text": geo(
        document={"primary_column": "ADRESSE", "columns": {"ADRESSE": {"encoding": "WKB"}}}, refused="no column of WKB"
    ),
    "metadata without a system": geo(column={"crs": None}, refused="reference system"),
    "metadata of a system that is not": geo(column={"crs": {"type": "Mars"}}, refused="metadata cannot be read"),
    "metadata of another system": geo(
        column={"crs": "EPSG:4326"},
        faults=tuple((row.number, "coordinates", "outside_crs_area") for row in good_rows()),
    ),
}
