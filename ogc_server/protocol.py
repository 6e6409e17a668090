"""pygeoapi, embedded: one ``API`` object per profile, holding what that profile sees and nothing else.

pygeoapi describes collections and their schemas; :mod:`ogc_server.provider` answers it from the store. What it gets
wrong for us is corrected here, in one place; docs/decisions/0006-pygeoapi-embedding.md lists it. Its HTML, JSON-LD and
per-process configuration are not used.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Final

from pygeoapi.api import API, APIRequest, get_collection_schema
from pygeoapi.api.collection import gen_collection
from pygeoapi.api.itemtypes import get_collection_queryables

from layers.city import Text
from ogc_server.collections import Collection
from ogc_server.errors import Language
from ogc_server.links import OGC_REL, Link, link, self_and_alternates
from ogc_server.openapi import COVERAGE_JSON, MAPLIBRE
from ogc_server.responses import GEOJSON, GEOTIFF, JSON, SCHEMA_JSON
from ogc_server.settings import Settings

Document = dict[str, Any]
DOCUMENT_TYPES: Final = {"json": JSON, "html": "text/html"}
ITEM_TYPES: Final = {"json": GEOJSON, "html": "text/html"}
SCHEMA_TYPES: Final = {"json": SCHEMA_JSON, "html": "text/html"}
_LOCALES: Final = {"fr": "fr-FR", "en": "en-US"}
_SCHEMA_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def pygeoapi_configuration(
    collections: Mapping[str, Collection], *, title: Text, description: Text, root: str, settings: Settings
) -> Document:
    """Return pygeoapi's configuration for these collections."""
    about = {
        "title": _both(title),
        "description": _both(description),
        "keywords": {"fr": ["tranquillité publique", "H3"], "en": ["public safety", "H3"]},
        "terms_of_service": None,
        "url": root,
    }
    return {
        "server": {
            "bind": {"host": settings.host, "port": settings.port},
            "url": root,
            "mimetype": JSON,
            "encoding": "utf-8",
            "languages": list(_LOCALES.values()),
            "limits": {"default_items": settings.default_limit, "max_items": settings.max_limit},
        },
        "logging": {"level": "ERROR"},
        "metadata": {"identification": about, "license": {}, "provider": {}, "contact": {}},
        "resources": {collection.id: _resource(collection) for collection in collections.values()},
    }


def _resource(collection: Collection) -> Document:
    extents: Document = {"spatial": {"bbox": list(collection.extent), "crs": collection.system_uris[0]}}
    provider = {
        "type": "feature" if collection.has_items else "coverage",
        "name": "ogc_server.provider." + ("StoreProvider" if collection.has_items else "RasterProvider"),
        "data": collection,
        "id_field": collection.spec.key,
        "time_field": collection.spec.time_column,
        "crs": collection.system_uris,
        "storage_crs": collection.storage_uri,
        "default": True,
    }
    return {
        "type": "collection",
        "title": _both(collection.spec.title),
        "description": _both(collection.spec.description),
        "keywords": {"fr": [collection.spec.family], "en": [collection.spec.family]},
        "extents": extents,
        "links": [],
        "providers": [provider],
    }


def _both(text: Text) -> dict[str, str]:
    return {"fr": text.fr, "en": text.en}


@contextmanager
def _root_logger_kept() -> Iterator[None]:
    """Keep pygeoapi from configuring the process' logging: it calls ``basicConfig``, which respects a handler."""
    handler = logging.NullHandler()
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


def build_api(configuration: Document, openapi: Document) -> API:
    """Return a pygeoapi ``API`` object."""
    with _root_logger_kept():
        return API(configuration, openapi)


def protocol_request(path: str, language: Language) -> APIRequest:
    """Ask pygeoapi for JSON in one language; the rest of the query string has been read, strictly, before."""
    plain = SimpleNamespace(query_params={"lang": _LOCALES[language]}, headers={}, scope={"path": path})
    return APIRequest(plain, list(_LOCALES.values()))


def _answer(answer: tuple[Any, int, str]) -> Document:
    _, status, body = answer
    if status != 200:
        raise RuntimeError(f"pygeoapi answered {status}: {body[:200]}")
    document: Document = json.loads(body)
    return document


