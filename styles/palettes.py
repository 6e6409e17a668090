"""Colours, chosen to be told apart by readers with any colour vision.

Sequences run from light (little) to dark (much), for maps on a light ground. No hue carries an alarm: there is no
red-green pair and no rainbow.

References
----------
Nuñez, Anderton, Renslow (2018), "Optimizing colormaps with consideration for color vision deficiency", PLoS ONE 13(7):
cividis. Brewer, Harrower (2003), ColorBrewer: PuOr. Okabe, Ito (2008), "Color universal design": categories.
"""

from __future__ import annotations

from collections.abc import Sequence

CIVIDIS_ANCHORS = ("#00224e", "#1a386f", "#434e6c", "#61656f", "#7d7c78", "#9b9476", "#bcae6c", "#dec958", "#fee838")
"""Cividis at every eighth of its range."""

MAX_SEQUENCE = 6
FADE = 0.4
"""Share of white in the lightest class of a sequence."""

HOT = {"q01": "#b35806", "q05": "#f1a340"}
COLD = {"q01": "#542788", "q05": "#998ec3"}
"""The ends of ColorBrewer's PuOr: orange where there is more than expected, purple where there is less."""

NEUTRAL = "#ecebe6"
"""Cells where nothing stands out, and cells that count nothing."""
LAND = "#f6f5f1"
SEA = "#ffffff"
NO_DATA = "#cfcfcf"
INK = "#1d2733"
"""Outlines and texts."""

LISA = {"HH": "#b35806", "HL": "#f1a340", "LH": "#998ec3", "LL": "#542788", "ns": NEUTRAL}
"""High or low cell, among high or low neighbours; each also has its letters."""

OKABE_ITO = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#6b6b6b")
"""Eight categories that common colour-vision deficiencies keep apart."""


def channels(colour: str) -> tuple[int, int, int]:
    """Red, green and blue (0…255) of ``#rrggbb``."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def mix(first: str, second: str, share: float) -> str:
    """Colour at ``share`` (0…1) of the way from ``first`` to ``second``, straight in sRGB."""
    pairs = zip(channels(first), channels(second), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def outline_of(colour: str) -> str:
    """Return a darker tone of the same hue, for the edge of a symbol."""
    return mix(colour, "#000000", 0.3)


def _at(anchors: Sequence[str], position: float) -> str:
    scaled = position * (len(anchors) - 1)
    index = min(int(scaled), len(anchors) - 2)
    return mix(anchors[index], anchors[index + 1], scaled - index)


def cividis(classes: int) -> tuple[str, ...]:
    """Colours of ``classes`` ordered classes, light to dark.

    The light end fades into white: a saturated yellow would draw the eye to where there is least.

    Raises
    ------
    ValueError
        Outside 1…6 classes: neighbours among more cannot be told apart by everyone.
    """
    if not 1 <= classes <= MAX_SEQUENCE:
        raise ValueError(f"{classes} classes: a sequence has 1 to {MAX_SEQUENCE}")
    if classes == 1:
        return (_at(CIVIDIS_ANCHORS, 0.6),)
    positions = [i / (classes - 1) for i in range(classes)]
    return tuple(mix(_at(CIVIDIS_ANCHORS, 1 - p), "#ffffff", FADE * (1 - p) ** 2) for p in positions)


def categorical(classes: int) -> tuple[tuple[str, str], ...]:
    """Fill and outline of unordered classes.

    The eight fills repeat with a dark, then a light outline, so that no two classes share both.

    Raises
    ------
    ValueError
        Beyond 24 classes.
    """
    outlines = (None, INK, "#ffffff")
    if classes > len(OKABE_ITO) * len(outlines):
        raise ValueError(f"{classes} classes: at most {len(OKABE_ITO) * len(outlines)} can be told apart")
    pairs = []
    for index in range(classes):
        fill = OKABE_ITO[index % len(OKABE_ITO)]
        pairs.append((fill, outlines[index // len(OKABE_ITO)] or outline_of(fill)))
    return tuple(pairs)
