"""The page ``/map`` and what it loads: all of it from this server."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import jinja2
import numpy as np
import pyproj
import shapely
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from layers.products import Grain
from ogc_server.errors import Language, not_found
from ogc_server.pages.choice import GROUPS, Choice, chosen, subjects
from ogc_server.pages.context import MapContext
from ogc_server.pages.figure import Frame, frame_of, map_svg
from ogc_server.pages.findings import Findings, Zones, findings, zones_of
from ogc_server.pages.layer_data import DrawnLayer, drawn_layer, metric_geometries, read_columns
from ogc_server.pages.wording import wording
from ogc_server.parameters import language as negotiated_language
from ogc_server.parameters import strict
from ogc_server.responses import HTML, finished
from styles.texts import date_text, number_text, period_text

log = logging.getLogger(__name__)

_HERE = Path(__file__).resolve().parent
ASSETS: Final = _HERE / "assets"
MAPLIBRE: Final = _HERE.parent.parent / "node_modules" / "maplibre-gl"
"""Where ``npm ci`` puts MapLibre; without it the page keeps its SVG map."""

PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy of the page. MapLibre's worker is a file of ours; images it decodes are blobs."""

_WORKER_POLICY: Final = "default-src 'none'; script-src 'self'; connect-src 'self'"
"""A worker has the policy of its own file, not of the page: MapLibre's fetches tiles."""

_MEDIA = {".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript", ".css": "text/css; charset=utf-8"}
_MAPLIBRE_FILES = ("maplibre-gl.mjs", "maplibre-gl-worker.mjs", "maplibre-gl-shared.mjs", "maplibre-gl.css")
_FINE_LINE, _COARSE_LINE = 4.0, 9.0
_SIMPLIFIED_M = 15.0

_LAST_ZOOM = 99

Legend = tuple[int, int, bool, Markup]
ContextProvider = Callable[[Request], MapContext]


def map_routes(context_of: ContextProvider, *, public_url: str | None = None) -> list[Route]:
    """Return the routes ``/map`` and ``/assets/…``.

    Parameters
    ----------
    context_of
        Gives the run that a request reads, as one profile sees it; the same object as long as nothing changes.
    public_url
        Root of every link, without final slash; by default the address that the client used.
    """

    def page(request: Request) -> Response:
        """Answer ``/map?layer=…&theme=…&lang=…``."""
        values = strict(request.query_params, known=("layer", "theme", "lang"))
        language = negotiated_language(values, request.headers.get("accept-language"))
        context = context_of(request)
        choice = chosen(context, values.get("layer"), values.get("theme"))
        base_url = public_url or f"{request.url.scheme}://{request.headers.get('host', '')}"
        text = render_map(context, choice, language, base_url=base_url)
        extra = {"content-language": language, "content-security-policy": PAGE_POLICY}
        return _answer(text.encode(), request, HTML, extra)

    return [
        Route("/map", page, name="map"),
        Route("/assets/maplibre/{version}/{name}", _maplibre_file),
        Route("/assets/{name}", _asset),
    ]


def _answer(body: bytes, request: Request, media_type: str, extra: Mapping[str, str] | None = None) -> Response:
    identity = hashlib.sha256(body).hexdigest()
    return finished(body, request.headers, media_type=media_type, identity=identity, extra=extra)


def _asset(request: Request) -> Response:
    path = ASSETS / request.path_params["name"]
    if path not in _assets():
        raise not_found("ce fichier n’existe pas.", "there is no such file.")
    return _answer(path.read_bytes(), request, _MEDIA[path.suffix])


@lru_cache(maxsize=1)
def _assets() -> frozenset[Path]:
    return frozenset(p for p in ASSETS.iterdir() if p.suffix in _MEDIA)


def _maplibre_file(request: Request) -> Response:
    name, version = request.path_params["name"], request.path_params["version"]
    if name not in _MAPLIBRE_FILES or version != maplibre_version():
        raise not_found("ce fichier n’existe pas.", "there is no such file.")
    path = MAPLIBRE / "dist" / name
    headers = {"cache-control": "private, max-age=31536000, immutable", "content-security-policy": _WORKER_POLICY}
    return FileResponse(path, media_type=_MEDIA[path.suffix], headers=headers)


@lru_cache(maxsize=1)
def maplibre_version() -> str | None:
    """Version of MapLibre that set-up installed, or ``None``."""
    try:
        version = json.loads((MAPLIBRE / "package.json").read_text(encoding="utf-8"))["version"]
    except (OSError, ValueError, KeyError):
        log.warning("MapLibre is not installed (npm ci): /map shows its SVG map only")
        return None
    return str(version)


