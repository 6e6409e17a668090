"""Copies of deliveries in the lake: Parquet parts, and a marker that is written last and says what they are."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from layers.digests import digest_json
from layers.errors import LakeError
from layers.home import Home
from layers.lake import sync_path
from layers.readers import Batch
from layers.readers.base import BATCH_ROWS

ROW_NUMBER = "__row__"
GEOMETRY = "__geometry__"
RESERVED = frozenset({ROW_NUMBER, GEOMETRY})

_MARKERS = "marker-*.json"
"""Numbered, each with its own digest: the highest whole one counts, so that no rename is needed."""
_SIDE_NOTES = frozenset({"name", "sequence", "received_at", "format", "size_bytes", "extra", "parts", "marker"})
"""Keys of a marker that have no part in what its batches are."""
_PART_ROWS = 2_000_000
_GROUP_BYTES = 64 * 2**20
_REPEATED = 4
"""A dictionary pays where values come this many times on average."""


@dataclass(frozen=True, slots=True)
class Received:
    """A delivery that the lake holds, or that waits in the city's folder (``path``)."""

    source: str
    digest: str
    name: str
    path: Path | None
    sequence: int | None
    """Order of arrival in the lake; None before it."""


@dataclass(frozen=True, slots=True)
class RawDelivery:
    """A delivery in the lake.

    ``rows`` and ``malformed`` count the delivery as it came; ``purged_rows`` of them were destroyed since, all before
    ``purged_before``. ``masked`` counts values taken away as personal: column → kind → count. ``revision`` is the
    digest of all that decides what :meth:`batches` yields. ``marker`` is all that was noted of it.
    """

    received: Received
    folder: Path
    rows: int
    malformed: int
    columns: tuple[str, ...]
    crs: str | None
    has_geometry: bool
    decimal: Literal[".", ","]
    masked: Mapping[str, Mapping[str, int]]
    revision: str
    purged_before: dt.date | None = None
    purged_rows: int = 0
    marker: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def extra(self) -> Mapping[str, Any]:
        """What the one who delivered it noted (the watermark of a pull)."""
        noted: Mapping[str, Any] = self.marker["extra"]
        return noted

    @property
    def received_at(self) -> dt.datetime:
        """Machine time of arrival, UTC."""
        return dt.datetime.fromisoformat(self.marker["received_at"])

    def batches(self) -> Iterator[Batch]:
        """Yield the kept columns as they were read, some rows at a time (geometry: WKB in ``crs``).

        Raises
        ------
        LakeError
            If a part is missing or damaged.
        """
        try:
            for name in self.marker["parts"]:
                with pq.ParquetFile(self.folder / name) as file:
                    for part in file.iter_batches(batch_size=BATCH_ROWS):
                        yield _as_batch(part, has_geometry=self.has_geometry)
        except (OSError, pa.ArrowException) as error:
            raise LakeError(f"{self.folder}: the lake's copy of {self.received.name} is damaged: {error}") from error

    def row_numbers(self) -> NDArray[np.int64]:
        """Numbers of the rows that :meth:`batches` yields, ascending."""
        numbers = [pq.read_table(self.folder / name, columns=[ROW_NUMBER]) for name in self.marker["parts"]]
        empty = np.empty(0, dtype=np.int64)
        return np.concatenate([empty, *(table.column(ROW_NUMBER).to_numpy() for table in numbers)])

    def malformed_rows(self) -> NDArray[np.int64]:
        """Numbers of the rows that could not be cut into columns, ascending."""
        return np.array(self.marker["malformed"], dtype=np.int64)


def _as_batch(part: pa.RecordBatch, *, has_geometry: bool) -> Batch:
    table = pa.Table.from_batches([part])
    rows = table.column(ROW_NUMBER).to_numpy()
    geometry = table.column(GEOMETRY).combine_chunks() if has_geometry else None
    return Batch(table.drop_columns([name for name in table.column_names if name in RESERVED]), rows, geometry)


def stored_delivery(folder: Path) -> RawDelivery | None:
    """Return what the highest whole marker of a folder says; None where no delivery counts."""
    for path in sorted(folder.glob(_MARKERS), reverse=True):
        try:
            document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            body: dict[str, Any] = document["delivery"]
        except (ValueError, KeyError, TypeError):
            continue  # a crash left it half written
        if document.get("digest") == digest_json(body):
            return _from_marker(folder, {**body, "marker": path.name})
    return None


def raw_deliveries(source_id: str, home: Home) -> list[RawDelivery]:
    """Every whole delivery that the lake holds of a source, in order of arrival."""
    folder = home.raw / source_id
    folders = sorted(folder.iterdir()) if folder.is_dir() else []
    found = [one for one in map(stored_delivery, folders) if one is not None]
    return sorted(found, key=lambda one: (one.received.sequence or 0, one.received.digest))


