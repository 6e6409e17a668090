"""Limits of classes, computed from what is in the run and rounded to what a reader can remember."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

MANTISSAS = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)
"""Leading figures of a limit; whole numbers below 10 are all allowed for counts."""

COUNT_SHARES = (0.0, 0.35, 0.60, 0.80, 0.92, 0.98)
"""Share of the non-empty cells below each limit. City counts are skewed: the upper classes are kept narrow."""

DENSITY_SHARES = (0.50, 0.70, 0.82, 0.91, 0.97)
MIN_RELATIVE_DENSITY = 0.005
"""Densities below this share of the maximum are drawn as none."""


def round_down(value: float) -> float:
    """Round a positive number down to a mantissa of :data:`MANTISSAS` times a power of ten."""
    exponent = math.floor(math.log10(value))
    if 10.0 ** (exponent + 1) <= value:  # log10 of 1000 may fall just short of 3
        exponent += 1
    scale = 10.0**exponent
    best = max((m for m in MANTISSAS if m * scale <= value * (1 + 1e-12)), default=1.0)
    return float(f"{best * scale:.12g}")


def _increasing(limits: list[float]) -> tuple[float, ...]:
    kept: list[float] = []
    for limit in limits:
        if not kept or limit > kept[-1]:
            kept.append(limit)
    return tuple(kept)


def count_limits(counts: ArrayLike) -> tuple[int, ...]:
    """Lower limits of the classes of positive counts.

    Parameters
    ----------
    counts
        Counts of cells, shape ``(n,)``; zeros and nulls (NaN) are left out.

    Returns
    -------
    tuple of int
        Strictly increasing, from 1; at most as many as :data:`COUNT_SHARES`; empty without a positive count.
    """
    values = np.asarray(counts, dtype=np.float64)
    values = np.sort(values[values > 0])
    if values.size == 0:
        return ()
    limits = [1.0]
    for share in COUNT_SHARES[1:]:
        value = float(values[min(int(share * values.size), values.size - 1)])
        limits.append(value if value < 10 else round_down(value))
    return tuple(int(limit) for limit in _increasing(limits))


def density_limits(densities: ArrayLike) -> tuple[float, ...]:
    """Lower limits of the classes of a density; below the first one it is drawn as none.

    Parameters
    ----------
    densities
        Values on land, any shape and unit; NaN is left out.

    Returns
    -------
    tuple of float
        Strictly increasing and positive; empty without a positive density.
    """
    values = np.asarray(densities, dtype=np.float64).ravel()
    values = values[np.isfinite(values) & (values > 0)]
    if values.size == 0:
        return ()
    values = values[values >= MIN_RELATIVE_DENSITY * values.max()]
    quantiles = np.quantile(values, DENSITY_SHARES, method="lower")
    return _increasing([round_down(float(q)) for q in quantiles])
