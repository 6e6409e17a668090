"""The whole pipeline: it repeats itself exactly, skips what did not change, and survives being killed at any moment."""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from layers.home import Home
from layers.runs import RunManifest, list_runs, open_run
from ogc_server.app import create_app
from ogc_server.settings import Settings
from support import evidence
from support.pipeline_city import deliver, make_city

PROJECT = Path(__file__).resolve().parents[2]
SAMPLE_CITY = PROJECT / "data_samples" / "marseille"
SEED = 20260101
TIMEOUT_S = 600
RANDOM_POINTS = 20
CRASHES = "kill_points"
CRASH_SAFE = (
    "layers/home.py",
    "layers/lake.py",
    "layers/runs.py",
    "layers/steps.py",
    "ogc_server/publication/assembly.py",
    "ogc_server/publication/publish.py",
)
"""What decides whether a kill leaves a whole run."""
pytestmark = pytest.mark.system

DIES_AFTER_A_RENAME = """
import os, signal, sys
left = int(sys.argv[1])
def counted(rename):
    def call(*arguments, **options):
        global left
        result = rename(*arguments, **options)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return call
os.rename, os.replace = counted(os.rename), counted(os.replace)
import calanque
calanque.app(["build", "--city", sys.argv[2]])
"""


@dataclass
class Pipeline:
    """A city folder and a home folder, and the command line over them."""

    city: Path
    home: Path
    environment: dict[str, str] = field(default_factory=dict)
    sessions: list[int] = field(default_factory=list)
    whole_build_s: float = 0.0
    """How long the first build took."""

    def _start(self, *command: str) -> subprocess.Popen[str]:
        env = os.environ | {"CALANQUE_HOME": str(self.home)} | self.environment
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(
            [sys.executable, *command], cwd=PROJECT, env=env, text=True, start_new_session=True, **pipes
        )
        self.sessions.append(process.pid)
        return process

    def build(self) -> dict[str, Any]:
        """Build, and return the summary."""
        started = time.monotonic()
        process = self._start("-m", "calanque", "build", "--json", "--city", str(self.city))
        said, _ = process.communicate(timeout=TIMEOUT_S)
        self.whole_build_s = self.whole_build_s or time.monotonic() - started
        assert process.returncode == 0, said
        return json.loads(said)

    def killed_after(self, seconds: float) -> bool:
        """Build and kill -9 the process after some time; tell whether that was before its end."""
        process = self._start("-m", "calanque", "build", "--city", str(self.city))
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        process.communicate(timeout=TIMEOUT_S)
        return process.returncode == -signal.SIGKILL

    def killed_after_rename(self, number: int) -> bool:
        """Build in a process that kills itself after its n-th rename; tell whether there was such a rename."""
        process = self._start("-c", DIES_AFTER_A_RENAME, str(number), str(self.city))
        process.communicate(timeout=TIMEOUT_S)
        assert process.returncode in {0, -signal.SIGKILL}
        return process.returncode == -signal.SIGKILL

    def manifest(self) -> RunManifest:
        return open_run(Home(self.home)).manifest

    def bytes_of_run(self) -> dict[str, str]:
        """Digest of every file of the run that is served."""
        return file_digests(Home(self.home).current.resolve())

    def answers(self) -> dict[str, Any]:
        """What a client reads now."""
        app = create_app(Settings(home=self.home))
        with TestClient(app, base_url="http://127.0.0.1:8010") as client:
            got = {
                path: client.get(path)
                for path in (
                    "/collections/incidents/items?f=json&limit=1000",
                    "/collections/hotspots/items?f=json&limit=1000",
                    "/collections/quartiers/items?f=json",
                )
            }
        assert {path: response.status_code for path, response in got.items()} == dict.fromkeys(got, 200)
        return {path: {k: v for k, v in r.json().items() if k != "timeStamp"} for path, r in got.items()}

    def end(self) -> None:
        """End what a killed build may have left running: its own sessions only."""
        for session in self.sessions:
            try:
                os.killpg(session, signal.SIGKILL)
            except ProcessLookupError:
                continue


