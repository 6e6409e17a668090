"""One question about the features of a collection: what the query string says, checked and typed."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from ogc_server.errors import bad_parameter
from ogc_server.parameters import Parameters, boolean, instant, integer, interval, names, number
from ogc_server.settings import Settings
from ogc_server.systems import CRS84, Box, System, boxes, chosen_system

RESERVED: Final = frozenset(
    {"bbox", "bbox-crs", "crs", "datetime", "limit", "offset", "sortby", "properties", "skipGeometry"}
)
"""Parameters of ``/items`` besides ``f``, ``lang`` and the queryables."""

_INT64: Final = 1 << 63

Interval = tuple[dt.datetime | None, dt.datetime | None]


@dataclass(frozen=True, slots=True)
class Equal:
    """``column = value``."""

    column: str
    value: Any


@dataclass(frozen=True, slots=True)
class Sort:
    """One term of ``sortby``."""

    column: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class FeatureQuery:
    """What ``/items`` asks.

    ``boxes`` are alternatives (two where a rectangle crosses the antimeridian). ``properties`` None means all.
    """

    limit: int = 10
    offset: int = 0
    boxes: tuple[Box, ...] = ()
    interval: Interval | None = None
    equals: tuple[Equal, ...] = ()
    sort: tuple[Sort, ...] = ()
    properties: tuple[str, ...] | None = None
    geometry: bool = True
    system: System = field(default=CRS84)


def read_query(
    values: Parameters,
    *,
    columns: Mapping[str, sa.types.TypeEngine[Any]],
    systems: tuple[System, ...],
    settings: Settings,
) -> FeatureQuery:
    """Read the query string of ``/items``.

    Parameters
    ----------
    values
        Parameters whose names are known to be accepted (see :func:`ogc_server.parameters.strict`).
    columns
        Queryables and their types.
    systems
        Coordinate systems on offer.
    settings
        Default and largest ``limit``; a larger one is served as the largest (OGC 17-069r4, requirement 22).

    Raises
    ------
    OgcError
        400, naming the parameter.
    """
    limit = integer(values, "limit", default=settings.default_limit, low=1)
    return FeatureQuery(
        limit=min(limit, settings.max_limit),
        offset=integer(values, "offset", default=0, low=0, high=settings.max_offset),
        boxes=boxes(values, systems),
        interval=interval(values),
        equals=tuple(Equal(name, typed(text, name, columns[name])) for name, text in values.items() if name in columns),
        sort=_sort(values, columns),
        properties=names(values, "properties", known=columns),
        geometry=not boolean(values, "skipGeometry"),
        system=chosen_system(values, "crs", systems),
    )


def _sort(values: Parameters, columns: Mapping[str, Any]) -> tuple[Sort, ...]:
    text = values.get("sortby")
    if text is None:
        return ()
    terms: list[Sort] = []
    for part in text.split(","):
        # an unescaped "+" of a query string arrives as a blank
        name = part.strip().lstrip("+-") if part.strip()[:1] in {"+", "-"} else part.strip()
        if name not in columns:
            known = ", ".join(columns)
            raise bad_parameter("sortby", f"colonnes acceptées : {known}.", f"accepted columns: {known}.")
        terms.append(Sort(name, descending=part.strip().startswith("-")))
    return tuple(terms)


def typed(text: str, name: str, column_type: sa.types.TypeEngine[Any]) -> Any:
    """Turn the text of an equality into a value of the column's own type.

    Raises
    ------
    OgcError
        400 when the text is no value of that type.
    """
    if isinstance(column_type, sa.Boolean):
        return boolean({name: text}, name)
    if isinstance(column_type, sa.Integer):
        return integer({name: text}, name, default=0, low=-_INT64, high=_INT64 - 1)
    if isinstance(column_type, sa.Numeric | sa.Float):
        return number(text, name)
    if isinstance(column_type, sa.DateTime):
        moment = instant(text, name)
        if moment is None or "T" not in text.upper():
            raise bad_parameter(name, "un instant RFC 3339 est attendu.", "an RFC 3339 date-time is expected.")
        return moment
    if isinstance(column_type, sa.Date):
        try:
            # fromisoformat alone reads 20240501 and 2024-W18-3 too
            found = re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text)
            return dt.date.fromisoformat(found[0] if found else "")
        except ValueError:
            raise bad_parameter(name, "une date AAAA-MM-JJ est attendue.", "a date YYYY-MM-DD is expected.") from None
    return text


def json_type(column_type: sa.types.TypeEngine[Any]) -> dict[str, str]:
    """Return the JSON Schema type (and format) of a column."""
    if isinstance(column_type, sa.Boolean):
        return {"type": "boolean"}
    if isinstance(column_type, sa.Integer):
        return {"type": "integer"}
    if isinstance(column_type, sa.Numeric | sa.Float):
        return {"type": "number"}
    if isinstance(column_type, sa.DateTime):
        return {"type": "string", "format": "date-time"}
    if isinstance(column_type, sa.Date):
        return {"type": "string", "format": "date"}
    return {"type": "string"}
