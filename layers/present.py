"""Records of a source after its deliveries: where each one is, and how to read them month by month."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from layers.accepted import Accepted
from layers.declared_sources import Source
from layers.identity import Coming, Folded, Left, fold_deliveries, key_ids

_LEFT = {Left.UPDATED: "updated", Left.WITHDRAWN: "withdrawn"}


@dataclass(frozen=True)
class SourceRecords:
    """Present records of a source and their earlier versions, on disk.

    Parameters
    ----------
    source
        The source.
    deliveries
        Digest of each delivery, in the order in which they count.
    accepted
        What each of them gave.
    folded
        Which rows count.
    """

    source: Source
    deliveries: tuple[str, ...]
    accepted: tuple[Accepted, ...]
    folded: Folded

    @classmethod
    def of(cls, source: Source, deliveries: Sequence[str], accepted: Sequence[Accepted]) -> SourceRecords:
        """Apply the deliveries one after the other."""
        folded = fold_deliveries([one.keys for one in accepted], source.mode)
        return cls(source, tuple(deliveries), tuple(accepted), folded)

    def months(self) -> set[int]:
        """Months that have rows, present or earlier."""
        return set().union(*self._months)

    def read(self, month: int) -> pa.Table:
        """Present records of a month: accepted columns, and id, key, source, organisation, delivery."""
        parts = [
            self._named(rows, self.folded.key[places], self.deliveries[part])
            for part, rows, places in self._rows(month, self._present, self.folded.row)
        ]
        return pa.concat_tables(parts) if parts else self.nothing()

    def read_earlier(self, month: int) -> pa.Table:
        """Read versions of a month that count no more: as :meth:`read`, with state and ended_by."""
        f = self.folded
        parts = [
            self._ended(self._named(rows, f.earlier_key[places], self.deliveries[part]), places)
            for part, rows, places in self._rows(month, self._earlier, f.earlier_row)
        ]
        return pa.concat_tables(parts) if parts else self.nothing()

    def nothing(self) -> pa.Table:
        """Return no records, with the columns of :meth:`read`."""
        table = self.accepted[0].schema.empty_table()
        return self._named(table, np.empty(0, np.uint64), "")

    def everything(self, columns: Sequence[str]) -> pa.Table:
        """Read some columns of all present records, and their id, in the order of ``folded``."""
        parts = [self.accepted[0].schema.empty_table().select(columns)]
        places = [np.empty(0, dtype=np.int64)]
        for month in sorted(self.months()):
            for _, rows, found in self._rows(month, self._present, self.folded.row, columns):
                parts.append(rows.select(columns))
                places.append(found)
        ordered = pa.concat_tables(parts).take(pa.array(np.argsort(np.concatenate(places))))
        return ordered.append_column("id", key_ids(self.folded.key))

    def gathered(
        self, columns: Sequence[str], spell: Callable[[pa.Table], Mapping[str, NDArray[Any]]]
    ) -> dict[str, NDArray[Any]]:
        """Turn some columns of all present records into arrays, in the order of ``folded``, a month at a time.

        Parameters
        ----------
        columns
            Columns to read.
        spell
            Makes arrays of a table of them, by name, one value per row.
        """
        nothing = spell(self.accepted[0].schema.empty_table().select(columns))
        arrays = {name: np.empty(len(self.folded.key), dtype=values.dtype) for name, values in nothing.items()}
        for month in sorted(self.months()):
            for _, rows, places in self._rows(month, self._present, self.folded.row, columns):
                for name, values in spell(rows).items():
                    arrays[name][places] = values
        return arrays

    @cached_property
    def _months(self) -> list[set[int]]:
        return [set(one.months()) for one in self.accepted]

    @cached_property
    def _present(self) -> list[NDArray[np.int64]]:
        return _by_part(self.folded.part, self.folded.row, len(self.accepted))

    @cached_property
    def _earlier(self) -> list[NDArray[np.int64]]:
        return _by_part(self.folded.earlier_part, self.folded.earlier_row, len(self.accepted))

    def _rows(
        self,
        month: int,
        positions: list[NDArray[np.int64]],
        numbers: NDArray[np.int64],
        columns: Sequence[str] | None = None,
    ) -> Iterator[tuple[int, pa.Table, NDArray[np.int64]]]:
        """Rows of a month that ``positions`` ask for, by delivery: its place, its rows, and their positions."""
        for part, one in enumerate(self.accepted):
            asked = positions[part]
            if not len(asked) or month not in self._months[part]:
                continue
            table = one.read(month, [*columns, "row"] if columns is not None else None)
            wanted, here = numbers[asked], table.column("row").to_numpy()
            at = np.minimum(np.searchsorted(wanted, here), len(wanted) - 1)
            hit = wanted[at] == here
            yield part, (table if hit.all() else table.filter(pa.array(hit))), asked[at[hit]]

    def _named(self, table: pa.Table, keys: NDArray[np.uint64], delivery: str) -> pa.Table:
        constants = {"source": self.source.id, "organisation": self.source.organisation, "delivery": delivery}
        table = table.append_column("id", key_ids(keys)).append_column("key", pa.array(keys))
        for name, value in constants.items():
            table = table.append_column(name, pa.repeat(pa.scalar(value, pa.string()), table.num_rows))
        return table

    def _ended(self, table: pa.Table, positions: NDArray[np.int64]) -> pa.Table:
        f = self.folded
        states = pa.array([_LEFT[left] for left in Left]).take(pa.array(f.earlier_left[positions]))
        by = pa.array(self.deliveries, pa.string()).take(pa.array(f.earlier_by[positions]))
        return table.append_column("state", states).append_column("ended_by", by)

    def count_among(self, merged: NDArray[np.uint64]) -> int:
        """Count the records whose keys are among ``merged``."""
        return int(self._are_among(merged).sum())

    def _are_among(self, merged: NDArray[np.uint64]) -> NDArray[np.bool_]:
        key = self.folded.key
        return np.isin(key, merged, kind="sort") if len(merged) else np.zeros(len(key), dtype=bool)

    def figures(self, merged: NDArray[np.uint64]) -> dict[str, int]:
        """Counts of what the rows became; ``merged`` are the keys of records that others stand for (any source's)."""
        f = self.folded
        taken = self._are_among(merged)
        lost = {kind: int((f.coming[taken] == kind).sum()) for kind in Coming}
        return {
            "new": f.new - lost[Coming.NEW],
            "updated": f.updated - lost[Coming.UPDATED],
            "unchanged": f.unchanged - lost[Coming.UNCHANGED],
            "merged": int(taken.sum()),
            "withdrawn": f.withdrawn,
            "records": len(f.key) - int(taken.sum()),
            "equal_rows": int((np.diff(np.sort(f.likeness)) == 0).sum()),
        }


def _by_part(part: NDArray[np.int32], row: NDArray[np.int64], parts: int) -> list[NDArray[np.int64]]:
    """Positions of each part's rows, in row order."""
    if parts == 1 and (row[1:] > row[:-1]).all():
        return [np.arange(len(row), dtype=np.int64)]
    order = np.lexsort((row, part))
    ends = np.searchsorted(part[order], np.arange(parts + 1))
    return [order[ends[i] : ends[i + 1]] for i in range(parts)]
