"""Documents about tiles: tile matrix sets, tile sets and TileJSON (OGC 20-057, 17-083r4, TileJSON 3.0.0)."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any, Final, Literal

from ogc_server.archives import TileRange
from ogc_server.collections import Collection
from ogc_server.errors import Language
from ogc_server.links import link
from ogc_server.openapi import TILEJSON
from ogc_server.responses import JSON, MVT, PNG
from ogc_server.systems import CRS84_URI, Bounds

WEB_MERCATOR_QUAD: Final = "WebMercatorQuad"
TMS_URI: Final = "http://www.opengis.net/def/tilematrixset/OGC/1.0/WebMercatorQuad"
MERCATOR_URI: Final = "http://www.opengis.net/def/crs/EPSG/0/3857"
MATRICES: Final = 25
_HALF_WORLD_M: Final = 20_037_508.3427892
_SCALE_0: Final = 559_082_264.028717
"""Scale denominator of tile matrix 0, for pixels of 0.28 mm (17-083r4, annex D.1)."""
_TILE_PIXELS: Final = 256

_REL_TMS: Final = "http://www.opengis.net/def/rel/ogc/1.0/tiling-scheme"
Place = Literal["tiles", "map/tiles"]

Document = dict[str, Any]


def tile_matrix_set() -> Document:
    """Return the definition of WebMercatorQuad."""
    matrices = []
    for zoom in range(MATRICES):
        size = 1 << zoom
        matrices.append(
            {
                "id": str(zoom),
                "scaleDenominator": _SCALE_0 / size,
                "cellSize": 2.0 * _HALF_WORLD_M / (_TILE_PIXELS * size),
                "cornerOfOrigin": "topLeft",
                "pointOfOrigin": [-_HALF_WORLD_M, _HALF_WORLD_M],
                "tileWidth": _TILE_PIXELS,
                "tileHeight": _TILE_PIXELS,
                "matrixWidth": size,
                "matrixHeight": size,
            }
        )
    return {
        "id": WEB_MERCATOR_QUAD,
        "title": "Google Maps Compatible for the World",
        "uri": TMS_URI,
        "crs": MERCATOR_URI,
        "orderedAxes": ["X", "Y"],
        "wellKnownScaleSet": "http://www.opengis.net/def/wkss/OGC/1.0/GoogleMapsCompatible",
        "tileMatrices": matrices,
    }


def tile_matrix_sets(root: str, language: Language) -> Document:
    """Return the list of tile matrix sets."""
    url = f"{root}/tileMatrixSets"
    own = link(f"{url}/{WEB_MERCATOR_QUAD}", "self", JSON, fr="Définition", en="Definition", language=language)
    entry = {"id": WEB_MERCATOR_QUAD, "title": "Google Maps Compatible for the World", "uri": TMS_URI, "links": [own]}
    return {
        "links": [link(url, "self", JSON, fr="Cette liste", en="This list", language=language)],
        "tileMatrixSets": [entry],
    }


def tilesets(
    collection: Collection, place: Place, ranges: Iterable[TileRange], root: str, language: Language
) -> Document:
    """Return the list of tile sets of a collection: one."""
    url = f"{root}/collections/{collection.id}/{place}"
    entry = _tileset(collection, place, ranges, root, language)
    return {
        "links": [link(url, "self", JSON, fr="Cette liste", en="This list", language=language)],
        "tilesets": [entry],
    }


def tileset(
    collection: Collection,
    place: Place,
    ranges: Iterable[TileRange],
    root: str,
    language: Language,
    *,
    bounds: Bounds,
    query: str = "",
) -> Document:
    """Return the description of a tile set, with its layers and bounds."""
    document = _tileset(collection, place, ranges, root, language, query=query)
    document["boundingBox"] = {"lowerLeft": list(bounds[:2]), "upperRight": list(bounds[2:]), "crs": CRS84_URI}
    if collection.attribution:
        document["attribution"] = collection.attribution
    if collection.archive:
        document["layers"] = [
            {
                "id": str(layer["id"]),
                "dataType": "vector",
                "minTileMatrix": str(layer.get("minzoom", collection.archive.min_zoom)),
                "maxTileMatrix": str(layer.get("maxzoom", collection.archive.max_zoom)),
            }
            for layer in collection.archive.vector_layers
        ]
    return document


def _tileset(
    collection: Collection, place: Place, ranges: Iterable[TileRange], root: str, language: Language, *, query: str = ""
) -> Document:
    url = f"{root}/collections/{collection.id}/{place}/{WEB_MERCATOR_QUAD}"
    vector = place == "tiles"
    media = MVT if vector else PNG
    address = f"{url}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}{query}"
    grid = f"{root}/tileMatrixSets/{WEB_MERCATOR_QUAD}"
    template = link(address, "item", media, fr="Tuiles", en="Tiles", language=language)
    tilejson = f"{url}?f=tilejson" + (f"&{query[1:]}" if query else "")
    return {
        "title": collection.spec.title[language],
        "dataType": "vector" if vector else "map",
        "crs": MERCATOR_URI,
        "tileMatrixSetId": WEB_MERCATOR_QUAD,
        "tileMatrixSetURI": TMS_URI,
        "tileMatrixSetLimits": [
            {
                "tileMatrix": str(r.zoom),
                "minTileRow": r.min_row,
                "maxTileRow": r.max_row,
                "minTileCol": r.min_col,
                "maxTileCol": r.max_col,
            }
            for r in ranges
        ],
        "links": [
            link(f"{url}{query}", "self", JSON, fr="Jeu de tuiles", en="Tile set", language=language),
            {**template, "templated": True},
            link(tilejson, "describedby", TILEJSON, fr="TileJSON", en="TileJSON", language=language),
            link(grid, _REL_TMS, JSON, fr="Grille", en="Tile matrix set", language=language),
        ],
    }


def tilejson(
    collection: Collection,
    place: Place,
    root: str,
    language: Language,
    *,
    bounds: Bounds,
    zooms: tuple[int, int],
    query: str = "",
) -> Document:
    """Return TileJSON 3.0.0 for a tile set.

    Parameters
    ----------
    bounds
        west, south, east, north in degrees.
    zooms
        First and last zoom that exist.
    query
        Query string of each tile, ``?`` included.
    """
    url = f"{root}/collections/{collection.id}/{place}/{WEB_MERCATOR_QUAD}/{{z}}/{{y}}/{{x}}{query}"
    document: Document = {
        "tilejson": "3.0.0",
        "name": collection.spec.title[language],
        "description": collection.spec.description[language],
        "tiles": [url],
        "bounds": list(bounds),
        "minzoom": zooms[0],
        "maxzoom": zooms[1],
    }
    if collection.attribution:
        document["attribution"] = html.escape(collection.attribution)  # clients put it in their pages as HTML
    if collection.archive and place == "tiles":
        document["vector_layers"] = [{"fields": {}, **layer} for layer in collection.archive.vector_layers]
    return document
