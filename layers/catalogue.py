"""The catalogue: for each source, what the city file says and what ingestion has found, as data."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from layers.catalogue_fields import field_meaning, field_type, field_unit
from layers.city import City, Source, Text
from layers.durations import add_duration
from layers.errors import LakeError
from layers.home import Home, replace_file
from layers.steps import latest_stage

_FILE = "catalogue.json"
_FACTS: Final = frozenset({"incidents", "interventions", "weather"})
"""Layers whose latest record tells how recent the source is: planned events and installations do not."""


class Freshness(StrEnum):
    """Whether a source arrives as often as its city file says."""

    CURRENT = "current"
    LATE = "late"
    NO_DELIVERY = "no_delivery"
    UNKNOWN = "unknown"


FRESHNESS_WORDS: Final[Mapping[Freshness, Text]] = {
    Freshness.CURRENT: Text(fr="à jour", en="up to date"),
    Freshness.LATE: Text(fr="en retard", en="late"),
    Freshness.NO_DELIVERY: Text(fr="sans livraison", en="no delivery"),
    Freshness.UNKNOWN: Text(fr="indéterminé", en="unknown"),
}


@dataclass(frozen=True, slots=True)
class DeliveryState:
    """One delivery as ingestion knows it; ``order`` counts from 1."""

    name: str
    digest: str
    rows: int
    order: int
    received_on: dt.date | None = None
    """Day on which the lake first held it, by the machine's clock."""
    purged_rows: int = 0


@dataclass(frozen=True, slots=True)
class SourceState:
    """What ingestion has found about a source."""

    source: Source
    deliveries: Sequence[DeliveryState] = ()
    figures: Mapping[str, int] = field(default_factory=dict)
    unmapped_codes: Mapping[str, int] = field(default_factory=dict)
    reject_reasons: Mapping[str, int] = field(default_factory=dict)
    bbox: tuple[float, float, float, float] | None = None
    """West, south, east, north of the present records, CRS84 degrees."""
    interval: tuple[dt.date, dt.date] | None = None
    """First and last local date of the present records."""
    masked: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    recommendations: Sequence[Mapping[str, Any]] = ()
    """Of the quality report (:mod:`layers.quality`)."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DeliveryEntry(_Entry):
    """One delivery behind a source, in the order in which they count."""

    name: str
    digest: str
    rows: int
    order: int
    received_on: dt.date | None = None
    purged_rows: int = 0


class FieldEntry(_Entry):
    """A field of the contract, and the columns of the delivery that give it (none: a constant)."""

    name: str
    columns: tuple[str, ...]
    type: str
    unit: str | None
    meaning: Text


class SourceEntry(_Entry):
    """One source."""

    id: str
    layer: str
    title: Text
    organisation: str
    owner: str | None
    main_user: str | None
    purpose: Text | None
    attribution: str | None
    licence: str | None
    classification: str
    update_frequency: str | None
    update_method: str | None
    retention_days: int | None
    mode: Literal["complete", "increment"]
    crs: str | None
    timezone: str
    fields: tuple[FieldEntry, ...]
    dropped: tuple[str, ...]
    pseudonymised: tuple[str, ...]
    masked: dict[str, dict[str, int]]
    """Column → kind of personal data → values masked."""
    deliveries: tuple[DeliveryEntry, ...]
    bbox: tuple[float, float, float, float] | None
    interval: tuple[dt.date, dt.date] | None
    figures: dict[str, int]
    unmapped_codes: dict[str, int]
    """Code that the city file does not translate → rows."""
    reject_reasons: dict[str, int]
    """Reason → faults found (a row may have several)."""
    recommendations: tuple[Text, ...]
    """What the producer is asked to correct or to check."""

    @property
    def latest(self) -> dt.date | None:
        """Day up to which the source is known: of its latest record, or of its last delivery where that says more."""
        if self.layer in _FACTS and self.interval is not None:
            return self.interval[1]
        received = [delivery.received_on for delivery in self.deliveries if delivery.received_on is not None]
        return max(received, default=None)

    def freshness(self, as_of: dt.date) -> Freshness:
        """Tell whether the source is late on a date: its frequency is over since :attr:`latest`.

        Parameters
        ----------
        as_of
            The date of analysis; the machine's clock is never asked.
        """
        if not self.deliveries:
            return Freshness.NO_DELIVERY
        if self.latest is None or self.update_frequency is None:
            return Freshness.UNKNOWN
        return Freshness.LATE if add_duration(self.latest, self.update_frequency) < as_of else Freshness.CURRENT


def write_catalogue(folder: Path, city: City, sources: Sequence[SourceState]) -> None:
    """Write the catalogue beside the step's figures, one entry per source in the given order."""
    entries = [source_entry(city, state) for state in sources]
    text = json.dumps([entry.model_dump(mode="json") for entry in entries], ensure_ascii=False, indent=1)
    replace_file(folder / _FILE, text.encode())


def source_entry(city: City, state: SourceState) -> SourceEntry:
    """Put together what the city file says of a source and what ingestion has found."""
    source = state.source
    fields = tuple(
        FieldEntry(
            name=name,
            columns=rule.reads(),
            type=field_type(source.layer, name),
            unit=field_unit(name),
            meaning=field_meaning(source.layer, name),
        )
        for name, rule in source.columns.items()
    )
    return SourceEntry(
        id=source.id,
        layer=source.layer,
        title=source.title,
        organisation=source.organisation,
        owner=source.owner,
        main_user=source.main_user,
        purpose=source.purpose,
        attribution=source.attribution or city.city.attribution,
        licence=city.city.licence,
        classification=source.classification,
        update_frequency=source.update_frequency,
        update_method=source.update_method,
        retention_days=source.retention_days,
        mode=source.mode,
        crs=source.crs,
        timezone=source.timezone or city.city.timezone,
        fields=fields,
        dropped=source.drop,
        pseudonymised=source.pseudonymise,
        masked={column: dict(sorted(kinds.items())) for column, kinds in sorted(state.masked.items())},
        deliveries=tuple(
            DeliveryEntry(
                name=delivery.name,
                digest=delivery.digest,
                rows=delivery.rows,
                order=delivery.order,
                received_on=delivery.received_on,
                purged_rows=delivery.purged_rows,
            )
            for delivery in state.deliveries
        ),
        bbox=state.bbox,
        interval=state.interval,
        figures=dict(sorted(state.figures.items())),
        unmapped_codes=dict(sorted(state.unmapped_codes.items())),
        reject_reasons=dict(sorted(state.reject_reasons.items())),
        recommendations=tuple(
            Text.model_validate(r["text"]) for r in state.recommendations if r["level"] in {"correct", "check"}
        ),
    )


def read_catalogue(home: Home) -> list[SourceEntry]:
    """Read the catalogue of what was ingested last, one entry per source in the order of the city file.

    Raises
    ------
    LakeError
        If nothing has been ingested.
    """
    stage = latest_stage(home, "ingest")
    if stage is None:
        raise LakeError(f"{home.root} has no layers yet (calanque ingest makes them)")
    document = json.loads((stage.folder / _FILE).read_text(encoding="utf-8"))
    return [SourceEntry.model_validate(entry) for entry in document]


def latest_day(entries: Sequence[SourceEntry]) -> dt.date | None:
    """Local date of the latest fact of any source: the date of the catalogue where nobody names another."""
    return max((e.interval[1] for e in entries if e.layer in _FACTS and e.interval is not None), default=None)
