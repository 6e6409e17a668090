"""Local times and UTC: the zone is always named, never the machine's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Localised:
    """Local times in UTC; ``shifted`` did not exist, ``ambiguous`` existed twice (masks, one per row).

    ``again`` is how much later an ambiguous time comes the second time, timedelta64[us]; zero elsewhere.
    """

    utc: NDArray[np.datetime64]
    shifted: NDArray[np.bool_]
    ambiguous: NDArray[np.bool_]
    again: NDArray[np.timedelta64]


def to_utc(local: NDArray[np.datetime64], timezone: str) -> Localised:
    """Read local clock times in a zone.

    A time that the clocks skipped is read with the offset in force before the gap, so it moves forward by the length
    of the gap (02:30 becomes 03:30); a time that they showed twice is its first occurrence. Both are what Python and
    RFC 5545 do with such times.

    Parameters
    ----------
    local
        datetime64[us], shape (n,), NaT where unknown.
    timezone
        IANA name.

    Returns
    -------
    Localised
        UTC, datetime64[us], shape (n,), NaT where unknown.
    """
    index = pd.DatetimeIndex(np.asarray(local, dtype="datetime64[us]"))
    first = np.ones(len(index), dtype=bool)
    known = ~np.asarray(index.isna())
    zoned = index.tz_localize(timezone, ambiguous=first, nonexistent="NaT")
    utc = np.array(zoned.tz_convert("UTC").tz_localize(None).to_numpy(), dtype="datetime64[us]")
    shifted = known & np.isnat(utc)
    if shifted.any():
        gap = index[shifted]
        before = gap.tz_localize(timezone, ambiguous=first[shifted], nonexistent="shift_backward")
        offset = before.tz_localize(None) - before.tz_convert("UTC").tz_localize(None)
        # shift_backward lands a nanosecond-scale step before the gap: its offset is exact to the second.
        utc[shifted] = (gap - offset.round("s")).to_numpy().astype("datetime64[us]")
    once = index.tz_localize(timezone, ambiguous="NaT", nonexistent="shift_forward")
    ambiguous = known & np.asarray(once.isna())
    again = np.zeros(len(index), dtype="timedelta64[us]")
    if ambiguous.any():
        second = index[ambiguous].tz_localize(timezone, ambiguous=~first[ambiguous])
        again[ambiguous] = second.tz_convert("UTC").tz_localize(None).to_numpy() - utc[ambiguous]
    return Localised(utc, shifted, ambiguous, again)


def local_time(utc: NDArray[np.datetime64], timezone: str) -> NDArray[np.datetime64]:
    """Clock time in a zone, datetime64[us], of instants in UTC, datetime64[us]."""
    index = pd.DatetimeIndex(np.asarray(utc, dtype="datetime64[us]")).tz_localize("UTC")
    return np.asarray(index.tz_convert(timezone).tz_localize(None).to_numpy(), dtype="datetime64[us]")
