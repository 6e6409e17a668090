"""MapLibre style documents, in the part of the language that QGIS converts without loss.

One layer per class with constant paint and a legacy filter: QGIS' converter skips ``step`` and expression filters,
and the same document must give the same colours in both.
"""

from __future__ import annotations

import copy
import html
from collections.abc import Iterator
from typing import Any

from styles.model import Style, StyleClass, StyleLayer, Symbol

VECTOR_TILES = "/collections/{family}/tiles/WebMercatorQuad/{{z}}/{{y}}/{{x}}"
RASTER_TILES = "/collections/{family}/map/tiles/WebMercatorQuad/{{z}}/{{y}}/{{x}}?properties={band}"
"""Paths of the tiles from the server's root; :func:`resolve_urls` puts the root before them."""

MAX_TILE_ZOOM = 15
"""Last zoom that tiles are made for; clients enlarge them beyond."""

POINT_RADIUS_PX = 3
LINE_WIDTH_PX = 1.2
_FILTER_POLYGON = ["==", "$type", "Polygon"]
_FILTER_POINT = ["==", "$type", "Point"]

Json = dict[str, Any]


def maplibre_document(style: Style, *, max_tile_zoom: int = MAX_TILE_ZOOM) -> Json:
    """Return a style document (version 8) with one source, the tiles of the style's family.

    Parameters
    ----------
    style
        The style.
    max_tile_zoom
        Last zoom of the family's archive.

    Returns
    -------
    dict
        JSON document. Tile URLs are paths that begin with ``/``: give them a root with :func:`resolve_urls`.
    """
    if style.symbol is Symbol.RASTER:
        tiles = RASTER_TILES.format(family=style.family, band=style.attribute)
        source: Json = {"type": "raster", "tiles": [tiles], "tileSize": 256}
        layers: list[Json] = [
            {"id": style.id, "type": "raster", "source": style.family, "paint": {"raster-resampling": "nearest"}}
        ]
    else:
        source = {"type": "vector", "tiles": [VECTOR_TILES.format(family=style.family)]}
        layers = [entry for layer in style.layers for entry in _class_layers(style, layer)]
    source |= {"minzoom": 0, "maxzoom": max_tile_zoom, "attribution": html.escape(style.attribution)}
    return {
        "version": 8,
        "name": style.title.fr,
        "metadata": _metadata(style),
        "sources": {style.family: source},
        "layers": layers,
    }


def resolve_urls(document: Json, root: str) -> Json:
    """Return a copy of a document whose tile paths are complete URLs.

    Parameters
    ----------
    document
        As :func:`maplibre_document` made it.
    root
        Public root of the server, with or without a final slash.
    """
    resolved = copy.deepcopy(document)
    for source in resolved["sources"].values():
        source["tiles"] = [root.rstrip("/") + url if url.startswith("/") else url for url in source["tiles"]]
    return resolved


def _metadata(style: Style) -> Json:
    """Return what a page needs beside the drawing: titles, names of fields, keys."""
    fields = {name: title.model_dump() for layer in style.layers for name, title in layer.fields}
    return {
        "calanque:family": style.family,
        "calanque:style": style.id,
        "calanque:title": style.title.model_dump(),
        "calanque:attribute": style.attribute,
        "calanque:keys": {layer.collection: layer.key for layer in style.layers},
        "calanque:fields": fields,
    }


def class_filter(style: Style, layer: StyleLayer, wanted: StyleClass) -> list[Any] | None:
    """Legacy filter of the features of a class; ``None`` where it holds all."""
    attribute = style.attribute
    if wanted is layer.no_data:
        return ["!has", attribute]
    if wanted.values:
        return ["==", attribute, wanted.values[0]] if len(wanted.values) == 1 else ["in", attribute, *wanted.values]
    if wanted.is_numeric:
        bounds = []
        if wanted.low is not None:
            bounds.append([">=", attribute, wanted.low])
        if wanted.high is not None:
            bounds.append(["<", attribute, wanted.high])
        return ["all", *bounds]
    if wanted.rest:
        return ["!in", attribute, *(v for c in layer.classes for v in c.values)]
    return None


def _class_layers(style: Style, layer: StyleLayer) -> Iterator[Json]:
    if layer.max_zoom is not None and layer.max_zoom <= layer.min_zoom:
        return
    classes = [*layer.classes, *([layer.no_data] if layer.no_data else [])]
    for wanted in classes:
        condition = class_filter(style, layer, wanted)
        for suffix, kind, paint, geometry in _paints(style.symbol, wanted):
            entry: Json = {
                "id": f"{layer.collection}-{wanted.id}{suffix}",
                "type": kind,
                "source": style.family,
                "source-layer": layer.collection,
                "metadata": {"calanque:class": wanted.id, "calanque:label": wanted.label.model_dump()},
                "minzoom": layer.min_zoom,
                "paint": paint,
            }
            if layer.max_zoom is not None:
                entry["maxzoom"] = layer.max_zoom
            combined = _both(condition, geometry)
            if combined is not None:
                entry["filter"] = combined
            yield entry


def _both(first: list[Any] | None, second: list[Any] | None) -> list[Any] | None:
    if first is None or second is None:
        return first or second
    parts = first[1:] if first[0] == "all" else [first]
    return ["all", *parts, second]


def _paints(symbol: Symbol, wanted: StyleClass) -> Iterator[tuple[str, str, Json, list[Any] | None]]:
    """Id suffix, layer type, paint and geometry filter of what draws one class."""
    fill = {"fill-color": wanted.colour, "fill-opacity": wanted.opacity, "fill-outline-color": wanted.outline}
    circle = {
        "circle-color": wanted.colour,
        "circle-opacity": wanted.opacity,
        "circle-radius": POINT_RADIUS_PX,
        "circle-stroke-color": wanted.outline,
        "circle-stroke-width": 0.75,
    }
    match symbol:
        case Symbol.FILL:
            yield "", "fill", fill, None
        case Symbol.POINT:
            yield "", "circle", circle, None
        case Symbol.MIXED:
            yield "-area", "fill", fill, _FILTER_POLYGON
            yield "-point", "circle", circle, _FILTER_POINT
        case _:
            yield "", "line", {"line-color": wanted.outline, "line-width": LINE_WIDTH_PX}, None
