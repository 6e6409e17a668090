"""How well the merged records of the lake are the duplicates that were planted in the sample city."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from layers.identity import record_ids as layers_record_ids


@dataclass(frozen=True)
class Found:
    """Counts of one kind of duplicates."""

    merged: int
    """Records merged into another one."""
    right: int
    """Of those, how many tell the same incident as the record that they were merged into."""
    planted: int
    together: int
    """Of the planted duplicates, how many are one record with their original."""

    @property
    def precision(self) -> float:
        return self.right / self.merged if self.merged else 1.0

    @property
    def recall(self) -> float:
        return self.together / self.planted if self.planted else 1.0


def found_duplicates(incidents: pa.Table, truth: pa.Table) -> dict[str, Found]:
    """Compare merged records with planted duplicates: ``exact`` (same source), ``near`` (two sources) and ``all``.

    Parameters
    ----------
    incidents
        The lake's incidents: ``id`` and ``merged_ids`` (list of ids, or null).
    truth
        ``records.parquet``: ``source``, ``record_id``, ``kind``, ``duplicate_of``, ``duplicate_of_source``. Every
        record is expected in the lake, kept or merged.
    """
    source, incident, planted = _truth(truth)
    survivor, merges = _clusters(incidents)
    missing = planted.keys() - survivor.keys()
    assert not missing, f"{len(missing)} planted duplicates are neither in the lake nor merged: {sorted(missing)[:3]}"

    def found(kinds: Iterable[str], same_source: Iterable[bool]) -> Found:
        of_kind = [(kept, gone) for kept, gone in merges if (source.get(kept) == source.get(gone)) in same_source]
        right = sum(incident.get(kept, kept) == incident.get(gone, gone) for kept, gone in of_kind)
        copies = [copy for copy, kind in planted.items() if kind in kinds]
        together = sum(survivor[copy] == survivor.get(incident[copy]) for copy in copies)
        return Found(len(of_kind), right, len(copies), together)

    return {
        "exact": found(("exact_duplicate",), (True,)),
        "near": found(("near_duplicate",), (False,)),
        "all": found(("exact_duplicate", "near_duplicate"), (True, False)),
    }


def lake_ids(sources: Sequence[str], record_ids: Sequence[str]) -> list[str]:
    """Ids of records that bear the source's own id."""
    ids = [""] * len(sources)
    for source in sorted(set(sources)):
        mine = [place for place, other in enumerate(sources) if other == source]
        found = layers_record_ids(source, pa.array([record_ids[place] for place in mine], pa.string())).to_pylist()
        for place, one in zip(mine, found, strict=True):
            ids[place] = one
    return ids


def _truth(truth: pa.Table) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Id → source; id → id of the record that tells the incident first; id of a planted duplicate → kind."""
    columns = ("source", "record_id", "kind", "duplicate_of_source", "duplicate_of")
    sources, names, kinds, others, originals = (truth.column(name).to_pylist() for name in columns)
    ids = lake_ids(sources, names)
    of = [(o, r) if r else (s, n) for s, n, o, r in zip(sources, names, others, originals, strict=True)]
    firsts = lake_ids([o for o, _ in of], [r for _, r in of])
    source = dict(zip(ids, sources, strict=True))
    incident = dict(zip(ids, firsts, strict=True))
    planted = {one: kind for one, kind in zip(ids, kinds, strict=True) if kind != "original"}
    return source, incident, planted


def _clusters(incidents: pa.Table) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Id → id of the record that stayed; and (stayed, merged) of each merged record."""
    survivor, merges = {}, []
    for kept, merged in zip(incidents["id"].to_pylist(), incidents["merged_ids"].to_pylist(), strict=True):
        for gone in (kept, *(merged or ())):
            assert gone not in survivor, f"record {gone} is in the lake twice, or was merged twice"
            survivor[gone] = kept
        merges.extend((kept, gone) for gone in merged or ())
    return survivor, merges
