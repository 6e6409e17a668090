"""A city of a few thousand records, built in seconds, for tests that build many times."""

import json
from pathlib import Path

import numpy as np
import pyproj

CENTRE_LON_LAT_DEG = (5.38, 43.30)
SIDE_M = 4_000.0
INCIDENTS = 2_400
CITY = """
[city]
id = "petite"
title = { fr = "Petite ville", en = "Small town" }
metric_crs = "EPSG:2154"
timezone = "Europe/Paris"
attribution = "Données générées"

[[zones]]
id = "quartiers"
title = { fr = "Quartiers", en = "Districts" }
path = "quartiers.geojson"

[land]
zones = "quartiers"

[grid]
resolutions = [9, 8]
default_resolution = 9
tile_resolutions = { 0 = 8, 12 = 9 }

[taxonomy.themes.stationnement]
title = { fr = "Stationnement", en = "Parking" }
[taxonomy.themes.stationnement.categories.genant]
title = { fr = "Gênant", en = "Obstructive" }
[taxonomy.themes.tranquillite]
title = { fr = "Tranquillité", en = "Quiet" }
[taxonomy.themes.tranquillite.categories.bruit]
title = { fr = "Bruit", en = "Noise" }

[[sources]]
id = "journal"
layer = "incidents"
title = { fr = "Journal", en = "Log" }
organisation = "Ville"
deliveries = ["journal_*.csv"]
mode = "increment"
crs = "EPSG:4326"
timezone = "Europe/Paris"
[sources.columns]
record_id = "numero"
category = "type"
started_at = { column = "quand", format = "%Y-%m-%d %H:%M" }
lon = "lon"
lat = "lat"
[sources.categories]
S = "genant"
B = "bruit"

[analysis]
start = 2024-01-01
end = 2024-12-31
as_of = 2024-12-31
[analysis.hotspots]
resolutions = [9]
permutations = 99
[analysis.density]
bandwidth_m = 250.0
pixel_m = 100.0
"""


def make_city(folder: Path, *, seed: int = 1) -> Path:
    """Write city file, four square zones and a first delivery; return ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "city.toml").write_text(CITY, encoding="utf-8")
    to_degrees = pyproj.Transformer.from_crs("EPSG:2154", "EPSG:4326", always_xy=True)
    x0, y0 = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:2154", always_xy=True).transform(*CENTRE_LON_LAT_DEG)
    half = SIDE_M / 2
    features = []
    for number, (i, j) in enumerate([(-1, -1), (0, -1), (-1, 0), (0, 0)], start=1):
        xs = [x0 + half * k for k in (i, i + 1, i + 1, i, i)]
        ys = [y0 + half * k for k in (j, j, j + 1, j + 1, j)]
        ring = [[round(a, 7), round(b, 7)] for a, b in zip(*to_degrees.transform(xs, ys), strict=True)]
        geometry = {"type": "Polygon", "coordinates": [ring]}
        features.append(
            {"type": "Feature", "properties": {"key": f"q{number}", "name": f"Quartier {number}"}, "geometry": geometry}
        )
    document = {"type": "FeatureCollection", "features": features}
    (folder / "quartiers.geojson").write_text(json.dumps(document), encoding="utf-8")
    deliver(folder, number=1, records=INCIDENTS, seed=seed)
    return folder


def deliver(folder: Path, *, number: int, records: int, seed: int) -> Path:
    """Write a delivery of new records, a third of them in one place; return its path."""
    rng = np.random.default_rng([seed, number])
    x0, y0 = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:2154", always_xy=True).transform(*CENTRE_LON_LAT_DEG)
    crowd = rng.random(records) < 1 / 3
    x = np.where(crowd, x0 + 900 + rng.normal(0, 150, records), x0 + rng.uniform(-SIDE_M / 2, SIDE_M / 2, records))
    y = np.where(crowd, y0 + 900 + rng.normal(0, 150, records), y0 + rng.uniform(-SIDE_M / 2, SIDE_M / 2, records))
    lon, lat = pyproj.Transformer.from_crs("EPSG:2154", "EPSG:4326", always_xy=True).transform(x, y)
    minutes = np.datetime64("2024-01-01T00:00") + rng.integers(0, 366 * 1440, records)
    code = np.where(rng.random(records) < 0.5, "S", "B")
    rows = [
        f"{number}-{k},{code[k]},{str(minutes[k]).replace('T', ' ')},{lon[k]:.6f},{lat[k]:.6f}" for k in range(records)
    ]
    path = folder / f"journal_{number}.csv"
    path.write_text("\n".join(["numero,type,quand,lon,lat", *rows]) + "\n", encoding="utf-8")
    return path
