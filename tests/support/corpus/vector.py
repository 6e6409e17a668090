"""GeoPackage, FlatGeobuf and zipped shapefiles: cut, unfinished, or not what they say."""

from __future__ import annotations

import io
import sqlite3
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import shapely

from support import malformed_files as files
from support.corpus.case import ROWS, SPOILT, WITH_SHAPES, Case, good_row, good_rows
from support.malformed_files import Writer, cut, text

ROW = good_row(SPOILT)
Frame = gpd.GeoDataFrame
Parts = dict[str, bytes]


def frame() -> Frame:
    """Good rows, in Lambert-93."""
    rows = good_rows()
    columns = {
        "NUM": [row.name for row in rows],
        "MOMENT": [row.moment.isoformat() for row in rows],
        "CODE": [row.code for row in rows],
        "GRAVITE": [row.severity for row in rows],
        "ADRESSE": [row.address for row in rows],
    }
    return Frame(columns, geometry=[shapely.Point(row.x, row.y) for row in rows], crs="EPSG:2154")


def drawn(shape: Any) -> Frame:
    """Good rows, one of them with another geometry."""
    made = frame()
    shapes = made.geometry.to_list()
    shapes[SPOILT - 1] = shape
    return made.set_geometry(gpd.GeoSeries(shapes, crs=made.crs))


def whole(made: Callable[[], Frame] = frame, **options: Any) -> Writer:
    """File of the format that its name says."""
    return lambda path: made().to_file(path, **options)


def said(sql: str) -> Writer:
    """GeoPackage after a statement."""

    def written(path: Path) -> None:
        whole()(path)
        edit(path, sql)

    return written


def edit(path: Path, sql: str) -> None:
    """Run a statement in a GeoPackage."""
    connection = sqlite3.connect(path)
    try:
        # The triggers call functions that plain SQLite does not have.
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in names:
            connection.execute(f'DROP TRIGGER "{name}"')
        connection.execute(sql)
        connection.commit()
    finally:
        connection.close()


def dated(value: str) -> Writer:
    """GeoPackage whose moments are moments, one of them this text."""

    def written(path: Path) -> None:
        made = frame()
        made["MOMENT"] = pd.to_datetime(made["MOMENT"])
        made.to_file(path)
        edit(path, f"UPDATE log SET MOMENT = '{value}' WHERE NUM = '{ROW.name}'")

    return written


def late_february(path: Path) -> None:
    """FlatGeobuf of one row, whose moment is no day."""
    made = frame().head(1)
    made["MOMENT"] = pd.to_datetime(["2024-02-28T10:20:00"])
    made.to_file(path)
    path.write_bytes(path.read_bytes().replace(b"2024-02-28", b"2024-02-31"))


def bare(path: Path) -> None:
    """GeoPackage of a table without geometry."""
    import pyogrio

    pyogrio.write_dataframe(pd.DataFrame(frame().drop(columns="geometry")), path)


def two_layers(path: Path) -> None:
    """GeoPackage of two layers."""
    frame().to_file(path, layer="one")
    frame().head(3).to_file(path, layer="two")


def parts() -> Parts:
    """Members of a good shapefile."""
    with tempfile.TemporaryDirectory() as folder:
        frame().to_file(Path(folder) / "log.shp", encoding="utf-8")
        return {part.name: part.read_bytes() for part in sorted(Path(folder).iterdir())}


def zipped(change: Callable[[Parts], Parts] = dict) -> Writer:
    """Zipped shapefile, after a change."""

    def written(path: Path) -> None:
        files.archive(change(parts()))(path)

    return written


def without(suffix: str) -> Writer:
    """Zipped shapefile without one of its members."""
    return zipped(lambda made: {name: data for name, data in made.items() if not name.endswith(suffix)})


def flipped(suffix: str, place: int, data: bytes) -> Writer:
    """Zipped shapefile with some bytes of a member replaced."""

    def change(made: Parts) -> Parts:
        return {
            name: old[:place] + data + old[place + len(data) :] if name.endswith(suffix) else old
            for name, old in made.items()
        }

    return zipped(change)


