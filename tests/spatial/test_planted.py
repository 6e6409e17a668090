"""Hot places planted in the sample city are found, and little else; counts come from the truth's own points."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data_samples.marseille.generator import ensure_sample
from hexgrid.cells import neighbour_matrix
from hexgrid.universe import planar_areas
from spatial.classes import CLASSES
from spatial.hotspots import hot_spots
from spatial.neighbourhoods import neighbourhoods, share_steps
from support.city_on_land import METRIC
from support.planted import Planted, true_counts
from support.services import SAMPLE_CITY, one_at_a_time

HOT = [CLASSES.index("hot_q01"), CLASSES.index("hot_q05")]


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with one_at_a_time(tmp_path_factory.getbasetemp().parent / "sample-deliveries.lock"):
        ensure_sample(SAMPLE_CITY)
    return SAMPLE_CITY / "generated" / "truth"


def hot_cells(truth: Path, resolution: int) -> tuple[Planted, dict[str, np.ndarray]]:
    planted = Planted.read(truth, resolution)
    steps = share_steps(planted.land_area_m2, planar_areas(planted.cells, METRIC))
    places = neighbourhoods(neighbour_matrix(planted.cells), steps)
    counts = true_counts(truth, planted.cells, resolution)
    return planted, {theme: np.isin(hot_spots(count, places).codes, HOT) for theme, count in counts.items()}


@pytest.mark.parametrize("resolution", [9, 10])
def test_planted_places_are_hot_and_cells_below_the_mean_are_not(truth: Path, resolution: int):
    planted, hot = hot_cells(truth, resolution)
    assert len(planted.themes) >= 8
    for theme, flags in hot.items():
        assert flags[planted.below_mean(theme)].mean() <= 0.01, theme
    for theme in planted.themes:
        found = [flags.any() for flags in (hot[theme][own] for own in planted.cells_of_places(theme))]
        assert 3 <= len(found) <= 6
        assert all(found), theme
    if resolution == 9:
        shares = {theme: hot[theme][planted.planted(theme)] for theme in planted.themes}
        assert np.concatenate(list(shares.values())).mean() >= 0.9
        assert min(flags.mean() for flags in shares.values()) >= 0.75
