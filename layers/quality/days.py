"""Records by day: the usual rate, how much it varies, and the days on which records are missing.

A gap is a run of days without any record that is improbable given the days around it. The expectation of each day is
the median of the same weekdays in the eight weeks before the run, or in the eight after it where that is less: it
follows the season, does not feel other gaps, and the thin beginning or end of a source is no gap. A day's count is
taken for negative binomial with the source's own overdispersion (Poisson where it is 1); a run is reported when its
probability, times the number of days looked at (Bonferroni), is below 1 %.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

ALPHA: Final = 0.01
_TRIMMED = 0.005
"""Share of records at either end that may be stragglers: dates typed wrong, old facts reported late."""
_APART_DAYS = 14
_AROUND_DAYS = 56
_LEAST_DAYS = 14
_LONGEST_WINDOW_DAYS = 40_000
"""A century: a source that spans more is no series of days."""


@dataclass(frozen=True, slots=True)
class Days:
    """Consecutive local days from ``first``, and the records of each."""

    first: dt.date
    counts: NDArray[np.int64]

    def date(self, position: int) -> dt.date:
        """Date of a position."""
        return self.first + dt.timedelta(days=position)

    @property
    def weekday(self) -> NDArray[np.int64]:
        """Day of week of each position, Monday 0."""
        return (np.arange(len(self.counts)) + self.first.weekday()) % 7


@dataclass(frozen=True, slots=True)
class Gap:
    """Days without a record, both included, and how many records were expected there."""

    start: dt.date
    end: dt.date
    expected: float

    @property
    def days(self) -> int:
        """Number of days."""
        return (self.end - self.start).days + 1

    @property
    def whole_months(self) -> tuple[str, ...]:
        """Calendar months that are wholly missing, ``2024-05``."""
        day, months = self.start.replace(day=1), []
        while day <= self.end:
            following = (day + dt.timedelta(days=32)).replace(day=1)
            if day >= self.start and following - dt.timedelta(days=1) <= self.end:
                months.append(f"{day:%Y-%m}")
            day = following
        return tuple(months)

    def document(self) -> dict[str, Any]:
        """Return the gap as JSON values."""
        return {
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "days": self.days,
            "expected": round(self.expected, 1),
            "months": list(self.whole_months),
        }


def central_days(days: Mapping[str, int]) -> Days | None:
    """Lay out the days that hold all records but stragglers: at most half a percent at either end, and set apart.

    Returns
    -------
    Days or None
        None without records, or when the middle of them spans more than a century.
    """
    if not days:
        return None
    dates = sorted(days)
    numbers = np.array([dt.date.fromisoformat(date).toordinal() for date in dates])
    cumulated = np.cumsum([days[date] for date in dates])
    total = int(cumulated[-1])
    low = int(np.searchsorted(cumulated, _TRIMMED * total, side="right"))
    high = int(np.searchsorted(cumulated, (1 - _TRIMMED) * total, side="left"))
    # A straggler lies apart: what follows on without a break belongs to the series.
    while low > 0 and numbers[low] - numbers[low - 1] <= _APART_DAYS:
        low -= 1
    while high < len(dates) - 1 and numbers[high + 1] - numbers[high] <= _APART_DAYS:
        high += 1
    length = int(numbers[high] - numbers[low]) + 1
    if length > _LONGEST_WINDOW_DAYS:
        return None
    counts = np.zeros(length, dtype=np.int64)
    counts[numbers[low : high + 1] - numbers[low]] = [days[date] for date in dates[low : high + 1]]
    return Days(dt.date.fromisoformat(dates[low]), counts)


def daily_rate(days: Days) -> float:
    """Mean number of records a day, its first and last day apart when there are others: they are seldom whole."""
    counts = days.counts[1:-1] if len(days.counts) >= _LEAST_DAYS else days.counts
    return max(float(counts.mean()), 1 / len(days.counts))


def overdispersion(days: Mapping[str, int]) -> float:
    """Variance over mean of the daily counts around the mean of their weekday, at least 1 (Pearson, quasi-Poisson)."""
    window = central_days(days)
    if window is None:
        return 1.0
    return _spread(window.counts, window.weekday)


def _spread(counts: NDArray[np.int64], weekday: NDArray[np.int64]) -> float:
    if len(counts) < _LEAST_DAYS:
        return 1.0
    totals, numbers = np.bincount(weekday, counts, minlength=7), np.bincount(weekday, minlength=7)
    mean = (totals / np.maximum(numbers, 1))[weekday]
    fitted = mean > 0
    freedom = max(1, int(fitted.sum()) - int((totals > 0).sum()))
    return max(1.0, float(((counts - mean)[fitted] ** 2 / mean[fitted]).sum() / freedom))


def find_gaps(days: Mapping[str, int], *, alpha: float = ALPHA) -> list[Gap]:
    """Find runs of days without a record that chance does not explain, in order of time.

    Parameters
    ----------
    days
        Local date (ISO 8601) → records.
    alpha
        Probability of any false gap in the whole series.
    """
    window = central_days(days)
    if window is None or len(window.counts) < _LEAST_DAYS:
        return []
    runs = _empty_runs(window.counts)
    kept = np.ones(len(window.counts), dtype=bool)
    for start, end in runs:
        # A single empty day may be chance, and belongs to the spread; a longer run would swell it.
        kept[start:end] = end - start == 1
    spread = _spread(window.counts[kept], window.weekday[kept])
    limit = math.log(alpha / len(window.counts))
    gaps = []
    for start, end in runs:
        expected = _expected(window, start, end)
        if _log_probability_of_none(expected, spread) < limit:
            gaps.append(Gap(window.date(start), window.date(end - 1), float(expected.sum())))
    return gaps


def _empty_runs(counts: NDArray[np.int64]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (counts == 0).astype(np.int8), [0]])))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def _expected(window: Days, start: int, end: int) -> NDArray[np.float64]:
    """Expectation of each day of a run, by weekday: what was usual before it, or after it where that is less."""
    sides = (slice(max(0, start - _AROUND_DAYS), start), slice(end, end + _AROUND_DAYS))
    weekday = window.weekday
    expected = []
    for side in sides:
        usual = np.array([_median(window.counts[side][weekday[side] == day].tolist()) for day in range(7)])
        expected.append(usual[weekday[start:end]])
    return min(expected, key=lambda values: float(values.sum()))


def _median(values: Sequence[int]) -> float:
    return float(np.median(values)) if values else 0.0


def _log_probability_of_none(expected: NDArray[np.float64], spread: float) -> float:
    """Natural logarithm of the probability of no record: negative binomial with variance ``spread`` × mean."""
    per_record = 1.0 if spread - 1 < 1e-9 else math.log(spread) / (spread - 1)
    return -float(expected.sum()) * per_record


def together(documents: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """Days of several deliveries of one source: of deliveries that overlap, the fuller one counts on each day."""
    joined: dict[str, int] = {}
    for days in documents:
        for date, number in days.items():
            joined[date] = max(number, joined.get(date, 0))
    return dict(sorted(joined.items()))
