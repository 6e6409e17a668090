# ruff: noqa: DTZ001 — local clock times without a zone are what deliveries hold
from __future__ import annotations

import datetime as dt
import zoneinfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers.clock import local_time, to_utc

ZONES = [
    "Europe/Paris",
    "Europe/Dublin",  # winter is the zone's daylight saving, with a negative offset
    "America/Toronto",
    "Australia/Lord_Howe",  # half an hour of daylight saving
    "Pacific/Auckland",
    "Pacific/Apia",  # skipped a whole day
    "Africa/Casablanca",  # changes around Ramadan
    "UTC",
]


def naive(moments: list[dt.datetime]) -> np.ndarray:
    return np.array(moments, dtype="datetime64[us]")


@pytest.mark.parametrize("zone", ZONES)
def test_every_quarter_of_an_hour_agrees_with_pythons_own_zones(zone: str):
    local = np.arange("2010-01-01", "2013-01-01", np.timedelta64(15, "m"), dtype="datetime64[us]")
    tz = zoneinfo.ZoneInfo(zone)
    # PEP 495: fold=0 is the first of two, and the offset before a gap.
    expected = naive([m.replace(tzinfo=tz).astimezone(dt.UTC).replace(tzinfo=None) for m in local.tolist()])
    np.testing.assert_array_equal(to_utc(local, zone).utc, expected)


@given(
    moments=st.lists(st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2099, 1, 1)), max_size=20),
    zone=st.sampled_from(ZONES),
)
def test_instants_come_back_from_local_time_save_the_second_of_two(moments: list[dt.datetime], zone: str):
    utc = naive(moments)
    back = to_utc(local_time(utc, zone), zone)
    assert not back.shifted.any()
    same = back.utc == utc
    assert (same | back.ambiguous).all()


def test_both_nights_of_paris():
    local = naive(
        [
            dt.datetime(2024, 3, 31, 1, 59),
            dt.datetime(2024, 3, 31, 2, 30),
            dt.datetime(2024, 3, 31, 3, 0),
            dt.datetime(2024, 10, 27, 2, 30),
        ]
    )
    found = to_utc(np.append(local, np.datetime64("NaT", "us")), "Europe/Paris")
    hours = [str(m)[11:16] for m in found.utc]
    assert hours == ["00:59", "01:30", "01:00", "00:30", ""]
    assert found.shifted.tolist() == [False, True, False, False, False]
    assert found.ambiguous.tolist() == [False, False, False, True, False]
    assert np.isnat(found.utc[-1])
    # What did not exist moves forward by the length of the gap.
    assert str(local_time(found.utc[1:2], "Europe/Paris")[0])[11:16] == "03:30"
