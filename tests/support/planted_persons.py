"""Persons in a delivery, in every format: as a column, in one cell, or beside the table."""

from __future__ import annotations

import html
import json
import sqlite3
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import geopandas as gpd
import openpyxl
import pandas as pd
import pyarrow.parquet as pq
import pyogrio
import shapely
from openpyxl.comments import Comment

from support import malformed_files as files
from support.corpus.case import WITH_COLUMNS, WITH_SHAPES, Case, good_rows

ROWS = 24
FORMATS = ("csv", "xlsx", "ods", "geojson", "zip", "gpkg", "parquet", "fgb")
_FIRST = ("Jean", "Fatima", "Mohamed", "Emily")
_LAST = ("QUERZOLA", "BENATIROU", "VANSTRAKEN", "OUDJEDI", "LEMASQUERIER", "PORTEFOIN")


def _each(make: Callable[[int], str]) -> list[str]:
    return [make(number) for number in range(ROWS)]


PERSONS: Mapping[str, list[str]] = {
    "person_name": _each(lambda n: f"{_LAST[n % 6]} {_FIRST[n // 6]}"),
    "phone": _each(lambda n: f"06 39 98 {10 + n} {87 - n}"),
    "email": _each(lambda n: f"{_LAST[n % 6].lower()}{n}@exemple-postal.fr"),
    "plate": _each(lambda n: f"QZ-{400 + n}-WK"),
    "birth_date": _each(lambda n: f"né le {1 + n:02d}/07/19{60 + n}"),
    "ip": _each(lambda n: f"203.0.113.{100 + n}"),
    "narrative": _each(
        lambda n: (
            f"Elle a déclaré que son voisin {_LAST[n % 6].title()} l'avait menacée {n} fois puis qu'il était parti."
        )
    ),
}
"""Kind → one value for each row; no two rows of a kind are equal."""

TELLING = {
    "person_name": "nom_victime",
    "phone": "telephone",
    "email": "courriel",
    "plate": "plaque",
    "birth_date": "naissance",
    "ip": "adresse_ip",
    "narrative": "recit",
}
"""Kind → a header that tells it."""


def needles(values: Sequence[str]) -> list[str]:
    """What must be found nowhere: the values, and numbers without their marks."""
    return [*values, *(value.replace(" ", "") for value in values if value[0].isdigit())]


def header_in(suffix: str, header: str) -> str:
    """A header as the format can hold it."""
    return header[:10] if suffix == "zip" else header


def case_of(
    suffix: str,
    header: str,
    values: Sequence[str | None],
    *,
    field: str | None = None,
    more: str = "",
    after: Callable[[Path], object] = lambda _: None,
) -> Case:
    """A delivery with one column more, mapped to ``field`` or to none; ``after`` works on the file."""
    name = header_in(suffix, header)
    columns = dict(WITH_COLUMNS if suffix in {"csv", "xlsx", "ods"} else WITH_SHAPES)
    if field is not None:
        columns[field] = f'"{name}"'
    table = _table(name, values)
    if field == "address":
        table = table.drop(columns="ADRESSE")

    def write(path: Path) -> None:
        _WRITERS[suffix](table, path)
        after(path)

    crs = "EPSG:2154" if suffix in {"csv", "xlsx", "ods"} else None
    return Case(file=f"log.{suffix}", write=write, columns=columns, crs=crs, more=more)


def _table(header: str, values: Sequence[str | None]) -> pd.DataFrame:
    rows = good_rows(ROWS)
    return pd.DataFrame(
        {
            "NUM": [row.name for row in rows],
            "MOMENT": [row.moment.isoformat() for row in rows],
            "CODE": [row.code for row in rows],
            "GRAVITE": [row.severity for row in rows],
            "X": [row.x for row in rows],
            "Y": [row.y for row in rows],
            "ADRESSE": [row.address for row in rows],
            header: list(values),
        }
    )


def _csv(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, sep=";", index=False)


