from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from layers.fields import GEOMETRY_KINDS
from layers.issues import Issues
from layers.locating import POINTS, Places, places_of_points, places_of_shapes

METRIC = "EPSG:2154"


def place(x: list[float], y: list[float], crs: str = "EPSG:4326") -> tuple[Places, list[str]]:
    issues = Issues(len(x))
    places = places_of_points(
        np.array(x), np.array(y), crs=crs, metric_crs=METRIC, bad=np.zeros(len(x), dtype=bool), issues=issues
    )
    return places, issues.frame()["reason"].tolist()


def test_lambert93_of_schools_is_their_longitude_and_latitude(shared_data: Path):
    """The open directory of schools gives both (annuaire de l'éducation, 745 schools)."""
    file = shared_data / "marseille" / "sites" / "annuaire_education_maternelles_academie_2020.csv"
    with file.open(encoding="utf-8", newline="") as lines:
        schools = [r for r in csv.DictReader(lines) if r["coordx_origine"] and r["longitude"]]
    x, y, lon, lat = (
        np.array([float(s[c]) for s in schools]) for c in ("coordx_origine", "coordy_origine", "longitude", "latitude")
    )
    issues = Issues(len(x))
    bad = np.zeros(len(x), dtype=bool)
    places = places_of_points(x, y, crs="EPSG:2154", metric_crs=METRIC, bad=bad, issues=issues)
    assert len(schools) > 700
    np.testing.assert_allclose(places.lon, lon, atol=1e-7)
    np.testing.assert_allclose(places.lat, lat, atol=1e-7)
    assert not issues.rejected.any()


@given(st.lists(st.tuples(st.floats(-9, 10), st.floats(41.5, 51)), min_size=1, max_size=20))
def test_there_and_back_is_less_than_a_millimetre(points: list[tuple[float, float]]):
    lon, lat = (list(c) for c in zip(*points, strict=True))
    first, _ = place(lon, lat)
    back, reasons = place(first.x_m.tolist(), first.y_m.tolist(), crs=METRIC)
    assert reasons == []
    assert np.hypot(back.x_m - first.x_m, back.y_m - first.y_m).max() < 1e-3
    assert np.abs(back.lon - np.array(lon)).max() < 1e-8


@pytest.mark.parametrize(
    ("x", "y", "crs", "reason"),
    [
        (43.296, 5.381, "EPSG:4326", "swapped_axes"),
        (6_246_000, 893_000, "EPSG:2154", "swapped_axes"),
        (0.0, 0.0, "EPSG:4326", "zero_coordinates"),
        (0.0, 0.0, "EPSG:2154", "zero_coordinates"),
        (5.38, float("nan"), "EPSG:4326", "incomplete_coordinates"),
        (543.1, 95.2, "EPSG:4326", "outside_crs_area"),
        (-61.5, 16.2, "EPSG:4326", "outside_crs_area"),
        (5.38, 43.29, "EPSG:2154", "outside_crs_area"),
        (893_000, 6_246_000, "EPSG:4326", "outside_crs_area"),
    ],
)
def test_impossible_places(x: float, y: float, crs: str, reason: str):
    places, reasons = place(
        [x, 5.38 if crs == "EPSG:4326" else 893_000], [y, 43.29 if crs == "EPSG:4326" else 6_246_000], crs
    )
    assert reasons == [reason]
    assert np.isnan(places.lon[0])
    assert not np.isnan(places.lon[1])


def test_without_coordinates_there_is_no_fault():
    places, reasons = place([float("nan")], [float("nan")])
    assert reasons == []
    assert np.isnan([places.lon, places.lat, places.x_m, places.y_m]).all()


def shapes(*texts: str | None) -> pa.Array:
    return pa.array([None if t is None else shapely.to_wkb(shapely.from_wkt(t)) for t in texts], pa.binary())


def place_shapes(wkb: pa.Array, kinds: frozenset[str] = POINTS) -> tuple[Places, Issues]:
    issues = Issues(len(wkb))
    return places_of_shapes(wkb, crs="EPSG:4326", metric_crs=METRIC, kinds=kinds, issues=issues), issues


def test_points_in_all_their_dresses():
    wkb = shapes("POINT (5.4 43.3)", "MULTIPOINT ((5.4 43.3))", "POINT Z (5.4 43.3 12)", "POINT EMPTY", None)
    places, issues = place_shapes(wkb)
    np.testing.assert_array_equal(places.lon, [5.4, 5.4, 5.4, np.nan, np.nan])
    assert not issues.rejected.any()