@lru_cache(maxsize=1)
def _templates() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(_HERE / "templates")
    return jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def render_map(context: MapContext, choice: Choice, language: Language, *, base_url: str) -> str:
    """Return the whole page for one layer.

    Parameters
    ----------
    context
        The run, as a profile sees it.
    choice
        The layer, from :func:`ogc_server.pages.choice.chosen`.
    language
        ``fr`` or ``en``.
    base_url
        Root of every link, without final slash; shown to be copied into QGIS.
    """
    layer, svg, legends, found = _layer_parts(context, choice.subject.key, choice.entry.theme, language)
    manifest = context.run.manifest
    view: dict[str, Any] = {
        "language": language,
        "words": wording(language),
        "root": urlsplit(base_url).path,
        "base_url": base_url,
        "city": context.city_title[language],
        "attribution": context.attribution,
        "run_id": manifest.run_id,
        "as_of": date_text(manifest.as_of, language),
        "period": period_text(layer.style.period, language) if layer.style.period else None,
        "choice": choice,
        "groups": _groups(context, language),
        "themes": _themes(context, language),
        "title": layer.style.title[language],
        "note": layer.style.note[language] if layer.style.note else None,
        "drawn": layer,
        "left_out": number_text(layer.left_out, language),
        "found": found,
        "svg": Markup(svg),  # noqa: S704 - made by ElementTree, which escapes
        "legends": legends,
        "zone_styles": _zone_styles(context),
        "bounds": ",".join(f"{v:.5f}" for v in _bounds(context)),
        "maplibre": maplibre_version(),
    }
    return _templates().get_template("map.html.j2").render(view)


@lru_cache(maxsize=96)
def _layer_parts(
    context: MapContext, subject: str, theme: str | None, language: Language
) -> tuple[DrawnLayer, str, list[Legend], Findings]:
    choice = chosen(context, subject, theme)
    layer = drawn_layer(context, choice)
    found = findings(context, choice, layer, _zones(context), language)
    frame, lines = _frame(context)
    svg = map_svg(
        frame,
        title=layer.style.title[language],
        summary=found.sentence,
        zones=lines,
        classes=layer.classes,
        image=layer.image,
    )
    told = dataclasses.replace(layer, classes=(), image=None)  # drawn: only what is said of it is kept
    return told, svg, _legends(context, choice, layer, language), found


def _legends(context: MapContext, choice: Choice, drawn: DrawnLayer, language: Language) -> list[Legend]:
    """Return legends by zoom: first zoom, first zoom without it, whether the drawn map has it, and the SVG."""
    legends = []
    for layer in drawn.style.layers:
        shown = layer.collection == drawn.layer.collection
        visible = layer.max_zoom is None or layer.max_zoom > layer.min_zoom
        if shown or visible:
            drawing = context.style_text(choice.entry.legend[layer.collection][language])
            last = _LAST_ZOOM if layer.max_zoom is None else layer.max_zoom
            legends.append((layer.min_zoom, last, shown, Markup(drawing)))  # noqa: S704 - made by ElementTree
    return legends


@lru_cache(maxsize=8)
def _zones(context: MapContext) -> Zones:
    return zones_of(context)


@lru_cache(maxsize=8)
def _frame(context: MapContext) -> tuple[Frame, list[tuple[Any, float]]]:
    """Frame of a run's map, and the lines of its zones, fine to coarse."""
    lines = []
    for index, level in enumerate(reversed(context.zone_levels)):
        geometries = metric_geometries(context, read_columns(context, level, ["geometry"]).column("geometry"))
        simple = shapely.coverage_simplify(geometries, _SIMPLIFIED_M)
        lines.append((np.asarray(simple, dtype=object), _COARSE_LINE if index else _FINE_LINE))
    if not lines:
        raise not_found("aucun découpage n’est publié.", "no zones are published.")
    return frame_of(lines[0][0]), lines


@lru_cache(maxsize=8)
def _bounds(context: MapContext) -> tuple[float, float, float, float]:
    """Bounds of the map in CRS84 degrees."""
    frame, _ = _frame(context)
    transformer = pyproj.Transformer.from_crs(context.metric_crs, "OGC:CRS84", always_xy=True)
    west, south, east, north = transformer.transform_bounds(*frame.bounds_m)
    return west, south, east, north


def _groups(context: MapContext, language: Language) -> list[tuple[str, list[tuple[str, str]]]]:
    known = subjects(context)
    groups = []
    for grain, title in GROUPS.items():
        members = [(s.key, s.title[language]) for s in known if s.grain is grain]
        if members:
            groups.append((title[language], members))
    return groups


def _themes(context: MapContext, language: Language) -> list[tuple[str, str]]:
    """Themes of any subject, by their own order."""
    found: dict[str, str] = {}
    for subject in subjects(context):
        for entry in subject.entries:
            if entry.theme and entry.theme_title:
                found.setdefault(entry.theme, entry.theme_title[language])
    return list(found.items())


def _zone_styles(context: MapContext) -> str:
    """Addresses of the zones' styles, fine to coarse, as a JSON list."""
    entries = [e for e in context.styles if context.specs[e.collections[0]].grain is Grain.ZONE]
    order = list(context.zone_levels)
    entries.sort(key=lambda e: -order.index(e.collections[0]))
    return json.dumps([f"/collections/{e.collections[0]}/styles/{e.id}?f=mapbox" for e in entries])
