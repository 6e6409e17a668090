"""From intensity to incidents: a Poisson process per component, then near repeat, cameras, lamps and displacement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely

from data_samples.marseille.generator import parameters as p
from data_samples.marseille.generator.intensity import Component, Intensity, build_intensity
from data_samples.marseille.generator.land import Land, load_land, load_sites
from data_samples.marseille.generator.places import Places, plant
from data_samples.marseille.generator.randomness import IntArray, Streams, pick, put
from data_samples.marseille.generator.timeline import (
    AUTUMN_NIGHTS,
    SPRING_NIGHTS,
    Weather,
    day_index,
    make_weather,
    utc_offset_hours,
)
from data_samples.marseille.generator.town import ANCHOR_STEP_M, Town, build_town

ACROSS_M = 4.0
"""Incidents lie within this distance of the street's axis."""
NAIVE_SOURCES = (p.MC, p.VF)
"""Sources that write the local clock without its offset."""


@dataclass(frozen=True)
class Simulation:
    """One seed's city and what happened in it.

    ``incidents`` has one row per true incident: theme, category, source, label, day, hour, minute, second_pass,
    utc (datetime64, UTC), x_m, y_m (true point, EPSG:2154), street, number, parent (row of the incident that bred
    it, −1 for none), displaced (moved by scheme B).
    """

    seed: int
    land: Land
    town: Town
    places: Places
    weather: Weather
    intensity: Intensity
    incidents: pd.DataFrame
    removed: dict[str, int]
    """How many incidents each intervention removed (or moved)."""


def simulate(seed: int = p.SEED) -> Simulation:
    """Make one city and its incidents in memory.

    Parameters
    ----------
    seed
        Any non-negative integer; the streets, the places and the incidents all follow from it.

    Returns
    -------
    Simulation
        About 100,000 incidents.
    """
    streams = Streams(seed)
    land, sites = load_land(), load_sites()
    town = build_town(land, streams)
    places = plant(land, town, streams)
    weather = make_weather(streams)
    intensity = build_intensity(land, sites, town, places, weather, streams)
    drawn = [_draw(c, town, streams.of(f"incidents/{c.label}/{c.theme}")) for c in intensity.components]
    incidents = pd.concat(drawn, ignore_index=True)
    incidents = pd.concat([incidents, _clock_change_nights(incidents, streams)], ignore_index=True)
    incidents = _with_offspring(incidents, land, places, streams)
    incidents, removed = _intervene(incidents, intensity, places, town, streams)
    _set_instants(incidents, streams)
    incidents = incidents.sort_values(["utc", "theme", "x_m", "y_m"], kind="stable")
    position = pd.Series(np.arange(len(incidents)), index=incidents.index)
    incidents["parent"] = incidents["parent"].map(position).fillna(-1).astype(np.int64)
    return Simulation(seed, land, town, places, weather, intensity, incidents.reset_index(drop=True), removed)


def _draw(component: Component, town: Town, rng: np.random.Generator) -> pd.DataFrame:
    """Incidents of one component."""
    count = int(rng.poisson(component.expected))
    anchor = component.anchors[pick(rng, component.weights, count)]
    theme = p.THEME[component.theme]
    hours = np.array(p.PROFILES[component.profile][0])
    categories = theme.categories
    if component.category:
        categories = tuple(c for c in categories if c.key == component.category)
    which = pick(rng, np.array([c.share for c in categories]), count)
    return pd.DataFrame({
        "theme": theme.key,
        "category": np.array([c.key for c in categories])[which],
        "label": component.label,
        "day": pick(rng, component.days, count),
        "hour": pick(rng, hours, count),
        "minute": rng.integers(0, 60, count),
        **_points(anchor, town, rng),
        "parent": -1,
    })  # fmt: skip


