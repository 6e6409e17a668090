"""A run is noticed when it is published, and swapped whole."""

from __future__ import annotations

import threading
import time

import pytest
from starlette.testclient import TestClient

from layers.home import Home
from layers.runs import switch_current
from ogc_server.app import create_app
from ogc_server.settings import Settings
from support.synthetic import build_synthetic_run

ROOT = "http://127.0.0.1:8010"
SOON_S = 20


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("two-runs"))
    return home, [build_synthetic_run(home, variant=v).manifest.run_id for v in (0, 1)]


def counts(client):
    """Run and counts of the same page: whichever run answers, they must belong together."""
    answer = client.get("/collections/hex_incidents/items?limit=1000&properties=n&skipGeometry=true")
    assert answer.status_code == 200, answer.text
    return tuple(f["properties"]["n"] for f in answer.json()["features"])


def wait_for(client, run_id):
    deadline = time.monotonic() + SOON_S
    while time.monotonic() < deadline:
        if client.get("/healthz").json()["run"] == run_id:
            return
        time.sleep(0.02)
    pytest.fail(f"run {run_id} was not noticed in {SOON_S} s")


def test_without_a_run_every_address_tells_what_to_do(tmp_path):
    with TestClient(create_app(Settings(home=tmp_path)), base_url=ROOT) as client:
        for path in (
            "/",
            "/collections",
            "/healthz",
            "/map",
            "/collections/hotspots/tiles/WebMercatorQuad/12/1500/2109",
        ):
            answer = client.get(path, headers={"accept-language": "en"})
            assert answer.status_code == 503
            assert "calanque build" in answer.json()["description"]
            assert answer.headers["retry-after"] == "30"


def test_a_first_run_is_noticed_without_restart(tmp_path):
    with TestClient(create_app(Settings(home=tmp_path)), base_url=ROOT) as client:
        assert client.get("/healthz").status_code == 503
        run = build_synthetic_run(Home(tmp_path))
        assert client.get("/healthz").json()["run"] == run.manifest.run_id


def test_a_new_run_is_swapped_in_without_a_failed_or_mixed_answer(two_runs):
    home, runs = two_runs
    switch_current(home, runs[0])
    with TestClient(create_app(Settings(home=home.root)), base_url=ROOT) as client:
        wait_for(client, runs[0])
        expected = {runs[0]: counts(client)}
        switch_current(home, runs[1])
        wait_for(client, runs[1])
        expected[runs[1]] = counts(client)
        assert expected[runs[0]] != expected[runs[1]]
        stop, seen, failures = threading.Event(), set(), []

        def read():
            while not stop.is_set():
                try:
                    seen.add(counts(client))
                except Exception as error:  # noqa: BLE001 - told to the test, which fails on any
                    failures.append(error)
                    return

        readers = [threading.Thread(target=read) for _ in range(4)]
        for reader in readers:
            reader.start()
        for turn in range(6):
            switch_current(home, runs[turn % 2])
            wait_for(client, runs[turn % 2])
        stop.set()
        for reader in readers:
            reader.join()
        assert not failures
        assert seen == set(expected.values())


def test_etags_change_with_the_run(two_runs):
    home, runs = two_runs
    switch_current(home, runs[0])
    with TestClient(create_app(Settings(home=home.root)), base_url=ROOT) as client:
        wait_for(client, runs[0])
        path = "/collections/quartiers/items"  # the same features in both runs
        tag = client.get(path).headers["etag"]
        switch_current(home, runs[1])
        wait_for(client, runs[1])
        assert client.get(path, headers={"if-none-match": tag}).status_code == 200


def test_a_damaged_run_does_not_replace_the_one_that_is_served(two_runs, caplog):
    home, runs = two_runs
    switch_current(home, runs[0])
    with TestClient(create_app(Settings(home=home.root)), base_url=ROOT) as client:
        wait_for(client, runs[0])
        broken = home.runs / "0123456789abcdef"
        broken.mkdir()
        (broken / "manifest.json").write_text("{}")
        switch_current(home, broken.name)
        for _ in range(20):
            assert client.get("/healthz").json()["run"] == runs[0]
            time.sleep(0.02)
        assert sum("cannot be opened" in r.message for r in caplog.records) == 1
        switch_current(home, runs[1])
        wait_for(client, runs[1])


def test_links_follow_the_address_that_the_client_used_and_the_public_url(two_runs):
    home, _ = two_runs
    with TestClient(create_app(Settings(home=home.root)), base_url="http://localhost:9999") as client:
        links = client.get("/").json()["links"]
        assert all(link["href"].startswith("http://localhost:9999/") for link in links)
        style = client.get("/collections/hotspots/styles/class_all?f=mapbox").json()
        assert style["sources"]["hotspots"]["tiles"][0].startswith("http://localhost:9999/collections/hotspots/tiles/")
        assert client.get("/api").json()["servers"] == [{"url": "http://localhost:9999"}]
    settings = Settings(home=home.root, public_url="https://carte.example/calanque")
    with TestClient(create_app(settings), base_url=ROOT) as client:
        page = client.get("/collections/incidents/items?limit=5").json()
        assert all(link["href"].startswith("https://carte.example/calanque/") for link in page["links"])


def test_addresses_chosen_by_clients_do_not_fill_the_memory(two_runs, monkeypatch):
    home, _ = two_runs
    monkeypatch.setattr("ogc_server.served._ROOTS_KEPT", 3)
    monkeypatch.setattr("ogc_server.served._DOCUMENTS_KEPT", 5)
    app = create_app(Settings(home=home.root))
    with TestClient(app, base_url=ROOT) as client:
        served = app.state.runs.current()
        for port in range(1, 12):
            for path in ("/collections/quartiers", "/conformance"):
                assert client.get(path, headers={"host": f"localhost:{port}"}).status_code == 200
            assert len(served._apis) <= 3
            assert len(served._documents) <= 5


def test_a_failure_that_nobody_foresaw_tells_nothing_and_leaves_a_reference(two_runs, monkeypatch, caplog):
    from ogc_server import items

    home, _ = two_runs

    def broken(*_arguments, **_options):
        raise ValueError("secret detail")

    monkeypatch.setattr(items, "read_page", broken)
    with TestClient(create_app(Settings(home=home.root)), base_url=ROOT) as client:
        answer = client.get("/collections/quartiers/items")
        assert answer.status_code == 500
        assert "secret" not in answer.text
        reference = answer.json()["description"].rpartition(" ")[2].rstrip(")")
        assert reference in caplog.text
        assert client.get("/collections/quartiers").status_code == 200
