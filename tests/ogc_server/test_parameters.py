"""Query strings are read strictly: what is not understood is refused by name."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from ogc_server.errors import OgcError
from ogc_server.feature_query import typed
from ogc_server.features import _in_days, plain
from ogc_server.parameters import boolean, encoding, instant, integer, interval, language, names, number, strict

UTC = dt.UTC


@pytest.mark.parametrize(
    ("query", "name"),
    [("colour=red", "colour"), ("f=json&f=html", "f"), ("f=js%00on", "f"), ("F=json", "F"), ("lang=fr&x=1", "x")],
)
def test_unknown_repeated_and_unprintable_parameters_are_named_in_a_400(query, name):
    with pytest.raises(OgcError, match=f"'{name}'") as caught:
        strict(QueryParams(query))
    assert caught.value.status == 400


def test_a_refused_name_is_not_echoed_as_markup():
    with pytest.raises(OgcError) as caught:
        strict(QueryParams({"<script>": "1"}))
    assert "<" not in caught.value.text.fr


@pytest.mark.parametrize("text", ["abc", "", "1.5", "1e3", "0x10", " 1", "١", "9" * 30, "-"])
def test_what_is_no_integer_is_refused(text):
    with pytest.raises(OgcError, match="integer"):
        integer({"limit": text}, "limit", default=1, low=0)


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999", "1_000", "", "0x1", "1,5", "٣"])
def test_what_is_no_finite_number_is_refused(text):
    with pytest.raises(OgcError, match="finite"):
        number(text, "bbox")


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12))
def test_numbers_survive_being_written(value):
    assert number(repr(value), "bbox") == value


# RFC 3339, section 5.8, examples and their instants in UTC
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1985-04-12T23:20:50.52Z", dt.datetime(1985, 4, 12, 23, 20, 50, 520_000, UTC)),
        ("1996-12-19T16:39:57-08:00", dt.datetime(1996, 12, 20, 0, 39, 57, tzinfo=UTC)),
        ("1990-12-31T23:59:60Z", dt.datetime(1990, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("1937-01-01T12:00:27.87+00:20", dt.datetime(1937, 1, 1, 11, 40, 27, 870_000, UTC)),
        ("2024-05-01", dt.datetime(2024, 5, 1, tzinfo=UTC)),
    ],
)
def test_instants_of_rfc_3339(text, expected):
    assert instant(text, "datetime") == expected


def test_a_date_covers_its_whole_day():
    low, high = interval({"datetime": "2024-05-01"})
    assert low == dt.datetime(2024, 5, 1, tzinfo=UTC)
    assert high == dt.datetime(2024, 5, 1, 23, 59, 59, 999_999, UTC)


@pytest.mark.parametrize(
    "text", ["../2024-05-01T00:00:00Z", "/2024-05-01T00:00:00Z", "0000-01-01T00:00:00Z/2024-05-01T00:00:00Z"]
)
def test_open_starts_and_the_dummy_bound_of_qgis(text):
    assert interval({"datetime": text}) == (None, dt.datetime(2024, 5, 1, tzinfo=UTC))


def test_the_far_end_that_qgis_sends():
    low, high = interval({"datetime": "2024-05-01T00:00:00Z/9999-12-31T00:00:00Z"})
    assert low.year == 2024
    assert high.year == 9999


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "2024-13-01",
        "2024-02-30",
        "2024-05-01T25:00:00Z",
        "2024/05/01",
        "2024-05-02/2024-05-01",
        "",
        "2024-05-01T00:00",
    ],
)
def test_what_is_no_time_is_refused(text):
    with pytest.raises(OgcError) as caught:
        interval({"datetime": text})
    assert caught.value.status == 400


def test_booleans_and_lists():
    assert boolean({"a": "true"}, "a")
    assert not boolean({}, "a")
    with pytest.raises(OgcError):
        boolean({"a": "yes"}, "a")
    assert names({"p": "b,a,b"}, "p", known={"a", "b"}) == ("b", "a")
    assert names({}, "p", known={"a"}) is None
    for bad in ("c", "", ","):
        with pytest.raises(OgcError):
            names({"p": bad}, "p", known={"a"})


OFFERED = {"json": "application/geo+json", "html": "text/html"}


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "json"),
        ("*/*", "json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "html"),
        ("application/geo+json", "json"),
        ("application/json", "json"),
        ("text/html;q=0.1, application/json;q=0.9", "json"),
        ("application/json;q=0.1, text/html", "html"),
        ("image/webp", "json"),
        ("text/html;q=0", "json"),
        ("text/html;q=x", "json"),
    ],
)
def test_accept_decides_the_encoding(accept, expected):
    assert encoding({}, accept, offered=OFFERED) == expected


def test_f_decides_before_accept_and_must_be_offered():
    assert encoding({"f": "json"}, "text/html", offered=OFFERED) == "json"
    with pytest.raises(OgcError, match="json, html"):
        encoding({"f": "jsonld"}, None, offered=OFFERED)


@pytest.mark.parametrize(
    ("values", "header", "expected"),
    [
        ({}, None, "fr"),
        ({}, "en-GB,en;q=0.9", "en"),
        ({}, "de, en;q=0.3, fr;q=0.8", "fr"),
        ({"lang": "en"}, "fr", "en"),
        ({"lang": "fr-FR"}, "en", "fr"),
        ({}, "de", "fr"),
    ],
)
def test_french_unless_english_is_preferred(values, header, expected):
    assert language(values, header) == expected


@given(st.integers(0, 999_999))
def test_a_published_time_is_read_as_the_same_microsecond(micro):
    published = dt.datetime(2024, 5, 1, 12, 30, 15, micro, UTC)
    assert instant(plain(published), "datetime") == published


@pytest.mark.parametrize("zone", ["Europe/Paris", "America/Toronto"])
def test_a_date_is_the_same_day_in_every_zone(zone):
    collection = SimpleNamespace(zone=zoneinfo.ZoneInfo(zone))
    for day in (dt.date(2024, 1, 1) + dt.timedelta(days=n) for n in range(366)):
        for text in (str(day), f"{day}T00:00:00Z", f"{day}/{day}"):
            low, high = interval({"datetime": text})
            assert _in_days(low, collection) == day
            assert _in_days(high, collection) == day


@pytest.mark.parametrize("zone", ["Europe/Paris", "America/Toronto"])
def test_the_ends_of_the_calendar_are_days_too(zone):
    collection = SimpleNamespace(zone=zoneinfo.ZoneInfo(zone))
    first, last = dt.datetime(1, 1, 1, 0, 0, 1, tzinfo=UTC), dt.datetime(9999, 12, 31, 23, 59, 58, tzinfo=UTC)
    assert _in_days(first, collection) == dt.date(1, 1, 1)
    assert _in_days(last, collection) == dt.date(9999, 12, 31)
    assert _in_days(None, collection) is None


@pytest.mark.parametrize("text", ["20240501", "2024-W18-3", "2024-13-01", ""])
def test_a_date_has_one_spelling(text):
    assert typed("2024-05-01", "day", sa.Date()) == dt.date(2024, 5, 1)
    with pytest.raises(OgcError, match="YYYY-MM-DD"):
        typed(text, "day", sa.Date())


def test_the_whole_range_of_int64_is_read_and_nothing_beyond():
    for value in (-(2**63), 2**63 - 1):
        assert typed(str(value), "n", sa.BigInteger()) == value
        with pytest.raises(OgcError):
            typed(str(value + (1 if value > 0 else -1)), "n", sa.BigInteger())
