from __future__ import annotations

import pytest

from layers.city import Enrichment, load_city
from layers.errors import LakeError
from layers.ingest import ingest
from layers.lake import layer_table
from layers.products import Form, Kind
from layers.record_columns import record_columns
from layers.record_products import record_products
from layers.runs import lake_inputs, resolve_as_of
from support.delivered_city import CITY_TOML, DeliveredCity, row

SOURCES = """
[[sources]]
id = "agenda"
layer = "events"
title = { fr = "Agenda", en = "Agenda" }
organisation = "Ville"
deliveries = ["agenda.geojson"]
[sources.columns]
record_id = "id"
nature = { column = "kind", map = { "1" = "concert" } }
starts_at = "from"
ends_at = "to"

[[sources]]
id = "cctv"
layer = "cameras"
title = { fr = "Caméras", en = "Cameras" }
organisation = "Ville"
deliveries = ["cctv.csv"]
crs = "EPSG:2154"
[sources.columns]
record_id = "id"
kind = { column = "type", map = { "dôme" = "ptz", "fixe" = "fixed" } }
direction_deg = "deg"
in_service_from = { column = "since", format = "%d/%m/%Y" }
in_service_to = { column = "until", format = "%d/%m/%Y" }
x = "x"
y = "y"

[[sources]]
id = "patrols"
layer = "interventions"
title = { fr = "Patrouilles", en = "Patrols" }
organisation = "Police municipale"
deliveries = ["patrols.csv"]
crs = "EPSG:2154"
[sources.columns]
record_id = "id"
nature = { column = "kind", map = { "p" = "patrouille" } }
starts_at = "from"
ends_at = "to"
x = "x"
y = "y"

[[sources]]
id = "roads"
layer = "streets"
title = { fr = "Voies", en = "Streets" }
organisation = "Ville"
deliveries = ["roads.csv"]
crs = "EPSG:2154"
columns = { name = "name", x = "x", y = "y" }

[[sources]]
id = "station"
layer = "weather"
title = { fr = "Météo", en = "Weather" }
organisation = "Ville"
deliveries = ["weather.csv"]
columns = { observed_at = "day", rain_mm = "rain" }
"""

PATROLS = """id,kind,from,to,x,y
p1,p,2024-05-15T20:00,2024-05-15T23:00,893500,6246500
p2,q,2024-05-16T20:00,,,
"""
ROADS = """name,x,y
Rue du Carré,893500,6246500
"""
WEATHER = """day,rain
2024-05-15,3.5
"""

AGENDA = """{"type": "FeatureCollection", "features": [
 {"type": "Feature", "properties": {"id": "e1", "kind": "1", "from": "2024-06-21T20:00", "to": "2024-06-22T01:00"},
  "geometry": {"type": "Polygon", "coordinates": [[[5.3, 43.2], [5.4, 43.2], [5.4, 43.3], [5.3, 43.3], [5.3, 43.2]]]}},
 {"type": "Feature", "properties": {"id": "e2", "kind": "9", "from": "2024-07-14", "to": null}, "geometry": null}]}"""

CCTV = """id,type,deg,since,until,x,y
c1,dôme,90,01/02/2020,,893500,6246500
c2,fixe,370,01/02/2020,,893500,6246500
c3,fixe,10,01/02/2020,31/01/2020,893500,6246500
c4,fixe,10,01/02/2020,,,
c5,boule,10,01/02/2020,,893500,6246500
"""


@pytest.fixture
def whole_city(small_city: DeliveredCity) -> DeliveredCity:
    small_city.write_toml(CITY_TOML + SOURCES)
    (small_city.folder / "agenda.geojson").write_text(AGENDA, encoding="utf-8")
    for name, text in (("cctv", CCTV), ("patrols", PATROLS), ("roads", ROADS), ("weather", WEATHER)):
        (small_city.folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return small_city


def products_of(city: DeliveredCity):
    ingest(city.load(), city.home)
    return {p.spec.id: p for p in record_products(city.load(), city.home)}


def test_before_ingestion_there_are_no_products(small_city: DeliveredCity):
    with pytest.raises(LakeError, match="no table 'incidents'"):
        record_products(small_city.load(), small_city.home)


NEVER_SHOWN = {"x_m", "y_m", "delivery", "geometry", "merged_ids"}
ENRICHMENTS = {"holiday", "school_holiday", "daylight", "rain_mm", "temperature_c", "wind_m_s"}


def test_columns_are_those_of_the_lake_without_its_own_matters(whole_city: DeliveredCity):
    products = products_of(whole_city)
    for layer in ("incidents", "events", "cameras", "interventions"):
        lake = [f.name for f in layer_table(whole_city.home, layer).latest().schema]
        shown = [c.name for c in products[layer].spec.columns]
        assert shown == [n for n in lake if n not in NEVER_SHOWN | ENRICHMENTS]
        assert all(c.title.fr and c.title.en for c in products[layer].spec.columns)


def test_layers_of_reference_are_kept_and_not_published(whole_city: DeliveredCity):
    assert list(products_of(whole_city)) == ["incidents", "events", "cameras", "interventions", "districts", "blocks"]
    for layer in ("streets", "weather"):
        assert layer_table(whole_city.home, layer).read().num_rows == 1


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ({}, set()),
        ({"holidays": {"country": "FR"}}, {"holiday"}),
        ({"holidays": {"country": "FR", "school_zone": "B"}}, {"holiday", "school_holiday"}),
        (
            {"holidays": {"country": "BE", "school_holidays": [{"start": "2024-10-21", "end": "2024-11-03"}]}},
            {"holiday", "school_holiday"},
        ),
        ({"daylight": True}, {"daylight"}),
        ({"weather": "station"}, {"rain_mm", "temperature_c", "wind_m_s"}),
        ({"gazetteer": "roads"}, set()),
    ],
)
def test_only_enrichments_that_the_city_file_asks_for_are_shown(
    small_city: DeliveredCity, asked: dict, shown: set[str]
):
    city = load_city(small_city.folder).model_copy(update={"enrichment": Enrichment.model_validate(asked)})
    columns = {column.name: column for column in record_columns("incidents", city, {})}
    assert set(columns) & ENRICHMENTS == shown
    assert columns["located_by"].classes == ("coordinates", "address")
    if "daylight" in shown:
        assert columns["daylight"].classes == ("day", "twilight", "night")
    units = {"rain_mm": "mm", "temperature_c": "Cel", "wind_m_s": "m/s"}
    assert {name: columns[name].unit for name in units if name in columns} == {n: units[n] for n in units if n in shown}


