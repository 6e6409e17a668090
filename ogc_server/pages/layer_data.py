"""What a layer of the map is made of: features and their classes, read from the files of a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyproj
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.io import MemoryFile

from layers.products import Grain
from ogc_server.pages.choice import Choice
from ogc_server.pages.context import MapContext
from ogc_server.pages.figure import Geometries, Image
from styles.files import read_style
from styles.model import Style, StyleClass, StyleLayer

MAX_CELLS = 3000
MAX_RECORDS = 5000
"""Records drawn without JavaScript: the latest ones; the page says so."""
MAX_PIXELS_WIDE = 900


@dataclass(frozen=True, slots=True, eq=False)
class DrawnLayer:
    """A layer as the SVG map draws it.

    Parameters
    ----------
    style, layer
        The style, and its part for the collection that is drawn.
    classes
        Each class with its features in the metric CRS, those drawn on top last; empty for a raster.
    image
        The raster, coloured.
    left_out
        Located records that are not drawn, because there are too many.
    """

    style: Style
    layer: StyleLayer
    classes: tuple[tuple[StyleClass, Geometries], ...] = ()
    image: Image | None = None
    left_out: int = 0


def style_of(context: MapContext, choice: Choice) -> Style:
    """Style of a choice, read from the run."""
    return read_style(context.style_text(choice.entry.model))


def read_columns(context: MapContext, collection: str, columns: list[str]) -> pa.Table:
    """Columns of a collection that exist in this form."""
    path = context.file(collection)
    known = set(pq.read_schema(path).names)
    return pq.read_table(path, columns=[c for c in dict.fromkeys(columns) if c in known])


def metric_geometries(context: MapContext, wkb: pa.ChunkedArray) -> Geometries:
    """Geometries in the metric CRS; ``None`` where a record has none."""
    geometries = shapely.from_wkb(wkb.to_numpy(zero_copy_only=False))
    transformer = pyproj.Transformer.from_crs("OGC:CRS84", context.metric_crs, always_xy=True)

    def moved(lon_lat: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(transformer.transform(lon_lat[:, 0], lon_lat[:, 1]))

    return np.asarray(shapely.transform(geometries, moved), dtype=object)


def drawn_layer(context: MapContext, choice: Choice) -> DrawnLayer:
    """Read and classify what the SVG map shows of a choice."""
    style = style_of(context, choice)
    match choice.subject.grain:
        case Grain.RASTER:
            layer = style.layers[0]
            return DrawnLayer(style, layer, image=density_image(context, style, layer))
        case Grain.CELL:
            return _cells(context, style)
        case _:
            return _records(context, style, style.layers[0])


def masks(layer: StyleLayer, values: pa.ChunkedArray) -> list[tuple[StyleClass, NDArray[np.bool_]]]:
    """Rows of each class of a layer, ``no_data`` included."""
    rest = np.ones(len(values), dtype=bool)
    found = []
    for wanted in layer.classes:
        if wanted.values:
            mask = pc.is_in(values, value_set=pa.array(wanted.values, pa.string()))
        elif wanted.is_numeric:
            low = pc.greater_equal(values, -np.inf if wanted.low is None else wanted.low)
            mask = pc.and_(low, pc.less(values, np.inf if wanted.high is None else wanted.high))
        else:
            continue
        rows = pc.fill_null(mask, fill_value=False).to_numpy(zero_copy_only=False).astype(bool)
        rest &= ~rows
        found.append((wanted, rows))
    if layer.no_data is not None:
        null = pc.is_null(values).to_numpy(zero_copy_only=False).astype(bool)
        found.insert(0, (layer.no_data, null))
        rest &= ~null
    return [*found, *((c, rest) for c in layer.classes if c.rest or not (c.values or c.is_numeric))]


def _cells(context: MapContext, style: Style) -> DrawnLayer:
    sizes = sorted(style.layers, key=lambda x: context.rows(x.collection))
    layer = next((x for x in reversed(sizes) if context.rows(x.collection) <= MAX_CELLS), sizes[0])
    attribute = style.attribute or ""
    table = read_columns(context, layer.collection, [attribute, "geometry"])
    geometries = metric_geometries(context, table.column("geometry"))
    parts = [(wanted, geometries[rows]) for wanted, rows in masks(layer, table.column(attribute))]
    # quiet classes below, so that their outlines do not cut into the others
    parts.sort(key=lambda part: part[0].id not in {"no_data", "none", "ns"})
    return DrawnLayer(style, layer, tuple(parts))


def _records(context: MapContext, style: Style, layer: StyleLayer) -> DrawnLayer:
    times = [style.time_columns[0]] if style.time_columns else []
    attribute = [style.attribute] if style.attribute else []
    table = read_columns(context, layer.collection, [*attribute, *times, "geometry"])
    table = table.filter(pc.is_valid(table.column("geometry")))
    located = table.num_rows
    if table.num_rows > MAX_RECORDS:
        if times:
            table = table.sort_by([(times[0], "descending")])
        table = table.slice(0, MAX_RECORDS)
    geometries = metric_geometries(context, table.column("geometry"))
    if attribute:
        parts = [(wanted, geometries[rows]) for wanted, rows in masks(layer, table.column(attribute[0]))]
    else:
        parts = [(layer.classes[0], geometries)]
    return DrawnLayer(style, layer, tuple(parts), left_out=located - table.num_rows)


def read_band(context: MapContext, style: Style, *, max_wide: int) -> tuple[NDArray[np.float32], rasterio.Affine]:
    """Band of a raster, thinned to at most ``max_wide`` columns; NaN where there is no data."""
    with rasterio.open(context.file(style.layers[0].collection)) as source:
        factor = max(1.0, source.width / max_wide)
        shape = (max(1, round(source.height / factor)), max(1, round(source.width / factor)))
        values = source.read(style.band, out_shape=shape, masked=True).astype(np.float32).filled(np.nan)
        scale = source.transform.scale(source.width / shape[1], source.height / shape[0])
        return values, source.transform @ scale


def density_image(context: MapContext, style: Style, layer: StyleLayer) -> Image:
    """Colour a raster by the classes of its style, as PNG."""
    values, transform = read_band(context, style, max_wide=MAX_PIXELS_WIDE)
    pixels = np.zeros((4, *values.shape), dtype=np.uint8)
    for wanted in layer.classes:
        low = -np.inf if wanted.low is None else wanted.low
        high = np.inf if wanted.high is None else wanted.high
        rows = (values >= low) & (values < high)
        for channel, part in enumerate(wanted.rgba):
            pixels[channel][rows] = part
    height, width = values.shape
    with MemoryFile() as memory:
        profile = {"driver": "PNG", "width": width, "height": height, "count": 4, "dtype": "uint8"}
        with memory.open(**profile, transform=transform) as target:
            target.write(pixels)
        png = bytes(memory.read())
    right, bottom = transform @ (width, height)
    return Image(png, (transform.c, bottom, right, transform.f))
