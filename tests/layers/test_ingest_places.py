"""Where records are: by coordinates, by address, by the zone that they name, or nowhere, counted as such."""

from __future__ import annotations

import json

import pytest

from support.delivered_city import CITY_TOML, HEADER, ORIGIN_X_M, ORIGIN_Y_M, DeliveredCity, row
from support.ingested import figures_of, records, rejects, rows_of, take, with_city, with_columns
from support.small_streets import STREETS_TOML, deliver_streets

NOWHERE = {"x": " ", "y": " "}
GAZETTEER = with_city('[enrichment]\ngazetteer = "roads"', with_columns('address = "ADRESSE"')) + STREETS_TOML


def test_without_coordinates_a_record_is_counted_as_not_located(small_city: DeliveredCity):
    small_city.deliver([row(1, **NOWHERE), row(2)])
    figures = figures_of(small_city)
    record = records(small_city)["MC1"]
    assert (record["located"], record["located_by"], record["on_land"]) == (False, None, None)
    assert (record["geometry"], record["x_m"], record["zone_blocks"], record["zone_districts"]) == (None,) * 4
    assert (figures["non_localised"], figures["log.not_located"], figures["off_land"]) == (1, 1, 0)


def test_off_the_land_is_not_off_the_map(small_city: DeliveredCity):
    small_city.deliver([row(1, x=f"{ORIGIN_X_M - 50:.0f}"), row(2)])
    assert figures_of(small_city)["off_land"] == 1
    assert (records(small_city)["MC1"]["on_land"], records(small_city)["MC1"]["zone_blocks"]) == (False, None)


@pytest.mark.parametrize(
    ("field", "named", "zones"),
    [
        ("zone_blocks", "B1", ("B1", "B")),
        ("zone_blocks", "Îlot B1", ("B1", "B")),
        ("zone_blocks", "ilot b1", ("B1", "B")),
        ("zone_blocks", "Elsewhere", (None, None)),
        ("zone_blocks", "", (None, None)),
        ("zone_districts", "B", (None, "B")),
        ("zone_districts", "SECTEUR B", (None, "B")),
    ],
)
def test_a_record_without_coordinates_is_in_the_zone_that_it_names_and_in_those_above(
    small_city: DeliveredCity, field: str, named: str, zones: tuple[str | None, str | None]
):
    small_city.write_toml(with_columns(f'{field} = "ZONE"'))
    small_city.deliver([f"{row(1, **NOWHERE)};{named}", f"{row(2)};B0"], header=f"{HEADER};ZONE")
    figures = figures_of(small_city)
    found = records(small_city)
    assert (found["MC1"]["zone_blocks"], found["MC1"]["zone_districts"]) == zones
    assert found["MC1"]["located"] is False
    assert figures["non_localised"] == 1
    # Coordinates count more than the name.
    assert (found["MC2"]["zone_blocks"], found["MC2"]["zone_districts"]) == ("A1", "A")


def test_the_coarse_zone_of_a_named_fine_one_follows_through_two_dissolves(small_city: DeliveredCity):
    whole = '[[zones]]\nid = "whole"\ntitle = { fr = "Ville", en = "City" }\n'
    whole += 'dissolve = { of = "districts", by = "town", name = "town" }\n\n'
    small_city.write_toml(with_columns('zone_blocks = "ZONE"').replace("[[zones]]", f"{whole}[[zones]]", 1))
    path = small_city.folder / "blocks.geojson"
    document = json.loads(path.read_text(encoding="utf-8"))
    for feature in document["features"]:
        feature["properties"]["town"] = "Le Carré"
    path.write_text(json.dumps(document), encoding="utf-8")
    small_city.deliver([f"{row(1, **NOWHERE)};B0", f"{row(2)};"], header=f"{HEADER};ZONE")
    take(small_city)
    found = {n: tuple(r[f"zone_{z}"] for z in ("whole", "districts", "blocks")) for n, r in records(small_city).items()}
    assert found == {"MC1": ("Le Carré", "B", "B0"), "MC2": ("Le Carré", "A", "A1")}


