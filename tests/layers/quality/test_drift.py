from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from layers.quality.days import central_days, find_gaps, overdispersion, together
from layers.quality.drift import compare, holm, homogeneity_p, total_variation
from support.made_source import MadeSource

COUNTS = st.lists(st.integers(6, 400), min_size=2, max_size=12)


def changes(before: MadeSource, after: MadeSource, **options) -> dict[str, list]:
    found: dict[str, list] = {}
    for change in compare(before.document(), after.document(), **options):
        found.setdefault(change.what, []).append(change)
    return found


@given(COUNTS, st.data())
def test_the_homogeneity_test_is_pearsons_where_no_class_is_rare(before: list[int], data: st.DataObject):
    after = data.draw(st.lists(st.integers(6, 400), min_size=len(before), max_size=len(before)))
    expected = np.outer([sum(before), sum(after)], np.add(before, after)) / (sum(before) + sum(after))
    if expected.min() >= 5:
        oracle = stats.chi2_contingency([before, after], correction=False).pvalue
        assert homogeneity_p(np.array(before, float), np.array(after, float)) == pytest.approx(oracle, rel=1e-9)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=8), st.lists(st.integers(0, 50), min_size=1, max_size=8))
def test_the_homogeneity_test_gives_a_probability_for_any_counts(one: list[int], other: list[int]):
    size = max(len(one), len(other))
    before, after = (np.array(values + [0] * (size - len(values)), float) for values in (one, other))
    assert 0 <= homogeneity_p(before, after) <= 1
    assert 0 <= total_variation(before, after) <= 1
    assert homogeneity_p(before, after) == pytest.approx(homogeneity_p(after, before))


def test_holm_adjusts_as_in_the_textbook():
    # Of four p-values 0.01, 0.04, 0.03, 0.005: multiplied by 3, 1, 2, 4 in their order and made monotonic.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_total_variation_is_the_share_that_moved():
    assert total_variation(np.array([80.0, 20.0]), np.array([5.0, 5.0])) == pytest.approx(0.3)


def test_random_halves_of_one_source_raise_no_alarm(rng: np.random.Generator):
    alarms = 0
    for _ in range(100):
        source = MadeSource.draw(rng, int(rng.choice([300, 1_500, 5_000])))
        one, other = source.halves(rng)
        alarms += bool(changes(one, other))
    assert alarms <= 5


def test_a_delivery_differs_in_nothing_from_itself(rng: np.random.Generator):
    source = MadeSource.draw(rng, 2_000)
    assert compare(source.document(), source.document(), mode="complete") == []


@pytest.mark.parametrize("hours", [2, -1, 5])
def test_a_shifted_clock_is_seen_and_measured(rng: np.random.Generator, hours: int):
    one, other = MadeSource.draw(rng, 40_000).halves(rng)
    found = changes(one, other.changed(hour=(other.hour + hours) % 24))
    assert abs(found["hours"][0].detail["shift_hours"] - hours) <= 1 if "hours" in found else abs(hours) == 1


def test_another_way_of_working_is_no_shift_of_the_clock(rng: np.random.Generator):
    one, other = MadeSource.draw(rng, 20_000).halves(rng)
    office = changes(one, other.changed(hour=rng.integers(9, 18, len(other))))["hours"][0]
    assert "shift_hours" not in office.detail


def test_a_code_that_vanishes_is_named(rng: np.random.Generator):
    one, other = MadeSource.draw(rng, 6_000).halves(rng)
    found = changes(one, other.take(np.flatnonzero(other.code != "C03")))
    assert [change.about for change in found["vanished"]] == ["C03"]
    assert set(found) == {"vanished"}


def test_a_new_code_is_named(rng: np.random.Generator):
    one, other = MadeSource.draw(rng, 6_000).halves(rng)
    renamed = np.where(other.code == "C03", "X3", other.code)
    found = changes(one, other.changed(code=renamed))
    assert [change.about for change in found["new"]] == ["X3"]
    assert [change.about for change in found["vanished"]] == ["C03"]


def test_lost_coordinates_are_seen(rng: np.random.Generator):
    one, other = MadeSource.draw(rng, 1_000).halves(rng)
    change = changes(one, other.changed(located=np.zeros(len(other), dtype=bool)))["located"][0]
    assert change.before == pytest.approx(0.97, abs=0.03)
    assert change.after == 0


