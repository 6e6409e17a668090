"""Looks of the class values that statistics give: a word, a colour and, where it helps, letters."""

from __future__ import annotations

from dataclasses import dataclass

from layers.city import Text
from styles.model import StyleClass
from styles.palettes import COLD, HOT, LISA, NEUTRAL, mix, outline_of

NEUTRAL_OUTLINE = mix(NEUTRAL, "#000000", 0.12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """The classes of one kind of class column."""

    title: Text
    unit: Text
    default: bool
    classes: tuple[StyleClass, ...]

    @property
    def values(self) -> frozenset[str]:
        """Attribute values that have a look."""
        return frozenset(v for c in self.classes for v in c.values)


def _class(value: str, fr: str, en: str, colour: str, letter: str | None = None) -> StyleClass:
    outline = NEUTRAL_OUTLINE if colour == NEUTRAL else outline_of(colour)
    return StyleClass(
        id=value.lower(), label=Text(fr=fr, en=en), colour=colour, outline=outline, values=(value,), letter=letter
    )


HOT_AND_COLD = Vocabulary(
    title=Text(fr="Points chauds et froids", en="Hot and cold spots"),
    unit=Text(fr="seuil q (taux de fausses découvertes)", en="threshold q (false discovery rate)"),
    default=True,
    classes=(
        _class("hot_q01", "Chaud, q ≤ 0,01", "Hot, q ≤ 0.01", HOT["q01"]),
        _class("hot_q05", "Chaud, q ≤ 0,05", "Hot, q ≤ 0.05", HOT["q05"]),
        _class("ns", "Non significatif", "Not significant", NEUTRAL),
        _class("cold_q05", "Froid, q ≤ 0,05", "Cold, q ≤ 0.05", COLD["q05"]),
        _class("cold_q01", "Froid, q ≤ 0,01", "Cold, q ≤ 0.01", COLD["q01"]),
    ),
)

LOCAL_MORAN = Vocabulary(
    title=Text(fr="Grappes et valeurs isolées (Moran local)", en="Clusters and outliers (local Moran)"),
    unit=Text(fr="cellule et ses voisines", en="cell and its neighbours"),
    default=False,
    classes=(
        _class("HH", "Haut parmi des hauts", "High among high", LISA["HH"], "HH"),
        _class("HL", "Haut parmi des bas", "High among low", LISA["HL"], "HL"),
        _class("ns", "Non significatif", "Not significant", LISA["ns"]),
        _class("LH", "Bas parmi des hauts", "Low among high", LISA["LH"], "LH"),
        _class("LL", "Bas parmi des bas", "Low among low", LISA["LL"], "LL"),
    ),
)

VOCABULARIES = (HOT_AND_COLD, LOCAL_MORAN)


def vocabulary_of(values: tuple[str, ...] | None) -> Vocabulary | None:
    """Vocabulary that knows every one of ``values``, if any does."""
    if not values:
        return None
    return next((v for v in VOCABULARIES if set(values) <= v.values), None)
