"""Workbooks and OpenDocument spreadsheets: damaged, booby-trapped, or filled by hand."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
from openpyxl.styles import numbers
from openpyxl.utils import datetime as excel_dates

from support import malformed_files as files
from support.corpus.case import NAMES, SPOILT, Case, good_row, good_rows
from support.malformed_files import Writer, cut, text

ROW = good_row(SPOILT)
_LINE = SPOILT + 1
"""Line of the sheet that holds the spoilt row."""
_SHEET = "xl/worksheets/sheet1.xml"
Sheet = openpyxl.worksheet.worksheet.Worksheet
LOST = "outside_crs_area"


def book() -> openpyxl.Workbook:
    """Workbook of the good rows, dates as dates."""
    made = openpyxl.Workbook()
    made.active.append(list(NAMES))
    for row in good_rows():
        made.active.append(row.cells)
    return made


def changed_book(change: Callable[[openpyxl.Workbook], object]) -> Writer:
    """The same, after a change."""

    def written(path: Path) -> None:
        made = book()
        change(made)
        made.save(path)

    return written


def with_cell(column: str, value: object, number_format: str | None = None) -> Writer:
    """The same, with another value in the spoilt row."""

    def change(made: openpyxl.Workbook) -> None:
        cell = made.active.cell(_LINE, NAMES.index(column) + 1)
        cell.value = value
        if number_format:
            cell.number_format = number_format

    return changed_book(change)


def unzipped(path: Path) -> dict[str, bytes]:
    """Members of an archive."""
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def with_xml(old: str, new: str, member: str = _SHEET) -> Writer:
    """The same, with one thing replaced in its XML."""

    def written(path: Path) -> None:
        changed_book(lambda _: None)(path)
        members = unzipped(path)
        assert old.encode() in members[member], members[member][:2000]
        members[member] = members[member].replace(old.encode(), new.encode(), 1)
        files.archive(members)(path)

    return written


def in_1904(made: openpyxl.Workbook) -> None:
    """Count days from 1904, as Excel for the Macintosh did."""
    made.epoch = excel_dates.CALENDAR_MAC_1904
    for (cell,) in made.active.iter_rows(min_row=2, min_col=2, max_col=2):
        cell.value = cell.value


def merged(column: str) -> Callable[[openpyxl.Workbook], object]:
    """Merge the spoilt row's cell with the one above, which alone keeps its value."""
    letter = "ABCDEFG"[NAMES.index(column)]
    return lambda made: made.active.merge_cells(f"{letter}{_LINE - 1}:{letter}{_LINE}")


def second_sheet(made: openpyxl.Workbook) -> None:
    """Other rows on another sheet."""
    made.create_sheet("Autre").append(["a", "b"])


def hidden_first(made: openpyxl.Workbook) -> None:
    """A hidden sheet before the table."""
    sheet = made.create_sheet("Notes", 0)
    sheet.append(["a"])
    sheet.sheet_state = "hidden"
    made.active = 1


def hidden_rows(made: openpyxl.Workbook) -> None:
    """Rows that a filter hides are rows all the same."""
    made.active.auto_filter.ref = "A1:G13"
    made.active.row_dimensions[_LINE].hidden = True
    made.active.column_dimensions["G"].hidden = True


def encrypted(path: Path) -> None:
    """Beginning of a compound file, in which workbooks with a password are kept."""
    path.write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + bytes(4088))


def twice_zipped(path: Path) -> None:
    """A workbook in an archive."""
    data = io.BytesIO()
    book().save(data)
    files.archive({"log.xlsx": data.getvalue()})(path)


def entity_bomb(path: Path) -> None:
    """Entities that unfold to gigabytes."""
    declared = (
        '<!ENTITY a "'
        + "x" * 100
        + '">'
        + "".join(f'<!ENTITY {after} "{f"&{before};" * 100}">' for before, after in ("ab", "bc", "cd", "de"))
    )
    with_xml("<worksheet ", f"<!DOCTYPE x [{declared}]><worksheet ")(path)
    members = unzipped(path)
    members[_SHEET] = members[_SHEET].replace(b"<t>MC5</t>", b"<t>&e;</t>").replace(b"<v>5</v>", b"<f>1</f>", 1)
    files.archive(members)(path)


