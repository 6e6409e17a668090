"""Fixtures of the layers' tests."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from support.databases import MARIADB, POSTGIS, TestDatabase, fresh_database
from support.delivered_city import DeliveredCity
from support.mariadb import mariadb_url
from support.postgis import postgis_url

__all__ = ["mariadb_url", "postgis_url"]


@pytest.fixture
def small_city(tmp_path: Path) -> DeliveredCity:
    return DeliveredCity.at(tmp_path)


@pytest.fixture(scope="session")
def ingested(shared_data: Path, tmp_path_factory: pytest.TempPathFactory):
    """Cities of real data by name, each ingested when it is first asked for. Shared by all tests: read only."""
    from support.real_city import RealCity

    @cache
    def of(name: str) -> RealCity:
        real = RealCity.at(tmp_path_factory.mktemp("real") / name, name, shared_data)
        assert not real.ingest()
        return real

    return of


@pytest.fixture
def postgis(postgis_url: str) -> Iterator[TestDatabase]:
    """An empty schema of a real PostGIS."""
    with fresh_database(POSTGIS, postgis_url) as database:
        yield database


@pytest.fixture
def mariadb(mariadb_url: str) -> Iterator[TestDatabase]:
    """An empty database of a real MariaDB."""
    with fresh_database(MARIADB, mariadb_url) as database:
        yield database


@pytest.fixture(params=[POSTGIS, MARIADB])
def server(request: pytest.FixtureRequest) -> TestDatabase:
    """Each of the real databases in turn."""
    found: TestDatabase = request.getfixturevalue(request.param)
    return found
