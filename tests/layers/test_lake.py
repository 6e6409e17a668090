from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.digests import table_digest
from layers.errors import LakeError
from layers.lake import DataFile, LakeTable


def rows(*ids: int) -> pa.Table:
    return pa.table({"id": pa.array(ids, pa.int64()), "name": pa.array([f"n{i}" for i in ids], pa.string())})


def ids_of(table: LakeTable) -> list[int]:
    return sorted(table.read(["id"]).column("id").to_pylist())


@pytest.fixture
def table(tmp_path: Path) -> LakeTable:
    return LakeTable(tmp_path, "records")


def commit(table: LakeTable, parts: dict[str | None, pa.Table], source: str = "1", **options):
    return table.commit(parts, inputs={"source": source}, sort_by=["id"], **options)


def test_what_is_committed_is_read(table: LakeTable):
    assert not table.exists()
    with pytest.raises(LakeError, match="no table 'records'"):
        table.read()
    version = commit(table, {"month=2024-01": rows(1, 2), "month=2024-02": rows(3)}, metadata={"note": "é"})
    assert (version.version, version.rows, dict(version.inputs)) == (1, 3, {"source": "1"})
    assert table.latest() == version
    assert table.latest().metadata == {"note": "é"}
    assert table.read().column_names == ["id", "name"]
    assert table.read(partitions=["month=2024-02"]).column("id").to_pylist() == [3]
    assert table.read(["name"], partitions=["month=1999-01"]).num_rows == 0
    with pytest.raises(LakeError, match="nothing"):
        table.read(["nothing"])


def test_the_same_again_changes_nothing(table: LakeTable):
    first = commit(table, {"a": rows(1, 2), "b": rows(3)})
    assert commit(table, {"b": rows(3), "a": rows(2, 1)}) == first
    again = commit(table, {"b": rows(3), "a": rows(2, 1)}, source="2")
    assert (again.version, again.digest, again.files) == (2, first.digest, first.files)


def test_a_commit_of_partitions_leaves_the_others(table: LakeTable):
    first = commit(table, {"a": rows(1), "b": rows(2)})
    second = commit(table, {"b": rows(5, 6), "c": rows(7)}, source="2", replace="partitions")
    assert ids_of(table) == [1, 5, 6, 7]
    assert second.partitions["a"] == first.partitions["a"]
    commit(table, {"b": rows()}, source="3", replace="partitions")
    assert ids_of(table) == [1, 7]
    commit(table, {"c": rows(7)}, source="4")
    assert ids_of(table) == [7]


def test_an_empty_table_keeps_its_columns(table: LakeTable):
    commit(table, {None: rows()})
    assert table.exists()
    assert table.read().schema.equals(rows().schema)


@settings(max_examples=20)
@given(first=st.lists(st.integers(0, 50), unique=True), second=st.lists(st.integers(0, 50), unique=True))
def test_the_digest_is_that_of_the_content_however_it_came(
    tmp_path_factory: pytest.TempPathFactory, first: list[int], second: list[int]
):
    def by_month(ids: list[int]) -> dict[str | None, pa.Table]:
        return {f"m={m}": rows(*[i for i in ids if i % 3 == m]) for m in range(3)}

    detour = LakeTable(tmp_path_factory.mktemp("detour"), "t")
    commit(detour, by_month(first))
    commit(detour, by_month(second), source="2", replace="partitions")
    straight = LakeTable(tmp_path_factory.mktemp("straight"), "t")
    assert commit(straight, by_month(second), source="2").digest == detour.latest().digest
    assert ids_of(detour) == sorted(second)


def test_files_of_workers_are_committed(table: LakeTable):
    files = []
    for ids in ((1, 2), (3,)):
        path = table.new_path("a")
        pq.write_table(rows(*ids), path)
        files.append(DataFile(path, len(ids), "a"))
    with pytest.raises(LakeError, match="2 files need sort_by"):
        table.commit_files(files, inputs={})
    version = table.commit_files(files, inputs={}, sort_by=["id"])
    assert version.partitions == {"a": table_digest(rows(3, 1, 2), ["id"])}
    assert ids_of(table) == [1, 2, 3]
    # However many files the workers made of it, it is the same content.
    one = table.new_path("a")
    pq.write_table(rows(1, 2, 3), one)
    again = table.commit_files([DataFile(one, 3, "a")], inputs={}, sort_by=["id"])
    assert again.version == version.version


def test_parts_are_committed_like_tables_and_unchanged_ones_keep_their_files(table: LakeTable, tmp_path: Path):
    first = [table.part("a", rows(1, 2), None), table.part("b", rows(3), None, repetitive=["name"])]
    version = table.commit_files(first, inputs={"source": "1"})
    assert version.digest == commit(LakeTable(tmp_path, "other"), {"b": rows(3), "a": rows(1, 2)}).digest
    assert ids_of(table) == [1, 2, 3]
    second = [table.part("a", rows(1, 2), version), table.part("b", rows(3, 4), version)]
    assert (second[0], second[1].path != first[1].path) == (first[0], True)
    table.commit_files(second, inputs={"source": "2"})
    assert ids_of(table) == [1, 2, 3, 4]
    names = table.read(["name"]).column("name").to_pylist()
    assert names == ["n1", "n2", "n3", "n4"]  # however text is encoded in the file


