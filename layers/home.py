"""The home folder: where the lake, the runs and the state of one city live."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from layers.errors import HomeError, HomeLockedError

_IDENTITY = "home.json"


@dataclass(frozen=True, slots=True)
class Home:
    """Paths of one home folder (``CALANQUE_HOME``, default ``./var``). One home holds one city."""

    root: Path

    @classmethod
    def from_environment(cls) -> Home:
        """Home named by ``CALANQUE_HOME``, or ``./var``."""
        return cls(Path(os.environ.get("CALANQUE_HOME") or "var").resolve())

    @property
    def lake(self) -> Path:
        """Raw deliveries, layers, rejects, cube and staged products."""
        return self.root / "lake"

    @property
    def raw(self) -> Path:
        """Deliveries as received, minus dropped columns."""
        return self.lake / "raw"

    @property
    def accepted(self) -> Path:
        """Rows of each delivery that meet their contract, until they are written into a layer."""
        return self.lake / "accepted"

    @property
    def layers(self) -> Path:
        """Tables of records, zones and land."""
        return self.lake / "layers"

    @property
    def rejects(self) -> Path:
        """Refused rows, one table per source."""
        return self.lake / "rejects"

    @property
    def cube(self) -> Path:
        """Counts by cell."""
        return self.lake / "cube"

    @property
    def stages(self) -> Path:
        """Products of a step, under the digest of the step's inputs."""
        return self.lake / "stages"

    @property
    def runs(self) -> Path:
        """Immutable runs."""
        return self.root / "runs"

    @property
    def current(self) -> Path:
        """Symbolic link to the run that is served."""
        return self.runs / "current"

    @property
    def state(self) -> Path:
        """What is not a run: jobs, accounts, journal."""
        return self.root / "state"


def replace_file(path: Path, data: bytes) -> None:
    """Write ``data`` at ``path`` so that readers see the old bytes or the new ones, even after a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def claim_home(home: Home, city_id: str) -> None:
    """Make sure that the home folder holds this city, and note it in ``home.json`` the first time.

    Raises
    ------
    HomeError
        If it holds another city, or cannot be written.
    """
    path = home.root / _IDENTITY
    try:
        home.root.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            replace_file(path, json.dumps({"city": city_id}).encode())
    except OSError as error:
        raise HomeError(f"the home folder {home.root} cannot be written: {error.strerror or error}") from error
    check_home(home, city_id)


def check_home(home: Home, city_id: str) -> None:
    """Refuse a home folder that holds another city; an empty one is accepted.

    Raises
    ------
    HomeError
        If it holds another city, or its ``home.json`` is damaged.
    """
    path = home.root / _IDENTITY
    try:
        known = json.loads(path.read_text(encoding="utf-8"))["city"]
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError) as error:
        raise HomeError(f"{path} is not the JSON that Calanque writes: {error}") from error
    if known != city_id:
        raise HomeError(
            f"the home folder {home.root} holds the city {known!r}, not {city_id!r}: one home holds one city "
            "(set CALANQUE_HOME to another folder)"
        )


_held: dict[Path, tuple[int, int]] = {}
"""Locks of this process: path → (owning thread, depth)."""
_held_guard = threading.Lock()


@contextmanager
def writing(home: Home) -> Iterator[None]:
    """Be the only writer of ``home`` (one per home, readers are free). Steps nest: a build holds it over all of them.

    The operating system frees the lock when its process ends, however it ends.

    Raises
    ------
    HomeLockedError
        If another process or thread is writing.
    """
    home.state.mkdir(parents=True, exist_ok=True)
    path = (home.state / "writer.lock").resolve()
    me = threading.get_ident()
    with _held_guard:
        owner, depth = _held.get(path, (me, 0))
        if owner != me:
            raise HomeLockedError(f"{home.root} is being written by another thread of this process")
        _held[path] = (me, depth + 1)
    handle = None
    try:
        if depth == 0:
            handle = path.open("a")
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise HomeLockedError(f"{home.root} is being written by another process; wait for it to end") from error
        yield
    finally:
        if handle is not None:
            handle.close()
        with _held_guard:
            _held.pop(path) if depth == 0 else _held.__setitem__(path, (me, depth))
