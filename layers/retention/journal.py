"""What is being destroyed (a journal, until it is done) and what was (a log): counts and digests, never a record."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from layers.digests import digest_json
from layers.errors import HomeError
from layers.home import Home, replace_file
from layers.lake import sync_path

_JOURNAL = "purge.json"
_LOG = "purge.log"


@dataclass(frozen=True, slots=True)
class Entry:
    """What goes, or went, of one source.

    ``on`` is the local date of the purge, ``before`` the date before which records go; ``rows`` says how many rows each
    delivery (by digest) loses. ``records``, ``earlier_versions`` and ``rejects`` are what they were in the layers.
    """

    on: dt.date
    source: str
    before: dt.date
    rows: dict[str, int]
    records: int = 0
    earlier_versions: int = 0
    rejects: int = 0

    @property
    def raw_rows(self) -> int:
        """Rows of all deliveries."""
        return sum(self.rows.values())

    def document(self) -> dict[str, Any]:
        """Return the entry as JSON."""
        return {
            **asdict(self),
            "on": self.on.isoformat(),
            "before": self.before.isoformat(),
            "raw_rows": self.raw_rows,
            "rows": dict(sorted(self.rows.items())),
        }

    @classmethod
    def of(cls, document: dict[str, Any]) -> Entry:
        """Read what :meth:`document` gives."""
        dates = {name: dt.date.fromisoformat(document[name]) for name in ("on", "before")}
        return cls(**{key: value for key, value in (document | dates).items() if key != "raw_rows"})


@dataclass(frozen=True, slots=True)
class Journal:
    """A purge that is not over.

    ``runs`` are those that hold something of it. ``cleared`` once the lake's tables are gone: what is there then was
    made anew.
    """

    entries: tuple[Entry, ...]
    runs: tuple[str, ...] = ()
    cleared: bool = False

    @property
    def cutoffs(self) -> dict[str, dt.date]:
        """Source → date before which its records go."""
        cutoffs: dict[str, dt.date] = {}
        for entry in self.entries:
            cutoffs[entry.source] = max(entry.before, cutoffs.get(entry.source, entry.before))
        return cutoffs


def read_journal(home: Home) -> Journal | None:
    """Return the purge that is not over, if any.

    Raises
    ------
    HomeError
        If the journal is not what Calanque writes.
    """
    path = home.state / _JOURNAL
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        entries = tuple(Entry.of(entry) for entry in document["entries"])
        return Journal(entries, tuple(document["runs"]), bool(document["cleared"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise HomeError(f"{path} is not the JSON that Calanque writes: {error}") from error


def write_journal(home: Home, journal: Journal) -> None:
    """Note durably what is about to be destroyed."""
    document = {
        "entries": [entry.document() for entry in journal.entries],
        "runs": sorted(journal.runs),
        "cleared": journal.cleared,
    }
    replace_file(home.state / _JOURNAL, json.dumps(document, indent=1).encode())
    sync_path(home.state)


def add_to_journal(home: Home, entries: Iterable[Entry], runs: Sequence[str] = ()) -> Journal:
    """Note more that has to go; the lake's tables have to be made anew once more."""
    pending = read_journal(home) or Journal(())
    noted = dict.fromkeys(digest_json(entry.document()) for entry in pending.entries)
    more = [entry for entry in entries if digest_json(entry.document()) not in noted]
    journal = Journal((*pending.entries, *more), tuple(sorted({*pending.runs, *runs})))
    write_journal(home, journal)
    return journal


def close_journal(home: Home, journal: Journal) -> None:
    """Move the journal into the log."""
    log(home, journal.entries, journal.runs)
    (home.state / _JOURNAL).unlink(missing_ok=True)
    sync_path(home.state)


def log(home: Home, entries: Iterable[Entry], runs: Sequence[str] = ()) -> None:
    """Add lines to ``state/purge.log``; one that a crash kept from being the last step is not repeated."""
    path = home.state / _LOG
    lines = [json.dumps(entry.document() | {"runs": sorted(runs)}, sort_keys=True) for entry in entries]
    known = set(_whole_lines(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        if file.tell() and not path.read_text(encoding="utf-8").endswith("\n"):
            file.write("\n")  # a crash tore the line before
        file.writelines(line + "\n" for line in lines if line not in known)
    sync_path(path)


def read_log(home: Home) -> list[dict[str, Any]]:
    """Everything that was destroyed, the oldest first: the lines of ``state/purge.log``."""
    return [json.loads(line) for line in _whole_lines(home.state / _LOG)]


def _whole_lines(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [line for line in lines if line.endswith("}")]
