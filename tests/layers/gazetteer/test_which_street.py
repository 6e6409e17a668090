"""Several streets of one name, in several parts of a city: the address decides, or nothing does."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from shapely import LineString

from layers.gazetteer import Gazetteer, Outcome
from support.streets_layer import METRIC_CRS, streets_table

NAMES = ["Rue des Roses", "Rue des Roses", "Rue Longue", "Rue du Bord", "Rue du Fond"]
SHAPES = [
    LineString([(0, 0), (200, 0)]),
    LineString([(0, 9000), (200, 9000)]),
    LineString([(0, 3000), (900, 3000)]),
    LineString([(0, 60), (200, 60)]),  # in the other arrondissement, across the border
    LineString([(0, 9500), (200, 9500)]),
]
KEYS = np.array(["13206", "13208", "13206", "13208", "13208"], dtype=object)
ARRONDISSEMENTS = {
    "arrondissements": KEYS,
    "arrondissements_name": np.array([f"Marseille {int(k[3:])}e arrondissement" for k in KEYS], dtype=object),
    "quartiers": np.array(["Vauban", "La Plage", "Vauban", None, "Saint-Giniez"], dtype=object),
}


@pytest.fixture(scope="module")
def gazetteer() -> Gazetteer:
    return Gazetteer.of_streets(streets_table(NAMES, SHAPES), METRIC_CRS, ARRONDISSEMENTS)


def answer(gazetteer: Gazetteer, address: str) -> str | Outcome:
    found = gazetteer.locate(pa.array([address], pa.string()))
    return found.street[0] if found.outcome[0] == Outcome.FOUND else Outcome(found.outcome[0])


@pytest.mark.parametrize(
    ("address", "street"),
    [
        ("3 rue des Roses", Outcome.AMBIGUOUS),
        ("3 rue des Roses 13006 Marseille", "0"),
        ("3 rue des Roses, 13008", "1"),
        ("3 rue des Roses Marseille 8e", "1"),
        ("3 rue des Roses 6ème ardt", "0"),
        ("3 rue des Roses 8eme", "1"),
        ("3 rue des Roses Marseille 06", "0"),
        ("3 rue des Roses, La Plage", "1"),
        ("3 rue des Roses - Vauban", "0"),
        ("3 rue des Roses quartier Vauban", "0"),
        ("3 rue des Roses La Plage", "1"),
        ("3 rue des Roses 13288 Marseille cedex 08", Outcome.AMBIGUOUS),  # an office's postcode is no place
        ("3 rue Longue 13006", "2"),
        ("3 rue Longue 13008", Outcome.AMBIGUOUS),
        ("3 rue Longue 75008 Paris", Outcome.AMBIGUOUS),
        ("3 rue Longue, La Plage", "2"),  # borders of quarters are a matter of opinion
        ("3 rue du Bord 13006", "3"),
        ("3 rue du Fond 13006", Outcome.AMBIGUOUS),
        ("apt 3e, 3 rue du Fond", "4"),
    ],
)
def test_the_part_of_town_decides_and_contradicts(gazetteer: Gazetteer, address: str, street: str | Outcome):
    assert answer(gazetteer, address) == street


def test_without_zones_a_postcode_decides_nothing():
    gazetteer = Gazetteer.of_streets(streets_table(NAMES, SHAPES), METRIC_CRS)
    assert answer(gazetteer, "3 rue des Roses 13006 Marseille") == Outcome.AMBIGUOUS
    assert answer(gazetteer, "3 rue Longue 13008 Marseille") == "2"


def test_insee_codes_of_communes_are_no_postcodes():
    zones = {"communes": np.array(["13055"] * len(NAMES), dtype=object)}
    gazetteer = Gazetteer.of_streets(streets_table(NAMES, SHAPES), METRIC_CRS, zones)
    assert answer(gazetteer, "3 rue Longue 13006 Marseille") == "2"


def test_the_crossing_decides_which_of_two_streets_is_meant():
    across = LineString([(100, -100), (100, 200)])
    gazetteer = Gazetteer.of_streets(streets_table([*NAMES, "Rue Droite"], [*SHAPES, across]), METRIC_CRS)
    assert answer(gazetteer, "angle rue Droite / rue des Roses") == "5"
    assert answer(gazetteer, "angle rue des Roses / rue Droite") == "0"


def test_articles_decide_where_two_streets_differ_by_nothing_else():
    gazetteer = Gazetteer.of_streets(streets_table(["Rue Fontaine", "Rue de la Fontaine"]), METRIC_CRS)
    assert answer(gazetteer, "1 rue Fontaine") == "0"
    assert answer(gazetteer, "1 rue de la Fontaine") == "1"
    assert answer(gazetteer, "1 rue de Fontaine") == Outcome.AMBIGUOUS


def test_a_slip_between_two_streets_is_ambiguous_and_unknown():
    gazetteer = Gazetteer.of_streets(streets_table(["Rue des Marinières", "Rue des Mariniers"]), METRIC_CRS)
    assert answer(gazetteer, "1 rue des Marinieres") == "0"
    assert answer(gazetteer, "1 rue des Marinierrs") == Outcome.UNKNOWN


def test_a_word_of_another_street_is_no_slip():
    names = ["Rue des Saules du Nord", "Impasse des Sables du Rivage"]
    gazetteer = Gazetteer.of_streets(streets_table(names), METRIC_CRS)
    assert answer(gazetteer, "1 rue des Sables du Nord") == Outcome.UNKNOWN
    assert answer(gazetteer, "1 rue des Saulles du Nord") == "0"
