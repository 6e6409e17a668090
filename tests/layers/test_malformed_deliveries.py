"""Whatever arrives is refused by name and leaves nothing, or its good rows are records and its bad ones are named."""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from layers import receiving
from layers.errors import DeliveryError
from layers.ingest import ingest
from layers.lake import layer_table, reject_table
from support.conservation import check_conservation
from support.corpus import CORPUS, Case
from support.corpus.case import SPOILT, Row, csv_cells, csv_text, good_row, good_rows, text
from support.corpus.values import with_cells
from support.delivered_city import DeliveredCity
from support.quickly import quickly

KEPT = [name for name, case in CORPUS.items() if case.refused is None]
REFUSED = [name for name, case in CORPUS.items() if case.refused is not None]


@pytest.fixture(scope="module", autouse=True)
def _without_waiting() -> Iterator[None]:
    with quickly():
        yield


def expected(row: Row, case: Case) -> dict[str, object]:
    told: dict[str, object] = {
        "record_id": row.name,
        "source_code": row.code,
        "category": {"N1": "night_noise", "F1": "dispute"}[row.code],
        "started_at": row.moment.replace(tzinfo=dt.UTC) - dt.timedelta(hours=2),
        "severity": row.severity,
        "address": row.address,
        "located_by": "coordinates",
        "x_m": pytest.approx(row.x, abs=0.01),
        "y_m": pytest.approx(row.y, abs=0.01),
    }
    return told | case.changed.get(row.name, {})


def test_the_corpus_is_large_enough():
    assert len(CORPUS) >= 40


@pytest.mark.parametrize("name", KEPT)
def test_good_rows_are_records_and_bad_ones_are_named(tmp_path: Path, name: str):
    case = CORPUS[name]
    city = DeliveredCity.at(tmp_path)
    case.deliver(city)
    report = ingest(city.load(), city.home)
    assert report.figures["log.rows"] == case.rows
    check_conservation(city, report)
    rejects = reject_table(city.home, "log").read()
    found = sorted(zip(*(rejects.column(n).to_pylist() for n in ("row", "field", "reason")), strict=True), key=str)
    assert found == sorted(case.faults, key=str)
    assert set(rejects.column("file").to_pylist()) <= {case.file}
    table = layer_table(city.home, "incidents").read()
    if case.good > 1000:
        assert set(table.column("record_id").to_pylist()) == {row.name for row in case.records}
        return
    records = {record["record_id"]: record for record in table.to_pylist()}
    assert set(records) == {row.name for row in case.records}
    for row in case.records:
        told = expected(row, case)
        assert {name: records[row.name][name] for name in told} == told


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_names_the_file_and_leaves_nothing(tmp_path: Path, name: str):
    case = CORPUS[name]
    city = DeliveredCity.at(tmp_path)
    case.deliver(city)
    with pytest.raises(DeliveryError) as refusal:
        ingest(city.load(), city.home)
    message = str(refusal.value)
    assert case.file in message
    assert re.search(case.refused or "", message, re.DOTALL), message
    assert len(message) < 2_000
    assert not [row.address for row in good_rows() if row.address in message]
    left = sorted(str(path.relative_to(city.home.root)) for path in city.home.root.rglob("*") if path.is_file())
    assert left == ["home.json", "state/writer.lock"]


DANGEROUS = ("=CMD|'/c calc'!A0", "<script>alert(1)</script>", "</td><img src=x onerror=alert(1)>", "@SUM(1)", "+1+1")


@pytest.mark.parametrize("value", DANGEROUS)
def test_what_is_told_of_a_delivery_runs_nowhere(tmp_path: Path, value: str):
    """A code that nobody knows is listed in the report of quality; a wrong number is a reject."""
    for cells in ({"CODE": value}, {"GRAVITE": value}, {"NUM": value}):
        city = DeliveredCity.at(tmp_path / next(iter(cells)))
        with_cells(**cells).deliver(city)
        ingest(city.load(), city.home)
        pages = [path.read_text(encoding="utf-8") for path in city.home.root.rglob("*.html")]
        assert pages
        assert not [page for page in pages if value in page and "<" in value]
        # No table that a spreadsheet program would open, and run.
        assert not [path for path in city.home.root.rglob("*") if path.suffix in {".csv", ".tsv", ".xlsx", ".ods"}]


