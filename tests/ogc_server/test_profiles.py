"""What a profile may not see does not exist for it, anywhere."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from ogc_server.settings import Settings

TILE = "tiles/WebMercatorQuad"
HIDDEN = ["incidents", "events", "hex_incidents", "hex_incidents_r9", "hotspots", "hotspots_r9", "risk_density"]


def test_the_analyst_sees_all(embedded):
    listed = [c["id"] for c in embedded.get("/collections").json()["collections"]]
    assert set(listed) == {*HIDDEN, "quartiers"}


def test_the_public_sees_zones_only(public):
    assert [c["id"] for c in public.get("/collections").json()["collections"]] == ["quartiers"]
    assert public.get("/collections/quartiers/items").json()["numberMatched"] == 9


@pytest.mark.parametrize("collection", HIDDEN)
@pytest.mark.parametrize(
    "rest",
    [
        "", "/items", "/items/x", "/schema", "/queryables", "/styles", "/styles/class_all", "/styles/all", "/coverage",
        "/tiles", f"/{TILE}", f"/{TILE}/12/1500/2109", "/map/tiles", f"/map/{TILE}", f"/map/{TILE}/12/1500/2109",
    ],
)  # fmt: skip
def test_a_hidden_collection_is_404_like_one_that_never_was(public, collection, rest):
    hidden, invented = (public.get(f"/collections/{name}{rest}") for name in (collection, "never_was"))
    assert hidden.status_code == invented.status_code == 404
    assert hidden.content == invented.content


@pytest.mark.parametrize("path", ["/", "/api", "/collections", "/conformance", "/map", "/healthz"])
@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_no_document_names_a_hidden_collection(public, path, accept):
    answer = public.get(path, headers={"accept": accept})
    assert answer.status_code == 200
    for name in HIDDEN:
        assert f"/collections/{name}" not in answer.text
        assert f'"{name}"' not in answer.text


def test_styles_and_tiles_of_the_public_form_are_its_own(public, embedded):
    listed = public.get("/collections/quartiers/styles").json()["styles"]
    assert listed
    document = public.get(f"/collections/quartiers/{TILE}?f=tilejson").json()
    assert [layer["id"] for layer in document["vector_layers"]] == ["quartiers"]
    assert "hotspots" not in json.dumps(document)


@pytest.mark.parametrize("profile", ["planner", "partner"])
def test_the_profiles_between_see_their_own_forms(synthetic_home, synthetic_run, profile):
    from starlette.testclient import TestClient

    from ogc_server.app import create_app

    with TestClient(
        create_app(Settings(home=synthetic_home.root, profile=profile)), base_url="http://127.0.0.1"
    ) as client:
        assert [c["id"] for c in client.get("/collections").json()["collections"]] == ["quartiers"]


def test_an_unknown_profile_is_refused():
    with pytest.raises(ValidationError, match="profile"):
        Settings(profile="everyone")
