"""Tile archives (PMTiles v3) read the lean way: one memory map, one binary search, no copy until the socket.

Format: https://github.com/protomaps/PMTiles/blob/main/spec/v3/spec.md. The directories are read once, when the run is
opened; a run is immutable, so nothing is ever read twice.
"""

from __future__ import annotations

import bisect
import gzip
import json
import math
import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pmtiles.tile import Compression, deserialize_directory, deserialize_header, zxy_to_tileid

from layers.errors import RunError

_MERCATOR_LATITUDE: Final = 85.0511287798066
"""Latitude (degrees) at which the Web Mercator square ends."""
_LEAF_DEPTH: Final = 4


@dataclass(frozen=True, slots=True)
class TileRange:
    """Rows and columns that a tile set covers at one zoom level, all included."""

    zoom: int
    min_row: int
    max_row: int
    min_col: int
    max_col: int

    def holds(self, row: int, col: int) -> bool:
        """Tell whether the tile lies inside."""
        return self.min_row <= row <= self.max_row and self.min_col <= col <= self.max_col


def tile_range(bounds: tuple[float, float, float, float], zoom: int) -> TileRange:
    """Return the WebMercatorQuad tiles that touch a rectangle.

    Parameters
    ----------
    bounds
        west, south, east, north in CRS84 degrees.
    zoom
        Tile matrix of WebMercatorQuad (OGC 17-083r4, annex D).
    """
    west, south, east, north = bounds
    size = 1 << zoom

    def column(lon: float) -> int:
        return min(size - 1, max(0, math.floor((lon + 180.0) / 360.0 * size)))

    def row(lat: float) -> int:
        sine = math.sin(math.radians(min(_MERCATOR_LATITUDE, max(-_MERCATOR_LATITUDE, lat))))
        fraction = 0.5 - math.log((1.0 + sine) / (1.0 - sine)) / (4.0 * math.pi)
        return min(size - 1, max(0, math.floor(fraction * size)))

    return TileRange(zoom, row(north), row(south), column(west), column(east))


class TileArchive:
    """One PMTiles file of vector tiles.

    Parameters
    ----------
    path
        The archive.

    Raises
    ------
    RunError
        If the file is not a PMTiles v3 archive of gzip or plain tiles.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            header = deserialize_header(self._map[:127])
        except Exception as error:
            raise RunError(f"{path} is not a PMTiles v3 archive ({type(error).__name__})") from error
        if header["tile_compression"] not in {Compression.GZIP, Compression.NONE}:
            raise RunError(
                f"{path} holds tiles compressed by {header['tile_compression'].name}: gzip or none is expected"
            )
        self._data_offset: int = header["tile_data_offset"]
        self.gzipped: bool = header["tile_compression"] is Compression.GZIP
        self.min_zoom: int = header["min_zoom"]
        self.max_zoom: int = header["max_zoom"]
        self.bounds: tuple[float, float, float, float] = (
            header["min_lon_e7"] / 1e7,
            header["min_lat_e7"] / 1e7,
            header["max_lon_e7"] / 1e7,
            header["max_lat_e7"] / 1e7,
        )
        self.ranges = {z: tile_range(self.bounds, z) for z in range(self.min_zoom, self.max_zoom + 1)}
        self.metadata = self._metadata(header)
        self._ids: list[int] = []
        self._entries: list[tuple[int, int, int]] = []
        self._load(header, header["root_offset"], header["root_length"], depth=0)

    def _metadata(self, header: Any) -> dict[str, Any]:
        start, length = header["metadata_offset"], header["metadata_length"]
        data = self._map[start : start + length]
        if header["internal_compression"] is Compression.GZIP:
            data = gzip.decompress(data)
        document: dict[str, Any] = json.loads(data) if data else {}
        return document

    def _load(self, header: Any, offset: int, length: int, *, depth: int) -> None:
        """Flatten the tree of directories into one sorted list."""
        if depth > _LEAF_DEPTH:
            raise RunError("a tile archive's directories are nested deeper than the format allows")
        for entry in deserialize_directory(self._map[offset : offset + length]):
            if entry.run_length == 0:
                self._load(header, header["leaf_directory_offset"] + entry.offset, entry.length, depth=depth + 1)
            else:
                self._ids.append(entry.tile_id)
                self._entries.append((entry.offset, entry.length, entry.run_length))

    def tile(self, zoom: int, row: int, col: int) -> bytes | None:
        """Return a tile as stored, or None where the archive holds none."""
        tile_id = zxy_to_tileid(zoom, col, row)
        place = bisect.bisect_right(self._ids, tile_id) - 1
        if place < 0:
            return None
        offset, length, run_length = self._entries[place]
        if tile_id >= self._ids[place] + run_length:
            return None
        start = self._data_offset + offset
        return self._map[start : start + length]

    @property
    def vector_layers(self) -> list[dict[str, Any]]:
        """Layers as TileJSON 3.0 describes them."""
        layers: list[dict[str, Any]] = self.metadata.get("vector_layers") or []
        return layers
