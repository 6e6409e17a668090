"""Delimited text: cut short, wrongly encoded, wrongly quoted, of odd shape."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

from support.corpus.case import NAMES, ROWS, SPOILT, Case, Fault, csv_lines, csv_text, good_row, lines
from support.malformed_files import Writer, text

LINES = csv_lines()
TORN: Fault = (SPOILT, None, "malformed_row")
MANY, FAR = 151_000, 150_000
BLOCKS = 70_000
"""Rows of more than one block of text."""
WIDE = [f"C{number}" for number in range(5_000 - len(NAMES))]


def csv(**keys: object) -> Case:
    """One CSV file."""
    return Case(file="log.csv", **keys)


def with_line(change: Callable[[str], str], row: int = SPOILT) -> Writer:
    """Good lines, of which that of ``row`` is changed."""
    return lines([*LINES[:row], change(LINES[row]), *LINES[row + 1 :]])


def with_address(address: str) -> Writer:
    """Good lines, of which one has this text as its address."""
    return with_line(lambda line: f"{line.rpartition(';')[0]};{address}")


def inserted(*added: str, row: int = SPOILT) -> Writer:
    """Good lines, and more before ``row``."""
    return lines([*LINES[:row], *added, *LINES[row:]])


def tail(more: bytes) -> Writer:
    """Good file, and more bytes after it."""
    return text(csv_text().encode() + more)


def far_byte(path: Path) -> None:
    """A letter of another encoding far down the file."""
    rows = csv_lines(MANY)
    data = "\n".join(rows).encode().split(b"\n")
    data[FAR] = rows[FAR].encode("cp1252")
    path.write_bytes(b"\n".join(data) + b"\n")


def far_row(path: Path) -> None:
    """A short row in a later block."""
    rows = csv_lines(BLOCKS)
    rows[BLOCKS - 10] = "MC"
    path.write_text("\n".join(rows), encoding="utf-8")


def loop(path: Path) -> None:
    """Link to itself."""
    path.symlink_to(path.name)


def wide(path: Path) -> None:
    """Five thousand columns."""
    rows = [";".join([line, *(WIDE if number == 0 else ["1"] * len(WIDE))]) for number, line in enumerate(LINES)]
    path.write_text("\n".join(rows), encoding="utf-8")


def bomb(path: Path) -> None:
    """Three hundred megabytes of nothing."""
    path.write_bytes(gzip.compress(csv_text().encode() + b"\n" * 300_000_000, compresslevel=1))


def shifted(first: int) -> tuple[Fault, ...]:
    """Fault of one row that cannot be cut."""
    return ((first, None, "malformed_row"),)


def changed(address: str | None) -> dict[str, dict[str, object]]:
    """What the spoilt row tells instead of its address."""
    return {f"MC{SPOILT}": {"address": address}}


DELIMITED: dict[str, Case] = {
    "a good file": csv(write=lines(LINES)),
    "cut in the middle of a row": csv(write=text(csv_text().encode()[:-40]), faults=((ROWS, None, "malformed_row"),)),
    "cut in the middle of a quoted value": csv(
        write=text("\n".join(LINES[:-1]) + "\n" + LINES[-1].replace(";12 rue", ';"12 rue')[:-6]),
        refused=r"row 12.*never closed",
    ),
    "cut in the middle of a letter": csv(
        write=text("\n".join(LINES).encode().removesuffix("é".encode()) + b"\xc3"), refused="in line 13"
    ),
    "cut in the middle of the header": csv(write=text("NUM;MOME"), refused="CODE"),
    "empty": csv(write=text(b""), refused="is empty"),
    "a header alone": csv(write=lines(LINES[:1]), rows=0, good=0),
    "blanks alone": csv(write=text(" \n\n \r\n"), refused="is empty"),
    "one letter that is not UTF-8, far down": csv(write=far_byte, refused=f"line {FAR + 1}"),
    "one letter that is not the declared UTF-8": csv(
        write=far_byte, refused=f"line {FAR + 1}", more='read = { encoding = "utf-8" }'
    ),
    "a short row, far down": csv(
        write=far_row, rows=BLOCKS, good=BLOCKS, faults=((BLOCKS - 10, None, "malformed_row"),)
    ),
    "encoded as cp1252": csv(write=text(csv_text().encode("cp1252"))),
    "encoded as UTF-16": csv(write=text(csv_text().encode("utf-16"))),
    "UTF-16 without its last byte": csv(write=text(csv_text().encode("utf-16")[:-1]), refused="UTF-16|utf-16"),
    "an encoding that nobody knows": csv(write=lines(LINES), refused="klingon", more='read = { encoding = "klingon" }'),
    "an encoding that is none of text": csv(write=lines(LINES), refused="zlib", more='read = { encoding = "zlib" }'),
    "a mark of UTF-8 twice": csv(write=text(b"\xef\xbb\xbf" * 2 + csv_text().encode())),
    "NUL in a value": csv(write=with_address("12 rue\0des Lices"), faults=(TORN,)),
    "NUL bytes at the end": csv(write=tail(bytes(4096)), rows=ROWS + 1, faults=shifted(ROWS + 1)),
    "the end mark of CP/M": csv(write=tail(b"\x1a"), rows=ROWS + 1, faults=shifted(ROWS + 1)),
    "nothing but NUL": csv(write=text(bytes(10_000)), refused="no header"),
    "random bytes": csv(write=text(bytes(range(256)) * 40), refused="log.csv"),
    "old line ends": csv(write=lines(LINES, "\r")),
    "line ends of Windows": csv(write=lines(LINES, "\r\n")),
    "line ends of every kind": csv(
        write=text("".join(line + ("\r\n", "\n", "\r")[n % 3] for n, line in enumerate(LINES)))
    ),
    "no line end at the end": csv(write=text("\n".join(LINES))),
    "blank lines between the rows": csv(write=inserted("", "", "")),
    "other line ends inside a value": csv(
        write=with_address("12 rue\u2028des\x85Lices\x0b3\x0c4"), changed=changed("12 rue\u2028des\x85Lices\x0b3\x0c4")
    ),
    "the header again in the middle": csv(
        write=inserted(LINES[0]),
        rows=ROWS + 1,
        gone=(),
        faults=(
            (SPOILT, "severity", "invalid_number"),
            (SPOILT, "started_at", "invalid_date"),
            (SPOILT, "x", "invalid_coordinates"),
            (SPOILT, "y", "invalid_coordinates"),
        ),
    ),
    "a total at the end": csv(
        write=tail(f"Total;;;{ROWS};;;\n".encode()),
        rows=ROWS + 1,
        faults=(
            (ROWS + 1, "category", "missing_category"),
            (ROWS + 1, "severity", "out_of_range"),
            (ROWS + 1, "started_at", "missing_date"),
        ),
    ),
    "a title above the header": csv(write=text("Main courante 2024\n\n" + csv_text()), refused="NUM"),
    "a line for Excel above the header": csv(write=text("sep=;\n" + csv_text()), refused="NUM"),
    "a cell too many": csv(write=with_line(lambda line: f"{line};x"), faults=(TORN,)),
    "a cell too few": csv(write=with_line(lambda line: line.rpartition(";")[0]), faults=(TORN,)),
    "a delimiter at the end of one line": csv(write=with_line(lambda line: f"{line};"), faults=(TORN,)),
    "a delimiter at the end of every line": csv(write=lines([f"{line};" for line in LINES])),
    "another delimiter in one line": csv(write=with_line(lambda line: line.replace(";", "|")), faults=(TORN,)),
    "a column twice": csv(write=lines([f"{line};{line[:3]}" for line in LINES]), refused="several columns.*'NUM'"),
    "a column without a name": csv(
        write=lines([line.replace(";", ";;", 1) for line in LINES]), refused="no name in column 2"
    ),
    "a column that nobody spoke of": csv(
        write=lines([f"{line};{'REMARQUE' if n == 0 else 'x'}" for n, line in enumerate(LINES)]), refused="'REMARQUE'"
    ),
    "a column that is not there": csv(
        write=lines([line.partition(";")[2] for line in LINES]), refused="reads the column 'NUM'"
    ),
    "five thousand columns": csv(write=wide, refused="'C0'"),
    "five thousand columns, dropped": csv(write=wide, more=f"drop = {WIDE}"),
    "a cell of ten megabytes": csv(write=with_address("x" * 10_000_000), changed=changed(None)),
    "a quoted cell of ten megabytes": csv(write=with_address('"' + "x\n" * 5_000_000 + '"'), changed=changed(None)),
    "a quotation mark that is never closed": csv(
        write=with_address('"5 rue'), refused=f"row {SPOILT}, column 'ADRESSE'.*never closed"
    ),
    "a quotation mark that is never closed, before the rest": csv(
        write=with_line(lambda line: f'"{line}'), refused=f"row {SPOILT}.*never closed"
    ),
    "quotation marks inside a value": csv(write=with_address('5 rue "du Port"'), changed=changed('5 rue "du Port"')),
    "quotation marks, doubled": csv(write=with_address('"5 rue ""du; Port"""'), changed=changed('5 rue "du; Port"')),
    "a line break in a quoted value": csv(write=with_address('"5 rue\ndu Port"'), changed=changed("5 rue\ndu Port")),
    "letters that are not seen": csv(
        write=with_address("5\u200b rue\u202e\u0301 du Port\ufeff"),
        changed=changed("5\u200b rue\u202e\u0301 du Port\ufeff"),
    ),
    "a record id twice": csv(
        write=with_line(lambda line: line.replace("MC5", "MC4")), faults=((SPOILT, "record_id", "duplicate_record_id"),)
    ),
    "a record id that is missing": csv(
        write=with_line(lambda line: line.replace("MC5", "")), faults=((SPOILT, "record_id", "missing_record_id"),)
    ),
    "one decimal point among commas": csv(write=with_line(lambda line: line.replace(",25;", ".25;"))),
    "one decimal comma among points": csv(
        write=lines([line if n == SPOILT else line.replace(",", ".") for n, line in enumerate(LINES)]),
        faults=((SPOILT, "x", "invalid_coordinates"), (SPOILT, "y", "invalid_coordinates")),
    ),
    "gzip in two parts": Case(
        file="log.csv.gz",
        write=text(gzip.compress(csv_text().encode()[:300]) + gzip.compress(csv_text().encode()[300:])),
    ),
    "gzip cut short": Case(
        file="log.csv.gz", write=text(gzip.compress(csv_text().encode())[:-20]), refused="gzip|cannot be read"
    ),
    "gzip in gzip": Case(
        file="log.csv.gz", write=text(gzip.compress(gzip.compress(csv_text().encode()))), refused="log.csv.gz"
    ),
    "text called gzip": Case(file="log.csv.gz", write=lines(LINES)),
    "a bomb of gzip": Case(file="log.csv.gz", write=bomb, refused="200 times its size"),
    "a workbook called text": csv(write=text(b"PK\x03\x04" + bytes(range(256)) * 20), refused="log.csv"),
    "a folder called text": csv(write=Path.mkdir, refused="no such delivery"),
    "a link to itself": csv(write=loop, refused="no such delivery"),
    "a pipe": csv(write=os.mkfifo, refused="no such delivery"),
    "a link to nothing": csv(write=lambda path: path.symlink_to("nowhere.csv"), refused="no such delivery"),
    "a format that nobody knows": Case(file="log.xyz", write=lines(LINES), refused="no format is known"),
}

assert good_row(SPOILT).name == "MC5"
