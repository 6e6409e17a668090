"""Colour tables of density rasters: for our map tiles (JSON), for QGIS and for GDAL (text).

Classes are half-open. QGIS takes the upper end of a discrete class into the class, so the end that is written is the
largest 32-bit number below it, which is what a float32 raster can hold.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from styles.model import Style, StyleClass

BEYOND = float(np.finfo(np.float32).max)


def below(limit: float) -> float:
    """Largest 32-bit float less than ``limit``."""
    nearest = np.float32(limit)
    return float(nearest if float(nearest) < limit else np.nextafter(nearest, np.float32(-np.inf)))


def at_least(limit: float) -> float:
    """Smallest 32-bit float not less than ``limit``."""
    nearest = np.float32(limit)
    return float(nearest if float(nearest) >= limit else np.nextafter(nearest, np.float32(np.inf)))


def upper_value(wanted: StyleClass) -> str:
    """Last value of a class as QGIS reads it."""
    return "inf" if wanted.high is None else repr(below(wanted.high))


def colour_table(style: Style) -> dict[str, Any]:
    """Return the colour table as JSON.

    Returns
    -------
    dict
        ``band`` (from 1), ``band_name``, ``unit`` and ``classes``: ``min`` (included), ``max`` (excluded, ``None``:
        unbounded), ``rgba`` (bytes), ``label``. What is in no class (nodata) is transparent.
    """
    (layer,) = style.layers
    return {
        "band": style.band,
        "band_name": style.attribute,
        "unit": style.unit.model_dump() if style.unit else None,
        "classes": [
            {"id": c.id, "min": c.low, "max": c.high, "rgba": list(c.rgba), "label": c.label.model_dump()}
            for c in layer.classes
        ],
    }


def qgis_colour_map(style: Style) -> str:
    """Return the colour map text that QGIS loads in its raster symbology (discrete)."""
    (layer,) = style.layers
    lines = ["# Calanque", "INTERPOLATION:DISCRETE"]
    for wanted in layer.classes:
        red, green, blue, alpha = wanted.rgba
        lines.append(f"{upper_value(wanted)},{red},{green},{blue},{alpha},{wanted.label.fr}")
    return "\n".join(lines) + "\n"


def gdal_colour_map(style: Style) -> str:
    """Return the text that ``gdaldem color-relief -alpha`` takes: each class from its first to its last value.

    GDAL interpolates between lines; two lines of one colour make a class of one colour.
    """
    (layer,) = style.layers
    lines = ["nv 0 0 0 0"]
    for wanted in layer.classes:
        colour = " ".join(str(part) for part in wanted.rgba)
        last = BEYOND if wanted.high is None else below(wanted.high)
        lines += [f"{at_least(wanted.low or 0.0)!r} {colour}", f"{last!r} {colour}"]
    return "\n".join(lines) + "\n"
