"""Global and local Moran through PySAL: whether the city is clustered, and where like values meet.

The variable is the density of records on land, standardised by empirical Bayes, so that a coastal cell is neither low
for being small nor extreme for holding little land. Weights are binary neighbours, row-standardised: a mean of
neighbours, as comparable with three of them as with six.
The statistics and quadrants are esda's; the local p-values are not: "directed" gives half of a two-sided p, "two-sided"
exceeds 1 on ties, and the last bit of a sum decides what is a tie. Here p = min(1, 2·min(tails)), and ties, within a
tolerance, count in both tails.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from esda.moran import Moran, Moran_Local
from esda.smoothing import assuncao_rate
from libpysal.graph import Graph
from numpy.typing import ArrayLike, NDArray

from spatial.classes import LISA_CLASSES
from spatial.errors import StatisticError
from spatial.hotspots import benjamini_hochberg
from spatial.neighbourhoods import SHARE_STEPS, Floats, Ints

_QUADRANT_CODES = np.array([-1, 0, 3, 1, 2], dtype=np.int8)
"""Place in ``LISA_CLASSES`` of esda's quadrants 1 HH, 2 LH, 3 LL, 4 HL."""

_TIE = 1e-9
"""Sums of standardised values nearer than this are equal."""

MAX_GLOBAL_PERMUTATIONS = 999
"""The global test shuffles the whole city: more would cost much and change nothing that is read."""


@dataclass(frozen=True)
class GlobalMoran:
    """Moran's I of one slice, its score under randomisation and its two-sided permutation p."""

    statistic: float
    expectation: float
    z: float
    p: float
    permutations: int
    seed: int


@dataclass(frozen=True)
class LocalMoran:
    """Local Moran of one slice; arrays of shape (places,), NaN or −1 where a place has no neighbour."""

    statistic: Floats
    p: Floats
    q: Floats
    codes: NDArray[np.int8]


def standardised_density(counts: Ints, steps: Ints) -> Floats:
    """Return the density of records on land, standardised as if every cell told as much as a whole one.

    Parameters
    ----------
    counts
        Shape (cells,).
    steps
        Shape (cells,), positive: land share in steps of 5 % (:func:`spatial.neighbourhoods.share_steps`).

    Returns
    -------
    numpy.ndarray
        Shape (cells,), dimensionless: departure of the density from the city's, in its own standard deviations; 0
        everywhere where nothing is counted.

    Notes
    -----
    The density of a sliver of coast varies more than that of a whole cell. Raw densities of a city without any pattern
    are then called clustered or dispersed at 5 % in 8 to 20 % of cities; standardised, in 5 %.

    References
    ----------
    Assunção & Reis (1999), Statistics in Medicine 18:2147–2162 (empirical Bayes index).
    """
    if not counts.any():
        return np.zeros(counts.size)
    return np.asarray(assuncao_rate(counts, steps / SHARE_STEPS))


def moran_graph(adjacency: sp.csr_array) -> Graph:
    """Return PySAL's graph of binary neighbours, row-standardised; isolated cells keep an empty row."""
    return Graph.from_sparse(adjacency.astype(np.float64)).transform("r")


def global_moran(values: Floats, graph: Graph, *, permutations: int, seed: int) -> GlobalMoran | None:
    """Compute Moran's I and its two-sided permutation p.

    Parameters
    ----------
    values
        Shape (places,), finite, in the order of the graph.
    graph
        Row-standardised neighbours.
    permutations
        Shuffles of the values over the places, at most ``MAX_GLOBAL_PERMUTATIONS`` of which are made.
    seed
        Seed of the shuffles.

    Returns
    -------
    GlobalMoran or None
        None where the values do not vary.

    Notes
    -----
    esda draws from NumPy's global generator: it is seeded here and its state given back.

    References
    ----------
    Moran (1950), Biometrika 37:17–23; Cliff & Ord (1981), Spatial Processes, ch. 2.
    """
    _check(values, graph)
    if np.ptp(values) == 0:
        return None
    made = min(permutations, MAX_GLOBAL_PERMUTATIONS)
    state = np.random.get_state()  # noqa: NPY002 — the generator that esda uses
    try:
        np.random.seed(seed % 2**32)  # noqa: NPY002
        found = Moran(values, graph, transformation="r", permutations=made)
    finally:
        np.random.set_state(state)  # noqa: NPY002
    above, below = int((found.sim >= found.I).sum()), int((found.sim <= found.I).sum())
    return GlobalMoran(
        statistic=float(found.I),
        expectation=float(found.EI),
        z=float(found.z_rand),
        p=float(_two_sided(above, below, made)),
        permutations=made,
        seed=seed,
    )


