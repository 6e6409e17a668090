"""Raw deliveries: what was received, minus what may not be kept, under the digest of the original."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from layers.city import City, Source
from layers.digests import digest_file, digest_json
from layers.errors import DeliveryError
from layers.home import Home, replace_file
from layers.lake import sync_path
from layers.parsing import as_text
from layers.readers import Delivery, read_delivery

_MARKERS = "marker-*.json"
"""Numbered, each with its own digest: the highest whole one counts, so that no rename is needed."""
_GEOMETRY = "__geometry__"
_GLOB_CHARACTERS = frozenset("*?[")
_PSEUDONYM_LENGTH = 32


@dataclass(frozen=True, slots=True)
class Received:
    """A delivery that the lake holds, or that waits in the city's folder (``path``)."""

    source: str
    digest: str
    name: str
    path: Path | None
    sequence: int | None
    """Order of arrival in the lake; None before it."""


def deliveries_of(source: Source, city: City, home: Home) -> list[Received]:
    """Deliveries of a source in the order in which they count.

    Those that the lake holds and the city file lists no more come first, in order of arrival (of a complete source the
    last of them alone); then those listed, in the order of the file (a glob in name order). So a corrected file follows
    the one that it replaces, wherever the old one has gone.

    Raises
    ------
    DeliveryError
        If a listed file is neither in the city's folder nor known to the lake, or a glob matches nothing and nothing
        is known.
    """
    known = {r.digest: r for r in _stored(source, home)}
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
            listed[digest] = Received(source.id, digest, name, path, stored.sequence if stored else None)
    if not listed and not known:
        raise DeliveryError(f"source {source.id!r}: no file matches {', '.join(source.deliveries)} in {city.folder}")
    gone = [r for r in known.values() if r.digest not in listed]
    if source.mode == "complete":
        gone = gone[-1:]  # one says what the next changed; what came before it has no part in the records
    return gone + list(listed.values())


def _matches(pattern: str, folder: Path) -> list[tuple[Path | None, str]]:
    if _GLOB_CHARACTERS & set(pattern):
        return [(path, path.name) for path in sorted(folder.glob(pattern)) if path.is_file()]
    path = folder / pattern
    return [(path if path.is_file() else None, Path(pattern).name)]


def _stored(source: Source, home: Home) -> list[Received]:
    folder = home.raw / source.id
    markers = [m for f in folder.iterdir() if (m := _marker(f))] if folder.is_dir() else []
    found = [Received(source.id, m["digest"], m["name"], None, m["sequence"]) for m in markers]
    return sorted(found, key=lambda r: (r.sequence or 0, r.digest))


def _marker(folder: Path) -> dict[str, Any] | None:
    """Return the highest whole marker, with its own name under ``marker``; None where no delivery counts."""
    for path in sorted(folder.glob(_MARKERS), reverse=True):
        try:
            document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            body: dict[str, Any] = document["delivery"]
        except (ValueError, KeyError, TypeError):
            continue  # a crash left it half written
        if document.get("digest") == digest_json(body):
            return {**body, "marker": path.name}
    return None


def read_received(received: Received, source: Source, home: Home) -> tuple[Delivery, bool]:
    """Read a delivery without the columns that may not be kept.

    Returns
    -------
    tuple
        The delivery, columns under ``drop`` left out and those under ``pseudonymise`` replaced by keyed hashes; and
        whether the lake already holds it in this form.
    """
    folder = home.raw / source.id / received.digest
    marker = _marker(folder)
    hidden = {"dropped": sorted(source.drop), "pseudonymised": sorted(source.pseudonymise)}
    if marker is not None and {key: marker[key] for key in hidden} == hidden:
        _remove_others(folder, marker)
        return _read_stored(folder, marker, source), True
    if received.path is not None:
        return _hidden(read_delivery(received.path, source.read), source, home), False
    if marker is None:
        raise DeliveryError(f"{received.name}: the lake's copy is damaged and the file is not in the city's folder")
    # What is hidden has changed since, and only the lake's copy is left: hide more of it, nothing comes back.
    if already := set(marker["pseudonymised"]) - set(source.pseudonymise) - set(source.drop):
        raise DeliveryError(f"{received.name}: {sorted(already)} were pseudonymised; deliver the file again")
    stored = _read_stored(folder, marker, source)
    return _hidden(stored, source, home, done=frozenset(marker["pseudonymised"])), False


