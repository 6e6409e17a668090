"""Expected incidents: a sum of components, each a distribution over anchors and days with an expected total.

The background follows streets, sites and other attractors. Planted components come on top, each under its own label,
and every incident remembers the component that made it. Schemes and controls are reserved: nothing but their own
component acts there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from data_samples.marseille.generator import parameters as p
from data_samples.marseille.generator.attractors import background_weights, near_points
from data_samples.marseille.generator.cells import cells_at, land_cells
from data_samples.marseille.generator.land import Land, Sites
from data_samples.marseille.generator.places import Area, Places
from data_samples.marseille.generator.randomness import BoolArray, FloatArray, IntArray, Streams, points_at
from data_samples.marseille.generator.timeline import Weather, day_index, day_weights, emerging, school_days, trend
from data_samples.marseille.generator.town import Town

HOT_ROUNDS = 12
RESERVED = ("scheme", "control")
"""Labels of the only components that act in schemes, controls and their rings."""


@dataclass(frozen=True)
class Component:
    """One planted process of one theme.

    Attributes
    ----------
    label
        Which truth it belongs to: ``background``, ``trend/<quartier>``, ``hot/<place>``, ``scheme/<id>`` …
    anchors, weights
        Where: indexes of anchors and their weights (sum one).
    days
        When: weight of each day (mean one).
    profile
        Hours of the day.
    expected
        Expected number of incidents over the period, before any camera or lighting acts.
    category
        The only category, if there is but one.
    """

    label: str
    theme: str
    anchors: IntArray
    weights: FloatArray
    days: FloatArray
    profile: str
    expected: float
    category: str | None = None


@dataclass(frozen=True)
class Intensity:
    """All components, with the res 9 percentile that sized each theme's hot places."""

    components: tuple[Component, ...]
    percentile95: dict[str, float]
    anchor_cells_r9: IntArray

    def by_anchor(self, theme: str, size: int) -> FloatArray:
        """Expected incidents of a theme at each anchor."""
        total = np.zeros(size)
        for component in self.components:
            if component.theme == theme:
                total[component.anchors] += component.expected * component.weights
        return total


class _Builder:
    """Collects components; knows which anchors are free."""

    def __init__(self, town: Town, places: Places, weather: Weather) -> None:
        anchors = town.anchors
        self.town, self.places = town, places
        self.points = points_at(anchors.x, anchors.y)
        self.tree = shapely.STRtree(self.points)
        shapely.prepare(places.reserved)
        self.free: BoolArray = ~np.asarray(shapely.contains_xy(places.reserved, anchors.x, anchors.y))
        self.days = {t.key: day_weights(t, weather) for t in p.THEMES}
        self.components: list[Component] = []

    def inside(self, area: Area) -> IntArray:
        """Anchors in an area, in order."""
        return np.sort(self.tree.query(area.geometry, predicate="contains"))

    def add(
        self,
        label: str,
        theme: str,
        weights: FloatArray,
        expected: float,
        *,
        anchors: IntArray | None = None,
        days: FloatArray | None = None,
        profile: str | None = None,
        category: str | None = None,
    ) -> None:
        """Add a component with ``weights`` over ``anchors`` (all of them when None)."""
        index = np.arange(len(self.free)) if anchors is None else anchors
        keep = weights > 0 if label.startswith(RESERVED) else (weights > 0) & self.free[index]
        index, weights = index[keep], weights[keep]
        if not len(index) or expected <= 0:
            return
        days = self.days[theme] if days is None else days
        days = days / days.mean()
        self.components.append(
            Component(
                label,
                theme,
                index,
                weights / weights.sum(),
                days,
                profile or p.THEME[theme].profile,
                expected,
                category,
            )
        )


def build_intensity(
    land: Land, sites: Sites, town: Town, places: Places, weather: Weather, streams: Streams
) -> Intensity:
    """Put all components together.

    Parameters
    ----------
    land, sites, town, places, weather
        The city of this seed.
    streams
        Random streams of the seed.

    Returns
    -------
    Intensity
        Components in a fixed order.
    """
    builder = _Builder(town, places, weather)
    backgrounds = background_weights(land, sites, town, builder.tree, streams)
    _background(builder, land, backgrounds)
    _schools(builder, sites)
    _points(builder)
    _lighting_and_burst(builder)
    _reserved(builder)
    cells = cells_at(town.anchors.x, town.anchors.y, 9)
    percentiles = {}
    for theme in p.THEMES:
        percentiles[theme.key] = _hot_places(builder, theme.key, cells)
    return Intensity(tuple(builder.components), percentiles, cells)


def _background(builder: _Builder, land: Land, backgrounds: dict[str, FloatArray]) -> None:
    """Background of each theme, split where a quartier has a trend of its own."""
    quartier = builder.town.anchors.quartier
    trends = {land.keys.index(key): kind for key, kind in sorted(builder.places.trends.items())}
    for theme in p.THEMES:
        weights = np.where(builder.free, backgrounds[theme.key], 0.0)
        weights = weights / weights.sum()
        special = np.isin(quartier, list(trends))
        builder.add(
            "background", theme.key, np.where(special, 0.0, weights), theme.background * weights[~special].sum()
        )
        for index, kind in trends.items():
            here = np.flatnonzero(quartier == index)
            factor = trend(kind) if not theme.sensitive else np.ones_like(trend(kind))
            expected = theme.background * weights[here].sum() * factor.mean()
            builder.add(
                f"trend/{land.keys[index]}",
                theme.key,
                weights[here],
                expected,
                anchors=here,
                days=builder.days[theme.key] * factor,
            )


