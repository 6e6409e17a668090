"""What tests need from outside: services that may be missing, the command line, a server process."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx
import pytest

PROJECT = Path(__file__).resolve().parents[2]
SAMPLE_CITY = PROJECT / "data_samples" / "marseille"
REQUIRE_ALL = os.environ.get("CALANQUE_REQUIRE_ALL") == "1"
BUILD_TIMEOUT_S = 900
SERVER_START_TIMEOUT_S = 60


def need(present: object, what: str) -> None:
    """Skip a test whose service is missing; fail instead where everything is required.

    A contributor without PostGIS, QGIS or a browser sees a skip that names it; ``.ci/run`` sees a failure.
    """
    if present:
        return
    if REQUIRE_ALL:
        pytest.fail(f"{what} is required here (CALANQUE_REQUIRE_ALL=1) and was not found")
    pytest.skip(f"{what} is not installed")


@contextmanager
def one_at_a_time(lock: Path) -> Iterator[IO[str]]:
    """Let one test process do what several share (a build), the others wait for it."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle


def calanque(*arguments: str, home: Path, timeout_s: float = BUILD_TIMEOUT_S, **environment: str) -> str:
    """Run the command line in a process of its own and return what it printed."""
    command = [sys.executable, "-m", "calanque", *arguments]
    env = os.environ | {"CALANQUE_HOME": str(home)} | environment
    done = subprocess.run(command, cwd=PROJECT, env=env, capture_output=True, text=True, timeout=timeout_s, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-8000:]}"
    return done.stdout


@contextmanager
def serving(home: Path, *arguments: str, **environment: str) -> Iterator[str]:
    """Serve ``home`` with the real command on a free loopback port; yield its root URL (no trailing slash)."""
    env = os.environ | {"CALANQUE_HOME": str(home), "PYTHONUNBUFFERED": "1"} | environment
    command = [sys.executable, "-m", "calanque", "serve", "--port", "18010", *arguments]
    log = home / f"serve-{os.getpid()}.log"
    with log.open("w+") as output:
        process = subprocess.Popen(command, cwd=PROJECT, env=env, stdout=output, stderr=subprocess.STDOUT, text=True)
        try:
            yield _announced_url(process, log)
        finally:
            process.terminate()
            process.wait(timeout=30)


def _announced_url(process: subprocess.Popen[str], log: Path) -> str:
    deadline = time.monotonic() + SERVER_START_TIMEOUT_S
    while time.monotonic() < deadline:
        text = log.read_text(encoding="utf-8", errors="replace")
        found = re.search(r"http://127\.0\.0\.1:\d+", text)
        if process.poll() is not None:
            pytest.fail(f"the server stopped with {process.returncode}:\n{text[-4000:]}")
        if found:
            try:
                if httpx.get(f"{found[0]}/healthz", timeout=2).status_code == httpx.codes.OK:
                    return found[0]
            except httpx.TransportError:
                pass  # it has announced its port and does not listen yet
        time.sleep(0.2)
    pytest.fail(f"no server after {SERVER_START_TIMEOUT_S} s:\n{log.read_text()[-4000:]}")
