"""The city file: one TOML document that names everything the code must not know.

Nothing in Calanque knows Marseille. A city is a folder with a ``city.toml`` and its data;
paths in the file are relative to that folder.
"""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, model_validator

from layers.declared_sources import ColumnRule, ReadOptions, Source
from layers.digests import digest_json
from layers.errors import CityFileError
from layers.fields import LAYER_FIELDS, ZONE_PREFIX
from layers.home import Home, check_home
from layers.taxonomy_files import with_csv_tables
from layers.toml_lines import key_lines, line_of
from layers.values import (
    ALL_THEMES,
    Crs,
    FormName,
    LayerKind,
    MetricCrs,
    ProfileName,
    Resolutions,
    Slug,
    Text,
    TimeZone,
    Value,
)

__all__ = [
    "ALL_THEMES",
    "DEFAULT_PROFILES",
    "Analysis",
    "City",
    "ColumnRule",
    "FormName",
    "Grid",
    "LayerKind",
    "ProfileName",
    "ReadOptions",
    "Slug",
    "Source",
    "Text",
    "ZoneLevel",
    "load_city",
]


class Identity(Value):
    """Table ``[city]``."""

    id: Slug
    title: Text
    metric_crs: MetricCrs
    timezone: TimeZone
    attribution: str
    contact_url: str | None = None
    licence: str | None = None


class Dissolve(Value):
    """A zone level made of another one: ``{ of = "quartiers", by = "arrondissement", name = … }``."""

    of: Slug
    by: str
    name: str | None = None


class Thiessen(Value):
    """Zones of a city without boundaries: ``{ source = "mci", by = "neighbourhood" }``.

    The Thiessen cells of the source's distinct positions, dissolved by a column of its delivery, clipped to the land.
    """

    source: Slug
    by: str


class Hull(Value):
    """Land of a city without boundaries: ``{ source = "mci", buffer_m = 500.0 }``, the buffered hull of its points."""

    source: Slug
    buffer_m: float = Field(ge=0)


class ZoneLevel(Value):
    """One entry of ``[[zones]]``, coarse to fine; its ``id`` is also its collection's."""

    id: Slug
    title: Text
    path: str | None = None
    crs: Crs = "EPSG:4326"
    key: str = "key"
    name: str = "name"
    dissolve: Dissolve | None = None
    thiessen: Thiessen | None = None
    attribution: str | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if sum(v is not None for v in (self.path, self.dissolve, self.thiessen)) != 1:
            raise ValueError("a zone level has exactly one of path, dissolve or thiessen")
        return self


class Land(Value):
    """Table ``[land]``: the union of a zone level, a polygon file, or the hull of a source's points."""

    zones: Slug | None = None
    path: str | None = None
    hull: Hull | None = None
    crs: Crs = "EPSG:4326"

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if sum(v is not None for v in (self.zones, self.path, self.hull)) != 1:
            raise ValueError("land comes from exactly one of zones (a zone level's id), path or hull")
        return self


class Grid(Value):
    """Table ``[grid]``: H3 resolutions (base 11; published 10 to 6)."""

    base_resolution: Literal[11] = 11
    resolutions: Resolutions = (10, 9, 8, 7, 6)
    default_resolution: int = 10
    tile_resolutions: dict[int, int] = Field(default={0: 7, 10: 8, 12: 9, 14: 10})
    """First zoom → resolution drawn from that zoom on."""


class Category(Value):
    """A second-level category."""

    title: Text
    sensitive: bool = False


class Theme(Value):
    """A first-level category; its key names the columns of every product."""

    title: Text
    sensitive: bool = False
    categories: dict[Slug, Category]


class Taxonomy(Value):
    """Table ``[taxonomy]``: themes and their categories, here or in a CSV file; a category is in one theme."""

    themes: dict[Slug, Theme]

    @model_validator(mode="after")
    def _unique(self) -> Self:
        seen: dict[str, str] = {}
        for theme_id, theme in self.themes.items():
            if theme_id == ALL_THEMES:
                raise ValueError(f"{ALL_THEMES!r} is reserved")
            for category_id in theme.categories:
                if category_id in seen:
                    raise ValueError(f"category {category_id!r} is in {seen[category_id]!r} and {theme_id!r}")
                seen[category_id] = theme_id
        return self

    def theme_of(self) -> dict[str, str]:
        """Category key → theme key."""
        return {c: t for t, theme in self.themes.items() for c in theme.categories}

    def sensitive_categories(self) -> frozenset[str]:
        """Categories left out of ``all`` and of every form below exact."""
        return frozenset(
            c
            for theme in self.themes.values()
            for c, category in theme.categories.items()
            if theme.sensitive or category.sensitive
        )


