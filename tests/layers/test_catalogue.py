from __future__ import annotations

import datetime as dt
import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers.catalogue import (
    DeliveryState,
    Freshness,
    SourceEntry,
    SourceState,
    latest_day,
    read_catalogue,
    source_entry,
    write_catalogue,
)
from layers.catalogue_fields import field_meaning, field_type, field_unit
from layers.catalogue_records import catalogue_document, record
from layers.city import City, Source
from layers.durations import add_duration, checked_duration
from layers.errors import LakeError
from layers.fields import LAYER_FIELDS
from layers.home import Home
from layers.steps import Stage
from support.delivered_city import CITY_TOML, DeliveredCity

NEW_YEAR = dt.date(2025, 1, 1)

# What OGC 20-004 (OGC API - Records - Part 1: Core), requirements class Record Core, asks of a record as GeoJSON,
# written after its tables of core properties and its schemas of time, theme, contact and language.
_LANGUAGE = {"type": "object", "required": ["code"], "properties": {"code": {"type": "string"}}}
_DAY = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"}
RECORD_CORE = {
    "type": "object",
    "required": ["id", "type", "geometry", "properties", "time", "links"],
    "properties": {
        "id": {"type": "string"},
        "type": {"const": "Feature"},
        "conformsTo": {"type": "array", "items": {"type": "string", "format": "uri"}},
        "time": {
            "oneOf": [
                {"type": "null"},
                {
                    "type": "object",
                    "properties": {"interval": {"type": "array", "minItems": 2, "maxItems": 2, "items": _DAY}},
                },
            ]
        },
        "geometry": {
            "oneOf": [
                {"type": "null"},
                {"type": "object", "required": ["type", "coordinates"], "properties": {"type": {"const": "Polygon"}}},
            ]
        },
        "properties": {
            "type": "object",
            "required": ["type", "title"],
            "properties": {
                "type": {"type": "string", "maxLength": 64},
                "title": {"type": "string"},
                "description": {"type": "string"},
                "keywords": {"type": "array", "items": {"type": "string"}},
                "language": _LANGUAGE,
                "languages": {"type": "array", "items": _LANGUAGE},
                "themes": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "required": ["concepts", "scheme"],
                        "properties": {
                            "concepts": {
                                "type": "array",
                                "minItems": 1,
                                "items": {"type": "object", "required": ["id"]},
                            },
                            "scheme": {"type": "string"},
                        },
                    },
                },
                "contacts": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "anyOf": [{"required": ["name"]}, {"required": ["organization"]}],
                        "properties": {"roles": {"type": "array", "minItems": 1, "items": {"type": "string"}}},
                    },
                },
                "license": {"type": "string"},
                "rights": {"type": "string"},
            },
        },
        "links": {"type": "array"},
    },
}


@pytest.fixture
def city(small_city: DeliveredCity) -> City:
    return small_city.load()


@pytest.fixture
def source(city: City) -> Source:
    return Source.model_validate(
        city.sources[0].model_dump()
        | {
            "owner": "Police municipale",
            "main_user": "Observatoire",
            "purpose": {"fr": "Suivre les faits", "en": "Follow the facts"},
            "update_frequency": "P7D",
            "update_method": "Dépôt",
            "pseudonymise": ["MATRICULE"],
        }
    )


def state(source: Source, **changes: object) -> SourceState:
    known: dict = {
        "deliveries": [DeliveryState("log.csv", "ab" * 32, 210, 1, dt.date(2026, 1, 2))],
        "figures": {"rows": 210, "accepted": 200, "rejected": 10, "records": 200, "not_located": 50},
        "unmapped_codes": {"Z9": 2},
        "reject_reasons": {"invalid_date": 10},
        "bbox": (5.1, 43.1, 5.5, 43.4),
        "interval": (dt.date(2024, 1, 1), dt.date(2024, 12, 31)),
        "masked": {"ADRESSE": {"phone": 1}},
        "recommendations": [
            {"level": "correct", "text": {"fr": "Corriger.", "en": "Correct."}},
            {"level": "know", "text": {"fr": "Savoir.", "en": "Know."}},
        ],
    }
    return SourceState(source, **(known | changes))


