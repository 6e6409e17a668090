# ruff: noqa: DTZ001 — local clock times without a zone are what deliveries hold
from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers.errors import DeliveryError
from layers.parsing import as_text, parse_numbers, parse_times


def text(*values: str | None) -> pa.Array:
    return pa.array(values, pa.string())


@pytest.mark.parametrize(
    ("given_text", "decimal", "number"),
    [
        ("1,5", ",", 1.5),
        ("1 234,5", ",", 1234.5),
        ("1\u00a0234\u202f567,25", ",", 1234567.25),
        ("-.5", ".", -0.5),
        ("+3.", ".", 3.0),
        ("1e3", ".", 1000.0),
        (" 7 ", ".", 7.0),
        ("007", ".", 7.0),
    ],
)
def test_numbers_as_offices_write_them(given_text: str, decimal, number: float):
    found = parse_numbers(text(given_text), decimal=decimal)
    assert found.number.tolist() == [number]
    assert not found.bad.any()


@pytest.mark.parametrize("given_text", ["nan", "inf", "-inf", "1,5,2", "12a", "0x10", "--1", "12 34", "1e999", "=1+1"])
def test_what_is_no_number(given_text: str):
    found = parse_numbers(text(given_text), decimal=",")
    assert found.bad.all()
    assert np.isnan(found.number).all()


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.none()))
def test_numbers_survive_their_text(values: list[float | None]):
    found = parse_numbers(text(*(None if v is None else repr(v) for v in values)))
    typed = parse_numbers(pa.array(values, pa.float64()))
    np.testing.assert_array_equal(found.number, typed.number)
    assert not (found.bad | typed.bad).any()


@given(st.lists(st.text(max_size=12)))
def test_any_text_is_a_number_or_bad_or_missing(values: list[str]):
    found = parse_numbers(text(*values))
    missing = np.array([as_text(text(v))[0].as_py() is None for v in values], dtype=bool)
    assert ((~np.isnan(found.number)).astype(int) + found.bad + missing == 1).all()


def test_typed_nan_is_bad_and_null_is_missing():
    found = parse_numbers(pa.array([float("nan"), None, 2.0]))
    assert found.bad.tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("value", "form", "utc"),
    [
        ("2024-01-02T03:04:05", None, "2024-01-02T02:04:05"),
        ("2024-07-02 03:04", None, "2024-07-02T01:04:00"),
        ("2024-07-02T03", None, "2024-07-02T01:00:00"),
        ("2024-07-02T03:04:05Z", None, "2024-07-02T03:04:05"),
        ("2024-07-02T03:04:05+05:30", None, "2024-07-01T21:34:05"),
        ("2024-07-02T03:04:05-0400", None, "2024-07-02T07:04:05"),
        ("2024-10-27T02:30:00+01:00", None, "2024-10-27T01:30:00"),
        ("02/07/2024 03:04", "%d/%m/%Y %H:%M", "2024-07-02T01:04:00"),
        ("2024-07-02 03:04:00", "%d/%m/%Y %H:%M", "2024-07-02T01:04:00"),
    ],
)
def test_known_instants(value: str, form: str | None, utc: str):
    found = parse_times(text(value), timezone="Europe/Paris", form=form)
    assert found.utc[0] == np.datetime64(utc)
    assert not (found.bad | found.impossible | found.whole_day).any()


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("2024-02-30", None),
        ("31/02/2024 10:00", "%d/%m/%Y %H:%M"),
        ("25:61", "%d/%m/%Y %H:%M"),
        ("0000-01-01", None),
        ("02/07/2024", None),
        ("2024", None),
        ("yesterday", None),
        ("2024-01-01T25:00", None),
    ],
)
def test_dates_that_are_none(value: str, form: str | None):
    found = parse_times(text(value), timezone="Europe/Paris", form=form)
    assert found.bad.tolist() == [True]
    assert np.isnat(found.utc).all()


def test_a_year_that_no_record_speaks_of_is_impossible():
    found = parse_times(text("1899-12-31T12:00", "1900-01-02T00:00", "2200-06-01"), timezone="UTC")
    assert found.impossible.tolist() == [True, False, True]
    assert not found.bad.any()


def test_a_date_alone_is_a_whole_day():
    found = parse_times(text("2024-05-01", "2024-05-01T00:00"), timezone="Europe/Paris")
    assert found.whole_day.tolist() == [True, False]
    by_form = parse_times(text("01/05/2024", "01/05/2024 10:00"), timezone="Europe/Paris", form="%d/%m/%Y %H:%M")
    assert by_form.whole_day.tolist() == [True, False]
    assert by_form.utc[0] == np.datetime64("2024-04-30T22:00")
    typed = parse_times(pa.array([dt.date(2024, 5, 1)]), timezone="Europe/Paris")
    assert typed.whole_day.tolist() == [True]


def test_typed_times_with_a_zone_are_instants_and_others_are_local():
    moment = dt.datetime(2024, 7, 1, 12)
    zoned = parse_times(pa.array([moment], pa.timestamp("ms", tz="America/Toronto")), timezone="Europe/Paris")
    local = parse_times(pa.array([moment], pa.timestamp("ns")), timezone="Europe/Paris")
    assert zoned.utc[0] == np.datetime64("2024-07-01T12:00")
    assert local.utc[0] == np.datetime64("2024-07-01T10:00")


def test_columns_that_cannot_hold_a_time_are_refused():
    with pytest.raises(DeliveryError, match="has no date"):
        parse_times(pa.array([dt.time(10)]), timezone="UTC")
    with pytest.raises(DeliveryError, match="not a format"):
        parse_times(text("10"), timezone="UTC", form="%Q")
    with pytest.raises(DeliveryError, match="holds no text"):
        as_text(pa.array([b"x"]))
