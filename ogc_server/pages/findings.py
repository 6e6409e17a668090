"""What the map says, in words and as a table: the same content for who does not see colours, or no map at all."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import rasterio.features
import shapely
from numpy.typing import NDArray

from layers.city import ALL_THEMES
from layers.products import Grain
from ogc_server.errors import Language
from ogc_server.pages import sentences
from ogc_server.pages.choice import Choice
from ogc_server.pages.context import MapContext
from ogc_server.pages.layer_data import DrawnLayer, masks, metric_geometries, read_band, read_columns
from styles.model import Style
from styles.texts import number_text

TOP_ROWS = 20
_RANKED_PIXELS_WIDE = 800
_BUSIEST_SHARE = 0.05
_PARTICLES = frozenset({"de", "du", "des", "la", "le", "les", "l", "d", "et", "en", "sur", "of", "the", "and"})


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table: a text, where it leads, and whether it is a number."""

    text: str
    href: str | None = None
    number: bool = False


@dataclass(frozen=True, slots=True)
class Findings:
    """A sentence and a table."""

    sentence: str
    caption: str = ""
    headings: tuple[str, ...] = ()
    rows: tuple[tuple[Cell, ...], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Zones:
    """The finest zones of the city, in the metric CRS."""

    names: tuple[str, ...]
    geometries: NDArray[np.object_]

    def names_at(self, points: NDArray[np.object_]) -> list[str]:
        """Name of the zone that holds each point, else of the nearest one."""
        if not len(self.names) or not len(points):
            return [""] * len(points)
        return [self.names[i] for i in shapely.STRtree(self.geometries).nearest(points)]


def zones_of(context: MapContext) -> Zones:
    """Finest zone level of a run."""
    if not context.zone_levels:
        return Zones((), np.array([], dtype=object))
    table = read_columns(context, context.zone_levels[-1], ["key", "name", "geometry"])
    names = tuple(tidy(row["name"] or row["key"]) for row in table.select(["key", "name"]).to_pylist())
    return Zones(names, metric_geometries(context, table.column("geometry")))


def tidy(name: str) -> str:
    """Write a name that comes in capitals as a name: ``NOTRE DAME DU MONT`` → ``Notre Dame du Mont``."""
    if not name.isupper():
        return name
    words = re.split(r"([ '’-])", name.lower())
    return "".join(w if i and w in _PARTICLES else w.capitalize() for i, w in enumerate(words))


def findings(context: MapContext, choice: Choice, drawn: DrawnLayer, zones: Zones, language: Language) -> Findings:
    """Tell what stands out in a layer.

    Parameters
    ----------
    context, choice, drawn
        The run, the layer, and what the drawn map shows of it.
    zones
        Zones that name places.
    language
        ``fr`` or ``en``.
    """
    match choice.subject.grain:
        case Grain.CELL:
            return _of_cells(context, drawn, zones, language)
        case Grain.RASTER:
            return _of_raster(context, drawn.style, zones, language)
        case Grain.ZONE:
            return _of_zones(context, choice, language)
        case _:
            return _of_records(context, choice, drawn.style, language)


def _of_cells(context: MapContext, drawn: DrawnLayer, zones: Zones, language: Language) -> Findings:
    """Rank cells by class, then by score (or by count), and say where the first ones lie."""
    style, collection = drawn.style, drawn.layer.collection
    attribute = style.attribute or ""
    count, score = "n" if style.theme in {None, ALL_THEMES} else f"n_{style.theme}", f"z_{style.theme}"
    key = context.specs[collection].key
    table = read_columns(context, collection, [key, count, score, attribute, "geometry"])
    if count not in table.column_names:  # a form may hold a class and not the count that it was made from
        table = table.append_column(count, pa.nulls(table.num_rows, pa.int64()))
    keys = table.column(key).to_pylist()
    rank, labels = np.full(table.num_rows, 99), np.full(table.num_rows, "", dtype=object)
    parts = masks(drawn.layer, table.column(attribute))
    for order, (wanted, members) in enumerate(parts):
        rank[members], labels[members] = (99 if wanted.id == "no_data" else order), wanted.label[language]
    scored = score if attribute != count and score in table.column_names else count
    values = pc.fill_null(table.column(scored), 0).to_numpy().astype(float)
    ranked = np.lexsort((keys, -values, rank) if attribute != count else (keys, -values))
    points = shapely.point_on_surface(metric_geometries(context, table.column("geometry")))
    names = np.array(zones.names_at(points), dtype=object)
    numbers = table.column(count).to_pylist()
    rows = tuple(
        (
            Cell(keys[i], href=f"/collections/{collection}/items/{quote(str(keys[i]), safe='')}"),
            Cell(names[i]),
            Cell("–" if numbers[i] is None else number_text(numbers[i], language), number=True),
            Cell(labels[i]),
        )
        for i in ranked[:TOP_ROWS].tolist()
    )
    french = language == "fr"
    size = drawn.layer.resolution
    caption = (
        f"Les {len(rows)} premières cellules, résolution {size}"
        if french
        else f"The first {len(rows)} cells, resolution {size}"
    )
    headings = ("Cellule H3", "Zone", "Incidents", "Classe") if french else ("H3 cell", "Zone", "Incidents", "Class")
    if attribute == count:
        busy = sum(bool(n) for n in numbers)
        busiest = names[ranked[: max(1, round(_BUSIEST_SHARE * busy))]].tolist() if busy else []
        sentence = sentences.counts(sum(n or 0 for n in numbers), busy, len(numbers), busiest, language)
    else:
        by_class = {wanted.id: names[ranked[mask[ranked]]].tolist() for wanted, mask in parts}
        sentence = _class_sentence(by_class, len(numbers), language)
    return Findings(sentence, f"{caption} – {style.title[language]}", headings, rows)


def _class_sentence(members: dict[str, list[str]], total: int, language: Language) -> str:
    """Say how many cells each class has; ``members`` are the zones of the cells of each class, the first ones first."""
    if "hh" in members:
        return sentences.clusters(members["hh"], len(members["ll"]), total, language)
    hot = members["hot_q01"] + members["hot_q05"]
    return sentences.hot_and_cold(hot, len(members["cold_q01"]) + len(members["cold_q05"]), total, language)


def _of_raster(context: MapContext, style: Style, zones: Zones, language: Language) -> Findings:
    """Rank zones by mean density."""
    values, transform = read_band(context, style, max_wide=_RANKED_PIXELS_WIDE)
    unit = style.unit[language] if style.unit else ""
    count = len(zones.names)
    shapes = [(geometry, i) for i, geometry in enumerate(zones.geometries)]
    index = (
        rasterio.features.rasterize(shapes, out_shape=values.shape, transform=transform, fill=-1, dtype="int32")
        if shapes
        else np.full(values.shape, -1)
    )
    known = np.isfinite(values) & (index >= 0)
    if not known.any():
        return Findings(sentences.density(0.0, unit, "–", language))
    pixels = np.bincount(index[known], minlength=count)
    means = np.bincount(index[known], weights=values[known], minlength=count) / np.maximum(pixels, 1)
    highest = np.zeros(count)
    np.maximum.at(highest, index[known], values[known])
    peak = int(np.argmax(highest))
    rows = tuple(
        (
            Cell(zones.names[i]),
            Cell(number_text(_figures(means[i]), language), number=True),
            Cell(number_text(_figures(highest[i]), language), number=True),
        )
        for i in np.argsort(-means, kind="stable")[:TOP_ROWS].tolist()
        if pixels[i]
    )
    headings = (
        ("Zone", "Densité moyenne", "Densité maximale") if language == "fr" else ("Zone", "Mean density", "Highest")
    )
    sentence = sentences.density(_figures(highest[peak]), unit, zones.names[peak], language)
    return Findings(sentence, f"{style.title[language]} ({unit})", headings, rows)


def _figures(value: float) -> float:
    """Three significant figures: a density is an estimate."""
    return float(f"{value:.3g}")


def _of_records(context: MapContext, choice: Choice, style: Style, language: Language) -> Findings:
    layer = style.layers[0]
    located = read_columns(context, choice.collection, ["geometry"]).column("geometry")
    listed = sorted(zip(layer.classes, layer.counts, strict=True), key=lambda pair: -pair[1])
    rows = tuple((Cell(c.label[language]), Cell(number_text(n, language), number=True)) for c, n in listed)
    headings = ("Catégorie", "Enregistrements") if language == "fr" else ("Category", "Records")
    sentence = sentences.records(len(located), located.null_count, language)
    return Findings(sentence, style.title[language], headings, rows)


def _of_zones(context: MapContext, choice: Choice, language: Language) -> Findings:
    table = read_columns(context, choice.collection, ["key", "name", "area_m2"]).sort_by("name")
    rows = tuple(
        (
            Cell(
                tidy(row["name"] or row["key"]),
                href=f"/collections/{choice.collection}/items/{quote(str(row['key']), safe='')}",
            ),
            Cell(number_text(round((row.get("area_m2") or 0) / 1e6, 2), language), number=True),
        )
        for row in table.to_pylist()
    )
    headings = ("Zone", "Surface (km²)") if language == "fr" else ("Zone", "Area (km²)")
    sentence = sentences.counted(len(rows), language, "zone.", "zones.")
    return Findings(sentence, context.specs[choice.collection].title[language], headings, rows)
