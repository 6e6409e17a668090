"""From raw rows to accepted ones: mapped, judged, named, and kept by month until they are written into a layer.

What a delivery gives depends on itself, on its source's rules and on this code alone, so it is worked out once and
kept under the digest of all that. Batches go through in the file's order, several at a time, so that memory does not
grow with the delivery.
"""

from __future__ import annotations

import datetime as dt
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import shapely
from numpy.typing import NDArray

from layers.accepted import Accepted, MonthFiles, accepted_schema, months_of
from layers.city import City, Source
from layers.clock import local_time
from layers.contracts import judge
from layers.digests import code_digest, digest_json, lock_digest
from layers.fields import LAYER_FIELDS, PERIODS, FieldType
from layers.gazetteer import Gazetteer, Outcome
from layers.home import Home
from layers.identity import Keys, content_hashes, content_names, occurrences, record_keys
from layers.in_order import in_order
from layers.issues import REJECT_SCHEMA, Issues, Reason
from layers.likeness import likeness_hashes
from layers.mapping import Mapped, Mapper
from layers.quality.profile import Profile
from layers.readers.base import Batch
from layers.receiving import RawDelivery

_THREADS = 2


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What taking a source needs besides its own rules.

    ``extras`` are columns that zones are made of; rows that begin before ``expire_before`` (local date) are past their
    retention and are refused without a trace of their values.
    """

    extras: frozenset[str] = frozenset()
    gazetteer: Gazetteer | None = None
    expire_before: dt.date | None = None


@dataclass(slots=True)
class _Taken:
    """One batch, done: accepted rows (all columns but the id), what they are compared by, and what was refused."""

    accepted: pa.Table
    months: NDArray[np.int64]
    key: NDArray[np.uint64]
    content: NDArray[np.uint64]
    likeness: NDArray[np.uint64]
    rejects: pa.Table
    expired: int
    rows: int
    figures: Counter[str]
    unmapped: Counter[str]


def take(raw: RawDelivery, source: Source, city: City, home: Home, around: Surroundings) -> Accepted:
    """Accept the rows of a delivery that meet their contract, or find them where they were kept.

    Parameters
    ----------
    raw
        The delivery, as the lake holds it.
    source, city, home
        Its source, city and home folder.
    around
        Gazetteer, derived columns and retention.

    Returns
    -------
    Accepted
        Accepted rows on disk, each id once: of several valid rows with one record id the first is accepted.

    Raises
    ------
    DeliveryError
        If a column cannot hold what its rule expects, or the CRS is declared nowhere.
    """
    key = _key(raw, source, city, around)
    found = Accepted.find(home, source.id, key)
    if found is not None:
        return found
    folder = Accepted.begin(home, source.id, key)
    try:
        return _Taking(raw, source, city, around).run(folder, key)
    except BaseException:
        shutil.rmtree(folder)
        raise


def _key(raw: RawDelivery, source: Source, city: City, around: Surroundings) -> str:
    decided = {
        "delivery": raw.revision,
        "source": source.model_dump(mode="json"),
        "city": city.model_dump(mode="json", include={"city": {"metric_crs", "timezone"}, "taxonomy": True}),
        "extras": sorted(around.extras),
        "gazetteer": gazetteer.digest if (gazetteer := _gazetteer(source, around)) else None,
        "expire_before": around.expire_before.isoformat() if around.expire_before else None,
        "code": code_digest("layers"),
        "lock": lock_digest(),
    }
    return digest_json(decided)


def _gazetteer(source: Source, around: Surroundings) -> Gazetteer | None:
    """Say where the addresses of a source are looked for: incidents alone tell how precisely they are placed."""
    return around.gazetteer if source.layer == "incidents" and "address" in source.columns else None


class _Taking:
    def __init__(self, raw: RawDelivery, source: Source, city: City, around: Surroundings) -> None:
        self.raw, self.source, self.city, self.around = raw, source, city, around
        self.name = raw.received.name
        self.mapper = Mapper(source, city, self.name, raw.crs, raw.decimal, around.extras)
        self.schema = accepted_schema(source, around.extras)
        self.figures: Counter[str] = Counter(dict.fromkeys(("rows", "rejected", "expired"), 0))
        self.unmapped: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.profile = Profile(source.layer, city.city.timezone)

    def run(self, folder: Path, key: str) -> Accepted:
        """Take every batch; the document is written last, so that half a folder does not count."""
        parts: list[Keys] = []
        with MonthFiles(folder) as files, pq.ParquetWriter(folder / "rejects.parquet", REJECT_SCHEMA) as rejects:
            # Arrow, numpy and PROJ let go of the interpreter, so that threads work at the same time.
            for taken in in_order(self._take, self.raw.batches(), threads=_THREADS):
                files.add(taken.accepted, taken.months)
                parts.append(Keys(taken.key, taken.content, taken.likeness, taken.accepted.column("row").to_numpy()))
                self._count(taken, rejects)
            torn = self.raw.malformed_rows()
            torn_rows = _torn_rows(torn, self.source.id, self.raw)
            self._refuse(torn_rows, rejects, len(torn))
            self.profile.add(self.schema.empty_table(), torn_rows)
            named, repeated = self._named(parts)
            repeated_rows = self._repeated(repeated, files)
            self._refuse(repeated_rows, rejects, len(repeated))
            located = sum(place is not None for place in files.values("lon", repeated)) if len(repeated) else 0
            self.profile.take_back(repeated_rows, located=located)
        purged = self.raw.purged_rows
        self.figures.update(rows=len(torn) + purged, rejected=purged, expired=purged)
        self.figures["accepted"] = len(named.key)
        self.figures["unmapped"] = self.unmapped.total()
        document = {
            "key": key,
            "delivery": self.raw.received.digest,
            "figures": dict(sorted(self.figures.items())),
            "unmapped_codes": dict(sorted(self.unmapped.items())),
            "reasons": dict(sorted(self.reasons.items())),
            "profile": self.profile.document(),
        }
        return Accepted.finish(folder, document, named, self.schema)

    def _take(self, batch: Batch) -> _Taken:
        mapped = self.mapper.map(batch)
        located_by = self._locate(mapped)
        judge(mapped, self.source)
        expired = self._expire(mapped)  # last of all: nothing else is told of these rows
        good = ~mapped.issues.rejected
        table = _accepted_table(mapped, located_by, batch.rows, good, self.schema)
        told = _as_told(table)
        if "record_id" in self.source.columns:
            names = table.column("record_id").combine_chunks()
        else:
            names = content_names(told)
        content = content_hashes(told)
        return _Taken(
            table,
            months_of(table, self.source.layer, self.city.city.timezone),
            record_keys(self.source.id, names),
            content,
            likeness_hashes(told) if self.source.merge_equal_rows else content,
            _reject_rows(mapped.issues, batch.rows, self.source.id, self.raw),
            expired,
            len(batch.rows),
            mapped.figures,
            mapped.unmapped_codes(good),
        )

    def _locate(self, mapped: Mapped) -> pa.Array:
        """Say how records are located, and place those that have an address alone."""
        places = mapped.places
        by_coordinates = ~np.isnan(places.lon)
        located_by = np.full(len(by_coordinates), None, dtype=object)
        located_by[by_coordinates] = "coordinates"
        gazetteer = _gazetteer(self.source, self.around)
        if gazetteer is not None:
            asked = ~by_coordinates
            for name in ("coordinates", "lon", "lat", "x", "y", "geometry"):
                asked &= ~mapped.issues.flagged(name)
            addresses = mapped.columns["address"]
            if asked.any() and isinstance(addresses, pa.Array):
                found = gazetteer.locate(addresses.filter(pa.array(asked)))
                for name in ("lon", "lat", "x_m", "y_m"):
                    getattr(places, name)[asked] = getattr(found, name)
                rows = np.flatnonzero(asked)[found.outcome == Outcome.FOUND]
                mapped.columns["precision_m"][rows] = found.precision_m[found.outcome == Outcome.FOUND]
                located_by[rows] = "address"
        return pa.array(located_by, pa.string())

    def _expire(self, mapped: Mapped) -> int:
        limit, pair = self.around.expire_before, PERIODS.get(self.source.layer)
        if limit is None or pair is None or LAYER_FIELDS[self.source.layer][pair[0]].type is not FieldType.TIME:
            return 0
        days = local_time(mapped.columns[pair[0]], self.city.city.timezone).astype("datetime64[D]")
        expired = days < np.datetime64(limit)
        if expired.any():
            mapped.issues.forget(expired)
            mapped.issues.add(expired, pair[0], Reason.PAST_RETENTION)
        return int(expired.sum())

    def _count(self, taken: _Taken, rejects: pq.ParquetWriter) -> None:
        self.figures["rows"] += taken.rows
        self.figures["expired"] += taken.expired
        self.figures.update(taken.figures)
        self.unmapped.update(taken.unmapped)
        self.profile.add(taken.accepted, taken.rejects)
        self._refuse(taken.rejects, rejects, taken.rows - taken.accepted.num_rows)

    def _refuse(self, table: pa.Table, rejects: pq.ParquetWriter, rows: int) -> None:
        """Keep refused rows; a row may have several faults."""
        self.figures["rejected"] += rows
        if table.num_rows:
            rejects.write_table(table)
            for entry in table.column("reason").value_counts().to_pylist():
                self.reasons[entry["values"]] += entry["counts"]

    def _named(self, parts: list[Keys]) -> tuple[Keys, NDArray[np.int64]]:
        """Give every accepted row its own key, and tell which rows repeat a record id."""
        none = np.empty(0, dtype=np.uint64)
        key, content, likeness = (
            np.concatenate([none, *(getattr(part, name) for part in parts)]) for name in ("key", "content", "likeness")
        )
        row = np.concatenate([np.empty(0, dtype=np.int64), *(part.row for part in parts)])
        if (np.diff(np.sort(key)) > 0).all():  # as nearly always: then there is nothing to tell apart
            return Keys(key, content, likeness, row), np.empty(0, dtype=np.int64)
        again = occurrences(key)
        if "record_id" in self.source.columns:
            first = again == 0
            return Keys(key[first], content[first], likeness[first], row[first]), row[~first]
        repeats = np.flatnonzero(again)
        if len(repeats):
            # Equal rows can be different records: the second bears the content and the number 1, and so on.
            names = [f"{k:016x}\x1f{n}" for k, n in zip(key[repeats].tolist(), again[repeats].tolist(), strict=True)]
            key[repeats] = record_keys(self.source.id, pa.array(names, pa.string()))
        return Keys(key, content, likeness, row), np.empty(0, dtype=np.int64)

    def _repeated(self, rows: NDArray[np.int64], files: MonthFiles) -> pa.Table:
        if not len(rows):
            return REJECT_SCHEMA.empty_table()
        names = files.values("record_id", rows)
        return _refusals(rows, "record_id", names, Reason.DUPLICATE_RECORD_ID, self.source.id, self.raw)


def _accepted_table(
    mapped: Mapped, located_by: pa.Array, rows: NDArray[np.int64], good: NDArray[np.bool_], schema: pa.Schema
) -> pa.Table:
    """Accepted rows in the fields of their layer; nulls are Arrow's own."""
    places = mapped.places
    columns: dict[str, Any] = {
        **mapped.columns,
        **{name: getattr(places, name) for name in ("lon", "lat", "x_m", "y_m")},
        **{f"extra:{name}": values for name, values in mapped.extras.items()},
        "shape": pa.array(shapely.to_wkb(places.shapes), pa.binary()),
        "located_by": located_by,
        "row": pa.array(rows, pa.int64()),
    }
    table = pa.table([_arrow(columns[field.name], field.type) for field in schema], schema=schema)
    return table if good.all() else table.filter(pa.array(good))


