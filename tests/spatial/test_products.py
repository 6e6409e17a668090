"""The step ``analyse`` on a small home: what it writes, when it works, and that it says the same twice."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import shapely

from hexgrid.cells import cell_int, cells_of_points, centres
from layers.digests import table_digest
from layers.home import Home
from layers.products import Form, Kind, Product
from layers.steps import latest_stage
from spatial.classes import CLASSES, LISA_CLASSES
from spatial.products import analyse
from spatial.slices import labels, numbers, significant
from support.city_on_land import FIRST_DAY, fill_home, incidents_table, land_universe, points_on, small_city

ISLET = centres(cells_of_points([5.30], [43.30], 9))[0]
LAND = shapely.union(
    shapely.Point(5.40, 43.32).buffer(0.03),
    shapely.Point(ISLET).buffer(0.0003),  # an islet: one cell without a neighbour on land
)
CITY = small_city(("vols", "nuisances", "secret"), sensitive=("secret",), hotspots={"permutations": 9_999})


def some_incidents(*, shift: bool = False) -> pa.Table:
    """Two themes over the land, thefts gathered around one point; one sensitive theme; one record on the islet."""
    rng = np.random.default_rng(1)
    spread = points_on(LAND, 1_500, rng)
    gathered = np.array([(5.41, 43.33)]) + rng.normal(0, 0.001, (300, 2)) + (0.01 if shift else 0.0)
    points = np.vstack([spread, gathered, ISLET])
    themes = ["nuisances"] * 1_000 + ["secret"] * 500 + ["vols"] * 301
    days = [FIRST_DAY + dt.timedelta(days=i % 700) for i in range(len(points))]
    off_land = np.arange(len(points)) == 7
    return incidents_table(points, themes, days, on_land=~off_land)


@pytest.fixture(scope="module")
def universe() -> pa.Table:
    return land_universe(LAND)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, universe: pa.Table) -> Home:
    home = fill_home(tmp_path_factory.mktemp("home"), LAND, universe, some_incidents())
    assert not analyse(CITY, home).skipped
    return home


def products_of(home: Home) -> dict[str, Product]:
    stage = latest_stage(home, "analyse")
    assert stage is not None
    return {product.spec.id: product for product in stage.products()}


def test_products_are_those_of_the_contract(home: Home):
    found = products_of(home)
    assert list(found) == ["hotspots", "hotspots_r9"]
    statistics = ["z", "p", "q", "class", "lisa", "lisa_p", "lisa_q"]
    expected = ["h3", "n", *(f"{s}_all" for s in statistics)]
    for theme in ("vols", "nuisances", "secret"):
        expected += [f"n_{theme}", *(f"{s}_{theme}" for s in statistics)]
    for product in found.values():
        assert [c.name for c in product.spec.columns] == [*expected, "land_area_m2"]
        assert product.forms == (Form.EXACT,)
        assert product.spec.seed == CITY.analysis.hotspots.seed
        assert all(c.title.fr and c.title.en for c in product.spec.columns)
        assert product.spec.column("class_vols").classes == CLASSES
        assert product.spec.column("lisa_vols").classes == LISA_CLASSES


def test_values_are_within_their_kinds(home: Home):
    for product in products_of(home).values():
        table = product.tables[Form.EXACT]
        land = table.column("land_area_m2").to_numpy() > 0
        for column in product.spec.columns:
            values = table.column(column.name)
            if column.kind is Kind.PROBABILITY:
                given = values.drop_null().to_numpy()
                assert 0 < given.min() <= given.max() <= 1
            if column.kind is Kind.CLASS:
                assert set(values.drop_null().to_pylist()) <= set(column.classes or ())
            if column.name.startswith(("class_", "p_", "q_")):
                np.testing.assert_array_equal(values.is_valid().to_numpy(), land)


def test_the_gathering_is_hot_and_clustered_and_the_rest_is_not(home: Home):
    table = products_of(home)["hotspots"].tables[Form.EXACT].to_pandas().set_index("h3")
    table.index = cell_int(table.index.to_numpy().astype(str))
    middle = int(cells_of_points([5.41], [43.33], 10)[0])
    assert table.loc[middle, "class_vols"] == "hot_q01"
    assert table.loc[middle, "lisa_vols"] == "HH"
    assert table["class_vols"].isin(["hot_q01", "hot_q05"]).sum() < 60


def test_all_leaves_the_sensitive_theme_out_and_the_sea_holds_nothing(home: Home):
    table = products_of(home)["hotspots"].tables[Form.EXACT].to_pandas()
    assert table["n"].sum() == table["n_vols"].sum() + table["n_nuisances"].sum() == 1_300
    assert table["n_secret"].sum() == 500


def test_an_islet_has_a_verdict_but_no_neighbours_to_resemble(home: Home):
    table = products_of(home)["hotspots_r9"].tables[Form.EXACT].to_pandas().set_index("h3")
    table.index = cell_int(table.index.to_numpy().astype(str))
    islet = table.loc[int(cells_of_points(*ISLET[:, None], 9)[0])]
    assert islet["class_vols"] in CLASSES
    assert islet["lisa_vols"] is None
    assert np.isnan(islet["lisa_p_vols"])


def test_moran_is_told_once_per_theme(home: Home):
    for product in products_of(home).values():
        told = product.spec.parameters["global_moran"]
        assert list(told) == ["all", "vols", "nuisances", "secret"]
        assert told["vols"]["i"] > 0.1
        assert told["vols"]["p"] == pytest.approx(2 / 1_000)
        assert told["nuisances"]["p"] > 0.01


def test_nothing_is_done_twice_and_another_home_says_the_same(home: Home, universe: pa.Table, tmp_path: Path):
    assert analyse(CITY, home).skipped
    incidents = some_incidents()
    shuffled = incidents.take(np.random.default_rng(2).permutation(incidents.num_rows))
    other = fill_home(tmp_path / "other", LAND, universe, shuffled)
    report = analyse(CITY, other)
    assert not report.skipped
    stage = latest_stage(home, "analyse")
    assert stage is not None
    assert report.key == stage.key
    for name, product in products_of(other).items():
        mine = products_of(home)[name]
        assert product.spec == mine.spec
        assert table_digest(product.tables[Form.EXACT], ["h3"]) == table_digest(mine.tables[Form.EXACT], ["h3"])


def test_other_incidents_or_parameters_are_another_key(home: Home, universe: pa.Table, tmp_path: Path):
    first = latest_stage(home, "analyse")
    assert first is not None
    moved = fill_home(tmp_path / "moved", LAND, universe, some_incidents(shift=True))
    assert analyse(CITY, moved).key != first.key
    wider = small_city(
        ("vols", "nuisances", "secret"), sensitive=("secret",), hotspots={"rings": 2, "permutations": 199}
    )
    assert analyse(wider, moved).key not in {first.key, latest_stage(home, "analyse")}


def test_a_city_without_incidents_has_no_product(universe: pa.Table, tmp_path: Path):
    home = fill_home(tmp_path, LAND, universe, some_incidents().slice(0, 0))
    analyse(CITY, home)
    assert products_of(home) == {}


def test_a_resolution_too_coarse_for_the_land_is_left_out_and_said(home: Home):
    report = analyse(small_city(("vols",), hotspots={"resolutions": (10, 7), "permutations": 99}), home)
    assert list(products_of(home)) == ["hotspots"]
    assert "cells are whole on land, at least 30" in str(report.figures["left_out_r7"])
    assert analyse(CITY, home).key != report.key


def test_significant_digits_are_decimal_and_null_stays_null():
    values = np.array([0.123456789, 1.0, 4.0000049e-20, np.nan, 0.1])
    np.testing.assert_array_equal(significant(values), [0.123457, 1.0, 4.0e-20, np.nan, 0.1])
    assert numbers(np.array([-0.0, np.nan])).to_pylist() == [0.0, None]
    assert np.signbit(numbers(np.array([-0.0])).to_numpy()).tolist() == [False]
    assert labels(np.array([2, -1, 0], dtype=np.int8), CLASSES).to_pylist() == ["ns", None, "hot_q01"]
