"""Sources as records of a catalogue: the GeoJSON that OGC API Records serves.

Members follow the record schema of OGC API – Records – Part 1: Core (OGC 20-004), requirements class Record Core:
``id``, ``type``, ``geometry``, ``time``, ``properties`` (``type`` and ``title`` required) and ``links``. What the
standard has no word for (state, fields, deliveries, quality) are further properties, which it allows.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

from layers.catalogue import FRESHNESS_WORDS, SourceEntry, latest_day, read_catalogue
from layers.home import Home
from layers.lineage import products_using
from layers.runs import current_run_id, open_run

RECORD_CORE: Final = "http://www.opengis.net/spec/ogcapi-records-1/1.0/conf/record-core"
LAYER_SCHEME: Final = "calanque:layer"
CLASSIFICATION_SCHEME: Final = "calanque:classification"
_SPDX: Final = {
    "Licence Ouverte 2.0": "etalab-2.0",
    "Licence Ouverte": "etalab-2.0",
    "ODbL": "ODbL-1.0",
    "Apache-2.0": "Apache-2.0",
    "CC0": "CC0-1.0",
}
"""Names that data offices write → identifiers of the SPDX licence list."""


def catalogue_document(home: Home, *, as_of: dt.date | None = None, language: str = "fr") -> dict[str, Any]:
    """Describe every source of a home folder, as a feature collection of records.

    Parameters
    ----------
    home
        The home folder, ingested.
    as_of
        Date against which sources are late; by default the date of the run that is served, and without a run the
        day of the latest fact: never the machine's.
    language
        ``fr`` or ``en``.

    Raises
    ------
    LakeError
        If nothing has been ingested.
    """
    entries = read_catalogue(home)
    run = open_run(home) if current_run_id(home) is not None else None
    day = as_of or (run.manifest.as_of if run else None) or latest_day(entries) or dt.date.min
    uses = {entry.layer: products_using(run, entry.layer) if run else [] for entry in entries}
    records = [record(entry, as_of=day, used_by=uses[entry.layer], language=language) for entry in entries]
    return {"type": "FeatureCollection", "numberReturned": len(records), "features": records, "links": []}


def record(entry: SourceEntry, *, as_of: dt.date, used_by: Sequence[str] = (), language: str = "fr") -> dict[str, Any]:
    """Describe a source as a record.

    Parameters
    ----------
    entry
        The source's catalogue entry.
    as_of
        Date against which it is late or not.
    used_by
        Products made from it (:func:`layers.lineage.products_using`).
    language
        ``fr`` or ``en``: of titles and descriptions.

    Returns
    -------
    dict
        A GeoJSON feature in CRS84; ``links`` is empty, for the server alone knows where it answers.
    """
    licence = _licence(entry.licence)
    state = entry.freshness(as_of)
    properties: dict[str, Any] = {
        "type": "dataset",
        "title": entry.title[language],
        "description": _description(entry, language),
        "keywords": [entry.layer, entry.organisation, *sorted({c for f in entry.fields for c in f.columns})],
        "language": {"code": language},
        "languages": [{"code": "fr"}, {"code": "en"}],
        "themes": [
            {"concepts": [{"id": entry.layer}], "scheme": LAYER_SCHEME},
            {"concepts": [{"id": entry.classification}], "scheme": CLASSIFICATION_SCHEME},
        ],
        "contacts": _contacts(entry),
        "state": {
            "code": state,
            "title": FRESHNESS_WORDS[state][language],
            "as_of": as_of.isoformat(),
            "latest": entry.latest.isoformat() if entry.latest else None,
        },
        "updateFrequency": entry.update_frequency,
        "updateMethod": entry.update_method,
        "retentionDays": entry.retention_days,
        "fields": [
            {
                "name": f.name,
                "columns": list(f.columns),
                "type": f.type,
                "unit": f.unit,
                "description": f.meaning[language],
            }
            for f in entry.fields
        ],
        "dropped": list(entry.dropped),
        "pseudonymised": list(entry.pseudonymised),
        "masked": entry.masked,
        "deliveries": [delivery.model_dump(mode="json") for delivery in entry.deliveries],
        "quality": _quality(entry, language),
        "usedBy": list(used_by),
    }
    if licence:
        properties["license"] = licence
    if entry.attribution:
        properties["rights"] = entry.attribution
    return {
        "id": entry.id,
        "type": "Feature",
        "conformsTo": [RECORD_CORE],
        "geometry": _geometry(entry),
        "time": {"interval": [day.isoformat() for day in entry.interval]} if entry.interval else None,
        "properties": properties,
        "links": [],
    }


def _description(entry: SourceEntry, language: str) -> str:
    if entry.purpose is not None:
        return str(entry.purpose[language])
    if language == "en":
        return f"Source of the layer {entry.layer}, made by {entry.organisation}."
    return f"Source de la couche {entry.layer}, produite par : {entry.organisation}."


def _contacts(entry: SourceEntry) -> list[dict[str, Any]]:
    """Organisations and their roles (ISO 19115 role codes), each once."""
    roles: dict[str, list[str]] = {}
    for name, role in ((entry.organisation, "author"), (entry.owner, "owner"), (entry.main_user, "user")):
        if name:
            roles.setdefault(name, []).append(role)
    return [{"organization": name, "roles": of} for name, of in roles.items()]


def _licence(text: str | None) -> str | None:
    """SPDX expression of a licence; ``other`` for one that has no identifier."""
    if not text:
        return None
    names = [part.strip() for part in text.split(" / ")]
    if all(name in _SPDX for name in names):
        return " AND ".join(_SPDX[name] for name in names)
    return "other"


def _geometry(entry: SourceEntry) -> dict[str, Any] | None:
    """Rectangle of the present records, counter-clockwise (RFC 7946)."""
    if entry.bbox is None:
        return None
    west, south, east, north = entry.bbox
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def _quality(entry: SourceEntry, language: str) -> dict[str, Any]:
    figures = entry.figures
    rows, accepted, records = (figures.get(name, 0) for name in ("rows", "accepted", "records"))
    located = records - figures.get("not_located", 0)
    return {
        "rows": rows,
        "acceptedShare": round(accepted / rows, 6) if rows else None,
        "records": records,
        "locatedShare": round(located / records, 6) if records else None,
        "unmapped": sum(entry.unmapped_codes.values()),
        "equalRows": figures.get("equal_rows", 0),
        "rejectReasons": entry.reject_reasons,
        "recommendations": [text[language] for text in entry.recommendations],
    }
