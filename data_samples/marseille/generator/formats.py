"""Writers whose bytes depend on nothing but the table: no clock, no compression library, no dictionary order."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import pyproj
import shapely

from data_samples.marseille.generator.randomness import Geometries

FIXED_DATE = "2026-01-01T00:00:00Z"
ZIP_DATE = (2026, 1, 1, 0, 0, 0)

_XLSX_PARTS = {
    "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    '<Override PartName="/xl/workbook.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
    '<Override PartName="/xl/worksheets/sheet1.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>',
    "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="rId1" Target="xl/workbook.xml" '
    'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"/></Relationships>',
    "xl/workbook.xml": '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">'
    '<sheets><sheet name="{sheet}" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="rId1" Target="worksheets/sheet1.xml" '
    'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet"/></Relationships>',
}
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


def write_csv(
    path: Path, header: Sequence[str], rows: Iterable[Sequence[str]], *, encoding: str, delimiter: str
) -> None:
    """Write text rows; a field that holds the delimiter or a quote is quoted. Lines end with CR LF."""
    with path.open("w", encoding=encoding, newline="") as handle:
        for row in (header, *rows):
            handle.write(delimiter.join(_quoted(field, delimiter) for field in row) + "\r\n")


def _quoted(field: str, delimiter: str) -> str:
    if delimiter in field or '"' in field or "\n" in field:
        return '"' + field.replace('"', '""') + '"'
    return field


def write_xlsx(
    path: Path, sheet: str, header: Sequence[str], rows: Iterable[Sequence[str | int | float | None]]
) -> None:
    """Write one sheet: text inline, numbers as numbers, entries stored without compression and with a fixed date.

    Raises
    ------
    ValueError
        If the table has more than 26 columns.
    """
    if len(header) > 26:
        raise ValueError(f"{path.name}: {len(header)} columns were given, at most 26 are written")
    letters = [chr(65 + i) for i in range(len(header))]
    lines = []
    for number, row in enumerate((header, *rows), start=1):
        cells = "".join(_cell(f"{letter}{number}", value) for letter, value in zip(letters, row, strict=True))
        lines.append(f'<row r="{number}">{cells}</row>')
    body = (
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        f'<dimension ref="A1:{letters[-1]}{len(lines)}"/><sheetData>' + "".join(lines) + "</sheetData></worksheet>"
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, part in (*_XLSX_PARTS.items(), ("xl/worksheets/sheet1.xml", body)):
            entry = zipfile.ZipInfo(name, ZIP_DATE)
            entry.create_system = 3
            archive.writestr(entry, _XML + part.replace("{sheet}", escape(sheet)))


def _cell(reference: str, value: str | float | None) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, str):
        return f'<c r="{reference}" t="inlineStr"><is><t>{escape(value)}</t></is></c>'
    return f'<c r="{reference}"><v>{value!r}</v></c>'


def write_geojson(
    path: Path,
    name: str,
    properties: Iterable[Mapping[str, Any]],
    geometries: Iterable[Mapping[str, Any] | None],
    *,
    epsg: int | None = None,
) -> None:
    """Write one feature a line. ``epsg`` adds the ``crs`` member of the 2008 specification (None: degrees)."""
    crs = (
        ""
        if epsg is None
        else ('"crs":{"type":"name","properties":{"name":"urn:ogc:def:crs:EPSG::' + str(epsg) + '"}},')
    )
    with path.open("w", encoding="utf-8", newline="") as handle:
        handle.write('{"type":"FeatureCollection","name":' + json.dumps(name) + "," + crs + '"features":[\n')
        for number, (values, geometry) in enumerate(zip(properties, geometries, strict=True)):
            feature = {"type": "Feature", "properties": values, "geometry": geometry}
            text = json.dumps(feature, ensure_ascii=False, separators=(",", ":"))
            handle.write(("" if number == 0 else ",\n") + text)
        handle.write("\n]}\n")


def write_gpkg(
    path: Path,
    layer: str,
    table: pa.Table,
    geometries: Geometries,
    *,
    geometry_type: str,
    crs: str,
    append: bool = False,
) -> None:
    """Write one layer of a GeoPackage with its dates fixed."""
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": FIXED_DATE})
    try:
        wkb = pa.array(shapely.to_wkb(geometries).tolist(), pa.binary())
        pyogrio.write_arrow(
            table.append_column("geom", wkb), path, layer=layer, driver="GPKG", geometry_name="geom",
            geometry_type=geometry_type, crs=crs, append=append,
        )  # fmt: skip
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})


def write_parquet(path: Path, table: pa.Table, *, geometry: str | None = None, crs: str | None = None) -> None:
    """Write Parquet without compression; with ``geometry`` (a WKB column) and ``crs``, GeoParquet 1.1 metadata."""
    if geometry is not None:
        column = {"encoding": "WKB", "geometry_types": [], "crs": json.loads(pyproj.CRS(crs).to_json())}
        document = {"version": "1.1.0", "primary_column": geometry, "columns": {geometry: column}}
        table = table.replace_schema_metadata({"geo": json.dumps(document, separators=(",", ":"))})
    pq.write_table(table, path, compression="none")


def local_clock(minutes: np.ndarray[Any, Any], start: str, pattern: str) -> list[str]:
    """Local minutes since ``start`` (a date) as text; −1 gives an empty text."""
    times = np.datetime64(start) + np.asarray(minutes).astype("timedelta64[m]")
    text = np.datetime_as_string(times, unit="m")
    out = []
    for minute, value in zip(minutes, text, strict=True):
        date, clock = str(value).split("T")
        year, month, day = date.split("-")
        filled = pattern.replace("YYYY", year).replace("MM", month).replace("DD", day).replace("hh:mm", clock)
        out.append("" if minute < 0 else filled)
    return out
