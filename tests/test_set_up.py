"""Set-up: whole or made anew, everything missing named at once, no package index shown."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture
def set_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """tools/setup.py over an empty project folder, recording the commands that it would run."""
    spec = importlib.util.spec_from_file_location("set_up_under_test", PROJECT / "tools" / "setup.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    for name in ("requirements.lock", "requirements-java.lock", "requirements-node.lock", "requirements.sizes.json"):
        (tmp_path / name).write_bytes((PROJECT / name).read_bytes())
    monkeypatch.setattr(module, "PROJECT", tmp_path)
    monkeypatch.setattr(module, "LOCK", tmp_path / "requirements.lock")
    environment = tmp_path / ".venv"
    for name, path in (("ENVIRONMENT", ""), ("DONE", ".setup-done"), ("UNFINISHED", ".setup-unfinished")):
        monkeypatch.setattr(module, name, environment / path)
    module.ran = []
    monkeypatch.setattr(module, "_run", lambda command, **_: module.ran.append([str(part) for part in command]))
    monkeypatch.setattr(module, "_run_pip", lambda command, **_: module.ran.append([str(part) for part in command]))
    monkeypatch.setattr(module, "_install_map_library", lambda _: None)
    return module


def machine(set_up: ModuleType, *, uv: str | None = None, java: bool = True, node: bool = True):
    return set_up.Machine(uv, java, node)


def leave(set_up: ModuleType, marker: str) -> Path:
    """An environment with a working Python and a package, as an earlier set-up left it."""
    environment = set_up.ENVIRONMENT
    (environment / "bin").mkdir(parents=True)
    (environment / "bin" / "python").symlink_to(sys.executable)
    (environment / marker).touch()
    (environment / "package").touch()
    return environment / "package"


@pytest.mark.parametrize("uv", [None, "/usr/local/bin/uv"])
def test_an_interrupted_environment_is_made_anew(set_up: ModuleType, uv: str | None):
    package = leave(set_up, ".setup-unfinished")
    set_up._make_environment(machine(set_up, uv=uv))
    assert not package.exists()
    assert set_up.UNFINISHED.exists()  # until everything is installed
    (command,) = set_up.ran
    assert command[0] == (uv or str(Path(sys.executable).resolve()))
    assert "venv" in command


def test_a_whole_environment_is_kept_when_a_lock_changes(set_up: ModuleType):
    package = leave(set_up, ".setup-done")
    set_up._make_environment(machine(set_up))
    assert package.exists()
    assert set_up.ran == []
    assert not set_up.DONE.exists()  # not whole again before the new lock is installed
    assert set_up.UNFINISHED.exists()


@pytest.mark.parametrize("uv", [None, "/usr/local/bin/uv"])
def test_every_install_checks_hashes_and_builds_with_the_locked_setuptools(set_up: ModuleType, uv: str | None):
    set_up.ENVIRONMENT.mkdir()
    set_up._install(machine(set_up, uv=uv), set_up.LOCK)
    assert len(set_up.ran) == 2
    for command in set_up.ran:
        assert {"--require-hashes", "--no-build-isolation"} <= set(command)
        assert command[command.index("--only-binary") + 1] == ":all:"
        assert command[command.index("--no-binary") + 1] == "pyspark"
    first = Path(set_up.ran[0][-1]).read_text(encoding="utf-8")
    assert first.startswith("setuptools==")
    assert first.count("==") == 1
    assert "--hash=sha256:" in first
    assert set_up.ran[1][-1] == str(set_up.LOCK)


def test_where_all_is_required_the_packaged_java_is_too(set_up: ModuleType, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CALANQUE_REQUIRE_ALL", "1")
    monkeypatch.setattr(set_up, "_version", lambda *_: 17)
    monkeypatch.setattr(set_up, "_has_node", lambda: True)
    monkeypatch.setattr(set_up, "_missing", lambda _: [])
    assert set_up.main() == 0
    assert set_up.DONE.read_text(encoding="utf-8").split() == ["requirements.lock", "requirements-java.lock"]


@pytest.mark.parametrize(("found", "extra"), [({"java", "node"}, 0), ({"node"}, 1), ({"java"}, 1), (set(), 2)])
def test_java_and_node_are_packages_only_where_they_are_missing(
    set_up: ModuleType,
    found: set[str],
    extra: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
):
    monkeypatch.delenv("CALANQUE_REQUIRE_ALL", raising=False)
    monkeypatch.setattr(set_up.shutil, "which", lambda _: None)
    monkeypatch.setattr(set_up, "_version", lambda *_: 17 if "java" in found else 0)
    monkeypatch.setattr(set_up, "_has_node", lambda: "node" in found)
    monkeypatch.setattr(set_up, "_missing", lambda _: [])
    assert set_up.main() == 0
    assert len(set_up.DONE.read_text(encoding="utf-8").split()) == 1 + extra
    assert not set_up.UNFINISHED.exists()
    sizes = json.loads((PROJECT / "requirements.sizes.json").read_text(encoding="utf-8"))
    total = sizes["requirements.lock"] + ("java" not in found) * sizes["requirements-java.lock"]
    assert f"{total + ('node' not in found) * sizes['requirements-node.lock']} MB" in capsys.readouterr().out


def test_everything_missing_is_named_at_once(
    set_up: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.setattr(set_up.shutil, "which", lambda _: None)
    monkeypatch.setattr(set_up, "_version", lambda *_: 0)
    monkeypatch.setattr(set_up, "_works", lambda _: False)
    monkeypatch.setattr(set_up, "DISK_NEEDED_GB", 10**9)
    assert set_up.main() == 1
    said = capsys.readouterr().err
    assert f"sudo apt-get install python{sys.version_info[0]}.{sys.version_info[1]}-venv" in said
    assert "of free disk" in said
    assert set_up.ran == []


def test_a_failed_install_is_unfinished_and_says_how_to_go_on(
    set_up: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    def fail(command: list[str], **_: object) -> None:
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(set_up, "_run_pip", fail)
    monkeypatch.setattr(set_up, "_missing", lambda _: [])
    monkeypatch.setattr(set_up.shutil, "which", lambda _: None)
    assert set_up.main() == 1
    assert set_up.UNFINISHED.exists()
    assert not set_up.DONE.exists()
    assert "Run the same command again" in capsys.readouterr().err


def test_what_pip_says_is_shown_without_addresses(set_up: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture):
    spec = importlib.util.spec_from_file_location("set_up_whole", PROJECT / "tools" / "setup.py")
    assert spec
    assert spec.loader
    whole = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = whole
    try:
        spec.loader.exec_module(whole)
        script = (
            "print('Looking in indexes: https://user:secret@example.org/simple'); print('Collecting a==1'); exit(3)"
        )
        with pytest.raises(subprocess.CalledProcessError):
            # The option that is added for pip is an argument of the script here.
            whole._run_pip([sys.executable, "-c", script], lock=set_up.LOCK)
    finally:
        del sys.modules[spec.name]
    said = "".join(capsys.readouterr())
    assert "1 of" in said
    assert "a 1" in said
    assert "secret" not in said
    assert "example.org" not in said


@pytest.mark.parametrize(
    ("said", "version"), [('openjdk version "17.0.15"', 17), ('java version "1.8.0"', 8), ("v20.20.2", 20)]
)
def test_versions_are_read_from_what_the_command_says(
    set_up: ModuleType, tmp_path: Path, said: str, version: int, monkeypatch
):
    command = tmp_path / "command"
    command.write_text(f"#!/bin/sh\necho '{said}' >&2\n", encoding="utf-8")
    command.chmod(0o755)
    assert set_up._version(str(command), "--version") == version
    command.write_text("#!/bin/sh\nexit 127\n", encoding="utf-8")  # a shim that fails
    assert set_up._version(str(command), "--version") == 0
