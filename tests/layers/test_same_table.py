"""One table, delivered in every way that a city has: the records are identical, to the last bit."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import geopandas
import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyogrio
import pytest
import shapely

from layers.home import Home
from layers.ingest import ingest
from layers.lake import layer_table, reject_table
from support.databases import TestDatabase
from support.delivered_city import CITY_TOML, ORIGIN_X_M, ORIGIN_Y_M, DeliveredCity

ROWS = 120
ADDRESSES = ("12 rue de l'Évêché", 'Quai "du Port" ; bât. B', "La Canebière\n13001", None, "Œuvre, 3 bis", "  place  ")
FIELDS = {
    "record_id": "NUM",
    "category": "CODE",
    "started_at": "MOMENT",
    "severity": "GRAVITE",
    "precision_m": "RAYON",
    "address": "ADRESSE",
}
DELIVERY = frozenset({"delivery"})
"""Columns of a record that say which delivery it came from."""


def the_table() -> pd.DataFrame:
    """Incidents of 2024 with what differs between formats: accents, quotes, line breaks, nulls, halves, midnights."""
    generator = np.random.default_rng(7)
    minutes = generator.choice(365 * 24 * 60, ROWS, replace=False)
    moments = [dt.datetime.fromisoformat("2024-01-01") + dt.timedelta(minutes=int(m)) for m in minutes]
    moments[0] = dt.datetime.fromisoformat("2024-05-15")
    return pd.DataFrame(
        {
            "NUM": [f"{number:05d}" for number in range(ROWS)],  # leading zeros: no number
            "CODE": [("N1", "F1", "Z9")[n] for n in generator.integers(0, 3, ROWS)],
            "MOMENT": moments,
            "GRAVITE": pd.array([None if n == 0 else n for n in generator.integers(0, 6, ROWS).tolist()], "Int64"),
            "RAYON": np.round(generator.uniform(0, 100, ROWS), 2),
            "ADRESSE": [ADDRESSES[n] for n in generator.integers(0, len(ADDRESSES), ROWS)],
            "X": np.round(ORIGIN_X_M + generator.uniform(0, 2000, ROWS), 3),
            "Y": np.round(ORIGIN_Y_M + generator.uniform(0, 2000, ROWS), 3),
        }
    )


@dataclass
class Delivered:
    """A way in: the city's folder, the frame to deliver, and the databases of this machine."""

    city: DeliveredCity
    frame: pd.DataFrame

    @property
    def shapes(self) -> geopandas.GeoDataFrame:
        """The table with points instead of coordinates."""
        points = shapely.points(self.frame["X"], self.frame["Y"])
        return geopandas.GeoDataFrame(self.frame.drop(columns=["X", "Y"]), geometry=points, crs="EPSG:2154")

    def ingest(self, origin: str, *, coordinates: bool, moment: str = '"MOMENT"') -> pa.Table:
        """Ingest by a city file that says where the table is; the records without their delivery."""
        columns = {field: f'"{column}"' for field, column in FIELDS.items()}
        columns["started_at"] = moment
        if coordinates:
            columns |= {"x": '"X"', "y": '"Y"'}
        before, _, after = CITY_TOML.partition('deliveries = ["log*.csv"]\n')
        declared = [
            origin,
            "crs = 'EPSG:2154'" if coordinates else "",
            "[sources.columns]",
            *(f"{field} = {rule}" for field, rule in columns.items()),
        ]
        self.city.write_toml("\n".join([before, *declared, "", after[after.index("[sources.categories]") :]]))
        report = ingest(self.city.load(), self.city.home)
        assert report.figures["log.rows"] == ROWS
        assert reject_table(self.city.home, "log").read().num_rows == 0
        table = layer_table(self.city.home, "incidents").read().sort_by("record_id")
        return table.drop_columns([name for name in table.column_names if name in DELIVERY])

    def path(self, name: str) -> Path:
        return self.city.folder / name


