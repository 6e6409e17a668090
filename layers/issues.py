"""Why a row is refused: reasons in words that a data office can act on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

type Values = pa.Array | NDArray[np.object_] | NDArray[np.float64]

_VALUE_LENGTH = 200
"""Characters of a refused value that are kept."""


class Reason(StrEnum):
    """Why a row is refused."""

    MALFORMED_ROW = "malformed_row"
    MISSING_VALUE = "missing_value"
    MISSING_DATE = "missing_date"
    INVALID_DATE = "invalid_date"
    IMPOSSIBLE_DATE = "impossible_date"
    END_BEFORE_START = "end_before_start"
    INVALID_NUMBER = "invalid_number"
    OUT_OF_RANGE = "out_of_range"
    UNKNOWN_CODE = "unknown_code"
    MISSING_CATEGORY = "missing_category"
    MISSING_RECORD_ID = "missing_record_id"
    DUPLICATE_RECORD_ID = "duplicate_record_id"
    MISSING_COORDINATES = "missing_coordinates"
    INCOMPLETE_COORDINATES = "incomplete_coordinates"
    INVALID_COORDINATES = "invalid_coordinates"
    ZERO_COORDINATES = "zero_coordinates"
    SWAPPED_AXES = "swapped_axes"
    OUTSIDE_CRS_AREA = "outside_crs_area"
    NOT_A_POINT = "not_a_point"
    INVALID_GEOMETRY = "invalid_geometry"
    PERSONAL_DATA = "personal_data"
    PAST_RETENTION = "past_retention"


REJECT_SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("delivery", pa.string()),
        ("file", pa.string()),
        ("row", pa.int64()),
        ("field", pa.string()),
        ("value", pa.string()),
        ("reason", pa.string()),
    ]
)
"""Refused rows; ``row`` is 1-based, header not counted, ``value`` that of a mapped column only."""


@dataclass(slots=True)
class Issues:
    """Faults found in a delivery, by position of the row in its table."""

    size: int
    _parts: list[pd.DataFrame] = field(default_factory=list)

    def add(self, bad: NDArray[np.bool_], name: str, reason: Reason, values: Values | None = None) -> None:
        """Note a fault of field ``name`` in every row of ``bad`` (boolean, one per row), with the value given."""
        positions = np.flatnonzero(bad)
        if not len(positions):
            return
        given: list[str | None] = [None] * len(positions)
        if values is not None:
            taken = values.take(pa.array(positions)).to_pylist() if isinstance(values, pa.Array) else values[positions]
            given = [None if v is None or v != v else str(v)[:_VALUE_LENGTH] for v in taken]  # noqa: PLR0124 — NaN
        self._parts.append(pd.DataFrame({"position": positions, "field": name, "value": given, "reason": str(reason)}))

    def forget(self, rows: NDArray[np.bool_]) -> None:
        """Drop what was noted of ``rows``: nothing of them may be told."""
        self._parts = [part[~rows[part["position"].to_numpy()]] for part in self._parts]

    def flagged(self, name: str) -> NDArray[np.bool_]:
        """Rows in which field ``name`` already has a fault."""
        return self._mask(part for part in self._parts if (part["field"] == name).any())

    @property
    def rejected(self) -> NDArray[np.bool_]:
        """Rows with any fault."""
        return self._mask(iter(self._parts))

    def _mask(self, parts: Iterator[pd.DataFrame]) -> NDArray[np.bool_]:
        mask = np.zeros(self.size, dtype=bool)
        for part in parts:
            mask[part["position"].to_numpy()] = True
        return mask

    def frame(self) -> pd.DataFrame:
        """All faults: position, field, value, reason."""
        if not self._parts:
            return pd.DataFrame({"position": np.empty(0, np.int64), "field": [], "value": [], "reason": []})
        return pd.concat(self._parts, ignore_index=True).sort_values(["position", "field"], kind="stable")
