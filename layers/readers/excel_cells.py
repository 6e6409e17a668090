"""Cells of a worksheet that calamine gives as empty although they are not: errors, and formulas without a value.

Programs that write workbooks without working them out leave formulas so; spreadsheet programs fill them in when they
save. Both become text (``#REF!``, ``=A1+B1``), so that a row is refused for what it holds rather than read as if it
held nothing. Elements are those of ECMA-376, part 1, 18.3.1.
"""

from __future__ import annotations

import posixpath
import re
import xml.parsers.expat
import zipfile
from collections.abc import Callable
from pathlib import Path

from layers.errors import DeliveryError
from layers.readers.archives import column_number

_BLOCK_BYTES = 2**20
_OVERLAP_BYTES = 4096
_SUSPECT = re.compile(
    rb"""\bt=["']e["']|</(?:\w+:)?f>\s*(?:<(?:\w+:)?v\s*(?:/>|>\s*</(?:\w+:)?v>)\s*)?</|<(?:\w+:)?f(?:\s[^>]*)?/>\s*</"""
)
_BOOK = "xl/workbook.xml"
_PLACE = re.compile(r"^([A-Z]{1,3})(\d{1,7})$")
Cells = dict[int, dict[int, str]]
"""Row → column → text, both from 0."""


def untold_cells(path: Path, sheet: str) -> Cells:
    """Find the cells of a sheet that hold an error, or a formula without a value.

    Parameters
    ----------
    path
        Workbook, looked through already.
    sheet
        Name of the sheet.

    Raises
    ------
    DeliveryError
        If the XML cannot be read.
    """
    with zipfile.ZipFile(path) as archive:
        member = _member(archive, sheet, path.name)
        if member is None or not _has_suspects(archive, member):
            return {}
        found = _Cells()
        _parse(archive, member, path.name, found.start, found.end, found.text)
        return found.untold


def _has_suspects(archive: zipfile.ZipFile, member: str) -> bool:
    tail = b""
    with archive.open(member) as file:
        while block := file.read(_BLOCK_BYTES):
            if _SUSPECT.search(tail + block):
                return True
            tail = block[-_OVERLAP_BYTES:]
    return False


def _member(archive: zipfile.ZipFile, sheet: str, name: str) -> str | None:
    """Member that holds a sheet; None where the workbook is laid out in another way."""
    relations = f"{posixpath.dirname(_BOOK)}/_rels/{posixpath.basename(_BOOK)}.rels"
    if not {_BOOK, relations} <= set(archive.namelist()):
        return None
    keys: dict[str, str] = {}
    targets: dict[str, str] = {}

    def book(element: str, given: dict[str, str]) -> None:
        if element == "sheet":
            keys[given.get("name", "")] = given.get("r:id", "")

    def relation(element: str, given: dict[str, str]) -> None:
        if element == "Relationship":
            targets[given.get("Id", "")] = given.get("Target", "")

    _parse(archive, _BOOK, name, book)
    _parse(archive, relations, name, relation)
    target = targets.get(keys.get(sheet, ""), "")
    member = target.lstrip("/") if target.startswith("/") else posixpath.join(posixpath.dirname(_BOOK), target)
    return member if member in archive.namelist() else None


def _parse(
    archive: zipfile.ZipFile,
    member: str,
    name: str,
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None] = lambda _: None,
    text: Callable[[str], None] = lambda _: None,
) -> None:
    parser = xml.parsers.expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = lambda tag, given: start(tag.rpartition(":")[2], given)
    parser.EndElementHandler = lambda tag: end(tag.rpartition(":")[2])
    parser.CharacterDataHandler = text
    try:
        with archive.open(member) as file:
            parser.ParseFile(file)
    except xml.parsers.expat.ExpatError as error:
        raise DeliveryError(f"{name}: is not an Excel workbook: {member}: {error}") from error


class _Cells:
    """Hears a sheet's XML."""

    def __init__(self) -> None:
        self.untold: Cells = {}
        self._row, self._column = -1, -1
        self._kind = ""
        self._parts: dict[str, str] = {}
        self._inside: str | None = None

    def start(self, element: str, given: dict[str, str]) -> None:
        if element == "row":
            self._row = int(given["r"]) - 1 if given.get("r", "").isdecimal() else self._row + 1
            self._column = -1
        elif element == "c":
            place = _PLACE.match(given.get("r", ""))
            self._column = column_number(place[1].encode()) - 1 if place else self._column + 1
            self._kind, self._parts = given.get("t", "n"), {}
        elif element in {"f", "v"}:
            self._inside = element
            self._parts[element] = ""

    def text(self, text: str) -> None:
        if self._inside is not None:
            self._parts[self._inside] += text

    def end(self, element: str) -> None:
        if element in {"f", "v"}:
            self._inside = None
        elif element == "c":
            value = self._parts.get("v", "")
            if self._kind == "e":
                self._tell(value or "#ERROR!")
            elif self._kind == "n" and not value and "f" in self._parts:  # of other kinds, no value is empty text
                self._tell(f"={self._parts['f']}")

    def _tell(self, text: str) -> None:
        self.untold.setdefault(self._row, {})[self._column] = text
