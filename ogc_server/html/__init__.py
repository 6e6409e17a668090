"""Pages of the API for people: complete HTML, French first, nothing loaded from elsewhere."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from layers.products import Grain
from ogc_server.errors import Language

if TYPE_CHECKING:
    from ogc_server.collections import Collection
    from ogc_server.context import Context
    from ogc_server.feature_query import FeatureQuery
    from ogc_server.features import FeatureRow, Page

STYLESHEET: Final = Path(__file__).parent / "api.css"
Document = dict[str, Any]
_GRAINS: Final = {
    Grain.RECORD: ("Relevés", "Records"),
    Grain.ZONE: ("Zones", "Zones"),
    Grain.CELL: ("Cellules H3", "H3 cells"),
    Grain.RASTER: ("Surfaces", "Surfaces"),
}
_SHOWN_COLUMNS: Final = 12


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("ogc_server.html"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["count"] = grouped
    return environment


def grouped(value: int, language: Language = "fr") -> str:
    """Write a number as readers group it: ``12 345`` in French, ``12,345`` in English."""
    text = f"{value:,}"
    return text if language == "en" else text.replace(",", " ")


def _draw(template: str, context: Context, **values: Any) -> bytes:
    language = context.language

    def say(fr: str, en: str) -> str:
        return en if language == "en" else fr

    page = _environment().get_template(template)
    return page.render(
        say=say, root=context.root, language=language, served=context.served, pick=lambda text: text[language], **values
    ).encode()


def landing_page(context: Context, document: Document) -> bytes:
    """Draw ``/``."""
    return _draw("landing.html", context, document=document, groups=_groups(context))


def collections_page(context: Context, document: Document) -> bytes:
    """Draw ``/collections``."""
    return _draw("collections.html", context, document=document, groups=_groups(context))


def _groups(context: Context) -> list[tuple[str, list[Collection]]]:
    found: dict[Grain, list[Collection]] = {}
    for collection in context.served.collections.values():
        found.setdefault(collection.spec.grain, []).append(collection)
    index = 1 if context.language == "en" else 0
    return [(_GRAINS[grain][index], found[grain]) for grain in _GRAINS if grain in found]


def collection_page(context: Context, document: Document) -> bytes:
    """Draw ``/collections/{collection}``."""
    return _draw("collection.html", context, document=document, collection=context.served.collections[document["id"]])


def conformance_page(context: Context, document: Document) -> bytes:
    """Draw ``/conformance``."""
    return _draw("conformance.html", context, document=document)


def api_page(context: Context, document: Document) -> bytes:
    """Draw ``/api``: every path with its operations and parameters."""
    return _draw("api.html", context, document=document)


def schema_page(context: Context, document: Document) -> bytes:
    """Draw ``/schema`` or ``/queryables``."""
    return _draw("schema.html", context, document=document, collection_url=document["$id"].rpartition("/")[0])


def items_page(
    context: Context, collection: Collection, page: Page, links: list[dict[str, str]], query: FeatureQuery
) -> bytes:
    """Draw a page of features as a table; the first columns only, all are in the GeoJSON."""
    names = [p for p in collection.properties if query.properties is None or p.name in query.properties]
    return _draw(
        "items.html",
        context,
        collection=collection,
        page=page,
        columns=names[:_SHOWN_COLUMNS],
        hidden=len(names) - len(names[:_SHOWN_COLUMNS]),
        first=query.offset + 1,
        relations={link["rel"]: link["href"] for link in links if link["rel"] in {"next", "prev"}},
    )


def item_page(context: Context, collection: Collection, row: FeatureRow, links: list[dict[str, str]]) -> bytes:
    """Draw one feature."""
    return _draw("item.html", context, collection=collection, row=row, links=links)
