"""Any table in any format, with any damage: refused by name, or every row is accounted for."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from layers.errors import DeliveryError
from layers.ingest import ingest
from layers.lake import layer_table, reject_table
from layers.steps import StepReport
from support.conservation import check_conservation
from support.corpus import Case
from support.corpus.case import csv_lines, good_rows, text
from support.delivered_city import DeliveredCity
from support.planted_persons import FORMATS, ROWS, case_of
from support.quickly import quickly

FEW = settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
MANY = settings(max_examples=1500, suppress_health_check=[HealthCheck.too_slow])

PLACES = st.one_of(
    st.none(),
    st.sampled_from(
        ["12 rue d'Aubagne", "1 bd « Longchamp »", "3;4 quai", "a\tb", '"', "5 rue\ndu Port", "=1+1", "NaN"]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Co"]), max_size=12),
)
TABLES = st.lists(PLACES, min_size=ROWS, max_size=ROWS)
DAMAGE = st.lists(
    st.tuples(
        st.sampled_from(["replace", "insert", "cut out", "cut off", "repeat"]),
        st.floats(0, 1, exclude_max=True),
        st.one_of(st.binary(min_size=1, max_size=6), st.sampled_from([b'"', b"\n", b";", b"\0", b"\xff", b"\r", b","])),
    ),
    max_size=3,
)


@pytest.fixture(scope="module", autouse=True)
def _without_waiting() -> Iterator[None]:
    with quickly():
        yield


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def damaged(data: bytes, damage: list[tuple[str, float, bytes]]) -> bytes:
    for how, where, new in damage:
        place = int(where * len(data))
        match how:
            case "replace":
                data = data[:place] + new + data[place + len(new) :]
            case "insert":
                data = data[:place] + new + data[place:]
            case "cut out":
                data = data[:place] + data[place + len(new) :]
            case "cut off":
                data = data[:place]
            case _:
                data = data[:place] + data[max(0, place - 40) :]
    return data


def fresh_city(places: Path) -> DeliveredCity:
    return DeliveredCity.at(places / f"{len(list(places.iterdir())):06d}")


def taken(case: Case, city: DeliveredCity) -> StepReport | None:
    """Report of an ingestion that keeps the law of conservation; None for a refusal that names the file."""
    path = case.deliver(city)
    try:
        report = ingest(city.load(), city.home)
    except DeliveryError as error:
        event(f"{path.suffix} refused")
        assert path.name in str(error)  # noqa: PT017 — damage need not be seen
        assert not list(city.home.raw.rglob("*.parquet"))
        assert not list(city.home.accepted.rglob("*.arrow"))
        return None
    event(f"{path.suffix} taken")
    check_conservation(city, report)
    return report


def any_table_is_taken_whole(places: Path, suffix: str, addresses: list[str | None]) -> None:
    city = fresh_city(places)
    report = taken(case_of(suffix, "lieu", addresses, field="address"), city)
    assert report is not None
    assert (report.figures["log.records"], report.figures["log.rejected"]) == (ROWS, 0)
    assert report.figures["log.masked"] == 0
    told = {r["record_id"]: r["address"] for r in layer_table(city.home, "incidents").read().to_pylist()}
    names = [row.name for row in good_rows(ROWS)]
    assert told == {n: (a or "").strip() or None for n, a in zip(names, addresses, strict=True)}


def any_damage_is_refused_or_accounted_for(
    places: Path, suffix: str, addresses: list[str | None], damage: list[tuple[str, float, bytes]]
) -> None:
    case = case_of(
        suffix,
        "lieu",
        addresses,
        field="address",
        after=lambda path: path.write_bytes(damaged(path.read_bytes(), damage)),
    )
    taken(case, fresh_city(places))


LINES = [line.encode() for line in csv_lines(ROWS)]


@cache
def told_by_good_rows() -> dict[str, tuple[object, ...]]:
    """Record id → what a good row tells."""
    hours = dt.timedelta(hours=2)
    return {row.name: (row.moment.replace(tzinfo=dt.UTC) - hours, row.severity, row.address) for row in good_rows(ROWS)}


def rows_that_are_whole_are_records(places: Path, damage: list[tuple[int, float, bytes]]) -> None:
    """Lines of a CSV file are damaged each by itself: the other lines are records that tell what they should."""
    lines = list(LINES)
    for number, where, new in damage:
        place = int(where * len(lines[number]))
        lines[number] = lines[number][:place] + new + lines[number][place:]
    case = dataclasses.replace(
        case_of("csv", "lieu", [None] * ROWS), columns=WITH_ADDRESS, write=text(b"\n".join(lines))
    )
    city = fresh_city(places)
    if taken(case, city) is None:
        return
    records = layer_table(city.home, "incidents").read().to_pylist()
    told = {r["record_id"]: (r["started_at"], r["severity"], r["address"]) for r in records}
    touched = {number for number, _, _ in damage}
    whole = {row.name for row in good_rows(ROWS) if row.number not in touched}
    assert {name: told.get(name) for name in whole} == {name: told_by_good_rows()[name] for name in whole}
    faults = reject_table(city.home, "log").read().to_pylist()
    assert all(fault["file"] == "log.csv" for fault in faults)


WITH_ADDRESS = case_of("csv", "lieu", [None] * ROWS).columns
LINE_DAMAGE = st.lists(
    st.tuples(
        st.integers(1, ROWS),
        st.floats(0, 1),
        st.one_of(
            st.sampled_from(
                [b'"', b"\n", b";", b"\0", b"\xff", b"\r", b",", b".", b"\xc3", b"'", b"\xef\xbb\xbf", b"=", b"|"]
            ),
            st.binary(min_size=1, max_size=4),
        ),
    ),
    max_size=3,
)


@FEW
@given(suffix=st.sampled_from(FORMATS), addresses=TABLES)
def test_any_table_is_taken_whole(places: Path, suffix: str, addresses: list[str | None]):
    any_table_is_taken_whole(places, suffix, addresses)


@FEW
@given(suffix=st.sampled_from(FORMATS), addresses=TABLES, damage=DAMAGE)
def test_any_damage_is_refused_or_accounted_for(places: Path, suffix, addresses, damage):
    any_damage_is_refused_or_accounted_for(places, suffix, addresses, damage)


@FEW
@given(damage=LINE_DAMAGE)
def test_rows_that_are_whole_are_records(places: Path, damage):
    rows_that_are_whole_are_records(places, damage)


@pytest.mark.prove
@MANY
@given(suffix=st.sampled_from(FORMATS), addresses=TABLES)
def test_any_table_is_taken_whole_at_length(places: Path, suffix: str, addresses: list[str | None]):
    any_table_is_taken_whole(places, suffix, addresses)


@pytest.mark.prove
@MANY
@given(suffix=st.sampled_from(FORMATS), addresses=TABLES, damage=DAMAGE)
def test_any_damage_is_refused_or_accounted_for_at_length(places: Path, suffix, addresses, damage):
    any_damage_is_refused_or_accounted_for(places, suffix, addresses, damage)


@pytest.mark.prove
@MANY
@given(damage=LINE_DAMAGE)
def test_rows_that_are_whole_are_records_at_length(places: Path, damage):
    rows_that_are_whole_are_records(places, damage)