def outside(path: Path) -> None:
    """Archive whose members would be unpacked elsewhere."""
    files.archive({f"../../{name}": data for name, data in parts().items()} | {"/etc/cron.d/x": b"x"})(path)


def packed_twice(path: Path) -> None:
    """Zip archive in a zip archive."""
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as file:
        for name, data in parts().items():
            file.writestr(name, data)
    files.archive({"log.zip": inner.getvalue()})(path)


def encrypted(path: Path) -> None:
    """Archive whose members say that they are encrypted."""
    zipped()(path)
    data = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = data.find(mark)
        while start >= 0:
            data[start + place] |= 1
            start = data.find(mark, start + 4)
    path.write_bytes(data)


def of(file: str, write: Writer, **keys: object) -> Case:
    """One file with geometry."""
    return Case(file=file, write=write, **({"crs": None, "columns": WITH_SHAPES} | keys))


def gpkg(write: Writer, **keys: object) -> Case:
    """One GeoPackage."""
    return of("log.gpkg", write, **keys)


def shp(write: Writer, **keys: object) -> Case:
    """One zipped shapefile."""
    return of("log.zip", write, **keys)


def bad(field: str, reason: str) -> dict[str, object]:
    """One fault of the spoilt row."""
    return {"faults": ((SPOILT, field, reason),)}


def told(**values: object) -> dict[str, object]:
    """What the spoilt row tells instead."""
    return {"changed": {ROW.name: values}}


LOST = {"located_by": None, "x_m": None, "y_m": None}
NOWHERE = told(**LOST)
CROSSED = shapely.LineString([(0, 0), (1, 1)])

