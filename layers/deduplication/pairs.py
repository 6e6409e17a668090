"""Which records may be duplicates: equal rows of a source, and records of two sources close in place and time.

The near join takes the records of one category by two sources at a time, in order of time: a sliding window gives the
candidates of each record. Where the windows are crowded (many records at one minute, spread over the city) they are cut
by square cells as wide as the distance bound, so that what is looked at stays in proportion to what matches. Two
records of one source are never looked at together, however many share a default position.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, groupby, product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from layers.errors import CalanqueError

Indices = NDArray[np.int64]
Numbers = NDArray[np.float64]

ROUNDING_M = 1e-6
"""Added to the distance bound: decimal coordinates that are the bound apart differ by a little more in binary."""

FARTHEST_M = 1e8
"""No coordinate of a projected system of the Earth is larger: beyond, a record has no place."""

CHUNK = 1 << 19
"""Candidate pairs held at once."""

CROWDED = 4
"""Candidates per record above which windows of time are cut by cells."""

MOST_PAIRS = 5_000_000
"""More pairs than that are no duplicates: positions or times are defaults, or the bounds too wide."""


class CrowdedError(CalanqueError, ValueError):
    """So many records are near one another that the bounds tell nothing."""


class NearPairs(NamedTuple):
    """Pairs of records, sorted by ``first`` then ``second``; ``first < second``."""

    first: Indices
    second: Indices
    apart: Numbers
    """Difference of starts plus distance, each in units of its bound: 0 to 2."""


def equal_rows(content: NDArray[np.uint64], source: NDArray[np.int16]) -> Indices:
    """Find the rows of a source that say the same.

    Parameters
    ----------
    content
        Hash of what a row says besides its record id, shape (n,).
    source
        Number of the source, shape (n,).

    Returns
    -------
    numpy.ndarray
        For each row the lowest index of a row of the same source with the same content: its own when there is none
        before it. Shape (n,), int64.
    """
    if not len(content):
        return np.zeros(0, dtype=np.int64)
    order = np.lexsort((source, content))  # stable: the lowest index of a group comes first
    content, source = content[order], source[order]
    begins = np.concatenate(([True], (content[1:] != content[:-1]) | (source[1:] != source[:-1])))
    first = np.empty(len(order), dtype=np.int64)
    first[order] = order[np.flatnonzero(begins)[np.cumsum(begins) - 1]]
    return first


def near_pairs(
    category: NDArray[np.int16],
    source: NDArray[np.int16],
    x_m: Numbers,
    y_m: Numbers,
    started_us: Indices,
    precise: NDArray[np.bool_],
    *,
    distance_m: float,
    minutes: float,
) -> NearPairs:
    """Find all pairs of records of one category, by two sources, close in place and in time.

    Parameters
    ----------
    category, source
        Numbers, shape (n,); a negative category is none, and is like no other.
    x_m, y_m
        Position in a metric CRS, metres, shape (n,); NaN is no place.
    started_us
        Start, microseconds since an epoch, shape (n,).
    precise
        Whether place and time are known well enough for the bounds to mean something, shape (n,).
    distance_m, minutes
        Largest distance and largest difference between starts, both included and above zero; the distance with a
        tolerance of a micrometre.

    Returns
    -------
    NearPairs
        Every such pair, once.

    Raises
    ------
    CrowdedError
        If there are more than ``MOST_PAIRS`` of them.
    """
    reach_m, wait_us = distance_m + ROUNDING_M, round(minutes * 60e6)
    located = (np.abs(x_m) < FARTHEST_M) & (np.abs(y_m) < FARTHEST_M)
    rows = np.flatnonzero(precise & located & (category >= 0))
    rows = rows[np.lexsort((started_us[rows], source[rows], category[rows]))]
    found: list[tuple[Indices, Indices, Numbers]] = []
    count = 0
    for one, other in _two_sources(rows, category, source, x_m, y_m, started_us):
        for i, j in _candidates(one, other, reach_m, wait_us):
            square_m2 = (one.x_m[i] - other.x_m[j]) ** 2 + (one.y_m[i] - other.y_m[j]) ** 2
            near = square_m2 <= reach_m**2
            if not near.any():
                continue
            i, j = i[near], j[near]  # noqa: PLW2901 (what is left of the candidates)
            waits = np.abs(one.started_us[i] - other.started_us[j]) / (minutes * 60e6)
            found.append((one.rows[i], other.rows[j], waits + np.sqrt(square_m2[near]) / distance_m))
            count += len(i)
            if count > MOST_PAIRS:
                raise CrowdedError(
                    f"deduplication.near: more than {MOST_PAIRS} pairs of records are within {distance_m:g} m and "
                    f"{minutes:g} minutes of one another; expected few: narrow the bounds, or leave out the source "
                    "whose records share a default position or time"
                )
    return _sorted(found)


@dataclass(frozen=True, slots=True)
class _Block:
    """Records of one category and one source, in order of time."""

    rows: Indices
    x_m: Numbers
    y_m: Numbers
    started_us: Indices


def _two_sources(
    rows: Indices,
    category: NDArray[np.int16],
    source: NDArray[np.int16],
    x_m: Numbers,
    y_m: Numbers,
    started_us: Indices,
) -> Iterator[tuple[_Block, _Block]]:
    """Yield each two blocks of one category; ``rows`` are in order of category, source and time."""
    categories, sources = category[rows], source[rows]
    cuts = np.flatnonzero((categories[1:] != categories[:-1]) | (sources[1:] != sources[:-1])) + 1
    limits = zip([0, *cuts.tolist()], [*cuts.tolist(), len(rows)], strict=True)
    for _, spans in groupby((s for s in limits if s[0] < s[1]), key=lambda span: int(categories[span[0]])):
        parts = [rows[begin:end] for begin, end in spans]
        if len(parts) > 1:
            yield from combinations([_Block(part, x_m[part], y_m[part], started_us[part]) for part in parts], 2)


def _candidates(one: _Block, other: _Block, reach_m: float, wait_us: int) -> Iterator[tuple[Indices, Indices]]:
    """Yield positions in the two blocks whose starts are near, and whose places may be."""
    low = np.searchsorted(other.started_us, one.started_us - wait_us, side="left")
    high = np.searchsorted(other.started_us, one.started_us + wait_us, side="right")
    met = np.flatnonzero(high > low)
    low, high = low[met], high[met]
    if int((high - low).sum()) <= CROWDED * (len(one.rows) + len(other.rows)):
        for which, position in _expanded(low, high):
            yield met[which], position
    else:
        yield from _in_cells(one, other, reach_m, (met, low, high))


def _in_cells(
    one: _Block, other: _Block, reach_m: float, windows: tuple[Indices, Indices, Indices]
) -> Iterator[tuple[Indices, Indices]]:
    """Yield the candidates of windows of time that are in the same cell or in one of the eight around."""
    met, low, high = windows
    # A little wider than the reach, so that no rounding puts two near places two cells apart; and not so small that
    # numbers of cells would overflow.
    side_m = max(reach_m * 1.001, 1.0)
    left_m, bottom_m = min(one.x_m.min(), other.x_m.min()), min(one.y_m.min(), other.y_m.min())
    rows_of_cells = int((max(one.y_m.max(), other.y_m.max()) - bottom_m) / side_m) + 3

    def cell(x_m: Numbers, y_m: Numbers) -> Indices:
        across = np.floor((x_m - left_m) / side_m).astype(np.int64) + 1
        return across * rows_of_cells + np.floor((y_m - bottom_m) / side_m).astype(np.int64) + 1

    cells, of_other = np.unique(cell(other.x_m, other.y_m), return_inverse=True)
    # A cell and a place in the order of time make one sorted number: a window of time in a cell is a range of numbers.
    width = len(other.rows) + 1
    number = of_other * width + np.arange(len(other.rows))
    order = np.argsort(number, kind="stable")
    number = number[order]
    home = cell(one.x_m[met], one.y_m[met])
    for across, along in product((-1, 0, 1), repeat=2):
        target = home + across * rows_of_cells + along
        slot = np.minimum(np.searchsorted(cells, target), len(cells) - 1)
        there = np.flatnonzero(cells[slot] == target)
        base = slot[there] * width
        begin, end = np.searchsorted(number, base + low[there]), np.searchsorted(number, base + high[there])
        for which, position in _expanded(begin, end):
            yield met[there[which]], order[position]


def _expanded(low: Indices, high: Indices) -> Iterator[tuple[Indices, Indices]]:
    """Yield every position of every window ``low`` ≤ position < ``high`` with the window's number, a chunk at a time.

    Chunks cut windows where they must: what is held does not grow with the largest window.
    """
    ends = np.cumsum(high - low)
    total = int(ends[-1]) if len(ends) else 0
    for begin in range(0, total, CHUNK):
        flat = np.arange(begin, min(begin + CHUNK, total), dtype=np.int64)
        which = np.searchsorted(ends, flat, side="right")
        yield which, high[which] - ends[which] + flat


def _sorted(found: list[tuple[Indices, Indices, Numbers]]) -> NearPairs:
    if not found:
        return NearPairs(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0))
    one, other, apart = (np.concatenate(part) for part in zip(*found, strict=True))
    first, second = np.minimum(one, other), np.maximum(one, other)
    order = np.lexsort((second, first))
    return NearPairs(first[order], second[order], apart[order])
