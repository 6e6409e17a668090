"""Spreadsheets: one sheet, its first row the header, every cell as text (dates in ISO 8601)."""

from __future__ import annotations

import datetime as dt
import zipfile
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import python_calamine

from layers.declared_sources import ReadOptions
from layers.errors import DeliveryError
from layers.readers.base import Delivery, Reader
from layers.readers.vector import read_layer

_MAX_UNPACKED_BYTES = 4 * 2**30


class XlsxReader(Reader):
    """Excel workbooks.

    Read by calamine: GDAL tells dates from times by the cell's format, and loses the hours of formats that it does not
    know; openpyxl takes twenty times as long.
    """

    formats: ClassVar[tuple[str, ...]] = ("xlsx",)
    suffixes: ClassVar[tuple[str, ...]] = (".xlsx", ".xlsm")

    def read(self, path: Path, options: ReadOptions) -> Delivery:
        """Read the sheet that the options name, or the first one."""
        try:
            with zipfile.ZipFile(path) as archive:
                unpacked = sum(entry.file_size for entry in archive.infolist())
            if unpacked > _MAX_UNPACKED_BYTES:
                raise DeliveryError(f"{path.name}: unpacks to {unpacked} bytes, more than {_MAX_UNPACKED_BYTES}")
            book = python_calamine.CalamineWorkbook.from_path(path)
            names = book.sheet_names
            if options.sheet is not None and options.sheet not in names:
                raise DeliveryError(f"{path.name}: has no sheet {options.sheet!r}; it has {', '.join(names)}")
            sheet = book.get_sheet_by_name(options.sheet or names[0])
            return Delivery.of(_text_table(sheet.to_python(skip_empty_area=False), path.name))
        except (zipfile.BadZipFile, python_calamine.CalamineError) as error:
            raise DeliveryError(f"{path.name}: is not an Excel workbook: {error}") from error


class OdsReader(Reader):
    """OpenDocument spreadsheets."""

    formats: ClassVar[tuple[str, ...]] = ("ods",)
    suffixes: ClassVar[tuple[str, ...]] = (".ods",)

    def read(self, path: Path, options: ReadOptions) -> Delivery:
        """Read the sheet that the options name, or the first one."""
        table, _, _ = read_layer(path, options.sheet, HEADERS="FORCE", FIELD_TYPES="AUTO")
        return Delivery.of(table)


def _text_table(cells: list[list[Any]], name: str) -> pa.Table:
    """Table of the cells as text; empty cells are empty text, rows below the last value are no rows."""
    while cells and all(value == "" for value in cells[-1]):
        cells.pop()
    if not cells:
        raise DeliveryError(f"{name}: the sheet is empty; a header was expected")
    header = list(cells[0])
    while header and header[-1] == "":
        header.pop()
    unnamed = [str(position + 1) for position, value in enumerate(header) if value == ""]
    if unnamed:
        raise DeliveryError(f"{name}: the header has no name in column {', '.join(unnamed)}")
    columns = list(zip(*cells[1:], strict=True)) if len(cells) > 1 else [()] * len(header)
    beyond = [p + 1 for p, values in enumerate(columns) if p >= len(header) and any(v != "" for v in values)]
    if beyond:
        raise DeliveryError(f"{name}: column {beyond[0]} holds values and has no name in the header")
    names = [str(value).strip() for value in header]
    return pa.table([_text_column(values) for values in columns[: len(names)]], names=names)


def _text_column(values: tuple[Any, ...]) -> pa.Array:
    # A workbook has one type for dates and times: a column without any hour is a column of dates.
    times = [v for v in values if isinstance(v, dt.datetime)]
    dates_only = bool(times) and all(v.time() == dt.time(0) for v in times)
    return pa.array([_cell_text(v, dates_only=dates_only) for v in values], pa.string())


def _cell_text(value: object, *, dates_only: bool) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if dates_only else value.isoformat()
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)
