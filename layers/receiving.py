"""Receiving deliveries: what may be kept of them comes into the lake, under the digest of the original."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from layers.city import City, Source
from layers.digests import digest_file
from layers.errors import DeliveryError
from layers.home import Home
from layers.in_order import in_order
from layers.kept_columns import check_columns, fields_of, plain_values, pseudonym_key, pseudonyms
from layers.personal import Screen
from layers.raw_copies import (
    GEOMETRY,
    ROW_NUMBER,
    CopyWriter,
    RawDelivery,
    Received,
    raw_deliveries,
    remove_others,
    stored_delivery,
)
from layers.readers import Batch, OpenDelivery, open_delivery, reader_for

__all__ = [
    "GEOMETRY",
    "ROW_NUMBER",
    "RawDelivery",
    "Received",
    "check_columns",
    "deliveries_of",
    "discard",
    "hide_in_older",
    "hides_more",
    "raw_deliveries",
    "receive",
    "store_batches",
]

_GLOB_CHARACTERS = frozenset("*?[")
_Masked = Mapping[str, Mapping[str, int]]


def deliveries_of(source: Source, city: City, home: Home) -> list[Received]:
    """Deliveries of a source in the order in which they count.

    Those that the lake holds and the city file lists no more come first, in order of arrival (of a complete source the
    last of them alone); then those listed, in the order of the file (a glob in name order). So a corrected file follows
    the one that it replaces, wherever the old one has gone. Of a source that is a database: what the lake holds.

    Raises
    ------
    DeliveryError
        If a listed file is neither in the city's folder nor known to the lake, or a glob matches nothing and nothing
        is known.
    """
    known = {raw.received.digest: raw.received for raw in raw_deliveries(source.id, home)}
    listed: dict[str, Received] = {}
    for pattern in source.deliveries:
        for path, name in _matches(pattern, city.folder):
            if path is None:
                found = next((r for r in reversed(known.values()) if r.name == name), None)
                if found is None:
                    raise DeliveryError(f"{city.folder / pattern}: no such delivery of source {source.id!r}")
                listed[found.digest] = found
                continue
            digest = digest_file(path)
            stored = known.get(digest)
            if digest in listed and listed[digest].path != path:
                del listed[digest]  # back to an earlier state: its last place counts
            listed[digest] = Received(source.id, digest, name, path, stored.sequence if stored else None)
    if not listed and not known:
        nothing = f"no file matches {', '.join(source.deliveries)} in {city.folder}"
        raise DeliveryError(f"source {source.id!r}: {'nothing was pulled yet' if source.database else nothing}")
    gone = [r for r in known.values() if r.digest not in listed]
    if source.mode == "complete":
        # One says what the next changed; what came before it has no part in the records. Of a database none is listed.
        gone = gone[-2:] if source.database else gone[-1:]
    return gone + list(listed.values())


def _matches(pattern: str, folder: Path) -> list[tuple[Path | None, str]]:
    if _GLOB_CHARACTERS & set(pattern):
        return [(path, path.name) for path in sorted(folder.glob(pattern)) if path.is_file()]
    path = folder / pattern
    return [(path if path.is_file() else None, Path(pattern).name)]


def receive(one: Received, source: Source, home: Home, *, extras: frozenset[str]) -> RawDelivery:
    """Bring a delivery into the lake, or find it there in the form that the city file asks for.

    Where what is hidden has changed since, the file is read again; when it is gone, more is hidden in the lake's copy,
    and nothing that was hidden can come back.

    Parameters
    ----------
    one
        The delivery.
    source
        Its source.
    home
        The home folder, of which the caller is the only writer.
    extras
        Columns that are kept besides the mapped ones, for derived zones.

    Raises
    ------
    DeliveryError
        If it is refused: then nothing of it is kept. An earlier copy of it stays as it was.
    """
    _sweep(source.id, home)
    folder = home.raw / source.id / one.digest
    stored = stored_delivery(folder)
    if stored is not None and _holds(stored, source, extras, reread=one.path is not None):
        remove_others(folder, stored)
        return stored
    if one.path is not None:
        with open_delivery(one.path, source.read) as opened:
            opened.batches = _unchanged(opened.batches, one)
            return store_batches(
                source,
                home,
                digest=one.digest,
                name=one.name,
                opened=opened,
                size_bytes=one.path.stat().st_size,
                extra={"format": reader_for(one.path, source.read).formats[0]},
                extras=extras,
            )
    if stored is None:
        raise DeliveryError(f"{one.name}: the lake's copy is damaged and the file is not in the city's folder")
    return _hide_more(stored, source, home, extras)


def discard(raw: RawDelivery) -> None:
    """Leave nothing of a delivery that was received and then refused: it would be refused with the next one too."""
    shutil.rmtree(raw.folder)


def store_batches(
    source: Source,
    home: Home,
    *,
    digest: str,
    name: str,
    opened: OpenDelivery,
    size_bytes: int,
    extra: dict[str, Any],
    extras: frozenset[str],
) -> RawDelivery:
    """Screen a delivery and keep what may be kept of it, under ``digest``.

    Parameters
    ----------
    source, home, extras
        As for :func:`receive`.
    digest
        Digest of the original.
    name
        Name of the delivery.
    opened
        Its columns and rows.
    size_bytes
        Size of the original.
    extra
        What should be noted with it, as JSON; ``format`` where it came as a file.

    Raises
    ------
    DeliveryError
        If its columns are not those of the source, or it holds personal data: then nothing of it is kept.
    """
    check_columns(opened.columns, source, extras, name)
    present = stored_delivery(home.raw / source.id / digest)
    batches = opened.batches
    if present is not None and present.purged_rows:
        batches = _survivors(batches, present)  # what was destroyed does not come back with the file
    body = {
        "source": source.id,
        "name": name,
        "digest": digest,
        "size_bytes": size_bytes,
        "format": extra.get("format", "database"),
        "extra": extra,
        "sequence": present.received.sequence if present else _next_sequence(source.id, home),
        "received_at": (present.received_at if present else dt.datetime.now(dt.UTC)).isoformat(timespec="seconds"),
        "crs": opened.crs,
        "decimal": source.read.decimal or opened.decimal,
        "read": source.read.model_dump(mode="json"),
        "purged_before": present.marker["purged_before"] if present else None,
        "purged_rows": present.purged_rows if present else 0,
    }
    columns = [column for column in opened.columns if column not in source.drop]
    return _copied(body, batches, columns, source, home, has_geometry=opened.has_geometry)


def hide_in_older(source: Source, received: Sequence[Received], home: Home) -> None:
    """Hide newly hidden columns in the deliveries that are kept and no longer read."""
    counted = {one.digest for one in received}
    for stored in raw_deliveries(source.id, home):
        if stored.received.digest not in counted and _shows_too_much(stored, source):
            _rewritten(stored, source, home)


def hides_more(source: Source, home: Home) -> bool:
    """Whether a delivery in the lake shows a column that the city file hides now: so may all that was made of it."""
    return any(_shows_too_much(stored, source) for stored in raw_deliveries(source.id, home))


def _shows_too_much(stored: RawDelivery, source: Source) -> bool:
    plain = set(stored.columns) - set(stored.marker["pseudonymised"])
    return bool(set(source.drop) & set(stored.columns) or set(source.pseudonymise) & plain)


def _holds(stored: RawDelivery, source: Source, extras: frozenset[str], *, reread: bool) -> bool:
    """Whether the lake's copy is what the city file asks for: its columns, hidden and screened for its fields."""
    marker, fields = stored.marker, fields_of(source)
    wanted = set(fields) | extras | {*source.pseudonymise}
    return (
        wanted - set(source.pseudonymise) <= set(stored.columns) <= wanted
        and marker["hidden"] == _hidden(source)
        and marker["fields"] == {column: fields.get(column, []) for column in stored.columns}
        and source.read.decimal in {None, stored.decimal}
        and (not reread or marker["read"] == source.read.model_dump(mode="json"))
    )


