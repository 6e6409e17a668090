from __future__ import annotations

import csv
import datetime as dt
import math
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers.clock import to_utc
from layers.enrichment.weather import INSTANT_COVERS, QUANTITIES, Weather

SAMPLE = Path(__file__).parents[3] / "data_samples" / "marseille" / "generated" / "reference" / "meteo.csv"
MIDNIGHT = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def hour(number: float) -> dt.datetime:
    return MIDNIGHT + dt.timedelta(hours=number)


def row(
    start: float,
    end: float | None = None,
    rain: float | None = None,
    warm: float | None = None,
    wind: float | None = None,
) -> dict[str, object]:
    """One observation, in hours since midnight."""
    return {
        "observed_at": hour(start),
        "observed_until": None if end is None else hour(end),
        "rain_mm": rain,
        "temperature_c": warm,
        "wind_m_s": wind,
    }


def lake_table(rows: list[dict[str, object]]) -> pa.Table:
    time = pa.timestamp("us", "UTC")
    schema = pa.schema(
        [("observed_at", time), ("observed_until", time), *[(name, pa.float64()) for name in QUANTITIES]]
    )
    return pa.Table.from_pylist(rows, schema=schema)


def weather(*rows: dict[str, object]) -> Weather:
    return Weather.of_rows(lake_table(list(rows)))


def at(observed: Weather, *hours: float) -> dict[str, list[float | None]]:
    started = np.array([hour(h).replace(tzinfo=None) for h in hours], dtype="datetime64[us]")
    found = observed.at(started)
    assert list(found) == list(QUANTITIES)
    assert {column.type for column in found.values()} == {pa.float64()}
    return {name: column.to_pylist() for name, column in found.items()}


def test_a_period_covers_its_start_and_not_its_end():
    day = weather(row(0, 24, rain=4.5, warm=11.0, wind=3.0))
    assert at(day, -0.01, 0, 12, 23.99, 24)["rain_mm"] == [None, 4.5, 4.5, 4.5, None]


def test_an_instant_covers_the_time_to_the_next_one():
    observed = weather(row(0, warm=1.0), row(1, warm=2.0), row(2, warm=3.0))
    assert at(observed, 0, 0.99, 1, 2.5)["temperature_c"] == [1.0, 1.0, 2.0, 3.0]


def test_an_instant_covers_three_hours_at_most():
    assert np.timedelta64(3, "h") == INSTANT_COVERS
    observed = weather(row(0, warm=1.0), row(12, warm=2.0))
    assert at(observed, 2.99, 3, 11, 12, 14.9, 15)["temperature_c"] == [1.0, None, None, 2.0, 2.0, None]


def test_a_period_without_length_is_an_instant():
    assert at(weather(row(0, 0, warm=1.0)), 0, 1)["temperature_c"] == [1.0, 1.0]


def test_stations_of_one_time_step_are_averaged():
    observed = weather(row(0, 1, rain=2.0, warm=10.0), row(0, 1, rain=5.0), row(0, 1, rain=8.0, warm=13.0))
    found = at(observed, 0.5)
    assert found == {"rain_mm": [5.0], "temperature_c": [11.5], "wind_m_s": [None]}


def test_an_instant_and_an_hour_that_cover_the_same_time_are_one_step():
    observed = weather(row(0, warm=10.0), row(1, warm=12.0), row(0, 1, warm=20.0))
    assert at(observed, 0.5, 1.5)["temperature_c"] == [15.0, 12.0]


def test_each_quantity_is_taken_from_the_observations_that_have_it():
    daily = row(0, 24, rain=6.0, warm=9.0)
    hourly = [row(h, warm=float(h), wind=2.0) for h in (9, 10, 11)]
    found = at(weather(daily, *hourly), 8, 10.5, 13.9, 14, 30)
    assert found["rain_mm"] == [6.0, 6.0, 6.0, 6.0, None]
    # After the hour's reading is too old, the day's is what is known.
    assert found["temperature_c"] == [9.0, 10.0, 11.0, 9.0, None]
    assert found["wind_m_s"] == [None, 2.0, 2.0, None, None]


def test_an_unknown_hour_has_weather_only_where_one_observation_covers_all_of_it():
    observed = weather(row(0, 24, rain=5.0), row(0, 1, warm=1.0), row(1, 2, warm=9.0))
    starts = np.array([hour(0).replace(tzinfo=None)] * 3, dtype="datetime64[us]")
    ends = np.array([hour(24).replace(tzinfo=None), hour(1).replace(tzinfo=None), None], dtype="datetime64[us]")
    found = observed.at(starts, ends)
    assert found["rain_mm"].to_pylist() == [5.0, 5.0, 5.0]
    assert found["temperature_c"].to_pylist() == [None, 1.0, 1.0]


def test_unknown_starts_have_no_weather():
    observed = weather(row(0, 24, rain=1.0))
    found = observed.at(np.array(["NaT", "2024-01-01T10:00"], dtype="datetime64[us]"))
    assert found["rain_mm"].to_pylist() == [None, 1.0]
    assert [len(column) for column in observed.at(np.array([], dtype="datetime64[us]")).values()] == [0, 0, 0]


