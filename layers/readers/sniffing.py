"""How a delimited file is cut: delimiter, quotation mark and decimal mark, sniffed from samples of it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from layers.declared_sources import ReadOptions
from layers.errors import DeliveryError
from layers.readers.encoded_text import TextFile

_DELIMITERS = ";\t|,"
"""The comma last: it is also part of names and numbers."""
_SAMPLE_ROWS = 200
_COMMA_NUMBER, _POINT_NUMBER = rb"[+-]?\d+,\d+", rb"[+-]?\d+\.\d+"
_THOUSANDS = re.compile(rb" *[+-]?\d{1,3}(?:,\d{3})+ *")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a file's rows are cut."""

    delimiter: str
    quote: str


def dialect_of(text: TextFile, options: ReadOptions) -> Dialect:
    """Dialect of a file: what is declared, else sniffed.

    Raises
    ------
    DeliveryError
        If the file is empty, or a declared mark is not one ASCII character.
    """
    for key, mark in (("delimiter", options.delimiter), ("quote", options.quote)):
        if mark is not None and (len(mark) != 1 or not mark.isascii() or mark in "\r\n"):
            raise DeliveryError(f"{text.path.name}: read.{key} = {mark!r}: one ASCII character was expected")
    body = without_mark(text.sample)
    if not body.strip():
        raise DeliveryError(f"{text.path.name}: is empty; a header was expected")
    quote = options.quote or sniffed_quote(body)
    return Dialect(options.delimiter or sniffed_delimiter(body, quote), quote)


def without_mark(sample: str) -> str:
    """Text without its byte order mark and the blank lines before its header."""
    return sample.lstrip("\ufeff\r\n")  # files put together from others have several marks


def sniffed_quote(text: str) -> str:
    """Choose between double and single quotation marks: single ones must enclose values, and no double ones do."""
    edge = r"(?:^|[;,\t|])"
    lines = text[:65536].splitlines()[:_SAMPLE_ROWS]
    double, single = (sum(len(re.findall(rf"{edge}{q}[^{q}]*{q}(?=[;,\t|]|$)", line)) for line in lines) for q in "\"'")
    return "'" if not double and single >= len([line for line in lines if line.strip()]) else '"'


def sniffed_delimiter(text: str, quote: str = '"') -> str:
    """Choose the delimiter of the header that cuts most rows of the sample into as many columns as the header."""

    def score(delimiter: str) -> tuple[float, int, int]:
        lengths = [len(row) for row in _sample_rows(text, Dialect(delimiter, quote))]
        if not lengths or lengths[0] < 2:
            return 0.0, 0, 0
        agreeing = sum(length == lengths[0] for length in lengths) / len(lengths)
        return round(agreeing, 1), int(delimiter != ","), lengths[0]

    best = max(_DELIMITERS, key=score)
    return best if score(best)[2] else ","


def _sample_rows(text: str, dialect: Dialect) -> list[list[str]]:
    rows: list[list[str]] = []
    try:
        for row in _csv_rows(text, dialect):
            if row:
                rows.append(row)
            if len(rows) == _SAMPLE_ROWS:
                break
    except csv.Error:
        return rows  # what comes before the odd place is sample enough; the rows themselves are cut by Arrow
    return rows


def _csv_rows(text: str, dialect: Dialect) -> Iterator[list[str]]:
    return csv.reader(io.StringIO(text, newline=""), delimiter=dialect.delimiter, quotechar=dialect.quote)


def sniffed_decimal(text: TextFile, dialect: Dialect) -> Literal[".", ","]:
    """Decimal mark: a comma when more values of the sample are numbers with a comma than with a point.

    A point is read as one in any case: a row that is spelled otherwise is still read. Where both occur, a comma before
    three digits tells nothing, for it may group thousands.
    """
    edge = re.escape((dialect.delimiter + dialect.quote).encode()) + rb"\r\n"
    comma, point = (
        re.compile(rb"(?:^|(?<=[" + edge + rb"])) *" + number + rb" *(?=[" + edge + rb"]|$)")
        for number in (_COMMA_NUMBER, _POINT_NUMBER)
    )
    slices = text.slices
    if "16" in text.encoding:
        slices = tuple(part.replace(b"\0", b"") for part in slices)
    # A comma that cuts columns is no decimal mark unless the value is quoted.
    if dialect.delimiter == ",":
        quote = re.escape(dialect.quote.encode())
        comma = re.compile(quote + rb" *" + _COMMA_NUMBER + rb" *" + quote)
    commas = [found for part in slices for found in comma.findall(part)]
    points = sum(len(point.findall(part)) for part in slices)
    if points:
        commas = [found for found in commas if not _THOUSANDS.fullmatch(found.strip(dialect.quote.encode()))]
    return "," if len(commas) > points else "."
