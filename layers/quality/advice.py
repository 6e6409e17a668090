"""A recommendation to a producer, and how its sentences name rows and columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from layers.declared_sources import Source
from layers.values import Text

Level = Literal["correct", "check", "know"]
LEVELS: Final[tuple[Level, ...]] = ("correct", "check", "know")
ROWS: Final = (("ligne", "lignes"), ("row", "rows"))
RECORDS: Final = (("enregistrement", "enregistrements"), ("record", "records"))


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One sentence to the producer."""

    code: str
    level: Level
    text: Text
    rows: int = 0
    """Rows concerned, by which sentences of one level are ordered."""
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return the recommendation as JSON values."""
        return asdict(self) | {"text": self.text.model_dump(), "evidence": dict(self.evidence)}


Document = Mapping[str, Any]
Rule = Callable[[Document, Source], Iterator[Recommendation]]


def columns_of(name: str, source: Source) -> str:
    """Columns of the delivery that give a field, as its producer knows them; the field's name where there are none."""
    names = (("x", "y"), ("lon", "lat")) if name in {"coordinates", "geometry"} else ((name,),)
    for group in names:
        columns = [column for each in group if each in source.columns for column in source.columns[each].reads()]
        if columns:
            return ", ".join(columns)
    return name
