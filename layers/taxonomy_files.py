"""Taxonomy and codes kept in CSV files: read into the tables of the city file before it is checked.

A data office keeps its nomenclature in a spreadsheet. The city that comes out is the one that the same words in the
TOML file would give, with the same digest.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import TypeAdapter, ValidationError

from layers.errors import CityFileError
from layers.toml_lines import Location, key_lines, line_of
from layers.values import ALL_THEMES, Slug

_TAXONOMY_COLUMNS = ("theme", "theme_fr", "theme_en", "category", "category_fr", "category_en")
_FLAG_COLUMNS = ("sensitive", "theme_sensitive")
_CODE_COLUMNS = ("code", "category")
_FLAGS: Mapping[str, bool] = MappingProxyType(
    {
        "": False,
        "oui": True,
        "non": False,
        "yes": True,
        "no": False,
        "true": True,
        "false": False,
        "1": True,
        "0": False,
    }
)
_SLUG = TypeAdapter(Slug)


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of a CSV file: its number (1-based, the header's counted) and its trimmed cells by column."""

    line: int
    cells: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells.get(column, "")


@dataclass(slots=True)
class _Csv:
    """A CSV file that the city file names, and what is wrong with it."""

    path: Path
    faults: list[str] = field(default_factory=list)

    def fault(self, line: int, message: str) -> None:
        self.faults.append(f"{self.path}:{line}: {message}")

    def rows(self, required: Sequence[str], optional: Sequence[str] = ()) -> list[_Row]:
        """Rows whose cells could be told apart; none when the file as a whole is not what is expected."""
        try:
            data = self.path.read_bytes()
        except OSError as error:
            self.fault(1, f"cannot be read: {error.strerror}")
            return []
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            self.fault(line, f"not UTF-8 (byte {data[error.start]:#04x}): save the file as CSV UTF-8")
            return []
        try:
            lines = list(_records(text))
        except csv.Error as error:
            self.fault(text.count("\n") + 1, f"not a CSV file: {error}")
            return []
        if not lines:
            self.fault(1, f"empty: a header with the columns {', '.join(required)} is expected")
            return []
        (first, header), *body = lines
        if not self._check_header(first, header, required, optional):
            return []
        return [row for line, cells in body if (row := self._row(line, header, cells)) is not None]

    def _check_header(self, line: int, header: Sequence[str], required: Sequence[str], optional: Sequence[str]) -> bool:
        before = len(self.faults)
        for name in required:
            if name not in header:
                self.fault(line, f"column {name!r} is missing (columns given: {', '.join(map(repr, header))})")
        for name in dict.fromkeys(header):
            if header.count(name) > 1:
                self.fault(line, f"several columns are called {name!r}")
            elif name not in {*required, *optional}:
                known = ", ".join([*required, *optional])
                self.fault(line, f"column {name!r} is not expected (known columns: {known})")
        return len(self.faults) == before

    def _row(self, line: int, header: Sequence[str], cells: Sequence[str]) -> _Row | None:
        if len(cells) != len(header):
            self.fault(line, f"{len(cells)} values given, {len(header)} expected ({', '.join(header)})")
            return None
        return _Row(line, dict(zip(header, cells, strict=True)))

    def filled(self, row: _Row, columns: Sequence[str]) -> bool:
        """Whether a row has a value in each of the columns; what is missing is a fault."""
        missing = [column for column in columns if not row[column]]
        for column in missing:
            self.fault(row.line, f"column {column!r}: a value is expected, none is given")
        return not missing

    def key(self, row: _Row, column: str) -> bool:
        """Whether a cell is an identifier; another is a fault."""
        good = _is_slug(row[column])
        if not good:
            expected = "small letters, digits and _, a letter first, 40 at most"
            self.fault(row.line, f"column {column!r}: {expected} are expected (given: {row[column]!r})")
        return good

    def flag(self, row: _Row, column: str) -> bool:
        """Yes or no; empty is no, anything else is a fault."""
        given = row[column].casefold()
        if given not in _FLAGS:
            self.fault(row.line, f"column {column!r}: oui or non (yes or no) is expected (given: {row[column]!r})")
        return _FLAGS.get(given, False)