VECTOR: dict[str, Case] = {
    "a good GeoPackage": gpkg(whole()),
    "a GeoPackage cut short": gpkg(cut(whole(), 0.8), refused=r"log\.gpkg"),
    "a GeoPackage cut at its half": gpkg(cut(whole(), 0.5), refused=r"log\.gpkg"),
    "a GeoPackage that is empty": gpkg(text(b""), refused="no gpkg file"),
    "a GeoPackage that is text": gpkg(text("NUM;X\n"), refused="no gpkg file"),
    "a GeoPackage of two layers": gpkg(two_layers, refused="has the layers one, two"),
    "a GeoPackage of two layers, one named": gpkg(two_layers, more='read = { layer = "one" }'),
    "a GeoPackage without geometry": gpkg(bare, changed={row.name: LOST for row in good_rows()}),
    "a layer whose name is SQL": gpkg(whole(layer='x"; DROP TABLE gpkg_contents; --')),
    "a layer of SQL is asked for": gpkg(
        whole(), more="""read = { layer = "log'; DROP TABLE log; --" }""", refused="has no layer"
    ),
    "a system that the GeoPackage lacks": gpkg(
        said("UPDATE gpkg_geometry_columns SET srs_id = 424242"), refused=r"log\.gpkg"
    ),
    "a GeoPackage in no system": gpkg(said("UPDATE gpkg_geometry_columns SET srs_id = -1"), refused="reference system"),
    "a geometry that is no WKB": gpkg(
        said(f"UPDATE log SET geom = x'47500001deadbeef' WHERE NUM = '{ROW.name}'"), refused="row 5, geometry"
    ),
    "a geometry that is text": gpkg(
        said(f"UPDATE log SET geom = 'here' WHERE NUM = '{ROW.name}'"), refused="row 5, geometry"
    ),
    "a word in a column of numbers": gpkg(
        said(f"UPDATE log SET GRAVITE = 'grave' WHERE NUM = '{ROW.name}'"), refused="row 5, column 'GRAVITE'"
    ),
    "31 February in a column of dates": gpkg(dated("2024-02-31T10:20:00Z"), refused="row 5, column 'MOMENT'"),
    "a word in a column of dates": gpkg(dated("hier"), refused="row 5, column 'MOMENT'"),
    "bytes in a column of text": gpkg(
        said(f"UPDATE log SET ADRESSE = x'ff00fe' WHERE NUM = '{ROW.name}'"), refused=r"log\.gpkg"
    ),
    "text that is not UTF-8": gpkg(
        said(f"UPDATE log SET ADRESSE = CAST(x'e9e8' AS TEXT) WHERE NUM = '{ROW.name}'"),
        refused="row 5, column 'ADRESSE'.*UTF-8",
    ),
    "a text of NUL": gpkg(
        said(f"UPDATE log SET ADRESSE = CAST(x'3500' || x'78' AS TEXT) WHERE NUM = '{ROW.name}'"), **told(address="5")
    ),
    "a GeoPackage without its table": gpkg(said("DROP TABLE log"), refused=r"log\.gpkg"),
    "a GeoPackage whose layer is a view that never ends": gpkg(
        said("UPDATE gpkg_contents SET table_name = 'sqlite_master'"), refused=r"log\.gpkg"
    ),
    "a row without geometry": gpkg(whole(lambda: drawn(None)), **NOWHERE),
    "an empty point in a GeoPackage": gpkg(whole(lambda: drawn(shapely.Point())), **NOWHERE),
    "a line among the points": gpkg(whole(lambda: drawn(CROSSED)), **bad("geometry", "not_a_point")),
    "a point without end": gpkg(
        whole(lambda: drawn(shapely.Point(float("inf"), 1))), **bad("coordinates", "outside_crs_area")
    ),
    "a good FlatGeobuf": of("log.fgb", whole(), columns=WITH_SHAPES),
    "31 February in a FlatGeobuf": of(
        "log.fgb", late_february, rows=1, good=0, faults=((1, "started_at", "invalid_date"),)
    ),
    "a FlatGeobuf cut short": of("log.fgb", cut(whole(), 0.9), refused=r"log\.fgb"),
    "a FlatGeobuf cut in its index": of("log.fgb", cut(whole(), 0.4), refused=r"log\.fgb"),
    "a FlatGeobuf of its first bytes": of("log.fgb", cut(whole(), 0.02), refused=r"log\.fgb"),
    "a FlatGeobuf that is text": of("log.fgb", text("fgb?"), refused="no flatgeobuf file"),
    "a good shapefile": shp(zipped()),
    "a shapefile without its index": shp(without(".shx"), refused=r"no companion \.shx"),
    "a shapefile without its table": shp(without(".dbf"), refused=r"no companion \.dbf"),
    "a shapefile without its system": shp(without(".prj"), refused="reference system"),
    "a shapefile without its system, which the city file gives": shp(without(".prj"), crs="EPSG:2154"),
    "a shapefile without its encoding": shp(
        without(".cpg")  # the table's own header tells it too
    ),
    "a shapefile with a system that is not": shp(
        zipped(lambda made: made | {"log.prj": b"PROJCS[rien"}), refused=r"log\.zip"
    ),
    "an archive that is cut": shp(cut(zipped(), 0.7), refused="not a zip archive"),
    "an archive of nothing": shp(files.archive({}), refused=r"holds no \.shp"),
    "an archive that would unpack elsewhere": shp(outside, refused=r"log\.zip"),
    "an archive in an archive": shp(packed_twice, refused=r"holds no \.shp"),
    "an archive with a password": shp(encrypted, refused="not a zip archive"),
    "a bomb of shapes": shp(files.zeros("log.shp", 300 * 2**20), refused="200 times its size"),
    "a table that says it has more rows": shp(
        flipped(".dbf", 4, (ROWS + 5).to_bytes(4, "little")), refused=f"{ROWS + 5} rows for {ROWS} shapes"
    ),
    "shapes of a kind that nobody knows": shp(flipped(".shp", 32, b"\x63")),  # each shape says its own too
    "an index that points beyond the shapes": shp(flipped(".shx", 100, b"\x7f\xff\xff\xff"), refused="row 1, geometry"),
}
