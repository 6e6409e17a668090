"""Runs in PostGIS: a schema per run, one switch, nothing left of a crash, old runs dropped."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

import ogc_server.publication.postgis as loading
from layers.errors import RunError
from layers.home import Home
from layers.runs import Run
from ogc_server.publication.postgis import hold_run
from ogc_server.stores import open_store, schema_of_run
from ogc_server.stores.engines import postgis_engine
from support.postgis import drop_all_runs
from support.synthetic import build_synthetic_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    home = Home(tmp_path_factory.mktemp("runs"))
    return [build_synthetic_run(home, variant=v) for v in range(4)]


@pytest.fixture
def url(url_without_runs: SecretStr) -> str:
    return url_without_runs.get_secret_value()


def ask(url: str, sql: str) -> list:
    engine = postgis_engine(url, reading=False)
    try:
        with engine.connect() as connection:
            return list(connection.execute(sa.text(sql)).scalars())
    finally:
        engine.dispose()


def schemas(url: str) -> set[str]:
    return set(ask(url, r"SELECT nspname FROM pg_namespace WHERE nspname LIKE 'run\_%'"))


def counts_in_view(url: str) -> list[int]:
    return ask(url, "SELECT n FROM calanque.exact__hex_incidents ORDER BY fid")


def test_holding_a_run_twice_changes_nothing(url: str, runs: list[Run]):
    assert hold_run(runs[0], url)
    before = ask(url, "SELECT xmin::text FROM calanque.current_run UNION ALL SELECT xmin::text FROM calanque.runs")
    assert not hold_run(runs[0], url)
    assert (
        ask(url, "SELECT xmin::text FROM calanque.current_run UNION ALL SELECT xmin::text FROM calanque.runs") == before
    )


def test_the_views_follow_the_current_run(url: str, runs: list[Run]):
    hold_run(runs[0], url)
    first = counts_in_view(url)
    hold_run(runs[1], url)
    assert ask(url, "SELECT run_id FROM calanque.current_run") == [runs[1].manifest.run_id]
    second = counts_in_view(url)
    assert second != first
    assert hold_run(runs[0], url)  # going back is a switch, no loading
    assert counts_in_view(url) == first
    assert set(ask(url, "SELECT viewname FROM pg_views WHERE schemaname = 'calanque'")) == {
        f"{form}__{p.spec.id}" for p in runs[0].manifest.products for form, f in p.forms.items() if f.rows is not None
    }


def test_old_runs_are_dropped_and_the_previous_one_stays(url: str, runs: list[Run]):
    for run in runs:
        hold_run(run, url)
    assert schemas(url) == {schema_of_run(r.manifest.run_id) for r in runs[-2:]}
    assert set(ask(url, "SELECT run_id FROM calanque.runs")) == {r.manifest.run_id for r in runs[-2:]}


@pytest.mark.parametrize("tables_before_death", [0, 2])
def test_a_loading_that_dies_leaves_the_old_run_and_the_next_one_completes(
    url: str, runs: list[Run], monkeypatch: pytest.MonkeyPatch, tables_before_death: int
):
    hold_run(runs[0], url)
    first = counts_in_view(url)
    copied = []

    class DeadError(BaseException):
        pass

    real = loading._copy

    def copy(*arguments):
        if len(copied) == tables_before_death:
            raise DeadError
        copied.append(arguments)
        real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loading, "_copy", copy)
        with pytest.raises(DeadError):
            hold_run(runs[1], url)
    partial = schema_of_run(runs[1].manifest.run_id)
    assert partial in schemas(url)
    assert counts_in_view(url) == first
    assert hold_run(runs[1], url)
    assert counts_in_view(url) != first
    assert len(ask(url, f"SELECT tablename FROM pg_tables WHERE schemaname = '{partial}'")) == 10


def test_what_died_before_is_dropped_even_when_its_run_never_comes_back(url: str, runs: list[Run]):
    hold_run(runs[0], url)
    ask(url, "SELECT 1")
    engine = postgis_engine(url, reading=False)
    with engine.begin() as connection:
        connection.execute(sa.schema.CreateSchema("run_0123456789abcdef"))
    engine.dispose()
    hold_run(runs[1], url)
    assert schemas(url) == {schema_of_run(r.manifest.run_id) for r in runs[:2]}


def test_a_reader_with_rights_on_the_views_alone_reads_the_current_run(url: str, runs: list[Run]):
    """As docs/decisions/0005-stores.md tells an administrator to grant; the grant outlives a new run."""
    hold_run(runs[0], url)
    engine = postgis_engine(url, reading=False)
    with engine.begin() as connection:
        for statement in (
            "DROP ROLE IF EXISTS calanque_reader",
            "CREATE ROLE calanque_reader",
            "GRANT USAGE ON SCHEMA calanque TO calanque_reader",
            "ALTER DEFAULT PRIVILEGES IN SCHEMA calanque GRANT SELECT ON TABLES TO calanque_reader",
        ):
            connection.execute(sa.text(statement))
    hold_run(runs[1], url)
    with engine.connect() as connection:
        connection.execute(sa.text("SET ROLE calanque_reader"))
        assert connection.execute(sa.text("SELECT count(*) FROM calanque.public__quartiers")).scalar() == 9
        with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
            connection.execute(sa.text(f'SELECT 1 FROM "{schema_of_run(runs[1].manifest.run_id)}"."public__quartiers"'))
    with engine.begin() as connection:
        connection.execute(sa.text("DROP OWNED BY calanque_reader"))
        connection.execute(
            sa.text("ALTER DEFAULT PRIVILEGES IN SCHEMA calanque REVOKE SELECT ON TABLES FROM calanque_reader")
        )
        connection.execute(sa.text("DROP ROLE calanque_reader"))
    engine.dispose()


def test_a_server_needs_no_more_than_reading(url: str, runs: list[Run]):
    """As docs/decisions/0005-stores.md tells: default privileges, so that runs to come are readable too."""
    publisher = postgis_engine(url, reading=False)
    with publisher.begin() as connection:
        for statement in (
            "CREATE ROLE calanque_server LOGIN",
            "ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO calanque_server",
            "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO calanque_server",
        ):
            connection.execute(sa.text(statement))
    try:
        drop_all_runs(url)  # the catalogue is made anew, under these privileges
        hold_run(runs[0], url)
        served = sa.make_url(url).set(username="calanque_server").render_as_string(hide_password=False)
        store = open_store(runs[0], SimpleNamespace(database_url=SecretStr(served)))
        table = store.table("exact", "hotspots")
        with store.engine.connect() as connection:
            found = sa.select(sa.func.count()).where(store.intersects(table, (5.3, 43.2, 5.4, 43.4)))
            assert connection.execute(found).scalar() == 271
        store.close()
    finally:
        with publisher.begin() as connection:
            connection.execute(sa.text("ALTER DEFAULT PRIVILEGES REVOKE USAGE ON SCHEMAS FROM calanque_server"))
            connection.execute(sa.text("ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM calanque_server"))
            connection.execute(sa.text("DROP OWNED BY calanque_server"))
            connection.execute(sa.text("DROP ROLE calanque_server"))
        publisher.dispose()


def test_spatial_indexes_serve_rectangles(url: str, runs: list[Run]):
    hold_run(runs[0], url)
    schema = schema_of_run(runs[0].manifest.run_id)
    indexes = set(
        ask(url, f"SELECT indexname FROM pg_indexes WHERE schemaname = '{schema}' AND tablename = 'exact__incidents'")
    )
    name = "exact__incidents"
    assert indexes == {f"{name}_pkey", f"{name}__key", f"{name}__geom", f"{name}__geom_m", f"{name}__time"}
    sizes = ask(url, f"SELECT reltuples FROM pg_class WHERE oid = '{schema}.{name}'::regclass")
    assert sizes == [400.0]  # ANALYZE has been done


def test_a_database_that_does_not_answer_is_told_without_its_password(runs: list[Run]):
    with pytest.raises(RunError, match="PostGIS") as caught:
        hold_run(runs[0], "postgresql://somebody:secret@127.0.0.1:9/nowhere")
    assert "secret" not in str(caught.value)
