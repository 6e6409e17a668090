"""A PostGIS of one's own for tests: a throwaway cluster on a free loopback port.

``from support.postgis import postgis_url`` in a conftest makes the fixture known. With ``CALANQUE_TEST_DATABASE_URL``
set, that database is used instead (its schemas ``calanque`` and ``run_…`` are dropped).
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

SERVER_FOLDERS = ("/usr/lib/postgresql", "/usr/pgsql-15", "/usr/local/pgsql", "/opt/homebrew/opt/postgresql@15")
START_TIMEOUT_S = 60
REQUIRE_ALL = os.environ.get("CALANQUE_REQUIRE_ALL") == "1"


def _absent(reason: str) -> None:
    if REQUIRE_ALL:
        pytest.fail(f"PostGIS is required here (CALANQUE_REQUIRE_ALL=1): {reason}")
    pytest.skip(f"PostGIS is not here: {reason}")


def server_programs() -> Path | None:
    """Folder of initdb and pg_ctl: on the PATH, or where distributions hide them, the newest first."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    candidates = [p for root in SERVER_FOLDERS for p in sorted(Path(root).glob("**/bin/initdb"), reverse=True)]
    return candidates[0].parent if candidates else None


def _as_server_user() -> tuple[list[str], str]:
    """Words before a command, and the user it then runs as: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return [], pwd.getpwuid(os.geteuid()).pw_name
    try:
        pwd.getpwnam("postgres")
    except KeyError:
        _absent("tests run as root and there is no user postgres")
    return ["runuser", "-u", "postgres", "--"], "postgres"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT_S,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        log = folder / "log"
        detail = log.read_text(encoding="utf-8", errors="replace")[-2000:] if log.exists() else ""
        _absent(f"{' '.join(command)} failed: {done.stdout[-500:]}{done.stderr[-1500:]}{detail}")


@pytest.fixture(scope="session")
def postgis_url() -> Iterator[str]:
    """URL of an empty database with PostGIS; it is gone when the session ends."""
    given = os.environ.get("CALANQUE_TEST_DATABASE_URL")
    if given:
        _clean(given)
        yield given
        return
    programs = server_programs()
    if programs is None:
        _absent("no initdb on the PATH or in /usr/lib/postgresql")
    assert programs is not None
    prefix, user = _as_server_user()
    # not under pytest's folder: the server's user may not enter it
    folder = Path(tempfile.mkdtemp(prefix="calanque-postgis-"))
    try:
        shutil.chown(folder, user)
        folder.chmod(0o700)
        data, port = folder / "data", free_port()
        initdb = ["-D", str(data), "-U", "calanque", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        _run([*prefix, str(programs / "initdb"), *initdb], folder)
        options = (
            f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off -c shared_buffers=32MB"
        )
        control = [*prefix, str(programs / "pg_ctl"), "-D", str(data), "-w"]
        # the server must not inherit the pipes of pg_ctl, or reading them would never end
        _run([*control, "-l", str(folder / "log"), "-o", options, "start"], folder)
        try:
            url = f"postgresql://calanque@127.0.0.1:{port}/postgres"
            _create_extension(url)
            yield url
        finally:
            _run([*control, "-m", "immediate", "stop"], folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _engine(url: str) -> sa.Engine:
    return sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")


def _create_extension(url: str) -> None:
    engine = _engine(url)
    try:
        with engine.connect() as connection:
            connection.execute(sa.text("CREATE EXTENSION IF NOT EXISTS postgis"))
    except sa.exc.DBAPIError as error:
        _absent(f"the extension postgis cannot be created: {error.orig}")
    finally:
        engine.dispose()


def _clean(url: str) -> None:
    engine = _engine(url)
    with engine.connect() as connection:
        names = connection.execute(sa.text("SELECT nspname FROM pg_namespace")).scalars().all()
        for name in names:
            if name == "calanque" or name.startswith("run_"):
                connection.execute(sa.schema.DropSchema(name, cascade=True))
    engine.dispose()


def drop_all_runs(url: str) -> None:
    """Empty the database of every run, as before the first publication."""
    _clean(url)
