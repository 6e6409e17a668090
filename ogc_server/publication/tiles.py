"""Vector tiles of a run, baked once: one PMTiles archive per form and product family.

Each resolution of a family is a source layer of its own, named like its collection, and drawn in its own range of
zooms (:func:`styles.zooms.zoom_ranges`). A feature's integer id in a tile is its ``fid`` in the stores.
PMTiles: https://github.com/protomaps/PMTiles/blob/main/spec/v3/spec.md.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import freestiler
import geopandas as gpd
import pandas as pd
import pyarrow as pa
import shapely
from pmtiles import reader as pmtiles_reader
from pmtiles.tile import zxy_to_tileid
from pmtiles.writer import Writer

from layers.products import Grain, Kind
from ogc_server.publication.rows import Rows
from styles.maplibre import MAX_TILE_ZOOM
from styles.zooms import zoom_ranges

THINNED_ABOVE_ROWS: Final = 5_000
"""Points of larger collections are thinned at low zooms, where they would lie on top of each other by the thousand."""
WHOLE_FROM_ZOOM: Final = 14
"""First zoom at which every point of a thinned collection is there."""
THINNING_RATE: Final = 2.5
"""From one zoom to the next lower one, 1 of this many points stays."""

# pmtiles has no annotations: its functions are named here once, as what they are
_writer: Final[Callable[..., Any]] = Writer
_source: Final[Callable[..., Any]] = pmtiles_reader.MmapSource
_reader: Final[Callable[..., Any]] = pmtiles_reader.Reader
_all_tiles: Final[Callable[..., Any]] = pmtiles_reader.all_tiles

_TILE_KINDS: Final = {
    Grain.CELL: frozenset({Kind.KEY, Kind.COUNT, Kind.CLASS}),
    Grain.ZONE: frozenset({Kind.KEY, Kind.TEXT}),
    Grain.RECORD: frozenset({Kind.KEY, Kind.CLASS}),
}


@dataclass(frozen=True, slots=True)
class TileLayer:
    """One source layer and the zooms that it is baked for, both included."""

    rows: Rows
    min_zoom: int
    max_zoom: int


def family_layers(members: Sequence[Rows], tile_resolutions: Mapping[int, int]) -> list[TileLayer]:
    """Give each member of a family its zooms; those that are drawn at none, or have no position, are left out.

    Parameters
    ----------
    members
        Rows of one form and family.
    tile_resolutions
        First zoom → resolution (the city file's ``grid.tile_resolutions``).
    """
    drawn = [m for m in members if m.located]
    resolutions = {m.spec.resolution for m in drawn if m.spec.resolution is not None}
    ranges = zoom_ranges(resolutions, tile_resolutions)
    layers = []
    for rows in drawn:
        if rows.spec.resolution is None:
            layers.append(TileLayer(rows, 0, MAX_TILE_ZOOM))
        elif rows.spec.resolution in ranges:
            first, end = ranges[rows.spec.resolution]
            last = min(MAX_TILE_ZOOM, MAX_TILE_ZOOM if end is None else end - 1)
            if first <= last:
                layers.append(TileLayer(rows, first, last))
    return sorted(layers, key=lambda layer: layer.min_zoom)


def bake(layers: Sequence[TileLayer], path: Path, *, attributes: Collection[str] = ()) -> None:
    """Bake an archive; the same rows give the same bytes.

    Parameters
    ----------
    layers
        Source layers whose zooms do not overlap, or a single one.
    path
        New file.
    attributes
        Columns that the tiles carry besides those that their kind lets in: what the styles draw.

    Raises
    ------
    ValueError
        If there is no layer, or two share a zoom.
    """
    if not layers:
        raise ValueError(f"no layer to bake into {path.name}")
    for below, above in itertools.pairwise(layers):
        if above.min_zoom <= below.max_zoom:
            raise ValueError(f"layers {below.rows.spec.id!r} and {above.rows.spec.id!r} share a zoom")
    path.parent.mkdir(parents=True, exist_ok=True)
    # One archive per layer: the tiler counts ids on from one layer to the next, and each must begin at fid 1.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".baking-") as scratch:
        parts = [Path(scratch) / f"{layer.min_zoom}.pmtiles" for layer in layers]
        for layer, part in zip(layers, parts, strict=True):
            _bake_layer(layer, part, attributes)
        if len(parts) == 1:
            parts[0].replace(path)
        else:
            _concatenate(parts, path)


def _bake_layer(layer: TileLayer, path: Path, attributes: Collection[str]) -> None:
    rows = layer.rows
    located = rows.located
    points = bool((shapely.get_type_id(rows.shapes[:located]) == shapely.GeometryType.POINT).all())
    thinning: dict[str, Any] = {}
    if points and located > THINNED_ABOVE_ROWS:
        thinning = {"drop_rate": THINNING_RATE, "base_zoom": WHOLE_FROM_ZOOM}
    frame = gpd.GeoDataFrame(_attributes(rows, attributes), geometry=rows.shapes[:located], crs="EPSG:4326")
    freestiler.freestile(
        {rows.spec.id: freestiler.freestile_layer(frame, min_zoom=layer.min_zoom, max_zoom=layer.max_zoom)},
        path,
        min_zoom=layer.min_zoom,
        max_zoom=layer.max_zoom,
        generate_ids=True,
        quiet=True,
        **thinning,
    )


def _attributes(rows: Rows, wanted: Collection[str]) -> pd.DataFrame:
    """Return the columns that go into tiles, of the rows that have a position."""
    kinds = _TILE_KINDS[rows.spec.grain]
    present = set(rows.table.column_names)
    names = [c.name for c in rows.spec.columns if c.name in present and (c.kind in kinds or c.name in wanted)]
    table = rows.table.select(names).slice(0, rows.located)
    for place, field in enumerate(table.schema):
        if pa.types.is_temporal(field.type):
            table = table.set_column(place, field.name, table.column(place).cast(pa.string()))
    nullable = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    frame: pd.DataFrame = table.to_pandas(types_mapper=nullable.get)
    return frame


def _concatenate(parts: Sequence[Path], path: Path) -> None:
    """Join archives whose zooms follow each other: every tile stays as it is."""
    layers: list[dict[str, Any]] = []
    headers = []
    with path.open("wb") as target:
        writer = _writer(target)
        for part in parts:
            with part.open("rb") as file:
                source = _source(file)
                reader = _reader(source)
                headers.append(reader.header())
                layers += reader.metadata()["vector_layers"]
                tiles = sorted((zxy_to_tileid(*zxy), data) for zxy, data in _all_tiles(source))
            for tile_id, data in tiles:
                writer.write_tile(tile_id, data)
        header = dict(headers[-1])
        for edge in ("min_lon_e7", "min_lat_e7"):
            header[edge] = min(h[edge] for h in headers)
        for edge in ("max_lon_e7", "max_lat_e7"):
            header[edge] = max(h[edge] for h in headers)
        writer.finalize(header, {"vector_layers": layers})
