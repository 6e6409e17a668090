"""Vector formats, through GDAL as pyogrio carries it."""

from __future__ import annotations

import json
import re
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyogrio
from pyogrio.raw import open_arrow

from layers.declared_sources import ReadOptions
from layers.errors import DeliveryError
from layers.readers.base import BATCH_ROWS, Batch, OpenDelivery, Reader, check_text
from layers.readers.geojson_text import check_geojson
from layers.readers.shapefiles import check_shapefile
from layers.readers.unread import Shapes, check_types, connect, shapes_of_geojson, shapes_of_geopackage

_FAULTS = (
    pyogrio.errors.DataSourceError,
    pyogrio.errors.DataLayerError,
    pyogrio.errors.FieldError,
    pyogrio.errors.FeatureError,
    pyogrio.errors.GeometryError,
    pyogrio.errors.CRSError,
    RuntimeError,
    IndexError,
    ValueError,
)
_NO_GEOMETRY = "None"
_QUOTED = re.compile(r"(Unrecognized number|Unexpected character).*", re.DOTALL)
"""What GDAL's messages quote of the file."""
_IN_PART = re.compile(r"of field (\S+) (?:parsed incompletely|has been (?:truncated|clamped))")


class _VectorReader(Reader):
    """Shared by the formats that GDAL reads as one layer with a geometry."""

    open_options: ClassVar[dict[str, str]] = {}
    times_as_text: ClassVar[bool] = False
    """Whether the format keeps times as text, which GDAL would carry over (31 February into March)."""
    magic: ClassVar[tuple[bytes, ...]] = ()
    """How files begin. GDAL would open what is not of the format too: also files that name other files, or addresses
    on the network."""

    @contextmanager
    def open(self, path: Path, options: ReadOptions) -> Iterator[OpenDelivery]:
        """Open the layer that the options name, or the only one that has a geometry."""
        target, least_rows = self._check(path, options.layer)
        with ExitStack() as stack:
            with _refusals(path.name):
                layer = self._layer(target, options.layer, path.name)
                meta, reader = stack.enter_context(
                    open_arrow(
                        target,
                        layer=layer,
                        use_pyarrow=True,
                        batch_size=BATCH_ROWS,
                        datetime_as_string=self.times_as_text,
                        **self._open_options(options),
                    )
                )
                names = reader.schema.names
                geometry = meta["geometry_name"] or "wkb_geometry"
                has_geometry = meta["geometry_type"] is not None and geometry in names
                shapes = self._shapes(path, layer, geometry) if has_geometry else None
            yield OpenDelivery(
                tuple(name for name in names if not has_geometry or name != geometry),
                _batches(reader, geometry if has_geometry else None, path.name, least_rows, shapes),
                meta["crs"] if has_geometry else None,
                has_geometry=has_geometry,
            )

    def _check(self, path: Path, _wanted: str | None) -> tuple[str | Path, int]:
        """Refuse what is not of the format; say where GDAL finds it, and how many rows it must give."""
        with path.open("rb") as file:
            begins = file.read(16)
        if not begins.startswith(self.magic):
            raise DeliveryError(f"{path.name}: is no {self.formats[0]} file: it does not begin as one")
        return path, 0

    def _open_options(self, _options: ReadOptions) -> dict[str, str]:
        return self.open_options

    def _shapes(self, _path: Path, _layer: str | int, _geometry: str) -> Shapes | None:
        """Tell which rows may come without a place, where GDAL says nothing of geometries that it cannot read."""
        return None

    def _layer(self, target: str | Path, wanted: str | None, name: str) -> str | int:
        """Layer to read. By position: listing those of a GeoJSON file would read it twice."""
        if wanted is None:
            return 0
        layers = _layers(target)
        if wanted not in layers:
            raise DeliveryError(f"{name}: has no layer {wanted!r}; it has {', '.join(layers)}")
        return wanted


def _layers(target: str | Path) -> dict[str, str]:
    """Layers and the kind of their geometry."""
    return {str(layer): str(kind) for layer, kind in pyogrio.list_layers(target)}


@contextmanager
def _refusals(name: str, last_row: int = 0) -> Iterator[None]:
    """Turn GDAL's errors into refusals, and its warnings that a value was read in part; others it has dealt with."""
    where = f" after row {last_row}" if last_row else ""
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            yield
    except _FAULTS as error:
        if isinstance(error, DeliveryError):
            raise
        raise DeliveryError(f"{name}: GDAL cannot read it{where}: {_QUOTED.sub(r'\1', str(error))}") from None
    for warning in told:
        # The message holds the value, which may be a person's.
        if found := _IN_PART.search(str(warning.message)):
            raise DeliveryError(f"{name}: column {found[1]!r}{where}: GDAL reads a value only in part")


