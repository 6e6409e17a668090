"""``/tiles`` and ``/map/tiles``: vector tiles as the archive holds them, map tiles drawn from the raster.

A vector tile is one search and one slice of a memory map: no thread, no JSON, no second copy. It is sent as it is
stored (gzip) to whoever accepts that.
"""

from __future__ import annotations

import gzip
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from ogc_server.archives import TileRange
from ogc_server.collections import Collection
from ogc_server.context import Context
from ogc_server.errors import OgcError, bad_parameter, not_found
from ogc_server.openapi import TILEJSON
from ogc_server.parameters import DOCUMENT, encoding, strict
from ogc_server.rasters import grid_of, map_tile
from ogc_server.responses import CACHE, JSON, MVT, PNG, VARY, accepts_gzip, dump, etag_of, is_known
from ogc_server.tilesets import (
    MATRICES,
    WEB_MERCATOR_QUAD,
    Place,
    tile_matrix_set,
    tile_matrix_sets,
    tilejson,
    tileset,
    tilesets,
)

_TILESET_TYPES: Final = {"json": JSON, "tilejson": TILEJSON}
_JSON_ONLY: Final = {"json": JSON}


def matrix_sets(context: Context, request: Request) -> Response:
    """Answer ``/tileMatrixSets``."""
    _only_json(request)
    return context.answer(dump(tile_matrix_sets(context.root, context.language)), request, media_type=JSON)


def matrix_set(context: Context, request: Request) -> Response:
    """Answer ``/tileMatrixSets/{id}``."""
    _only_json(request)
    _check_matrix_set(request)
    return context.answer(dump(tile_matrix_set()), request, media_type=JSON)


def vector_tilesets(context: Context, request: Request) -> Response:
    """Answer ``/collections/{collection}/tiles``."""
    _only_json(request)
    collection = context.collection(request, "archive")
    document = tilesets(collection, "tiles", _ranges(collection, "tiles"), context.root, context.language)
    return context.answer(dump(document), request, media_type=JSON)


def map_tilesets(context: Context, request: Request) -> Response:
    """Answer ``/collections/{collection}/map/tiles``."""
    _only_json(request)
    collection = context.collection(request, "raster")
    document = tilesets(collection, "map/tiles", _ranges(collection, "map/tiles"), context.root, context.language)
    return context.answer(dump(document), request, media_type=JSON)


def vector_tileset(context: Context, request: Request) -> Response:
    """Answer ``/collections/{collection}/tiles/{tileMatrixSet}``."""
    return _tileset(context, request, context.collection(request, "archive"), "tiles")


def map_tileset(context: Context, request: Request) -> Response:
    """Answer ``/collections/{collection}/map/tiles/{tileMatrixSet}``."""
    return _tileset(context, request, context.collection(request, "raster"), "map/tiles")


def _tileset(context: Context, request: Request, collection: Collection, place: Place) -> Response:
    known = DOCUMENT if place == "tiles" else DOCUMENT | {"properties"}
    values = strict(request.query_params, known=known)
    _check_matrix_set(request)
    chosen = encoding(values, request.headers.get("accept"), offered=_TILESET_TYPES)
    query = f"?properties={_band(collection, values)}" if "properties" in values else ""
    ranges = _ranges(collection, place)
    bounds = collection.archive.bounds if place == "tiles" and collection.archive else _raster_bounds(collection)
    if chosen == "tilejson":
        zooms = (ranges[0].zoom, ranges[-1].zoom)
        document = tilejson(collection, place, context.root, context.language, bounds=bounds, zooms=zooms, query=query)
    else:
        document = tileset(collection, place, ranges, context.root, context.language, bounds=bounds, query=query)
    return context.answer(dump(document), request, media_type=_TILESET_TYPES[chosen])


