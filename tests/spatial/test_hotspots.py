"""Gi*, q-values and classes against published numbers and other implementations."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from spatial.classes import CLASSES
from spatial.errors import StatisticError
from spatial.exact_tail import Tails
from spatial.hotspots import benjamini_hochberg, classify, gi_star, hot_spots
from spatial.neighbourhoods import neighbourhoods
from support.city_on_land import LandCells

SIX_POINTS = np.array([(10, 10), (20, 10), (40, 10), (15, 20), (30, 20), (30, 30)], dtype=float)
SIX_VALUES = np.array([2, 3, 3.2, 5, 8, 7])
"""Example of the documentation of PySAL's G statistics, distance band 15."""


def within(points: np.ndarray, distance: float) -> sp.csr_array:
    gaps = np.hypot(*(points[:, None, :] - points[None, :, :]).transpose(2, 0, 1))
    return sp.csr_array((gaps <= distance).astype(float))


def with_self(pairs: pd.DataFrame, first: str, second: str, order: list) -> sp.csr_array:
    place = {key: i for i, key in enumerate(order)}
    rows, columns = pairs[first].map(place), pairs[second].map(place)
    matrix = sp.coo_array((np.ones(len(pairs)), (rows, columns)), shape=(len(order), len(order))).tocsr()
    matrix = ((matrix + matrix.T) > 0).astype(float)
    return sp.csr_array(matrix + sp.eye_array(len(order)))


def test_gi_star_of_six_points_is_that_of_spdep():
    """spdep 1.2-7, localG(include.self), binary weights."""
    expected = [-1.397276262, -0.2891776156, 0.6506496352, -0.2891776156, 1.234520884, 2.024243309]
    np.testing.assert_allclose(gi_star(SIX_VALUES, within(SIX_POINTS, 15)), expected, atol=5e-9)


@pytest.mark.parametrize(
    ("name", "pairs", "key"),
    [("columbus_CRIME", "columbus_queen", "row"), ("marseille_iris_income2011", "marseille_iris_queen", "DCOMIRIS")],
)
def test_gi_star_is_that_of_spdep_on_real_data(shared_data: Path, name: str, pairs: str, key: str):
    folder = shared_data / "known_answers" / "spdep"
    local = pd.read_csv(folder / f"{name}_local.csv", dtype={key: str})
    links = pd.read_csv(folder / f"{pairs}_pairs.csv", dtype=str)
    members = with_self(links, *links.columns, order=local[key].tolist())
    found = gi_star(local["value"].to_numpy(), members)
    np.testing.assert_allclose(found, local["Gistar_z_B"], atol=1e-10)


def test_gi_star_is_that_of_getis_and_ord_on_their_grid(shared_data: Path):
    grid = pd.read_csv(shared_data / "known_answers" / "spdep" / "getisord_localG.csv")
    points = grid[["x", "y"]].to_numpy(dtype=float)
    for distance in (30, 60, 90, 120, 150):
        found = gi_star(grid["val"].to_numpy(), within(points, distance))
        np.testing.assert_allclose(found, grid[f"Gistar_z_d{distance}"], atol=1e-10)


