"""Destroying runs in PostGIS: what a purge took away is nowhere, the database that runs are published in included."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa
from pydantic import SecretStr

from layers.errors import RunError
from ogc_server.publication.postgis import CATALOGUE, only_writer, run_schemas
from ogc_server.publication.publish import DATABASE_URL, environment_url
from ogc_server.stores.engines import postgis_engine
from ogc_server.stores.store import schema_of_run


def destroy_published_runs(kept: Collection[str], *, required: bool, database_url: SecretStr | None = None) -> None:
    """Drop every run in PostGIS but some, the current one with its views if it is not among them.

    Parameters
    ----------
    kept
        Ids of the runs that stay.
    required
        Whether the city keeps its runs in PostGIS; else nothing is done where no database is named.
    database_url
        The database; by default the one that ``CALANQUE_DATABASE_URL`` names.

    Raises
    ------
    RunError
        If no database is named where one is required, it cannot be reached, or it refuses.
    """
    url = database_url or environment_url()
    if url is None:
        if required:
            raise RunError(f'the city file says stores.kind = "postgis": give the database in {DATABASE_URL}')
        return
    engine = postgis_engine(url.get_secret_value(), reading=False)
    try:
        with engine.connect() as connection, only_writer(connection):
            _drop_others(connection, kept)
    except sa.exc.DBAPIError as error:
        raise RunError(f"PostGIS: {str(error.orig).strip().splitlines()[0]}") from error
    finally:
        engine.dispose()


def _drop_others(connection: sa.Connection, kept: Collection[str]) -> None:
    there = connection.execute(sa.text("SELECT to_regclass('calanque.runs')")).scalar()
    if there is not None:
        # First out of the list, views and all: a crash leaves schemas that no list names, and they are dropped below.
        runs = connection.execute(sa.text("SELECT run_id FROM calanque.runs")).scalars().all()
        gone = sorted(set(runs) - set(kept))
        current = connection.execute(sa.text("SELECT run_id FROM calanque.current_run")).scalar()
        if current in gone:
            views = sa.text("SELECT viewname FROM pg_views WHERE schemaname = 'calanque'")
            for view in connection.execute(views).scalars().all():
                connection.execute(sa.text(f'DROP VIEW {CATALOGUE}."{view}"'))
            connection.execute(sa.text("DELETE FROM calanque.current_run"))
        connection.execute(sa.text("DELETE FROM calanque.runs WHERE run_id = ANY(:gone)"), {"gone": gone})
        connection.commit()
    for schema in sorted(set(run_schemas(connection)) - {schema_of_run(run_id) for run_id in kept}):
        connection.execute(sa.schema.DropSchema(schema, cascade=True))
        connection.commit()
    connection.rollback()
