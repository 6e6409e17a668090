"""The table of routes: status, media type and required members of every kind of answer."""

from __future__ import annotations

import datetime as dt
import gzip
import itertools
import json
from types import SimpleNamespace

import jsonschema
import pytest
import sqlalchemy as sa
from openapi_spec_validator import validate
from starlette.datastructures import Headers

from ogc_server.responses import GEOTIFF, finished
from ogc_server.served import _extents
from ogc_server.tilesets import tilejson

GEOJSON = "application/geo+json"
MVT = "application/vnd.mapbox-vector-tile"
TILE = "tiles/WebMercatorQuad"

LINK = {
    "type": "object",
    "required": ["href", "rel"],
    "properties": {"href": {"type": "string", "pattern": "^http://127\\.0\\.0\\.1:8010"}, "rel": {"type": "string"}},
}
LINKS = {"type": "array", "minItems": 1, "items": LINK}


def thing(**required):
    return {"type": "object", "required": list(required), "properties": required}


TEXT, NUMBER, COUNT, ANY = {"type": "string"}, {"type": "number"}, {"type": "integer", "minimum": 0}, {}
# OGC 17-069r4: landing page 7.2, conformance 7.4, collections 7.13–7.14, features 7.15–7.16; RFC 7946: 3.2, 3.3
GEOMETRY = {"oneOf": [{"type": "null"}, thing(type=TEXT, coordinates={"type": "array"})]}
FEATURE = thing(type={"const": "Feature"}, id=TEXT, geometry=GEOMETRY, properties={"type": "object"})
FEATURES = thing(
    type={"const": "FeatureCollection"},
    features={"type": "array", "items": FEATURE},
    links=LINKS,
    numberMatched=COUNT,
    numberReturned=COUNT,
)
EXTENT = thing(
    spatial=thing(bbox={"type": "array", "items": {"type": "array", "minItems": 4, "maxItems": 4}}, crs=TEXT)
)
COLLECTION = thing(
    id=TEXT, title=TEXT, description=TEXT, links=LINKS, extent=EXTENT, crs={"type": "array"}, storageCrs=TEXT
)
# OGC 20-057 (Tiles): tile sets list table 9, tile set table 6; 17-083r4: tile matrix set table 7
LIMIT = thing(tileMatrix=TEXT, minTileRow=COUNT, maxTileRow=COUNT, minTileCol=COUNT, maxTileCol=COUNT)
TILESET = thing(
    dataType=TEXT,
    crs=TEXT,
    tileMatrixSetURI=TEXT,
    tileMatrixSetId=TEXT,
    links=LINKS,
    tileMatrixSetLimits={"type": "array", "items": LIMIT, "minItems": 1},
)
TILEJSON = thing(
    tilejson={"const": "3.0.0"}, tiles={"type": "array", "minItems": 1}, bounds={"type": "array", "minItems": 4}
)
SCHEMA = {
    **thing(properties={"type": "object"}, type={"const": "object"}),
    "required": ["$schema", "$id", "properties", "type"],
}
STYLES = thing(styles={"type": "array", "items": thing(id=TEXT, title=TEXT, links=LINKS)}, default=TEXT)
STYLE = thing(version={"const": 8}, sources={"type": "object"}, layers={"type": "array", "minItems": 1})
MATRIX_SET = thing(id=TEXT, crs=TEXT, tileMatrices={"type": "array", "minItems": 20})
COVERAGE = thing(
    type={"const": "Coverage"}, domain={"type": "object"}, parameters={"type": "object"}, ranges={"type": "object"}
)