def as_csv(given: Delivered) -> pa.Table:
    frame = given.frame.copy()
    frame["MOMENT"] = frame["MOMENT"].dt.strftime("%Y-%m-%d %H:%M:%S")
    frame.to_csv(given.path("table.csv"), sep=";", decimal=",", index=False, encoding="utf-8")
    return given.ingest('deliveries = ["table.csv"]', coordinates=True)


def as_latin_csv(given: Delivered) -> pa.Table:
    frame = given.frame.copy()
    frame["MOMENT"] = frame["MOMENT"].dt.strftime("%d/%m/%Y %H:%M:%S")
    frame.to_csv(given.path("table.csv"), sep="\t", index=False, encoding="cp1252", lineterminator="\r\n")
    rule = '{ column = "MOMENT", format = "%d/%m/%Y %H:%M:%S" }'
    return given.ingest('deliveries = ["table.csv"]', coordinates=True, moment=rule)


def as_xlsx(given: Delivered) -> pa.Table:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(list(given.frame.columns))
    for values in given.frame.astype(object).itertuples(index=False):
        sheet.append([None if pd.isna(value) else value for value in values])
    book.save(given.path("table.xlsx"))
    return given.ingest('deliveries = ["table.xlsx"]', coordinates=True)


def as_ods(given: Delivered) -> pa.Table:
    pyogrio.write_dataframe(given.frame, given.path("table.ods"), driver="ODS")
    return given.ingest('deliveries = ["table.ods"]', coordinates=True)


def as_geopackage(given: Delivered) -> pa.Table:
    shapes = given.shapes
    # a GeoPackage holds instants in UTC, and pyogrio takes times without zone for them
    shapes["MOMENT"] = shapes["MOMENT"].dt.tz_localize("Europe/Paris").dt.tz_convert("UTC").dt.tz_localize(None)
    pyogrio.write_dataframe(shapes, given.path("table.gpkg"))
    return given.ingest('deliveries = ["table.gpkg"]', coordinates=False)


def as_geoparquet(given: Delivered) -> pa.Table:
    given.shapes.to_parquet(given.path("table.parquet"))
    return given.ingest('deliveries = ["table.parquet"]', coordinates=False)


def as_database(given: Delivered, server: TestDatabase, types: str, monkeypatch: pytest.MonkeyPatch) -> pa.Table:
    """Insert the table in pieces, in no order; ``MOMENT`` as each database would hold it."""
    statements = [f"CREATE TABLE delivered ({types})"]
    for row in given.frame.sample(frac=1, random_state=1).itertuples(index=False):
        point = f"ST_GeomFromText('POINT({row.X} {row.Y})', 2154)"
        values = [row.NUM, row.CODE, row.MOMENT.isoformat(sep=" "), row.GRAVITE, row.RAYON, row.ADRESSE]
        statements.append(f"INSERT INTO delivered VALUES ({', '.join(map(_literal, values))}, {point})")
    server.run(*statements)
    monkeypatch.setenv("TABLE_URL", server.url)
    return given.ingest(
        'database = { url_env = "TABLE_URL", table = "delivered", chunk_rows = 100 }', coordinates=False
    )


def _literal(value: object) -> str:
    if pd.isna(value):
        return "NULL"
    return "'" + str(value).replace("'", "''") + "'"


FILES: dict[str, Callable[[Delivered], pa.Table]] = {
    "csv": as_csv,
    "latin csv": as_latin_csv,
    "xlsx": as_xlsx,
    "ods": as_ods,
    "gpkg": as_geopackage,
    "geoparquet": as_geoparquet,
}


@pytest.fixture
def given(tmp_path: Path) -> Delivered:
    return _at(tmp_path / "given")


def _at(place: Path) -> Delivered:
    city = DeliveredCity.at(place)
    (city.folder / "log.csv").unlink()
    return Delivered(city, the_table())


