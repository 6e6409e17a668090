"""The exact permutation tail of a neighbourhood's count, with cells cut by the coast thinned by their share of land.

If cells are exchangeable, the count of a neighbourhood is the sum of as many draws from the city's own cells: its
distribution is a convolution, known exactly. It needs no Monte Carlo, so it has no floor, and no model of the counts,
so it respects their over-dispersion. A member of which a share *s* is land draws from the distribution of whole cells,
binomially thinned by *s*. (Draws are with replacement; without it nothing changes for a handful of cells out of
thousands, save in the farthest tail: see ``P_FLOOR``.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.special import gammaln, logsumexp

from spatial.errors import StatisticError, TooCoarseError
from spatial.neighbourhoods import SHARE_STEPS, Floats, Ints, Neighbourhoods

P_FLOOR = 1e-20
"""Smallest p that is given. That 7 given cells of 2,600 meet in a permutation has probability 6e-21: beyond that,
drawing with or without replacement decides, not the data."""

MIN_REFERENCE_CELLS = 30
"""Whole-land cells below which a city has no distribution of its own to compare with."""

_TILT_BELOW = 1e-8
"""A Fourier transform leaves errors of about 1e-15 relative to 1: a tail below this is computed again, tilted."""

_TILTS = np.geomspace(1e-4, 40.0, 96)
"""Strengths of the exponential tilt; neighbours differ by 15 %, so the mean lands well within reach of the count."""

_BLOCK = 1 << 22
"""Complex numbers transformed at a time (64 MB)."""


@dataclass(frozen=True)
class Tails:
    """Probabilities of a count at least, and at most, as large as observed. Shape (cells,); NaN without land."""

    upper: Floats
    lower: Floats

    @property
    def p(self) -> Floats:
        """Two-sided: twice the smaller tail, at most 1 and at least ``P_FLOOR``."""
        return np.asarray(np.clip(2 * np.fmin(self.upper, self.lower), P_FLOOR, 1.0))


def reference_distribution(counts: Ints, whole: NDArray[np.bool_]) -> Floats:
    """Return the distribution of counts over whole-land cells: probability of 0, 1 … max.

    Raises
    ------
    TooCoarseError
        If the whole-land cells are too few.
    StatisticError
        If a count is negative.
    """
    own = counts[whole]
    if own.size < MIN_REFERENCE_CELLS:
        raise TooCoarseError(
            f"only {own.size} cells are whole on land, at least {MIN_REFERENCE_CELLS} are needed: "
            "choose finer resolutions in [analysis.hotspots]"
        )
    if own.min() < 0:
        raise StatisticError(f"counts are not negative, and {int((own < 0).sum())} of these are")
    return np.bincount(own).astype(np.float64) / own.size


def thinned(distribution: Floats) -> Floats:
    """Thin a distribution binomially by each land share.

    Parameters
    ----------
    distribution
        Shape (k + 1,): probability of each count in a whole cell.

    Returns
    -------
    numpy.ndarray
        Shape (21, k + 1): row ``i`` is the distribution in a cell of which i/20 is land, so row 0 is certainly 0 and
        row 20 is ``distribution``.
    """
    size = distribution.size
    result = np.zeros((SHARE_STEPS + 1, size))
    result[0, 0] = 1.0
    result[SHARE_STEPS] = distribution
    log_factorial = gammaln(np.arange(size) + 1.0)
    shares = np.arange(1, SHARE_STEPS)[:, None] / SHARE_STEPS
    for n in np.flatnonzero(distribution):
        k = np.arange(n + 1)
        ways = log_factorial[n] - log_factorial[k] - log_factorial[n - k]
        binomial = np.exp(ways + k * np.log(shares) + (n - k) * np.log1p(-shares))
        result[1:SHARE_STEPS, : n + 1] += distribution[n] * binomial
    return np.asarray(result / result.sum(axis=1, keepdims=True))


def exact_tails(counts: Ints, places: Neighbourhoods) -> Tails:
    """Return both tails of every neighbourhood's count, exactly.

    Parameters
    ----------
    counts
        Shape (cells,), records on land per cell.
    places
        The cells' neighbourhoods.

    Notes
    -----
    One product of Fourier transforms per distinct pattern of land shares. Tails below 1e-8 are computed again after
    exponential tilting (the mean is moved to the count, where the transform is precise), so the relative error is
    below 1e-6 everywhere; nothing is given below ``P_FLOOR`` by :attr:`Tails.p`.

    References
    ----------
    Good (2005), Permutation, Parametric and Bootstrap Tests of Hypotheses, ch. 3 (permutation distribution of a sum).
    Siegmund (1976), Annals of Statistics 4:673–684 (exponential tilting). Rényi (1956) (thinning of a count).
    """
    rows = thinned(reference_distribution(counts, places.whole))
    observed = np.asarray(places.sums(counts))
    upper, lower = np.full(counts.size, np.nan), np.full(counts.size, np.nan)
    land = np.flatnonzero(places.pattern_of >= 0)
    # Cells that share pattern and count share their tails: a city has far fewer such pairs than cells.
    pairs, pair_of = np.unique(np.column_stack([places.pattern_of[land], observed[land]]), axis=0, return_inverse=True)
    high, low = _by_transform(rows, places.patterns, pairs)
    for tail, side in ((high, 1), (low, -1)):
        faint = np.flatnonzero(tail < _TILT_BELOW)
        tail[faint] = _by_tilting(rows, places.patterns, pairs[faint], side=side)
    upper[land], lower[land] = high[pair_of.ravel()], low[pair_of.ravel()]
    return Tails(upper=upper, lower=lower)


def _by_transform(rows: Floats, patterns: Ints, pairs: Ints) -> tuple[Floats, Floats]:
    """P(S ≥ s) and P(S ≤ s) for each (pattern, s), with an absolute error of about 1e-15."""
    upper, lower = np.zeros(len(pairs)), np.zeros(len(pairs))
    for first, sums in _convolutions(rows, patterns):
        wanted = np.flatnonzero((pairs[:, 0] >= first) & (pairs[:, 0] < first + len(sums)))
        row, count = pairs[wanted, 0] - first, pairs[wanted, 1]
        inside = count < sums.shape[1]
        at = np.minimum(count, sums.shape[1] - 1)
        upper[wanted] = np.where(inside, np.cumsum(sums[:, ::-1], axis=1)[row, sums.shape[1] - 1 - at], 0.0)
        lower[wanted] = np.where(inside, np.cumsum(sums, axis=1)[row, at], 1.0)
    return np.clip(upper, 0.0, 1.0), np.clip(lower, 0.0, 1.0)


def _convolutions(rows: Floats, patterns: Ints) -> Iterator[tuple[int, Floats]]:
    """Yield (first pattern, distributions of the sum for this and the following patterns)."""
    support = int(patterns.sum(axis=1).max(initial=1)) * (rows.shape[1] - 1) + 1
    length = scipy.fft.next_fast_len(support, real=True)
    transforms = scipy.fft.rfft(rows, n=length, axis=1)
    block = max(1, _BLOCK // transforms.shape[1])
    for first in range(0, len(patterns), block):
        some = patterns[first : first + block]
        product = np.ones((len(some), transforms.shape[1]), dtype=np.complex128)
        for step in range(1, SHARE_STEPS + 1):
            power = np.ones(transforms.shape[1], dtype=np.complex128)
            for times in range(1, int(some[:, step].max(initial=0)) + 1):
                power = power * transforms[step]
                product[some[:, step] == times] *= power
        sums = scipy.fft.irfft(product, n=length, axis=1)[:, :support]
        yield first, np.maximum(sums, 0.0)


def _by_tilting(rows: Floats, patterns: Ints, pairs: Ints, *, side: int) -> Floats:
    """Tail of each (pattern, s) on one side (1: S ≥ s, −1: S ≤ s), precise however small it is.

    With f_θ(k) = f(k) e^{θk} / M(θ) for every member, P(S = k) = P_θ(S = k) e^{−θk} ∏ M(θ).
    """
    tails = np.zeros(len(pairs))
    size = rows.shape[1]
    reach = np.where(rows > 0, np.arange(size), 0).max(axis=1) @ patterns.T if len(patterns) else np.zeros(0)
    possible = np.flatnonzero(pairs[:, 1] <= reach[pairs[:, 0]])
    if possible.size == 0:
        return tails
    some = pairs[possible]
    with np.errstate(divide="ignore"):
        log_rows = np.log(rows)
    means, log_masses = _tilted_moments(log_rows, side)
    sum_means = patterns[some[:, 0]] @ means.T
    chosen = np.abs(sum_means - some[:, 1:]).argmin(axis=1)
    for tilt in np.unique(chosen):
        theta = side * _TILTS[tilt]
        mine = np.flatnonzero(chosen == tilt)
        used, row = np.unique(some[mine, 0], return_inverse=True)
        tilted = np.exp(log_rows + theta * np.arange(size) - log_masses[tilt][:, None])
        log_mass = patterns[used] @ log_masses[tilt]
        for first, sums in _convolutions(tilted, patterns[used]):
            for here in np.flatnonzero((row >= first) & (row < first + len(sums))):
                count = some[mine[here], 1]
                distribution = sums[row[here] - first]
                kept = distribution[count:] if side > 0 else distribution[count::-1]
                weight = float(kept @ np.exp(-_TILTS[tilt] * np.arange(kept.size)))
                tails[possible[mine[here]]] = np.exp(log_mass[row[here]] - theta * count) * weight
    return tails


def _tilted_moments(log_rows: Floats, side: int) -> tuple[Floats, Floats]:
    """Mean and log mass M(θ) of every thinned distribution under every tilt; each of shape (tilts, 21)."""
    size = log_rows.shape[1]
    counts = np.arange(size)
    means, log_masses = np.empty((_TILTS.size, len(log_rows))), np.empty((_TILTS.size, len(log_rows)))
    for i, strength in enumerate(_TILTS):
        weights = log_rows + side * strength * counts
        log_masses[i] = logsumexp(weights, axis=1)
        means[i] = np.exp(weights - log_masses[i][:, None]) @ counts
    return means, log_masses
