"""Sections of a quality report, each worked out from a profile and from what ingestion counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from layers.catalogue_fields import field_meaning
from layers.city import City
from layers.declared_sources import Source
from layers.fields import LAYER_FIELDS
from layers.quality.advice import columns_of
from layers.quality.changes import change_sentence
from layers.quality.days import central_days, find_gaps, together
from layers.quality.drift import compare
from layers.quality.reasons import reason_text
from layers.values import Text

_SHOWN_POSITIONS: Final = 5
_NAMED_ZONES: Final = 12
_FLOWS: Final = frozenset({"incidents", "interventions", "weather"})
"""Layers of facts as they happen: an agenda or a list of installations has empty days that say nothing."""
Document = dict[str, Any]


def last_delivery(current: Mapping[str, Any] | None, figures: Mapping[str, int]) -> Document:
    """Rows of the delivery that is reported; of all, when no profile of it is known."""
    if current is None:
        accepted, rejected = figures.get("accepted", 0), figures.get("rejected", 0)
        return {
            "rows": accepted + rejected,
            "accepted": accepted,
            "rejected": rejected,
            "located": None,
            "not_located": None,
            "by_address": 0,
        }
    accepted, rejected = current["accepted"], current["refusals"]["rows"]
    places = current["places"]
    located = places.get("located", 0) if "located" in places or current["layer"] == "incidents" else None
    return {
        "rows": accepted + rejected,
        "accepted": accepted,
        "rejected": rejected,
        "located": located,
        "not_located": None if located is None else accepted - located,
        "by_address": places.get("by_address", 0),
    }


def completeness(current: Mapping[str, Any] | None, source: Source) -> list[Document]:
    """Share filled of each field that the source gives by a column (constants are not its doing)."""
    if current is None:
        return []
    of = current["accepted"]
    found = []
    for name in LAYER_FIELDS[source.layer]:
        if name in current["filled"] and name in source.columns and source.columns[name].reads():
            filled = min(of, current["filled"][name])
            found.append(
                {
                    "field": name,
                    "meaning": field_meaning(source.layer, name).model_dump(),
                    "columns": columns_of(name, source),
                    "filled": filled,
                    "of": of,
                    "share": round(filled / of, 6) if of else 0.0,
                }
            )
    return found


def positions(current: Mapping[str, Any] | None, records: pa.Table | None, city: City, layer: str) -> Document:
    """Where records lie, and how well that is known."""
    places = current["places"] if current else {}
    found: Document = {
        "located": places.get("located"),
        "by_address": places.get("by_address", 0),
        "coarse": places.get("coarse", 0),
        "precision": dict(current["precision"]) if current else {},
        "commonest": current["positions"][:_SHOWN_POSITIONS] if current else [],
        "records": None if records is None else records.num_rows,
        "on_land": None,
        "off_land": None,
        "zones": [],
    }
    if records is None:
        return found
    if "on_land" in records.column_names:
        on_land = pc.sum(records.column("on_land")).as_py() or 0
        known = records.num_rows - records.column("on_land").null_count
        found |= {"on_land": on_land, "off_land": known - on_land}
    if layer == "incidents":
        found["zones"] = [
            _zone_shares(records, level.id, level.title)
            for level in city.zones
            if f"zone_{level.id}" in records.column_names
        ]
    return found


def _zone_shares(records: pa.Table, level: str, title: Text) -> Document:
    """Zones of a level in which the source's records lie: an even or a one-sided view of the city."""
    counts = {
        str(pair["values"]): pair["counts"]
        for pair in pc.value_counts(records.column(f"zone_{level}")).to_pylist()
        if pair["values"] is not None
    }
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return {
        "level": level,
        "title": title.model_dump(),
        "zones": len(counts),
        "commonest": [list(item) for item in ordered[:_NAMED_ZONES]],
        "records": sum(counts.values()),
    }


def in_time(current: Mapping[str, Any] | None, profiles: Sequence[Mapping[str, Any]], source: Source) -> Document:
    """Days of a complete source are those of its last delivery, of a growing one those of all."""
    if current is None:
        return {
            "first": None,
            "last": None,
            "days": {},
            "hours": [0] * 24,
            "weekdays": [0] * 7,
            "minutes": {},
            "intervals": {},
            "gaps": [],
            "stragglers": 0,
        }
    days = current["days"] if source.mode == "complete" else together([profile["days"] for profile in profiles])
    window = central_days(days)
    first, last = (
        (window.date(0).isoformat(), window.date(len(window.counts) - 1).isoformat()) if window else (None, None)
    )
    return {
        "first": first,
        "last": last,
        "days": dict(days),
        "hours": list(current["hours"]),
        "weekdays": list(current["weekdays"]),
        "minutes": dict(current["minutes"]),
        "intervals": dict(current["intervals"]),
        "gaps": [gap.document() for gap in find_gaps(days)] if source.layer in _FLOWS else [],
        "stragglers": sum(days.values()) - int(window.counts.sum()) if window else 0,
    }


def classes(current: Mapping[str, Any] | None, city: City, layer: str) -> list[Document]:
    """Records by category or nature, commonest first."""
    if current is None:
        return []
    titles = {c: category.title for theme in city.taxonomy.themes.values() for c, category in theme.categories.items()}
    unmapped = Text(fr="code inconnu de la nomenclature", en="code unknown to the taxonomy")
    found = []
    for name, number in sorted(current["classes"].items(), key=lambda item: (-item[1], item[0])):
        plain = Text(fr=name, en=name)
        title = titles.get(name, unmapped if name == "unmapped" else plain) if layer == "incidents" else plain
        found.append({"class": name, "title": title.model_dump(), "records": number})
    return found


def rejects(current: Mapping[str, Any] | None, reasons: Mapping[str, int], source: Source) -> list[Document]:
    """Refusals by reason, with the first rows of the last delivery."""
    last: Mapping[str, Any] = current["refusals"] if current else {"reasons": reasons, "examples": {}, "forms": {}}
    found = []
    for reason in sorted({*reasons, *last["reasons"]}):
        forms = sorted(last["forms"].get(reason, {}).items(), key=lambda item: (-item[1], item[0]))
        rows = [
            row | {"column": columns_of(row["field"], source) if row["field"] else None}
            for row in last["examples"].get(reason, [])
        ]
        number = last["reasons"].get(reason, 0)
        found.append(
            {
                "reason": reason,
                "title": reason_text(reason).model_dump(),
                "last": number,
                "total": max(reasons.get(reason, 0), number),
                "rows": rows,
                "forms": [form for form, _ in forms],
            }
        )
    return sorted(found, key=lambda reject: (-reject["last"], -reject["total"], reject["reason"]))


def drift(profiles: Sequence[Mapping[str, Any]], source: Source) -> list[Document]:
    """What changed since the previous delivery."""
    if len(profiles) < 2:
        return []
    changes = [change.document() for change in compare(profiles[-2], profiles[-1], mode=source.mode)]
    return [
        change | {"text": change_sentence(change, lambda name: columns_of(name, source)).model_dump()}
        for change in changes
    ]
