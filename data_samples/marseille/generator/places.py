"""Where things are planted: camera schemes, controls, hot and emerging places, points, trends.

Places are chosen one kind after the other among the street corners, at random but far enough from what is already
there, so that every truth can be told from the others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from data_samples.marseille.generator import parameters as p
from data_samples.marseille.generator.land import Land, distance_to_centre_m
from data_samples.marseille.generator.randomness import BoolArray, FloatArray, Geometries, IntArray, Streams, points_at
from data_samples.marseille.generator.town import ANCHOR_STEP_M, Town, buildings
from data_samples.marseille.generator.visibility import sector, visible_polygon

SCHEME_RANGE_M = 230.0
FIXED_RANGE_M = 180.0


@dataclass(frozen=True)
class SchemeCamera:
    """A camera of a scheme: position, axis (clockwise from grid north), opening, range and what it sees."""

    scheme: str
    x: float
    y: float
    direction_deg: float
    field_of_view_deg: float
    range_m: float
    visible: shapely.Polygon


@dataclass(frozen=True)
class Area:
    """A planted area in EPSG:2154: ``kind`` tells what it is, ``of`` its theme, scheme or pattern."""

    id: str
    kind: str
    of: str
    geometry: BaseGeometry


@dataclass(frozen=True)
class Places:
    """All planted places of one seed."""

    areas: tuple[Area, ...]
    cameras: tuple[SchemeCamera, ...]
    accident_points: FloatArray
    parking_points: FloatArray
    trends: dict[str, str]
    """Quartier key → rise, fall or crisis."""
    reserved: BaseGeometry = field(repr=False)
    """Schemes, controls and their rings: no other process acts there."""

    def of(self, kind: str) -> list[Area]:
        """Areas of one kind, in the order planted."""
        return [a for a in self.areas if a.kind == kind]


class _Ground:
    """Street corners with a taken distance: what may still be planted where."""

    def __init__(self, land: Land, town: Town) -> None:
        self.xy = town.nodes
        self.quartier = town.node_grid[:, 0]
        self.distance = distance_to_centre_m(land, self.xy[:, 0], self.xy[:, 1])
        self.points: Geometries = points_at(self.xy[:, 0], self.xy[:, 1])
        self.street_m = _street_length_around(town, self.xy)
        self.inland = np.asarray(shapely.contains_xy(_inland(land.land), self.xy[:, 0], self.xy[:, 1]))

    def far_from(self, places: list[tuple[float, float, float]]) -> BoolArray:
        """Corners farther than the given distance from each (x, y, distance)."""
        free = np.ones(len(self.xy), dtype=bool)
        for x, y, distance_m in places:
            free &= np.hypot(self.xy[:, 0] - x, self.xy[:, 1] - y) > distance_m
        return free

    def choose(self, rng: np.random.Generator, count: int, allowed: BoolArray, apart_m: float) -> FloatArray:
        """Choose ``count`` allowed corners at least ``apart_m`` from each other, at random.

        Raises
        ------
        ValueError
            If there is no room for all of them.
        """
        chosen: list[FloatArray] = []
        for index in rng.permutation(np.flatnonzero(allowed)):
            if all(np.hypot(*(self.xy[index] - other)) > apart_m for other in chosen):
                chosen.append(self.xy[index])
                if len(chosen) == count:
                    return np.array(chosen)
        raise ValueError(f"room for {len(chosen)} of {count} places {apart_m:.0f} m apart")


def _street_length_around(town: Town, xy: FloatArray) -> FloatArray:
    """Metres of street in the square of nine by nine cells of 100 m around each position."""
    anchors, size, reach = town.anchors, 100.0, 4
    origin = np.floor([anchors.x.min() / size, anchors.y.min() / size]) - reach - 1
    column, row = (np.floor(v / size - o).astype(np.int64) for v, o in zip((anchors.x, anchors.y), origin, strict=True))
    shape = (int(row.max()) + 2 * reach + 3, int(column.max()) + 2 * reach + 3)
    grid = np.zeros(shape)
    np.add.at(grid, (row, column), ANCHOR_STEP_M)
    summed = np.zeros((shape[0] + 1, shape[1] + 1))
    summed[1:, 1:] = grid.cumsum(axis=0).cumsum(axis=1)
    c, r = (np.floor(v / size - o).astype(np.int64) for v, o in zip(xy.T, origin, strict=True))
    low_r, high_r, low_c, high_c = r - reach, r + reach + 1, c - reach, c + reach + 1
    return np.asarray(summed[high_r, high_c] - summed[low_r, high_c] - summed[high_r, low_c] + summed[low_r, low_c])


@cache
def _inland(land: BaseGeometry) -> BaseGeometry:
    """Where a hot disc fits on land, with 80 m to spare."""
    inland = land.simplify(10.0).buffer(-(p.HOT_RADIUS_M + 90.0))
    shapely.prepare(inland)
    return inland


def plant(land: Land, town: Town, streams: Streams) -> Places:
    """Choose every planted place.

    Parameters
    ----------
    land, town
        The ground and what is built on it.
    streams
        Random streams of the seed.
    """
    ground = _Ground(land, town)
    rng = streams.of("places")
    cameras, areas = _schemes(land, town, ground, streams)
    taken = [(*_centre(a), p.SCHEME_RADIUS_M + 950.0) for a in areas if a.kind == "scheme"]
    built = ground.street_m > 0.62 * np.median(ground.street_m)
    areas += _hot_places(ground, rng, built & ground.inland, taken)
    hot = [
        (*_centre(a), p.HOT_RADIUS_M + p.CONTROL_RADIUS_M + p.RING_M + 40.0)
        for a in areas
        if a.kind in {"hot_place", "emerging"}
    ]
    allowed = built & ground.inland & ground.far_from(taken + hot)
    single = ground.choose(rng, 2, allowed, 1500.0)
    areas.append(Area("lighting", "lighting", "lighting", _disc(single[0], p.LIGHTING_RADIUS_M)))
    areas.append(Area("burst", "burst", p.BURST_CATEGORY, _disc(single[1], p.BURST_RADIUS_M)))
    allowed &= ground.far_from([(*xy, 900.0) for xy in single])
    for number, xy in enumerate(ground.choose(rng, p.CONTROLS, allowed, 2 * (p.CONTROL_RADIUS_M + p.RING_M) + 10)):
        disc = _disc(xy, p.CONTROL_RADIUS_M)
        areas.append(Area(f"control-{number + 1:02d}", "control", "control", disc))
        ring = _disc(xy, p.CONTROL_RADIUS_M + p.RING_M).difference(disc)
        areas.append(Area(f"control-{number + 1:02d}-ring", "control_ring", "control", ring))
    reserved = shapely.union_all([a.geometry for a in areas if a.kind.startswith(("scheme", "control"))])
    free = (
        built
        & ~np.asarray(shapely.dwithin(ground.points, reserved, 60.0))
        & ground.far_from(
            [(*_centre(a), p.HOT_RADIUS_M) for a in areas if a.kind in {"hot_place", "emerging", "lighting", "burst"}]
        )
    )
    points = ground.choose(rng, p.ACCIDENT_POINTS + p.PARKING_POINTS, free, 220.0)
    trends = _trends(land, town, [a.geometry for a in areas], rng)
    return Places(
        tuple(areas), tuple(cameras), points[: p.ACCIDENT_POINTS], points[p.ACCIDENT_POINTS :], trends, reserved
    )


def _disc(xy: FloatArray, radius_m: float) -> shapely.Polygon:
    return shapely.Point(float(xy[0]), float(xy[1])).buffer(radius_m, quad_segs=24)


def _centre(area: Area) -> tuple[float, float]:
    point = area.geometry.centroid
    return point.x, point.y


def _schemes(land: Land, town: Town, ground: _Ground, streams: Streams) -> tuple[list[SchemeCamera], list[Area]]:
    """Three schemes, each in one regular grid of streets, far from each other."""
    tree = shapely.STRtree(ground.points)
    allowed = ground.inland & (ground.distance > 1200) & (ground.distance < 7500)
    index = np.flatnonzero(allowed)
    query, found = tree.query(ground.points[index], predicate="dwithin", distance=p.SCHEME_RADIUS_M)
    same = ground.quartier[index][query] == ground.quartier[found]
    neighbours = np.bincount(query[same], minlength=len(index))
    rng = streams.of("places/schemes")
    best = []
    for quartier in np.unique(ground.quartier[index]):
        of_quartier = np.flatnonzero(ground.quartier[index] == quartier)
        top = of_quartier[np.argmax(neighbours[of_quartier])]
        best.append((int(neighbours[top]), int(index[top])))
    suitable = [i for count, i in sorted(best, reverse=True) if count >= 38]
    centres: list[int] = []
    for candidate in rng.permutation(suitable):
        if all(np.hypot(*(ground.xy[candidate] - ground.xy[c])) > 2600 for c in centres):
            centres.append(int(candidate))
    if len(centres) < len(p.SCHEMES):
        raise ValueError(f"room for {len(centres)} of {len(p.SCHEMES)} camera schemes")
    cameras: list[SchemeCamera] = []
    areas: list[Area] = []
    for scheme, centre in zip(p.SCHEMES, centres, strict=False):
        own = _scheme_cameras(scheme, centre, town, ground, streams)
        visible = shapely.union_all([c.visible for c in own])
        ring = visible.buffer(p.RING_M, quad_segs=24).difference(visible).intersection(land.land)
        cameras += own
        areas.append(Area(f"scheme-{scheme}", "scheme", scheme, visible))
        areas.append(Area(f"scheme-{scheme}-ring", "scheme_ring", scheme, ring))
    return cameras, areas


def _scheme_cameras(scheme: str, centre: int, town: Town, ground: _Ground, streams: Streams) -> list[SchemeCamera]:
    """Cameras a knight's move apart in the grid: each street is seen, and the views join into one polygon."""
    x, y = ground.xy[centre]
    grid = town.node_grid
    local = np.flatnonzero(
        (grid[:, 0] == grid[centre, 0]) & (np.hypot(ground.xy[:, 0] - x, ground.xy[:, 1] - y) < p.SCHEME_RADIUS_M)
    )
    row, column = (grid[local, k] - grid[centre, k] for k in (1, 2))
    stand = local[(row + 2 * column) % 5 == 0]
    middle = town.blocks.mean(axis=1)
    near = np.hypot(middle[:, 0] - x, middle[:, 1] - y) < p.SCHEME_RADIUS_M + SCHEME_RANGE_M + 200
    footprints = buildings(town, near, streams)[0]
    views = []
    for number, index in enumerate(stand):
        cx, cy = (float(v) for v in ground.xy[index])
        fixed = number % 5 == 3
        direction = float(round(np.degrees(np.arctan2(x - cx, y - cy))) % 360) if fixed else 0.0
        opening, reach = (120.0, FIXED_RANGE_M) if fixed else (360.0, SCHEME_RANGE_M)
        view = sector(cx, cy, range_m=reach, direction_deg=direction, field_of_view_deg=opening)
        seen = visible_polygon(view, cx, cy, footprints)
        views.append(SchemeCamera(scheme, cx, cy, direction, opening, reach, seen))
    return _joined(views)