def ods_value(value: object) -> str:
    """Cell of an OpenDocument sheet."""
    match value:
        case dt.datetime():
            return files.ods_cell("", kind=f'office:value-type="date" office:date-value="{value.isoformat()}"')
        case int() | float():
            return files.ods_cell("", kind=f'office:value-type="float" office:value="{value}"')
        case _:
            return files.ods_cell(f"<text:p>{value}</text:p>")


def ods_with(number: int = SPOILT, **cells: str) -> Writer:
    """OpenDocument spreadsheet of the good rows, some cells of one replaced by XML."""
    made = [files.ods_row(*files.words(*NAMES))]
    for row in good_rows():
        values = [ods_value(value) for value in row.cells]
        for name, xml in cells.items() if row.number == number else ():
            values[NAMES.index(name)] = xml
        made.append(files.ods_row(*values))
    return files.ods(*made)


def xlsx(**keys: object) -> Case:
    """One workbook."""
    return Case(file="log.xlsx", **keys)


def ods(**keys: object) -> Case:
    """One OpenDocument spreadsheet."""
    return Case(file="log.ods", **keys)


def bad(field: str, reason: str) -> dict[str, object]:
    """One fault of the spoilt row."""
    return {"faults": ((SPOILT, field, reason),)}


def told(**values: object) -> dict[str, object]:
    """What the spoilt row tells instead."""
    return {"changed": {ROW.name: values}}


DAY = dt.datetime(2024, 5, 15, tzinfo=dt.UTC).replace(tzinfo=None)

