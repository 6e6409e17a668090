"""Which cells exist, and how much land each holds."""

from __future__ import annotations

from random import Random

import h3
import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from hexgrid import universe as universe_module
from hexgrid.cells import CRS84, boundaries, cells_of_points, disk, parents, project
from hexgrid.universe import AREA_STEP_M2, base_universe, land_pieces, measure, parent_universe, to_metric
from support.grid_city import CORNER_M, METRIC, SIDE_M, lon_lat, metric_land

NO_CELLS = np.empty(0, dtype=np.int64)
GRID = (10, 9, 8, 7, 6)


def universe_of(land: shapely.Geometry, crs: str, with_records: np.ndarray = NO_CELLS) -> pa.Table:
    """The universe without Spark: pieces measured one after the other."""
    measured = [measure(piece, crs) for piece in land_pieces(land)]
    cells, areas = (np.concatenate(column) for column in zip(*measured, strict=True))
    return base_universe(pa.table({"cell": cells, "land_area_m2": areas}), with_records, crs)


def column(table: pa.Table, name: str) -> np.ndarray:
    return table.column(name).to_numpy()


@pytest.fixture(scope="module")
def land() -> shapely.Geometry:
    return to_metric(lon_lat(metric_land()), METRIC)


@pytest.fixture(scope="module")
def universe(land: shapely.Geometry) -> pa.Table:
    return universe_of(land, METRIC)


def test_base_cells_are_those_that_overlap_land_found_one_by_one(land: shapely.Geometry, universe: pa.Table):
    centre = project(np.array([CORNER_M]) + SIDE_M / 2, CRS84, source=METRIC)
    around = disk(cells_of_points(centre[:, 0], centre[:, 1], 11), 60)
    expected = {}
    for cell, hexagon in zip(around, boundaries(around, METRIC), strict=True):
        shared_m2 = hexagon.intersection(land).area
        if shared_m2 >= AREA_STEP_M2 / 2:
            expected[int(cell)] = (shared_m2, hexagon.area)
    found = dict(zip(column(universe, "cell").tolist(), column(universe, "land_area_m2").tolist(), strict=True))
    assert found.keys() == expected.keys()
    for row in universe.to_pylist():
        shared_m2, whole_m2 = expected[row["cell"]]
        assert row["land_area_m2"] == pytest.approx(shared_m2, abs=AREA_STEP_M2)
        assert row["area_m2"] == pytest.approx(whole_m2, abs=AREA_STEP_M2)


def test_land_areas_add_up_to_the_land(land: shapely.Geometry, universe: pa.Table):
    assert column(universe, "land_area_m2").sum() == pytest.approx(land.area, abs=universe.num_rows * AREA_STEP_M2)


def test_an_islet_smaller_than_a_cell_and_a_lake_are_measured(universe: pa.Table):
    x, y = CORNER_M
    at = project(np.array([(x - 200, y + 1_000), (x + 1_500, y + 900), (x + 1_200, y + 1_600)]), CRS84, source=METRIC)
    islet, lake, inland = cells_of_points(at[:, 0], at[:, 1], 11)
    found = dict(zip(column(universe, "cell"), column(universe, "land_area_m2"), strict=True))
    area = dict(zip(column(universe, "cell"), column(universe, "area_m2"), strict=True))
    assert 0 < found[islet] < 6 * 6 * np.pi
    assert lake not in found
    assert found[inland] == area[inland]


@pytest.mark.parametrize(("side_m", "vertices"), [(700.0, 2_000), (50_000.0, 30), (50_000.0, 10**6)])
def test_how_the_land_is_cut_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, land: shapely.Geometry, universe: pa.Table, side_m: float, vertices: int
):
    monkeypatch.setattr(universe_module, "_PIECE_SIDE_M", side_m)
    monkeypatch.setattr(universe_module, "_PIECE_VERTICES", vertices)
    again = universe_of(land, METRIC)
    assert again.column("cell").equals(universe.column("cell"))
    np.testing.assert_allclose(column(again, "land_area_m2"), column(universe, "land_area_m2"), atol=AREA_STEP_M2)