class SchoolHoliday(Value):
    """School holidays of one period: local dates, both included."""

    start: dt.date
    end: dt.date
    title: Text | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.end < self.start:
            raise ValueError(f"end {self.end} is before start {self.start}")
        return self


class Holidays(Value):
    """Table ``[enrichment.holidays]``: public holidays of a country, and school holidays."""

    country: str = Field(pattern=r"^[A-Z]{2}$")
    """ISO 3166-1 code."""
    subdivision: str | None = None
    """ISO 3166-2 code without the country, where holidays differ by region."""
    school_zone: Literal["A", "B", "C"] | None = None
    """Zone of the French school calendar."""
    school_holidays: tuple[SchoolHoliday, ...] = ()
    """School holidays written out, where no calendar is known."""


class Enrichment(Value):
    """Table ``[enrichment]``: what is added to incidents besides zones. Every crossing of data is declared here."""

    holidays: Holidays | None = None
    daylight: bool = False
    """Day, civil twilight or night by the position of the sun."""
    weather: Slug | None = None
    """Source of layer ``weather`` whose observations are joined by time."""
    gazetteer: Slug | None = None
    """Source of layer ``streets`` that gives a place to records with an address and no coordinates."""


class NearDuplicates(Value):
    """Table ``[deduplication.near]``: records of one category, of different sources, close in place and time."""

    distance_m: float = Field(gt=0, le=1_000)
    minutes: float = Field(gt=0, le=1_440)
    sources: tuple[Slug, ...] = Field(min_length=2, max_length=64)
    """In order of trust: of two records the one of the first-named source survives."""


class Deduplication(Value):
    """Table ``[deduplication]``. Without it duplicates are counted and kept: equal rows can be different offences."""

    near: NearDuplicates | None = None


class HotspotParameters(Value):
    """Table ``[analysis.hotspots]``: false discovery rate, draws, seed, and rings of the neighbourhood."""

    resolutions: Resolutions = (10, 9)
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    permutations: int = Field(default=9999, ge=99)
    """Draws of local Moran: its smallest p, 2 / (draws + 1), must pass the false discovery rate of a whole city."""
    seed: int = 20260101
    rings: int = Field(default=1, ge=1, le=5)


class DensityParameters(Value):
    """Table ``[analysis.density]``: standard deviation of the kernel and side of a pixel, in metres."""

    bandwidth_m: float = Field(default=250.0, gt=0)
    pixel_m: float = Field(default=25.0, gt=0)


class Analysis(Value):
    """Table ``[analysis]``: local dates, both included."""

    start: dt.date
    end: dt.date
    as_of: dt.date | None = None
    closure_delay_days: int = Field(default=30, ge=0)
    hotspots: HotspotParameters = HotspotParameters()
    density: DensityParameters = DensityParameters()

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.end < self.start:
            raise ValueError(f"end {self.end} is before start {self.start}")
        return self

    @property
    def years(self) -> float:
        """Length of the analysis period in mean Gregorian years (365.2425 days)."""
        return ((self.end - self.start).days + 1) / 365.2425


class Profile(Value):
    """Table ``[profiles.<name>]``: which form of a product this profile reads."""

    form: FormName


class Stores(Value):
    """Table ``[stores]``; the PostGIS URL comes from the environment, never from the file."""

    kind: Literal["embedded", "postgis"] = "embedded"


DEFAULT_PROFILES: dict[ProfileName, Profile] = {
    "administrator": Profile(form="exact"),
    "analyst": Profile(form="exact"),
    "planner": Profile(form="planner"),
    "partner": Profile(form="partner"),
    "public": Profile(form="public"),
}


