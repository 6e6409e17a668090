"""The first step: from deliveries to layers, with nothing lost and every refusal explained.

The layers are a function of the city file and of the deliveries in their order: a crash leaves nothing to repair, and
two homes with the same inputs hold the same tables. What was received and accepted is kept, so that only what is new
is worked out.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from layers.accepted import Accepted, forget_unused
from layers.city import City, Source
from layers.digests import code_digest, digest_file, digest_json, lock_digest
from layers.enrichment.holidays import check_holidays
from layers.enrichment.weather import Weather
from layers.errors import DeliveryError
from layers.gazetteer import Gazetteer
from layers.geography import Geography, build_geography
from layers.home import Home, claim_home, writing
from layers.issues import REJECT_SCHEMA
from layers.lake import layer_table, reject_table
from layers.merging import Merges, merges_of
from layers.present import SourceRecords
from layers.pulling import pull
from layers.quality.ingested import write_documents
from layers.receiving import RawDelivery, Received, deliveries_of, discard, hide_in_older, hides_more, receive
from layers.retention.arrivals import forget_expired
from layers.retention.cutoffs import read_cutoffs
from layers.retention.destruction import RETENTION, clear_lake
from layers.steps import Figure, ProgressCallback, Stage, StepReport, no_progress
from layers.tables import Knowledge
from layers.taking import Surroundings, take
from layers.writing import LayerFigures, write_layer

STEP = "ingest"
_TAKEN, _SETTLED, _WRITTEN = 0.55, 0.65, 0.95
"""Share of the work that is done when deliveries are taken, duplicates settled, layers written."""


@dataclass(slots=True)
class Outcome:
    """What became of a source's deliveries."""

    raws: list[RawDelivery]
    records: SourceRecords
    figures: dict[str, int] = field(default_factory=dict)

    @property
    def source(self) -> Source:
        """The source."""
        return self.records.source

    @property
    def unmapped_codes(self) -> dict[str, int]:
        """Code that the city file does not translate → rows, over the deliveries."""
        return _summed(one.document["unmapped_codes"] for one in self.records.accepted)

    @property
    def reasons(self) -> dict[str, int]:
        """Reason → faults, over the deliveries; a row may have several."""
        return _summed(one.document["reasons"] for one in self.records.accepted)


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
        Figures by source and in all; ``<source>.rows`` = ``.new`` + ``.updated`` + ``.unchanged`` + ``.merged`` +
        ``.rejected``. Skipped when the city file, the deliveries and the code are those of the last time.

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
        pulled = set()
        for source in city.sources:
            if source.database is not None:
                tell(source.title.fr, 0.0)
                came = pull(source, home, extras=extras_of(source, city))
                pulled |= {came.digest} if came else set()
        received = {source.id: deliveries_of(source, city, home) for source in city.sources}
        key = ingest_key(city, home, received)
        stage = Stage(home, STEP, key)
        if stage.complete and _layers_are_of(key, city, home):
            stage.point()
            tell("rien de nouveau / nothing new", 1.0)
            return StepReport(STEP, key, skipped=True, seconds=time.perf_counter() - began, figures=stage.figures())
        figures = _Ingestion(city, home, tell, key, pulled).run(received, stage)
    tell("couches écrites / layers written", 1.0)
    return StepReport(STEP, key, skipped=False, seconds=time.perf_counter() - began, figures=figures)


def ingest_key(city: City, home: Home, received: Mapping[str, list[Received]]) -> str:
    """Digest of all that decides the layers: the city file's part, deliveries in order, retention, boundaries, code."""
    files = [level.path for level in city.zones if level.path] + ([city.land.path] if city.land.path else [])
    decided = {
        "city": _city_part(city),
        "deliveries": {source: [r.digest for r in rs] for source, rs in received.items()},
        "retention": {source: date.isoformat() for source, date in read_cutoffs(home).items()},
        "boundaries": {path: digest_file(city.folder / path) for path in files if (city.folder / path).is_file()},
        "code": code_digest("layers"),
        "lock": lock_digest(),
    }
    return digest_json(decided)


def _city_part(city: City) -> dict[str, Any]:
    parts = {"city", "land", "zones", "taxonomy", "sources", "enrichment", "deduplication"}
    document: dict[str, Any] = city.model_dump(mode="json", include=parts)
    return document


def _layers_are_of(key: str, city: City, home: Home) -> bool:
    """Whether every layer was made by this ingestion: the key may be an earlier one that comes back."""
    names = {source.layer for source in city.sources} | {f"zones_{level.id}" for level in city.zones} | {"land"}
    versions = [layer_table(home, name).latest() for name in names]
    return all(version is not None and version.inputs.get(STEP) == key for version in versions)


def extras_of(source: Source, city: City) -> frozenset[str]:
    """Columns of a source's deliveries that zones are made of."""
    return frozenset(level.thiessen.by for level in city.zones if level.thiessen and level.thiessen.source == source.id)


