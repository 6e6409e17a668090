"""What an ingestion tells of its sources: the catalogue and the quality reports, from what it wrote."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import shapely

from layers.catalogue import DeliveryState, SourceState, write_catalogue
from layers.city import City, Source
from layers.clock import local_time
from layers.fields import PERIODS, ZONE_PREFIX
from layers.home import Home
from layers.lake import LakeTable, layer_table
from layers.quality.report import source_report, write_reports
from layers.receiving import RawDelivery

_TOLD: Final = ("source", "located", "located_by", "on_land")
"""Columns of the lake that the reports count, besides zones."""
Bounds = tuple[float, float, float, float]


class Taken(Protocol):
    """What a delivery gave; ``document`` holds its profile."""

    @property
    def document(self) -> Mapping[str, Any]:
        """Figures, reasons, codes and profile, as JSON."""


class Records(Protocol):
    """Records of a source, delivery by delivery."""

    @property
    def accepted(self) -> Sequence[Taken]:
        """What each delivery gave, in their order."""


class Ingested(Protocol):
    """What became of a source's deliveries."""

    @property
    def source(self) -> Source:
        """The source."""

    @property
    def raws(self) -> Sequence[RawDelivery]:
        """Its deliveries in the lake."""

    @property
    def records(self) -> Records:
        """What they gave."""

    @property
    def figures(self) -> Mapping[str, int]:
        """Counts over all deliveries."""

    @property
    def unmapped_codes(self) -> Mapping[str, int]:
        """Code → rows."""

    @property
    def reasons(self) -> Mapping[str, int]:
        """Reason → faults."""


@dataclass(frozen=True, slots=True)
class Present:
    """Present records of a source: what reports count, where they lie (CRS84), and their first and last local date."""

    told: pa.Table
    bbox: Bounds | None
    interval: tuple[dt.date, dt.date] | None


def write_documents(folder: Path, city: City, home: Home, outcomes: Sequence[Ingested]) -> None:
    """Write ``catalogue.json`` and ``quality/<source>.{json,html}`` in an ingestion's stage.

    Parameters
    ----------
    folder
        The stage.
    city, home
        The city, and its home folder with the layers written.
    outcomes
        Every source, in the order of the city file.
    """
    present: dict[str, dict[str, Present]] = {}
    states, reports = [], []
    for outcome in outcomes:
        source = outcome.source
        if source.layer not in present:
            names = [other.source.id for other in outcomes if other.source.layer == source.layer]
            present[source.layer] = present_records(layer_table(home, source.layer), source.layer, names, city)
        here, masked = present[source.layer][source.id], _masked(outcome.raws)
        deliveries = [_delivery(raw, order) for order, raw in enumerate(outcome.raws, start=1)]
        report = source_report(
            source,
            city,
            figures=outcome.figures,
            reasons=outcome.reasons,
            unmapped=outcome.unmapped_codes,
            profiles=[taken.document["profile"] for taken in outcome.records.accepted],
            records=here.told,
            masked=masked,
            deliveries=[{"name": d.name, "digest": d.digest, "rows": d.rows, "order": d.order} for d in deliveries],
        )
        reports.append(report)
        states.append(
            SourceState(
                source,
                deliveries,
                figures=outcome.figures,
                unmapped_codes=outcome.unmapped_codes,
                reject_reasons=outcome.reasons,
                bbox=here.bbox,
                interval=here.interval,
                masked=masked,
                recommendations=report.document["recommendations"],
            )
        )
    write_reports(folder, reports)
    write_catalogue(folder, city, states)


