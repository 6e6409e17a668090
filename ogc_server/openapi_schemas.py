"""Schemas of the bodies, inline: the API document refers to nothing outside itself.

Members and types follow the standards' text: OGC 17-069r4 (Features 1), 18-058r1 (Features 2), 20-057 (Tiles 1),
17-083r4 (tile matrix sets), RFC 7946 (GeoJSON), TileJSON 3.0.0. Written here, in OpenAPI 3.0's dialect of JSON Schema.
"""

from __future__ import annotations

from typing import Any

from ogc_server.collections import Collection

Schema = dict[str, Any]


def ref(name: str) -> Schema:
    """Refer to a schema of this document."""
    return {"$ref": f"#/components/schemas/{name}"}


def text(**more: Any) -> Schema:
    """Describe a string."""
    return {"type": "string", **more}


def array(items: Schema, **more: Any) -> Schema:
    """Describe an array."""
    return {"type": "array", "items": items, **more}


def record(required: dict[str, Schema], optional: dict[str, Schema] | None = None, **more: Any) -> Schema:
    """Describe an object by its required and optional members."""
    return {"type": "object", "required": list(required), "properties": {**required, **(optional or {})}, **more}


_NUMBER: Schema = {"type": "number"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_LINKS: Schema = array(ref("link"))


def _common() -> dict[str, Schema]:
    return {
        "link": record(
            {"href": text(), "rel": text()},
            {"type": text(), "title": text(), "hreflang": text(), "length": _COUNT, "templated": {"type": "boolean"}},
        ),
        "exception": record({"code": text()}, {"description": text(), "type": text(), "status": {"type": "integer"}}),
        "landingPage": record({"links": _LINKS}, {"title": text(), "description": text(), "attribution": text()}),
        "conformance": record({"conformsTo": array(text(format="uri"), minItems=1)}),
        "extent": record(
            {
                "spatial": record(
                    {"bbox": array(array(_NUMBER, minItems=4, maxItems=6), minItems=1)}, {"crs": text(format="uri")}
                )
            },
            {
                "temporal": record(
                    {"interval": array(array(text(nullable=True), minItems=2, maxItems=2), minItems=1)},
                    {"trs": text(format="uri")},
                )
            },
        ),
        "collection": record(
            {"id": text(), "links": _LINKS, "title": text(), "description": text(), "extent": ref("extent")},
            {
                "itemType": text(),
                "crs": array(text(format="uri")),
                "storageCrs": text(format="uri"),
                "keywords": array(text()),
                "attribution": text(),
                "itemCount": _COUNT,
            },
        ),
        "collections": record(
            {"links": _LINKS, "collections": array(ref("collection"))}, {"crs": array(text(format="uri"))}
        ),
        "jsonSchema": record(
            {
                "$schema": text(format="uri"),
                "$id": text(format="uri"),
                "type": text(),
                "properties": {"type": "object"},
            },
            {"title": text()},
        ),
        "health": record({"status": text(enum=["ok"]), "run": text()}),
    }


def _geojson() -> dict[str, Schema]:
    position = array(_NUMBER, minItems=2, maxItems=3)
    line, ring = array(position, minItems=2), array(position, minItems=4)
    shapes = {
        "Point": position,
        "MultiPoint": array(position),
        "LineString": line,
        "MultiLineString": array(line),
        "Polygon": array(ring),
        "MultiPolygon": array(array(ring)),
    }
    schemas = {
        f"geometry{name}": record({"type": text(enum=[name]), "coordinates": coordinates})
        for name, coordinates in shapes.items()
    }
    schemas["geometryGeometryCollection"] = record(
        {
            "type": text(enum=["GeometryCollection"]),
            "geometries": array({"oneOf": [ref(f"geometry{name}") for name in shapes]}),
        }
    )
    return schemas


def _geometry(kind: str) -> Schema:
    """Describe the geometry of a feature of a collection of the given OGC geometry type; null where not located."""
    single = kind.removeprefix("Multi")
    known = {"Point", "LineString", "Polygon"}
    names = (
        [single, f"Multi{single}"] if single in known else [*known, *(f"Multi{n}" for n in known), "GeometryCollection"]
    )
    return {"nullable": True, "type": "object", "oneOf": [ref(f"geometry{name}") for name in sorted(names)]}


def _tiles() -> dict[str, Schema]:
    point = array(_NUMBER, minItems=2, maxItems=2)
    limits = record(
        {
            "tileMatrix": text(),
            "minTileRow": _COUNT,
            "maxTileRow": _COUNT,
            "minTileCol": _COUNT,
            "maxTileCol": _COUNT,
        }
    )
    box = record({"lowerLeft": point, "upperRight": point}, {"crs": text(format="uri")})
    tileset_item = {
        "crs": text(format="uri"),
        "dataType": text(enum=["vector", "map", "coverage"]),
        "links": _LINKS,
        "tileMatrixSetURI": text(format="uri"),
        "tileMatrixSetId": text(),
    }
    tileset_more = {"title": text(), "tileMatrixSetLimits": array(ref("tileMatrixLimits"))}
    layer = record(
        {"id": text(), "dataType": text()}, {"title": text(), "minTileMatrix": text(), "maxTileMatrix": text()}
    )
    matrix = record(
        {
            "id": text(),
            "scaleDenominator": _NUMBER,
            "cellSize": _NUMBER,
            "pointOfOrigin": point,
            "tileWidth": _COUNT,
            "tileHeight": _COUNT,
            "matrixWidth": _COUNT,
            "matrixHeight": _COUNT,
        },
        {"cornerOfOrigin": text()},
    )
    return {
        "tileMatrixLimits": limits,
        "tileSet": record(
            tileset_item, {**tileset_more, "layers": array(layer), "boundingBox": box, "attribution": text()}
        ),
        "tileSets": record({"links": _LINKS, "tilesets": array(record(tileset_item, tileset_more))}),
        "tileMatrixSets": record(
            {"tileMatrixSets": array(record({"id": text(), "links": _LINKS}, {"title": text(), "uri": text()}))},
            {"links": _LINKS},
        ),
        "tileMatrixSet": record(
            {"id": text(), "crs": text(format="uri"), "tileMatrices": array(matrix, minItems=1)},
            {"title": text(), "uri": text(format="uri"), "wellKnownScaleSet": text(format="uri")},
        ),
        "tileJson": record(
            {"tilejson": text(enum=["3.0.0"]), "tiles": array(text(), minItems=1)},
            {
                "vector_layers": array(record({"id": text(), "fields": {"type": "object"}})),
                "bounds": array(_NUMBER, minItems=4, maxItems=4),
                "minzoom": _COUNT,
                "maxzoom": _COUNT,
                "name": text(),
                "attribution": text(),
            },
        ),
    }


def _styles() -> dict[str, Schema]:
    style = record({"id": text(), "title": text(), "links": _LINKS})
    return {
        "styles": record({"styles": array(style)}, {"default": text(), "links": _LINKS}),
        "mapLibreStyle": record(
            {
                "version": {"type": "integer", "enum": [8]},
                "sources": {"type": "object"},
                "layers": array({"type": "object"}),
            },
        ),
    }


def _coverage() -> dict[str, Schema]:
    return {
        "coverageJson": record(
            {
                "type": text(enum=["Coverage"]),
                "domain": record(
                    {"type": text(), "axes": {"type": "object"}, "referencing": array({"type": "object"})}
                ),
                "parameters": {"type": "object"},
                "ranges": {"type": "object"},
            }
        )
    }


def feature_schemas(collection: Collection) -> dict[str, Schema]:
    """Describe a feature and a page of features of one collection, with its own properties."""
    name = collection.id
    feature = record(
        {
            "type": text(enum=["Feature"]),
            "id": text(),
            "geometry": _geometry(collection.spec.geometry_type),
            "properties": {
                "type": "object",
                "properties": {f.name: f.openapi() for f in collection.properties},
                "additionalProperties": False,
            },
        },
        {"links": _LINKS},
    )
    page = record(
        {
            "type": text(enum=["FeatureCollection"]),
            "features": array(ref(f"{name}Feature")),
            "links": _LINKS,
            "numberMatched": _COUNT,
            "numberReturned": _COUNT,
        }
    )
    return {f"{name}Feature": feature, f"{name}Features": page}


def component_schemas(collections: list[Collection]) -> dict[str, Schema]:
    """Return all schemas of the document for these collections."""
    schemas = _common()
    if any(c.has_items for c in collections):
        schemas |= _geojson()
    if any(c.archive or c.raster for c in collections):
        schemas |= _tiles()
    if any(c.styles for c in collections):
        schemas |= _styles()
    if any(c.raster for c in collections):
        schemas |= _coverage()
    for collection in collections:
        if collection.has_items:
            schemas |= feature_schemas(collection)
    return schemas
