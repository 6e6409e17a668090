"""Ways into a database: its URL, what may be asked of it, and what is told of its errors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from layers.declared_sources import Database
from layers.errors import DeliveryError
from layers.readers.dialects import Dialect, dialect_of

_ALIAS = "delivery"
_QUOTED = re.compile(r"""'[^']*'|"[^"]*"|`[^`]*`""")
_WRITING = re.compile(r"\b(insert|update|delete|merge|into)\b", re.IGNORECASE)
"""What a statement that begins with SELECT or WITH can still do, besides reading."""
_LONGEST_SHOWN = 300


def check_query(query: str) -> None:
    """Refuse what is not one SELECT.

    Writing is refused by the transaction too; this says so before a connection is made, and by name.

    Raises
    ------
    DeliveryError
        Names what was found.
    """
    if ";" in query or "--" in query or "/*" in query:
        raise DeliveryError("database.query: one SELECT is expected, without a semicolon and without comments")
    words = _QUOTED.sub(" ", query)
    if not re.match(r"\s*\(*\s*(select|with)\b", words, re.IGNORECASE):
        raise DeliveryError("database.query: one SELECT is expected; it begins with another word")
    if found := _WRITING.search(words):
        raise DeliveryError(
            f"database.query: one SELECT that only reads is expected; it says {found[0].upper()} "
            "(a column of this name is written in quotes)"
        )


def relation(database: Database, names: Sequence[str]) -> sa.FromClause:
    """Table or query, under an alias, with these columns."""
    columns: list[sa.ColumnClause[Any]] = [sa.column(name) for name in names]
    if database.table is not None:
        schema, table = table_name(database.table)
        return sa.table(table, *columns, schema=schema).alias(_ALIAS)
    # A colon is a parameter to SQLAlchemy, and a text or a cast to whoever wrote the query.
    return sa.text(str(database.query).replace(":", r"\:")).columns(*columns).subquery(_ALIAS)


def table_name(table: str) -> tuple[str | None, str]:
    """Schema, if one is given, and name of a table.

    Raises
    ------
    DeliveryError
        If it is neither ``schema.table`` nor ``table``.
    """
    parts = table.split(".")
    if len(parts) > 2 or not all(parts):
        raise DeliveryError(f"database.table: schema.table or table is expected (given: {table!r})")
    return (parts[0] if len(parts) == 2 else None), parts[-1]


def engine_of(url: str) -> tuple[sa.Engine, Dialect]:
    """Engine of a URL, not connected yet, and the kind of its database.

    Raises
    ------
    DeliveryError
        If it is no URL, of no known database, or its driver is not installed.
    """
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        raise DeliveryError(
            "the database's URL is not one (expected: postgresql+psycopg://user:password@host/database)"
        ) from None
    dialect = dialect_of(parsed.get_backend_name())
    if dialect is None:
        known = ", ".join(sorted(Dialect.registry))
        raise DeliveryError(f"no database is known by the name {parsed.get_backend_name()!r} (known: {known})")
    driver = dialect.driver
    options = {key: value for key, value in dialect.options.items() if key not in parsed.query}
    try:
        engine = sa.create_engine(
            parsed.set(drivername=driver), poolclass=sa.NullPool, hide_parameters=True, connect_args=options
        )
    except ModuleNotFoundError as error:
        raise DeliveryError(f"the driver {driver.partition('+')[2]!r} is not installed: pip install it") from error
    return engine, dialect


@contextmanager
def refusals(url: str, *, shown: bool, after_row: int | None = None) -> Iterator[None]:
    """Make a database's error a refusal: never with the password, nor, once rows are read, with a value of theirs."""
    try:
        yield
    except (sa.exc.SQLAlchemyError, UnicodeError, OSError) as error:
        where = f" after row {after_row}" if after_row else ""
        raise DeliveryError(f"the database refuses{where}: {_reason(error, url, shown=shown)}") from None


def _reason(error: Exception, url: str, *, shown: bool) -> str:
    cause = getattr(error, "orig", None) or error
    if not shown:
        code = getattr(cause, "sqlstate", None) or next((a for a in cause.args[:1] if isinstance(a, int)), None)
        return f"{type(cause).__name__}{f' {code}' if code else ''}"
    text = " ".join(str(cause).split())[:_LONGEST_SHOWN]
    parsed = sa.make_url(url)
    for secret in {parsed.password, url} - {None, ""}:
        text = text.replace(str(secret), "***")
    return text or type(cause).__name__