def test_no_observation_means_no_weather():
    nothing = weather()
    assert at(nothing, 5) == {name: [None] for name in QUANTITIES}
    assert at(weather(row(0, 24, rain=math.nan)), 5)["rain_mm"] == [None]


def test_times_without_zone_and_absent_quantities_are_taken():
    table = pa.table(
        {
            "observed_at": pa.array([dt.datetime(2024, 1, 1)], pa.timestamp("s")),  # noqa: DTZ001 — as the lake has it
            "observed_until": pa.array([dt.datetime(2024, 1, 2)], pa.timestamp("s")),  # noqa: DTZ001
            "rain_mm": pa.array([3], pa.int64()),
        }
    )
    assert at(Weather.of_rows(table), 5) == {"rain_mm": [3.0], "temperature_c": [None], "wind_m_s": [None]}


def test_the_digest_is_that_of_what_the_observations_say():
    rows = [row(0, 24, rain=1.0), row(24, 48, rain=2.0, warm=7.0)]
    one = weather(*rows)
    assert weather(*reversed(rows)).digest == one.digest
    assert len(one.digest) == 64
    assert weather(rows[0]).digest != one.digest
    assert weather(rows[0], row(24, 48, rain=2.0, warm=7.1)).digest != one.digest
    assert weather(rows[0], row(24, 47, rain=2.0, warm=7.0)).digest != one.digest
    assert weather(rows[0], row(24, 48, rain=2.0, wind=7.0)).digest != one.digest


half_hours = st.integers(0, 40).map(lambda n: n / 2)
readings = st.none() | st.sampled_from([0.0, 0.1, 0.3, 7.0])
observations = st.builds(
    lambda start, length, rain, warm: row(start, None if length is None else start + length, rain, warm),
    half_hours,
    st.none() | st.integers(0, 50).map(lambda n: n / 2),
    readings,
    readings,
)


def slow(rows: list[dict[str, object]], quantity: str, instant: dt.datetime) -> float | None:
    """What the docstring says, one row at a time."""
    given_ = [r for r in rows if r[quantity] is not None]
    starts = sorted({r["observed_at"] for r in given_})
    steps: dict[tuple[dt.datetime, dt.datetime], list[float]] = defaultdict(list)
    for r in given_:
        start, end = r["observed_at"], r["observed_until"]
        if end is None or end <= start:
            following = [s for s in starts if s > start]
            end = min([start + dt.timedelta(hours=3), *following])
        steps[start, end].append(r[quantity])
    covering = [step for step in steps if step[0] <= instant < step[1]]
    if not covering:
        return None
    values = steps[max(covering, key=lambda step: (step[0], -step[1].timestamp()))]
    return math.fsum(values) / len(values)


@given(rows=st.lists(observations, max_size=12), hours=st.lists(st.integers(-4, 200).map(lambda n: n / 4), max_size=12))
def test_any_observations_agree_with_a_slow_reading_of_the_rules(rows, hours: list[float]):
    found = at(weather(*rows), *hours)
    for name in QUANTITIES:
        expected = [slow(rows, name, hour(h)) for h in hours]
        assert found[name] == [None if v is None else pytest.approx(v) for v in expected]


@given(st.lists(observations, max_size=12).flatmap(lambda rows: st.tuples(st.just(rows), st.permutations(rows))))
def test_the_order_of_rows_changes_no_digit(both):
    rows, shuffled = both
    assert weather(*rows).digest == weather(*shuffled).digest


def test_each_day_of_the_sample_has_its_own_weather_from_midnight_to_midnight():
    if not SAMPLE.is_file():
        pytest.skip("the sample has not been generated")
    with SAMPLE.open(encoding="utf-8", newline="") as file:
        days = list(csv.DictReader(file))
    local = np.array([day["date"] for day in days], dtype="datetime64[us]")
    zone, one_day = "Europe/Paris", np.timedelta64(1, "D")
    begins, ends = to_utc(local, zone).utc, to_utc(local + one_day, zone).utc
    time = pa.timestamp("us", "UTC")
    observed = Weather.of_rows(
        pa.table(
            {
                "observed_at": pa.array(begins, time),
                "observed_until": pa.array(ends, time),
                "rain_mm": pa.array([float(day["pluie_mm"]) for day in days]),
                "temperature_c": pa.array([float(day["temperature_c"]) for day in days]),
                "wind_m_s": pa.array([float(day["vent_kmh"]) / 3.6 for day in days]),
            }
        )
    )
    rain = [float(day["pluie_mm"]) for day in days]
    # First and last minute of each local day, those of 23 and of 25 hours too.
    assert observed.at(begins)["rain_mm"].to_pylist() == rain
    assert observed.at(ends - np.timedelta64(1, "m"))["rain_mm"].to_pylist() == rain
    beyond = np.array([begins[0] - np.timedelta64(1, "m"), ends[-1]])
    assert observed.at(beyond)["temperature_c"].to_pylist() == [None, None]
