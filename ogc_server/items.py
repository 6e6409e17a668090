"""``/items``: features as GeoJSON or as a page, and one feature by its id.

pygeoapi's own handler moves rectangles by their corners, ignores what it does not know, promises an empty last page,
answers 400 to a time outside the data and serves GeoJSON as ``application/json``: it is replaced here, whole.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response

from ogc_server.context import Context
from ogc_server.errors import not_found
from ogc_server.feature_query import RESERVED, read_query
from ogc_server.features import FeatureRow, Page, read_item, read_page
from ogc_server.html import item_page, items_page
from ogc_server.links import Link, link, self_and_alternates
from ogc_server.parameters import DOCUMENT, encoding, is_text, strict
from ogc_server.protocol import ITEM_TYPES
from ogc_server.responses import GEOJSON, HTML, JSON, dump
from ogc_server.systems import chosen_system

_KEPT: Final = ",:/."
"""Characters that stay readable in the links to other pages."""


def items(context: Context, request: Request) -> Response:
    """Answer ``/collections/{collection}/items``."""
    collection = context.collection(request, "has_items")
    types = collection.types
    values = strict(request.query_params, known={*DOCUMENT, *RESERVED, *types})
    chosen = encoding(values, request.headers.get("accept"), offered=ITEM_TYPES)
    query = read_query(values, columns=types, systems=collection.systems, settings=context.settings)
    page = read_page(collection, query)
    url = f"{context.root}/collections/{collection.id}/items"
    rest = {k: v for k, v in values.items() if k not in {"f", "offset"}}
    links = self_and_alternates(
        url,
        ITEM_TYPES,
        chosen,
        language=context.language,
        query=_encoded({**rest, **({"offset": values["offset"]} if "offset" in values else {})}),
    )
    explicit = {"f": chosen} if chosen != "json" or "f" in values else {}
    links += _paging(url, {**explicit, **rest}, page, offset=query.offset, limit=query.limit, context=context)
    links.append(
        link(
            url.removesuffix("/items"), "collection", JSON, fr="Collection", en="Collection", language=context.language
        )
    )
    extra = {"content-crs": f"<{query.system.uri}>", "content-language": context.language}
    if chosen == "html":
        body = items_page(context, collection, page, links, query)
        return context.answer(body, request, media_type=HTML, extra=extra)
    return context.answer(_page_json(page, links), request, media_type=GEOJSON, extra=extra)


def item(context: Context, request: Request) -> Response:
    """Answer ``/collections/{collection}/items/{id}``."""
    collection = context.collection(request, "has_items")
    values = strict(request.query_params, known={*DOCUMENT, "crs"})
    chosen = encoding(values, request.headers.get("accept"), offered=ITEM_TYPES)
    system = chosen_system(values, "crs", collection.systems)
    identifier = request.path_params["item_id"]
    row = read_item(collection, identifier, system) if is_text(identifier) else None
    if row is None:
        raise not_found("cet objet n’existe pas.", "there is no such feature.")
    url = f"{context.root}/collections/{collection.id}/items/{quote(row.id, safe='')}"
    rest = _encoded({k: v for k, v in values.items() if k != "f"})
    links = self_and_alternates(url, ITEM_TYPES, chosen, language=context.language, query=rest)
    home = f"{context.root}/collections/{collection.id}"
    links.append(link(home, "collection", JSON, fr="Collection", en="Collection", language=context.language))
    extra = {"content-crs": f"<{system.uri}>", "content-language": context.language}
    if chosen == "html":
        return context.answer(item_page(context, collection, row, links), request, media_type=HTML, extra=extra)
    body = _feature_json(row)[:-1] + b',"links":' + dump(links) + b"}"
    return context.answer(body, request, media_type=GEOJSON, extra=extra)


def _encoded(values: dict[str, str]) -> str:
    return urlencode(values, quote_via=quote, safe=_KEPT)


def _paging(url: str, rest: dict[str, str], page: Page, *, offset: int, limit: int, context: Context) -> list[Link]:
    links: list[Link] = []

    def to(rel: str, start: int, fr: str, en: str) -> None:
        address = f"{url}?{_encoded({**rest, 'offset': str(start)})}"
        media = "text/html" if rest.get("f") == "html" else GEOJSON
        links.append(link(address, rel, media, fr=fr, en=en, language=context.language))

    if page.rows and offset + len(page.rows) < page.matched:
        to("next", offset + len(page.rows), "Page suivante", "Next page")
    if offset > 0:
        to("prev", max(0, offset - limit), "Page précédente", "Previous page")
    return links


def _feature_json(row: FeatureRow) -> bytes:
    geometry = (row.geometry or "null").encode()
    return b"".join(
        (
            b'{"type":"Feature","id":',
            dump(row.id),
            b',"geometry":',
            geometry,
            b',"properties":',
            dump(row.properties),
            b"}",
        )
    )


def _page_json(page: Page, links: list[Link]) -> bytes:
    features = b",".join(_feature_json(row) for row in page.rows)
    counts = f'"numberMatched":{page.matched},"numberReturned":{len(page.rows)}'.encode()
    return b'{"type":"FeatureCollection",' + counts + b',"features":[' + features + b'],"links":' + dump(links) + b"}"
