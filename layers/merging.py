"""Which incidents are said twice, as the city file asks: gathered on compact arrays, decided by ``deduplication``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from layers.city import City, NearDuplicates
from layers.deduplication import NearPairs, equal_rows, near_pairs, survivors
from layers.identity import key_ids
from layers.present import SourceRecords

_MINUTE_US = 60_000_000


@dataclass(frozen=True, slots=True)
class Merges:
    """Records that others stand for, in key order, and who stands for each of them (uint64 keys, shape (n,)).

    ``near`` marks those of another source, close in place and time; the others are equal rows of one source.
    """

    merged: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, dtype=np.uint64))
    survivor: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, dtype=np.uint64))
    near: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, dtype=bool))

    def without_merged(self, records: pa.Table) -> pa.Table:
        """Leave merged records out, and list under ``merged_ids`` those that the others stand for."""
        kept = records.filter(pa.array(~self._are_merged(records))) if len(self.merged) else records
        return kept.append_column("merged_ids", self._lists(kept.column("key").to_numpy()))

    def only_merged(self, records: pa.Table) -> pa.Table:
        """Keep merged records alone, with the id that stands for each of them under ``survivor``."""
        taken = self._are_merged(records)
        found = np.searchsorted(self.merged, records.column("key").to_numpy()[taken])
        return records.filter(pa.array(taken)).append_column("survivor", key_ids(self.survivor[found]))

    def _are_merged(self, records: pa.Table) -> NDArray[np.bool_]:
        key = records.column("key").to_numpy()
        if not len(self.merged):
            return np.zeros(len(key), dtype=bool)
        found: NDArray[np.bool_] = (
            self.merged[np.minimum(np.searchsorted(self.merged, key), len(self.merged) - 1)] == key
        )
        return found

    def _lists(self, key: NDArray[np.uint64]) -> pa.Array:
        kind = pa.list_(pa.string())
        if not len(self.merged):
            return pa.nulls(len(key), kind)
        order = np.lexsort((self.merged, self.survivor))
        unique, starts = np.unique(self.survivor[order], return_index=True)
        offsets = np.append(starts, len(order)).astype(np.int32)
        lists = pa.ListArray.from_arrays(pa.array(offsets), key_ids(self.merged[order]))
        place = np.minimum(np.searchsorted(unique, key), len(unique) - 1)
        return lists.take(pa.array(place, mask=unique[place] != key))


def merges_of(sources: Sequence[SourceRecords], city: City) -> Merges:
    """Decide which incidents are merged.

    Parameters
    ----------
    sources
        Records of every source of incidents.
    city
        Says which sources hold equal rows that are one record, and how near records of different sources are one.

    Returns
    -------
    Merges
        Nothing where the city file asks for nothing.
    """
    near = city.deduplication.near
    asked = [s for s in sources if s.source.merge_equal_rows or (near and s.source.id in near.sources)]
    if not asked:
        return Merges()
    key = np.concatenate([s.folded.key for s in asked])
    likeness = np.concatenate([s.folded.likeness for s in asked])
    number = np.repeat(np.arange(len(asked), dtype=np.int16), [len(s.folded.key) for s in asked])
    own = np.arange(len(key), dtype=np.int64)
    merging = np.array([s.source.merge_equal_rows for s in asked])
    equal = np.where(merging[number], equal_rows(likeness, number), own) if merging.any() else None
    del likeness
    started_us, pairs, trust = _gathered(asked, near, city, number)
    stays = survivors(len(key), equal, pairs, trust=trust, started_us=started_us, key=key)
    gone = np.flatnonzero(stays != own)
    order = gone[np.argsort(key[gone])]
    return Merges(key[order], key[stays[order]], number[order] != number[stays[order]])


_UNKNOWN = np.iinfo(np.int64).min
_NEAR = ("category", "started_at", "ended_at", "precision_m", "x_m", "y_m", "located_by")


def _gathered(
    asked: Sequence[SourceRecords], near: NearDuplicates | None, city: City, number: NDArray[np.int16]
) -> tuple[NDArray[np.int64], NearPairs | None, NDArray[np.int16]]:
    """Starts of all records; near pairs where they are asked for; rank of each record's source."""
    if near is None:
        starts = [s.gathered(["started_at"], lambda t: {"started": _microseconds(t, "started_at")}) for s in asked]
        return np.concatenate([one["started"] for one in starts]), None, number
    # A code that nobody translated is no category here: it says nothing of what happened, and is like no other.
    categories = pa.array(list(city.taxonomy.theme_of()), pa.string())
    rank = {name: place for place, name in enumerate(near.sources)}

    def spell(rows: pa.Table) -> dict[str, NDArray[Any]]:
        started, ended = _microseconds(rows, "started_at"), _microseconds(rows, "ended_at")
        precise = pc.fill_null(pc.equal(rows.column("located_by"), "coordinates"), False).to_numpy()
        precise &= ~(rows.column("precision_m").to_numpy() > near.distance_m)
        precise &= (ended == _UNKNOWN) | (ended - started <= near.minutes * _MINUTE_US)
        category = pc.fill_null(pc.index_in(rows.column("category"), categories), -1).to_numpy().astype(np.int16)
        x_m, y_m = rows.column("x_m").to_numpy(), rows.column("y_m").to_numpy()
        return {"category": category, "started": started, "x_m": x_m, "y_m": y_m, "precise": precise}

    parts = [records.gathered(_NEAR, spell) for records in asked]
    arrays = {name: np.concatenate([part.pop(name) for part in parts]) for name in list(parts[0])}
    trust = np.array([rank.get(s.source.id, len(rank)) for s in asked], dtype=np.int16)[number]
    pairs = near_pairs(
        arrays["category"],
        number,
        arrays["x_m"],
        arrays["y_m"],
        arrays["started"],
        arrays["precise"] & (trust < len(rank)),
        distance_m=near.distance_m,
        minutes=near.minutes,
    )
    return arrays["started"], pairs, trust


def _microseconds(rows: pa.Table, name: str) -> NDArray[np.int64]:
    values: NDArray[np.int64] = rows.column(name).cast(pa.int64()).fill_null(_UNKNOWN).to_numpy()
    return values
