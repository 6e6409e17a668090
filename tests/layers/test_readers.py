# ruff: noqa: DTZ001 — local clock times without a zone are what deliveries hold
from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np
import openpyxl
import pandas as pd
import pyarrow.compute as pc
import pyogrio
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.declared_sources import ReadOptions
from layers.errors import DeliveryError
from layers.parsing import as_text, parse_numbers, parse_times
from layers.readers import Reader, open_delivery, read_delivery

WORDS = ["Rue de l’Évêché", "12, quai du Port", None, "a;b\nc"]
NUMBERS = [1.5, -2.25, 0.0, 43.123456789]
TIMES = [dt.datetime(2024, 7, 1, 10, 20, 30), dt.datetime(2024, 1, 1), dt.datetime(2023, 12, 31, 23, 59), None]
POINTS = [(5.37, 43.3), (5.4, 43.25), (5.38, 43.31), (5.39, 43.27)]


def frame() -> gpd.GeoDataFrame:
    columns = {"word": WORDS, "number": NUMBERS, "time": pd.to_datetime(pd.Series(TIMES))}
    return gpd.GeoDataFrame(columns, geometry=[shapely.Point(p) for p in POINTS], crs="EPSG:4326")


def write_csv(path: Path) -> None:
    frame().drop(columns="geometry").to_csv(path, index=False, sep=";", encoding="utf-8")


def write_xlsx(path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["word", "number", "time"])
    for values in zip(WORDS, NUMBERS, TIMES, strict=True):
        sheet.append(values)
    book.save(path)


def write_ods(path: Path) -> None:
    pyogrio.write_dataframe(pd.DataFrame(frame().drop(columns="geometry")), path, driver="ODS")


def write_parquet(path: Path) -> None:
    frame().to_parquet(path)


def write_vector(path: Path) -> None:
    frame().to_file(path)


def write_geopackage(path: Path) -> None:
    # GeoPackage's times are UTC by its specification: local times are written as text.
    whole = frame()
    whole["time"] = whole["time"].dt.strftime("%Y-%m-%dT%H:%M:%S")
    whole.to_file(path)


def write_shapefile(path: Path) -> None:
    folder = path.parent / "shape"
    folder.mkdir()
    whole = frame()
    whole["time"] = whole["time"].dt.strftime("%Y-%m-%dT%H:%M:%S")
    whole.to_file(folder / "records.shp", encoding="utf-8")
    with zipfile.ZipFile(path, "w") as archive:
        for part in folder.iterdir():
            archive.write(part, part.name)


def test_a_shapefile_without_its_companions_is_refused(tmp_path: Path):
    """Its attributes would change in another file than the one that is digested."""
    write_shapefile(tmp_path / "records.zip")
    with pytest.raises(DeliveryError, match="zip it with its companions"):
        read_delivery(tmp_path / "shape" / "records.shp", ReadOptions())


WRITERS = {
    "records.csv": write_csv,
    "records.xlsx": write_xlsx,
    "records.ods": write_ods,
    "records.parquet": write_parquet,
    "records.geojson": write_vector,
    "records.fgb": write_vector,
    "records.gpkg": write_geopackage,
    "records.zip": write_shapefile,
}


@pytest.mark.parametrize("name", WRITERS)
def test_the_same_table_is_read_from_every_format(tmp_path: Path, name: str):
    WRITERS[name](tmp_path / name)
    delivery = read_delivery(tmp_path / name, ReadOptions())
    columns = {n: delivery.table.column(n).combine_chunks() for n in ("word", "number", "time")}
    order = np.argsort(parse_numbers(columns["number"]).number)  # FlatGeobuf orders by place
    expected = np.argsort(NUMBERS)
    words = as_text(columns["word"]).to_pylist()
    assert [words[i] for i in order] == [WORDS[i] for i in expected]
    np.testing.assert_array_equal(parse_numbers(columns["number"]).number[order], np.array(NUMBERS)[expected])
    utc = parse_times(columns["time"], timezone="UTC").utc[order]
    np.testing.assert_array_equal(utc, np.array(TIMES, dtype="datetime64[us]")[expected])
    assert delivery.rows.tolist() == [1, 2, 3, 4]
    if delivery.geometry is not None:
        places = shapely.get_coordinates(shapely.from_wkb(delivery.geometry.to_pylist()))
        np.testing.assert_allclose(places[order], np.array(POINTS)[expected], atol=1e-12)
        assert "4326" in delivery.crs or "84" in delivery.crs


