"""The documents that describe the server: landing page, conformance, API, collections, schemas."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pygeoapi.api import landing_page as pygeoapi_landing_page
from starlette.requests import Request
from starlette.responses import Response

from ogc_server.conformance import conformance_classes
from ogc_server.context import Context
from ogc_server.html import api_page, collection_page, collections_page, conformance_page, landing_page, schema_page
from ogc_server.links import OGC_REL, link, self_and_alternates
from ogc_server.parameters import encoding, strict
from ogc_server.protocol import (
    DOCUMENT_TYPES,
    SCHEMA_TYPES,
    collection_document,
    protocol_request,
    queryables_document,
    schema_document,
)
from ogc_server.responses import HTML, JSON, OPENAPI, dump

Document = dict[str, Any]
Draw = Callable[[Context, Document], bytes]

API_TYPES = {"json": OPENAPI, "html": "text/html"}


def _answer(
    context: Context, request: Request, types: dict[str, str], make: Callable[[str], Document], draw: Draw
) -> Response:
    """Answer a document that depends on the run alone; its bytes are kept after the first time."""
    values = strict(request.query_params)
    chosen = encoding(values, request.headers.get("accept"), offered=types)

    def body() -> bytes:
        document = make(chosen)
        return draw(context, document) if chosen == "html" else dump(document)

    key = (request.url.path, context.root, context.language, chosen)
    media = HTML if chosen == "html" else types[chosen]
    return context.answer(context.served.document(key, body), request, media_type=media)


def landing(context: Context, request: Request) -> Response:
    """Answer ``/``."""

    def make(chosen: str) -> Document:
        api = context.served.api(context.root)
        _, _, body = pygeoapi_landing_page(api, protocol_request("", context.language))
        document: Document = json.loads(body)
        document["links"] = _landing_links(context, chosen)
        document["attribution"] = context.served.city.attribution
        return document

    return _answer(context, request, DOCUMENT_TYPES, make, landing_page)


def _landing_links(context: Context, chosen: str) -> list[dict[str, str]]:
    """Link to what is mounted; the types are those that QGIS compares letter by letter."""
    root, language = context.root, context.language
    links = self_and_alternates(root + "/", DOCUMENT_TYPES, chosen, language=language)
    links += [
        link(
            f"{root}/api?f=json",
            "service-desc",
            OPENAPI,
            fr="L’API (OpenAPI)",
            en="The API (OpenAPI)",
            language=language,
        ),
        link(
            f"{root}/api?f=html", "service-doc", "text/html", fr="L’API (page)", en="The API (page)", language=language
        ),
        link(f"{root}/conformance", "conformance", JSON, fr="Conformité", en="Conformance", language=language),
        link(f"{root}/collections", "data", JSON, fr="Collections", en="Collections", language=language),
        link(f"{root}/map", "preview", "text/html", fr="La carte", en="The map", language=language),
    ]
    if any(c.archive or c.raster for c in context.served.collections.values()):
        links.append(
            link(
                f"{root}/tileMatrixSets",
                f"{OGC_REL}/tiling-schemes",
                JSON,
                fr="Grilles de tuiles",
                en="Tile matrix sets",
                language=language,
            )
        )
    return links


def conformance(context: Context, request: Request) -> Response:
    """Answer ``/conformance``."""

    def make(_: str) -> Document:
        return {"conformsTo": conformance_classes(context.served.collections.values())}

    return _answer(context, request, DOCUMENT_TYPES, make, conformance_page)


def api(context: Context, request: Request) -> Response:
    """Answer ``/api``."""

    def make(_: str) -> Document:
        document: Document = context.served.api(context.root).openapi
        return document

    return _answer(context, request, API_TYPES, make, api_page)


def collections(context: Context, request: Request) -> Response:
    """Answer ``/collections``."""

    def make(chosen: str) -> Document:
        pygeoapi = context.served.api(context.root)
        found = context.served.collections.values()
        entries = [collection_document(pygeoapi, c, language=context.language) for c in found]
        links = self_and_alternates(f"{context.root}/collections", DOCUMENT_TYPES, chosen, language=context.language)
        systems = next((c.system_uris for c in found), [])
        return {"links": links, "crs": systems, "collections": entries}

    return _answer(context, request, DOCUMENT_TYPES, make, collections_page)


def collection(context: Context, request: Request) -> Response:
    """Answer ``/collections/{collection}``."""
    found = context.collection(request)

    def make(chosen: str) -> Document:
        pygeoapi = context.served.api(context.root)
        return collection_document(pygeoapi, found, language=context.language, chosen=chosen)

    return _answer(context, request, DOCUMENT_TYPES, make, collection_page)


def schema(context: Context, request: Request) -> Response:
    """Answer ``/collections/{collection}/schema``."""
    found = context.collection(request)

    def make(_: str) -> Document:
        return schema_document(context.served.api(context.root), found, language=context.language)

    return _answer(context, request, SCHEMA_TYPES, make, schema_page)


def queryables(context: Context, request: Request) -> Response:
    """Answer ``/collections/{collection}/queryables``."""
    found = context.collection(request, "has_items")

    def make(_: str) -> Document:
        return queryables_document(context.served.api(context.root), found, language=context.language)

    return _answer(context, request, SCHEMA_TYPES, make, schema_page)


def health(context: Context, request: Request) -> Response:
    """Answer ``/healthz``: the run that is served, once its store has answered a query."""
    strict(request.query_params, known=())
    with context.served.store.engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1").scalar_one()
    body = dump({"status": "ok", "run": context.served.run.manifest.run_id})
    return Response(body, media_type=JSON, headers={"cache-control": "no-store"})