def test_interventions_are_published_like_events(whole_city: DeliveredCity):
    product = products_of(whole_city)["interventions"]
    spec = product.spec
    assert (spec.time_column, spec.time_end_column, spec.geometry_type) == ("starts_at", "ends_at", "Geometry")
    assert spec.column("nature").classes == ("patrouille", "unmapped")
    rows = {r["record_id"]: r for r in product.tables[Form.EXACT].to_pylist()}
    assert (rows["p1"]["nature"], rows["p1"]["located"]) == ("patrouille", True)
    assert (rows["p2"]["nature"], rows["p2"]["located"], rows["p2"]["geometry"]) == ("unmapped", False, None)


def test_forms(whole_city: DeliveredCity):
    products = products_of(whole_city)
    assert products["incidents"].forms == (Form.EXACT,)
    assert products["blocks"].forms == tuple(Form)
    assert products["blocks"].spec.geometry_type == "MultiPolygon"


def test_classes_are_those_of_the_city_file(whole_city: DeliveredCity):
    incidents = products_of(whole_city)["incidents"].spec
    assert incidents.column("theme").classes == ("noise", "family", "unmapped")
    assert incidents.column("category").classes == ("night_noise", "dispute", "unmapped")
    assert incidents.column("zone_blocks").title.fr == "Îlots"
    assert {c.name for c in incidents.columns if c.kind is Kind.KEY} == {"id"}
    assert (incidents.time_column, incidents.time_end_column) == ("started_at", "ended_at")


def test_an_event_has_its_polygon_and_a_day_its_end(whole_city: DeliveredCity):
    table = products_of(whole_city)["events"].tables[Form.EXACT]
    rows = {r["record_id"]: r for r in table.to_pylist()}
    assert rows["e1"]["nature"] == "concert"
    assert rows["e1"]["geometry"][1] == 3  # WKB: little endian, polygon
    assert (rows["e2"]["nature"], rows["e2"]["located"], rows["e2"]["geometry"]) == ("unmapped", False, None)
    assert str(rows["e2"]["ends_at"]) == "2024-07-14 22:00:00+00:00"


def test_cameras_keep_their_contract(whole_city: DeliveredCity):
    cameras = products_of(whole_city)["cameras"].tables[Form.EXACT].to_pylist()
    assert [(c["record_id"], c["kind"], c["status"]) for c in cameras] == [("c1", "ptz", "installed")]
    assert (str(cameras[0]["in_service_from"]), cameras[0]["in_service_to"]) == ("2020-02-01", None)
    from layers.lake import reject_table

    rejects = {r["row"]: r["reason"] for r in reject_table(whole_city.home, "cctv").read().to_pylist()}
    assert rejects == {2: "out_of_range", 3: "end_before_start", 4: "missing_coordinates", 5: "unknown_code"}


def test_an_empty_layer_gives_no_product(whole_city: DeliveredCity):
    (whole_city.folder / "cctv.csv").write_text(CCTV.splitlines()[0] + "\n", encoding="utf-8")
    assert "cameras" not in products_of(whole_city)


def test_clock_and_inputs_of_a_run(small_city: DeliveredCity):
    city = small_city.load()
    assert str(resolve_as_of(city, small_city.home)) == "2024-12-31"  # nothing known: the end of the period
    small_city.deliver([row(1, date="31/03/2025", hour="23:50"), row(2)])
    ingest(city, small_city.home)
    assert str(resolve_as_of(city, small_city.home)) == "2025-03-30"
    inputs = lake_inputs(city, small_city.home)
    assert set(inputs) == {
        "layers/incidents",
        "layers/land",
        "layers/zones_blocks",
        "layers/zones_districts",
        "deliveries/log/0001",
    }
    assert inputs["layers/land"] == layer_table(small_city.home, "land").latest().digest
