"""Reference layers for the floors that need them later: streets, buildings with dwellings, poles, weather."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import shapely

from data_samples.marseille.generator import formats
from data_samples.marseille.generator import parameters as p
from data_samples.marseille.generator.process import Simulation
from data_samples.marseille.generator.randomness import Streams, points_at
from data_samples.marseille.generator.timeline import DATES
from data_samples.marseille.generator.town import HALF_STREET_M, buildings

POLE_EVERY = 4
"""One pole at every fourth anchor (40 m), on the right-hand kerb."""


def write_reference(folder: Path, simulation: Simulation) -> None:
    """Write ``voies.gpkg``, ``batiments.gpkg``, ``mobilier.gpkg`` (EPSG:2154) and ``meteo.csv``."""
    town, keys = simulation.town, simulation.land.keys
    streets = town.streets
    lines = shapely.linestrings(np.stack([streets.start, streets.end], axis=1))
    first = np.concatenate([[0], np.flatnonzero(np.diff(streets.street)) + 1])
    coordinates = np.concatenate([np.stack([streets.start, streets.end], axis=1)], axis=0)
    whole = [
        shapely.linestrings(np.concatenate([part[:1, 0], part[:, 1]])) for part in np.split(coordinates, first[1:])
    ]
    table = pa.table({
        "id": pa.array(np.arange(len(whole)) + 1, pa.int64()),
        "nom": list(streets.names),
        "quartier": [keys[q] for q in streets.quartier[first]],
        "longueur_m": np.round(np.bincount(streets.street, weights=shapely.length(lines)), 1),
    })  # fmt: skip
    formats.write_gpkg(
        folder / "voies.gpkg", "voies", table, np.array(whole), geometry_type="LineString", crs=p.CRS_METRIC
    )
    footprints, block, dwellings = buildings(town, np.ones(len(town.blocks), dtype=bool), Streams(simulation.seed))
    table = pa.table({
        "id": pa.array(np.arange(len(footprints)) + 1, pa.int64()),
        "quartier": [keys[q] for q in town.block_quartier[block]],
        "logements": pa.array(dwellings, pa.int32()),
    })  # fmt: skip
    formats.write_gpkg(
        folder / "batiments.gpkg", "batiments", table, footprints, geometry_type="Polygon", crs=p.CRS_METRIC
    )
    a = town.anchors
    index = np.flatnonzero(a.street >= 0)[::POLE_EVERY]
    side = HALF_STREET_M - 1.0
    x, y = np.round(a.x[index] + side * a.dy[index], 2), np.round(a.y[index] - side * a.dx[index], 2)
    on_land = shapely.contains_xy(simulation.land.land, x, y)
    index, x, y = index[on_land], x[on_land], y[on_land]
    table = pa.table({
        "id": pa.array(np.arange(len(index)) + 1, pa.int64()),
        "voie": pa.array(a.street[index] + 1, pa.int64()),
    })  # fmt: skip
    formats.write_gpkg(
        folder / "mobilier.gpkg",
        "poteaux",
        table,
        points_at(x, y),
        geometry_type="Point",
        crs=p.CRS_METRIC,
    )
    weather = simulation.weather
    rows = [
        (d.isoformat(), f"{r:.1f}", f"{t:.1f}", f"{w:.0f}")
        for d, r, t, w in zip(DATES, weather.rain_mm, weather.temperature_c, weather.wind_kmh, strict=True)
    ]
    formats.write_csv(
        folder / "meteo.csv", ("date", "pluie_mm", "temperature_c", "vent_kmh"), rows, encoding="utf-8", delimiter=","
    )
