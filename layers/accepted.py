"""Accepted rows of a delivery, by month, between taking and writing: Arrow files and a document written last."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import ipc

from layers.clock import local_time
from layers.declared_sources import Source
from layers.digests import digest_json
from layers.fields import LAYER_FIELDS, ZONE_PREFIX, FieldType
from layers.home import Home
from layers.identity import Keys
from layers.lake import sync_path

_DOCUMENT = "accepted.json"
_KEYS = "keys.arrow"
_SCHEMA = "schema.arrow"
_KEY_COLUMNS = ("key", "content", "likeness", "row")
_BUFFERED_ROWS = 1_000_000
_COMPRESSED = ipc.IpcWriteOptions(compression="lz4")
"""These files are read once or twice: speed counts, size does not."""
NO_MONTH = -100_000
"""Month of layers that are not kept by month; no record has it (−1 is December 1969)."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a delivery gave: rows by month, the keys of those that count, rejects, and figures."""

    folder: Path
    document: Mapping[str, Any]
    keys: Keys
    schema: pa.Schema

    @classmethod
    def begin(cls, home: Home, source_id: str, key: str) -> Path:
        """Make an empty folder for a delivery's rows."""
        folder = home.accepted / source_id / key
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    @classmethod
    def find(cls, home: Home, source_id: str, key: str) -> Accepted | None:
        """Open what was kept under ``key``, or None."""
        folder = home.accepted / source_id / key
        try:
            document = json.loads((folder / _DOCUMENT).read_text(encoding="utf-8"))
            if document["digest"] != digest_json(document["accepted"]):
                return None
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None  # never finished
        table = _read(folder / _KEYS)
        keys = Keys(*(table.column(name).to_numpy() for name in _KEY_COLUMNS))
        return cls(folder, document["accepted"], keys, _read(folder / _SCHEMA).schema)

    @classmethod
    def finish(cls, folder: Path, document: Mapping[str, Any], keys: Keys, schema: pa.Schema) -> Accepted:
        """Write the keys and, last, the document that makes the folder count."""
        _write(folder / _SCHEMA, schema.empty_table())
        _write(folder / _KEYS, pa.table({name: getattr(keys, name) for name in _KEY_COLUMNS}))
        for path in folder.iterdir():
            sync_path(path)
        text = json.dumps({"accepted": document, "digest": digest_json(document)}, ensure_ascii=False)
        (folder / _DOCUMENT).write_text(text, encoding="utf-8")
        sync_path(folder / _DOCUMENT)
        sync_path(folder)
        return cls(folder, document, keys, schema)

    def months(self) -> list[int]:
        """Months that have rows: months since January 1970, or ``NO_MONTH``."""
        return sorted({_month_of(path) for path in self.folder.glob("rows_*.arrow")})

    def read(self, month: int, columns: list[str] | None = None) -> pa.Table:
        """Rows of a month in the order of the delivery, those with repeated record ids too."""
        paths = sorted(self.folder.glob(f"rows_{month}_*.arrow"))
        tables = [_read(path, columns) for path in paths]
        return pa.concat_tables(tables)

    @property
    def figures(self) -> dict[str, int]:
        """Counts: rows, accepted, rejected, expired, unmapped, and what the clocks did."""
        return dict(self.document["figures"])

    @property
    def rejects(self) -> Path:
        """Parquet file of refused rows (``layers.issues.REJECT_SCHEMA``)."""
        return self.folder / "rejects.parquet"


def forget_unused(home: Home, used: Mapping[str, Collection[str]]) -> None:
    """Remove what was accepted under keys that are not ``used`` (source → keys): of other rules, or other code."""
    for source in home.accepted.iterdir() if home.accepted.is_dir() else ():
        for folder in source.iterdir():
            if folder.name not in used.get(source.name, ()):
                shutil.rmtree(folder)


