"""A city made of nothing but land and incidents, indexed without Spark: what statistics and surfaces need to run."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import shapely

from hexgrid.cells import Cells, project
from hexgrid.cube import BASE, universe_name
from hexgrid.facts import BASE_RESOLUTION, FactColumns, facts_of_records
from hexgrid.universe import base_universe, land_pieces, measure, parent_universe, to_metric
from layers.city import City
from layers.home import Home
from layers.lake import cube_table, layer_table
from spatial.neighbourhoods import Floats, Neighbourhoods
from support.services import SAMPLE_CITY

CRS84 = "OGC:CRS84"
METRIC = "EPSG:2154"
QUARTIERS = SAMPLE_CITY / "quartiers.geojson"
FIRST_DAY, LAST_DAY = dt.date(2023, 1, 1), dt.date(2024, 12, 31)


@dataclass(frozen=True)
class LandCells:
    """Cells of one resolution on real land."""

    cells: Cells
    area_m2: Floats
    land_area_m2: Floats
    places: Neighbourhoods

    def null_counts(self, incidents: int, rng: np.random.Generator) -> np.ndarray:
        """Counts of a city of constant intensity per km² of land."""
        return rng.multinomial(incidents, self.land_area_m2 / self.land_area_m2.sum())


def marseille_land() -> shapely.Geometry:
    """Land of the sample city (CRS84)."""
    features = json.loads(QUARTIERS.read_text(encoding="utf-8"))["features"]
    return shapely.union_all([shapely.geometry.shape(f["geometry"]) for f in features])


def land_universe(land: shapely.Geometry, crs: str = METRIC) -> pa.Table:
    """Universe of the base resolution (cell, area_m2, land_area_m2)."""
    parts = [measure(piece, crs) for piece in land_pieces(to_metric(land, crs))]
    shares = pa.table(
        {"cell": np.concatenate([cells for cells, _ in parts]), "land_area_m2": np.concatenate([m2 for _, m2 in parts])}
    )
    return base_universe(shares, np.empty(0, dtype=np.int64), crs)


def small_city(
    themes: Sequence[str] = ("vols", "nuisances"), *, sensitive: Sequence[str] = (), **analysis: Any
) -> City:
    """City file with one category per theme, named ``<theme>_a``."""
    text = {"fr": "Essai", "en": "Trial"}
    return City.model_validate(
        {
            "city": {
                "id": "essai", "title": text, "metric_crs": METRIC, "timezone": "Europe/Paris", "attribution": "essai",
            },
            "land": {"path": "land.geojson"},
            "zones": [],
            "taxonomy": {
                "themes": {
                    theme: {
                        "title": {"fr": theme, "en": theme},
                        "sensitive": theme in sensitive,
                        "categories": {f"{theme}_a": {"title": text}},
                    }
                    for theme in themes
                }
            },
            "sources": [],
            "analysis": {"start": FIRST_DAY, "end": LAST_DAY, **analysis},
        }
    )  # fmt: skip


def incidents_table(lon_lat: np.ndarray, themes: Sequence[str], dates: Sequence[dt.date], **flags: Any) -> pa.Table:
    """Incidents as the lake holds them (columns that statistics read), located and on land unless ``flags`` say."""
    size = len(lon_lat)
    metric = project(lon_lat, METRIC)
    return pa.table(
        {
            "located": pa.array(flags.get("located", np.ones(size, dtype=bool))),
            "on_land": pa.array(flags.get("on_land", np.ones(size, dtype=bool))),
            "theme": pa.array(list(themes)),
            "category": pa.array([f"{theme}_a" for theme in themes]),
            "date": pa.array(list(dates), pa.date32()),
            "hour": pa.array(np.zeros(size, dtype=np.int8)),
            "provenance": pa.array(["reported"] * size),
            "lon": lon_lat[:, 0],
            "lat": lon_lat[:, 1],
            "x_m": metric[:, 0],
            "y_m": metric[:, 1],
        }
    )


def fill_home(root: Path, land: shapely.Geometry, universe: pa.Table, incidents: pa.Table) -> Home:
    """Write layers and cube as ingestion and index would."""
    home = Home(root)
    rows = pa.table({"geometry": pa.array([shapely.to_wkb(land)], pa.binary())})
    layer_table(home, "land").commit({None: rows}, inputs={}, sort_by=["geometry"])
    layer_table(home, "incidents").commit({None: incidents}, inputs={}, sort_by=incidents.column_names)
    facts = facts_of_records(incidents, FactColumns(()))
    cube_table(home, BASE).commit({None: facts}, inputs={}, sort_by=FactColumns(()).keys)
    for resolution in (BASE_RESOLUTION, 10, 9):
        cells = universe if resolution == BASE_RESOLUTION else parent_universe(universe, resolution)
        cube_table(home, universe_name(resolution)).commit({None: cells}, inputs={}, sort_by=["cell"])
    return home


def points_on(land: shapely.Geometry, size: int, rng: np.random.Generator) -> np.ndarray:
    """Uniform points (in metres) on land, as longitude and latitude; shape (size, 2)."""
    metric = to_metric(land, METRIC)
    shapely.prepare(metric)
    west, south, east, north = shapely.bounds(metric)
    found: list[np.ndarray] = []
    while sum(map(len, found)) < size:
        some = rng.uniform((west, south), (east, north), (2 * size, 2))
        found.append(some[shapely.contains_xy(metric, some)])
    return project(np.concatenate(found)[:size], CRS84, source=METRIC)