def collection_document(api: API, collection: Collection, *, language: Language, chosen: str = "json") -> Document:
    """Describe a collection: pygeoapi's description with links to what this server really has."""
    root = api.base_url
    request = protocol_request(f"collections/{collection.id}", language)
    document: Document = gen_collection(api, request, collection.id, request.locale)
    document["links"] = collection_links(collection, root, language=language, chosen=chosen)
    if collection.period:
        document["extent"]["temporal"] = {
            "interval": [list(collection.period)],
            "trs": "http://www.opengis.net/def/uom/ISO-8601/0/Gregorian",
        }
    if collection.rows is not None:
        document["itemCount"] = collection.rows
    if collection.attribution:
        document["attribution"] = collection.attribution
    if collection.raster:  # pygeoapi gives coverages no list of systems
        document["crs"], document["storageCrs"] = collection.system_uris, collection.storage_uri
    return document


def collection_links(collection: Collection, root: str, *, language: Language, chosen: str) -> list[Link]:
    """Return the links of a collection, only to what is mounted for it."""
    url = f"{root}/collections/{collection.id}"

    def to(path: str, rel: str, media: str, fr: str, en: str) -> Link:
        return link(f"{url}/{path}", rel, media, fr=fr, en=en, language=language)

    links = self_and_alternates(url, DOCUMENT_TYPES, chosen, language=language)
    links.append(link(root + "/", "root", JSON, fr="Accueil", en="Landing page", language=language))
    if collection.has_items:
        links += [
            to("items?f=json", "items", GEOJSON, "Objets (GeoJSON)", "Features (GeoJSON)"),
            to("items?f=html", "items", "text/html", "Objets (page)", "Features (page)"),
            to("queryables?f=json", f"{OGC_REL}/queryables", SCHEMA_JSON, "Propriétés filtrables", "Queryables"),
        ]
    links.append(to("schema?f=json", f"{OGC_REL}/schema", SCHEMA_JSON, "Schéma", "Schema"))
    if collection.archive:
        links.append(to("tiles?f=json", f"{OGC_REL}/tilesets-vector", JSON, "Tuiles vectorielles", "Vector tiles"))
    if collection.raster:
        links += [
            to("coverage?f=geotiff", f"{OGC_REL}/coverage", GEOTIFF, "Valeurs (GeoTIFF)", "Values (GeoTIFF)"),
            to("coverage?f=json", f"{OGC_REL}/coverage", COVERAGE_JSON, "Valeurs (JSON)", "Values (JSON)"),
            to("map/tiles?f=json", f"{OGC_REL}/tilesets-map", JSON, "Tuiles d’image", "Map tiles"),
        ]
    if collection.styles:
        links.append(to("styles?f=json", f"{OGC_REL}/styles", JSON, "Styles", "Styles"))
        first = collection.styles[0]
        links.append(to(f"styles/{first.id}?f=mapbox", f"{OGC_REL}/style", MAPLIBRE, first.title.fr, first.title.en))
        links.append(to(f"styles/{first.id}?f=svg", f"{OGC_REL}/legend", "image/svg+xml", "Légende", "Legend"))
    return links


def schema_document(api: API, collection: Collection, *, language: Language) -> Document:
    """Return ``/schema``: pygeoapi's, with the real geometry type, titles, units and order."""
    path = f"collections/{collection.id}/schema"
    document = _answer(get_collection_schema(api, protocol_request(path, language), collection.id))
    return _described(document, collection, f"{api.get_collections_url()}/{collection.id}/schema", language)


def queryables_document(api: API, collection: Collection, *, language: Language) -> Document:
    """Return ``/queryables``: what ``items`` compares by equality and sorts by."""
    path = f"collections/{collection.id}/queryables"
    document = _answer(get_collection_queryables(api, protocol_request(path, language), collection.id))
    document = _described(document, collection, f"{api.get_collections_url()}/{collection.id}/queryables", language)
    # the geometry is asked by bbox; it is no parameter of its own
    document["properties"].pop("geometry", None)
    document["additionalProperties"] = False
    return document


def _described(document: Document, collection: Collection, url: str, language: Language) -> Document:
    properties: Document = {}
    if collection.has_items:
        properties["geometry"] = {"format": collection.geometry_format, "x-ogc-role": "primary-geometry"}
    for sequence, prop in enumerate(collection.columns, start=1):
        properties[prop.name] = {**document["properties"][prop.name], **prop.json_schema(language, sequence=sequence)}
    return {
        **document,
        "$schema": _SCHEMA_DIALECT,
        "$id": url,
        "description": collection.spec.description[language],
        "properties": properties,
    }
