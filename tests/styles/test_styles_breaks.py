"""Limits of classes: known answers, and what holds for any data."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from styles.breaks import COUNT_SHARES, MANTISSAS, count_limits, density_limits, round_down
from styles.cells import count_classes
from styles.texts import number_text, real_interval, whole_interval
from styles.zooms import zoom_ranges


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1, 1), (9.99, 8), (10, 10), (14.9, 10), (15, 15), (1000, 1000), (0.07, 0.06), (0.0149, 0.01), (123456, 100000)],
)
def test_round_down_known(value: float, expected: float):
    assert round_down(value) == expected


@given(st.floats(1e-9, 1e12))
def test_round_down_loses_less_than_two_fifths(value: float):
    rounded = round_down(value)
    assert value * 0.6 < rounded <= value * (1 + 1e-9)
    mantissa = rounded / 10 ** math.floor(math.log10(rounded) + 1e-9)
    assert min(abs(mantissa - m) for m in (*MANTISSAS, 10.0)) < 1e-6


def test_limits_of_a_known_sample():
    # 1…100 once each: 35 % lie below 36, 60 % below 61, 80 % below 81, 92 % below 93, 98 % below 99
    assert count_limits(np.arange(1, 101)) == (1, 30, 60, 80)


@given(st.lists(st.integers(0, 10**6), max_size=200))
def test_count_limits_of_any_counts(counts: list[int]):
    limits = count_limits(counts)
    positive = [c for c in counts if c > 0]
    assert bool(limits) == bool(positive)
    assert len(limits) <= len(COUNT_SHARES)
    assert list(limits) == sorted(set(limits))
    assert limits[:1] in {(), (1,)}
    assert limits == count_limits(counts[::-1])
    if limits:
        assert limits[-1] <= max(positive)
        classes = count_classes(np.array(counts))
        assert sum(sum(c.holds(v) for c in classes) for v in counts) == len(counts)


@given(st.lists(st.floats(0, 1e5, width=32), min_size=1, max_size=200))
def test_density_limits_of_any_densities(values: list[float]):
    limits = density_limits(np.array([*values, math.nan], dtype=np.float32))
    assert bool(limits) == any(v > 0 for v in values)
    assert all(low < high for low, high in pairwise(limits))
    assert all(0 < limit <= max(values) * (1 + 1e-6) for limit in limits)


@pytest.mark.parametrize(
    ("value", "fr", "en"),
    [
        (1234567, "1\u202f234\u202f567", "1,234,567"),
        (0.5, "0,5", "0.5"),
        (1234.5, "1\u202f234,5", "1,234.5"),
        (3.0, "3", "3"),
    ],
)
def test_numbers_in_both_languages(value: float, fr: str, en: str):
    assert (number_text(value, "fr"), number_text(value, "en")) == (fr, en)


def test_labels_of_intervals():
    assert whole_interval(2, 3).fr == "2"
    assert whole_interval(2, 6).en == "2 to 5"
    assert whole_interval(6, None).fr == "6 et plus"
    assert real_interval(None, 0.5).fr == "moins de 0,5"
    assert real_interval(0.5, 2).en == "0.5 to less than 2"


@given(st.sets(st.integers(6, 10), min_size=1), st.lists(st.integers(6, 10), min_size=1, max_size=5, unique=True))
def test_each_zoom_has_one_resolution(resolutions: set[int], wished: list[int]):
    by_zoom = {4 * i: r for i, r in enumerate(sorted(wished))}
    ranges = zoom_ranges(resolutions, by_zoom)
    assert set(ranges) <= resolutions
    for zoom in range(24):
        drawn = [r for r, (low, high) in ranges.items() if low <= zoom and (high is None or zoom < high)]
        target = by_zoom[max(z for z in by_zoom if z <= zoom)]
        assert drawn == [max((r for r in resolutions if r <= target), default=min(resolutions))]


def test_a_resolution_cannot_come_back_at_a_later_zoom():
    with pytest.raises(ValueError, match="two separate ranges"):
        zoom_ranges({8, 9}, {0: 8, 10: 9, 12: 8})
