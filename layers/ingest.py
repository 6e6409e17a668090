"""The first step: from deliveries to layers, with nothing lost and every refusal explained.

The layers are a function of the city file and of the deliveries in their order, worked out whole each time that one
of them changes: so a crash leaves nothing to repair, and two homes with the same inputs hold the same tables.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from layers.catalogue import write_catalogue
from layers.city import City, Source
from layers.contracts import judge
from layers.digests import code_digest, digest_file, digest_json, lock_digest
from layers.geography import Geography, build_geography
from layers.home import Home, claim_home, writing
from layers.identity import Folded, fold_deliveries, record_ids
from layers.issues import Issues, Reason
from layers.lake import layer_table, reject_table
from layers.mapping import Mapped, check_columns, map_delivery
from layers.raw import Received, deliveries_of, hide_in_older, read_received, store
from layers.readers import Delivery
from layers.steps import Figure, ProgressCallback, Stage, StepReport, no_progress
from layers.tables import layer_rows, month_parts, table_schema

STEP = "ingest"
REJECT_SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("delivery", pa.string()),
        ("file", pa.string()),
        ("row", pa.int64()),
        ("field", pa.string()),
        ("value", pa.string()),
        ("reason", pa.string()),
    ]
)
"""Refused rows; ``row`` is 1-based, header not counted, ``value`` that of a mapped column only."""


@dataclass(slots=True)
class Outcome:
    """What became of a source's deliveries."""

    source: Source
    received: list[Received]
    folded: Folded
    rejects: dict[str | None, pa.Table]
    figures: dict[str, int] = field(default_factory=dict)
    unmapped_codes: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)


def ingest(city: City, home: Home, *, progress: ProgressCallback | None = None) -> StepReport:
    """Take the deliveries that the city file lists, and bring the layers up to date.

    Parameters
    ----------
    city
        The city.
    home, progress
        Its home folder, of which this step is the only writer meanwhile, and who is told.

    Returns
    -------
    StepReport
        Figures by source (``<source>.rows`` = ``.accepted`` + ``.rejected``) and in all. Skipped when the city file,
        the deliveries and the code are those of the last time.

    Raises
    ------
    DeliveryError
        If a delivery is refused as a whole; the layers stay as they were and nothing of it is kept.
    HomeError
        If the home folder holds another city, or is being written.
    """
    tell = progress or no_progress
    began = time.perf_counter()
    claim_home(home, city.city.id)
    with writing(home):
        received = {source.id: deliveries_of(source, city, home) for source in city.sources}
        key = ingest_key(city, received)
        stage = Stage(home, STEP, key)
        if stage.complete and _layers_are_of(key, city, home):
            stage.point()
            tell("rien de nouveau / nothing new", 1.0)
            return StepReport(STEP, key, skipped=True, seconds=time.perf_counter() - began, figures=stage.figures())
        outcomes = []
        for position, source in enumerate(city.sources):
            tell(source.title.fr, 0.8 * position / max(1, len(city.sources)))
            outcomes.append(_take(source, received[source.id], city, home))
        tell("zones, terre / zones, land", 0.8)
        geography = build_geography(city, {o.source.id: o.folded.records for o in outcomes})
        figures = _write(city, home, outcomes, geography, key)
        if not stage.complete:
            folder = stage.begin()
            write_catalogue(
                folder, city, [(o.source, o.received, o.figures, o.unmapped_codes, o.reasons) for o in outcomes]
            )
            stage.finish([], figures)
        stage.point()
    tell("couches écrites / layers written", 1.0)
    return StepReport(STEP, key, skipped=False, seconds=time.perf_counter() - began, figures=figures)


def ingest_key(city: City, received: Mapping[str, list[Received]]) -> str:
    """Digest of all that decides the layers: the city file's part, deliveries in order, boundary files, code."""
    files = [level.path for level in city.zones if level.path] + ([city.land.path] if city.land.path else [])
    decided = {
        "city": _city_part(city),
        "deliveries": {source: [r.digest for r in rs] for source, rs in received.items()},
        "boundaries": {path: digest_file(city.folder / path) for path in files if (city.folder / path).is_file()},
        "code": code_digest("layers"),
        "lock": lock_digest(),
    }
    return digest_json(decided)


def _city_part(city: City) -> dict[str, Any]:
    document: dict[str, Any] = city.model_dump(mode="json", include={"city", "land", "zones", "taxonomy", "sources"})
    return document


def _layers_are_of(key: str, city: City, home: Home) -> bool:
    """Whether every layer was made by this ingestion: the key may be an earlier one that comes back."""
    names = {source.layer for source in city.sources} | {f"zones_{level.id}" for level in city.zones} | {"land"}
    versions = [layer_table(home, name).latest() for name in names]
    return all(version is not None and version.inputs.get(STEP) == key for version in versions)


def _take(source: Source, received: list[Received], city: City, home: Home) -> Outcome:
    """Read, map and judge the deliveries of a source, and apply them one after the other."""
    extras = frozenset(
        level.thiessen.by for level in city.zones if level.thiessen and level.thiessen.source == source.id
    )
    outcome = Outcome(source, received, Folded(pd.DataFrame()), {})
    parts = []
    for one in received:
        delivery, kept = read_received(one, source, home)
        check_columns(delivery, source, extras, one.name)
        mapped = map_delivery(delivery, source, city, extras=extras, name=one.name)
        if not kept:
            store(one, delivery, source, home)
        accepted = _accepted(mapped, judge(mapped, source), source, one, delivery)
        parts.append(accepted)
        outcome.rejects[f"delivery={one.digest[:16]}"] = _reject_table(mapped.issues, delivery, source, one)
        _count(outcome, mapped, delivery, len(accepted))
    hide_in_older(source, received, home)
    outcome.folded = fold_deliveries(parts, source.mode)
    folded = outcome.folded
    outcome.figures |= {
        "records": len(folded.records),
        "not_located": int(folded.records["lon"].isna().sum()),
        "new": folded.new,
        "updated": folded.updated,
        "unchanged": folded.unchanged,
        "withdrawn": folded.withdrawn,
    }
    return outcome


