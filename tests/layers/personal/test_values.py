"""Single values: what is taken out, and what is left alone."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers.errors import DeliveryError
from layers.personal import Screen
from layers.personal.detection import plain
from layers.personal.narrative import is_narrative
from support.personal_values import INNOCENT, PERSONAL

ORDINARY = ["12 rue Paradis", "3 boulevard Longchamp", "La Canebière"] * 40


@pytest.mark.parametrize(("kind", "value"), PERSONAL)
def test_one_personal_value_is_taken_out_of_an_address_column(screened, kind, value):
    kept, masked = screened("address", [*ORDINARY, value, *ORDINARY])
    assert kept == [*ORDINARY, None, *ORDINARY]
    assert masked == {kind: 1}


@pytest.mark.parametrize(("kind", "value"), PERSONAL)
def test_a_column_of_personal_values_is_refused_whatever_field_of_text_it_feeds(screened, kind, value):
    for field in ("address", "severity"):
        with pytest.raises(DeliveryError, match=kind) as error:
            screened(field, [value] * 12)
        assert value not in str(error.value)


def test_innocent_values_are_left_as_they_are(screened):
    for field in ("address", "category", "record_id"):
        assert screened(field, INNOCENT * 2) == (INNOCENT * 2, {})
    assert screened("title", INNOCENT, layer="events")[1] == {}
    assert screened("name", INNOCENT, layer="sensitive_sites")[1] == {}


@pytest.mark.parametrize("value", INNOCENT)
def test_an_innocent_value_makes_no_innocent_column_suspect(screened, value):
    assert screened("address", [value] * 12)[1] == {}


@pytest.mark.parametrize(
    "ids",
    [
        [f"{i:010d}" for i in range(600_000_000, 600_000_200)],
        [f"AB{i:03d}X{i % 10}" for i in range(200)],
        [f"{360050000000000 + 7919 * i}" for i in range(300)],
        [f"Vol-{i}-Jean Dupont" for i in range(50)],
        [f"1.2.{i}.4" for i in range(99)],
    ],
    ids=["ten digits", "letters and digits", "fifteen digits", "sentences", "sections"],
)
def test_identifiers_and_codes_have_any_shape(screened, ids):
    assert screened("record_id", ids) == (ids, {})


def test_phones_as_record_ids_are_told_from_numbers_that_count_on(screened):
    phones = [f"0{(612_345_678 + 7_654_321 * i) % 200_000_000 + 600_000_000}" for i in range(40)]
    with pytest.raises(DeliveryError, match="phone in 40 of 40"):
        screened("record_id", phones)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.2.3.4"])
def test_codes_with_four_small_parts_are_sections_not_machines(screened, address):
    assert screened("category", [address] * 12)[1] == {}


def test_labels_of_offences_may_be_long(screened):
    label = "Violence sur un mineur de 15 ans par personne ayant autorité sur la victime et sans incapacité de travail"
    assert screened("category", [label] * 12)[1] == {}


def test_codes_that_the_city_file_lists_are_known(source_of):
    source = source_of("incidents", {"category": "CODE"}, categories={"Jean Dupont": "theft"})
    screen = Screen(source, "log.csv")
    table = screen.batch(pa.table({"CODE": ["Jean Dupont"] * 5}), np.arange(1, 6))
    assert table.column("CODE").to_pylist() == ["Jean Dupont"] * 5
    assert not screen.conclude()


def test_names_of_places_and_titles_are_called_after_persons(screened):
    schools = ["JULES FERRY", "Jean-François Leca", "ALPHONSE PADOVANI", "Marie Dupont", "Villa Mme Durand"]
    assert screened("name", schools * 3, layer="sensitive_sites") == (schools * 3, {})
    titles = ["Clara Luciani", "Concert de Jean-Louis Aubert", "Étienne Daho", "Madame Butterfly", "TOM BALDETTI"]
    assert screened("title", titles * 3, layer="events") == (titles * 3, {})


def test_a_person_with_a_civility_is_taken_out_of_a_title(screened):
    titles = ["Vide-grenier", "Loto", "Bal"] * 60
    assert screened("title", [*titles, "Loto chez Mme Durand"], layer="events") == ([*titles, None], {"person_name": 1})


def test_contacts_are_taken_out_of_titles_and_names(screened):
    for field, layer in (("title", "events"), ("name", "sensitive_sites")):
        values = ["Jardin de Corinthe"] * 100 + ["Loto 06 39 98 12 34", "Loto, loto@exemple.fr"]
        kept, masked = screened(field, values, layer=layer)
        assert kept == [*values[:100], None, None]
        assert masked == {"email": 1, "phone": 1}


def test_streets_without_their_type_are_no_persons(screened):
    names = ["JEAN DUPONT", "Marie Martin", "Paul Cézanne"] * 20
    assert screened("address", names, header="nom_voie") == (names, {})


@given(st.text())
def test_plain_text_is_a_fixed_point_without_invisible_characters(text):
    assert plain(plain(text)) == plain(text)
    assert "\u200b" not in plain(text + "\u200b")


def test_the_slug_of_a_title_is_no_sentence():
    assert not is_narrative("agenda/elle-avait-dit-qu-il-etait-parti-avec-eux-pour-toujours", 6, 13)
