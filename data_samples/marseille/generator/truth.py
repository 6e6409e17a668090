"""What was planted, kept for oracles: parameters and places as JSON, cells, areas and records as Parquet."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import shapely
from shapely.geometry.base import BaseGeometry

from data_samples.marseille.generator import formats
from data_samples.marseille.generator import parameters as p
from data_samples.marseille.generator.agenda import Agenda
from data_samples.marseille.generator.cells import BASE, cells_at, land_cells, outlines, parents, text_of
from data_samples.marseille.generator.dirty import DirtyRow
from data_samples.marseille.generator.process import Simulation
from data_samples.marseille.generator.randomness import FloatArray, IntArray
from data_samples.marseille.generator.timeline import AUTUMN_NIGHTS, SPRING_NIGHTS, day_index

RESOLUTIONS = (9, 10, 11)
QUARTER_M = ((2.5, 2.0), (2.5, -2.0), (-2.5, 2.0), (-2.5, -2.0))
"""Middle points of the four quarters of an anchor's patch, along and across: where its mass is put for cells."""
GENERATIONS = 5
OFFSPRING_RINGS = (0.46, 1.18, 2.15)
"""Radii (in sigmas) of equal thirds of a two-dimensional Gaussian, at their median."""


@dataclass(frozen=True)
class Truth:
    """A generated sample: its seed, the truth document, and the digest of each file (path relative to the folder)."""

    seed: int
    document: dict[str, Any]
    digests: dict[str, str]


def write_truth(
    folder: Path,
    simulation: Simulation,
    records: pd.DataFrame,
    *,
    corrections: pd.DataFrame,
    dirty: list[DirtyRow],
    agenda: Agenda,
    cameras: pd.DataFrame,
) -> dict[str, Any]:
    """Write every truth file into ``folder`` and return ``truth.json``'s content."""
    for resolution, table in cell_truth(simulation).items():
        formats.write_parquet(folder / f"cells_r{resolution}.parquet", table)
    _areas(folder, simulation)
    _records(folder, records, simulation)
    formats.write_csv(
        folder / "corrections.csv",
        ("record_id", "change"),
        corrections.to_numpy().tolist(),
        encoding="utf-8",
        delimiter=",",
    )
    scheme_cameras = cameras[cameras["scheme"] != ""].sort_values("code")
    document = _document(simulation, records, agenda)
    document["dirty_rows"] = [asdict(row) for row in dirty]
    document["corrections"] = corrections["change"].value_counts().sort_index().to_dict()
    document["scheme_cameras"] = {
        scheme: rows["code"].tolist() for scheme, rows in scheme_cameras.groupby("scheme", sort=True)
    }
    text = json.dumps(document, ensure_ascii=False, indent=1, sort_keys=False)
    (folder / "truth.json").write_text(text + "\n", encoding="utf-8")
    return document


def cell_truth(simulation: Simulation) -> dict[int, pa.Table]:
    """Return the expected records per cell and theme over the period, effects of cameras and lamps included.

    Returns
    -------
    dict
        Resolution → table: h3, land_area_m2 at resolutions 9 and 10 (EPSG:2154), expected_<theme>, and per theme with
        hot places ``place_<theme>``: the share of the cell's land inside one of them (resolutions 9 and 10). A parent
        is the sum of its children by the hierarchy.
    """
    fine = land_cells(BASE)
    patches = _patch_cells(simulation)
    expected = {}
    for theme in p.THEMES:
        per_cell = fine.sums(patches.ravel(), np.repeat(_mass_by_anchor(simulation, theme.key) / 4, 4))
        if theme.key == p.THEME_OF[p.CONTAGIOUS]:
            per_cell = per_cell + _offspring(simulation, patches[:, 0])
        expected[theme.key] = per_cell
    return {resolution: _cell_table(simulation, resolution, expected) for resolution in RESOLUTIONS}


def _cell_table(simulation: Simulation, resolution: int, expected: dict[str, FloatArray]) -> pa.Table:
    universe, fine = land_cells(resolution), land_cells(BASE).cells
    columns: dict[str, Any] = {"h3": text_of(universe.cells)}
    above = fine if resolution == BASE else parents(fine, resolution)
    for theme, values in expected.items():
        columns[f"expected_{theme}"] = np.round(universe.sums(above, values), 6)
    if resolution == BASE:
        return pa.table(columns)
    land = outlines(universe.cells)
    shapely.prepare(land)
    cut = np.flatnonzero(~shapely.contains_properly(simulation.land.land, land))
    land[cut] = shapely.intersection(land[cut], simulation.land.land)
    columns["land_area_m2"] = np.round(shapely.area(land), 2)
    for theme in (t.key for t in p.THEMES if t.hot_places):
        places = [a.geometry for a in simulation.places.of("hot_place") if a.of == theme]
        columns[f"place_{theme}"] = _land_share(land, places)
    return pa.table(columns)