JSON = "application/json"
DOCUMENTS = [
    ("/", JSON, thing(links=LINKS, title=TEXT, description=TEXT)),
    ("/conformance", JSON, thing(conformsTo={"type": "array", "items": TEXT, "minItems": 5, "uniqueItems": True})),
    ("/api", "application/vnd.oai.openapi+json;version=3.0", thing(openapi=TEXT, paths=ANY, components=ANY, info=ANY)),
    ("/collections", JSON, thing(links=LINKS, collections={"type": "array", "items": COLLECTION, "minItems": 8})),
    ("/collections/hotspots", JSON, COLLECTION),
    ("/collections/incidents", JSON, COLLECTION),
    ("/collections/risk_density", JSON, COLLECTION),
    ("/collections/hotspots/schema", "application/schema+json", SCHEMA),
    ("/collections/risk_density/schema", "application/schema+json", SCHEMA),
    ("/collections/hotspots/queryables", "application/schema+json", SCHEMA),
    ("/collections/hotspots/items?limit=10", GEOJSON, FEATURES),
    ("/collections/incidents/items?limit=10", GEOJSON, FEATURES),
    ("/collections/quartiers/items", GEOJSON, FEATURES),
    ("/collections/quartiers/items/q4", GEOJSON, FEATURE),
    ("/collections/events/items", GEOJSON, FEATURES),
    ("/tileMatrixSets", JSON, thing(tileMatrixSets={"type": "array", "items": thing(id=TEXT, links=LINKS)})),
    ("/tileMatrixSets/WebMercatorQuad", JSON, MATRIX_SET),
    (
        "/collections/hotspots/tiles",
        JSON,
        thing(links=LINKS, tilesets={"type": "array", "items": TILESET, "minItems": 1}),
    ),
    (f"/collections/hotspots/{TILE}", JSON, TILESET),
    (f"/collections/hotspots/{TILE}?f=tilejson", "application/vnd.mapbox.tile+json", TILEJSON),
    ("/collections/risk_density/map/tiles", JSON, thing(links=LINKS, tilesets={"type": "array", "items": TILESET})),
    (f"/collections/risk_density/map/{TILE}?properties=vols", JSON, TILESET),
    (f"/collections/risk_density/map/{TILE}?f=tilejson", "application/vnd.mapbox.tile+json", TILEJSON),
    ("/collections/hotspots/styles", JSON, STYLES),
    ("/collections/hotspots/styles/class_all?f=mapbox", "application/vnd.mapbox.style+json", STYLE),
    ("/collections/risk_density/coverage?f=json&properties=all", "application/prs.coverage+json", COVERAGE),
    ("/healthz", JSON, thing(status={"const": "ok"}, run=TEXT)),
]


@pytest.mark.parametrize(("path", "media", "schema"), DOCUMENTS, ids=[d[0] for d in DOCUMENTS])
def test_every_document_has_its_media_type_and_members(client, path, media, schema):
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == media
    jsonschema.Draft202012Validator(schema).validate(answer.json())
    assert answer.headers["x-content-type-options"] == "nosniff"


OTHERS = [
    ("/map", "text/html; charset=utf-8"),
    ("/assets/api.css", "text/css; charset=utf-8"),
    ("/collections/hotspots/styles/class_all?f=qml", "application/vnd.qgis.qml+xml"),
    ("/collections/hotspots/styles/class_all?f=svg", "image/svg+xml"),
    ("/collections/risk_density/coverage", "image/tiff; application=geotiff"),
    (f"/collections/hotspots/{TILE}/12/1500/2109", MVT),
    (f"/collections/risk_density/map/{TILE}/12/1500/2109", "image/png"),
]


@pytest.mark.parametrize(("path", "media"), OTHERS)
def test_everything_else_has_its_media_type(embedded, path, media):
    answer = embedded.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == media
    assert answer.content


PAGES = ["/", "/conformance", "/api", "/collections", "/collections/hotspots", "/collections/incidents/schema",
         "/collections/incidents/queryables", "/collections/incidents/items", "/collections/quartiers/items/q4",
         "/collections/risk_density", "/collections/risk_density/schema"]  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("language", ["fr", "en"])
def test_pages_are_whole_in_both_languages_and_load_nothing_from_elsewhere(embedded, path, language):
    answer = embedded.get(path, headers={"accept": "text/html", "accept-language": language})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-language"] == language
    assert f'<html lang="{language}">' in answer.text
    assert answer.text.rstrip().endswith("</html>")
    assert "<script" not in answer.text
    for attribute in ("src=", "@import", "url("):
        assert attribute not in answer.text
    stylesheets = [line for line in answer.text.splitlines() if 'rel="stylesheet"' in line]
    assert all('href="http://127.0.0.1:8010/' in line for line in stylesheets)
    assert "Ville d’essai &lt;2026&gt; &amp; co" in answer.text


NOT_FOUND = [
    "/collections/nope",
    "/collections/nope/items",
    "/collections/hotspots/items/nope",
    "/collections/hotspots/items/%00",
    "/collections/hotspots/coverage",
    "/collections/risk_density/items",
    "/collections/risk_density/queryables",
    "/collections/risk_density/tiles",
    "/collections/hotspots/map/tiles",
    "/collections/hotspots/styles/nope",
    "/collections/hotspots/tiles/WorldCRS84Quad",
    "/tileMatrixSets/WorldCRS84Quad",
    f"/collections/hotspots/{TILE}/12/0/0",
    f"/collections/hotspots/{TILE}/30/0/0",
    f"/collections/hotspots/{TILE}/x/0/0",
    f"/collections/hotspots/{TILE}/12/-1/2109",
    f"/collections/hotspots/{TILE}/12/99999999999/2109",
    f"/collections/risk_density/map/{TILE}/12/0/0",
    "/nope",
    "/collections/",
    "/assets/nope.css",
    "/assets/../settings.py",
]