def file_digests(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink())
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def content(manifest: RunManifest) -> dict[str, Any]:
    """A manifest without its side note."""
    return manifest.model_dump(mode="json", exclude={"built_at"})


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A small city, built once. Read only."""
    folder = tmp_path_factory.mktemp("built")
    pipeline = Pipeline(make_city(folder / "city"), folder / "home")
    pipeline.build()
    yield pipeline
    pipeline.end()


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """The same city with a second delivery, elsewhere, under another clock, built in one go. Read only."""
    folder = tmp_path_factory.mktemp("later")
    city = make_city(folder / "elsewhere" / "city")
    deliver(city, number=2, records=600, seed=1)
    pipeline = Pipeline(city, folder / "home of another name", {"TZ": "Pacific/Auckland", "LC_ALL": "C"})
    pipeline.build()
    yield pipeline
    pipeline.end()


def received(built: Pipeline, folder: Path) -> Pipeline:
    """A copy of the built home whose city has received a delivery: the next build has everything to do."""
    shutil.copytree(built.home, folder / "home", symlinks=True)
    shutil.copytree(built.city, folder / "city")
    deliver(folder / "city", number=2, records=600, seed=1)
    return Pipeline(folder / "city", folder / "home")


@dataclass(frozen=True)
class Kill:
    """What was found after a kill -9."""

    before_the_end: bool
    served: str
    same_answers: bool


@dataclass(frozen=True)
class Survivor:
    """A home that went through kills and a last whole build."""

    pipeline: Pipeline
    kills: list[Kill]


def assert_old_or_new(pipeline: Pipeline, old: Pipeline, new: Pipeline) -> str:
    """The run that is served is the old one, byte for byte, or the new one, whole; nothing between."""
    manifest = pipeline.manifest()
    if manifest.run_id == old.manifest().run_id:
        assert pipeline.bytes_of_run() == old.bytes_of_run()
        return "old"
    assert content(manifest) == content(new.manifest())
    return "new"


def test_building_twice_changes_nothing(built: Pipeline):
    before = file_digests(built.home)
    links = Home(built.home).current.readlink()
    again = built.build()
    assert [step["skipped"] for step in again["steps"]] == [True] * 5
    changed = {path for path, digest in file_digests(built.home).items() if before.get(path) != digest}
    assert {
        path for path in changed | (before.keys() - file_digests(built.home).keys()) if "state/" not in path
    } == set()
    assert Home(built.home).current.readlink() == links


def test_the_summary_tells_the_run_that_is_served(built: Pipeline):
    summary = built.build()
    assert [step["step"] for step in summary["steps"]] == ["ingest", "index", "analyse", "surfaces", "publish"]
    assert summary["city"] == "petite"
    assert summary["run"] == built.manifest().run_id


def test_an_empty_layer_is_no_collection(built: Pipeline):
    """The small city has incidents only."""
    families = {product.spec.family for product in built.manifest().products}
    assert families == {"incidents", "quartiers", "hex_incidents", "hotspots", "risk_density"}


@pytest.fixture(scope="module")
def survivor(built: Pipeline, later: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Survivor]:
    """A home whose next build was killed three times, at random moments of what was left to do, and then let finish."""
    pipeline = received(built, tmp_path_factory.mktemp("survivor"))
    answers = built.answers()
    rng = random.Random(SEED)
    kills = []
    for _ in range(3):
        killed = pipeline.killed_after(later.whole_build_s * rng.uniform(0.15, 0.45))
        state = assert_old_or_new(pipeline, built, later)
        kills.append(Kill(before_the_end=killed, served=state, same_answers=pipeline.answers() == answers))
    pipeline.build()
    yield Survivor(pipeline, kills)
    pipeline.end()


def test_after_each_kill_the_previous_run_is_served_whole(survivor: Survivor):
    assert all(kill.before_the_end for kill in survivor.kills)
    assert [kill for kill in survivor.kills if kill.served == "old" and not kill.same_answers] == []


def test_after_the_kills_the_next_build_completes_and_leaves_nothing_behind(survivor: Survivor, built: Pipeline):
    runs = Home(survivor.pipeline.home).runs
    assert [p.name for p in runs.iterdir() if p.name.startswith(".")] == []
    assert built.manifest().run_id in {run.manifest.run_id for run in list_runs(Home(survivor.pipeline.home))}


def test_another_folder_clock_and_locale_give_the_same_run(survivor: Survivor, built: Pipeline, later: Pipeline):
    """Two deliveries one by one and through kills, or in one go beyond the date line: the same run id and digests."""
    assert later.manifest().run_id != built.manifest().run_id
    assert content(survivor.pipeline.manifest()) == content(later.manifest())
    assert survivor.pipeline.answers() == later.answers()


@pytest.mark.prove
def test_killed_at_twenty_random_points_and_after_every_rename(built: Pipeline, later: Pipeline, tmp_path: Path):
    """The evidence of what `make test` samples: kill, look at what is served, build whole, compare, and again."""
    rng = random.Random(SEED)
    moments = sorted(round(rng.uniform(0.05, 1), 3) for _ in range(RANDOM_POINTS))
    points = [_killed(built, later, tmp_path, lambda p, m=m: p.killed_after(later.whole_build_s * m)) for m in moments]
    renames = []
    for number in range(1, 1000):
        renames.append(_killed(built, later, tmp_path, lambda p, n=number: p.killed_after_rename(n)))
        if not renames[-1].before_the_end:
            break
    served = [kill.served for kill in renames]
    assert all(kill.served == "new" or kill.same_answers for kill in (*points, *renames))
    assert len(renames) > 5  # the builds did rename: stages, a run, the link
    assert (served[0], served[-1]) == ("old", "new")
    assert served == sorted(served, key=["old", "new"].index)  # one switch, and no way back
    evidence.write(
        CRASHES,
        CRASH_SAFE,
        {
            "what": "kill -9 of a second build of a small city; then the served run, byte for byte, and a whole build",
            "seed": SEED,
            "whole_build_s": round(later.whole_build_s, 1),
            "random_points": [{"at": m, **asdict(kill)} for m, kill in zip(moments, points, strict=True)],
            "after_rename": [{"number": n, **asdict(kill)} for n, kill in enumerate(renames, start=1)],
        },
    )


def _killed(built: Pipeline, later: Pipeline, folder: Path, kill: Callable[[Pipeline], bool]) -> Kill:
    """Kill one build of a home that has everything to do; the next one must complete it."""
    pipeline = received(built, folder)
    try:
        killed = kill(pipeline)
        state = assert_old_or_new(pipeline, built, later)
        found = Kill(before_the_end=killed, served=state, same_answers=pipeline.answers() == built.answers())
        pipeline.build()
        assert content(pipeline.manifest()) == content(later.manifest())
    finally:
        pipeline.end()
        shutil.rmtree(pipeline.home)
        shutil.rmtree(pipeline.city)
    return found


def test_evidence_of_the_kills_is_about_this_code():
    kept = evidence.read(CRASHES)
    assert kept["code"] == evidence.digest_of(CRASH_SAFE), "run `make prove`: what commits and publishes has changed"
    assert len(kept["random_points"]) == RANDOM_POINTS
    assert kept["after_rename"][-1]["served"] == "new"
    assert all(k["served"] == "new" or k["same_answers"] for k in (*kept["random_points"], *kept["after_rename"]))


@pytest.mark.prove
def test_the_sample_builds_within_two_minutes_and_again_within_ten_seconds(tmp_path: Path):
    pipeline = Pipeline(SAMPLE_CITY, tmp_path / "home")
    started = time.monotonic()
    pipeline.build()
    first_s = time.monotonic() - started
    started = time.monotonic()
    again = pipeline.build()
    second_s = time.monotonic() - started
    print(f"first build {first_s:.1f} s, second {second_s:.1f} s")
    assert [step["skipped"] for step in again["steps"]] == [True] * 5
    assert len(list_runs(Home(pipeline.home))) == 1
    assert first_s < 120
    assert second_s < 10
    pipeline.end()
