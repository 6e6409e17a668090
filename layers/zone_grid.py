"""Zones of many points: a grid that knows the answer away from borders, and leaves the rest to exact tests."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

CELLS = 256
"""Cells on a side of the zones' bounding box."""
_MARGIN = 1e-6
"""Each cell is tested a little larger than it is, as a share of its side: rounding moves no point over a border."""
OUTSIDE, UNDECIDED = -1, -2


class ZoneGrid:
    """Position of the zone that covers each cell of a grid, where one does.

    Parameters
    ----------
    shapes
        Polygons, shape (k,); of polygons that overlap the first counts.
    """

    def __init__(self, shapes: NDArray[np.object_]) -> None:
        self._bounds = shapely.total_bounds(shapes)
        west, south, east, north = self._bounds
        self._step = max(east - west, 1e-9) / CELLS, max(north - south, 1e-9) / CELLS
        column, row = (part.ravel() for part in np.meshgrid(np.arange(CELLS), np.arange(CELLS), indexing="ij"))
        dx, dy = self._step
        left, bottom = west + column * dx, south + row * dy
        boxes = shapely.box(
            left - _MARGIN * dx, bottom - _MARGIN * dy, left + dx * (1 + _MARGIN), bottom + dy * (1 + _MARGIN)
        )
        tree = shapely.STRtree(boxes)
        touched = np.full(len(boxes), len(shapes), dtype=np.int64)
        covered = touched.copy()
        # The tree holds the cells, so that each polygon is prepared once and tested against many of them.
        zone, cell = tree.query(shapes, predicate="intersects")
        np.minimum.at(touched, cell, zone)
        zone, cell = tree.query(shapes, predicate="contains_properly")
        np.minimum.at(covered, cell, zone)
        answer = np.where(touched == len(shapes), OUTSIDE, np.where(covered == touched, covered, UNDECIDED))
        self._answer = answer.reshape(CELLS, CELLS)

    def positions(self, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.int64]:
        """Position of each point's zone, ``OUTSIDE`` all of them, or ``UNDECIDED`` near a border; shape (n,)."""
        west, south, east, north = self._bounds
        found = np.full(len(lon), OUTSIDE, dtype=np.int64)
        inside = (lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)
        column = np.minimum(((lon[inside] - west) / self._step[0]).astype(np.int64), CELLS - 1)
        row = np.minimum(((lat[inside] - south) / self._step[1]).astype(np.int64), CELLS - 1)
        found[inside] = self._answer[column, row]
        return found
