# ruff: noqa: DTZ001 — instants are UTC without a zone, as NumPy has them
from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers.clock import to_utc
from layers.enrichment.daylight import HORIZONS_DEG, LIGHTS, LightChanges, daylight, light_changes, sun_altitude_deg
from layers.errors import CalanqueError

MARSEILLE = (5.37, 43.30)
TROMSO = (19.0, 69.5)  # the rounded place of the almanac's table
LONGYEARBYEN = (15.65, 78.22)

# Apparent altitudes without refraction from the NREL Solar Position Algorithm (I. Reda, A. Andreas, NREL/TP-560-34302),
# computed with pvlib 0.16.1, get_solarposition(method="nrel_numpy", altitude=0)["elevation"].
SPA_INSTANTS = [
    "1950-05-04T05:06:07",
    "2003-10-17T19:30:30",
    "2024-03-20T17:43:21",
    "2024-06-20T20:59:59",
    "2024-12-21T07:00:00",
    "2025-02-03T12:34:56",
    "2050-08-09T03:02:01",
]
SPA_ALTITUDES_DEG = {
    (5.38, 43.3): [5.6136, -29.2116, 0.5934, -13.7817, -2.0265, 29.5458, -15.5532],
    (2.35, 48.85): [5.2519, -25.6639, 2.5614, -8.1261, -6.6015, 24.4402, -13.3626],
    (18.96, 69.65): [16.9708, -23.2956, -4.2587, 5.0101, -11.108, 2.3041, 5.9573],
    (15.65, 78.22): [16.063, -17.0445, -1.7335, 13.109, -17.0175, -5.321, 9.6527],
    (-78.47, -0.18): [-74.3419, 51.2671, 84.4258, 30.7117, -54.7233, 16.1605, -52.6668],
    (174.76, -36.85): [4.2129, 22.3702, -9.0996, 13.0924, 6.2188, -36.7967, 25.8553],
}

# US Naval Observatory, "Rise and Set for the Sun for 2023", Fredonia (Arizona), W112°31′ N36°57′, 7 h west of
# Greenwich: (date, rise, set).
FREDONIA = [
    ("2023-01-01", "07:43", "17:24"),
    ("2023-03-20", "06:34", "18:42"),
    ("2023-04-01", "06:16", "18:52"),
    ("2023-06-21", "05:11", "19:53"),
    ("2023-07-31", "05:35", "19:38"),
    ("2023-09-23", "06:19", "18:26"),
    ("2023-11-05", "06:58", "17:29"),
    ("2023-12-21", "07:39", "17:17"),
]
# The same for 2001, Toronto, W079°25′ N43°40′, 4 h west of Greenwich.
TORONTO = [("2001-04-01", "06:59", "19:45"), ("2001-04-15", "06:35", "20:01"), ("2001-04-30", "06:11", "20:19")]


def instants(*texts: str) -> np.ndarray:
    return np.array(texts, dtype="datetime64[us]")


def unknown(size: int) -> np.ndarray:
    return np.full(size, np.datetime64("NaT", "us"))


def light_at(place: tuple[float, float], *texts: str) -> list[str | None]:
    started = instants(*texts)
    return daylight(started, unknown(len(started)), *place).to_pylist()


def crossings(changes: LightChanges, light: str, other: str) -> list[np.datetime64]:
    """Instants at which ``light`` gives way to ``other``."""
    before, after = changes.lights[:-1], changes.lights[1:]
    return list(changes.instants[(before == LIGHTS.index(light)) & (after == LIGHTS.index(other))])


def nearest(found: list[np.datetime64], wanted: np.datetime64) -> float:
    """Seconds from ``wanted`` to the nearest of ``found``."""
    return min(abs((one - wanted) / np.timedelta64(1, "s")) for one in found)


@pytest.mark.parametrize("place", SPA_ALTITUDES_DEG)
def test_altitudes_agree_with_the_nrel_algorithm(place: tuple[float, float]):
    found = sun_altitude_deg(instants(*SPA_INSTANTS), *place)
    np.testing.assert_allclose(found, SPA_ALTITUDES_DEG[place], rtol=0, atol=0.012)


def test_sunrise_and_sunset_of_the_nrel_report():
    # NREL/TP-560-34302, appendix A.5, and NREL's own spa_tester.c: 39.742476° N, 105.1786° W, 17 October 2003 (UT): the
    # sun sets at 17:20:19 and rises at 06:12:43, seven hours west of Greenwich.
    changes = light_changes(*instants("2003-10-17", "2003-10-18"), -105.1786, 39.742476)
    assert nearest(crossings(changes, "day", "twilight"), np.datetime64("2003-10-17T00:20:19")) < 5
    assert nearest(crossings(changes, "twilight", "day"), np.datetime64("2003-10-17T13:12:43")) < 5


