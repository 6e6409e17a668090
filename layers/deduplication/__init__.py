"""Duplicates: which records say the same thing twice, and which of them stays.

Nothing here decides that a city merges: equal rows can be different offences, so the city file has to ask. Nothing is
lost either: these functions only say which record stands for which.
"""

from layers.deduplication.pairs import CrowdedError, NearPairs, equal_rows, near_pairs
from layers.deduplication.survival import survivors

__all__ = ["CrowdedError", "NearPairs", "equal_rows", "near_pairs", "survivors"]
