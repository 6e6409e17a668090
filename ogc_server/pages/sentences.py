"""Sentences that say what a layer shows, from its numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ogc_server.errors import Language
from styles.texts import number_text

NAMED_ZONES = 2


def counted(count: int, language: Language, one: str, many: str) -> str:
    """Write a number with its noun; French counts 0 and 1 as singular, English only 1."""
    single = count < 2 if language == "fr" else count == 1
    return f"{number_text(count, language)} {one if single else many}"


def mainly(names: Sequence[str], language: Language) -> str:
    """Name the one or two zones that come most often; ties in the order given."""
    frequent = [name for name, _ in Counter(n for n in names if n).most_common(NAMED_ZONES)]
    if not frequent:
        return ""
    if language == "fr":
        return f", surtout {' et '.join(frequent)}"
    return f", mainly {' and '.join(frequent)}"


def hot_and_cold(hot: Sequence[str], cold: int, total: int, language: Language) -> str:
    """Hot cells by the zones they lie in, cold cells, and all cells."""
    if language == "fr":
        words = ("cellule en point chaud", "cellules en point chaud")
        start = counted(len(hot), language, *words) if hot else "Aucune cellule en point chaud"
        rest = counted(cold, language, "cellule froide", "cellules froides")
        return f"{start}{mainly(hot, language)} ; {rest}, sur {number_text(total, language)}."
    start = counted(len(hot), language, "hot-spot cell", "hot-spot cells") if hot else "No hot-spot cell"
    rest = counted(cold, language, "cold cell", "cold cells")
    return f"{start}{mainly(hot, language)}; {rest}, out of {number_text(total, language)}."


def clusters(high: Sequence[str], low: int, total: int, language: Language) -> str:
    """Clusters of high cells by the zones they lie in, clusters of low cells, and all cells."""
    if language == "fr":
        words = ("cellule haute parmi des hautes", "cellules hautes parmi des hautes")
        rest = counted(low, language, "cellule basse parmi des basses", "cellules basses parmi des basses")
        start = f"{counted(len(high), language, *words)}{mainly(high, language)}"
        return f"{start} ; {rest}, sur {number_text(total, language)}."
    start = counted(len(high), language, "high cell among high ones", "high cells among high ones")
    rest = counted(low, language, "low cell among low ones", "low cells among low ones")
    return f"{start}{mainly(high, language)}; {rest}, out of {number_text(total, language)}."


def counts(total: int, busy: int, cells: int, busiest: Sequence[str], language: Language) -> str:
    """Incidents, the cells that have some, all cells, and the zones of the busiest ones."""
    incidents = counted(total, language, "incident", "incidents")
    if language == "fr":
        where = f"{counted(busy, language, 'cellule', 'cellules')} sur {number_text(cells, language)}"
        return f"{incidents} dans {where}{mainly(busiest, language)}."
    where = f"{number_text(busy, language)} of {counted(cells, language, 'cell', 'cells')}"
    return f"{incidents} in {where}{mainly(busiest, language)}."


def density(highest: float, unit: str, zone: str, language: Language) -> str:
    """Highest density and the zone where it is."""
    amount = f"{number_text(highest, language)} {unit}"
    return (
        f"Densité la plus forte : {amount}, à {zone}." if language == "fr" else f"Highest density: {amount}, in {zone}."
    )


def records(total: int, without_position: int, language: Language) -> str:
    """Say how many records there are, and how many of them have no position."""
    words = ("enregistrement", "enregistrements") if language == "fr" else ("record", "records")
    text = counted(total, language, *words)
    if without_position:
        number = number_text(without_position, language)
        text += f", dont {number} sans position" if language == "fr" else f", of which {number} without a position"
    return f"{text}."
