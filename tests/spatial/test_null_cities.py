"""A city where nothing stands out: constant intensity per km² of its own land, coast, islands and all."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from spatial.exact_tail import exact_tails
from spatial.hotspots import benjamini_hochberg, classify
from support.city_on_land import LandCells

CITIES = 200
ALLOWED = 0.06
"""Share of cities with any hot cell, and with any cold cell; the tests are made at 5 %."""


def false_alarms(
    cells: LandCells, incidents: int, *, cities: int, seed: int, size: float | None = None
) -> tuple[float, float]:
    """Shares of null cities with a hot and with a cold cell; counts are Poisson, or negative binomial of ``size``."""
    rng = np.random.default_rng(seed)
    mean = cells.land_area_m2 / cells.land_area_m2.sum() * incidents
    share = cells.places.steps / 20
    any_hot = any_cold = 0
    for _ in range(cities):
        if size is None:
            counts = cells.null_counts(incidents, rng)
        else:  # over-dispersed whole cells, thinned by the sea
            whole = rng.negative_binomial(size, size / (size + mean.max()), mean.size)
            counts = rng.binomial(whole, share)
        tails = exact_tails(counts, cells.places)
        codes = classify(tails, benjamini_hochberg(tails.p))
        any_hot += bool(np.isin(codes, (0, 1)).any())
        any_cold += bool(np.isin(codes, (3, 4)).any())
    return any_hot / cities, any_cold / cities


@pytest.mark.parametrize("incidents", [80_000, 3_000])
@pytest.mark.parametrize("resolution", [9, 10])
def test_null_cities_have_hot_or_cold_cells_in_six_of_a_hundred(
    land_cells: dict[int, LandCells], resolution: int, incidents: int
):
    hot, cold = false_alarms(land_cells[resolution], incidents, cities=CITIES, seed=incidents + resolution)
    assert hot <= ALLOWED
    assert cold <= ALLOWED


def test_without_the_land_share_the_coast_would_be_cold_in_every_city(land_cells: dict[int, LandCells]):
    """The test above can fail: cells taken as whole, the same cities are full of cold coast."""
    from spatial.neighbourhoods import neighbourhoods

    cells = land_cells[9]
    adjacency = sp.csr_array(cells.places.members - sp.eye_array(cells.cells.size, dtype=np.int64))
    naive = neighbourhoods(adjacency, np.where(cells.places.steps > 0, 20, 0))
    whole = LandCells(cells.cells, cells.area_m2, cells.land_area_m2, naive)
    _hot, cold = false_alarms(whole, 80_000, cities=5, seed=1)
    assert cold == 1.0


@pytest.mark.prove
@pytest.mark.parametrize("size", [None, 0.5])
@pytest.mark.parametrize("incidents", [100_000, 30_000, 10_000, 1_000, 200])
@pytest.mark.parametrize("resolution", [9, 10])
def test_null_cities_at_every_intensity(
    land_cells: dict[int, LandCells], resolution: int, incidents: int, size: float | None
):
    hot, cold = false_alarms(land_cells[resolution], incidents, cities=CITIES, seed=incidents, size=size)
    print(f"res {resolution}, {incidents} incidents, size {size}: any hot {hot:.3f}, any cold {cold:.3f}")
    assert hot <= ALLOWED
    assert cold <= ALLOWED
