"""The files of a run's styles, and what the run's manifest says of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter

from layers.city import Text
from layers.products import Form
from styles.legend import legend_svg
from styles.maplibre import MAX_TILE_ZOOM, maplibre_document
from styles.model import Style, Symbol
from styles.qml import feature_qml, raster_qml
from styles.raster import colour_table, gdal_colour_map, qgis_colour_map
from styles.texts import LANGUAGES

_STYLE = TypeAdapter(Style)


class StyleEntry(BaseModel):
    """What a run's manifest says of one style. Paths are relative to the folder of styles."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    family: str
    form: Form
    title: Text
    subject: Text
    """Title without its theme."""
    attribute: str | None
    theme: str | None
    theme_title: Text | None
    symbol: Symbol
    default: bool
    collections: tuple[str, ...]
    model: str
    """The style itself, as :func:`read_style` reads it."""
    maplibre: str
    qml: dict[str, str]
    """Collection → QML (polygons, where a collection holds points and polygons)."""
    qml_points: dict[str, str] = {}
    """Collection → QML of the points of such a collection."""
    legend: dict[str, dict[str, str]]
    """Collection → language → SVG."""
    colours: dict[str, str] = {}
    """Rasters: ``json``, ``qgis`` and ``gdal`` colour tables."""


def write_styles(
    styles: Sequence[Style], folder: Path, *, max_tile_zoom: int = MAX_TILE_ZOOM
) -> dict[str, dict[str, Any]]:
    """Write every encoding of every style.

    Parameters
    ----------
    styles
        From :func:`styles.catalogue.styles_for`.
    folder
        The run's folder of styles; files go to ``<form>/<family>/<style id>.…`` in it.
    max_tile_zoom
        Last zoom that the tiles of a run are made for.

    Returns
    -------
    dict
        ``<form>/<family>/<style id>`` → :class:`StyleEntry` as JSON: the manifest's ``styles``.
    """
    return {
        f"{style.form}/{style.family}/{style.id}": _write_style(style, folder, max_tile_zoom).model_dump(mode="json")
        for style in styles
    }


def read_style(text: str) -> Style:
    """Read back a style that :func:`write_styles` wrote.

    Raises
    ------
    pydantic.ValidationError
        If the text is not a style.
    """
    return _STYLE.validate_json(text)


def entries_of(listed: Mapping[str, Mapping[str, Any]], form: Form) -> list[StyleEntry]:
    """Return the styles that a manifest lists for one form, in the order in which they were made."""
    return [StyleEntry.model_validate(e) for e in listed.values() if e["form"] == form]


def styles_of(listed: Mapping[str, Mapping[str, Any]], form: Form, collection: str) -> list[StyleEntry]:
    """Return the styles that a manifest lists for a collection in one form, the default first."""
    found = [entry for entry in entries_of(listed, form) if collection in entry.collections]
    return sorted(found, key=lambda entry: not entry.default)


def _write_style(style: Style, folder: Path, max_tile_zoom: int) -> StyleEntry:
    place = f"{style.form}/{style.family}"
    (folder / place).mkdir(parents=True, exist_ok=True)

    def put(name: str, text: str) -> str:
        (folder / place / name).write_text(text, encoding="utf-8", newline="\n")
        return f"{place}/{name}"

    document = maplibre_document(style, max_tile_zoom=max_tile_zoom)
    qml: dict[str, str] = {}
    qml_points: dict[str, str] = {}
    colours: dict[str, str] = {}
    legend: dict[str, dict[str, str]] = {}
    for layer in style.layers:
        stem = style.id if layer.collection == style.family else f"{style.id}.{layer.collection}"
        legend[layer.collection] = {
            language: put(f"{stem}.{language}.svg", legend_svg(style, layer.collection, language))
            for language in LANGUAGES
        }
        if style.symbol is Symbol.RASTER:
            qml[layer.collection] = put(f"{stem}.qml", raster_qml(style))
            colours["json"] = put(f"{stem}.colours.json", json.dumps(colour_table(style), ensure_ascii=False, indent=1))
            colours["qgis"] = put(f"{stem}.colours.txt", qgis_colour_map(style))
            colours["gdal"] = put(f"{stem}.colours.gdal.txt", gdal_colour_map(style))
            continue
        qml[layer.collection] = put(f"{stem}.qml", feature_qml(style, layer.collection))
        if style.symbol is Symbol.MIXED:
            points = feature_qml(style, layer.collection, symbol=Symbol.POINT)
            qml_points[layer.collection] = put(f"{stem}.points.qml", points)
    return StyleEntry(
        id=style.id,
        family=style.family,
        form=style.form,
        title=style.title,
        subject=style.subject,
        attribute=style.attribute,
        theme=style.theme,
        theme_title=style.theme_title,
        symbol=style.symbol,
        default=style.default,
        collections=tuple(layer.collection for layer in style.layers),
        model=put(f"{style.id}.style.json", _STYLE.dump_json(style, exclude_defaults=True).decode()),
        maplibre=put(f"{style.id}.maplibre.json", json.dumps(document, ensure_ascii=False, indent=1)),
        qml=qml,
        qml_points=qml_points,
        legend=legend,
        colours=colours,
    )
