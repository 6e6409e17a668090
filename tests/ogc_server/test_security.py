"""The gate before a server without log-in."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from ogc_server.app import _Failures
from ogc_server.security import Gate, host_name
from ogc_server.settings import Settings, is_loopback


async def _echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


@pytest.fixture
def client():
    settings = Settings(max_body_bytes=1000, max_url_bytes=500)
    route = Route("/", _echo, methods=["GET", "POST", "PUT", "DELETE"])
    app = Starlette(routes=[route], middleware=[Middleware(Gate, settings=settings)])
    return TestClient(app, base_url="http://127.0.0.1:8010")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8010", "localhost:9999", "LOCALHOST", "[::1]:8010", "[::1]"])
def test_loopback_names_are_served(client, host):
    assert client.get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:8010",
        "127.0.0.1:80@evil.example",
        "10.0.0.1",
        "[::1",
        "",
        "localhost:x",
    ],
)
def test_any_other_host_is_misdirected(client, host):
    answer = client.get("/", headers={"host": host})
    assert answer.status_code == 421
    assert answer.json()["code"] == "MisdirectedRequest"


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "http://127.0.0.1.evil.example:8010"]
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_writing_from_another_origin_is_forbidden(client, method, origin):
    assert client.request(method, "/", headers={"origin": origin}).status_code == 403


def test_a_cross_site_write_is_forbidden_even_without_origin(client):
    assert client.post("/", headers={"sec-fetch-site": "cross-site"}).status_code == 403


def test_writing_without_origin_or_from_its_own_pages_passes(client):
    assert client.post("/", content=b"12345").text == "5"
    assert client.post("/", content=b"12345", headers={"origin": "http://127.0.0.1:8010"}).text == "5"


def test_reading_from_another_origin_gets_no_leave_to_see(client):
    answer = client.get("/", headers={"origin": "http://evil.example"})
    assert "access-control-allow-origin" not in answer.headers


def test_sizes_are_bounded(client):
    assert client.get("/", params={"x": "y" * 600}).status_code == 414
    assert client.post("/", content=b"x" * 1001).status_code == 413
    assert client.post("/", content=iter([b"x" * 600, b"x" * 600])).status_code == 413
    assert client.post("/", content=b"x" * 1000).status_code == 200


def test_every_answer_carries_the_guards(client):
    for answer in (client.get("/"), client.get("/", headers={"host": "evil.example"})):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "::", "example.org", ""])
def test_only_loopback_addresses_are_bound(host):
    with pytest.raises(ValidationError, match="loopback"):
        Settings(host=host)


def test_loopback_addresses_and_names():
    assert all(is_loopback(h) for h in ("127.0.0.1", "127.1.2.3", "::1", "localhost"))
    assert host_name("[::1]:80") == "::1"
    assert host_name("localhost:80") == "localhost"


@pytest.mark.parametrize(
    "url", ["carte.example", "ftp://carte.example", "https://carte.example/?a=1", "javascript:alert(1)"]
)
def test_a_public_url_is_absolute(url):
    with pytest.raises(ValidationError, match="public_url"):
        Settings(public_url=url)


def test_the_name_of_the_public_url_is_served():
    assert "carte.example" in Settings(public_url="https://carte.example/calanque/").allowed_hosts()


@pytest.mark.parametrize("host", ["[127.0.0.1]", "[localhost]", "[::1]x80", "[::1]:123456", "[::1]:²", "localhost:²"])
def test_a_malformed_host_is_no_loopback_name(client, host):
    assert client.get("/", headers={"host": host.encode()}).status_code == 421


def test_brackets_are_for_ipv6_and_a_port_may_be_empty():
    assert [host_name(h) for h in ("[::1]:", "[::1]:80", "localhost:")] == ["::1", "::1", "localhost"]


def test_a_body_that_grows_too_large_is_413_behind_the_failures_too():
    settings = Settings(max_body_bytes=1000)
    middleware = [Middleware(Gate, settings=settings), Middleware(_Failures)]
    app = Starlette(routes=[Route("/", _echo, methods=["POST"])], middleware=middleware)
    with TestClient(app, base_url="http://127.0.0.1:8010") as opened:
        assert opened.post("/", content=(b"x" * 500 for _ in range(4))).status_code == 413