def test_an_address_without_coordinates_is_placed_on_its_street_and_said_to_be(small_city: DeliveredCity):
    small_city.write_toml(GAZETTEER)
    deliver_streets(small_city)
    rows = [
        f"{row(1, **NOWHERE)};12 rue de la Paix",
        f"{row(2, **NOWHERE)};rue inconnue",
        f"{row(3, **NOWHERE)};",
        f"{row(4)};12 rue de la Paix",
    ]
    small_city.deliver(rows, header=f"{HEADER};ADRESSE")
    figures = figures_of(small_city)
    found = records(small_city)
    placed = found["MC1"]
    assert (placed["located"], placed["located_by"], placed["zone_blocks"]) == (True, "address", "A0")
    assert (placed["x_m"], placed["y_m"]) == pytest.approx((ORIGIN_X_M + 200, ORIGIN_Y_M + 300), abs=0.01)
    assert placed["precision_m"] == pytest.approx(100, abs=1)  # halfway along 200 m
    assert [found[f"MC{n}"]["located_by"] for n in (2, 3, 4)] == [None, None, "coordinates"]
    assert found["MC4"]["precision_m"] is None
    assert (figures["non_localised"], figures["log.located_by_address"]) == (2, 1)


def test_when_the_streets_change_a_record_moves_and_stays_the_same_record(small_city: DeliveredCity):
    """Its source has said nothing new: it is neither updated nor another one, even without an id of its own."""
    anonymous = GAZETTEER.replace('record_id = "NUM"\n', "").replace('["AGENT"]', '["AGENT", "NUM"]')
    small_city.write_toml(anonymous)
    deliver_streets(small_city)
    small_city.deliver([f"{row(1, **NOWHERE)};12 rue de la Paix"], header=f"{HEADER};ADRESSE")
    take(small_city)
    before = rows_of(small_city, "incidents")[0]
    deliver_streets(small_city, {"Rue de la Paix": (1500.0, 1700.0, 1500.0)})
    figures = figures_of(small_city)
    after = rows_of(small_city, "incidents")[0]
    assert (before["zone_blocks"], after["zone_blocks"]) == ("A0", "B1")
    assert after["id"] == before["id"]
    assert (figures["log.new"], figures["log.updated"], figures["log.withdrawn"]) == (1, 0, 0)


def test_bad_coordinates_are_refused_and_not_replaced_by_the_address(small_city: DeliveredCity):
    small_city.write_toml(GAZETTEER)
    deliver_streets(small_city)
    small_city.deliver([f"{row(1, x='0', y='0')};12 rue de la Paix"], header=f"{HEADER};ADRESSE")
    take(small_city)
    assert [r[3] for r in rejects(small_city)] == ["zero_coordinates"]


def test_a_site_that_only_has_an_address_is_refused_for_it_cannot_say_how_precise_it_is(small_city: DeliveredCity):
    sites = STREETS_TOML + STREETS_TOML.replace('"roads"', '"sites"').replace('"streets"', '"sensitive_sites"').replace(
        "roads.geojson", "sites.csv"
    ).replace("deliveries", 'crs = "EPSG:2154"\ndeliveries').replace(
        'record_id = "ref", name = "name"', 'category = "kind", name = "name", address = "address", x = "x", y = "y"'
    )
    small_city.write_toml(with_city('[enrichment]\ngazetteer = "roads"', CITY_TOML) + sites)
    deliver_streets(small_city)
    text = "kind,name,address,x,y\nschool,One,12 rue de la Paix,,\nschool,Two,,893500,6246500\n"
    (small_city.folder / "sites.csv").write_text(text, encoding="utf-8")
    take(small_city)
    assert [r["name"] for r in rows_of(small_city, "sensitive_sites")] == ["Two"]
    assert rejects(small_city, "sites") == [(1, "coordinates", None, "missing_coordinates")]
