"""Real databases for tests of sources: a fresh schema in a throwaway server, and its URL."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa

POSTGIS, MARIADB = "postgis", "mariadb"


@dataclass(frozen=True)
class TestDatabase:
    """A database that one test has for itself."""

    __test__ = False  # no class of tests

    kind: str
    url: str

    def run(self, *statements: str) -> None:
        """Run statements, committed together."""
        engine = sa.create_engine(_driven(self.url), poolclass=sa.NullPool)
        with engine.begin() as connection:
            for statement in statements:
                connection.execution_options(no_parameters=True).exec_driver_sql(statement)

    def ask(self, statement: str) -> list[tuple[object, ...]]:
        engine = sa.create_engine(_driven(self.url), poolclass=sa.NullPool)
        with engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(statement)]


def _driven(url: str) -> sa.URL:
    parsed = sa.make_url(url)
    return parsed.set(drivername="postgresql+psycopg") if parsed.get_backend_name() == "postgresql" else parsed


@contextmanager
def fresh_database(kind: str, server_url: str) -> Iterator[TestDatabase]:
    """A schema of PostGIS or a database of MariaDB that exists as long as the context lasts."""
    name = f"s{uuid.uuid4().hex[:12]}"
    server = TestDatabase(kind, server_url)
    server.run(f"CREATE SCHEMA {name}")
    parsed = sa.make_url(server_url)
    if kind == POSTGIS:
        own = parsed.update_query_dict({"options": f"-csearch_path={name},public"})
    else:
        own = parsed.set(database=name)
    try:
        yield TestDatabase(kind, own.render_as_string(hide_password=False))
    finally:
        server.run(f"DROP SCHEMA {name} {'CASCADE' if kind == POSTGIS else ''}")
