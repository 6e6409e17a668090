"""QML: the style files of QGIS, for feature layers and for rasters.

Labels are French. What is written is what QGIS 3.22 reads: renderers with their symbols, aliases of fields, and the
columns that the time controller may use (off until the user asks for it).
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree as ET  # only written here, never parsed

from styles.model import Pattern, Sector, Style, StyleClass, StyleLayer, Symbol
from styles.palettes import channels
from styles.raster import upper_value

QGIS_VERSION = "3.22.0"
DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
CATEGORIES = "LayerConfiguration|Symbology|Fields|Temporal"

OUTLINE_WIDTH_MM = 0.12
LINE_WIDTH_MM = 0.4
POINT_SIZE_MM = 2.4
SECTOR_OPACITY = 0.25
LARGEST = 999_999_999
"""Upper bound of an open class of counts: QGIS wants one."""

_TEMPORAL_INSTANT, _TEMPORAL_START_END = "1", "2"


def feature_qml(style: Style, collection: str, *, symbol: Symbol | None = None) -> str:
    """Return the QML of one collection of features.

    Parameters
    ----------
    style
        A style of features.
    collection
        One of its collections.
    symbol
        What to draw, where the style draws several kinds of geometry.
    """
    layer = style.layer(collection)
    root = ET.Element("qgis", {"version": QGIS_VERSION, "styleCategories": CATEGORIES, "labelsEnabled": "0"})
    if style.time_columns:
        _temporal(root, *style.time_columns)
    root.append(_renderer(style, layer, symbol or style.symbol))
    aliases = ET.SubElement(root, "aliases")
    for index, (name, title) in enumerate(layer.fields):
        ET.SubElement(aliases, "alias", {"field": name, "index": str(index), "name": title.fr})
    return _text(root)


def raster_qml(style: Style) -> str:
    """Return the QML of a raster style: its band in discrete colours."""
    (layer,) = style.layers
    highest = str(max((c.low or 0.0) for c in layer.classes))
    root = ET.Element("qgis", {"version": QGIS_VERSION, "styleCategories": "Symbology"})
    pipe = ET.SubElement(root, "pipe")
    renderer = ET.SubElement(
        pipe,
        "rasterrenderer",
        {
            "type": "singlebandpseudocolor",
            "band": str(style.band),
            "opacity": "1",
            "alphaBand": "-1",
            "nodataColor": "",
            "classificationMin": "0",
            "classificationMax": highest,
        },
    )
    ET.SubElement(renderer, "rasterTransparency")
    shader = ET.SubElement(ET.SubElement(renderer, "rastershader"), "colorrampshader")
    shader.attrib |= {"colorRampType": "DISCRETE", "classificationMode": "1", "clip": "0"}
    shader.attrib |= {"minimumValue": "0", "maximumValue": highest, "labelPrecision": "4"}
    for wanted in layer.classes:
        item = {
            "value": upper_value(wanted),
            "color": wanted.colour,
            "alpha": str(wanted.rgba[3]),
            "label": wanted.label.fr,
        }
        ET.SubElement(shader, "item", item)
    ET.SubElement(pipe, "rasterresampler")
    return _text(root)


def _renderer(style: Style, layer: StyleLayer, symbol: Symbol) -> ET.Element:
    numeric = any(c.is_numeric for c in layer.classes)
    classes = list(layer.classes)
    if not style.attribute:
        renderer = ET.Element("renderer-v2", {"type": "singleSymbol", "symbollevels": "0", "enableorderby": "0"})
    elif numeric:
        renderer = ET.Element(
            "renderer-v2", {"type": "graduatedSymbol", "attr": style.attribute, "graduatedMethod": "GraduatedColor"}
        )
        ranges = ET.SubElement(renderer, "ranges")
        for index, wanted in enumerate(classes):
            # both ends of a QGIS range belong to it: for whole numbers, [low, high) is low … high - 1
            bounds = {
                "lower": f"{wanted.low or 0:g}",
                "upper": f"{(wanted.high - 1) if wanted.high is not None else LARGEST:.0f}",
            }
            ET.SubElement(ranges, "range", {**bounds, "symbol": str(index), "label": wanted.label.fr, "render": "true"})
    else:
        renderer = ET.Element(
            "renderer-v2", {"type": "categorizedSymbol", "attr": style.attribute, "symbollevels": "0"}
        )
        categories = ET.SubElement(renderer, "categories")
        if layer.no_data and not any(c.rest for c in classes):
            classes.append(layer.no_data)
        for index, wanted in enumerate(classes):
            for value in wanted.values or ("",):  # the empty value is QGIS' "all other values", nulls included
                entry = {
                    "value": value,
                    "type": "string",
                    "symbol": str(index),
                    "label": wanted.label.fr,
                    "render": "true",
                }
                ET.SubElement(categories, "category", entry)
    symbols = ET.SubElement(renderer, "symbols")
    for index, wanted in enumerate(classes):
        symbols.append(_symbol(str(index), wanted, symbol, style.sector))
    return renderer


def _symbol(name: str, wanted: StyleClass, symbol: Symbol, sector: Sector | None = None) -> ET.Element:
    kind, layer_class, options = {
        Symbol.POINT: ("marker", "SimpleMarker", _marker_options),
        Symbol.LINE: ("fill", "SimpleFill", _outline_options),
    }.get(symbol, ("fill", "SimpleFill", _fill_options))
    element = ET.Element("symbol", {"type": kind, "name": name, "alpha": "1", "clip_to_extent": "1", "force_rhr": "0"})
    if sector is not None and kind == "marker":
        element.append(_sector_layer(name, wanted, sector))
    element.append(_symbol_layer(layer_class, options(wanted)))
    return element


def _symbol_layer(layer_class: str, options: Mapping[str, str]) -> ET.Element:
    layer = ET.Element("layer", {"class": layer_class, "enabled": "1", "pass": "0", "locked": "0"})
    values = ET.SubElement(layer, "Option", {"type": "Map"})
    for key, value in options.items():
        ET.SubElement(values, "Option", {"type": "QString", "name": key, "value": value})
    return layer


def sector_expression(sector: Sector) -> str:
    """Return the QGIS expression of the polygon that a point looks at; null where a column is null."""
    centre = f"transform($geometry, @layer_crs, '{sector.crs}')"
    wedge = f'wedge_buffer({centre}, "{sector.direction_deg}", "{sector.width_deg}", "{sector.radius_m}")'
    return f"transform({wedge}, '{sector.crs}', @layer_crs)"


def _sector_layer(name: str, wanted: StyleClass, sector: Sector) -> ET.Element:
    """Draw the sector under its point."""
    options = {"SymbolType": "Fill", "geometryModifier": sector_expression(sector), "units": "MapUnit"}
    layer = _symbol_layer("GeometryGenerator", options)
    fill = ET.SubElement(layer, "symbol", {"type": "fill", "name": f"@{name}@0", "alpha": "1", "clip_to_extent": "1"})
    look = {**_fill_options(wanted), "color": _rgba(wanted.colour, SECTOR_OPACITY)}
    fill.append(_symbol_layer("SimpleFill", look))
    return layer


def _rgba(colour: str, opacity: float = 1.0) -> str:
    return ",".join(str(part) for part in (*channels(colour), round(255 * opacity)))


def _fill_options(wanted: StyleClass) -> Mapping[str, str]:
    return {
        "color": _rgba(wanted.colour, wanted.opacity),
        "style": "b_diagonal" if wanted.pattern is Pattern.HATCH else "solid",
        "outline_color": _rgba(wanted.outline),
        "outline_style": "solid",
        "outline_width": str(OUTLINE_WIDTH_MM),
        "outline_width_unit": "MM",
    }


def _outline_options(wanted: StyleClass) -> Mapping[str, str]:
    return {**_fill_options(wanted), "style": "no", "outline_width": str(LINE_WIDTH_MM)}


def _marker_options(wanted: StyleClass) -> Mapping[str, str]:
    return {
        "name": "circle",
        "color": _rgba(wanted.colour, wanted.opacity),
        "outline_color": _rgba(wanted.outline),
        "outline_style": "solid",
        "outline_width": "0.3",
        "outline_width_unit": "MM",
        "size": str(POINT_SIZE_MM),
        "size_unit": "MM",
    }


def _temporal(root: ET.Element, start: str, end: str | None) -> None:
    mode = _TEMPORAL_START_END if end else _TEMPORAL_INSTANT
    attributes = {"enabled": "0", "mode": mode, "startField": start, "endField": end or ""}
    attributes |= {
        "accumulate": "0",
        "fixedDuration": "0",
        "durationUnit": "min",
        "durationField": "",
        "startExpression": "",
        "endExpression": "",
    }
    ET.SubElement(root, "temporal", attributes)


def _text(root: ET.Element) -> str:
    ET.indent(root, space=" ")
    return DOCTYPE + ET.tostring(root, encoding="unicode") + "\n"
