"""The gazetteer as a whole: every way of writing finds the street, no unknown name does, and content alone decides."""

from __future__ import annotations

import unicodedata

import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from layers.errors import CalanqueError
from layers.gazetteer import Gazetteer, Outcome
from layers.gazetteer.words import ARTICLES, SINGULAR_WAYS, phrase
from support.streets_layer import METRIC_CRS, streets_table

WAYS = ("Rue", "Boulevard", "Avenue", "Traverse", "Chemin", "Impasse", "Montée", "Allée", "Place", "Quai")
THINGS = (
    "des Amandiers",
    "de l’Écluse",
    "du Four à Chaux",
    "de la Lône",
    "du Général Thym",
    "de Saint-Cyr",
    "de l’Œillet",
)
ENDS = ("", " d’en Haut", " d’en Bas", " du Nord", " du Vieux Chemin", " de la Crête")
STREETS = [f"{way} {thing}{end}" for way in WAYS for thing in THINGS for end in ENDS]
ABBREVIATIONS = {way: sorted(a for a, full in SINGULAR_WAYS.items() if full == phrase(f"{way} X").way) for way in WAYS}

GAZETTEER = Gazetteer.of_streets(streets_table(STREETS), METRIC_CRS)


def without_accents(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


@st.composite
def noisy_addresses(draw: st.DrawFn) -> tuple[str, str]:
    """An address as somebody might write it, and the id of its street."""
    street = draw(st.integers(0, len(STREETS) - 1))
    way, rest = STREETS[street].split(" ", 1)
    way = draw(st.sampled_from([way, *ABBREVIATIONS[way]])) + draw(st.sampled_from(["", "."]))
    rest = rest.replace("Général", draw(st.sampled_from(["Général", "Gal", "gén."])))
    rest = rest.replace("Saint-", draw(st.sampled_from(["Saint-", "St ", "st-", "SAINT "])))
    rest = rest.replace("’", draw(st.sampled_from(["’", "'", " ", "' "])))
    text = f"{way} {rest}"
    if draw(st.booleans()):
        text = without_accents(text).replace("Œ", "OE")
    text = draw(st.sampled_from([str, str.upper, str.lower]))(text)
    before = draw(st.sampled_from(["", "12 ", "12, ", "12 bis ", "12-14 ", "n°12 ", "Rés. Les Lilas - 7 "]))
    after = draw(st.sampled_from(["", " 13006 Marseille", ", 13006", " Bât. B", ", appt 4", " MARSEILLE 6E"]))
    return before + text + after, str(street)


@given(noisy_addresses())
def test_a_known_street_is_found_however_it_is_written(written: tuple[str, str]):
    address, street = written
    found = GAZETTEER.locate(pa.array([address]))
    assert (found.street[0], found.outcome[0]) == (street, Outcome.FOUND)


@given(st.text("abcdefghijklmnopqrstuvwxyzéèà'- ", min_size=1, max_size=30), st.sampled_from(WAYS))
def test_an_unknown_name_is_never_found(name: str, way: str):
    asked = phrase(f"{way} {name}")
    near = {phrase(s) for s in STREETS}
    shared = set(asked.words_without_articles) & {w for n in near for w in n.words_without_articles}
    if not asked.words or shared - ARTICLES:
        return
    found = GAZETTEER.locate(pa.array([f"12 {way} {name}"]))
    assert found.outcome[0] != Outcome.FOUND


@given(st.text(max_size=60))
def test_any_text_gets_an_answer(text: str):
    found = GAZETTEER.locate(pa.array([text]))
    assert found.outcome[0] in {Outcome.FOUND, Outcome.AMBIGUOUS, Outcome.UNKNOWN}


def test_what_is_not_found_has_no_place():
    found = GAZETTEER.locate(pa.array([None, "nulle part", "Rue des Amandiers"], pa.string()))
    assert found.outcome.tolist() == [Outcome.NOT_ASKED, Outcome.UNKNOWN, Outcome.FOUND]
    assert found.outcome.dtype == np.int8
    assert found.street.tolist() == [None, None, "0"]
    for values in (found.lon, found.lat, found.x_m, found.y_m, found.precision_m):
        assert np.isnan(values).tolist() == [True, True, False]


def test_answers_do_not_depend_on_the_batch_in_which_they_are_asked():
    addresses = [f"{i} {s}" for i, s in enumerate(STREETS)] + ["12 rue des Amanndiers", None, "rue"]
    whole = GAZETTEER.locate(pa.array(addresses))
    fresh = Gazetteer.of_streets(streets_table(STREETS), METRIC_CRS)
    parts = [fresh.locate(pa.array(addresses[i : i + 50], pa.string())) for i in range(0, len(addresses), 50)]
    assert whole.street.tolist() == [s for p in parts for s in p.street]
    np.testing.assert_array_equal(whole.x_m, np.concatenate([p.x_m for p in parts]))
    chunked = fresh.locate(pa.chunked_array([addresses[:7], addresses[7:]], pa.string()))
    assert chunked.street.tolist() == whole.street.tolist()


@pytest.mark.parametrize("addresses", [pa.array([], pa.string()), pa.chunked_array([], pa.string()), pa.nulls(3)])
def test_nothing_asked_is_nothing_answered(addresses):
    found = GAZETTEER.locate(addresses)
    assert len(found.street) == len(addresses)
    assert not found.outcome.any()


def test_encoded_text_is_text():
    found = GAZETTEER.locate(pa.array(["Rue des Amandiers", None]).dictionary_encode())
    assert found.street.tolist() == ["0", None]


def test_the_order_of_rows_does_not_matter():
    table = streets_table([*STREETS[:20], *STREETS[:20]])
    turned = table.take(list(reversed(range(table.num_rows))))
    zones = np.array([str(i) for i in range(table.num_rows)], dtype=object)
    one = Gazetteer.of_streets(table, METRIC_CRS, {"z": zones})
    other = Gazetteer.of_streets(turned, METRIC_CRS, {"z": zones[::-1]})
    assert one.digest == other.digest
    asked = pa.array(STREETS[:30])
    assert one.locate(asked).outcome.tolist() == other.locate(asked).outcome.tolist()


def test_another_name_place_zone_or_crs_is_another_digest():
    table = streets_table(STREETS[:3])
    zones = {"z": np.array(["a", "b", None], dtype=object)}
    others = [
        Gazetteer.of_streets(streets_table([*STREETS[:2], "Rue Autre"]), METRIC_CRS),
        Gazetteer.of_streets(streets_table(STREETS[:3], [shapely.Point(i, 0) for i in range(3)]), METRIC_CRS),
        Gazetteer.of_streets(table, METRIC_CRS, zones),
        Gazetteer.of_streets(table, "EPSG:3857"),
        Gazetteer.of_streets(table, METRIC_CRS),
    ]
    assert len({g.digest for g in others}) == len(others)


def test_rows_without_a_name_or_a_shape_are_no_streets():
    table = streets_table(["Rue Droite", None, "Rue Vide", "   "])
    geometry = table.column("geometry").to_pylist()
    geometry[2] = None
    table = table.set_column(3, "geometry", pa.array(geometry, pa.binary()))
    found = Gazetteer.of_streets(table, METRIC_CRS).locate(pa.array(["rue Droite", "rue Vide"]))
    assert found.street.tolist() == ["0", None]


def test_a_city_without_streets_finds_nothing():
    empty = streets_table(STREETS[:1]).slice(0, 0)
    zones = {"z": np.array([], dtype=object)}
    found = Gazetteer.of_streets(empty, METRIC_CRS, zones).locate(pa.array(["rue Droite", None]))
    assert found.outcome.tolist() == [Outcome.UNKNOWN, Outcome.NOT_ASKED]


def test_a_layer_without_its_columns_is_refused():
    table = streets_table(STREETS[:2])
    with pytest.raises(CalanqueError, match="other_name"):
        Gazetteer.of_streets(table.drop_columns(["other_name"]), METRIC_CRS)
    with pytest.raises(CalanqueError, match="z are not as many"):
        Gazetteer.of_streets(table, METRIC_CRS, {"z": np.array(["a"], dtype=object)})