def _from_marker(folder: Path, marker: dict[str, Any]) -> RawDelivery:
    before = marker["purged_before"]
    return RawDelivery(
        received=Received(marker["source"], marker["digest"], marker["name"], None, marker["sequence"]),
        folder=folder,
        rows=marker["rows"],
        malformed=len(marker["malformed"]),
        columns=tuple(marker["columns"]),
        crs=marker["crs"],
        has_geometry=marker["has_geometry"],
        decimal=marker["decimal"],
        masked=marker["masked"],
        revision=digest_json({key: value for key, value in marker.items() if key not in _SIDE_NOTES}),
        purged_before=dt.date.fromisoformat(before) if before else None,
        purged_rows=marker["purged_rows"],
        marker=marker,
    )


class CopyWriter:
    """Writes one copy of a delivery beside the one that counts, which stays until :meth:`finish`."""

    def __init__(self, folder: Path, columns: Sequence[str], *, has_geometry: bool) -> None:
        """Make the folder; what an interrupted copy left in it is deleted."""
        self.folder = folder
        self._columns, self._has_geometry = list(columns), has_geometry
        present = stored_delivery(folder)
        remove_others(folder, present)
        number = 1 + max((int(path.stem.rpartition("-")[2]) for path in folder.glob(_MARKERS)), default=0)
        self._marker = folder / f"marker-{number:08d}.json"
        self._stem = f"part-{number:08d}"
        self._parts: list[Path] = []
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[pa.Table] = []
        self._rows_of_part = 0
        self.rows = 0
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, table: pa.Table, rows: NDArray[np.int64], geometry: pa.Array | None) -> None:
        """Add rows; they reach the disk some time before :meth:`finish` is done."""
        table = table.select(self._columns).append_column(ROW_NUMBER, pa.array(rows, pa.int64()))
        if self._has_geometry:
            shapes = geometry if geometry is not None else pa.nulls(len(rows), pa.binary())
            table = table.append_column(GEOMETRY, shapes)
        self._waiting.append(table)
        self.rows += len(rows)
        if sum(t.num_rows for t in self._waiting) >= BATCH_ROWS or sum(t.nbytes for t in self._waiting) >= _GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if not self._waiting:
            return
        table = pa.concat_tables(self._waiting, promote_options="permissive")
        self._waiting = []
        if self._writer is None:
            path = self.folder / f"{self._stem}-{len(self._parts) + 1:04d}.parquet"
            repeated = [name for name in table.column_names if _repeats(table.column(name))]
            self._parts.append(path)
            self._writer = pq.ParquetWriter(
                path,
                table.schema,
                compression="zstd",
                compression_level=1,
                use_dictionary=repeated or False,
                write_statistics=False,
            )
        self._writer.write_table(table if table.schema == self._writer.schema else table.cast(self._writer.schema))
        self._rows_of_part += table.num_rows
        if self._rows_of_part >= _PART_ROWS:
            self._close_part()

    def _close_part(self) -> None:
        if self._writer is not None:
            self._writer.close()
            sync_path(self._parts[-1])
        self._writer, self._rows_of_part = None, 0

    def finish(self, body: Mapping[str, Any]) -> RawDelivery:
        """Write the marker, the last thing of all, and delete the copy that it replaces."""
        self._flush()
        self._close_part()
        noted = {**body, "columns": self._columns, "has_geometry": self._has_geometry}
        noted["parts"] = [path.name for path in self._parts]
        document = {"delivery": noted, "digest": digest_json(noted)}
        self._marker.write_text(json.dumps(document), encoding="utf-8")
        sync_path(self._marker)
        sync_path(self.folder)
        done = _from_marker(self.folder, {**noted, "marker": self._marker.name})
        remove_others(self.folder, done)
        return done

    def abandon(self) -> None:
        """Leave nothing of this copy; the folder goes too, when nothing else counts in it."""
        try:
            if self._writer is not None:
                self._writer.close()
        finally:
            self._marker.unlink(missing_ok=True)
            remove_others(self.folder, stored_delivery(self.folder))


def _repeats(column: pa.ChunkedArray) -> bool:
    if pa.types.is_floating(column.type) or pa.types.is_binary(column.type) or column.null_count == len(column):
        return False
    return int(pc.count_distinct(column, mode="all").as_py()) * _REPEATED <= len(column)


def remove_others(folder: Path, counts: RawDelivery | None) -> None:
    """Delete what the marker that counts does not name: it may hold columns that are hidden now."""
    if counts is None:
        shutil.rmtree(folder, ignore_errors=True)
        return
    named = {counts.marker["marker"], *counts.marker["parts"]}
    for path in folder.iterdir():
        if path.name not in named:
            path.unlink()
