"""Reads everything that a home folder and a database hold, decoded, to tell where a text is: nothing may hide.

Each file is known by its first bytes, never by its name; one that is of no known kind is an error. Texts are compared
without case, as words of letters and digits (``find`` takes ids and the like) or, when they have other characters, as
they stand in a value.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import sqlite3
import tempfile
import zipfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import rasterio
import sqlalchemy as sa
from pmtiles.reader import MemorySource, Reader, all_tiles
from pyarrow import ipc

from ogc_server.stores.engines import open_duckdb

Piece = tuple[str, str]
"""Where a text is, and the text."""
PSEUDONYM_KEY_BYTES = 32
_WORD = re.compile(r"[0-9a-z]+")


class UnknownFileError(Exception):
    """A file that nobody knows how to decode."""


def find(home: Path, needles: Collection[str], *, database_url: str | None = None) -> dict[str, set[str]]:
    """Place → needles found there, in a home folder and, when its URL is given, in a PostGIS."""
    wanted = {needle.lower() for needle in needles}
    words = {needle for needle in wanted if _WORD.fullmatch(needle)}
    found: dict[str, set[str]] = {}
    pieces = [read_home(home)] + ([read_database(database_url)] if database_url else [])
    for stream in pieces:
        for place, text in stream:
            lower = text.lower()
            hits = words.intersection(_WORD.findall(lower)) | {n for n in wanted - words if n in lower}
            if hits:
                found.setdefault(place, set()).update(hits)
    return found


def read_home(home: Path) -> Iterator[Piece]:
    """Every text of every file, and the names of files, folders and links."""
    for path in sorted(home.rglob("*")):
        place = path.relative_to(home).as_posix()
        yield place, place
        if path.is_symlink():
            yield place, str(path.readlink())
        elif path.is_file():
            yield from read_bytes(place, path.read_bytes())


def read_bytes(place: str, data: bytes) -> Iterator[Piece]:
    """Decode a file: what its format says, and its bytes as they are (pages that a database has freed)."""
    if not data:
        return
    yield f"{place} (bytes)", data.decode("latin-1")
    for is_one, decode in _DECODERS:
        if is_one(data):
            yield from decode(place, data)
            return
    if place.endswith("pseudonym.key") and len(data) == PSEUDONYM_KEY_BYTES:
        return
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnknownFileError(f"{place}: {len(data)} bytes of no known kind, beginning {data[:8]!r}") from error
    yield place, text
    if text[:1] in "{[":  # escapes are resolved
        yield from ((place, word) for word in _strings(_parsed(text)))


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return [json.loads(line) for line in text.splitlines() if line.endswith("}")]


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
        yield from (text for inner in value.values() for text in _strings(inner))
    elif isinstance(value, list):
        yield from (text for inner in value for text in _strings(inner))
    elif value is not None:
        yield str(value)


def _table(place: str, table: pa.Table) -> Iterator[Piece]:
    """Values of every column; numbers as digits, 64-bit keys as the ids that they spell, shapes as bytes."""
    for key, value in (table.schema.metadata or {}).items():
        yield place, f"{key.decode('latin-1')} {value.decode('latin-1')}"
    for name, column in zip(table.column_names, table.columns, strict=True):
        where = f"{place}:{name}"
        yield where, name
        yield from _column(where, column)


def _column(where: str, column: pa.ChunkedArray) -> Iterator[Piece]:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_struct(kind):
        for part, inner in zip(column.flatten(), kind, strict=True):
            yield from _column(f"{where}.{inner.name}", part)
        return
    values = column.unique().to_pylist() if not pa.types.is_nested(kind) else column.to_pylist()
    if pa.types.is_uint64(kind):
        yield where, "\n".join(f"{value:016x}" for value in values if value is not None)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        yield where, "\n".join(value.decode("latin-1") for value in values if value is not None)
    else:
        yield where, "\n".join(str(value) for value in values if value is not None)


def _parquet(place: str, data: bytes) -> Iterator[Piece]:
    file = pq.ParquetFile(pa.BufferReader(data))
    for key, value in (file.metadata.metadata or {}).items():
        yield place, f"{key.decode('latin-1')} {value.decode('latin-1')}"
    yield from _table(place, file.read())


def _arrow(place: str, data: bytes) -> Iterator[Piece]:
    yield from _table(place, ipc.open_file(pa.BufferReader(data)).read_all())


def _sqlite(place: str, data: bytes) -> Iterator[Piece]:
    """SQLite, and so GeoPackage: every table."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.deserialize(data)
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            for row in connection.execute(f'SELECT * FROM "{name}"'):
                yield (
                    f"{place}:{name}",
                    "\n".join(v.decode("latin-1") if isinstance(v, bytes) else str(v) for v in row),
                )
    finally:
        connection.close()