@pytest.fixture(scope="session")
def expected(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """Records from the plainest way in."""
    return as_csv(_at(tmp_path_factory.mktemp("expected")))


def assert_same(found: pa.Table, expected: pa.Table) -> None:
    assert found.schema.equals(expected.schema)
    different = [name for name in expected.column_names if not found.column(name).equals(expected.column(name))]
    assert different == []


def test_the_plainest_way_in_gives_what_the_table_says(expected: pa.Table):
    """Oracle: pandas' own clock and nothing else."""
    frame = the_table()
    assert expected.column("record_id").to_pylist() == frame["NUM"].tolist()
    assert expected.column("source_code").to_pylist() == frame["CODE"].tolist()
    instants = frame["MOMENT"].dt.tz_localize("Europe/Paris").dt.tz_convert("UTC")
    assert expected.column("started_at").to_pylist() == instants.tolist()
    assert expected.column("severity").to_pylist() == [None if pd.isna(v) else v for v in frame["GRAVITE"]]
    assert expected.column("precision_m").to_pylist() == frame["RAYON"].tolist()
    trimmed = [None if pd.isna(v) else v.strip() for v in frame["ADRESSE"]]
    assert expected.column("address").to_pylist() == trimmed
    assert np.abs(expected.column("x_m").to_numpy() - frame["X"].to_numpy()).max() < 1e-3
    assert np.abs(expected.column("y_m").to_numpy() - frame["Y"].to_numpy()).max() < 1e-3


@pytest.mark.parametrize("form", FILES)
def test_a_file_gives_the_same_records(form: str, given: Delivered, expected: pa.Table):
    assert_same(FILES[form](given), expected)


def test_postgis_gives_the_same_records(
    given: Delivered, expected: pa.Table, postgis: TestDatabase, monkeypatch: pytest.MonkeyPatch
):
    types = (
        '"NUM" char(5) PRIMARY KEY, "CODE" varchar, "MOMENT" timestamp, "GRAVITE" smallint, "RAYON" numeric(6,2), '
        '"ADRESSE" text, place geometry(Point, 2154)'
    )
    assert_same(as_database(given, postgis, types, monkeypatch), expected)


def test_postgis_with_instants_and_numbers_of_any_scale_gives_the_same_records(
    given: Delivered, expected: pa.Table, postgis: TestDatabase, monkeypatch: pytest.MonkeyPatch
):
    postgis = TestDatabase(
        postgis.kind, postgis.url.replace("-csearch_path", "-ctimezone%3DEurope%2FParis+-csearch_path")
    )
    types = (
        '"NUM" text, "CODE" varchar, "MOMENT" timestamptz, "GRAVITE" numeric, "RAYON" double precision, '
        '"ADRESSE" text, place geometry'
    )
    assert_same(as_database(given, postgis, types, monkeypatch), expected)


def test_mariadb_gives_the_same_records(
    given: Delivered, expected: pa.Table, mariadb: TestDatabase, monkeypatch: pytest.MonkeyPatch
):
    types = (
        "NUM char(5) PRIMARY KEY, CODE varchar(9), MOMENT datetime, GRAVITE tinyint, RAYON decimal(6,2), ADRESSE text, "
        "place point"
    )
    assert_same(as_database(given, mariadb, types, monkeypatch), expected)


def test_a_pull_that_is_repeated_changes_nothing(
    given: Delivered, postgis: TestDatabase, monkeypatch: pytest.MonkeyPatch
):
    types = (
        '"NUM" text, "CODE" varchar, "MOMENT" timestamp, "GRAVITE" integer, "RAYON" real, "ADRESSE" text, '
        "place geometry"
    )
    as_database(given, postgis, types, monkeypatch)
    home: Home = given.city.home
    before = layer_table(home, "incidents").latest().digest
    assert ingest(given.city.load(), home).skipped
    postgis.run("UPDATE delivered SET \"CODE\" = 'F1' WHERE \"NUM\" = '00000'")
    postgis.run("DELETE FROM delivered WHERE \"NUM\" = '00001'")
    figures = ingest(given.city.load(), home).figures
    assert figures["log.withdrawn"] == 1
    assert layer_table(home, "incidents").latest().digest != before
