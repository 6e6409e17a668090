"""Zones and land: read, dissolved or derived from points, checked, and joined to records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np
import pandas as pd
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from layers.city import City, ZoneLevel
from layers.declared_sources import ReadOptions
from layers.errors import DeliveryError
from layers.geoparquet import with_geo_metadata
from layers.locating import CRS84, transform_shapes
from layers.parsing import as_text
from layers.readers import read_delivery
from layers.text import slug
from layers.zone_grid import OUTSIDE, UNDECIDED, ZoneGrid

_MANY_POINTS = 20_000
"""From so many points on, a grid pays for itself."""

_HULL_SEGMENTS = 16
"""Segments of a quarter circle in the buffer of a hull."""


@dataclass(frozen=True)
class Zones:
    """One zone level: polygons in CRS84, in key order. ``attributes`` are the columns of its file, as text."""

    level: str
    keys: NDArray[np.object_]
    names: NDArray[np.object_]
    shapes: NDArray[np.object_]
    parents: NDArray[np.object_]
    attributes: dict[str, NDArray[np.object_]]
    repaired: int = 0

    def positions(self, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.int64]:
        """Position of the zone that holds each point, shape (n,), −1 off all zones.

        A point on a common border is in the zone of the lowest key.
        """
        found = np.full(len(lon), UNDECIDED if len(self.keys) else OUTSIDE, dtype=np.int64)
        found[np.isnan(lon)] = OUTSIDE
        if len(lon) >= _MANY_POINTS and len(self.keys):
            found[:] = self._grid.positions(lon, lat)
        asked = np.flatnonzero(found == UNDECIDED)
        if len(asked):
            # The tree holds the points, so that each polygon is prepared once and tested against many of them.
            tree = shapely.STRtree(np.asarray(shapely.points(lon[asked], lat[asked])))
            zone, point = tree.query(self.shapes, predicate="intersects")
            nearest = np.full(len(asked), len(self.keys), dtype=np.int64)
            np.minimum.at(nearest, point, zone)
            found[asked] = np.where(nearest < len(self.keys), nearest, OUTSIDE)
        return found

    @cached_property
    def _grid(self) -> ZoneGrid:
        return ZoneGrid(self.shapes)

    def positions_of(self, names: pa.ChunkedArray) -> NDArray[np.int64]:
        """Position of the zone that each text names, by key or by a name that one zone bears; −1 for none."""
        known: dict[str, int] = {}
        for position, name in enumerate(self.names):
            folded = slug(str(name))
            known[folded] = -1 if folded in known else position
        known |= {str(key): position for position, key in enumerate(self.keys)}
        texts = names.to_pylist()
        place = {text: known.get(text, known.get(slug(text), -1)) for text in set(texts) if text is not None}
        return np.array([place.get(text, -1) for text in texts], dtype=np.int64)

    def keys_at(self, positions: NDArray[np.int64]) -> pa.Array:
        """Keys of zones by position, null for −1."""
        return pa.array(self.keys, pa.string()).take(pa.array(positions, mask=positions < 0))

    def locate(self, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.object_]:
        """Key of the zone that holds each point, shape (n,), None off all zones."""
        keys: NDArray[np.object_] = self.keys_at(self.positions(lon, lat)).to_numpy(zero_copy_only=False)
        return keys

    def table(self, metric_crs: str) -> pa.Table:
        """Table of the lake: key, name, parent, area_m2 (planar, metric CRS), geometry (MultiPolygon, CRS84)."""
        columns = {
            "key": pa.array(self.keys, pa.string()),
            "name": pa.array(self.names, pa.string()),
            "parent": pa.array(self.parents, pa.string()),
            "area_m2": areas_m2(self.shapes, metric_crs),
            "geometry": pa.array(shapely.to_wkb(self.shapes), pa.binary()),
        }
        return with_geo_metadata(pa.table(columns), ["MultiPolygon"])


@dataclass(frozen=True)
class Geography:
    """Zone levels in the order of the city file, and the land (MultiPolygon, CRS84)."""

    zones: dict[str, Zones]
    land: shapely.MultiPolygon
    made_of: Mapping[str, tuple[str, NDArray[np.int64]]] = MappingProxyType({})
    """Level that dissolves another → that other level, and the position in the first of each zone of the other."""
    land_level: str | None = None
    """Level whose union is the land, if one is."""

    def positions(self, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> dict[str, NDArray[np.int64]]:
        """Position of the zone that holds each point, by level, −1 off all zones.

        A level that dissolves another follows from it: a point's zone of one level is always part of its zone of the
        next, on common borders too.
        """
        found: dict[str, NDArray[np.int64]] = {}
        for level in self.zones:
            finest = self._made_of(level)
            if finest not in found:
                found[finest] = self.zones[finest].positions(lon, lat)
            found |= {n: p for n, p in self.upwards(finest, found[finest]).items() if n not in found}
        return {level: found[level] for level in self.zones}

    def upwards(self, level: str, positions: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
        """Positions in a level, and in the levels that are made of it."""
        found = {level: positions}
        for above, (of, parents) in self.made_of.items():
            if of == level:
                found |= self.upwards(above, np.append(parents, -1)[positions])
        return found

    def _made_of(self, level: str) -> str:
        return self._made_of(self.made_of[level][0]) if level in self.made_of else level

    def on_land(
        self,
        lon: NDArray[np.float64],
        lat: NDArray[np.float64],
        positions: Mapping[str, NDArray[np.int64]] | None = None,
    ) -> NDArray[np.bool_]:
        """Whether each point is on the land or its shore, shape (n,), False where not located.

        Where the land is the union of a zone level, ``positions`` in it say so already.
        """
        if positions is not None and self.land_level is not None:
            on_zone: NDArray[np.bool_] = positions[self.land_level] >= 0
            return on_zone
        return self._land_zone.positions(lon, lat) >= 0

    @cached_property
    def _land_zone(self) -> Zones:
        none = np.array([None], dtype=object)
        return Zones("land", np.array(["land"], dtype=object), none, np.array([self.land], dtype=object), none, {})

    def land_table(self, metric_crs: str) -> pa.Table:
        """Table of the lake: one row, geometry (MultiPolygon, CRS84) and area_m2."""
        shapes = np.array([self.land], dtype=object)
        columns = {"geometry": pa.array(shapely.to_wkb(shapes), pa.binary()), "area_m2": areas_m2(shapes, metric_crs)}
        return with_geo_metadata(pa.table(columns), ["MultiPolygon"])


def areas_m2(shapes: NDArray[np.object_], metric_crs: str) -> pa.Array:
    """Planar areas in the metric CRS, in m², rounded to the square centimetre."""
    return pa.array(np.round(shapely.area(transform_shapes(shapes, CRS84, metric_crs)), 4), pa.float64())


def build_geography(city: City, records: dict[str, pd.DataFrame]) -> Geography:
    """Make the zone levels and the land that a city file asks for.

    Parameters
    ----------
    city
        The city file.
    records
        Source id → its records (``lon``, ``lat``, ``x_m``, ``y_m`` and ``extra:<column>``), for geography derived from
        points.

    Raises
    ------
    DeliveryError
        If a file lacks a column or a polygon, or keys are null or repeated.
    """
    zones: dict[str, Zones] = {}
    for level in city.zones:
        if level.path is not None:
            zones[level.id] = _read_level(level, city)
    land = _land(city, records)
    for level in city.zones:
        if level.thiessen is not None:
            column = f"extra:{level.thiessen.by}"
            zones[level.id] = thiessen_zones(
                level.id, records[level.thiessen.source], column, land=land, metric_crs=city.city.metric_crs
            )
    # A level may dissolve one that itself dissolves another.
    waiting = [level for level in city.zones if level.dissolve is not None]
    while waiting:
        ready = [level for level in waiting if level.dissolve and level.dissolve.of in zones]
        if not ready:
            raise DeliveryError(f"zone levels {[level.id for level in waiting]} dissolve each other")
        for level in ready:
            _dissolve(level, zones)
        waiting = [level for level in waiting if level not in ready]
    if city.land.zones is not None:
        land = _multipolygon(shapely.union_all(zones[city.land.zones].shapes))
    if land is None:
        raise DeliveryError("the city has no land")
    made_of = {level.id: _parents(level, zones) for level in city.zones if level.dissolve}
    return Geography({level.id: zones[level.id] for level in city.zones}, land, made_of, city.land.zones)


def _parents(level: ZoneLevel, zones: Mapping[str, Zones]) -> tuple[str, NDArray[np.int64]]:
    """Level that ``level`` dissolves, and for each zone of that one its position in ``level``."""
    assert level.dissolve is not None
    places = {str(key): place for place, key in enumerate(zones[level.id].keys)}
    keys = zones[level.dissolve.of].attributes[level.dissolve.by]
    # A zone that names none of them is part of none.
    return level.dissolve.of, np.array([-1 if key is None else places[str(key)] for key in keys], dtype=np.int64)


def _land(city: City, records: dict[str, pd.DataFrame]) -> shapely.MultiPolygon | None:
    """Land that does not wait for dissolved zones; None for the union of a level."""
    land, metric_crs = city.land, city.city.metric_crs
    if land.path is not None:
        shapes, _ = _polygons(land.path, land.crs, city)
        return _multipolygon(shapely.union_all(shapes))
    if land.hull is not None:
        points = records[land.hull.source]
        known = points["x_m"].notna()
        if known.sum() < 3:
            raise DeliveryError(
                f"source {land.hull.source!r} has {known.sum()} located records: no land can be made of them"
            )
        cloud = shapely.multipoints(points.loc[known, ["x_m", "y_m"]].drop_duplicates().to_numpy())
        hull = shapely.buffer(shapely.convex_hull(cloud), land.hull.buffer_m, quad_segs=_HULL_SEGMENTS)
        return _multipolygon(transform_shapes(np.array([hull], dtype=object), metric_crs, CRS84)[0])
    return None


def thiessen_zones(
    level: str, records: pd.DataFrame, column: str, *, land: shapely.MultiPolygon | None, metric_crs: str
) -> Zones:
    """Make zones of a city that publishes none: Thiessen cells of distinct positions, dissolved by what records say.

    Parameters
    ----------
    records
        ``x_m``, ``y_m`` (metric CRS, NaN where not located) and ``column``: the zone's name as each record gives it.
    land
        CRS84; what lies outside it is cut off.

    Notes
    -----
    Where records of one position name several zones, the most frequent counts, then the first in alphabetical order.
    """
    if land is None:
        raise DeliveryError(f"zones {level!r} need a land of their own to be clipped to")
    known = records[records["x_m"].notna() & records[column].notna()]
    votes = known.groupby(["x_m", "y_m", column]).size().reset_index(name="votes")
    votes = votes.sort_values(["x_m", "y_m", "votes", column], ascending=[True, True, False, True], kind="stable")
    sites = votes.drop_duplicates(["x_m", "y_m"])
    if len(sites) < 2:
        raise DeliveryError(f"zones {level!r}: {len(sites)} positions make no Thiessen cells")
    metric_land = transform_shapes(np.array([land], dtype=object), CRS84, metric_crs)[0]
    positions = shapely.multipoints(sites[["x_m", "y_m"]].to_numpy())
    cells = shapely.get_parts(shapely.voronoi_polygons(positions, extend_to=metric_land, ordered=True))
    keys, names, shapes = [], [], []
    for name, members in pd.Series(cells, index=sites[column].to_numpy()).groupby(level=0, sort=True):
        # The cells are a coverage: their union follows their edges and leaves no slivers.
        whole = shapely.intersection(shapely.coverage_union_all(members.to_numpy()), metric_land)
        if not shapely.is_empty(whole):
            keys.append(slug(str(name)))
            names.append(str(name))
            shapes.append(whole)
    drawn = transform_shapes(np.array(shapes, dtype=object), metric_crs, CRS84)
    return _zones(level, np.array(keys, dtype=object), np.array(names, dtype=object), drawn, {})


def _read_level(level: ZoneLevel, city: City) -> Zones:
    assert level.path is not None
    shapes, table = _polygons(level.path, level.crs, city)
    columns = {name: as_text(_column(table, name)).to_numpy(zero_copy_only=False) for name in table.column_names}
    lacking = [name for name in (level.key, level.name) if name not in columns]
    if lacking:
        raise DeliveryError(f"{level.path}: has no column {', '.join(map(repr, lacking))}; it has {', '.join(columns)}")
    return _zones(level.id, columns[level.key], columns[level.name], shapes, columns)


def _column(table: pa.Table, name: str) -> pa.Array:
    chunks = table.column(name).chunks
    return pa.concat_arrays(chunks) if chunks else pa.array([], pa.string())


def _polygons(path: str, crs: str, city: City) -> tuple[NDArray[np.object_], pa.Table]:
    file = city.folder / path
    if not file.is_file():
        raise DeliveryError(f"{file}: no such file of polygons")
    delivery = read_delivery(file, ReadOptions())
    if delivery.geometry is None:
        raise DeliveryError(f"{file}: holds no polygons")
    shapes = shapely.force_2d(shapely.from_wkb(delivery.geometry.to_numpy(zero_copy_only=False), on_invalid="ignore"))
    areal = np.isin(shapely.get_type_id(shapes), (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON))
    if not areal.all() or not len(shapes):
        rows = ", ".join(str(r) for r in delivery.rows[~areal][:10]) or "no row at all"
        raise DeliveryError(f"{file}: a polygon was expected in every row, it lacks in row {rows}")
    return transform_shapes(shapes, delivery.crs or crs, CRS84), delivery.table


def _zones(
    level: str,
    keys: NDArray[np.object_],
    names: NDArray[np.object_],
    shapes: NDArray[np.object_],
    attributes: dict[str, NDArray[np.object_]],
) -> Zones:
    """Zones in key order, with valid multipolygons and keys that are keys."""
    blank = [str(i + 1) for i, key in enumerate(keys) if key is None]
    if blank:
        raise DeliveryError(f"zones {level!r}: no key in row {', '.join(blank[:10])}")
    unique, counts = np.unique(keys.astype(str), return_counts=True)
    if (counts > 1).any():
        raise DeliveryError(f"zones {level!r}: the key {str(unique[counts > 1][0])!r} is there {counts.max()} times")
    invalid = ~shapely.is_valid(shapes)
    shapes = shapes.copy()
    shapes[invalid] = shapely.make_valid(shapes[invalid], method="structure", keep_collapsed=False)
    order = np.argsort(keys.astype(str), kind="stable")
    titled = np.array([key if name is None else name for key, name in zip(keys, names, strict=True)], dtype=object)
    whole = np.array([_multipolygon(shape) for shape in shapes], dtype=object)
    sorted_attributes = {name: values[order] for name, values in attributes.items()}
    parents = np.full(len(keys), None, dtype=object)
    return Zones(level, keys[order], titled[order], whole[order], parents, sorted_attributes, int(invalid.sum()))


def _dissolve(level: ZoneLevel, zones: dict[str, Zones]) -> None:
    """Make a level of another's zones, and tell these who their parent is."""
    assert level.dissolve is not None
    parts, by = zones[level.dissolve.of], level.dissolve.by
    name_column = level.dissolve.name or by
    lacking = [name for name in (by, name_column) if name not in parts.attributes]
    if lacking:
        have = ", ".join(parts.attributes)
        raise DeliveryError(f"zones {level.id!r}: {parts.level!r} has no column {lacking[0]!r}; it has {have}")
    groups = pd.Series(np.arange(len(parts.keys))).groupby(parts.attributes[by], sort=True)
    members = {str(key): index.to_numpy() for key, index in groups}
    keys = np.array(list(members), dtype=object)
    names = np.array([parts.attributes[name_column][index[0]] for index in members.values()], dtype=object)
    shapes = np.array([shapely.union_all(parts.shapes[index]) for index in members.values()], dtype=object)
    # Attributes that all parts of a zone share can dissolve further.
    shared = {
        name: np.array([values[index[0]] for index in members.values()], dtype=object)
        for name, values in parts.attributes.items()
        if all(len({*values[index]}) == 1 for index in members.values())
    }
    zones[level.id] = _zones(level.id, keys, names, shapes, shared)
    parts.parents[:] = parts.attributes[by]


def _multipolygon(shape: shapely.Geometry) -> shapely.MultiPolygon:
    """Polygons of a geometry, oriented alike; lines and points that an intersection left are no area."""
    parts = shapely.get_parts(shape)
    while (shapely.get_type_id(parts) >= shapely.GeometryType.MULTIPOINT).any():
        parts = shapely.get_parts(parts)
    kept = parts[shapely.get_type_id(parts) == shapely.GeometryType.POLYGON]
    multi: shapely.MultiPolygon = shapely.normalize(shapely.multipolygons(kept))
    return shapely.orient_polygons(multi)
