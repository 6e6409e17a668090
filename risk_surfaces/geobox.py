"""Where the pixels of a raster are: shape, affine transform and CRS as one value, never three loose arguments."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pyproj
from affine import Affine
from numpy.typing import NDArray

from risk_surfaces.errors import SurfaceError

Floats = NDArray[np.float64]

MAX_PIXELS = 200_000_000
"""Above this a pixel size is taken for a mistake (a metre instead of 25), not for a wish."""


@dataclass(frozen=True, slots=True)
class GeoBox:
    """A north-up grid of square pixels in a metric CRS.

    Attributes
    ----------
    shape
        Rows and columns.
    affine
        From (column, row) of a pixel's upper left corner to (x, y), metres.
    crs
        Projected CRS in metres, as its authority writes it (``EPSG:2154``).
    """

    shape: tuple[int, int]
    affine: Affine
    crs: str

    def __post_init__(self) -> None:
        rows, columns = self.shape
        if rows < 1 or columns < 1:
            raise SurfaceError(f"a grid has at least one pixel, not {rows} × {columns}")
        if self.affine.b or self.affine.d or self.affine.a <= 0 or self.affine.e != -self.affine.a:
            raise SurfaceError(f"pixels are square and north up, not {tuple(self.affine)[:6]}")
        if not pyproj.CRS.from_user_input(self.crs).is_projected:
            raise SurfaceError(f"{self.crs} is not a projected CRS")

    @classmethod
    def covering(cls, bounds_m: tuple[float, float, float, float], *, pixel_m: float, crs: str) -> GeoBox:
        """Return the smallest grid whose edges are multiples of ``pixel_m`` and which covers the bounds.

        Parameters
        ----------
        bounds_m
            West, south, east, north in ``crs``.
        pixel_m
            Side of a pixel.
        crs
            Projected CRS in metres.

        Raises
        ------
        SurfaceError
            If the bounds are empty or the grid would be unreasonably large.
        """
        if not all(math.isfinite(b) for b in bounds_m) or bounds_m[0] > bounds_m[2] or bounds_m[1] > bounds_m[3]:
            raise SurfaceError(f"bounds {bounds_m} are empty")
        west, south = (math.floor(b / pixel_m) for b in bounds_m[:2])
        east, north = (math.ceil(b / pixel_m) for b in bounds_m[2:])
        rows, columns = max(north - south, 1), max(east - west, 1)
        if rows * columns > MAX_PIXELS:
            raise SurfaceError(f"pixel_m = {pixel_m:g} makes {rows} × {columns} pixels, more than {MAX_PIXELS}")
        return cls((rows, columns), Affine(pixel_m, 0.0, west * pixel_m, 0.0, -pixel_m, north * pixel_m), crs)

    @property
    def pixel_m(self) -> float:
        """Side of a pixel."""
        return float(self.affine.a)

    @property
    def pixel_km2(self) -> float:
        """Area of a pixel."""
        return self.pixel_m**2 / 1e6

    @property
    def bounds_m(self) -> tuple[float, float, float, float]:
        """West, south, east, north."""
        rows, columns = self.shape
        west, north = float(self.affine.c), float(self.affine.f)
        return west, north - rows * self.pixel_m, west + columns * self.pixel_m, north

    def centres(self) -> tuple[Floats, Floats]:
        """Return x of each column's centre and y of each row's."""
        rows, columns = self.shape
        x = self.affine.c + (np.arange(columns) + 0.5) * self.pixel_m
        y = self.affine.f - (np.arange(rows) + 0.5) * self.pixel_m
        return np.asarray(x), np.asarray(y)

    def places_of(self, x_m: Floats, y_m: Floats) -> tuple[Floats, Floats]:
        """Return where points lie as fractional rows and columns: 0.5 is the centre of the first pixel.

        Raises
        ------
        SurfaceError
            If a point is outside the grid or not finite.
        """
        rows, columns = self.shape
        row = (self.affine.f - np.asarray(y_m)) / self.pixel_m
        column = (np.asarray(x_m) - self.affine.c) / self.pixel_m
        outside = ~((row >= 0) & (row <= rows) & (column >= 0) & (column <= columns))
        if outside.any():
            raise SurfaceError(f"{int(outside.sum())} of {outside.size} points are outside the grid {self.bounds_m}")
        return row, column
