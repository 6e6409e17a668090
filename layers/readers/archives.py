"""Zip archives that come from outside: looked through before a library that trusts them opens them."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from layers.errors import DeliveryError

MAX_UNPACKED_BYTES = 4 * 2**30
_MAX_RATIO = 200
"""Sheets and shapes pack 5 to 50 times; far beyond, and large, is a trap."""
_MIN_BOMB_BYTES = 2**27
_MAX_CELLS = 50_000_000
"""Cells between the first and the last one that holds something; they are held in memory."""
_MAX_SHEET_ROWS, _MAX_SHEET_COLUMNS = 1_048_576, 16_384
_BLOCK_BYTES = 2**20
_OVERLAP_BYTES = 64
_FAULTS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)

Scan = Callable[[Iterator[bytes]], None]


def check_archive(path: Path, what: str, scan_of: Callable[[str], Scan | None] = lambda _: None) -> None:
    """Unpack every member once, in blocks, so that sizes and checksums are known to be true.

    Parameters
    ----------
    path
        The archive.
    what
        What it should be, for the message.
    scan_of
        Gives, for the name of a member, what looks at its content; None where nobody does.

    Raises
    ------
    DeliveryError
        If it is no zip archive, damaged, encrypted or out of proportion.
    """
    name = path.name
    try:
        with zipfile.ZipFile(path) as archive:
            _check_size(sum(entry.file_size for entry in archive.infolist()), path.stat().st_size)
            for entry in archive.infolist():
                with archive.open(entry) as member:
                    _unpack(member, scan_of(entry.filename))
    except DeliveryError as error:
        raise DeliveryError(f"{name}: {error}") from error
    except _FAULTS as error:
        raise DeliveryError(f"{name}: is not {what}: {error}") from error


def _check_size(unpacked_bytes: int, packed_bytes: int) -> None:
    if unpacked_bytes > MAX_UNPACKED_BYTES:
        raise DeliveryError(f"unpacks to {unpacked_bytes} bytes, more than {MAX_UNPACKED_BYTES}")
    if unpacked_bytes > max(_MIN_BOMB_BYTES, _MAX_RATIO * packed_bytes):
        raise DeliveryError(f"unpacks to {unpacked_bytes} bytes, more than {_MAX_RATIO} times its size")


def _unpack(member: IO[bytes], scan: Scan | None) -> None:
    """Read to the end, where zipfile compares the checksum."""
    if scan is not None:
        scan(iter(partial(member.read, _BLOCK_BYTES), b""))
    while member.read(_BLOCK_BYTES):
        pass


@contextmanager
def panics_as_refusals(name: str, what: str) -> Iterator[None]:
    """Turn a panic of a library in Rust, which is no Exception, into a refusal."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise DeliveryError(f"{name}: is not {what} that can be read: {error}") from error


_FAR_COLUMN = re.compile(rb""" r=["']([A-Z]{2,3})\d""")
_ROW = re.compile(rb"""<(?:\w+:)?row(?=[ />])(?:[^>]*? r=["'](\d{1,9})["'])?""")
_CELL = re.compile(rb"<(?:\w+:)?c[ />]")


@dataclass(slots=True)
class SheetSize:
    """Rectangle around the cells of a sheet that hold something."""

    rows: int = 1
    columns: int = 1

    def check(self) -> None:
        """Refuse a size that no spreadsheet has, or that fills the memory.

        Raises
        ------
        DeliveryError
            Gives the size.
        """
        if self.rows > _MAX_SHEET_ROWS or self.columns > _MAX_SHEET_COLUMNS:
            raise DeliveryError(
                f"a sheet reaches row {self.rows}, column {self.columns}; spreadsheets have "
                f"{_MAX_SHEET_ROWS} rows and {_MAX_SHEET_COLUMNS} columns"
            )
        if self.rows * self.columns > _MAX_CELLS:
            raise DeliveryError(
                f"a sheet spans {self.rows} rows of {self.columns} columns, more than {_MAX_CELLS} cells: deliver it "
                "as CSV, or delete what lies far from the table"
            )


def check_excel_sheet(blocks: Iterator[bytes]) -> None:
    """Refuse a worksheet whose cells lie so far apart that the rectangle around them fills the memory.

    Raises
    ------
    DeliveryError
        Gives the size of the rectangle.
    """
    size, tail, rows, in_row = SheetSize(columns=26), b"", 0, 0
    for block in blocks:
        data = tail + block
        for match in _FAR_COLUMN.finditer(data):
            size.columns = max(size.columns, column_number(match[1]))
        for match in _ROW.finditer(data):
            size.rows = max(size.rows, int(match[1] or 0))
        # Cells and rows may go without a reference: then they are counted.
        rows += block.count(b"<row")
        cells = block.count(b"<c ") + block.count(b"<c>") + block.count(b":c ") + block.count(b":c>")
        if cells > block.count(b' r="'):
            for position, piece in enumerate(block.split(b"<row")):
                in_row = len(_CELL.findall(piece)) + (in_row if position == 0 else 0)
                size.columns = max(size.columns, in_row)
        size.rows = max(size.rows, rows)
        size.check()
        tail = data[-_OVERLAP_BYTES:]


def column_number(letters: bytes) -> int:
    """Number of a column of a spreadsheet: 1 is A, 27 is AA."""
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return number
