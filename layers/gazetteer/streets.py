"""Streets out of the rows of a streets layer: segments of one street put together, and where "on that street" is."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from layers.gazetteer.hints import Hints, hints_of_zone
from layers.gazetteer.words import Phrase, phrase

SAME_STREET_M = 100.0
"""Rows of one name are one street when no gap between them is wider: a square or a dual carriageway is not."""
NEAR_ZONE_M = 150.0
"""A street so close to another zone's streets may be said to be in that zone: streets are borders of zones."""
MEET_M = 30.0
"""Streets whose axes come so close meet: widths of two carriageways, and the roundness of digitising."""
LEAST_PRECISION_M = 10.0
POINT_PRECISION_M = 1000.0
"""Stated for a street of which the layer gives a point only, which says nothing of its length."""

_POINTS = (shapely.GeometryType.POINT, shapely.GeometryType.MULTIPOINT)
_LINES = (shapely.GeometryType.LINESTRING, shapely.GeometryType.MULTILINESTRING, shapely.GeometryType.LINEARRING)


@dataclass(frozen=True, slots=True)
class Spot:
    """A position in the metric CRS and the largest distance to where the truth can be, in metres."""

    x_m: float
    y_m: float
    precision_m: float


@dataclass(frozen=True, slots=True)
class Street:
    """One street: lowest id of its rows, its names, its shape (metric CRS), and the zones it is in and near to."""

    id: str
    names: frozenset[Phrase]
    shape: shapely.Geometry
    zones: Hints
    near: Hints


def read_streets(
    table: pa.Table, zones: Mapping[str, NDArray[np.object_]], shapes: NDArray[np.object_]
) -> tuple[Street, ...]:
    """Put the rows of a streets layer together.

    Rows with one id are one street; so are rows with one name where the next is never more than ``SAME_STREET_M``
    away. Rows with neither a name nor a shape are passed over.

    Parameters
    ----------
    table
        Columns ``id``, ``name`` and ``other_name`` (null; several are parted by semicolons), n rows.
    zones
        Zone level → key or name of the zone of each row, shape (n,), None off all zones.
    shapes
        Shapes of the rows in the metric CRS, shape (n,).

    Returns
    -------
    tuple of Street
        In order of id, whatever the order of the rows.
    """
    ids = table.column("id").cast(pa.string()).to_pylist()
    names = [
        _names(name, other)
        for name, other in zip(table.column("name").to_pylist(), table.column("other_name").to_pylist(), strict=True)
    ]
    usable = [
        i
        for i in range(len(ids))
        if ids[i] is not None and names[i] and shapes[i] is not None and not shapes[i].is_empty
    ]
    usable.sort(key=lambda i: (ids[i], shapely.to_wkb(shapes[i])))
    kept = shapes[usable]
    groups = _groups([ids[i] for i in usable], [names[i][0] for i in usable], kept)
    streets = []
    for members in groups:
        rows = [usable[m] for m in members]
        streets.append(
            Street(
                ids[rows[0]],
                frozenset(n for row in rows for n in names[row]),
                _together(kept[members]),
                _zones_of(rows, zones),
                Hints(),
            )
        )
    return _with_near(streets) if zones else tuple(streets)


def halfway(shape: shapely.Geometry) -> Spot:
    """Position that stands for a street.

    The point halfway along its line. A street that is no single open line (square, dual carriageway, branches) has
    no halfway: then its point nearest to the centre of its smallest enclosing circle.

    Returns
    -------
    Spot
        Its precision is the distance to the farthest part of the street, rounded up to the metre.
    """
    if isinstance(shape, shapely.LineString) and not shape.is_closed:
        spot = shape.interpolate(0.5, normalized=True)
    else:
        spot = shapely.get_point(shapely.shortest_line(shape, _centre(shape)), 0)
    precision_m = _farthest(spot, shape)
    if shapely.get_type_id(shape) in _POINTS:
        precision_m += POINT_PRECISION_M
    return Spot(spot.x, spot.y, precision_m)


def meeting(first: shapely.Geometry, second: shapely.Geometry, on_first: Spot) -> Spot | None:
    """Where two streets meet, None where they do not.

    Streets that meet more than once give the centre of the places where they do, and a precision that covers them.
    Where the layer gives a street as a point, the crossing is somewhere on the first street.

    Parameters
    ----------
    first, second
        Shapes in the metric CRS.
    on_first
        The position that stands for the first street.
    """
    gap = shapely.shortest_line(first, second)
    if np.isin(shapely.get_type_id([first, second]), _POINTS).any():
        return on_first if gap.length <= 2 * POINT_PRECISION_M else None
    if gap.length > MEET_M:
        return None
    places = shapely.get_coordinates(shapely.intersection(first, second)).tolist()
    for one, other in ((first, second), (second, first)):
        for end in map(shapely.Point, shapely.get_coordinates(shapely.boundary(one)).tolist()):
            known = bool(places) and shapely.dwithin(end, shapely.MultiPoint(places), MEET_M)
            if not known and shapely.dwithin(end, other, MEET_M):
                places.append(_middle(shapely.shortest_line(end, other)))
    met = shapely.MultiPoint(places or [_middle(gap)])
    spot = _centre(met)
    return Spot(spot.x, spot.y, _farthest(spot, met))