def vector_tile(context: Context, request: Request) -> Response:
    """Answer a vector tile: 204 inside the limits where nothing is drawn, 404 outside them."""
    values = strict(request.query_params, known={"f"})
    encoding(values, None, offered={"mvt": MVT})
    collection = context.collection(request, "archive")
    archive = collection.archive
    assert archive is not None
    place = _position(request, archive.ranges)
    as_stored = archive.gzipped and accepts_gzip(request.headers)
    coding = "gzip" if as_stored else "identity"
    headers = {"cache-control": CACHE, "vary": VARY, "content-type": MVT}
    headers["etag"] = etag_of(context.served.identity, request.url.path, MVT, coding)
    if is_known(request.headers, headers["etag"]):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    data = archive.tile(place.zoom, place.min_row, place.min_col)
    if data is None:
        del headers["content-type"]
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)
    if as_stored:
        headers["content-encoding"] = "gzip"
    elif archive.gzipped:
        data = gzip.decompress(data)
    return Response(data, headers=headers)


def raster_tile(context: Context, request: Request) -> Response:
    """Answer a map tile of one band (``properties``), drawn in the band's style; transparent off the land."""
    values = strict(request.query_params, known={"f", "properties"})
    encoding(values, None, offered={"png": PNG})
    collection = context.collection(request, "raster")
    band = _band(collection, values)
    place = _position(request, {r.zoom: r for r in _ranges(collection, "map/tiles")})
    style = next((s for s in collection.styles if s.attribute == band and "json" in s.colours), None)
    if style is None:
        raise not_found("cette bande n’a pas de style.", "this band has no style.")
    assert collection.raster is not None
    index = [p.name for p in collection.columns].index(band) + 1
    colours = context.served.run.folder / "styles" / style.colours["json"]
    data = map_tile(collection.raster, index, colours, zoom=place.zoom, row=place.min_row, col=place.min_col)
    if data is None:
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={"cache-control": CACHE, "vary": VARY})
    return context.answer(data, request, media_type=PNG)


def _only_json(request: Request) -> None:
    values = strict(request.query_params)
    encoding(values, None, offered=_JSON_ONLY)


def _check_matrix_set(request: Request) -> None:
    if request.path_params["tms_id"] != WEB_MERCATOR_QUAD:
        raise not_found("cette grille de tuiles n’existe pas.", "there is no such tile matrix set.")


def _ranges(collection: Collection, place: Place) -> list[TileRange]:
    if place == "tiles":
        assert collection.archive is not None
        return list(collection.archive.ranges.values())
    assert collection.raster is not None
    return grid_of(collection.raster, tuple(c.name for c in collection.spec.columns)).ranges


def _raster_bounds(collection: Collection) -> tuple[float, float, float, float]:
    assert collection.raster is not None
    return grid_of(collection.raster, tuple(c.name for c in collection.spec.columns)).bounds_lonlat


def _band(collection: Collection, values: dict[str, str]) -> str:
    bands = [p.name for p in collection.columns]
    band = values.get("properties", bands[0])
    if band not in bands:
        raise bad_parameter("properties", f"bandes : {', '.join(bands)}.", f"bands: {', '.join(bands)}.")
    return band


def _position(request: Request, ranges: dict[int, TileRange]) -> TileRange:
    """Return the tile asked, as a range of one.

    Raises
    ------
    OgcError
        404 for a tile matrix, row or column that the tile set does not have.
    """
    _check_matrix_set(request)
    texts = [request.path_params[name] for name in ("matrix", "row", "col")]
    if not all(t.isascii() and t.isdigit() and len(t) <= 9 for t in texts):
        raise _no_tile()
    zoom, row, col = (int(t) for t in texts)
    limits = ranges.get(zoom)
    if zoom >= MATRICES or limits is None or not limits.holds(row, col):
        raise _no_tile()
    return TileRange(zoom, row, row, col, col)


def _no_tile() -> OgcError:
    return not_found("cette tuile est hors des limites du jeu.", "this tile is outside the limits of the set.")
