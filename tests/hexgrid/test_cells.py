"""Cells as arrays against the reference library, one cell at a time."""

from __future__ import annotations

from collections.abc import Iterable

import h3
import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from hexgrid import cells as grid
from hexgrid.errors import CellError

MARSEILLE = (5.37, 43.29)
LON = st.floats(-179.99, 179.99).map(lambda v: round(v, 5) + 1e-7)
LAT = st.floats(-89.5, 89.5).map(lambda v: round(v, 5) + 1e-7)


def as_int(texts: Iterable[str]):
    return np.array([h3.str_to_int(text) for text in texts], dtype=np.int64)


PENTAGONS = as_int(h3.get_pentagons(9))
ANTIMERIDIAN = as_int([h3.latlng_to_cell(-16.8, 180.0, 9), h3.latlng_to_cell(0.0001, -179.99999, 5)])


def disk_of(cell: int, rings: int) -> np.ndarray:
    return as_int(h3.grid_disk(h3.int_to_str(int(cell)), rings))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(LON, LAT), min_size=1, max_size=20), st.integers(0, 15))
def test_cells_of_points_are_those_of_the_reference_library(points: list[tuple[float, float]], resolution: int):
    lon, lat = zip(*points, strict=True)
    expected = [h3.latlng_to_cell(y, x, resolution) for x, y in points]
    cells = grid.cells_of_points(lon, lat, resolution)
    assert grid.cell_text(cells).tolist() == expected
    assert cells.dtype == np.int64
    assert (grid.cell_int(expected) == cells).all()
    assert (grid.resolutions(cells) == resolution).all()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(LON, LAT), min_size=1, max_size=20), st.integers(0, 15), st.integers(0, 15))
def test_parents_follow_the_hierarchy_of_the_reference_library(
    points: list[tuple[float, float]], fine: int, coarse: int
):
    fine, coarse = max(fine, coarse), min(fine, coarse)
    texts = [h3.latlng_to_cell(y, x, fine) for x, y in points]
    expected = as_int(h3.cell_to_parent(text, coarse) for text in texts)
    assert (grid.parents(as_int(texts), coarse) == expected).all()


def test_a_parent_is_not_always_the_cell_that_holds_the_point():
    """The reason for the hierarchy rule: some points lie in a fine cell whose ancestor does not hold them."""
    rng = np.random.default_rng(1)
    lon, lat = rng.uniform(5.3, 5.5, 20_000), rng.uniform(43.2, 43.4, 20_000)
    ancestors = grid.parents(grid.cells_of_points(lon, lat, 11), 9)
    share = (ancestors != grid.cells_of_points(lon, lat, 9)).mean()
    assert 0.005 < share < 0.2


def test_parents_refuse_a_finer_resolution_than_the_cells():
    with pytest.raises(CellError, match="2 cells have no ancestor at resolution 10: theirs is 9"):
        grid.parents(PENTAGONS[:2], 10)
    with pytest.raises(CellError, match="0 to 15"):
        grid.parents(PENTAGONS, 16)


def test_descendants_of_a_hexagon_and_of_a_pentagon():
    hexagon = grid.cells_of_points(*[[v] for v in MARSEILLE], 8)
    assert grid.descendants(hexagon, 11).size == 7**3
    # Each level of a pentagon has one child less: (1 + 5 (7^n − 1) / 6) cells.
    assert grid.descendants(PENTAGONS[:1], 12).size == 1 + 5 * (7**3 - 1) // 6
    assert (grid.parents(grid.descendants(PENTAGONS, 11), 9) == np.repeat(PENTAGONS, 1 + 5 * 8)).all()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8b39681520edff",
        "8B39681520EDFFF",
        "627010255334252543",
        "43.3,5.4,11",
        "8b39681520edfff ",
        "ffffffffffffffff",
    ],
)
def test_text_that_is_not_a_cell_is_refused(text: str):
    with pytest.raises(CellError, match="not the 15-character text"):
        grid.cell_int(["8b39681520edfff", text])


def test_points_without_coordinates_are_refused():
    with pytest.raises(CellError, match="1 of 2 points"):
        grid.cells_of_points([5.0, np.nan], [43.0, 43.0], 9)


@pytest.mark.parametrize("seed", [disk_of(PENTAGONS[0], 2), disk_of(as_int([h3.latlng_to_cell(43.3, 5.4, 11)])[0], 3)])
def test_boundaries_are_those_of_the_reference_library(seed: np.ndarray):
    for cell, polygon in zip(seed, grid.boundaries(seed), strict=True):
        expected = shapely.Polygon([(x, y) for y, x in h3.cell_to_boundary(h3.int_to_str(int(cell)))])
        assert shapely.hausdorff_distance(polygon.exterior, expected.exterior) < 1e-9


