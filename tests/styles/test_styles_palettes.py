"""Colours are told apart by readers with any colour vision, measured by CIEDE2000.

References
----------
Sharma, Wu, Dalal (2005), "The CIEDE2000 color-difference formula", Color Res. Appl. 30(1): formula and test pairs.
Machado, Oliveira, Fernandes (2009), IEEE TVCG 15(6): simulation of colour-vision deficiencies (severity 1).
"""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest

from styles.model import StyleClass
from styles.palettes import CIVIDIS_ANCHORS, INK, LAND, NEUTRAL, categorical, channels, cividis
from styles.vocabularies import HOT_AND_COLD, LOCAL_MORAN

MACHADO = {
    "normal": np.eye(3),
    "protan": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deutan": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritan": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
SRGB_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
JUST_NOTICEABLE = 2.3
"""Difference that an average eye just sees side by side (Mahy et al. 1994); classes lie further apart."""
BETWEEN_CLASSES = 8.0


def linear_rgb(colour: str) -> np.ndarray:
    share = np.array(channels(colour)) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def lab(colour: str, vision: str = "normal") -> np.ndarray:
    xyz = SRGB_TO_XYZ @ np.clip(MACHADO[vision] @ linear_rgb(colour), 0, 1) / np.array([0.95047, 1.0, 1.08883])
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def ciede2000(first: np.ndarray, second: np.ndarray) -> float:
    (l1, a1, b1), (l2, a2, b2) = first, second
    chroma = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    g = 0.5 * (1 - np.sqrt(chroma**7 / (chroma**7 + 25.0**7)))
    c1, c2 = np.hypot((1 + g) * a1, b1), np.hypot((1 + g) * a2, b2)
    h1, h2 = (np.degrees(np.arctan2(b, (1 + g) * a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    turn = 0.0 if c1 * c2 == 0 else (h2 - h1 + 180) % 360 - 180
    dl, dc, dh = l2 - l1, c2 - c1, 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2))
    lm, cm = (l1 + l2) / 2, (c1 + c2) / 2
    hm = h1 + h2 if c1 * c2 == 0 else (h1 + turn / 2) % 360
    t = 1 - 0.17 * np.cos(np.radians(hm - 30)) + 0.24 * np.cos(np.radians(2 * hm))
    t += 0.32 * np.cos(np.radians(3 * hm + 6)) - 0.20 * np.cos(np.radians(4 * hm - 63))
    sl = 1 + 0.015 * (lm - 50) ** 2 / np.sqrt(20 + (lm - 50) ** 2)
    sc, sh = 1 + 0.045 * cm, 1 + 0.015 * cm * t
    rt = -2 * np.sqrt(cm**7 / (cm**7 + 25.0**7)) * np.sin(np.radians(60 * np.exp(-(((hm - 275) / 25) ** 2))))
    return float(np.sqrt((dl / sl) ** 2 + (dc / sc) ** 2 + (dh / sh) ** 2 + rt * (dc / sc) * (dh / sh)))


def contrast(first: str, second: str) -> float:
    bright, dark = sorted(
        (float(np.array([0.2126, 0.7152, 0.0722]) @ linear_rgb(c)) for c in (first, second)), reverse=True
    )
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 3.1571, -77.2803), (50, 0, -82.7485), 2.8615),
        ((50, -1.3802, -84.2814), (50, 0, -82.7485), 1.0),
        ((50, 2.5, 0), (50, 0, -2.5), 4.3065),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_the_measure_itself_against_published_pairs(
    first: tuple[float, ...], second: tuple[float, ...], expected: float
):
    assert ciede2000(np.array(first, dtype=float), np.array(second, dtype=float)) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize("vision", MACHADO)
@pytest.mark.parametrize("classes", range(2, 7))
def test_neighbouring_classes_of_a_sequence_are_told_apart(classes: int, vision: str):
    for below, above in pairwise([NEUTRAL, *cividis(classes)]):
        assert ciede2000(lab(below, vision), lab(above, vision)) > BETWEEN_CLASSES


@pytest.mark.parametrize("vision", MACHADO)
def test_a_sequence_darkens_steadily_for_everyone(vision: str):
    lightness = [lab(c, vision)[0] for c in cividis(6)]
    assert all(above < below - JUST_NOTICEABLE for below, above in pairwise(lightness))


@pytest.mark.parametrize("vision", MACHADO)
@pytest.mark.parametrize("classes", [HOT_AND_COLD.classes, LOCAL_MORAN.classes], ids=["hot and cold", "lisa"])
def test_every_pair_of_statistical_classes_is_told_apart(classes: tuple[StyleClass, ...], vision: str):
    for one, other in combinations(classes, 2):
        assert ciede2000(lab(one.colour, vision), lab(other.colour, vision)) > BETWEEN_CLASSES, (one.id, other.id)


def test_more_certain_classes_are_darker_on_both_sides():
    colours = {c.id: lab(c.colour)[0] for c in HOT_AND_COLD.classes}
    assert colours["hot_q01"] < colours["hot_q05"] < colours["ns"]
    assert colours["cold_q01"] < colours["cold_q05"] < colours["ns"]


@pytest.mark.parametrize("vision", MACHADO)
def test_categories_with_the_same_outline_are_told_apart(vision: str):
    for one, other in combinations([fill for fill, _ in categorical(8)], 2):
        assert ciede2000(lab(one, vision), lab(other, vision)) > 3 * JUST_NOTICEABLE, (one, other)
    assert len(set(categorical(24))) == 24


def test_texts_can_be_read_and_symbols_seen():
    assert contrast(INK, LAND) > 7
    for wanted in HOT_AND_COLD.classes:
        if wanted.id.endswith("q01"):
            assert contrast(wanted.colour, NEUTRAL) > 3


def test_cividis_is_the_published_ramp():
    colormaps = pytest.importorskip("matplotlib").colormaps
    for i, colour in enumerate(CIVIDIS_ANCHORS):
        assert channels(colour) == pytest.approx([255 * c for c in colormaps["cividis"](i / 8)[:3]], abs=1.0)


@pytest.mark.parametrize("call", [lambda: cividis(0), lambda: cividis(7), lambda: categorical(25)])
def test_more_classes_than_can_be_seen_are_refused(call: object):
    with pytest.raises(ValueError, match="classes"):
        call()
