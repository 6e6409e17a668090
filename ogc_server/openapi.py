"""The API document (OpenAPI 3.0), made from the collections that a profile sees.

pygeoapi's own document sends its readers to 37 remote schemas, names no ``limit`` in its components (QGIS then reads
100 rows at a time) and admits any parameter; this one stands alone, one path per collection, each parameter named.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from layers.city import Text
from ogc_server.collections import Collection, Property
from ogc_server.feature_query import RESERVED
from ogc_server.openapi_schemas import Schema, component_schemas, ref
from ogc_server.responses import GEOJSON, GEOTIFF, JSON, MVT, OPENAPI, PNG, SCHEMA_JSON
from ogc_server.settings import Settings

COVERAGE_JSON: Final = "application/prs.coverage+json"
MAPLIBRE: Final = "application/vnd.mapbox.style+json"
QML: Final = "application/vnd.qgis.qml+xml"
TILEJSON: Final = "application/vnd.mapbox.tile+json"
SVG: Final = "image/svg+xml"

Operation = dict[str, Any]

_FORMAT_DOCUMENT: Final = ("json", "html")


def _parameter(name: str, place: str, schema: Schema, description: str, **more: Any) -> dict[str, Any]:
    parameter = {"name": name, "in": place, "required": place == "path", "schema": schema, "description": description}
    if place == "query":
        parameter |= {"style": "form", "explode": False}
    return {**parameter, **more}


def _components_parameters(settings: Settings) -> dict[str, Any]:
    maximum = settings.max_limit
    integer: Schema = {"type": "integer"}
    return {
        "limit": _parameter(
            "limit",
            "query",
            {**integer, "minimum": 1, "maximum": maximum, "default": settings.default_limit},
            f"Most features in one page; more than {maximum} is served as {maximum}.",
        ),
        "offset": _parameter(
            "offset",
            "query",
            {**integer, "minimum": 0, "maximum": settings.max_offset, "default": 0},
            "Features to skip.",
        ),
        "bbox": _parameter(
            "bbox",
            "query",
            {"type": "array", "minItems": 4, "maxItems": 6, "items": {"type": "number"}},
            "Only features whose geometry intersects this rectangle: minimum x, minimum y, maximum x, maximum y.",
        ),
        "datetime": _parameter(
            "datetime",
            "query",
            {"type": "string"},
            "Only features whose time intersects this instant, date or interval (RFC 3339; `..` for an open end). "
            "Without effect where features have no time.",
        ),
        "sortby": _parameter(
            "sortby",
            "query",
            {"type": "array", "minItems": 1, "items": {"type": "string"}},
            "Properties to sort by, `-` first for descending; text is sorted by code point.",
        ),
        "skipGeometry": _parameter(
            "skipGeometry", "query", {"type": "boolean", "default": False}, "Leave geometries out (null)."
        ),
        "lang": _parameter("lang", "query", {"type": "string", "enum": ["fr", "en"]}, "Language of titles."),
        "tileMatrix": _parameter("tileMatrix", "path", {"type": "string"}, "Zoom level."),
        "tileRow": _parameter("tileRow", "path", {**integer, "minimum": 0}, "Row of the tile, from the north."),
        "tileCol": _parameter("tileCol", "path", {**integer, "minimum": 0}, "Column of the tile, from the west."),
    }


def _use(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/parameters/{name}"}


def _format(values: Sequence[str]) -> dict[str, Any]:
    return _parameter(
        "f", "query", {"type": "string", "enum": list(values)}, "Encoding; without it the header Accept decides."
    )


def _answers(content: dict[str, Schema], *, missing: bool = True, empty: bool = False) -> dict[str, Any]:
    def failed(text: str) -> dict[str, Any]:
        return {"description": text, "content": {JSON: {"schema": ref("exception")}}}

    answers: dict[str, Any] = {
        "200": {"description": "Success.", "content": {media: {"schema": schema} for media, schema in content.items()}},
        "304": {"description": "The client has this version already."},
        "400": failed("A parameter is unknown, or its value is not valid."),
    }
    if empty:
        answers["204"] = {"description": "Nothing is drawn there."}
    if missing:
        answers["404"] = failed("There is no such resource.")
    answers["default"] = failed("Any other failure.")
    return dict(sorted(answers.items()))


def _get(
    operation_id: str,
    summary: str,
    tag: str,
    content: dict[str, Schema],
    parameters: Sequence[dict[str, Any]],
    **more: Any,
) -> dict[str, Operation]:
    return {
        "get": {
            "operationId": operation_id,
            "summary": summary,
            "tags": [tag],
            "parameters": list(parameters),
            "responses": _answers(content, **more),
        }
    }


_HTML: Final[dict[str, Schema]] = {"text/html": {"type": "string"}}
_BINARY: Final[Schema] = {"type": "string", "format": "binary"}


def _document(
    operation_id: str, summary: str, schema: str, *, tag: str = "server", **more: Any
) -> dict[str, Operation]:
    content = {JSON: ref(schema), **_HTML}
    return _get(operation_id, summary, tag, content, [_format(_FORMAT_DOCUMENT), _use("lang")], **more)


def _server_paths(collections: Sequence[Collection]) -> dict[str, Any]:
    paths: dict[str, Any] = {
        "/": _document("getLandingPage", "Landing page", "landingPage", missing=False),
        "/conformance": _document(
            "getConformance", "Standards that this server conforms to", "conformance", missing=False
        ),
        "/api": _get(
            "getApi",
            "This document",
            "server",
            {OPENAPI: {"type": "object"}, **_HTML},
            [_format(_FORMAT_DOCUMENT), _use("lang")],
            missing=False,
        ),
        "/collections": _document("getCollections", "Collections", "collections", missing=False),
    }
    if any(c.archive or c.raster for c in collections):
        tms_id = _parameter(
            "tileMatrixSetId", "path", {"type": "string", "enum": ["WebMercatorQuad"]}, "Tile matrix set."
        )
        common = [_format(["json"]), _use("lang")]
        paths["/tileMatrixSets"] = _get(
            "getTileMatrixSets", "Tile matrix sets", "tiles", {JSON: ref("tileMatrixSets")}, common, missing=False
        )
        paths["/tileMatrixSets/{tileMatrixSetId}"] = _get(
            "getTileMatrixSet", "A tile matrix set", "tiles", {JSON: ref("tileMatrixSet")}, [tms_id, *common]
        )
    return paths


def _property_parameter(prop: Property) -> dict[str, Any]:
    return _parameter(
        prop.name, "query", dict(prop.schema), f"Only features where this equals: {prop.column.title.en}."
    )


def _item_paths(collection: Collection) -> dict[str, Any]:
    name, root = collection.id, f"/collections/{collection.id}"
    system: Schema = {"type": "string", "format": "uri", "enum": collection.system_uris}
    crs = _parameter("crs", "query", system, "Coordinate system of the answer; CRS84 by default.")
    bbox_crs = _parameter("bbox-crs", "query", system, "Coordinate system of `bbox`; CRS84 by default.")
    choice: Schema = {
        "type": "array",
        "minItems": 1,
        "items": {"type": "string", "enum": [c.name for c in collection.columns]},
    }
    selection = _parameter("properties", "query", choice, "Properties to return; all by default.")
    shared = [_use(p) for p in ("limit", "offset", "bbox", "datetime", "sortby", "skipGeometry", "lang")]
    own = [_property_parameter(p) for p in collection.columns if p.name not in RESERVED]
    identifier = _parameter("featureId", "path", {"type": "string"}, "Identifier of the feature.")
    formats = _format(_FORMAT_DOCUMENT)
    schema_content: dict[str, Schema] = {SCHEMA_JSON: ref("jsonSchema"), **_HTML}
    return {
        f"{root}/items": _get(
            f"{name}.getItems",
            f"Features: {collection.spec.title.en}",
            name,
            {GEOJSON: ref(f"{name}Features"), **_HTML},
            [formats, *shared, crs, bbox_crs, selection, *own],
        ),
        f"{root}/items/{{featureId}}": _get(
            f"{name}.getItem",
            "One feature",
            name,
            {GEOJSON: ref(f"{name}Feature"), **_HTML},
            [identifier, formats, crs, _use("lang")],
        ),
        f"{root}/schema": _get(
            f"{name}.getSchema", "Schema of the features", name, schema_content, [formats, _use("lang")]
        ),
        f"{root}/queryables": _get(
            f"{name}.getQueryables", "Properties to filter by", name, schema_content, [formats, _use("lang")]
        ),
    }


def _tile_paths(collection: Collection, place: str, kind: str, tile: dict[str, Schema]) -> dict[str, Any]:
    name, root = collection.id, f"/collections/{collection.id}/{place}"
    tms_id = _parameter("tileMatrixSetId", "path", {"type": "string", "enum": ["WebMercatorQuad"]}, "Tile matrix set.")
    position = [tms_id, *(_use(p) for p in ("tileMatrix", "tileRow", "tileCol"))]
    bands: list[dict[str, Any]] = []
    if kind == "map":
        enum = [c.name for c in collection.columns]
        bands = [
            _parameter("properties", "query", {"type": "string", "enum": enum}, "Band to draw; the first by default.")
        ]
    described: dict[str, Schema] = {JSON: ref("tileSet"), TILEJSON: ref("tileJson")}
    json_only = [_format(["json"]), _use("lang")]
    return {
        root: _get(f"{name}.collection.{kind}.getTileSetsList", "Tile sets", name, {JSON: ref("tileSets")}, json_only),
        f"{root}/{{tileMatrixSetId}}": _get(
            f"{name}.collection.{kind}.getTileSet",
            "A tile set",
            name,
            described,
            [tms_id, _format(["json", "tilejson"]), _use("lang"), *bands],
        ),
        f"{root}/{{tileMatrixSetId}}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}": _get(
            f"{name}.collection.{kind}.getTile",
            "A tile",
            name,
            tile,
            [*position, _format(["mvt" if kind == "vector" else "png"]), *bands],
            empty=True,
        ),
    }


def _style_paths(collection: Collection) -> dict[str, Any]:
    name, root = collection.id, f"/collections/{collection.id}/styles"
    encodings: dict[str, Schema] = {MAPLIBRE: ref("mapLibreStyle"), QML: {"type": "string"}, SVG: {"type": "string"}}
    style_id = _parameter(
        "styleId", "path", {"type": "string", "enum": [s.id for s in collection.styles]}, "Identifier of the style."
    )
    return {
        root: _get(f"{name}.getStyles", "Styles", name, {JSON: ref("styles")}, [_format(["json"]), _use("lang")]),
        f"{root}/{{styleId}}": _get(
            f"{name}.getStyle",
            "A style, or its legend",
            name,
            encodings,
            [style_id, _format(["mapbox", "qml", "qml-points", "svg"]), _use("lang")],
        ),
    }


def _coverage_paths(collection: Collection) -> dict[str, Any]:
    name, root = collection.id, f"/collections/{collection.id}"
    system: Schema = {"type": "string", "format": "uri", "enum": collection.system_uris}
    choice: Schema = {
        "type": "array",
        "minItems": 1,
        "items": {"type": "string", "enum": [c.name for c in collection.columns]},
    }
    parameters = [
        _format(["geotiff", "json"]),
        _use("bbox"),
        _parameter("bbox-crs", "query", system, "Coordinate system of `bbox`; CRS84 by default."),
        _parameter("properties", "query", choice, "Bands to return; all by default."),
        _use("lang"),
    ]
    content: dict[str, Schema] = {GEOTIFF: _BINARY, COVERAGE_JSON: ref("coverageJson")}
    return {
        f"{root}/coverage": _get(f"{name}.getCoverage", "Values of the raster", name, content, parameters, empty=True),
        f"{root}/schema": _get(
            f"{name}.getSchema",
            "Bands of the raster",
            name,
            {SCHEMA_JSON: ref("jsonSchema"), **_HTML},
            [_format(_FORMAT_DOCUMENT), _use("lang")],
        ),
    }


def openapi_document(
    collections: Sequence[Collection],
    *,
    title: Text,
    description: Text,
    version: str,
    server_url: str,
    settings: Settings,
) -> dict[str, Any]:
    """Return the API document.

    Parameters
    ----------
    collections
        What the profile sees; nothing else is named anywhere in the document.
    title, description
        Of the server.
    version
        Version of the data (run id).
    server_url
        Root of the API, without final slash.
    settings
        Limits that clients should know.
    """
    paths = _server_paths(collections)
    for collection in collections:
        name = collection.id
        paths[f"/collections/{name}"] = _document(
            f"{name}.getCollection", collection.spec.title.en, "collection", tag=name
        )
        if collection.has_items:
            paths |= _item_paths(collection)
        if collection.archive:
            paths |= _tile_paths(collection, "tiles", "vector", {MVT: _BINARY})
        if collection.raster:
            paths |= _coverage_paths(collection)
            paths |= _tile_paths(collection, "map/tiles", "map", {PNG: _BINARY})
        if collection.styles:
            paths |= _style_paths(collection)
    paths["/healthz"] = _get("getHealth", "Is the server in order?", "server", {JSON: ref("health")}, [], missing=False)
    tags = [{"name": "server"}, {"name": "tiles"}]
    tags += [{"name": c.id, "description": c.spec.title.en} for c in collections]
    return {
        "openapi": "3.0.3",
        "info": {"title": title.fr, "description": description.fr, "version": version},
        "servers": [{"url": server_url}],
        "tags": tags,
        "paths": paths,
        "components": {"schemas": component_schemas(list(collections)), "parameters": _components_parameters(settings)},
    }
