"""Who a cell is compared with: itself and its neighbours on land, and how much land each of them holds.

Cells cut by the coast are not exchangeable with whole ones. What a statistic may know about a neighbourhood is
therefore its *pattern*: how many of its members hold 5 %, 10 % … 100 % of a cell of land.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from spatial.errors import StatisticError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SHARE_STEPS = 20
"""Land shares are known in steps of 1/20, that is 5 %."""


def share_steps(land_area_m2: ArrayLike, area_m2: ArrayLike) -> Ints:
    """Return the land share of each cell in steps of 5 %, 0 (no land at all) to 20 (whole).

    Parameters
    ----------
    land_area_m2, area_m2
        Shape (cells,), square metres of land and of cell.

    Raises
    ------
    StatisticError
        If an area is not finite, negative, or a cell has no area.

    Notes
    -----
    A cell with any land has at least one step: rounded to none, its reference would be the constant 0, and a single
    record in it a certainty.
    """
    land, area = np.asarray(land_area_m2, dtype=np.float64), np.asarray(area_m2, dtype=np.float64)
    broken = ~(np.isfinite(land) & np.isfinite(area) & (land >= 0) & (area > 0))
    if broken.any():
        raise StatisticError(f"{int(broken.sum())} of {land.size} cells have areas that are not finite and positive")
    steps = np.clip(np.rint(SHARE_STEPS * land / area), 1, SHARE_STEPS).astype(np.int64)
    return np.where(land > 0, steps, 0)


@dataclass(frozen=True)
class Neighbourhoods:
    """Every cell's neighbourhood, and the distinct patterns of land shares among them.

    Attributes
    ----------
    steps
        Shape (cells,), land share in steps of 5 %; 0 for a cell without land, which is in no neighbourhood.
    members
        Shape (cells, cells), zeros and ones: the cell itself and its neighbours, on land only.
    patterns
        Shape (patterns, 21): number of members whose land share is 0, 1 … 20 steps (the first is always 0).
    pattern_of
        Shape (cells,), row of ``patterns``; −1 for a cell without land.
    """

    steps: Ints
    members: sp.csr_array
    patterns: Ints
    pattern_of: Ints

    def __post_init__(self) -> None:
        if self.members.shape != (self.steps.size, self.steps.size):
            raise StatisticError(f"{self.steps.size} land shares for neighbours of shape {self.members.shape}")

    @property
    def on_land(self) -> NDArray[np.bool_]:
        """Cells that hold land."""
        return np.asarray(self.steps > 0)

    @property
    def whole(self) -> NDArray[np.bool_]:
        """Cells that are all land, to the nearest step: the ones that the reference distribution is made of."""
        return np.asarray(self.steps == SHARE_STEPS)

    def sums(self, values: NDArray[np.float64] | NDArray[np.int64]) -> Floats | Ints:
        """Sum ``values``, shape (cells,) or (cells, themes), over each neighbourhood; 0 for a cell without land."""
        return np.asarray(self.members @ values)


def neighbourhoods(adjacency: sp.csr_array, steps: Ints) -> Neighbourhoods:
    """Make the neighbourhoods of cells.

    Parameters
    ----------
    adjacency
        Shape (cells, cells): who neighbours whom, zeros and ones with an empty diagonal
        (:func:`hexgrid.cells.neighbour_matrix`).
    steps
        Shape (cells,): :func:`share_steps`.

    Raises
    ------
    StatisticError
        If the shapes differ, or a cell is its own neighbour.
    """
    if adjacency.shape != (steps.size, steps.size) or np.asarray(adjacency.diagonal()).any():
        raise StatisticError(
            f"neighbours of shape {adjacency.shape} for {steps.size} cells, or cells that neighbour themselves"
        )
    itself = sp.eye_array(steps.size, dtype=np.int64, format="csr")
    near = sp.coo_array(adjacency.astype(np.int64) + itself)
    land = (steps[near.row] > 0) & (steps[near.col] > 0)
    members = sp.csr_array((near.data[land], (near.row[land], near.col[land])), shape=near.shape)
    members.sort_indices()
    each = np.arange(steps.size)
    one_hot = sp.csr_array((np.ones_like(steps), (each, steps)), shape=(steps.size, SHARE_STEPS + 1))
    held = np.asarray((members @ one_hot).todense(), dtype=np.int64)
    on_land = steps > 0
    patterns, inverse = np.unique(held[on_land], axis=0, return_inverse=True)
    pattern_of = np.full(steps.size, -1, dtype=np.int64)
    pattern_of[on_land] = inverse.ravel()
    return Neighbourhoods(steps=steps, members=members, patterns=patterns, pattern_of=pattern_of)
