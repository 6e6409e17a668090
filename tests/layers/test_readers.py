# ruff: noqa: DTZ001 — local clock times without a zone are what deliveries hold
from __future__ import annotations

import datetime as dt
import zipfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import openpyxl
import pandas as pd
import pyarrow.compute as pc
import pyogrio
import pytest
import shapely

from layers.declared_sources import ReadOptions
from layers.errors import DeliveryError
from layers.parsing import as_text, parse_numbers, parse_times
from layers.readers import Reader, read_delivery

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
