"""The catalogue: for each source, what the city file says and what ingestion has found, as data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from layers.city import City, Source, Text
from layers.errors import LakeError
from layers.home import Home, replace_file
from layers.raw import Received
from layers.steps import latest_stage

_FILE = "catalogue.json"


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DeliveryEntry(_Entry):
    """One delivery behind a source, in the order in which they count."""

    name: str
    digest: str


class SourceEntry(_Entry):
    """One source."""

    id: str
    layer: str
    title: Text
    organisation: str
    attribution: str | None
    licence: str | None
    classification: str
    update_frequency: str | None
    retention_days: int | None
    mode: Literal["complete", "increment"]
    crs: str | None
    timezone: str
    fields: dict[str, tuple[str, ...]]
    """Field of the contract → columns of the delivery that give it."""
    dropped: tuple[str, ...]
    pseudonymised: tuple[str, ...]
    deliveries: tuple[DeliveryEntry, ...]
    figures: dict[str, int]
    unmapped_codes: dict[str, int]
    """Code that the city file does not translate → rows."""
    reject_reasons: dict[str, int]
    """Reason → faults found (a row may have several)."""


def write_catalogue(
    folder: Path,
    city: City,
    sources: Sequence[tuple[Source, Sequence[Received], Mapping[str, int], Mapping[str, int], Mapping[str, int]]],
) -> None:
    """Write the catalogue beside the step's figures: source, deliveries, figures, unmapped codes, reject reasons."""
    entries = [
        SourceEntry(
            id=source.id,
            layer=source.layer,
            title=source.title,
            organisation=source.organisation,
            attribution=source.attribution or city.city.attribution,
            licence=city.city.licence,
            classification=source.classification,
            update_frequency=source.update_frequency,
            retention_days=source.retention_days,
            mode=source.mode,
            crs=source.crs,
            timezone=source.timezone or city.city.timezone,
            fields={name: rule.reads() for name, rule in source.columns.items()},
            dropped=source.drop,
            pseudonymised=source.pseudonymise,
            deliveries=tuple(DeliveryEntry(name=r.name, digest=r.digest) for r in received),
            figures=dict(figures),
            unmapped_codes=dict(sorted(codes.items())),
            reject_reasons=dict(sorted(reasons.items())),
        )
        for source, received, figures, codes, reasons in sources
    ]
    text = json.dumps([entry.model_dump(mode="json") for entry in entries], ensure_ascii=False, indent=1)
    replace_file(folder / _FILE, text.encode())


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
