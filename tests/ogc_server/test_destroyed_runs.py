"""A run that a purge destroys is answered from no more, in the home folder and in PostGIS."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from starlette.testclient import TestClient

from layers.errors import RunError
from layers.home import Home
from layers.retention.destruction import destroy_runs
from layers.runs import Run, switch_current
from ogc_server.app import create_app
from ogc_server.publication.postgis import hold_run
from ogc_server.publication.retention import destroy_published_runs
from ogc_server.settings import Settings
from ogc_server.stores import schema_of_run
from ogc_server.stores.engines import postgis_engine
from support.synthetic import build_synthetic_run

ROOT = "http://127.0.0.1:8010"
ITEMS = "/collections/hex_incidents/items?limit=5"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def run_id(client: TestClient) -> str:
    return client.get("/healthz").json()["run"]


def test_the_request_after_the_destruction_is_answered_from_the_new_run(home: Home):
    old = build_synthetic_run(home, variant=0).manifest.run_id
    with TestClient(create_app(Settings(home=home.root)), base_url=ROOT) as client:
        assert client.get(ITEMS).status_code == 200
        new = build_synthetic_run(home, variant=1).manifest.run_id
        destroy_runs(home, [old])
        assert client.get(ITEMS).status_code == 200
        assert run_id(client) == new


def test_without_another_run_nothing_is_answered(home: Home):
    old = build_synthetic_run(home).manifest.run_id
    with TestClient(create_app(Settings(home=home.root)), base_url=ROOT) as client:
        assert client.get(ITEMS).status_code == 200
        destroy_runs(home, [old])
        assert client.get(ITEMS).status_code == 503
        assert not home.current.exists(follow_symlinks=False)


def test_what_is_no_whole_run_goes_too_and_other_runs_stay(home: Home):
    old, kept = (build_synthetic_run(home, variant=v).manifest.run_id for v in (0, 1))
    (home.runs / ".building-left").mkdir()
    (home.runs / "torn").mkdir()
    (home.runs / ".current-77").symlink_to(old)
    switch_current(home, kept)
    destroy_runs(home, [old])
    assert {path.name for path in home.runs.iterdir()} == {kept, "current"}


def schemas(url: str) -> set[str]:
    engine = postgis_engine(url, reading=False)
    try:
        with engine.connect() as connection:
            names = sa.text(
                r"SELECT nspname FROM pg_namespace WHERE nspname LIKE 'run\_%'"
                " UNION SELECT run_id FROM calanque.runs"
                " UNION SELECT viewname FROM pg_views WHERE schemaname = 'calanque'"
            )
            return set(connection.execute(names).scalars())
    finally:
        engine.dispose()


@pytest.fixture
def loaded(home: Home, url_without_runs: SecretStr) -> list[Run]:
    """Two runs in PostGIS; the second is the current one."""
    runs = [build_synthetic_run(home, variant=v) for v in (0, 1)]
    for run in runs:
        hold_run(run, url_without_runs.get_secret_value())
    return runs


def test_other_runs_leave_postgis(loaded: list[Run], url_without_runs: SecretStr):
    url = url_without_runs.get_secret_value()
    old, kept = (run.manifest.run_id for run in loaded)
    views = schemas(url)
    destroy_published_runs({kept}, required=True, database_url=url_without_runs)
    assert schemas(url) == views - {old, schema_of_run(old)}


def test_the_current_run_leaves_postgis_with_its_views(loaded: list[Run], url_without_runs: SecretStr):
    url = url_without_runs.get_secret_value()
    destroy_published_runs(set(), required=True, database_url=url_without_runs)
    assert schemas(url) == set()
    assert hold_run(loaded[0], url)  # and the next publication finds its way


def test_nothing_is_done_where_no_database_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("CALANQUE_DATABASE_URL", raising=False)
    destroy_published_runs(set(), required=False)
    with pytest.raises(RunError, match="CALANQUE_DATABASE_URL"):
        destroy_published_runs(set(), required=True)
