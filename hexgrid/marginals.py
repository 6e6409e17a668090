"""Marginals: the two crossings that every floor asks for, kept for each published resolution.

``cell × category × month`` is complete within a month and ``cell × category × day of week × hour`` within a day of
week, so each task writes finished files. They hold the on-land records of the analysis period; parents follow the
hierarchy.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs

from hexgrid.cells import parents
from hexgrid.facts import FIGURES, FILE_SCHEMA, Batches, FactColumns, in_order, row_groups, sum_by, write_file
from layers.lake import DataFile, LakeTable

MONTH_KEYS = ["cell", "theme", "category", "month"]
WEEK_KEYS = ["cell", "theme", "category", "dow", "hour"]
MONTH_SCHEMA = pa.schema(
    [("cell", pa.int64()), ("theme", pa.string()), ("category", pa.string()), ("month", pa.date32()), ("n", pa.int64())]
)
WEEK_SCHEMA = pa.schema(
    [
        ("cell", pa.int64()),
        ("theme", pa.string()),
        ("category", pa.string()),
        ("dow", pa.int8()),
        ("hour", pa.int8()),
        ("n", pa.int64()),
    ]
)
_Written = tuple[str, DataFile, dict[str, int]]
"""Name of a table, a file of it, and the figures of the records behind it."""
_OF_FACTS = ["cell", "on_land", "theme", "category", "date", "hour", "n"]


@dataclass(frozen=True, slots=True)
class Period:
    """Local dates, both included."""

    start: dt.date
    end: dt.date


def counted(facts: pa.Table, period: Period) -> pa.Table:
    """Keep the facts that statistics count: on land, and within the analysis period."""
    date = facts.column("date")
    within = pc.and_(pc.greater_equal(date, pa.scalar(period.start)), pc.less_equal(date, pa.scalar(period.end)))
    return facts.filter(pc.and_(pc.fill_null(facts.column("on_land"), False), within))


def with_parents(table: pa.Table, resolution: int) -> pa.Table:
    """Replace each cell by its ancestor at ``resolution``."""
    ancestors = parents(table.column("cell").to_numpy(), resolution)
    return table.set_column(table.column_names.index("cell"), "cell", pa.array(ancestors))


def of_month(facts: pa.Table, resolution: int) -> pa.Table:
    """Count by cell, theme, category and first day of the month."""
    first = pc.cast(pc.floor_temporal(facts.column("date"), unit="month"), pa.date32())
    keyed = with_parents(facts.select(["cell", "theme", "category", "n"]).append_column("month", first), resolution)
    return sum_by(keyed, MONTH_KEYS).select(MONTH_SCHEMA.names).cast(MONTH_SCHEMA)


def of_week(facts: pa.Table, resolution: int) -> pa.Table:
    """Count by cell, theme, category, day of week (1 = Monday) and hour."""
    if "dow" not in facts.column_names:
        dow = pc.day_of_week(facts.column("date"), count_from_zero=False, week_start=1).cast(pa.int8())
        facts = facts.append_column("dow", dow)
    keyed = with_parents(facts.select([*WEEK_KEYS, "n"]), resolution)
    return sum_by(keyed, WEEK_KEYS).select(WEEK_SCHEMA.names).cast(WEEK_SCHEMA)


def month_writer(
    base: LakeTable, months: Mapping[int, LakeTable], columns: FactColumns, period: Period
) -> Callable[[pa.Table], pa.Table]:
    """Return the task that finishes one month: base facts, and the marginal of each resolution.

    Parameters
    ----------
    base
        Table of the base facts.
    months
        Resolution → table ``cell_month_r<res>``.
    columns
        Columns of the base facts.
    period
        Analysis period.
    """

    def write(group: pa.Table) -> pa.Table:
        partition = f"month={group.column('month')[0].as_py()}"
        facts = in_order(sum_by(group, columns.keys).select(columns.schema.names).cast(columns.schema), columns.keys)
        kept = counted(facts, period)
        written: list[_Written] = [(base.name, write_file(base, partition, facts, columns.keys), _figures(facts, kept))]
        for resolution, table in months.items() if kept.num_rows else ():
            rows = in_order(of_month(kept, resolution), MONTH_KEYS)
            written.append((table.name, write_file(table, partition, rows, MONTH_KEYS), {}))
        return _as_table(written)

    return write


def week_reader(filesystem: pafs.FileSystem, resolution: int, period: Period) -> Callable[[Batches], Batches]:
    """Return the task that reads base facts and counts them by day of week and hour, at the finest resolution."""

    def read(batches: Batches) -> Batches:
        for facts in row_groups(batches, filesystem, _OF_FACTS):
            yield from of_week(counted(facts, period), resolution).to_batches()

    return read


def week_writer(weeks: Mapping[int, LakeTable]) -> Callable[[pa.Table], pa.Table]:
    """Return the task that finishes one day of the week: the marginal of each resolution."""

    def write(group: pa.Table) -> pa.Table:
        partition = f"dow={group.column('dow')[0].as_py()}"
        written: list[_Written] = []
        for resolution, table in weeks.items():
            rows = in_order(of_week(group, resolution), WEEK_KEYS)
            written.append((table.name, write_file(table, partition, rows, WEEK_KEYS), {}))
        return _as_table(written)

    return write


def _figures(facts: pa.Table, kept: pa.Table) -> dict[str, int]:
    n = facts.column("n").to_numpy()
    located = ~np.asarray(facts.column("cell").is_null())
    on_land = np.asarray(pc.fill_null(facts.column("on_land"), False))
    return {
        "records": int(n.sum()),
        "located": int(n[located].sum()),
        "off_land": int(n[located & ~on_land].sum()),
        "in_period": int(kept.column("n").to_numpy().sum()),
    }


def _as_table(written: list[_Written]) -> pa.Table:
    rows = [
        {"table": name, "path": f.path, "partition": f.partition, "rows": f.rows, "digest": f.digest}
        | {figure: figures.get(figure, 0) for figure in FIGURES}
        for name, f, figures in written
    ]
    return pa.Table.from_pylist(rows, schema=FILE_SCHEMA)