def local_moran(values: Floats, graph: Graph, *, permutations: int, seed: int, alpha: float) -> LocalMoran:
    """Compute the local Moran of every place, with conditional permutation p and q-values.

    Parameters
    ----------
    values
        Shape (places,), finite, in the order of the graph.
    graph
        Row-standardised neighbours. A place without any is not judged.
    permutations
        Draws of neighbours from the other places.
    seed
        Seed of the draws; the same draws serve every slice that is given the same seed.
    alpha
        A place is in a quadrant where q ≤ alpha, and not significant elsewhere.

    References
    ----------
    Anselin (1995), Geographical Analysis 27:93–115.
    """
    _check(values, graph)
    n = values.size
    if np.ptp(values) == 0:
        nothing = np.full(n, np.nan)
        return LocalMoran(nothing, nothing, nothing, np.full(n, -1, dtype=np.int8))
    with warnings.catch_warnings():  # esda changes the filters of the process
        found = Moran_Local(values, graph, transformation="r", permutations=0)
    weights = sp.csr_array(graph.sparse)
    weights.eliminate_zeros()  # libpysal keeps an isolated place as its own neighbour, of weight zero
    linked = np.diff(weights.indptr) > 0
    p = np.where(linked, conditional_p(found.z, weights, permutations=permutations, seed=seed), np.nan)
    q = benjamini_hochberg(p)
    with np.errstate(invalid="ignore"):
        codes = np.where(q <= alpha, _QUADRANT_CODES[np.asarray(found.q, dtype=np.int64)], len(LISA_CLASSES) - 1)
    codes = np.where(linked, codes, -1).astype(np.int8)
    return LocalMoran(statistic=np.where(linked, found.Is, np.nan), p=p, q=q, codes=codes)


def conditional_p(z: Floats, weights: sp.csr_array, *, permutations: int, seed: int) -> Floats:
    """Two-sided p of each place's neighbours' sum, when its neighbours are drawn from all other places.

    Parameters
    ----------
    z
        Shape (places,), standardised values.
    weights
        Shape (places, places), no stored zeros; weights are equal within a row, so only the pattern counts.
    permutations
        Draws.
    seed
        Seed of the draws.

    Notes
    -----
    All places share their draws, as in esda's engine: the sums of ``c`` drawn values are sorted once per number of
    neighbours ``c`` and looked up. A draw that contains the place itself is repaired with a spare value, which leaves
    a uniform draw from the others.
    """
    degrees = np.diff(weights.indptr)
    lags = np.add.reduceat(np.append(z[weights.indices], 0.0), weights.indptr[:-1]) * (degrees > 0)
    draws = _distinct_draws(z.size, int(degrees.max(initial=0)) + 1, permutations, np.random.default_rng(seed))
    p = np.ones(z.size)
    for degree in np.unique(degrees[degrees > 0]):
        mine = np.flatnonzero(degrees == degree)
        drawn = z[draws[:, :degree]].sum(axis=1)
        in_order = np.sort(drawn)
        above = permutations - np.searchsorted(in_order, lags[mine] - _TIE, side="left")
        below = np.searchsorted(in_order, lags[mine] + _TIE, side="right")
        # Draws in which a place is its own neighbour: take back what they counted, count the repaired sum.
        place_of = np.full(z.size, -1)
        place_of[mine] = np.arange(mine.size)
        row, column = np.nonzero(place_of[draws[:, :degree]] >= 0)
        itself = draws[row, column]
        at, wrong = place_of[itself], drawn[row]
        right = wrong - z[itself] + z[draws[row, degree]]
        seen = lags[itself]
        np.add.at(above, at, (right >= seen - _TIE).astype(np.int64) - (wrong >= seen - _TIE))
        np.add.at(below, at, (right <= seen + _TIE).astype(np.int64) - (wrong <= seen + _TIE))
        p[mine] = _two_sided(above, below, permutations)
    return p


def _distinct_draws(places: int, size: int, draws: int, rng: np.random.Generator) -> Ints:
    """Draw ``draws`` rows of ``size`` distinct places: rows with a repetition are drawn again."""
    if size > places:
        raise StatisticError(f"{places} places are too few to draw {size} distinct ones")
    result = rng.integers(places, size=(draws, size))
    while True:
        in_order = np.sort(result, axis=1)
        repeated = np.flatnonzero((in_order[:, 1:] == in_order[:, :-1]).any(axis=1))
        if repeated.size == 0:
            return result
        result[repeated] = rng.integers(places, size=(repeated.size, size))


def _two_sided(above: ArrayLike, below: ArrayLike, permutations: int) -> Floats:
    smaller = (np.minimum(above, below) + 1) / (permutations + 1)
    return np.asarray(np.minimum(1.0, 2 * smaller))


def _check(values: Floats, graph: Graph) -> None:
    if values.shape != (graph.n,):
        raise StatisticError(f"values of shape {values.shape} for a graph of {graph.n} places")
    if not np.isfinite(values).all():
        raise StatisticError(f"{int((~np.isfinite(values)).sum())} of {values.size} values are not finite")