def entry(city: City, source: Source, **changes: object) -> SourceEntry:
    return source_entry(city, state(source, **changes))


def test_an_entry_tells_all_that_the_city_file_and_the_ingestion_know(city: City, source: Source):
    found = entry(city, source)
    assert (found.owner, found.main_user, found.update_method) == ("Police municipale", "Observatoire", "Dépôt")
    assert (found.dropped, found.pseudonymised) == (("AGENT",), ("MATRICULE",))
    fields = {f.name: f for f in found.fields}
    assert fields["started_at"].columns == ("DATE", "HEURE")
    assert (fields["started_at"].type, fields["started_at"].unit) == ("time", None)
    assert fields["x"].meaning.en == "Easting, in the source’s reference system"
    assert found.attribution == "Ville du Carré"
    assert [text.fr for text in found.recommendations] == ["Corriger."]


def test_the_catalogue_is_read_back_in_the_order_of_the_city_file(
    city: City, source: Source, small_city: DeliveredCity
):
    other = Source.model_validate(source.model_dump() | {"id": "aaa"})
    stage = Stage(small_city.home, "ingest", "k" * 8)
    write_catalogue(stage.begin(), city, [state(source), state(other)])
    stage.finish([], {})
    assert read_catalogue(small_city.home) == [entry(city, source), entry(city, other)]


def test_a_home_without_layers_has_no_catalogue(small_city: DeliveredCity):
    with pytest.raises(LakeError, match="no layers yet"):
        read_catalogue(small_city.home)


@pytest.mark.parametrize(
    ("as_of", "expected"),
    [
        (dt.date(2024, 12, 31), Freshness.CURRENT),
        (dt.date(2025, 1, 7), Freshness.CURRENT),
        (dt.date(2025, 1, 8), Freshness.LATE),
    ],
)
def test_a_source_is_late_once_its_frequency_is_over(city: City, source: Source, as_of: dt.date, expected: Freshness):
    assert entry(city, source).freshness(as_of) is expected


def test_states_that_are_neither_current_nor_late(city: City, source: Source):
    assert entry(city, source, deliveries=[]).freshness(NEW_YEAR) is Freshness.NO_DELIVERY
    unhurried = Source.model_validate(source.model_dump() | {"update_frequency": None})
    assert entry(city, unhurried).freshness(NEW_YEAR) is Freshness.UNKNOWN
    undated = [DeliveryState("log.csv", "ab" * 32, 210, 1)]
    assert entry(city, source, interval=None, deliveries=undated).freshness(NEW_YEAR) is Freshness.UNKNOWN


def test_planned_events_do_not_make_a_source_recent(city: City, source: Source):
    columns = {"nature": {"column": "N"}, "starts_at": {"column": "D"}}
    events = Source.model_validate(source.model_dump() | {"layer": "events", "columns": columns, "categories": {}})
    found = entry(city, events, interval=(NEW_YEAR, dt.date(2027, 1, 1)))
    assert found.latest == dt.date(2026, 1, 2)
    assert found.freshness(dt.date(2026, 6, 1)) is Freshness.LATE
    assert latest_day([found, entry(city, source)]) == dt.date(2024, 12, 31)


def test_a_record_has_the_members_of_ogc_api_records(city: City, source: Source):
    for language in ("fr", "en"):
        jsonschema.validate(record(entry(city, source), as_of=NEW_YEAR, language=language), RECORD_CORE)
    nowhere = entry(city, source, bbox=None, interval=None, deliveries=[])
    jsonschema.validate(record(nowhere, as_of=NEW_YEAR), RECORD_CORE)


