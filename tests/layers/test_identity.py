from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.identity import (
    Coming,
    Keys,
    Left,
    content_hashes,
    content_names,
    fold_deliveries,
    id_keys,
    key_ids,
    occurrences,
    record_ids,
)

CONTENT = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([1.5, None])), min_size=1, max_size=12)
VERSIONS = st.dictionaries(st.integers(0, 5), st.integers(0, 2), max_size=6)


def rows(values: list[tuple[str, float | None]], names: list[str] | None = None) -> pa.Table:
    return pa.table(
        {
            "record_id": pa.array(names or [None] * len(values), pa.string()),
            "category": pa.array([v[0] for v in values], pa.string()),
            "precision_m": pa.array([v[1] for v in values], pa.float64()),
            "row": pa.array(range(1, len(values) + 1), pa.int64()),
        }
    )


def test_an_id_is_siphash_of_the_sources_own_id_under_the_source():
    ids = record_ids("log", pa.array(["MC1", "MC1", "MC2"])).to_pylist()
    assert ids[0] == ids[1] != ids[2]
    assert record_ids("other", pa.array(["MC1"])).to_pylist() != ids[:1]
    # Frozen: an id that changes breaks every link to a record.
    key = hashlib.sha256(b"log").hexdigest()[:16].encode()
    assert ids[0] == f"{splitmix(siphash24(key, b'MC1')):016x}"


def test_the_reference_vectors():
    """Aumasson and Bernstein, SipHash, appendix A (key 00…0f, message 00…0e); SplitMix64 from seed 1234567."""
    assert siphash24(bytes(range(16)), bytes(range(15))) == 0xA129CA6149BE45E5
    assert splitmix((1234567 + 0x9E3779B97F4A7C15) % 2**64) == 6457827717110365317


def splitmix(x: int) -> int:
    """Finaliser of SplitMix64, written from its paper."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = ((x ^ (x >> shift)) * factor) % 2**64
    return x ^ (x >> 31)


def siphash24(key: bytes, message: bytes) -> int:
    """SipHash-2-4, written from its paper."""
    mask = (1 << 64) - 1

    def rotated(x: int, by: int) -> int:
        return ((x << by) | (x >> (64 - by))) & mask

    k0, k1 = (int.from_bytes(key[i : i + 8], "little") for i in (0, 8))
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]

    def rounds(number: int) -> None:
        for _ in range(number):
            v[0] = (v[0] + v[1]) & mask
            v[1] = rotated(v[1], 13) ^ v[0]
            v[0] = rotated(v[0], 32)
            v[2] = (v[2] + v[3]) & mask
            v[3] = rotated(v[3], 16) ^ v[2]
            v[0] = (v[0] + v[3]) & mask
            v[3] = rotated(v[3], 21) ^ v[0]
            v[2] = (v[2] + v[1]) & mask
            v[1] = rotated(v[1], 17) ^ v[2]
            v[2] = rotated(v[2], 32)

    padded = message + bytes(7 - len(message) % 8) + bytes([len(message) & 0xFF])
    for i in range(0, len(padded), 8):
        word = int.from_bytes(padded[i : i + 8], "little")
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 0xFF
    rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


@given(st.lists(st.text(max_size=9), max_size=9))
def test_keys_are_the_ids_digits(names: list[str]):
    ids = record_ids("s", pa.array(names, pa.string()))
    assert id_keys(ids).tolist() == [int(i, 16) for i in ids.to_pylist()]
    assert key_ids(id_keys(ids)).equals(ids)


@given(st.lists(st.integers(0, 3), max_size=20))
def test_occurrences_are_counted_in_order(values: list[int]):
    expected = [values[:i].count(v) for i, v in enumerate(values)]
    assert occurrences(np.array(values, dtype=np.uint64)).tolist() == expected


@settings(max_examples=30)
@given(values=CONTENT)
def test_names_and_hashes_of_content_are_equal_where_the_content_is(values: list[tuple[str, float | None]]):
    table = rows(values, [str(i) for i in range(len(values))])
    names, hashes = content_names(table).to_pylist(), content_hashes(table).tolist()
    for i, first in enumerate(values):
        for j, second in enumerate(values):
            assert (names[i] == names[j]) == (first == second) == (hashes[i] == hashes[j])


def test_times_shapes_and_gaps_are_content():
    moments = pa.array([0, 1, None], pa.timestamp("us", tz="UTC"))
    shapes = pa.array([b"\x00", b"\x01", None], pa.binary())
    table = pa.table({"started_at": moments, "shape": shapes, "precision_m": pa.array([0.0, -0.0, None])})
    assert len(set(content_names(table).to_pylist())) == 3
    assert len(set(content_names(table.select(["precision_m"])).to_pylist())) == 2  # −0 is 0


def keys(versions: dict[int, int]) -> Keys:
    names = sorted(versions)
    return Keys(
        np.array(names, np.uint64),
        np.array([versions[n] for n in names], np.uint64),
        np.array([versions[n] for n in names], np.uint64),
        np.array(names, np.int64) + 100,
    )


def naive(deliveries: list[dict[int, int]], *, complete: bool):
    """The same by a dictionary and a loop."""
    present: dict[int, tuple[int, int]] = {}
    counts = dict.fromkeys(("new", "updated", "unchanged", "withdrawn"), 0)
    earlier = []
    for part, one in enumerate(deliveries):
        before = dict(present)
        if complete:
            for key in sorted(set(before) - set(one)):
                counts["withdrawn"] += 1
                earlier.append((before[key][0], key + 100, int(Left.WITHDRAWN), part))
                del present[key]
        for key, version in one.items():
            if key not in before:
                counts["new"] += 1
            elif before[key][1] == version:
                counts["unchanged"] += 1
            else:
                counts["updated"] += 1
                earlier.append((before[key][0], key + 100, int(Left.UPDATED), part))
            present[key] = (part, version)
    return present, counts, sorted(earlier)


@settings(max_examples=150)
@given(deliveries=st.lists(VERSIONS, min_size=1, max_size=5), complete=st.booleans())
def test_folding_is_what_a_loop_over_deliveries_does(deliveries: list[dict[int, int]], *, complete: bool):
    folded = fold_deliveries([keys(d) for d in deliveries], "complete" if complete else "increment")
    present, counts, earlier = naive(deliveries, complete=complete)
    found = dict(
        zip(folded.key.tolist(), zip(folded.part.tolist(), folded.likeness.tolist(), strict=True), strict=True)
    )
    assert found == present
    assert (folded.row == folded.key.astype(np.int64) + 100).all()
    assert {name: getattr(folded, name) for name in counts} == counts
    assert earlier == sorted(
        zip(
            folded.earlier_part.tolist(),
            folded.earlier_row.tolist(),
            folded.earlier_left.tolist(),
            folded.earlier_by.tolist(),
            strict=True,
        )
    )
    assert folded.new + folded.updated + folded.unchanged == sum(len(d) for d in deliveries)
    if complete:
        assert set(present) == set(deliveries[-1])


def test_one_changed_value_is_an_update():
    folded = fold_deliveries([keys({1: 1, 2: 1, 3: 0}), keys({1: 1, 2: 2, 4: 0})], "complete")
    assert (folded.new, folded.updated, folded.unchanged, folded.withdrawn) == (4, 1, 1, 1)
    assert folded.coming.tolist() == [Coming.UNCHANGED, Coming.UPDATED, Coming.NEW]
