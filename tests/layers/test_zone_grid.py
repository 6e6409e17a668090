from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from layers import geography
from layers.geography import Zones
from layers.zone_grid import OUTSIDE, UNDECIDED, ZoneGrid


def zones(shapes: list[shapely.Geometry]) -> Zones:
    keys = np.array([f"{i:03d}" for i in range(len(shapes))], dtype=object)
    none = np.full(len(keys), None, dtype=object)
    return Zones("z", keys, keys, np.array(shapes, dtype=object), none, {})


def first_that_holds(shapes: list[shapely.Geometry], lon: np.ndarray, lat: np.ndarray) -> list[int]:
    """The same, a polygon at a time."""
    points = shapely.points(lon, lat)
    holds = np.array([shapely.intersects(shape, points) for shape in shapes])
    return [int(np.flatnonzero(column)[0]) if column.any() else OUTSIDE for column in holds.T]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), number=st.integers(1, 8))
def test_many_points_are_in_the_zones_that_one_test_each_gives(seed: int, number: int):
    rng = np.random.default_rng(seed)
    centres, radii = rng.random((number, 2)), rng.uniform(0.02, 0.5, number)
    shapes = list(shapely.buffer(shapely.points(centres), radii, quad_segs=3))  # they overlap
    shapes[0] = shapely.difference(shapes[0], shapely.buffer(shapely.points(centres[0]), radii[0] / 2))  # with a hole
    corners = shapely.get_coordinates(shapes)
    points = np.concatenate([rng.uniform(-0.7, 1.7, (400, 2)), corners, (corners[1:] + corners[:-1]) / 2])
    found = zones(shapes)
    grid = found._grid.positions(points[:, 0], points[:, 1])
    exact = np.array(first_that_holds(shapes, points[:, 0], points[:, 1]))
    decided = grid != UNDECIDED
    assert (grid[decided] == exact[decided]).all()
    assert decided.any()


def test_the_grid_and_the_exact_way_agree_from_the_outside(monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(5)
    shapes = [shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1), shapely.Point(1, 1).buffer(0.3)]
    lon, lat = rng.uniform(-0.5, 2.5, 3_000), rng.uniform(-0.5, 1.5, 3_000)
    lon[:10], lon[10:20], lat[10:20] = np.nan, 1.0, np.linspace(0, 1, 10)  # nowhere, and on a common border
    exact = zones(shapes).positions(lon, lat)
    monkeypatch.setattr(geography, "_MANY_POINTS", 1)
    by_grid = zones(shapes).positions(lon, lat)
    assert by_grid.tolist() == exact.tolist()
    assert exact[:10].tolist() == [OUTSIDE] * 10
    assert exact[10:20].tolist() == [0] * 10


def test_a_zone_without_width_still_has_a_grid():
    grid = ZoneGrid(np.array([shapely.box(5, 5, 5.0000000001, 6)], dtype=object))
    assert grid.positions(np.array([4.0]), np.array([5.5])).tolist() == [OUTSIDE]