def with_csv_tables(document: Mapping[str, Any], file: Path, text: str) -> dict[str, Any]:
    """Put the contents of ``taxonomy.path`` and of every ``categories_path`` where the TOML file would have them.

    Parameters
    ----------
    document
        The city file, parsed and not yet checked: what is not as it should be is left for that check.
    file, text
        Its path, whose folder the CSV files' paths are relative to, and its text, for the lines of errors.

    Returns
    -------
    dict
        The document with ``taxonomy.themes`` and ``sources[].categories`` and without the two paths.

    Raises
    ------
    CityFileError
        If a file cannot be used: every fault by file, line and column, with what was given and expected.
    """
    city_file = _CityFile(file, key_lines(text))
    complete = dict(document)
    taxonomy = document.get("taxonomy")
    if isinstance(taxonomy, dict) and "path" in taxonomy:
        opened = city_file.csv_of(taxonomy, "path", "themes", ("taxonomy", "path"))
        if opened is not None:
            complete["taxonomy"] = {k: v for k, v in taxonomy.items() if k != "path"} | {"themes": _themes(opened)}
            city_file.faults += opened.faults
    known = None if city_file.faults else _categories_of(complete.get("taxonomy"))
    sources = document.get("sources")
    if isinstance(sources, list):
        complete["sources"] = [_with_codes(source, number, city_file, known) for number, source in enumerate(sources)]
    if city_file.faults:
        raise CityFileError("\n".join(city_file.faults))
    return complete


@dataclass(slots=True)
class _CityFile:
    """The city file: its path, the lines of its keys, and what is wrong with it and with the files that it names."""

    path: Path
    lines: dict[Location, int]
    faults: list[str] = field(default_factory=list)

    def csv_of(self, table: Mapping[str, Any], key: str, instead: str, location: Location) -> _Csv | None:
        """File that ``key`` of a table names; None, and a fault, when it names none or ``instead`` is there too."""
        given = table[key]
        if not isinstance(given, str):
            message = f"the path of a CSV file is expected (given: {given!r})"
        elif instead in table:
            message = f"give {key} or {instead}, not both"
        elif not (self.path.parent / given).is_file():
            message = f"no such file: {self.path.parent / given}"
        else:
            return _Csv(self.path.parent / given)
        dotted = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
        self.faults.append(f"{self.path}:{line_of(location, self.lines)}: {dotted}: {message}")
        return None


