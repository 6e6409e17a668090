"""Files that no producer should send, and some do: each is written by a few lines."""

from __future__ import annotations

import gzip
import json
import struct
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

ROWS = 200
Writer = Callable[[Path], None]


def frame(rows: int = ROWS) -> gpd.GeoDataFrame:
    """Points that any vector format holds."""
    columns = {"word": [f"rue {n}" for n in range(rows)], "number": np.arange(rows)}
    return gpd.GeoDataFrame(columns, geometry=shapely.points(5.3 + np.arange(rows) / 1e4, 43.3), crs="EPSG:4326")


def text(content: str | bytes) -> Writer:
    """File of these characters or bytes."""
    data = content.encode() if isinstance(content, str) else content
    return lambda path: path.write_bytes(data) and None


def vector(path: Path) -> None:
    """Whole file of the points."""
    frame().to_file(path)


def two_layers(path: Path) -> None:
    """GeoPackage of two layers of points."""
    frame().to_file(path, layer="one")
    frame(3).to_file(path, layer="two")


def parquet(path: Path) -> None:
    """Whole GeoParquet file."""
    frame().to_parquet(path)


def cut(write: Writer, share: float) -> Writer:
    """The same, without its end."""

    def written(path: Path) -> None:
        write(path)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])

    return written


def table(columns: dict[str, pa.Array], metadata: dict[str, str] | None = None) -> Writer:
    """Parquet file of these columns."""
    return lambda path: pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path)


def geo(described: object) -> Writer:
    """Parquet file that says this of its geometry."""
    return table({"g": pa.array([shapely.Point(1, 2).wkb])}, {"geo": json.dumps(described)})


def feature(properties: str = "{}", geometry: str = "null", more: str = "") -> str:
    """One GeoJSON feature."""
    return f'{{"type": "Feature", {more}"properties": {properties}, "geometry": {geometry}}}'


def collection(*features: str, more: str = "") -> str:
    """GeoJSON of these features."""
    return f'{{"type": "FeatureCollection", {more}"features": [{",".join(features)}]}}'


def archive(members: dict[str, bytes]) -> Writer:
    """Zip archive of these members."""

    def written(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name, data in members.items():
                file.writestr(name, data)

    return written


def zeros(name: str, size_bytes: int) -> Writer:
    """Zip archive of one member of zeros."""

    def written(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file, file.open(name, "w") as member:
            for _ in range(size_bytes // 2**20):
                member.write(bytes(2**20))

    return written


def shapefile_parts() -> dict[str, bytes]:
    """Files of a whole shapefile of the points."""
    with tempfile.TemporaryDirectory() as folder:
        frame().to_file(Path(folder) / "points.shp")
        return {part.name: part.read_bytes() for part in sorted(Path(folder).iterdir())}


def shapefile(change: Callable[[dict[str, bytes]], dict[str, bytes]]) -> Writer:
    """Zipped shapefile of which some parts are changed."""

    def written(path: Path) -> None:
        archive(change(shapefile_parts()))(path)

    return written


def workbook(*rows: list[object], far: str | None = None) -> Writer:
    """Excel workbook of one sheet."""

    def written(path: Path) -> None:
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append(row)
        if far:
            book.active[far] = "far"
        book.save(path)

    return written


def sheet_xml(cells: str) -> Writer:
    """Excel workbook whose sheet holds this XML."""

    def written(path: Path) -> None:
        workbook(["a"])(path)
        with zipfile.ZipFile(path) as file:
            members = {name: file.read(name) for name in file.namelist()}
        sheet = "xl/worksheets/sheet1.xml"
        head, _, rest = members[sheet].partition(b"<sheetData>")
        members[sheet] = head + b"<sheetData>" + cells.encode() + b"</sheetData>" + rest.partition(b"</sheetData>")[2]
        archive(members)(path)

    return written


_ODS = (
    '<?xml version="1.0" encoding="UTF-8"?>{head}<office:document-content '
    'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><office:body><office:spreadsheet>'
    '<table:table table:name="S">{rows}</table:table></office:spreadsheet></office:body></office:document-content>'
)


def ods_cell(value: str, *, times: int = 1, kind: str = 'office:value-type="string"') -> str:
    """One cell, repeated."""
    return f'<table:table-cell {kind} table:number-columns-repeated="{times}">{value}</table:table-cell>'


def ods_row(*cells: str, times: int = 1) -> str:
    """One row, repeated."""
    return f'<table:table-row table:number-rows-repeated="{times}">{"".join(cells)}</table:table-row>'


def ods(*rows: str, head: str = "") -> Writer:
    """OpenDocument spreadsheet of one sheet."""
    content = _ODS.format(rows="".join(rows), head=head).encode()
    return archive({"mimetype": b"application/vnd.oasis.opendocument.spreadsheet", "content.xml": content})


def words(*values: str) -> list[str]:
    """Cells of text."""
    return [ods_cell(f"<text:p>{value}</text:p>") for value in values]


def packed(content: str) -> Writer:
    """Text, packed by gzip."""
    return lambda path: path.write_bytes(gzip.compress(content.encode())) and None


def longer_table(parts: dict[str, bytes]) -> dict[str, bytes]:
    """One more row in the table of attributes than there are shapes."""
    data = bytearray(parts["points.dbf"])
    struct.pack_into("<I", data, 4, ROWS + 1)
    return parts | {"points.dbf": bytes(data)}
