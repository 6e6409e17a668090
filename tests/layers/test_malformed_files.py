"""Files that are cut short, inflated or odd: refused by name, row and column, and never read in part."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.declared_sources import ReadOptions
from layers.errors import DeliveryError
from layers.readers import delimited, read_delivery
from support import malformed_files as m
from support.malformed_files import Writer, archive, cut, ods, ods_cell, ods_row, text, words

CSV = "a;b\n" + "".join(f"{n};x{n}\n" for n in range(m.ROWS))
MANY = ";".join(f"c{n}" for n in range(20_000))
LINKED = '"crs": {"type": "link", "properties": {"href": "http://127.0.0.1:9/crs", "type": "proj4"}}, '
NAMED = '"crs": {"type": "name", "properties": {"name": "EPSG:%d"}}, '
PIPELINE = '{"type": "gdal_streamed_alg", "command_line": "gdal vector pipeline ! read /etc/passwd"}'
ENTITIES = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
FAR_ROWS = "".join(f'<row r="{n}"><c r="A{n}"><v>1</v></c></row>' for n in (1, 1_048_576))


def without(suffix: str) -> Writer:
    return m.shapefile(lambda parts: {n: d for n, d in parts.items() if not n.endswith(suffix)})


def half(suffix: str) -> Writer:
    return m.shapefile(lambda parts: {n: d[: len(d) // 2] if n.endswith(suffix) else d for n, d in parts.items()})


REFUSED: dict[str, tuple[str, Writer, str]] = {
    "empty text": ("a.csv", text(""), "is empty"),
    "blank lines alone": ("a.csv", text("\n\r\n  \n"), "is empty"),
    "delimiters alone": ("a.csv", text(";;;\n"), "no header"),
    "zeros": ("a.csv", text(bytes(5000)), "no header"),
    "a header that never ends": ("a.csv", text("x" * 3_000_000), "no header"),
    "a quoted header that never ends": ("a.csv", text('"a;b\n' + "c;d\n" * 300_000), "no header"),
    "a repeated column": ("a.csv", text("a;b;a\n1;2;3\n"), "several columns are called 'a'"),
    "a column without a name": ("a.csv", text("a;;c\n1;2;3\n"), "no name in column 2"),
    "values beyond the header": ("a.csv", text("a;b;\n1;2;\n3;4;5\n"), "row 2, column 3"),
    "too many columns": ("a.csv", text(f"{MANY}\n"), "20000 columns"),
    "a quote that is never closed": ("a.csv", text(CSV.replace("x7\n", '"x7\n')), "row 8, column 'b'.*never closed"),
    "a first quote never closed": ("a.csv", text(CSV.replace("\n7;", '\n"7;')), "row 8: .*never closed"),
    "UTF-8 with one torn letter": ("a.csv", text("é;b\n".encode() * 90 + b"\xc3;1\n"), "in line 91"),
    "UTF-8 that ends inside a letter": ("a.csv", text("é;b\nà;2\né".encode()[:-1]), "in line 3"),
    "not in the declared encoding": ("utf8.csv", text("a;b\né;1\n".encode("cp1252")), "not UTF-8 text.*line 2"),
    "gzip that is cut short": ("a.csv.gz", cut(m.packed(CSV), 0.7), "gzip data are cut short"),
    "gzip with another end": ("a.csv.gz", text(gzip.compress(CSV.encode())[:-4] + b"oooo"), "cannot be read"),
    "Parquet cut short": ("a.parquet", cut(m.parquet, 0.9), "cannot be read"),
    "Parquet without its geometry": ("a.parquet", m.geo({"primary_column": "h", "columns": {}}), "metadata"),
    "Parquet with geometry that is no WKB": (
        "a.parquet",
        m.geo({"primary_column": "g", "columns": {"g": {"encoding": "point"}}}),
        "WKB is read",
    ),
    "Parquet with a wrong reference system": (
        "a.parquet",
        m.geo({"primary_column": "g", "columns": {"g": {"encoding": "WKB", "crs": "Mars"}}}),
        "metadata cannot be read",
    ),
    "Parquet whose metadata are a list": ("a.parquet", m.geo([1]), "metadata cannot be read"),
    "Parquet with a repeated column": (
        "a.parquet",
        lambda path: pa.parquet.write_table(pa.table([pa.array([1])] * 2, names=["a", "a"]), path),
        "several columns",
    ),
    "GeoJSON cut in the middle": ("a.geojson", cut(m.vector, 0.5), "cannot read it"),
    "GeoJSON cut before its last mark": ("a.geojson", text(m.collection(m.feature())[:-1]), "cannot read it"),
    "GeoJSON cut between features": ("a.geojson", text(m.collection(m.feature())[:-2]), "cannot read it"),
    "GeoJSON twice": ("a.geojson", text(m.collection(m.feature()) * 2), "cannot read it"),
    "GeoJSON nested too deep": ("a.geojson", text(m.collection(m.feature("[" * 90_000))), "cannot read it"),
    "GeoJSON that is not UTF-8": ("a.geojson", text(m.collection(m.feature('{"a": "é"}')).encode("cp1252")), "UTF-8"),
    "GeoJSON in several reference systems": (
        "a.geojson",
        text(m.collection(m.feature(more=NAMED % 2154), m.feature(), more=NAMED % 4326)),
        "several reference systems",
    ),
    "GeoJSON with a linked reference system": ("a.geojson", text(m.collection(more=LINKED)), "is a link"),
    "GeoJSON with a nameless feature": (
        "a.geojson",
        text(m.collection(m.feature(), m.feature().replace('"Feature"', '"feature"'))),
        "has 2 rows, of which 1 can be read",
    ),
    "JSON that would run a pipeline": ("a.json", text(PIPELINE), "is no GeoJSON"),
    "a list": ("a.json", text("[1, 2]"), "is no GeoJSON"),
    "GeoPackage cut short": ("a.gpkg", cut(m.vector, 0.8), "cannot be read|torn"),
    "GeoPackage with two layers": ("a.gpkg", m.two_layers, "has the layers one, two"),
    "a virtual source called GeoPackage": ("a.gpkg", text("<OGRVRTDataSource/>"), "no gpkg file"),
    "FlatGeobuf cut between records": ("a.fgb", cut(m.vector, 0.9), "a.fgb"),
    "FlatGeobuf cut anywhere": ("a.fgb", cut(m.vector, 0.95), "a.fgb"),
    "shapes without their table": ("a.zip", without(".dbf"), r"no companion \.dbf"),
    "shapes without their index": ("a.zip", without(".shx"), r"no companion \.shx"),
    "shapes cut short": ("a.zip", half(".shp"), r"points\.shp is cut short"),
    "attributes cut short": ("a.zip", half(".dbf"), r"points\.dbf is cut short"),
    "an index cut short": ("a.zip", half(".shx"), r"points\.shx is cut short"),
    "more attributes than shapes": ("a.zip", m.shapefile(m.longer_table), "201 rows for 200 shapes"),
    "two shapefiles": (
        "a.zip",
        m.shapefile(lambda parts: parts | {n.replace("points", "more"): d for n, d in parts.items()}),
        "has the layers more, points|has the layers points, more",
    ),
    "an archive without shapes": ("a.zip", archive({"readme.txt": b"x"}), r"holds no \.shp"),
    "a damaged archive": ("a.zip", cut(m.shapefile(dict), 0.6), "is not a zip archive"),
    "a bomb of shapes": ("a.zip", m.zeros("a.shp", 200 * 2**20), "200 times its size"),
    "a bomb of cells": ("a.xlsx", m.zeros("xl/worksheets/sheet1.xml", 200 * 2**20), "200 times its size"),
    "a workbook that is none": ("a.xlsx", text("a;b\n1;2\n"), "not an Excel workbook"),
    "a workbook cut short": ("a.xlsx", cut(m.workbook(["a"], [1]), 0.7), "not an Excel workbook"),
    "an archive that is no workbook": ("a.xlsx", archive({"x": b"y"}), "not an Excel workbook"),
    "a workbook of broken XML": ("a.xlsx", m.sheet_xml('<row r="1"><c r="A1"'), "a.xlsx"),
    "cells in opposite corners": ("a.xlsx", m.workbook(["a"], far="XFD1048576"), "more than 50000000 cells"),
    "corners without references": ("a.xlsx", m.sheet_xml(FAR_ROWS + f"<row>{'<c><v>1</v></c>' * 60}</row>"), "cells"),
    "a row beyond the format's": ("a.xlsx", m.sheet_xml('<row r="1048577"><c r="A1048577"/></row>'), "1048576 rows"),
    "an empty sheet": ("a.xlsx", m.workbook(), "a header was expected"),
    "a sheet whose header has a gap": ("a.xlsx", m.workbook(["a", None, "c"], [1, 2, 3]), "no name in column 2"),
    "a sheet with values beyond": ("a.xlsx", m.workbook(["a"], [1], [2, 3]), "row 2, column 2"),
    "a sheet with a repeated column": ("a.xlsx", m.workbook(["a", "a"], [1, 2]), "several columns"),
    "ODS with entities": ("a.ods", ods(ods_row(*words("a")), head=ENTITIES), "document type"),
    "ODS that repeats values": (
        "a.ods",
        ods(ods_row(*words("a")), ods_row(ods_cell("<text:p>1</text:p>", times=9000), times=9000)),
        "more than 50000000 cells",
    ),
    "ODS that repeats without end": ("a.ods", ods(ods_row(*words("a")), ods_row(*words("1"), times=10**9)), "rows"),
    "ODS of broken XML": ("a.ods", archive({"content.xml": b"<a><b></a>"}), "no XML"),
    "ODS without content": ("a.ods", archive({"mimetype": b"x"}), r"no content\.xml"),
    "ODS without a sheet": ("a.ods", archive({"content.xml": b"<a/>"}), "has no sheet"),
    "ODS with a wrong number": ("a.ods", ods('<table:table-row table:number-rows-repeated="x"/>'), "a.ods"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_by_name(tmp_path: Path, case: str):
    name, write, message = REFUSED[case]
    write(tmp_path / name)
    options = ReadOptions(encoding="utf-8") if name == "utf8.csv" else ReadOptions()
    with pytest.raises(DeliveryError, match=f"(?s){message}") as refusal:
        read_delivery(tmp_path / name, options)
    assert name in str(refusal.value)


def read(path: Path, write: Writer, **options: str) -> list[dict[str, object]]:
    write(path)
    rows: list[dict[str, object]] = read_delivery(path, ReadOptions(**options)).table.to_pylist()
    return rows


def test_a_cell_of_ten_megabytes_is_a_value(tmp_path: Path):
    long = "x" * 10_000_000
    for quoted in (long, f'"{long[:5_000_000]}\n{long}"'):
        rows = read(tmp_path / "a.csv", text(f"a;b\n1;2\n3;{quoted}\n" + "5;6\n" * 10_000))
        assert [len(str(row["b"])) for row in rows[:3]] == [1, len(quoted.strip('"')), 1]
        assert len(rows) == 10_002


def test_rows_before_a_long_one_are_given_once(tmp_path: Path):
    """Reading begins again with longer blocks."""
    lines = [f"{n};{'y' * 50}" if n % 1000 else str(n) for n in range(200_000)]
    lines[150_000] = f"150000;{'z' * 6_000_000}"
    (tmp_path / "a.csv").write_text("a;b\n" + "\n".join(lines))
    delivery = read_delivery(tmp_path / "a.csv", ReadOptions())
    torn = [n + 1 for n in range(0, 200_000, 1000) if n != 150_000]
    assert delivery.malformed.tolist() == torn
    assert delivery.rows.tolist() == sorted(set(range(1, 200_001)) - set(torn))
    assert delivery.table.column("a").to_pylist() == [str(row - 1) for row in delivery.rows]


def test_a_row_longer_than_any_block_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(delimited, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(delimited, "LONG_BLOCK_BYTES", 10_000)
    (tmp_path / "a.csv").write_text("a;b\n1;2\n" + '3;"' + "x" * 40_000)
    with pytest.raises(DeliveryError, match=r"a\.csv: after row \d: a row is longer than \d+ bytes; if a quotation"):
        read_delivery(tmp_path / "a.csv", ReadOptions())


def test_a_row_with_nul_is_malformed_and_the_others_are_kept(tmp_path: Path):
    (tmp_path / "a.csv").write_bytes(b"a;b\n1;2\n3;\x004\n5\n6;7\n" + bytes(4096))
    delivery = read_delivery(tmp_path / "a.csv", ReadOptions())
    assert delivery.table.column("a").to_pylist() == ["1", "6"]
    assert (delivery.rows.tolist(), delivery.malformed.tolist()) == ([1, 4], [2, 3, 5])


def test_a_header_alone_is_a_delivery_without_rows(tmp_path: Path):
    for header in ("a;b", "a;b\n", '"a";"b"\r\n\r\n', "\ufeffa;b"):
        (tmp_path / "a.csv").write_text(header, encoding="utf-8")
        delivery = read_delivery(tmp_path / "a.csv", ReadOptions())
        assert (delivery.table.column_names, delivery.table.num_rows) == (["a", "b"], 0)


def test_five_thousand_columns_are_read(tmp_path: Path):
    names = [f"c{n}" for n in range(5000)]
    line = ";".join(map(str, range(5000)))
    rows = read(tmp_path / "a.csv", text(";".join(names) + f"\n{line}\n{line};1\n{line}\n"))
    assert rows == [dict(zip(names, map(str, range(5000)), strict=True))] * 2


def test_formulas_stay_text(tmp_path: Path):
    formula = '=HYPERLINK("http://x","y")'
    rows = read(tmp_path / "a.csv", text('a;b\n"=HYPERLINK(""http://x"",""y"")";@SUM(1)\n+cmd|x;-1\n'))
    assert rows == [{"a": formula, "b": "@SUM(1)"}, {"a": "+cmd|x", "b": "-1"}]


def test_a_delimiter_at_the_end_of_every_line_is_no_column(tmp_path: Path):
    assert read(tmp_path / "a.csv", text("a;b;\n1;2;\n3;4; \n")) == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]


def test_a_shapefile_without_a_reference_system_has_none(tmp_path: Path):
    without(".prj")(tmp_path / "a.zip")
    delivery = read_delivery(tmp_path / "a.zip", ReadOptions())
    assert (delivery.crs, delivery.table.num_rows) == (None, m.ROWS)


def test_one_of_two_layers_is_named(tmp_path: Path):
    assert len(read(tmp_path / "a.gpkg", m.two_layers, layer="two")) == 3
    with pytest.raises(DeliveryError, match="has no layer 'three'; it has one, two"):
        read_delivery(tmp_path / "a.gpkg", ReadOptions(layer="three"))


def test_empty_rows_and_cells_below_and_beside_a_table_are_nothing(tmp_path: Path):
    """LibreOffice writes a million of them."""
    beside, below = ods_cell("", times=16_000, kind=""), ods_row(ods_cell("", times=16_384, kind=""), times=1_048_000)
    rows = [ods_row(*words("a", "b"), beside), ods_row(*words("1", "2"), beside), below]
    assert read(tmp_path / "a.ods", ods(*rows)) == [{"a": "1", "b": "2"}]


def test_cells_of_an_open_document_are_read_by_their_type(tmp_path: Path):
    comment = "<office:annotation><text:p>not this</text:p></office:annotation>"
    cells = [
        ods_cell("", kind='office:value-type="float" office:value="1.5"'),
        ods_cell("<text:p>5 juin</text:p>", kind='office:value-type="date" office:date-value="2024-06-05"'),
        ods_cell("<text:p>x</text:p>", kind='office:value-type="time" office:time-value="PT26H05M00S"'),
        ods_cell(f"{comment}<text:p>une<text:s text:c='2'/>rue</text:p><text:p>deux</text:p>"),
        ods_cell("", kind='office:value-type="boolean" office:boolean-value="true"'),
        ods_cell("", kind='office:value-type="date" office:date-value="2024-02-31"'),
    ]
    names = "number", "day", "time", "words", "yes", "never"
    (row,) = read(tmp_path / "a.ods", ods(ods_row(*words(*names)), ods_row(*cells)))
    assert tuple(row.values()) == ("1.5", "2024-06-05", "26:05:00", "une  rue\ndeux", "True", "2024-02-31")


def test_a_bomb_whose_directory_lies_is_refused(tmp_path: Path):
    """The directory says one byte; the member holds more."""
    m.workbook(["a"], [1])(tmp_path / "a.xlsx")
    with zipfile.ZipFile(tmp_path / "a.xlsx") as file:
        entry = file.getinfo("xl/worksheets/sheet1.xml")
    data = (tmp_path / "a.xlsx").read_bytes()
    (tmp_path / "a.xlsx").write_bytes(data.replace(entry.file_size.to_bytes(4, "little"), (1).to_bytes(4, "little")))
    with pytest.raises(DeliveryError, match=r"a\.xlsx: is not an Excel workbook"):
        read_delivery(tmp_path / "a.xlsx", ReadOptions())


WHOLE: dict[str, Writer] = {
    "a.csv": text(CSV),
    "a.csv.gz": m.packed(CSV),
    "a.xlsx": m.workbook(["a", "b"], *([n, f"x{n}"] for n in range(m.ROWS))),
    "a.ods": ods(*(ods_row(*words(*line.split(";"))) for line in CSV.splitlines())),
    "a.parquet": m.parquet,
    "a.geojson": m.vector,
    "a.gpkg": m.vector,
    "a.fgb": m.vector,
    "a.zip": m.shapefile(dict),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    for name, write in WHOLE.items():
        write(folder / name)
    return folder


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(sorted(WHOLE)),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8)), max_size=4),
    share=st.one_of(st.just(1.0), st.floats(0, 1)),
)
def test_a_file_with_any_damage_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory,
    whole: Path,
    name: str,
    changes: list[tuple[float, bytes]],
    share: float,
):
    data = bytearray((whole / name).read_bytes())
    for place, new in changes:
        start = int(place * len(data))
        data[start : start + len(new)] = new
    path = tmp_path_factory.mktemp("damaged") / name
    path.write_bytes(data[: int(len(data) * share)])
    try:
        delivery = read_delivery(path, ReadOptions())
    except DeliveryError as error:
        assert name in str(error)  # noqa: PT017 — most damage is seen, some is only another value
    else:
        assert len(delivery.rows) == delivery.table.num_rows
