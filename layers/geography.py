"""Zones and land: read, dissolved or derived from points, checked, and joined to records."""

from __future__ import annotations

from dataclasses import dataclass

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

_HULL_SEGMENTS = 16
"""Segments of a quarter circle in the buffer of a hull."""


@dataclass(frozen=True, slots=True)
class Zones:
    """One zone level: polygons in CRS84, in key order. ``attributes`` are the columns of its file, as text."""

    level: str
    keys: NDArray[np.object_]
    names: NDArray[np.object_]
    shapes: NDArray[np.object_]
    parents: NDArray[np.object_]
    attributes: dict[str, NDArray[np.object_]]
    repaired: int = 0

    def locate(self, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.object_]:
        """Key of the zone that holds each point, shape (n,), None off all zones.

        A point on a common border is in the zone of the lowest key.
        """
        found = np.full(len(lon), len(self.keys), dtype=np.int64)
        located = np.flatnonzero(~np.isnan(lon))
        if len(located) and len(self.keys):
            # The tree holds the points, so that each polygon is prepared once and tested against many of them.
            tree = shapely.STRtree(np.asarray(shapely.points(lon[located], lat[located])))
            zone, point = tree.query(self.shapes, predicate="intersects")
            np.minimum.at(found, located[point], zone)
        keys = np.array([*self.keys, None], dtype=object)
        return np.asarray(keys[found], dtype=object)

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


@dataclass(frozen=True, slots=True)
class Geography:
    """Zone levels in the order of the city file, and the land (MultiPolygon, CRS84)."""

    zones: dict[str, Zones]
    land: shapely.MultiPolygon

    def on_land(self, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether each point is on the land or its shore, shape (n,), False where not located."""
        shapely.prepare(self.land)
        inside: NDArray[np.bool_] = shapely.intersects_xy(self.land, lon, lat)
        return inside

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
    return Geography({level.id: zones[level.id] for level in city.zones}, land)


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
