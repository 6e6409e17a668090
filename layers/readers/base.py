"""What every reader gives: a delivery as columns of plain values, and the number of each row."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from layers.declared_sources import ReadOptions
from layers.errors import DeliveryError


@dataclass(frozen=True, slots=True)
class Delivery:
    """A file, read.

    ``table`` has one row per record that could be told apart, ``rows`` its number in the file (1-based, header not
    counted). ``geometry`` is WKB in ``crs``, for formats that carry one. ``malformed`` are the numbers of rows that
    could not be cut into columns.
    """

    table: pa.Table
    rows: NDArray[np.int64]
    geometry: pa.Array | None = None
    crs: str | None = None
    malformed: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    @classmethod
    def of(cls, table: pa.Table, *, geometry: pa.Array | None = None, crs: str | None = None) -> Delivery:
        """Delivery whose rows are all whole."""
        return cls(table, np.arange(1, table.num_rows + 1, dtype=np.int64), geometry, crs)

    def without(self, columns: set[str]) -> Delivery:
        """Leave columns out."""
        kept = [name for name in self.table.column_names if name not in columns]
        return Delivery(self.table.select(kept), self.rows, self.geometry, self.crs, self.malformed)


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
    def read(self, path: Path, options: ReadOptions) -> Delivery:
        """Read a file.

        Raises
        ------
        DeliveryError
            If the file as a whole is not of this format.
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
    suffix = path.suffix.lower()
    for reader in Reader.registry.values():
        if suffix in reader.suffixes:
            return reader()
    known = sorted({s for r in Reader.registry.values() for s in r.suffixes})
    raise DeliveryError(f"{path.name}: no format is known by the suffix {suffix!r} (known: {', '.join(known)})")


def read_delivery(path: Path, options: ReadOptions) -> Delivery:
    """Read a file with the reader of its format.

    Raises
    ------
    DeliveryError
        If it cannot be read, or two of its columns have one name.
    """
    try:
        delivery = reader_for(path, options).read(path, options)
    except (OSError, pa.ArrowException, UnicodeError) as error:
        raise DeliveryError(f"{path.name}: cannot be read: {error}") from error
    names = delivery.table.column_names
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DeliveryError(f"{path.name}: several columns are called {', '.join(map(repr, repeated))}")
    return delivery
