"""After a purge nobody who decodes every file and every table finds a record that went; those that stay are served."""

import csv
import datetime as dt
import gzip
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from layers.home import Home
from layers.lake import layer_table
from layers.retention.journal import read_journal, read_log
from layers.runs import list_runs, open_run
from support.home_reader import UnknownFileError, find
from support.pipeline_city import CITY, make_city
from support.postgis import drop_all_runs, postgis_url
from support.services import PROJECT, calanque, serving

__all__ = ["postgis_url"]
pytestmark = pytest.mark.system

TODAY, PERIOD_DAYS = "2025-11-13", 500
CUTOFF = dt.date(2024, 7, 1)
ADDRESSED = CITY.replace('lat = "lat"', 'lat = "lat"\naddress = "adresse"').replace(
    'mode = "increment"', f'mode = "increment"\nretention_days = {PERIOD_DAYS}'
)
DIES_AT = """
import os, shutil, signal, sys
left = int(sys.argv[1])
def counted(function):
    def call(*arguments, **options):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return call
os.rename, os.replace, os.unlink = counted(os.rename), counted(os.replace), counted(os.unlink)
os.fsync, shutil.rmtree = counted(os.fsync), counted(shutil.rmtree)
import calanque
try:
    calanque.app(["purge", "--today", sys.argv[2], *sys.argv[4:], "--city", sys.argv[3]])
finally:
    print(left, file=sys.stderr)
"""
"""Kills itself before the n-th time that it renames, deletes, or has something reach the disk; else says what is left
of n."""
KILLS = 30


