"""What users read about risk surfaces: bands, method and references, in French and English."""

from __future__ import annotations

from typing import Any

from layers.city import ALL_THEMES, City, Text
from layers.products import Column, Grain, Kind, ProductSpec

PRODUCT_ID = "risk_density"
UNIT = "/km²/a"
"""Incidents per square kilometre of land and year."""

METHOD = Text(
    fr="Densité par noyau gaussien, en mètres, sur la terre ferme seule ; l'effet de bord est corrigé selon Diggle : "
    "la part du noyau qui tomberait en mer ou hors de la ville est rendue à l'incident, de sorte que l'intégrale de la "
    "surface est le nombre d'incidents localisés à terre. Valeur manquante hors de la terre ferme.",
    en="Gaussian kernel density, in metres, on land only, with Diggle's edge correction: the part of a kernel that "
    "would fall at sea or outside the city is given back to its incident, so that the surface integrates to the number "
    "of incidents located on land. No value off the land.",
)

REFERENCES = (
    "Diggle (1985), Applied Statistics 34:138–147",
    "Jones (1993), Statistics and Computing 3:135–146",
)


def density_spec(city: City, *, parameters: dict[str, Any]) -> ProductSpec:
    """Return the spec of the density raster: one column per band, in the order of the bands.

    Parameters
    ----------
    city
        The city file.
    parameters
        Bandwidth, pixel, period and number of incidents of each band.
    """
    start, end = city.analysis.start, city.analysis.end
    return ProductSpec(
        id=PRODUCT_ID,
        family=PRODUCT_ID,
        title=Text(fr="Densité de risque", en="Risk density"),
        description=Text(
            fr=f"Incidents par km² de terre et par an, lissés, du {start:%d/%m/%Y} au {end:%d/%m/%Y}.",
            en=f"Incidents per km² of land and year, smoothed, from {start} to {end}.",
        ),
        grain=Grain.RASTER,
        key="band",
        columns=tuple(_band(city, theme) for theme in city.theme_columns),
        method=METHOD,
        parameters=parameters,
        references=REFERENCES,
        attribution=city.city.attribution,
    )


def _band(city: City, theme: str) -> Column:
    every = Text(fr="Tous incidents", en="All incidents")
    return Column(
        name=theme,
        kind=Kind.DENSITY,
        title=every if theme == ALL_THEMES else city.taxonomy.themes[theme].title,
        unit=UNIT,
        theme=theme,
        description=Text(fr="Incidents par km² de terre et par an.", en="Incidents per km² of land and year."),
    )