def _names(name: str | None, other: str | None) -> list[Phrase]:
    given = [name, *re.split(r"[;|]", other or "")]
    return list(dict.fromkeys(p for p in (phrase(g) for g in given if g) if p.words))


def _groups(ids: Sequence[str], names: Sequence[Phrase], shapes: NDArray[np.object_]) -> list[NDArray[np.int64]]:
    """Rows of each street, in order of first row."""
    size = len(ids)
    name = np.unique([n.full for n in names], return_inverse=True)[1] if size else np.zeros(0, dtype=np.int64)
    same = np.arange(size)
    first_of: dict[str, int] = {}
    for row, identifier in enumerate(ids):
        same[row] = first_of.setdefault(identifier, row)
    repeated = np.flatnonzero(np.bincount(name, minlength=1)[name] > 1)
    tree = shapely.STRtree(shapes[repeated])
    one, other = repeated[tree.query(shapes[repeated], predicate="dwithin", distance=SAME_STREET_M)]
    linked = name[one] == name[other]
    one, other = np.concatenate([np.arange(size), one[linked]]), np.concatenate([same, other[linked]])
    links = coo_array((np.ones(len(one), dtype=np.int8), (one, other)), shape=(size, size))
    label = connected_components(links, directed=False)[1] if size else name
    firsts: dict[int, list[int]] = {}
    for row, group in enumerate(label.tolist()):
        firsts.setdefault(group, []).append(row)
    return [np.array(rows) for rows in firsts.values()]


def _together(shapes: NDArray[np.object_]) -> shapely.Geometry:
    """One shape of several: lines merged end to end; points only where there is no line."""
    parts = shapely.get_parts(shapes)
    lines = parts[np.isin(shapely.get_type_id(parts), _LINES)]
    if len(lines):
        merged = shapely.line_merge(shapely.MultiLineString(lines.tolist()))
        return merged if len(lines) > 1 or merged.geom_type == "LineString" else lines[0]
    points = shapely.get_coordinates(shapes)
    return shapely.Point(points[0]) if len(points) == 1 else shapely.MultiPoint(points)


def _middle(line: shapely.Geometry) -> list[float]:
    """Middle of a straight line, which may have no length."""
    middle: list[float] = shapely.get_coordinates(line).mean(axis=0).tolist()
    return middle


def _centre(shape: shapely.Geometry) -> shapely.Point:
    """Centre of the smallest circle around a shape."""
    if shapely.minimum_bounding_radius(shape) < 1e-3:
        return shapely.Point(shapely.get_coordinates(shape)[0])  # GEOS makes no circle of so little
    return shapely.centroid(shapely.minimum_bounding_circle(shape))


def _farthest(spot: shapely.Point, shape: shapely.Geometry) -> float:
    """Largest distance from a point to a shape, which is to one of its vertices; whole metres, at least ten."""
    away = shapely.get_coordinates(shape) - (spot.x, spot.y)
    return max(LEAST_PRECISION_M, float(math.ceil(np.hypot(away[:, 0], away[:, 1]).max() - 1e-6)))


def _zones_of(rows: Iterable[int], zones: Mapping[str, NDArray[np.object_]]) -> Hints:
    found = Hints()
    for level, value in sorted({(level, str(v[row])) for row in rows for level, v in zones.items() if v[row]}):
        found |= hints_of_zone(level, value)
    return found


def _with_near(streets: list[Street]) -> tuple[Street, ...]:
    """Tell each street the zones of the streets about it."""
    shapes = np.array([s.shape for s in streets], dtype=object)
    distinct = list(dict.fromkeys(s.zones for s in streets))
    number = {hints: n for n, hints in enumerate(distinct)}
    zone = np.array([number[s.zones] for s in streets], dtype=np.int64)
    reach_m = np.where(np.isin(shapely.get_type_id(shapes), _POINTS), POINT_PRECISION_M, NEAR_ZONE_M)
    one, other = shapely.STRtree(shapes).query(shapes, predicate="dwithin", distance=reach_m)
    near = [s.zones for s in streets]
    for street, about in np.unique(np.column_stack([one, zone[other]]), axis=0).tolist():
        near[street] |= distinct[about]
    return tuple(Street(s.id, s.names, s.shape, s.zones, n) for s, n in zip(streets, near, strict=True))
