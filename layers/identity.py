"""Who a record is: stable ids, the hash of its content, and what a new delivery does to those before it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pandas.util import hash_array

ID_LENGTH = 16
"""Hexadecimal digits of an id: 64 bits, so that ten million records collide with a chance of 3 in a million."""

_SEPARATOR = "\x1f"
_CHAIN = np.uint64(0x9E3779B97F4A7C15)
"""Odd, and far from any pattern: 2⁶⁴ over the golden ratio."""
NOT_CONTENT = frozenset({"id", "record_id", "row", "x_m", "y_m"})
"""Columns that do not say what a record is: its names, its row in the file, and metres that are degrees said again."""


def record_ids(source_id: str, names: pa.Array) -> pa.Array:
    """Ids of records by the names that their source gives them, text, shape (n,)."""
    return key_ids(record_keys(source_id, names))


def record_keys(source_id: str, names: pa.Array) -> NDArray[np.uint64]:
    """Ids of records as numbers, uint64, shape (n,).

    SipHash-2-4 (Aumasson and Bernstein, 2012) of the name under a key made of the source's id, then the finaliser of
    SplitMix64 (Steele, Lea and Flood, 2014): the same for ever and on every machine, and spread evenly, whatever the
    names look like. Pandas computes it for whole columns.
    """
    key = hashlib.sha256(source_id.encode()).hexdigest()[:16]
    return hash_array(names.to_numpy(zero_copy_only=False), hash_key=key, categorize=False)


def id_keys(ids: pa.Array) -> NDArray[np.uint64]:
    """Ids as numbers, uint64, shape (n,): what deliveries are compared by."""
    together = pa.ListArray.from_arrays(pa.array([0, len(ids)], pa.int32()), ids.cast(pa.binary()))
    digits = np.frombuffer(pc.binary_join(together, b"")[0].as_py(), np.uint8)
    values = np.where(digits >= ord("a"), digits - ord("a") + 10, digits - ord("0")).reshape(len(ids), ID_LENGTH)
    packed = (values[:, 0::2] << 4) | values[:, 1::2]
    keys: NDArray[np.uint64] = np.ascontiguousarray(packed, dtype=np.uint8).view(">u8").ravel().astype(np.uint64)
    return keys


def key_ids(keys: NDArray[np.uint64]) -> pa.Array:
    """Spell keys as ids, text of 16 hexadecimal digits: the inverse of :func:`id_keys`."""
    packed = keys.astype(">u8").view(np.uint8).reshape(len(keys), ID_LENGTH // 2)
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    text = np.empty((len(keys), ID_LENGTH), dtype=np.uint8)
    text[:, 0::2], text[:, 1::2] = digits[packed >> 4], digits[packed & 15]
    offsets = np.arange(0, ID_LENGTH * (len(keys) + 1), ID_LENGTH, dtype=np.int32)
    return pa.Array.from_buffers(pa.string(), len(keys), [None, pa.py_buffer(offsets), pa.py_buffer(text.tobytes())])


def content_names(rows: pa.Table) -> pa.Array:
    """Spell the content of records that have no id of their own: text that is the same on every machine.

    Numbers and times are spelled by their bits, so that no library's way of printing them matters. Rows of equal
    content have equal names.
    """
    columns = []
    for name in sorted(set(rows.column_names) - NOT_CONTENT):
        column = _one(rows.column(name))
        if pa.types.is_floating(column.type):
            column = pc.add(column, 0.0).view(pa.int64())  # −0 becomes 0
        elif pa.types.is_timestamp(column.type):
            column = column.view(pa.int64())
        elif pa.types.is_date32(column.type):
            column = column.view(pa.int32())
        elif pa.types.is_binary(column.type):
            column = _hex(column)
        columns.append(column.cast(pa.string()).fill_null("\x00"))
    return pc.binary_join_element_wise(*columns, _SEPARATOR)


def content_hashes(rows: pa.Table) -> NDArray[np.uint64]:
    """Hash of each row's content, uint64: to tell whether a record changed, and which rows repeat another.

    Each column is hashed by pandas (text by its distinct values), and the columns are chained by multiplication: fast,
    and stable for one version of the libraries, which is all that the comparison needs.
    """
    total = np.zeros(rows.num_rows, dtype=np.uint64)
    for name in sorted(set(rows.column_names) - NOT_CONTENT):
        total *= _CHAIN
        total += _column_hashes(_one(rows.column(name)))
    total ^= total >> np.uint64(32)
    return total


def _column_hashes(column: pa.Array) -> NDArray[np.uint64]:
    if column.null_count == len(column):
        return np.zeros(len(column), dtype=np.uint64)
    if pa.types.is_floating(column.type):
        return hash_array(column.to_numpy(zero_copy_only=False) + 0.0)  # −0 becomes 0
    if pa.types.is_timestamp(column.type):
        return hash_array(column.view(pa.int64()).fill_null(np.iinfo(np.int64).min).to_numpy())
    coded = column.dictionary_encode()
    values = hash_array(coded.dictionary.to_numpy(zero_copy_only=False), categorize=False)
    hashes: NDArray[np.uint64] = np.append(values, np.uint64(0))[coded.indices.fill_null(-1).to_numpy()]
    return hashes


def occurrences(values: NDArray[np.uint64]) -> NDArray[np.int64]:
    """How many equal values come before each one, int64, shape (n,)."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(values) else np.empty(0, int)
    lengths = np.diff(np.append(starts, len(values)))
    counted = np.empty(len(values), dtype=np.int64)
    counted[order] = np.arange(len(values)) - np.repeat(starts, lengths)
    return counted