@pytest.mark.parametrize(
    ("place", "west_h", "day"),
    [((-112 - 31 / 60, 36 + 57 / 60), 7, d) for d in FREDONIA]
    + [((-79 - 25 / 60, 43 + 40 / 60), 4, d) for d in TORONTO],
)
def test_sunrise_and_sunset_agree_with_the_naval_observatory(place, west_h: int, day: tuple[str, str, str]):
    date, rise, set_ = day
    zone = np.timedelta64(west_h, "h")
    changes = light_changes(np.datetime64(date, "us"), np.datetime64(date, "us") + np.timedelta64(48, "h"), *place)
    # Tables are rounded to the minute, places to the minute of arc (4 s).
    assert nearest(crossings(changes, "twilight", "day"), np.datetime64(f"{date}T{rise}") + zone) < 40
    assert nearest(crossings(changes, "day", "twilight"), np.datetime64(f"{date}T{set_}") + zone) < 40


def test_civil_twilight_agrees_with_the_naval_observatory():
    # Sun data for one day, Tromsø (E19.0 N69.5), 1 April 2014, UT + 1 h: civil twilight 03:46, rise 04:50, set 18:49,
    # end of civil twilight 19:53. On 30 April twilight does not end.
    hour = np.timedelta64(1, "h")
    changes = light_changes(*instants("2014-04-01", "2014-05-01"), *TROMSO)
    for pair, clock in {
        ("night", "twilight"): "03:46",
        ("twilight", "day"): "04:50",
        ("day", "twilight"): "18:49",
        ("twilight", "night"): "19:53",
    }.items():
        assert nearest(crossings(changes, *pair), np.datetime64(f"2014-04-01T{clock}") - hour) < 90
    assert light_at(TROMSO, "2014-04-29T23:00", "2014-04-30T22:45") == ["twilight", "twilight"]


def test_the_sun_of_tromso_does_not_set_for_sixty_nine_days():
    # US Naval Observatory, same place and zone, 2014: rise on 18 May at 00:13, next set on 25 July at 23:20.
    changes = light_changes(*instants("2014-05-17T12:00", "2014-08-01"), *TROMSO)
    rise = np.datetime64("2014-05-17T23:13")
    set_ = np.datetime64("2014-07-25T22:20")
    assert nearest(crossings(changes, "twilight", "day"), rise) < 300  # it grazes the horizon
    assert nearest(crossings(changes, "day", "twilight"), set_) < 300
    days = np.arange("2014-05-18", "2014-07-25", np.timedelta64(1, "h"), dtype="datetime64[us]")
    assert set(daylight(days, unknown(len(days)), *TROMSO).to_pylist()) == {"day"}


def test_the_year_of_longyearbyen():
    # "Sun Events in Longyearbyen" (sun.nessy-edv.at): twilight from 29 January, first sun 16 February, midnight sun 18
    # April to 23 August, no sun from 26 October, no twilight from 14 November. They name no year: two days are allowed.
    hours = np.arange("2023-01-01", "2024-01-01", np.timedelta64(10, "m"), dtype="datetime64[us]")
    light = np.array(daylight(hours, unknown(len(hours)), *LONGYEARBYEN).to_pylist()).reshape(365, 144)
    has = {name: (light == name).any(axis=1) for name in LIGHTS}

    def day(month: int, number: int) -> int:
        return (dt.date(2023, month, number) - dt.date(2023, 1, 1)).days

    assert abs(np.flatnonzero(has["twilight"])[0] - day(1, 29)) <= 2
    assert abs(np.flatnonzero(has["day"])[0] - day(2, 16)) <= 2
    only_day = np.flatnonzero(~has["twilight"] & ~has["night"])
    assert abs(only_day[0] - day(4, 18)) <= 2
    assert abs(only_day[-1] - day(8, 23)) <= 2
    assert len(only_day) == only_day[-1] - only_day[0] + 1
    assert abs(np.flatnonzero(has["day"])[-1] + 1 - day(10, 26)) <= 2
    assert abs(np.flatnonzero(has["twilight"])[-1] + 1 - day(11, 14)) <= 2


def test_polar_night_is_night_however_long_the_interval():
    started, ended = instants("2023-12-01"), instants("2024-01-15")
    assert daylight(started, ended, *LONGYEARBYEN).to_pylist() == ["night"]
    assert daylight(instants("2024-05-01"), instants("2024-08-01"), *LONGYEARBYEN).to_pylist() == ["day"]


@pytest.mark.parametrize(("lat", "summer"), [(90.0, "2024-06-21"), (-90.0, "2024-12-21")])
def test_the_poles_have_one_day_a_year(lat: float, summer: str):
    changes = light_changes(*instants("2024-02-01", "2025-02-01"), 0.0, lat)
    assert len(changes.instants) == 4
    assert light_at((0.0, lat), summer) == ["day"]


def test_days_and_nights_are_equal_at_the_equinox_but_for_the_horizon():
    # The sun moves 15° an hour along the equator: 2 × 0.833° below the horizon are 2 × 200 s of it at the equator.
    changes = light_changes(*instants("2024-03-20", "2024-03-21"), 0.0, 0.0)
    rise = [t for t in crossings(changes, "twilight", "day") if str(t).startswith("2024-03-20")]
    set_ = [t for t in crossings(changes, "day", "twilight") if str(t).startswith("2024-03-20")]
    assert (set_[0] - rise[0]) / np.timedelta64(1, "s") == pytest.approx(43_200 + 400, abs=25)


