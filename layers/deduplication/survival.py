"""Which record stays when several are one: equal rows first, then near records, best pairs first.

Near records are joined by a greedy agglomeration under two constraints: a cluster holds at most one record of each
source, and its survivor makes a near pair with every other member, so that no chain of small steps joins records that
are far apart. The pairs are taken best first, but many at once: a pair that comes before every other pair of both its
clusters can be decided now, for no pair that comes earlier touches them. The result is that of taking them one by one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from layers.deduplication.pairs import NearPairs

Indices = NDArray[np.int64]

MOST_SOURCES = 64
"""Sources of a cluster are the bits of one integer."""


def survivors(
    n: int,
    equal: Indices | None,
    pairs: NearPairs | None,
    *,
    trust: NDArray[np.int16],
    started_us: Indices,
    key: NDArray[np.uint64],
) -> Indices:
    """Decide which record each record is merged into.

    Equal rows come first: the one that started earliest stays, then that of the lowest key. Among those that stay,
    near records of different sources are joined; the survivor is that of the most trusted source, then the earliest,
    then that of the lowest key. Pairs are taken in the order of how far they are apart, then of a mix of both keys
    (so that a heap of records at one place and minute is matched evenly), then of the keys.

    Parameters
    ----------
    n
        Number of records.
    equal
        What ``equal_rows`` says, for the sources that ask for it; every other row is its own. Or None.
    pairs
        What ``near_pairs`` says. Or None.
    trust
        Rank of the source, 0 the most trusted, one rank per source, shape (n,). Read only of records in ``pairs``.
    started_us
        Start, microseconds since an epoch, shape (n,).
    key
        Unique and of the record, not of its place in the arrays (its id), shape (n,).

    Returns
    -------
    numpy.ndarray
        Index of the record that stays, shape (n,), int64: its own where it is not merged, and always its own for a
        record that stays. It does not depend on the order of the records.

    Raises
    ------
    ValueError
        If ``pairs`` are of more than ``MOST_SOURCES`` sources.
    """
    survivor = np.arange(n, dtype=np.int64)
    if equal is not None:
        _merge_equal(survivor, equal, started_us, key)
    if pairs is None:
        return survivor
    stay = (survivor[pairs.first] == pairs.first) & (survivor[pairs.second] == pairs.second)
    if stay.any():
        _merge_near(survivor, NearPairs(*(part[stay] for part in pairs)), trust, started_us, key)
    # Equal rows whose survivor was merged in its turn follow it: they are where it is.
    return survivor[survivor]


def _merge_equal(survivor: Indices, equal: Indices, started_us: Indices, key: NDArray[np.uint64]) -> None:
    """Give each group of equal rows its survivor, in place."""
    again = np.flatnonzero(equal != survivor)
    rows = np.union1d(again, equal[again])
    rows = rows[np.lexsort((key[rows], started_us[rows], equal[rows]))]
    group = equal[rows]
    begins = np.concatenate(([True], group[1:] != group[:-1]))[: len(rows)]
    survivor[rows] = rows[begins][np.cumsum(begins) - 1]


def _merge_near(
    survivor: Indices, pairs: NearPairs, trust: NDArray[np.int16], started_us: Indices, key: NDArray[np.uint64]
) -> None:
    """Join near records, in place; only those that are in a pair are held."""
    rows, ends = np.unique(np.concatenate((pairs.first, pairs.second)), return_inverse=True)
    one, other = np.split(ends, 2)
    ranks, source = np.unique(trust[rows], return_inverse=True)
    if len(ranks) > MOST_SOURCES:
        raise ValueError(f"near duplicates of {len(ranks)} sources; expected at most {MOST_SOURCES}")
    standing = np.empty(len(rows), dtype=np.int64)
    standing[np.lexsort((key[rows], started_us[rows], source))] = np.arange(len(rows))
    best_first = _best_first(pairs.apart, key[rows[one]], key[rows[other]])
    clusters = _Clusters(
        standing=standing,
        codes=np.sort(_codes(one, other, len(rows))),
        survivor=np.arange(len(rows)),
        following=np.arange(len(rows)),
        sources=np.uint64(1) << source.astype(np.uint64),
    )
    clusters.join(one[best_first], other[best_first])
    survivor[rows] = rows[clusters.survivor]


def _best_first(apart: NDArray[np.float64], key: NDArray[np.uint64], other_key: NDArray[np.uint64]) -> Indices:
    low, high = np.minimum(key, other_key), np.maximum(key, other_key)
    return np.lexsort((high, low, _mixed(low ^ _mixed(high)), apart))


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """One step of SplitMix64 from each value (Steele, Lea and Flood, OOPSLA 2014); sums and products wrap."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _codes(one: Indices, other: Indices, n: int) -> Indices:
    """Make one number of each pair, whichever comes first."""
    return np.minimum(one, other) * n + np.maximum(one, other)


@dataclass(slots=True)
class _Clusters:
    """Clusters that grow. Shape (m,) each, save the codes of the pairs, which are sorted."""

    standing: Indices
    """Order of preference as a survivor, 0 the best."""
    codes: Indices
    survivor: Indices
    """Of each record, the survivor of its cluster so far, which stands for the cluster."""
    following: Indices
    """Of each record, the next of its cluster, in a circle."""
    sources: NDArray[np.uint64]
    """Of each survivor, the sources of its cluster, one bit each."""

    def join(self, one: Indices, other: Indices) -> None:
        """Take the pairs in their order, and join the clusters of the two records where the constraints allow."""
        soonest = np.empty(len(self.standing), dtype=np.int64)
        while len(one):
            left, right = self.survivor[one], self.survivor[other]
            # Clusters that share a source will always share it; those already joined share them all.
            possible = (self.sources[left] & self.sources[right]) == 0
            one, other, left, right = one[possible], other[possible], left[possible], right[possible]
            place = np.arange(len(one))
            soonest[left] = soonest[right] = len(one)
            np.minimum.at(soonest, left, place)
            np.minimum.at(soonest, right, place)
            now = (soonest[left] == place) & (soonest[right] == place)
            self._decide(left[now], right[now])
            one, other = one[~now], other[~now]

    def _decide(self, left: Indices, right: Indices) -> None:
        """Join pairs of clusters where the better survivor makes a pair with every record of the other cluster."""
        left_stays = self.standing[left] < self.standing[right]
        best, lost = np.where(left_stays, left, right), np.where(left_stays, right, left)
        holds = np.ones(len(best), dtype=np.bool_)
        member, going = lost.copy(), np.arange(len(lost))
        while len(going):
            holds[going] = self._paired(best[going], member[going])
            member[going] = self.following[member[going]]
            going = going[holds[going] & (member[going] != lost[going])]
        best, lost = best[holds], lost[holds]
        member, going = lost.copy(), np.arange(len(lost))
        while len(going):
            self.survivor[member[going]] = best[going]
            member[going] = self.following[member[going]]
            going = going[member[going] != lost[going]]
        self.sources[best] |= self.sources[lost]
        # Two circles become one when two of their links are exchanged.
        self.following[best], self.following[lost] = self.following[lost], self.following[best]

    def _paired(self, one: Indices, other: Indices) -> NDArray[np.bool_]:
        code = _codes(one, other, len(self.standing))
        slot = np.minimum(np.searchsorted(self.codes, code), len(self.codes) - 1)
        return np.equal(self.codes[slot], code)