def _schools(builder: _Builder, sites: Sites) -> None:
    """More incidents within 130 m of schools, on school days, around their hours."""
    schools = sites.of("ecoles_maternelles", "ecoles_elementaires")
    weights = near_points(builder.tree, schools, builder.town, reach_m=p.SCHOOL_RADIUS_M, flat=True)
    for theme, expected in p.SCHOOL_EXCESS.items():
        builder.add("school", theme, weights, expected, days=school_days().astype(float), profile="school")


def _points(builder: _Builder) -> None:
    """Accident-prone corners and illicit-parking points."""
    for label, theme, points, per_point, radius_m, category in (
        (
            "accident-point",
            "accidents",
            builder.places.accident_points,
            p.ACCIDENTS_PER_POINT,
            p.ACCIDENT_POINT_RADIUS_M,
            None,
        ),
        (
            "parking-point",
            "stationnement",
            builder.places.parking_points,
            p.PARKING_PER_POINT,
            p.PARKING_POINT_RADIUS_M,
            "stationnement_genant",
        ),
    ):
        for number, (x, y) in enumerate(points):
            near = np.sort(builder.tree.query(shapely.Point(float(x), float(y)), "dwithin", distance=radius_m))
            builder.add(
                f"{label}/{number + 1:02d}", theme, np.ones(len(near)), per_point, anchors=near, category=category
            )


def _lighting_and_burst(builder: _Builder) -> None:
    """Nights around the new lamps (their effect comes later), and the short accumulation."""
    (lighting,), (burst,) = builder.places.of("lighting"), builder.places.of("burst")
    here = builder.inside(lighting)
    for theme, share in (("vie_nocturne", 0.5), ("occupation_espace_public", 0.3), ("habitat_social", 0.2)):
        builder.add("lighting", theme, np.ones(len(here)), p.LIGHTING_EXPECTED * share, anchors=here, profile="night")
    days = np.zeros_like(builder.days[p.EMERGING_THEME])
    first = day_index(p.BURST_START)
    days[first : first + p.BURST_DAYS] = 1.0
    here = builder.inside(burst)
    builder.add(
        "burst",
        p.THEME_OF[p.BURST_CATEGORY],
        np.ones(len(here)),
        p.BURST_RECORDS,
        anchors=here,
        days=days,
        category=p.BURST_CATEGORY,
    )


def _reserved(builder: _Builder) -> None:
    """Schemes, controls and their rings: even along streets, the same mixture of themes everywhere."""
    before = day_index(p.INSTALLED)
    expected = {
        "scheme": p.SCHEME_BEFORE,
        "scheme_ring": p.SCHEME_RING_BEFORE,
        "control": p.CONTROL_BEFORE,
        "control_ring": p.CONTROL_RING_BEFORE,
    }
    for area in builder.places.areas:
        if area.kind not in expected:
            continue
        here = builder.inside(area)
        for theme in p.THEMES:
            days = builder.days[theme.key]
            share_before = days[:before].sum() / days.sum()
            total = expected[area.kind] * theme.reserved_share / share_before
            builder.add(f"{area.kind}/{area.id}", theme.key, np.ones(len(here)), total, anchors=here)


def _hot_places(builder: _Builder, theme: str, cells: IntArray) -> float:
    """Top up the theme's places to a multiple of its own 95th percentile, itself moved by them; return it.

    The density wanted in a disc is ``factor × percentile / cell area``; what the other components already give there
    is subtracted. The percentile is over res 9 cells with land. A few rounds reach the fixed point.
    """
    wanted: list[tuple[str, Area, float, FloatArray]] = []
    if p.THEME[theme].hot_places:
        wanted += [
            (f"hot/{a.id}", a, p.HOT_FACTOR, builder.days[theme])
            for a in builder.places.of("hot_place")
            if a.of == theme
        ]
    if theme == p.EMERGING_THEME:
        wanted += [
            (f"emerging/{a.of}", a, p.EMERGING_FACTOR, builder.days[theme] * emerging(a.of))
            for a in builder.places.of("emerging")
        ]
    universe = land_cells(9)
    base = np.zeros(len(cells))
    for component in builder.components:
        if component.theme == theme:
            generations = 1 / (1 - p.OFFSPRING_MEAN) if theme == p.THEME_OF[p.CONTAGIOUS] else 1.0
            share = _category_share(theme, p.CONTAGIOUS)
            factor = 1 + share * (generations - 1) if _breeds(component) else 1.0
            base[component.anchors] += component.expected * component.weights * factor
    inside = [builder.inside(area) for _, area, _, _ in wanted]
    inside = [index[builder.free[index]] for index in inside]
    top = np.zeros(len(wanted))
    per_cell = universe.sums(cells, base)
    added = [universe.sums(cells[index], np.full(len(index), 1 / len(index))) for index in inside]
    for _ in range(HOT_ROUNDS):
        total = per_cell + sum((t * a for t, a in zip(top, added, strict=True)), np.zeros(len(per_cell)))
        percentile = float(np.quantile(total, 0.95))
        for k, (_, area, factor, _) in enumerate(wanted):
            mass = factor * percentile * area.geometry.area / universe.mean_area_m2
            top[k] = max(0.0, mass - base[inside[k]].sum())
    for k, (label, _, _, days) in enumerate(wanted):
        builder.add(label, theme, np.ones(len(inside[k])), top[k], anchors=inside[k], days=days)
    return percentile


def _breeds(component: Component) -> bool:
    """Near repeat acts on the background and trends of its category, not in reserved or other planted places."""
    return component.label == "background" or component.label.startswith("trend/")


def _category_share(theme: str, category: str) -> float:
    return sum(c.share for c in p.THEME[theme].categories if c.key == category)
