"""What a producer can do about what was found: one sentence each, with the evidence that it rests on.

Each rule reads the report's document and says something or nothing. Thresholds are of two sorts: what costs records
(refused rows, missing positions) is said from the first row or the first in a thousand; what may be a habit of the
source (round hours, a common position) only when it is more than a habit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from layers.declared_sources import Source
from layers.quality.advice import LEVELS, Document, Level, Recommendation, Rule, columns_of
from layers.quality.advice_on_habits import (
    common_position,
    gaps,
    long_intervals,
    midnight,
    off_land,
    round_times,
    rounded_positions,
    skipped_hours,
    unknown_precision,
)
from layers.quality.advice_on_rows import (
    duplicates,
    empty_columns,
    personal_values,
    refused_rows,
    unlocated_rows,
    unmapped_codes,
)
from layers.quality.changes import change_recommendation

__all__ = ["Recommendation", "recommend"]


def recommend(document: Document, source: Source) -> list[Recommendation]:
    """Apply every rule to a report, most urgent first."""
    found = [recommendation for rule in _RULES for recommendation in rule(document, source)]
    return sorted(found, key=lambda r: (LEVELS.index(r.level), -r.rows, r.code, r.text.fr))


def _drift(document: Document, source: Source) -> Iterator[Recommendation]:
    for change in document["drift"]:
        text = change_recommendation(change, lambda name: columns_of(name, source))
        level: Level = "know" if change["what"] == "new" else "check"
        rows = int(change["detail"].get("records", 0)) or round(change["distance"] * document["last"]["accepted"])
        yield Recommendation(f"drift_{change['what']}", level, text, min(rows, document["last"]["accepted"]), change)


_RULES: Final[tuple[Rule, ...]] = (
    refused_rows,
    unlocated_rows,
    unmapped_codes,
    personal_values,
    duplicates,
    unknown_precision,
    rounded_positions,
    common_position,
    off_land,
    midnight,
    round_times,
    long_intervals,
    skipped_hours,
    gaps,
    empty_columns,
    _drift,
)
