"""Where "on that street" is, and how far off it can be."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pyarrow as pa
import pyproj
import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st
from shapely import LineString, MultiLineString, Point

from layers.gazetteer import Gazetteer, Outcome
from layers.gazetteer.streets import POINT_PRECISION_M, halfway
from support.streets_layer import METRIC_CRS, ORIGIN_M, streets_table

COORDINATES = st.tuples(st.integers(0, 3000), st.integers(0, 3000))


def located(names: list[str], shapes: list[shapely.Geometry], address: str, **table):
    return Gazetteer.of_streets(streets_table(names, shapes, **table), METRIC_CRS).locate(pa.array([address]))


def place_m(found) -> tuple[float, float]:
    return found.x_m[0] - ORIGIN_M[0], found.y_m[0] - ORIGIN_M[1]


def test_the_position_is_halfway_and_reaches_both_ends():
    found = located(["Rue Droite"], [LineString([(0, 0), (100, 0), (301, 0)])], "3 rue Droite")
    assert place_m(found) == pytest.approx((150.5, 0), abs=0.01)
    assert found.precision_m[0] == 151


def test_precision_is_never_better_than_ten_metres():
    assert located(["Rue Courte"], [LineString([(0, 0), (4, 0)])], "rue Courte").precision_m[0] == 10


@given(st.lists(COORDINATES, min_size=2, max_size=8, unique=True))
def test_halfway_is_half_the_length_along_by_shapely_and_by_hand(corners: list[tuple[int, int]]):
    line = LineString(corners)
    assume(not line.is_closed)
    spot = halfway(line)
    assert shapely.line_locate_point(line, Point(spot.x_m, spot.y_m)) >= 0
    assert Point(spot.x_m, spot.y_m).distance(line) < 1e-6
    walked, half = 0.0, sum(map(math.dist, corners, corners[1:])) / 2
    for start, end in itertools.pairwise(corners):
        step = math.dist(start, end)
        if walked + step >= half:
            share = (half - walked) / step
            break
        walked += step
    by_hand = [a + share * (b - a) for a, b in zip(start, end, strict=True)]
    assert (spot.x_m, spot.y_m) == pytest.approx(by_hand, abs=1e-6)


@given(st.lists(COORDINATES, min_size=2, max_size=8, unique=True), st.floats(0, 1))
def test_no_place_on_a_street_is_farther_than_its_precision(corners: list[tuple[int, int]], share: float):
    for shape in (LineString(corners), MultiLineString([corners, [(5000, 5000), (5100, 5000)]])):
        spot = halfway(shape)
        somewhere = shape.interpolate(share, normalized=True)
        assert math.dist((spot.x_m, spot.y_m), (somewhere.x, somewhere.y)) <= spot.precision_m + 1e-6


def test_segments_in_any_order_and_direction_are_one_street():
    parts = [LineString([(100, 0), (0, 0)]), LineString([(200, 0), (301, 0)]), LineString([(100, 0), (200, 0)])]
    found = located(["Rue Droite"] * 3, parts, "rue Droite", ids=["c", "a", "b"])
    assert place_m(found) == pytest.approx((150.5, 0), abs=0.01)
    assert (found.street[0], found.precision_m[0]) == ("a", 151)


def test_two_carriageways_are_one_street_with_a_position_in_its_middle():
    lanes = [LineString([(0, 0), (1000, 0)]), LineString([(1000, 20), (0, 20)])]
    found = located(["Avenue Large"] * 2, lanes, "avenue Large")
    assert place_m(found)[0] == pytest.approx(500, abs=1)
    assert 500 <= found.precision_m[0] <= 502


def test_a_square_drawn_as_a_ring_is_placed_on_its_ring():
    ring = LineString([(0, 0), (80, 0), (80, 60), (0, 60), (0, 0)])
    spot = halfway(ring)
    assert Point(spot.x_m, spot.y_m).distance(ring) < 1e-6
    assert spot.precision_m <= 100


def test_a_street_given_as_a_point_says_that_its_length_is_not_known():
    found = located(["Rue Lointaine"], [Point(40, 50)], "rue Lointaine")
    assert place_m(found) == pytest.approx((40, 50), abs=0.01)
    assert found.precision_m[0] == POINT_PRECISION_M + 10


ACROSS = [LineString([(0, 0), (900, 0)]), LineString([(300, -500), (300, 700)]), LineString([(0, 5000), (900, 5000)])]
NAMES = ["Rue Paradis", "Boulevard Vauban", "Rue Lointaine"]


@pytest.mark.parametrize(
    "address",
    [
        "angle rue Paradis / boulevard Vauban",
        "Angle rue Paradis et bd Vauban",
        "à l'angle de la rue Paradis et du boulevard Vauban",
        "rue Paradis x boulevard Vauban",
        "RUE PARADIS / BD VAUBAN 13006 MARSEILLE",
        "rue Paradis & bd Vauban",
        "croisement rue Paradis, boulevard Vauban",
        "au coin de la rue Paradis et du boulevard Vauban",
    ],
)
def test_a_crossing_is_where_the_streets_meet(address: str):
    found = located(NAMES, ACROSS, address)
    assert place_m(found) == pytest.approx((300, 0), abs=0.01)
    assert (found.street[0], found.precision_m[0]) == ("0", 10)


def test_rues_in_the_plural_stands_for_both():
    found = located(["Rue Paradis", "Rue Vauban"], ACROSS[:2], "Angle des rues Paradis et Vauban")
    assert place_m(found) == pytest.approx((300, 0), abs=0.01)


def test_streets_that_end_short_of_one_another_still_meet():
    shapes = [LineString([(0, 0), (290, 0)]), ACROSS[1]]
    found = located(NAMES[:2], shapes, "angle rue Paradis / boulevard Vauban")
    assert place_m(found) == pytest.approx((295, 0), abs=0.01)


def test_streets_that_meet_twice_give_a_precision_that_covers_both():
    bow = LineString([(100, 0), (100, 400), (500, 400), (500, 0)])
    found = located(["Rue Paradis", "Rue du Tour"], [ACROSS[0], bow], "rue Paradis / rue du Tour")
    assert place_m(found) == pytest.approx((300, 0), abs=0.01)
    assert found.precision_m[0] == 200


def test_streets_that_do_not_meet_are_not_a_crossing():
    found = located(NAMES, ACROSS, "angle rue Paradis / rue Lointaine")
    assert (found.outcome[0], found.street[0]) == (Outcome.AMBIGUOUS, None)


def test_the_street_with_the_house_number_is_the_address():
    found = located(NAMES, ACROSS, "12 rue Lointaine / boulevard Vauban")
    assert found.street[0] == "2"


def test_a_crossing_with_an_unknown_street_is_somewhere_on_the_known_one():
    found = located(NAMES, ACROSS, "angle rue Paradis / avenue Imaginaire")
    assert (found.street[0], found.precision_m[0]) == ("0", 450)


def test_degrees_and_metres_are_one_place_and_rounded():
    found = located(NAMES, ACROSS, "rue Paradis")
    move = pyproj.Transformer.from_crs("OGC:CRS84", METRIC_CRS, always_xy=True)
    assert np.round(move.transform(found.lon[0], found.lat[0]), 4).tolist() == [found.x_m[0], found.y_m[0]]
    assert found.lon[0] == round(found.lon[0], 9)
    assert found.lat[0] == round(found.lat[0], 9)
