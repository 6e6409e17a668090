"""The first fifty rows of each delivery as text, for readers of the repository."""

from __future__ import annotations

import csv
import io
import json
import math
from contextlib import closing
from pathlib import Path
from typing import Any

import openpyxl
import pyogrio
import shapely

ROWS = 50


def heads(deliveries: Path) -> dict[str, str]:
    """Text of the head of each delivery by file name.

    CSV stays CSV (in UTF-8), XLSX becomes CSV, GeoJSON stays GeoJSON, GeoPackage becomes GeoJSON in its own CRS.
    """
    readers = {".csv": _csv, ".xlsx": _xlsx, ".geojson": _geojson, ".gpkg": _gpkg}
    suffix = {".csv": ".csv", ".xlsx": ".csv", ".geojson": ".geojson", ".gpkg": ".geojson"}
    out = {}
    for path in sorted(deliveries.iterdir()):
        name = path.name if suffix[path.suffix] == path.suffix else path.name + suffix[path.suffix]
        out[name] = readers[path.suffix](path)
    return out


def write_heads(deliveries: Path, folder: Path) -> None:
    """Replace the files of ``folder`` by the heads of ``deliveries``."""
    folder.mkdir(exist_ok=True)
    for old in sorted(folder.iterdir()):
        old.unlink()
    for name, text in heads(deliveries).items():
        (folder / name).write_text(text, encoding="utf-8", newline="")


def _csv(path: Path) -> str:
    encoding = "utf-8" if path.name == "cameras.csv" else "iso-8859-1"
    lines = path.read_text(encoding=encoding).splitlines()
    return "\n".join(lines[: ROWS + 1]) + "\n"


def _xlsx(path: Path) -> str:
    text = io.StringIO()
    with closing(openpyxl.load_workbook(path, read_only=True)) as workbook:
        rows = workbook.worksheets[0].iter_rows(max_row=ROWS + 1, values_only=True)
        csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _geojson(path: Path) -> str:
    with path.open(encoding="utf-8") as handle:
        lines = [next(handle) for _ in range(ROWS + 1)]
    return "".join(lines).rstrip(",\n") + "\n]}\n"


def _gpkg(path: Path) -> str:
    table = pyogrio.read_dataframe(path, max_features=ROWS)
    lines = []
    for row in table.itertuples(index=False):
        properties = {n: _plain(v) for n, v in zip(table.columns, row, strict=True) if n != "geometry"}
        geometry = json.loads(shapely.to_geojson(row.geometry))
        feature = {"type": "Feature", "properties": properties, "geometry": geometry}
        lines.append(json.dumps(feature, ensure_ascii=False, separators=(",", ":")))
    crs = '{"type":"name","properties":{"name":"urn:ogc:def:crs:EPSG::' + str(table.crs.to_epsg()) + '"}}'
    return '{"type":"FeatureCollection","crs":' + crs + ',"features":[\n' + ",\n".join(lines) + "\n]}\n"


def _plain(value: Any) -> Any:
    """A value that JSON has: missing ones become null, times their ISO text, numpy numbers Python's."""
    if value is None or value != value or (isinstance(value, float) and math.isnan(value)):  # noqa: PLR0124
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return value.item() if hasattr(value, "item") else value
