"""Answers: JSON, HTML, errors; their validators (ETag, 304) and their coding (gzip)."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.responses import Response

from ogc_server.errors import Language, OgcError
from ogc_server.parameters import language as negotiated_language

JSON: Final = "application/json"
GEOJSON: Final = "application/geo+json"
SCHEMA_JSON: Final = "application/schema+json"
OPENAPI: Final = "application/vnd.oai.openapi+json;version=3.0"
PROBLEM_TYPE: Final = JSON
HTML: Final = "text/html; charset=utf-8"
MVT: Final = "application/vnd.mapbox-vector-tile"
PNG: Final = "image/png"
GEOTIFF: Final = "image/tiff; application=geotiff"

VARY: Final = "Accept, Accept-Language, Accept-Encoding"
CACHE: Final = "private, no-cache"
"""Kept by the client alone, and asked again each time (304): the current run may change at any moment."""

_SMALL_BYTES: Final = 1000
_GZIP_LEVEL: Final = 5


def dump(document: Any) -> bytes:
    """Write JSON as UTF-8; a value that is not JSON (nan) is an error of ours, not a file that no client reads."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def accepts_gzip(headers: Headers) -> bool:
    """Tell whether ``Accept-Encoding`` admits gzip."""
    for part in headers.get("accept-encoding", "").split(","):
        coding, _, options = part.strip().partition(";")
        if coding.strip().lower() in {"gzip", "*"}:
            return options.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False


def etag_of(*parts: str) -> str:
    """Return a strong entity tag made of all that decides the bytes."""
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return f'"{digest[:32]}"'


def is_known(headers: Headers, etag: str) -> bool:
    """Tell whether the client already has this entity (RFC 9110, 13.1.2: weak comparison)."""
    known = headers.get("if-none-match", "")
    if known.strip() == "*":
        return True
    return any(tag.strip().removeprefix("W/") == etag for tag in known.split(","))


def finished(
    body: bytes, headers: Headers, *, media_type: str, identity: str, extra: Mapping[str, str] | None = None
) -> Response:
    """Return 200, or 304 when the client has these bytes already.

    Parameters
    ----------
    body
        Bytes of the answer, not compressed.
    headers
        Headers of the request.
    media_type
        Content-Type.
    identity
        All that decides the bytes, besides media type, language and coding: run, code, profile, address, query.
    extra
        More headers (Content-Language, Content-Crs, Link …).
    """
    sent = {**(extra or {}), "vary": VARY, "cache-control": CACHE}
    zipped = (
        len(body) >= _SMALL_BYTES and accepts_gzip(headers) and not media_type.startswith(("image/png", "image/tiff"))
    )
    etag = etag_of(identity, media_type, sent.get("content-language", ""), "gzip" if zipped else "identity")
    sent["etag"] = etag
    if is_known(headers, etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=sent)
    if zipped:
        body = gzip.compress(body, compresslevel=_GZIP_LEVEL, mtime=0)
        sent["content-encoding"] = "gzip"
    # given as a header: Starlette appends a charset to a media type of text/*
    return Response(body, headers={**sent, "content-type": media_type})


def error_response(error: OgcError, headers: Headers, *, lang: str | None = None, close: bool = False) -> Response:
    """Return an OGC exception as JSON, in the language of the request: ``lang`` when it is one, else the header."""
    asked = {"lang": lang} if lang in {"fr", "en"} else {}  # an error about a wrong ``lang`` needs a language too
    language: Language = negotiated_language(asked, headers.get("accept-language"))
    sent = {**error.headers, "content-type": PROBLEM_TYPE, "content-language": language, "cache-control": "no-store"}
    if close:
        sent["connection"] = "close"
    return Response(dump(error.document(language)), status_code=error.status, headers=sent)
