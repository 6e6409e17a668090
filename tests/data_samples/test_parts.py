"""The generator's parts against independent ones: clock, visibility, town, formats."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import zipfile
from contextlib import closing
from zoneinfo import ZoneInfo

import geopandas as gpd
import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from data_samples.marseille.generator import formats
from data_samples.marseille.generator import parameters as p
from data_samples.marseille.generator.randomness import Streams, pick
from data_samples.marseille.generator.timeline import AUTUMN_NIGHTS, SPRING_NIGHTS, school_days, utc_offset_hours
from data_samples.marseille.generator.visibility import sector, visible_polygon

PARIS = ZoneInfo("Europe/Paris")


# Clock ---------------------------------------------------------------------------------------------------------------
@given(day=st.integers(0, p.DAYS - 1), hour=st.integers(0, 23), fold=st.booleans())
@settings(max_examples=400, deadline=None)
def test_offsets_equal_zoneinfo(day, hour, fold):
    """Oracle: zoneinfo with PEP 495's fold; fold 1 is asked only where the hour happens twice."""
    date = p.START + dt.timedelta(days=day)
    twice = date in AUTUMN_NIGHTS and hour == 2
    local = dt.datetime.combine(date, dt.time(hour), tzinfo=PARIS).replace(fold=int(fold and twice))
    offset = utc_offset_hours(np.array([day]), np.array([hour]), second_pass=np.array([fold and twice]))
    assert dt.timedelta(hours=int(offset[0])) == local.utcoffset()


def test_clock_change_nights_equal_zoneinfo():
    changes = {True: [], False: []}
    for day in range(p.DAYS):
        date = p.START + dt.timedelta(days=day)
        noon, before = (
            dt.datetime.combine(d, dt.time(12), tzinfo=PARIS).utcoffset() for d in (date, date - dt.timedelta(1))
        )
        if noon != before:
            changes[noon > before].append(date)
    assert tuple(changes[True]) == SPRING_NIGHTS
    assert tuple(changes[False]) == AUTUMN_NIGHTS


def test_school_days_are_plausible():
    per_year = [int(school_days()[a : a + 365].sum()) for a in (0, 365, 731)]
    assert all(165 <= n <= 185 for n in per_year)
    assert not school_days()[(dt.date(2024, 7, 20) - p.START).days]
    assert school_days()[(dt.date(2024, 9, 10) - p.START).days]


# Visibility ----------------------------------------------------------------------------------------------------------
def test_a_wall_hides_its_shadow():
    """Known answer: a wall at 10 m that spans 90° leaves three quarters of a disc and a triangle of 100 m²."""
    view = sector(0, 0, range_m=100, direction_deg=0, field_of_view_deg=360)
    wall = shapely.Polygon([(-10, 10), (10, 10), (10, 11), (-10, 11)])
    seen = visible_polygon(view, 0, 0, np.array([wall]))
    assert seen.area == pytest.approx(0.75 * view.area + 100, rel=1e-3)
    assert seen.covers(shapely.Point(0, 9.9))
    assert not seen.covers(shapely.Point(0, 12))
    assert not seen.covers(shapely.Point(0, 99))


def test_sector_looks_clockwise_from_north():
    east = sector(0, 0, range_m=50, direction_deg=90, field_of_view_deg=60)
    assert east.covers(shapely.Point(49, 0))
    assert not east.covers(shapely.Point(0, 10))
    assert east.area == pytest.approx(np.pi * 50**2 / 6, rel=2e-3)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_visibility_equals_rays(seed):
    """Property: a point is seen exactly when the segment to it meets no building."""
    rng = np.random.default_rng(seed)
    boxes = []
    for _ in range(6):
        x, y = rng.uniform(-80, 80, 2)
        width, depth, angle = rng.uniform(5, 30), rng.uniform(5, 30), rng.uniform(0, np.pi)
        corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * [width / 2, depth / 2]
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        boxes.append(shapely.Polygon(corners @ turn.T + [x, y]))
    boxes = np.array([b for b in boxes if b.distance(shapely.Point(0, 0)) > 1])
    view = sector(0, 0, range_m=90, direction_deg=30, field_of_view_deg=200)
    seen = visible_polygon(view, 0, 0, boxes)
    targets = shapely.points(rng.uniform(-90, 90, (80, 2)))
    clear = shapely.distance(targets, shapely.boundary(seen)) > 0.01
    for target in targets[clear & shapely.contains(view, targets)]:
        free = not shapely.intersects(boxes, shapely.LineString([(0, 0), target.coords[0]])).any()
        assert seen.contains(target) == free