def _arrow(values: pa.Array | NDArray[Any], kind: pa.DataType) -> pa.Array:
    if isinstance(values, pa.Array):
        return values
    if values.dtype.kind == "M":
        return pa.array(values, pa.timestamp("us")).cast(kind)
    return pa.array(values, kind, mask=np.isnan(values))


def _as_told(table: pa.Table) -> pa.Table:
    """Leave out what the source did not say: our own categories, and places that the gazetteer found.

    So a record stays the same record when the taxonomy or the streets change.
    """
    derived = {"located_by", "theme"} | ({"category"} if "source_code" in table.column_names else set())
    told = table.drop_columns([name for name in table.column_names if name in derived])
    found = pc.equal(table.column("located_by"), "address")
    if not pc.any(found).as_py():
        return told
    for name in ("lon", "lat", "precision_m"):
        told = told.set_column(
            told.column_names.index(name),
            name,
            pc.if_else(pc.fill_null(found, False), pa.scalar(None, pa.float64()), told.column(name)),
        )
    return told


def _reject_rows(issues: Issues, rows: NDArray[np.int64], source: str, raw: RawDelivery) -> pa.Table:
    found = issues.frame()
    if not len(found):
        return REJECT_SCHEMA.empty_table()
    numbers = rows[found["position"].to_numpy(dtype="int64")]
    return _refusals(numbers, found["field"], found["value"], found["reason"], source, raw)


def _torn_rows(rows: NDArray[np.int64], source: str, raw: RawDelivery) -> pa.Table:
    return _refusals(rows, None, None, Reason.MALFORMED_ROW, source, raw)


def _refusals(
    rows: NDArray[np.int64], fields: Any, values: Any, reasons: Any, source: str, raw: RawDelivery
) -> pa.Table:
    size = len(rows)

    def column(given: Any) -> pa.Array:
        if given is None or isinstance(given, str):
            return pa.repeat(pa.scalar(given, pa.string()), size)
        return pa.array(given, pa.string(), from_pandas=True)

    columns = [column(source), column(raw.received.digest), column(raw.received.name), pa.array(rows, pa.int64())]
    return pa.table([*columns, column(fields), column(values), column(reasons)], schema=REJECT_SCHEMA)
