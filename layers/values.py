"""Words that the city file is written in: keys, texts in two languages, time zones, reference systems."""

from __future__ import annotations

import zoneinfo
from typing import Annotated, Literal

import pyproj
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
"""Names that become columns, collections and URL segments."""

LayerKind = Literal[
    "incidents",
    "events",
    "cameras",
    "sensitive_sites",
    "interventions",
    "streets",
    "buildings",
    "weather",
]
FormName = Literal["exact", "planner", "partner", "public"]
ProfileName = Literal["administrator", "analyst", "planner", "partner", "public"]
ALL_THEMES = "all"
"""Suffix of the columns that count every category not declared sensitive."""


class Value(BaseModel):
    """A frozen value that refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Text(Value):
    """A text that city users read: French first, English second."""

    fr: str
    en: str

    def __getitem__(self, language: str) -> str:
        return self.en if language == "en" else self.fr


def _known_crs(value: str) -> str:
    try:
        pyproj.CRS.from_user_input(value)
    except pyproj.exceptions.CRSError as error:
        raise ValueError(f'{value!r} is not a coordinate reference system, for instance "EPSG:2154"') from error
    return value


def _metric_crs(value: str) -> str:
    crs = pyproj.CRS.from_user_input(_known_crs(value))
    if not crs.is_projected or {axis.unit_name for axis in crs.axis_info} != {"metre"}:
        raise ValueError(f"{value} is not a projected CRS in metres")
    return value


def _time_zone(value: str) -> str:
    if value not in zoneinfo.available_timezones():
        raise ValueError(f"{value!r} is not an IANA time zone")
    return value


MetricCrs = Annotated[str, AfterValidator(_metric_crs)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
Crs = Annotated[str, AfterValidator(_known_crs)]


def _each_once(values: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(values)) != len(values):
        raise ValueError("each resolution is given once")
    return values


Resolutions = Annotated[tuple[Annotated[int, Field(ge=0, le=10)], ...], Field(min_length=1), AfterValidator(_each_once)]
"""H3 resolutions above the base (11), each once."""
