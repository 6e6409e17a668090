"""H3 cells of the land and of positions: only to express the truth and to size the hot places."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa
import shapely
from h3ronpy import cells_area_m2, change_resolution
from h3ronpy.vector import ContainmentMode, cells_to_wkb_polygons, coordinates_to_cells, wkb_to_cells

from data_samples.marseille.generator.land import load_land, to_degrees, to_metric
from data_samples.marseille.generator.randomness import FloatArray, Geometries, IntArray

BASE = 11


def cells_at(x: FloatArray, y: FloatArray, resolution: int) -> IntArray:
    """H3 cells (int64) of positions in EPSG:2154."""
    lon, lat = to_degrees(x, y)
    return _ints(coordinates_to_cells(np.ascontiguousarray(lat), np.ascontiguousarray(lon), resolution))


def parents(cells: IntArray, resolution: int) -> IntArray:
    """Ancestors of cells at a coarser resolution, by the hierarchy."""
    return _ints(change_resolution(pa.array(cells.astype(np.uint64)), resolution))


def outlines(cells: IntArray) -> Geometries:
    """Boundaries of cells as polygons in EPSG:2154."""
    wkb = pa.array(cells_to_wkb_polygons(pa.array(cells.astype(np.uint64)))).to_pylist()
    return np.asarray(shapely.transform(shapely.from_wkb(wkb), lambda c: np.column_stack(to_metric(c[:, 0], c[:, 1]))))


def text_of(cells: IntArray) -> list[str]:
    """The 15-character text of cells."""
    return [f"{int(c):x}" for c in cells]


def _ints(array: object) -> IntArray:
    return np.asarray(pa.array(array).to_numpy(zero_copy_only=False)).astype(np.int64)


@dataclass(frozen=True)
class LandCells:
    """Cells of one resolution that are ancestors of base cells overlapping land, sorted; mean cell area in m²."""

    resolution: int
    cells: IntArray
    mean_area_m2: float

    def sums(self, cells: IntArray, values: FloatArray) -> FloatArray:
        """Sum ``values`` by cell onto this universe; a value in another cell is an error."""
        index = np.searchsorted(self.cells, cells)
        index = np.minimum(index, len(self.cells) - 1)
        known = self.cells[index] == cells
        if not known.all():
            raise ValueError(f"{int((~known).sum())} values lie in cells without land")
        return np.bincount(index, weights=values, minlength=len(self.cells))


@cache
def land_cells(resolution: int) -> LandCells:
    """Universe of a resolution (once per process)."""
    cells = np.unique(_base_cells() if resolution == BASE else parents(_base_cells(), resolution))
    area = np.asarray(pa.array(cells_area_m2(pa.array(cells.astype(np.uint64)))))
    return LandCells(resolution, cells, float(area.mean()))


@cache
def _base_cells() -> IntArray:
    """Base cells that overlap the land polygon."""
    land = load_land().land
    degrees = shapely.transform(land, lambda c: np.column_stack(to_degrees(c[:, 0], c[:, 1])))
    parts = shapely.to_wkb(shapely.get_parts(degrees))
    cells = wkb_to_cells(
        pa.array(list(parts), pa.binary()), BASE, containment_mode=ContainmentMode.IntersectsBoundary, flatten=True
    )
    return np.unique(_ints(cells))