def _points(anchor: IntArray, town: Town, rng: np.random.Generator) -> dict[str, object]:
    """A point on the street around each anchor, rounded to the centimetre, with its street and house number."""
    a = town.anchors
    along = rng.uniform(-ANCHOR_STEP_M / 2, ANCHOR_STEP_M / 2, len(anchor))
    across = rng.uniform(-ACROSS_M, ACROSS_M, len(anchor))
    return {
        "x_m": np.round(a.x[anchor] + along * a.dx[anchor] - across * a.dy[anchor], 2),
        "y_m": np.round(a.y[anchor] + along * a.dy[anchor] + across * a.dx[anchor], 2),
        "street": a.street[anchor],
        "number": 1 + (a.along_m[anchor] // 6).astype(np.int64),
    }


def _clock_change_nights(incidents: pd.DataFrame, streams: Streams) -> pd.DataFrame:
    """Twelve incidents between 02:00 and 03:00 of each night when the clock changes, at ordinary places."""
    rng = streams.of("clock-change")
    nights = np.repeat([day_index(d) for d in (*SPRING_NIGHTS, *AUTUMN_NIGHTS)], 12)
    ordinary = incidents[(incidents["label"] == "background") & (incidents["theme"] == "vie_nocturne")]
    chosen = ordinary.iloc[np.sort(rng.choice(len(ordinary), len(nights), replace=False))].copy()
    chosen["label"], chosen["day"], chosen["hour"] = "clock-change", nights, 2
    chosen["minute"] = rng.integers(0, 60, len(nights))
    return chosen


def _with_offspring(incidents: pd.DataFrame, land: Land, places: Places, streams: Streams) -> pd.DataFrame:
    """Append near repeats: each incident of the contagious category may breed others, near and soon after.

    Notes
    -----
    A branching process with Poisson offspring, isotropic Gaussian distances and truncated exponential delays of at
    least two hours, as in self-exciting point process models (Mohler et al. 2011, doi 10.1198/jasa.2011.ap09546).
    """
    rng = streams.of("near-repeat")
    breeds = (incidents["category"] == p.CONTAGIOUS) & (
        (incidents["label"] == "background") | incidents["label"].str.startswith("trend/")
    )
    generation = incidents[breeds]
    families = [incidents]
    start = len(incidents)
    while len(generation):
        index = np.repeat(np.arange(len(generation)), rng.poisson(p.OFFSPRING_MEAN, len(generation)))
        child = generation.iloc[index].copy()
        child["parent"] = generation.index.to_numpy()[index]
        move = rng.normal(0, p.OFFSPRING_SIGMA_M, (len(child), 2))
        delay = np.maximum(2 / 24, rng.exponential(p.OFFSPRING_MEAN_DAYS, len(child)))
        x, y = (np.round(child[c].to_numpy() + move[:, k], 2) for k, c in enumerate(("x_m", "y_m")))
        allowed = shapely.contains_xy(land.land, x, y) & ~shapely.dwithin(shapely.points(x, y), places.reserved, 100.0)
        child["x_m"], child["y_m"] = np.where(allowed, x, child["x_m"]), np.where(allowed, y, child["y_m"])
        time = child["day"] * 1440 + child["hour"] * 60 + child["minute"] + np.round(delay * 1440).astype(np.int64)
        child["day"], child["hour"], child["minute"] = time // 1440, time // 60 % 24, time % 60
        child["label"] = "near-repeat"
        keep = (delay <= p.OFFSPRING_MAX_DAYS) & (child["day"].to_numpy() < incidents["day"].max())
        generation = child[keep]
        generation.index = pd.RangeIndex(start, start + len(generation))
        start += len(generation)
        families.append(generation)
    return pd.concat(families)


def _intervene(
    incidents: pd.DataFrame, intensity: Intensity, places: Places, town: Town, streams: Streams
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Let cameras and lamps act: remove incidents, or move them into the ring."""
    removed: dict[str, int] = {}
    drop = np.zeros(len(incidents), dtype=bool)
    day, x, y = (incidents[c].to_numpy() for c in ("day", "x_m", "y_m"))
    moved = np.zeros(len(incidents), dtype=bool)
    for area in places.of("scheme"):
        rng = streams.of(f"effect/{area.id}")
        shapely.prepare(area.geometry)
        seen = (day >= day_index(p.INSTALLED)) & shapely.contains_xy(area.geometry, x, y)
        hit = np.flatnonzero(seen)[rng.random(int(seen.sum())) < -p.SCHEME_EFFECT[area.of]]
        removed[area.id] = len(hit)
        if p.SCHEME_DISPLACED[area.of]:
            ring = next(c for c in intensity.components if c.label == f"scheme_ring/{area.id}-ring")
            spots = _points(ring.anchors[pick(rng, ring.weights, len(hit))], town, rng)
            for column, values in spots.items():
                put(incidents, column, hit, values)
            moved[hit] = True
        else:
            drop[hit] = True
    (lamps,) = places.of("lighting")
    rng = streams.of("effect/lighting")
    hour = incidents["hour"].to_numpy()
    dark = (hour >= 20) | (hour < 6)
    lit = dark & (day >= day_index(p.LIGHTING_DATE)) & shapely.contains_xy(lamps.geometry, x, y)
    hit = np.flatnonzero(lit)[rng.random(int(lit.sum())) < -p.LIGHTING_EFFECT]
    removed["lighting"] = len(hit)
    drop[hit] = True
    incidents["displaced"] = moved
    return incidents[~drop].copy(), removed


def _set_instants(incidents: pd.DataFrame, streams: Streams) -> None:
    """Give each incident its source and code, its pass of an hour that happens twice, and its instant in UTC."""
    rng = streams.of("sources")
    draw = rng.random(len(incidents))
    source = np.empty(len(incidents), dtype=object)
    code = np.empty(len(incidents), dtype=object)
    groups = incidents["category"].reset_index(drop=True).groupby(incidents["category"].to_numpy()).indices
    for theme in p.THEMES:
        for category in theme.categories:
            rows = groups.get(category.key, np.zeros(0, dtype=np.int64))
            edges = np.cumsum([share for _, _, share in category.codes])
            which = np.minimum(np.searchsorted(edges, draw[rows] * edges[-1], side="right"), len(edges) - 1)
            source[rows] = np.array([s for s, _, _ in category.codes], dtype=object)[which]
            code[rows] = np.array([c for _, c, _ in category.codes], dtype=object)[which]
    incidents["source"], incidents["code"] = source, code
    naive = np.isin(source.astype(str), NAIVE_SOURCES)
    second = rng.random(len(incidents)) < 0.5
    planted = np.flatnonzero(((incidents["label"] == "clock-change").to_numpy()) & ~naive)
    second[planted] = np.arange(len(planted)) % 2 == 1
    incidents["second_pass"] = second & ~naive
    day, hour = incidents["day"].to_numpy(), incidents["hour"].to_numpy()
    offset = utc_offset_hours(day, hour, second_pass=incidents["second_pass"].to_numpy())
    minutes = day * 1440 + hour * 60 + incidents["minute"].to_numpy() - offset * 60
    incidents["utc"] = np.datetime64(p.START) + minutes.astype("timedelta64[m]")