def _accepted(
    mapped: Mapped,
    good: NDArray[np.bool_],
    source: Source,
    one: Received,
    delivery: Delivery,
) -> pd.DataFrame:
    """Assemble accepted rows with their places and ids."""
    places = mapped.places
    frame = mapped.frame.assign(lon=places.lon, lat=places.lat, x_m=places.x_m, y_m=places.y_m, shape=places.shapes)
    for column, values in mapped.extras.items():
        frame[f"extra:{column}"] = values
    frame["row"] = delivery.rows
    frame = frame[good].reset_index(drop=True)
    frame["delivery"] = one.digest
    frame["id"] = record_ids(frame, source.id)
    frame["source"] = source.id
    frame["organisation"] = source.organisation
    return frame


def _count(outcome: Outcome, mapped: Mapped, delivery: Delivery, accepted: int) -> None:
    rows = len(delivery.rows) + len(delivery.malformed)
    counted = {"rows": rows, "accepted": accepted, "rejected": rows - accepted, **mapped.figures}
    counted["unmapped"] = sum(mapped.unmapped_codes.values())
    for name, number in counted.items():
        outcome.figures[name] = outcome.figures.get(name, 0) + number
    for code, number in mapped.unmapped_codes.items():
        outcome.unmapped_codes[code] = outcome.unmapped_codes.get(code, 0) + number
    for reason, number in [*mapped.issues.frame()["reason"].value_counts().items()]:
        outcome.reasons[str(reason)] = outcome.reasons.get(str(reason), 0) + int(number)
    if len(delivery.malformed):
        key = str(Reason.MALFORMED_ROW)
        outcome.reasons[key] = outcome.reasons.get(key, 0) + len(delivery.malformed)


def _reject_table(issues: Issues, delivery: Delivery, source: Source, one: Received) -> pa.Table:
    found = issues.frame()
    rows = [*delivery.rows[found["position"].to_numpy(dtype="int64")].tolist(), *delivery.malformed.tolist()]
    torn = len(delivery.malformed)
    columns = {
        "source": [source.id] * len(rows),
        "delivery": [one.digest] * len(rows),
        "file": [one.name] * len(rows),
        "row": rows,
        "field": [*found["field"], *[None] * torn],
        "value": [*found["value"], *[None] * torn],
        "reason": [*found["reason"], *[str(Reason.MALFORMED_ROW)] * torn],
    }
    return pa.table(columns, schema=REJECT_SCHEMA).sort_by([("row", "ascending"), ("field", "ascending")])


def _write(city: City, home: Home, outcomes: list[Outcome], geography: Geography, key: str) -> dict[str, Figure]:
    """Commit rejects, then zones and land, then records: a reader between two commits sees whole tables."""
    inputs = {STEP: key}
    for outcome in outcomes:
        for number, one in enumerate(outcome.received, start=1):
            inputs[f"deliveries/{outcome.source.id}/{number:04d}"] = one.digest
        by = {"deliveries": digest_json([r.digest for r in outcome.received])}
        parts = {name: table for name, table in outcome.rejects.items() if table.num_rows}
        table = parts or {None: REJECT_SCHEMA.empty_table()}
        reject_table(home, outcome.source.id).commit(table, inputs=by, sort_by=["delivery", "row", "field", "reason"])
    metric_crs = city.city.metric_crs
    derived = inputs if city.land.hull or any(level.thiessen for level in city.zones) else {STEP: key}
    for level, zones in geography.zones.items():
        rows = zones.table(metric_crs)
        layer_table(home, f"zones_{level}").commit({None: rows}, inputs=derived, sort_by=["key"])
    layer_table(home, "land").commit({None: geography.land_table(metric_crs)}, inputs=derived, sort_by=["geometry"])
    figures: dict[str, Figure] = {
        f"{o.source.id}.{name}": number for o in outcomes for name, number in sorted(o.figures.items())
    }
    for layer in dict.fromkeys(source.layer for source in city.sources):
        figures |= _write_layer(layer, city, home, outcomes, geography, inputs)
    return figures


def _write_layer(
    layer: str, city: City, home: Home, outcomes: list[Outcome], geography: Geography, inputs: dict[str, str]
) -> dict[str, Figure]:
    mine = [o for o in outcomes if o.source.layer == layer]
    records = pd.concat([o.folded.records for o in mine if len(o.folded.records)] or [mine[0].folded.records])
    rows = layer_rows(layer, records, city, geography)
    made_from = {STEP: inputs[STEP]} | {
        name: digest for o in mine for name, digest in inputs.items() if name.startswith(f"deliveries/{o.source.id}/")
    }
    parts: dict[str | None, pa.Table] = {None: rows}
    if layer == "incidents" and rows.num_rows:
        parts = month_parts(rows)
    layer_table(home, layer).commit(parts, inputs=made_from, sort_by=["id"])
    figures: dict[str, Figure] = {layer: rows.num_rows}
    if layer == "incidents":
        on_land = rows.column("on_land")
        figures |= {
            "non_localised": rows.num_rows - int(sum(rows.column("located").to_pylist())),
            "off_land": sum(1 for v in on_land.to_pylist() if v is False),
            "unmapped": sum(1 for v in rows.column("category").to_pylist() if v == "unmapped"),
        }
    return figures


__all__ = ["REJECT_SCHEMA", "STEP", "Outcome", "ingest", "ingest_key", "table_schema"]
