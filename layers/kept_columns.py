"""Columns of a delivery that come into the lake: all that the city file speaks of, as values or as pseudonyms."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from layers.declared_sources import Source
from layers.errors import DeliveryError
from layers.home import Home, replace_file
from layers.raw_copies import RESERVED

_PSEUDONYM_LENGTH = 32
_NAMED_COLUMNS, _NAMED_LENGTH = 20, 60
"""Columns that a message names, and characters of each: a file may have thousands."""


def fields_of(source: Source) -> dict[str, list[str]]:
    """Column → fields that are read from it."""
    fields: dict[str, list[str]] = {}
    for field, rule in sorted(source.columns.items()):
        for column in rule.reads():
            fields.setdefault(column, []).append(field)
    return fields


def check_columns(columns: Sequence[str], source: Source, extras: frozenset[str], name: str) -> None:
    """Refuse a delivery that lacks a column, or brings one that nobody spoke of.

    Raises
    ------
    DeliveryError
        Names the file and the columns.
    """
    have = set(columns)
    read = set(fields_of(source)) | extras
    if missing := sorted(read - have):
        raise DeliveryError(
            f"{name}: source {source.id!r} reads the column {_listed(missing)}, which is not there "
            f"(columns: {_listed(columns)})"
        )
    if unknown := sorted(have - read - {*source.drop, *source.pseudonymise}):
        raise DeliveryError(
            f"{name}: source {source.id!r} says nothing of the column {_listed(unknown)}: "
            "map it under columns, or list it under drop or pseudonymise"
        )
    if taken := sorted((RESERVED & have) - set(source.drop)):
        raise DeliveryError(f"{name}: a column cannot be called {', '.join(map(repr, taken))}: list it under drop")


def _listed(columns: Sequence[str]) -> str:
    """Names for a message, as many as one reads."""
    shown = ", ".join(repr(column[:_NAMED_LENGTH]) for column in columns[:_NAMED_COLUMNS])
    return shown + (f" and {len(columns) - _NAMED_COLUMNS} more" if len(columns) > _NAMED_COLUMNS else "")


def plain_values(table: pa.Table, name: str) -> pa.Table:
    """Columns of values that text, numbers and times are read from; dictionaries are decoded.

    Raises
    ------
    DeliveryError
        Names the file and the column of another type.
    """
    for position, column in enumerate(table.column_names):
        kind = table.schema.field(column).type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
            table = table.set_column(position, column, table.column(column).cast(kind))
        text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
        if not text and (pa.types.is_nested(kind) or not (pa.types.is_primitive(kind) or _is_other_value(kind))):
            raise DeliveryError(
                f"{name}: column {column!r} is of type {kind}; text, numbers and times are read: list it under drop"
            )
    return table


def _is_other_value(kind: pa.DataType) -> bool:
    return bool(pa.types.is_null(kind) or pa.types.is_boolean(kind) or pa.types.is_decimal(kind))


def pseudonyms(key: bytes, column: pa.ChunkedArray) -> pa.Array:
    """Keyed hash of each value's trimmed text, 32 hexadecimal digits; empty is null."""
    text = pc.utf8_trim_whitespace(column.cast(pa.string())).combine_chunks().dictionary_encode()
    hashes = [
        hmac.digest(key, value.encode(), hashlib.sha256).hex()[:_PSEUDONYM_LENGTH] if value else None
        for value in text.dictionary.to_pylist()
    ]
    return pa.array(hashes, pa.string()).take(text.indices)


def pseudonym_key(home: Home) -> bytes:
    """Key of this home's pseudonyms: made once, never published."""
    path = home.state / "pseudonym.key"
    if not path.exists():
        replace_file(path, os.urandom(32))
        path.chmod(0o600)
    return path.read_bytes()
