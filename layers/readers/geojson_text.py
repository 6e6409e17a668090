"""GeoJSON before GDAL sees it: that it is GeoJSON, and that it speaks of one reference system.

GDAL's GeoJSON driver reads the file to its end before it gives the first feature, and refuses one that is cut short.
What it does not refuse: reference systems of single features, which it ignores, and those behind an address, which it
would fetch.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from pathlib import Path

import pyproj

from layers.errors import DeliveryError
from layers.readers.unread import row_of_nul

_BLOCK_BYTES = 2**22
_OVERLAP_BYTES = 4096
_HEAD_BYTES = 2**16
_GEOMETRIES = "Point|MultiPoint|LineString|MultiLineString|Polygon|MultiPolygon|GeometryCollection"
_KIND = re.compile(rf'"type"\s*:\s*"(FeatureCollection|Feature|{_GEOMETRIES})"'.encode())
_OTHER_KIND = re.compile(rb'"type"\s*:\s*"(gdal_streamed_alg|Topology)"')
_CRS = re.compile(rb'"crs"\s*:\s*(\{[^{}]*(?:\{[^{}]*\})?[^{}]*\})')
_GEOMETRY, _PROPERTIES = re.compile(rb'"geometry"\s*:'), re.compile(rb'"properties"\s*:')
_NOWHERE = re.compile(rb'"geometry"\s*:\s*null|"(?:coordinates|geometries)"\s*:\s*\[\s*\]')
_NUL = re.compile(rb"\\u0000")
_LINKED = re.compile(rb'"type"\s*:\s*"(?:link|url|URL)"')
_NAMED = re.compile(rb'"(?:name|code)"\s*:\s*"?([^",}]+)')


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look through a file told.

    ``rows`` is how many it has at least: as many as it has members ``geometry`` and ``properties`` (GDAL passes over
    features without ``"type": "Feature"``); ``nowhere``, how many of them say that they have no place.
    """

    rows: int
    nowhere: int


def check_geojson(path: Path) -> Seen:
    """Look through a file.

    Raises
    ------
    DeliveryError
        If it is no GeoJSON, is not UTF-8, holds a NUL, links to a reference system, names several, or one that is
        none.
    """
    name = path.name
    systems: set[bytes] = set()
    members = {_GEOMETRY: 0, _PROPERTIES: 0, _NOWHERE: 0, _NUL: 0}
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        begins = head.removeprefix(codecs.BOM_UTF8).lstrip()
        if not begins.startswith(b"{") or _OTHER_KIND.search(head) or not _KIND.search(head):
            raise DeliveryError(f"{name}: is no GeoJSON: it does not begin as one")
        block, tail = head, b""
        while block:
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                raise DeliveryError(f"{name}: is not UTF-8 text, as GeoJSON is: {error.reason}") from error
            data = tail + block
            systems |= _systems(data, name)
            for member in members:
                members[member] += sum(match.end() > len(tail) for match in member.finditer(data))
            tail = data[-_OVERLAP_BYTES:]
            block = file.read(_BLOCK_BYTES)
    if len(systems) > 1:
        shown = ", ".join(sorted(system.decode("utf-8", "replace") for system in systems))
        raise DeliveryError(f"{name}: its members are in several reference systems ({shown}); deliver one")
    if members[_NUL] and (row := row_of_nul(path)) is not None:
        where = f"row {row}: " if row else ""
        raise DeliveryError(f"{name}: {where}a text holds a NUL, at which it would be cut")
    # A named reference system has properties, and no geometry.
    return Seen(min(members[_GEOMETRY], members[_PROPERTIES]), members[_NOWHERE])


def _systems(data: bytes, name: str) -> set[bytes]:
    found: set[bytes] = set()
    for match in _CRS.finditer(data):
        if _LINKED.search(match[1]):
            raise DeliveryError(f"{name}: its reference system is a link, which is not followed; name it")
        found.update(named[1] for named in _NAMED.finditer(match[1]) if named[1] not in {b"name", b"EPSG"})
    for system in sorted(found):
        spelled = system.decode("utf-8", "replace").strip()
        try:
            pyproj.CRS.from_user_input(f"EPSG:{spelled}" if spelled.isdecimal() else spelled)
        except pyproj.exceptions.CRSError as error:
            # GDAL would take the coordinates for degrees.
            raise DeliveryError(f"{name}: its reference system {spelled[:60]!r} is not known") from error
    return found
