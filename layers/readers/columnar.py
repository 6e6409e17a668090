"""Parquet, with or without GeoParquet's metadata."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj

from layers.declared_sources import ReadOptions
from layers.errors import DeliveryError
from layers.readers.base import BATCH_ROWS, Batch, OpenDelivery, Reader, check_text

_READ_AHEAD_BYTES = 2**20


class ParquetReader(Reader):
    """Parquet and GeoParquet 1.x (WKB)."""

    formats: ClassVar[tuple[str, ...]] = ("parquet", "geoparquet")
    suffixes: ClassVar[tuple[str, ...]] = (".parquet", ".geoparquet")

    @contextmanager
    def open(self, path: Path, options: ReadOptions) -> Iterator[OpenDelivery]:
        """Open a file; the primary geometry column becomes the delivery's geometry."""
        if options.layer or options.sheet:
            raise DeliveryError(f"{path.name}: a Parquet file has no layers or sheets")
        # Buffered: a whole column of a row group would be held otherwise.
        with pq.ParquetFile(path, buffer_size=_READ_AHEAD_BYTES, pre_buffer=False) as file:
            names = file.schema_arrow.names
            geometry, crs = _geometry(file.schema_arrow, path.name)
            columns = tuple(name for name in names if name != geometry)
            yield OpenDelivery(columns, _batches(file, geometry, path.name), crs, has_geometry=geometry is not None)


def _geometry(schema: pa.Schema, name: str) -> tuple[str | None, str | None]:
    """Name of the primary geometry column, and its reference system."""
    geo = (schema.metadata or {}).get(b"geo")
    if geo is None:
        return None, None
    try:
        document: dict[str, Any] = json.loads(geo)
        column: str = document["primary_column"]
        described: dict[str, Any] = document["columns"][column]
        encoding, crs = described.get("encoding"), _crs(described)
    except (ValueError, KeyError, TypeError, AttributeError, pyproj.exceptions.CRSError) as error:
        raise DeliveryError(f"{name}: its GeoParquet metadata cannot be read: {error}") from error
    if encoding != "WKB":
        raise DeliveryError(f"{name}: geometry is encoded as {encoding!r}; WKB is read")
    if schema.names.count(column) != 1 or not _is_binary(schema.field(column).type):
        raise DeliveryError(f"{name}: its metadata name {column!r} as the geometry, which is no column of WKB")
    return column, crs


def _is_binary(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.BaseExtensionType):  # Parquet's own geometry type
        kind = kind.storage_type
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


def _crs(described: dict[str, Any]) -> str | None:
    """CRS of a geometry column: absent means CRS84 by the specification, null means unknown."""
    if "crs" not in described:
        return "OGC:CRS84"
    return pyproj.CRS.from_user_input(described["crs"]).to_wkt() if described["crs"] is not None else None


def _batches(file: pq.ParquetFile, geometry: str | None, name: str) -> Iterator[Batch]:
    first = 1
    for part in file.iter_batches(batch_size=BATCH_ROWS):
        table = pa.Table.from_batches([part]).replace_schema_metadata(None)
        check_text(table, name, first)
        shapes = None
        if geometry is not None:
            column = table.column(geometry).combine_chunks()
            shapes = (column.storage if isinstance(column, pa.ExtensionArray) else column).cast(pa.binary())
            table = table.drop_columns([geometry])
        yield Batch(table, np.arange(first, first + part.num_rows, dtype=np.int64), shapes)
        first += part.num_rows
