"""The words of the verdicts, in the order of their legends. A code is a place in a tuple; −1 is a cell not judged."""

from __future__ import annotations

CLASSES = ("hot_q01", "hot_q05", "ns", "cold_q05", "cold_q01")
"""Hot and cold spots: q ≤ 0.01, q ≤ 0.05, not significant."""

LISA_CLASSES = ("HH", "LL", "HL", "LH", "ns")
"""Local Moran: high among high, low among low, the two outliers, not significant."""
