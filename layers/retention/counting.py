"""How many records, earlier versions and refused rows the lake holds of rows that are about to go."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from layers.city import City, Source
from layers.clock import local_time
from layers.home import Home
from layers.identity import key_ids
from layers.lake import LakeTable, layer_table, reject_table
from layers.retention.ageing import PastRows, start_field
from layers.writing import HISTORY

_MERGED = "merged"


def count_records(source: Source, found: Sequence[PastRows], city: City, cutoff: dt.date, home: Home) -> dict[str, int]:
    """Count what the layers hold of rows that are past their period.

    Returns
    -------
    dict
        ``records`` (those that another one stands for included), ``earlier_versions``, ``rejects`` (rows, a row may
        have several faults).
    """
    present, _ = _past(layer_table(home, source.layer), source, found, city, cutoff)
    former, merged = _past(layer_table(home, f"{source.layer}{HISTORY}"), source, found, city, cutoff)
    return {
        "records": present + merged,
        "earlier_versions": former - merged,
        "rejects": _rejected(source, found, home),
    }


def _past(table: LakeTable, source: Source, found: Sequence[PastRows], city: City, cutoff: dt.date) -> tuple[int, int]:
    """Versions of a table that go, and how many of them another record stands for; one partition at a time."""
    version, start = table.latest(), start_field(source)
    if version is None or version.schema is None:
        return 0, 0
    with_state = "state" in version.schema.names
    columns = ["id", "source", "delivery", *([start] if start else []), *(["state"] if with_state else [])]
    total = merged = 0
    for partition in version.partitions:
        rows = table.read(columns, [partition])
        rows = rows.filter(pc.equal(rows.column("source"), source.id))
        goes = _is_past(rows, start, found, city, cutoff)
        total += int(goes.sum())
        if with_state:
            merged += int((goes & np.asarray(pc.equal(rows.column("state"), _MERGED))).sum())
    return total, merged


def _is_past(
    rows: pa.Table, start: str | None, found: Sequence[PastRows], city: City, cutoff: dt.date
) -> NDArray[np.bool_]:
    if start is None:  # deliveries go as a whole
        gone = pa.array([past.raw.received.digest for past in found if len(past.rows)], pa.string())
        return np.asarray(pc.is_in(rows.column("delivery"), gone))
    began = rows.column(start).cast(pa.timestamp("us")).to_numpy()
    goes = local_time(began, city.city.timezone).astype("datetime64[D]") < np.datetime64(cutoff)
    for past in found:
        if len(past.dragged):
            mine = pc.and_(
                pc.equal(rows.column("delivery"), past.raw.received.digest),
                pc.is_in(rows.column("id"), key_ids(past.dragged)),
            )
            goes = goes | np.asarray(mine)
    return np.asarray(goes)


def _rejected(source: Source, found: Sequence[PastRows], home: Home) -> int:
    table = reject_table(home, source.id)
    if not table.exists():
        return 0
    rows = table.read(["delivery", "row"])
    total = 0
    for past in found:
        mine = rows.filter(pc.equal(rows.column("delivery"), past.raw.received.digest))
        total += int(np.isin(np.unique(mine.column("row").to_numpy()), past.rows).sum())
    return total
