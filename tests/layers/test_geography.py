from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.errors import DeliveryError
from layers.geography import Geography, build_geography, thiessen_zones
from layers.locating import CRS84, transform_shapes, transformer
from support.delivered_city import CITY_TOML, ORIGIN_X_M, ORIGIN_Y_M, DeliveredCity

METRIC = "EPSG:2154"


@pytest.fixture
def geography(small_city: DeliveredCity) -> Geography:
    return build_geography(small_city.load(), {})


def to_degrees(x_m: np.ndarray, y_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return transformer(METRIC, CRS84).transform(x_m, y_m)


def test_blocks_and_districts(geography: Geography):
    blocks, districts = geography.zones["blocks"], geography.zones["districts"]
    assert blocks.keys.tolist() == ["A0", "A1", "B0", "B1"]
    assert blocks.parents.tolist() == ["A", "A", "B", "B"]
    assert districts.names.tolist() == ["Secteur A", "Secteur B"]
    table = blocks.table(METRIC)
    np.testing.assert_allclose(table.column("area_m2").to_numpy(), 1e6, rtol=1e-6)
    np.testing.assert_allclose(districts.table(METRIC).column("area_m2").to_numpy(), 2e6, rtol=1e-6)
    assert geography.land_table(METRIC).column("area_m2").to_pylist() == [pytest.approx(4e6, rel=1e-6)]
    assert {shapely.from_wkb(w).geom_type for w in table.column("geometry").to_pylist()} == {"MultiPolygon"}


def test_zones_of_points_agree_with_a_naive_search(geography: Geography):
    rng = np.random.default_rng(7)
    x = ORIGIN_X_M + rng.uniform(-300, 2300, 500)
    y = ORIGIN_Y_M + rng.uniform(-300, 2300, 500)
    lon, lat = to_degrees(x, y)
    lon[::50] = np.nan
    blocks = geography.zones["blocks"]

    def naive(a: float, b: float) -> str | None:
        point = shapely.Point(a, b)
        return next((k for k, s in zip(blocks.keys, blocks.shapes, strict=True) if s.intersects(point)), None)

    expected = [None if np.isnan(a) else naive(a, b) for a, b in zip(lon, lat, strict=True)]
    assert blocks.locate(lon, lat).tolist() == expected
    assert set(expected) == {None, "A0", "A1", "B0", "B1"}
    assert geography.on_land(lon, lat).tolist() == [e is not None for e in expected]


def test_a_point_on_a_border_is_in_the_zone_of_the_lowest_key(geography: Geography):
    corner = shapely.get_coordinates(geography.zones["blocks"].shapes)
    unique, counts = np.unique(corner, axis=0, return_counts=True)
    shared = unique[counts >= 4][:1]
    assert geography.zones["blocks"].locate(shared[:, 0], shared[:, 1]).tolist() == ["A0"]


def probes(n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(11)
    lon, lat = to_degrees(ORIGIN_X_M + rng.uniform(-300, 2300, n), ORIGIN_Y_M + rng.uniform(-300, 2300, n))
    lon[::40] = np.nan
    return lon, lat


def with_a_city_level(city: DeliveredCity) -> Geography:
    """Districts dissolve blocks, and the town dissolves districts."""

    def town(features: list) -> None:
        for feature in features:
            feature["properties"]["town"] = "T"

    change_blocks(city, town)
    whole = '[[zones]]\nid = "town"\ntitle = { fr = "Ville", en = "Town" }\n'
    whole += 'dissolve = { of = "districts", by = "town" }\n\n'
    city.write_toml(CITY_TOML.replace("[[zones]]", f"{whole}[[zones]]", 1))
    return build_geography(city.load(), {})


def test_levels_that_dissolve_another_follow_from_it_and_are_where_a_search_finds_them(small_city: DeliveredCity):
    geography = with_a_city_level(small_city)
    lon, lat = probes(600)
    found = geography.positions(lon, lat)
    assert list(found) == ["town", "districts", "blocks"]
    for level, zones in geography.zones.items():
        assert zones.keys_at(found[level]).equals(zones.keys_at(zones.positions(lon, lat)))
    # Also on a common border: the district of a point is that of its block.
    corners = shapely.get_coordinates(geography.zones["blocks"].shapes)
    on_borders = geography.positions(corners[:, 0].copy(), corners[:, 1].copy())
    blocks = geography.zones["blocks"]
    districts = geography.zones["districts"].keys_at(on_borders["districts"]).to_pylist()
    assert districts == blocks.parents[on_borders["blocks"]].tolist()


def test_upwards_from_a_zone_is_every_zone_that_holds_it(small_city: DeliveredCity):
    geography = with_a_city_level(small_city)
    found = geography.upwards("blocks", np.array([0, 3, -1]))
    keys = {level: geography.zones[level].keys_at(p).to_pylist() for level, p in found.items()}
    assert keys == {"blocks": ["A0", "B1", None], "districts": ["A", "B", None], "town": ["T", "T", None]}
    assert set(geography.upwards("districts", np.array([1]))) == {"districts", "town"}


def test_zones_are_named_by_key_or_by_a_name_that_one_zone_bears(small_city: DeliveredCity):
    def twins(features: list) -> None:
        features[3]["properties"]["label"] = "Îlot B0"

    change_blocks(small_city, twins)
    blocks = build_geography(small_city.load(), {}).zones["blocks"]
    names = pa.chunked_array([["A1", "ilot a1", "Îlot  A1"], ["îlot b0", "B0", None, "", "Z"]])
    assert blocks.positions_of(names).tolist() == [1, 1, 1, -1, 2, -1, -1, -1]


def test_land_that_is_a_level_is_told_by_the_positions_in_it(geography: Geography):
    lon, lat = probes(300)
    positions = geography.positions(lon, lat)
    assert geography.land_level == "blocks"
    on_land = geography.on_land(lon, lat, positions)
    assert on_land.tolist() == geography.on_land(lon, lat).tolist()
    assert 0 < on_land.sum() < 300


def test_a_zone_that_names_no_zone_above_it_is_part_of_none(small_city: DeliveredCity):
    change_blocks(small_city, lambda features: features[3]["properties"].update(district=None))
    geography = build_geography(small_city.load(), {})
    assert geography.zones["blocks"].parents.tolist() == ["A", "A", "B", None]
    middle = shapely.point_on_surface(geography.zones["blocks"].shapes)
    found = geography.positions(shapely.get_x(middle), shapely.get_y(middle))
    assert geography.zones["districts"].keys_at(found["districts"]).to_pylist() == ["A", "A", "B", None]


def thiessen_records(sites: list[tuple[float, float]], names: list[str]) -> pd.DataFrame:
    x, y = (np.array(c, dtype=float) for c in zip(*sites, strict=True))
    return pd.DataFrame({"x_m": ORIGIN_X_M + x, "y_m": ORIGIN_Y_M + y, "extra:name": np.array(names, dtype=object)})


@settings(max_examples=30)
@given(
    sites=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 2000)), min_size=2, max_size=25, unique=True),
    data=st.data(),
)
def test_thiessen_zones_hold_what_is_nearest(sites: list[tuple[int, int]], data: st.DataObject):
    names = data.draw(st.lists(st.sampled_from(["Un", "Deux", "Trois"]), min_size=len(sites), max_size=len(sites)))
    square = shapely.box(ORIGIN_X_M, ORIGIN_Y_M, ORIGIN_X_M + 2000, ORIGIN_Y_M + 2000)
    land = shapely.multipolygons([transform_shapes(np.array([square], dtype=object), METRIC, CRS84)[0]])
    zones = thiessen_zones("t", thiessen_records(sites, names), "extra:name", land=land, metric_crs=METRIC)
    metric = transform_shapes(zones.shapes, CRS84, METRIC)
    assert shapely.area(metric).sum() == pytest.approx(4e6, rel=1e-9)
    rng = np.random.default_rng(3)
    probes = rng.uniform(0, 2000, (40, 2))
    distances = np.hypot(*(probes[:, None, :] - np.array(sites)[None, :, :]).transpose(2, 0, 1))
    ordered = np.sort(distances, axis=1)
    clear = ordered[:, 1] - ordered[:, 0] > 1e-3
    nearest = [names[i].lower() for i in distances.argmin(axis=1)]
    lon, lat = to_degrees(ORIGIN_X_M + probes[:, 0], ORIGIN_Y_M + probes[:, 1])
    found = zones.locate(lon, lat)
    assert [f for f, c in zip(found, clear, strict=True) if c] == [n for n, c in zip(nearest, clear, strict=True) if c]


