"""Spreadsheets: one sheet, its first row the header, every cell as text (dates in ISO 8601)."""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import pyarrow as pa
import python_calamine

from layers.declared_sources import ReadOptions
from layers.errors import DeliveryError
from layers.readers.archives import check_archive, check_excel_sheet, panics_as_refusals
from layers.readers.base import BATCH_ROWS, Batch, OpenDelivery, Reader
from layers.readers.excel_cells import Cells, untold_cells
from layers.readers.open_document import OpenDocument

_WORKBOOK = "an Excel workbook"
_WORKSHEET = re.compile(r"/worksheets/[^/]*\.xml$")
_BATCH_CELLS = BATCH_ROWS * 16
_Rows = Iterator[list[Any]]


class _Sheet(Protocol):
    """Rows of a sheet from its very first cell on, as often as they are asked for."""

    def rows(self) -> _Rows: ...


class XlsxReader(Reader):
    """Excel workbooks.

    Read by calamine: GDAL tells dates from times by the cell's format, and loses the hours of formats that it does not
    know; openpyxl takes twenty times as long.
    """

    formats: ClassVar[tuple[str, ...]] = ("xlsx",)
    suffixes: ClassVar[tuple[str, ...]] = (".xlsx", ".xlsm")

    @contextmanager
    def open(self, path: Path, options: ReadOptions) -> Iterator[OpenDelivery]:
        """Open the sheet that the options name, or the first one."""
        check_archive(path, _WORKBOOK, lambda member: check_excel_sheet if _WORKSHEET.search(member) else None)
        try:
            with panics_as_refusals(path.name, _WORKBOOK):
                book = python_calamine.CalamineWorkbook.from_path(path)
                chosen = _chosen(_visible_first(book), options, path.name)
                sheet = book.get_sheet_by_name(chosen)
        except python_calamine.CalamineError as error:
            raise DeliveryError(f"{path.name}: is not {_WORKBOOK}: {error}") from error
        yield _opened(_ExcelSheet(sheet, untold_cells(path, chosen), path.name), path.name)


class OdsReader(Reader):
    """OpenDocument spreadsheets."""

    formats: ClassVar[tuple[str, ...]] = ("ods",)
    suffixes: ClassVar[tuple[str, ...]] = (".ods",)

    @contextmanager
    def open(self, path: Path, options: ReadOptions) -> Iterator[OpenDelivery]:
        """Open the sheet that the options name, or the first one."""
        document = OpenDocument(path)
        yield _opened(document.sheet(_chosen(document.names, options, path.name)), path.name)


def _visible_first(book: python_calamine.CalamineWorkbook) -> list[str]:
    """Names of the sheets; a hidden one is read when it is named, or alone."""
    hidden = {sheet.name for sheet in book.sheets_metadata if sheet.visible != python_calamine.SheetVisibleEnum.Visible}
    return sorted(book.sheet_names, key=hidden.__contains__)


def _chosen(names: Sequence[str], options: ReadOptions, name: str) -> str:
    if not names:
        raise DeliveryError(f"{name}: has no sheet")
    if options.sheet is not None and options.sheet not in names:
        raise DeliveryError(f"{name}: has no sheet {options.sheet!r}; it has {', '.join(names)}")
    return options.sheet or names[0]


class _ExcelSheet:
    """Rows of a worksheet."""

    def __init__(self, sheet: python_calamine.CalamineSheet, untold: Cells, name: str) -> None:
        self._sheet, self._untold, self._name = sheet, untold, name

    def rows(self) -> _Rows:
        """Rows from cell A1 on, with the cells that calamine does not tell."""
        number = -1
        for number, row in enumerate(self._told()):
            yield self._completed(number, row) if number in self._untold else row
        for further in range(number + 1, 1 + max(self._untold, default=-1)):
            yield self._completed(further, [])

    def _completed(self, number: int, row: list[Any]) -> list[Any]:
        more = self._untold.get(number, {})
        whole = row + [""] * (1 + max(more, default=-1) - len(row))
        return [more.get(place, value) if value == "" else value for place, value in enumerate(whole)]

    def _told(self) -> _Rows:
        """Rows as calamine gives them: it begins at the first cell that holds something."""
        start = self._sheet.start
        if start is None:
            return
        above, left = start
        blank: list[Any] = [""] * left
        for _ in range(above):
            yield blank
        with panics_as_refusals(self._name, _WORKBOOK):
            for row in self._sheet.iter_rows():
                yield blank + row


def _opened(sheet: _Sheet, name: str) -> OpenDelivery:
    """Go through the sheet once for what must be known before the first batch."""
    rows = sheet.rows()
    header = _header(rows, name)
    width = len(header)
    dates_only: list[bool | None] = [None] * width
    last = 0
    for number, row in enumerate(rows, start=1):
        for position, value in enumerate(row):
            if value == "":
                continue
            last = number
            if position >= width:
                raise DeliveryError(
                    f"{name}: row {number}, column {position + 1}: holds a value and has no name in the header"
                )
            # A workbook has one type for dates and times: a column without any hour is a column of dates.
            if isinstance(value, dt.datetime):
                dates_only[position] = dates_only[position] is not False and value.time() == dt.time(0)
    return OpenDelivery(tuple(header), _batches(sheet, header, dates_only, last))


def _header(rows: _Rows, name: str) -> list[str]:
    header = list(next(rows, []))
    while header and header[-1] == "":
        header.pop()
    if not header:
        raise DeliveryError(f"{name}: the sheet is empty, or its first row is; a header was expected")
    unnamed = [str(position + 1) for position, value in enumerate(header) if value == ""]
    if unnamed:
        raise DeliveryError(f"{name}: the header has no name in column {', '.join(unnamed)}")
    return [_cell_text(value, dates_only=None).strip() for value in header]


def _batches(sheet: _Sheet, header: list[str], dates_only: list[bool | None], last: int) -> Iterator[Batch]:
    """Yield the rows up to the last value; empty cells are empty text, rows below are no rows."""
    size = max(1, min(BATCH_ROWS, _BATCH_CELLS // len(header)))
    rows = itertools.islice(sheet.rows(), 1, last + 1)
    first = 1
    while part := list(itertools.islice(rows, size)):
        width = len(header)
        arrays = [
            pa.array(
                [_cell_text(row[p], dates_only=dates_only[p]) if p < len(row) else "" for row in part], pa.string()
            )
            for p in range(width)
        ]
        numbers = np.arange(first, first + len(part), dtype=np.int64)
        yield Batch(pa.Table.from_arrays(arrays, names=header), numbers)
        first += len(part)


def _cell_text(value: object, *, dates_only: bool | None) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if dates_only else value.isoformat()
    if isinstance(value, dt.date) and dates_only is False:
        return f"{value.isoformat()}T00:00:00"  # calamine gives a time at midnight as a date
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)