@dataclass
class PurgedCity:
    """A city, its home, and what everybody calls the records that went and those that stayed."""

    city: Path
    home: Path
    database_url: str | None = None
    gone: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)

    def run(self, *command: str) -> dict[str, Any]:
        named = {"CALANQUE_DATABASE_URL": self.database_url} if self.database_url else {}
        return json.loads(calanque(*command, "--json", "--city", str(self.city), home=self.home, **named))

    def purge(self, *options: str) -> dict[str, Any]:
        return self.run("purge", "--today", TODAY, *options)

    def found(self, needles: list[str]) -> dict[str, set[str]]:
        return find(self.home, needles, database_url=self.database_url)

    def killed_at(self, number: int, *options: str) -> bool:
        """Purge in a process that kills itself; tell whether it came that far."""
        return self._dying(number, *options).returncode == -signal.SIGKILL

    def kill_points(self, *options: str) -> int:
        """Purge, and count the points at which :meth:`killed_at` could kill."""
        many = 10**9
        return many - int(self._dying(many, *options).stderr.split()[-1])

    def _dying(self, number: int, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", DIES_AT, str(number), TODAY, str(self.city), *options]
        env = os.environ | {"CALANQUE_HOME": str(self.home)}
        done = subprocess.run(command, cwd=PROJECT, env=env, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode in {0, -signal.SIGKILL}, done.stderr
        return done


def deliver_named_records(city: Path) -> None:
    """Give every record an id and an address that nothing else looks like; refuse some; correct some."""
    path = city / "journal_1.csv"
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        row["numero"], row["adresse"] = f"dossier{number:05d}x", f"{number} ruelle inventee{number:05d}x"
        row["type"] = "?" if number % 50 == 7 else row["type"]
        row["lat"] = "100.5" if number % 50 == 11 else row["lat"]  # beyond the pole: refused, with its value
    write(path, rows)
    corrected = [row | {"adresse": row["adresse"] + " bis"} for row in rows if int(row["adresse"].split()[0]) % 9 == 0]
    write(city / "journal_2.csv", corrected)


def write(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def is_past(row: dict[str, str]) -> bool:
    return dt.date.fromisoformat(row["quand"][:10]) < CUTOFF


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, postgis_url: str) -> PurgedCity:
    """Built and published, here and in PostGIS; nothing is purged. Read only."""
    folder = tmp_path_factory.mktemp("built")
    city = make_city(folder / "city")
    (city / "city.toml").write_text(ADDRESSED, encoding="utf-8")
    deliver_named_records(city)
    drop_all_runs(postgis_url)
    made = PurgedCity(city, folder / "home", postgis_url)
    made.run("build")
    names = {r["numero"]: is_past(r) for r in rows_of(city / "journal_1.csv")}
    ids = {r["record_id"]: r["id"] for r in layer_table(Home(made.home), "incidents").read().to_pylist()}
    for name, past in names.items():
        known = [name, f"inventee{name.removeprefix('dossier')}", *([ids[name]] if name in ids else [])]
        (made.gone if past else made.kept).extend(known)
    return made


@pytest.fixture(scope="module")
def copies(built: PurgedCity, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Makes copies of the built city, without the database, while it is not purged yet."""
    store = tmp_path_factory.mktemp("store")
    shutil.copytree(built.home, store / "home", symlinks=True)

    def one(folder: Path) -> PurgedCity:
        folder.mkdir(exist_ok=True)
        shutil.copytree(store / "home", folder / "home", symlinks=True)
        shutil.copytree(built.city, folder / "city")
        return PurgedCity(folder / "city", folder / "home", None, built.gone, built.kept)

    return one


@pytest.fixture(scope="module")
def purged(built: PurgedCity, copies: Any) -> tuple[PurgedCity, dict[str, Any], dict[str, Any]]:
    """The built city after its purge, what the purge said, and what was there and answered before and after."""
    seen: dict[str, Any] = {"before": built.found(built.gone), "run": open_run(Home(built.home)).manifest.run_id}
    gone_id = next(needle for needle in built.gone if len(needle) == 16)
    with serving(built.home) as url:
        seen["item before"] = httpx.get(f"{url}/collections/incidents/items/{gone_id}?f=json").status_code
        said = built.purge()
        seen["item after"] = httpx.get(f"{url}/collections/incidents/items/{gone_id}?f=json").status_code
        seen["served"] = httpx.get(f"{url}/healthz").json()["run"]
    return built, said, seen


def test_before_the_purge_the_reader_finds_every_record(purged: Any):
    built, _, seen = purged
    assert set().union(*seen["before"].values()) == {needle.lower() for needle in built.gone}
    kinds = {place.split(":")[0].rsplit(".", 1)[-1] for place in seen["before"] if "(bytes)" not in place}
    assert kinds >= {"parquet", "arrow", "duckdb", "pmtiles"}
    assert any(place.startswith("postgis:") for place in seen["before"])


def test_after_the_purge_the_reader_finds_none(purged: Any):
    built, _, _ = purged
    assert built.found(built.gone) == {}
    assert set().union(*built.found(built.kept).values()) == {needle.lower() for needle in built.kept}


def test_the_run_is_built_anew_and_is_the_only_one(purged: Any):
    built, said, seen = purged
    (run,) = list_runs(Home(built.home))
    assert run.manifest.run_id == said["run"] != seen["run"]
    assert said["runs"] == [seen["run"]]
    assert run.manifest.inputs["retention/journal"] == CUTOFF.isoformat()
    assert [p.name for p in Home(built.home).runs.iterdir() if p.name != "current"] == [said["run"]]


def test_a_server_answers_from_the_new_run_at_once(purged: Any):
    _, said, seen = purged
    assert (seen["item before"], seen["item after"], seen["served"]) == (200, 404, said["run"])


def test_the_log_counts_what_went(purged: Any):
    built, _, seen = purged
    first, second = (rows_of(built.city / f"journal_{number}.csv") for number in (1, 2))
    past = [row for row in first if is_past(row)]
    refused = [row for row in past if row["lat"] == "100.5"]
    again = [row for row in second if is_past(row)]
    (line,) = read_log(Home(built.home))
    assert line["before"] == CUTOFF.isoformat()
    assert line["raw_rows"] == len(past) + len(again)
    assert line["records"] == len(past) - len(refused)
    assert line["earlier_versions"] == len([row for row in again if row["lat"] != "100.5"])
    assert line["rejects"] == len(refused) + len([row for row in again if row["lat"] == "100.5"])
    assert line["runs"] == [seen["run"]]
    assert sorted(line["rows"].values()) == sorted([len(past), len(again)])


def test_a_full_dump_does_not_bring_them_back(purged: Any):
    built, said, _ = purged
    shutil.copy(built.city / "journal_1.csv", built.city / "journal_3.csv")
    with (built.city / "journal_3.csv").open("a", encoding="utf-8") as file:
        file.write("dossier99999x,S,2024-02-01 10:00,5.38,43.30,99999 ruelle inventee99999x\n")
    try:
        built.run("ingest")
        assert built.found([*built.gone, "dossier99999x"]) == {}
        assert open_run(Home(built.home)).manifest.run_id == said["run"]
    finally:
        (built.city / "journal_3.csv").unlink()


def _in_a_parquet(folder: Path, survivor: str) -> None:
    pq.write_table(pa.table({"x": [survivor] * 3}), folder / "part.parquet")


def _in_a_key(folder: Path, survivor: str) -> None:
    with pa.OSFile(str(folder / "keys.arrow"), "wb") as sink:
        table = pa.table({"key": pa.array([int(survivor, 16)], pa.uint64())})
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)


def _in_a_sqlite(folder: Path, survivor: str) -> None:
    with sqlite3.connect(folder / "no_suffix") as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("INSERT INTO t VALUES (?)", [survivor])
    connection.close()


def _in_a_duckdb(folder: Path, survivor: str) -> None:
    with duckdb.connect(str(folder / "a.duckdb")) as connection:
        connection.execute("CREATE TABLE t AS SELECT ? AS x", [survivor])


def _in_a_gzip(folder: Path, survivor: str) -> None:
    (folder / "old.log").write_bytes(gzip.compress(f"refused {survivor}".encode()))


def _in_a_log(folder: Path, survivor: str) -> None:
    (folder / "some.log").write_text(f"row of {survivor.upper()}\n", encoding="utf-8")


def _in_a_name(folder: Path, survivor: str) -> None:
    (folder / f"{survivor}.txt").touch()


PLANTS = [_in_a_parquet, _in_a_key, _in_a_sqlite, _in_a_duckdb, _in_a_gzip, _in_a_log, _in_a_name]


@pytest.mark.parametrize("plant", PLANTS)
def test_a_planted_survivor_is_found(tmp_path: Path, plant: Any):
    survivor = "0123456789abcdef"
    plant(tmp_path, survivor)
    assert set().union(*find(tmp_path, [survivor]).values()) == {survivor}
    assert find(tmp_path, ["fedcba9876543210"]) == {}


def test_a_planted_survivor_is_found_in_the_purged_home(purged: Any):
    built, _, _ = purged
    place = Home(built.home).raw / "survivor.parquet"
    _in_a_parquet(place.parent, built.gone[0])
    (place.parent / "part.parquet").rename(place)
    try:
        assert {where.split(":")[0] for where in built.found(built.gone) if "bytes" not in where} == {
            "lake/raw/survivor.parquet"
        }
    finally:
        place.unlink()


def test_what_nobody_can_decode_is_an_error(tmp_path: Path):
    (tmp_path / "thing.bin").write_bytes(b"\x93\x00\xff\xfe")
    with pytest.raises(UnknownFileError, match=r"thing\.bin"):
        find(tmp_path, ["x"])


def assert_ended(city: PurgedCity) -> None:
    assert find(city.home, city.gone) == {}
    assert read_journal(Home(city.home)) is None
    (line,) = read_log(Home(city.home))
    assert line["raw_rows"] > line["records"] > 0


@pytest.mark.parametrize("number", [7, 30])
def test_a_killed_purge_is_ended_by_the_next(copies: Any, tmp_path: Path, number: int):
    """Destroying only: it has every step but the build."""
    city = copies(tmp_path)
    assert city.killed_at(number, "--destroy-only")
    city.purge("--destroy-only")
    assert_ended(city)
    assert list_runs(Home(city.home)) == []


@pytest.mark.prove
def test_a_purge_killed_before_its_build_is_ended_by_a_build(copies: Any, tmp_path: Path):
    city = copies(tmp_path)
    assert city.killed_at(30)
    assert open_run(Home(city.home))  # served until there is a new one
    built = city.run("build")
    assert_ended(city)
    assert [run.manifest.run_id for run in list_runs(Home(city.home))] == [built["run"]]


@pytest.mark.prove
def test_killed_anywhere_a_purge_is_ended_by_the_next(copies: Any, tmp_path: Path):
    points = copies(tmp_path / "counted").kill_points("--destroy-only")
    assert points > KILLS
    for number in sorted({1 + points * k // KILLS for k in range(KILLS)} | set(range(1, KILLS // 2))):
        city = copies(tmp_path / str(number))
        assert city.killed_at(number, "--destroy-only"), (number, points)
        city.purge("--destroy-only")
        assert_ended(city)
        shutil.rmtree(tmp_path / str(number))


def test_a_dry_run_says_what_would_go_and_changes_nothing(copies: Any, tmp_path: Path):
    city = copies(tmp_path)
    before = {p: p.read_bytes() for p in city.home.rglob("*") if p.is_file()}
    said = city.purge("--dry-run")
    assert said["purged"][0]["raw_rows"] > 0
    assert said["runs"] == [said["run"]]
    assert {p: p.read_bytes() for p in city.home.rglob("*") if p.is_file()} == before
