"""``/coverage``: values of a raster, as GeoTIFF or CoverageJSON, cut to a rectangle and to bands.

pygeoapi's handler moves the rectangle by its corners and reads the whole file; this one reads the window.
Draft standard: OGC API – Coverages 1.0. CoverageJSON: https://covjson.org/spec/ (OGC 21-069r2).
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from layers.city import Text
from ogc_server.collections import Collection
from ogc_server.context import Context
from ogc_server.errors import OgcError, bad_parameter
from ogc_server.openapi import COVERAGE_JSON
from ogc_server.parameters import DOCUMENT, encoding, names, strict
from ogc_server.rasters import Grid, grid_of, read_geotiff, read_values, window_of
from ogc_server.responses import CACHE, GEOTIFF, VARY, dump
from ogc_server.systems import boxes

_TYPES: Final = {"geotiff": GEOTIFF, "json": COVERAGE_JSON}
_JSON_SHARE: Final = 16
"""A value takes some sixteen times more room as text than in a compressed file."""


def coverage(context: Context, request: Request) -> Response:
    """Answer ``/collections/{collection}/coverage``."""
    collection = context.collection(request, "raster")
    assert collection.raster is not None
    values = strict(request.query_params, known=DOCUMENT | {"bbox", "bbox-crs", "properties"})
    chosen = encoding(values, request.headers.get("accept"), offered=_TYPES)
    known = [p.name for p in collection.columns]
    bands = names(values, "properties", known=known) or tuple(known)
    grid = grid_of(collection.raster, tuple(c.name for c in collection.spec.columns))
    rectangles = boxes(values, collection.systems)
    if len(rectangles) > 1:
        raise bad_parameter(
            "bbox", "un rectangle d’un seul tenant est attendu.", "a rectangle in one piece is expected."
        )
    window = window_of(grid, rectangles[0] if rectangles else None)
    if window is None:
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={"cache-control": CACHE, "vary": VARY})
    pixels = int(window.width * window.height) * len(bands)
    most = context.settings.max_coverage_pixels // (_JSON_SHARE if chosen == "json" else 1)
    if pixels > most and (rectangles or chosen == "json" or len(bands) < len(known)):
        raise _too_many(pixels, most)
    extra = {"content-crs": f"<{collection.storage_uri}>"}
    if chosen == "json":
        body = dump(_coverage_json(collection, grid, window, bands, context.language))
        return context.answer(body, request, media_type=COVERAGE_JSON, extra=extra)
    if not rectangles and bands == tuple(known):
        body = collection.raster.read_bytes()  # the whole file, as published
    else:
        body = read_geotiff(collection.raster, window, [known.index(b) + 1 for b in bands], bands)
    extra["content-disposition"] = f'attachment; filename="{collection.id}.tif"'
    return context.answer(body, request, media_type=GEOTIFF, extra=extra)


def _too_many(pixels: int, most: int) -> OgcError:
    return OgcError(
        HTTPStatus.BAD_REQUEST,
        "InvalidParameterValue",
        Text(
            fr=f"{pixels} valeurs demandées, {most} au plus : réduisez « bbox » ou « properties ».",
            en=f"{pixels} values asked, {most} at most: narrow 'bbox' or 'properties'.",
        ),
    )


def _coverage_json(
    collection: Collection, grid: Grid, window: Any, bands: tuple[str, ...], language: str
) -> dict[str, Any]:
    left, _, _, top = grid.bounds
    half = grid.pixel_m / 2
    first_x = left + window.col_off * grid.pixel_m + half
    first_y = top - window.row_off * grid.pixel_m - half
    width, height = int(window.width), int(window.height)
    described = {p.name: p for p in collection.columns}
    assert collection.raster is not None
    known = [p.name for p in collection.columns]
    return {
        "type": "Coverage",
        "domain": {
            "type": "Domain",
            "domainType": "Grid",
            "axes": {
                "x": {"start": first_x, "stop": first_x + (width - 1) * grid.pixel_m, "num": width},
                "y": {"start": first_y, "stop": first_y - (height - 1) * grid.pixel_m, "num": height},
            },
            "referencing": [
                {"coordinates": ["x", "y"], "system": {"type": "ProjectedCRS", "id": collection.storage_uri}}
            ],
        },
        "parameters": {
            band: {
                "type": "Parameter",
                "unit": {"symbol": described[band].column.unit or "1"},
                "observedProperty": {
                    "id": band,
                    "label": {language: described[band].column.title[language]},
                },
            }
            for band in bands
        },
        "ranges": {
            band: {
                "type": "NdArray",
                "dataType": "float",
                "axisNames": ["y", "x"],
                "shape": [height, width],
                "values": read_values(collection.raster, window, known.index(band) + 1),
            }
            for band in bands
        },
    }
