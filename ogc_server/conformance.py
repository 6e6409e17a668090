"""Conformance classes, computed from what a profile is served: never claimed, always mounted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ogc_server.collections import Collection

_SPEC: Final = "http://www.opengis.net/spec"

ALWAYS: Final = (
    f"{_SPEC}/ogcapi-common-1/1.0/conf/core",
    f"{_SPEC}/ogcapi-common-1/1.0/conf/landing-page",
    f"{_SPEC}/ogcapi-common-1/1.0/conf/json",
    f"{_SPEC}/ogcapi-common-1/1.0/conf/html",
    f"{_SPEC}/ogcapi-common-1/1.0/conf/oas30",
    f"{_SPEC}/ogcapi-common-2/1.0/conf/collections",
)
FEATURES: Final = (
    f"{_SPEC}/ogcapi-features-1/1.0/conf/core",
    f"{_SPEC}/ogcapi-features-1/1.0/conf/geojson",
    f"{_SPEC}/ogcapi-features-1/1.0/conf/html",
    f"{_SPEC}/ogcapi-features-1/1.0/conf/oas30",
    f"{_SPEC}/ogcapi-features-2/1.0/conf/crs",
    f"{_SPEC}/ogcapi-features-3/1.0/conf/queryables",
    f"{_SPEC}/ogcapi-features-3/1.0/conf/queryables-query-parameters",
    # the same class under its old and its new name: QGIS looks for the old one only
    f"{_SPEC}/ogcapi-features-5/1.0/conf/schemas",
    f"{_SPEC}/ogcapi-common-3/1.0/conf/schemas",
)
TILES: Final = (
    f"{_SPEC}/ogcapi-tiles-1/1.0/conf/core",
    f"{_SPEC}/ogcapi-tiles-1/1.0/conf/tileset",
    f"{_SPEC}/ogcapi-tiles-1/1.0/conf/tilesets-list",
    f"{_SPEC}/ogcapi-tiles-1/1.0/conf/geodata-tilesets",
    f"{_SPEC}/ogcapi-tiles-1/1.0/conf/oas30",
)
VECTOR_TILES: Final = (f"{_SPEC}/ogcapi-tiles-1/1.0/conf/mvt",)
MAP_TILES: Final = (f"{_SPEC}/ogcapi-tiles-1/1.0/conf/png", f"{_SPEC}/ogcapi-maps-1/1.0/conf/tilesets")
COVERAGES: Final = (
    f"{_SPEC}/ogcapi-coverages-1/1.0/conf/core",
    f"{_SPEC}/ogcapi-coverages-1/1.0/conf/geodata-coverage",
    f"{_SPEC}/ogcapi-coverages-1/1.0/conf/coverage-bbox",
    f"{_SPEC}/ogcapi-coverages-1/1.0/conf/coverage-rangesubset",
    f"{_SPEC}/ogcapi-coverages-1/1.0/conf/oas30",
)


def conformance_classes(collections: Iterable[Collection]) -> list[str]:
    """Return the classes that these collections make true."""
    found = list(collections)
    classes = set(ALWAYS)
    if any(c.has_items for c in found):
        classes.update(FEATURES)
    if any(c.archive for c in found):
        classes.update(TILES, VECTOR_TILES)
    if any(c.raster for c in found):
        classes.update(COVERAGES)
        if any(c.raster and c.styles for c in found):
            classes.update(TILES, MAP_TILES)
    # not OGC API – Styles: its core wants /styles at the root, and styles are listed by collection here
    return sorted(classes)
