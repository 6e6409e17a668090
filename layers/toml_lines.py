"""Where a key stands in a TOML text: the standard parser gives values and forgets lines."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence

Location = tuple[str | int, ...]
"""Path of a value: table keys and positions in arrays of tables."""

_SKIPPED = re.compile(
    r'"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*',
    re.DOTALL,
)
_KEY = re.compile(
    r"""\s*((?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*'))*)\s*="""
)
_HEADER = re.compile(r"^\s*(\[\[?)([^\[\]]+)\]\]?\s*(?:#.*)?$")


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield (line number, first line) of each statement; a value over several lines belongs to its first."""
    # Strings and comments are blanked, newlines kept, so that brackets can be counted.
    blanked = _SKIPPED.sub(
        lambda m: re.sub(r"[^\n]", " ", m[0]) if "\n" in m[0] or m[0][0] == "#" else "_" * len(m[0]), text
    )
    original = text.splitlines()
    depth = 0
    for number, line in enumerate(blanked.splitlines(), start=1):
        if depth == 0 and line.strip():
            yield number, original[number - 1]
        if depth > 0 or not _HEADER.match(line):
            depth = max(0, depth + sum(line.count(c) for c in "[{") - sum(line.count(c) for c in "]}"))


def _keys(dotted: str) -> list[str]:
    document = tomllib.loads(f"{dotted.strip()} = 0")
    keys: list[str] = []
    value: object = document
    while isinstance(value, dict):
        key, value = next(iter(value.items()))
        keys.append(key)
    return keys


def key_lines(text: str) -> dict[Location, int]:
    """Line of every table header and of every key written at the start of a statement.

    Parameters
    ----------
    text
        A valid TOML document.

    Returns
    -------
    dict
        Path of the value → line, 1-based. Keys inside an inline table are on the line of the statement.
    """
    lines: dict[Location, int] = {}
    arrays: dict[Location, int] = {}
    table: Location = ()
    for number, line in _logical_lines(text):
        if header := _HEADER.match(line):
            table = _resolve(_keys(header[2]), arrays, opens=header[1] == "[[")
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            lines.setdefault((*table, *_keys(key[1])), number)
    return lines


def _resolve(keys: list[str], arrays: dict[Location, int], *, opens: bool) -> Location:
    """Path of a header: the latest entry of every array of tables on the way, a new one for ``[[…]]``."""
    path: Location = ()
    for position, key in enumerate(keys):
        path = (*path, key)
        if opens and position == len(keys) - 1:
            arrays[path] = arrays.get(path, -1) + 1
        if path in arrays:
            path = (*path, arrays[path])
    return path


def line_of(location: Sequence[str | int], lines: dict[Location, int]) -> int:
    """Line of the longest known beginning of ``location`` (1 when nothing of it is written)."""
    path = tuple(location)
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return 1
