"""A made-up source of incidents, delivered as its tables would arrive, batch by batch."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from layers.quality import Profile

NO_REJECTS = pa.table(
    {
        "row": pa.array([], pa.int64()),
        "field": pa.array([], pa.string()),
        "value": pa.array([], pa.string()),
        "reason": pa.array([], pa.string()),
    }
)
FIRST_DAY = np.datetime64("2024-01-01", "us")
CODES = [f"C{number:02d}" for number in range(20)]


def incidents(**columns: object) -> pa.Table:
    """Accepted incidents with the given columns; times are numpy datetime64[us] in UTC."""
    arrays = {}
    for name, values in columns.items():
        given = values
        if isinstance(values, np.ndarray) and values.dtype.kind == "M":
            given = pa.array(values.astype("datetime64[us]"), pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC"))
        arrays[name] = given
    return pa.table(arrays)


def rejects(*rows: tuple[int, str | None, str | None, str]) -> pa.Table:
    """Faults: row, field, value, reason."""
    return pa.Table.from_pylist(
        [dict(zip(("row", "field", "value", "reason"), row, strict=True)) for row in rows], NO_REJECTS.schema
    )


def profile_of(
    *batches: tuple[pa.Table, pa.Table], layer: str = "incidents", timezone: str = "Europe/Paris"
) -> Profile:
    profile = Profile(layer, timezone)
    for accepted, rejected in batches:
        profile.add(accepted, rejected)
    return profile


@dataclass(frozen=True)
class MadeSource:
    """Records of a source with a season, a week, a day, bursts (gamma days) and codes of unequal weight."""

    day: np.ndarray
    hour: np.ndarray
    code: np.ndarray
    located: np.ndarray
    precision_m: np.ndarray
    refused: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator, records: int, days: int = 200) -> MadeSource:
        season = 1 + 0.3 * np.sin(2 * np.pi * np.arange(days) / 365)
        week = np.array([1, 1, 1, 1, 1.3, 1.6, 1.2])[np.arange(days) % 7]
        rate = season * week * rng.gamma(5, 1 / 5, days)
        hours = 1 + 0.9 * np.sin(2 * np.pi * (np.arange(24) - 12) / 24)
        weights = 1 / np.arange(1, 21)
        return cls(
            rng.choice(days, records, p=rate / rate.sum()),
            rng.choice(24, records, p=hours / hours.sum()),
            rng.choice(CODES, records, p=weights / weights.sum()),
            rng.random(records) > 0.03,
            rng.choice([5.0, 20.0, 40.0, 80.0, 300.0], records),
            rng.random(records) < 0.01,
        )

    def __len__(self) -> int:
        return len(self.day)

    def take(self, rows: np.ndarray) -> MadeSource:
        return MadeSource(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def changed(self, **columns: np.ndarray) -> MadeSource:
        return replace(self, **columns)

    def halves(self, rng: np.random.Generator) -> tuple[MadeSource, MadeSource]:
        order = rng.permutation(len(self))
        return self.take(order[: len(order) // 2]), self.take(order[len(order) // 2 :])

    def document(self) -> dict:
        good = self.take(np.flatnonzero(~self.refused))
        started = FIRST_DAY + good.day * np.timedelta64(1, "D") + good.hour * np.timedelta64(1, "h")
        n = len(good)
        place = 5.3 + np.arange(n) / 1e5
        table = incidents(
            category=pa.array(good.code),
            source_code=pa.array(good.code),
            started_at=started + np.timedelta64(7, "m"),
            lon=pa.array(place, mask=~good.located),
            lat=pa.array(place + 38, mask=~good.located),
            precision_m=pa.array(good.precision_m),
        )
        bad = np.flatnonzero(self.refused).tolist()
        return profile_of((table, rejects(*((row, None, None, "malformed_row") for row in bad)))).document()
