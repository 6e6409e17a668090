"""Styles of density rasters: one per band, transparent where there is next to nothing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from layers.city import ALL_THEMES, City, Text
from layers.products import Form, Kind, Product
from styles.breaks import density_limits
from styles.cells import INCIDENTS, theme_title
from styles.model import Style, StyleClass, StyleLayer, Symbol
from styles.palettes import NEUTRAL, cividis, outline_of
from styles.texts import real_interval
from styles.vocabularies import NEUTRAL_OUTLINE

UNIT = Text(fr="incidents par km² et par an", en="incidents per km² and year")
OPACITY = 1.0


def density_styles(
    product: Product,
    form: Form,
    city: City,
    *,
    bands: Mapping[str, Mapping[str, NDArray[np.floating]]],
    totals: Mapping[str, int],
) -> list[Style]:
    """Return one style per band, in the order of the bands.

    Raises
    ------
    ValueError
        If the values of a band are not given.
    """
    spec = product.spec
    columns = [c for c in spec.columns if c.kind is Kind.DENSITY]
    styles = []
    for number, column in enumerate(columns, start=1):
        values = bands.get(spec.id, {}).get(column.name)
        if values is None:
            raise ValueError(
                f"no values were given for band {column.name!r} of {spec.id!r}: its classes cannot be made"
            )
        theme = column.theme or ALL_THEMES
        layer = StyleLayer(collection=spec.id, classes=density_classes(values), n=totals.get(theme))
        styles.append(
            Style(
                id=column.name,
                family=spec.family,
                form=form,
                subject=spec.title,
                symbol=Symbol.RASTER,
                layers=(layer,),
                attribute=column.name,
                band=number,
                theme=theme,
                theme_title=theme_title(theme, city),
                unit=UNIT,
                counted=INCIDENTS,
                period=(city.analysis.start, city.analysis.end),
                note=spec.method,
                attribution=spec.attribution or city.city.attribution,
                default=theme == ALL_THEMES,
            )
        )
    return styles


def density_classes(values: NDArray[np.floating]) -> tuple[StyleClass, ...]:
    """Classes of a density: next to none (transparent), then intervals from :func:`density_limits`."""
    limits = density_limits(values)
    lowest = StyleClass(
        id="none",
        label=real_interval(None, limits[0]) if limits else Text(fr="Aucun", en="None"),
        colour=NEUTRAL,
        outline=NEUTRAL_OUTLINE,
        low=0.0,
        high=limits[0] if limits else None,
        opacity=0.0,
    )
    if not limits:
        return (lowest,)
    ends = [*limits[1:], None]
    classes = [
        StyleClass(
            id=f"d{i}",
            label=real_interval(low, high),
            colour=colour,
            outline=outline_of(colour),
            low=low,
            high=high,
            opacity=OPACITY,
        )
        for i, (low, high, colour) in enumerate(zip(limits, ends, cividis(len(limits)), strict=True), start=1)
    ]
    return lowest, *classes
