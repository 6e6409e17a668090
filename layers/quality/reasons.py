"""Reasons for which rows are refused, in words, and what a producer can do about each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from layers.values import Text

REASONS: Final[Mapping[str, tuple[Text, Text]]] = MappingProxyType(
    {
        reason: (Text(fr=fr, en=en), Text(fr=advice_fr, en=advice_en))
        for reason, fr, en, advice_fr, advice_en in (
            (
                "malformed_row",
                "Ligne illisible",
                "Row that cannot be cut into columns",
                "vérifier les séparateurs et les guillemets à l’intérieur des valeurs",
                "check delimiters and quotes inside values",
            ),
            (
                "missing_value",
                "Valeur obligatoire absente",
                "Required value missing",
                "renseigner ce champ pour toutes les lignes",
                "fill this field in every row",
            ),
            (
                "missing_date",
                "Date absente",
                "Date missing",
                "renseigner la date de chaque fait",
                "give the date of every fact",
            ),
            (
                "invalid_date",
                "Date illisible",
                "Date that cannot be read",
                "écrire toutes les dates de la même façon",
                "write all dates in one way",
            ),
            (
                "impossible_date",
                "Date impossible",
                "Impossible date",
                "corriger les dates trop anciennes ou futures",
                "correct dates that are too old or to come",
            ),
            (
                "end_before_start",
                "Fin avant le début",
                "End before start",
                "vérifier l’ordre des deux dates, notamment après minuit",
                "check the order of the two dates, after midnight above all",
            ),
            (
                "invalid_number",
                "Nombre illisible",
                "Number that cannot be read",
                "ne mettre que des chiffres dans ce champ, avec un seul séparateur décimal",
                "put digits only in this field, with one decimal separator",
            ),
            (
                "out_of_range",
                "Valeur hors limites",
                "Value out of range",
                "vérifier l’unité et la saisie",
                "check the unit and the typing",
            ),
            (
                "unknown_code",
                "Code inconnu",
                "Unknown code",
                "transmettre la liste des codes à jour",
                "send the present list of codes",
            ),
            (
                "missing_category",
                "Nature du fait absente",
                "Category missing",
                "renseigner la nature de chaque fait",
                "give the nature of every fact",
            ),
            (
                "missing_record_id",
                "Identifiant absent",
                "Record id missing",
                "donner à chaque ligne un identifiant qui ne change pas d’un envoi à l’autre",
                "give every row an id that stays the same from one delivery to the next",
            ),
            (
                "duplicate_record_id",
                "Identifiant répété",
                "Record id repeated",
                "n’employer un identifiant qu’une fois ; seule la première ligne est gardée",
                "use an id once; only the first row is kept",
            ),
            (
                "missing_coordinates",
                "Coordonnées absentes",
                "Coordinates missing",
                "joindre X et Y, ou la longitude et la latitude",
                "join X and Y, or longitude and latitude",
            ),
            (
                "incomplete_coordinates",
                "Une coordonnée sur deux",
                "One coordinate of two",
                "renseigner les deux coordonnées ou aucune",
                "give both coordinates or none",
            ),
            (
                "invalid_coordinates",
                "Coordonnées illisibles",
                "Coordinates that cannot be read",
                "ne mettre que des nombres dans les coordonnées",
                "put numbers only in coordinates",
            ),
            (
                "zero_coordinates",
                "Coordonnées (0, 0)",
                "Coordinates (0, 0)",
                "laisser vide une position inconnue au lieu d’écrire zéro",
                "leave an unknown position empty instead of writing zero",
            ),
            (
                "swapped_axes",
                "Coordonnées inversées",
                "Swapped coordinates",
                "échanger les deux colonnes de coordonnées de ces lignes",
                "exchange the two coordinate columns of these rows",
            ),
            (
                "outside_crs_area",
                "Position hors de la zone du système de coordonnées",
                "Position outside the area of the reference system",
                "vérifier le système de coordonnées et la saisie",
                "check the reference system and the typing",
            ),
            (
                "not_a_point",
                "Géométrie d’un type que la couche ne prend pas",
                "Geometry of a type that the layer does not take",
                "transmettre un point par ligne, ou la forme convenue pour cette couche",
                "send one point per row, or the shape agreed for this layer",
            ),
            (
                "personal_data",
                "Donnée personnelle",
                "Personal data",
                "retirer ces valeurs à la source ; elles ne sont conservées nulle part",
                "remove these values at the source; they are kept nowhere",
            ),
            (
                "past_retention",
                "Au-delà de la durée de conservation",
                "Beyond the retention period",
                "ne transmettre que les faits de la période convenue",
                "send only facts of the agreed period",
            ),
            (
                "invalid_geometry",
                "Géométrie invalide",
                "Invalid geometry",
                "réparer la géométrie dans le SIG avant l’envoi",
                "repair the geometry in the GIS before sending",
            ),
        )
    }
)
"""Reason of a refusal → what it is, and what the producer can do."""


def reason_text(reason: str) -> Text:
    """Name a reason; one without words keeps its code."""
    return REASONS[reason][0] if reason in REASONS else Text(fr=reason, en=reason)
