"""Fixtures of the server's tests: a synthetic run, once in its own store and once in PostGIS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from layers.home import Home
from layers.runs import Run
from ogc_server.app import create_app
from ogc_server.publication.postgis import hold_run
from ogc_server.settings import Settings
from ogc_server.stores import Store, open_store
from support.postgis import drop_all_runs, postgis_url
from support.synthetic import build_synthetic_run

__all__ = ["postgis_url"]
ROOT = "http://127.0.0.1:8010"


@pytest.fixture(scope="session")
def synthetic_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Home folder whose current run is the synthetic one. Shared: read only."""
    home = Home(tmp_path_factory.mktemp("synthetic"))
    build_synthetic_run(home)
    return home


@pytest.fixture(scope="session")
def synthetic_run(synthetic_home: Home) -> Run:
    from layers.runs import open_run

    return open_run(synthetic_home)


@pytest.fixture(scope="session")
def embedded_store(synthetic_run: Run) -> Iterator[Store]:
    store = open_store(synthetic_run)
    yield store
    store.close()


@pytest.fixture(scope="session")
def synthetic_postgis_url(synthetic_run: Run, postgis_url: str) -> str:
    """Database that holds the synthetic run."""
    drop_all_runs(postgis_url)
    assert hold_run(synthetic_run, postgis_url)
    return postgis_url


@pytest.fixture
def url_without_runs(synthetic_run: Run, postgis_url: str) -> Iterator[SecretStr]:
    """An empty database; given back with the synthetic run in it, as the other tests want it."""
    drop_all_runs(postgis_url)
    yield SecretStr(postgis_url)
    drop_all_runs(postgis_url)
    hold_run(synthetic_run, postgis_url)


@pytest.fixture(scope="session")
def postgis_store(synthetic_run: Run, synthetic_postgis_url: str) -> Iterator[Store]:
    store = open_store(synthetic_run, SimpleNamespace(database_url=SecretStr(synthetic_postgis_url)))
    yield store
    store.close()


@pytest.fixture(params=["embedded", "postgis"])
def store(request: pytest.FixtureRequest) -> Store:
    """Each store in turn."""
    found: Store = request.getfixturevalue(f"{request.param}_store")
    return found


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture(scope="module")
def embedded(synthetic_home: Home, synthetic_run: Run) -> Iterator[TestClient]:
    """The application as ``analyst`` over the embedded store."""
    with TestClient(create_app(Settings(home=synthetic_home.root)), base_url=ROOT) as opened:
        yield opened


@pytest.fixture(scope="module")
def on_postgis(synthetic_home: Home, synthetic_run: Run, synthetic_postgis_url: str) -> Iterator[TestClient]:
    """The same over PostGIS."""
    hold_run(synthetic_run, synthetic_postgis_url)
    settings = Settings(home=synthetic_home.root, database_url=SecretStr(synthetic_postgis_url))
    with TestClient(create_app(settings), base_url=ROOT) as opened:
        yield opened


@pytest.fixture(params=["embedded", "on_postgis"])
def client(request: pytest.FixtureRequest) -> TestClient:
    """The application over each store in turn."""
    found: TestClient = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def public(synthetic_home: Home, synthetic_run: Run) -> Iterator[TestClient]:
    """The application as ``public``."""
    with TestClient(create_app(Settings(home=synthetic_home.root, profile="public")), base_url=ROOT) as opened:
        yield opened
