"""``/styles``: how a collection is drawn, in the encodings of its readers (draft OGC API – Styles, 20-009)."""

from __future__ import annotations

import json
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from ogc_server.archives import TileArchive
from ogc_server.collections import Collection
from ogc_server.context import Context
from ogc_server.errors import bad_parameter, not_found
from ogc_server.links import Link, link
from ogc_server.openapi import MAPLIBRE, QML, SVG
from ogc_server.parameters import encoding, strict
from ogc_server.rasters import grid_of
from ogc_server.responses import JSON, dump
from styles.files import StyleEntry
from styles.maplibre import resolve_urls

ENCODINGS: Final = {"mapbox": MAPLIBRE, "qml": QML, "qml-points": QML, "svg": SVG}
_SVG_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
"""A drawing with its own style attributes, and nothing that runs."""


def style_list(context: Context, request: Request) -> Response:
    """Answer ``/collections/{collection}/styles``."""
    encoding(strict(request.query_params), None, offered={"json": JSON})
    collection = context.collection(request, "styles")
    url = f"{context.root}/collections/{collection.id}/styles"
    document = {
        "default": collection.styles[0].id,
        "styles": [
            {"id": s.id, "title": s.title[context.language], "links": _links(s, collection, f"{url}/{s.id}", context)}
            for s in collection.styles
        ],
        "links": [link(url, "self", JSON, fr="Cette liste", en="This list", language=context.language)],
    }
    return context.answer(dump(document), request, media_type=JSON)


def _links(style: StyleEntry, collection: Collection, url: str, context: Context) -> list[Link]:
    titles = {"mapbox": "MapLibre", "qml": "QGIS (QML)", "qml-points": "QGIS (QML, points)"}
    links = [
        link(f"{url}?f={short}", "stylesheet", ENCODINGS[short], fr=title, en=title, language=context.language)
        for short, title in titles.items()
        if _path(style, collection, short, context.language) is not None
    ]
    links.append(link(f"{url}?f=svg", "preview", SVG, fr="Légende", en="Legend", language=context.language))
    return links


def style(context: Context, request: Request) -> Response:
    """Answer ``/collections/{collection}/styles/{style}`` as a MapLibre document, QML or the legend in SVG."""
    collection = context.collection(request, "styles")
    entry = collection.style(request.path_params["style_id"])
    if entry is None:
        raise not_found("ce style n’existe pas.", "there is no such style.")
    chosen = encoding(strict(request.query_params), request.headers.get("accept"), offered=ENCODINGS)
    relative = _path(entry, collection, chosen, context.language)
    if relative is None:
        raise bad_parameter("f", "ce style n’a pas cet encodage.", "this style does not have that encoding.")
    text = (context.served.run.folder / "styles" / relative).read_text(encoding="utf-8")
    if chosen == "mapbox":
        document = _within_bounds(resolve_urls(json.loads(text), context.root), context)
        return context.answer(dump(document), request, media_type=MAPLIBRE)
    extra = {"content-security-policy": _SVG_POLICY} if chosen == "svg" else None
    return context.answer(text.encode(), request, media_type=ENCODINGS[chosen], extra=extra)


def _path(entry: StyleEntry, collection: Collection, short: str, language: str) -> str | None:
    match short:
        case "mapbox":
            return entry.maplibre
        case "qml":
            return entry.qml.get(collection.id)
        case "qml-points":
            return entry.qml_points.get(collection.id)
        case _:
            return entry.legend.get(collection.id, {}).get(language)


def _within_bounds(document: dict[str, Any], context: Context) -> dict[str, Any]:
    """Tell clients where tiles exist, so that they ask for no others."""
    for name, source in document["sources"].items():
        collection = context.served.collections.get(name)
        if collection is None:
            continue
        if isinstance(collection.archive, TileArchive):
            source["bounds"] = list(collection.archive.bounds)
            source["minzoom"], source["maxzoom"] = collection.archive.min_zoom, collection.archive.max_zoom
        elif collection.raster is not None:
            grid = grid_of(collection.raster, tuple(c.name for c in collection.spec.columns))
            source["bounds"] = list(grid.bounds_lonlat)
    return document
