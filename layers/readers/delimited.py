"""Delimited text: encoding, delimiter, quotes and decimal mark are sniffed, every value stays the text that it is."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from layers.declared_sources import ReadOptions
from layers.errors import DeliveryError
from layers.readers.base import Batch, OpenDelivery, Reader, no_rows
from layers.readers.encoded_text import SAMPLE_BYTES, TextFile, Utf8Stream, look_through, open_bytes
from layers.readers.sniffing import Dialect, dialect_of, sniffed_decimal, without_mark

BLOCK_BYTES = 2**22
"""Text cut into rows at once. Arrow reads 32 such blocks ahead."""
LONG_BLOCK_BYTES = 2**25
"""The same for files with rows longer than that; a row that is longer still is refused."""

_LONG_ROW = "straddling object"


class DelimitedReader(Reader):
    """CSV and its kin, also packed by gzip."""

    formats: ClassVar[tuple[str, ...]] = ("csv",)
    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")

    @contextmanager
    def open(self, path: Path, options: ReadOptions) -> Iterator[OpenDelivery]:
        """Open a file; rows with too many or too few values are malformed, the others are kept."""
        text = look_through(path, options.encoding)
        dialect = dialect_of(text, options)
        header, skip_bytes = _header(text, dialect)
        rows = _Rows(text, header, skip_bytes, dialect)
        decimal = options.decimal or sniffed_decimal(text, dialect)
        yield OpenDelivery(tuple(name for name in header if name), rows.batches(), decimal=decimal)


def _header(text: TextFile, dialect: Dialect) -> tuple[list[str], int]:
    """Names of the columns, and the bytes of UTF-8 up to the first row.

    Columns at the end that have no name are "": they must hold nothing.
    """
    name = text.path.name
    body = without_mark(text.sample)
    lines = io.StringIO(body, newline="")
    try:
        # Lines of blanks alone before the header are no header.
        header = next(
            row
            for row in csv.reader(iter(lines.readline, ""), delimiter=dialect.delimiter, quotechar=dialect.quote)
            if any(cell.strip() for cell in row)
        )
    except StopIteration:
        raise DeliveryError(f"{name}: no header can be read: there are only delimiters") from None
    except csv.Error as error:
        raise DeliveryError(f"{name}: no header can be read: {error}") from error
    end = lines.tell()
    if end >= len(body) and len(text.sample.encode()) >= SAMPLE_BYTES:
        raise DeliveryError(f"{name}: no header can be read: its first line does not end within {SAMPLE_BYTES} bytes")
    names = [cell.strip() for cell in header]
    if any("\0" in cell for cell in names):
        raise DeliveryError(f"{name}: no header can be read: it holds NUL bytes, so this is no text")
    last = max(position for position, cell in enumerate(names) if cell)
    if unnamed := [str(position + 1) for position, cell in enumerate(names[:last]) if not cell]:
        raise DeliveryError(f"{name}: the header has no name in column {', '.join(unnamed)}")
    skipped = text.sample[: len(text.sample) - len(body) + end]
    return names, len(skipped.encode())


class _Rows:
    """Cuts a file into rows and keeps count of them."""

    def __init__(self, text: TextFile, header: list[str], skip_bytes: int, dialect: Dialect) -> None:
        self._text, self._header, self._skip_bytes, self._dialect = text, header, skip_bytes, dialect
        self._name = text.path.name
        self._pending: list[int] = []
        self._next_row = 1
        self._fault: str | None = None
        self._stream: Utf8Stream | None = None
        self._last_value = ""
        mark = re.escape(dialect.delimiter)
        self._whole_row = rf"\n(?:[^\n{mark}]*{mark}){{{len(header) - 1}}}"

    def batches(self) -> Iterator[Batch]:
        """Yield the rows; the last batch may have none, when malformed rows end the file."""
        done = 0
        for block_bytes in (BLOCK_BYTES, LONG_BLOCK_BYTES):
            self._pending, self._next_row = [], 1
            try:
                for part in self._parts(block_bytes):
                    batch = self._batch(pa.Table.from_batches([part]))
                    yield _after(batch, done)
                    done = max(done, self._next_row - 1)
                break
            except pa.ArrowInvalid as error:
                # Arrow's own message quotes the row.
                if self._fault is not None:
                    raise DeliveryError(self._fault) from None
                if _LONG_ROW not in str(error):
                    raise DeliveryError(f"{self._name}: after row {done}: is not delimited text") from None
                if block_bytes == LONG_BLOCK_BYTES:
                    raise DeliveryError(
                        f"{self._name}: after row {done}: a row is longer than {LONG_BLOCK_BYTES} bytes; if a "
                        "quotation mark is opened there and never closed, close it"
                    ) from None
        self._refuse_open_end()
        if self._pending:
            empty = pa.table({name: pa.array([], pa.string()) for name in self._header if name})
            yield Batch(empty, no_rows(), malformed=np.array(self._pending, dtype=np.int64))

    def _parts(self, block_bytes: int) -> Iterator[pa.RecordBatch]:
        # Names of its own: several columns may have none.
        columns = [f"{position}" for position in range(len(self._header))]
        with open_bytes(self._text.path) as file:
            stream = self._stream = Utf8Stream(file, self._text.encoding, self._skip_bytes)
            if stream.at_end():
                return  # Arrow calls a file without rows an error
            yield from pacsv.open_csv(
                pa.PythonFile(stream, mode="r"),
                # One thread: rows are then numbered in the file's order.
                read_options=pacsv.ReadOptions(column_names=columns, block_size=block_bytes, use_threads=False),
                parse_options=pacsv.ParseOptions(
                    delimiter=self._dialect.delimiter,
                    quote_char=self._dialect.quote,
                    newlines_in_values=True,
                    invalid_row_handler=self._note_malformed,
                ),
                convert_options=pacsv.ConvertOptions(
                    column_types=dict.fromkeys(columns, pa.string()),
                    strings_can_be_null=False,
                    check_utf8=False,  # seen to be, or made so
                ),
            )

    def _note_malformed(self, row: pacsv.InvalidRow) -> str:
        if "\n" in row.text:
            marks = (line.count(self._dialect.delimiter) for line in row.text.splitlines()[1:])
            if len(self._header) > 1 and any(count >= len(self._header) - 1 for count in marks):
                self._fault = self._swallowed(row.number, None)
                return "error"  # Arrow stops; an exception would be lost in it
        self._pending.append(row.number)
        return "skip"

    def _batch(self, part: pa.Table) -> Batch:
        rows = self._numbers(part.num_rows)
        if part.num_rows:
            self._last_value = part.column(part.num_columns - 1)[-1].as_py()
        self._refuse_swallowed_rows(part, rows)
        names = list(self._header)
        while names[-1] == "":
            self._refuse_values_without_name(part, rows, len(names))
            names.pop()
            part = part.remove_column(len(names))
        table = part.rename_columns(names)
        malformed = self._take_pending(int(rows[-1]) if len(rows) else 0)
        if self._text.has_nul:
            whole = _without_nul(table)
            malformed = np.union1d(malformed, rows[~whole])
            table, rows = table.filter(pa.array(whole)), rows[whole]
        return Batch(table, rows, malformed=malformed)

    def _numbers(self, count: int) -> NDArray[np.int64]:
        """Numbers of the next rows. Arrow may be ahead: malformed rows after these may be known already."""
        candidates = np.arange(self._next_row, self._next_row + count + len(self._pending), dtype=np.int64)
        rows = np.setdiff1d(candidates, self._pending, assume_unique=True)[:count] if self._pending else candidates
        if count:
            self._next_row = int(rows[-1]) + 1
        return rows

    def _take_pending(self, last_row: int) -> NDArray[np.int64]:
        before = [number for number in self._pending if number < last_row]
        self._pending = [number for number in self._pending if number >= last_row]
        return np.array(before, dtype=np.int64)

    def _refuse_swallowed_rows(self, part: pa.Table, rows: NDArray[np.int64]) -> None:
        """Refuse a file in which a value holds whole rows: a quotation mark was opened there and never closed.

        Raises
        ------
        DeliveryError
            Naming the first such row and column.
        """
        if len(self._header) == 1:
            return
        for position, name in enumerate(self._header):
            column = part.column(position)
            if not _holds(column, b"\n"):
                continue
            found = pc.index(pc.match_substring_regex(column, self._whole_row), True).as_py()
            if found >= 0:
                raise DeliveryError(self._swallowed(int(rows[found]), name))

    def _swallowed(self, row: int, column: str | None) -> str:
        where = f"row {row}" + (f", column {column!r}" if column else "")
        return (
            f"{self._name}: {where}: the value holds whole rows of the file, so a quotation mark is opened there and "
            "never closed; close it, or double it inside a value"
        )

    def _refuse_open_end(self) -> None:
        """Refuse a file that ends within quotation marks: Arrow closes them in silence.

        Raises
        ------
        DeliveryError
            Naming the last row.
        """
        if self._stream is None:
            return
        quote, end = self._dialect.quote, self._stream.end
        opened = self._dialect.delimiter + quote + self._last_value.replace(quote, 2 * quote)
        if end.endswith(opened.encode()) or end.rstrip(b"\r\n").endswith(opened.rstrip("\r\n").encode()):
            raise DeliveryError(
                f"{self._name}: row {self._next_row - 1}, column {self._header[-1]!r}: a quotation mark is opened "
                "there and never closed: is the file cut short?"
            )

    def _refuse_values_without_name(self, part: pa.Table, rows: NDArray[np.int64], position: int) -> None:
        filled = pc.index(pc.not_equal(pc.utf8_trim_whitespace(part.column(position - 1)), ""), True).as_py()
        if filled >= 0:
            raise DeliveryError(
                f"{self._name}: row {rows[filled]}, column {position}: holds a value and has no name in the header"
            )


def _after(batch: Batch, row: int) -> Batch:
    """Leave out the rows up to ``row``, known already."""
    if not len(batch.rows) or batch.rows[0] > row:
        return batch
    left_out = int(np.searchsorted(batch.rows, row, side="right"))
    malformed = batch.malformed[batch.malformed > row]
    return Batch(batch.table.slice(left_out), batch.rows[left_out:], malformed=malformed)


def _holds(column: pa.ChunkedArray, mark: bytes) -> bool:
    """Whether any value holds a byte: looked for in the buffer of the values, which is all of them end to end."""
    buffers = (chunk.buffers()[2] for chunk in column.chunks)
    return any(buffer is not None and re.search(mark, buffer) is not None for buffer in buffers)


def _without_nul(table: pa.Table) -> NDArray[np.bool_]:
    """Which rows are text; some systems cannot hold a NUL in text, and none means one."""
    whole = np.ones(table.num_rows, dtype=bool)
    for column in table.columns:
        if _holds(column, b"\0"):
            whole &= ~pc.match_substring(column, "\0").to_numpy().astype(bool)
    return whole