def _with_codes(source: Any, number: int, city_file: _CityFile, known: frozenset[str] | None) -> Any:
    """Entry of ``[[sources]]`` with the codes that its CSV file holds."""
    if not isinstance(source, dict) or "categories_path" not in source:
        return source
    opened = city_file.csv_of(source, "categories_path", "categories", ("sources", number, "categories_path"))
    if opened is None:
        return source
    codes = _codes(opened, known)
    city_file.faults += opened.faults
    return {k: v for k, v in source.items() if k != "categories_path"} | {"categories": codes}


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (line on which it begins, trimmed cells) of each record that is not blank.

    The header decides between comma and semicolon: no column name holds either.
    """
    header = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = ";" if header.count(";") > header.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    begins = 1
    for cells in reader:
        trimmed = [cell.strip() for cell in cells]
        if any(trimmed):
            yield begins, trimmed
        begins = reader.line_num + 1


def _themes(opened: _Csv) -> dict[str, Any]:
    """Themes as ``[taxonomy.themes]`` has them, in the order in which they first appear."""
    themes: dict[str, list[_Row]] = {}
    theme_of: dict[str, _Row] = {}
    for row in opened.rows(_TAXONOMY_COLUMNS, _FLAG_COLUMNS):
        if not opened.filled(row, ("theme", "category", "category_fr", "category_en")):
            continue
        if not (opened.key(row, "theme") & opened.key(row, "category")):
            continue
        if row["theme"] == ALL_THEMES:
            opened.fault(row.line, f"column 'theme': {ALL_THEMES!r} is reserved for all themes together")
        elif (first := theme_of.setdefault(row["category"], row)) is not row:
            opened.fault(
                row.line,
                f"column 'category': {row['category']!r} is given again, as on line {first.line} "
                f"(theme {first['theme']!r}): a category is in one theme, once",
            )
        else:
            themes.setdefault(row["theme"], []).append(row)
    if not themes and not opened.faults:
        opened.fault(1, "no category: at least one line is expected under the header")
    return {theme: _theme(opened, rows) for theme, rows in themes.items()}


def _theme(opened: _Csv, rows: Sequence[_Row]) -> dict[str, Any]:
    said = {column: _said_once(opened, rows, column) for column in ("theme_fr", "theme_en", "theme_sensitive")}
    opened.filled(_Row(rows[0].line, said), ("theme_fr", "theme_en"))
    return {
        "title": {"fr": said["theme_fr"], "en": said["theme_en"]},
        "sensitive": _FLAGS.get(said["theme_sensitive"].casefold(), False),
        "categories": {
            row["category"]: {
                "title": {"fr": row["category_fr"], "en": row["category_en"]},
                "sensitive": opened.flag(row, "sensitive"),
            }
            for row in rows
        },
    }


def _said_once(opened: _Csv, rows: Sequence[_Row], column: str) -> str:
    """What the rows of a theme say in a column: empty is nothing, two different things are a fault."""
    first: _Row | None = None
    for row in rows:
        if column == "theme_sensitive":
            opened.flag(row, column)
        if not row[column]:
            continue
        first = first or row
        same = _meaning if column in _FLAG_COLUMNS else str
        if same(row[column]) != same(first[column]):
            opened.fault(
                row.line,
                f"column {column!r}: {first[column]!r} is expected, as on line {first.line} "
                f"(given: {row[column]!r} for the same theme {row['theme']!r})",
            )
    return first[column] if first else ""


def _meaning(cell: str) -> str | bool:
    """Text, or what a word for yes or no says."""
    return _FLAGS.get(cell.casefold(), cell)


def _codes(opened: _Csv, known: frozenset[str] | None) -> dict[str, str]:
    """Codes as ``[sources.categories]`` has them; ``known`` is None when the taxonomy itself is in doubt."""
    lines: dict[str, int] = {}
    codes: dict[str, str] = {}
    for row in opened.rows(_CODE_COLUMNS):
        if not opened.filled(row, _CODE_COLUMNS):
            continue
        code, category = row["code"], row["category"]
        if lines.setdefault(code, row.line) != row.line:
            opened.fault(row.line, f"column 'code': {code!r} is given again, as on line {lines[code]}")
        elif known is not None and category not in known:
            opened.fault(
                row.line,
                f"column 'category': a category of the taxonomy is expected for code {code!r} (given: {category!r})",
            )
        codes.setdefault(code, category)
    if not codes and not opened.faults:
        opened.fault(1, "no code: at least one line is expected under the header")
    return codes


def _categories_of(taxonomy: Any) -> frozenset[str] | None:
    """Category keys of a taxonomy that is not checked yet; None when they cannot be told."""
    themes = taxonomy.get("themes") if isinstance(taxonomy, dict) else None
    if not isinstance(themes, dict):
        return None
    tables = [theme.get("categories") if isinstance(theme, dict) else None for theme in themes.values()]
    if not all(isinstance(table, dict) for table in tables):
        return None
    return frozenset(category for table in tables if isinstance(table, dict) for category in table)


def _is_slug(value: str) -> bool:
    try:
        _SLUG.validate_python(value)
    except ValidationError:
        return False
    return True
