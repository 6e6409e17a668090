"""A table or a query of a database, read as a delivery: in parts, inside one transaction that only reads."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyproj
import sqlalchemy as sa

from layers.declared_sources import Database
from layers.errors import DeliveryError
from layers.readers.base import Batch, OpenDelivery
from layers.readers.connections import check_query, engine_of, refusals, relation, table_name
from layers.readers.database_values import cells_to_arrow, unreadable
from layers.readers.dialects import DatabaseColumn, Dialect


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of a snapshot, and the value of their watermark (Python's own types, None where null), if one is asked."""

    batch: Batch
    watermarks: list[Any] | None


@contextmanager
def open_query(database: Database, *, url: str, since: object | None = None) -> Iterator[OpenDelivery]:
    """Open a table or query as a delivery, read once.

    Parameters
    ----------
    database
        What the city file declares.
    url
        SQLAlchemy URL of the database; it appears in no message.
    since
        Rows whose watermark is at or after this value, or null; None for all.

    Raises
    ------
    DeliveryError
        If the database cannot be reached, or gives what no delivery can hold; also while batches are gone through.
    """
    with open_snapshot(database, url=url, since=since) as snapshot:
        yield snapshot.delivery(part.batch for part in snapshot.parts())


@contextmanager
def open_snapshot(
    database: Database, *, url: str, since: object | None = None, without: Collection[str] = ()
) -> Iterator[Snapshot]:
    """Open one state of a table or query, which can be read several times.

    Parameters
    ----------
    database, url, since
        As for :func:`open_query`.
    without
        Columns that are not asked for: what is dropped never leaves its database.

    Raises
    ------
    DeliveryError
        As for :func:`open_query`.
    """
    if database.query is not None:
        check_query(database.query)
    engine, dialect = engine_of(url)
    try:
        with refusals(url, shown=True):
            connection = engine.connect()
        with closing(connection):
            with refusals(url, shown=True):
                dialect.begin(connection)
                snapshot = Snapshot(database, dialect, connection, since=since, without=frozenset(without), url=url)
            with closing(snapshot):
                yield snapshot
    finally:
        engine.dispose()