def _land_share(land: Any, places: list[BaseGeometry]) -> FloatArray:
    union = shapely.union_all(places)
    shapely.prepare(union)
    touched = np.flatnonzero(shapely.intersects(union, land))
    share = np.zeros(len(land))
    share[touched] = shapely.area(shapely.intersection(land[touched], union)) / shapely.area(land[touched])
    return np.round(share, 6)


def _patch_cells(simulation: Simulation) -> IntArray:
    """Return the base cells of the four quarters of every anchor's patch, shape (n, 4)."""
    a = simulation.town.anchors
    columns = [cells_at(a.x + u * a.dx - v * a.dy, a.y + u * a.dy + v * a.dx, BASE) for u, v in QUARTER_M]
    return np.stack(columns, axis=1)


def _mass_by_anchor(simulation: Simulation, theme: str) -> FloatArray:
    """Return the expected incidents at each anchor with the effects of schemes and lamps."""
    mass = np.zeros(len(simulation.town.anchors))
    installed, lit = day_index(p.INSTALLED), day_index(p.LIGHTING_DATE)
    components = [c for c in simulation.intensity.components if c.theme == theme]
    moved: dict[str, float] = {}
    for c in components:
        kind, _, name = c.label.partition("/")
        expected = c.expected
        if kind == "scheme":
            lost = c.expected * -p.SCHEME_EFFECT[name[-1]] * c.days[installed:].sum() / c.days.sum()
            expected -= lost
            moved[name] = lost * p.SCHEME_DISPLACED[name[-1]]
        elif kind == "lighting":
            hours = np.array(p.PROFILES[c.profile][0])
            dark = (hours[20:].sum() + hours[:6].sum()) / hours.sum()
            expected *= 1 + p.LIGHTING_EFFECT * dark * c.days[lit:].sum() / c.days.sum()
        elif kind == "scheme_ring":
            expected += moved.get(name.removesuffix("-ring"), 0.0)
        mass[c.anchors] += expected * c.weights
    return mass


def _offspring(simulation: Simulation, home: IntArray) -> FloatArray:
    """Return the expected near repeats per base cell: parents' mass spread around, generation by generation.

    The spread over distance is an approximation (six points around the anchors' mean position in each cell, five
    generations); delays cut at 14 days are accounted for, those cut at the end of the period are not.
    """
    category = next(c for c in p.THEME[p.THEME_OF[p.CONTAGIOUS]].categories if c.key == p.CONTAGIOUS)
    a = simulation.town.anchors
    mass = np.zeros(len(a))
    for c in simulation.intensity.components:
        if c.theme == p.THEME_OF[p.CONTAGIOUS] and (c.label == "background" or c.label.startswith("trend/")):
            mass[c.anchors] += c.expected * category.share * c.weights
    cells, member = np.unique(home, return_inverse=True)
    born = np.bincount(member, weights=mass)
    count = np.bincount(member)
    x, y = (np.bincount(member, weights=v) / count for v in (a.x, a.y))
    universe = land_cells(BASE)
    total = np.zeros(len(universe.cells))
    bred = p.OFFSPRING_MEAN * (1 - np.exp(-p.OFFSPRING_MAX_DAYS / p.OFFSPRING_MEAN_DAYS))
    for generation in range(1, GENERATIONS + 1):
        for k in range(6):
            radius = OFFSPRING_RINGS[k % 3] * p.OFFSPRING_SIGMA_M * np.sqrt(generation)
            angle = np.pi * (k / 3 + 0.17 * generation)
            found = cells_at(x + radius * np.cos(angle), y + radius * np.sin(angle), BASE)
            known = np.isin(found, universe.cells)
            total += universe.sums(np.where(known, found, cells), born * bred**generation / 6)
    return total


def _areas(folder: Path, simulation: Simulation) -> None:
    """Planted areas and what each scheme camera sees, as GeoParquet in EPSG:2154."""
    areas = simulation.places.areas
    cameras = simulation.places.cameras
    table = pa.table({
        "id": [a.id for a in areas] + [f"view-{c.scheme}-{i + 1:02d}" for i, c in enumerate(cameras)],
        "kind": [a.kind for a in areas] + ["view"] * len(cameras),
        "of": [a.of for a in areas] + [c.scheme for c in cameras],
        "geometry": pa.array(
            shapely.to_wkb(np.array([a.geometry for a in areas] + [c.visible for c in cameras])).tolist(), pa.binary()),
    })  # fmt: skip
    formats.write_parquet(folder / "areas.parquet", table, geometry="geometry", crs=p.CRS_METRIC)


