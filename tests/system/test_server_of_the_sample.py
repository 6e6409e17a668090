"""The sample city as it is served: the addresses of the first acceptance, and every answer against the API document."""

from __future__ import annotations

import httpx
import jsonschema
import pytest

pytestmark = pytest.mark.system
TILE = "tiles/WebMercatorQuad/12/1500/2109"


@pytest.mark.parametrize(
    ("path", "status", "media"),
    [
        ("/", 200, "application/json"),
        ("/conformance", 200, "application/json"),
        ("/api", 200, "application/vnd.oai.openapi+json;version=3.0"),
        ("/collections", 200, "application/json"),
        ("/collections/hotspots/items?limit=10", 200, "application/geo+json"),
        (f"/collections/hotspots/{TILE}", 200, "application/vnd.mapbox-vector-tile"),
        (f"/collections/risk_density/map/{TILE}", 200, "image/png"),
        ("/map", 200, "text/html; charset=utf-8"),
        ("/healthz", 200, "application/json"),
        ("/collections/nope", 404, "application/json"),
        ("/collections/hotspots/items?limit=abc", 400, "application/json"),
    ],
)
def test_addresses_answer_with_their_media_types(sample_server_url, path, status, media):
    answer = httpx.get(sample_server_url + path, timeout=60)
    assert (answer.status_code, answer.headers["content-type"]) == (status, media)


def test_the_collections_are_those_of_the_city(sample_server_url):
    listed = {c["id"] for c in httpx.get(f"{sample_server_url}/collections", timeout=60).json()["collections"]}
    assert listed >= {
        "incidents", "events", "cameras", "sensitive_sites", "quartiers", "arrondissements",
        "hex_incidents", "hotspots", "hotspots_r9", "risk_density",
    }  # fmt: skip


def test_every_answer_matches_the_schema_of_the_api_document(sample_server_url):
    with httpx.Client(base_url=sample_server_url, timeout=60) as client:
        document = client.get("/api").json()
        components = in_json_schema(document["components"])
        for path, operations in document["paths"].items():
            if "{" in path or path.endswith("/coverage"):
                continue
            answer = client.get(path)
            assert answer.status_code == 200, path
            content = operations["get"]["responses"]["200"]["content"]
            media = answer.headers["content-type"]
            schema = {**in_json_schema(content[media]["schema"]), "components": components}
            jsonschema.Draft202012Validator(schema).validate(answer.json())


def in_json_schema(value):
    """OpenAPI 3.0's ``nullable`` in the words of JSON Schema."""
    if isinstance(value, list):
        return [in_json_schema(v) for v in value]
    if not isinstance(value, dict):
        return value
    plain = {k: in_json_schema(v) for k, v in value.items() if k != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if value.get("nullable") is True else plain
