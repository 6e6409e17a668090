"""What people write, and the street that they mean, rule by rule."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from layers.gazetteer import Gazetteer, Outcome
from layers.gazetteer.words import phrase
from support.streets_layer import METRIC_CRS, streets_table

STREETS = (
    "Rue Paradis",
    "Boulevard du Général Leclerc",
    "Avenue de l’Étang",
    "Place du 8 Mai 1945",
    "Rue du 141e RIA",
    "La Canebière",
    "Rue de Lyon",
    "Chemin de Saint-Louis au Rove",
    "Montée Notre-Dame de la Garde",
    "Rond-Point du Prado",
    "Cours Honoré d'Estienne d'Orves",
    "Avenue Robert et Hélène Guidicelli",
    "Rue de la Résidence",
    "Chemin de Sainte-Marthe",
    "Impasse des Cigales",
    "Allées Léon Gambetta",
    "Rue du Docteur Jean Fiolle",
    "Traverse de la Martine",
    "Escalier des Quatre Portails",
    "Square Stalingrad",
    "Rue Henri Poincaré",
    "Ancien Chemin de Cassis",
    "Chemin de Cassis",
    "Rue Dix-Huit Juin",
    "Lotissement des Pins",
    "Rue de Rome",
    "Place Villeneuve - Bargemon",
    "Boulevard Urbain Vert (BUV)",
    "Rue des Prés Hauts",
)


@pytest.fixture(scope="module")
def gazetteer() -> Gazetteer:
    return Gazetteer.of_streets(streets_table(STREETS), METRIC_CRS)


def street_of(gazetteer: Gazetteer, address: str) -> str | None:
    located = gazetteer.locate(pa.array([address], pa.string()))
    found = located.street[0]
    assert (located.outcome[0] == Outcome.FOUND) == (found is not None) == (not np.isnan(located.precision_m[0]))
    return None if found is None else STREETS[int(found)]


@pytest.mark.parametrize(
    ("address", "street"),
    [
        # House numbers
        ("12 rue Paradis", "Rue Paradis"),
        ("12, rue Paradis", "Rue Paradis"),
        ("12 bis rue Paradis", "Rue Paradis"),
        ("12ter, rue Paradis", "Rue Paradis"),
        ("12 quater rue Paradis", "Rue Paradis"),
        ("12 B rue Paradis", "Rue Paradis"),
        ("12-14 rue Paradis", "Rue Paradis"),
        ("12/14 rue Paradis", "Rue Paradis"),
        ("12 à 16, rue Paradis", "Rue Paradis"),
        ("40-44bis, rue Paradis", "Rue Paradis"),
        ("155 -157 rue Paradis", "Rue Paradis"),
        ("1 et 6 rue Paradis", "Rue Paradis"),
        ("n° 12 rue Paradis", "Rue Paradis"),
        ("N°12, RUE PARADIS", "Rue Paradis"),
        ("rue Paradis", "Rue Paradis"),
        ("12 place du 8 mai 1945", "Place du 8 Mai 1945"),
        ("43 rue du 141ème RIA", "Rue du 141e RIA"),
        ("3 rue du 18 juin", "Rue Dix-Huit Juin"),
        # Case, accents, apostrophes, hyphens
        ("5 AVENUE DE L'ETANG", "Avenue de l’Étang"),
        ("5 avenue de l`étang", "Avenue de l’Étang"),
        ("5 Avenue de l ’ Étang", "Avenue de l’Étang"),
        ("2 chemin de saint louis au rove", "Chemin de Saint-Louis au Rove"),
        ("5 avenue de lâ€™Ã‰tang", "Avenue de l’Étang"),
        ("5 montÃ©e Notre-Dame de la Garde", "Montée Notre-Dame de la Garde"),
        # Types of way and titles
        ("3 bd du Gal Leclerc", "Boulevard du Général Leclerc"),
        ("3 BLD GEN. LECLERC", "Boulevard du Général Leclerc"),
        ("3 bvd du général-leclerc", "Boulevard du Général Leclerc"),
        ("5 av. de l'Étang", "Avenue de l’Étang"),
        ("5 ave Étang", "Avenue de l’Étang"),
        ("5 ch. de Ste Marthe", "Chemin de Sainte-Marthe"),
        ("5 chem. St-Louis au Rove", "Chemin de Saint-Louis au Rove"),
        ("7 imp. des Cigales", "Impasse des Cigales"),
        ("7 trav de la Martine", "Traverse de la Martine"),
        ("7 all. Léon Gambetta", "Allées Léon Gambetta"),
        ("7 allée Léon Gambetta", "Allées Léon Gambetta"),
        ("7 mtée N.D. de la Garde", None),  # a full stop parts letters: "n d" is no abbreviation that is known
        ("7 mtée ND de la Garde", "Montée Notre-Dame de la Garde"),
        ("7 pl. du 8 mai 1945", "Place du 8 Mai 1945"),
        ("7 sq. Stalingrad", "Square Stalingrad"),
        ("7 crs Honoré d'Estienne d'Orves", "Cours Honoré d'Estienne d'Orves"),
        ("7 esc. des 4 portails", "Escalier des Quatre Portails"),
        ("rd pt du Prado", "Rond-Point du Prado"),
        ("RondPoint du Prado", "Rond-Point du Prado"),
        ("4 lot. les Pins", "Lotissement des Pins"),
        ("4 r. Paradis", "Rue Paradis"),
        ("4 rue Dr Jean Fiolle", "Rue du Docteur Jean Fiolle"),
        ("4 rue Jean Fiolle", "Rue du Docteur Jean Fiolle"),
        # Without a type of way
        ("125 La Canebière", "La Canebière"),
        ("La Canebière", "La Canebière"),
        ("125 rue Canebière", "La Canebière"),
        ("21 Honoré d'Estienne d'Orves", "Cours Honoré d'Estienne d'Orves"),
        ("Paradis", None),  # without a number it may be a quarter, a shop, a name
        # Complements
        ("12 rue Paradis bât. B", "Rue Paradis"),
        ("12 rue Paradis Bât3", "Rue Paradis"),
        ("12 rue Paradis, résidence Les Lilas, appt 4", "Rue Paradis"),
        ("Rés. Les Lilas - 12 rue Paradis", "Rue Paradis"),
        ("Bât A3, 2ème étage, 12 rue Paradis", "Rue Paradis"),
        ("CHU Timone- 12 rue Paradis", "Rue Paradis"),
        ("Les Balustres 64 chemin de Sainte Marthe Bât A", "Chemin de Sainte-Marthe"),
        ("Villa Emma rue Paradis", "Rue Paradis"),
        ("12 rue Paradis (fond de cour)", "Rue Paradis"),
        ("8 rue de la Résidence", "Rue de la Résidence"),
        ("devant le 12 rue Paradis", "Rue Paradis"),
        ("face au 12 rue Paradis", "Rue Paradis"),
        # Town and part of town
        ("12 rue Paradis 13006 Marseille", "Rue Paradis"),
        ("12 rue Paradis, 13006", "Rue Paradis"),
        ("12 rue Paradis F-13006 MARSEILLE", "Rue Paradis"),
        ("12 rue Paradis - 13288 Marseille cedex 09", "Rue Paradis"),
        ("12 rue Paradis Marseille", "Rue Paradis"),
        ("12 rue Paradis Marseille 8e", "Rue Paradis"),
        ("12 rue Paradis Marseille 08", "Rue Paradis"),
        ("12 rue Paradis Marseille 1er", "Rue Paradis"),
        ("12 rue Paradis 3ème ardt", "Rue Paradis"),
        ("12 rue Paradis, 1er arrondissement", "Rue Paradis"),
        ("13006 Marseille, 12 rue Paradis", "Rue Paradis"),
        ("12 rue de Lyon", "Rue de Lyon"),
        ("12 rue de Lyon Lyon 3e", "Rue de Lyon"),
        # Turned round
        ("PARADIS (RUE)", "Rue Paradis"),
        ("12, ROME (RUE DE)", "Rue de Rome"),
        # Other words that belong to the name
        ("3 ancien chemin de Cassis", "Ancien Chemin de Cassis"),
        ("3 chemin de Cassis", "Chemin de Cassis"),
        ("3 avenue Robert et Hélène Guidicelli", "Avenue Robert et Hélène Guidicelli"),
        ("3 place Villeneuve-Bargemon, 13002 Marseille", "Place Villeneuve - Bargemon"),
        ("3 place Villeneuve - Bargemon", "Place Villeneuve - Bargemon"),
        ("boulevard urbain vert (BUV)", "Boulevard Urbain Vert (BUV)"),
        ("rue Hauts", None),
        # Slips of the pen
        ("3 rue Henri Poincarré", "Rue Henri Poincaré"),
        ("3 rue Henri Poicnaré", "Rue Henri Poincaré"),
        ("3 bd du général Leclrec", "Boulevard du Général Leclerc"),
        # Other streets than those that are known
        ("12 avenue Paradis", None),
        ("12 rue Paravis", None),
        ("12 rue de la Martine", None),
        ("12 boulevard Leclerc", None),
        ("12 vieux chemin de Cassis", None),
        ("12 rue du 142e RIA", None),
        ("12 place du 9 mai 1945", None),
        ("12 impasse Paradis du Sud", None),
        ("12 rue Paradis 1er", None),  # a king's street, not the first arrondissement
        # No address at all
        ("", None),
        ("/", None),
        ("12", None),
        ("rue", None),
        ("rue de la", None),
        ("13006 Marseille", None),
        ("ne sait pas", None),
    ],
)
def test_an_address_is_on_the_street_that_it_names(gazetteer: Gazetteer, address: str, street: str | None):
    assert street_of(gazetteer, address) == street


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Bd du Gal de Gaulle", "BOULEVARD DU GENERAL DE GAULLE"),
        ("Av. du Mal Foch", "avenue du maréchal Foch"),
        ("Rue Cdt Rolland", "rue commandant rolland"),
        ("Place du Pdt Wilson", "Pl. du Président-Wilson"),
        ("Rue St-Ferréol", "r. Saint Ferréol"),
        ("Fg de l'Œuvre", "faubourg de l oeuvre"),
        ("Rue du 1er Mai", "rue du Premier-Mai"),
    ],
)
def test_a_name_has_one_normal_form(one: str, other: str):
    assert phrase(one) == phrase(other)


def test_a_house_number_range_or_letter_does_not_change_the_answer(gazetteer: Gazetteer):
    given = pa.array([f"{n} rue Paradis" for n in ("1", "1 bis", "1-3", "1 / 3", "9999", "n°7", "7 C")])
    assert set(gazetteer.locate(given).street) == {"0"}


def test_a_second_name_is_a_name_too():
    table = streets_table(["Rue Haute", None], other_names=["Carriera Auta; Montée des Anciens", "Rue Basse"])
    gazetteer = Gazetteer.of_streets(table, METRIC_CRS)
    found = gazetteer.locate(pa.array(["3 montée des Anciens", "3 rue haute", "3 rue basse"])).street
    assert found.tolist() == ["0", "0", "1"]
