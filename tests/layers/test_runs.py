from __future__ import annotations

import datetime as dt
import json
import threading
from pathlib import Path

import pytest

from layers.errors import HomeLockedError, RunError
from layers.home import Home, writing
from layers.runs import (
    RunBuilder,
    RunFile,
    RunManifest,
    compute_run_id,
    current_run_id,
    list_runs,
    open_run,
    switch_current,
)

DAY = dt.date(2024, 12, 31)


def identity(**changes) -> str:
    given = {"inputs": {"a": "1"}, "city": "c", "parameters": {"p": [1, 2]}, "as_of": DAY, "code": "x", "lock": "l"}
    return compute_run_id(**{**given, **changes})


def manifest(run_id: str, path: str = "data.txt") -> RunManifest:
    files = {"data": RunFile(path=path, digest="0" * 64)}
    return RunManifest(
        run_id=run_id, city_id="carre", as_of=DAY, inputs={"a": "1"}, city="c", code="x", lock="l", files=files
    )


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def build(home: Home, run_id: str, text: str = "data"):
    with RunBuilder(home, run_id) as builder:
        (builder.folder / "data.txt").write_text(text)
        return builder.finish(manifest(run_id))


def test_run_id_is_of_everything_that_decides_the_run_and_of_nothing_else():
    assert identity() == identity(inputs={"a": "1"})
    assert len(identity()) == 16
    others = [
        identity(inputs={"a": "2"}),
        identity(city="d"),
        identity(parameters={"p": [2, 1]}),
        identity(as_of=dt.date(2024, 12, 30)),
        identity(code="y"),
        identity(lock="m"),
    ]
    assert len({identity(), *others}) == 7
    assert identity(inputs={"a": "1", "b": "2"}) == identity(inputs={"b": "2", "a": "1"})


def test_a_run_comes_out_whole_and_is_served(home: Home):
    with pytest.raises(RunError, match="no published run"):
        open_run(home)
    run = build(home, "aaaa")
    assert run.folder == home.runs / "aaaa"
    assert open_run(home).manifest == run.manifest
    assert current_run_id(home) == "aaaa"
    assert run.path(run.manifest.files["data"]).read_text() == "data"
    build(home, "bbbb")
    assert open_run(home).manifest.run_id == "bbbb"
    assert {r.manifest.run_id for r in list_runs(home)} == {"aaaa", "bbbb"}
    switch_current(home, "aaaa")
    assert open_run(home).manifest.run_id == "aaaa"
    with pytest.raises(RunError, match="no run 'cccc'"):
        open_run(home, "cccc")


def test_an_unfinished_run_leaves_nothing_and_the_old_one_is_served(home: Home):
    build(home, "aaaa")
    builder = RunBuilder(home, "bbbb")
    with pytest.raises(RunError, match="not there"), builder:
        builder.finish(manifest("bbbb"))
    assert current_run_id(home) == "aaaa"
    assert sorted(p.name for p in home.runs.iterdir()) == ["aaaa", "current"]


def test_what_dead_builders_left_is_removed(home: Home):
    stale = home.runs / ".building-dead"
    (stale / "products").mkdir(parents=True)
    (home.runs / ".current-123").symlink_to("nowhere")
    build(home, "aaaa")
    assert sorted(p.name for p in home.runs.iterdir()) == ["aaaa", "current"]


def test_a_manifest_must_name_its_run_and_files_that_are_there(home: Home):
    with RunBuilder(home, "aaaa") as builder, pytest.raises(RunError, match="run bbbb, the folder of run aaaa"):
        builder.finish(manifest("bbbb"))
    with RunBuilder(home, "aaaa") as builder, pytest.raises(RunError, match=r"not there: data\.txt"):
        builder.finish(manifest("aaaa"))
    assert current_run_id(home) is None


def test_a_damaged_run_is_refused_and_built_again(home: Home):
    build(home, "aaaa")
    path = home.runs / "aaaa" / "manifest.json"
    document = json.loads(path.read_text())
    document["manifest"]["city_id"] = "elsewhere"
    path.write_text(json.dumps(document))
    with pytest.raises(RunError, match="damaged"):
        open_run(home)
    assert list_runs(home) == []
    assert build(home, "aaaa").manifest.city_id == "carre"
    (home.runs / "aaaa" / "data.txt").unlink()
    with pytest.raises(RunError, match=r"has lost data\.txt"):
        open_run(home)


def test_a_whole_run_is_not_written_twice(home: Home):
    build(home, "aaaa", "first")
    build(home, "aaaa", "second")
    assert (home.runs / "aaaa" / "data.txt").read_text() == "first"


def test_one_writer_per_home_and_a_step_within_a_build(home: Home):
    with writing(home), writing(home):
        caught: list[Exception] = []

        def other() -> None:
            try:
                with writing(home):
                    pass
            except HomeLockedError as error:
                caught.append(error)

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert len(caught) == 1
    with writing(home):
        pass
