"""A delivery with something wrong in it, what must become of it, and the good rows around."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import pyproj

from support.delivered_city import CITY_TOML, ORIGIN_X_M, ORIGIN_Y_M, DeliveredCity
from support.malformed_files import Writer, text

ROWS = 12
NAMES = ("NUM", "MOMENT", "CODE", "GRAVITE", "X", "Y", "ADRESSE")
SPOILT = 5
"""Number of the row that is spoilt, unless a case says otherwise."""

WITH_COLUMNS = {
    "record_id": '"NUM"',
    "started_at": '"MOMENT"',
    "category": '"CODE"',
    "severity": '"GRAVITE"',
    "x": '"X"',
    "y": '"Y"',
    "address": '"ADRESSE"',
}
WITH_SHAPES = {name: rule for name, rule in WITH_COLUMNS.items() if name not in {"x", "y"}}

Fault = tuple[int, str | None, str]
"""Row, field and reason of a reject; a row that could not be cut has no field."""


@dataclass(frozen=True)
class Row:
    """One good row, before it is written in some format."""

    number: int
    code: str
    moment: dt.datetime
    severity: int
    x: float
    y: float
    address: str

    @property
    def name(self) -> str:
        """Identifier in the source."""
        return f"MC{self.number}"

    @property
    def lon_lat(self) -> tuple[float, float]:
        """Degrees in CRS84."""
        lon, lat = _to_degrees().transform(self.x, self.y)
        return lon, lat

    @property
    def cells(self) -> list[object]:
        """Values in the order of ``NAMES``."""
        return [self.name, self.moment, self.code, self.severity, self.x, self.y, self.address]


@cache
def _to_degrees() -> pyproj.Transformer:
    return pyproj.Transformer.from_crs("EPSG:2154", "OGC:CRS84", always_xy=True)


def good_row(number: int) -> Row:
    """Row ``number`` of every file of the corpus; no two are equal in any column but the code."""
    return Row(
        number,
        ("N1", "F1")[number % 2],
        dt.datetime(2024, 5, 1, 10, 20, tzinfo=dt.UTC).replace(tzinfo=None) + dt.timedelta(hours=number % 600),
        number % 6,
        ORIGIN_X_M + 500.25 + number % 500,
        ORIGIN_Y_M + 1500.75 - number % 700,
        f"{number} rue de l'Évêché",
    )


def good_rows(count: int = ROWS) -> list[Row]:
    """Rows 1 to ``count``."""
    return [good_row(number) for number in range(1, count + 1)]


def csv_cells(row: Row, decimal: str = ",") -> list[str]:
    """Text of a row's cells."""
    x, y = (f"{value:.2f}".replace(".", decimal) for value in (row.x, row.y))
    return [row.name, row.moment.isoformat(" "), row.code, str(row.severity), x, y, row.address]


def csv_lines(count: int = ROWS, decimal: str = ",", delimiter: str = ";") -> list[str]:
    """Header and good rows, without line ends."""
    return [delimiter.join(NAMES), *(delimiter.join(csv_cells(row, decimal)) for row in good_rows(count))]


def csv_text(count: int = ROWS) -> str:
    """Whole good file."""
    return "\n".join(csv_lines(count)) + "\n"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One delivery.

    ``refused`` is a regular expression that the refusal's message matches, besides the name of the file. Otherwise the
    delivery has ``rows`` rows, of which those in ``faults`` are rejects; every other good row is a record and tells
    what it should, save what ``changed`` says (record id → field → value).
    """

    file: str
    write: Writer
    refused: str | None = None
    rows: int = ROWS
    faults: tuple[Fault, ...] = ()
    gone: tuple[int, ...] | None = None
    """Good rows that are no records; by default those in ``faults``."""
    changed: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    crs: str | None = "EPSG:2154"
    columns: Mapping[str, str] = field(default_factory=lambda: WITH_COLUMNS)
    more: str = ""
    """More lines of the source's table in the city file."""
    good: int = ROWS

    @property
    def records(self) -> list[Row]:
        """Good rows that must be records."""
        gone = {row for row, _, _ in self.faults} if self.gone is None else set(self.gone)
        return [row for row in good_rows(self.good) if row.number not in gone]

    def deliver(self, city: DeliveredCity) -> Path:
        """Write the file and the city file that lists it."""
        (city.folder / "log.csv").unlink(missing_ok=True)
        before, _, _ = CITY_TOML.partition("deliveries = ")
        lines = [
            f"deliveries = ['{self.file}']",
            f"crs = '{self.crs}'" if self.crs else "",
            self.more,
            "[sources.columns]",
            *(f"{name} = {rule}" for name, rule in self.columns.items()),
            "[sources.categories]",
            '"N1" = "night_noise"',
            '"F1" = "dispute"',
        ]
        city.write_toml(before + "\n".join(lines) + "\n")
        path = city.folder / self.file
        self.write(path)
        return path


def lines(rows: Sequence[str], end: str = "\n") -> Writer:
    """File of these lines."""
    return text(end.join(rows) + end)


def seeded(seed: int) -> np.random.Generator:
    """Generator of the same bytes on every machine."""
    return np.random.default_rng(seed)
