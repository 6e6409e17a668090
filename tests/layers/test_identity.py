from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.identity import fold_deliveries, record_ids

CONTENT = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([1.5, float("nan")])), min_size=1, max_size=12)
VERSIONS = st.dictionaries(st.sampled_from("pqrstu"), st.integers(0, 2), max_size=6)


def frame(rows: list[tuple[str, float]], record_ids: list[str | None] | None = None) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "record_id": pd.Series(record_ids or [None] * len(rows), dtype=object),
            "category": pd.Series([r[0] for r in rows], dtype=object),
            "precision_m": [r[1] for r in rows],
            "shape": pd.Series([None] * len(rows), dtype=object),
            "row": range(1, len(rows) + 1),
        }
    )


def test_an_id_is_the_digest_of_source_and_the_sources_own_id():
    expected = hashlib.sha256(b"log\x1fMC1").hexdigest()[:16]
    assert record_ids(frame([("a", 1.0)], ["MC1"]), "log").tolist() == [expected]
    assert record_ids(frame([("b", 2.0)], ["MC1"]), "log").tolist() == [expected]
    assert record_ids(frame([("a", 1.0)], ["MC1"]), "other").tolist() != [expected]


@settings(max_examples=30)
@given(rows=CONTENT, seed=st.randoms(use_true_random=False))
def test_without_own_ids_equal_rows_are_told_apart_and_order_does_not_matter(rows: list[tuple[str, float]], seed):
    ids = record_ids(frame(rows), "log")
    assert len(set(ids)) == len(rows)
    shuffled = list(rows)
    seed.shuffle(shuffled)
    assert sorted(record_ids(frame(shuffled), "log")) == sorted(ids)


def delivery(versions: dict[str, int]) -> pd.DataFrame:
    rows = [(f"v{version}", float(version)) for version in versions.values()]
    names = list(versions)
    return frame(rows, names).assign(id=names) if names else frame([("x", 1.0)], ["x"]).assign(id=["x"]).iloc[:0]


@settings(max_examples=30)
@given(deliveries=st.lists(VERSIONS, min_size=1, max_size=4))
def test_complete_deliveries_replace_and_withdraw(deliveries: list[dict[str, int]]):
    folded = fold_deliveries([delivery(d) for d in deliveries], "complete")
    assert dict(zip(folded.records["id"], folded.records["precision_m"], strict=True)) == deliveries[-1]
    assert_every_row_is_counted(folded, deliveries)


@settings(max_examples=30)
@given(deliveries=st.lists(VERSIONS, min_size=1, max_size=4))
def test_increments_add_and_update(deliveries: list[dict[str, int]]):
    folded = fold_deliveries([delivery(d) for d in deliveries], "increment")
    expected: dict[str, int] = {}
    for one in deliveries:
        expected |= one
    assert dict(zip(folded.records["id"], folded.records["precision_m"], strict=True)) == expected
    assert folded.withdrawn == 0
    assert_every_row_is_counted(folded, deliveries)


def assert_every_row_is_counted(folded, deliveries: list[dict[str, int]]) -> None:
    assert folded.new + folded.updated + folded.unchanged == sum(len(d) for d in deliveries)
    assert folded.new - folded.withdrawn == len(folded.records)
    assert folded.records["id"].is_monotonic_increasing


def test_one_changed_value_is_an_update():
    folded = fold_deliveries([delivery({"p": 1, "q": 1, "r": 0}), delivery({"p": 1, "q": 2, "s": 0})], "complete")
    assert (folded.new, folded.updated, folded.unchanged, folded.withdrawn) == (4, 1, 1, 1)


def test_times_and_gaps_are_content():
    one = frame([("a", 1.0), ("a", 1.0)]).assign(started_at=np.array(["2024-01-01", "NaT"], dtype="datetime64[us]"))
    other = frame([("a", 1.0), ("a", 1.0)]).assign(started_at=np.array(["2024-01-01", "2024-01-01"], "datetime64[us]"))
    assert record_ids(one, "s")[0] == record_ids(other, "s")[0]
    assert record_ids(one, "s")[1] != record_ids(other, "s")[1]