def test_a_cell_on_the_antimeridian_keeps_one_narrow_ring():
    for cell in ANTIMERIDIAN:
        polygon = grid.boundaries([cell])[0]
        west, _, east, _ = polygon.bounds
        assert east - west < 1
        assert polygon.is_valid
        assert east > 180  # the western side is counted on beyond 180°
        lat, lon = h3.cell_to_latlng(h3.int_to_str(int(cell)))
        assert polygon.contains(shapely.Point(lon % 360, lat))


def test_planar_area_against_shoelace_and_geodesic_area():
    """Two computations that share nothing with ours: a shoelace by hand, and the ellipsoid with Lambert's scale."""
    crs = "EPSG:2154"
    lambert, geodesic = pyproj.Proj(crs), pyproj.Geod(ellps="GRS80")
    to_metric = pyproj.Transformer.from_crs(4326, 2154, always_xy=True)
    seed = disk_of(as_int([h3.latlng_to_cell(43.3, 5.4, 11)])[0], 2)
    for cell, polygon in zip(seed, grid.boundaries(seed, crs), strict=True):
        ring = h3.cell_to_boundary(h3.int_to_str(int(cell)))
        points = np.array([to_metric.transform(x, y) for y, x in ring])
        points -= points[0]  # near the origin, or the shoelace loses digits
        shoelace = (
            abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(points, np.roll(points, -1, axis=0), strict=True))) / 2
        )
        assert polygon.area == pytest.approx(shoelace, rel=1e-9)
        on_ellipsoid = abs(geodesic.polygon_area_perimeter([x for _, x in ring], [y for y, _ in ring])[0])
        lat, lon = h3.cell_to_latlng(h3.int_to_str(int(cell)))
        assert grid.spherical_areas([cell])[0] == pytest.approx(h3.cell_area(h3.int_to_str(int(cell)), "m^2"), rel=1e-6)
        scale = lambert.get_factors(lon, lat).areal_scale
        assert polygon.area == pytest.approx(on_ellipsoid * scale, rel=1e-4)


def test_centres_are_those_of_the_reference_library():
    seed = disk_of(PENTAGONS[0], 2)
    expected = [h3.cell_to_latlng(h3.int_to_str(int(cell)))[::-1] for cell in seed]
    np.testing.assert_allclose(grid.centres(seed), expected, atol=1e-9)


@pytest.mark.parametrize("centre", [PENTAGONS[0], ANTIMERIDIAN[0], as_int([h3.latlng_to_cell(43.3, 5.4, 9)])[0]])
@pytest.mark.parametrize("rings", [1, 2, 3])
def test_neighbours_against_a_loop(centre: int, rings: int):
    """Holes, an island far away, and an order that is not the cells' own."""
    rng = np.random.default_rng(rings)
    everywhere = disk_of(centre, 5)
    island = as_int([h3.latlng_to_cell(43.0, 4.0, 9)])
    cells = rng.permutation(np.append(rng.choice(everywhere, 60, replace=False), island))
    expected = np.zeros((cells.size, cells.size), dtype=int)
    for row, cell in enumerate(cells):
        near = set(disk_of(cell, rings)) - {cell}
        expected[row] = [other in near for other in cells]
    matrix = grid.neighbour_matrix(cells, rings)
    assert (matrix.toarray() == expected).all()
    assert matrix.toarray()[cells == island[0]].sum() == 0
    assert (matrix != matrix.T).nnz == 0


def test_neighbours_of_a_pentagon_are_five():
    around = grid.disk(PENTAGONS[:1], 2)
    degree = np.asarray(grid.neighbour_matrix(around).sum(axis=1))
    assert degree[around == PENTAGONS[0]] == 5
    assert degree.max() == 6


def test_neighbours_refuse_doubles_and_mixed_resolutions():
    with pytest.raises(CellError, match="given twice"):
        grid.neighbour_matrix([PENTAGONS[0], PENTAGONS[1], PENTAGONS[0]])
    with pytest.raises(CellError, match="several resolutions"):
        grid.neighbour_matrix([PENTAGONS[0], ANTIMERIDIAN[1]])
    assert grid.neighbour_matrix([]).shape == (0, 0)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.0005, 0.01), st.floats(-0.02, 0.02), st.floats(-0.02, 0.02))
def test_cells_of_a_polygon_against_every_cell_nearby(size_deg: float, dx: float, dy: float):
    polygon = shapely.box(5.4 + dx, 43.3 + dy, 5.4 + dx + size_deg, 43.3 + dy + size_deg / 2)
    nearby = grid.disk(grid.cells_of_points([5.4 + dx], [43.3 + dy], 10), 20)
    hexagons = grid.boundaries(nearby)
    expected = nearby[shapely.area(shapely.intersection(hexagons, polygon)) > 1e-14]
    found = grid.cells_of_polygon(polygon, 10)
    assert set(expected) <= set(found)
    assert shapely.intersects(grid.boundaries(found), polygon.buffer(1e-9)).all()
    assert grid.cells_of_polygon(shapely.Polygon(), 10).size == 0
