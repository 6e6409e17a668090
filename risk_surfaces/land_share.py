"""How much of each pixel is land: exactly, so that a density integrates to its events along the coast too."""

from __future__ import annotations

import numpy as np
import rasterio.features
import shapely
from numpy.typing import NDArray

from risk_surfaces.errors import SurfaceError
from risk_surfaces.geobox import Floats, GeoBox

_TILE = 64
"""Side, in pixels, of the blocks whose piece of land is cut out first: a coastline has too many vertices per pixel."""


def land_share(land: shapely.Geometry, box: GeoBox) -> Floats:
    """Return the share of each pixel that is land, 0 to 1.

    Parameters
    ----------
    land
        Polygon or MultiPolygon in the CRS of ``box``, valid.
    box
        The grid.

    Returns
    -------
    numpy.ndarray
        Shape of ``box``.

    Raises
    ------
    SurfaceError
        If there is no land on the grid.

    Notes
    -----
    Pixels that the outline touches are intersected with the polygon; the others are wholly in or out.
    """
    share = _burn(land, box, all_touched=False)
    outline = _burn(shapely.boundary(land), box, all_touched=True) > 0
    shapely.prepare(land)
    for top in range(0, box.shape[0], _TILE):
        for left in range(0, box.shape[1], _TILE):
            window = (slice(top, top + _TILE), slice(left, left + _TILE))
            rows, columns = np.nonzero(outline[window])
            if rows.size:
                share[window][rows, columns] = _shares_of(land, box, rows + top, columns + left)
    if not share.any():
        raise SurfaceError(f"no land on the grid {box.bounds_m} ({box.crs})")
    return share


def _burn(geometry: shapely.Geometry, box: GeoBox, *, all_touched: bool) -> Floats:
    burnt = rasterio.features.rasterize(
        [(geometry, 1)], out_shape=box.shape, transform=box.affine, fill=0, all_touched=all_touched, dtype="uint8"
    )
    return np.asarray(burnt, dtype=np.float64)


def _shares_of(land: shapely.Geometry, box: GeoBox, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Floats:
    """Exact land shares of some neighbouring pixels."""
    x0, y0 = box.affine.c + columns * box.pixel_m, box.affine.f - (rows + 1) * box.pixel_m
    x1, y1 = x0 + box.pixel_m, y0 + box.pixel_m
    piece = shapely.intersection(land, shapely.box(x0.min(), y0.min(), x1.max(), y1.max()))
    shares = shapely.area(shapely.intersection(shapely.box(x0, y0, x1, y1), piece)) / box.pixel_m**2
    return np.asarray(np.clip(shares, 0.0, 1.0))
