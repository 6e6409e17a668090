"""Base facts: how many records per cell, zone, category, local date, hour and provenance.

The functions of this module run inside Spark tasks: they read files of the lake with pyarrow, index and aggregate whole
Arrow batches, and write what belongs to one month. Spark carries only counts between them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from hexgrid.cells import cells_of_points
from layers.digests import table_digest
from layers.lake import DataFile, LakeTable

BASE_RESOLUTION = 11
Batches = Iterator[pa.RecordBatch]

_ROWS_PER_TASK = 1_000_000
_ROW_GROUP = 1 << 16
"""Rows are in cell order, so a rectangle of the map meets few of these groups."""

WORK_SCHEMA = pa.schema([("path", pa.string()), ("part", pa.int64()), ("parts", pa.int64())])
FIGURES = ("records", "located", "off_land", "in_period")
FILE_SCHEMA = pa.schema(
    [
        ("table", pa.string()),
        ("path", pa.string()),
        ("partition", pa.string()),
        ("rows", pa.int64()),
        ("digest", pa.string()),
        *((name, pa.int64()) for name in FIGURES),
    ]
)
"""What a task tells the driver of each file that it wrote, and of the records behind it."""


@dataclass(frozen=True, slots=True)
class FactColumns:
    """Columns of the base facts of one city, in order."""

    zones: tuple[str, ...]
    """``zone_<level>`` columns, coarse to fine."""

    @property
    def keys(self) -> list[str]:
        """Everything that a count is keyed by; also the order of rows."""
        return ["cell", "on_land", *self.zones, "theme", "category", "date", "hour", "provenance"]

    @property
    def schema(self) -> pa.Schema:
        """Columns of ``lake/cube/base``."""
        typed = {"cell": pa.int64(), "on_land": pa.bool_(), "date": pa.date32(), "hour": pa.int8()}
        return pa.schema([(key, typed.get(key, pa.string())) for key in self.keys] + [("n", pa.int64())])

    @property
    def of_records(self) -> list[str]:
        """Columns read from ``lake/layers/incidents``."""
        return ["located", "lon", "lat", *(key for key in self.keys if key != "cell")]


def ddl(schema: pa.Schema) -> str:
    """Spark's spelling of a flat Arrow schema."""
    names = {
        pa.int64(): "long",
        pa.int8(): "byte",
        pa.bool_(): "boolean",
        pa.string(): "string",
        pa.date32(): "date",
        pa.float64(): "double",
        pa.binary(): "binary",
    }
    return ", ".join(f"{field.name} {names[field.type]}" for field in schema)


def work_items(files: Sequence[DataFile]) -> pa.Table:
    """Share out files among tasks: a large file is given to several, each takes every ``parts``-th row group."""
    rows: list[tuple[str, int, int]] = []
    for file in files:
        parts = max(1, math.ceil(file.rows / _ROWS_PER_TASK))
        rows += [(file.path, part, parts) for part in range(parts)]
    columns = list(zip(*rows, strict=True)) if rows else [(), (), ()]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, WORK_SCHEMA, strict=True)], schema=WORK_SCHEMA)


def row_groups(batches: Batches, filesystem: pafs.FileSystem, columns: list[str]) -> Iterator[pa.Table]:
    """Read what the work items name, one row group at a time."""
    for batch in batches:
        for item in batch.to_pylist():
            with filesystem.open_input_file(item["path"]) as source:
                file = pq.ParquetFile(source)
                for group in range(item["part"], file.num_row_groups, item["parts"]):
                    yield file.read_row_group(group, columns=columns, use_threads=False)


def sum_by(table: pa.Table, keys: list[str]) -> pa.Table:
    """Sum ``n`` by ``keys`` (null is a key like another)."""
    summed = table.group_by(keys, use_threads=False).aggregate([("n", "sum")])
    return summed.rename_columns([*keys, "n"] if summed.column_names[-1] == "n_sum" else ["n", *keys])


def facts_of_records(records: pa.Table, columns: FactColumns) -> pa.Table:
    """Index and aggregate records.

    Parameters
    ----------
    records
        ``located``, ``lon``, ``lat`` (CRS84 degrees) and the keys of ``columns`` without ``cell``.
    columns
        Columns of the facts.

    Returns
    -------
    pyarrow.Table
        ``columns.keys`` and ``n``. ``cell`` is null where a record is not located.
    """
    located = records.column("located").combine_chunks().fill_null(False).to_numpy(zero_copy_only=False)
    at = records.select(["lon", "lat"]).filter(pa.array(located))
    cells = np.zeros(records.num_rows, dtype=np.int64)
    cells[located] = cells_of_points(at.column("lon").to_numpy(), at.column("lat").to_numpy(), BASE_RESOLUTION)
    indexed = records.select([key for key in columns.keys if key != "cell"])
    indexed = indexed.append_column("cell", pa.array(cells, mask=~located))
    indexed = indexed.append_column("n", pa.array(np.ones(records.num_rows, dtype=np.int64)))
    return sum_by(indexed, columns.keys).select(columns.schema.names).cast(columns.schema)


def fact_reader(filesystem: pafs.FileSystem, columns: FactColumns) -> Callable[[Batches], Batches]:
    """Return the task that turns work items into facts, with the month of each."""

    def read(batches: Batches) -> Batches:
        for records in row_groups(batches, filesystem, columns.of_records):
            facts = facts_of_records(records, columns)
            yield from facts.append_column("month", pc.strftime(facts.column("date"), "%Y-%m")).to_batches()

    return read


def write_file(table: LakeTable, partition: str, rows: pa.Table, keys: list[str]) -> DataFile:
    """Write sorted rows where the driver may commit them later."""
    path = table.new_path(partition)
    pq.write_table(rows, path, filesystem=table.filesystem, compression="zstd", row_group_size=_ROW_GROUP)
    return DataFile(path, rows.num_rows, partition, table_digest(rows, keys))


def in_order(table: pa.Table, keys: list[str]) -> pa.Table:
    """Sort by ``keys``, ascending, nulls last."""
    return table.sort_by([(key, "ascending") for key in keys])


def distinct_cell_reader(filesystem: pafs.FileSystem) -> Callable[[Batches], Batches]:
    """Return the task that lists the cells of base facts, each once per row group."""

    def read(batches: Batches) -> Batches:
        for facts in row_groups(batches, filesystem, ["cell"]):
            cells = pc.drop_null(facts.column("cell").unique())
            yield pa.RecordBatch.from_arrays([cells], names=["cell"])

    return read
