"""The sample city's layers against its truth: every planted fault refused for its reason, every correction counted."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from layers.catalogue import SourceEntry, read_catalogue
from layers.home import Home
from layers.lake import layer_table, reject_table
from support.ingested import LAW

SAMPLE = Path(__file__).resolve().parents[2] / "data_samples" / "marseille" / "generated"


@pytest.fixture(scope="module")
def home(sample_home: Path) -> Home:
    return Home(sample_home)


@pytest.fixture(scope="module")
def truth(home: Home) -> dict:
    return json.loads((SAMPLE / "truth" / "truth.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def catalogue(home: Home) -> dict[str, SourceEntry]:
    return {entry.id: entry for entry in read_catalogue(home)}


def test_planted_faults_are_refused_for_their_reasons_and_nothing_else_is(home: Home, truth: dict, catalogue):
    planted = {(d["source"], d["row"], d["reason"]) for d in truth["dirty_rows"] if d["expected"] == "rejected"}
    found = {
        (source, r["row"], r["reason"]) for source in catalogue for r in reject_table(home, source).read().to_pylist()
    }
    assert len(planted) > 10
    assert found == planted


def test_planted_codes_are_unmapped_and_planted_places_off_land(home: Home, truth: dict):
    table = layer_table(home, "incidents").read(["theme", "on_land"])
    kinds = Counter(d["expected"] for d in truth["dirty_rows"])
    assert pc.sum(pc.equal(table.column("theme"), "unmapped")).as_py() == kinds["unmapped"]
    # Points of the shore are moved by a few metres when they are recorded: a few fall into the water.
    off_land = pc.sum(pc.invert(table.column("on_land"))).as_py()
    assert kinds["off_land"] <= off_land <= kinds["off_land"] + 60


def test_corrections_of_the_second_delivery_are_counted(home: Home, catalogue: dict[str, SourceEntry]):
    with (SAMPLE / "truth" / "corrections.csv").open(encoding="utf-8", newline="") as lines:
        changes = Counter(r["change"] for r in csv.DictReader(lines))
    figures = catalogue["allo_mairie"].figures
    assert figures["withdrawn"] == changes["withdrawn"]
    assert figures["updated"] == changes["code"] + changes["time"] + changes["place"]
    assert len(catalogue["allo_mairie"].deliveries) == 2


def test_records_are_as_many_as_the_truth_tells(home: Home, truth: dict, catalogue: dict[str, SourceEntry]):
    dirty = Counter(d["source"] for d in truth["dirty_rows"] if d["expected"] != "rejected")
    for source, entry in catalogue.items():
        figures = entry.figures
        assert figures["rows"] == figures["accepted"] + figures["rejected"] == sum(figures[name] for name in LAW)
        if source in truth["records"]:
            assert figures["records"] + figures["merged"] == truth["records"][source] + dirty[source]


def test_rows_planted_twice_in_one_source_are_its_equal_rows(truth: dict, catalogue: dict[str, SourceEntry]):
    equal = sum(catalogue[source].figures["equal_rows"] for source in truth["records"])
    assert equal == truth["duplicates"]["exact"]


def test_dropped_text_is_not_in_the_lake(home: Home, catalogue: dict[str, SourceEntry]):
    assert catalogue["main_courante"].dropped == ("LIBELLE",)
    kept = list((home.raw / "main_courante").rglob("*.parquet"))
    assert kept
    assert all("LIBELLE" not in pq.read_schema(path).names for path in kept)
