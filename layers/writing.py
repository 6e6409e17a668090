"""The last part of ingestion: present records into layers, earlier ones into their history, month by month."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from layers.fields import ZONE_PREFIX
from layers.home import Home
from layers.lake import DataFile, layer_table
from layers.merging import Merges
from layers.present import SourceRecords
from layers.tables import REPETITIVE, Knowledge, layer_rows, month_name

HISTORY = "_history"
"""``incidents_history`` holds versions of incidents that count no more: updated, withdrawn or merged."""
_THREADS = 2
_HISTORY_ORDER = ("id", "delivery", "state")
_ENDING = {"ended_by": pa.string(), "survivor": pa.string(), "merged_ids": pa.list_(pa.string())}


@dataclass(slots=True)
class LayerFigures:
    """Counts of a written layer."""

    rows: int = 0
    not_located: int = 0
    off_land: int = 0
    unmapped: int = 0
    by_source: dict[str, dict[str, int]] = field(default_factory=dict)


def write_layer(
    layer: str,
    sources: Sequence[SourceRecords],
    merges: Merges,
    known: Knowledge,
    home: Home,
    *,
    inputs: Mapping[str, str],
    told: Callable[[float], None],
) -> LayerFigures:
    """Write a layer and its history; files of months that did not change stay.

    Parameters
    ----------
    layer
        The layer.
    sources
        Its sources' records.
    merges
        Incidents that others stand for.
    known
        Zones, land and weather.
    inputs
        Name → digest of what the layer is made of.
    told
        Told the share that is written, 0 to 1.
    """
    months = sorted({month for records in sources for month in records.months()})
    table, history = layer_table(home, layer), layer_table(home, f"{layer}{HISTORY}")
    before, history_before = table.latest(), history.latest()
    figures = LayerFigures()

    repetitive = REPETITIVE | {f"{ZONE_PREFIX}{level}" for level in known.geography.zones}

    def one_month(month: int) -> tuple[list[DataFile], list[DataFile], LayerFigures]:
        records = _gathered([s.read(month) for s in sources])
        rows = layer_rows(layer, merges.without_merged(records), known)
        merged = merges.only_merged(records)
        earlier = [former for s in sources if (former := s.read_earlier(month)).num_rows]
        partition = month_name(month)
        files = [table.part(partition, rows, before, repetitive=repetitive)] if rows.num_rows else []
        past = []
        if merged.num_rows or earlier:
            ended = _former(layer, merged, earlier, known)
            past = [history.part(partition, ended, history_before, repetitive=repetitive)]
        return files, past, _counted(rows)

    kept: list[DataFile] = []
    passed: list[DataFile] = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for done, (files, past, counted) in enumerate(pool.map(one_month, months), start=1):
            kept += files
            passed += past
            _add(figures, counted)
            told(done / len(months))
    nothing = _gathered([s.nothing() for s in sources])
    if not kept:
        kept = [table.part(None, layer_rows(layer, merges.without_merged(nothing), known), before)]
    table.commit_files(kept, inputs=inputs)
    if passed or history_before is not None:
        none = _former(layer, merges.only_merged(nothing), [], known)
        history.commit_files(passed or [history.part(None, none, history_before)], inputs=inputs)
    return figures


def _gathered(tables: Sequence[pa.Table]) -> pa.Table:
    """Rows of several sources; a column that one of them lacks is null there."""
    return pa.concat_tables([t for t in tables if t.num_columns], promote_options="default")


def _former(layer: str, merged: pa.Table, earlier: Sequence[pa.Table], known: Knowledge) -> pa.Table:
    """Versions that count no more, as they would stand in the layer, and why they do not."""
    merged = merged.append_column("state", pa.repeat(pa.scalar("merged"), merged.num_rows))
    rows = _gathered([merged, *earlier])
    for name, kind in _ENDING.items():
        if name not in rows.column_names:
            rows = rows.append_column(name, pa.nulls(rows.num_rows, kind))
    return layer_rows(layer, rows, known, also=("state", "ended_by", "survivor"), order=_HISTORY_ORDER)


def _counted(rows: pa.Table) -> LayerFigures:
    """Counts of some rows of a layer, in all and by source."""
    figures = LayerFigures(rows.num_rows)
    names = rows.column_names
    lost = pc.invert(rows.column("located")) if "located" in names else pc.is_null(rows.column("geometry"))
    figures.not_located = _true(lost)
    if "on_land" in names:
        figures.off_land = _true(pc.equal(rows.column("on_land"), False))
        figures.unmapped = _true(pc.equal(rows.column("category"), "unmapped"))
    by_address = pc.equal(rows.column("located_by"), "address") if "located_by" in names else None
    for source in pc.unique(rows.column("source")).to_pylist():
        mine = pc.equal(rows.column("source"), source)
        counts = {"not_located": _true(pc.and_(mine, lost))}
        if by_address is not None:
            counts["located_by_address"] = _true(pc.and_(mine, pc.fill_null(by_address, False)))
        figures.by_source[source] = counts
    return figures


def _true(mask: pa.ChunkedArray) -> int:
    return pc.sum(mask).as_py() or 0


def _add(total: LayerFigures, more: LayerFigures) -> None:
    for name in ("rows", "not_located", "off_land", "unmapped"):
        setattr(total, name, getattr(total, name) + getattr(more, name))
    for source, counts in more.by_source.items():
        mine = total.by_source.setdefault(source, {})
        for name, number in counts.items():
            mine[name] = mine.get(name, 0) + number
