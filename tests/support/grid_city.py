"""A small made-up city on a ragged coast: land, two zone levels, a few thousand incidents of every awkward kind."""

from __future__ import annotations

import datetime as dt
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import shapely

from hexgrid.cells import CRS84, project
from layers.home import Home
from layers.lake import layer_table

METRIC = "EPSG:2154"
CORNER_M = (893_000.0, 6_246_000.0)
SIDE_M = 2_400.0
SEED = 20_260_101
N_INCIDENTS = 4_000
CATEGORIES = {
    "tapage": "nuit",
    "rixe": "nuit",
    "collision": "routes",
    "sans_gravite": "routes",
    "intrafamilial": "familles",
    "unmapped": "unmapped",
}
DST_NIGHTS = (dt.date(2024, 3, 31), dt.date(2024, 10, 27))


def city_document() -> dict[str, Any]:
    """Return a city file as read from TOML."""
    return {
        "city": {
            "id": "essai",
            "title": {"fr": "Ville d'essai", "en": "Test city"},
            "metric_crs": METRIC,
            "timezone": "Europe/Paris",
            "attribution": "Données fabriquées",
        },
        "land": {"zones": "quartiers"},
        "zones": [
            {
                "id": "secteurs",
                "title": {"fr": "Secteurs", "en": "Sectors"},
                "dissolve": {"of": "quartiers", "by": "secteur"},
            },
            {"id": "quartiers", "title": {"fr": "Quartiers", "en": "Districts"}, "path": "quartiers.geojson"},
        ],
        "taxonomy": {
            "themes": {
                "nuit": {
                    "title": {"fr": "Vie nocturne", "en": "Nightlife"},
                    "categories": {
                        "tapage": {"title": {"fr": "Tapage", "en": "Noise"}},
                        "rixe": {"title": {"fr": "Rixe", "en": "Brawl"}},
                    },
                },
                "routes": {
                    "title": {"fr": "Routes", "en": "Roads"},
                    "categories": {
                        "collision": {"title": {"fr": "Collision", "en": "Collision"}},
                        "sans_gravite": {"title": {"fr": "Sans gravité", "en": "Minor"}, "sensitive": True},
                    },
                },
                "familles": {
                    "title": {"fr": "Familles", "en": "Families"},
                    "sensitive": True,
                    "categories": {"intrafamilial": {"title": {"fr": "Intrafamilial", "en": "Domestic"}}},
                },
            }
        },
        "sources": [],
        "analysis": {"start": "2024-01-01", "end": "2024-12-31"},
    }


def metric_land() -> shapely.Polygon:
    """Return the land, metric: a square with a ragged western coast, a lake, and an islet smaller than a cell."""
    x, y = CORNER_M
    rng = np.random.default_rng(SEED)
    coast = [(x + float(rng.uniform(0, 300)), y + step * SIDE_M / 40) for step in range(41)]
    shore = shapely.Polygon([*coast, (x + SIDE_M, y + SIDE_M), (x + SIDE_M, y)])
    lake = shapely.Point(x + 1_500, y + 900).buffer(120)
    islet = shapely.Point(x - 200, y + 1_000).buffer(6)
    return shapely.union_all([shapely.difference(shore, lake), islet])


def lon_lat(geometry: shapely.Geometry) -> shapely.Geometry:
    """Transform a geometry of the metric CRS to CRS84."""
    return shapely.transform(geometry, lambda points: project(points, CRS84, source=METRIC))


def land_table(land: shapely.Geometry) -> pa.Table:
    """Return the table ``land`` of the lake."""
    encoded = pa.array([shapely.to_wkb(lon_lat(land))], pa.binary())
    return pa.table({"geometry": encoded, "area_m2": [float(shapely.area(land))]})


def incidents_table(n: int = N_INCIDENTS, seed: int = SEED) -> pa.Table:
    """Return the table ``incidents`` of the lake, with the columns that the index reads and a few that it does not."""
    rng = np.random.default_rng(seed)
    x, y = CORNER_M
    spots = rng.uniform((x - 500, y - 200), (x + SIDE_M + 200, y + SIDE_M + 200), (n, 2))
    spots[: n // 3] = np.array(CORNER_M) + 1_200 + rng.normal(0, 150, (n // 3, 2))
    degrees = project(spots, CRS84, source=METRIC)
    located = rng.random(n) > 0.05
    on_land = shapely.contains_xy(metric_land(), spots)
    date = dt.date(2023, 11, 1) + np.array([dt.timedelta(days=int(d)) for d in rng.integers(0, 480, n)])
    date[:40] = [DST_NIGHTS[i % 2] for i in range(40)]
    hour = rng.integers(0, 24, n)
    hour[:40] = 2
    known = rng.random(n) > 0.1
    category = rng.choice(list(CATEGORIES), n)
    sector = np.where(spots[:, 0] < x + SIDE_M / 2, "ouest", "est")
    quartier = np.char.add(np.char.add(sector, "-"), np.where(spots[:, 1] < y + SIDE_M / 2, "sud", "nord"))
    zoned = located & on_land
    return pa.table(
        {
            "id": [f"i{k:06d}" for k in range(n)],
            "theme": [CATEGORIES[c] for c in category],
            "category": category.tolist(),
            "date": pa.array(date.tolist(), pa.date32()),
            "hour": pa.array(hour.astype(np.int8), mask=~known),
            "provenance": rng.choice(["reported", "discovered"], n).tolist(),
            "located": located,
            "on_land": pa.array(on_land, mask=~located),
            "zone_secteurs": pa.array(sector.tolist(), mask=~zoned),
            "zone_quartiers": pa.array(quartier.tolist(), mask=~zoned),
            "lon": pa.array(degrees[:, 0], mask=~located),
            "lat": pa.array(degrees[:, 1], mask=~located),
        }
    )


def make_home(folder: Path, incidents: pa.Table | None, land: shapely.Geometry, parts: int = 3) -> Home:
    """Write a home folder whose layers look ingested, the incidents in ``parts`` files."""
    home = Home(folder)
    if incidents is not None:
        cuts = itertools.pairwise(np.linspace(0, incidents.num_rows, parts + 1).astype(int))
        pieces = {f"source=s{i}": incidents.slice(a, b - a) for i, (a, b) in enumerate(cuts)}
        layer_table(home, "incidents").commit(pieces, inputs={}, sort_by=["id"])
    layer_table(home, "land").commit({None: land_table(land)}, inputs={}, sort_by=["area_m2"])
    return home
