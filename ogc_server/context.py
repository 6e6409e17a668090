"""What a handler needs to answer one request: the run it speaks of, the address it is reached at, the language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from ogc_server.collections import Collection
from ogc_server.errors import Language, no_collection, not_found
from ogc_server.parameters import language as negotiated_language
from ogc_server.responses import finished
from ogc_server.served import Served
from ogc_server.settings import Settings


@dataclass(frozen=True, slots=True)
class Context:
    """One request's view of the server.

    Parameters
    ----------
    served
        The run that answers; it stays the same until the answer is complete, whatever is published meanwhile.
    root
        Root of every link, without final slash.
    language
        ``fr`` or ``en``.
    settings
        Bounds.
    """

    served: Served
    root: str
    language: Language
    settings: Settings

    @classmethod
    def of(cls, request: Request, served: Served, settings: Settings) -> Context:
        """Build the context of a request."""
        root = settings.public_url or f"{request.url.scheme}://{request.headers.get('host', '')}"
        # a repeated ``lang`` is refused by the handler, which reads all parameters strictly
        asked = {"lang": request.query_params["lang"]} if "lang" in request.query_params else {}
        return cls(served, root, negotiated_language(asked, request.headers.get("accept-language")), settings)

    def collection(
        self, request: Request, having: Literal["has_items", "archive", "raster", "styles", "id"] = "id"
    ) -> Collection:
        """Return the collection named in the path.

        Raises
        ------
        OgcError
            404 when this profile has no such collection, or the collection nothing of the kind asked.
        """
        collection = self.served.collections.get(request.path_params["collection_id"])
        if collection is None:
            raise no_collection()
        if not getattr(collection, having):
            raise not_found("cette collection n’offre pas cela.", "this collection does not offer that.")
        return collection

    def answer(
        self, body: bytes, request: Request, *, media_type: str, extra: Mapping[str, str] | None = None
    ) -> Response:
        """Return 200 with its validators, or 304."""
        identity = "\n".join((self.served.identity, self.root, request.url.path, canonical_query(request)))
        sent = {"content-language": self.language, **(extra or {})}
        return finished(body, request.headers, media_type=media_type, identity=identity, extra=sent)


def canonical_query(request: Request) -> str:
    """Return the query string whatever the order of its parameters."""
    return "&".join(f"{name}={value}" for name, value in sorted(request.query_params.multi_items()))
