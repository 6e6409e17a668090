"""Deliveries out of databases: each pull that brings something new is one, kept like a file.

A pull reads twice inside one state of the database. The first reading makes the digest and writes nothing, so that
what is not new costs no disk; the second one is screened and stored. The digest is that of the rows as a set (the sum
of each row's SHA-256, modulo 2^256: multiset hashing of Clarke et al., ASIACRYPT 2003), so it does not depend on the
order in which a database gives them.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from layers.declared_sources import Database, Source
from layers.digests import digest_json
from layers.errors import DeliveryError
from layers.home import Home
from layers.readers.base import Batch, OpenDelivery
from layers.readers.database import Part, Snapshot, open_snapshot
from layers.receiving import RawDelivery, Received, raw_deliveries, store_batches

_MODULUS = 2**256
_BYTES = pa.large_binary()
_WATERMARKS: Mapping[str, Callable[[str], Any]] = {
    "int": int,
    "Decimal": Decimal,
    "datetime": dt.datetime.fromisoformat,
    "date": dt.date.fromisoformat,
    "str": str,
}
"""Types of watermarks and how their text is read back."""


@dataclass(slots=True)
class RowSet:
    """Digest of rows as a set in which equal rows count; ``size_bytes`` is the length of their canonical text."""

    rows: int = 0
    total: int = 0
    size_bytes: int = 0

    def add(self, hashes: list[int]) -> None:
        """Count these rows in."""
        self.rows += len(hashes)
        self.total = (self.total + sum(hashes)) % _MODULUS

    def __add__(self, other: RowSet) -> RowSet:
        return RowSet(self.rows + other.rows, (self.total + other.total) % _MODULUS, self.size_bytes + other.size_bytes)

    def digest(self, snapshot: Snapshot) -> str:
        """Digest of the rows, the names of their columns and their reference system."""
        names = [column.name for column in snapshot.columns]
        return digest_json({"columns": names, "crs": snapshot.crs, "rows": self.rows, "sum": f"{self.total:064x}"})


@dataclass(slots=True)
class Summary:
    """What one reading met: all rows, those of the highest watermark, and those without one."""

    whole: RowSet = field(default_factory=RowSet)
    at_highest: RowSet = field(default_factory=RowSet)
    without: RowSet = field(default_factory=RowSet)
    highest: Any = None

    def add(self, part: Part) -> None:
        """Count a part in. Parts come in the order of their watermarks, as the database compares them."""
        lines = canonical_rows(part.batch)
        hashes = [int.from_bytes(hashlib.sha256(line).digest()) for line in lines]
        self.whole.add(hashes)
        self.whole.size_bytes += sum(map(len, lines))
        if part.watermarks is None:
            return
        marks = [None if isinstance(m, Decimal) and not m.is_finite() else m for m in part.watermarks]
        last = next((m for m in reversed(marks) if m is not None), None)
        if last is not None and last != self.highest:
            self.highest, self.at_highest = last, RowSet()
        pairs = list(zip(hashes, marks, strict=True))
        self.at_highest.add([h for h, m in pairs if m is not None and m == self.highest])
        self.without.add([h for h, m in pairs if m is None])


def pull(
    source: Source, home: Home, *, extras: frozenset[str], environ: Mapping[str, str] = os.environ
) -> Received | None:
    """Take what is new in a source's database as a delivery of the lake.

    With a watermark, the rows at or after the highest value that was pulled are asked for, and those without a value:
    a row that came later under the same time is not lost, and rows that are known already are unchanged records.

    Parameters
    ----------
    source
        A source with ``database``.
    home
        The home folder, of which the caller is the only writer.
    extras
        Columns that are kept besides the mapped ones.
    environ
        Where the variable ``database.url_env`` is.

    Returns
    -------
    Received or None
        The delivery, called ``<table>@<digest>``; None where nothing is new.

    Raises
    ------
    DeliveryError
        If the variable is not set, the database refuses, or the rows are refused as a delivery; nothing is kept.
    """
    database = source.database
    if database is None:
        raise DeliveryError(f"source {source.id!r} has no database to pull from")
    url = environ.get(database.url_env)
    if not url:
        raise DeliveryError(
            f"source {source.id!r}: the environment variable {database.url_env} is not set; it holds the database's URL"
        )
    held = raw_deliveries(source.id, home)
    previous = _pulled(held[-1], database) if held else None
    since = _decoded(previous["watermark"]) if previous else None
    try:
        with open_snapshot(database, url=url, since=since, without=source.drop) as snapshot:
            summary = Summary()
            for part in snapshot.parts():
                summary.add(part)
            made = _extra(summary, snapshot, database, previous)
            known = (previous["content"], previous["boundary"]) if previous else ()
            if made["content"] in known or (since is not None and not summary.whole.rows):
                return None
            digest = made["content"]
            if digest in {raw.received.digest for raw in held}:  # back to an earlier state: a delivery of its own
                digest = digest_json([digest, held[-1].received.digest])
            return store_batches(
                source,
                home,
                digest=digest,
                name=f"{database.table or 'query'}@{digest[:8]}",
                opened=_same_again(snapshot, summary),
                size_bytes=summary.whole.size_bytes,
                extra={"pull": made},
                extras=extras,
            ).received
    except DeliveryError as error:
        raise DeliveryError(f"source {source.id!r}: {error}") from error


def _same_again(snapshot: Snapshot, first: Summary) -> OpenDelivery:
    """Read again, for the lake; refused at its end where the rows were not those of the first reading."""

    def batches() -> Iterator[Batch]:
        second = Summary()
        for part in snapshot.parts():
            second.add(part)
            yield part.batch
        if second.whole != first.whole:
            raise DeliveryError("the database changed while it was read (its tables have no transactions): pull again")

    return snapshot.delivery(batches())


def canonical_rows(batch: Batch) -> list[bytes]:
    """One text per row: each value with its length before it, null as ``~``, so that no two rows share one."""
    columns = [*batch.table.columns] if batch.geometry is None else [*batch.table.columns, batch.geometry]
    if not columns:
        return [b""] * batch.table.num_rows
    texts = [_lengthened(column) for column in columns]
    joined = pc.binary_join_element_wise(
        *texts, pa.scalar(b",", _BYTES), null_handling="replace", null_replacement=b"~"
    )
    rows: list[bytes] = joined.to_pylist()
    return rows


def _lengthened(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    text = (column if pa.types.is_binary(column.type) else column.cast(pa.large_string())).cast(_BYTES)
    length = pc.binary_length(text).cast(pa.large_string()).cast(_BYTES)
    return pc.binary_join_element_wise(length, text, pa.scalar(b":", _BYTES))


def _definition(database: Database) -> str:
    return digest_json(database.model_dump(mode="json", include={"table", "query", "watermark", "geometry"}))


def _pulled(raw: RawDelivery, database: Database) -> dict[str, Any] | None:
    """What the last pull noted; None where the city file asks for something else since: then all is asked for."""
    noted: dict[str, Any] | None = raw.extra.get("pull")
    return noted if noted is not None and noted["definition"] == _definition(database) else None


def _extra(
    summary: Summary, snapshot: Snapshot, database: Database, previous: Mapping[str, Any] | None
) -> dict[str, Any]:
    marked = database.watermark is not None
    watermark = _encoded(summary.highest) if summary.highest is not None else previous and previous["watermark"]
    return {
        "definition": _definition(database),
        "content": summary.whole.digest(snapshot),
        # What the next pull finds again when nothing is new.
        "boundary": (summary.at_highest + summary.without).digest(snapshot) if marked else None,
        "watermark": watermark,
    }


def _encoded(watermark: Any) -> dict[str, str]:
    value = watermark.isoformat() if isinstance(watermark, dt.date) else str(watermark)
    return {"type": type(watermark).__name__, "value": value}


def _decoded(noted: Mapping[str, str] | None) -> Any:
    return None if noted is None else _WATERMARKS[noted["type"]](noted["value"])
