"""Styles of zones and of records: outlines, and categories told apart by colour."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from layers.city import City, Text
from layers.products import Form, Product
from styles.model import Sector, Style, StyleClass, StyleLayer, Symbol
from styles.palettes import INK, LAND, NO_DATA, categorical, mix, outline_of

CATEGORY_COLUMNS = {
    "incidents": "theme",
    "events": "nature",
    "cameras": "status",
    "sensitive_sites": "category",
    "interventions": "nature",
}
"""Column that tells the records of a layer apart."""

SECTOR_COLUMNS = ("direction_deg", "field_of_view_deg", "range_m")
"""Columns that tell what a camera sees."""

MAX_CATEGORIES = 16
ZONES = Text(fr="zones", en="zones")
RECORDS = Text(fr="enregistrements", en="records")
OTHERS = Text(fr="Autres", en="Others")
KNOWN_LABELS = {
    "installed": Text(fr="En service", en="Installed"),
    "planned": Text(fr="En projet", en="Planned"),
    "unmapped": Text(fr="Hors nomenclature", en="Not in the taxonomy"),
}
SYMBOLS = {"Point": Symbol.POINT, "MultiPoint": Symbol.POINT, "Polygon": Symbol.FILL, "MultiPolygon": Symbol.FILL}


def zone_styles(product: Product, form: Form, city: City) -> list[Style]:
    """Return the one style of a zone level: outlines, thicker for coarser levels, nothing filled."""
    spec = product.spec
    outline = StyleClass(id="zone", label=spec.title, colour=LAND, outline=mix(INK, LAND, 0.35), opacity=0.0)
    rows = product.tables[form].num_rows
    layer = StyleLayer(
        collection=spec.id,
        classes=(outline,),
        counts=(rows,),
        n=rows,
        fields=tuple((c.name, c.title) for c in spec.columns),
        key=spec.key,
    )
    style = Style(
        id="outline",
        family=spec.family,
        form=form,
        subject=spec.title,
        symbol=Symbol.LINE,
        layers=(layer,),
        counted=ZONES,
        note=spec.method,
        attribution=spec.attribution or city.city.attribution,
        default=True,
    )
    return [style]


def record_styles(product: Product, form: Form, city: City) -> list[Style]:
    """Return the one style of a record collection, by category where the layer has one."""
    spec, table = product.spec, product.tables[form]
    attribute = CATEGORY_COLUMNS.get(spec.family)
    if attribute not in table.column_names:
        attribute = None
    classes, counts = _categories(table, attribute, city) if attribute else _one_class(spec.title, table)
    layer = StyleLayer(
        collection=spec.id,
        classes=classes,
        counts=counts,
        n=table.num_rows,
        fields=tuple((c.name, c.title) for c in spec.columns),
        key=spec.key,
    )
    times = (spec.time_column, spec.time_end_column) if spec.time_column in table.column_names else None
    style = Style(
        id=attribute or "default",
        family=spec.family,
        form=form,
        subject=spec.title,
        symbol=SYMBOLS.get(spec.geometry_type, Symbol.MIXED),
        layers=(layer,),
        attribute=attribute,
        counted=RECORDS,
        period=_period(table, spec.time_column, city) if times else None,
        note=spec.method,
        attribution=spec.attribution or city.city.attribution,
        default=True,
        time_columns=(times[0], times[1]) if times and times[0] else None,
        sector=_sector(table, city),
    )
    return [style]


def _sector(table: pa.Table, city: City) -> Sector | None:
    if not set(SECTOR_COLUMNS) <= set(table.column_names):
        return None
    direction, width, radius = SECTOR_COLUMNS
    return Sector(direction_deg=direction, width_deg=width, radius_m=radius, crs=city.city.metric_crs)


def _one_class(title: Text, table: pa.Table) -> tuple[tuple[StyleClass, ...], tuple[int, ...]]:
    fill, outline = categorical(5)[4]
    return (StyleClass(id="record", label=title, colour=fill, outline=outline),), (table.num_rows,)


def _categories(table: pa.Table, attribute: str, city: City) -> tuple[tuple[StyleClass, ...], tuple[int, ...]]:
    """Classes of the values that occur: themes in the city file's order, other values the most frequent first."""
    found = {
        str(v["values"]): int(v["counts"])
        for v in pc.value_counts(table.column(attribute)).to_pylist()
        if v["values"] is not None
    }
    themes = list(city.taxonomy.themes) if attribute == "theme" else []
    order = [t for t in themes if t in found] + sorted(found.keys() - set(themes), key=lambda v: (-found[v], v))
    kept, merged = order[:MAX_CATEGORIES], order[MAX_CATEGORIES:]
    looks = categorical(len(kept))
    classes = [
        StyleClass(id=f"c{i:02d}", label=_label(value, attribute, city), colour=fill, outline=outline, values=(value,))
        for i, (value, (fill, outline)) in enumerate(zip(kept, looks, strict=True))
    ]
    counts = [found[value] for value in kept]
    others = table.num_rows - sum(counts)
    if merged or others or not classes:
        classes.append(StyleClass(id="others", label=OTHERS, colour=NO_DATA, outline=outline_of(NO_DATA), rest=True))
        counts.append(others)
    return tuple(classes), tuple(counts)


def _label(value: str, attribute: str, city: City) -> Text:
    if attribute == "theme" and value in city.taxonomy.themes:
        return city.taxonomy.themes[value].title
    if value in KNOWN_LABELS:
        return KNOWN_LABELS[value]
    words = value.replace("_", " ").strip()
    words = words[:1].upper() + words[1:]
    return Text(fr=words, en=words)


def _period(table: pa.Table, column: str | None, city: City) -> tuple[date, date] | None:
    if column is None:
        return None
    bounds = pc.min_max(table.column(column)).as_py()
    days = [_local_day(bounds[end], city) for end in ("min", "max")]
    return (days[0], days[1]) if days[0] and days[1] else None


def _local_day(instant: datetime | date | None, city: City) -> date | None:
    if isinstance(instant, datetime):
        return instant.astimezone(ZoneInfo(city.city.timezone)).date()
    return instant
