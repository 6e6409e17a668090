"""Tables of the lake: Parquet files under unique names, numbered manifests, and no rename.

A commit writes data files, then one manifest that carries its own digest. A reader takes the highest manifest that is
whole, so a crash at any point leaves the previous version readable, and any file system of pyarrow will do.
"""

from __future__ import annotations

import base64
import json
import os
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from layers.digests import digest_json, ordered_digest, table_digest
from layers.errors import LakeError
from layers.home import Home

_MANIFESTS = "_manifests"
_FILTERED = frozenset({"date", "started_at"})
"""Columns by which whoever reads the files can pass over parts of them."""
_KEPT_VERSIONS = 2
"""A reader that opened the previous version may finish; older ones go with the next commit."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """One Parquet file of a table; ``digest`` is the canonical digest of its content (empty: to be computed)."""

    path: str
    rows: int
    partition: str | None = None
    digest: str = ""


@dataclass(frozen=True, slots=True)
class TableVersion:
    """One committed version. Paths of ``files`` are whole, for the table's file system."""

    version: int
    digest: str
    rows: int
    files: tuple[DataFile, ...]
    inputs: Mapping[str, str]
    schema: pa.Schema | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def partitions(self) -> dict[str | None, str]:
        """Partition → digest of its content: what changed between two versions."""
        return _partition_digests(self.files)


