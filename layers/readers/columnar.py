"""Parquet, with or without GeoParquet's metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
import pyproj

from layers.declared_sources import ReadOptions
from layers.errors import DeliveryError
from layers.readers.base import Delivery, Reader


class ParquetReader(Reader):
    """Parquet and GeoParquet 1.x (WKB)."""

    formats: ClassVar[tuple[str, ...]] = ("parquet", "geoparquet")
    suffixes: ClassVar[tuple[str, ...]] = (".parquet", ".geoparquet")

    def read(self, path: Path, options: ReadOptions) -> Delivery:
        """Read the file; the primary geometry column becomes the delivery's geometry."""
        if options.layer or options.sheet:
            raise DeliveryError(f"{path.name}: a Parquet file has no layers or sheets")
        table = pq.ParquetFile(path).read()
        geo = (table.schema.metadata or {}).get(b"geo")
        if geo is None:
            return Delivery.of(table.replace_schema_metadata(None))
        try:
            document: dict[str, Any] = json.loads(geo)
            name = document["primary_column"]
            described = document["columns"][name]
        except (ValueError, KeyError, TypeError) as error:
            raise DeliveryError(f"{path.name}: its GeoParquet metadata cannot be read: {error}") from error
        if described.get("encoding") != "WKB":
            raise DeliveryError(f"{path.name}: geometry is encoded as {described.get('encoding')!r}; WKB is read")
        geometry = _one_array(table.column(name)).cast(pa.binary())
        rest = table.drop_columns([name]).replace_schema_metadata(None)
        return Delivery.of(rest, geometry=geometry, crs=_crs(described))


def _crs(described: dict[str, Any]) -> str | None:
    """CRS of a geometry column: absent means CRS84 by the specification, null means unknown."""
    if "crs" not in described:
        return "OGC:CRS84"
    return pyproj.CRS.from_user_input(described["crs"]).to_wkt() if described["crs"] is not None else None


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
