"""Watching: what wakes it, what it waits for, what ends it. Folders and signals are real, steps are stand-ins."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import watchfiles

from layers.city import City
from layers.errors import CityFileError, DeliveryError, HomeLockedError
from layers.watching import ended_by_sigterm, watch, watched_files, watched_folders
from support.delivered_city import CITY_TOML, DeliveredCity, row

PROJECT = Path(__file__).resolve().parents[2]
SAFETY_S = 60
"""A watch that nothing ends is ended then, and its test fails."""
DATABASE_TOML = CITY_TOML.replace('deliveries = ["log*.csv"]', 'database = { url_env = "DB", table = "records" }')


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    event = threading.Event()
    timer = threading.Timer(SAFETY_S, event.set)
    timer.start()
    yield event
    timer.cancel()


class Steps:
    """A step that does one thing the first time, another the second …, and then ends the watch."""

    def __init__(self, stop: threading.Event, *actions: Callable[[City], str | None]) -> None:
        self._stop, self._actions, self.runs = stop, actions, 0
        self.told: list[str] = []

    def __call__(self, city: City) -> str | None:
        self.runs += 1
        if self.runs == len(self._actions):
            self._stop.set()
        return self._actions[self.runs - 1](city)

    def watch(
        self, city: DeliveredCity, *, settle_s: float = 0.0, poll_s: float = SAFETY_S, once: bool = False
    ) -> bool:
        return watch(
            city.folder, self, tell=self.told.append, settle_s=settle_s, poll_s=poll_s, once=once, stop=self._stop
        )


def test_it_runs_at_the_start_and_each_time_a_delivery_comes(small_city: DeliveredCity, stop: threading.Event):
    steps = Steps(
        stop,
        lambda _: small_city.deliver([row(3)], "log2.csv") and "one",
        lambda _: small_city.deliver([row(4)], "log2.csv") and "two",
        lambda _: "three",
    )
    assert steps.watch(small_city)
    assert steps.told == ["one", "two", "three"]


def test_a_file_that_is_no_delivery_wakes_nobody(small_city: DeliveredCity, stop: threading.Event):
    def deliver_later(_city: City) -> None:
        small_city.deliver([row(3)], "notes.txt")
        threading.Timer(0.3, lambda: small_city.deliver([row(3)], "log2.csv")).start()

    seen = []
    steps = Steps(stop, deliver_later, lambda _: seen.append((small_city.folder / "log2.csv").is_file()))
    steps.watch(small_city)
    assert seen == [True]


def test_what_comes_just_before_the_folders_are_watched_is_seen(
    small_city: DeliveredCity, stop: threading.Event, monkeypatch: pytest.MonkeyPatch
):
    really_watch = watchfiles.watch

    def deliver_first(*folders: Path, **options: Any) -> Iterator[Any]:
        if steps.runs == 1:
            small_city.deliver([row(3)], "log2.csv")  # its announcement is lost
        return really_watch(*folders, **options)

    monkeypatch.setattr(watchfiles, "watch", deliver_first)
    steps = Steps(stop, lambda _: "one", lambda _: "two")
    assert steps.watch(small_city, poll_s=10 * SAFETY_S)
    assert steps.told == ["one", "two"]


def test_a_delivery_that_goes_away_counts_as_a_change(small_city: DeliveredCity, stop: threading.Event):
    small_city.deliver([row(3)], "log2.csv")
    steps = Steps(stop, lambda _: (small_city.folder / "log2.csv").unlink(), lambda _: None)
    steps.watch(small_city)
    assert steps.runs == 2


def test_it_waits_until_a_growing_file_is_quiet(small_city: DeliveredCity, stop: threading.Event):
    lines = [row(n) for n in range(3, 23)]

    def grow() -> None:
        with (small_city.folder / "log2.csv").open("w") as file:
            for line in lines:
                file.write(line + "\n")
                file.flush()
                time.sleep(0.05)

    writer = threading.Thread(target=grow)
    found: list[list[str]] = []

    def look(_city: City) -> None:
        found.append((small_city.folder / "log2.csv").read_text().split())

    Steps(stop, lambda _: writer.start(), look).watch(small_city, settle_s=1.5)
    writer.join()
    assert found == [" ".join(lines).split()]


def test_nothing_new_is_not_told(small_city: DeliveredCity, stop: threading.Event):
    steps = Steps(stop, lambda _: None)
    assert steps.watch(small_city)
    assert steps.told == []


def test_a_refusal_is_told_and_the_same_files_are_not_tried_again(small_city: DeliveredCity, stop: threading.Event):
    def refuse(_city: City) -> str:
        threading.Timer(1.5, lambda: small_city.deliver([row(3)], "log2.csv")).start()
        raise DeliveryError("log.csv: column 'X' is unknown")

    steps = Steps(stop, refuse, lambda _: "taken")
    assert steps.watch(small_city)
    assert steps.told == ["refused: log.csv: column 'X' is unknown", "taken"]
    assert steps.runs == 2


def test_a_home_that_another_command_holds_is_tried_again(small_city: DeliveredCity, stop: threading.Event):
    def locked(_city: City) -> str:
        raise HomeLockedError("the home is being written by another process")

    steps = Steps(stop, locked, locked, lambda _: "taken")
    assert steps.watch(small_city)
    assert steps.told == ["waits: the home is being written by another process"] * 2 + ["taken"]


def test_a_defect_ends_the_watch(small_city: DeliveredCity, stop: threading.Event):
    with pytest.raises(ZeroDivisionError):
        Steps(stop, lambda _: str(1 / 0)).watch(small_city)


def test_once_ends_after_the_first_run_and_says_whether_it_was_refused(small_city: DeliveredCity):
    def refuse(_city: City) -> str:
        raise DeliveryError("refused")

    never = threading.Event()
    assert Steps(never, lambda _: "taken", lambda _: "again").watch(small_city, once=True)
    assert not Steps(never, refuse, lambda _: "again").watch(small_city, once=True)


def test_a_folder_that_comes_later_is_watched(small_city: DeliveredCity, stop: threading.Event):
    small_city.write_toml(CITY_TOML.replace('"log*.csv"', '"in/2024/log*.csv"'))

    def make_folder_later(_city: City) -> None:
        def make() -> None:
            (small_city.folder / "in" / "2024").mkdir(parents=True)
            small_city.deliver([row(1)], "in/2024/log.csv")

        threading.Timer(0.3, make).start()

    steps = Steps(stop, make_folder_later, lambda _: "taken")
    steps.watch(small_city)
    assert steps.told == ["taken"]


def test_the_city_file_is_read_anew_and_a_wrong_one_is_told(small_city: DeliveredCity, stop: threading.Event):
    def break_it(_city: City) -> str:
        small_city.write_toml("[city")
        threading.Timer(1.5, lambda: small_city.write_toml(CITY_TOML.replace("Le Carré", "Le Rond"))).start()
        return "one"

    steps = Steps(stop, break_it, lambda city: city.city.title.fr)
    steps.watch(small_city)
    assert steps.told[0] == "one"
    assert "not valid TOML" in steps.told[1]
    assert steps.told[2:] == ["Le Rond"]


def test_a_wrong_city_file_at_the_start_is_an_error(small_city: DeliveredCity, stop: threading.Event):
    small_city.write_toml("[city")
    with pytest.raises(CityFileError):
        Steps(stop, lambda _: None).watch(small_city)


def test_a_database_is_asked_now_and_then_without_any_file_changing(small_city: DeliveredCity, stop: threading.Event):
    small_city.write_toml(DATABASE_TOML)
    steps = Steps(stop, lambda _: "first", lambda _: None, lambda _: "third")
    steps.watch(small_city, poll_s=0.2)
    assert steps.told == ["first", "third"]


def test_boundary_files_and_the_city_file_decide_too(small_city: DeliveredCity):
    names = {path.name for path in watched_files(small_city.folder, small_city.load())}
    assert names == {"log.csv", "blocks.geojson", "city.toml"}


@pytest.mark.parametrize(
    ("pattern", "folders", "inside"),
    [
        ("log*.csv", {""}, False),
        ("in/log.csv", {"", "in"}, False),
        ("in/*/log.csv", {"", "in"}, True),
        ("**/log.csv", {""}, True),
        ("in/not yet/log.csv", {"", "in"}, False),
    ],
)
def test_the_folders_of_patterns_are_watched(
    small_city: DeliveredCity, pattern: str, folders: set[str], inside: object
):
    (small_city.folder / "in").mkdir()
    small_city.write_toml(CITY_TOML.replace("log*.csv", pattern))
    found, found_deep = watched_folders(small_city.folder, small_city.load())
    assert ({*found}, found_deep) == ({(small_city.folder / f).resolve() for f in folders}, inside)


def test_sigterm_ends_a_step_at_once_and_cleanly():
    def step() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(SAFETY_S)

    with ended_by_sigterm() as stop, pytest.raises(SystemExit) as ended:
        step()
    assert ended.value.code == 0
    assert stop.is_set()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_the_command_takes_what_comes_until_a_signal_ends_it(small_city: DeliveredCity, number: int, code: int):
    command = [sys.executable, "-m", "calanque", "watch", "--city", str(small_city.folder), "--settle-s", "0.2"]
    environment = os.environ | {"CALANQUE_HOME": str(small_city.home.root)}
    with subprocess.Popen(
        command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        safety = threading.Timer(SAFETY_S, process.kill)
        safety.start()
        assert process.stdout is not None
        assert "incidents 2" in process.stdout.readline()
        small_city.deliver([row(1), row(2), row(3)])
        assert "incidents 3" in process.stdout.readline()
        small_city.deliver(["x"], header="UNKNOWN")
        assert "refused: " in process.stdout.readline()
        process.send_signal(number)
        assert process.wait() == code
        safety.cancel()


def test_the_command_can_take_once(small_city: DeliveredCity):
    command = [sys.executable, "-m", "calanque", "watch", "--once", "--city", str(small_city.folder), "--settle-s", "0"]
    environment = os.environ | {"CALANQUE_HOME": str(small_city.home.root)}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    small_city.deliver(["x"], header="UNKNOWN")
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "refused: " in done.stdout