def accepted_schema(source: Source, extras: Collection[str]) -> pa.Schema:
    """Columns of accepted rows of a source: its layer's fields, where the record is, and its row number."""
    kinds = {
        FieldType.TEXT: pa.string(),
        FieldType.INTEGER: pa.float64(),
        FieldType.NUMBER: pa.float64(),
        FieldType.TIME: pa.timestamp("us", tz="UTC"),
        FieldType.DATE: pa.timestamp("us", tz="UTC"),
    }
    fields = LAYER_FIELDS[source.layer]
    columns = {name: kinds[field.type] for name, field in fields.items() if name not in {"x", "y", "lon", "lat"}}
    if source.layer == "incidents":
        columns |= {"source_code": pa.string(), "theme": pa.string()}
        columns |= {name: pa.string() for name in source.columns if name.startswith(ZONE_PREFIX)}
    columns |= dict.fromkeys(("lon", "lat", "x_m", "y_m"), pa.float64())
    columns |= {"shape": pa.binary(), "located_by": pa.string()}
    columns |= {f"extra:{name}": pa.string() for name in sorted(extras)}
    return pa.schema({**columns, "row": pa.int64()})


def months_of(table: pa.Table, layer: str, timezone: str) -> NDArray[np.int64]:
    """Local month of each incident (months since January 1970); ``NO_MONTH`` in other layers."""
    if layer != "incidents":
        return np.full(table.num_rows, NO_MONTH, dtype=np.int64)
    started = table.column("started_at").cast(pa.timestamp("us")).to_numpy()
    return local_time(started, timezone).astype("datetime64[M]").astype(np.int64)


class MonthFiles:
    """Writes rows into one file per month, a good many rows at a time; a context manager.

    Parameters
    ----------
    folder
        Where the files go: ``rows_<month>_<number>.arrow``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: dict[int, list[pa.Table]] = defaultdict(list)
        self._rows = 0
        self._number = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self._flush()

    def add(self, rows: pa.Table, months: NDArray[np.int64]) -> None:
        """Take rows of any months; rows of one month keep their order."""
        if not rows.num_rows:
            return
        if (months[1:] < months[:-1]).any():
            order = np.argsort(months, kind="stable")
            rows, months = rows.take(pa.array(order)), months[order]
        starts = np.flatnonzero(np.concatenate([[True], months[1:] != months[:-1]]))
        for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(months)], strict=True):
            self._waiting[int(months[start])].append(rows.slice(start, end - start))
        self._rows += rows.num_rows
        if self._rows >= _BUFFERED_ROWS:
            self._flush()

    def values(self, column: str, rows: NDArray[np.int64]) -> list[Any]:
        """Look up a column for some row numbers."""
        self._flush()
        found: dict[int, Any] = {}
        wanted = pa.array(rows)
        for path in sorted(self._folder.glob("rows_*.arrow")):
            table = _read(path, ["row", column])
            some = table.filter(pc.is_in(table.column("row"), wanted))
            found |= dict(zip(some.column("row").to_pylist(), some.column(column).to_pylist(), strict=True))
        return [found[row] for row in rows.tolist()]

    def _flush(self) -> None:
        for month, tables in sorted(self._waiting.items()):
            _write(self._folder / f"rows_{month}_{self._number:06d}.arrow", pa.concat_tables(tables))
        self._waiting.clear()
        self._rows = 0
        self._number += 1


def _month_of(path: Path) -> int:
    return int(path.stem.split("_")[1])


def _write(path: Path, table: pa.Table) -> None:
    with pa.OSFile(str(path), "wb") as sink, ipc.new_file(sink, table.schema, options=_COMPRESSED) as writer:
        writer.write_table(table, max_chunksize=1 << 17)


def _read(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read a file, or some of its columns: the others are not unpacked."""
    with pa.OSFile(str(path), "rb") as source:
        if columns is None:
            return ipc.open_file(source).read_all()
        fields = ipc.open_file(source).schema
        options = ipc.IpcReadOptions(included_fields=[fields.get_field_index(name) for name in columns])
        source.seek(0)
        return ipc.open_file(source, options=options).read_all().select(columns)
