"""Tile archives against the reference reader of PMTiles, and tile limits against Mercator's own formula."""

from __future__ import annotations

import gzip

import morecantile
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pmtiles.reader import MmapSource, Reader
from pmtiles.tile import Compression, TileType, zxy_to_tileid
from pmtiles.writer import Writer

from layers.errors import RunError
from ogc_server.archives import TileArchive, tile_range

BOUNDS = (5.2, 43.2, 5.6, 43.4)


@pytest.fixture(scope="module")
def archive_path(tmp_path_factory):
    """An archive large enough for leaf directories, with gaps and repeated tiles (run lengths)."""
    path = tmp_path_factory.mktemp("tiles") / "family.pmtiles"
    with path.open("wb") as file:
        writer = Writer(file)
        for zoom in range(8, 17):
            limits = tile_range(BOUNDS, zoom)
            tiles = [
                (zxy_to_tileid(zoom, x, y), x, y)
                for x in range(limits.min_col, limits.max_col + 1)
                for y in range(limits.min_row, limits.max_row + 1)
                if (x + y) % 5 or zoom < 12
            ]
            for tile_id, x, y in sorted(tiles):
                content = b"sea" if zoom > 13 and x % 3 == 0 else f"{zoom}/{x}/{y}".encode()
                writer.write_tile(tile_id, gzip.compress(content, mtime=0))
        header = {
            "tile_type": TileType.MVT,
            "tile_compression": Compression.GZIP,
            "min_zoom": 8,
            "max_zoom": 16,
            "min_lon_e7": round(BOUNDS[0] * 1e7),
            "min_lat_e7": round(BOUNDS[1] * 1e7),
            "max_lon_e7": round(BOUNDS[2] * 1e7),
            "max_lat_e7": round(BOUNDS[3] * 1e7),
        }
        writer.finalize(header, {"vector_layers": [{"id": "hotspots", "fields": {}, "minzoom": 8, "maxzoom": 16}]})
    return path


def test_header_and_layers_are_read(archive_path):
    archive = TileArchive(archive_path)
    assert (archive.min_zoom, archive.max_zoom, archive.gzipped) == (8, 16, True)
    assert archive.bounds == pytest.approx(BOUNDS)
    assert [layer["id"] for layer in archive.vector_layers] == ["hotspots"]


def test_every_tile_is_that_of_the_reference_reader(archive_path):
    archive = TileArchive(archive_path)
    with archive_path.open("rb") as file:
        reference = Reader(MmapSource(file))
        limits = archive.ranges[12]
        for row in range(limits.min_row, limits.max_row + 1):
            for col in range(limits.min_col, limits.max_col + 1):
                assert archive.tile(12, row, col) == reference.get(12, col, row)
        last = archive.ranges[16]
        for step in range(40):
            row, col = last.min_row + step % 37, last.min_col + 7 * step % 61
            assert archive.tile(16, row, col) == reference.get(16, col, row)


def test_a_hole_is_none_and_not_a_neighbour(archive_path):
    archive = TileArchive(archive_path)
    limits = archive.ranges[13]
    holes = [
        (row, col)
        for row in range(limits.min_row, limits.max_row + 1)
        for col in range(limits.min_col, limits.max_col + 1)
        if (row + col) % 5 == 0
    ]
    assert holes
    assert all(archive.tile(13, row, col) is None for row, col in holes)


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "not.pmtiles"
    path.write_bytes(b"PK" + bytes(200))
    with pytest.raises(RunError, match="PMTiles"):
        TileArchive(path)


@given(st.integers(0, 18), st.floats(-179, 178), st.floats(-84, 83))
def test_the_tile_of_a_point_is_that_of_an_independent_library(zoom, lon, lat):
    found = tile_range((lon, lat, lon, lat), zoom)
    expected = morecantile.tms.get("WebMercatorQuad").tile(lon, lat, zoom)
    # at the edge between two tiles, rounding may choose either
    assert abs(found.min_col - expected.x) + abs(found.min_row - expected.y) <= 1
    if (found.min_col, found.min_row) != (expected.x, expected.y):
        bounds = morecantile.tms.get("WebMercatorQuad").bounds(expected)
        edges = [abs(lon - bounds.left), abs(lon - bounds.right), abs(lat - bounds.top), abs(lat - bounds.bottom)]
        assert min(edges) < 1e-9


def test_limits_of_a_city():
    # Marseille at zoom 12, corners by morecantile
    limits = tile_range(BOUNDS, 12)
    north_west, south_east = (morecantile.tms.get("WebMercatorQuad").tile(*c, 12) for c in ((5.2, 43.4), (5.6, 43.2)))
    assert (limits.min_col, limits.min_row) == (north_west.x, north_west.y)
    assert (limits.max_col, limits.max_row) == (south_east.x, south_east.y)
    assert limits.holds(limits.min_row, limits.max_col)
    assert not limits.holds(limits.min_row - 1, limits.min_col)
