"""Deliveries in the lake: what is kept of them, what is hidden, and what a crash leaves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import shapely

from layers import raw_copies, receiving
from layers.declared_sources import Source
from layers.digests import digest_file
from layers.errors import DeliveryError, LakeError
from layers.home import Home
from layers.readers import Batch, OpenDelivery
from layers.receiving import RawDelivery, Received, hide_in_older, raw_deliveries, receive, store_batches

COLUMNS = {"record_id": "NUM", "started_at": "DATE", "category": "CODE", "x": "X", "y": "Y"}
HEADER = "NUM;DATE;CODE;X;Y;AGENT"
LINES = ("1;2024-05-15;C1;1,5;2;DURAND", "2;2024-05-16;C2;1;2;MARTIN", "3;2024-05-17;C2;1;2;DURAND")
NONE: frozenset[str] = frozenset()


def source(**given: Any) -> Source:
    entry = {
        "id": "log",
        "layer": "incidents",
        "title": {"fr": "Journal", "en": "Log"},
        "organisation": "Police municipale",
        "deliveries": ["log*.csv"],
        "columns": COLUMNS,
        "drop": ["AGENT"],
    }
    return Source.model_validate(entry | given)


class FakeScreen:
    """Masks the value ``MASK ME`` and refuses a column of ``REFUSE ME``, at its end only."""

    def __init__(self, declared: Source, name: str) -> None:
        self.name, self.masked = name, dict[str, dict[str, int]]()
        self.refused = False

    def check_header(self, columns: list[str]) -> None:
        self.header = columns

    def batch(self, table: pa.Table, rows: np.ndarray) -> pa.Table:
        assert len(rows) == table.num_rows
        for position, column in enumerate(table.column_names):
            if not pa.types.is_string(table.schema.field(column).type):
                continue
            hit = pc.equal(table.column(column), "MASK ME")
            self.refused |= bool(pc.any(pc.equal(table.column(column), "REFUSE ME")).as_py())
            if count := pc.sum(hit).as_py():
                kinds = self.masked.setdefault(column, {"email": 0})
                kinds["email"] += count
                table = table.set_column(position, column, pc.if_else(hit, None, table.column(column)))
        return table

    def conclude(self) -> Mapping[str, Mapping[str, int]]:
        if self.refused:
            raise DeliveryError(f"{self.name}: a column of persons")
        return self.masked


@pytest.fixture(autouse=True)
def screened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "Screen", FakeScreen)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def waiting(folder: Path, *lines: str, name: str = "log.csv", header: str = HEADER) -> Received:
    path = folder / name
    path.write_text("\n".join([header, *(lines or LINES)]) + "\n")
    return Received("log", digest_file(path), name, path, None)


def gone(one: Received) -> Received:
    return Received(one.source, one.digest, one.name, None, 1)


def rows_of(raw: RawDelivery) -> list[dict[str, Any]]:
    return [row for batch in raw.batches() for row in batch.table.to_pylist()]


def every_text(home: Home) -> str:
    parts = []
    for path in sorted(p for p in home.root.rglob("*") if p.is_file()):
        parts.append(str(pq.ParquetFile(path).read().to_pylist()) if path.suffix == ".parquet" else path.name)
        parts.append(path.read_bytes().decode("latin-1"))
    return "\n".join(parts)


def test_a_delivery_is_kept_as_it_was_read(folder: Path, home: Home):
    one = waiting(folder, LINES[0], "torn", *LINES[1:])
    raw = receive(one, source(), home, extras=NONE)
    assert rows_of(raw)[0] == {"NUM": "1", "DATE": "2024-05-15", "CODE": "C1", "X": "1,5", "Y": "2"}
    assert (raw.rows, raw.malformed, raw.malformed_rows().tolist()) == (3, 1, [2])
    assert [batch.rows.tolist() for batch in raw.batches()] == [[1, 3, 4]]
    assert (raw.columns, raw.decimal, raw.has_geometry) == (("NUM", "DATE", "CODE", "X", "Y"), ",", False)
    assert (raw.received.name, raw.received.sequence, raw.marker["format"]) == ("log.csv", 1, "csv")
    assert raw.marker["size_bytes"] == one.path.stat().st_size
    assert raw_deliveries("log", home) == [raw]


def test_the_same_delivery_is_not_written_again(folder: Path, home: Home):
    one = waiting(folder)
    raw = receive(one, source(), home, extras=NONE)
    before = {path.name: path.stat().st_mtime_ns for path in raw.folder.iterdir()}
    for again in (one, gone(one)):
        assert receive(again, source(), home, extras=NONE) == raw
    assert {path.name: path.stat().st_mtime_ns for path in raw.folder.iterdir()} == before


def test_the_revision_does_not_depend_on_the_home_or_on_history(folder: Path, tmp_path: Path):
    one = waiting(folder)
    first = receive(one, source(), Home(tmp_path / "a"), extras=NONE)
    other = Home(tmp_path / "b")
    receive(waiting(folder, LINES[2], name="log-0.csv"), source(), other, extras=NONE)
    second = receive(one, source(), other, extras=NONE)
    assert (first.received.sequence, second.received.sequence) == (1, 2)
    assert first.revision == second.revision
    hidden = source(
        drop=["AGENT", "Y"], columns={k: v for k, v in COLUMNS.items() if k not in "xy"} | {"severity": "X"}
    )
    assert receive(one, hidden, other, extras=NONE).revision != first.revision


def test_geometry_is_kept_beside_the_columns(folder: Path, home: Home):
    shapes = [shapely.Point(5.3, 43.3), None, shapely.Point(5.4, 43.2)]
    table = {"NUM": [1, 2, 3], "DATE": ["2024-05-15"] * 3, "CODE": ["C"] * 3, "AGENT": ["x"] * 3}
    path = folder / "log.gpkg"
    gpd.GeoDataFrame(table, geometry=shapes, crs="EPSG:4326").to_file(path)
    declared = source(deliveries=["log.gpkg"], columns={k: v for k, v in COLUMNS.items() if k not in "xy"})
    raw = receive(Received("log", digest_file(path), "log.gpkg", path, None), declared, home, extras=NONE)
    (batch,) = raw.batches()
    assert shapely.from_wkb(batch.geometry.to_pylist()).tolist() == shapes
    assert (raw.crs, raw.has_geometry, batch.table.column_names) == ("EPSG:4326", True, ["NUM", "DATE", "CODE"])


def test_large_deliveries_are_several_parts(folder: Path, home: Home, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(raw_copies, "BATCH_ROWS", 100)
    monkeypatch.setattr(raw_copies, "_PART_ROWS", 250)
    monkeypatch.setattr("layers.readers.delimited.BLOCK_BYTES", 1000)
    raw = receive(waiting(folder, *(f"{n};2024-05-15;C;1;2;x" for n in range(1000))), source(), home, extras=NONE)
    assert len(raw.marker["parts"]) > 2
    assert [row["NUM"] for row in rows_of(raw)] == [str(n) for n in range(1000)]
    assert raw.row_numbers().tolist() == list(range(1, 1001))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (HEADER.replace("CODE", "KODE"), r"log\.csv: source 'log' reads the column 'CODE', which is not there"),
        (HEADER.replace("AGENT", "PHONE"), r"log\.csv: source 'log' says nothing of the column 'PHONE'"),
        (HEADER.replace("AGENT", "AGENT;__row__"), "'__row__'"),
    ],
)
def test_a_delivery_of_other_columns_leaves_no_copy(folder: Path, home: Home, header: str, message: str):
    with pytest.raises(DeliveryError, match=message):
        receive(
            waiting(folder, "a;b;c;d;e;f" if header.count(";") == 5 else "a;b;c;d;e;f;g", header=header),
            source(),
            home,
            extras=NONE,
        )
    assert not list(home.root.rglob("*.parquet"))


def test_columns_of_derived_zones_are_kept(folder: Path, home: Home):
    raw = receive(waiting(folder), source(drop=[]), home, extras=frozenset({"AGENT"}))
    assert raw.columns[-1] == "AGENT"


def test_what_is_refused_at_the_end_leaves_no_copy(folder: Path, home: Home):
    one = waiting(folder, *LINES, "4;REFUSE ME;C;1;2;x")
    with pytest.raises(DeliveryError, match="a column of persons"):
        receive(one, source(), home, extras=NONE)
    assert "REFUSE ME" not in every_text(home)
    assert raw_deliveries("log", home) == []
    assert list((home.raw / "log").iterdir()) == []


def test_masked_values_are_counted_and_nowhere(folder: Path, home: Home):
    raw = receive(waiting(folder, *LINES, "4;MASK ME;C;1;MASK ME;x"), source(), home, extras=NONE)
    assert raw.masked == {"DATE": {"email": 1}, "Y": {"email": 1}}
    assert rows_of(raw)[3]["DATE"] is None
    assert "MASK ME" not in every_text(home)


def test_pseudonyms_stand_for_equal_trimmed_values(folder: Path, home: Home):
    hidden = source(drop=[], pseudonymise=["AGENT"])
    lines = [LINES[0], LINES[1], LINES[2].replace("DURAND", " DURAND "), "4;2024-01-01;C;1;2; "]
    names = [row["AGENT"] for row in rows_of(receive(waiting(folder, *lines), hidden, home, extras=NONE))]
    assert names[0] == names[2] != names[1]
    assert (len(names[0]), names[3]) == (32, None)
    assert "DURAND" not in every_text(home)


def test_more_can_be_hidden_without_the_file(folder: Path, home: Home):
    one = waiting(folder)
    first = receive(one, source(drop=[], pseudonymise=["AGENT"]), home, extras=NONE)
    raw = receive(gone(one), source(), home, extras=NONE)
    assert raw.columns == ("NUM", "DATE", "CODE", "X", "Y")
    assert (raw.rows, raw.received, raw.received_at) == (3, first.received, first.received_at)
    assert "AGENT" not in every_text(home).replace(json.dumps(["AGENT"]), "")
    assert [batch.rows.tolist() for batch in raw.batches()] == [[1, 2, 3]]


def test_nothing_hidden_comes_back_without_the_file(folder: Path, home: Home):
    one = waiting(folder)
    receive(one, source(), home, extras=NONE)
    with pytest.raises(DeliveryError, match=r"'AGENT'.*deliver the file again"):
        receive(gone(one), source(drop=[]), home, extras=frozenset({"AGENT"}))
    pseudonymised = waiting(folder, LINES[0], name="log-2.csv")
    receive(pseudonymised, source(drop=[], pseudonymise=["AGENT"]), home, extras=NONE)
    with pytest.raises(DeliveryError, match=r"'AGENT'.*were pseudonymised"):
        receive(gone(pseudonymised), source(drop=[]), home, extras=frozenset({"AGENT"}))
    assert receive(one, source(drop=[]), home, extras=frozenset({"AGENT"})).columns[-1] == "AGENT"


def test_a_pseudonym_is_made_once(folder: Path, home: Home):
    one = waiting(folder)
    declared = source(drop=[], pseudonymise=["AGENT"])
    first = rows_of(receive(one, declared, home, extras=NONE))
    fewer = declared.model_copy(
        update={"columns": {k: v for k, v in declared.columns.items() if k not in "xy"}, "drop": ("X", "Y")}
    )
    again = rows_of(receive(gone(one), fewer, home, extras=NONE))
    assert [row["AGENT"] for row in again] == [row["AGENT"] for row in first]


def test_a_column_that_changes_its_field_is_screened_again(folder: Path, home: Home):
    one = waiting(folder)
    receive(one, source(), home, extras=NONE)
    moved = source(columns={**COLUMNS, "severity": "CODE"})
    assert receive(gone(one), moved, home, extras=NONE).marker["fields"]["CODE"] == ["category", "severity"]


def test_other_ways_to_read_read_the_file_again(folder: Path, home: Home):
    one = waiting(folder)
    assert receive(one, source(), home, extras=NONE).decimal == ","
    assert receive(one, source(read={"decimal": "."}), home, extras=NONE).decimal == "."
    assert receive(gone(one), source(read={"decimal": ","}), home, extras=NONE).decimal == ","
    raw = receive(one, source(read={"encoding": "utf-16-le"} | {"encoding": "cp1252"}), home, extras=NONE)
    assert raw.marker["read"]["encoding"] == "cp1252"


def test_older_deliveries_lose_what_is_hidden_later(folder: Path, home: Home):
    shown = source(drop=[])
    older = waiting(folder, name="log-1.csv")
    receive(older, shown, home, extras=frozenset({"AGENT"}))
    newer = waiting(folder, LINES[0], name="log-2.csv")
    receive(newer, source(), home, extras=NONE)
    hide_in_older(source(), [newer], home)
    assert "DURAND" not in every_text(home)
    assert [raw.received.name for raw in raw_deliveries("log", home)] == ["log-1.csv", "log-2.csv"]


@pytest.mark.parametrize("damage", ["torn", "edited", "missing"])
def test_a_copy_without_a_whole_marker_does_not_count(folder: Path, home: Home, damage: str):
    one = waiting(folder)
    raw = receive(one, source(), home, extras=NONE)
    (marker,) = raw.folder.glob("marker-*.json")
    if damage == "missing":
        marker.unlink()
    else:
        text = marker.read_text()
        marker.write_text(text[:-20] if damage == "torn" else text.replace('"rows": 3', '"rows": 4'))
    assert raw_deliveries("log", home) == []
    with pytest.raises(DeliveryError, match="damaged and the file is not"):
        receive(gone(one), source(), home, extras=NONE)
    assert receive(one, source(), home, extras=NONE).revision == raw.revision
    assert len(list(raw.folder.iterdir())) == 2


def test_a_crash_while_more_is_hidden_leaves_the_copy_that_counts(
    folder: Path, home: Home, monkeypatch: pytest.MonkeyPatch
):
    """It may be the only one."""
    one = waiting(folder)
    first = receive(one, source(drop=[], pseudonymise=["AGENT"]), home, extras=NONE)

    def full_disk(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(raw_copies, "sync_path", full_disk)
        with pytest.raises(OSError, match="no space"):
            receive(gone(one), source(), home, extras=NONE)
    assert raw_deliveries("log", home) == [first]
    assert len(rows_of(first)) == 3
    assert "AGENT" not in receive(gone(one), source(), home, extras=NONE).columns


def test_what_an_interrupted_copy_left_is_deleted_at_the_next_receive(folder: Path, home: Home):
    one = waiting(folder)
    raw = receive(one, source(), home, extras=NONE)
    orphan = home.raw / "log" / ("0" * 64)
    for path in (orphan / "part-00000001-0001.parquet", raw.folder / "part-00000002-0001.parquet"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("persons")
    assert receive(one, source(), home, extras=NONE) == raw
    assert not orphan.exists()
    assert "persons" not in every_text(home)


def test_a_file_that_changes_while_it_is_read_is_refused(folder: Path, home: Home):
    one = waiting(folder)
    waiting(folder, LINES[0])
    with pytest.raises(DeliveryError, match=r"log\.csv: changed while it was read"):
        receive(one, source(), home, extras=NONE)
    assert raw_deliveries("log", home) == []


def test_columns_that_hold_no_values_are_refused_unless_dropped(folder: Path, home: Home):
    table = pa.table({"NUM": [1], "DATE": ["2024-05-15"], "CODE": [["a"]], "X": [1.0], "Y": [2.0], "AGENT": [b"x"]})
    path = folder / "log.parquet"
    pq.write_table(table, path)
    one = Received("log", digest_file(path), path.name, path, None)
    with pytest.raises(DeliveryError, match=r"log\.parquet: column 'CODE' is of type list.*drop"):
        receive(one, source(), home, extras=NONE)
    assert raw_deliveries("log", home) == []
    pq.write_table(table.set_column(2, "CODE", pa.array(["c"]).dictionary_encode()), path)
    raw = receive(Received("log", digest_file(path), path.name, path, None), source(), home, extras=NONE)
    assert rows_of(raw) == [{"NUM": 1, "DATE": "2024-05-15", "CODE": "c", "X": 1.0, "Y": 2.0}]


def test_a_delivery_without_rows_is_a_delivery(folder: Path, home: Home):
    (folder / "log.csv").write_text(HEADER + "\n")
    one = Received("log", digest_file(folder / "log.csv"), "log.csv", folder / "log.csv", None)
    raw = receive(one, source(), home, extras=NONE)
    assert (raw.rows, list(raw.batches()), receive(gone(one), source(), home, extras=NONE)) == (0, [], raw)


def test_a_damaged_part_is_named(folder: Path, home: Home):
    raw = receive(waiting(folder), source(), home, extras=NONE)
    (raw.folder / raw.marker["parts"][0]).write_bytes(b"PAR1")
    with pytest.raises(LakeError, match=r"copy of log\.csv is damaged"):
        list(raw.batches())


def test_destroyed_rows_do_not_come_back_with_the_file(folder: Path, home: Home):
    one = waiting(folder)
    raw = receive(one, source(), home, extras=NONE)
    writer = raw_copies.CopyWriter(raw.folder, raw.columns, has_geometry=False)
    (batch,) = raw.batches()
    writer.write(batch.table.slice(1), batch.rows[1:], None)
    body = {key: value for key, value in raw.marker.items() if key != "marker"}
    purged = writer.finish(body | {"purged_before": "2024-05-16", "purged_rows": 1})
    assert (purged.purged_rows, str(purged.purged_before), purged.rows) == (1, "2024-05-16", 3)
    shown = receive(one, source(drop=[]), home, extras=frozenset({"AGENT"}))
    assert [row["NUM"] for row in rows_of(shown)] == ["2", "3"]
    assert (shown.rows, shown.purged_rows, shown.row_numbers().tolist()) == (3, 1, [2, 3])


def test_batches_from_elsewhere_are_kept_like_a_file(home: Home):
    def batches() -> Iterator[Batch]:
        for first in (1, 3):
            columns = {name: pa.array([first, first + 1]) for name in ("NUM", "DATE", "CODE", "X", "Y", "AGENT")}
            yield Batch(pa.table(columns), np.array([first, first + 1]))

    opened = OpenDelivery(("NUM", "DATE", "CODE", "X", "Y", "AGENT"), batches())
    raw = store_batches(
        source(),
        home,
        digest="d" * 64,
        name="table@dddddddd",
        opened=opened,
        size_bytes=12,
        extra={"watermark": 4},
        extras=NONE,
    )
    assert raw_deliveries("log", home) == [raw]
    assert (raw.extra, raw.rows, raw.marker["format"]) == ({"watermark": 4}, 4, "database")
    assert [row["NUM"] for row in rows_of(raw)] == [1, 2, 3, 4]