def _hidden(delivery: Delivery, source: Source, home: Home, done: frozenset[str] = frozenset()) -> Delivery:
    kept = delivery.without(set(source.drop))
    columns = [c for c in source.pseudonymise if c in kept.table.column_names and c not in done]
    if not columns:
        return kept
    key = _pseudonym_key(home)
    table = kept.table
    for column in columns:
        text = as_text(pa.concat_arrays(table.column(column).chunks)).to_pylist() if table.num_rows else []
        hashes = [None if v is None else _pseudonym(key, v) for v in text]
        table = table.set_column(table.column_names.index(column), column, pa.array(hashes, pa.string()))
    return Delivery(table, kept.rows, kept.geometry, kept.crs, kept.malformed)


def _pseudonym(key: bytes, value: str) -> str:
    return hmac.new(key, value.encode(), hashlib.sha256).hexdigest()[:_PSEUDONYM_LENGTH]


def _pseudonym_key(home: Home) -> bytes:
    """Key of this home's pseudonyms: made once, never published."""
    path = home.state / "pseudonym.key"
    if not path.exists():
        replace_file(path, os.urandom(32))
        path.chmod(0o600)
    return path.read_bytes()


def store(received: Received, delivery: Delivery, source: Source, home: Home) -> None:
    """Keep a delivery in the lake: its bytes if nothing of it is hidden, else the columns that may be kept.

    The marker is written last: a crash leaves a folder that does not count or, where the delivery was there already,
    the copy that the marker names. What it does not name is then deleted.
    """
    folder = home.raw / source.id / received.digest
    present = _marker(folder)
    sequence = present["sequence"] if present else 1 + max((r.sequence or 0 for r in _stored(source, home)), default=0)
    whole = not source.drop and not source.pseudonymise and received.path is not None
    hidden = {"dropped": sorted(source.drop), "pseudonymised": sorted(source.pseudonymise)}
    # Another name for other hidden columns: the copy that is there may be the only one.
    file = _original_name(received.name) if whole else f"kept-{digest_json(hidden)[:12]}.parquet"
    body = {
        "name": received.name,
        "digest": received.digest,
        "sequence": sequence,
        "file": file,
        "rewritten": not whole,
        **hidden,
        "crs": delivery.crs,
        "rows": len(delivery.rows),
        "malformed": delivery.malformed.tolist(),
    }
    if present is None:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    if whole and received.path is not None:
        shutil.copyfile(received.path, folder / file)
    else:
        table = delivery.table
        if delivery.geometry is not None:
            table = table.append_column(_GEOMETRY, delivery.geometry)
        pq.write_table(table, folder / file, compression="zstd")
    sync_path(folder / file)
    number = 1 + max((int(path.stem.rpartition("-")[2]) for path in folder.glob(_MARKERS)), default=0)
    marker = folder / f"marker-{number:08d}.json"
    marker.write_text(json.dumps({"delivery": body, "digest": digest_json(body)}), encoding="utf-8")
    sync_path(marker)
    sync_path(folder)
    _remove_others(folder, {**body, "marker": marker.name})


def _remove_others(folder: Path, marker: dict[str, Any]) -> None:
    """Delete earlier copies and markers: they may hold columns that are hidden now."""
    for path in folder.iterdir():
        if path.name not in {marker["file"], marker["marker"]}:
            path.unlink()


def hide_in_older(source: Source, received: list[Received], home: Home) -> None:
    """Hide newly hidden columns in the deliveries that are kept and no longer read."""
    counted = {r.digest for r in received}
    for one in _stored(source, home):
        marker = _marker(home.raw / source.id / one.digest)
        if marker is None or one.digest in counted:
            continue
        gone = set(marker["dropped"])
        if set(source.drop) <= gone and set(source.pseudonymise) <= gone | set(marker["pseudonymised"]):
            continue
        delivery, _ = read_received(one, source, home)
        store(one, delivery, source, home)


def _original_name(name: str) -> str:
    return f"original-{name}" if Path(name).match(_MARKERS) else name


def _read_stored(folder: Path, marker: dict[str, Any], source: Source) -> Delivery:
    path = folder / marker["file"]
    if not marker["rewritten"]:
        return read_delivery(path, source.read)
    table = pq.ParquetFile(path).read()
    geometry = None
    if _GEOMETRY in table.column_names:
        chunks = table.column(_GEOMETRY).chunks
        geometry = pa.concat_arrays(chunks) if chunks else pa.array([], pa.binary())
        table = table.drop_columns([_GEOMETRY])
    malformed = np.array(marker["malformed"], dtype=np.int64)
    every = np.arange(1, marker["rows"] + len(malformed) + 1, dtype=np.int64)
    return Delivery(table, np.setdiff1d(every, malformed), geometry, marker["crs"], malformed)
