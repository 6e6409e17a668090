"""What each field of a record contract means, in the words of the catalogue and of the quality reports."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from layers.fields import LAYER_FIELDS, ZONE_PREFIX
from layers.values import Text

_COMMON: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "record_id": ("Identifiant dans la source", "Identifier in the source"),
        "x": ("Abscisse, dans le système de coordonnées de la source", "Easting, in the source’s reference system"),
        "y": ("Ordonnée, dans le système de coordonnées de la source", "Northing, in the source’s reference system"),
        "lon": ("Longitude", "Longitude"),
        "lat": ("Latitude", "Latitude"),
        "address": ("Adresse", "Address"),
        "name": ("Nom du lieu", "Name of the place"),
        "other_name": ("Autre nom du lieu", "Other name of the place"),
        "started_at": ("Début du fait, au plus tôt", "Start of the fact, at the earliest"),
        "ended_at": ("Fin de l’intervalle, au plus tard", "End of the interval, at the latest"),
        "starts_at": ("Début", "Start"),
        "ends_at": ("Fin", "End"),
        "provenance": ("Signalé par un tiers ou constaté par un agent", "Reported by others or discovered by officers"),
        "severity": ("Gravité, de 0 à 10", "Severity, 0 to 10"),
        "precision_m": ("Précision de la position", "Positional precision"),
        "nature": ("Nature", "Nature"),
        "title": ("Intitulé", "Title"),
        "status": ("Installée ou prévue", "Installed or planned"),
        "kind": ("Fixe ou orientable", "Fixed or steerable"),
        "direction_deg": ("Direction, sens horaire depuis le nord", "Direction, clockwise from north"),
        "range_m": ("Portée", "Range"),
        "field_of_view_deg": ("Champ de vision", "Field of view"),
        "in_service_from": ("En service depuis", "In service from"),
        "in_service_to": ("En service jusqu’au", "In service to"),
        "category": ("Catégorie", "Category"),
        "capacity": ("Capacité d’accueil", "Capacity"),
        "dwellings": ("Nombre de logements", "Number of dwellings"),
        "height_m": ("Hauteur", "Height"),
        "observed_at": ("Début de l’observation", "Start of the observation"),
        "observed_until": ("Fin de l’observation", "End of the observation"),
        "rain_mm": ("Hauteur de pluie", "Rainfall"),
        "temperature_c": ("Température de l’air", "Air temperature"),
        "wind_m_s": ("Vitesse du vent", "Wind speed"),
    }
)
_OF_LAYER: Mapping[tuple[str, str], tuple[str, str]] = MappingProxyType(
    {
        ("incidents", "category"): (
            "Type d’incident, selon le code de la source",
            "Type of incident, by the source’s code",
        ),
        ("sensitive_sites", "category"): ("Catégorie de site", "Category of site"),
        ("buildings", "category"): ("Usage du bâtiment", "Use of the building"),
    }
)
_UNITS: Mapping[str, str] = MappingProxyType(
    {"lon": "deg", "lat": "deg", "capacity": "1", "dwellings": "1", "severity": "1"}
)
_UNIT_SUFFIXES: Mapping[str, str] = MappingProxyType(
    {"_m_s": "m/s", "_deg": "deg", "_mm": "mm", "_c": "Cel", "_m": "m"}
)
"""Names of fields carry their unit (UCUM)."""


def field_meaning(layer: str, name: str) -> Text:
    """Say what a field of a layer means; ``zone_<level>`` is the zone that a record without coordinates names."""
    if name.startswith(ZONE_PREFIX):
        level = name.removeprefix(ZONE_PREFIX)
        return Text(fr=f"Zone indiquée par la source ({level})", en=f"Zone named by the source ({level})")
    fr, en = _OF_LAYER.get((layer, name)) or _COMMON[name]
    return Text(fr=fr, en=en)


def field_unit(name: str) -> str | None:
    """UCUM unit of a field, which its name carries; None for text, codes and times."""
    if name in _UNITS:
        return _UNITS[name]
    return next((unit for suffix, unit in _UNIT_SUFFIXES.items() if name.endswith(suffix)), None)


def field_type(layer: str, name: str) -> str:
    """Type of a field: ``text``, ``integer``, ``number``, ``time`` or ``date``."""
    declared = LAYER_FIELDS[layer].get(name)
    return str(declared.type) if declared is not None else "text"
