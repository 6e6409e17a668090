"""The universe: which cells exist for a city, and how much land each holds.

A base cell belongs to it when it overlaps the land polygon, or holds a record. Areas are planar, in the city's metric
CRS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from hexgrid.cells import (
    CRS84,
    Cells,
    boundaries,
    cells_of_points,
    centres,
    descendants,
    disk,
    parents,
    project,
    spherical_areas,
)
from hexgrid.facts import BASE_RESOLUTION, Batches

AREA_STEP_M2 = 2.0**-6
"""Areas are multiples of this. Sums of them are exact in float64, in any order: a parent's area *is* its children's
sum, and digests do not depend on the machine. A cell with less than half a step of land holds none."""

UNIVERSE_SCHEMA = pa.schema([("cell", pa.int64()), ("area_m2", pa.float64()), ("land_area_m2", pa.float64())])
PIECE_SCHEMA = pa.schema([("piece", pa.binary())])
SHARE_SCHEMA = pa.schema([("cell", pa.int64()), ("land_area_m2", pa.float64())])

_PIECE_SIDE_M = 5_000.0
_PIECE_VERTICES = 2_000
_SMALLEST_SIDE_M = 100.0
_SEED_RESOLUTION = 8
_SEED_STEP_M = 400.0
"""Half its diagonal is less than the inner radius of any seed cell: a lattice of this step misses none of them."""
_PLAUSIBLE = 100.0
_REACH = 1.5
"""Margin on a cell's outer radius, which varies a little within a piece."""


def to_metric(land: shapely.Geometry, crs: str) -> shapely.Geometry:
    """Transform the vertices of a CRS84 polygon to ``crs``, and repair what rounding may have crossed."""
    projected: shapely.Geometry = shapely.transform(land, lambda points: project(points, crs))
    return projected if shapely.is_valid(projected) else _polygons(shapely.make_valid(projected))


def land_pieces(land: shapely.Geometry) -> Iterator[shapely.Geometry]:
    """Cut a metric polygon into pieces small enough to be measured fast: few vertices, a few kilometres wide."""
    if shapely.is_empty(land):
        return
    west, south, east, north = shapely.bounds(land)
    side = max(east - west, north - south)
    crowded = shapely.get_num_coordinates(land) > _PIECE_VERTICES and side > _SMALLEST_SIDE_M
    if side <= _PIECE_SIDE_M and not crowded:
        yield land
        return
    x, y = (west + east) / 2, (south + north) / 2
    if east - west >= north - south:
        halves = [shapely.box(west, south, x, north), shapely.box(x, south, east, north)]
    else:
        halves = [shapely.box(west, south, east, y), shapely.box(west, y, east, north)]
    for half in halves:
        yield from land_pieces(_polygons(shapely.intersection(land, half)))


def _polygons(geometry: shapely.Geometry) -> shapely.Geometry:
    """Drop the points and lines that an intersection leaves where polygons touch."""
    parts = shapely.get_parts(shapely.get_parts(geometry))
    multipolygon: shapely.Geometry = shapely.multipolygons(
        parts[shapely.get_type_id(parts) == shapely.GeometryType.POLYGON]
    )
    return multipolygon


def measure(piece: shapely.Geometry, crs: str) -> tuple[Cells, NDArray[np.float64]]:
    """Return the base cells that overlap a piece of land, and the area that they share with it.

    Parameters
    ----------
    piece
        Polygon or MultiPolygon in ``crs``.
    crs
        Metric CRS.

    Returns
    -------
    cells, area_m2
        Both of shape (n,); areas are not rounded yet.
    """
    shapely.prepare(piece)
    cells = _candidates(piece, crs)
    hexagons = boundaries(cells, crs)
    area_m2 = shapely.area(hexagons)
    cut = ~shapely.contains_properly(piece, hexagons)
    area_m2[cut] = shapely.area(shapely.intersection(hexagons[cut], piece))
    overlapping = area_m2 > 0
    return cells[overlapping], area_m2[overlapping]