# Town ----------------------------------------------------------------------------------------------------------------
def test_streets_buildings_and_poles_stand_on_land_and_apart(sample, land):
    streets = gpd.read_file(sample / "reference" / "voies.gpkg")
    buildings = gpd.read_file(sample / "reference" / "batiments.gpkg")
    poles = gpd.read_file(sample / "reference" / "mobilier.gpkg")
    for frame in (streets, buildings, poles):
        assert frame.crs.to_epsg() == 2154
        assert shapely.contains(land, frame.geometry.to_numpy()).all()
    assert streets["nom"].is_unique
    assert streets.is_valid.all()
    assert buildings.is_valid.all()
    assert (buildings["logements"] >= 2).all()
    tree = shapely.STRtree(buildings.geometry.to_numpy())
    assert not len(tree.query(streets.geometry.to_numpy(), predicate="crosses")[0])
    assert not len(tree.query(poles.geometry.to_numpy(), predicate="within")[0])


def test_the_centre_is_denser(sample, quartiers):
    buildings = gpd.read_file(sample / "reference" / "batiments.gpkg")
    area_km2 = quartiers.set_index("key").area / 1e6
    per_km2 = buildings.groupby("quartier").size().reindex(area_km2.index, fill_value=0) / area_km2
    arrondissement = per_km2.index.str[3:5].astype(int)
    assert per_km2[arrondissement <= 6].median() > 1.5 * per_km2[arrondissement >= 11].median()
    wild = ["13209-sormiou", "13209-carpiagne", "13207-les-iles"]
    assert per_km2[wild].max() < 0.1 * per_km2.median()


# Randomness ----------------------------------------------------------------------------------------------------------
def test_streams_depend_on_seed_and_subject_only():
    one = Streams(1).of("a").random(3)
    assert (one == Streams(1).of("a").random(3)).all()
    assert (one != Streams(1).of("b").random(3)).all()
    assert (one != Streams(2).of("a").random(3)).all()


@given(
    weights=st.lists(st.floats(0, 10), min_size=1, max_size=8).filter(lambda w: sum(w) > 0.1), seed=st.integers(0, 99)
)
@settings(deadline=None, max_examples=100)
def test_pick_never_takes_a_zero_weight(weights, seed):
    chosen = pick(np.random.default_rng(seed), np.array(weights), 50)
    assert all(weights[i] > 0 for i in chosen)


# Formats -------------------------------------------------------------------------------------------------------------
CELL = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Co", "Cn")), max_size=12).map(str.strip)


@given(rows=st.lists(st.tuples(CELL, st.integers(-(10**9), 10**9), st.floats(-1e6, 1e6)), max_size=6))
@settings(deadline=None, max_examples=50)
def test_xlsx_reads_back(tmp_path_factory, rows):
    """Oracle: openpyxl reads what was written."""
    path = tmp_path_factory.mktemp("xlsx") / "a.xlsx"
    formats.write_xlsx(path, "Feuille & <1>", ("texte", "entier", "réel"), rows)
    with closing(openpyxl.load_workbook(path, read_only=True)) as book:
        read = list(book["Feuille & <1>"].iter_rows(values_only=True))
    assert read[0] == ("texte", "entier", "réel")
    assert len(read) == len(rows) + 1
    for got, (text, whole, real) in zip(read[1:], rows, strict=True):
        assert (got[0] or "") == text
        assert got[1:] == (whole, pytest.approx(real, abs=1e-9))


def test_xlsx_entries_are_stored_with_a_fixed_date(tmp_path):
    formats.write_xlsx(tmp_path / "a.xlsx", "s", ("a",), [("x",)])
    for entry in zipfile.ZipFile(tmp_path / "a.xlsx").infolist():
        assert (entry.compress_type, entry.date_time) == (zipfile.ZIP_STORED, formats.ZIP_DATE)


@given(rows=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=6))
@settings(deadline=None, max_examples=50)
def test_csv_reads_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    formats.write_csv(path, ("a", "b"), rows, encoding="utf-8", delimiter=";")
    read = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline=""), delimiter=";"))
    assert [tuple(r) for r in read] == [("a", "b"), *rows]


def test_gpkg_and_geoparquet_declare_their_crs(tmp_path):
    table = pa.table({"id": [1, 2]})
    points = shapely.points([[900000.0, 6250000.0], [900001.0, 6250001.0]])
    for name in ("one", "two"):
        formats.write_gpkg(tmp_path / f"{name}.gpkg", "places", table, points, geometry_type="Point", crs="EPSG:2154")
    assert (tmp_path / "one.gpkg").read_bytes() == (tmp_path / "two.gpkg").read_bytes()
    assert gpd.read_file(tmp_path / "one.gpkg", layer="places").crs.to_epsg() == 2154
    wkb = table.append_column("geometry", pa.array(shapely.to_wkb(points).tolist()))
    formats.write_parquet(tmp_path / "a.parquet", wkb, geometry="geometry", crs="EPSG:2154")
    assert gpd.read_parquet(tmp_path / "a.parquet").crs.to_epsg() == 2154
    assert json.loads(pq.read_schema(tmp_path / "a.parquet").metadata[b"geo"])["version"] == "1.1.0"


def test_local_clock_patterns():
    minutes = np.array([0, 90, -1])
    assert formats.local_clock(minutes, "2023-01-01", "DD/MM/YYYY hh:mm") == [
        "01/01/2023 00:00",
        "01/01/2023 01:30",
        "",
    ]
