"""Invented street names: no person's name, each name once in the city, with the accents that real files have."""

from __future__ import annotations

import numpy as np

KINDS = ("Rue", "Rue", "Rue", "Boulevard", "Avenue", "Traverse", "Chemin", "Impasse", "Montée", "Allée")

THINGS = (
    "des Amandiers",
    "de l’Aqueduc",
    "des Arbousiers",
    "de l’Aube",
    "de la Bergerie",
    "des Bois Flottés",
    "de la Briqueterie",
    "des Calfats",
    "de la Canopée",
    "des Caroubiers",
    "de la Cascade",
    "des Cerisiers",
    "du Chèvrefeuille",
    "des Cigales",
    "de la Citerne",
    "du Clos",
    "des Cordiers",
    "de la Corniche",
    "des Cystes",
    "de la Dorade",
    "de l’Écluse",
    "des Embruns",
    "de l’Épicéa",
    "de l’Étang",
    "des Fabriques",
    "du Fenouil",
    "des Figuiers",
    "de la Fontaine",
    "des Forges",
    "du Four à Chaux",
    "des Fougères",
    "de la Garrigue",
    "des Genêts",
    "du Goéland",
    "des Grives",
    "du Hêtre",
    "des Hirondelles",
    "de l’Huilerie",
    "des Iris",
    "du Jardin",
    "des Jonquilles",
    "de la Lavande",
    "du Lavoir",
    "des Lentisques",
    "du Levant",
    "de la Lône",
    "du Lièvre",
    "des Maraîchers",
    "du Mistral",
    "des Mimosas",
    "du Moulin",
    "des Mûriers",
    "des Muletiers",
    "du Nœud de Cabestan",
    "des Noisetiers",
    "de l’Œillet",
    "des Oliviers",
    "de l’Oranger",
    "des Oursins",
    "du Palmier",
    "des Pêcheurs",
    "de la Pinède",
    "du Platane",
    "du Pont Vieux",
    "des Potiers",
    "du Puits",
    "des Romarins",
    "de la Roseraie",
    "des Sables",
    "de la Sarriette",
    "des Saules",
    "de la Savonnerie",
    "du Serpolet",
    "des Sorbiers",
    "de la Source",
    "des Tamaris",
    "des Tanneurs",
    "du Thym",
    "des Tisserands",
    "de la Tramontane",
    "des Tuiles",
    "du Vallon",
    "de la Verrerie",
    "des Vignes",
    "de la Vigie",
    "des Voiliers",
)

QUALITIES = (
    "",
    "d’en Haut",
    "d’en Bas",
    "du Nord",
    "du Sud",
    "du Levant",
    "du Couchant",
    "du Vieux Chemin",
    "de la Crête",
    "du Coteau",
    "de la Plaine",
    "du Rivage",
)


def street_names(count: int, rng: np.random.Generator) -> tuple[str, ...]:
    """Return ``count`` distinct names.

    Raises
    ------
    ValueError
        If more names are asked for than can be made.
    """
    kinds = tuple(dict.fromkeys(KINDS))
    every = [
        f"{kind} {thing}" + (f" {quality}" if quality else "")
        for quality in QUALITIES
        for kind in kinds
        for thing in THINGS
    ]
    if count > len(every):
        raise ValueError(f"{count} street names were asked for, at most {len(every)} can be made")
    chosen = rng.permutation(len(every))[:count]
    return tuple(every[i] for i in chosen)