def _candidates(piece: shapely.Geometry, crs: str) -> Cells:
    """Find the base cells whose centre is so near that they may overlap; through the hierarchy, not in degrees."""
    west, south, east, north = shapely.bounds(piece)
    x = np.arange(west, east + _SEED_STEP_M, _SEED_STEP_M)
    y = np.arange(south, north + _SEED_STEP_M, _SEED_STEP_M)
    lattice = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    lon_lat = project(lattice, CRS84, source=crs)
    # One ring more: the descendants of a cell stick out of it a little, those of its neighbours stick in.
    seeds = disk(np.unique(cells_of_points(lon_lat[:, 0], lon_lat[:, 1], _SEED_RESOLUTION)))
    cells = descendants(seeds, BASE_RESOLUTION)
    middle = centres(cells, crs)
    one = shapely.get_coordinates(boundaries(cells[:1], crs)[0])
    reach_m = _REACH * float(np.hypot(*(one - middle[0]).T).max())
    low, high = np.array([west, south]) - reach_m, np.array([east, north]) + reach_m
    near = ((middle >= low) & (middle <= high)).all(axis=1)
    cells, middle = cells[near], middle[near]
    return cells[shapely.dwithin(piece, shapely.points(middle), reach_m)]


def piece_measurer(crs: str) -> Callable[[Batches], Batches]:
    """Return the task that measures pieces of land."""

    def run(batches: Batches) -> Batches:
        for batch in batches:
            for encoded in batch.column("piece").to_pylist():
                cells, area_m2 = measure(shapely.from_wkb(encoded), crs)
                yield pa.RecordBatch.from_arrays([pa.array(cells), pa.array(area_m2)], schema=SHARE_SCHEMA)

    return run


def planar_areas(cells: Cells, crs: str) -> NDArray[np.float64]:
    """Return the planar area of each cell in ``crs``, in m²; NaN where ``crs`` is far from its place of use.

    Notes
    -----
    Far away, a projection still gives numbers. They are taken for areas as long as they are within a factor of
    :data:`_PLAUSIBLE` of the area on the sphere.
    """
    if cells.size == 0:
        return np.empty(0)
    area_m2 = np.round(shapely.area(boundaries(cells, crs)) / AREA_STEP_M2) * AREA_STEP_M2
    ratio = area_m2 / spherical_areas(cells)
    return np.where((ratio > 1 / _PLAUSIBLE) & (ratio < _PLAUSIBLE), area_m2, np.nan)


def base_universe(shares: pa.Table, with_records: Cells, crs: str) -> pa.Table:
    """Put together the universe of the base resolution.

    Parameters
    ----------
    shares
        Columns ``cell`` and ``land_area_m2`` as :func:`measure` returns them; a cell cut by several pieces is repeated.
    with_records
        Base cells that hold a record, on land or not. Those that ``crs`` cannot measure are left out.
    crs
        Metric CRS.

    Returns
    -------
    pyarrow.Table
        :data:`UNIVERSE_SCHEMA`, in cell order.
    """
    measured, place = np.unique(shares.column("cell").to_numpy(), return_inverse=True)
    raw_m2 = np.bincount(place, weights=shares.column("land_area_m2").to_numpy(), minlength=measured.size)
    land_m2 = np.round(raw_m2 / AREA_STEP_M2) * AREA_STEP_M2
    measured, land_m2 = measured[land_m2 > 0], land_m2[land_m2 > 0]
    cells = np.union1d(measured, np.asarray(with_records, dtype=np.int64))
    area_m2 = planar_areas(cells, crs)
    reached = np.isfinite(area_m2)
    cells, area_m2 = cells[reached], area_m2[reached]
    land_area_m2 = np.zeros(cells.size)
    land_area_m2[np.searchsorted(cells, measured)] = land_m2
    # A cell all on land, cut by two pieces, may miss its own area by one rounding.
    whole = np.abs(land_area_m2 - area_m2) <= AREA_STEP_M2
    land_area_m2[whole] = area_m2[whole]
    return pa.table([cells, area_m2, np.minimum(land_area_m2, area_m2)], schema=UNIVERSE_SCHEMA)


def parent_universe(universe: pa.Table, resolution: int) -> pa.Table:
    """Roll a universe up to a coarser resolution: ancestors, and sums of areas."""
    cells, place = np.unique(parents(universe.column("cell").to_numpy(), resolution), return_inverse=True)
    areas = [universe.column(name).to_numpy() for name in ("area_m2", "land_area_m2")]
    sums = [np.bincount(place, weights=area_m2, minlength=cells.size) for area_m2 in areas]
    return pa.table([cells, *sums], schema=UNIVERSE_SCHEMA)