def test_the_most_frequent_name_of_a_position_counts():
    sites = [(100.0, 100.0)] * 3 + [(1900.0, 100.0)] * 2
    names = ["Un", "Deux", "Deux", "Un", "Deux"]
    square = shapely.box(ORIGIN_X_M, ORIGIN_Y_M, ORIGIN_X_M + 2000, ORIGIN_Y_M + 2000)
    land = shapely.multipolygons([transform_shapes(np.array([square], dtype=object), METRIC, CRS84)[0]])
    zones = thiessen_zones("t", thiessen_records(sites, names), "extra:name", land=land, metric_crs=METRIC)
    assert zones.names.tolist() == ["Deux"]  # 2 to 1 at the first, alphabetical at the second


def change_blocks(city: DeliveredCity, change) -> None:
    path = city.folder / "blocks.geojson"
    document = json.loads(path.read_text())
    change(document["features"])
    path.write_text(json.dumps(document))


def test_invalid_polygons_are_repaired_and_counted(small_city: DeliveredCity):
    def bow_tie(features: list) -> None:
        ring = features[0]["geometry"]["coordinates"][0]
        ring[1], ring[2] = ring[2], ring[1]

    change_blocks(small_city, bow_tie)
    blocks = build_geography(small_city.load(), {}).zones["blocks"]
    assert blocks.repaired == 1
    assert shapely.is_valid(blocks.shapes).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f[1]["properties"].update(code="A0"), "the key 'A0' is there 2 times"),
        (lambda f: f[1]["properties"].update(code=None), "no key in row 2"),
        (lambda f: f[2].update(geometry=None), "it lacks in row 3"),
        (lambda f: [x["properties"].pop("label") for x in f], "has no column 'label'"),
        (lambda f: [x["properties"].pop("district") for x in f], "'blocks' has no column 'district'"),
    ],
)
def test_zones_that_are_none_are_refused_by_name(small_city: DeliveredCity, change, message: str):
    change_blocks(small_city, change)
    with pytest.raises(DeliveryError, match=message):
        build_geography(small_city.load(), {})
