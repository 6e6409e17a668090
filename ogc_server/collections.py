"""What one profile sees of a run: its collections, with their columns, extents, tiles, rasters and styles."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa

from layers.products import Column, Form, Kind, ProductSpec
from ogc_server.archives import TileArchive
from ogc_server.feature_query import json_type
from ogc_server.stores import Store
from ogc_server.systems import Bounds, System
from styles.files import StyleEntry

PIXEL_UNIT_KEY = "x-ogc-unit"


@dataclass(frozen=True, slots=True)
class Property:
    """One column as clients see it.

    ``schema`` is its JSON Schema type (and format); ``role`` is the role of OGC API – Common Part 3
    (``id``, ``primary-instant`` …) or None.
    """

    name: str
    column: Column
    schema: Mapping[str, str]
    role: str | None = None

    @property
    def nullable(self) -> bool:
        """Whether a feature may lack a value."""
        return self.column.kind is not Kind.KEY

    def openapi(self) -> dict[str, Any]:
        """Return its schema in OpenAPI 3.0."""
        document: dict[str, Any] = {**self.schema, "title": self.column.title.fr}
        if self.column.description:
            document["description"] = self.column.description.fr
        if self.nullable:
            document["nullable"] = True
        return document

    def json_schema(self, language: str, *, sequence: int) -> dict[str, Any]:
        """Return its schema as ``/schema`` and ``/queryables`` give it (JSON Schema 2020-12)."""
        document: dict[str, Any] = {**self.schema, "title": self.column.title[language], "x-ogc-propertySeq": sequence}
        if self.column.description:
            document["description"] = self.column.description[language]
        if self.column.unit and self.column.unit != "1":
            document[PIXEL_UNIT_KEY] = self.column.unit
        if self.column.classes:
            document["enum"] = list(self.column.classes)
        if self.role:
            document["x-ogc-role"] = self.role
        return document


@dataclass(frozen=True, eq=False)
class Collection:
    """A product of the run in the form that a profile reads.

    Parameters
    ----------
    spec, form
        The product's contract, and which of its versions this is.
    extent
        Declared bounds in CRS84 degrees, rounded outwards.
    systems
        Coordinate systems on offer.
    columns
        Columns as clients see them, the key included.
    table
        Table of the store; None for a raster.
    period
        First and last time of its features, RFC 3339; None where it has no time.
    archive
        Vector tiles of its family, where it has some under its own id.
    raster
        Cloud-Optimised GeoTIFF; None for tables.
    download
        The whole collection as a file of the run.
    styles
        Styles that draw it, the default first.
    store
        Where the table is.
    zone
        Time zone of the city, in which its dates are.
    """

    spec: ProductSpec
    form: Form
    extent: Bounds
    systems: tuple[System, ...]
    columns: tuple[Property, ...]
    rows: int | None = None
    table: sa.Table | None = None
    period: tuple[str | None, str | None] | None = None
    archive: TileArchive | None = None
    raster: Path | None = None
    download: Path | None = None
    styles: tuple[StyleEntry, ...] = ()
    attribution: str | None = None
    store: Store | None = None
    zone: dt.tzinfo = dt.UTC

    def __deepcopy__(self, memo: Any) -> Self:
        """Return itself: pygeoapi copies its configuration deeply, and a collection never changes."""
        return self

    @cached_property
    def types(self) -> dict[str, sa.types.TypeEngine[Any]]:
        """Queryables and their SQL types."""
        return {} if self.table is None else {c.name: self.table.c[c.name].type for c in self.columns}

    @property
    def sql_table(self) -> sa.Table:
        """Return the table of a collection that has items."""
        assert self.table is not None, f"{self.id} has no items"
        return self.table

    @property
    def sql_store(self) -> Store:
        """Return the store of a collection that has items."""
        assert self.store is not None, f"{self.id} has no items"
        return self.store

    @property
    def id(self) -> str:
        """Collection id."""
        return self.spec.id

    @property
    def has_items(self) -> bool:
        """Whether it has features (a raster has none)."""
        return self.table is not None

    @cached_property
    def properties(self) -> tuple[Property, ...]:
        """Columns that are members of ``properties`` in GeoJSON.

        A key column called ``id`` is the feature's ``id`` and is not repeated: QGIS and GDAL would show it twice.
        """
        return tuple(c for c in self.columns if not (c.name == "id" and c.role == "id"))

    @property
    def system_uris(self) -> list[str]:
        """Coordinate systems on offer, CRS84 first."""
        return [s.uri for s in self.systems]

    @property
    def storage_uri(self) -> str:
        """System in which coordinates are kept without any computation: the city's own where it can be named."""
        return next((s.uri for s in self.systems if s.metric), self.systems[0].uri)

    @property
    def geometry_format(self) -> str:
        """Value of ``format`` of the geometry in ``/schema`` (OGC 23-058r1), for instance ``geometry-polygon``."""
        known = {"Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon"}
        kind = self.spec.geometry_type
        return f"geometry-{kind.lower()}" if kind in known else "geometry-any"

    def style(self, style_id: str) -> StyleEntry | None:
        """Return the style called ``style_id``, if it draws this collection."""
        return next((s for s in self.styles if s.id == style_id), None)


def properties_of(spec: ProductSpec, types: Mapping[str, sa.types.TypeEngine[Any]]) -> tuple[Property, ...]:
    """Describe the columns of a table to clients; a column that this form lacks is left out."""
    roles = {spec.key: "id"}
    if spec.time_column:
        roles[spec.time_column] = "primary-interval-start" if spec.time_end_column else "primary-instant"
    if spec.time_end_column:
        roles[spec.time_end_column] = "primary-interval-end"
    return tuple(
        Property(c.name, c, json_type(types[c.name]), roles.get(c.name)) for c in spec.columns if c.name in types
    )


def band_properties(spec: ProductSpec, names: tuple[str, ...]) -> tuple[Property, ...]:
    """Describe the bands of a raster to clients."""
    by_name = {c.name: c for c in spec.columns}
    return tuple(Property(n, by_name[n], {"type": "number"}) for n in names if n in by_name)