def _batches(
    reader: pa.RecordBatchReader, geometry: str | None, name: str, least_rows: int, known: Shapes | None
) -> Iterator[Batch]:
    last = 0
    while True:
        with _refusals(name, last):
            part = next(reader, None)
        if part is None:
            break
        table = _unwrapped(pa.Table.from_batches([part]).replace_schema_metadata(None))
        check_text(table, name, last + 1)
        shapes = None
        if geometry is not None:
            shapes = table.column(geometry).combine_chunks().cast(pa.binary())
            table = table.drop_columns([geometry])
            if known is not None:
                known.check(shapes, last + 1, name)
        yield Batch(table, np.arange(last + 1, last + part.num_rows + 1, dtype=np.int64), shapes)
        last += part.num_rows
    if last < least_rows:
        raise DeliveryError(f"{name}: has {least_rows} rows, of which {last} can be read: is it damaged, or cut short?")


def _unwrapped(table: pa.Table) -> pa.Table:
    """Text of columns that GDAL calls JSON for they hold numbers and words: words lose their quotation marks."""
    for position, field in enumerate(table.schema):
        if not isinstance(field.type, pa.JsonType):
            continue
        text = table.column(position).combine_chunks().storage.cast(pa.string())
        different = pc.unique(text)
        words = [
            json.loads(value) if value is not None and value[:1] == '"' else value for value in different.to_pylist()
        ]
        column = pa.array(words, pa.string()).take(pc.index_in(text, different))
        table = table.set_column(position, field.name, column)
    return table


class GeoJsonReader(_VectorReader):
    """GeoJSON. Dates stay text: GDAL would carry 31 February over into March."""

    formats: ClassVar[tuple[str, ...]] = ("geojson",)
    suffixes: ClassVar[tuple[str, ...]] = (".geojson", ".json")
    open_options: ClassVar[dict[str, str]] = {"DATE_AS_STRING": "YES"}

    def _check(self, path: Path, _wanted: str | None) -> tuple[str | Path, int]:
        self._seen = check_geojson(path)
        return path, self._seen.rows

    def _shapes(self, path: Path, _layer: str | int, _geometry: str) -> Shapes | None:
        return shapes_of_geojson(path, self._seen.nowhere)


class GeoPackageReader(_VectorReader):
    """GeoPackage."""

    formats: ClassVar[tuple[str, ...]] = ("gpkg",)
    suffixes: ClassVar[tuple[str, ...]] = (".gpkg",)
    magic: ClassVar[tuple[bytes, ...]] = (b"SQLite format 3\0",)

    def _check(self, path: Path, _wanted: str | None) -> tuple[str | Path, int]:
        """Also that the database is whole: a torn page would hide its rows."""
        super()._check(path, _wanted)
        try:
            with connect(path) as database:
                (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.Error as error:
            raise DeliveryError(f"{path.name}: cannot be read: {error}") from error
        if found != b"ok":
            raise DeliveryError(f"{path.name}: is damaged: SQLite finds torn pages")
        return path, 0

    def _layer(self, target: str | Path, wanted: str | None, name: str) -> str | int:
        if wanted is not None:
            return super()._layer(target, wanted, name)
        layers = _layers(target)
        # Programs keep their styles as tables beside the layers.
        choice = [layer for layer, kind in layers.items() if kind != _NO_GEOMETRY] or list(layers)
        if len(choice) != 1:
            found = f"has the layers {', '.join(choice)}: name one under read.layer" if choice else "has no layer"
            raise DeliveryError(f"{name}: {found}")
        return choice[0]

    def _shapes(self, path: Path, layer: str | int, geometry: str) -> Shapes | None:
        check_types(path, str(layer))
        return shapes_of_geopackage(path, str(layer), geometry)


class FlatGeobufReader(_VectorReader):
    """FlatGeobuf."""

    formats: ClassVar[tuple[str, ...]] = ("flatgeobuf",)
    suffixes: ClassVar[tuple[str, ...]] = (".fgb",)
    times_as_text: ClassVar[bool] = True
    magic: ClassVar[tuple[bytes, ...]] = (b"fgb\x03fgb",)

    def _check(self, path: Path, _wanted: str | None) -> tuple[str | Path, int]:
        super()._check(path, _wanted)
        with _refusals(path.name):
            # GDAL stops without a word where the file does; 0 or -1 where the writer did not know.
            return path, max(0, int(pyogrio.read_info(path)["features"]))


class ShapefileReader(_VectorReader):
    """A shapefile, zipped with its companions: several files cannot be kept and digested as one delivery."""

    formats: ClassVar[tuple[str, ...]] = ("shapefile",)
    suffixes: ClassVar[tuple[str, ...]] = (".zip", ".shp")  # .shp to be refused with its reason

    def _check(self, path: Path, _wanted: str | None) -> tuple[str | Path, int]:
        if path.suffix.lower() != ".zip":
            raise DeliveryError(f"{path.name}: a shapefile is several files: zip it with its companions")
        # Records that are marked as deleted are no rows: how many it must give is not known.
        return f"/vsizip/{path}/{check_shapefile(path, _wanted)}", 0

    def _open_options(self, options: ReadOptions) -> dict[str, str]:
        return {"ENCODING": options.encoding} if options.encoding else {}
