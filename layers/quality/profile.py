"""What a delivery looks like: counts that are small, that add up batch by batch, and that are JSON.

A profile is taken while a delivery is read, so that a report on five million rows needs no second reading. It holds
no record: counts by field, class, day, hour and precision, the commonest positions, and the first rows refused.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from layers.fields import LAYER_FIELDS, PERIODS
from layers.quality.clock_counts import count_clock
from layers.quality.places import are_coarse, commonest_positions
from layers.quality.refusals import Refusals

PRECISION_BOUNDS_M: Final = (10.0, 25.0, 50.0, 100.0, 500.0)
PRECISION_CLASSES: Final = ("0-10", "10-25", "25-50", "50-100", "100-500", "500+", "unknown")
"""Positional precision in metres, upper bounds included."""
INTERVAL_CLASSES: Final = ("instant", "1h", "24h", "longer")
"""Length of the interval in which a record began: none given, at most one hour, at most a day, more."""
CLASS_FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "incidents": "category",
        "events": "nature",
        "cameras": "status",
        "sensitive_sites": "category",
        "interventions": "nature",
        "buildings": "category",
    }
)
"""The field that says what a record of a layer is."""

_KEPT_POSITIONS = 64
_MOST_LABELS = 2_000
OTHER: Final = "…"
"""Label of what is beyond the first 2,000 codes: a column of free text taken for one of codes stays small."""
_HOUR, _DAY, _NEVER = np.timedelta64(1, "h"), np.timedelta64(1, "D"), np.datetime64("NaT", "us")
_NOT_COUNTED = frozenset({"x", "y", "lon", "lat"})


class Profile:
    """Counts of one delivery.

    Parameters
    ----------
    layer
        Layer that the delivery feeds.
    timezone
        IANA name of the city's zone: days and hours are local ones.
    """

    def __init__(self, layer: str, timezone: str) -> None:
        self.layer = layer
        self.timezone = timezone
        self.accepted = 0
        self.filled: Counter[str] = Counter()
        self.counts: dict[str, Counter[str]] = {
            name: Counter()
            for name in ("classes", "codes", "provenance", "intervals", "precision", "places", "minutes")
        }
        self.days: Counter[int] = Counter()
        self.hours = np.zeros(24, dtype=np.int64)
        self.positions: Counter[tuple[float, float]] = Counter()
        self.refusals = Refusals()

    def __repr__(self) -> str:
        return f"<Profile of {self.layer}: {self.accepted} accepted, {self.refusals.rows} refused>"

    def add(self, accepted: pa.Table, rejected: pa.Table) -> None:
        """Count a batch.

        Parameters
        ----------
        accepted
            Accepted rows, with the fields of the layer as columns (``lon``, ``lat``, ``x_m``, ``y_m`` for the place,
            times as timestamp[us, UTC]); columns that are not there are not counted.
        rejected
            Faults: ``row``, ``field``, ``value``, ``reason``; a row may have several.
        """
        self.refusals.add(rejected)
        self.accepted += accepted.num_rows
        for name in LAYER_FIELDS[self.layer]:
            if name not in _NOT_COUNTED and name in accepted.column_names:
                self.filled[name] += accepted.num_rows - accepted.column(name).null_count
        if not accepted.num_rows:
            return
        label = CLASS_FIELDS.get(self.layer)
        for column, kind in ((label, "classes"), ("source_code", "codes"), ("provenance", "provenance")):
            if column is not None and column in accepted.column_names:
                self._add_labels(self.counts[kind], accepted.column(column), column)
        self._add_places(accepted)
        self._add_times(accepted)

    def take_back(self, rejected: pa.Table, *, located: int) -> None:
        """Count rows as refused that had been counted as accepted: ids found repeated once all batches were read.

        ``located`` of them had a position. Their fields and times stay counted: they are the first row's over again.
        """
        before = self.refusals.rows
        self.refusals.add(rejected)
        self.accepted -= self.refusals.rows - before
        self.counts["places"]["located"] -= located

    def _add_labels(self, counter: Counter[str], column: pa.ChunkedArray, name: str) -> None:
        declared = LAYER_FIELDS[self.layer].get(name)
        if declared is not None and declared.codes:
            # Accepted values are among these codes: those that are no other one are the last one.
            left = len(column) - column.null_count
            for code in declared.codes[:-1]:
                found = pc.sum(pc.equal(column, code)).as_py() or 0
                counter[code] += found
                left -= found
            counter[declared.codes[-1]] += left
        else:
            _count_labels(counter, column)

    def _add_places(self, accepted: pa.Table) -> None:
        if "lon" not in accepted.column_names:
            return
        lon, lat = _numbers(accepted, "lon"), _numbers(accepted, "lat")
        located = ~np.isnan(lon)
        places = self.counts["places"]
        places["located"] += int(np.count_nonzero(located))
        if "located_by" in accepted.column_names:
            by_address = pc.sum(pc.equal(accepted.column("located_by"), "address")).as_py()
            places["by_address"] += by_address or 0
        if not located.any():
            return
        metric = [_numbers(accepted, name)[located] for name in ("x_m", "y_m") if name in accepted.column_names]
        lon, lat = lon[located], lat[located]
        places["coarse"] += int(np.count_nonzero(are_coarse(lon, lat, metric)))
        for place, number in commonest_positions(lon, lat):
            self.positions[place] += number
        if len(self.positions) > _KEPT_POSITIONS:
            self.positions = Counter(dict(_largest(self.positions, _KEPT_POSITIONS)))
        if "precision_m" in accepted.column_names:
            precision = _numbers(accepted, "precision_m")[located]
            # A comparison per bound takes a third of a binary search per value.
            classes = np.sum([precision > bound for bound in PRECISION_BOUNDS_M], axis=0, dtype=np.int8)
            classes[np.isnan(precision)] = len(PRECISION_BOUNDS_M) + 1
            _add_bins(self.counts["precision"], PRECISION_CLASSES, classes)

    def _add_times(self, accepted: pa.Table) -> None:
        start, end = PERIODS.get(self.layer, (None, None))
        if start is None or end is None or start not in accepted.column_names:
            return
        if pa.types.is_date(accepted.schema.field(start).type):
            _add_days(self.days, _moments(accepted, start).astype("datetime64[D]"))
            return
        started = _moments(accepted, start)
        ended = _moments(accepted, end) if end in accepted.column_names else np.full(len(started), _NEVER)
        known = ~np.isnat(started)
        length = ended - started
        classes = np.zeros(len(length), dtype=np.int64)
        given = np.flatnonzero(~np.isnat(length))
        classes[given] = 1 + (length[given] > _HOUR) + (length[given] > _DAY)
        _add_bins(self.counts["intervals"], INTERVAL_CLASSES, classes[known])
        # An event is planned at an hour however long it lasts; an incident within an interval has none.
        timed = known if self.layer != "incidents" else known & (classes <= 1)
        counted = count_clock(started[known], timed[known], self.timezone)
        for day, number in counted.days.items():
            self.days[day] += number
        self.hours += counted.hours
        self.counts["minutes"].update(counted.minutes)

    def document(self) -> dict[str, Any]:
        """Return the profile as JSON values, always in the same order."""
        days = {_iso(day): number for day, number in sorted(self.days.items())}
        return {
            "layer": self.layer,
            "timezone": self.timezone,
            "accepted": self.accepted,
            "filled": dict(sorted(self.filled.items())),
            **{name: {k: n for k, n in sorted(counter.items()) if n} for name, counter in self.counts.items()},
            "days": days,
            "hours": self.hours.tolist(),
            "weekdays": _weekdays(self.days),
            "positions": [[*place, number] for place, number in _largest(self.positions, _KEPT_POSITIONS)],
            "refusals": self.refusals.document(),
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Read what :meth:`document` gave; batches may be added to it."""
        profile = cls(document["layer"], document["timezone"])
        profile.accepted = document["accepted"]
        profile.filled.update(document["filled"])
        for name, counter in profile.counts.items():
            counter.update(document[name])
        profile.days.update({dt.date.fromisoformat(d).toordinal() - _EPOCH: n for d, n in document["days"].items()})
        profile.hours += np.array(document["hours"], dtype=np.int64)
        profile.positions.update({(lon, lat): number for lon, lat, number in document["positions"]})
        profile.refusals = Refusals.of(document["refusals"])
        return profile


