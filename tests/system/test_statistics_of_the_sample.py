"""The published statistics of the sample city, held against what was planted and what was delivered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely

from hexgrid.cells import cell_text
from hexgrid.universe import to_metric
from layers.city import City, load_city
from layers.home import Home
from layers.lake import layer_table
from layers.products import Form, Product
from layers.steps import latest_stage
from risk_surfaces.geobox import GeoBox
from risk_surfaces.land_share import land_share
from risk_surfaces.products import located_incidents
from support.planted import Planted
from support.services import SAMPLE_CITY

pytestmark = pytest.mark.system
TRUTH = SAMPLE_CITY / "generated" / "truth"


@pytest.fixture(scope="module")
def city() -> City:
    return load_city(SAMPLE_CITY)


def products(home: Path, step: str) -> dict[str, Product]:
    stage = latest_stage(Home(home), step)
    assert stage is not None
    return {product.spec.id: product for product in stage.products()}


@pytest.fixture(scope="module", params=[9, 10])
def planted_and_hot(request: pytest.FixtureRequest, sample_home: Path) -> tuple[Planted, dict[str, np.ndarray]]:
    planted = Planted.read(TRUTH, request.param)
    product = products(sample_home, "analyse")["hotspots" if request.param == 10 else f"hotspots_r{request.param}"]
    rows = product.tables[Form.EXACT].to_pandas().set_index("h3").reindex(cell_text(planted.cells))
    return planted, {theme: rows[f"class_{theme}"].isin(["hot_q01", "hot_q05"]).to_numpy() for theme in planted.themes}


def test_planted_places_are_found(planted_and_hot: tuple[Planted, dict[str, np.ndarray]]):
    """Resolution 9: nine planted cells in ten; resolution 10: every place has a hot cell. Both: 1 % of the rest."""
    planted, hot = planted_and_hot
    for theme in planted.themes:
        assert all(hot[theme][own].any() for own in planted.cells_of_places(theme)), theme
        assert hot[theme][planted.below_mean(theme)].mean() <= 0.01, theme
    if planted.cells.size < 5_000:
        found = np.concatenate([hot[theme][planted.planted(theme)] for theme in planted.themes])
        assert found.mean() >= 0.9


def test_the_published_density_integrates_to_the_located_incidents_on_land(sample_home: Path, city: City):
    home = Home(sample_home)
    product = products(sample_home, "surfaces")["risk_density"]
    incidents = located_incidents(city, home)
    stored = layer_table(home, "land").read(["geometry"]).column("geometry")[0].as_py()
    land = to_metric(shapely.from_wkb(stored), city.city.metric_crs)
    with rasterio.open(product.rasters[Form.EXACT]) as raster:
        share = land_share(land, GeoBox(raster.shape, raster.transform, city.city.metric_crs))
        assert raster.descriptions == tuple(column.name for column in product.spec.columns)
        for number, name in enumerate(raster.descriptions, start=1):
            band = raster.read(number).astype(float)
            np.testing.assert_array_equal(np.isnan(band), share == 0)
            found = np.nansum(band * share) * abs(raster.transform.a * raster.transform.e) / 1e6 * city.analysis.years
            assert found == pytest.approx(int(incidents.slices[name].sum()), rel=1e-3), name
