"""Instants counted by local day, hour and minute, fast enough to be done for every batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from layers.clock import local_time

_US_PER_HOUR = 3_600_000_000
_US_PER_DAY = 24 * _US_PER_HOUR
_US_PER_MINUTE = 60_000_000
_LONGEST_TABLE_DAYS = 200_000
"""Five centuries: beyond, dates are faults and a table of every day would cost more than it saves."""


@dataclass(frozen=True, slots=True)
class ClockCounts:
    """Local days (days since 1970-01-01) → records; records by local hour; records on round minutes."""

    days: dict[int, int]
    hours: NDArray[np.int64]
    minutes: dict[str, int]


def count_clock(started: NDArray[np.datetime64], timed: NDArray[np.bool_], timezone: str) -> ClockCounts:
    """Count instants by the clock of a zone.

    Parameters
    ----------
    started
        UTC, datetime64[us], shape (n,), all known.
    timed
        Whether the hour is known, shape (n,); days are counted for all, hours and minutes for these.
    timezone
        IANA name.

    Returns
    -------
    ClockCounts
        ``minutes`` has ``midnight`` (00:00), ``hour`` (minute 0, midnight apart), ``half`` (minute 30) and ``other``.
    """
    if not len(started):
        return ClockCounts({}, np.zeros(24, dtype=np.int64), {})
    local = _local_us(started.astype(np.int64), timezone)
    day = local // _US_PER_DAY
    first = int(day.min())
    if int(day.max()) - first < _LONGEST_TABLE_DAYS:
        numbers = np.bincount(day - first)
        present = np.flatnonzero(numbers)
        days = dict(zip((present + first).tolist(), numbers[present].tolist(), strict=True))
    else:
        values, counts = np.unique(day, return_counts=True)
        days = dict(zip(values.tolist(), counts.tolist(), strict=True))
    # Minutes of the day of the records whose hour is known.
    minute = ((local - day * _US_PER_DAY) // _US_PER_MINUTE)[timed]
    by_minute = np.bincount(minute, minlength=1440).reshape(24, 60)
    midnight, on_hour, half = int(by_minute[0, 0]), int(by_minute[:, 0].sum()), int(by_minute[:, 30].sum())
    minutes = {
        "midnight": midnight,
        "hour": on_hour - midnight,
        "half": half,
        "other": int(by_minute.sum()) - on_hour - half,
    }
    return ClockCounts(days, by_minute.sum(axis=1), minutes)


def _local_us(utc_us: NDArray[np.int64], timezone: str) -> NDArray[np.int64]:
    """Local clock time in microseconds: the offset is looked up by UTC day, save on the days when it changes."""
    day = utc_us // _US_PER_DAY
    first, last = int(day.min()), int(day.max())
    if last - first >= _LONGEST_TABLE_DAYS:
        return local_time(utc_us.astype("datetime64[us]"), timezone).astype(np.int64)
    bounds = np.arange(first, last + 2, dtype=np.int64) * _US_PER_DAY
    offsets = local_time(bounds.astype("datetime64[us]"), timezone).astype(np.int64) - bounds
    local: NDArray[np.int64] = utc_us + offsets[day - first]
    changing = (offsets[:-1] != offsets[1:])[day - first]
    if changing.any():
        local[changing] = local_time(utc_us[changing].astype("datetime64[us]"), timezone).astype(np.int64)
    return local