class Snapshot:
    """One state of a table or query.

    Parameters
    ----------
    database, since, without, url
        As for :func:`open_snapshot`.
    dialect, connection
        The database, in a transaction that only reads.
    """

    def __init__(
        self,
        database: Database,
        dialect: Dialect,
        connection: sa.Connection,
        *,
        since: object | None,
        without: frozenset[str],
        url: str,
    ) -> None:
        self._database, self._dialect, self._connection, self._url = database, dialect, connection, url
        described = self._described()
        self._from = relation(database, [str(column[0]) for column in described])
        every = [
            DatabaseColumn(str(column[0]), position, kind)
            for position, (column, kind) in enumerate(zip(described, dialect.types(connection, described), strict=True))
        ]
        _check_names(every)
        self._watermark = _watermark(database, every)
        self.geometry = _geometry(database, every, without)
        self.columns = tuple(c for c in every if c.name not in without and c is not self.geometry)
        _check_types(self.columns)
        self._srid, self.crs = self._reference_system()
        self._statement = self._select(every, since)
        self._reading: sa.CursorResult[Any] | None = None

    def _described(self) -> Sequence[Any]:
        everything: sa.Select[Any] = (
            sa.select(sa.literal_column("*")).select_from(relation(self._database, [])).where(sa.false())
        )
        with self._connection.execute(everything) as result:
            described: Sequence[Any] = _cursor(result).description
        return described

    def _reference_system(self) -> tuple[int | None, str | None]:
        """SRID of the first geometry and the CRS that it means here; 0 is none."""
        if self.geometry is None:
            return None, None
        column = self._column(self.geometry)
        first = sa.select(self._dialect.srid(column)).where(column.is_not(None)).limit(1)
        with refusals(self._url, shown=False):
            srid = int(self._connection.execute(first).scalar() or 0)
        if not srid:
            return srid, None
        crs = self._dialect.crs(self._connection, srid)
        try:
            pyproj.CRS.from_user_input(crs)
        except pyproj.exceptions.CRSError as error:
            raise DeliveryError(
                f"column {self.geometry.name!r}: its reference system, SRID {srid}, is not a known one"
            ) from error
        return srid, crs

    def _select(self, every: Sequence[DatabaseColumn], since: object | None) -> sa.Select[Any]:
        # Labels of its own: a column may have any name, and ORDER BY must mean the column, not what is made of it.
        values = [self._dialect.value(self._column(c), c.type) for c in self.columns]
        if self.geometry is not None:
            place = self._column(self.geometry)
            values += [self._dialect.wkb(place), self._dialect.srid(place)]
        order = self._order(every)
        if self._watermark is not None:
            values.append(self._dialect.value(self._column(self._watermark), self._watermark.type))
            order = [self._watermark, *(c for c in order if c is not self._watermark)]
        statement = sa.select(*(value.label(f"c{number}") for number, value in enumerate(values)))
        if self._watermark is not None and since is not None:
            mark = self._column(self._watermark)
            # A row without watermark is never after it: it comes each time, rather than never again.
            statement = statement.where(sa.or_(mark >= since, mark.is_(None)))
        return statement.order_by(*(self._column(c) for c in order))

    def _order(self, every: Sequence[DatabaseColumn]) -> list[DatabaseColumn]:
        """Columns that order the rows: the primary key, else all that can be compared."""
        by_name = {c.name: c for c in every}
        key = [by_name[name] for name in self._primary_key() if name in by_name]
        return key or [c for c in every if c.type.sortable and c in self.columns]

    def _primary_key(self) -> list[str]:
        if self._database.table is None:
            return []
        schema, table = table_name(self._database.table)
        with suppress(sa.exc.NoSuchTableError), warnings.catch_warnings():  # a view, in some databases
            warnings.simplefilter("ignore", sa.exc.SAWarning)  # types that reflection does not know are none of its
            names = sa.inspect(self._connection).get_pk_constraint(table, schema=schema)["constrained_columns"]
            dialect: Any = self._connection.dialect
            return [dialect.denormalize_name(n) if dialect.requires_name_normalize else n for n in names]
        return []

    def _column(self, column: DatabaseColumn) -> sa.ColumnElement[Any]:
        return list(self._from.c)[column.position]

    def delivery(self, batches: Iterator[Batch]) -> OpenDelivery:
        """Batches of this snapshot as a delivery."""
        names = tuple(column.name for column in self.columns)
        return OpenDelivery(names, batches, crs=self.crs, has_geometry=self.geometry is not None)

    def parts(self) -> Iterator[Part]:
        """Read the rows from the first one, ``chunk_rows`` at a time."""
        chunk = self._database.chunk_rows
        streaming = self._connection.execution_options(stream_results=True, yield_per=chunk, max_row_buffer=chunk)
        with refusals(self._url, shown=False):
            result = self._reading = streaming.execute(self._statement)
        try:
            chunks = result.partitions(chunk)
            read = 0
            while True:
                with refusals(self._url, shown=False, after_row=read):
                    rows = next(chunks, None)
                if not rows:
                    return
                yield self._part(rows, read)
                read += len(rows)
        finally:
            result.close()

    def close(self) -> None:
        """End a reading that was left halfway, before its connection goes."""
        if self._reading is not None:
            self._reading.close()

    def _part(self, rows: Sequence[Any], read: int) -> Part:
        values = list(zip(*rows, strict=True))
        width = len(self.columns)
        arrays = [
            cells_to_arrow(column, cells, read) for column, cells in zip(self.columns, values[:width], strict=True)
        ]
        geometry = None
        if self.geometry is not None:
            geometry = pa.array(values[width], pa.binary())
            self._check_srids(values[width + 1], read)
        marks = None if self._watermark is None else list(values[-1])
        table = pa.table(arrays, names=[c.name for c in self.columns])
        numbers = np.arange(read + 1, read + len(rows) + 1, dtype=np.int64)
        return Part(Batch(table, numbers, geometry), marks)

    def _check_srids(self, srids: Sequence[int | None], read: int) -> None:
        others = {s for s in set(srids) if s is not None and s != self._srid}
        if others and self.geometry is not None:
            row = read + 1 + next(n for n, s in enumerate(srids) if s in others)
            raise DeliveryError(
                f"column {self.geometry.name!r}, row {row}: its reference system is SRID {min(others)}, that of the "
                f"first row {self._srid}: one is expected for all"
            )


def _cursor(result: sa.CursorResult[Any]) -> Any:
    return result.cursor


def _check_names(columns: Sequence[DatabaseColumn]) -> None:
    names = [c.name for c in columns]
    if repeated := sorted({n for n in names if names.count(n) > 1}):
        raise DeliveryError(f"several columns are called {', '.join(map(repr, repeated))}")


def _check_types(columns: Sequence[DatabaseColumn]) -> None:
    for column in columns:
        if column.type.geometry:
            raise DeliveryError(
                f"column {column.name!r} is another geometry: list it under drop, or name the one that counts in "
                "database.geometry"
            )
        if column.type.arrow is None:
            raise unreadable(column)


def _geometry(database: Database, columns: Sequence[DatabaseColumn], without: frozenset[str]) -> DatabaseColumn | None:
    shapes = [c for c in columns if c.type.geometry and c.name not in without]
    if database.geometry is None:
        return shapes[0] if shapes else None
    found = next((c for c in shapes if c.name == database.geometry), None)
    if found is None:
        names = ", ".join(c.name for c in columns)
        raise DeliveryError(f"database.geometry: no geometry column {database.geometry!r} (columns: {names})")
    return found


def _watermark(database: Database, columns: Sequence[DatabaseColumn]) -> DatabaseColumn | None:
    if database.watermark is None:
        return None
    found = next((c for c in columns if c.name == database.watermark), None)
    if found is None:
        names = ", ".join(c.name for c in columns)
        raise DeliveryError(f"database.watermark: no column {database.watermark!r} (columns: {names})")
    if not found.type.sortable or found.type.arrow in {None, pa.float64(), pa.bool_()} or found.type.name == "time":
        raise DeliveryError(
            f"database.watermark: column {found.name!r} is of type {found.type.name}; whole or decimal numbers, dates, "
            "dates with time or text are expected"
        )
    return found
