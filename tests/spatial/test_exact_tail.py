"""The exact tail against exact arithmetic, against draws, and at its edges."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from spatial.errors import StatisticError
from spatial.exact_tail import P_FLOOR, Tails, _by_tilting, _by_transform, exact_tails, reference_distribution, thinned
from spatial.neighbourhoods import SHARE_STEPS, neighbourhoods, share_steps
from support.city_on_land import LandCells


def exact_thinned(distribution: list[Fraction], share: Fraction) -> list[Fraction]:
    result = [Fraction(0)] * len(distribution)
    for n, probability in enumerate(distribution):
        for k in range(n + 1):
            result[k] += probability * comb(n, k) * share**k * (1 - share) ** (n - k)
    return result


def exact_sum(distribution: list[Fraction], steps: list[int]) -> list[Fraction]:
    total = [Fraction(1)]
    for step in steps:
        own = exact_thinned(distribution, Fraction(step, SHARE_STEPS))
        new = [Fraction(0)] * (len(total) + len(own) - 1)
        for i, a in enumerate(total):
            for j, b in enumerate(own):
                new[i + j] += a * b
        total = new
    return total


def pattern_of(steps: list[int]) -> np.ndarray:
    return np.bincount(steps, minlength=SHARE_STEPS + 1)[None, :]


def tails_of(values: list[int], steps: list[int], observed: list[int]) -> tuple[np.ndarray, np.ndarray]:
    rows = thinned(np.bincount(values) / len(values))
    pairs = np.array([[0, s] for s in observed])
    return _by_transform(rows, pattern_of(steps), pairs)


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.integers(0, 9), min_size=2, max_size=12),
    steps=st.lists(st.integers(1, SHARE_STEPS), min_size=1, max_size=7),
)
def test_tails_are_those_of_rational_arithmetic(values: list[int], steps: list[int]):
    exact = exact_sum([Fraction(c, len(values)) for c in np.bincount(values).tolist()], steps)
    upper, lower = tails_of(values, steps, list(range(len(exact) + 1)))
    for s in range(len(exact) + 1):
        assert upper[s] == pytest.approx(float(sum(exact[s:])), abs=1e-14)
        assert lower[s] == pytest.approx(float(sum(exact[: s + 1])), abs=1e-14)


@pytest.mark.parametrize("steps", [[20] * 7, [20, 20, 13, 7, 1], [3, 3, 2]])
def test_the_smallest_tails_keep_their_relative_precision(steps: list[int]):
    values = [0] * 400 + [1] * 60 + [2] * 20 + [5] * 4 + [17]
    exact = exact_sum([Fraction(c, len(values)) for c in np.bincount(values).tolist()], steps)
    rows = thinned(np.bincount(values) / len(values))
    counts = [s for s in range(1, len(exact)) if 0 < sum(exact[s:]) < Fraction(1, 10**6)]
    assert len(counts) > 10
    found = _by_tilting(rows, pattern_of(steps), np.array([[0, s] for s in counts]), side=1)
    expected = np.array([float(sum(exact[s:])) for s in counts])
    assert expected.min() < 1e-15
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_lower_tails_keep_their_relative_precision_too():
    values = list(range(30, 70)) * 3 + [2]
    exact = exact_sum([Fraction(c, len(values)) for c in np.bincount(values).tolist()], [20] * 7)
    counts = [14, 40, 80, 120]
    found = _by_tilting(
        thinned(np.bincount(values) / len(values)), pattern_of([20] * 7), np.array([[0, s] for s in counts]), side=-1
    )
    expected = np.array([float(sum(exact[: s + 1])) for s in counts])
    assert expected[0] < 1e-14
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_where_both_ways_of_computing_are_precise_they_agree(land_cells: dict[int, LandCells]):
    rng = np.random.default_rng(11)
    cells = land_cells[9]
    counts = rng.poisson(cells.land_area_m2 / 1e5 * rng.gamma(0.3, 20 / 0.3, cells.cells.size))
    rows = thinned(reference_distribution(counts, cells.places.whole))
    observed = cells.places.sums(counts)
    land = cells.places.pattern_of >= 0
    pairs = np.unique(np.column_stack([cells.places.pattern_of[land], observed[land]]), axis=0)
    upper, lower = _by_transform(rows, cells.places.patterns, pairs)
    for tail, side in ((upper, 1), (lower, -1)):
        chosen = np.flatnonzero((tail > 1e-8) & (tail < 1e-2))[:200]
        assert chosen.size > 10
        np.testing.assert_allclose(
            _by_tilting(rows, cells.places.patterns, pairs[chosen], side=side), tail[chosen], rtol=1e-6
        )


def test_p_is_that_of_twenty_thousand_draws_on_two_hundred_cells(land_cells: dict[int, LandCells]):
    """Naive draws from the same reference: every member drawn from whole cells, then thinned record by record."""
    rng = np.random.default_rng(20260101)
    cells = land_cells[9]
    places = cells.places
    counts = rng.poisson(cells.land_area_m2 / cells.land_area_m2.sum() * 30_000 * rng.gamma(2.0, 0.5, cells.cells.size))
    tails = exact_tails(counts, places)
    pool = counts[places.whole]
    coastal = np.flatnonzero(places.on_land & ~places.whole)
    chosen = np.concatenate(
        [rng.choice(coastal, 100, replace=False), rng.choice(np.flatnonzero(places.whole), 100, replace=False)]
    )
    draws = 20_000
    scores = []
    for cell in chosen:
        members = places.members[[cell]].indices
        drawn = np.zeros(draws, dtype=np.int64)
        for share in places.steps[members] / SHARE_STEPS:
            drawn += rng.binomial(rng.choice(pool, draws), share)
        observed = counts[members].sum()
        for tail, hits in (
            (tails.upper[cell], (drawn >= observed).mean()),
            (tails.lower[cell], (drawn <= observed).mean()),
        ):
            error = np.sqrt(max(tail * (1 - tail), 1 / draws) / draws)
            scores.append((hits - tail) / error)
    assert np.abs(scores).max() < 4.5  # 400 normal scores: P < 0.003
    assert np.std(scores) < 1.15


def test_a_sliver_of_land_is_no_certainty():
    """One record in a cell with 0.01 % of land is rare, not impossible; without land there is no p."""
    steps = share_steps([1e6] * 60 + [100.0, 0.0], [1e6] * 62)
    assert steps[-2:].tolist() == [1, 0]
    places = neighbourhoods(sp.csr_array((62, 62)), steps)
    counts = np.array([0, 1, 2] * 20 + [1, 0])
    tails = exact_tails(counts, places)
    expected = 1 - (1 / 3 + 0.95 / 3 + 0.95**2 / 3)
    assert tails.upper[60] == pytest.approx(expected, rel=1e-12)
    assert np.isnan([tails.upper[61], tails.lower[61], tails.p[61]]).all()


def test_no_p_is_below_the_floor_and_impossible_counts_have_it():
    """A cut cell may hold more than any whole cell: its upper tail is 0, its p the floor."""
    steps = np.array([20] * 50 + [10])
    counts = np.array([0, 1] * 25 + [9])
    tails = exact_tails(counts, neighbourhoods(sp.csr_array((51, 51)), steps))
    assert tails.upper[50] == 0.0
    assert tails.p[50] == P_FLOOR
    assert tails.p.min() == P_FLOOR


def test_p_is_twice_the_smaller_tail_and_at_most_one():
    tails = Tails(upper=np.array([0.7, 0.02, 1.0, np.nan]), lower=np.array([0.6, 0.99, 1.0, np.nan]))
    np.testing.assert_allclose(tails.p, [1.0, 0.04, 1.0, np.nan])


def test_a_city_with_too_little_whole_land_is_refused():
    with pytest.raises(StatisticError, match="only 5 cells are whole on land, at least 30"):
        reference_distribution(np.ones(50, dtype=np.int64), np.arange(50) < 5)


def test_members_are_the_cell_and_its_neighbours_on_land():
    ring = sp.csr_array(np.array([[0, 1, 1], [1, 0, 0], [1, 0, 0]]))
    places = neighbourhoods(ring, np.array([20, 0, 7]))
    assert places.members.todense().tolist() == [[1, 0, 1], [0, 0, 0], [1, 0, 1]]
    assert places.pattern_of.tolist() == [0, -1, 0]
    assert np.flatnonzero(places.patterns[0]).tolist() == [7, 20]
    assert places.sums(np.array([3, 50, 4])).tolist() == [7, 0, 7]


@pytest.mark.parametrize(("land", "area"), [([1.0, np.nan], [1.0, 1.0]), ([-1.0], [1.0]), ([0.0], [0.0])])
def test_impossible_areas_are_refused(land: list[float], area: list[float]):
    with pytest.raises(StatisticError, match="areas that are not finite and positive"):
        share_steps(land, area)
