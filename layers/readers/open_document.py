"""OpenDocument spreadsheets (ODF 1.3, part 3), read as a stream.

GDAL refuses the empty rows that LibreOffice writes below a table and leaves out columns beyond the 2,000th; calamine
refuses the white space that GDAL writes between cells.
"""

from __future__ import annotations

import datetime as dt
import re
import xml.parsers.expat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from layers.errors import DeliveryError
from layers.readers.archives import SheetSize, check_archive

_WHAT = "an OpenDocument spreadsheet"
_CONTENT = "content.xml"
_BLOCK_BYTES = 2**20
_CELLS = frozenset({"table-cell", "covered-table-cell"})
_NO_PART_OF_THE_VALUE = frozenset({"annotation", "table", "frame", "custom-shape", "g"})
"""Elements inside a cell whose text is not its value: comments, tables, shapes."""
_MARKS = {"tab": "\t", "line-break": "\n"}
_DURATION = re.compile(r"^PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.\d+)?S)?$")

_Row = tuple[int, list[Any]]


class OpenDocument:
    """A document that has been looked through: ``names`` are those of its sheets."""

    def __init__(self, path: Path) -> None:
        """Unpack it once.

        Raises
        ------
        DeliveryError
            If it is no such document, or one of its sheets is too large.
        """
        self._path = path
        self._seen = False
        self.names: list[str] = []
        check_archive(path, _WHAT, lambda member: self._look_through if member == _CONTENT else None)
        if not self._seen:
            raise DeliveryError(f"{path.name}: is not {_WHAT}: it holds no {_CONTENT}")

    def _look_through(self, blocks: Iterator[bytes]) -> None:
        self._seen = True
        content = _Content(None)
        sizes: dict[int, SheetSize] = {}
        rows: dict[int, int] = {}
        for block in blocks:
            content.feed(block)
            for table, (repeat, values) in content.taken():
                size = sizes.setdefault(table, SheetSize())
                rows[table] = rows.get(table, 0) + repeat
                if values:
                    size.rows, size.columns = rows[table], max(size.columns, len(values))
                    size.check()
        content.end()
        self.names = content.names

    def sheet(self, name: str) -> _Sheet:
        """Sheet of that name."""
        return _Sheet(self._path, name)


class _Sheet:
    def __init__(self, path: Path, name: str) -> None:
        self._path, self._name = path, name

    def rows(self) -> Iterator[list[Any]]:
        """Values of each row, without the empty cells at its end; empty rows only before others."""
        content, empty = _Content(self._name), 0
        with zipfile.ZipFile(self._path) as archive, archive.open(_CONTENT) as file:
            while block := file.read(_BLOCK_BYTES):
                content.feed(block)
                for _, (repeat, values) in content.taken():
                    if not values:
                        empty += repeat
                        continue
                    for _ in range(empty):
                        yield []
                    empty = 0
                    for _ in range(repeat):
                        yield values


class _Content:
    """Parser of ``content.xml``: rows of one sheet, or of all, with how often each is repeated."""

    def __init__(self, wanted: str | None) -> None:
        self.names: list[str] = []
        self._wanted = wanted
        self._stack: list[str] = []
        self._rows: list[tuple[int, _Row]] = []
        self._in_table = False
        self._repeat = 1
        self._values: list[Any] = []
        self._gap = 0
        self._cell: dict[str, str] | None = None
        self._cell_depth = 0
        self._outside: int | None = None
        self._paragraphs: list[str] = []
        self._parser = xml.parsers.expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.StartDoctypeDeclHandler = self._no_document_type

    def feed(self, block: bytes) -> None:
        self._parse(block, final=False)

    def end(self) -> None:
        self._parse(b"", final=True)

    def _parse(self, block: bytes, *, final: bool) -> None:
        try:
            self._parser.Parse(block, final)
        except xml.parsers.expat.ExpatError as error:
            raise DeliveryError(f"its content is no XML: {error}") from error

    def taken(self) -> list[tuple[int, _Row]]:
        """Rows since the last call: number of the table, times, values."""
        rows, self._rows = self._rows, []
        return rows

    @staticmethod
    def _no_document_type(*_: object) -> None:
        raise DeliveryError("declares an XML document type, which no spreadsheet does")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(":")[2]
        self._stack.append(name)
        if self._cell is not None:
            self._start_inside(name, attributes)
        elif name == "table" and self._stack[-2:-1] == ["spreadsheet"]:
            self.names.append(_local(attributes).get("name", ""))
            self._in_table = self._wanted is None or self.names[-1] == self._wanted
        elif not self._in_table:
            return
        elif name == "table-row":
            self._repeat, self._values, self._gap = _times(attributes, "number-rows-repeated"), [], 0
        elif name in _CELLS:
            self._cell, self._cell_depth = _local(attributes), len(self._stack)
            self._paragraphs, self._outside = [], None

    def _start_inside(self, name: str, attributes: dict[str, str]) -> None:
        if self._outside is not None:
            return
        if name in _NO_PART_OF_THE_VALUE:
            self._outside = len(self._stack)
        elif name == "p":
            self._paragraphs.append("")
        elif name == "s" and self._paragraphs:
            self._paragraphs[-1] += " " * min(_times(attributes, "c"), 1000)
        elif name in _MARKS and self._paragraphs:
            self._paragraphs[-1] += _MARKS[name]

    def _text(self, data: str) -> None:
        if self._cell is not None and self._outside is None and self._paragraphs:
            self._paragraphs[-1] += data

    def _end(self, _tag: str) -> None:
        depth = len(self._stack)
        name = self._stack.pop()
        if self._cell is not None:
            if depth == self._outside:
                self._outside = None
            if depth == self._cell_depth:
                self._end_cell(self._cell)
        elif name == "table" and self._stack[-1:] == ["spreadsheet"]:
            self._in_table = False
        elif name == "table-row" and self._in_table:
            self._rows.append((len(self.names), (self._repeat, self._values)))

    def _end_cell(self, cell: dict[str, str]) -> None:
        value = _value(cell, "\n".join(self._paragraphs))
        times = int(cell.get("number-columns-repeated", "1"))
        self._cell = None
        if value == "":
            self._gap += times  # at the end of a row: thousands of nothing
            return
        SheetSize(1, len(self._values) + self._gap + times).check()
        self._values += [""] * self._gap + [value] * times
        self._gap = 0


def _local(attributes: dict[str, str]) -> dict[str, str]:
    return {key.rpartition(":")[2]: value for key, value in attributes.items()}


def _times(attributes: dict[str, str], of: str) -> int:
    return int(_local(attributes).get(of, "1"))


def _value(cell: dict[str, str], text: str) -> Any:
    """Value of a cell by its type; numbers as they are written, without the sheet's format."""
    match cell.get("value-type"):
        case "float" | "percentage" | "currency":
            return cell.get("value", text)
        case "date":
            return _moment(cell.get("date-value", text))
        case "time":
            return _clock(cell.get("time-value", text))
        case "boolean":
            return str(cell.get("boolean-value") == "true")
        case _:
            return cell.get("string-value", text)


def _moment(text: str) -> dt.datetime | str:
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        return text  # not a date of the calendar: judged with the others


def _clock(text: str) -> str:
    match = _DURATION.match(text)
    if match is None:
        return text
    return ":".join(f"{int(part or 0):02d}" for part in match.groups())
