"""Loading a run into PostGIS: a schema per run, filled by COPY, then one transaction that switches the views.

The rows come from the run's embedded store, so that both stores hold the same ones. What a crash leaves half loaded is
not in ``calanque.runs`` and is dropped by the next publication.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

from layers.errors import RunError
from layers.runs import BUILDING, Run
from layers.steps import ProgressCallback, no_progress
from ogc_server.stores.columns import CRS84_SRID, GEOMETRY, METRIC_GEOMETRY, metric_srid
from ogc_server.stores.engines import duckdb_engine, postgis_engine
from ogc_server.stores.store import STORE_FILE, run_tables, schema_of_run

CATALOGUE: Final = "calanque"
"""Schema of the list of runs, and of the views on the current one."""
KEPT_RUNS: Final = 2
_LOCK: Final = 0x43414C41
"""Advisory lock: one publication at a time in a database."""
_COPY_BLOCK: Final = 1 << 20

_CATALOGUE_SQL: Final = (
    "CREATE EXTENSION IF NOT EXISTS postgis",
    "CREATE SCHEMA IF NOT EXISTS calanque",
    "CREATE TABLE IF NOT EXISTS calanque.runs (run_id text PRIMARY KEY, loaded bigint GENERATED ALWAYS AS IDENTITY)",
    """CREATE TABLE IF NOT EXISTS calanque.current_run (
        only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one), run_id text NOT NULL REFERENCES calanque.runs)""",
)


def hold_run(run: Run, url: str, *, kept_runs: int = KEPT_RUNS, progress: ProgressCallback = no_progress) -> bool:
    """Make sure that a PostGIS database holds a run, as the current one.

    Parameters
    ----------
    run
        A whole run.
    url
        A role that may create schemas (and the extension, where it is not there yet).
    kept_runs
        Runs that stay in the database, the current one included.

    Returns
    -------
    bool
        Whether anything was written.

    Raises
    ------
    RunError
        If the database cannot be reached, or refuses.
    """
    run_id = run.manifest.run_id
    engine = postgis_engine(url, reading=False)
    try:
        with engine.connect() as connection, only_writer(connection):
            _prepare(connection)
            loaded = _loaded_runs(connection)
            missing = run_id not in loaded
            if missing:
                progress("PostGIS", 0.96)
                _drop_partial(connection, loaded)
                _load(connection, run)
            switched = _switch(connection, run)
            drop_old_runs(connection, kept_runs=kept_runs)
            return missing or switched
    except sa.exc.DBAPIError as error:
        # the driver's message, without the statement and its parameters
        raise RunError(f"PostGIS: {str(error.orig).strip().splitlines()[0]}") from error
    finally:
        engine.dispose()


@contextmanager
def only_writer(connection: sa.Connection) -> Iterator[None]:
    """Keep other publishers out of the database meanwhile."""
    # a session's lock: a publisher that dies frees it
    connection.execute(sa.select(sa.func.pg_advisory_lock(_LOCK)))
    connection.commit()
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(sa.select(sa.func.pg_advisory_unlock(_LOCK)))
        connection.commit()


def _prepare(connection: sa.Connection) -> None:
    # An existing extension is not asked for again: that would need a right that a publisher seldom has.
    there = connection.execute(sa.text("SELECT 1 FROM pg_extension WHERE extname = 'postgis'")).scalar()
    for statement in _CATALOGUE_SQL[1 if there else 0 :]:
        connection.execute(sa.text(statement))
    connection.commit()


def _loaded_runs(connection: sa.Connection) -> list[str]:
    """List the runs in the database, the latest loaded first."""
    return list(connection.execute(sa.text("SELECT run_id FROM calanque.runs ORDER BY loaded DESC")).scalars())


def run_schemas(connection: sa.Connection) -> list[str]:
    """Schemas of runs, whole or not."""
    found = connection.execute(sa.text(r"SELECT nspname FROM pg_namespace WHERE nspname LIKE 'run\_%'"))
    return list(found.scalars())


def _drop_partial(connection: sa.Connection, loaded: Sequence[str]) -> None:
    for schema in set(run_schemas(connection)) - {schema_of_run(run_id) for run_id in loaded}:
        connection.execute(sa.schema.DropSchema(schema, cascade=True))
    connection.commit()


def _load(connection: sa.Connection, run: Run) -> None:
    """Create the run's schema, copy its tables, index them; it exists for readers once ``calanque.runs`` says so."""
    schema = schema_of_run(run.manifest.run_id)
    metric_crs = str(run.manifest.parameters["city"]["metric_crs"])
    tables = run_tables(run, metric_crs=metric_crs, schema=schema, postgis=True)
    srids = {GEOMETRY: CRS84_SRID, METRIC_GEOMETRY: metric_srid(metric_crs)}
    connection.execute(sa.schema.CreateSchema(schema))
    connection.commit()
    source = duckdb_engine(run.folder / STORE_FILE)
    try:
        for table in tables.values():
            connection.execute(CreateTable(table))
            _copy(connection, source, table, srids, run.folder.parent)
            for index in sorted(table.indexes, key=lambda i: str(i.name)):
                connection.execute(CreateIndex(index))
            connection.execute(sa.text(f"ANALYZE {_name(table)}"))
            connection.commit()
    finally:
        source.dispose()
    connection.execute(sa.text("INSERT INTO calanque.runs (run_id) VALUES (:run_id)"), {"run_id": run.manifest.run_id})
    connection.commit()