def _hidden(source: Source) -> dict[str, list[str]]:
    return {"dropped": sorted(source.drop), "pseudonymised": sorted(source.pseudonymise)}


def _hide_more(stored: RawDelivery, source: Source, home: Home, extras: frozenset[str]) -> RawDelivery:
    """Make the only copy that is left what the city file asks for."""
    name, have = stored.received.name, set(stored.columns)
    if already := set(stored.marker["pseudonymised"]) & have - set(source.pseudonymise) - set(source.drop):
        raise DeliveryError(f"{name}: {sorted(already)} were pseudonymised; deliver the file again")
    if gone := (set(fields_of(source)) | extras) & set(stored.marker["hidden"]["dropped"]) - have:
        raise DeliveryError(f"{name}: {sorted(gone)} were dropped; deliver the file again")
    check_columns(stored.columns, source, extras, name)
    return _rewritten(stored, source, home)


def _rewritten(stored: RawDelivery, source: Source, home: Home) -> RawDelivery:
    body = {**stored.marker, "decimal": source.read.decimal or stored.decimal}
    columns = [column for column in stored.columns if column not in source.drop]
    return _copied(body, stored.batches(), columns, source, home, has_geometry=stored.has_geometry, stored=stored)


def _copied(
    body: Mapping[str, Any],
    batches: Iterator[Batch],
    columns: Sequence[str],
    source: Source,
    home: Home,
    *,
    has_geometry: bool,
    stored: RawDelivery | None = None,
) -> RawDelivery:
    """Write a copy: columns that are hidden are hashed or left out, and every value is screened before it is written.

    ``stored`` is the copy that the rows come from, if they do: what is done to them already is done once.
    """
    name = str(body["name"])
    screen = Screen(source, name)
    screen.check_header(columns)
    done = set(stored.marker["pseudonymised"]) if stored else set()
    pseudonymised = [column for column in columns if column in source.pseudonymise]
    key = pseudonym_key(home) if pseudonymised else b""
    malformed = list(stored.marker["malformed"]) if stored else []
    writer = CopyWriter(home.raw / source.id / str(body["digest"]), columns, has_geometry=has_geometry)

    def screened(batch: Batch) -> tuple[pa.Table, Batch]:
        table = plain_values(batch.table.select(columns), name)
        for column in pseudonymised:
            if column not in done:
                position = columns.index(column)
                table = table.set_column(position, column, pseudonyms(key, table.column(column)))
        return screen.batch(table, batch.rows), batch

    def written(given: tuple[pa.Table, Batch]) -> Batch:
        table, batch = given
        writer.write(table, batch.rows, batch.geometry)
        return batch

    try:
        # One thread screens a batch while another writes the one before, and this one reads the next.
        for batch in in_order(written, in_order(screened, batches, threads=1), threads=1):
            malformed += batch.malformed.tolist()
        masked = _added(stored.masked if stored else {}, screen.conclude())
        fields = fields_of(source)
        return writer.finish(
            {key: value for key, value in body.items() if key != "marker"}
            | {
                "rows": stored.rows if stored else writer.rows + int(body["purged_rows"]),
                "malformed": malformed,
                "masked": masked,
                "pseudonymised": sorted({*pseudonymised, *(done & set(columns))}),
                "hidden": _hidden(source),
                "fields": {column: fields.get(column, []) for column in columns},
            }
        )
    except BaseException:
        writer.abandon()
        raise


