"""Legends as SVG: readable alone, in a page, in print and by a screen reader."""

from __future__ import annotations

import textwrap
from xml.etree import ElementTree as ET  # only written here, never parsed

from styles.model import Pattern, Style, StyleClass, StyleLayer, Symbol
from styles.palettes import INK, LAND
from styles.texts import Language, number_text, period_text

WIDTH_PX = 264
_MARGIN_PX = 2
_LINE_PX = 18
_ROW_PX = 24
_SWATCH_PX = (26, 16)
_CHARACTERS = 40
_LABEL_CHARACTERS = 26
_LABEL_LINE_PX = 15
_FONT = "system-ui, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif"


def legend_svg(style: Style, collection: str, language: Language) -> str:
    """Return the legend of one collection: title, unit, classes with their rows, what is counted and when.

    Parameters
    ----------
    style, collection
        The style, and one of its collections.
    language
        ``fr`` or ``en``.
    """
    layer = style.layer(collection)
    root = ET.Element(
        "svg", {"xmlns": "http://www.w3.org/2000/svg", "role": "img", "class": "legend", "lang": language}
    )
    prefix = f"legend-{collection}-{style.id}"
    root.attrib |= {
        "aria-labelledby": f"{prefix}-title {prefix}-desc",
        "font-family": _FONT,
        "font-size": "13",
        "fill": INK,
    }
    ET.SubElement(root, "title", {"id": f"{prefix}-title"}).text = style.title[language]
    rows = [*zip(layer.classes, _counts(layer), strict=True)]
    if layer.no_data:
        rows.append((layer.no_data, None))
    ET.SubElement(root, "desc", {"id": f"{prefix}-desc"}).text = _description(style, rows, language)
    if any(c.pattern for c, _ in rows):
        root.append(_hatch(f"{prefix}-hatch", next(c for c, _ in rows if c.pattern)))
    height = _MARGIN_PX
    for line in textwrap.wrap(style.title[language], _CHARACTERS - 4):
        height = _text(root, line, height, weight="600")
    if style.unit:
        height = _text(root, style.unit[language], height, size="12")
    height += 4
    for wanted, count in rows:
        _swatch(root, wanted, style.symbol, height, f"{prefix}-hatch")
        lines = textwrap.wrap(wanted.label[language], _LABEL_CHARACTERS)
        for index, line in enumerate(lines):
            place = {"x": str(_SWATCH_PX[0] + 12), "y": str(height + 13 + index * _LABEL_LINE_PX)}
            ET.SubElement(root, "text", place).text = line
        if count is not None:
            number = ET.SubElement(
                root, "text", {"x": str(WIDTH_PX - _MARGIN_PX), "y": str(height + 13), "text-anchor": "end"}
            )
            number.attrib |= {"font-size": "12", "opacity": "0.75"}
            number.text = number_text(count, language)
        height += _ROW_PX + _LABEL_LINE_PX * (len(lines) - 1)
    for line in textwrap.wrap(_footer(style, layer, language), _CHARACTERS):
        height = _text(root, line, height, size="12")
    root.attrib |= {"viewBox": f"0 0 {WIDTH_PX} {height + 4}", "width": str(WIDTH_PX), "height": str(height + 4)}
    return ET.tostring(root, encoding="unicode")


def _counts(layer: StyleLayer) -> tuple[int | None, ...]:
    return layer.counts or (None,) * len(layer.classes)


def _description(style: Style, rows: list[tuple[StyleClass, int | None]], language: Language) -> str:
    classes = "; ".join(
        c.label[language] if n is None else f"{c.label[language]}: {number_text(n, language)}" for c, n in rows
    )
    return f"{style.unit[language]}. {classes}." if style.unit else f"{classes}."


def _footer(style: Style, layer: StyleLayer, language: Language) -> str:
    parts = []
    if layer.resolution is not None:
        cells, size = ("cellules H3", "résolution") if language == "fr" else ("H3 cells", "resolution")
        parts.append(f"{cells}, {size} {layer.resolution}")
    if layer.n is not None:
        parts.append(f"n = {number_text(layer.n, language)} {style.counted[language]}")
    if style.period:
        parts.append(period_text(style.period, language))
    return ", ".join(parts)


def _text(root: ET.Element, text: str, top: int, *, size: str = "13", weight: str = "400") -> int:
    ET.SubElement(
        root, "text", {"x": str(_MARGIN_PX), "y": str(top + 13), "font-size": size, "font-weight": weight}
    ).text = text
    return top + _LINE_PX


def _swatch(root: ET.Element, wanted: StyleClass, symbol: Symbol, top: int, hatch: str) -> None:
    width, height = _SWATCH_PX
    look = {"fill": f"url(#{hatch})" if wanted.pattern is Pattern.HATCH else wanted.colour, "stroke": wanted.outline}
    look["fill-opacity"] = f"{wanted.opacity:g}"
    look["class"] = f"swatch {wanted.id}"
    if symbol in {Symbol.POINT, Symbol.MIXED}:
        ET.SubElement(
            root, "circle", {"cx": str(_MARGIN_PX + width // 2), "cy": str(top + height // 2 + 1), "r": "6", **look}
        )
    else:
        ET.SubElement(
            root, "rect", {"x": str(_MARGIN_PX), "y": str(top + 1), "width": str(width), "height": str(height), **look}
        )
    if wanted.letter:
        letter = ET.SubElement(
            root, "text", {"x": str(_MARGIN_PX + width // 2), "y": str(top + 13), "text-anchor": "middle"}
        )
        letter.attrib |= {"font-size": "11", "font-weight": "600", "fill": _readable_on(wanted.colour)}
        letter.text = wanted.letter


def _hatch(name: str, wanted: StyleClass) -> ET.Element:
    pattern = ET.Element("pattern", {"id": name, "width": "6", "height": "6", "patternUnits": "userSpaceOnUse"})
    pattern.attrib["patternTransform"] = "rotate(45)"
    ET.SubElement(pattern, "rect", {"width": "6", "height": "6", "fill": LAND})
    ET.SubElement(
        pattern, "line", {"x1": "0", "y1": "0", "x2": "0", "y2": "6", "stroke": wanted.colour, "stroke-width": "4"}
    )
    return pattern


def _readable_on(colour: str) -> str:
    """Ink or white, whichever contrasts more (relative luminance of WCAG 2.1)."""

    def linear(byte: str) -> float:
        share = int(byte, 16) / 255
        return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4

    luminance = 0.2126 * linear(colour[1:3]) + 0.7152 * linear(colour[3:5]) + 0.0722 * linear(colour[5:7])
    return "#ffffff" if luminance < 0.18 else INK