class _Ingestion:
    def __init__(self, city: City, home: Home, tell: ProgressCallback, key: str, pulled: Collection[str]) -> None:
        self.city, self.home, self.tell, self.key = city, home, tell, key
        self.cutoffs = read_cutoffs(home)
        self.outcomes: dict[str, Outcome] = {}
        self.replaceable = set(pulled)
        """Deliveries that can be had again: their file is there, or they were pulled just now."""

    def run(self, received: Mapping[str, list[Received]], stage: Stage) -> dict[str, Figure]:
        city = self.city
        self.replaceable |= {one.digest for ones in received.values() for one in ones if one.path is not None}
        for source in city.sources:
            if hides_more(source, self.home):
                # Before the copies are rewritten: earlier versions of tables and reports show the column too.
                clear_lake(self.home, [source.id])
        if city.enrichment.holidays is not None:
            check_holidays(city.enrichment.holidays)
        derived = city.land.hull is not None or any(level.thiessen for level in city.zones)
        geography = None if derived else build_geography(city, {})
        # Streets come first: they give a place to the addresses of the others.
        order = sorted(city.sources, key=lambda source: source.id != city.enrichment.gazetteer)
        gazetteer = None
        for done, source in enumerate(order):
            self.tell(source.title.fr, _TAKEN * done / len(order))
            self.outcomes[source.id] = self._take(source, received[source.id], gazetteer)
            if source.id == city.enrichment.gazetteer:
                gazetteer = self._gazetteer(self.outcomes[source.id], geography)
        self.tell("zones, terre / zones, land", _TAKEN)
        known = Knowledge(city, geography or build_geography(city, self._positions()), self._weather())
        self.tell("doublons / duplicates", (_TAKEN + _SETTLED) / 2)
        merges = merges_of([o.records for o in self._of_layer("incidents")], city)
        self._settle_figures(merges)
        # Before the layers: once these are written a crash leaves nothing that the next ingestion would look at again.
        used = {o.source.id: [one.folder.name for one in o.records.accepted] for o in self.outcomes.values()}
        forget_unused(self.home, used)
        figures = self._write(known, merges)
        self.tell("qualité / quality", _WRITTEN)
        if not stage.complete:
            folder = stage.begin()
            write_documents(folder, city, self.home, [self.outcomes[source.id] for source in city.sources])
            stage.finish([], figures)
        stage.point()
        return figures

    def _take(self, source: Source, received: list[Received], gazetteer: Gazetteer | None) -> Outcome:
        """Receive and take the deliveries of a source, and apply them one after the other."""
        extras = extras_of(source, self.city)
        around = Surroundings(extras, gazetteer, self.cutoffs.get(source.id))
        raws: list[RawDelivery] = []
        taken: list[Accepted] = []
        counted: list[Received] = []
        for one in received:
            try:
                raw = receive(one, source, self.home, extras=extras)
            except DeliveryError:
                # A replaced delivery has no part in the records of a complete source: one of other columns than the
                # present rules read cannot be compared, and must not keep the next one out.
                if source.mode == "complete" and one.path is None and one is not received[-1]:
                    continue
                raise
            counted.append(one)
            raws.append(raw)
            try:
                taken.append(take(raw, source, self.city, self.home, around))
            except DeliveryError:
                if one.sequence is None or self._never_counted(raw):
                    discard(raw)
                raise
        hide_in_older(source, counted, self.home)
        cutoff = self.cutoffs.get(source.id)
        if cutoff and any(one.figures["expired"] > raw.purged_rows for raw, one in zip(raws, taken, strict=True)):
            raws = forget_expired(source, raws, self.city, self.home, cutoff)
            taken = [take(raw, source, self.city, self.home, around) for raw in raws]
        records = SourceRecords.of(source, [raw.received.digest for raw in raws], taken)
        figures = _summed(one.figures for one in taken)
        figures["masked"] = sum(number for raw in raws for kinds in raw.masked.values() for number in kinds.values())
        return Outcome(raws, records, figures)

    def _never_counted(self, raw: RawDelivery) -> bool:
        """Whether no layer was made of a delivery that can be had again: a crash came before it was judged.

        One whose file is gone, or that lost rows to a purge, is kept: the lake's copy may be all that there is.
        """
        source = next(s for s in self.city.sources if s.id == raw.received.source)
        version = layer_table(self.home, source.layer).latest()
        known = {d for n, d in version.inputs.items() if n.startswith(f"deliveries/{source.id}/")} if version else set()
        digest = raw.received.digest
        return digest in self.replaceable and not raw.purged_rows and digest not in known

    def _gazetteer(self, streets: Outcome, geography: Geography | None) -> Gazetteer:
        table = streets.records.everything(["name", "other_name", "shape", "lon", "lat"])
        rows = table.rename_columns(["geometry" if name == "shape" else name for name in table.column_names])
        zones = {}
        if geography is not None:
            lon, lat = (rows.column(name).to_numpy() for name in ("lon", "lat"))
            zones = {
                level: geography.zones[level].keys_at(found).to_numpy(zero_copy_only=False)
                for level, found in geography.positions(lon, lat).items()
            }
        return Gazetteer.of_streets(rows, self.city.city.metric_crs, zones)

    def _positions(self) -> dict[str, pd.DataFrame]:
        """Positions of the sources that land or zones are made of."""
        city = self.city
        wanted = {level.thiessen.source for level in city.zones if level.thiessen}
        if city.land.hull:
            wanted.add(city.land.hull.source)
        frames = {}
        for name in sorted(wanted):
            records = self.outcomes[name].records
            extras = [f"extra:{column}" for column in sorted(extras_of(records.source, city))]
            frames[name] = records.everything(["x_m", "y_m", *extras]).to_pandas()
        return frames

    def _weather(self) -> Weather | None:
        name = self.city.enrichment.weather
        if name is None:
            return None
        columns = ["observed_at", "observed_until", "rain_mm", "temperature_c", "wind_m_s"]
        return Weather.of_rows(self.outcomes[name].records.everything(columns))

    def _of_layer(self, layer: str) -> list[Outcome]:
        return [self.outcomes[s.id] for s in self.city.sources if s.layer == layer]

    def _settle_figures(self, merges: Merges) -> None:
        for outcome in self.outcomes.values():
            outcome.figures |= outcome.records.figures(merges.merged)
            outcome.figures["near_duplicates"] = outcome.records.count_among(merges.merged[merges.near])

    def _write(self, known: Knowledge, merges: Merges) -> dict[str, Figure]:
        """Commit rejects, then zones and land, then records: a reader between two commits sees whole tables."""
        city, home = self.city, self.home
        inputs = {STEP: self.key}
        for outcome in self.outcomes.values():
            source_id = outcome.source.id
            if source_id in self.cutoffs:
                inputs[f"{RETENTION}{source_id}"] = self.cutoffs[source_id].isoformat()
            for number, raw in enumerate(outcome.raws, start=1):
                inputs[f"deliveries/{source_id}/{number:04d}"] = raw.received.digest
                if raw.purged_rows:
                    inputs[f"{RETENTION}{source_id}/{number:04d}"] = str(raw.purged_rows)
            self._write_rejects(outcome)
        derived = city.land.hull is not None or any(level.thiessen for level in city.zones)
        made_of = inputs if derived else {STEP: self.key}
        for level, zones in known.geography.zones.items():
            rows = zones.table(city.city.metric_crs)
            layer_table(home, f"zones_{level}").commit({None: rows}, inputs=made_of, sort_by=["key"])
        land = known.geography.land_table(city.city.metric_crs)
        layer_table(home, "land").commit({None: land}, inputs=made_of, sort_by=["geometry"])
        layers: list[str] = list(dict.fromkeys(source.layer for source in city.sources))
        written: dict[str, LayerFigures] = {}
        for place, layer in enumerate(layers):
            written[layer] = self._write_layer(layer, known, merges, inputs, (place, len(layers)))
        figures: dict[str, Figure] = {}
        for layer, counted in written.items():
            figures[layer] = counted.rows
            if layer == "incidents":
                figures |= {"non_localised": counted.not_located, "off_land": counted.off_land}
                figures["unmapped"] = counted.unmapped
        for source in city.sources:
            found = sorted(self.outcomes[source.id].figures.items())
            figures |= {f"{source.id}.{name}": number for name, number in found}
        return figures

    def _write_rejects(self, outcome: Outcome) -> None:
        parts: dict[str | None, pa.Table] = {}
        for raw, one in zip(outcome.raws, outcome.records.accepted, strict=True):
            table = pq.ParquetFile(one.rejects).read()
            if table.num_rows:
                parts[f"delivery={raw.received.digest[:16]}"] = table
        by = {"deliveries": digest_json([raw.received.digest for raw in outcome.raws])}
        order = ["delivery", "row", "field", "reason"]
        table = reject_table(self.home, outcome.source.id)
        table.commit(parts or {None: REJECT_SCHEMA.empty_table()}, inputs=by, sort_by=order)

    def _write_layer(
        self, layer: str, known: Knowledge, merges: Merges, inputs: Mapping[str, str], place: tuple[int, int]
    ) -> LayerFigures:
        mine = self._of_layer(layer)
        made_from = {STEP: self.key} | {
            name: digest for o in mine for name, digest in inputs.items() if name.split("/")[1:2] == [o.source.id]
        }

        def told(share: float) -> None:
            self.tell(f"couche / layer {layer}", _SETTLED + (_WRITTEN - _SETTLED) * (place[0] + share) / place[1])

        merged = merges if layer == "incidents" else Merges()
        counted = write_layer(layer, [o.records for o in mine], merged, known, self.home, inputs=made_from, told=told)
        for outcome in mine:
            outcome.figures |= {"not_located": 0, "located_by_address": 0}
            outcome.figures |= counted.by_source.get(outcome.source.id, {})
        return counted


def _summed(counts: Sequence[Mapping[str, int]] | Any) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in counts:
        for name, number in one.items():
            total[name] += number
    return dict(total)


__all__ = ["STEP", "Outcome", "extras_of", "ingest", "ingest_key"]
