"""Pulls of real databases as deliveries of the lake: what is new, what is not, and nothing lost between."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from layers.declared_sources import Source
from layers.errors import DeliveryError
from layers.home import Home
from layers.pulling import canonical_rows, pull
from layers.readers.base import Batch
from layers.receiving import raw_deliveries
from support.databases import TestDatabase, fresh_database

TABLE = "CREATE TABLE records (num integer PRIMARY KEY, day date, code varchar(20), name varchar(40), changed {time})"


def source(**database) -> Source:
    marked = "watermark" in database
    return Source(
        id="log",
        layer="incidents",
        title={"fr": "Journal", "en": "Log"},
        organisation="Ville",
        database={
            "url_env": "DB",
            "chunk_rows": 100,
            **({} if "query" in database else {"table": "records"}),
            **database,
        },
        mode="increment" if marked else "complete",
        columns={"record_id": "num", "started_at": "day", "category": "code"},
        drop=("name", "changed"),
    )


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def make(server: TestDatabase) -> None:
    server.run(TABLE.format(time="timestamp" if server.kind == "postgis" else "datetime(6)"))


def put(server: TestDatabase, number: int, *, code: str = "N1", changed: str = "2024-01-01") -> None:
    server.run(
        f"DELETE FROM records WHERE num = {number}",
        f"INSERT INTO records VALUES ({number}, '2024-05-15', '{code}', 'Dupont', '{changed}')",
    )


def take(server: TestDatabase, home: Home, declared: Source | None = None):
    return pull(declared or source(), home, extras=frozenset(), environ={"DB": server.url})


def held(home: Home) -> list[list[tuple[object, ...]]]:
    """Rows (num, code) of each delivery of the lake, in order of arrival."""
    found = []
    for raw in raw_deliveries("log", home):
        tables = [batch.table for batch in raw.batches()]
        table = pa.concat_tables(tables) if tables else pa.table({"num": [], "code": []})
        found.append(list(zip(table.column("num").to_pylist(), table.column("code").to_pylist(), strict=True)))
    return found


def test_the_first_pull_is_a_delivery_and_the_second_is_none(server: TestDatabase, home: Home):
    make(server)
    put(server, 1)
    put(server, 2)
    first = take(server, home)
    assert first is not None
    assert first.name == f"records@{first.digest[:8]}"
    assert (first.source, first.sequence, first.path) == ("log", 1, None)
    assert take(server, home) is None
    assert held(home) == [[(1, "N1"), (2, "N1")]]


def test_what_changes_in_a_table_makes_a_delivery_of_it_all(server: TestDatabase, home: Home):
    make(server)
    put(server, 1)
    take(server, home)
    put(server, 2)
    take(server, home)
    server.run("DELETE FROM records WHERE num = 1")
    take(server, home)
    assert held(home) == [[(1, "N1")], [(1, "N1"), (2, "N1")], [(2, "N1")]]


def test_a_table_that_goes_back_is_a_delivery_of_its_own(server: TestDatabase, home: Home):
    make(server)
    digests = []
    for code in ("N1", "F1", "N1", "F1"):
        put(server, 1, code=code)
        digests.append(take(server, home).digest)
        assert take(server, home) is None
    assert held(home) == [[(1, "N1")], [(1, "F1")], [(1, "N1")], [(1, "F1")]]
    assert len(set(digests)) == 4


def test_the_order_of_rows_makes_no_delivery(postgis: TestDatabase, home: Home):
    postgis.run("CREATE TABLE records (num integer, day date, code varchar)")
    postgis.run("INSERT INTO records VALUES (1, '2024-05-15', 'a'), (2, '2024-05-15', 'b')")
    assert take(postgis, home) is not None
    postgis.run("DELETE FROM records", "INSERT INTO records VALUES (2, '2024-05-15', 'b'), (1, '2024-05-15', 'a')")
    assert take(postgis, home) is None


def test_what_is_dropped_makes_no_delivery_and_is_found_nowhere(server: TestDatabase, home: Home):
    make(server)
    put(server, 1)
    take(server, home)
    server.run("UPDATE records SET name = 'Martin', changed = '2025-01-01'")
    assert take(server, home) is None
    for path in home.root.rglob("*"):
        assert path.is_dir() or b"Dupont" not in path.read_bytes()


def test_a_watermark_brings_only_what_is_new(server: TestDatabase, home: Home):
    make(server)
    put(server, 1, changed="2024-01-01")
    put(server, 2, changed="2024-01-02 10:00:00.123456")
    marked = source(watermark="changed")
    take(server, home, marked)
    assert take(server, home, marked) is None
    put(server, 3, changed="2024-01-03")
    put(server, 1, code="F1", changed="2024-01-04")
    take(server, home, marked)
    assert take(server, home, marked) is None
    assert held(home) == [[(1, "N1"), (2, "N1")], [(2, "N1"), (3, "N1"), (1, "F1")]]


def test_a_row_that_comes_later_under_the_same_time_is_not_lost(server: TestDatabase, home: Home):
    make(server)
    put(server, 1)
    marked = source(watermark="changed")
    take(server, home, marked)
    put(server, 2)
    take(server, home, marked)
    assert take(server, home, marked) is None
    assert held(home) == [[(1, "N1")], [(1, "N1"), (2, "N1")]]


def test_rows_without_watermark_are_not_lost(server: TestDatabase, home: Home):
    make(server)
    put(server, 1)
    marked = source(watermark="changed")
    take(server, home, marked)
    put(server, 2)
    server.run("UPDATE records SET changed = NULL WHERE num = 2")
    take(server, home, marked)
    assert take(server, home, marked) is None
    assert sorted(held(home)[1]) == [(1, "N1"), (2, "N1")]


def test_rows_that_were_deleted_behind_the_watermark_make_no_delivery(server: TestDatabase, home: Home):
    make(server)
    put(server, 1)
    marked = source(watermark="changed")
    take(server, home, marked)
    server.run("DELETE FROM records")
    assert take(server, home, marked) is None
    put(server, 2, changed="2024-02-01")
    take(server, home, marked)
    assert held(home) == [[(1, "N1")], [(2, "N1")]]


def test_another_question_is_asked_from_the_start(server: TestDatabase, home: Home):
    make(server)
    put(server, 1, changed="2024-01-01")
    put(server, 2, changed="2024-01-02")
    take(server, home, source(watermark="changed"))
    text = "SELECT num, day, code, changed FROM records WHERE num < 5"
    assert take(server, home, source(query=text, watermark="changed")).name.startswith("query@")
    put(server, 3, changed="2024-01-03")
    take(server, home, source(query=text, watermark="changed"))
    assert [len(rows) for rows in held(home)] == [2, 2, 2]


def test_an_empty_table_is_a_delivery_of_no_rows(server: TestDatabase, home: Home):
    make(server)
    assert take(server, home) is not None
    assert take(server, home) is None
    assert raw_deliveries("log", home)[0].rows == 0


def test_many_chunks_are_one_delivery(server: TestDatabase, home: Home):
    make(server)
    values = ",".join(f"({n}, '2024-05-15', 'c{n % 7}', 'x', '2024-01-01')" for n in range(1000))
    server.run(f"INSERT INTO records VALUES {values}")
    take(server, home)
    assert held(home) == [[(n, f"c{n % 7}") for n in range(1000)]]
    assert raw_deliveries("log", home)[0].rows == 1000


def test_an_url_that_is_not_set_is_named_by_its_variable(home: Home):
    with pytest.raises(DeliveryError, match="source 'log': the environment variable DB is not set"):
        pull(source(), home, extras=frozenset(), environ={})


def test_a_column_that_nobody_spoke_of_refuses_the_pull_and_leaves_nothing(server: TestDatabase, home: Home):
    make(server)
    put(server, 1)
    server.run("ALTER TABLE records ADD COLUMN secret varchar(20)", "UPDATE records SET secret = 'classified'")
    with pytest.raises(DeliveryError, match=r"source 'log': records@.*'secret'"):
        take(server, home)
    assert raw_deliveries("log", home) == []
    assert not any(b"classified" in path.read_bytes() for path in home.root.rglob("*") if path.is_file())


def test_a_table_that_changes_between_the_two_readings_is_refused(mariadb: TestDatabase, home: Home, monkeypatch):
    """Aria has no transactions: a row that comes between the readings is seen."""
    make(mariadb)
    put(mariadb, 1)
    mariadb.run("ALTER TABLE records ENGINE = Aria")
    import layers.pulling

    def store(*arguments, **keys):
        put(mariadb, 2)
        return original(*arguments, **keys)

    original = layers.pulling.store_batches
    monkeypatch.setattr(layers.pulling, "store_batches", store)
    with pytest.raises(DeliveryError, match="changed while it was read"):
        take(mariadb, home)
    assert raw_deliveries("log", home) == []


changes = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from("abc"), st.integers(0, 1), st.booleans()), min_size=1, max_size=12
)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=changes)
def test_whatever_happens_the_last_version_of_every_row_was_pulled(
    postgis_url: str, tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, str, int, bool]]
):
    """Rows are written at a clock that only grows (and may stand still), with pulls in between."""
    home, marked = Home(tmp_path_factory.mktemp("home")), source(watermark="changed")
    clock = dt.datetime.fromisoformat("2024-01-01")
    with fresh_database("postgis", postgis_url) as server:
        make(server)
        for number, code, seconds, pulled in changes:
            clock += dt.timedelta(seconds=seconds)
            put(server, number, code=code, changed=clock.isoformat())
            if pulled:
                take(server, home, marked)
        take(server, home, marked)
        assert take(server, home, marked) is None
        truth = dict(server.ask("SELECT num, code FROM records"))
    present: dict[object, object] = {}
    for rows in held(home):
        present |= dict(rows)
    assert present == truth


cells = st.lists(st.tuples(st.none() | st.text(max_size=4), st.none() | st.text(max_size=4)), min_size=1, max_size=8)


@given(rows=cells)
def test_two_rows_have_one_canonical_form_if_and_only_if_they_are_equal(rows: list[tuple[str | None, str | None]]):
    table = pa.table(
        {"a": pa.array([r[0] for r in rows], pa.string()), "b": pa.array([r[1] for r in rows], pa.string())}
    )
    forms = canonical_rows(Batch(table, np.arange(len(rows))))
    assert sorted(Counter(forms).values()) == sorted(Counter(rows).values())
    assert len(set(zip(forms, rows, strict=True))) == len(set(rows))
