"""The one style model from which every encoding is written.

A style colours one attribute of one product family. Its classes may differ by collection (counts grow with the
size of a cell), so a style holds one :class:`StyleLayer` per collection; colours and class ids do not differ.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from itertools import pairwise

from layers.city import Text
from layers.products import Form

_COLOUR = re.compile(r"^#[0-9a-f]{6}$")
_ID = re.compile(r"^[a-z][a-z0-9_]{0,62}$")


class Symbol(StrEnum):
    """What is drawn for one feature."""

    FILL = "fill"
    LINE = "line"
    POINT = "point"
    MIXED = "mixed"
    """Points and polygons in one collection."""
    RASTER = "raster"


class Pattern(StrEnum):
    """A second sign beside the colour, for those who do not see it."""

    HATCH = "hatch"
    """Lines at 45°: no value is shown here."""
    DOTS = "dots"


@dataclass(frozen=True, slots=True, kw_only=True)
class StyleClass:
    """One line of a legend: which features it holds and how they look.

    A class holds given ``values`` of the attribute, or numbers in ``[low, high)`` (``None``: unbounded), or, with
    ``rest``, whatever no other class holds; with none of these it holds every feature.
    """

    id: str
    label: Text
    colour: str
    outline: str
    values: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    rest: bool = False
    opacity: float = 1.0
    pattern: Pattern | None = None
    letter: str | None = None

    def __post_init__(self) -> None:
        if not _ID.match(self.id):
            raise ValueError(f"class id {self.id!r} is not a lower-case name")
        for colour in (self.colour, self.outline):
            if not _COLOUR.match(colour):
                raise ValueError(f"class {self.id!r}: colour {colour!r} is not #rrggbb in lower case")
        if not 0 <= self.opacity <= 1:
            raise ValueError(f"class {self.id!r}: opacity {self.opacity} is not in 0…1")
        if sum((bool(self.values), self.is_numeric, self.rest)) > 1:
            raise ValueError(f"class {self.id!r} is told by values, by bounds or as the rest: choose one")
        if self.low is not None and self.high is not None and self.high <= self.low:
            raise ValueError(f"class {self.id!r}: [{self.low}, {self.high}) is empty")

    @property
    def is_numeric(self) -> bool:
        """Whether the class holds an interval of numbers."""
        return self.low is not None or self.high is not None

    def holds(self, value: str | float | None) -> bool:
        """Tell whether a feature of this value belongs here (the rest is told by :meth:`StyleLayer.class_of`)."""
        if self.values:
            return value in self.values
        if self.is_numeric:
            return (
                isinstance(value, int | float)
                and (self.low is None or value >= self.low)
                and (self.high is None or value < self.high)
            )
        return not self.rest

    @property
    def rgba(self) -> tuple[int, int, int, int]:
        """Colour and opacity as four bytes."""
        red, green, blue = (int(self.colour[i : i + 2], 16) for i in (1, 3, 5))
        return red, green, blue, round(255 * self.opacity)


@dataclass(frozen=True, slots=True, kw_only=True)
class StyleLayer:
    """The classes of a style in one collection, which is also one source layer of the family's tiles."""

    collection: str
    classes: tuple[StyleClass, ...]
    counts: tuple[int, ...] = ()
    """Rows in each class; empty for rasters."""
    no_data: StyleClass | None = None
    """Class of rows whose attribute is null; absent when there are none."""
    n: int | None = None
    """What the attribute is about: incidents counted, or features."""
    min_zoom: int = 0
    """First zoom at which the collection is drawn."""
    max_zoom: int | None = None
    """First zoom at which it is drawn no more."""
    fields: tuple[tuple[str, Text], ...] = ()
    """Column → title, as attribute tables show it."""
    resolution: int | None = None
    """H3 resolution of cells."""
    key: str = "id"
    """Column that names a feature."""

    def __post_init__(self) -> None:
        ids = [c.id for c in self.classes]
        if len(set(ids)) != len(ids):
            raise ValueError(f"classes of {self.collection!r} are not unique: {ids}")
        bounded = [c for c in self.classes if c.is_numeric]
        for below, above in pairwise(bounded):
            if below.high != above.low:
                raise ValueError(f"classes {below.id!r} and {above.id!r} of {self.collection!r} do not meet")

    def class_of(self, value: str | float | None) -> StyleClass | None:
        """Class of a feature whose attribute is ``value``; ``None`` where nothing is drawn."""
        if value is None and self.no_data is not None:
            return self.no_data
        for candidate in self.classes:
            if candidate.holds(value):
                return candidate
        return next((c for c in self.classes if c.rest), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sector:
    """What a point looks at: a circular sector, told by columns of the feature, on the plane of ``crs`` (metres)."""

    direction_deg: str
    """Column of the middle of the sector, clockwise from grid north."""
    width_deg: str
    radius_m: str
    crs: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How one attribute of a product family is drawn for the readers of one form."""

    id: str
    """Unique in the family: the attribute's name, or ``default``."""
    family: str
    form: Form
    subject: Text
    """What is drawn, whatever the theme."""
    symbol: Symbol
    layers: tuple[StyleLayer, ...]
    attribute: str | None = None
    band: int | None = None
    """Band of a raster, from 1."""
    theme: str | None = None
    theme_title: Text | None = None
    unit: Text | None = None
    """What the numbers of the classes count, in words."""
    counted: Text = field(default_factory=lambda: Text(fr="objets", en="features"))
    """What ``StyleLayer.n`` counts, in words."""
    period: tuple[date, date] | None = None
    """First and last local day of what is counted."""
    note: Text | None = None
    """Method in a line."""
    attribution: str = ""
    default: bool = False
    """Whether this is the style that a family opens with."""
    time_columns: tuple[str, str | None] | None = None
    """Instant, or start and end, of a feature."""
    sector: Sector | None = None
    """What each point looks at; drawn by desktop clients only."""

    def __post_init__(self) -> None:
        if not _ID.match(self.id):
            raise ValueError(f"style id {self.id!r} is not a lower-case name")
        if not self.layers:
            raise ValueError(f"style {self.family}/{self.id} has no collection")
        if (self.symbol is Symbol.RASTER) != (self.band is not None):
            raise ValueError(f"style {self.family}/{self.id}: a band goes with a raster and with nothing else")

    @property
    def title(self) -> Text:
        """Subject and theme."""
        if self.theme_title is None:
            return self.subject
        fr, en = (f"{self.subject[language]} – {self.theme_title[language]}" for language in ("fr", "en"))
        return Text(fr=fr, en=en)

    def layer(self, collection: str) -> StyleLayer:
        """Return the classes used in ``collection``.

        Raises
        ------
        KeyError
            If the style does not draw it.
        """
        for candidate in self.layers:
            if candidate.collection == collection:
                return candidate
        raise KeyError(f"style {self.family}/{self.id} does not draw {collection!r}")
