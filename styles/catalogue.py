"""Styles of a run: which attributes are drawn, in which classes, computed from the products themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from layers.city import City
from layers.products import Form, Grain, Product
from styles.cells import cell_styles
from styles.density import density_styles
from styles.model import Style
from styles.records import record_styles, zone_styles

RasterBands = Mapping[str, Mapping[str, NDArray[np.floating]]]
"""Collection → band name → values on land (any shape, NaN elsewhere)."""


def styles_for(products: Sequence[Product], city: City, *, bands: RasterBands | None = None) -> list[Style]:
    """Return every style of the given products, form by form.

    A style is made from one form alone: what a reader of the public form sees in a legend (limits, numbers) never
    comes from a table that they may not read.

    Parameters
    ----------
    products
        All products of the run.
    city
        Its city: titles of themes, analysis period, zooms, attribution.
    bands
        Values of the raster products, which this floor does not read by itself.

    Returns
    -------
    list of Style
        In the order of the forms, then of the products. Ids are unique within a form and family, and each family has
        exactly one default.

    Raises
    ------
    ValueError
        If a raster product comes without its values.
    """
    families: dict[tuple[Form, str], list[Product]] = defaultdict(list)
    for form in Form:
        for product in products:
            if form in product.forms:
                families[form, product.spec.family].append(product)
    styles: list[Style] = []
    for (form, _), members in families.items():
        match members[0].spec.grain:
            case Grain.CELL:
                styles += cell_styles(members, form, city)
            case Grain.ZONE:
                styles += zone_styles(members[0], form, city)
            case Grain.RECORD:
                styles += record_styles(members[0], form, city)
            case Grain.RASTER:
                styles += density_styles(members[0], form, city, bands=bands or {}, totals=_totals(products, form))
    return styles


def _totals(products: Sequence[Product], form: Form) -> dict[str, int]:
    """Incidents of each theme on land in the analysis period, from any count by cell (they all sum to the same)."""
    totals: dict[str, int] = {}
    for product in products:
        if product.spec.grain is not Grain.CELL or form not in product.tables:
            continue
        table = product.tables[form]
        for column in product.spec.columns:
            if column.theme and column.kind == "count" and column.name in table.column_names:
                counts = table.column(column.name).drop_null()
                totals.setdefault(column.theme, int(counts.to_numpy().sum()))
    return totals
