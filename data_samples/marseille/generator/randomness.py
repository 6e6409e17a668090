"""One stream of random numbers per subject, and the few array helpers that all modules share.

Every subject (streets, weather, the incidents of one component …) draws from its own stream, derived from the seed
and the subject's name. So adding a subject, or drawing more for one of them, leaves all the others as they were.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Geometries = NDArray[Any]
"""An array of shapely geometries."""


class Streams:
    """Named, independent random streams of one seed.

    Parameters
    ----------
    seed
        Any non-negative integer.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def of(self, subject: str) -> np.random.Generator:
        """Return a fresh generator for ``subject``: the same each time it is asked for.

        The spawn key is the subject's SHA-256, cut into 32-bit words, so that it depends on nothing but the name.
        """
        words = np.frombuffer(hashlib.sha256(subject.encode()).digest(), dtype="<u4")
        sequence = np.random.SeedSequence(self.seed, spawn_key=tuple(int(w) for w in words[:4]))
        return np.random.Generator(np.random.PCG64(sequence))


def points_at(x: Any, y: Any) -> Geometries:
    """Return one point per pair of coordinates."""
    return np.asarray(shapely.points(np.asarray(x, dtype=float), np.asarray(y, dtype=float)))


def put(frame: pd.DataFrame, column: str, rows: IntArray, values: Any) -> None:
    """Set some rows (by position) of one column."""
    changed = frame[column].to_numpy(copy=True)
    changed[rows] = values
    frame[column] = changed


def pick(rng: np.random.Generator, weights: FloatArray, size: int) -> IntArray:
    """Draw ``size`` indexes with probability proportional to ``weights``, with replacement."""
    cumulated = np.cumsum(weights)
    found = np.searchsorted(cumulated, rng.random(size) * cumulated[-1], side="right")
    return np.asarray(np.minimum(found, len(weights) - 1), dtype=np.int64)