def _one(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _hex(column: pa.Array) -> pa.Array:
    return pa.array([None if value is None else value.hex() for value in column.to_pylist()], pa.string())


@dataclass(frozen=True, slots=True)
class Keys:
    """Accepted rows of one delivery, each id once, shape (n,).

    ``key`` and ``content`` are uint64, ``row`` int64; ``likeness`` (uint64) is equal for rows that say the same.
    """

    key: NDArray[np.uint64]
    content: NDArray[np.uint64]
    likeness: NDArray[np.uint64]
    row: NDArray[np.int64]


class Coming(IntEnum):
    """What a row was to the lake when it came."""

    NEW = 0
    UPDATED = 1
    UNCHANGED = 2


class Left(IntEnum):
    """Why a version of a record counts no more."""

    UPDATED = 0
    WITHDRAWN = 1


@dataclass(frozen=True, slots=True)
class Folded:
    """Records of a source after its deliveries, and what these did to one another.

    ``key``, ``likeness``, ``part``, ``row``, ``coming`` describe the present records, in the order of their keys or, of
    one delivery alone, of its rows: ``part`` is the position of the delivery that has the row. ``earlier_*`` describe
    versions that count no more, with the position of the delivery that ended them.
    """

    key: NDArray[np.uint64]
    likeness: NDArray[np.uint64]
    part: NDArray[np.int32]
    row: NDArray[np.int64]
    coming: NDArray[np.int8]
    earlier_key: NDArray[np.uint64]
    earlier_part: NDArray[np.int32]
    earlier_row: NDArray[np.int64]
    earlier_left: NDArray[np.int8]
    earlier_by: NDArray[np.int32]
    new: int
    updated: int
    unchanged: int
    withdrawn: int


def fold_deliveries(parts: Sequence[Keys], mode: Literal["complete", "increment"]) -> Folded:
    """Apply deliveries one after the other.

    A ``complete`` delivery withdraws the records that it does not bring again; an ``increment`` leaves them. Both
    replace a record of the same id. So the records of a complete source are those of its last delivery alone.

    Parameters
    ----------
    parts
        Accepted rows of each delivery, in order; at least one.

    Returns
    -------
    Folded
        ``new + updated + unchanged`` is the number of rows of all parts.
    """
    if len(parts) == 1:
        return _alone(parts[0])
    key = np.concatenate([p.key for p in parts])
    content = np.concatenate([p.content for p in parts])
    likeness = np.concatenate([p.likeness for p in parts])
    row = np.concatenate([p.row for p in parts])
    part = np.repeat(np.arange(len(parts), dtype=np.int32), [len(p.key) for p in parts])
    order = np.argsort(key, kind="stable")  # rows of one record stay in the order of the deliveries
    key, content, likeness = key[order], content[order], likeness[order]
    row, part = row[order], part[order]
    # Each row is compared with the one before it of the same record.
    again = np.zeros(len(key), dtype=bool)
    again[1:] = key[1:] == key[:-1]
    same = np.zeros(len(key), dtype=bool)
    same[1:] = again[1:] & (content[1:] == content[:-1])
    adjacent = again.copy()
    if mode == "complete":  # a delivery in between that lacks the record withdrew it
        adjacent[1:] &= part[1:] == part[:-1] + 1
    coming = np.where(adjacent, np.where(same, Coming.UNCHANGED, Coming.UPDATED), Coming.NEW).astype(np.int8)
    last = np.ones(len(key), dtype=bool)
    last[:-1] = ~again[1:]
    followed = np.zeros(len(key), dtype=bool)  # by a row that takes its place at once
    followed[:-1] = adjacent[1:]
    gone = ~followed & (part < len(parts) - 1) if mode == "complete" else np.zeros(len(key), dtype=bool)
    updated = np.zeros(len(key), dtype=bool)
    updated[:-1] = coming[1:] == Coming.UPDATED
    present = last & ~gone
    earlier = gone | updated
    by = np.where(updated, np.append(part[1:], 0), part + 1).astype(np.int32)
    return Folded(
        key=key[present],
        likeness=likeness[present],
        part=part[present],
        row=row[present],
        coming=coming[present],
        earlier_key=key[earlier],
        earlier_part=part[earlier],
        earlier_row=row[earlier],
        earlier_left=np.where(gone, Left.WITHDRAWN, Left.UPDATED).astype(np.int8)[earlier],
        earlier_by=by[earlier],
        new=int((coming == Coming.NEW).sum()),
        updated=int((coming == Coming.UPDATED).sum()),
        unchanged=int((coming == Coming.UNCHANGED).sum()),
        withdrawn=int(gone.sum()),
    )


def _alone(keys: Keys) -> Folded:
    """One delivery: every record is new, and there is nothing to compare."""
    rows = len(keys.key)
    return Folded(
        key=keys.key,
        likeness=keys.likeness,
        part=np.zeros(rows, dtype=np.int32),
        row=keys.row,
        coming=np.full(rows, Coming.NEW, dtype=np.int8),
        earlier_key=np.empty(0, dtype=np.uint64),
        earlier_part=np.empty(0, dtype=np.int32),
        earlier_row=np.empty(0, dtype=np.int64),
        earlier_left=np.empty(0, dtype=np.int8),
        earlier_by=np.empty(0, dtype=np.int32),
        new=rows,
        updated=0,
        unchanged=0,
        withdrawn=0,
    )
