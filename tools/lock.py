"""Make the locks anew (``make lock``) or check that each Python has its wheels (``make lock-check``). Needs uv.

The locks are universal: one file for Python 3.12 to 3.14. No package index is written into them.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
LOCKS = {
    "requirements.lock": ["--extra", "dev", "pyproject.toml", "requirements.in"],
    "requirements-java.lock": ["requirements-java.in"],
    "requirements-node.lock": ["requirements-node.in"],
}
PYTHONS = ("3.12", "3.13", "3.14")
PLATFORM = "x86_64-manylinux_2_28"
SOURCE_ONLY = "pyspark"
"""The one package that is published as a source distribution only."""


def compile_locks(uv: str, *, upgrade: bool) -> None:
    """Write every lock, and the size of what each one downloads."""
    sizes = {}
    for lock, sources in LOCKS.items():
        command = [uv, "pip", "compile", "--quiet", "--universal", "--python-version", PYTHONS[0], "--generate-hashes"]
        command += ["--custom-compile-command", "make lock", *(["--upgrade"] if upgrade else []), *sources]
        subprocess.run([*command, "--output-file", lock], cwd=PROJECT, check=True)
        sizes[lock] = download_mb(uv, lock)
    (PROJECT / "requirements.sizes.json").write_text(json.dumps(sizes, indent=1) + "\n", encoding="utf-8")
    print("Locked.", ", ".join(f"{lock}: {size} MB" for lock, size in sizes.items()))


def download_mb(uv: str, lock: str) -> int:
    """Size of the files that a Linux machine downloads for a lock."""
    with tempfile.TemporaryDirectory() as folder:
        listing = Path(folder) / "pylock.toml"  # has the sizes; never kept, for it names the index
        command = [
            uv,
            "pip",
            "compile",
            "--quiet",
            "--format",
            "pylock.toml",
            "--no-deps",
            "--python-platform",
            PLATFORM,
        ]
        subprocess.run([*command, "--python-version", PYTHONS[0], lock, "-o", str(listing)], cwd=PROJECT, check=True)
        packages = tomllib.loads(listing.read_text(encoding="utf-8"))["packages"]
    files = [max(p.get("wheels") or [p["sdist"]], key=lambda file: file["size"]) for p in packages]
    return round(sum(file["size"] for file in files) / 1e6)


def unresolved(uv: str, python: str) -> str | None:
    """Why the lock cannot be installed from wheels alone on a Python (PySpark excepted); None when it can."""
    command = [uv, "pip", "compile", "--quiet", "--no-deps", "--python-version", python, "--python-platform", PLATFORM]
    command += ["--only-binary", ":all:", "--no-binary", SOURCE_ONLY, "requirements.lock"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else None


def main() -> int:
    """Lock or check; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing: check the wheels of every Python")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    arguments = parser.parse_args()
    uv = shutil.which("uv")
    if uv is None:
        print("uv is not on the PATH; see https://docs.astral.sh/uv/", file=sys.stderr)
        return 1
    if not arguments.check:
        compile_locks(uv, upgrade=arguments.upgrade)
        return 0
    broken = {python: why for python in PYTHONS if (why := unresolved(uv, python))}
    for python in PYTHONS:
        print(f"Python {python}: {broken.get(python) or 'every wheel is there (PySpark: source)'}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