def _joined(cameras: list[SchemeCamera]) -> list[SchemeCamera]:
    """The cameras of the largest set whose views form one polygon."""
    union = shapely.union_all([c.visible for c in cameras])
    parts = shapely.get_parts(union)
    largest = parts[int(np.argmax(shapely.area(parts)))]
    return [c for c in cameras if largest.contains(c.visible.representative_point())]


def _hot_places(
    ground: _Ground, rng: np.random.Generator, allowed: BoolArray, taken: list[tuple[float, float, float]]
) -> list[Area]:
    """Hot places of each theme, then emerging ones: 1,400 m apart within a theme, 760 m between themes."""
    areas: list[Area] = []
    other = list(taken)
    wanted = [(t.key, "hot_place", t.hot_places) for t in p.THEMES if t.hot_places]
    wanted.append((p.EMERGING_THEME, "emerging", len(p.EMERGING_PATTERNS)))
    own: dict[str, list[tuple[float, float, float]]] = {}
    for theme, kind, count in wanted:
        free = allowed & ground.far_from(other) & ground.far_from(own.get(theme, []))
        chosen = ground.choose(rng, count, free, 1400.0)
        for number, xy in enumerate(chosen):
            if kind == "hot_place":
                areas.append(Area(f"hot-{theme}-{number + 1}", kind, theme, _disc(xy, p.HOT_RADIUS_M)))
            else:
                pattern = p.EMERGING_PATTERNS[number]
                areas.append(Area(f"emerging-{pattern}", kind, pattern, _disc(xy, p.EMERGING_RADIUS_M)))
            other.append((float(xy[0]), float(xy[1]), 760.0))
            own.setdefault(theme, []).append((float(xy[0]), float(xy[1]), 1400.0))
    return areas


def _trends(land: Land, town: Town, planted: list[BaseGeometry], rng: np.random.Generator) -> dict[str, str]:
    """Quartiers with many streets and few planted places get a trend of their own."""
    anchors = town.anchors
    union = shapely.union_all(planted)
    shapely.prepare(union)
    inside = shapely.contains_xy(union, anchors.x, anchors.y)
    street = anchors.quartier >= 0
    total: IntArray = np.bincount(anchors.quartier[street], minlength=len(land.keys))
    covered: IntArray = np.bincount(anchors.quartier[street & inside], minlength=len(land.keys))
    suitable = np.flatnonzero((total > np.quantile(total, 0.35)) & (covered < 0.3 * total))
    kinds = ["rise"] * p.RISING + ["fall"] * p.FALLING + ["crisis"] * p.CRISIS
    if len(suitable) < len(kinds):
        raise ValueError(f"{len(suitable)} quartiers can bear a trend, {len(kinds)} are wanted")
    chosen = rng.permutation(suitable)[: len(kinds)]
    return {land.keys[int(q)]: kind for q, kind in zip(chosen, kinds, strict=True)}
