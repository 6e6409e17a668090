"""Accepted rows between taking and writing: by month, in the order of the delivery, whole or not there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers import accepted
from layers.accepted import NO_MONTH, Accepted, MonthFiles, months_of
from layers.home import Home
from layers.identity import Keys

SCHEMA = pa.schema([("record_id", pa.string()), ("row", pa.int64())])
NO_KEYS = Keys(*(np.empty(0, kind) for kind in (np.uint64, np.uint64, np.uint64, np.int64)))


def rows(*numbers: int) -> pa.Table:
    return pa.table({"record_id": [f"n{n}" if n % 5 else None for n in numbers], "row": list(numbers)}, SCHEMA)


def numbers(table: pa.Table) -> list[int]:
    return table.column("row").to_pylist()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def finished(home: Home, batches: list[tuple[list[int], list[int]]], keys: Keys = NO_KEYS) -> Accepted:
    folder = Accepted.begin(home, "log", "k")
    with MonthFiles(folder) as files:
        for names, months in batches:
            files.add(rows(*names), np.array(months, dtype=np.int64))
    return Accepted.finish(folder, {"figures": {"rows": 3}}, keys, SCHEMA)


BATCHES = st.lists(st.lists(st.tuples(st.integers(0, 99), st.sampled_from([-3, -1, 0, 650])), max_size=6), max_size=5)


@given(batches=BATCHES, buffered=st.integers(1, 12))
def test_rows_of_a_month_come_back_in_the_order_in_which_they_came(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[tuple[int, int]]], buffered: int
):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accepted, "_BUFFERED_ROWS", buffered)
        split = [([n for n, _ in batch], [m for _, m in batch]) for batch in batches]
        one = finished(Home(tmp_path_factory.mktemp("home")), split)
    came = [pair for batch in batches for pair in batch]
    assert one.months() == sorted({month for _, month in came})
    for month in one.months():
        assert numbers(one.read(month)) == [n for n, m in came if m == month]
        assert one.read(month, ["row"]).column_names == ["row"]


def test_a_text_is_looked_up_by_row_number_whatever_month_it_is_in(tmp_path: Path):
    with MonthFiles(tmp_path) as files:
        files.add(rows(1, 2, 3), np.array([5, 4, 5]))
        files.add(rows(7, 10), np.array([4, 4]))
        assert files.values("record_id", np.array([10, 2, 3])) == [None, "n2", "n3"]
        files.add(rows(11), np.array([4]))
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "rows_4_000000.arrow",
        "rows_4_000001.arrow",
        "rows_5_000000.arrow",
    ]


def test_rows_of_a_delivery_that_failed_are_not_written(tmp_path: Path):
    def failing() -> None:
        with MonthFiles(tmp_path) as files:
            files.add(rows(1), np.array([5]))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        failing()
    assert list(tmp_path.iterdir()) == []


def test_what_is_finished_is_found_again(home: Home):
    keys = Keys(*(np.array([9, 2], kind) for kind in (np.uint64, np.uint64, np.uint64, np.int64)))
    finished(home, [([1], [NO_MONTH])], keys)
    found = Accepted.find(home, "log", "k")
    assert found is not None
    assert (found.figures, found.schema, found.months()) == ({"rows": 3}, SCHEMA, [NO_MONTH])
    for name in ("key", "content", "likeness", "row"):
        np.testing.assert_array_equal(getattr(found.keys, name), getattr(keys, name))
    assert Accepted.find(home, "log", "other") is None
    assert Accepted.find(home, "other", "k") is None


def test_a_folder_that_was_never_finished_does_not_count_and_is_emptied(home: Home):
    folder = Accepted.begin(home, "log", "k")
    (folder / "rows_5_000000.arrow").write_bytes(b"half")
    assert Accepted.find(home, "log", "k") is None
    assert list(Accepted.begin(home, "log", "k").iterdir()) == []


@pytest.mark.parametrize("torn", ["half", "edited", "no json", "empty"])
def test_a_document_that_is_not_whole_does_not_count(home: Home, torn: str):
    finished(home, [([1], [5])])
    path = home.accepted / "log" / "k" / "accepted.json"
    text = path.read_text(encoding="utf-8")
    document = json.loads(text)
    document["accepted"]["figures"]["rows"] = 4
    path.write_text(
        {"half": text[:-9], "edited": json.dumps(document), "no json": "[1]", "empty": ""}[torn], encoding="utf-8"
    )
    assert Accepted.find(home, "log", "k") is None


@pytest.mark.parametrize(
    ("moment", "month"),
    [
        ("2024-05-31T21:59", "2024-05"),
        ("2024-05-31T22:00", "2024-06"),
        ("1969-12-31T22:59", "1969-12"),
        ("1969-12-31T23:00", "1970-01"),
        ("1900-01-01T12:00", "1900-01"),
    ],
)
def test_a_month_is_local_and_none_is_the_month_of_what_has_none(moment: str, month: str):
    table = pa.table({"started_at": pa.array([np.datetime64(moment, "us")]).cast(pa.timestamp("us", tz="UTC"))})
    assert months_of(table, "incidents", "Europe/Paris").tolist() == [np.datetime64(month, "M").astype(int)]
    assert months_of(table, "events", "Europe/Paris").tolist() == [NO_MONTH]
    assert months_of(table, "incidents", "Europe/Paris")[0] != NO_MONTH
