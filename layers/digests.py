"""Digests that depend on content alone: not on row order, chunking, file names or machine."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

PACKAGES = ("layers", "hexgrid", "spatial", "risk_surfaces", "styles", "ogc_server", "calanque")
"""What ``code_digest()`` covers: every floor and the command line."""

_CODE_SUFFIXES = frozenset({".py", ".sql", ".html", ".js", ".css", ".json"})
_ROOT = Path(__file__).resolve().parent.parent
_LOCK = _ROOT / "requirements.lock"


def digest_bytes(data: bytes) -> str:
    """SHA-256 of ``data``, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def digest_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical_json(value: object) -> str:
    """JSON with sorted keys and no blanks; what JSON cannot say (NaN, dates) is refused.

    Raises
    ------
    ValueError, TypeError
        For a NaN or infinite number, or a value that is no JSON.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_json(value: object) -> str:
    """SHA-256 of a value's canonical JSON: the order of keys does not matter, that of lists does."""
    return digest_bytes(canonical_json(value).encode())


def table_digest(table: pa.Table, sort_by: Sequence[str]) -> str:
    """SHA-256 of a table's content: names, types and values of its columns, rows as a set.

    Parameters
    ----------
    table
        Any table of scalars, text, binary, times or lists of them; dictionaries are decoded. Schema metadata
        do not count.
    sort_by
        Columns that order the rows. Where they tie, all other columns decide, so the digest never depends on the
        order of rows.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    KeyError
        If ``sort_by`` names a column that is not there.
    """
    missing = [name for name in sort_by if name not in table.column_names]
    if missing:
        raise KeyError(f"cannot sort by {missing}: the table has {table.column_names}")
    return ordered_digest(in_canonical_order(table, sort_by))


def in_canonical_order(table: pa.Table, sort_by: Sequence[str]) -> pa.Table:
    """Sort rows as :func:`table_digest` does; dictionaries are decoded."""
    return _sorted(_decoded(table), list(sort_by))


def ordered_digest(ordered: pa.Table) -> str:
    """Digest of a table that is in canonical order, as :func:`in_canonical_order` gives it."""
    state = hashlib.sha256(f"rows={ordered.num_rows}".encode())
    for name in ordered.column_names:
        array = _one_array(ordered.column(name))
        state.update(f"\x1fcolumn={name}\x1ftype={array.type}\x1f".encode())
        for block in _canonical_blocks(array):
            state.update(len(block).to_bytes(8, "little"))
            state.update(block)
    return state.hexdigest()


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _decoded(table: pa.Table) -> pa.Table:
    """Dictionaries decoded and 64-bit offsets dropped: how text is encoded is no content."""
    plain = {pa.large_string(): pa.string(), pa.large_binary(): pa.binary()}
    columns = []
    for column in table.columns:
        value = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        columns.append(value.cast(plain[value.type]) if value.type in plain else value)
    return pa.table(columns, names=table.column_names)


def _sorted(table: pa.Table, sort_by: list[str]) -> pa.Table:
    order = [name for name in sort_by if _sortable(table.schema.field(name).type)]
    others = [f.name for f in table.schema if f.name not in order and _sortable(f.type)]
    if table.num_rows <= 1 or not (order or others):
        return table
    ordered = table.take(_sort_indices(table, order)) if order else table
    if not order or _has_ties(ordered.select(order)):
        ordered = table.take(_sort_indices(table, order + others))
    return ordered


def _sortable(data_type: pa.DataType) -> bool:
    return not (pa.types.is_nested(data_type) or pa.types.is_null(data_type))


def _sort_indices(table: pa.Table, names: list[str]) -> pa.Array:
    return pc.sort_indices(table.select(names), sort_keys=[(name, "ascending") for name in names])


def _has_ties(ordered: pa.Table) -> bool:
    """Whether two adjacent rows are equal (nulls equal each other)."""
    equal = np.ones(ordered.num_rows - 1, dtype=bool)
    for column in ordered.columns:
        first, second = column.slice(0, len(column) - 1), column.slice(1)
        same = pc.fill_null(pc.equal(first, second), False)
        both_null = pc.and_(first.is_null(), second.is_null())
        equal &= pc.or_(same, both_null).to_numpy(zero_copy_only=False)
        if not equal.any():
            return False
    return True


def _canonical_blocks(array: pa.Array) -> Iterator[bytes]:
    """Bytes that say which values are null, then the values, with what lies under nulls blanked."""
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    yield np.packbits(valid).tobytes()
    kind = array.type
    if pa.types.is_null(kind):
        return
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        yield pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False).astype("<i8").tobytes()
        yield from _canonical_blocks(_one_array(_decoded(pa.table({"item": array.flatten()})).column(0)))
    elif pa.types.is_string(kind) or pa.types.is_binary(kind):
        filled = array.cast(pa.binary()).fill_null(b"")
        yield pc.binary_length(filled).to_numpy(zero_copy_only=False).astype("<i8").tobytes()
        # Joined by Arrow, not read from its buffers: slices and padding never show.
        yield pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(filled)], pa.int32()), filled), b"")[0].as_py()
    elif pa.types.is_boolean(kind):
        yield np.packbits(array.fill_null(False).to_numpy(zero_copy_only=False)).tobytes()
    elif pa.types.is_floating(kind):
        values = array.fill_null(0.0).to_numpy(zero_copy_only=False).astype("<f8") + 0.0  # −0 becomes 0
        values[np.isnan(values)] = np.nan  # one NaN for all
        yield values.tobytes()
    elif pa.types.is_integer(kind):
        wide = pa.uint64() if kind == pa.uint64() else pa.int64()
        yield array.cast(wide).fill_null(0).to_numpy(zero_copy_only=False).astype("<u8").tobytes()
    elif pa.types.is_date32(kind) or pa.types.is_time32(kind):
        yield from list(_canonical_blocks(array.view(pa.int32())))[1:]
    elif pa.types.is_temporal(kind):
        yield from list(_canonical_blocks(array.view(pa.int64())))[1:]
    else:
        raise TypeError(f"no canonical form for a column of type {kind}")


def code_digest(*packages: str) -> str:
    """Digest of the code that computes: every source file of the packages, by name and content.

    Parameters
    ----------
    packages
        Importable names; none means the whole of Calanque, as it stands beside this package.

    Raises
    ------
    ModuleNotFoundError
        If a package that was named is not there.
    """
    contents: dict[str, str] = {}
    for package in packages or PACKAGES:
        place = _ROOT / package
        if not place.is_dir() and not place.with_suffix(".py").is_file() and packages:
            place = _importable(package)
        for path in [place.with_suffix(".py"), *place.rglob("*")]:
            if path.suffix in _CODE_SUFFIXES and path.is_file():
                contents[path.relative_to(place.parent).as_posix()] = digest_file(path)
    return digest_json(contents)


def _importable(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no package {package!r}")
    origin = Path(spec.origin)
    return origin.parent if spec.submodule_search_locations else origin.with_suffix("")


def lock_digest() -> str:
    """Digest of the exact versions in use: ``requirements.lock``, or what is installed where there is no lock."""
    if _LOCK.is_file():
        return digest_file(_LOCK)
    installed: dict[str, Any] = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions()}
    return digest_json(installed)
