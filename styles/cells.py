"""Styles of products keyed by H3 cell: classes given by a statistic, or intervals of counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from layers.city import ALL_THEMES, City, Text
from layers.products import Column, Form, Kind, Product
from styles.breaks import count_limits
from styles.model import Pattern, Style, StyleClass, StyleLayer, Symbol
from styles.palettes import NEUTRAL, NO_DATA, cividis, outline_of
from styles.texts import whole_interval
from styles.vocabularies import NEUTRAL_OUTLINE, Vocabulary, vocabulary_of
from styles.zooms import zoom_ranges

INCIDENTS = Text(fr="incidents", en="incidents")
NULL_CLASS = StyleClass(
    id="no_data",
    label=Text(fr="Sans donnée", en="No data"),
    colour=NO_DATA,
    outline=outline_of(NO_DATA),
    pattern=Pattern.HATCH,
)
ALL_TITLE = Text(fr="Ensemble (hors sensibles)", en="All (sensitive left out)")
COUNTS = Text(fr="Incidents par cellule", en="Incidents by cell")


def theme_title(theme: str, city: City) -> Text:
    """Return what readers call a theme."""
    return ALL_TITLE if theme == ALL_THEMES else city.taxonomy.themes[theme].title


def cell_styles(members: Sequence[Product], form: Form, city: City) -> list[Style]:
    """Return the styles of one family of cell products, one per class column, or per count where there is no class."""
    order = sorted(members, key=lambda p: p.spec.id != p.spec.family)
    reference = order[0]
    available = set.intersection(*(set(p.tables[form].column_names) for p in order))
    columns = [c for c in reference.spec.columns if c.name in available]
    classed = [(c, v) for c in columns if c.kind is Kind.CLASS and (v := vocabulary_of(c.classes))]
    if classed:
        return [_class_style(order, column, vocabulary, form, city) for column, vocabulary in classed]
    return [_count_style(order, column, form, city) for column in columns if column.kind is Kind.COUNT]


def _class_style(members: Sequence[Product], column: Column, vocabulary: Vocabulary, form: Form, city: City) -> Style:
    theme = column.theme or ALL_THEMES
    layers = []
    for product, (low, high) in _drawn(members, city):
        table = product.tables[form]
        values = table.column(column.name)
        found = {v["values"]: v["counts"] for v in pc.value_counts(values).to_pylist()}
        layers.append(
            StyleLayer(
                collection=product.spec.id,
                classes=vocabulary.classes,
                counts=tuple(sum(found.get(v, 0) for v in c.values) for c in vocabulary.classes),
                no_data=NULL_CLASS if values.null_count else None,
                n=_incidents(product, theme, table),
                min_zoom=low,
                max_zoom=high,
                fields=_fields(product),
                key=product.spec.key,
                resolution=product.spec.resolution,
            )
        )
    return Style(
        id=column.name,
        family=members[0].spec.family,
        form=form,
        subject=vocabulary.title,
        symbol=Symbol.FILL,
        layers=tuple(layers),
        attribute=column.name,
        theme=theme,
        theme_title=theme_title(theme, city),
        unit=vocabulary.unit,
        counted=INCIDENTS,
        period=(city.analysis.start, city.analysis.end),
        note=members[0].spec.method,
        attribution=members[0].spec.attribution or city.city.attribution,
        default=vocabulary.default and theme == ALL_THEMES,
    )


def _count_style(members: Sequence[Product], column: Column, form: Form, city: City) -> Style:
    theme = column.theme or ALL_THEMES
    layers = []
    for product, (low, high) in _drawn(members, city):
        table = product.tables[form]
        values = table.column(column.name)
        numbers = values.drop_null().to_numpy()
        classes = count_classes(numbers)
        layers.append(
            StyleLayer(
                collection=product.spec.id,
                classes=classes,
                counts=tuple(int(_in(c, numbers).sum()) for c in classes),
                no_data=NULL_CLASS if values.null_count else None,
                n=int(numbers.sum()),
                min_zoom=low,
                max_zoom=high,
                fields=_fields(product),
                key=product.spec.key,
                resolution=product.spec.resolution,
            )
        )
    return Style(
        id=column.name,
        family=members[0].spec.family,
        form=form,
        subject=COUNTS,
        symbol=Symbol.FILL,
        layers=tuple(layers),
        attribute=column.name,
        theme=theme,
        theme_title=theme_title(theme, city),
        unit=Text(fr="incidents par cellule", en="incidents per cell"),
        counted=INCIDENTS,
        period=(city.analysis.start, city.analysis.end),
        note=members[0].spec.method,
        attribution=members[0].spec.attribution or city.city.attribution,
        default=theme == ALL_THEMES,
    )


def count_classes(counts: np.ndarray) -> tuple[StyleClass, ...]:
    """Classes of the counts of cells: none, then intervals of whole numbers from :func:`count_limits`."""
    limits = count_limits(counts)
    none = StyleClass(
        id="none",
        label=Text(fr="Aucun", en="None"),
        colour=NEUTRAL,
        outline=NEUTRAL_OUTLINE,
        low=0,
        high=1 if limits else None,
    )
    if not limits:
        return (none,)
    ends = [*limits[1:], None]
    classes = [
        StyleClass(
            id=f"from_{low}",
            label=whole_interval(low, high),
            colour=colour,
            outline=outline_of(colour),
            low=low,
            high=high,
        )
        for low, high, colour in zip(limits, ends, cividis(len(limits)), strict=True)
    ]
    return none, *classes


def _in(wanted: StyleClass, numbers: np.ndarray) -> np.ndarray:
    low = -np.inf if wanted.low is None else wanted.low
    high = np.inf if wanted.high is None else wanted.high
    return np.asarray((numbers >= low) & (numbers < high))


def _drawn(members: Sequence[Product], city: City) -> list[tuple[Product, tuple[int, int | None]]]:
    """Members with their zooms; those of no zoom keep their place in desktop styles with an empty range."""
    resolutions = [p.spec.resolution for p in members if p.spec.resolution is not None]
    ranges = zoom_ranges(resolutions, city.grid.tile_resolutions)
    return [(p, ranges.get(p.spec.resolution or 0, (0, 0))) for p in members]


def _incidents(product: Product, theme: str, table: pa.Table) -> int | None:
    for column in product.spec.columns:
        if column.kind is Kind.COUNT and (column.theme or ALL_THEMES) == theme and column.name in table.column_names:
            return int(table.column(column.name).drop_null().to_numpy().sum())
    return None


def _fields(product: Product) -> tuple[tuple[str, Text], ...]:
    return tuple((c.name, c.title) for c in product.spec.columns)
