"""Pixels, and how much of each is land."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_surfaces.errors import SurfaceError
from risk_surfaces.geobox import GeoBox
from risk_surfaces.land_share import land_share

CRS = "EPSG:2154"


@given(
    west=st.floats(-1e6, 1e6), south=st.floats(-1e6, 1e6), width=st.floats(0, 5e3), height=st.floats(0, 5e3),
    pixel_m=st.sampled_from([10.0, 25.0, 33.0]),
)  # fmt: skip
def test_a_grid_covers_its_bounds_on_multiples_of_its_pixel(
    west: float, south: float, width: float, height: float, pixel_m: float
):
    bounds = (west, south, west + width, south + height)
    box = GeoBox.covering(bounds, pixel_m=pixel_m, crs=CRS)
    found = box.bounds_m
    assert found[0] <= bounds[0]
    assert found[1] <= bounds[1]
    assert found[2] >= bounds[2]
    assert found[3] >= bounds[3]
    assert all(abs(edge / pixel_m - round(edge / pixel_m)) < 1e-9 for edge in found)
    assert max(found[2] - found[0] - width, found[3] - found[1] - height) < 2 * pixel_m + 1e-6


def test_points_have_their_place_on_the_grid():
    box = GeoBox.covering((100.0, 200.0, 300.0, 400.0), pixel_m=25.0, crs=CRS)
    x, y = box.centres()
    row, column = box.places_of(np.array([x[3] + 5.0, 300.0]), np.array([y[5] - 5.0, 200.0]))
    assert row.tolist() == [5.7, box.shape[0]]
    assert column.tolist() == [3.7, box.shape[1]]
    assert (x[0], y[0]) == (112.5, 387.5)


def test_what_is_no_grid_or_not_on_it_is_refused():
    box = GeoBox.covering((0.0, 0.0, 100.0, 100.0), pixel_m=25.0, crs=CRS)
    with pytest.raises(SurfaceError, match="1 of 2 points are outside"):
        box.places_of(np.array([1.0, 101.0]), np.array([1.0, 1.0]))
    with pytest.raises(SurfaceError, match="outside"):
        box.places_of(np.array([np.nan]), np.array([1.0]))
    with pytest.raises(SurfaceError, match="square and north up"):
        GeoBox((1, 1), Affine(25, 0, 0, 0, 25, 0), CRS)
    with pytest.raises(SurfaceError, match="not a projected CRS"):
        GeoBox((1, 1), Affine(25, 0, 0, 0, -25, 0), "EPSG:4326")
    with pytest.raises(SurfaceError, match=r"pixel_m = 0\.1 makes"):
        GeoBox.covering((0.0, 0.0, 1e5, 1e5), pixel_m=0.1, crs=CRS)
    with pytest.raises(SurfaceError, match="empty"):
        GeoBox.covering((0.0, 0.0, -1.0, 1.0), pixel_m=25.0, crs=CRS)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_land_shares_add_up_to_the_land_and_are_those_of_each_pixel(seed: int):
    rng = np.random.default_rng(seed)
    islands = shapely.points(rng.uniform(0, 3_000, (6, 2)))
    land = shapely.union_all(shapely.buffer(islands, rng.uniform(3, 700, 6)))
    box = GeoBox.covering(shapely.bounds(land).tolist(), pixel_m=25.0, crs=CRS)
    share = land_share(land, box)
    assert share.sum() * 25**2 == pytest.approx(land.area, rel=1e-9)
    x, y = box.centres()
    rows, columns = rng.integers(box.shape[0], size=60), rng.integers(box.shape[1], size=60)
    pixels = shapely.box(x[columns] - 12.5, y[rows] - 12.5, x[columns] + 12.5, y[rows] + 12.5)
    np.testing.assert_allclose(share[rows, columns], shapely.area(shapely.intersection(pixels, land)) / 625, atol=1e-9)


def test_a_grid_at_sea_is_refused():
    box = GeoBox.covering((0.0, 0.0, 100.0, 100.0), pixel_m=25.0, crs=CRS)
    with pytest.raises(SurfaceError, match="no land on the grid"):
        land_share(shapely.box(500, 500, 600, 600), box)
