from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers.digests import (
    code_digest,
    digest_bytes,
    digest_file,
    digest_json,
    in_canonical_order,
    lock_digest,
    ordered_digest,
    table_digest,
)

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "key": st.integers(0, 5),
            "text": st.none() | st.text(max_size=4),
            "number": st.none() | st.floats(allow_nan=True),
            "blob": st.none() | st.binary(max_size=3),
            "flag": st.none() | st.booleans(),
            "tags": st.none() | st.lists(st.text(max_size=2), max_size=2),
        }
    ),
    max_size=12,
)
SCHEMA = pa.schema(
    [
        ("key", pa.int32()),
        ("text", pa.string()),
        ("number", pa.float64()),
        ("blob", pa.binary()),
        ("flag", pa.bool_()),
        ("tags", pa.list_(pa.string())),
    ]
)


def table_of(rows: list[dict[str, object]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def test_known_digest_of_the_sha_standard(tmp_path: Path):
    """FIPS 180-2, appendix B.1."""
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    (tmp_path / "abc").write_bytes(b"abc")
    assert digest_bytes(b"abc") == digest_file(tmp_path / "abc") == known


def test_json_digest_ignores_the_order_of_keys_and_heeds_that_of_lists():
    assert digest_json({"a": 1, "é": [1, 2]}) == digest_json({"é": [1, 2], "a": 1})
    assert digest_json([1, 2]) != digest_json([2, 1])
    assert digest_json({"é": 1}) == hashlib.sha256('{"é":1}'.encode()).hexdigest()
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest_json(float("nan"))


@given(rows=ROWS, seed=st.randoms(use_true_random=False), cut=st.integers(0, 12))
def test_order_and_chunks_do_not_matter(rows: list[dict[str, object]], seed, cut: int):
    # Rows that differ in their lists only have no order of their own: lists cannot be compared.
    rows = [{**r, "tags": [str(r["key"])]} for r in rows]
    shuffled = list(rows)
    seed.shuffle(shuffled)
    chunked = pa.concat_tables([table_of(shuffled[:cut]), table_of(shuffled[cut:])])
    assert table_digest(chunked, ["key"]) == table_digest(table_of(rows), ["key"])


@given(rows=ROWS.filter(bool), data=st.data())
def test_every_value_matters(rows: list[dict[str, object]], data: st.DataObject):
    position = data.draw(st.integers(0, len(rows) - 1))
    name = data.draw(st.sampled_from(["key", "text", "blob", "flag"]))
    other = {"key": 77, "text": "autre", "blob": b"autre", "flag": None if rows[position]["flag"] is not None else True}
    changed = [*rows[:position], {**rows[position], name: other[name]}, *rows[position + 1 :]]
    assert table_digest(table_of(changed), ["key"]) != table_digest(table_of(rows), ["key"])


def test_null_is_not_empty_and_negative_zero_is_zero():
    def one(value: object, kind: pa.DataType) -> str:
        return table_digest(pa.table({"v": pa.array([value], kind)}), ["v"])

    assert one(None, pa.string()) != one("", pa.string())
    assert one(None, pa.float64()) != one(0.0, pa.float64())
    assert one(-0.0, pa.float64()) == one(0.0, pa.float64())
    assert one(1, pa.int32()) != one(1, pa.int64())


def test_how_text_is_encoded_is_no_content():
    words = pa.array(["a", "b", "a", None])
    plain = table_digest(pa.table({"w": words}), ["w"])
    assert table_digest(pa.table({"w": words.dictionary_encode()}), ["w"]) == plain
    assert table_digest(pa.table({"w": words.cast(pa.large_string())}), ["w"]) == plain
    assert table_digest(pa.table({"w": words}).replace_schema_metadata({"geo": "{}"}), ["w"]) == plain


@given(rows=ROWS, seed=st.randoms(use_true_random=False))
def test_rows_in_canonical_order_have_the_digest_of_the_table(rows: list[dict[str, object]], seed):
    ordered = in_canonical_order(table_of(rows), ["key"])
    assert ordered_digest(ordered) == table_digest(table_of(rows), ["key"])
    assert ordered_digest(in_canonical_order(ordered, ["key"])) == ordered_digest(ordered)
    assert ordered.column("key").to_pylist() == sorted(r["key"] for r in rows)
    # Lists have no order of their own: rows that differ in them alone stay as they came.
    seed.shuffle(rows)
    again = in_canonical_order(table_of(rows).drop_columns(["tags"]), ["key"])
    assert ordered_digest(again) == ordered_digest(ordered.drop_columns(["tags"]))


def test_the_order_counts_for_a_digest_of_ordered_rows():
    one, other = pa.table({"v": [1, 2]}), pa.table({"v": [2, 1]})
    assert ordered_digest(one) != ordered_digest(other)
    assert ordered_digest(one) == table_digest(other, ["v"])


def test_lists_are_content_and_null_is_no_empty_list():
    def one(*values: list[str] | None) -> str:
        return ordered_digest(pa.table({"v": pa.array(values, pa.list_(pa.string()))}))

    assert len({one(None), one([]), one([""]), one(["a", "b"]), one(["ab"]), one(["b", "a"])}) == 6
    assert one(["a"], ["b"]) != one(["a", "b"], [])


def test_what_lies_under_nulls_and_outside_slices_is_no_content():
    numbers = pa.array([9, 1, 2, 9]).slice(1, 2)
    hidden = pa.Array.from_buffers(pa.int64(), 2, [pa.py_buffer(b"\x01"), pa.array([1, 777]).buffers()[1]])
    assert table_digest(pa.table({"v": numbers}), ["v"]) == table_digest(pa.table({"v": [1, 2]}), ["v"])
    assert table_digest(pa.table({"v": hidden}), ["v"]) == table_digest(pa.table({"v": [1, None]}), ["v"])


def test_sorting_by_a_missing_column_is_refused():
    with pytest.raises(KeyError, match="nowhere"):
        table_digest(pa.table({"v": [1]}), ["nowhere"])


def test_code_digest_changes_with_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    package = tmp_path / "some_package"
    package.mkdir()
    (package / "__init__.py").write_text("A = 1\n")
    (package / "notes.md").write_text("no code")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = code_digest("some_package")
    (package / "notes.md").write_text("still no code")
    assert code_digest("some_package") == before
    (package / "query.sql").write_text("select 1")
    assert code_digest("some_package") != before
    assert code_digest("layers") != code_digest()
    with pytest.raises(ModuleNotFoundError, match="nowhere_at_all"):
        code_digest("nowhere_at_all")
    assert len(lock_digest()) == 64
