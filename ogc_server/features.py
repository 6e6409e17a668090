"""Reading features: one question, one count, one page, in SQL that is the same on both stores."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ogc_server.collections import Collection
from ogc_server.feature_query import FeatureQuery, Interval
from ogc_server.systems import CRS84, System

_ID, _GEOMETRY = "_id", "_geometry"


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """One feature; its geometry is GeoJSON text as the store wrote it, None where not located or not asked."""

    id: str
    geometry: str | None
    properties: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """Features of one page, and how many there are in all."""

    rows: tuple[FeatureRow, ...]
    matched: int


def read_page(collection: Collection, query: FeatureQuery, *, hits_only: bool = False) -> Page:
    """Return a page of features, in the store's order (neighbours together) unless ``sortby`` says otherwise.

    Parameters
    ----------
    collection
        What to read.
    query
        The question.
    hits_only
        Count only.

    Returns
    -------
    Page
        With the exact number of features that match.
    """
    table = collection.sql_table
    condition = sa.and_(sa.true(), *_conditions(collection, query))
    with collection.sql_store.engine.connect() as connection:
        if hits_only:
            return Page((), _count(connection, collection, query, condition))
        names = _names(collection, query.properties)
        statement = (
            sa.select(*_columns(collection, names, query.system, geometry=query.geometry))
            .where(condition)
            .order_by(*_order(collection, query), table.c.fid)
            .limit(query.limit)
            .offset(query.offset)
        )
        rows = tuple(_rows(connection.execute(statement), collection, names, geometry=query.geometry))
        if query.offset == 0 and len(rows) < query.limit:
            return Page(rows, len(rows))
        return Page(rows, _count(connection, collection, query, condition))


def read_item(collection: Collection, identifier: str, system: System = CRS84) -> FeatureRow | None:
    """Return the feature called ``identifier``, or None."""
    table = collection.sql_table
    names = _names(collection, None)
    statement = sa.select(*_columns(collection, names, system, geometry=True))
    with collection.sql_store.engine.connect() as connection:
        found = connection.execute(statement.where(table.c[collection.spec.key] == identifier)).fetchall()
    return next(iter(_rows(found, collection, names, geometry=True)), None)


def _count(
    connection: Connection, collection: Collection, query: FeatureQuery, condition: sa.ColumnElement[bool]
) -> int:
    if collection.rows is not None and not (query.boxes or query.equals or _time_matters(collection, query)):
        return collection.rows
    statement = sa.select(sa.func.count()).select_from(collection.sql_table).where(condition)
    return int(connection.execute(statement).scalar_one())


def _time_matters(collection: Collection, query: FeatureQuery) -> bool:
    return query.interval is not None and collection.spec.time_column in collection.types


def _names(collection: Collection, properties: tuple[str, ...] | None) -> list[str]:
    return [p.name for p in collection.properties if properties is None or p.name in properties]


def _columns(
    collection: Collection, names: list[str], system: System, *, geometry: bool
) -> list[sa.ColumnElement[Any]]:
    table = collection.sql_table
    columns: list[sa.ColumnElement[Any]] = [table.c[collection.spec.key].label(_ID)]
    if geometry:
        columns.append(collection.sql_store.geojson(table, system.frame).label(_GEOMETRY))
    return [*columns, *(table.c[name] for name in names)]


def _order(collection: Collection, query: FeatureQuery) -> Iterator[sa.ColumnElement[Any]]:
    for term in query.sort:
        column = collection.sql_store.sortable(collection.sql_table.c[term.column])
        yield (column.desc() if term.descending else column.asc()).nulls_last()


def _conditions(collection: Collection, query: FeatureQuery) -> Iterator[sa.ColumnElement[bool]]:
    table = collection.sql_table
    if query.boxes:
        store = collection.sql_store
        yield sa.or_(*(store.intersects(table, box.bounds, metric=box.metric) for box in query.boxes))
    for equal in query.equals:
        yield table.c[equal.column] == equal.value
    if query.interval is not None and _time_matters(collection, query):
        yield _during(collection, query.interval)


def _during(collection: Collection, interval: Interval) -> sa.ColumnElement[bool]:
    """Compare the times of a feature with an interval, ends included.

    A feature with one time is an instant. A feature with two lasts from the first to the second: between instants a
    missing second time means that the first is all that is known, between dates that the period has not ended, and a
    missing first date that its beginning is not known. A feature without any time matches no interval.
    """
    table, spec = collection.sql_table, collection.spec
    assert spec.time_column is not None
    start = table.c[spec.time_column]
    whole_days = isinstance(start.type, sa.Date) and not isinstance(start.type, sa.DateTime)
    low, high = (_in_days(v, collection) if whole_days else v for v in interval)
    end = table.c[spec.time_end_column] if spec.time_end_column in collection.types else None
    known = start.is_not(None) if end is None or not whole_days else sa.or_(start.is_not(None), end.is_not(None))
    conditions = [known]
    if high is not None:
        conditions.append(sa.or_(start <= high, start.is_(None)) if whole_days and end is not None else start <= high)
    if low is not None:
        if end is None:
            conditions.append(start >= low)
        elif whole_days:
            conditions.append(sa.or_(end >= low, end.is_(None)))
        else:
            conditions.append(sa.func.coalesce(end, start) >= low)
    return sa.and_(*conditions)


def _in_days(moment: dt.datetime | None, collection: Collection) -> dt.date | None:
    if moment is None:
        return None
    # a bare date, and the midnight that clients send for one, is the same day in every zone
    if moment.time() in {dt.time.min, dt.time.max}:
        return moment.date()
    try:
        return moment.astimezone(collection.zone).date()
    except OverflowError:  # the first and the last day of the calendar
        return moment.date()


def _rows(
    found: Iterable[Sequence[Any]], collection: Collection, names: list[str], *, geometry: bool
) -> list[FeatureRow]:
    """Turn rows (id, geometry if asked, properties) into features; only values of some types need a look."""
    first = 2 if geometry else 1
    looked_at = [n for n in names if isinstance(collection.types[n], sa.Float | sa.Date | sa.DateTime)]
    rows = []
    for values in found:
        properties = dict(zip(names, values[first:], strict=True))
        for name in looked_at:
            properties[name] = plain(properties[name])
        rows.append(FeatureRow(str(values[0]), values[1] if geometry else None, properties))
    return rows


def plain(value: Any) -> Any:
    """Return a value as JSON has it: RFC 3339 times in UTC, null for a number that is none."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dt.datetime):
        utc = value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)
        return utc.replace(tzinfo=None).isoformat() + "Z"
    if isinstance(value, dt.date):
        return value.isoformat()
    return value
