"""The application: routes, the gate before them, and what happens when something fails."""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Final

import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from layers.city import Text
from ogc_server import coverages, documents, items, styles_api, tiles
from ogc_server.context import Context
from ogc_server.errors import OgcError
from ogc_server.html import STYLESHEET
from ogc_server.pages.context import MapContext
from ogc_server.pages.map_page import map_routes
from ogc_server.responses import error_response, finished
from ogc_server.security import BodyTooLargeError, Gate
from ogc_server.served import Runs
from ogc_server.settings import Settings

_LOGGER: Final = logging.getLogger(__name__)
_METHODS: Final = ("GET", "HEAD", "OPTIONS")
_ALLOW: Final = {"allow": ", ".join(_METHODS)}

Handler = Callable[[Context, Request], Response]
Endpoint = Callable[[Request], Awaitable[Response]]

_COLLECTION: Final = "/collections/{collection_id}"
_TILE: Final = "/{tms_id}/{matrix}/{row}/{col}"

ROUTES: Final[tuple[tuple[str, Handler], ...]] = (
    ("/", documents.landing),
    ("/conformance", documents.conformance),
    ("/api", documents.api),
    ("/collections", documents.collections),
    (_COLLECTION, documents.collection),
    (f"{_COLLECTION}/schema", documents.schema),
    (f"{_COLLECTION}/queryables", documents.queryables),
    (f"{_COLLECTION}/items", items.items),
    (f"{_COLLECTION}/items/{{item_id:path}}", items.item),
    (f"{_COLLECTION}/coverage", coverages.coverage),
    (f"{_COLLECTION}/tiles", tiles.vector_tilesets),
    (f"{_COLLECTION}/tiles/{{tms_id}}", tiles.vector_tileset),
    (f"{_COLLECTION}/map/tiles", tiles.map_tilesets),
    (f"{_COLLECTION}/map/tiles/{{tms_id}}", tiles.map_tileset),
    (f"{_COLLECTION}/map/tiles{_TILE}", tiles.raster_tile),
    (f"{_COLLECTION}/styles", styles_api.style_list),
    (f"{_COLLECTION}/styles/{{style_id}}", styles_api.style),
    ("/tileMatrixSets", tiles.matrix_sets),
    ("/tileMatrixSets/{tms_id}", tiles.matrix_set),
    ("/healthz", documents.health),
)
"""Everything that is answered in a worker thread: it may wait for the store or for a file."""

LEAN_ROUTES: Final[tuple[tuple[str, Handler], ...]] = ((f"{_COLLECTION}/tiles{_TILE}", tiles.vector_tile),)
"""What is answered at once, on the event loop: it waits for nothing."""


def create_app(settings: Settings | None = None) -> Starlette:
    """Return the server as an ASGI application.

    Parameters
    ----------
    settings
        What to serve, to whom; by default from the environment.

    Notes
    -----
    Nothing is opened here: the first request (or the start of the process) opens the current run, and each run that is
    published afterwards is noticed by the next request.
    """
    settings = settings or Settings()
    runs = Runs(settings)

    def context_of(request: Request) -> Context:
        return Context.of(request, runs.current(), settings)

    def threaded(handler: Handler) -> Endpoint:
        def work(request: Request) -> Response:
            return handler(context_of(request), request)

        async def endpoint(request: Request) -> Response:
            if request.method == "OPTIONS":
                return Response(status_code=HTTPStatus.NO_CONTENT, headers=_ALLOW)
            return await run_in_threadpool(work, request)

        return endpoint

    def lean(handler: Handler) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            if request.method == "OPTIONS":
                return Response(status_code=HTTPStatus.NO_CONTENT, headers=_ALLOW)
            # only the very first request of a process has to wait until the run is open
            context = context_of(request) if runs.is_open else await run_in_threadpool(context_of, request)
            return handler(context, request)

        return endpoint

    def map_context(_: Request) -> MapContext:
        return runs.current().map_context

    @asynccontextmanager
    async def lifespan(_: Starlette) -> Any:
        try:
            await run_in_threadpool(runs.current)
        except OgcError:
            _LOGGER.warning("nothing is published in %s yet: answers are 503 until a run is there", settings.home)
        yield

    routes: list[BaseRoute] = [Route("/assets/api.css", _stylesheet, methods=["GET", "HEAD"])]
    routes += [Route(path, threaded(handler), methods=_METHODS) for path, handler in ROUTES]
    routes += [Route(path, lean(handler), methods=_METHODS) for path, handler in LEAN_ROUTES]
    routes += map_routes(map_context, public_url=settings.public_url)
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Gate, settings=settings), Middleware(_Failures)],
        exception_handlers={OgcError: _ogc_error, HTTPException: _http_error},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.runs = runs
    return app


def _stylesheet(request: Request) -> Response:
    body = STYLESHEET.read_bytes()
    return finished(
        body, request.headers, media_type="text/css; charset=utf-8", identity=hashlib.sha256(body).hexdigest()
    )


async def _ogc_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, OgcError)
    return error_response(error, request.headers, lang=request.query_params.get("lang"))


async def _http_error(request: Request, error: Exception) -> Response:
    """Answer what the router refuses: an unknown path, a method that a path does not have."""
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        if request.method == "OPTIONS":
            return Response(status_code=HTTPStatus.NO_CONTENT, headers=_ALLOW)
        text = Text(fr="Cette adresse se lit seulement.", en="This address can only be read.")
        refused = OgcError(HTTPStatus.METHOD_NOT_ALLOWED, "MethodNotAllowed", text, _ALLOW)
    else:
        text = Text(fr="Cette adresse n’existe pas.", en="There is no such address.")
        refused = OgcError(HTTPStatus(error.status_code), "NotFound", text)
    return error_response(refused, request.headers, lang=request.query_params.get("lang"))


class _Failures:
    """Turn what no handler foresaw into an answer that tells clients nothing internal, and a log entry that tells all.

    The two share a reference. A statement that the store stopped, or a store that has gone, is 503.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        started = False

        async def send_noted(message: Any) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, send_noted)
        except BodyTooLargeError:
            raise  # the gate answers 413
        except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
            if started or scope["type"] != "http":
                raise
            await self._answer(_unavailable(), error, scope, receive, send)
        except Exception as error:
            if started or scope["type"] != "http":
                raise
            await self._answer(_internal(), error, scope, receive, send)

    @staticmethod
    async def _answer(made: OgcError, error: Exception, scope: Any, receive: Any, send: Any) -> None:
        reference = secrets.token_hex(4)
        _LOGGER.error("%s %r failed (%s)", scope["method"], scope["path"], reference, exc_info=error)
        text = Text(fr=f"{made.text.fr} (référence {reference})", en=f"{made.text.en} (reference {reference})")
        request = Request(scope)
        shown = OgcError(made.status, made.code, text, made.headers)
        answer = error_response(shown, request.headers, lang=request.query_params.get("lang"))
        await answer(scope, receive, send)


def _unavailable() -> OgcError:
    return OgcError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "ServiceUnavailable",
        Text(
            fr="La base n’a pas répondu à temps : réduisez la demande ou réessayez.",
            en="The store did not answer in time: ask for less, or try again.",
        ),
        {"retry-after": "5"},
    )


def _internal() -> OgcError:
    return OgcError(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "InternalError",
        Text(fr="Le serveur a rencontré une erreur.", en="The server met an error."),
    )
