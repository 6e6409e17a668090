"""A MariaDB of one's own for tests: a throwaway server on a free loopback port.

``from support.mariadb import mariadb_url`` in a test module makes the fixture known.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from support.postgis import REQUIRE_ALL, START_TIMEOUT_S, free_port

SERVER_FOLDERS = ("/usr/sbin", "/usr/libexec", "/usr/local/bin", "/opt/homebrew/bin")


def _absent(reason: str) -> None:
    if REQUIRE_ALL:
        pytest.fail(f"MariaDB is required here (CALANQUE_REQUIRE_ALL=1): {reason}")
    pytest.skip(f"MariaDB is not here: {reason}")


def _program(name: str) -> str | None:
    """Path of a program of the server: distributions keep it off an ordinary user's PATH."""
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(SERVER_FOLDERS))


def _server_user() -> str:
    """User that the server runs as: an ordinary one, when the tests run as root."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name
    for name in ("mysql", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    _absent("tests run as root and there is no user mysql")
    raise AssertionError


@pytest.fixture(scope="session")
def mariadb_url() -> Iterator[str]:
    """URL of an empty database; it is gone when the session ends."""
    install, server = _program("mariadb-install-db"), _program("mariadbd")
    if install is None or server is None:
        _absent("no mariadb-install-db and mariadbd on the PATH or in /usr/sbin")
    user = _server_user()
    # not under pytest's folder: the server's user may not enter it
    folder = Path(tempfile.mkdtemp(prefix="calanque-mariadb-"))
    try:
        shutil.chown(folder, user)
        folder.chmod(0o700)
        own = [f"--datadir={folder / 'data'}", f"--user={user}"]
        # no file of the machine's own server is read: its first option says so
        quick = ["--innodb-buffer-pool-size=32M", "--innodb-log-file-size=8M", "--innodb-flush-log-at-trx-commit=0"]
        installed = subprocess.run(
            [str(install), "--no-defaults", *own, "--auth-root-authentication-method=normal", "--skip-test-db", *quick],
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if installed.returncode != 0:
            _absent(f"mariadb-install-db failed: {installed.stdout[-1000:]}{installed.stderr[-1000:]}")
        port = free_port()
        options = [f"--socket={folder / 'socket'}", f"--port={port}", "--bind-address=127.0.0.1", "--skip-log-bin"]
        log = folder / "log"
        with log.open("w") as output:
            command = [str(server), "--no-defaults", *own, *options, f"--pid-file={folder / 'pid'}", *quick]
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        try:
            yield _database(f"mysql+pymysql://root@127.0.0.1:{port}/", process, log)
        finally:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _database(server_url: str, process: subprocess.Popen[bytes], log: Path) -> str:
    """Wait for the server and make a database in it."""
    engine = sa.create_engine(server_url, poolclass=sa.NullPool)
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            with engine.connect() as connection:
                connection.execute(sa.text("CREATE DATABASE calanque CHARACTER SET utf8mb4"))
        except sa.exc.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                _absent(f"mariadbd does not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)
        else:
            return f"{server_url}calanque"
