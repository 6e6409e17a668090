"""SQLAlchemy engines of the two stores, opened for reading only."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import threading
import time
import weakref
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import duckdb
import sqlalchemy as sa

from layers.errors import RunError

STATEMENT_TIMEOUT_S: Final = 30.0
_WATCH_INTERVAL_S: Final = 0.5
_POOL_SIZE: Final = 8
_POOL_OVERFLOW: Final = 24
_POOL_WAIT_S: Final = 10.0


class Dialect(StrEnum):
    """Name of a store's SQL."""

    DUCKDB = "duckdb"
    POSTGRESQL = "postgresql"


def spatial_extension() -> Path:
    """Return the path of DuckDB's spatial extension, as installed from its wheel.

    Raises
    ------
    RunError
        If it is not there, or was built for another version of DuckDB.
    """
    found = importlib.util.find_spec("duckdb_extension_spatial")
    folders = list(found.submodule_search_locations or ()) if found else []
    version = importlib.metadata.version("duckdb")
    for folder in folders:
        path = Path(folder) / "extensions" / f"v{version}" / "spatial.duckdb_extension"
        if path.is_file():
            return path
    raise RunError(
        f"DuckDB {version} has no spatial extension here: install the wheel duckdb-extension-spatial=={version}"
    )


def prepare_connection(connection: Any) -> None:
    """Give a DuckDB connection what every query needs: spatial functions, and times in UTC."""
    # LOAD by path needs no home directory and no network, unlike INSTALL
    connection.execute(f"LOAD '{str(spatial_extension()).replace(chr(39), chr(39) * 2)}'")
    connection.execute("SET TimeZone = 'UTC'")


def duckdb_engine(path: Path) -> sa.Engine:
    """Open a run's embedded store read only: any number of processes and threads may.

    A query runs on the thread that asks (``threads = 1``): many small queries, none of which takes the machine.
    A statement that lasts longer than ``STATEMENT_TIMEOUT_S`` is interrupted.
    """
    engine = sa.create_engine(
        sa.URL.create("duckdb", database=str(path)),
        connect_args={"read_only": True, "config": {"threads": 1, "autoload_known_extensions": False}},
        poolclass=sa.QueuePool,
        pool_size=_POOL_SIZE,
        max_overflow=_POOL_OVERFLOW,
        pool_timeout=_POOL_WAIT_S,
        # a run never changes: no transaction to begin and to roll back around each query
        isolation_level="AUTOCOMMIT",
    )

    @sa.event.listens_for(engine, "connect")
    def _prepare(dbapi_connection: Any, _record: Any) -> None:
        cursor = dbapi_connection.cursor()
        prepare_connection(cursor)
        cursor.close()

    Watchdog(engine)
    return engine


def postgis_engine(url: str | sa.URL, *, schema: str | None = None, reading: bool = True) -> sa.Engine:
    """Connect to PostGIS through psycopg 3.

    Parameters
    ----------
    url
        ``postgresql://user@host/database``; the driver is filled in.
    schema
        First schema of the search path, before ``public`` (where PostGIS is).
    reading
        Whether sessions are read only and statements bounded in time; a loader's are not.

    Raises
    ------
    RunError
        If the URL is not one of PostgreSQL.
    """
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise RunError("the database URL cannot be read: postgresql://user@host/database is expected") from error
    if parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise RunError(f"the database URL is of {parsed.get_backend_name()!r}: postgresql:// is expected")
    options = {"TimeZone": "UTC", "search_path": f"{schema},public" if schema else "public"}
    if reading:
        options |= {
            "default_transaction_read_only": "on",
            "statement_timeout": f"{int(STATEMENT_TIMEOUT_S * 1000)}ms",
            "jit": "off",  # compiling costs more than any of our queries
        }
    else:
        options["lock_timeout"] = "60s"  # someone's forgotten transaction on a view makes an error, not a hang
    return sa.create_engine(
        parsed.set(drivername="postgresql+psycopg"),
        connect_args={"options": " ".join(f"-c {name}={value}" for name, value in options.items())},
        pool_size=_POOL_SIZE,
        max_overflow=_POOL_OVERFLOW,
        pool_timeout=_POOL_WAIT_S,
        pool_pre_ping=True,
        isolation_level="AUTOCOMMIT" if reading else "READ COMMITTED",
    )


def duckdb_dialect() -> sa.Dialect:
    """Return the SQL dialect of the embedded store, without a connection."""
    dialect: sa.Dialect = sa.URL.create(Dialect.DUCKDB).get_dialect()()
    return dialect


def open_duckdb(path: str | Path, **config: Any) -> Any:
    """Open a DuckDB database for writing, with spatial functions and times in UTC."""
    connection = duckdb.connect(str(path), config={"autoload_known_extensions": False, **config})
    prepare_connection(connection)
    return connection


class Watchdog:
    """Interrupt DuckDB statements that run too long: it has no time limit of its own.

    Parameters
    ----------
    engine
        Every statement of it is limited, from now until the engine is gone.
    timeout_s
        How long a statement may last.
    """

    def __init__(self, engine: sa.Engine, timeout_s: float = STATEMENT_TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._running: dict[int, tuple[float, Any]] = {}
        self._lock = threading.Lock()
        self._gone = threading.Event()
        sa.event.listen(engine, "before_cursor_execute", self._begin)
        sa.event.listen(engine, "after_cursor_execute", self._end)
        sa.event.listen(engine, "handle_error", self._failed)
        weakref.finalize(engine, self._gone.set)
        watch = threading.Thread(target=self._watch, name="statement-watchdog", daemon=True)
        watch.start()

    def _begin(self, connection: sa.Connection, *_statement: Any) -> None:
        raw = connection.connection.dbapi_connection
        with self._lock:
            self._running[id(connection)] = (time.monotonic() + self._timeout_s, raw)

    def _end(self, connection: sa.Connection, *_statement: Any) -> None:
        with self._lock:
            self._running.pop(id(connection), None)

    def _failed(self, context: sa.engine.ExceptionContext) -> None:
        if context.connection is not None:
            self._end(context.connection)

    def _watch(self) -> None:
        while not self._gone.wait(_WATCH_INTERVAL_S):
            now = time.monotonic()
            with self._lock:
                for deadline, raw in self._running.values():
                    if deadline < now:
                        raw.interrupt()