def test_every_declared_format_has_its_reader():
    formats = set(ReadOptions.model_fields["format"].annotation.__args__[0].__args__)
    assert formats == set(Reader.registry)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "iso-8859-1", "cp1252", "utf-16"])
@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
def test_encodings_and_delimiters_are_sniffed(tmp_path: Path, encoding: str, delimiter: str):
    path = tmp_path / "a.csv"
    path.write_bytes(f'nom{delimiter}"a,b;c"\r\né à ç{delimiter}2\r\n'.encode(encoding))
    table = read_delivery(path, ReadOptions()).table
    assert table.to_pylist() == [{"nom": "é à ç", "a,b;c": "2"}]


def test_text_of_a_csv_stays_text(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("a,b,c,d\n007,NA,,true\n1e5,null,NaN,2024-01-01\n")
    table = read_delivery(path, ReadOptions()).table
    assert table.to_pylist() == [
        {"a": "007", "b": "NA", "c": "", "d": "true"},
        {"a": "1e5", "b": "null", "c": "NaN", "d": "2024-01-01"},
    ]


def test_rows_that_cannot_be_cut_are_numbered_and_the_others_kept(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text('a;b\n1;2\n3\n"x\ny";5\n6;7;8\n9;10\n')
    delivery = read_delivery(path, ReadOptions())
    assert delivery.table.column("a").to_pylist() == ["1", "x\ny", "9"]
    assert delivery.rows.tolist() == [1, 3, 5]
    assert delivery.malformed.tolist() == [2, 4]


def test_hours_of_a_workbook_survive_any_cell_format(tmp_path: Path):
    """GDAL reads a date where the cell's format is one that it does not know."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["when", "day", "hour", "code"])
    sheet.append([dt.datetime(2024, 1, 1, 3, 4, 5), dt.datetime(2024, 1, 1), dt.time(10, 20), "0012"])
    sheet["A2"].number_format = 'yyyy"/"mm"/"dd hh"h"mm'
    book.create_sheet("other").append(["only"])
    book.save(tmp_path / "a.xlsx")
    row = read_delivery(tmp_path / "a.xlsx", ReadOptions()).table.to_pylist()[0]
    assert row == {"when": "2024-01-01T03:04:05", "day": "2024-01-01", "hour": "10:20:00", "code": "0012"}
    other = read_delivery(tmp_path / "a.xlsx", ReadOptions(sheet="other"))
    assert (other.table.column_names, other.table.num_rows) == (["only"], 0)
    with pytest.raises(DeliveryError, match="no sheet 'none'; it has Sheet, other"):
        read_delivery(tmp_path / "a.xlsx", ReadOptions(sheet="none"))


def test_impossible_dates_of_geojson_are_not_carried_over(tmp_path: Path):
    """GDAL turns 31 February into 2 March."""
    feature = '{"type": "Feature", "properties": {"d": "2024-02-31"}, "geometry": null}'
    (tmp_path / "a.geojson").write_text(f'{{"type": "FeatureCollection", "features": [{feature}]}}')
    table = read_delivery(tmp_path / "a.geojson", ReadOptions()).table
    assert table.column("d").to_pylist() == ["2024-02-31"]


def test_crs_of_geojson_is_read(tmp_path: Path):
    moved = frame().drop(columns="time").to_crs("EPSG:2154")
    moved.to_file(tmp_path / "a.geojson")
    assert read_delivery(tmp_path / "a.geojson", ReadOptions()).crs == "EPSG:2154"


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".ods", ".geojson", ".gpkg", ".parquet", ".fgb", ".zip"])
@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02", b'{"type": "FeatureColl', b"PK\x03\x04 no archive"])
def test_broken_files_are_refused_by_name(tmp_path: Path, suffix: str, content: bytes):
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    try:
        delivery = read_delivery(path, ReadOptions())
    except DeliveryError as error:
        assert f"broken{suffix}" in str(error)  # noqa: PT017 — a text file may also be read as one odd column
    else:
        assert suffix == ".csv"
        assert delivery.table.num_rows == 0


def test_unknown_suffixes_and_repeated_columns_are_refused(tmp_path: Path):
    (tmp_path / "a.doc").touch()
    with pytest.raises(DeliveryError, match=r"'\.doc' \(known: \.csv"):
        read_delivery(tmp_path / "a.doc", ReadOptions())
    (tmp_path / "a.csv").write_text("x;y;x\n1;2;3\n")
    with pytest.raises(DeliveryError, match="several columns are called 'x'"):
        read_delivery(tmp_path / "a.csv", ReadOptions())


def test_pyarrow_still_loses_rows_that_are_all_null():
    """Why columns are joined without null_handling: the day this fails, the detour can go."""
    joined = pc.binary_join_element_wise([None, "a"], [None, "b"], " ", null_handling="skip")
    assert len(joined) == 1


def test_batches_are_numbered_as_the_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Blank lines are no rows, a row with line breaks is one, and torn rows keep their number."""
    monkeypatch.setattr("layers.readers.delimited.BLOCK_BYTES", 64)
    lines, kinds = ["a;b"], []
    for n in range(500):
        kinds.append(("whole", "torn", "broken")[n % 7 % 3])
        lines.append({"whole": f"{n};x", "torn": f"{n}", "broken": f'{n};"x\ny"'}[kinds[-1]])
        if n % 5 == 0:
            lines += ["", ""]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    with open_delivery(tmp_path / "a.csv", ReadOptions()) as opened:
        batches = list(opened.batches)
    assert len(batches) > 20
    rows = np.concatenate([batch.rows for batch in batches])
    assert [int(v) + 1 for batch in batches for v in batch.table.column("a").to_pylist()] == rows.tolist()
    malformed = np.concatenate([batch.malformed for batch in batches])
    assert malformed.tolist() == [n + 1 for n, kind in enumerate(kinds) if kind == "torn"]
    assert np.union1d(rows, malformed).tolist() == list(range(1, 501))


@pytest.mark.parametrize("name", ["records.parquet", "records.gpkg", "records.geojson", "records.xlsx"])
def test_batches_follow_one_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    for module in ("columnar", "vector", "spreadsheets"):
        monkeypatch.setattr(f"layers.readers.{module}.BATCH_ROWS", 3)
    WRITERS[name](tmp_path / name)
    with open_delivery(tmp_path / name, ReadOptions()) as opened:
        assert [batch.rows.tolist() for batch in opened.batches] == [[1, 2, 3], [4]]
        assert opened.columns == ("word", "number", "time")
        assert opened.has_geometry == (name != "records.xlsx")


def test_what_the_caller_does_wrong_is_no_fault_of_the_file(tmp_path: Path):
    (tmp_path / "a.csv").write_text("a\n1\n")
    with pytest.raises(OSError, match="disk full"), open_delivery(tmp_path / "a.csv", ReadOptions()):
        raise OSError("disk full")


def test_the_first_accent_may_be_the_last_letter(tmp_path: Path):
    plain = "nom;n\n" + "rue;1\n" * 400_000
    for encoding, last in (("utf-8", "é"), ("cp1252", "é"), ("cp1252", "œuvre")):
        (tmp_path / "a.csv").write_bytes((plain + f"{last};2\n").encode(encoding))
        assert read_delivery(tmp_path / "a.csv", ReadOptions()).table.column("nom")[-1].as_py() == last


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_wide_text_without_its_mark_is_seen(tmp_path: Path, encoding: str):
    (tmp_path / "a.csv").write_bytes(("nom;n\n" + "été;1,5\n" * 50).encode(encoding))
    delivery = read_delivery(tmp_path / "a.csv", ReadOptions())
    assert (delivery.table.column("nom")[49].as_py(), delivery.decimal) == ("été", ",")


@pytest.mark.parametrize(
    ("text", "decimal"),
    [
        ("x;y\n1,5;2\n", ","),
        ("x;y\n1.5;2\n", "."),
        ("x;y\n1,5;2.5\n", "."),
        ("x;y\n1;2\n", "."),
        ("x,y\n1,5\n2,5\n", "."),
        ('x,y\n"1,5","2"\n', ","),
        ("x\ty\nle 1,5\t01.02.2024\n", "."),
        ("x;y\n" + ";\n" * 900_000 + "-5,37; 43,3 \n", ","),
    ],
)
def test_the_decimal_mark_is_sniffed(tmp_path: Path, text: str, decimal: str):
    (tmp_path / "a.csv").write_text(text)
    assert read_delivery(tmp_path / "a.csv", ReadOptions()).decimal == decimal
    assert read_delivery(tmp_path / "a.csv", ReadOptions(decimal=".")).decimal == "."


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Latitude, deg;Longitude, deg\n43,1;5,2\n", ["Latitude, deg", "Longitude, deg"]),
        ("a,b,types; autres\n1,2,3\n4,5,6\n", ["a", "b", "types; autres"]),
        ("'a;b';'c'\n'1;2';'l''eau'\n", ["a;b", "c"]),
        ("a;l'eau\nd'or;'x'\n", ["a", "l'eau"]),
        ("seule\n1\n", ["seule"]),
    ],
)
def test_delimiter_and_quotes_are_sniffed(tmp_path: Path, text: str, names: list[str]):
    (tmp_path / "a.csv").write_text(text)
    assert read_delivery(tmp_path / "a.csv", ReadOptions()).table.column_names == names


