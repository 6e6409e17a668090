"""Screening of a delivery for personal data, before anything of it is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from layers.declared_sources import Source
from layers.errors import DeliveryError
from layers.personal.columns import KINDS, Hits, holds_text, screened
from layers.personal.headers import kind_of_header
from layers.personal.kinds import Kind, Weight
from layers.personal.policies import Policy, policy_of, uses_of

FEWEST_HITS = 3
"""One or two values are slips of typing, also in a delivery of ten rows."""
STRONG_SHARE = 0.02
"""Share of non-null values that are plainly personal from which the column is meant for them. In open data of cities
innocent columns have 0 to 0.1 % of such values, columns of phones and e-mails 70 to 100 %."""
ANY_SHARE = 0.30
"""Share for spellings that places and codes have as well: old files of accidents have 0.3 % of streets without their
type among addresses, and 4 % of the titles of events are names of persons."""
CERTAIN_VALUES, CERTAIN_SHARE = 1_000, 0.5
"""From so many values, and so large a share among them, the rest of the delivery is not waited for."""
_NAMED_ROWS = 5


@dataclass(slots=True)
class _Tally:
    """What a column held so far."""

    values: int = 0
    strong: int = 0
    any_weight: int = 0
    rows: dict[Kind, int] = field(default_factory=dict)
    first_rows: dict[Kind, list[int]] = field(default_factory=dict)
    masked: dict[Kind, int] = field(default_factory=dict)

    def add(self, values: int, hits: Hits, rows: NDArray[np.int64]) -> None:
        self.values += values
        self.strong += int((hits.weights == Weight.STRONG).sum())
        self.any_weight += len(hits.positions)
        for number in np.unique(hits.kinds).tolist():
            kind, of_kind = KINDS[number], hits.kinds == number
            self.rows[kind] = self.rows.get(kind, 0) + int(of_kind.sum())
            named = self.first_rows.setdefault(kind, [])
            named += rows[hits.positions[of_kind][: _NAMED_ROWS - len(named)]].tolist()
            if gone := int((of_kind & hits.masked).sum()):
                self.masked[kind] = self.masked.get(kind, 0) + gone

    @property
    def is_personal(self) -> bool:
        """Whether the column as a whole is personal."""
        return (self.strong >= FEWEST_HITS and self.strong >= STRONG_SHARE * self.values) or (
            self.any_weight >= FEWEST_HITS and self.any_weight >= ANY_SHARE * self.values
        )

    @property
    def is_certain(self) -> bool:
        return self.values >= CERTAIN_VALUES and self.any_weight >= CERTAIN_SHARE * self.values

    def __str__(self) -> str:
        found = []
        for kind in KINDS:
            if kind in self.rows:
                numbers = ", ".join(map(str, self.first_rows[kind]))
                more = ", …" if self.rows[kind] > len(self.first_rows[kind]) else ""
                found.append(f"{kind} in {self.rows[kind]} of {self.values} values (rows {numbers}{more})")
        return "; ".join(found)


class Screen:
    """Looks through one delivery of a source, batch by batch.

    Calanque keeps places, never persons: a column of persons refuses the delivery whatever its header is, a stray
    value is taken out and counted. Columns that are dropped or pseudonymised are left alone.

    Parameters
    ----------
    source
        The source, whose city file maps columns to fields.
    name
        Name of the file, for messages.
    """

    def __init__(self, source: Source, name: str) -> None:
        self._source = source
        self._name = name
        self._uses = uses_of(source)
        self._exempt = {*source.drop, *source.pseudonymise}
        self._policies: dict[str, Policy] = {}
        self._tallies: dict[str, _Tally] = {}

    def check_header(self, columns: Sequence[str]) -> None:
        """Refuse a delivery with a mapped column whose header tells that it holds persons.

        Raises
        ------
        DeliveryError
            With the name of every such column, and its kind.
        """
        told = [
            f"column {column!r} ({kind})"
            for column in columns
            if column in self._uses and column not in self._exempt
            if (kind := kind_of_header(column, self._uses[column])) is not None
        ]
        if told:
            raise DeliveryError(
                f"{self._name}: the header says that {', '.join(told)} holds persons, and it is mapped: {self._advice}"
            )

    @property
    def _advice(self) -> str:
        return f"Calanque keeps places only; list it under drop or pseudonymise of source {self._source.id!r}"

    def batch(self, table: pa.Table, rows: NDArray[np.int64]) -> pa.Table:
        """Take personal values out of a batch.

        Parameters
        ----------
        table
            Columns that are kept, of any type.
        rows
            Number of each row in the file, shape (rows,), for messages.

        Returns
        -------
        pyarrow.Table
            Same columns, types and rows; null where a value was taken out.

        Raises
        ------
        DeliveryError
            If most of a column is personal already, or a column is of a type that cannot be looked into.
        """
        for position, column in enumerate(table.schema):
            if column.name in self._exempt or column.name.startswith("__") or not self._can_look(column):
                continue
            chunks = [self._chunk(column.name, *part) for part in _with_rows(table.column(position), rows)]
            table = table.set_column(position, column, pa.chunked_array(chunks, column.type))
        certain = [name for name, tally in self._tallies.items() if tally.is_certain and tally.is_personal]
        if certain:
            self._refuse(certain, sofar=" in its first rows")
        return table

    def _can_look(self, column: pa.Field) -> bool:
        try:
            return holds_text(column.type)
        except DeliveryError as error:
            raise DeliveryError(f"{self._name}: column {column.name!r}: {error}") from error

    def _chunk(self, name: str, chunk: pa.Array, rows: NDArray[np.int64]) -> pa.Array:
        if name not in self._policies:
            self._policies[name] = policy_of(self._source, name)
            self._tallies[name] = _Tally()
        kept, hits = screened(chunk, self._policies[name])
        self._tallies[name].add(len(chunk) - chunk.null_count, hits, rows)
        return kept

    def conclude(self) -> Mapping[str, Mapping[str, int]]:
        """Say what was taken out of the whole delivery.

        Returns
        -------
        Mapping
            Column → kind → values that were masked; columns without any are left out.

        Raises
        ------
        DeliveryError
            If a column as a whole is personal: kind, number of rows and first rows are named, never a value.
        """
        personal = [name for name, tally in self._tallies.items() if tally.is_personal]
        if personal:
            self._refuse(personal)
        return {
            name: {str(kind): tally.masked[kind] for kind in KINDS if kind in tally.masked}
            for name, tally in self._tallies.items()
            if tally.masked
        }

    def _refuse(self, columns: Sequence[str], sofar: str = "") -> None:
        found = "; ".join(f"column {name!r} holds persons{sofar}: {self._tallies[name]}" for name in columns)
        raise DeliveryError(f"{self._name}: {found}: {self._advice}")


def _with_rows(column: pa.ChunkedArray, rows: NDArray[np.int64]) -> list[tuple[pa.Array, NDArray[np.int64]]]:
    ends = np.cumsum([len(chunk) for chunk in column.chunks], dtype=np.int64)
    return [(chunk, rows[end - len(chunk) : end]) for chunk, end in zip(column.chunks, ends.tolist(), strict=True)]