_EPOCH: Final = dt.date(1970, 1, 1).toordinal()


def _iso(day: int) -> str:
    return dt.date.fromordinal(day + _EPOCH).isoformat()


def _weekdays(days: Mapping[int, int]) -> list[int]:
    """Records by day of week, Monday first (1970-01-01 was a Thursday)."""
    counts = [0] * 7
    for day, number in days.items():
        counts[(day + 3) % 7] += number
    return counts


def _numbers(table: pa.Table, name: str) -> NDArray[np.float64]:
    return np.asarray(table.column(name).to_numpy(zero_copy_only=False), dtype=np.float64)


def _moments(table: pa.Table, name: str) -> NDArray[np.datetime64]:
    return np.asarray(table.column(name).to_numpy(zero_copy_only=False)).astype("datetime64[us]")


def _count_labels(counter: Counter[str], column: pa.ChunkedArray) -> None:
    for pair in pc.value_counts(column).to_pylist():
        label = pair["values"]
        if label is None:
            continue
        known = label in counter or len(counter) < _MOST_LABELS
        counter[str(label) if known else OTHER] += pair["counts"]


def _add_bins(counter: Counter[str], names: Iterable[str], classes: NDArray[np.integer]) -> None:
    names = tuple(names)
    for name, number in zip(names, np.bincount(classes, minlength=len(names)).tolist(), strict=True):
        counter[name] += number


def _add_days(counter: Counter[int], days: NDArray[np.datetime64]) -> None:
    values, numbers = np.unique(days[~np.isnat(days)].astype(np.int64), return_counts=True)
    counter.update(dict(zip(values.tolist(), numbers.tolist(), strict=True)))


def _largest(counter: Counter[Any], number: int) -> list[tuple[Any, int]]:
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:number]
