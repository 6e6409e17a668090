"""Wait for deliveries: ingest when files have arrived and are quiet, and when it is time to ask a database."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from types import FrameType

import watchfiles

from layers.city import City, load_city
from layers.errors import CalanqueError, HomeLockedError

Watched = dict[Path, tuple[int, int]]
"""Size in bytes and time of change in nanoseconds of each file that decides an ingestion."""

_GLOB_CHARACTERS = frozenset("*?[")
_LOOK_AGAIN_MS = 500


def watch(
    city_file: Path,
    step: Callable[[City], str | None],
    *,
    tell: Callable[[str], None],
    settle_s: float = 5.0,
    poll_s: float = 300.0,
    once: bool = False,
    stop: threading.Event | None = None,
) -> bool:
    """Run a step when deliveries have come, again and again.

    It runs at the start, then each time that files of the city's delivery patterns, its boundary files or the city
    file itself have changed and no size or time of change has moved for ``settle_s``. What the operating system does
    not announce (files on a network share) is seen every ``poll_s``. A city with databases is also ingested every
    ``poll_s``. A refusal is told and ends nothing: the files have to change before they are tried again, save where
    another command held the home folder.

    Parameters
    ----------
    city_file
        The city's ``city.toml``, or its folder; read anew for each run.
    step
        What is run; its answer, if any, is told.
    tell
        Takes one line of text.
    settle_s, poll_s
        Seconds.
    once
        Whether to end after the first run.
    stop
        Ends the wait when it is set.

    Returns
    -------
    bool
        Whether the last run was not refused.

    Raises
    ------
    CityFileError
        If the city file is not valid at the start.
    """
    stop = stop or threading.Event()
    city = load_city(city_file)
    taken: Watched | None = None
    done_at, good = time.monotonic(), True
    while True:
        due_at = done_at + poll_s if any(source.database for source in city.sources) else None
        quiet = _wait_for_quiet(city_file, city, taken, settle_s=settle_s, poll_s=poll_s, due_at=due_at, stop=stop)
        if quiet is None:
            return good
        try:
            city = load_city(city_file)
            line = step(city)
        except HomeLockedError as error:
            good = False
            tell(f"waits: {error}")
        except (CalanqueError, OSError) as error:
            good, taken = False, quiet
            tell(f"refused: {error}")
        else:
            good, taken = True, quiet
            if line is not None:
                tell(line)
        done_at = time.monotonic()
        if once:
            return good


def _wait_for_quiet(
    city_file: Path,
    city: City,
    taken: Watched | None,
    *,
    settle_s: float,
    poll_s: float,
    due_at: float | None,
    stop: threading.Event,
) -> Watched | None:
    """Wait until the files differ from those taken and are quiet, or a database is due; None when stopped."""
    seen = watched_files(city_file, city)
    changed_at = looked_at = time.monotonic()
    for announced in _wakes(city_file, city, stop):
        now = time.monotonic()
        if announced or seen != taken or now - looked_at >= poll_s or (due_at is not None and now >= due_at):
            looked_at = now
            found = watched_files(city_file, city)
            if found != seen:
                seen, changed_at = found, now
        wanted = seen != taken or (due_at is not None and now >= due_at)
        if wanted and now - changed_at >= settle_s:
            return seen
    return None


def _wakes(city_file: Path, city: City, stop: threading.Event) -> Iterator[bool]:
    """Wake up twice a second, and at once when something changes in the folders; whether something may have."""
    while not stop.is_set():
        roots, deep = watched_folders(city_file, city)
        changed = True  # what happened before the folders were watched is announced by nobody
        try:
            for changes in watchfiles.watch(
                *roots,
                watch_filter=None,
                stop_event=stop,
                rust_timeout=_LOOK_AGAIN_MS,
                yield_on_timeout=True,
                recursive=deep,
                ignore_permission_denied=True,
            ):
                changed |= bool(changes)
                yield changed
                if changed and watched_folders(city_file, city)[0] != roots:
                    break  # a folder came or went
                changed = False
        except KeyboardInterrupt:
            if stop.is_set():  # watchfiles takes every signal for an interrupt
                return
            raise


def watched_files(city_file: Path, city: City) -> Watched:
    """Files that decide an ingestion, as they are now; a file that vanishes meanwhile is not there."""
    patterns = [pattern for source in city.sources for pattern in source.deliveries]
    boundaries = [level.path for level in city.zones if level.path] + ([city.land.path] if city.land.path else [])
    paths = [city_file / "city.toml" if city_file.is_dir() else city_file]
    for pattern in [*patterns, *boundaries]:
        is_glob = bool(_GLOB_CHARACTERS & set(pattern))
        paths += sorted(city.folder.glob(pattern)) if is_glob else [city.folder / pattern]
    found: Watched = {}
    for path in paths:
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        if path.is_file():
            found[path] = (status.st_size, status.st_mtime_ns)
    return found


def watched_folders(city_file: Path, city: City) -> tuple[tuple[Path, ...], bool]:
    """Folders where deliveries and the city file are, or would be, and whether those inside them count too."""
    patterns = [PurePath(pattern) for source in city.sources for pattern in source.deliveries]
    folders = {city_file if city_file.is_dir() else city_file.parent}
    deep = False
    for pattern in patterns:
        literal = list(pattern.parent.parts)
        first_glob = next((n for n, part in enumerate(literal) if _GLOB_CHARACTERS & set(part)), None)
        deep |= first_glob is not None
        folder = city.folder.joinpath(*literal[:first_glob])
        while not folder.is_dir() and folder != folder.parent:
            folder = folder.parent
        folders.add(folder)
    return tuple(sorted({folder.resolve() for folder in folders})), deep


@contextmanager
def ended_by_sigterm() -> Iterator[threading.Event]:
    """Make SIGTERM, which service managers send, a clean end: exit code 0, at once, also in the middle of a step.

    Nothing needs to be put in order for it: what was published stays published, and the lake is whole at any moment.

    Yields
    ------
    threading.Event
        Set when the signal came.
    """
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()
        raise SystemExit(0)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)
