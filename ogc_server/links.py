"""Links: where a document leads, said in the reader's language."""

from __future__ import annotations

from typing import Final

from ogc_server.errors import Language

OGC_REL: Final = "http://www.opengis.net/def/rel/ogc/1.0"
"""Root of OGC's link relations."""

Link = dict[str, str]


def link(href: str, rel: str, media_type: str, *, fr: str, en: str, language: Language) -> Link:
    """Return one link object (RFC 8288 in JSON, as in OGC 17-069r4, 5.2)."""
    title = en if language == "en" else fr
    return {"href": href, "rel": rel, "type": media_type, "title": title}


def self_and_alternates(
    url: str, media_types: dict[str, str], chosen: str, *, language: Language, query: str = ""
) -> list[Link]:
    """Return the links of a document to itself and to its other encodings.

    Parameters
    ----------
    url
        Address without query string.
    media_types
        Short name → media type of each encoding offered.
    chosen
        Encoding of this document.
    query
        Other parameters, without ``?``.
    """
    links = []
    for short, media in media_types.items():
        address = f"{url}?f={short}" + (f"&{query}" if query else "")
        rel = "self" if short == chosen else "alternate"
        links.append(
            link(
                address,
                rel,
                media.partition(";")[0],
                fr=f"Ce document ({short})",
                en=f"This document ({short})",
                language=language,
            )
        )
    return links