SPREADSHEETS: dict[str, Case] = {
    "a good workbook": xlsx(write=changed_book(lambda _: None)),
    "a workbook that is text": xlsx(write=text("NUM;MOMENT\n1;2\n"), refused="not an Excel workbook"),
    "a workbook that is empty": xlsx(write=text(b""), refused="not an Excel workbook"),
    "a workbook cut short": xlsx(write=cut(changed_book(lambda _: None), 0.6), refused="not an Excel workbook"),
    "a workbook without its last byte": xlsx(
        write=cut(changed_book(lambda _: None), 0.9999), refused="not an Excel workbook"
    ),
    "a workbook with a password": xlsx(write=encrypted, refused="not an Excel workbook"),
    "a workbook in an archive": xlsx(write=twice_zipped, refused="not an Excel workbook"),
    "a bomb of cells": xlsx(write=files.zeros(_SHEET, 300 * 2**20), refused="200 times its size"),
    "a bomb of entities": xlsx(write=entity_bomb, refused=r"log\.xlsx"),
    "a workbook of dates from 1904": xlsx(write=changed_book(in_1904)),
    "a merged address": xlsx(write=changed_book(merged("ADRESSE")), **told(address=None)),
    "a merged coordinate": xlsx(write=changed_book(merged("X")), **bad("coordinates", "incomplete_coordinates")),
    "a merged record id": xlsx(write=changed_book(merged("NUM")), **bad("record_id", "missing_record_id")),
    "a coordinate that is an error": xlsx(write=with_cell("X", "#REF!"), **bad("x", "invalid_coordinates")),
    "a date that is an error": xlsx(write=with_cell("MOMENT", "#N/A"), **bad("started_at", "invalid_date")),
    "a date that is too wide": xlsx(write=with_cell("MOMENT", "########"), **bad("started_at", "invalid_date")),
    "a formula without its value": xlsx(write=with_cell("X", "=893500+5"), **bad("x", "invalid_coordinates")),
    "a formula with its value": xlsx(
        write=with_xml("<v>893505.25</v>", "<f>893500+5.25</f><v>893505.25</v>"),
    ),
    "a formula as the address": xlsx(write=with_cell("ADRESSE", "=HYPERLINK(1)"), **told(address="=HYPERLINK(1)")),
    "a date as a number": xlsx(write=with_cell("MOMENT", 45427.5, "0.00"), **bad("started_at", "invalid_date")),
    "a date as text": xlsx(
        write=with_cell("MOMENT", "2024-05-15 10:20"), **told(started_at=dt.datetime(2024, 5, 15, 8, 20, tzinfo=dt.UTC))
    ),
    "a date that is no day": xlsx(write=with_cell("MOMENT", "31/02/2024"), **bad("started_at", "invalid_date")),
    "a date before all days": xlsx(
        write=with_cell("MOMENT", -5, numbers.FORMAT_DATE_DATETIME), **bad("started_at", "invalid_date")
    ),
    "a date after all days": xlsx(
        write=with_cell("MOMENT", 2_958_465, numbers.FORMAT_DATE_DATETIME), **bad("started_at", "invalid_date")
    ),
    "a date beyond the calendar": xlsx(
        write=with_cell("MOMENT", 1e15, numbers.FORMAT_DATE_DATETIME), **bad("started_at", "invalid_date")
    ),
    "a coordinate as a date": xlsx(write=with_cell("X", DAY), **bad("x", "invalid_coordinates")),
    "a coordinate as text": xlsx(write=with_cell("X", f"{ROW.x}")),
    "a coordinate as text with a comma": xlsx(
        write=with_cell("X", f"{ROW.x}".replace(".", ",")), **bad("x", "invalid_coordinates")
    ),
    "a coordinate as text with a comma, declared": xlsx(
        write=with_cell("X", f"{ROW.x}".replace(".", ",")), more='read = { decimal = "," }'
    ),
    "a truth as a coordinate": xlsx(write=with_cell("X", True), **bad("x", "invalid_coordinates")),
    "a severity as a percentage": xlsx(write=with_cell("GRAVITE", 0.05, "0%"), **bad("severity", "invalid_number")),
    "a string that the workbook lacks": xlsx(
        write=with_xml('t="inlineStr"><is><t>MC5</t></is>', 't="s"><v>99999</v>'), refused=r"log\.xlsx"
    ),
    "a cell of a type that nobody knows": xlsx(
        write=with_xml('t="inlineStr"><is><t>MC5</t></is>', 't="q"><v>0</v>'), refused=r"log\.xlsx"
    ),
    "a sheet whose XML ends early": xlsx(write=with_xml("</sheetData>", "<row><c"), refused=r"log\.xlsx"),
    "a second sheet": xlsx(write=changed_book(second_sheet)),
    "a hidden sheet before the table": xlsx(write=changed_book(hidden_first)),
    "hidden rows and columns": xlsx(write=changed_book(hidden_rows)),
    "a sheet that is not there": xlsx(
        write=changed_book(second_sheet), more='read = { sheet = "Feuille9" }', refused="Feuille9"
    ),
    "a header that is a number": xlsx(
        write=changed_book(lambda made: made.active.cell(1, 1, 2024)), refused="'2024'|NUM"
    ),
    "an empty line above the header": xlsx(
        write=changed_book(lambda made: made.active.insert_rows(1)), refused="a header was expected"
    ),
    "an empty line between the rows": xlsx(
        write=changed_book(lambda made: made.active.insert_rows(_LINE)),
        rows=13,
        gone=(),
        faults=(
            (SPOILT, "category", "missing_category"),
            (SPOILT, "record_id", "missing_record_id"),
            (SPOILT, "started_at", "missing_date"),
        ),
    ),
    "a remark beside the table": xlsx(
        write=changed_book(lambda made: made.active.cell(_LINE, 12, "à revoir")), refused=f"row {SPOILT}, column 12"
    ),
    "letters that XML does not have": xlsx(
        write=with_cell("ADRESSE", "5 rue_x0007_ _xD83D_"), **told(address="5 rue\x07 _xD83D_")
    ),
    "a good OpenDocument": ods(write=ods_with()),
    "an OpenDocument cut short": ods(write=cut(ods_with(), 0.7), refused="not an OpenDocument"),
    "an OpenDocument that is empty": ods(write=text(b""), refused="not an OpenDocument"),
    "an OpenDocument that is text": ods(write=text("NUM;MOMENT\n"), refused="not an OpenDocument"),
    "an OpenDocument that is a bomb": ods(write=files.zeros("content.xml", 300 * 2**20), refused="200 times its size"),
    "an OpenDocument with a wrong day": ods(
        write=ods_with(MOMENT=files.ods_cell("", kind='office:value-type="date" office:date-value="2024-02-31"')),
        **bad("started_at", "invalid_date"),
    ),
    "an OpenDocument with an error": ods(
        write=ods_with(X=files.ods_cell("<text:p>#REF!</text:p>")), **bad("x", "invalid_coordinates")
    ),
    "an OpenDocument with no number": ods(
        write=ods_with(X=files.ods_cell("", kind='office:value-type="float" office:value="NaN"')),
        **bad("x", "invalid_coordinates"),
    ),
    "an OpenDocument with a covered cell": ods(
        write=ods_with(ADRESSE="<table:covered-table-cell/>"), **told(address=None)
    ),
}