def test_a_part_of_other_columns_or_of_another_partition_is_written_anew(table: LakeTable):
    first = table.part("a", rows(1), None)
    version = table.commit_files([first], inputs={})
    assert table.part("b", rows(1), version).path != first.path
    wider = rows(1).append_column("more", pa.nulls(1, pa.string()))
    assert table.part("a", wider, version).path != first.path
    assert table.part("a", rows(1), None).path != first.path


def test_parts_that_were_never_committed_go_with_the_next_commit(table: LakeTable, tmp_path: Path):
    version = table.commit_files([table.part("a", rows(1), None)], inputs={"source": "1"})
    lost = table.part("a", rows(2), version)
    assert ids_of(table) == [1]
    table.commit_files([table.part("a", rows(3), version)], inputs={"source": "2"})
    assert ids_of(table) == [3]
    assert lost.path not in {str(path) for path in (tmp_path / "records").rglob("*.parquet")}


def test_a_torn_manifest_is_as_if_it_had_not_been(table: LakeTable, tmp_path: Path):
    commit(table, {None: rows(1)})
    commit(table, {None: rows(2)}, source="2")
    manifest = tmp_path / "records" / "_manifests" / "00000002.json"
    manifest.write_bytes(manifest.read_bytes()[:-40])
    assert ids_of(table) == [1]
    assert commit(table, {None: rows(3)}, source="3").version == 3
    assert ids_of(table) == [3]


def test_a_manifest_that_was_edited_does_not_count(table: LakeTable, tmp_path: Path):
    commit(table, {None: rows(1)})
    path = tmp_path / "records" / "_manifests" / "00000001.json"
    document = json.loads(path.read_text())
    document["manifest"]["rows"] = 7
    path.write_text(json.dumps(document))
    assert not table.exists()


def test_the_previous_version_stays_for_its_readers_and_older_ones_go(table: LakeTable, tmp_path: Path):
    versions = [commit(table, {None: rows(i)}, source=str(i)) for i in range(4)]
    left = {str(p) for p in (tmp_path / "records").rglob("*.parquet")}
    assert left == {f.path for v in versions[-2:] for f in v.files}
    assert len(list((tmp_path / "records" / "_manifests").iterdir())) == 2


class Crash(BaseException):
    """Stands for kill -9: nothing catches it."""


class FailingFileSystem(pafs.FileSystemHandler):
    """A file system that dies at its n-th change."""

    def __init__(self, folder: Path, changes_left: int) -> None:
        self.inner = pafs.SubTreeFileSystem(str(folder), pafs.LocalFileSystem())
        self.changes_left = changes_left

    def _change(self) -> None:
        self.changes_left -= 1
        if self.changes_left < 0:
            raise Crash

    def get_type_name(self):
        return "failing"

    def normalize_path(self, path):
        return path

    def get_file_info(self, paths):
        return self.inner.get_file_info(paths)

    def get_file_info_selector(self, selector):
        return self.inner.get_file_info(selector)

    def create_dir(self, path, recursive):
        self.inner.create_dir(path, recursive=recursive)

    def delete_dir(self, path):
        self.inner.delete_dir(path)

    def delete_dir_contents(self, path, missing_dir_ok):
        self.inner.delete_dir_contents(path, missing_dir_ok=missing_dir_ok)

    def delete_root_dir_contents(self):
        raise NotImplementedError

    def delete_file(self, path):
        self._change()
        self.inner.delete_file(path)

    def move(self, src, dest):
        raise AssertionError("a commit needs no rename")

    def copy_file(self, src, dest):
        raise AssertionError("a commit needs no copy")

    def open_input_stream(self, path):
        return self.inner.open_input_stream(path)

    def open_input_file(self, path):
        return self.inner.open_input_file(path)

    def open_output_stream(self, path, metadata):
        stream = self.inner.open_output_stream(path)
        self.changes_left -= 1
        if self.changes_left < 0:
            stream.write(b'{"manifest": {"version": 2, "dig')  # torn half way
            stream.close()
            raise Crash
        return stream

    def open_append_stream(self, path, metadata):
        raise NotImplementedError


@pytest.mark.parametrize("changes", range(8))
def test_a_crash_at_any_change_leaves_the_old_version_or_the_new_one(tmp_path: Path, changes: int):
    """Any file system does, and no point of a commit loses the table."""
    steady = LakeTable("", "records", pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem()))
    commit(steady, {"a": rows(1), "b": rows(2)})
    commit(steady, {"a": rows(1), "b": rows(3)}, source="2")
    handler = FailingFileSystem(tmp_path, changes)
    failing = LakeTable("", "records", pafs.PyFileSystem(handler))
    crashed = False
    try:
        commit(failing, {"a": rows(4), "b": rows(5)}, source="3")
    except Crash:
        crashed = True
    assert ids_of(steady) in ([1, 3], [4, 5])
    assert crashed or ids_of(steady) == [4, 5]
    # The next run completes, and leaves no file that nothing names.
    commit(steady, {"a": rows(4), "b": rows(6)}, source="4")
    assert ids_of(steady) == [4, 6]
    named = {f.path for f in steady.latest().files}
    present = {f"records/{p.relative_to(tmp_path / 'records')}" for p in (tmp_path / "records").rglob("*.parquet")}
    assert named <= present
    assert len(present) <= 2 * len(named)
