"""Delimited text: encoding, delimiter and line breaks are sniffed, every value stays the text that it is."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from layers.declared_sources import ReadOptions
from layers.errors import DeliveryError
from layers.readers.base import Delivery, Reader

_DELIMITERS = ";,\t|"
_SAMPLE_LINES = 50


class DelimitedReader(Reader):
    """CSV and its kin."""

    formats: ClassVar[tuple[str, ...]] = ("csv",)
    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".tsv", ".txt")

    def read(self, path: Path, options: ReadOptions) -> Delivery:
        """Read a file; rows with too many or too few values are malformed, the others are kept."""
        data = path.read_bytes()
        encoding = options.encoding or sniffed_encoding(data)
        try:
            text = data.decode(encoding)
        except (UnicodeDecodeError, LookupError) as error:
            raise DeliveryError(f"{path.name}: is not {encoding} text: {error}") from error
        text = text.removeprefix("\ufeff").lstrip("\r\n")
        if not text.strip():
            raise DeliveryError(f"{path.name}: is empty; a header was expected")
        delimiter = options.delimiter or sniffed_delimiter(text)
        return _parsed(text.encode(), delimiter, path.name)


def sniffed_encoding(data: bytes) -> str:
    """UTF-8 (or UTF-16 by its mark) when the bytes are, else Windows' superset of ISO-8859-1."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    for encoding in ("utf-8", "cp1252"):
        try:
            data.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    return "iso-8859-1"  # accepts any byte: the five that cp1252 leaves undefined are control characters


def sniffed_delimiter(text: str) -> str:
    """Choose the delimiter that cuts the header into most columns, quoted parts left out."""
    header = next(line for line in text.splitlines() if line.strip())
    outside = "".join(header.split('"')[::2])
    counts = {d: outside.count(d) for d in _DELIMITERS}
    best = max(counts.values())
    return next((d for d in _DELIMITERS if counts[d] == best), ",") if best else ","


def _parsed(data: bytes, delimiter: str, name: str) -> Delivery:
    bad: list[int] = []

    def keep_number(row: pacsv.InvalidRow) -> str:
        bad.append(row.number)
        return "skip"

    # Quoted line breaks are looked for only where there are quotes: it halves the speed.
    quoted = b'"' in data
    header = _header(data, delimiter, name, quoted=quoted)
    try:
        table = pacsv.read_csv(
            pa.BufferReader(data),
            # One thread: rows are then numbered in the file's order.
            read_options=pacsv.ReadOptions(column_names=header, skip_rows_after_names=1, use_threads=False),
            parse_options=pacsv.ParseOptions(
                delimiter=delimiter, newlines_in_values=quoted, invalid_row_handler=keep_number
            ),
            convert_options=pacsv.ConvertOptions(
                column_types={n: pa.string() for n in header}, strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        raise DeliveryError(f"{name}: is not delimited text: {error}") from error
    if quoted and len(header) > 1:
        _refuse_swallowed_rows(table, delimiter, name)
    # Arrow counts the header as row 1.
    malformed = np.array(sorted(number - 1 for number in bad), dtype=np.int64)
    every = np.arange(1, table.num_rows + len(malformed) + 1, dtype=np.int64)
    return Delivery(table, np.setdiff1d(every, malformed), malformed=malformed)


def _refuse_swallowed_rows(table: pa.Table, delimiter: str, name: str) -> None:
    """Refuse a file in which a value holds whole rows: a quotation mark was opened there and never closed.

    Raises
    ------
    DeliveryError
        Naming the first such row and column.
    """
    mark = re.escape(delimiter)
    whole_row = rf"\n(?:[^\n{mark}]*{mark}){{{table.num_columns - 1}}}"
    for column in table.column_names:
        row = pc.index(pc.match_substring_regex(table.column(column), whole_row), True).as_py()
        if row >= 0:
            raise DeliveryError(
                f"{name}: row {row + 1}, column {column!r}: the value holds whole rows of the file, so a quotation "
                "mark is opened there and never closed; close it, or double it inside a value"
            )


def _header(data: bytes, delimiter: str, name: str, *, quoted: bool) -> list[str]:
    try:
        reader = pacsv.open_csv(
            pa.BufferReader(data),
            read_options=pacsv.ReadOptions(use_threads=False),
            parse_options=pacsv.ParseOptions(
                delimiter=delimiter, newlines_in_values=quoted, invalid_row_handler=lambda _row: "skip"
            ),
        )
    except pa.ArrowInvalid as error:
        raise DeliveryError(f"{name}: no header can be read: {error}") from error
    return [column.strip() for column in reader.schema.names]