@pytest.mark.parametrize("path", NOT_FOUND)
def test_what_does_not_exist_is_404(embedded, path):
    answer = embedded.get(path)
    assert answer.status_code == 404
    assert answer.json()["code"] == "NotFound"


BAD = [
    "/?colour=1",
    "/collections?f=jsonld",
    "/collections/hotspots?limit=1",
    "/collections/hotspots/items?limit=abc",
    "/collections/hotspots/items?limit=0",
    "/collections/hotspots/items?limit=-1",
    "/collections/hotspots/items?limit=1.5",
    "/collections/hotspots/items?limit=",
    "/collections/hotspots/items?limit=1&limit=2",
    "/collections/hotspots/items?offset=-1",
    "/collections/hotspots/items?offset=99999999999",
    "/collections/hotspots/items?bbox=1,2,3",
    "/collections/hotspots/items?bbox=nan,2,3,4",
    "/collections/hotspots/items?bbox=5,44,6,43",
    "/collections/hotspots/items?crs=EPSG:27572",
    "/collections/hotspots/items?bbox-crs=http://www.opengis.net/def/crs/EPSG/0/2154",
    "/collections/hotspots/items?filter=n=3",
    "/collections/hotspots/items?q=x",
    "/collections/hotspots/items?n=many",
    "/collections/hotspots/items?n=99999999999999999999",
    "/collections/hotspots/items?z_all=inf",
    "/collections/hotspots/items?properties=nope",
    "/collections/hotspots/items?sortby=nope",
    "/collections/hotspots/items?sortby=geom",
    "/collections/hotspots/items?skipGeometry=perhaps",
    "/collections/hotspots/items?class_all=%00",
    "/collections/incidents/items?datetime=yesterday",
    "/collections/incidents/items?started_at=2024",
    "/collections/incidents/items?located=yes",
    "/collections/incidents/items?date=2024-02-30",
    "/collections/risk_density/coverage?properties=nope",
    "/collections/risk_density/coverage?bbox=170,40,-170,50",
    f"/collections/risk_density/map/{TILE}/12/1500/2109?properties=nope",
    f"/collections/hotspots/{TILE}/12/1500/2109?f=png",
    "/collections/hotspots/styles/class_all?f=sld",
    "/collections/hotspots/styles/class_all?f=qml-points",
]


@pytest.mark.parametrize("path", BAD)
def test_what_cannot_be_understood_is_400(client, path):
    answer = client.get(path)
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] == "InvalidParameterValue"
    assert answer.json()["description"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "path", ["/collections/hotspots/items", "/collections/hotspots/items/x", "/", "/map", "/assets/api.css"]
)
def test_nothing_can_be_written(embedded, method, path):
    answer = embedded.request(method, path)
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]
    assert "POST" not in answer.headers["allow"]


def test_options_tell_what_is_allowed(embedded):
    answer = embedded.options("/collections/hotspots/items")
    assert answer.status_code == 204
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


def test_head_answers_as_get_without_a_body(embedded):
    head, get = (
        embedded.head("/collections/hotspots/items?limit=1"),
        embedded.get("/collections/hotspots/items?limit=1"),
    )
    assert head.content == b""
    assert head.headers["content-type"] == get.headers["content-type"]
    assert head.headers["etag"] == get.headers["etag"]


def test_the_links_that_qgis_compares_letter_by_letter(embedded):
    links = {(link["rel"], link["type"]) for link in embedded.get("/").json()["links"]}
    assert ("service-desc", "application/vnd.oai.openapi+json;version=3.0") in links
    assert ("data", "application/json") in links
    assert ("conformance", "application/json") in links


def test_every_link_of_every_description_leads_somewhere(embedded):
    seen = set()
    todo = ["http://127.0.0.1:8010/"]
    while todo:
        url = todo.pop()
        if url in seen:
            continue
        seen.add(url)
        answer = embedded.get(url)
        assert answer.status_code == 200, url
        if "json" not in answer.headers["content-type"] or "/items" in url:
            continue
        document = answer.json()
        lists = [document.get(name, []) for name in ("collections", "tilesets", "styles")]
        for holder in [document, *itertools.chain(*lists)]:
            todo += [
                link["href"]
                for link in holder.get("links", [])
                if link["rel"] not in {"self", "alternate"} and not link.get("templated")
            ]
    assert len(seen) > 80