@pytest.mark.parametrize("resolution", GRID)
def test_parents_are_exactly_the_sums_of_their_children(universe: pa.Table, resolution: int):
    rolled = parent_universe(universe, resolution)
    for name in ("area_m2", "land_area_m2"):
        expected: dict[int, float] = {}
        for cell, area_m2 in zip(column(universe, "cell"), column(universe, name), strict=True):
            parent = h3.str_to_int(h3.cell_to_parent(h3.int_to_str(int(cell)), resolution))
            expected[parent] = expected.get(parent, 0.0) + float(area_m2)
        assert dict(zip(column(rolled, "cell").tolist(), column(rolled, name).tolist(), strict=True)) == expected
    assert parent_universe(parent_universe(universe, 10), resolution).equals(rolled)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(-2_000, 4_500), st.floats(-2_000, 4_500)), max_size=30), st.randoms())
def test_records_add_their_cells_and_no_area_of_land(
    land: shapely.Geometry, points: list[tuple[float, float]], random: Random
):
    """Random points inland, on the coast and at sea; areas summed in any order give the same parents."""
    at = project(np.array(CORNER_M) + np.array(points or [(0.0, 0.0)]), CRS84, source=METRIC)
    cells = np.unique(cells_of_points(at[:, 0], at[:, 1], 11))
    plain, table = SMALL, base_universe(SMALL_SHARES, cells, METRIC)
    assert set(column(table, "cell")) == set(column(plain, "cell")) | set(cells)
    assert column(table, "land_area_m2").sum() == column(plain, "land_area_m2").sum()
    order = list(range(table.num_rows))
    random.shuffle(order)
    for resolution in GRID:
        assert parent_universe(table.take(order), resolution).equals(parent_universe(table, resolution))


SMALL_LAND = shapely.box(CORNER_M[0], CORNER_M[1], CORNER_M[0] + 500, CORNER_M[1] + 300)
SMALL_SHARES = pa.table(dict(zip(("cell", "land_area_m2"), measure(SMALL_LAND, METRIC), strict=True)))
SMALL = base_universe(SMALL_SHARES, NO_CELLS, METRIC)


@pytest.mark.parametrize(
    ("crs", "lon_deg", "lat_deg"),
    [
        pytest.param("EPSG:32760", 180.0, -16.8, id="antimeridian"),
        pytest.param("EPSG:3857", 24.9, 60.2, id="a metric CRS of twice the true lengths"),
        pytest.param("EPSG:5042", 30.0, -89.999, id="south pole"),
    ],
)
def test_land_anywhere_on_earth_is_measured_whole(crs: str, lon_deg: float, lat_deg: float):
    middle = project(np.array([[lon_deg, lat_deg]]), crs)[0]
    land = shapely.Point(middle).buffer(900)
    found = universe_of(land, crs)
    assert column(found, "land_area_m2").sum() == pytest.approx(land.area, rel=1e-6)


def test_land_around_a_pentagon_is_measured_whole():
    lat, lon = h3.cell_to_latlng(min(h3.get_pentagons(11)))
    crs = f"+proj=laea +lat_0={lat} +lon_0={lon} +units=m +type=crs"
    land = shapely.Point(0, 0).buffer(400)
    found = universe_of(land, crs)
    assert column(found, "land_area_m2").sum() == pytest.approx(land.area, rel=1e-6)
    pentagons = [cell for cell in column(found, "cell") if h3.is_pentagon(h3.int_to_str(int(cell)))]
    assert len(pentagons) == 1


def test_cells_that_the_metric_crs_cannot_measure_are_left_out():
    """Lambert's cone gives the South Pole 10²² m²; what is merely far away is measured like the city."""
    records = cells_of_points([5.0, -175.0, 0.0, 9.2], [-89.99, -80.0, -0.001, 42.3], 11)
    table = base_universe(SMALL_SHARES, records, METRIC)
    assert np.isin(records, column(table, "cell")).tolist() == [False, False, True, True]
    assert (column(table, "area_m2") < 1e6).all()


def test_every_parent_of_the_universe_is_an_ancestor(universe: pa.Table):
    for resolution in GRID:
        expected = np.unique(parents(column(universe, "cell"), resolution))
        assert (column(parent_universe(universe, resolution), "cell") == expected).all()
