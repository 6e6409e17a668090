"""Values as a database's driver gives them, to Arrow, a column of a chunk at a time."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from layers.errors import DeliveryError
from layers.readers.dialects import DatabaseColumn

_BEFORE_ALL = dt.datetime(1, 1, 1)  # noqa: DTZ001 - a clock time, as its column holds
_ZERO_DATE = re.compile(r"^0000-00-00")


def unreadable(column: DatabaseColumn, found: str = "") -> DeliveryError:
    """Refusal of a column whose type no delivery holds."""
    return DeliveryError(
        f"column {column.name!r} is of type {column.type.name}{found}, which is no text, number, time or geometry: "
        "cast it in a query, or list it under drop"
    )


def cells_to_arrow(column: DatabaseColumn, cells: Sequence[Any], read: int) -> pa.Array:
    """Column of a chunk; values that its type cannot hold are told apart one by one, as they are rare."""
    kind = column.type.arrow
    first = next((cell for cell in cells if cell is not None), None)
    if isinstance(first, bytes | bytearray | memoryview):
        raise unreadable(column, " and holds bytes")
    try:
        if pa.types.is_string(kind) and not isinstance(first, str):
            return pa.array([_text(cell) for cell in cells], kind)
        return pa.array(cells, kind)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return _careful_array(column, cells, read)


def _careful_array(column: DatabaseColumn, cells: Sequence[Any], read: int) -> pa.Array:
    kind: Any = column.type.arrow
    clean = _CAREFULLY.get(kind.id)
    values: list[Any] = []
    try:
        for cell in cells:
            value = cell if cell is None or clean is None else clean(cell)
            pa.scalar(value, kind)  # to know which one it is
            values.append(value)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        raise DeliveryError(
            f"column {column.name!r}, row {read + len(values) + 1}: a value is not of the column's type "
            f"{column.type.name}"
        ) from None
    return pa.array(values, kind)


def _text(value: Any) -> str | None:
    """Text of what databases hold beside text: numbers without declared scale, times of day, UUIDs."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dt.timedelta):
        seconds = value // dt.timedelta(seconds=1)
        return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    if isinstance(value, dt.time):
        return value.isoformat()
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _moment(value: Any) -> Any:
    """Dates that are none: 0000-00-00 is MySQL's way of saying null; others are before all time, and so rejected."""
    if not isinstance(value, str):
        return value
    return None if _ZERO_DATE.match(value) else _BEFORE_ALL


def _finite(value: Decimal) -> Decimal | None:
    return value if value.is_finite() else None


_CAREFULLY = {
    pa.date32().id: _moment,
    pa.timestamp("us").id: _moment,
    pa.decimal128(1, 0).id: _finite,
    pa.decimal256(1, 0).id: _finite,
    pa.string().id: _text,
}
