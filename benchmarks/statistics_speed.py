"""Time the statistics on the sample's land: exact tails, draws of local Moran, density; print the best of some runs.

python benchmarks/statistics_speed.py
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import shapely

from hexgrid.cells import neighbour_matrix
from hexgrid.universe import base_universe, land_pieces, measure, parent_universe, planar_areas, to_metric
from risk_surfaces.geobox import GeoBox
from risk_surfaces.kernel_density import bin_points, density, exact_density, kernel_weights, smooth
from risk_surfaces.land_share import land_share
from spatial.hotspots import hot_spots
from spatial.moran import conditional_p
from spatial.neighbourhoods import neighbourhoods, share_steps

QUARTIERS = Path(__file__).resolve().parent.parent / "data_samples" / "marseille" / "quartiers.geojson"
METRIC = "EPSG:2154"
REPEATS = 5
INCIDENTS = 100_000


def best(label: str, work: Callable[[], object]) -> None:
    """Print the shortest of some runs."""
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    print(f"{label:60s} {min(seconds):8.3f} s")


def time_cells(land: shapely.Geometry) -> None:
    parts = [measure(piece, METRIC) for piece in land_pieces(land)]
    columns = {"cell": np.concatenate([p[0] for p in parts]), "land_area_m2": np.concatenate([p[1] for p in parts])}
    base = base_universe(pa.table(columns), np.empty(0, dtype=np.int64), METRIC)
    rng = np.random.default_rng(1)
    for resolution in (9, 10):
        universe = parent_universe(base, resolution)
        index, land_m2 = universe.column("cell").to_numpy(), universe.column("land_area_m2").to_numpy()
        near = neighbour_matrix(index)
        places = neighbourhoods(near, share_steps(land_m2, planar_areas(index, METRIC)))
        counts = rng.poisson(land_m2 / land_m2.sum() * INCIDENTS * rng.gamma(0.3, 1 / 0.3, index.size))
        print(f"resolution {resolution}: {index.size} cells, {len(places.patterns)} patterns, up to {counts.max()}")
        best("  hot spots of a slice", lambda c=counts, p=places: hot_spots(c, p))
        best("  9,999 draws", lambda c=counts, w=near: conditional_p(c * 1.0, w, permutations=9_999, seed=1))


def time_pixels(land: shapely.Geometry) -> None:
    west, south, east, north = shapely.bounds(land).tolist()
    box = GeoBox.covering((west, south, east, north), pixel_m=25.0, crs=METRIC)
    best("exact land shares, 25 m", lambda: land_share(land, box))
    share, weights = land_share(land, box), kernel_weights(250.0, 25.0)
    mass = smooth(share, weights)
    shapely.prepare(land)
    points = np.random.default_rng(1).uniform((west, south), (east, north), (4 * INCIDENTS, 2))
    points = points[shapely.contains_xy(land, points)][:INCIDENTS]

    def binned() -> object:
        counts = bin_points(points[:, 0], points[:, 1], box)
        return density(counts, share, pixel_km2=box.pixel_km2, weights=weights, mass=mass)

    best(f"density of {len(points)} points on {box.shape[0]} × {box.shape[1]} pixels", binned)
    best("  exact sums at 100 places, for comparison", lambda: exact_density(points, points[:100], bandwidth_m=250.0))


if __name__ == "__main__":
    features = json.loads(QUARTIERS.read_text(encoding="utf-8"))["features"]
    outline = shapely.union_all([shapely.geometry.shape(feature["geometry"]) for feature in features])
    metric = to_metric(outline, METRIC)
    time_cells(metric)
    time_pixels(metric)
