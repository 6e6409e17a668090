"""Who a record is: stable ids, and what a new delivery does to the records of the one before."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

ID_LENGTH = 16
"""Hexadecimal digits of an id: 64 bits, so that ten million records collide with a chance of 3 in a million."""

_SEPARATOR = "\x1f"
NOT_CONTENT = ("id", "row", "delivery", "x_m", "y_m")
"""Columns that do not say what a record is (metres are degrees said otherwise)."""


def record_ids(frame: pd.DataFrame, source_id: str) -> NDArray[np.object_]:
    """Ids of accepted rows: of the source and its own id, else of the source, the content and the occurrence number.

    Parameters
    ----------
    frame
        Accepted rows of one delivery. Where ``record_id`` is null, the canonical content of the row stands for it, with
        the number of equal rows before it: equal rows can be different records, and their order does not matter.
    source_id
        The source.

    Returns
    -------
    numpy.ndarray
        Text of 16 hexadecimal digits, shape (n,).
    """
    own = frame["record_id"]
    if own.notna().all():
        names = own.tolist()
    else:
        content = _content_text(frame)
        occurrence = content.groupby(content, sort=False).cumcount().astype(str)
        names = (content + _SEPARATOR + occurrence).where(own.isna(), own).tolist()
    prefix = f"{source_id}{_SEPARATOR}"
    return np.array([hashlib.sha256(f"{prefix}{n}".encode()).hexdigest()[:ID_LENGTH] for n in names], dtype=object)


def _content_columns(frame: pd.DataFrame) -> list[str]:
    return [name for name in frame.columns if name not in NOT_CONTENT and not name.startswith("extra:")]


def _plain(column: pd.Series) -> pd.Series:
    """Spell a column as text that is the same on every machine; null is a character that no text holds."""
    if column.name == "shape":
        text = pd.Series(shapely.to_wkb(column.to_numpy(), hex=True), index=column.index, dtype=object)
    elif pd.api.types.is_datetime64_any_dtype(column):
        text = column.astype("datetime64[us]").astype("int64").astype(str).where(column.notna(), None)
    elif pd.api.types.is_float_dtype(column):
        text = column.map(repr).where(column.notna(), None)
    else:
        text = column.astype(object)
    return text.fillna("\x00").astype(str)


def _content_text(frame: pd.DataFrame) -> pd.Series:
    columns = [_plain(frame[name]) for name in sorted(_content_columns(frame))]
    text = columns[0]
    for column in columns[1:]:
        text = text + _SEPARATOR + column
    return text


@dataclass(frozen=True, slots=True)
class Folded:
    """Records of a source after its deliveries, and what the last of them did to those before."""

    records: pd.DataFrame
    new: int = 0
    updated: int = 0
    unchanged: int = 0
    withdrawn: int = 0


def fold_deliveries(parts: Sequence[pd.DataFrame], mode: Literal["complete", "increment"]) -> Folded:
    """Apply deliveries one after the other.

    A ``complete`` delivery withdraws the records that it does not bring again; an ``increment`` leaves them. Both
    replace a record of the same id. So the records of a complete source are those of its last delivery alone.

    Parameters
    ----------
    parts
        Accepted rows of each delivery, with unique ``id``, in order; at least one.

    Returns
    -------
    Folded
        Records in id order; the counts are sums over the deliveries.
    """
    present = parts[0].set_index("id", drop=False)
    new, updated, unchanged, withdrawn = len(present), 0, 0, 0
    for part in parts[1:]:
        coming = part.set_index("id", drop=False)
        common = coming.index.intersection(present.index)
        same = (
            int((_content_text(coming.loc[common]) == _content_text(present.loc[common])).sum()) if len(common) else 0
        )
        new += len(coming) - len(common)
        updated += len(common) - same
        unchanged += same
        if mode == "complete":
            withdrawn += len(present) - len(common)
            present = coming
        else:
            present = pd.concat([present.drop(index=common), coming])
    return Folded(present.sort_index().reset_index(drop=True), new, updated, unchanged, withdrawn)
