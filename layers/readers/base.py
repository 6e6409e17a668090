"""What every reader gives: a delivery as batches of columns of plain values, and the number of each row."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from layers.declared_sources import ReadOptions
from layers.errors import DeliveryError

BATCH_ROWS = 131_072
"""Rows of a batch, about: memory follows this, not the size of the file."""

_MAX_COLUMNS = 16_384
"""As many as spreadsheets have."""
_UNREADABLE = (OSError, pa.ArrowException, UnicodeError, MemoryError, RecursionError)


def no_rows() -> NDArray[np.int64]:
    """Numbers of no row."""
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of a delivery, in the file's order.

    ``table`` has one row per record that could be told apart, ``rows`` its number in the file (int64, 1-based, header
    not counted). ``geometry`` is WKB. ``malformed`` are the numbers of the rows met since the previous batch that could
    not be cut into columns.
    """

    table: pa.Table
    rows: NDArray[np.int64]
    geometry: pa.Array | None = None
    malformed: NDArray[np.int64] = field(default_factory=no_rows)


@dataclass(slots=True)
class OpenDelivery:
    """A file that is being read.

    ``columns`` are known before the first batch, the geometry's not among them. ``decimal`` is the mark that numbers
    written as text use. ``batches`` is gone through once; there may be none.
    """

    columns: tuple[str, ...]
    batches: Iterator[Batch]
    crs: str | None = None
    has_geometry: bool = False
    decimal: Literal[".", ","] = "."


@dataclass(frozen=True, slots=True)
class Delivery:
    """A file, read whole: the fields of :class:`Batch` and :class:`OpenDelivery`."""

    table: pa.Table
    rows: NDArray[np.int64]
    geometry: pa.Array | None = None
    crs: str | None = None
    malformed: NDArray[np.int64] = field(default_factory=no_rows)
    decimal: Literal[".", ","] = "."


class Reader(ABC):
    """Reads the files of one format.

    A new format is one subclass that names itself: it is then known to ``read.format`` of the city file and
    recognised by its suffixes.
    """

    formats: ClassVar[tuple[str, ...]]
    suffixes: ClassVar[tuple[str, ...]]
    registry: ClassVar[dict[str, type[Reader]]] = {}

    def __init_subclass__(cls) -> None:
        """Make the format known."""
        for name in getattr(cls, "formats", ()):
            Reader.registry[name] = cls

    @abstractmethod
    def open(self, path: Path, options: ReadOptions) -> AbstractContextManager[OpenDelivery]:
        """Open a file; its batches can be had while the context lasts.

        Raises
        ------
        DeliveryError
            If the file as a whole is not of this format; also while its batches are gone through.
        """


def reader_for(path: Path, options: ReadOptions) -> Reader:
    """Choose the reader: the declared format, else the one that knows the file's suffix.

    Raises
    ------
    DeliveryError
        If no reader knows the suffix.
    """
    if options.format is not None:
        return Reader.registry[options.format]()
    name = path.name.lower()
    for reader in Reader.registry.values():
        if name.endswith(reader.suffixes):
            return reader()
    known = sorted({s for r in Reader.registry.values() for s in r.suffixes})
    suffix = path.suffix.lower()
    raise DeliveryError(f"{path.name}: no format is known by the suffix {suffix!r} (known: {', '.join(known)})")


@contextmanager
def open_delivery(path: Path, options: ReadOptions) -> Iterator[OpenDelivery]:
    """Open a file with the reader of its format.

    Raises
    ------
    DeliveryError
        If it cannot be read, or two of its columns have one name; also while its batches are gone through.
    """
    with ExitStack() as stack:
        with _refusals_of(path.name):
            opened = stack.enter_context(reader_for(path, options).open(path, options))
        _check_names(opened.columns, path.name)
        opened.batches = _guarded(opened.batches, path.name)
        yield opened


def read_delivery(path: Path, options: ReadOptions) -> Delivery:
    """Read a file whole, for files that fit in memory (boundaries, land).

    Raises
    ------
    DeliveryError
        If it cannot be read, or two of its columns have one name.
    """
    with open_delivery(path, options) as opened:
        batches = list(opened.batches)
        with _refusals_of(path.name):
            return _joined(opened, batches)


def _joined(opened: OpenDelivery, batches: list[Batch]) -> Delivery:
    tables = [batch.table for batch in batches] or [
        pa.table({name: pa.array([], pa.string()) for name in opened.columns})
    ]
    geometry = None
    if opened.has_geometry:
        parts = [batch.geometry for batch in batches if batch.geometry is not None]
        geometry = pa.concat_arrays(parts) if parts else pa.array([], pa.binary())
    return Delivery(
        # Promoted: a batch without any value may have no type.
        pa.concat_tables(tables, promote_options="permissive"),
        np.concatenate([no_rows(), *(batch.rows for batch in batches)]),
        geometry,
        opened.crs,
        np.concatenate([no_rows(), *(batch.malformed for batch in batches)]),
        opened.decimal,
    )


def _check_names(columns: tuple[str, ...], name: str) -> None:
    if len(columns) > _MAX_COLUMNS:
        raise DeliveryError(f"{name}: has {len(columns)} columns, more than {_MAX_COLUMNS}: is its delimiter another?")
    repeated = sorted(column for column, times in Counter(columns).items() if times > 1)
    if repeated:
        raise DeliveryError(f"{name}: several columns are called {', '.join(map(repr, repeated))}")


def check_text(table: pa.Table, name: str, first_row: int) -> None:
    """Refuse text that is not UTF-8, which GDAL and Parquet pass on.

    Parameters
    ----------
    table
        Some rows of a file.
    name
        Name of the file.
    first_row
        Number of the first of them.

    Raises
    ------
    DeliveryError
        Names the row and the column.
    """
    for column in table.column_names:
        start = first_row
        for chunk in table.column(column).chunks:
            try:
                chunk.validate(full=True)
            except pa.ArrowInvalid as error:
                row = start + _first_not_utf8(chunk)
                raise DeliveryError(f"{name}: row {row}, column {column!r}: is not UTF-8 text") from error
            start += len(chunk)


def _first_not_utf8(chunk: pa.Array) -> int:
    """Position of the value at which validation stops."""
    low, high = 0, len(chunk)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            chunk.slice(low, middle - low).validate(full=True)
        except pa.ArrowInvalid:
            high = middle
        else:
            low = middle
    return low


def _guarded(batches: Iterator[Batch], name: str) -> Iterator[Batch]:
    """Pass batches on; what goes wrong inside the reader, and only there, becomes a refusal."""
    last_row = 0
    while True:
        with _refusals_of(name, last_row):
            batch = next(batches, None)
        if batch is None:
            return
        last_row = max([last_row, *batch.rows[-1:].tolist(), *batch.malformed[-1:].tolist()])
        yield batch


@contextmanager
def _refusals_of(name: str, last_row: int = 0) -> Iterator[None]:
    try:
        yield
    except _UNREADABLE as error:
        where = f" after row {last_row}" if last_row else ""
        # The first line: some libraries add the place in their own source.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DeliveryError(f"{name}: cannot be read{where}: {reason}") from error
