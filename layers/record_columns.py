"""What the columns of record and zone collections mean, in the words that users read."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from layers.city import City
from layers.mapping import UNMAPPED
from layers.products import Column, Kind
from layers.tables import TABLE_COLUMNS, ZONES
from layers.values import Text

_Meaning = tuple[Kind, str, str, str | None]
"""Kind, French title, English title, unit."""

_COMMON: Mapping[str, _Meaning] = MappingProxyType(
    {
        "id": (Kind.KEY, "Identifiant", "Identifier", None),
        "source": (Kind.TEXT, "Source", "Source", None),
        "record_id": (Kind.TEXT, "Identifiant dans la source", "Identifier in the source", None),
        "organisation": (Kind.TEXT, "Organisme", "Organisation", None),
        "address": (Kind.TEXT, "Adresse", "Address", None),
        "located": (Kind.FLAG, "Localisé", "Located", None),
        "located_by": (Kind.CLASS, "Localisé par", "Located by", None),
        "lon": (Kind.MEASURE, "Longitude", "Longitude", "deg"),
        "lat": (Kind.MEASURE, "Latitude", "Latitude", "deg"),
    }
)

_OF_LAYER: Mapping[str, Mapping[str, _Meaning]] = MappingProxyType(
    {
        "incidents": {
            "theme": (Kind.CLASS, "Thème", "Theme", None),
            "category": (Kind.CLASS, "Catégorie", "Category", None),
            "source_code": (Kind.TEXT, "Code de la source", "Code in the source", None),
            "started_at": (Kind.TIME, "Début", "Start", None),
            "ended_at": (Kind.TIME, "Fin au plus tard", "End at the latest", None),
            "date": (Kind.DATE, "Date locale", "Local date", None),
            "hour": (Kind.MEASURE, "Heure locale", "Local hour", "h"),
            "provenance": (Kind.CLASS, "Origine", "Provenance", None),
            "severity": (Kind.MEASURE, "Gravité", "Severity", "1"),
            "precision_m": (Kind.MEASURE, "Précision de la position", "Positional precision", "m"),
            "on_land": (Kind.FLAG, "À terre", "On land", None),
            "holiday": (Kind.FLAG, "Jour férié", "Public holiday", None),
            "school_holiday": (Kind.FLAG, "Vacances scolaires", "School holidays", None),
            "daylight": (Kind.CLASS, "Jour, crépuscule civil ou nuit", "Day, civil twilight or night", None),
            "rain_mm": (Kind.MEASURE, "Pluie", "Rain", "mm"),
            "temperature_c": (Kind.MEASURE, "Température de l’air", "Air temperature", "Cel"),
            "wind_m_s": (Kind.MEASURE, "Vitesse du vent", "Wind speed", "m/s"),
        },
        "events": {
            "nature": (Kind.CLASS, "Nature", "Nature", None),
            "title": (Kind.TEXT, "Intitulé", "Title", None),
            "starts_at": (Kind.TIME, "Début", "Start", None),
            "ends_at": (Kind.TIME, "Fin", "End", None),
        },
        "cameras": {
            "status": (Kind.CLASS, "État", "Status", None),
            "kind": (Kind.CLASS, "Type", "Kind", None),
            "direction_deg": (
                Kind.MEASURE,
                "Direction (sens horaire depuis le nord)",
                "Direction (clockwise from north)",
                "deg",
            ),
            "range_m": (Kind.MEASURE, "Portée", "Range", "m"),
            "field_of_view_deg": (Kind.MEASURE, "Champ de vision", "Field of view", "deg"),
            "in_service_from": (Kind.DATE, "En service depuis", "In service from", None),
            "in_service_to": (Kind.DATE, "En service jusqu’au", "In service to", None),
        },
        "sensitive_sites": {
            "category": (Kind.CLASS, "Catégorie", "Category", None),
            "name": (Kind.TEXT, "Nom", "Name", None),
            "capacity": (Kind.MEASURE, "Capacité", "Capacity", "1"),
        },
        "interventions": {
            "nature": (Kind.CLASS, "Nature", "Nature", None),
            "starts_at": (Kind.TIME, "Début", "Start", None),
            "ends_at": (Kind.TIME, "Fin", "End", None),
        },
    }
)

_HIDDEN = frozenset({"x_m", "y_m", "delivery", "geometry", "merged_ids"})
"""Columns of the lake that no collection shows (the geometry is a feature's own member)."""

_WEATHER = frozenset({"rain_mm", "temperature_c", "wind_m_s"})

_FIXED_CLASSES = {
    ("incidents", "provenance"): ("reported", "discovered"),
    ("cameras", "status"): ("installed", "planned"),
    ("cameras", "kind"): ("fixed", "ptz"),
    ("incidents", "located_by"): ("coordinates", "address"),
    ("incidents", "daylight"): ("day", "twilight", "night"),
}


def record_columns(layer: str, city: City, present: Mapping[str, tuple[str, ...]]) -> tuple[Column, ...]:
    """Columns of a layer's collection, in the order of the lake.

    Parameters
    ----------
    layer
        One of the layers that are published.
    city
        Names zone levels, categories, and the enrichments that incidents have.
    present
        Class column → values found in the data, for classes that the city file does not list.
    """
    hidden = _HIDDEN | (_not_asked(city) if layer == "incidents" else frozenset())
    columns: list[Column] = []
    for name in TABLE_COLUMNS[layer]:
        if name in hidden:
            continue
        if name == ZONES:
            columns += [
                Column(name=f"zone_{level.id}", kind=Kind.TEXT, title=level.title, unit=None) for level in city.zones
            ]
            continue
        kind, fr, en, unit = _COMMON[name] if name in _COMMON else _OF_LAYER[layer][name]
        classes = _classes(layer, name, city, present) if kind is Kind.CLASS else None
        columns.append(Column(name=name, kind=kind, title=Text(fr=fr, en=en), unit=unit, classes=classes))
    return tuple(columns)


def _not_asked(city: City) -> frozenset[str]:
    """Columns of incidents that hold nothing, for the city file does not ask for their enrichment."""
    asked = city.enrichment
    holidays = asked.holidays
    columns: set[str] = set()
    if holidays is None:
        columns.add("holiday")
    if holidays is None or not (holidays.school_zone or holidays.school_holidays):
        columns.add("school_holiday")
    if not asked.daylight:
        columns.add("daylight")
    if asked.weather is None:
        columns |= _WEATHER
    return frozenset(columns)


def _classes(layer: str, name: str, city: City, present: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    if (layer, name) in _FIXED_CLASSES:
        return _FIXED_CLASSES[layer, name]
    if layer == "incidents":
        known = tuple(city.taxonomy.themes) if name == "theme" else tuple(city.taxonomy.theme_of())
        return (*known, UNMAPPED)
    return present[name]


ZONE_COLUMNS: tuple[Column, ...] = (
    Column(name="key", kind=Kind.KEY, title=Text(fr="Code", en="Code")),
    Column(name="name", kind=Kind.TEXT, title=Text(fr="Nom", en="Name")),
    Column(name="parent", kind=Kind.TEXT, title=Text(fr="Zone englobante", en="Containing zone")),
    Column(name="area_m2", kind=Kind.MEASURE, title=Text(fr="Superficie", en="Area"), unit="m2"),
)
"""Columns of a zone collection."""