def test_what_is_no_point_is_refused_where_a_point_is_meant():
    wkb = shapes("LINESTRING (5 43, 6 44)", "MULTIPOINT ((5 43), (6 44))", "POLYGON ((5 43, 6 43, 6 44, 5 43))")
    _, issues = place_shapes(wkb)
    assert issues.frame()["reason"].tolist() == ["not_a_point"] * 3


@pytest.mark.parametrize("layer", GEOMETRY_KINDS)
def test_a_layer_takes_its_kinds_of_geometry_and_no_other(layer: str):
    drawn = {
        "Point": "POINT (5 43)",
        "LineString": "LINESTRING (5 43, 5.1 43)",
        "MultiLineString": "MULTILINESTRING ((5 43, 5.1 43), (5.2 43, 5.3 43))",
        "Polygon": "POLYGON ((5 43, 5.2 43, 5.2 43.1, 5 43))",
        "MultiPolygon": "MULTIPOLYGON (((5 43, 5.2 43, 5.2 43.1, 5 43)))",
        "GeometryCollection": "GEOMETRYCOLLECTION (POINT (5 43))",
    }
    places, issues = place_shapes(shapes(*drawn.values()), GEOMETRY_KINDS[layer])
    taken = [name in GEOMETRY_KINDS[layer] for name in drawn]
    assert (~issues.rejected).tolist() == taken
    assert (~np.isnan(places.lon)).tolist() == taken
    shaped = [name in GEOMETRY_KINDS[layer] and name != "Point" for name in drawn]
    assert [shape is not None for shape in places.shapes] == shaped


def test_polygons_keep_their_shape_and_have_a_point_inside():
    ring = "POLYGON ((5 43, 5.2 43, 5.2 43.05, 5.05 43.05, 5.05 43.2, 5 43.2, 5 43))"
    bow_tie = "POLYGON ((5 43, 5.1 43.1, 5.1 43, 5 43.1, 5 43))"
    places, issues = place_shapes(shapes(ring, bow_tie, "POINT (5 43)"), GEOMETRY_KINDS["events"])
    assert shapely.equals(places.shapes[0], shapely.from_wkt(ring))
    assert shapely.contains_xy(places.shapes[0], places.lon[0], places.lat[0])
    assert issues.frame()[["position", "reason"]].to_numpy().tolist() == [[1, "invalid_geometry"]]
    assert places.shapes[2] is None


def test_bytes_that_are_no_geometry_are_refused():
    _, issues = place_shapes(pa.array([b"no geometry", None], pa.binary()))
    assert issues.frame()["reason"].tolist() == ["invalid_geometry"]


def test_the_point_of_a_line_is_halfway_along_its_longest_part():
    bent = "LINESTRING (5 43, 5.2 43, 5.2 43.1)"
    parts = "MULTILINESTRING ((6 44, 6 44.1), (5.1 43, 5 43), (5.1 43, 5.4 43))"
    places, issues = place_shapes(shapes(bent, None, parts), GEOMETRY_KINDS["streets"])
    np.testing.assert_allclose(places.lon, [5.15, np.nan, 5.2], atol=1e-9)
    np.testing.assert_allclose(places.lat, [43.0, np.nan, 43.0], atol=1e-9)
    assert not issues.rejected.any()


@pytest.mark.parametrize(
    ("text", "faulty"),
    [
        ("LINESTRING (5 43, 5 43)", True),
        ("LINESTRING EMPTY", False),  # not located
        ("MULTILINESTRING ((5 43, 5 43), (5.1 43, 5.2 43))", False),
        ("MULTILINESTRING ((5 43, 5 43), (6 44, 6 44))", True),
    ],
)
def test_a_line_without_length_is_refused_and_its_neighbours_are_not(text: str, *, faulty: bool):
    places, issues = place_shapes(shapes(text, "LINESTRING (5 43, 5.1 43)"), GEOMETRY_KINDS["streets"])
    assert issues.frame()[["position", "reason"]].to_numpy().tolist() == [[0, "invalid_geometry"]] * faulty
    assert places.lon[1] == pytest.approx(5.05)


def test_coordinates_that_are_no_numbers_are_no_place():
    broken = shapely.from_wkt(["LINESTRING (5 43, 5.1 43)", "POINT (5 43)"])
    broken = shapely.set_coordinates(broken, [[5, 43], [np.nan, 43], [np.nan, np.nan]])
    places, issues = place_shapes(pa.array(shapely.to_wkb(broken), pa.binary()), GEOMETRY_KINDS["streets"])
    assert np.isnan(places.lon).all()
    assert [r for _, r in issues.frame()[["position", "reason"]].to_numpy()][:1] == ["invalid_geometry"]