def test_solstices_have_the_longest_and_the_shortest_day_of_marseille():
    changes = light_changes(*instants("2024-01-01T12:00", "2024-12-31T00:00"), *MARSEILLE)
    rises = crossings(changes, "twilight", "day")
    sets = [instant for instant in crossings(changes, "day", "twilight") if instant > rises[0]]
    lengths = {str(r)[:10]: (s - r) / np.timedelta64(1, "h") for r, s in zip(rises, sets, strict=False)}
    assert max(lengths, key=lengths.__getitem__) in {"2024-06-20", "2024-06-21"}
    assert min(lengths, key=lengths.__getitem__) == "2024-12-21"
    assert lengths["2024-06-20"] == pytest.approx(15.40, abs=0.03)
    assert lengths["2024-12-21"] == pytest.approx(8.98, abs=0.03)


def test_clocks_change_and_the_sun_does_not():
    # One time by the clock: an hour earlier by the sun from the last Sunday of March, later from that of October.
    local = instants("2024-03-30T06:40", "2024-03-31T06:40", "2024-10-26T07:40", "2024-10-27T07:40")
    utc = to_utc(local, "Europe/Paris").utc
    assert daylight(utc, unknown(4), *MARSEILLE).to_pylist() == ["day", "night", "twilight", "day"]


def test_an_interval_that_holds_a_sunrise_is_neither_day_nor_night():
    sunrise = crossings(light_changes(*instants("2024-06-21", "2024-06-22"), *MARSEILLE), "twilight", "day")
    rise = next(t for t in sunrise if str(t).startswith("2024-06-21"))
    minute, tick = np.timedelta64(1, "m"), np.timedelta64(1, "us")
    started = np.array([rise - minute, rise - minute, rise - minute, rise, rise - tick, rise])
    ended = np.array([rise + tick, rise, np.datetime64("NaT", "us"), rise + minute, rise - tick, rise])
    # The end is not included; an interval without length is its start.
    expected = [None, "twilight", "twilight", "day", "twilight", "day"]
    assert daylight(started, ended, *MARSEILLE).to_pylist() == expected


def test_a_date_without_time_has_no_light():
    started, ended = (
        to_utc(instants("2024-06-20"), "Europe/Paris").utc,
        to_utc(instants("2024-06-21"), "Europe/Paris").utc,
    )
    assert daylight(started, ended, *MARSEILLE).to_pylist() == [None]


def test_unknown_starts_have_no_light():
    assert daylight(unknown(2), instants("2024-06-21", "2024-06-21"), *MARSEILLE).to_pylist() == [None, None]
    assert light_at(MARSEILLE, "2024-06-21T12:00", "NaT") == ["day", None]
    nothing = daylight(unknown(0), unknown(0), *MARSEILLE)
    assert (len(nothing), nothing.type) == (0, pa.string())


@pytest.mark.parametrize("place", [(5.4, 90.1), (180.5, 0.0), (math.nan, 43.0)])
def test_a_place_that_is_not_on_earth_is_refused(place: tuple[float, float]):
    with pytest.raises(CalanqueError, match="degrees"):
        light_at(place, "2024-06-21T12:00")


@given(
    lon=st.floats(-180, 180),
    lat=st.floats(-90, 90),
    moments=st.lists(st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2199, 1, 1)), min_size=1, max_size=3),
)
def test_light_is_what_the_altitude_of_the_sun_says(lon: float, lat: float, moments: list[dt.datetime]):
    for started in instants(*[m.isoformat() for m in moments]):
        altitude = sun_altitude_deg(np.array([started]), lon, lat)[0]
        # An instant is rounded to the second, and a grazing sun may be missed: within 0.02° nothing is claimed.
        if min(abs(altitude - horizon) for horizon in HORIZONS_DEG) > 0.02:
            expected = LIGHTS[sum(altitude >= horizon for horizon in HORIZONS_DEG)]
            assert light_at((lon, lat), str(started)) == [expected]


@given(st.lists(st.datetimes(dt.datetime(2023, 1, 1), dt.datetime(2024, 12, 31)), max_size=5))
def test_the_light_of_a_record_does_not_depend_on_the_others(moments: list[dt.datetime]):
    texts = [m.isoformat() for m in moments]
    assert light_at(MARSEILLE, *texts) == [light_at(MARSEILLE, text)[0] for text in texts]


@given(
    started=st.datetimes(dt.datetime(2024, 1, 1), dt.datetime(2024, 12, 31)),
    minutes=st.integers(1, 600),
)
def test_an_interval_has_a_light_when_each_of_its_minutes_has_it(started: dt.datetime, minutes: int):
    start = np.datetime64(started.replace(second=17, microsecond=0), "us")  # off the whole minutes that are looked at
    steps = start + np.arange(minutes * 60) * np.timedelta64(1, "s")
    each = set(daylight(steps, unknown(len(steps)), *MARSEILLE).to_pylist())
    whole = daylight(np.array([start]), start + np.array([minutes * 60 * 1_000_000], "timedelta64[us]"), *MARSEILLE)
    assert whole.to_pylist() == [each.pop() if len(each) == 1 else None]
