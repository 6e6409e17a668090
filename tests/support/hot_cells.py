"""An independent, slow and short version of the hot-spot test, to check the sample against its own truth.

Under exchangeable cells the sum over a cell and its ring is a sum of independent draws from the empirical
distribution of counts of cells that are wholly land, each thinned binomially by its cell's land share.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import h3
import numpy as np
from scipy.signal import fftconvolve
from scipy.stats import binom


def thinned(counts: np.ndarray, share: float) -> np.ndarray:
    """Probability mass of a count drawn from ``counts`` and kept with probability ``share``."""
    pmf = np.bincount(counts) / len(counts)
    if share >= 1:
        return pmf
    k = np.arange(len(pmf))
    return sum(weight * binom.pmf(k, n, share) for n, weight in enumerate(pmf) if weight > 0)


@cache
def rings(cells: tuple[str, ...]) -> list[np.ndarray]:
    """Indexes of each cell and its neighbours within the universe."""
    position = {c: i for i, c in enumerate(cells)}
    return [np.array([position[n] for n in h3.grid_disk(c, 1) if n in position]) for c in cells]


def upper_tails(cells: Sequence[str], counts: np.ndarray, land_share: np.ndarray) -> np.ndarray:
    """P(sum ≥ observed) and, stacked below it, P(sum ≤ observed), of each cell's neighbourhood."""
    steps = np.clip(np.round(land_share * 20), 1, 20).astype(int)
    reference = counts[steps == 20]
    single = {s: thinned(reference, s / 20) for s in np.unique(steps)}
    neighbours = rings(tuple(cells))
    made: dict[tuple[int, ...], np.ndarray] = {}
    out = np.empty((2, len(counts)))
    for i, members in enumerate(neighbours):
        key = tuple(sorted(steps[members]))
        if key not in made:
            pmf = np.ones(1)
            for s in key:
                pmf = np.maximum(fftconvolve(pmf, single[s]), 0)
            made[key] = np.cumsum(pmf / pmf.sum())
        cumulated = made[key]
        total = int(counts[members].sum())
        below = cumulated[min(total - 1, len(cumulated) - 1)] if total else 0.0
        out[:, i] = 1 - below, cumulated[min(total, len(cumulated) - 1)]
    return np.clip(out, 0, 1)


def hot(cells: Sequence[str], counts: np.ndarray, land_share: np.ndarray, *, alpha: float = 0.05) -> np.ndarray:
    """Cells in the upper tail with q ≤ alpha (Benjamini–Hochberg on two-sided p)."""
    upper, lower = upper_tails(cells, counts, land_share)
    p = np.minimum(1, 2 * np.minimum(upper, lower))
    order = np.argsort(p)
    q = np.minimum.accumulate((p[order] * len(p) / np.arange(1, len(p) + 1))[::-1])[::-1]
    passed = np.empty(len(p), dtype=bool)
    passed[order] = q <= alpha
    return passed & (upper < lower)
