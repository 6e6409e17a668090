"""Days, hours, weather, school days and clock changes of the sample's three years."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np

from data_samples.marseille.generator.parameters import (
    CRISIS_FACTOR,
    CRISIS_START,
    DAYS,
    PROFILES,
    START,
    Theme,
)
from data_samples.marseille.generator.randomness import BoolArray, FloatArray, IntArray, Streams

DATES: tuple[dt.date, ...] = tuple(START + dt.timedelta(days=i) for i in range(DAYS))
WEEKDAY: IntArray = np.array([d.weekday() for d in DATES])
MONTH: IntArray = np.array([(d.year - START.year) * 12 + d.month - 1 for d in DATES])
"""Month of each day, 0…35."""
YEAR_DAY: FloatArray = np.array([d.timetuple().tm_yday for d in DATES], dtype=float)

SPRING_NIGHTS = (dt.date(2023, 3, 26), dt.date(2024, 3, 31), dt.date(2025, 3, 30))
"""02:00–03:00 does not exist."""
AUTUMN_NIGHTS = (dt.date(2023, 10, 29), dt.date(2024, 10, 27), dt.date(2025, 10, 26))
"""02:00–03:00 happens twice."""

# School holidays of zone B, first and last day without school.
_HOLIDAYS = (
    ("2022-12-17", "2023-01-02"), ("2023-02-11", "2023-02-26"), ("2023-04-15", "2023-05-01"),
    ("2023-07-08", "2023-09-03"), ("2023-10-21", "2023-11-05"), ("2023-12-23", "2024-01-07"),
    ("2024-02-24", "2024-03-10"), ("2024-04-20", "2024-05-05"), ("2024-07-06", "2024-09-01"),
    ("2024-10-19", "2024-11-03"), ("2024-12-21", "2025-01-05"), ("2025-02-08", "2025-02-23"),
    ("2025-04-05", "2025-04-21"), ("2025-07-05", "2025-08-31"), ("2025-10-18", "2025-11-02"),
    ("2025-12-20", "2026-01-04"),
)  # fmt: skip


@dataclass(frozen=True)
class Weather:
    """Daily weather: rain in millimetres, mean temperature and wind (km/h)."""

    rain_mm: FloatArray
    temperature_c: FloatArray
    wind_kmh: FloatArray


def day_index(date: dt.date) -> int:
    """Days since the start of the sample."""
    return (date - START).days


def school_days() -> BoolArray:
    """Which days have school: Monday to Friday outside the holidays of zone B."""
    open_days = WEEKDAY < 5
    for first, last in _HOLIDAYS:
        begin, end = day_index(dt.date.fromisoformat(first)), day_index(dt.date.fromisoformat(last))
        open_days[max(begin, 0) : max(end + 1, 0)] = False
    return np.asarray(open_days)


def make_weather(streams: Streams) -> Weather:
    """Draw a Mediterranean weather: an annual cycle, persistent departures, and rain in spells."""
    rng = streams.of("weather")
    noise = rng.normal(0, 1.6, DAYS)
    departure = np.zeros(DAYS)
    wet = np.zeros(DAYS, dtype=bool)
    draws = rng.random(DAYS)
    for i in range(1, DAYS):
        departure[i] = 0.7 * departure[i - 1] + noise[i]
        chance = 0.13 + 0.07 * np.cos(2 * np.pi * (YEAR_DAY[i] - 315) / 365.25)
        wet[i] = draws[i] < (0.45 if wet[i - 1] else chance)
    temperature = 15.8 - 8.6 * np.cos(2 * np.pi * (YEAR_DAY - 20) / 365.25) + departure - 1.5 * wet
    rain = np.where(wet, rng.exponential(7.5, DAYS) + 0.2, 0.0)
    wind = 12 + 9 * rng.gamma(1.6, 1.0, DAYS)
    return Weather(np.round(rain, 1), np.round(temperature, 1), np.round(wind, 0))


def day_weights(theme: Theme, weather: Weather) -> FloatArray:
    """Relative frequency of each day for a theme: season × day of week × weather × school.

    Notes
    -----
    Rain acts through a 0/1 variable (2 mm and more), heat through degrees above 15 °C, both log-linear.
    """
    season = 1 + theme.season_amplitude * np.cos(
        2 * np.pi * (YEAR_DAY - 30.4 * (theme.season_peak_month - 0.5)) / 365.25
    )
    days = np.array(PROFILES[theme.profile][1])[WEEKDAY]
    effect = np.exp(theme.rain_effect * (weather.rain_mm >= 2) + theme.heat_effect * (weather.temperature_c - 15))
    weights = season * days * effect
    if theme.profile == "school":
        weights = weights * np.where(school_days(), 1.0, 0.12)
    return np.asarray(weights / weights.mean())


def trend(kind: str) -> FloatArray:
    """Factor of each day in a zone that rises, falls or is in crisis; mean one over the period for the first two."""
    t = (np.arange(DAYS) + 0.5) / DAYS
    if kind == "rise":
        factor = 0.5 + 1.9 * t**2
    elif kind == "fall":
        factor = 1.6 - 1.25 * t
    elif kind == "crisis":
        return np.where(np.arange(DAYS) >= day_index(CRISIS_START), CRISIS_FACTOR, 1.0)
    else:
        raise ValueError(f"trend {kind!r} is none of rise, fall, crisis")
    return np.asarray(factor / factor.mean())


def emerging(pattern: str) -> FloatArray:
    """Factor of each day in an emerging place, by the name of its pattern."""
    month = MONTH.astype(float)
    if pattern == "new":
        factor = (month >= 34).astype(float) * 12 + 0.02
    elif pattern == "intensifying":
        factor = 0.5 + month / 20
    elif pattern == "diminishing":
        factor = 0.5 + (35 - month) / 20
    elif pattern == "sporadic":
        factor = np.where(np.isin(month % 6, (1.0, 2.0, 5.0)), 2.0, 0.02)
    else:
        raise ValueError(f"pattern {pattern!r} is none of new, intensifying, diminishing, sporadic")
    return np.asarray(factor / factor.mean())


def utc_offset_hours(day: IntArray, hour: IntArray, *, second_pass: BoolArray) -> IntArray:
    """Hours to subtract from the local clock (Europe/Paris) to get UTC.

    Parameters
    ----------
    day, hour
        Local day index and hour. The hour from 02:00 on a spring night does not exist: it is read with the winter
        offset, so that 02:30 is the instant that the clock calls 03:30.
    second_pass
        For the hour from 02:00 on an autumn night: whether it is its second pass (winter time).
    """
    summer = np.zeros(DAYS, dtype=bool)
    for spring, autumn in zip(SPRING_NIGHTS, AUTUMN_NIGHTS, strict=True):
        summer[day_index(spring) + 1 : day_index(autumn)] = True
    spring_night = np.isin(day, [day_index(d) for d in SPRING_NIGHTS])
    autumn_night = np.isin(day, [day_index(d) for d in AUTUMN_NIGHTS])
    is_summer = (
        summer[day] | (spring_night & (hour >= 3)) | (autumn_night & ((hour < 2) | ((hour == 2) & ~second_pass)))
    )
    return np.where(is_summer, 2, 1)
