"""Which layer the map shows: a subject and, where it has several, a theme."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from layers.city import ALL_THEMES, Text
from layers.products import Grain
from ogc_server.errors import bad_parameter, not_found
from ogc_server.pages.context import MapContext
from styles.files import StyleEntry

GROUPS = {
    Grain.CELL: Text(fr="Analyses par cellule", en="Analyses by cell"),
    Grain.RASTER: Text(fr="Surfaces de risque", en="Risk surfaces"),
    Grain.RECORD: Text(fr="Données", en="Data"),
    Grain.ZONE: Text(fr="Découpages", en="Zones"),
}
"""Headings of the list, in its order."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One line of the list of layers: a product family drawn in one way, for one or more themes."""

    key: str
    title: Text
    grain: Grain
    entries: tuple[StyleEntry, ...]

    @property
    def default(self) -> StyleEntry:
        """Style of the theme that the subject opens with."""
        return next((e for e in self.entries if e.theme in {None, ALL_THEMES}), self.entries[0])

    def of_theme(self, theme: str | None) -> StyleEntry:
        """Style of ``theme``, or the default where the subject has no such theme."""
        return next((e for e in self.entries if theme is not None and e.theme == theme), self.default)


@dataclass(frozen=True, slots=True)
class Choice:
    """The layer that is shown."""

    subject: Subject
    entry: StyleEntry

    @property
    def collection(self) -> str:
        """Collection at the default resolution: the one that links and downloads lead to."""
        family = self.entry.family
        return family if family in self.entry.collections else self.entry.collections[0]


def subject_key(entry: StyleEntry) -> str:
    """Name of a subject in addresses: ``hotspots.class``, ``risk_density``, ``incidents``."""
    if entry.theme is None or entry.id in {entry.theme, "n"} or entry.id == f"n_{entry.theme}":
        return entry.family
    return f"{entry.family}.{entry.id.removesuffix(f'_{entry.theme}')}"


def subjects(context: MapContext) -> tuple[Subject, ...]:
    """Subjects of a run, by group, in the order of the products; what a family opens with comes first."""
    found: dict[str, list[StyleEntry]] = {}
    for entry in sorted(context.styles, key=lambda e: not e.default):
        found.setdefault(subject_key(entry), []).append(entry)
    order = list(GROUPS)
    rank = {family: i for i, family in enumerate(dict.fromkeys(e.family for e in context.styles))}
    made = [
        Subject(
            key, entries[0].subject, context.specs[entries[0].collections[0]].grain, tuple(_themes_in_order(entries))
        )
        for key, entries in found.items()
    ]
    return tuple(sorted(made, key=lambda s: (order.index(s.grain), rank[s.entries[0].family])))


def _themes_in_order(entries: Sequence[StyleEntry]) -> Sequence[StyleEntry]:
    return sorted(entries, key=lambda e: e.theme not in {None, ALL_THEMES})


def chosen(context: MapContext, layer: str | None, theme: str | None) -> Choice:
    """Read the parameters ``layer`` and ``theme``.

    Without a layer: hot spots where there are any, else the first subject.

    Raises
    ------
    OgcError
        400 for a layer or a theme that the run does not have, 404 where there is nothing to show.
    """
    known = {s.key: s for s in subjects(context)}
    if not known:
        raise not_found("rien n’est publié pour ce profil.", "nothing is published for this profile.")
    if layer is None:
        subject = known.get("hotspots.class") or next(iter(known.values()))
    elif layer in known:
        subject = known[layer]
    else:
        raise bad_parameter("layer", "cette couche n’existe pas.", "there is no such layer.")
    themes = {e.theme for s in known.values() for e in s.entries}
    if theme is not None and theme not in themes:
        raise bad_parameter("theme", "ce thème n’existe pas.", "there is no such theme.")
    return Choice(subject, subject.of_theme(theme))
