"""Vector formats, through GDAL as pyogrio carries it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyogrio
from pyogrio.raw import read_arrow

from layers.declared_sources import ReadOptions
from layers.errors import DeliveryError
from layers.readers.base import Delivery, Reader


def read_layer(
    path: str | Path, layer: str | None, **open_options: str
) -> tuple[pa.Table, pa.Array | None, str | None]:
    """Read one layer (without a name: the first): attributes, WKB geometry and CRS.

    Raises
    ------
    DeliveryError
        If GDAL cannot open the file, or it has no such layer.
    """
    shown = Path(path).name
    try:
        if layer is not None:
            layers = [str(name) for name, _ in pyogrio.list_layers(path)]
            if layer not in layers:
                raise DeliveryError(f"{shown}: has no layer {layer!r}; it has {', '.join(layers)}")
        # By position: listing the layers of a GeoJSON file would read it twice.
        meta, table = read_arrow(path, layer=0 if layer is None else layer, **open_options)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pyogrio.errors.FieldError) as error:
        raise DeliveryError(f"{shown}: GDAL cannot read it: {error}") from error
    name = meta["geometry_name"] or "wkb_geometry"
    if meta["geometry_type"] is None or name not in table.column_names:
        return table, None, None
    geometry = pa.concat_arrays(table.column(name).chunks) if table.num_rows else pa.array([], pa.binary())
    return table.drop_columns([name]), geometry.cast(pa.binary()), meta["crs"]


class _VectorReader(Reader):
    """Shared by the formats that GDAL reads as one layer with a geometry."""

    open_options: ClassVar[dict[str, str]] = {}

    def read(self, path: Path, options: ReadOptions) -> Delivery:
        """Read the layer that the options name, or the first one."""
        table, geometry, crs = read_layer(path, options.layer, **self.open_options)
        return Delivery.of(table, geometry=geometry, crs=crs)


class GeoJsonReader(_VectorReader):
    """GeoJSON. Dates stay text: GDAL would carry 31 February over into March."""

    formats: ClassVar[tuple[str, ...]] = ("geojson",)
    suffixes: ClassVar[tuple[str, ...]] = (".geojson", ".json")
    open_options: ClassVar[dict[str, str]] = {"DATE_AS_STRING": "YES"}


class GeoPackageReader(_VectorReader):
    """GeoPackage."""

    formats: ClassVar[tuple[str, ...]] = ("gpkg",)
    suffixes: ClassVar[tuple[str, ...]] = (".gpkg",)


class FlatGeobufReader(_VectorReader):
    """FlatGeobuf."""

    formats: ClassVar[tuple[str, ...]] = ("flatgeobuf",)
    suffixes: ClassVar[tuple[str, ...]] = (".fgb",)


class ShapefileReader(_VectorReader):
    """A shapefile, zipped with its companions: several files cannot be kept and digested as one delivery."""

    formats: ClassVar[tuple[str, ...]] = ("shapefile",)
    suffixes: ClassVar[tuple[str, ...]] = (".zip", ".shp")  # .shp to be refused with its reason

    def read(self, path: Path, options: ReadOptions) -> Delivery:
        """Read the layer that the options name, or the first one."""
        if path.suffix.lower() != ".zip":
            raise DeliveryError(f"{path.name}: a shapefile is several files: zip it with its companions")
        table, geometry, crs = read_layer(f"/vsizip/{path}", options.layer)
        return Delivery.of(table, geometry=geometry, crs=crs)
