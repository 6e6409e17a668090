"""Shapefiles in an archive: whether all companions are there and whole, which GDAL does not ask.

The sizes are those of the ESRI Shapefile Technical Description (July 1998) and of the dBASE III table header.
"""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path, PurePosixPath

import numpy as np

from layers.errors import DeliveryError
from layers.readers.archives import check_archive

_HEADER_BYTES = 100
_INDEX_RECORD_BYTES = 8


def check_shapefile(path: Path, layer: str | None) -> str:
    """Find the shapefile of an archive, and refuse it when a part is missing or cut short.

    Parameters
    ----------
    path
        Zip archive.
    layer
        Name of the shapefile, where there are several.

    Returns
    -------
    str
        Name of the member that ends with ``.shp``.

    Raises
    ------
    DeliveryError
        Names the member.
    """
    check_archive(path, "a zip archive")
    with zipfile.ZipFile(path) as archive:
        members = [entry for entry in archive.infolist() if not entry.filename.startswith("__MACOSX/")]
        shape = _shape(members, layer, path.name)
        stem = shape.filename[: -len(".shp")].lower()
        parts = {e.filename[len(stem) :].lower(): e for e in members if e.filename.lower().startswith(f"{stem}.")}
        if missing := [suffix for suffix in (".shx", ".dbf") if suffix not in parts]:
            raise DeliveryError(f"{path.name}: {shape.filename} has no companion {', '.join(missing)}")
        records = _indexed(archive, shape, parts[".shx"], path.name)
        _check_attributes(archive, parts[".dbf"], records, path.name)
    return shape.filename


def _shape(members: list[zipfile.ZipInfo], layer: str | None, name: str) -> zipfile.ZipInfo:
    found = {PurePosixPath(e.filename).stem: e for e in members if e.filename.lower().endswith(".shp")}
    if layer is not None:
        if layer not in found:
            raise DeliveryError(f"{name}: has no layer {layer!r}; it has {', '.join(found)}")
        return found[layer]
    if len(found) != 1:
        what = f"has the layers {', '.join(found)}: name one under read.layer" if found else "holds no .shp"
        raise DeliveryError(f"{name}: {what}")
    return next(iter(found.values()))


def _begins(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, count: int, name: str) -> bytes:
    with archive.open(entry) as file:
        data = file.read(count)
    if len(data) < count:
        raise DeliveryError(f"{name}: {entry.filename} is cut short: {len(data)} bytes")
    return data


def _indexed(archive: zipfile.ZipFile, shape: zipfile.ZipInfo, index: zipfile.ZipInfo, name: str) -> int:
    """Count the records of the index, once it and the shapes are as long as they say."""
    sizes: list[int] = []
    for entry in (shape, index):
        (words,) = struct.unpack_from(">i", _begins(archive, entry, _HEADER_BYTES, name), 24)
        if entry.file_size < 2 * words:
            raise DeliveryError(
                f"{name}: {entry.filename} is cut short: {entry.file_size} bytes where its header says {2 * words}"
            )
        sizes.append(2 * words)
    with archive.open(index) as file:
        data = file.read(sizes[1])[_HEADER_BYTES:]
    count = len(data) // _INDEX_RECORD_BYTES
    start, length = np.frombuffer(data[: count * _INDEX_RECORD_BYTES], ">i4").reshape(-1, 2).T.astype(np.int64) * 2
    # GDAL gives no geometry where the index leads nowhere.
    astray = np.flatnonzero((start < _HEADER_BYTES) | (start + length + _INDEX_RECORD_BYTES > sizes[0]))
    if len(astray):
        raise DeliveryError(
            f"{name}: row {astray[0] + 1}, geometry: {index.filename} places it outside {shape.filename}"
        )
    return count


def _check_attributes(archive: zipfile.ZipFile, table: zipfile.ZipInfo, records: int, name: str) -> None:
    count, header_bytes, record_bytes = struct.unpack_from("<IHH", _begins(archive, table, 32, name), 4)
    if count != records:
        raise DeliveryError(f"{name}: {table.filename} has {count} rows for {records} shapes")
    if table.file_size < header_bytes + count * record_bytes:
        raise DeliveryError(
            f"{name}: {table.filename} is cut short: {table.file_size} bytes where its header says "
            f"{header_bytes + count * record_bytes}"
        )