def test_a_column_is_named_by_its_beginning(tmp_path: Path):
    """A header can be as long as a page."""
    city = DeliveredCity.at(tmp_path)
    Case(file="log.csv", write=text(csv_text().replace("NUM", "N" * 100_000, 1))).deliver(city)
    with pytest.raises(DeliveryError, match="NNNN") as refusal:
        ingest(city.load(), city.home)
    assert len(str(refusal.value)) < 2_000


def changing(monkeypatch: pytest.MonkeyPatch, change) -> None:
    """Let ``change`` happen to the file between its digest and its reading."""
    plain = receiving.open_delivery

    def opened(path: Path, options):
        change(path)
        return plain(path, options)

    monkeypatch.setattr(receiving, "open_delivery", opened)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (Path.unlink, "No such file"),
        (lambda path: path.write_bytes(path.read_bytes() + b"MC99"), "changed while it was read"),
        (lambda path: os.truncate(path, 300), "changed while it was read"),
        (lambda path: path.write_text(csv_text().replace("MC3", "MC7")), "changed while it was read"),
    ],
    ids=["vanishes", "grows", "shrinks", "becomes another"],
)
def test_a_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change, message: str
):
    city = DeliveredCity.at(tmp_path)
    Case(file="log.csv", write=text(csv_text())).deliver(city)
    changing(monkeypatch, change)
    with pytest.raises(DeliveryError, match=f"log.csv.*{message}"):
        ingest(city.load(), city.home)
    assert not list(city.home.raw.rglob("*.*"))


def files_of(city: DeliveredCity) -> set[Path]:
    """Deliveries and tables in the lake; what was accepted may be worked out again by other rules."""
    folders = (city.home.raw, city.home.layers, city.home.rejects, city.home.stages)
    return {path for folder in folders for path in folder.rglob("*") if path.is_file()}


def test_a_refused_delivery_does_not_touch_what_was_there(tmp_path: Path):
    """Also one that is refused when its rows are taken, after it was received."""
    city = DeliveredCity.at(tmp_path)
    Case(file="log.csv", write=text(csv_text())).deliver(city)
    ingest(city.load(), city.home)
    before = files_of(city)
    for name in ("a duration as the date", "a GeoPackage in no system", "a quotation mark that is never closed"):
        path = CORPUS[name].deliver(city)
        with pytest.raises(DeliveryError):
            ingest(city.load(), city.home)
        path.unlink()
        assert files_of(city) == before
    Case(file="log.csv", write=text(csv_text())).deliver(city)
    assert ingest(city.load(), city.home).figures["log.records"] == len(good_rows())


def test_links_in_a_circle_are_passed_over_by_a_pattern(tmp_path: Path):
    city = DeliveredCity.at(tmp_path)
    case = Case(
        file="log*.csv", write=lambda path: (path.parent / "log1.csv").write_bytes(csv_text().encode()) and None
    )
    case.deliver(city)
    (city.folder / "log0.csv").symlink_to("log2.csv")
    (city.folder / "log2.csv").symlink_to("log0.csv")
    (city.folder / "log3.csv").mkdir()
    assert ingest(city.load(), city.home).figures["log.records"] == len(good_rows())


def test_a_corrected_file_gives_its_spoilt_row_back(tmp_path: Path):
    """What was rejected of the first delivery is new in the second; the others are unchanged."""
    city = DeliveredCity.at(tmp_path)
    CORPUS["31 February"].deliver(city)
    assert ingest(city.load(), city.home).figures["log.rejected"] == 1
    rows = [";".join(csv_cells(row)) for row in good_rows()]
    (city.folder / "log.csv").write_text("\n".join([csv_text().partition("\n")[0], *rows]), encoding="utf-8")
    figures = ingest(city.load(), city.home).figures
    assert {r["record_id"] for r in layer_table(city.home, "incidents").read().to_pylist()} == {
        row.name for row in good_rows()
    }
    assert figures["log.rows"] == 2 * len(good_rows())
    counted = [figures[f"log.{name}"] for name in ("new", "updated", "unchanged", "merged", "rejected")]
    assert counted == [len(good_rows()), 0, len(good_rows()) - 1, 0, 1]
    assert good_row(SPOILT).name == "MC5"
