"""Layers besides incidents, and what surrounds an incident: holidays, daylight and weather, where asked for."""

from __future__ import annotations

import datetime as dt

import pytest
import shapely

from layers.lake import layer_table
from support.delivered_city import CITY_TOML, ORIGIN_X_M, ORIGIN_Y_M, DeliveredCity, row
from support.ingested import figures_of, records, rejects, take, with_city
from support.small_streets import STREETS_TOML, deliver_streets

SURROUNDINGS = ("holiday", "school_holiday", "daylight", "rain_mm", "temperature_c", "wind_m_s")
ENRICHMENT = """
[enrichment]
daylight = true
weather = "station"

[enrichment.holidays]
country = "FR"
school_zone = "B"
"""
WEATHER_TOML = """
[[sources]]
id = "station"
layer = "weather"
title = { fr = "Météo", en = "Weather" }
organisation = "Ville"
deliveries = ["weather.csv"]

[sources.columns]
observed_at = "at"
observed_until = "until"
rain_mm = "rain"
temperature_c = "celsius"
wind_m_s = { column = "km_h", scale = 0.2777777777777778 }
"""
WEATHER = """at,until,rain,celsius,km_h
2024-05-15T10:00,2024-05-15T11:00,1.5,18.25,36
2024-05-15T23:00,2024-05-16T00:00,0,12,
2024-05-16T10:00,2024-05-16T09:00,0,12,0
2024-05-16T10:00,2024-05-16T11:00,-1,99,0
"""
SHAPES_TOML = """
[[sources]]
id = "patrols"
layer = "interventions"
title = { fr = "Patrouilles", en = "Patrols" }
organisation = "Police municipale"
deliveries = ["patrols.csv"]
crs = "EPSG:2154"
columns = { record_id = "id", nature = "kind", starts_at = "from", ends_at = "to", x = "x", y = "y" }

[[sources]]
id = "houses"
layer = "buildings"
title = { fr = "Bâtiments", en = "Buildings" }
organisation = "Ville"
deliveries = ["houses.geojson"]
columns = { record_id = "ref", dwellings = "homes", height_m = "height" }
"""
PATROLS = """id,kind,from,to,x,y
P1,patrol,2024-05-15T20:00,2024-05-15T23:00,893500,6246500
P2,patrol,2024-05-16,,,
P3,,2024-05-16T20:00,,893500,6246500
"""


def house(ref: str, ring: list[tuple[float, float]], homes: float | None = 2) -> str:
    coordinates = [[[ORIGIN_X_M + x, ORIGIN_Y_M + y] for x, y in [*ring, ring[0]]]]
    homes_text = "null" if homes is None else repr(homes)
    return (
        f'{{"type": "Feature", "properties": {{"ref": "{ref}", "homes": {homes_text}, "height": 9.5}},'
        f' "geometry": {{"type": "Polygon", "coordinates": {coordinates}}}}}'
    )


SQUARE = [(100.0, 100.0), (120.0, 100.0), (120.0, 120.0), (100.0, 120.0)]
BOW_TIE = [(100.0, 100.0), (120.0, 120.0), (120.0, 100.0), (100.0, 120.0)]


def deliver_shapes(city: DeliveredCity) -> None:
    (city.folder / "patrols.csv").write_text(PATROLS, encoding="utf-8")
    crs = '"crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::2154"}}'
    features = ", ".join([house("H1", SQUARE), house("H2", BOW_TIE), house("H3", SQUARE, 1.5)])
    text = f'{{"type": "FeatureCollection", {crs}, "features": [{features}]}}'
    (city.folder / "houses.geojson").write_text(text, encoding="utf-8")


def test_what_surrounds_an_incident_is_unknown_where_nobody_asked(small_city: DeliveredCity):
    take(small_city)
    assert {r[name] for r in records(small_city).values() for name in SURROUNDINGS} == {None}