def test_gi_star_is_esdas_with_binary_weights_and_not_its_default():
    """Row-standardised weights give esda another, wrong, variance: the reason why the score is computed here."""
    from esda.getisord import G_Local
    from libpysal.graph import Graph

    rng = np.random.default_rng(4)
    points, values = rng.uniform(0, 10, (150, 2)), rng.poisson(3, 150).astype(float)
    members = within(points, 1.5)
    graph = Graph.from_sparse(sp.csr_array(members - sp.eye_array(150)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = gi_star(values, members)
        np.testing.assert_allclose(
            G_Local(values, graph, transform="B", star=True, permutations=0).Zs, ours, atol=1e-12
        )
        assert np.abs(G_Local(values, graph, transform="R", star=True, permutations=0).Zs - ours).max() > 0.5


def test_every_slice_is_scored_as_if_alone():
    rng = np.random.default_rng(5)
    values = rng.poisson(2, (6, 3))
    members = within(SIX_POINTS, 15)
    together = gi_star(values, members)
    for i in range(3):
        np.testing.assert_allclose(together[:, i], gi_star(values[:, i], members), atol=1e-14)


def test_no_score_where_nothing_varies_or_all_are_neighbours():
    assert np.isnan(gi_star(np.full(6, 4.0), within(SIX_POINTS, 15))).all()
    assert np.isnan(gi_star(SIX_VALUES, within(SIX_POINTS, 1000))).all()


def test_q_values_are_those_of_p_adjust():
    """R: p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "BH") is 0.05 five times; the second row is Benjamini and
    Hochberg's own example (1995, section 3.2), whose first four of 15 are rejected at 5 %."""
    np.testing.assert_allclose(benjamini_hochberg(np.array([0.01, 0.02, 0.03, 0.04, 0.05])), [0.05] * 5)
    example = [
        0.0001,
        0.0004,
        0.0019,
        0.0095,
        0.0201,
        0.0278,
        0.0298,
        0.0344,
        0.0459,
        0.3240,
        0.4262,
        0.5719,
        0.6528,
        0.7590,
        1.0,
    ]
    q = benjamini_hochberg(np.array(example))
    assert (q <= 0.05).sum() == 4
    np.testing.assert_allclose(q[:5], [0.0015, 0.003, 0.0095, 0.035625, 0.0603])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_q_values_are_scipys_and_ignore_what_is_not_tested(p: list[float]):
    values = np.array(p)
    np.testing.assert_allclose(benjamini_hochberg(values), scipy.stats.false_discovery_control(values), atol=1e-12)
    spaced = np.full(2 * len(p), np.nan)
    spaced[::2] = values
    np.testing.assert_array_equal(benjamini_hochberg(spaced)[::2], benjamini_hochberg(values))
    assert np.isnan(benjamini_hochberg(spaced)[1::2]).all()


def test_probabilities_outside_zero_to_one_are_refused():
    with pytest.raises(StatisticError, match="expected 0 to 1"):
        benjamini_hochberg(np.array([0.2, 1.999]))


def test_classes_follow_q_and_the_smaller_tail():
    tails = Tails(
        upper=np.array([0.001, 0.01, 0.3, 0.99, 0.999, np.nan]), lower=np.array([0.999, 0.99, 0.7, 0.01, 0.001, np.nan])
    )
    q = np.array([0.01, 0.05, 0.0501, 0.02, 0.001, np.nan])
    codes = classify(tails, q)
    assert codes.tolist() == [0, 1, 2, 3, 4, -1]
    assert [CLASSES[c] for c in codes[:-1]] == ["hot_q01", "hot_q05", "ns", "cold_q05", "cold_q01"]


def test_a_slice_without_incidents_says_nothing():
    places = neighbourhoods(sp.csr_array((40, 40)), np.full(40, 20))
    found = hot_spots(np.zeros(40, dtype=np.int64), places)
    assert np.isnan(found.z).all()
    assert (found.p == 1).all()
    assert (found.codes == CLASSES.index("ns")).all()


def test_land_alone_makes_the_score(land_cells: dict[int, LandCells]):
    """Cells without land neither get a score nor change the others'."""
    cells = land_cells[9]
    rng = np.random.default_rng(6)
    counts = cells.null_counts(20_000, rng)
    drowned = cells.places.steps.copy()
    drowned[::7] = 0
    adjacency = sp.csr_array(cells.places.members - sp.eye_array(len(counts), dtype=np.int64))
    found = hot_spots(counts, neighbourhoods(adjacency, drowned))
    kept = drowned > 0
    alone = hot_spots(counts[kept], neighbourhoods(adjacency[kept][:, kept], drowned[kept]))
    for name in ("z", "p", "q", "codes"):
        np.testing.assert_array_equal(getattr(found, name)[kept], getattr(alone, name))
    assert np.isnan(found.z[~kept]).all()
    assert (found.codes[~kept] == -1).all()