def _xlsx(table: pd.DataFrame, path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(list(table.columns))
    for row in table.astype(object).itertuples(index=False):
        book.active.append(list(row))
    book.save(path)


def _ods(table: pd.DataFrame, path: Path) -> None:
    rows = [table.columns, *table.astype(object).itertuples(index=False)]
    files.ods(*(files.ods_row(*map(_ods_cell, values)) for values in rows))(path)


def _ods_cell(value: object) -> str:
    if value is None:
        return files.ods_cell("", kind="")
    lines = html.escape(str(value)).replace("\t", "<text:tab/>").replace(" ", "<text:s/>").split("\n")
    return files.ods_cell("".join(f"<text:p>{line}</text:p>" for line in lines))


def _shapes(table: pd.DataFrame) -> gpd.GeoDataFrame:
    points = shapely.points(table["X"], table["Y"])
    return gpd.GeoDataFrame(table.drop(columns=["X", "Y"]), geometry=points, crs="EPSG:2154")


def _vector(table: pd.DataFrame, path: Path) -> None:
    shapes = _shapes(table)
    if path.suffix == ".geojson":
        shapes = shapes.to_crs("OGC:CRS84")
    pyogrio.write_dataframe(shapes, path)


def _zip(table: pd.DataFrame, path: Path) -> None:
    folder = path.parent / "unzipped"
    folder.mkdir()
    pyogrio.write_dataframe(_shapes(table), folder / "log.shp", encoding="utf-8")
    with zipfile.ZipFile(path, "w") as archive:
        for part in sorted(folder.iterdir()):
            archive.write(part, part.name)
            part.unlink()
    folder.rmdir()


_WRITERS: Mapping[str, Callable[[pd.DataFrame, Path], None]] = {
    "csv": _csv,
    "xlsx": _xlsx,
    "ods": _ods,
    "geojson": _vector,
    "gpkg": _vector,
    "fgb": _vector,
    "zip": _zip,
    "parquet": lambda table, path: _shapes(table).to_parquet(path),
}

ASIDE = ("Odile Vermeulenbroek", "0639981199", "odile@exemple-prive.org")
"""A person who is in the file and in no column of the table."""
_WHO = " ".join(ASIDE)


def _aside_xlsx(path: Path) -> None:
    book = openpyxl.load_workbook(path)
    book.properties.creator = book.properties.lastModifiedBy = book.properties.description = _WHO
    other = book.create_sheet("Victimes")
    other.append(["NUM", "NOM"])
    other.append(["MC1", _WHO])
    hidden = book.create_sheet("Notes", 0)
    hidden.append([_WHO])
    hidden.sheet_state = "hidden"
    book["Sheet"]["A2"].comment = Comment(_WHO, ASIDE[0])
    book["Sheet"].oddFooter.center.text = _WHO
    book.active = 1
    book.save(path)


def _members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _aside_ods(path: Path) -> None:
    members = _members(path)
    note = f"<office:annotation><text:p>{_WHO}</text:p></office:annotation><text:p>MC1</text:p>".encode()
    sheet = (
        f'<table:table table:name="T">{files.ods_row(*files.words(_WHO))}</table:table></office:spreadsheet>'.encode()
    )
    content = members["content.xml"].replace(b"<text:p>MC1</text:p>", note, 1)
    members["content.xml"] = content.replace(b"</office:spreadsheet>", sheet)
    members["meta.xml"] = f"<creator>{_WHO}</creator>".encode()
    files.archive(members)(path)


def _aside_zip(path: Path) -> None:
    files.archive(_members(path) | {"lisezmoi.txt": _WHO.encode(), "autre.dbf": _WHO.encode()})(path)


def _aside_geojson(path: Path) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    document |= {"author": _WHO, "metadata": {"contact": ASIDE[2]}}
    document["features"][0] |= {"id": _WHO, "contact": _WHO}
    path.write_text(json.dumps(document), encoding="utf-8")


def _aside_gpkg(path: Path) -> None:
    others = gpd.GeoDataFrame({"NOM": [_WHO]}, geometry=[shapely.Point(1, 2)], crs="EPSG:2154")
    pyogrio.write_dataframe(others, path, layer="victimes")
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE contacts (nom TEXT)")
    connection.execute("INSERT INTO contacts VALUES (?)", [_WHO])
    connection.execute("UPDATE gpkg_contents SET description = ?, identifier = table_name || ?", [_WHO, _WHO])
    connection.commit()
    connection.close()


def _aside_parquet(path: Path) -> None:
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, b"author": _WHO.encode()}), path)


BESIDE: Mapping[str, tuple[Callable[[Path], None], str]] = {
    "xlsx": (_aside_xlsx, ""),
    "ods": (_aside_ods, ""),
    "zip": (_aside_zip, ""),
    "geojson": (_aside_geojson, ""),
    "gpkg": (_aside_gpkg, 'read = { layer = "log" }'),
    "parquet": (_aside_parquet, ""),
}
"""Format → what puts that person into sheets, layers, members and properties beside the table, and what is declared."""
