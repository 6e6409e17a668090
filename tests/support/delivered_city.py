"""A city of nine square kilometres in Lambert-93, written as a data office would deliver it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from layers.city import City, load_city
from layers.home import Home

ORIGIN_X_M, ORIGIN_Y_M = 893_000.0, 6_246_000.0
"""South-west corner, EPSG:2154: in Marseille."""

ZONE_SIDE_M = 1_000.0

HEADER = "NUM;DATE;HEURE;CODE;X;Y;GRAVITE;AGENT"

CITY_TOML = """
[city]
id = "carre"
title = { fr = "Le Carré", en = "The Square" }
metric_crs = "EPSG:2154"
timezone = "Europe/Paris"
attribution = "Ville du Carré"

[land]
zones = "blocks"

[[zones]]
id = "districts"
title = { fr = "Secteurs", en = "Districts" }
dissolve = { of = "blocks", by = "district", name = "district_name" }

[[zones]]
id = "blocks"
title = { fr = "Îlots", en = "Blocks" }
path = "blocks.geojson"
key = "code"
name = "label"

[taxonomy.themes.noise]
title = { fr = "Bruit", en = "Noise" }
[taxonomy.themes.noise.categories]
night_noise = { title = { fr = "Tapage", en = "Night noise" } }

[taxonomy.themes.family]
title = { fr = "Famille", en = "Family" }
sensitive = true
[taxonomy.themes.family.categories]
dispute = { title = { fr = "Différend", en = "Dispute" } }

[analysis]
start = 2024-01-01
end = 2024-12-31

[[sources]]
id = "log"
layer = "incidents"
title = { fr = "Main courante", en = "Log" }
organisation = "Police municipale"
deliveries = ["log*.csv"]
mode = "complete"
crs = "EPSG:2154"
drop = ["AGENT"]

[sources.read]
delimiter = ";"
decimal = ","

[sources.columns]
record_id = "NUM"
category = "CODE"
started_at = { columns = ["DATE", "HEURE"], format = "%d/%m/%Y %H:%M" }
severity = "GRAVITE"
x = "X"
y = "Y"

[sources.categories]
"N1" = "night_noise"
"F1" = "dispute"
"""

CAMERAS = """
[[sources]]
id = "cameras"
layer = "cameras"
title = { fr = "Caméras", en = "Cameras" }
organisation = "Ville"
deliveries = ["cameras*.csv"]
crs = "EPSG:2154"
[sources.columns]
record_id = "N"
x = "X"
y = "Y"
"""
"""A source of things without a date."""


@dataclass
class DeliveredCity:
    """A city folder and its home, to be changed and ingested by a test."""

    folder: Path
    home: Home

    @classmethod
    def at(cls, place: Path) -> DeliveredCity:
        """A city with its blocks and two records, not ingested yet."""
        folder = place / "city"
        folder.mkdir(parents=True)
        city = cls(folder, Home(place / "home"))
        city.write_toml()
        (folder / "blocks.geojson").write_text(blocks_geojson(), encoding="utf-8")
        city.deliver([row(1), row(2, hour="23:05", code="F1")])
        return city

    def write_toml(self, text: str = CITY_TOML) -> None:
        (self.folder / "city.toml").write_text(text, encoding="utf-8")

    def deliver(self, rows: Sequence[str], name: str = "log.csv", header: str = HEADER) -> Path:
        path = self.folder / name
        path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        return path

    def load(self) -> City:
        return load_city(self.folder)


def row(
    number: int,
    *,
    date: str = "15/05/2024",
    hour: str = "10:20",
    code: str = "N1",
    x: str = "",
    y: str = "",
    severity: str = "1",
) -> str:
    """One good row, in the middle of the north-west block unless told otherwise."""
    x = x or f"{ORIGIN_X_M + 500:.2f}".replace(".", ",")
    y = y or f"{ORIGIN_Y_M + 1500:.2f}".replace(".", ",")
    return f"MC{number};{date};{hour};{code};{x};{y};{severity};DUPONT Jean"


def blocks_geojson() -> str:
    """Two by two blocks of 1 km; the west ones are district A, the east ones district B."""
    features = []
    for column in range(2):
        for line in range(2):
            west, south = ORIGIN_X_M + column * ZONE_SIDE_M, ORIGIN_Y_M + line * ZONE_SIDE_M
            east, north = west + ZONE_SIDE_M, south + ZONE_SIDE_M
            ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
            district = "AB"[column]
            properties = {
                "code": f"{district}{line}",
                "label": f"Îlot {district}{line}",
                "district": district,
                "district_name": f"Secteur {district}",
            }
            geometry = {"type": "Polygon", "coordinates": [ring]}
            features.append({"type": "Feature", "properties": properties, "geometry": geometry})
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::2154"}}
    return json.dumps({"type": "FeatureCollection", "crs": crs, "features": features})
