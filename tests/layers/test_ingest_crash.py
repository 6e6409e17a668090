"""Ingestion that is killed leaves a lake that can be read, and the next one completes it."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from layers.errors import HomeError
from layers.home import Home
from layers.lake import LakeTable
from support import evidence
from support.delivered_city import DeliveredCity, row
from support.ingested import digests, records, take
from support.services import PROJECT

EVIDENCE = "ingest_kill_points"
CRASH_SAFE = [
    *(f"layers/{name}.py" for name in ("accepted", "home", "ingest", "lake", "raw_copies", "receiving", "steps")),
    *("layers/taking.py", "layers/writing.py", "tests/layers/test_ingest_crash.py"),
]
KILLS = 20
SEED = 20260101
WRITES, SECONDS = "writes", "seconds"

KILLER = """
import os, signal, sys, time
from pathlib import Path
from layers.city import load_city
from layers.home import Home
from layers.ingest import ingest

flush = os.fsync

def ingest_and_die_after(writes):
    left = writes
    def counted(descriptor):
        nonlocal left
        flush(descriptor)
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
    os.fsync = counted
    ingest(load_city(Path(sys.argv[1])), Home(Path(sys.argv[2])))

print("ready", flush=True)
for line in sys.stdin:
    what, number = line.split()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            ingest_and_die_after(float(number) if what == "writes" else float("inf"))
            code = 0
        finally:
            os._exit(code)
    if what == "seconds":
        time.sleep(float(number))
        os.kill(child, signal.SIGKILL)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Killer:
    """Ingests in processes that are killed with signal 9, after some writes or some time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert self._answer() == "ready"

    def ingest(self, what: str, number: float) -> int:
        """Exit code: −9 when the process was killed before its end."""
        assert self._process.stdin is not None
        print(what, number, file=self._process.stdin, flush=True)
        return int(self._answer())

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@pytest.fixture
def killer(small_city: DeliveredCity) -> Iterator[Killer]:
    command = [sys.executable, "-c", KILLER, str(small_city.folder), str(small_city.home.root)]
    with subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Killer(process)
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def steady(small_city: DeliveredCity, tmp_path: Path) -> DeliveredCity:
    """The same deliveries in a home where nothing is killed."""
    return DeliveredCity(small_city.folder, Home(tmp_path / "steady"))


def check_every_table(home: Home) -> None:
    """Each table of the layers reads whole, with as many rows as its version says."""
    for folder in home.layers.iterdir() if home.layers.is_dir() else ():
        table = LakeTable(home.layers, folder.name)
        version = table.latest()
        if version is not None:
            assert table.read().num_rows == version.rows


def test_a_home_in_use_is_refused(small_city: DeliveredCity):
    holder = "import sys, time\nfrom pathlib import Path\nfrom layers.home import Home, writing\n"
    holder += "with writing(Home(Path(sys.argv[1]))):\n    print('held', flush=True)\n    time.sleep(60)\n"
    command = [sys.executable, "-c", holder, str(small_city.home.root)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(HomeError, match="written by another process"):
            take(small_city)
        process.kill()
    take(small_city)  # the lock went with its holder


def test_killed_after_any_write_the_layers_stay_whole_and_the_next_run_completes(
    small_city: DeliveredCity, steady: DeliveredCity, killer: Killer
):
    take(small_city)
    take(steady)
    before, killed = {"MC1", "MC2"}, 0
    for writes in range(0, 60, 8):
        new = f"MC{100 + writes}"
        small_city.deliver([row(1, severity=str(writes % 7)), row(100 + writes, date="01/06/2024")])
        if killer.ingest(WRITES, writes) == 0:
            break
        killed += 1
        assert set(records(small_city)) in (before, {"MC1", new})
        check_every_table(small_city.home)
        take(small_city)
        take(steady)
        before = {"MC1", new}
        assert set(records(small_city)) == before
        assert digests(small_city) == digests(steady)
    assert killed >= 3


def test_killed_again_and_again_during_the_first_ingestion_nothing_is_half_there(
    small_city: DeliveredCity, steady: DeliveredCity, killer: Killer
):
    codes = []
    for writes in range(0, 60, 3):
        codes.append(killer.ingest(WRITES, writes))
        check_every_table(small_city.home)
        if codes[-1] == 0:
            break
    assert codes.count(-signal.SIGKILL) == len(codes) - 1 >= 3
    take(steady)
    assert digests(small_city) == digests(steady)
    named = {f.path for p in small_city.home.layers.iterdir() for f in LakeTable(p.parent, p.name).latest().files}
    assert {str(path) for path in small_city.home.layers.rglob("*.parquet")} == named


@pytest.mark.prove
def test_killed_at_twenty_random_moments_the_lake_reads_and_the_next_run_completes(
    small_city: DeliveredCity, steady: DeliveredCity, killer: Killer
):
    """Signal 9 from outside, at random moments of an ingestion of twelve months."""
    draw = random.Random(SEED)
    seconds: list[float] = []
    interrupted = 0
    for attempt in range(KILLS):
        numbers = range(attempt, 3000)
        dates = [f"1{n % 9}/{n % 12 + 1:02d}/2024" for n in numbers]
        severities = [str((attempt + n) % 9) for n in numbers]
        told = zip(numbers, dates, severities, strict=True)
        small_city.deliver([row(n, date=date, severity=severity) for n, date, severity in told])
        began = time.perf_counter()
        take(steady)  # what it gives without a crash, and how long it lasts
        seconds.append(round(draw.uniform(0, time.perf_counter() - began), 3))
        interrupted += killer.ingest(SECONDS, seconds[-1]) == -signal.SIGKILL
        check_every_table(small_city.home)
        take(small_city)
        assert digests(small_city) == digests(steady)
    assert interrupted >= KILLS / 2
    result = {"seed": SEED, "kills": KILLS, "before_the_end": interrupted, "seconds_after_start": seconds}
    evidence.write(EVIDENCE, CRASH_SAFE, result)


def test_the_evidence_is_that_of_this_code():
    kept = evidence.read(EVIDENCE)
    assert kept["code"] == evidence.digest_of(CRASH_SAFE), "run `make prove`: how the lake is written has changed"
    assert kept["kills"] == KILLS
    assert kept["before_the_end"] >= KILLS / 2