def present_records(table: LakeTable, layer: str, sources: Sequence[str], city: City) -> dict[str, Present]:
    """Read what reports tell of a layer's records, source by source, one file of the lake at a time.

    Text stays in its dictionaries, so that five million records take some hundred megabytes.
    """
    version = table.latest()
    parts: dict[str, list[tuple[pa.Table, Bounds | None, tuple[dt.date, dt.date] | None]]] = {s: [] for s in sources}
    for file in version.files if version else ():
        rows = _read(table, file.path)
        for name in sources:
            mine = rows.filter(pc.equal(rows.column("source"), name))
            if mine.num_rows:
                told = mine.select([c for c in mine.column_names if c in _TOLD or c.startswith(ZONE_PREFIX)])
                parts[name].append((told, _bounds(mine), _dates(mine, layer, city.city.timezone)))
    nothing = pa.table({"source": pa.array([], pa.string())})
    return {
        name: Present(
            pa.concat_tables([part for part, _, _ in found]).unify_dictionaries() if found else nothing,
            _joined_bounds([bounds for _, bounds, _ in found if bounds is not None]),
            _joined_dates([dates for _, _, dates in found if dates is not None]),
        )
        for name, found in parts.items()
    }


def _read(table: LakeTable, path: str) -> pa.Table:
    with table.filesystem.open_input_file(path) as stream:
        schema = pq.read_schema(stream)
        wanted = [n for n in schema.names if n in _TOLD or n.startswith(ZONE_PREFIX)]
        place = ["lon", "lat"] if "lon" in schema.names else ["geometry"] if "geometry" in schema.names else []
        times = [n for n in schema.names if n == "date" or n in {start for start, _ in PERIODS.values()}]
        text = [n for n in wanted if pa.types.is_string(schema.field(n).type)]
        stream.seek(0)
        columns = [*wanted, *place, *(["date"] if "date" in times else times)]
        return pq.ParquetFile(stream, read_dictionary=text).read(columns=columns)


def _bounds(rows: pa.Table) -> Bounds | None:
    """West, south, east, north; None when nothing is located."""
    if "lon" in rows.column_names:
        lon, lat = (pc.min_max(rows.column(name)).as_py() for name in ("lon", "lat"))
        return None if lon["min"] is None else (lon["min"], lat["min"], lon["max"], lat["max"])
    if "geometry" not in rows.column_names or rows.column("geometry").null_count == rows.num_rows:
        return None
    shapes = shapely.from_wkb(rows.column("geometry").drop_null().to_numpy())
    west, south, east, north = shapely.total_bounds(shapes).tolist()
    return west, south, east, north


def _dates(rows: pa.Table, layer: str, timezone: str) -> tuple[dt.date, dt.date] | None:
    """First and last local date of the records' starts."""
    start, _ = PERIODS.get(layer, (None, None))
    name = "date" if "date" in rows.column_names else start
    if name is None or name not in rows.column_names:
        return None
    found = pc.min_max(rows.column(name))
    if not found["min"].is_valid:
        return None
    if pa.types.is_date(found["min"].type):
        return found["min"].as_py(), found["max"].as_py()
    moments = np.array([found[end].value for end in ("min", "max")], dtype="datetime64[us]")
    first, last = local_time(moments, timezone).astype("datetime64[D]").tolist()
    return first, last


def _joined_bounds(found: Sequence[Bounds]) -> Bounds | None:
    if not found:
        return None
    west, south, east, north = zip(*found, strict=True)
    return min(west), min(south), max(east), max(north)


def _joined_dates(found: Sequence[tuple[dt.date, dt.date]]) -> tuple[dt.date, dt.date] | None:
    return (min(first for first, _ in found), max(last for _, last in found)) if found else None


def _delivery(raw: RawDelivery, order: int) -> DeliveryState:
    return DeliveryState(
        raw.received.name, raw.received.digest, raw.rows, order, raw.received_at.date(), raw.purged_rows
    )


def _masked(raws: Sequence[RawDelivery]) -> dict[str, dict[str, int]]:
    total: dict[str, dict[str, int]] = {}
    for raw in raws:
        for column, kinds in raw.masked.items():
            found = total.setdefault(column, {})
            for kind, number in kinds.items():
                found[kind] = found.get(kind, 0) + number
    return total
