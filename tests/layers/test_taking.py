"""From the lake's copy to accepted rows: batch by batch on several threads, in order, and once."""

from __future__ import annotations

import dataclasses
import datetime as dt
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from layers import raw_copies, taking
from layers.accepted import Accepted
from layers.city import City
from layers.receiving import deliveries_of, receive
from layers.taking import Surroundings, take
from support.delivered_city import CITY_TOML, DeliveredCity, row

ANONYMOUS = CITY_TOML.replace('record_id = "NUM"\n', "").replace('["AGENT"]', '["AGENT", "NUM"]')
NOTHING = Surroundings()
MONTH_OF_MAY = int(np.datetime64("2024-05", "M").astype(int))


def taken(city: DeliveredCity, around: Surroundings = NOTHING) -> Accepted:
    """What the last delivery of the log gives."""
    loaded: City = city.load()
    source = loaded.sources[0]
    one = deliveries_of(source, loaded, city.home)[-1]
    raw = receive(one, source, city.home, extras=frozenset())
    return take(raw, source, loaded, city.home, around)


def refused(one: Accepted) -> list[tuple[int, str]]:
    table = pq.ParquetFile(one.rejects).read()
    return list(zip(table.column("row").to_pylist(), table.column("reason").to_pylist(), strict=True))


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of three rows, of which the first ones take longest."""
    monkeypatch.setattr(raw_copies, "BATCH_ROWS", 3)
    finish = taking._accepted_table

    def slowly(*arguments):
        first = int(arguments[2][0])
        time.sleep(0.02 if first % 2 else 0)
        return finish(*arguments)

    monkeypatch.setattr(taking, "_accepted_table", slowly)


@pytest.mark.usefixtures("small_batches")
def test_rows_keep_the_order_of_the_delivery_whichever_thread_is_first(small_city: DeliveredCity):
    small_city.deliver([row(n, severity="99" if n % 7 == 0 else "1") for n in range(1, 40)])
    one = taken(small_city)
    good = [n for n in range(1, 40) if n % 7]
    assert one.read(MONTH_OF_MAY).column("row").to_pylist() == good
    assert one.keys.row.tolist() == good
    assert refused(one) == [(n, "out_of_range") for n in range(7, 40, 7)]
    figures = one.figures
    assert (figures["rows"], figures["accepted"], figures["rejected"]) == (39, 34, 5)


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("toml", [CITY_TOML, ANONYMOUS])
def test_the_size_of_batches_is_no_part_of_the_result(
    small_city: DeliveredCity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toml: str
):
    lines = [row(n % 11, severity=str(n % 3), date=f"1{n % 9}/0{n % 3 + 1}/2024") for n in range(40)] + ["short"]
    whole = DeliveredCity.at(tmp_path / "whole")
    for city in (small_city, whole):
        city.write_toml(toml)
        city.deliver(lines)
    ours = taken(small_city)
    monkeypatch.setattr(raw_copies, "BATCH_ROWS", 1_000)
    theirs = taken(whole)
    for name in (field.name for field in dataclasses.fields(ours.keys)):
        np.testing.assert_array_equal(getattr(ours.keys, name), getattr(theirs.keys, name))
    assert {k: v for k, v in ours.document.items() if k != "profile"} == {
        k: v for k, v in theirs.document.items() if k != "profile"
    }
    assert ours.months() == theirs.months()
    for month in ours.months():
        assert ours.read(month).equals(theirs.read(month))
    assert refused(ours) == refused(theirs)


@pytest.mark.usefixtures("small_batches")
def test_an_id_that_comes_again_in_a_later_batch_is_refused_there(small_city: DeliveredCity):
    numbers = [1, 2, 3, 4, 2, 5, 6, 7, 1, 2, 8]
    lines = [row(n, hour=f"10:{place:02d}") for place, n in enumerate(numbers, start=10)]
    lines[1] = row(2, severity="99")  # a bad one does not take the id
    small_city.deliver(lines)
    one = taken(small_city)
    assert refused(one) == [(2, "out_of_range"), (9, "duplicate_record_id"), (10, "duplicate_record_id")]
    assert one.keys.row.tolist() == [1, 3, 4, 5, 6, 7, 8, 11]
    table = pq.ParquetFile(one.rejects).read()
    assert table.column("value").to_pylist() == ["99.0", "MC1", "MC2"]
    assert one.document["reasons"] == {"duplicate_record_id": 2, "out_of_range": 1}


@pytest.mark.usefixtures("small_batches")
def test_equal_rows_without_ids_are_numbered_over_all_batches(small_city: DeliveredCity):
    small_city.write_toml(ANONYMOUS)
    small_city.deliver([row(n, severity=str(n % 2)) for n in range(10)])
    keys = taken(small_city).keys
    assert len(set(keys.key.tolist())) == 10
    assert len(set(keys.content.tolist())) == 2
    small_city.deliver([row(n, severity=str(n % 2)) for n in range(9, -1, -1)])  # another order, other numbers
    assert set(taken(small_city).keys.key.tolist()) == set(keys.key.tolist())


def test_rows_past_their_retention_are_refused_without_any_value(small_city: DeliveredCity):
    """The day counts in the city's time: 23:59 on 30 April is too old, 00:00 on 1 May is not."""
    old = {"date": "30/04/2024", "hour": "23:59"}
    lines = [row(1), row(2, severity="99", **old), row(3, code="Z9", **old), row(4, date="01/05/2024", hour="00:00")]
    small_city.deliver([*lines, row(5, date="", hour="")])
    one = taken(small_city, Surroundings(expire_before=dt.date(2024, 5, 1)))
    told = pq.ParquetFile(one.rejects).read().select(["row", "field", "value", "reason"]).to_pylist()
    assert [tuple(r.values()) for r in told] == [
        *((n, "started_at", None, "past_retention") for n in (2, 3)),
        (5, "started_at", None, "missing_date"),
    ]
    assert (one.figures["expired"], one.figures["rejected"], one.keys.row.tolist()) == (2, 3, [1, 4])
    assert one.document["unmapped_codes"] == {}