def _duckdb(place: str, data: bytes) -> Iterator[Piece]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "copy.duckdb"
        path.write_bytes(data)
        connection = open_duckdb(path)
        try:
            for (name,) in connection.execute("SELECT table_name FROM information_schema.tables").fetchall():
                cursor = connection.execute(f'SELECT COLUMNS(*)::VARCHAR FROM "{name}"')
                columns = [column[0] for column in cursor.description]
                for column, values in zip(columns, zip(*cursor.fetchall(), strict=True), strict=False):
                    yield f"{place}:{name}.{column}", "\n".join(value for value in set(values) if value is not None)
        finally:
            connection.close()


def _gzip(place: str, data: bytes) -> Iterator[Piece]:
    yield from read_bytes(f"{place}!", gzip.decompress(data))


def _zip(place: str, data: bytes) -> Iterator[Piece]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in archive.namelist():
            yield place, name
            yield from read_bytes(f"{place}!{name}", archive.read(name))


def _tiff(place: str, data: bytes) -> Iterator[Piece]:
    with rasterio.MemoryFile(data) as memory, memory.open() as raster:
        tags = [raster.tags(), *(raster.tags(band) for band in raster.indexes)]
        yield place, "\n".join([*(d or "" for d in raster.descriptions), *(str(tag) for tag in tags)])


def _pmtiles(place: str, data: bytes) -> Iterator[Piece]:
    source: Any = MemorySource(data)
    yield place, json.dumps(Reader(source).metadata(), ensure_ascii=False)
    for zxy, tile in all_tiles(source):
        plain = gzip.decompress(tile) if tile[:2] == b"\x1f\x8b" else tile
        yield f"{place}:{zxy}", "\n".join(tile_texts(plain))


def tile_texts(tile: bytes) -> Iterator[str]:
    """Names, keys and values of a vector tile (Mapbox Vector Tile 2.1: a protocol buffer), whole numbers as digits."""
    for number, layer in _fields(tile):
        if number != 3:
            continue
        for part, content in _fields(layer):
            if part in {1, 3}:  # name, key
                yield content.decode()
            elif part == 4:
                for kind, value in _fields(content):
                    yield value.decode() if kind == 1 else str(value)


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Fields of a protocol buffer: number, and bytes or the number that they are."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        size = {1: 8, 5: 4}.get(wire)
        if size is None:
            size, at = _varint(message, at)
        yield number, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


_DECODERS: list[tuple[Callable[[bytes], bool], Callable[[str, bytes], Iterator[Piece]]]] = [
    (lambda d: d[:4] == b"PAR1", _parquet),
    (lambda d: d[:6] == b"ARROW1", _arrow),
    (lambda d: d[:15] == b"SQLite format 3", _sqlite),
    (lambda d: d[8:12] == b"DUCK", _duckdb),
    (lambda d: d[:7] == b"PMTiles", _pmtiles),
    (lambda d: d[:2] == b"\x1f\x8b", _gzip),
    (lambda d: d[:4] == b"PK\x03\x04", _zip),
    (lambda d: d[:4] in {b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"}, _tiff),
]


def read_database(url: str) -> Iterator[Piece]:
    """Every row of every table of a PostgreSQL database, and the names of its schemas and tables."""
    engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"))
    try:
        with engine.connect() as connection:
            tables = connection.execute(
                sa.text(
                    "SELECT schemaname, tablename FROM pg_tables"
                    " WHERE schemaname NOT IN ('pg_catalog', 'information_schema') AND tablename <> 'spatial_ref_sys'"
                )
            ).all()
            for schema, table in tables:
                place = f"postgis:{schema}.{table}"
                yield place, place
                rows = connection.execute(sa.text(f'SELECT t::text FROM "{schema}"."{table}" t')).scalars().all()
                yield place, "\n".join(rows)
    finally:
        engine.dispose()
