"""Fields that a source may give to each layer: the targets of ``[sources.columns]``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class FieldType(StrEnum):
    """How the text of a delivery becomes a value."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    TIME = "time"
    DATE = "date"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record contract.

    ``codes`` are the accepted codes (after the rule's ``map``), ``minimum`` and ``maximum`` the accepted range, both
    included, in the unit that the name carries.
    """

    type: FieldType
    required: bool = False
    codes: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    default: str | None = None


_PLACE = {
    "record_id": Field(FieldType.TEXT),
    "x": Field(FieldType.NUMBER),
    "y": Field(FieldType.NUMBER),
    "lon": Field(FieldType.NUMBER),
    "lat": Field(FieldType.NUMBER),
}

LAYER_FIELDS: Mapping[str, Mapping[str, Field]] = MappingProxyType(
    {
        "incidents": {
            **_PLACE,
            "category": Field(FieldType.TEXT, required=True),
            "started_at": Field(FieldType.TIME, required=True),
            "ended_at": Field(FieldType.TIME),
            "provenance": Field(FieldType.TEXT, codes=("reported", "discovered"), default="reported"),
            "severity": Field(FieldType.INTEGER, minimum=0, maximum=10),
            "precision_m": Field(FieldType.NUMBER, minimum=0, maximum=100_000),
            "address": Field(FieldType.TEXT),
        },
        "events": {
            **_PLACE,
            "nature": Field(FieldType.TEXT, required=True),
            "title": Field(FieldType.TEXT),
            "starts_at": Field(FieldType.TIME, required=True),
            "ends_at": Field(FieldType.TIME),
        },
        "cameras": {
            **_PLACE,
            "status": Field(FieldType.TEXT, codes=("installed", "planned"), default="installed"),
            "kind": Field(FieldType.TEXT, codes=("fixed", "ptz"), default="fixed"),
            "direction_deg": Field(FieldType.NUMBER, minimum=0, maximum=360),
            "range_m": Field(FieldType.NUMBER, minimum=0, maximum=5_000),
            "field_of_view_deg": Field(FieldType.NUMBER, minimum=0, maximum=360),
            "in_service_from": Field(FieldType.DATE),
            "in_service_to": Field(FieldType.DATE),
        },
        "sensitive_sites": {
            **_PLACE,
            "category": Field(FieldType.TEXT, required=True),
            "name": Field(FieldType.TEXT, required=True),
            "address": Field(FieldType.TEXT),
            "capacity": Field(FieldType.INTEGER, minimum=0, maximum=1_000_000),
        },
        "interventions": {
            **_PLACE,
            "nature": Field(FieldType.TEXT, required=True),
            "starts_at": Field(FieldType.TIME, required=True),
            "ends_at": Field(FieldType.TIME),
        },
        "streets": {
            "record_id": Field(FieldType.TEXT),
            "name": Field(FieldType.TEXT, required=True),
            "other_name": Field(FieldType.TEXT),
            "lon": Field(FieldType.NUMBER),
            "lat": Field(FieldType.NUMBER),
            "x": Field(FieldType.NUMBER),
            "y": Field(FieldType.NUMBER),
        },
        "buildings": {
            **_PLACE,
            "category": Field(FieldType.TEXT),
            "dwellings": Field(FieldType.INTEGER, minimum=0, maximum=10_000),
            "height_m": Field(FieldType.NUMBER, minimum=0, maximum=1_000),
        },
        "weather": {
            **_PLACE,
            "observed_at": Field(FieldType.TIME, required=True),
            "observed_until": Field(FieldType.TIME),
            "rain_mm": Field(FieldType.NUMBER, minimum=0, maximum=2_000),
            "temperature_c": Field(FieldType.NUMBER, minimum=-90, maximum=60),
            "wind_m_s": Field(FieldType.NUMBER, minimum=0, maximum=150),
        },
    }
)

ZONE_PREFIX = "zone_"
"""``zone_<level>`` is a field of incidents too: the zone that a record without coordinates names, by key or by name."""

GEOMETRY_KINDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "events": frozenset({"Point", "Polygon", "MultiPolygon"}),
        "interventions": frozenset({"Point", "Polygon", "MultiPolygon"}),
        "streets": frozenset({"Point", "LineString", "MultiLineString"}),
        "buildings": frozenset({"Point", "Polygon", "MultiPolygon"}),
    }
)
"""Geometries that a layer takes; the others take points."""

MUST_BE_LOCATED = frozenset({"cameras", "sensitive_sites", "streets", "buildings"})
"""Layers whose records are nothing without a place."""

PLACE_NAMES = frozenset({"name", "other_name"})
"""Fields that hold names of places, which are often names of persons and are data."""

PERIODS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "incidents": ("started_at", "ended_at"),
        "events": ("starts_at", "ends_at"),
        "cameras": ("in_service_from", "in_service_to"),
        "interventions": ("starts_at", "ends_at"),
        "weather": ("observed_at", "observed_until"),
    }
)
"""Start and end of each layer's records: an end before its start is refused."""