def test_a_record_says_where_when_who_and_how_good(city: City, source: Source):
    found = record(entry(city, source), as_of=NEW_YEAR, used_by=["hotspots"])
    told = found["properties"]
    assert found["geometry"]["coordinates"][0][0] == [5.1, 43.1]
    assert found["geometry"]["coordinates"][0][2] == [5.5, 43.4]
    assert found["time"] == {"interval": ["2024-01-01", "2024-12-31"]}
    assert told["description"] == "Suivre les faits"
    assert told["contacts"] == [
        {"organization": "Police municipale", "roles": ["author", "owner"]},
        {"organization": "Observatoire", "roles": ["user"]},
    ]
    assert told["state"]["title"] == "à jour"
    assert told["quality"]["acceptedShare"] == pytest.approx(200 / 210, abs=1e-6)
    assert told["quality"]["locatedShare"] == 0.75
    assert told["deliveries"][0]["rows"] == 210
    assert told["usedBy"] == ["hotspots"]


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("Licence Ouverte 2.0 / Apache-2.0", "etalab-2.0 AND Apache-2.0"),
        ("ODbL", "ODbL-1.0"),
        ("Convention du 3 mars", "other"),
    ],
)
def test_licences_are_spdx_expressions(small_city: DeliveredCity, source: Source, licence: str, expected: str):
    toml = CITY_TOML.replace('attribution = "Ville du Carré"', f'attribution = "Ville du Carré"\nlicence = "{licence}"')
    small_city.write_toml(toml)
    assert record(entry(small_city.load(), source), as_of=NEW_YEAR)["properties"]["license"] == expected


def test_the_document_of_a_home_without_a_run_goes_by_the_latest_fact(
    city: City, source: Source, small_city: DeliveredCity
):
    stage = Stage(small_city.home, "ingest", "k" * 8)
    write_catalogue(stage.begin(), city, [state(source)])
    stage.finish([], {})
    document = catalogue_document(Home(small_city.home.root))
    assert document["features"][0]["properties"]["state"]["as_of"] == "2024-12-31"
    assert json.loads(json.dumps(document)) == document
    later = catalogue_document(small_city.home, as_of=dt.date(2025, 6, 1), language="en")
    assert later["features"][0]["properties"]["state"]["title"] == "late"


@pytest.mark.parametrize("layer", LAYER_FIELDS)
def test_every_field_of_every_layer_has_a_meaning_a_type_and_its_unit(layer: str):
    for name, declared in LAYER_FIELDS[layer].items():
        assert field_meaning(layer, name).fr
        assert field_type(layer, name) == declared.type
    assert field_meaning("incidents", "zone_quartiers").fr == "Zone indiquée par la source (quartiers)"


def test_units_are_those_that_names_carry():
    units = {name: field_unit(name) for name in ("wind_m_s", "rain_mm", "height_m", "direction_deg", "temperature_c")}
    assert units == {
        "wind_m_s": "m/s",
        "rain_mm": "mm",
        "height_m": "m",
        "direction_deg": "deg",
        "temperature_c": "Cel",
    }
    assert field_unit("record_id") is None
    assert field_unit("name") is None


@pytest.mark.parametrize(
    ("day", "duration", "expected"),
    [
        ("2024-01-31", "P1M", "2024-02-29"),
        ("2023-01-31", "P1M", "2023-02-28"),
        ("2024-12-31", "P1D", "2025-01-01"),
        ("2024-11-30", "P3M", "2025-02-28"),
        ("2024-02-29", "P1Y", "2025-02-28"),
        ("2024-01-01", "P2W", "2024-01-15"),
        ("2024-01-01", "PT6H", "2024-01-02"),
        ("2024-01-01", "PT24H", "2024-01-02"),
        ("2024-01-01", "P1DT25H", "2024-01-04"),
    ],
)
def test_durations_follow_the_calendar(day: str, duration: str, expected: str):
    assert add_duration(dt.date.fromisoformat(day), duration) == dt.date.fromisoformat(expected)


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "P1", "1D", "P1H", "P-1D", "P1.5D", "P1DT", "daily", "R/P1D", "P99999D", "P١D"]
)
def test_what_is_no_duration_is_refused_with_an_example(text: str):
    with pytest.raises(ValueError, match="for instance P1D"):
        checked_duration(text)


@given(st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1)), st.integers(0, 500), st.integers(0, 40))
def test_days_and_weeks_add_up(day: dt.date, days: int, weeks: int):
    assert add_duration(day, f"P{weeks}W{days}D") == day + dt.timedelta(days=7 * weeks + days)