class LakeTable:
    """A table: a folder of Parquet files and the manifests that say which of them count.

    Parameters
    ----------
    root
        Folder that holds the table's folder (a path of ``filesystem``).
    name
        The table's folder.
    filesystem
        Any pyarrow file system; the local one by default.
    """

    def __init__(self, root: str | Path, name: str, filesystem: pafs.FileSystem | None = None) -> None:
        self.filesystem: pafs.FileSystem = filesystem or pafs.LocalFileSystem()
        self.name = name
        self.folder = f"{str(root).rstrip('/')}/{name}" if str(root) else name

    def __repr__(self) -> str:
        version = self.latest()
        state = f"version {version.version}, {version.rows} rows" if version else "empty"
        return f"<LakeTable {self.name}: {state}>"

    def exists(self) -> bool:
        """Whether a whole version has been committed."""
        return self.latest() is not None

    def latest(self) -> TableVersion | None:
        """Return the highest version whose manifest is whole, or None."""
        for number in sorted(self._manifest_numbers(), reverse=True):
            if version := self._load(number):
                return version
        return None

    def read(self, columns: Sequence[str] | None = None, partitions: Sequence[str | None] | None = None) -> pa.Table:
        """Read the latest version.

        Parameters
        ----------
        columns
            Columns to read; all by default.
        partitions
            Partitions to read; all by default. One that is not there is an empty one.

        Raises
        ------
        LakeError
            If the table has no version, or a column is unknown.
        """
        version = self.latest()
        if version is None or version.schema is None:
            raise LakeError(f"the lake has no table {self.name!r} in {self.folder}")
        unknown = set(columns or ()) - set(version.schema.names)
        if unknown:
            raise LakeError(f"table {self.name!r} has no column {sorted(unknown)}; it has {version.schema.names}")
        names = list(columns) if columns is not None else version.schema.names
        wanted = [f for f in version.files if partitions is None or f.partition in partitions]
        schema = pa.schema([version.schema.field(n) for n in names], metadata=version.schema.metadata)
        parts = [self._read_file(f.path, names).cast(schema) for f in wanted]
        return pa.concat_tables(parts) if parts else schema.empty_table()

    def new_path(self, partition: str | None) -> str:
        """Path, unique for ever, at which a worker may write a file of ``partition``; its folder exists."""
        folder = f"{self.folder}/{partition}" if partition else self.folder
        self.filesystem.create_dir(folder, recursive=True)
        return f"{folder}/{uuid.uuid4().hex}.parquet"

    def commit(
        self,
        parts: Mapping[str | None, pa.Table],
        *,
        inputs: Mapping[str, str],
        sort_by: Sequence[str],
        replace: Literal["all", "partitions"] = "all",
        metadata: Mapping[str, Any] | None = None,
    ) -> TableVersion:
        """Write ``parts`` and make them the table, or its partitions of those names.

        Parameters
        ----------
        parts
            Partition → rows. All share one schema. An empty part removes its partition.
        inputs
            Name → digest of what the content was made from.
        sort_by
            Columns of the canonical order, in which rows are also what the digest sees.
        replace
            ``all``: the parts are the whole table; ``partitions``: other partitions stay.
        metadata
            JSON values kept with the version.

        Returns
        -------
        TableVersion
            The new version; the present one when content and inputs are unchanged. Files of partitions whose
            content is unchanged are kept, not rewritten.
        """
        present = self.latest()
        known = {f.partition: f for f in present.files} if present else {}
        schema = next((t.schema for t in parts.values()), None)
        # A table whose columns changed is rewritten: a file's digest covers its columns, but cheap paths must not mix.
        same_schema = present is not None and present.schema is not None and present.schema.equals(schema)
        files: list[DataFile] = []
        for partition, table in parts.items():
            digest = table_digest(table, sort_by)
            old = known.get(partition)
            if same_schema and old is not None and old.digest == digest:
                files.append(old)
            elif table.num_rows or partition is None:
                path = self.new_path(partition)
                pq.write_table(table, path, filesystem=self.filesystem, compression="zstd")
                files.append(DataFile(path, table.num_rows, partition, digest))
        return self._commit(files, set(parts), inputs, replace, schema, metadata)

    def part(
        self,
        partition: str | None,
        ordered: pa.Table,
        present: TableVersion | None,
        *,
        repetitive: Collection[str] = (),
    ) -> DataFile:
        """Write a partition for a later :meth:`commit_files`, or keep the file that holds the same already.

        Parameters
        ----------
        ordered
            Rows in canonical order (:func:`layers.digests.in_canonical_order`).
        present
            Version that this one will follow.
        repetitive
            Columns of few different values: they alone are worth a dictionary.
        """
        digest = ordered_digest(ordered)
        if present is not None and present.schema is not None and present.schema.equals(ordered.schema):
            for file in present.files:
                if file.partition == partition and file.digest == digest:
                    return file
        path = self.new_path(partition)
        dictionary = [name for name in ordered.column_names if name in repetitive]
        pq.write_table(
            ordered,
            path,
            filesystem=self.filesystem,
            compression="zstd",
            compression_level=1,
            use_dictionary=dictionary or False,
            write_statistics=[name for name in ordered.column_names if name in _FILTERED],
        )
        return DataFile(path, ordered.num_rows, partition, digest)

    def commit_files(
        self,
        files: Sequence[DataFile],
        *,
        inputs: Mapping[str, str],
        replace: Literal["all", "partitions"] = "all",
        sort_by: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> TableVersion:
        """Make files that workers wrote at :meth:`new_path` the table, or its partitions of those names.

        Parameters
        ----------
        files
            At most one per partition, with its canonical digest; with ``sort_by``, as many as the workers wrote:
            a partition of several files, or without digest, is read back to compute it.
        inputs, replace, metadata
            As for :meth:`commit`.
        sort_by
            Columns of the canonical order.

        Raises
        ------
        LakeError
            If a digest is missing, or a partition has several files, and ``sort_by`` is not given.
        """
        groups: dict[str | None, list[DataFile]] = {}
        for file in files:
            groups.setdefault(file.partition, []).append(file)
        settled: list[DataFile] = []
        for partition, group in groups.items():
            if len(group) == 1 and group[0].digest:
                settled += group
                continue
            if sort_by is None:
                raise LakeError(
                    f"table {self.name!r}, partition {partition!r}: {len(group)} files need sort_by for a digest"
                )
            whole = pa.concat_tables([self._read_file(f.path, None) for f in group])
            digest = table_digest(whole, sort_by)
            settled += [DataFile(f.path, f.rows, f.partition, digest) for f in group]
        schema = self._schema_of(settled[0].path) if settled else None
        return self._commit(settled, set(groups), inputs, replace, schema, metadata)

    def _commit(
        self,
        files: list[DataFile],
        partitions: set[str | None],
        inputs: Mapping[str, str],
        mode: str,
        schema: pa.Schema | None,
        metadata: Mapping[str, Any] | None,
    ) -> TableVersion:
        present = self.latest()
        if mode == "partitions" and present is not None:
            files = [f for f in present.files if f.partition not in partitions] + files
        if schema is None and present is not None:
            schema = present.schema
        files.sort(key=lambda f: (f.partition or "", f.path))
        digest = digest_json({"schema": _schema_text(schema), "partitions": _named(_partition_digests(files))})
        if present and present.digest == digest and dict(present.inputs) == dict(inputs):
            self._remove_orphans()
            return present
        number = max(self._manifest_numbers(), default=0) + 1
        version = TableVersion(
            number, digest, sum(f.rows for f in files), tuple(files), dict(inputs), schema, dict(metadata or {})
        )
        self._sync([f.path for f in files if present is None or f not in present.files])
        self._store(version)
        self._remove_orphans()
        return version

    def _store(self, version: TableVersion) -> None:
        start = len(self.folder) + 1
        body = {
            "version": version.version,
            "digest": version.digest,
            "rows": version.rows,
            "files": [[f.path[start:], f.rows, f.partition, f.digest] for f in version.files],
            "inputs": dict(version.inputs),
            "metadata": dict(version.metadata),
            "schema": base64.b64encode(version.schema.serialize().to_pybytes()).decode() if version.schema else None,
        }
        document = {"manifest": body, "manifest_digest": digest_json(body)}
        folder = f"{self.folder}/{_MANIFESTS}"
        self.filesystem.create_dir(folder, recursive=True)
        path = f"{folder}/{version.version:08d}.json"
        with self.filesystem.open_output_stream(path) as stream:
            stream.write(json.dumps(document, ensure_ascii=False).encode())
        self._sync([path])

    def _load(self, number: int) -> TableVersion | None:
        try:
            with self.filesystem.open_input_stream(f"{self.folder}/{_MANIFESTS}/{number:08d}.json") as stream:
                document = json.loads(stream.read())
            body = document["manifest"]
            if document["manifest_digest"] != digest_json(body):
                return None
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None  # torn by a crash, or removed since it was listed
        files = tuple(DataFile(f"{self.folder}/{p}", rows, part, digest) for p, rows, part, digest in body["files"])
        schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(body["schema"]))) if body["schema"] else None
        return TableVersion(
            body["version"], body["digest"], body["rows"], files, body["inputs"], schema, body["metadata"]
        )

    def _manifest_numbers(self) -> list[int]:
        selector = pafs.FileSelector(f"{self.folder}/{_MANIFESTS}", allow_not_found=True)
        stems = [info.base_name.removesuffix(".json") for info in self.filesystem.get_file_info(selector)]
        return [int(stem) for stem in stems if stem.isdigit()]

    def _remove_orphans(self) -> None:
        """Delete what no kept version names: files of a commit that crashed, and of old versions."""
        numbers = sorted(self._manifest_numbers(), reverse=True)
        whole = {n: v for n in numbers if (v := self._load(n))}
        kept = dict(list(whole.items())[:_KEPT_VERSIONS])
        used = {f.path for v in kept.values() for f in v.files}
        selector = pafs.FileSelector(self.folder, allow_not_found=True, recursive=True)
        for info in self.filesystem.get_file_info(selector):
            path = f"{self.folder}/{info.path.removeprefix(self.folder).lstrip('/')}"
            if info.type == pafs.FileType.File and path.endswith(".parquet") and path not in used:
                self.filesystem.delete_file(path)
        for number in numbers:
            if number not in kept:
                self.filesystem.delete_file(f"{self.folder}/{_MANIFESTS}/{number:08d}.json")

    def _read_file(self, path: str, columns: list[str] | None) -> pa.Table:
        # One file, not a dataset: a folder named month=2024-05 is a partition here, not a column.
        with self.filesystem.open_input_file(path) as file:
            return pq.ParquetFile(file).read(columns=columns)

    def _schema_of(self, path: str) -> pa.Schema:
        with self.filesystem.open_input_file(path) as file:
            return pq.ParquetFile(file).schema_arrow

    def _sync(self, paths: Sequence[str]) -> None:
        """Reach the disk before what follows does; object stores do so on close."""
        if isinstance(self.filesystem, pafs.LocalFileSystem):
            for path in {*paths, *(os.path.dirname(p) for p in paths)}:  # noqa: PTH120 — paths of a pyarrow file system
                sync_path(Path(path))


def sync_path(path: Path) -> None:
    """Flush a local file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _partition_digests(files: Sequence[DataFile]) -> dict[str | None, str]:
    return {f.partition: f.digest for f in files if f.rows or f.partition is None}


def _named(partitions: Mapping[str | None, str]) -> list[list[str | None]]:
    return [[name, digest] for name, digest in sorted(partitions.items(), key=lambda item: item[0] or "")]


def _schema_text(schema: pa.Schema | None) -> list[str]:
    return [f"{f.name}: {f.type}" for f in schema] if schema else []


def layer_table(home: Home, name: str) -> LakeTable:
    """Table of ``lake/layers``: ``incidents``, ``events``, ``zones_<level>``, ``land``, and so on."""
    return LakeTable(home.layers, name)


def cube_table(home: Home, name: str) -> LakeTable:
    """Table of ``lake/cube``: ``base``, ``cell_month_r9``, ``universe_r9``, and so on."""
    return LakeTable(home.cube, name)


def reject_table(home: Home, source: str) -> LakeTable:
    """Refused rows of a source."""
    return LakeTable(home.rejects, source)
