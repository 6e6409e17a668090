"""Streets of the small city, and addresses that lie on them."""

from __future__ import annotations

import json

from support.delivered_city import ORIGIN_X_M, ORIGIN_Y_M, DeliveredCity

STREETS_TOML = """
[[sources]]
id = "roads"
layer = "streets"
title = { fr = "Voies", en = "Streets" }
organisation = "Ville"
deliveries = ["roads.geojson"]
columns = { record_id = "ref", name = "name" }
"""
LINES = {"Rue de la Paix": (100.0, 300.0, 300.0), "Boulevard Longchamp": (1200.0, 1600.0, 1300.0)}
"""Name → west and east end and height, metres from the city's corner."""


def deliver_streets(city: DeliveredCity, lines: dict[str, tuple[float, float, float]] | None = None) -> None:
    """Write ``roads.geojson``: horizontal streets."""
    features = []
    for number, (name, (west, east, height)) in enumerate((lines or LINES).items(), start=1):
        ends = [[ORIGIN_X_M + x, ORIGIN_Y_M + height] for x in (west, east)]
        geometry = {"type": "LineString", "coordinates": ends}
        features.append({"type": "Feature", "properties": {"ref": f"S{number}", "name": name}, "geometry": geometry})
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::2154"}}
    document = {"type": "FeatureCollection", "crs": crs, "features": features}
    (city.folder / "roads.geojson").write_text(json.dumps(document), encoding="utf-8")
