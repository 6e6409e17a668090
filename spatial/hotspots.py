"""Hot and cold spots of counts: the Ord–Getis score, the exact tail, and q-values that survive many cells.

The score describes; the verdict comes from the exact permutation tail (:mod:`spatial.exact_tail`), corrected for the
number of cells by Benjamini and Hochberg.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from spatial.errors import StatisticError
from spatial.exact_tail import Tails, exact_tails
from spatial.neighbourhoods import Floats, Ints, Neighbourhoods

STRICT_Q = 0.01
"""q-value of the strict classes."""
LENIENT_Q = 0.05
"""q-value of the lenient classes."""


@dataclass(frozen=True)
class HotSpots:
    """What is said of each cell about one slice (theme). Every array has shape (cells,); NaN or −1 without land.

    Attributes
    ----------
    z
        Gi* score (dimensionless, signed); NaN everywhere where the counts do not vary.
    p
        Two-sided exact permutation p.
    q
        Benjamini–Hochberg q-value over the cells of the slice.
    codes
        Place in ``CLASSES``, or −1.
    """

    z: Floats
    p: Floats
    q: Floats
    codes: NDArray[np.int8]


def gi_star(values: ArrayLike, members: sp.csr_array) -> Floats:
    """Return the Getis–Ord Gi* score of every place, with Ord and Getis's variance.

    Parameters
    ----------
    values
        Shape (places,) or (places, slices).
    members
        Shape (places, places): weights, each place's own included.

    Returns
    -------
    numpy.ndarray
        Shape of ``values``; NaN where a slice does not vary or a place is neighbour of all.

    Notes
    -----
    z = (Σ w x − x̄ Σ w) / (s √((n Σ w² − (Σ w)²) / (n − 1))), s² = Σ x²/n − x̄².

    References
    ----------
    Ord & Getis (1995), Geographical Analysis 27:286–306, eq. 14.
    """
    x = np.asarray(values, dtype=np.float64)
    columns = x.reshape(len(x), -1)
    n = len(columns)
    weights = members.astype(np.float64)
    total = np.asarray(weights.sum(axis=1))[:, None]
    total_of_squares = np.asarray(weights.multiply(weights).sum(axis=1))[:, None]
    deviations = columns - columns.mean(axis=0)
    scale = np.sqrt((deviations**2).mean(axis=0))
    spread = np.sqrt(np.maximum(n * total_of_squares - total**2, 0.0) / max(n - 1, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (weights @ deviations) / (scale * spread)
    return np.asarray(np.where(np.isfinite(z), z, np.nan).reshape(x.shape))


def benjamini_hochberg(p: Floats) -> Floats:
    """Return q-values: the smallest false discovery rate at which each hypothesis is rejected.

    Parameters
    ----------
    p
        Shape (n,), probabilities; NaN is not tested and stays NaN.

    Raises
    ------
    StatisticError
        If a probability is outside 0–1.

    References
    ----------
    Benjamini & Hochberg (1995), JRSS B 57:289–300; adjusted values as in R's ``p.adjust(method = "BH")``.
    """
    tested = np.flatnonzero(~np.isnan(p))
    values = p[tested]
    if values.size and (values.min() < 0 or values.max() > 1):
        raise StatisticError(f"probabilities from {values.min()} to {values.max()}: expected 0 to 1")
    order = np.argsort(values)[::-1]
    ranks = np.arange(values.size, 0, -1)
    q = np.full(p.shape, np.nan)
    q[tested[order]] = np.minimum(np.minimum.accumulate(values[order] * values.size / ranks), 1.0)
    return q


def classify(tails: Tails, q: Floats) -> NDArray[np.int8]:
    """Return the place in ``CLASSES`` of each cell: hot where the upper tail is the smaller one."""
    hot = tails.upper < tails.lower
    with np.errstate(invalid="ignore"):
        strict, lenient = q <= STRICT_Q, q <= LENIENT_Q
    codes = np.select(
        [np.isnan(q), hot & strict, hot & lenient, ~hot & strict, ~hot & lenient], [-1, 0, 1, 4, 3], default=2
    )
    return np.asarray(codes, dtype=np.int8)


def hot_spots(counts: Ints, places: Neighbourhoods) -> HotSpots:
    """Judge every cell of one slice.

    Parameters
    ----------
    counts
        Shape (cells,), records on land.
    places
        The cells' neighbourhoods.

    Raises
    ------
    TooCoarseError
        If too few cells are whole on land to make a reference.
    """
    tails = exact_tails(counts, places)
    p = tails.p
    q = benjamini_hochberg(p)
    land = np.flatnonzero(places.on_land)
    z = np.full(counts.shape, np.nan)
    z[land] = gi_star(counts[land], places.members[land][:, land])
    return HotSpots(z=z, p=p, q=q, codes=classify(tails, q))
