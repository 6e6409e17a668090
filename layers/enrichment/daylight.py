"""Day, civil twilight or night, from the position of the sun.

Only the instants at which the light changes are computed, about four a day; records are then placed between them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from layers.errors import CalanqueError

HORIZONS_DEG = (-6.0, -0.833)
"""Altitudes of the sun's centre at which civil twilight and day begin: 6° below the horizon, and the upper limb on
the horizon (34′ of refraction and 16′ of radius, as almanacs have it)."""

LIGHTS = ("night", "twilight", "day")
"""Names of the light, by the number of horizons that the sun is above."""

_J2000 = np.datetime64("2000-01-01T12:00", "us")
_DAY = np.timedelta64(1, "D")
_HALVINGS = 18
"""Of half a day: to a sixth of a second, before rounding to whole seconds."""


@dataclass(frozen=True, slots=True)
class LightChanges:
    """Instants (UTC, datetime64[us], sorted, shape (n,)) at which the light changes.

    ``lights`` are positions in ``LIGHTS``, shape (n + 1,): before the first instant, and from each instant on.
    """

    instants: NDArray[np.datetime64]
    lights: NDArray[np.int8]


def daylight(started: NDArray[np.datetime64], ended: NDArray[np.datetime64], lon: float, lat: float) -> pa.Array:
    """Light at the start of each record: ``day``, ``twilight`` (civil) or ``night``.

    Parameters
    ----------
    started
        UTC, datetime64[us], shape (n,), NaT where unknown.
    ended
        UTC, datetime64[us], shape (n,): end, not included, of the interval in which the record happened; NaT where
        its time is known.
    lon, lat
        Degrees, WGS 84: one point for a whole city, such as the centroid of its land. 30 km move sunrise by one to two
        minutes at middle latitudes.

    Returns
    -------
    pa.Array
        Text, shape (n,); null where the start is unknown, or where the light changes within the interval.

    Raises
    ------
    CalanqueError
        If the point is not on Earth.

    Notes
    -----
    Terrain and weather do not count: a city behind a hill is dark earlier.
    """
    known = ~np.isnat(started)
    if not known.any():
        return pa.nulls(len(started), pa.string())
    changes = light_changes(started[known].min(), np.fmax(started, ended)[known].max(), lon, lat)
    instants = changes.instants.astype(np.int64)
    position = np.searchsorted(instants, started.astype(np.int64), side="right")
    interval = np.flatnonzero(known & ~np.isnat(ended))
    close = np.searchsorted(instants, ended[interval].astype(np.int64), side="left")
    known[interval] = close <= position[interval]
    return pa.array(LIGHTS).take(pa.array(changes.lights[position], mask=~known))


def light_changes(first: np.datetime64, last: np.datetime64, lon: float, lat: float) -> LightChanges:
    """Dawns, sunrises, sunsets and dusks around a period; none of them in polar day or night.

    Between two culminations (upper, at noon, and lower, at midnight) the sun only rises or only sinks: where its
    altitude is on different sides of a horizon at the two, there is one crossing, found by halving. A sun that grazes a
    horizon near the pole for less than the minutes between culmination and true extreme is not seen to cross it.

    Parameters
    ----------
    first, last
        UTC, datetime64[us]: changes from a day before to a day after are found.
    lon, lat
        Degrees, WGS 84.

    Returns
    -------
    LightChanges
        To the second. From the NREL solar position algorithm they differ by 4 s at most below 45° of latitude, 8 s at
        60°, a minute beyond the polar circle, where the sun grazes the horizon.

    Raises
    ------
    CalanqueError
        If the point is not on Earth.
    """
    if not (-180 <= lon <= 180 and -90 <= lat <= 90):
        raise CalanqueError(f"no daylight at lon {lon}, lat {lat}: degrees are expected, WGS 84")
    turns = _culminations(first - _DAY, last + _DAY, lon)
    altitude = sun_altitude_deg(turns, lon, lat)
    found, steps = [], []
    for horizon in HORIZONS_DEG:
        above = altitude >= horizon
        at = np.flatnonzero(above[1:] != above[:-1])
        rising = above[at + 1]
        found.append(_crossings(turns[at], turns[at + 1], rising, horizon, (lon, lat)))
        steps.append(np.where(rising, 1, -1))
    instants, step = np.concatenate(found), np.concatenate(steps)
    order = np.argsort(instants, kind="stable")
    before = int(sum(altitude[0] >= horizon for horizon in HORIZONS_DEG))
    lights = before + np.concatenate([[0], np.cumsum(step[order])])
    return LightChanges(instants[order], lights.astype(np.int8))


def sun_altitude_deg(instants: NDArray[np.datetime64], lon: float, lat: float) -> NDArray[np.float64]:
    """Altitude of the sun's centre above the horizon, without refraction, in degrees.

    Parameters
    ----------
    instants
        UTC, datetime64[us], shape (n,).
    lon, lat
        Degrees, WGS 84.

    Returns
    -------
    NDArray[np.float64]
        Degrees, shape (n,), good to about 0.01° from 1900 to 2100.
    """
    hour_angle, declination = _sun(_days(instants), lon)
    latitude = np.radians(lat)
    sine = np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(declination) * np.cos(hour_angle)
    return np.asarray(np.degrees(np.arcsin(np.clip(sine, -1.0, 1.0))))


def _sun(days: NDArray[np.float64], lon: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Local hour angle and declination of the sun, in radians, at days since J2000.

    References
    ----------
    J. Meeus, Astronomical Algorithms, 2nd ed., Willmann-Bell 1998: chapter 12 (sidereal time), chapter 25 (solar
    coordinates, low accuracy, 0.01°). Parallax, at most 0.0025°, and the 70 s between universal and dynamical time are
    left out.
    """
    t = days / 36_525
    anomaly = np.radians(357.52911 + t * (35_999.05029 - 0.0001537 * t))
    centre = (
        (1.914602 - t * (0.004817 + 0.000014 * t)) * np.sin(anomaly)
        + (0.019993 - 0.000101 * t) * np.sin(2 * anomaly)
        + 0.000289 * np.sin(3 * anomaly)
    )
    node = np.radians(125.04 - 1934.136 * t)
    nutation = -0.00478 * np.sin(node)
    longitude = np.radians(280.46646 + t * (36_000.76983 + 0.0003032 * t) + centre - 0.00569 + nutation)
    obliquity = np.radians(23.439291 - 0.0130042 * t + 0.00256 * np.cos(node))
    ascension = np.arctan2(np.cos(obliquity) * np.sin(longitude), np.cos(longitude))
    declination = np.arcsin(np.sin(obliquity) * np.sin(longitude))
    sidereal = 280.46061837 + 360.98564736629 * days + 0.000387933 * t * t + nutation * np.cos(obliquity)
    return np.radians(np.mod(sidereal + lon, 360)) - ascension, declination


