"""The city file: one TOML document that names everything the code must not know.

Nothing in Calanque knows Marseille. A city is a folder with a ``city.toml`` and its data;
paths in the file are relative to that folder.
"""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pyproj
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
"""Names that become columns, collections and URL segments."""

LayerKind = Literal["incidents", "events", "cameras", "sensitive_sites"]
FormName = Literal["exact", "planner", "partner", "public"]
ProfileName = Literal["administrator", "analyst", "planner", "partner", "public"]
ALL_THEMES = "all"
"""Suffix of the columns that count every category not declared sensitive."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Text(_Model):
    """A text that city users read: French first, English second."""

    fr: str
    en: str

    def __getitem__(self, language: str) -> str:
        return self.en if language == "en" else self.fr


def _metric_crs(value: str) -> str:
    crs = pyproj.CRS.from_user_input(value)
    if not crs.is_projected or {axis.unit_name for axis in crs.axis_info} != {"metre"}:
        raise ValueError(f"{value} is not a projected CRS in metres")
    return value


def _time_zone(value: str) -> str:
    if value not in zoneinfo.available_timezones():
        raise ValueError(f"{value!r} is not an IANA time zone")
    return value


TimeZone = Annotated[str, AfterValidator(_time_zone)]


class Identity(_Model):
    """Table ``[city]``."""

    id: Slug
    title: Text
    metric_crs: Annotated[str, AfterValidator(_metric_crs)]
    timezone: TimeZone
    attribution: str
    contact_url: str | None = None
    licence: str | None = None


class Dissolve(_Model):
    """A zone level made of another one: ``{ of = "quartiers", by = "arrondissement", name = … }``."""

    of: Slug
    by: str
    name: str | None = None


class ZoneLevel(_Model):
    """One entry of ``[[zones]]``, coarse to fine; its ``id`` is also its collection's."""

    id: Slug
    title: Text
    path: str | None = None
    crs: str = "EPSG:4326"
    key: str = "key"
    name: str = "name"
    dissolve: Dissolve | None = None
    attribution: str | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.path is None) == (self.dissolve is None):
            raise ValueError("a zone level has either path or dissolve")
        return self


class Land(_Model):
    """Table ``[land]``: the union of a zone level, or a polygon file."""

    zones: Slug | None = None
    path: str | None = None
    crs: str = "EPSG:4326"

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.zones is None) == (self.path is None):
            raise ValueError("land comes from either zones (a zone level's id) or path")
        return self


class Grid(_Model):
    """Table ``[grid]``: H3 resolutions (base 11; published 10 to 6)."""

    base_resolution: Literal[11] = 11
    resolutions: tuple[int, ...] = (10, 9, 8, 7, 6)
    default_resolution: int = 10
    tile_resolutions: dict[int, int] = Field(default={0: 7, 10: 8, 12: 9, 14: 10})
    """First zoom → resolution drawn from that zoom on."""


class Category(_Model):
    title: Text
    sensitive: bool = False


class Theme(_Model):
    """A first-level category; its key names the columns of every product."""

    title: Text
    sensitive: bool = False
    categories: dict[Slug, Category]


class Taxonomy(_Model):
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


class ColumnRule(_Model):
    """How one field of a record contract is read from a delivery.

    Exactly one of ``column``, ``columns`` or ``const``. ``columns`` are joined with a blank (date and time
    in two columns). ``map`` translates the source's codes; ``format`` is a strptime format.
    """

    column: str | None = None
    columns: tuple[str, ...] | None = None
    const: str | int | float | None = None
    format: str | None = None
    map: dict[str, str | int | float] | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if sum(v is not None for v in (self.column, self.columns, self.const)) != 1:
            raise ValueError("give exactly one of column, columns or const")
        return self

    def reads(self) -> tuple[str, ...]:
        """Columns of the delivery that this rule uses."""
        return self.columns or ((self.column,) if self.column else ())


class ReadOptions(_Model):
    """Overrides of what is otherwise sniffed from the file."""

    format: Literal["csv", "xlsx", "ods", "geojson", "gpkg", "shapefile", "geoparquet", "parquet", "flatgeobuf"] | None = None
    encoding: str | None = None
    delimiter: str | None = None
    decimal: Literal[".", ","] = "."
    sheet: str | None = None
    layer: str | None = None


class Source(_Model):
    """One entry of ``[[sources]]``."""

    id: Slug
    layer: LayerKind
    title: Text
    organisation: str
    deliveries: tuple[str, ...]
    """Files in the order received; a glob is expanded in name order."""
    mode: Literal["complete", "increment"] = "complete"
    crs: str | None = None
    """CRS of the coordinates; refused when neither this nor the file declares one."""
    timezone: TimeZone | None = None
    read: ReadOptions = ReadOptions()
    columns: dict[str, ColumnRule]
    drop: tuple[str, ...] = ()
    pseudonymise: tuple[str, ...] = ()
    categories: dict[str, Slug] = {}
    """Source code → taxonomy category (incidents); an unlisted code is kept as ``unmapped`` and counted."""
    attribution: str | None = None
    update_frequency: str | None = None
    classification: Literal["public", "interne", "restreint"] = "interne"
    retention_days: int | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_rules(cls, data: Any) -> Any:
        """``field = "COLUMN"`` is short for ``field = { column = "COLUMN" }``."""
        if isinstance(data, dict) and isinstance(data.get("columns"), dict):
            columns = {k: {"column": v} if isinstance(v, str) else v for k, v in data["columns"].items()}
            data = {**data, "columns": columns}
        return data


class HotspotParameters(_Model):
    resolutions: tuple[int, ...] = (10, 9)
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    permutations: int = Field(default=999, ge=99)
    seed: int = 20260101
    rings: int = Field(default=1, ge=1, le=5)


class DensityParameters(_Model):
    bandwidth_m: float = Field(default=250.0, gt=0)
    pixel_m: float = Field(default=25.0, gt=0)


class Analysis(_Model):
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


class Profile(_Model):
    """Table ``[profiles.<name>]``: which form of a product this profile reads."""

    form: FormName


class Stores(_Model):
    """Table ``[stores]``; the PostGIS URL comes from the environment, never from the file."""

    kind: Literal["embedded", "postgis"] = "embedded"


DEFAULT_PROFILES: dict[ProfileName, Profile] = {
    "administrator": Profile(form="exact"),
    "analyst": Profile(form="exact"),
    "planner": Profile(form="planner"),
    "partner": Profile(form="partner"),
    "public": Profile(form="public"),
}


class City(_Model):
    """A whole city file, checked."""

    city: Identity
    land: Land
    zones: tuple[ZoneLevel, ...]
    grid: Grid = Grid()
    taxonomy: Taxonomy
    sources: tuple[Source, ...]
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
        known = self.taxonomy.theme_of()
        for source in self.sources:
            for code, category in source.categories.items():
                if category not in known:
                    raise ValueError(f"source {source.id!r} maps code {code!r} to unknown category {category!r}")
        if self.grid.default_resolution not in self.grid.resolutions:
            raise ValueError("grid.default_resolution is not one of grid.resolutions")
        return self

    @property
    def theme_columns(self) -> tuple[str, ...]:
        """Suffixes of per-theme columns: ``all`` then the themes in file order."""
        return (ALL_THEMES, *self.taxonomy.themes)


_SLUG = re.compile(r"^[a-z][a-z0-9_]{0,39}$")
