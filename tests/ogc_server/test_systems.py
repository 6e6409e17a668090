"""Rectangles and coordinate systems."""

from __future__ import annotations

import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ogc_server.errors import OgcError
from ogc_server.systems import CRS84_URI, Box, boxes, chosen_system, systems_of

LAMBERT = "http://www.opengis.net/def/crs/EPSG/0/2154"
MERCATOR = "http://www.opengis.net/def/crs/EPSG/0/3857"
WGS84 = "http://www.opengis.net/def/crs/EPSG/0/4326"
SYSTEMS = systems_of("EPSG:2154")


def test_a_french_city_offers_four_systems():
    assert [s.uri for s in SYSTEMS] == [CRS84_URI, WGS84, MERCATOR, LAMBERT]


def test_a_city_whose_system_has_no_code_offers_three():
    assert len(systems_of("+proj=tmerc +lat_0=0 +lon_0=5 +units=m")) == 3


def test_a_system_with_northing_first_is_not_offered():
    # EPSG:2180 (Poland): official axes are northing, easting
    assert [s.uri for s in systems_of("EPSG:2180")] == [CRS84_URI, WGS84, MERCATOR]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"bbox": "5,43,6,44"}, Box((5, 43, 6, 44), metric=False)),
        ({"bbox": "43,5,44,6", "bbox-crs": WGS84}, Box((5, 43, 6, 44), metric=False)),
        ({"bbox": "5,43,-10,6,44,99"}, Box((5, 43, 6, 44), metric=False)),
        (
            {"bbox": "890000,6240000,900000,6250000", "bbox-crs": LAMBERT},
            Box((890000, 6240000, 900000, 6250000), metric=True),
        ),
        ({"bbox": "5,43,6,44", "bbox-crs": "[OGC:CRS84]"}, Box((5, 43, 6, 44), metric=False)),
    ],
)
def test_rectangles_in_their_own_axes(values, expected):
    assert boxes(values, SYSTEMS) == (expected,)


def test_a_rectangle_across_the_antimeridian_is_two():
    # RFC 7946, 5.2: Fiji
    assert [b.bounds for b in boxes({"bbox": "177,-20,-178,-16"}, SYSTEMS)] == [
        (177, -20, 180, -16),
        (-180, -20, -178, -16),
    ]


@given(st.floats(-170, 170), st.floats(-80, 80), st.floats(0.001, 5), st.floats(0.001, 4))
def test_mercator_rectangles_agree_with_proj(west, south, width, height):
    forward = pyproj.Transformer.from_crs("OGC:CRS84", "EPSG:3857", always_xy=True)
    corners = (*forward.transform(west, south), *forward.transform(west + width, south + height))
    (box,) = boxes({"bbox": ",".join(repr(c) for c in corners), "bbox-crs": MERCATOR}, SYSTEMS)
    assert box.bounds == pytest.approx((west, south, west + width, south + height), abs=1e-9)


@pytest.mark.parametrize(
    "values",
    [
        {"bbox": "1,2,3"},
        {"bbox": "1,2,3,4,5"},
        {"bbox": "1,2,3,x"},
        {"bbox": "5,44,6,43"},
        {"bbox": "nan,43,6,44"},
        {"bbox": "1,2,9,3,4,5"},
        {"bbox": ""},
        {"bbox": "6,43,5,44", "bbox-crs": LAMBERT},
        {"bbox": "5,43,6,44", "bbox-crs": "EPSG:2154"},
        {"bbox-crs": LAMBERT},
    ],
)
def test_what_is_no_rectangle_is_refused(values):
    with pytest.raises(OgcError) as caught:
        boxes(values, SYSTEMS)
    assert caught.value.status == 400


def test_an_unknown_system_is_refused_with_the_known_ones():
    with pytest.raises(OgcError, match="3857"):
        chosen_system({"crs": "http://www.opengis.net/def/crs/EPSG/0/27572"}, "crs", SYSTEMS)
