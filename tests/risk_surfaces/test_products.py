"""The step ``surfaces`` on a small home: bands, integrals, what is left out, and that it says the same twice."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import rasterio
import shapely

from hexgrid.universe import to_metric
from layers.home import Home
from layers.products import Form, Grain, Kind, Product
from layers.steps import latest_stage
from risk_surfaces import products as module
from risk_surfaces.errors import SurfaceError
from risk_surfaces.geobox import GeoBox
from risk_surfaces.land_share import land_share
from risk_surfaces.products import surfaces
from support.city_on_land import FIRST_DAY, LAST_DAY, fill_home, incidents_table, land_universe, points_on, small_city

LAND = shapely.union(shapely.Point(5.40, 43.32).buffer(0.012), shapely.box(5.37, 43.30, 5.3702, 43.3002))
CITY = small_city(("vols", "nuisances", "secret", "rien"), sensitive=("secret",), density={"bandwidth_m": 200.0})
COUNTED = {"all": 600, "vols": 400, "nuisances": 200, "secret": 100, "rien": 0}


def some_incidents() -> pa.Table:
    """700 that count, and one each that does not: off land, not located, too early, too late."""
    rng = np.random.default_rng(1)
    points = points_on(LAND, 704, rng)
    days = [FIRST_DAY, LAST_DAY] * 352
    days[702], days[703] = FIRST_DAY - dt.timedelta(days=1), LAST_DAY + dt.timedelta(days=1)
    on_land, located = np.ones(704, dtype=bool), np.ones(704, dtype=bool)
    on_land[700], located[701] = False, False
    themes = ["vols"] * 400 + ["nuisances"] * 200 + ["secret"] * 100 + ["vols"] * 4
    table = incidents_table(points, themes, days, on_land=on_land, located=located)
    gone = pa.array(located)
    for name in ("x_m", "y_m", "lon", "lat"):
        values = pa.array(table.column(name).to_numpy(), mask=~located)
        table = table.set_column(table.column_names.index(name), name, values)
    unknown = pa.array(on_land.tolist(), mask=~located)
    assert gone.false_count == 1
    return table.set_column(table.column_names.index("on_land"), "on_land", unknown)


@pytest.fixture(scope="module")
def universe() -> pa.Table:
    return land_universe(LAND)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, universe: pa.Table) -> Home:
    home = fill_home(tmp_path_factory.mktemp("home"), LAND, universe, some_incidents())
    assert not surfaces(CITY, home).skipped
    return home


def product_of(home: Home) -> Product:
    stage = latest_stage(home, "surfaces")
    assert stage is not None
    (product,) = stage.products()
    return product


def test_the_product_is_that_of_the_contract(home: Home):
    product = product_of(home)
    assert (product.spec.id, product.spec.grain) == ("risk_density", Grain.RASTER)
    assert product.forms == (Form.EXACT,)
    assert [(c.name, c.kind, c.unit, c.theme) for c in product.spec.columns] == [
        (name, Kind.DENSITY, "/km²/a", name) for name in COUNTED
    ]
    with rasterio.open(product.rasters[Form.EXACT]) as raster:
        assert raster.descriptions == tuple(COUNTED)
        west, _, _, north = raster.bounds
        assert (west % 25, north % 25) == (0, 0)


def test_every_band_integrates_to_its_incidents(home: Home):
    """Read back from the file, with land shares measured again."""
    product = product_of(home)
    stage = latest_stage(home, "surfaces")
    assert stage is not None
    figures = stage.figures()
    with rasterio.open(product.rasters[Form.EXACT]) as raster:
        box = GeoBox(raster.shape, raster.transform, "EPSG:2154")
        share = land_share(to_metric(LAND, "EPSG:2154"), box)
        for number, (name, n) in enumerate(COUNTED.items(), start=1):
            values = raster.read(number).astype(float)
            np.testing.assert_array_equal(np.isnan(values), share == 0)
            assert np.nansum(values * share) * box.pixel_km2 * CITY.analysis.years == pytest.approx(n, rel=1e-3)
            assert figures[f"n_{name}"] == product.spec.parameters["incidents"][name] == n
            assert figures[f"integral_{name}"] == pytest.approx(n, rel=1e-4)


def test_a_band_that_does_not_add_up_is_not_published(
    monkeypatch: pytest.MonkeyPatch, universe: pa.Table, tmp_path: Path
):
    home = fill_home(tmp_path, LAND, universe, some_incidents())
    monkeypatch.setattr(module, "density", lambda counts, share, **_: np.where(share > 0, counts, np.nan))
    with pytest.raises(SurfaceError, match="band 'all' integrates to"):
        surfaces(CITY, home)
    assert latest_stage(home, "surfaces") is None
    monkeypatch.undo()
    assert not surfaces(CITY, home).skipped


def test_nothing_is_done_twice_and_another_home_writes_the_same_bytes(home: Home, universe: pa.Table, tmp_path: Path):
    assert surfaces(CITY, home).skipped
    incidents = some_incidents()
    other = fill_home(tmp_path, LAND, universe, incidents.take(np.random.default_rng(2).permutation(704)))
    report = surfaces(CITY, other)
    assert not report.skipped
    assert product_of(other).spec == product_of(home).spec
    assert product_of(other).rasters[Form.EXACT].read_bytes() == product_of(home).rasters[Form.EXACT].read_bytes()


def test_another_bandwidth_is_another_key(home: Home):
    stage = latest_stage(home, "surfaces")
    assert stage is not None
    wider = small_city(("vols", "nuisances", "secret", "rien"), sensitive=("secret",), density={"bandwidth_m": 300.0})
    assert surfaces(wider, home).key != stage.key
    assert surfaces(CITY, home).key == stage.key


def test_a_city_without_located_incidents_has_no_surface(universe: pa.Table, tmp_path: Path):
    home = fill_home(tmp_path, LAND, universe, some_incidents().slice(0, 0))
    surfaces(CITY, home)
    stage = latest_stage(home, "surfaces")
    assert stage is not None
    assert stage.products() == []


def test_a_record_beyond_a_border_that_bends_in_metres_is_counted(tmp_path: Path):
    """A parallel is straight in degrees and bends in Lambert-93: a point just inside is south of the bounds."""
    land = shapely.box(2.7, 48.0, 3.3, 48.1)
    universe = land_universe(land)
    home = fill_home(tmp_path, land, universe, incidents_table(np.array([[3.0, 48.0001]]), ["vols"], [FIRST_DAY]))
    assert dict(surfaces(CITY, home).figures)["n_vols"] == 1