def test_a_delivery_is_taken_once_for_each_set_of_rules(small_city: DeliveredCity, monkeypatch: pytest.MonkeyPatch):
    runs: list[str] = []
    run = taking._Taking.run
    monkeypatch.setattr(taking._Taking, "run", lambda self, folder, key: runs.append(key) or run(self, folder, key))
    first = taken(small_city)
    assert taken(small_city).document == first.document
    assert len(runs) == 1
    small_city.write_toml(CITY_TOML.replace("Ville du Carré", "Another"))  # decides nothing of the rows
    taken(small_city)
    assert len(runs) == 1
    small_city.write_toml(CITY_TOML.replace('"F1" = "dispute"', '"F1" = "night_noise"'))
    assert taken(small_city).folder != first.folder
    assert len(runs) == 2
    monkeypatch.setattr(taking, "code_digest", lambda *_: "another code")
    taken(small_city)
    assert len(runs) == 3
    assert len(set(runs)) == 3


def test_a_fault_in_a_later_batch_stops_all_and_leaves_nothing_that_counts(
    small_city: DeliveredCity, monkeypatch: pytest.MonkeyPatch
):
    small_city.deliver([row(n) for n in range(30)])
    monkeypatch.setattr(raw_copies, "BATCH_ROWS", 3)
    judge = taking.judge

    def failing(mapped, source):
        if "MC20" in mapped.columns["record_id"].to_pylist():
            raise MemoryError
        return judge(mapped, source)

    with monkeypatch.context() as patch:
        patch.setattr(taking, "judge", failing)
        with pytest.raises(MemoryError):
            taken(small_city)
    folders = (small_city.home.accepted / "log").iterdir()
    assert not any((path / "accepted.json").exists() for path in folders)
    assert taken(small_city).figures["accepted"] == 30