def test_what_is_sniffed_can_be_declared(tmp_path: Path):
    (tmp_path / "a.csv").write_bytes("a!b\n|é!1|!2\n".encode("cp850"))
    options = ReadOptions(encoding="cp850", delimiter="!", quote="|")
    assert read_delivery(tmp_path / "a.csv", options).table.to_pylist() == [{"a": "é!1", "b": "2"}]
    for wrong, message in (
        (ReadOptions(encoding="rot13"), "encoding 'rot13' is not known"),
        (ReadOptions(delimiter=";;"), r"read\.delimiter = ';;'"),
        (ReadOptions(quote="«"), r"read\.quote"),
    ):
        with pytest.raises(DeliveryError, match=message):
            read_delivery(tmp_path / "a.csv", wrong)


cells = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=12)


@settings(max_examples=80, deadline=None)
@given(
    rows=st.lists(st.lists(cells, min_size=3, max_size=3), max_size=20),
    delimiter=st.sampled_from(";,\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    pack=st.sampled_from([bytes, gzip.compress]),
)
def test_any_table_that_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[list[str]],
    delimiter: str,
    encoding: str,
    pack: Callable[[bytes], bytes],
):
    """Python's csv module is the oracle."""
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([["a", "b", "c"], *rows])
    data = out.getvalue().encode(encoding)
    path = tmp_path_factory.mktemp("any") / "a.csv.gz"
    path.write_bytes(pack(data))
    try:
        table = read_delivery(path, ReadOptions(delimiter=delimiter)).table
    except DeliveryError as error:
        assert "holds whole rows" in str(error)  # noqa: PT017 — a value that looks like two rows
        assert any("\n" in value and value.count(delimiter) > 1 for row in rows for value in row)
    else:
        assert [list(row.values()) for row in table.to_pylist()] == rows
