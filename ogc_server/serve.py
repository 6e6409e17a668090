"""Running the server: one port, one or several processes."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from typing import Final

import uvicorn
from rich.console import Console
from starlette.applications import Starlette

from layers.errors import HomeError
from ogc_server.app import create_app
from ogc_server.settings import Settings

_PORTS_TRIED: Final = 50
_SETTINGS: Final = "CALANQUE_SERVE_SETTINGS"
"""Environment variable through which worker processes receive the settings."""
_GRACE_S: Final = 10


def serve(settings: Settings, workers: int = 1) -> None:
    """Serve until interrupted.

    Parameters
    ----------
    settings
        What to serve. When the port is taken, the next free one is used, and printed.
    workers
        Processes. Each opens the run for itself; they share nothing.

    Raises
    ------
    HomeError
        If no port is free.
    """
    taken, settings = _on_free_port(settings)
    console = Console(stderr=False, highlight=False)
    if taken:
        console.print(f"Port {taken} is taken, port {settings.port} is used.")

    def announce() -> None:
        console.print(f"Calanque: {_address(settings)}/map  (API: {_address(settings)}/)", soft_wrap=True)

    common = {
        "host": settings.host,
        "port": settings.port,
        "log_level": "warning",
        "access_log": False,
        "server_header": False,
        "timeout_graceful_shutdown": _GRACE_S,
        "h11_max_incomplete_event_size": 4 * settings.max_url_bytes,
    }
    if workers == 1:
        _AnnouncedServer(uvicorn.Config(create_app(settings), **common), announce).run()  # type: ignore[arg-type]
        return
    announce()
    document = settings.model_dump(mode="json")
    if settings.database_url:
        document["database_url"] = settings.database_url.get_secret_value()
    os.environ[_SETTINGS] = json.dumps(document)
    uvicorn.run("ogc_server.serve:worker_app", factory=True, workers=workers, **common)  # type: ignore[arg-type]


class _AnnouncedServer(uvicorn.Server):
    """A server that shows its address once it answers there, not while it is still opening the run."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce()


def worker_app() -> Starlette:
    """Build the application of a worker process, from the settings that its parent left in the environment."""
    return create_app(Settings.model_validate_json(os.environ[_SETTINGS]))


def _address(settings: Settings) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return settings.public_url or f"http://{host}:{settings.port}"


def _on_free_port(settings: Settings) -> tuple[int | None, Settings]:
    """Return the port that was taken (None if it was free), and settings with a free one."""
    for port in range(settings.port, min(65536, settings.port + _PORTS_TRIED)):
        found = _free(settings.host, port)
        if found is not None:
            taken = settings.port if found != settings.port and settings.port else None
            return taken, settings.model_copy(update={"port": found})
    raise HomeError(f"no free port from {settings.port} on: give another one with --port")


def _free(host: str, port: int) -> int | None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return None
        return int(probe.getsockname()[1])
