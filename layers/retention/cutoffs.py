"""The date before which a source's records are destroyed: it only moves forward, and ingestion honours it for ever."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from pathlib import Path

from layers.errors import HomeError
from layers.home import Home, replace_file


def _path(home: Home) -> Path:
    return home.lake / "retention.json"


def read_cutoffs(home: Home) -> dict[str, dt.date]:
    """Source → local date before which its records are destroyed; a source without one keeps all.

    Raises
    ------
    HomeError
        If the file is not what Calanque writes: guessing would bring destroyed records back.
    """
    path = _path(home)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return {source: dt.date.fromisoformat(date) for source, date in document.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError, TypeError) as error:
        raise HomeError(f"{path} is not the JSON that Calanque writes: {error}") from error


def move_cutoffs(home: Home, cutoffs: Mapping[str, dt.date]) -> dict[str, dt.date]:
    """Move cut-offs forward (never back) and return all of them."""
    known = read_cutoffs(home)
    moved = known | {s: max(date, known.get(s, date)) for s, date in cutoffs.items()}
    document = {source: date.isoformat() for source, date in sorted(moved.items())}
    replace_file(_path(home), json.dumps(document, indent=1).encode())
    return moved