def test_half_the_volume_is_seen(rng: np.random.Generator):
    one, other = MadeSource.draw(rng, 4_000).halves(rng)
    change = changes(one, other.take(np.arange(len(other) // 2)))["volume"][0]
    assert change.distance == pytest.approx(0.5, abs=0.1)


def test_refused_rows_and_empty_fields_are_seen(rng: np.random.Generator):
    one, other = MadeSource.draw(rng, 4_000).halves(rng)
    found = changes(one, other.changed(refused=rng.random(len(other)) < 0.2))
    assert found["rejected"][0].after == pytest.approx(0.2, abs=0.03)
    before, after = one.document(), other.document()
    after["filled"] = after["filled"] | {"started_at": 0}
    assert [c.about for c in compare(before, after) if c.what == "filled"] == ["started_at"]


def test_a_complete_delivery_that_shrinks_is_told_without_a_test(rng: np.random.Generator):
    source = MadeSource.draw(rng, 1_000)
    half = source.take(np.arange(500))
    assert "rows" in changes(source, half, mode="complete")
    assert "rows" not in changes(source, half, mode="increment")


def test_deliveries_without_records_are_compared_with_nothing(rng: np.random.Generator):
    empty = MadeSource.draw(rng, 0).document()
    full = MadeSource.draw(rng, 500).document()
    assert compare(empty, full) == []
    assert compare(full, empty) == []
    assert [c.what for c in compare(full, empty, mode="complete")] == ["rows"]


def series(counts: np.ndarray, first: str = "2024-01-01") -> dict[str, int]:
    start = dt.date.fromisoformat(first)
    return {(start + dt.timedelta(days=i)).isoformat(): int(n) for i, n in enumerate(counts) if n}


@pytest.mark.parametrize("mean", [0.3, 2.0, 12.0])
@pytest.mark.parametrize("made", ["evenly", "in bursts"])
def test_no_gap_is_found_where_there_is_none(rng: np.random.Generator, mean: float, made: str):
    found = 0
    for _ in range(60):
        rate = mean * (rng.gamma(3, 1 / 3, 400) if made == "in bursts" else np.ones(400))
        found += bool(find_gaps(series(rng.poisson(rate))))
    assert found <= 3


def test_a_source_that_rests_on_sundays_has_no_gap_on_sundays(rng: np.random.Generator):
    counts = rng.poisson(20, 365)
    counts[6::7] = 0
    assert find_gaps(series(counts)) == []


def test_missing_days_and_months_are_found_with_what_was_expected(rng: np.random.Generator):
    counts = rng.poisson(12, 366)
    counts[40] = 0  # 10 February
    counts[121:152] = 0  # May
    day, month = find_gaps(series(counts))
    assert (day.start.isoformat(), day.days, day.whole_months) == ("2024-02-10", 1, ())
    assert (month.start.isoformat(), month.end.isoformat()) == ("2024-05-01", "2024-05-31")
    assert month.whole_months == ("2024-05",)
    assert month.expected == pytest.approx(31 * 12, rel=0.1)


def test_a_single_quiet_day_of_a_small_source_is_no_gap_but_a_quiet_month_is(rng: np.random.Generator):
    counts = rng.poisson(1.5, 366)
    counts[200:235] = 0
    gaps = find_gaps(series(counts))
    assert len(gaps) == 1
    assert gaps[0].days >= 35


def test_the_thin_beginning_of_a_source_is_no_gap(rng: np.random.Generator):
    thin, full = rng.random(60) < 0.4, rng.poisson(20, 300)
    assert find_gaps(series(np.concatenate([thin.astype(int), full]))) == []


def test_old_dates_typed_wrong_do_not_stretch_the_series():
    days = {"1901-01-01": 1} | series(np.full(400, 5))
    window = central_days(days)
    assert window is not None
    assert window.first == dt.date(2024, 1, 1)
    assert len(window.counts) == 400
    assert find_gaps(days) == []


def test_the_series_goes_to_its_very_ends():
    window = central_days(series(np.full(1_000, 1)))
    assert window is not None
    assert len(window.counts) == 1_000
    assert central_days({}) is None


def test_overdispersion_is_one_for_poisson_and_more_for_bursts(rng: np.random.Generator):
    assert overdispersion(series(rng.poisson(20, 700))) == pytest.approx(1, abs=0.2)
    assert overdispersion(series(rng.poisson(20 * rng.gamma(5, 1 / 5, 700)))) == pytest.approx(5, rel=0.3)


def test_overlapping_deliveries_count_once_a_day():
    assert together([{"2024-01-01": 3, "2024-01-02": 4}, {"2024-01-02": 5}]) == {"2024-01-01": 3, "2024-01-02": 5}
