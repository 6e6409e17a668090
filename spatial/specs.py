"""What users read about hot spots: columns, method and references, in French and English."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hexgrid.products import count_columns, key_column, land_area_column
from layers.city import ALL_THEMES, City, Text
from layers.products import Column, Grain, Kind, ProductSpec
from spatial.classes import CLASSES, LISA_CLASSES

FAMILY = "hotspots"
ALL_TITLE = Text(fr="tous incidents", en="all incidents")

METHOD = Text(
    fr="Points chauds et froids : le total de chaque cellule et de ses voisines est comparé à sa loi exacte si les "
    "cellules de la ville étaient permutées entre elles (convolution de la distribution observée ; les cellules "
    "coupées par le rivage y entrent au prorata de leur surface terrestre, par pas de 5 %). p est bilatérale, q la "
    "corrige pour le nombre de cellules (Benjamini-Hochberg) ; la classe se lit sur q, par thème et par résolution. "
    "z est le score Gi* d'Ord et Getis, donné à titre descriptif. Indices de Moran : densité sur la terre ferme, "
    "standardisée (Assunção et Reis), comparée à la moyenne des voisines ; p bilatérale par permutations "
    "(conditionnelles pour l'indice local), q comme ci-dessus. L'indice global est donné dans les paramètres.",
    en="Hot and cold spots: the total of each cell and its neighbours is compared with its exact distribution if the "
    "city's cells were permuted (convolution of the observed distribution; cells cut by the shore take part according "
    "to their share of land, in steps of 5 %). p is two-sided, q corrects it for the number of cells "
    "(Benjamini-Hochberg); the class is read from q, by theme and resolution. z is the Gi* score of Ord and Getis, "
    "given as a description. Moran's indices: density on land, standardised (Assunção and Reis), compared with the "
    "mean of the neighbours; two-sided p from permutations (conditional ones for the local index), q as above. The "
    "global index is given in the parameters.",
)

REFERENCES = (
    "Ord & Getis (1995), Geographical Analysis 27:286–306",
    "Benjamini & Hochberg (1995), Journal of the Royal Statistical Society B 57:289–300",
    "Anselin (1995), Geographical Analysis 27:93–115",
    "Moran (1950), Biometrika 37:17–23",
    "Assunção & Reis (1999), Statistics in Medicine 18:2147–2162",
    "Rey & Anselin (2007), The Review of Regional Studies 37:5–27 (PySAL)",
)


def hotspot_spec(city: City, product_id: str, resolution: int, *, parameters: dict[str, Any]) -> ProductSpec:
    """Return the spec of hot spots at one resolution.

    Parameters
    ----------
    city
        The city file.
    product_id
        Collection id.
    resolution
        H3 resolution.
    parameters
        What was chosen and found for the whole slice set (Moran's I among it).
    """
    start, end = city.analysis.start, city.analysis.end
    return ProductSpec(
        id=product_id,
        family=FAMILY,
        title=Text(
            fr=f"Points chauds et froids (H3, résolution {resolution})",
            en=f"Hot and cold spots (H3, resolution {resolution})",
        ),
        description=Text(
            fr="Cellules où les incidents sont significativement plus, ou moins, nombreux qu'ailleurs dans la ville, "
            f"par thème, du {start:%d/%m/%Y} au {end:%d/%m/%Y}.",
            en="Cells with significantly more, or fewer, incidents than elsewhere in the city, by theme, "
            f"from {start} to {end}.",
        ),
        grain=Grain.CELL,
        key=key_column().name,
        columns=tuple(_columns(city)),
        resolution=resolution,
        method=METHOD,
        parameters=parameters,
        seed=city.analysis.hotspots.seed,
        references=REFERENCES,
        attribution=city.city.attribution,
    )


def _columns(city: City) -> Iterator[Column]:
    every, *by_theme = count_columns(city)
    yield key_column()
    yield every
    for theme in city.theme_columns:
        if theme != ALL_THEMES:
            yield next(column for column in by_theme if column.theme == theme)
        yield from _statistics(theme, ALL_TITLE if theme == ALL_THEMES else city.taxonomy.themes[theme].title)
    yield land_area_column()


def _statistics(theme: str, title: Text) -> Iterator[Column]:
    def column(prefix: str, kind: Kind, fr: str, en: str, **more: Any) -> Column:
        text = Text(fr=f"{fr} : {title.fr}", en=f"{en}: {title.en}")
        return Column(name=f"{prefix}_{theme}", kind=kind, title=text, theme=theme, **more)

    yield column(
        "z", Kind.SCORE, "Score Gi*", "Gi* score", unit="1",
        description=Text(
            fr="Écart du total du voisinage à son espérance, en écarts-types ; descriptif.",
            en="Departure of the neighbourhood's total from its expectation, in standard deviations; descriptive.",
        ),
    )  # fmt: skip
    yield column("p", Kind.PROBABILITY, "Probabilité p", "p-value", unit="1")
    yield column(
        "q", Kind.PROBABILITY, "Valeur q (taux de fausses découvertes)", "q-value (false discovery rate)", unit="1"
    )
    yield column(
        "class", Kind.CLASS, "Point chaud ou froid", "Hot or cold spot", classes=CLASSES,
        description=Text(
            fr="Chaud ou froid à q ≤ 0,01 (q01) ou q ≤ 0,05 (q05) ; ns : non significatif ; vide hors terre ferme.",
            en="Hot or cold at q ≤ 0.01 (q01) or q ≤ 0.05 (q05); ns: not significant; null off the land.",
        ),
    )  # fmt: skip
    yield column(
        "lisa", Kind.CLASS, "Moran local", "Local Moran", classes=LISA_CLASSES,
        description=Text(
            fr="HH : forte densité entourée de fortes ; LL : faible entourée de faibles ; HL, LH : à l'opposé de ses "
            "voisines ; ns : non significatif ; vide hors de la terre ferme et sans voisine.",
            en="HH: high density among high; LL: low among low; HL, LH: opposite to its neighbours; "
            "ns: not significant; null off the land and without neighbours.",
        ),
    )  # fmt: skip
    yield column("lisa_p", Kind.PROBABILITY, "Probabilité p du Moran local", "p-value of the local Moran", unit="1")
    yield column("lisa_q", Kind.PROBABILITY, "Valeur q du Moran local", "q-value of the local Moran", unit="1")