def test_what_surrounds_an_incident_is_there_where_it_is_asked_for(small_city: DeliveredCity):
    small_city.write_toml(with_city(ENRICHMENT) + WEATHER_TOML)
    (small_city.folder / "weather.csv").write_text(WEATHER, encoding="utf-8")
    small_city.deliver([row(1), row(2, hour="23:05"), row(3, hour=""), row(4, date="14/07/2024", hour="13:00")])
    take(small_city)
    found = {name: tuple(r[column] for column in SURROUNDINGS) for name, r in records(small_city).items()}
    assert found == {
        "MC1": (False, False, "day", 1.5, 18.25, pytest.approx(10.0)),
        "MC2": (False, False, "night", 0.0, 12.0, None),
        "MC3": (False, False, None, None, None, None),  # at midnight nothing was observed
        "MC4": (True, True, "day", None, None, None),
    }


def test_observations_have_a_contract_of_their_own(small_city: DeliveredCity):
    small_city.write_toml(CITY_TOML + WEATHER_TOML)
    (small_city.folder / "weather.csv").write_text(WEATHER, encoding="utf-8")
    figures = figures_of(small_city)
    assert (figures["weather"], figures["station.rejected"]) == (2, 2)
    assert [(r[0], r[1], r[3]) for r in rejects(small_city, "station")] == [
        (3, "observed_until", "end_before_start"),
        (4, "rain_mm", "out_of_range"),
        (4, "temperature_c", "out_of_range"),
    ]


def test_streets_keep_their_shape_and_length(small_city: DeliveredCity):
    small_city.write_toml(CITY_TOML + STREETS_TOML)
    deliver_streets(small_city, {"Rue de la Paix": (100, 300, 300), "Point final": (500, 500, 500)})
    take(small_city)
    street = records(small_city, "streets")["S1"]
    assert (street["name"], street["zone_blocks"]) == ("Rue de la Paix", "A0")
    assert street["length_m"] == pytest.approx(200, abs=0.01)
    assert shapely.from_wkb(street["geometry"]).geom_type == "LineString"
    assert [(r[0], r[3]) for r in rejects(small_city, "roads")] == [(2, "invalid_geometry")]  # of no length


def test_interventions_and_buildings_have_their_layers(small_city: DeliveredCity):
    small_city.write_toml(CITY_TOML + SHAPES_TOML)
    deliver_shapes(small_city)
    figures = figures_of(small_city)
    patrols, houses = records(small_city, "interventions"), records(small_city, "buildings")
    assert {n: (r["located"], r["zone_blocks"]) for n, r in patrols.items()} == {
        "P1": (True, "A0"),
        "P2": (False, None),
    }
    assert patrols["P1"]["ends_at"] - patrols["P1"]["starts_at"] == dt.timedelta(hours=3)
    assert patrols["P2"]["ends_at"] - patrols["P2"]["starts_at"] == dt.timedelta(days=1)
    assert (houses["H1"]["dwellings"], houses["H1"]["height_m"], houses["H1"]["zone_blocks"]) == (2, 9.5, "A0")
    assert shapely.from_wkb(houses["H1"]["geometry"]).geom_type == "Polygon"
    assert rejects(small_city, "patrols") == [(3, "nature", None, "missing_value")]
    assert [(r[0], r[1], r[3]) for r in rejects(small_city, "houses")] == [
        (2, "geometry", "invalid_geometry"),
        (3, "dwellings", "invalid_number"),
    ]
    assert (figures["patrols.not_located"], figures["houses.not_located"]) == (1, 0)


def test_layers_other_than_incidents_are_one_part_and_have_a_history_too(small_city: DeliveredCity):
    small_city.write_toml(CITY_TOML + SHAPES_TOML)
    deliver_shapes(small_city)
    take(small_city)
    assert [f.partition for f in layer_table(small_city.home, "interventions").latest().files] == [None]
    text = PATROLS.replace("2024-05-15T23:00", "2024-05-15T22:00").replace("P2,patrol,2024-05-16,,,\n", "")
    (small_city.folder / "patrols.csv").write_text(text, encoding="utf-8")
    take(small_city)
    past = layer_table(small_city.home, "interventions_history").read().to_pylist()
    assert {(r["record_id"], r["state"]) for r in past} == {("P1", "updated"), ("P2", "withdrawn")}
    assert set(records(small_city, "interventions")) == {"P1"}
