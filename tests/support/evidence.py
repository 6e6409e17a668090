"""Committed results of long runs, and the code that they speak of."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any

from layers.digests import digest_file, digest_json
from support.services import PROJECT

FOLDER = PROJECT / "docs" / "evidence"


def digest_of(files: Sequence[str]) -> str:
    """Digest of some files of the project; an evidence that carries another one is older than its code."""
    return digest_json({name: digest_file(PROJECT / name) for name in sorted(files)})


def write(name: str, files: Sequence[str], result: Mapping[str, Any]) -> None:
    """Keep the result of a long run beside the digest of the code that gave it."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    head = {"date": dt.datetime.now(dt.UTC).date().isoformat(), "code": digest_of(files), "files": sorted(files)}
    text = json.dumps({**head, **result}, ensure_ascii=False, indent=1)
    (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def read(name: str) -> dict[str, Any]:
    """What was kept."""
    document: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return document
