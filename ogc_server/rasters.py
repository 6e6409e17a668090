"""Reading the run's rasters: windows for coverages, tiles for maps.

The file is a Cloud-Optimised GeoTIFF in the city's metric CRS, one float band per column of the product, null (nodata)
off the land. It is opened for each request: a few milliseconds, and no handle is shared between threads.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.io import MemoryFile
from rasterio.warp import transform_bounds
from rasterio.windows import Window
from rio_tiler.errors import TileOutsideBounds
from rio_tiler.io import Reader
from rio_tiler.utils import render

from layers.errors import RunError
from ogc_server.archives import TileRange, tile_range
from ogc_server.systems import Bounds, Box
from styles.maplibre import MAX_TILE_ZOOM

CRS84 = "OGC:CRS84"
TILE_PIXELS = 256
_DENSIFY = 21
"""Points per edge when a rectangle changes system: its image is bounded, not its corners moved."""


@dataclass(frozen=True, slots=True)
class Grid:
    """What a raster is, without its values."""

    bands: tuple[str, ...]
    width: int
    height: int
    pixel_m: float
    crs: str
    bounds: Bounds
    """In the raster's CRS, metres."""
    bounds_lonlat: Bounds

    @property
    def ranges(self) -> list[TileRange]:
        """Map tiles on offer, by zoom."""
        return [tile_range(self.bounds_lonlat, zoom) for zoom in range(MAX_TILE_ZOOM + 1)]


@lru_cache(maxsize=64)
def grid_of(path: Path, columns: tuple[str, ...]) -> Grid:
    """Describe a raster whose bands are the product's columns, in that order.

    Raises
    ------
    RunError
        If the number of bands differs from that of the columns.
    """
    with rasterio.open(path) as source:
        if source.count > len(columns):
            raise RunError(f"{path} has {source.count} bands, the product {len(columns)} columns")
        described = tuple(d for d in source.descriptions if d)
        bands = (
            described if len(described) == source.count and set(described) <= set(columns) else columns[: source.count]
        )
        bounds = tuple(source.bounds)
        return Grid(
            bands=bands,
            width=source.width,
            height=source.height,
            pixel_m=float(source.res[0]),
            crs=source.crs.to_string(),
            bounds=bounds,
            bounds_lonlat=transform_bounds(source.crs, CRS84, *bounds, densify_pts=_DENSIFY),
        )


def window_of(grid: Grid, box: Box | None) -> Window | None:
    """Return the pixels that a rectangle touches; None where it touches none."""
    if box is None:
        return Window(0, 0, grid.width, grid.height)
    xmin, ymin, xmax, ymax = box.bounds
    if not box.metric:
        west, south, east, north = grid.bounds_lonlat
        # cut to the raster first: far from the city a projection is undefined
        xmin, ymin, xmax, ymax = max(xmin, west), max(ymin, south), min(xmax, east), min(ymax, north)
        if xmin > xmax or ymin > ymax:
            return None
        xmin, ymin, xmax, ymax = transform_bounds(CRS84, grid.crs, xmin, ymin, xmax, ymax, densify_pts=_DENSIFY)
    left, bottom, right, top = grid.bounds
    if xmin > right or xmax < left or ymin > top or ymax < bottom:
        return None
    first_col = max(0, math.floor((max(xmin, left) - left) / grid.pixel_m))
    first_row = max(0, math.floor((top - min(ymax, top)) / grid.pixel_m))
    last_col = min(grid.width, max(first_col + 1, math.ceil((min(xmax, right) - left) / grid.pixel_m)))
    last_row = min(grid.height, max(first_row + 1, math.ceil((top - max(ymin, bottom)) / grid.pixel_m)))
    if last_col <= first_col or last_row <= first_row:
        return None
    return Window(first_col, first_row, last_col - first_col, last_row - first_row)


def read_geotiff(path: Path, window: Window, indexes: Sequence[int], names: Sequence[str]) -> bytes:
    """Return a window as a GeoTIFF file in the raster's own grid."""
    with rasterio.open(path) as source:
        values = source.read(list(indexes), window=window)
        profile = {
            "driver": "GTiff",
            "width": int(window.width),
            "height": int(window.height),
            "count": len(indexes),
            "dtype": source.dtypes[0],
            "crs": source.crs,
            "transform": source.window_transform(window),
            "nodata": source.nodata,
            "compress": "deflate",
            "tiled": True,
        }
    with MemoryFile() as memory:
        with memory.open(**profile) as target:
            target.write(values)
            target.descriptions = tuple(names)
        return bytes(memory.read())


def read_values(path: Path, window: Window, index: int) -> list[float | None]:
    """Return the values of one band in a window, row by row from the north; None off the land."""
    with rasterio.open(path) as source:
        values = source.read(index, window=window, masked=True)
    known = np.ma.getmaskarray(values) | ~np.isfinite(values.filled(np.nan))
    flat, hidden = np.asarray(values.data, dtype=float).ravel(), known.ravel()
    return [None if h else round(float(v), 6) for v, h in zip(flat, hidden, strict=True)]


@lru_cache(maxsize=256)
def colour_classes(path: Path) -> tuple[tuple[float, float, tuple[int, int, int, int]], ...]:
    """Read a colour table of :mod:`styles.raster`: (from, up to and without, red green blue alpha)."""
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    classes = []
    for entry in document["classes"]:
        low = -math.inf if entry["min"] is None else float(entry["min"])
        high = math.inf if entry["max"] is None else float(entry["max"])
        red, green, blue, alpha = (int(v) for v in entry["rgba"])
        classes.append((low, high, (red, green, blue, alpha)))
    return tuple(classes)


def map_tile(path: Path, index: int, colours: Path, *, zoom: int, row: int, col: int) -> bytes | None:
    """Draw one band in one WebMercatorQuad tile of 256 pixels.

    Parameters
    ----------
    colours
        Colour table of the band's style.

    Returns
    -------
    bytes or None
        PNG with transparency; None where nothing is drawn.
    """
    try:
        with Reader(str(path)) as reader:
            image = reader.tile(col, row, zoom, tilesize=TILE_PIXELS, indexes=(index,))
    except TileOutsideBounds:
        return None
    values = image.array[0]
    shown = ~np.ma.getmaskarray(values) & np.isfinite(values.filled(np.nan))
    data = np.zeros((4, TILE_PIXELS, TILE_PIXELS), dtype=np.uint8)
    for low, high, rgba in colour_classes(colours):
        inside = shown & (values.data >= low) & (values.data < high)
        data[:, inside] = np.array(rgba, dtype=np.uint8)[:, None]
    if not data[3].any():
        return None
    return bytes(render(data, img_format="PNG"))