def _copy(
    connection: sa.Connection, source: sa.Engine, table: sa.Table, srids: dict[str, int], runs_folder: Path
) -> None:
    """Copy one table, in the order of ``fid``, as CSV that DuckDB writes and PostgreSQL reads."""
    columns = []
    for column in table.columns:
        name = f'"{column.key}"'
        # hexadecimal WKB is what PostGIS' own input function reads; the SRID is put before it
        columns.append(
            f"'SRID={srids[column.name]};' || ST_AsHEXWKB({name}) AS {name}" if column.name in srids else name
        )
    texts = ", ".join(f'"{c.key}"' for c in table.columns if isinstance(c.type, sa.String))
    # in the home folder, under a name that the next run to be built removes: a crash leaves no records elsewhere
    with tempfile.TemporaryDirectory(dir=runs_folder, prefix=BUILDING) as folder:
        path = Path(folder) / "rows.csv"
        # a text is always quoted: an empty one is no null
        force = f", FORCE_QUOTE ({texts})" if texts else ""
        query = f'SELECT {", ".join(columns)} FROM "{table.name}" ORDER BY fid'  # noqa: S608 (names are ours)
        with source.connect() as reader:
            reader.exec_driver_sql(f"COPY ({query}) TO '{path}' (FORMAT csv, HEADER false{force})")
        names = ", ".join(f'"{c.name}"' for c in table.columns)
        raw: Any = connection.connection.dbapi_connection
        statement = f"COPY {_name(table)} ({names}) FROM STDIN (FORMAT csv)"
        with path.open("rb") as file, raw.cursor() as cursor, cursor.copy(statement) as copy:
            while block := file.read(_COPY_BLOCK):
                copy.write(block)


def _switch(connection: sa.Connection, run: Run) -> bool:
    """Point the catalogue and its views at a run, in one transaction; tell whether they pointed elsewhere."""
    run_id = run.manifest.run_id
    current = connection.execute(sa.text("SELECT run_id FROM calanque.current_run")).scalar()
    if current == run_id:
        connection.rollback()
        return False
    views = sa.text("SELECT viewname FROM pg_views WHERE schemaname = 'calanque'")
    for view in connection.execute(views).scalars().all():
        connection.execute(sa.text(f'DROP VIEW calanque."{view}"'))
    for product in run.manifest.products:
        for form, file in product.forms.items():
            if file.rows is not None:
                name = f"{form}__{product.spec.id}"
                target = f'"{schema_of_run(run_id)}"."{name}"'
                connection.execute(sa.text(f'CREATE VIEW calanque."{name}" AS SELECT * FROM {target}'))  # noqa: S608
    connection.execute(
        sa.text(
            "INSERT INTO calanque.current_run (run_id) VALUES (:run_id)"
            " ON CONFLICT (only_one) DO UPDATE SET run_id = excluded.run_id"
        ),
        {"run_id": run_id},
    )
    connection.commit()
    return True


def drop_old_runs(connection: sa.Connection, *, kept_runs: int = KEPT_RUNS) -> list[str]:
    """Drop the schemas of old runs; the current run and the latest loaded ones stay.

    Parameters
    ----------
    connection
        Of a role that may drop them.
    kept_runs
        Runs that stay, the current one included (at least 2: a server may still be reading the previous one).

    Returns
    -------
    list of str
        Ids of the runs dropped.
    """
    loaded = _loaded_runs(connection)
    current = connection.execute(sa.text("SELECT run_id FROM calanque.current_run")).scalar()
    order = sorted(loaded, key=lambda run_id: run_id != current)
    dropped = order[max(2, kept_runs) :]
    for run_id in dropped:
        # first out of the list, so that a crash leaves a partial schema, never a listed run without tables
        connection.execute(sa.text("DELETE FROM calanque.runs WHERE run_id = :run_id"), {"run_id": run_id})
        connection.commit()
        connection.execute(sa.schema.DropSchema(schema_of_run(run_id), cascade=True))
        connection.commit()
    connection.rollback()
    return dropped


def _name(table: sa.Table) -> str:
    return f'"{table.schema}"."{table.name}"'
