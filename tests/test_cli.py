"""The command line: documented, quick to answer, one clear message for each error, exit codes to rely on."""

import errno
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner, Result

import calanque
from layers.errors import CityFileError

PROJECT = Path(calanque.__file__).resolve().parent
PAGE = (PROJECT / "docs" / "cli.md").read_text(encoding="utf-8")
COMMANDS = typer.main.get_group(calanque.app).commands
PIPELINE = ["ingest", "index", "analyse", "surfaces", "publish", "build"]
CITY = """
zones = []
sources = []
[city]
id = "essai"
title = { fr = "Essai", en = "Trial" }
metric_crs = "EPSG:2154"
timezone = "Europe/Paris"
attribution = "Essai"
[land]
path = "land.geojson"
[taxonomy.themes.a.categories.b]
title = { fr = "B", en = "B" }
[taxonomy.themes.a]
title = { fr = "A", en = "A" }
[analysis]
start = 2024-01-01
end = 2024-12-31
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CALANQUE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def city(tmp_path: Path) -> Path:
    """A city file that is valid, of a city without data."""
    (tmp_path / "city.toml").write_text(CITY, encoding="utf-8")
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(calanque.app, list(arguments))


def test_commands_are_the_promised_ones():
    promised = {
        *("ingest", "index", "analyse", "surfaces", "publish", "build", "serve", "runs", "doctor", "sample"),
        *("watch", "quality", "catalogue", "lineage", "purge"),
    }
    assert set(COMMANDS) == promised


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented_and_has_help(name: str):
    assert re.search(rf"^\| `calanque {name}` \| \w", PAGE, re.MULTILINE)
    assert len(COMMANDS[name].help or "") > 20
    assert run(name, "--help").exit_code == 0


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_documented_for_its_command(name: str):
    for parameter in COMMANDS[name].params:
        option = parameter.opts[0]
        row = re.search(rf"^\| `{option}[ `][^|]*\| ([^|]+) \| \w", PAGE, re.MULTILINE)
        assert row, f"{option} of {name} is not in docs/cli.md"
        scope = row[1]
        excluded = scope.startswith("all") and f"`{name}`" not in scope
        assert excluded or (not scope.startswith("all") and f"`{name}`" in scope), (
            f"{option}: {scope} says nothing of {name}"
        )


@pytest.mark.parametrize("name", [*PIPELINE, "doctor"])
def test_every_step_takes_a_city_and_answers_as_json(name: str):
    options = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    assert {"--city", "--json", "--debug"} <= options


@pytest.mark.parametrize("code", [1, 2, 3, 70, 130])
def test_every_exit_code_is_documented(code: int):
    assert re.search(rf"^\| {code} \| \w", PAGE, re.MULTILINE)
    assert code == 2 or code in set(calanque.Exit)


def test_every_setting_is_documented():
    from hexgrid import spark
    from ogc_server.settings import Settings

    names = {f"CALANQUE_{field.upper()}" for field in Settings.model_fields}
    names |= {spark.MASTER_VARIABLE, spark.MEMORY_VARIABLE}
    documented = set(re.findall(r"`([A-Z_]+)`", PAGE))
    assert names - documented == set()
    assert documented - names == {"JAVA_HOME"}


def test_help_answers_without_loading_a_floor():
    """A person who asks for help does not wait for Spark, GDAL and numba to be imported."""
    heavy = "{'pyspark', 'geopandas', 'pandas', 'pyogrio', 'duckdb', 'numba', 'pygeoapi', 'rasterio'}"
    code = f"import sys, calanque; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_missing_city_file_is_one_message_without_traceback(home: Path, tmp_path: Path):
    done = run("ingest", "--city", str(tmp_path / "nowhere"))
    assert done.exit_code == 1
    assert done.stdout == ""
    assert str(tmp_path / "nowhere") in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_city_file_is_named_with_its_line(home: Path, city: Path):
    text = (city / "city.toml").read_text(encoding="utf-8").replace("EPSG:2154", "EPSG:4326")
    (city / "city.toml").write_text(text, encoding="utf-8")
    line = next(n for n, row in enumerate(text.splitlines(), 1) if "EPSG:4326" in row)
    done = run("ingest", "--city", str(city))
    assert done.exit_code == 1
    assert f"city.toml:{line}:" in done.stderr
    assert not home.exists()  # nothing is written for a file that is refused


@pytest.mark.parametrize(
    "arguments",
    [
        ["build", "--nonsense"],
        ["nonsense"],
        ["serve", "--port", "70000"],
        ["serve", "--host", "0.0.0.0"],
        ["serve", "--profile", "nobody"],
    ],
)
def test_wrong_usage_is_2(home: Path, arguments: list[str]):
    done = run(*arguments)
    assert done.exit_code == 2, done.output


def test_a_home_that_another_process_writes_is_3(home: Path, city: Path):
    lock = home / "state" / "writer.lock"
    lock.parent.mkdir(parents=True)
    with lock.open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        done = run("ingest", "--city", str(city))
    assert done.exit_code == 3, done.output
    assert str(home) in done.stderr


def test_a_home_of_another_city_is_refused(home: Path, city: Path):
    home.mkdir()
    (home / "home.json").write_text('{"city": "ailleurs"}', encoding="utf-8")
    for command in ("build", "serve", "runs"):
        done = run(command, "--city", str(city))
        assert done.exit_code == 1
        assert "ailleurs" in done.stderr
        assert "essai" in done.stderr


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "goes on where this one stopped"),
        (CityFileError("city.toml:3: nothing there"), 1, "error: city.toml:3: nothing there"),
        (PermissionError(errno.EACCES, "Permission denied", "/somewhere"), 1, "error: /somewhere: Permission denied"),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "No space left on device"),
        (ZeroDivisionError("in a sum"), 70, "ZeroDivisionError: in a sum"),
    ],
)
def test_each_error_has_its_exit_code(
    raised: BaseException, code: int, said: str, home: Path, city: Path, monkeypatch: pytest.MonkeyPatch
):
    def step(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr("layers.ingest.ingest", step)
    done = run("ingest", "--city", str(city))
    assert done.exit_code == code, done.output
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_debug_shows_where_it_happened(home: Path, city: Path, monkeypatch: pytest.MonkeyPatch):
    def step(*_: object, **__: object) -> None:
        raise CityFileError("nothing there")

    monkeypatch.setattr("layers.ingest.ingest", step)
    done = run("ingest", "--city", str(city), "--debug")
    assert done.exit_code == 1
    assert "Traceback" in done.stderr
    assert "in step" in done.stderr


def test_a_step_is_reported_as_table_and_as_json(home: Path, city: Path, monkeypatch: pytest.MonkeyPatch):
    from layers.steps import ProgressCallback, StepReport

    def step(_city: object, _home: object, *, progress: ProgressCallback) -> StepReport:
        progress("half way", 0.5)
        return StepReport("ingest", "abc", skipped=False, seconds=1.5, figures={"incidents": 12345, "note": "[x]"})

    monkeypatch.setattr("layers.ingest.ingest", step)
    table = run("ingest", "--city", str(city))
    assert table.exit_code == 0, table.output
    assert "incidents 12 345" in re.sub(r"\s+", " ", table.stdout.replace("│", " "))
    assert "[x]" in table.stdout
    document = json.loads(run("ingest", "--city", str(city), "--json").stdout)
    assert document["city"] == "essai"
    assert document["home"] == str(home)
    assert document["run"] is None
    figures = {"incidents": 12345, "note": "[x]"}
    assert document["steps"] == [{"step": "ingest", "key": "abc", "skipped": False, "seconds": 1.5, "figures": figures}]


def test_runs_of_an_empty_home(home: Path):
    assert json.loads(run("runs", "--json").stdout) == {"home": str(home), "runs": []}


def test_interrupting_a_process_ends_it_with_130(home: Path, city: Path):
    """Ctrl-C in the middle of a step: the process itself, signal and all."""
    code = (
        "import signal, time, calanque, layers.ingest\n"
        # as in a terminal: what runs in a shell's background starts with the signal ignored
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def step(*_, **__):\n"
        "    print('working', flush=True); time.sleep(60)\n"
        "layers.ingest.ingest = step\n"
        f"calanque.app(['ingest', '--city', {str(city)!r}])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "working\n"
        time.sleep(0.1)
        os.kill(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "goes on where this one stopped" in said
    assert "Traceback" not in said


def test_doctor_says_what_is_broken_and_how_to_repair_it(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from ogc_server import doctor

    monkeypatch.setattr(doctor, "one_row_job", lambda: {"spark": "4", "java": "17", "java_home": "/j", "seconds": 1})
    monkeypatch.setattr(doctor, "spatial_extension", lambda: tmp_path / "absent.duckdb_extension")
    done = run("doctor", "--city", str(tmp_path / "nowhere"), "--json")
    assert done.exit_code == 1, done.output
    checks = {check["check"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["DuckDB spatial"]["state"] == "broken"
    assert checks["DuckDB spatial"]["repair"] == "make setup"
    assert checks["city"]["state"] == "broken"
    assert str(tmp_path / "nowhere") in checks["city"]["found"]
    fine = ("Python", "Spark and Java", "GDAL", "PROJ", "disk", "home")
    assert {name: checks[name]["state"] for name in fine} == dict.fromkeys(fine, "ok")


def test_doctor_of_a_wrong_setting_names_the_variable(home: Path, city: Path, monkeypatch: pytest.MonkeyPatch):
    from ogc_server import doctor

    monkeypatch.setattr(doctor, "one_row_job", lambda: {"spark": "4", "java": "17", "java_home": "/j", "seconds": 1})
    monkeypatch.setenv("CALANQUE_PORT", "eight")
    done = run("doctor", "--city", str(city), "--json")
    assert done.exit_code == 1
    (settings,) = [c for c in json.loads(done.stdout)["checks"] if c["check"] == "settings"]
    assert "port" in settings["found"]


def test_doctor_of_an_unreachable_database_hides_the_password(home: Path, city: Path, monkeypatch: pytest.MonkeyPatch):
    from ogc_server import doctor

    monkeypatch.setattr(doctor, "one_row_job", lambda: {"spark": "4", "java": "17", "java_home": "/j", "seconds": 1})
    monkeypatch.setenv("CALANQUE_DATABASE_URL", "postgresql://u:s3cret@127.0.0.1:1/none")
    done = run("doctor", "--city", str(city), "--json")
    (postgis,) = [c for c in json.loads(done.stdout)["checks"] if c["check"] == "PostGIS"]
    assert postgis["state"] == "broken"
    assert "CALANQUE_DATABASE_URL" in postgis["repair"]
    assert "s3cret" not in done.output
