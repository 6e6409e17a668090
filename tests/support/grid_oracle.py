"""The cube by plain means: pandas, and one h3 call per record."""

from __future__ import annotations

import datetime as dt

import h3
import pandas as pd
import pyarrow as pa

BASE_KEYS = ["cell", "on_land", "zone_secteurs", "zone_quartiers", "theme", "category", "date", "hour", "provenance"]


def records(incidents: pa.Table) -> pd.DataFrame:
    """Return the records with their base cell; None where they have none."""
    frame = incidents.to_pandas(types_mapper={pa.int8(): pd.Int8Dtype(), pa.bool_(): pd.BooleanDtype()}.get)
    frame["cell"] = [
        h3.latlng_to_cell(lat, lon, 11) if located else None
        for lat, lon, located in zip(frame["lat"], frame["lon"], frame["located"], strict=True)
    ]
    return frame


def counts(frame: pd.DataFrame, keys: list[str]) -> dict[tuple[object, ...], int]:
    """Count rows by key in a plain dictionary; null becomes None."""
    result: dict[tuple[object, ...], int] = {}
    for row in frame[keys].itertuples(index=False):
        key = tuple(None if pd.isna(value) else value for value in row)
        result[key] = result.get(key, 0) + 1
    return result


def in_statistics(frame: pd.DataFrame, start: dt.date, end: dt.date) -> pd.DataFrame:
    """Keep on-land records of the analysis period."""
    return frame[frame["on_land"].fillna(False).astype(bool) & (frame["date"] >= start) & (frame["date"] <= end)].copy()


def marginal(frame: pd.DataFrame, resolution: int, *, week: bool) -> dict[tuple[object, ...], int]:
    """Count by ancestor, theme, category, and month or day of week and hour."""
    frame = frame.assign(
        cell=[h3.cell_to_parent(cell, resolution) for cell in frame["cell"]],
        month=[day.replace(day=1) for day in frame["date"]],
        dow=[day.isoweekday() for day in frame["date"]],
    )
    keys = ["cell", "theme", "category", *(["dow", "hour"] if week else ["month"])]
    return counts(frame, keys)


def as_counts(table: pa.Table) -> dict[tuple[object, ...], int]:
    """Return a table of the cube as :func:`counts` does. Its keys are unique, or this fails."""
    rows = {}
    for row in table.to_pylist():
        n = row.pop("n")
        if row["cell"] is not None:
            row["cell"] = h3.int_to_str(row["cell"])
        key = tuple(row.values())
        assert key not in rows, key
        rows[key] = n
    return rows
