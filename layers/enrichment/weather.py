"""Weather at the time of an incident: the observation that covers it, never one of another time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from layers.digests import table_digest

QUANTITIES = ("rain_mm", "temperature_c", "wind_m_s")
INSTANT_COVERS = np.timedelta64(3, "h")
"""Longest time that an observation of one instant speaks for; the synoptic observations of the world are 3 h apart."""

_TIME = pa.timestamp("us")
_NONE = -1


@dataclass(frozen=True, slots=True)
class _Steps:
    """Time steps, microseconds since 1970, UTC; end not included.

    In order of start, of equal starts the longest first. ``outer`` is the position of the step to ask next where this
    one is over: the latest one before it that ends later.
    """

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    outer: NDArray[np.int64]

    def covering(self, instants: NDArray[np.int64], known: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Position of the step that covers each instant, the last one begun; ``_NONE`` where none does."""
        position = np.searchsorted(self.starts, instants, side="right") - 1
        position[~known] = _NONE
        open_ = np.flatnonzero(position != _NONE)
        while len(open_):
            over = open_[self.ends[position[open_]] <= instants[open_]]
            position[over] = self.outer[position[over]]
            open_ = over[position[over] != _NONE]
        return position

    def same(self, other: _Steps) -> bool:
        return np.array_equal(self.starts, other.starts) and np.array_equal(self.ends, other.ends)


@dataclass(frozen=True, slots=True)
class _Series:
    steps: _Steps
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Weather:
    """Observations of a city, ready to be joined to instants. ``digest`` is that of what they say."""

    digest: str
    _series: Mapping[str, _Series]

    @classmethod
    def of_rows(cls, rows: pa.Table) -> Self:
        """Observations of one or several stations.

        Each quantity stands by itself: a row without it does not count. Stations that observe the same time step are
        averaged, with equal weights: of rain too, which is then the mean depth over the city.

        Parameters
        ----------
        rows
            Lake table ``weather``: ``observed_at``, ``observed_until`` (UTC, end not included; null for an instant),
            ``rain_mm``, ``temperature_c``, ``wind_m_s``. A quantity whose column is absent is never known.

        Returns
        -------
        Weather
            The same for the same rows in any order.
        """
        starts, ends = _microseconds(rows["observed_at"]), _microseconds(rows["observed_until"])
        series: dict[str, _Series] = {}
        for quantity in QUANTITIES:
            if quantity not in rows.column_names:
                continue
            values = pc.fill_null(rows[quantity].cast(pa.float64()), np.nan).to_numpy()
            given = np.isfinite(values) & ~np.isnat(starts)
            found = _series(starts[given], ends[given], values[given])
            shared = next((s.steps for s in series.values() if s.steps.same(found.steps)), found.steps)
            series[quantity] = _Series(shared, found.values)
        return cls(_digest(series), MappingProxyType(series))

    def at(self, started: NDArray[np.datetime64], until: NDArray[np.datetime64] | None = None) -> dict[str, pa.Array]:
        """Weather observed at each instant.

        An observation of a period (an hour, a day) covers its period, and its rain is the rain of that period. An
        observation of an instant covers the time to the next one, at most ``INSTANT_COVERS``. Of several that cover an
        instant the last one begun is taken, of those the shortest.

        Parameters
        ----------
        started
            UTC, datetime64[us], shape (n,), NaT where unknown.
        until
            End (not included) of the interval in which it happened, NaT where ``started`` is when it did: then one
            observation must cover the whole interval.

        Returns
        -------
        dict[str, pa.Array]
            ``rain_mm`` (millimetres in the observed period), ``temperature_c`` (degrees Celsius), ``wind_m_s`` (metres
            per second): float64, shape (n,), null where no observation covers the instant.
        """
        known = ~np.isnat(started)
        instants = started.astype("datetime64[us]").astype(np.int64)
        positions: list[tuple[_Steps, NDArray[np.int64]]] = []
        columns: dict[str, pa.Array] = {}
        for quantity in QUANTITIES:
            series = self._series.get(quantity)
            if series is None or not len(series.values):
                columns[quantity] = pa.nulls(len(started), pa.float64())
                continue
            position = next((p for steps, p in positions if steps is series.steps), None)
            if position is None:
                position = series.steps.covering(instants, known)
                if until is not None:
                    last = until.astype("datetime64[us]").astype(np.int64) - 1
                    asked = known & ~np.isnat(until) & (position != _NONE)
                    over = asked & (series.steps.ends[position] <= last) if len(position) else asked
                    position[over] = _NONE
                positions.append((series.steps, position))
            columns[quantity] = pa.array(series.values[position], mask=position == _NONE)
        return columns


def _microseconds(column: pa.ChunkedArray) -> NDArray[np.datetime64]:
    """UTC, datetime64[us], NaT where null."""
    return np.asarray(column.cast(pa.timestamp("us", "UTC") if column.type.tz else _TIME).cast(_TIME).to_numpy())


def _series(starts: NDArray[np.datetime64], ends: NDArray[np.datetime64], values: NDArray[np.float64]) -> _Series:
    """Time steps in order and the mean of each."""
    ends = _closed(starts, ends)
    # Values are ordered too: the last digit of a sum depends on its order.
    order = np.lexsort((values, -ends.astype(np.int64), starts.astype(np.int64)))
    start, end, value = starts[order].astype(np.int64), ends[order].astype(np.int64), values[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (start[1:] != start[:-1]) | (end[1:] != end[:-1])
    group = np.cumsum(new) - 1
    mean = np.bincount(group, weights=value) / np.bincount(group)
    return _Series(_Steps(start[new], end[new], _outer(start[new], end[new])), mean)


def _closed(starts: NDArray[np.datetime64], ends: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """Ends, with those of instants: the next observation, or the longest time that one speaks for."""
    distinct = np.unique(starts)
    following = np.append(distinct[1:], np.datetime64("9999-12-31", "us")) if len(distinct) else distinct
    until = np.minimum(following[np.searchsorted(distinct, starts)], starts + INSTANT_COVERS)
    return np.where(np.isnat(ends) | (ends <= starts), until, ends)


def _outer(starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    outer = np.full(len(starts), _NONE, dtype=np.int64)
    if not (ends[:-1] > starts[1:]).any():
        return outer  # one after the other, as one station observes
    waiting: list[int] = []
    for position, end in enumerate(ends.tolist()):
        while waiting and ends[waiting[-1]] <= end:
            waiting.pop()
        outer[position] = waiting[-1] if waiting else _NONE
        waiting.append(position)
    return outer


def _digest(series: Mapping[str, _Series]) -> str:
    parts = [
        pa.table(
            {
                "quantity": pa.array([quantity] * len(one.values), pa.string()),
                "start": one.steps.starts,
                "end": one.steps.ends,
                "value": one.values,
            }
        )
        for quantity, one in series.items()
    ]
    empty = pa.table({"quantity": pa.array([], pa.string())})
    return table_digest(pa.concat_tables(parts) if parts else empty, ["quantity"])