class City(Value):
    """A whole city file, checked."""

    city: Identity
    land: Land
    zones: tuple[ZoneLevel, ...]
    grid: Grid = Grid()
    taxonomy: Taxonomy
    sources: tuple[Source, ...]
    enrichment: Enrichment = Enrichment()
    deduplication: Deduplication = Deduplication()
    analysis: Analysis
    profiles: dict[ProfileName, Profile] = Field(default_factory=lambda: dict(DEFAULT_PROFILES))
    stores: Stores = Stores()
    folder: Path = Field(default=Path(), exclude=True)
    """Folder of the city file (paths are relative to it); no part of the city's digest."""

    @model_validator(mode="after")
    def _references(self) -> Self:
        levels = [z.id for z in self.zones]
        if len(set(levels)) != len(levels):
            raise ValueError(f"zone levels are not unique: {levels}")
        for level in self.zones:
            if level.dissolve and level.dissolve.of not in levels:
                raise ValueError(f"zones {level.id!r} dissolves {level.dissolve.of!r}, which is no zone level")
        if self.land.zones and self.land.zones not in levels:
            raise ValueError(f"land.zones {self.land.zones!r} is no zone level (levels: {', '.join(levels)})")
        names = [s.id for s in self.sources]
        if len(set(names)) != len(names):
            raise ValueError(f"source ids are not unique: {names}")
        taken = sorted(set(levels) & set(LAYER_FIELDS))
        if taken:
            raise ValueError(f"zone level {taken[0]!r} has the name of a layer")
        self._derived_geography(names)
        self._named_sources()
        known = self.taxonomy.theme_of()
        for source in self.sources:
            for code, category in source.categories.items():
                if category not in known:
                    raise ValueError(f"source {source.id!r} maps code {code!r} to unknown category {category!r}")
        if self.grid.default_resolution not in self.grid.resolutions:
            raise ValueError("grid.default_resolution is not one of grid.resolutions")
        return self

    def _derived_geography(self, sources: list[str]) -> None:
        if self.land.hull and self.land.hull.source not in sources:
            raise ValueError(f"land.hull.source {self.land.hull.source!r} is no source (sources: {', '.join(sources)})")
        for level in self.zones:
            if level.thiessen and level.thiessen.source not in sources:
                raise ValueError(f"zones {level.id!r}: thiessen.source {level.thiessen.source!r} is no source")
            if level.thiessen and self.land.zones:
                raise ValueError(f"zones {level.id!r} are clipped to the land: the land cannot be made of zones")

    def _named_sources(self) -> None:
        layers = {source.id: source.layer for source in self.sources}
        for key, name, layer in (
            ("enrichment.weather", self.enrichment.weather, "weather"),
            ("enrichment.gazetteer", self.enrichment.gazetteer, "streets"),
        ):
            if name is not None and layers.get(name) != layer:
                raise ValueError(f"{key} {name!r} is no source of layer {layer!r}")
        near = self.deduplication.near
        levels = {f"{ZONE_PREFIX}{level.id}" for level in self.zones}
        for source in self.sources:
            for field in source.columns:
                if field.startswith(ZONE_PREFIX) and field not in levels:
                    raise ValueError(f"source {source.id!r}: field {field!r} names no zone level")
        for name in near.sources if near else ():
            if layers.get(name) != "incidents":
                raise ValueError(f"deduplication.near.sources: {name!r} is no source of incidents")

    def check_home(self, home: Home) -> None:
        """Refuse a home folder that holds another city; an empty one is accepted and left as it is.

        Raises
        ------
        HomeError
            If it holds another city.
        """
        check_home(home, self.city.id)

    @property
    def digest(self) -> str:
        """SHA-256 of what the file says: not of its layout, comments or place."""
        return digest_json({"file": self.model_dump(mode="json"), "themes": list(self.taxonomy.themes)})

    @property
    def theme_columns(self) -> tuple[str, ...]:
        """Suffixes of per-theme columns: ``all`` then the themes in file order."""
        return (ALL_THEMES, *self.taxonomy.themes)


def load_city(path: Path) -> City:
    """Read and check a city file.

    Parameters
    ----------
    path
        The city's folder, or its ``city.toml``.

    Returns
    -------
    City
        The whole file, checked, with the folder that its paths are relative to.

    Raises
    ------
    CityFileError
        If it cannot be read; every error is named by path, line and key, with what was given and expected.
    """
    file = path / "city.toml" if path.is_dir() else path
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise CityFileError(f"{file}: no such city file (give a folder with a city.toml, or the file)") from error
    except (OSError, UnicodeDecodeError) as error:
        raise CityFileError(f"{file}: cannot be read as UTF-8 text: {error}") from error
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CityFileError(f"{file}:{_syntax_line(error, text)}: not valid TOML: {error}") from error
    if "folder" in document:
        raise CityFileError(f"{file}:{line_of(('folder',), key_lines(text))}: folder: not a key of the city file")
    try:
        return City.model_validate({**with_csv_tables(document, file, text), "folder": file.resolve().parent})
    except ValidationError as error:
        raise CityFileError(_explained(error, file, text)) from error


def _syntax_line(error: tomllib.TOMLDecodeError, text: str) -> int:
    found = re.search(r"line (\d+)", str(error))
    return int(found[1]) if found else text.count("\n") + 1


def _explained(error: ValidationError, file: Path, text: str) -> str:
    """One line per error: path:line: key: what is expected, and what was given."""
    lines = key_lines(text)
    messages = []
    for fault in error.errors(include_url=False):
        location = fault["loc"]
        key = (
            "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".") or "the file"
        )
        expected = fault["msg"].removeprefix("Value error, ")
        given = "" if isinstance(fault["input"], dict) else f" (given: {_shortened(fault['input'])})"
        messages.append((line_of(location, lines), f"{key}: {expected}{given}"))
    return "\n".join(f"{file}:{line}: {message}" for line, message in sorted(messages))


def _shortened(value: object, length: int = 80) -> str:
    shown = repr(value)
    return shown if len(shown) <= length else f"{shown[:length]}…"
