"""Positions that are suspiciously round or suspiciously common."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_BUCKETS = 1 << 16
_LARGEST_BUCKETS = 8
_DEGREES = 1e5
"""Positions are compared to five decimals of a degree, about a metre."""
_LATITUDE_BITS = 25
_LATITUDE_MASK = (1 << _LATITUDE_BITS) - 1
_LATITUDE_ORIGIN = 1 << (_LATITUDE_BITS - 1)
_ODD = np.int64(0x9E3779B97F4A7C15 - (1 << 64))
"""Multiplier of Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4)."""
_HASH_SHIFT = 40


def are_coarse(
    lon: NDArray[np.float64], lat: NDArray[np.float64], metric: Sequence[NDArray[np.float64]]
) -> NDArray[np.bool_]:
    """Tell which coordinates are rounded to about a hundred metres.

    Parameters
    ----------
    lon, lat
        Degrees, shape (n,).
    metric
        Both metric coordinates in metres, or nothing.

    Returns
    -------
    numpy.ndarray
        True where both degrees have at most three decimals, or both metric coordinates are multiples of 100 m. One
        exact position in ten thousand looks like that by chance (five decimals, or whole metres).
    """
    coarse = _multiples(lon, 1e3, 1e-6) & _multiples(lat, 1e3, 1e-6)
    if len(metric) == 2:
        # A millimetre: coordinates that were delivered in degrees never fall on such a lattice.
        coarse |= _multiples(metric[0], 0.01, 1e-5) & _multiples(metric[1], 0.01, 1e-5)
    return coarse


def _multiples(values: NDArray[np.float64], per_unit: float, tolerance: float) -> NDArray[np.bool_]:
    scaled = values * per_unit
    near: NDArray[np.bool_] = np.abs(scaled - np.rint(scaled)) < tolerance
    return near


def commonest_positions(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> list[tuple[tuple[float, float], int]]:
    """Find the positions at which most records lie, without sorting them all.

    Positions fall into 65,536 buckets by a hash; those of the fullest buckets are counted exactly. A position that
    holds a noticeable share of a batch is always among them; of nearly equal ones, some may be missed.

    Parameters
    ----------
    lon, lat
        Degrees, finite, shape (n,).

    Returns
    -------
    list of ((lon, lat), number)
        Positions held by more than one record, to five decimals, commonest first.
    """
    east = np.rint(lon * _DEGREES).astype(np.int64)
    north = np.rint(lat * _DEGREES).astype(np.int64)
    # Five decimals of a latitude need 25 bits with their sign: one integer holds the pair.
    place = (east << _LATITUDE_BITS) + north + _LATITUDE_ORIGIN
    bucket = (place * _ODD >> _HASH_SHIFT) & (_BUCKETS - 1)
    sizes = np.bincount(bucket, minlength=_BUCKETS)
    mean = len(lon) / _BUCKETS
    fullest = np.flatnonzero(sizes > 1 + mean + 6 * np.sqrt(mean))
    fullest = fullest[np.argsort(-sizes[fullest], kind="stable")][:_LARGEST_BUCKETS]
    chosen = np.zeros(_BUCKETS, dtype=bool)
    chosen[fullest] = True
    places, numbers = np.unique(place[chosen[bucket]], return_counts=True)
    found = [
        (((key >> _LATITUDE_BITS) / _DEGREES, ((key & _LATITUDE_MASK) - _LATITUDE_ORIGIN) / _DEGREES), number)
        for key, number in zip(places.tolist(), numbers.tolist(), strict=True)
        if number > 1
    ]
    return sorted(found, key=lambda item: (-item[1], item[0]))[:_LARGEST_BUCKETS]
