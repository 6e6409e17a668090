"""Which rows of a source's deliveries are past their period."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from layers.city import City, Source
from layers.clock import local_time
from layers.errors import LakeError
from layers.fields import LAYER_FIELDS, PERIODS, FieldType
from layers.home import Home
from layers.identity import record_keys
from layers.mapping import Mapper
from layers.raw_copies import RawDelivery, raw_deliveries
from layers.readers import Batch
from layers.receiving import deliveries_of

_NO_DAY = np.datetime64("NaT", "D")


@dataclass(frozen=True, slots=True)
class PastRows:
    """Rows of one delivery that are past their period.

    ``rows`` are row numbers, int64. ``dragged`` are keys of records (uint64) that go with them although these versions
    are not that old: a later version says that they are.
    """

    raw: RawDelivery
    rows: NDArray[np.int64]
    dragged: NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class _Dated:
    """Rows of a delivery: number, local day of the start (NaT: not read), key and whether there is one; shape (n,)."""

    row: NDArray[np.int64]
    day: NDArray[np.datetime64]
    key: NDArray[np.uint64]
    named: NDArray[np.bool_]


def start_field(source: Source) -> str | None:
    """Field that says when a record begins; None in a layer of things that last (cameras, sites, streets)."""
    pair = PERIODS.get(source.layer)
    return pair[0] if pair and LAYER_FIELDS[source.layer][pair[0]].type is FieldType.TIME else None


def held_in_order(source: Source, city: City, home: Home) -> list[RawDelivery]:
    """Deliveries that the lake holds of a source, in the order in which they count: the last one is the present one.

    Raises
    ------
    DeliveryError
        If the city file lists a file that is nowhere.
    """
    held = {raw.received.digest: raw for raw in raw_deliveries(source.id, home)}
    if not held:
        return []
    counted = [one.digest for one in deliveries_of(source, city, home) if one.digest in held]
    return [raw for digest, raw in held.items() if digest not in counted] + [held[digest] for digest in counted]


def past_rows(source: Source, raws: Sequence[RawDelivery], city: City, cutoff: dt.date) -> list[PastRows]:
    """Find what a source keeps beyond a date.

    A record goes when its local start is before the date, with all its versions when it is the last version that says
    so. A row whose start cannot be read goes with the day on which its delivery was received. Where records have no
    start, a delivery goes with that day once another one has replaced it as a whole.

    Parameters
    ----------
    source
        The source.
    raws
        Its deliveries in the lake, in the order in which they count.
    city
        Its city.
    cutoff
        Local date before which records go.

    Returns
    -------
    list of PastRows
        One per delivery, in the same order, with no rows where nothing is past.
    """
    if not raws:
        return []
    if start_field(source) is None:
        return [_replaced(raw, source, city, cutoff, last=raw is raws[-1]) for raw in raws]
    dated = [_dated(raw, source, city) for raw in raws]
    old = [part.day < np.datetime64(cutoff) for part in dated]
    dragged = _all_versions(dated, old)
    found = []
    for raw, part, past, more in zip(raws, dated, old, dragged, strict=True):
        undated = np.isnat(part.day) & _was_received_before(raw, city, cutoff)
        found.append(PastRows(raw, part.row[past | undated | more], np.unique(part.key[more])))
    return found


def _replaced(raw: RawDelivery, source: Source, city: City, cutoff: dt.date, *, last: bool) -> PastRows:
    goes = source.mode == "complete" and not last and _was_received_before(raw, city, cutoff)
    return PastRows(raw, raw.row_numbers() if goes else np.empty(0, np.int64), np.empty(0, np.uint64))


def _was_received_before(raw: RawDelivery, city: City, cutoff: dt.date) -> bool:
    return raw.received_at.astimezone(ZoneInfo(city.city.timezone)).date() < cutoff


def _dated(raw: RawDelivery, source: Source, city: City) -> _Dated:
    """Read starts and record ids exactly as taking does, and nothing else."""
    start = start_field(source)
    if start is None:
        raise LakeError(f"source {source.id!r}: records of the layer {source.layer!r} have no start")
    rules = {name: source.columns[name] for name in (start, "record_id") if name in source.columns}
    # Rules may have changed since an old delivery, which is not read any more: its rows have no date then.
    rules = {name: rule for name, rule in rules.items() if set(rule.reads()) <= set(raw.columns)}
    mapper = Mapper(source.model_copy(update={"columns": rules}), city, raw.received.name, None, raw.decimal)
    parts = [_dated_batch(batch, mapper, start if start in rules else None) for batch in raw.batches()]
    nothing = _Dated(np.empty(0, np.int64), np.empty(0, "M8[D]"), np.empty(0, np.uint64), np.empty(0, bool))
    return _Dated(
        *(
            np.concatenate([getattr(nothing, name), *(getattr(part, name) for part in parts)])
            for name in _Dated.__slots__
        )
    )


def _dated_batch(batch: Batch, mapper: Mapper, start: str | None) -> _Dated:
    columns = mapper.map(Batch(batch.table, batch.rows)).columns
    days = np.full(len(batch.rows), _NO_DAY)
    if start is not None:
        days = local_time(np.asarray(columns[start]), mapper.city.city.timezone).astype("datetime64[D]")
    names = columns["record_id"]
    if not isinstance(names, pa.Array) or "record_id" not in mapper.source.columns:
        return _Dated(batch.rows, days, np.zeros(len(days), np.uint64), np.zeros(len(days), bool))
    keys = record_keys(mapper.source.id, names.fill_null(""))
    return _Dated(batch.rows, days, keys, names.is_valid().to_numpy(zero_copy_only=False))


def _all_versions(parts: Sequence[_Dated], old: Sequence[NDArray[np.bool_]]) -> list[NDArray[np.bool_]]:
    """Rows that are not old themselves, of records whose last dated version is: those of its last delivery all are."""
    part = np.repeat(np.arange(len(parts)), [len(p.row) for p in parts])
    key = np.concatenate([np.empty(0, np.uint64), *(p.key for p in parts)])
    aged = np.concatenate([np.empty(0, bool), *old])
    versions = np.concatenate([np.empty(0, bool), *(p.named & ~np.isnat(p.day) for p in parts)])
    goes = np.zeros(len(key), dtype=bool)
    rows = np.flatnonzero(versions)
    if len(rows) and aged.any():
        rows = rows[np.lexsort((part[rows], key[rows]))]
        starts = np.flatnonzero(np.append(True, key[rows][1:] != key[rows][:-1]))
        lengths = np.diff(np.append(starts, len(rows)))
        last_part = np.repeat(part[rows][starts + lengths - 1], lengths)
        ends_old = np.logical_and.reduceat(aged[rows] | (part[rows] < last_part), starts)
        goes[rows] = np.repeat(ends_old, lengths)
    return np.split(goes & ~aged, np.cumsum([len(p.row) for p in parts])[:-1])