def _records(folder: Path, records: pd.DataFrame, simulation: Simulation) -> None:
    """One row per record of the final deliveries, dirty rows excepted."""
    incidents = simulation.incidents
    parent = incidents["parent"].to_numpy()
    originals = records[records["kind"] == "original"].set_index("incident")["record_id"]
    bred = [originals.get(parent[i], "") if parent[i] >= 0 else "" for i in records["incident"]]
    names = simulation.town.streets.names
    table = pa.table({
        "source": records["source"].tolist(),
        "record_id": records["record_id"].tolist(),
        "theme": records["theme"].tolist(),
        "category": records["category"].tolist(),
        "component": records["label"].tolist(),
        "kind": records["kind"].tolist(),
        "duplicate_of": records["duplicate_of"].tolist(),
        "duplicate_of_source": records["duplicate_of_source"].tolist(),
        "contagion_parent": bred,
        "displaced": records["displaced"].to_numpy(bool),
        "true_utc": pa.array(records["utc"].to_numpy().astype("datetime64[us]"), pa.timestamp("us", "UTC")),
        "true_x_m": records["x_m"].to_numpy(),
        "true_y_m": records["y_m"].to_numpy(),
        "street": [names[s] if s >= 0 else "" for s in records["street"]],
        "has_coordinates": records["rx_m"].notna().to_numpy(),
        "is_interval": (records["end_minute"] >= 0).to_numpy(),
    })  # fmt: skip
    formats.write_parquet(folder / "records.parquet", table)


def _document(simulation: Simulation, records: pd.DataFrame, agenda: Agenda) -> dict[str, Any]:
    places = simulation.places
    percentile = {k: round(v, 6) for k, v in simulation.intensity.percentile95.items()}
    themes = {
        t.key: {"background": t.background, "hot_places": t.hot_places, "sensitive": t.sensitive,
                "season": {"amplitude": t.season_amplitude, "peak_month": t.season_peak_month},
                "weather": {"rain_effect": t.rain_effect, "heat_effect_per_degree": t.heat_effect},
                "percentile95_r9": percentile[t.key],
                "incidents": int((simulation.incidents["theme"] == t.key).sum())}
        for t in p.THEMES
    }  # fmt: skip
    centre = [(a, a.geometry.centroid) for a in places.areas]
    listed = [
        {
            "id": a.id,
            "kind": a.kind,
            "of": a.of,
            "x_m": round(c.x, 2),
            "y_m": round(c.y, 2),
            "area_m2": round(a.geometry.area, 1),
        }
        for a, c in centre
    ]
    controls = [a.id for a in places.of("control")]
    schemes = {
        a.of: {"area": a.id, "ring": f"{a.id}-ring", "installed": p.INSTALLED.isoformat(),
               "effect": p.SCHEME_EFFECT[a.of], "displaced_share": p.SCHEME_DISPLACED[a.of],
               "removed_or_moved": simulation.removed[a.id], "controls": controls,
               "verdict": {"A": "decrease", "B": "decrease, displaced", "C": "no detectable effect"}[a.of]}
        for a in places.of("scheme")
    }  # fmt: skip
    return {
        "seed": simulation.seed,
        "period": {"start": p.START.isoformat(), "end": p.END.isoformat(), "time_zone": p.TIME_ZONE},
        "incidents": len(simulation.incidents),
        "records": {s: int(n) for s, n in sorted(records["source"].value_counts().items())},
        "themes": themes,
        "hot_places": {"factor": p.HOT_FACTOR, "radius_m": p.HOT_RADIUS_M,
                       "meaning": "density in the disc as a multiple of the theme's 95th percentile per res 9 cell"},
        "places": listed,
        "schemes": schemes,
        "placebo_areas": controls,
        "lighting": {"area": "lighting", "date": p.LIGHTING_DATE.isoformat(), "effect": p.LIGHTING_EFFECT,
                     "hours": "20:00–06:00", "removed": simulation.removed["lighting"]},
        "burst": {"category": p.BURST_CATEGORY, "start": p.BURST_START.isoformat(), "days": p.BURST_DAYS,
                  "expected": p.BURST_RECORDS},
        "trends": places.trends,
        "near_repeat": {"category": p.CONTAGIOUS, "offspring_mean": p.OFFSPRING_MEAN, "sigma_m": p.OFFSPRING_SIGMA_M,
                        "mean_days": p.OFFSPRING_MEAN_DAYS, "maximum_days": p.OFFSPRING_MAX_DAYS},
        "school_excess": {"radius_m": p.SCHOOL_RADIUS_M, "expected": p.SCHOOL_EXCESS},
        "accident_points": {"radius_m": p.ACCIDENT_POINT_RADIUS_M, "expected_each": p.ACCIDENTS_PER_POINT,
                            "points": places.accident_points.tolist()},
        "parking_points": {"radius_m": p.PARKING_POINT_RADIUS_M, "expected_each": p.PARKING_PER_POINT,
                           "points": places.parking_points.tolist()},
        "duplicates": {"exact": p.EXACT_DUPLICATES, "near": p.NEAR_DUPLICATES, "within_m": p.NEAR_DUPLICATE_M,
                       "within_minutes": p.NEAR_DUPLICATE_MINUTES},
        "clock_changes": {"spring_nights": [d.isoformat() for d in SPRING_NIGHTS],
                          "autumn_nights": [d.isoformat() for d in AUTUMN_NIGHTS],
                          "naive_sources": "an hour that happens twice means its first pass; an hour that does not "
                                           "exist is read with the offset before the change (02:30 is 01:30 UTC)"},
        "event_conflicts": {"planted": agenda.planted, "all": agenda.conflicts, "within_m": 50},
    }  # fmt: skip
