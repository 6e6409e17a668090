"""The gate of a server without log-in on a loopback address.

Such a server can be reached by every page that its user visits: through a name that resolves to 127.0.0.1 (DNS
rebinding), or by a form or script that writes blindly. So it answers to loopback names only, refuses writes that come
from another origin, gives no other origin leave to read (no CORS), and bounds what it reads.
Pure ASGI: nothing is buffered on the way.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from layers.city import Text
from ogc_server.errors import OgcError
from ogc_server.responses import error_response
from ogc_server.settings import Settings

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
PAGE_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
"""Content-Security-Policy of an answer that does not bring its own."""

_PORT: Final = re.compile(r"(?::[0-9]{0,5})?")
_HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "x-frame-options": "DENY",
}


class Gate:
    """ASGI middleware: host, origin, sizes, security headers.

    Parameters
    ----------
    app
        What is behind the gate.
    settings
        Allowed hosts and bounds.
    """

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self.hosts = settings.allowed_hosts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        started = False

        async def send_guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _guard(message)
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            await error_response(refusal, Headers(scope=scope), close=True)(scope, receive, send_guarded)
            return
        try:
            await self.app(scope, self._bounded(receive), send_guarded)
        except BodyTooLargeError:
            if started:  # an answer has one start only
                raise
            await error_response(_too_large(), Headers(scope=scope), close=True)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> OgcError | None:
        headers = Headers(scope=scope)
        if host_name(headers.get("host", "")) not in self.hosts:
            return OgcError(
                HTTPStatus.MISDIRECTED_REQUEST,
                "MisdirectedRequest",
                Text(
                    fr="Ce serveur ne répond pas à ce nom d’hôte.", en="This server does not answer to this host name."
                ),
            )
        if scope["method"] not in SAFE_METHODS and not self._same_origin(headers):
            return OgcError(
                HTTPStatus.FORBIDDEN,
                "Forbidden",
                Text(fr="Écriture refusée depuis un autre site.", en="Writing from another site is refused."),
            )
        if len(scope.get("raw_path") or b"") + len(scope.get("query_string", b"")) > self.settings.max_url_bytes:
            limit = self.settings.max_url_bytes
            return OgcError(
                HTTPStatus.REQUEST_URI_TOO_LONG,
                "UriTooLong",
                Text(fr=f"L’adresse dépasse {limit} octets.", en=f"The address is longer than {limit} bytes."),
            )
        if _declared_length(headers) > self.settings.max_body_bytes:
            return _too_large()
        return None

    def _same_origin(self, headers: Headers) -> bool:
        """Tell whether a write comes from a page of this server, or from no page at all (QGIS, curl)."""
        if headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
            return False
        origin = headers.get("origin")
        if origin is None:
            return True
        accepted = {f"http://{headers.get('host', '')}", f"https://{headers.get('host', '')}"}
        if self.settings.public_url:
            parts = urlsplit(self.settings.public_url)
            accepted.add(f"{parts.scheme}://{parts.netloc}")
        return origin in accepted

    def _bounded(self, receive: Receive) -> Receive:
        read = 0

        async def receive_bounded() -> MutableMapping[str, Any]:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self.settings.max_body_bytes:
                raise BodyTooLargeError
            return message

        return receive_bounded


class BodyTooLargeError(Exception):
    """A body without declared length grew beyond the bound."""


def _too_large() -> OgcError:
    return OgcError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "ContentTooLarge",
        Text(fr="Le corps de la requête est trop grand.", en="The body of the request is too large."),
    )


def host_name(host: str) -> str:
    """Return the name in a ``Host`` header, without its port; empty when it is malformed."""
    if host.startswith("["):
        name, bracket, rest = host[1:].partition("]")
        # brackets are for IPv6 alone (RFC 3986, 3.2.2)
        return name.lower() if bracket and ":" in name and _PORT.fullmatch(rest) else ""
    name, colon, port = host.partition(":")
    return name.lower() if _PORT.fullmatch(colon + port) else ""


def _declared_length(headers: Headers) -> int:
    text = headers.get("content-length", "0")
    return int(text) if text.isdigit() and len(text) < 19 else 0


def _guard(message: Message) -> None:
    headers = MutableHeaders(raw=message["headers"])
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)
    headers.setdefault("content-security-policy", PAGE_POLICY)
    message["headers"] = headers.raw