def test_the_api_document_is_valid_self_contained_and_tells_the_page_size(embedded):
    document = embedded.get("/api").json()
    validate(document)
    references = [line for line in json.dumps(document, indent=1).splitlines() if '"$ref"' in line]
    assert references
    assert all('"$ref": "#/' in line for line in references)
    limit = document["components"]["parameters"]["limit"]["schema"]
    assert (limit["default"], limit["maximum"]) == (100, 10_000)
    names = [p["$ref"] for p in document["paths"]["/collections/hotspots/items"]["get"]["parameters"] if "$ref" in p]
    assert {"#/components/parameters/bbox", "#/components/parameters/limit", "#/components/parameters/datetime"} <= set(
        names
    )


def test_every_path_of_the_api_document_is_served_and_every_route_is_documented(embedded):
    from ogc_server.app import LEAN_ROUTES, ROUTES

    documented = set(embedded.get("/api").json()["paths"])
    generic = {path.replace(":path", "") for path, _ in (*ROUTES, *LEAN_ROUTES)}

    def shape(path):
        parts = path.strip("/").split("/")
        if len(parts) > 1 and parts[0] == "collections":
            parts[1] = "{}"
        return "/".join("{}" if part.startswith("{") else part for part in parts)

    assert {shape(p) for p in documented} == {shape(p) for p in generic}


def test_answers_match_the_schemas_of_the_api_document(client):
    document = client.get("/api").json()

    def dialect(value):
        """OpenAPI 3.0's ``nullable`` in the words of JSON Schema."""
        if isinstance(value, list):
            return [dialect(v) for v in value]
        if not isinstance(value, dict):
            return value
        plain = {k: dialect(v) for k, v in value.items() if k != "nullable"}
        return {"anyOf": [plain, {"type": "null"}]} if value.get("nullable") is True else plain

    components = dialect(document["components"])
    checked = 0
    for path, operations in document["paths"].items():
        if "{" in path:
            continue
        answer = client.get(path)
        assert answer.status_code == 200, path
        content = operations["get"]["responses"]["200"]["content"]
        media = answer.headers["content-type"]
        assert media in content, path
        if "json" in media:
            schema = {**dialect(content[media]["schema"]), "components": components}
            jsonschema.Draft202012Validator(schema).validate(answer.json())
            checked += 1
    assert checked > 25


def test_conformance_is_what_is_mounted(embedded, public):
    analyst = set(embedded.get("/conformance").json()["conformsTo"])
    everyone = set(public.get("/conformance").json()["conformsTo"])
    assert "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core" in everyone
    assert "http://www.opengis.net/spec/ogcapi-features-5/1.0/conf/schemas" in everyone
    assert any("coverages" in c for c in analyst)
    assert not any("coverages" in c or "ogcapi-maps" in c for c in everyone)
    # not served, so not claimed
    assert not any("cql2" in c or "/filter" in c or "features-4" in c for c in analyst)