def _culminations(first: np.datetime64, last: np.datetime64, lon: float) -> NDArray[np.datetime64]:
    """Passages of the sun through the meridian, upper and lower, from just before ``first`` to just after ``last``."""
    ends = _days(np.array([first, last]))
    mean = np.arange(np.floor(2 * ends[0]), np.ceil(2 * ends[1]) + 1) / 2 - lon / 360
    hour_angle, _ = _sun(mean, lon)
    # Mean noon and midnight are within 17 minutes, the equation of time, of the true ones.
    late = np.mod(hour_angle + np.pi / 2, np.pi) - np.pi / 2
    return _instants(mean - late / (2 * np.pi))


def _crossings(
    low: NDArray[np.datetime64],
    high: NDArray[np.datetime64],
    rising: NDArray[np.bool_],
    horizon: float,
    point: tuple[float, float],
) -> NDArray[np.datetime64]:
    """First whole second, nearest, at which the sun is on the other side of ``horizon`` than at ``low``."""
    for _ in range(_HALVINGS):
        middle = low + (high - low) // 2
        passed = (sun_altitude_deg(middle, *point) >= horizon) == rising
        low, high = np.where(passed, low, middle), np.where(passed, middle, high)
    half = np.timedelta64(500_000, "us")
    return (high + half).astype("datetime64[s]").astype("datetime64[us]")


def _days(instants: NDArray[np.datetime64]) -> NDArray[np.float64]:
    return np.asarray((instants - _J2000) / _DAY)


def _instants(days: NDArray[np.float64]) -> NDArray[np.datetime64]:
    return np.asarray(_J2000 + np.round(days * 86_400e6).astype("timedelta64[us]"))