def _added(one: _Masked, other: _Masked) -> dict[str, dict[str, int]]:
    columns = sorted({*one, *other})
    return {
        column: {
            kind: one.get(column, {}).get(kind, 0) + other.get(column, {}).get(kind, 0)
            for kind in sorted({*one.get(column, {}), *other.get(column, {})})
        }
        for column in columns
    }


def _unchanged(batches: Iterator[Batch], one: Received) -> Iterator[Batch]:
    """Pass a file's batches on; refused at their end when it is no longer the file whose digest was taken."""
    yield from batches
    if one.path is not None and digest_file(one.path) != one.digest:
        raise DeliveryError(f"{one.name}: changed while it was read; deliver it again once it is whole")


def _survivors(batches: Iterator[Batch], present: RawDelivery) -> Iterator[Batch]:
    numbers = present.row_numbers()
    for batch in batches:
        kept = np.isin(batch.rows, numbers)
        geometry = batch.geometry.filter(pa.array(kept)) if batch.geometry is not None else None
        yield Batch(batch.table.filter(pa.array(kept)), batch.rows[kept], geometry, batch.malformed)


def _next_sequence(source_id: str, home: Home) -> int:
    return 1 + max((raw.received.sequence or 0 for raw in raw_deliveries(source_id, home)), default=0)


def _sweep(source_id: str, home: Home) -> None:
    """Delete what interrupted copies left: they may hold what their delivery would have been refused for."""
    folder = home.raw / source_id
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        remove_others(path, stored_delivery(path))