def test_vector_tiles_are_sent_as_stored_or_unpacked(embedded):
    path = f"/collections/hotspots/{TILE}/12/1500/2109"
    packed = embedded.get(path, headers={"accept-encoding": "gzip"})
    plain = embedded.get(path, headers={"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content  # httpx unpacks
    assert packed.headers["etag"] != plain.headers["etag"]
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"])


def test_a_tile_inside_the_limits_without_content_is_204(embedded):
    document = embedded.get(f"/collections/hotspots/{TILE}").json()
    answers = set()
    for limit in document["tileMatrixSetLimits"]:
        z, row, col = limit["tileMatrix"], limit["minTileRow"], limit["minTileCol"]
        answers.add(embedded.get(f"/collections/hotspots/{TILE}/{z}/{row}/{col}").status_code)
        outside = embedded.get(f"/collections/hotspots/{TILE}/{z}/{limit['maxTileRow'] + 1}/{col}")
        assert outside.status_code == 404
    assert answers == {200, 204}


def test_etags_spare_the_body_and_never_mix_encodings(embedded):
    path = "/collections/hotspots/items?limit=50"
    first = embedded.get(path)
    again = embedded.get(path, headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""
    assert again.headers["etag"] == first.headers["etag"]
    page = embedded.get(path, headers={"accept": "text/html", "if-none-match": first.headers["etag"]})
    assert page.status_code == 200
    identity = embedded.get(path, headers={"accept-encoding": "identity", "if-none-match": first.headers["etag"]})
    assert identity.status_code == 200
    english = embedded.get("/", headers={"accept-language": "en", "if-none-match": embedded.get("/").headers["etag"]})
    assert english.status_code == 200


def test_the_order_of_parameters_does_not_change_the_etag(embedded):
    one = embedded.get("/collections/hotspots/items?limit=5&offset=3")
    other = embedded.get("/collections/hotspots/items?offset=3&limit=5")
    assert one.headers["etag"] == other.headers["etag"]


def test_profiles_do_not_share_etags(embedded, public):
    path = "/collections/quartiers/items"
    assert embedded.get(path).headers["etag"] != public.get(path).headers["etag"]


def test_errors_tell_nothing_internal(embedded):
    for path in [*NOT_FOUND, *BAD]:
        text = embedded.get(path).text
        assert not any(word in text for word in ("Traceback", ".py", "SELECT", "duckdb", "/tmp", "exact__"))


def test_gzip_is_deterministic(embedded):
    raw = [embedded.get("/collections", headers={"accept-encoding": "gzip"}) for _ in range(2)]
    assert raw[0].headers["content-encoding"] == "gzip"
    assert raw[0].headers["content-length"] == raw[1].headers["content-length"]
    assert gzip.compress(raw[0].content, compresslevel=5, mtime=0).__len__() == int(raw[0].headers["content-length"])


@pytest.mark.parametrize("path", ["/map", "/assets/api.css", "/collections"])
def test_options_names_the_methods_of_every_address(embedded, path):
    answer = embedded.options(path)
    assert (answer.status_code, answer.headers["allow"]) == (204, "GET, HEAD, OPTIONS")


def test_an_error_speaks_the_language_that_the_address_asks_for(embedded):
    for lang, accepted in (("fr", "en"), ("en", "fr")):
        for path in ("/nowhere", "/collections/nothing"):
            answer = embedded.get(f"{path}?lang={lang}", headers={"accept-language": accepted})
            assert (answer.status_code, answer.headers["content-language"]) == (404, lang)


def test_styles_are_not_declared_without_a_list_at_the_root(embedded):
    declared = embedded.get("/conformance?f=json").json()["conformsTo"]
    assert embedded.get("/styles").status_code == 404
    assert not [c for c in declared if "ogcapi-styles" in c]


def test_tiff_is_not_compressed_again():
    body = finished(bytes(5000), Headers({"accept-encoding": "gzip"}), media_type=GEOTIFF, identity="x")
    assert "content-encoding" not in body.headers


def test_a_coverage_outside_the_raster_is_empty_as_described(embedded):
    answer = embedded.get("/collections/risk_density/coverage?bbox=100,10,101,11")
    assert (answer.status_code, answer.headers["cache-control"]) == (204, "private, no-cache")
    assert "Accept" in answer.headers["vary"]
    paths = embedded.get("/api?f=json").json()["paths"]
    assert "204" in paths["/collections/risk_density/coverage"]["get"]["responses"]


@pytest.mark.parametrize("end", [dt.date(2022, 1, 1), None])
def test_a_period_is_open_as_long_as_a_feature_is_in_service(end):
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    bounds = [sa.Column(name, sa.Float) for name in ("xmin", "ymin", "xmax", "ymax")]
    table = sa.Table("t", sa.MetaData(), *bounds, sa.Column("a", sa.Date), sa.Column("b", sa.Date))
    table.create(engine)
    with engine.begin() as connection:
        rows = [{"a": dt.date(2019, 1, 1), "b": dt.date(2020, 1, 1)}, {"a": dt.date(2021, 1, 1), "b": end}]
        connection.execute(sa.insert(table), rows)
    _, period = _extents(SimpleNamespace(engine=engine), table, SimpleNamespace(time_column="a", time_end_column="b"))
    assert period == ("2019-01-01T00:00:00Z", "2022-01-01T00:00:00Z" if end else None)


def test_an_attribution_is_text_in_tilejson():
    text = {"fr": "x", "en": "x"}
    spec = SimpleNamespace(title=text, description=text)
    collection = SimpleNamespace(id="x", spec=spec, attribution="A & <b>", archive=None)
    made = tilejson(collection, "tiles", "", "fr", bounds=(0, 0, 1, 1), zooms=(0, 1))
    assert made["attribution"] == "A &amp; &lt;b&gt;"
