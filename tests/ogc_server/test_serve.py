"""The server as a process: its port, its workers, its end."""

from __future__ import annotations

import socket

import httpx
import pytest

from layers.errors import HomeError
from ogc_server.serve import _on_free_port
from ogc_server.settings import Settings
from support.services import serving


def test_a_taken_port_gives_the_next_free_one():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        taken, settings = _on_free_port(Settings(port=port))
    assert taken == port
    assert settings.port > port


def test_a_free_port_is_kept():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
    assert _on_free_port(Settings(port=port)) == (None, Settings(port=port))


def test_no_free_port_is_told(monkeypatch):
    monkeypatch.setattr("ogc_server.serve._free", lambda host, port: None)
    with pytest.raises(HomeError, match="--port"):
        _on_free_port(Settings())


def test_two_workers_serve_one_run(synthetic_home, synthetic_run):
    with serving(synthetic_home.root, "--workers", "2") as url:
        answers = {httpx.get(f"{url}/healthz").json()["run"] for _ in range(10)}
        assert answers == {synthetic_run.manifest.run_id}
        assert httpx.get(url, headers={"host": "evil.example"}).status_code == 421
