"""All that is said about the cells of one resolution, slice by slice.

Values are rounded, so that digests do not depend on the last bits of a machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from numpy.typing import NDArray

from spatial.classes import CLASSES, LISA_CLASSES
from spatial.hotspots import hot_spots
from spatial.neighbourhoods import Floats, Ints, neighbourhoods, share_steps

if TYPE_CHECKING:
    from spatial.moran import GlobalMoran

Z_DECIMALS = 4
P_DIGITS = 6
"""Significant digits of p and q."""


@dataclass(frozen=True)
class SliceParameters:
    """What decides the statistics beside the counts (``[analysis.hotspots]`` of the city file)."""

    alpha: float
    permutations: int
    seed: int


@dataclass(frozen=True)
class Analysis:
    """Statistics of one resolution.

    Attributes
    ----------
    columns
        Column name → values aligned on the cells: ``z_<slice>``, ``p_``, ``q_``, ``class_``, ``lisa_``, ``lisa_p_``,
        ``lisa_q_``; null where a cell is not judged.
    moran
        Slice → global Moran, None where the slice does not vary.
    cells_tested
        Cells with land.
    cells_whole
        Cells that are all land: the reference.
    """

    columns: Mapping[str, pa.Array]
    moran: Mapping[str, GlobalMoran | None]
    cells_tested: int
    cells_whole: int


def analyse_slices(
    counts: Mapping[str, Ints],
    adjacency: sp.csr_array,
    *,
    area_m2: Floats,
    land_area_m2: Floats,
    parameters: SliceParameters,
) -> Analysis:
    """Compute hot spots and Moran of every slice.

    Parameters
    ----------
    counts
        Slice (``all``, then themes) → shape (cells,), records on land.
    adjacency
        Shape (cells, cells): who neighbours whom.
    area_m2
        Shape (cells,): area of the whole cell, sea included.
    land_area_m2
        Shape (cells,): area of its land.
    parameters
        See :class:`SliceParameters`.

    Raises
    ------
    TooCoarseError
        If too few cells are whole on land to make a reference.
    StatisticError
        If areas are impossible.
    """
    # PySAL takes seconds to import, and a build that skips this step must not wait for it.
    from spatial.moran import global_moran, local_moran, moran_graph, standardised_density  # noqa: PLC0415

    places = neighbourhoods(adjacency, share_steps(land_area_m2, area_m2))
    land = np.flatnonzero(places.on_land)
    graph = moran_graph(adjacency[land][:, land])
    columns: dict[str, pa.Array] = {}
    moran: dict[str, GlobalMoran | None] = {}
    for name, count in counts.items():
        spots = hot_spots(count, places)
        columns[f"z_{name}"] = numbers(np.round(spots.z, Z_DECIMALS))
        columns[f"p_{name}"] = numbers(significant(spots.p))
        columns[f"q_{name}"] = numbers(significant(spots.q))
        columns[f"class_{name}"] = labels(spots.codes, CLASSES)
        values = standardised_density(count[land], places.steps[land])
        shuffles = {"permutations": parameters.permutations, "seed": parameters.seed}
        moran[name] = global_moran(values, graph, **shuffles)
        local = local_moran(values, graph, alpha=parameters.alpha, **shuffles)
        columns[f"lisa_{name}"] = labels(_spread(local.codes, land, count.size, -1), LISA_CLASSES)
        columns[f"lisa_p_{name}"] = numbers(significant(_spread(local.p, land, count.size, np.nan)))
        columns[f"lisa_q_{name}"] = numbers(significant(_spread(local.q, land, count.size, np.nan)))
    return Analysis(columns, moran, cells_tested=land.size, cells_whole=int(places.whole.sum()))


def significant(values: Floats, digits: int = P_DIGITS) -> Floats:
    """Round to significant digits, correctly (through decimal text); NaN stays NaN."""
    distinct, place = np.unique(values, return_inverse=True)
    rounded = np.array([float(f"{value:.{digits - 1}e}") for value in distinct])
    return rounded[place].reshape(values.shape)


def numbers(values: Floats) -> pa.Array:
    """Arrow column of floats, null where NaN; no minus zero."""
    return pa.array(values + 0.0, pa.float64(), mask=np.isnan(values))


def labels(codes: NDArray[np.int8], names: tuple[str, ...]) -> pa.Array:
    """Arrow column of text: the name of each code, null where the code is −1."""
    indexes = pa.array(codes, pa.int8(), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indexes, pa.array(names)).dictionary_decode()


def _spread[Kind: (np.int8, np.float64)](
    values: NDArray[Kind], land: NDArray[np.intp], size: int, elsewhere: float
) -> NDArray[Kind]:
    result = np.full(size, elsewhere, dtype=values.dtype)
    result[land] = values
    return result
