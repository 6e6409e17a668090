"""Coverages and map tiles against rasterio, and against the style's own colour table."""

from __future__ import annotations

import io
import json

import numpy as np
import pyproj
import pytest
import rasterio
from rasterio.io import MemoryFile

COVERAGE = "/collections/risk_density/coverage"
LAMBERT = "http://www.opengis.net/def/crs/EPSG/0/2154"
TILES = "/collections/risk_density/map/tiles/WebMercatorQuad"


@pytest.fixture(scope="module")
def published(synthetic_run):
    return synthetic_run.path(synthetic_run.manifest.product("risk_density").forms["exact"])


@pytest.fixture(scope="module")
def colours(synthetic_run):
    (found,) = [
        e for e in synthetic_run.manifest.styles.values() if e["family"] == "risk_density" and e["theme"] == "vols"
    ]
    return json.loads((synthetic_run.folder / "styles" / found["colours"]["json"]).read_text(encoding="utf-8"))[
        "classes"
    ]


def opened(answer):
    assert answer.status_code == 200, answer.text
    return MemoryFile(answer.content).open()


def test_the_whole_coverage_is_the_published_file(embedded, published):
    answer = embedded.get(COVERAGE)
    assert answer.content == published.read_bytes()
    assert answer.headers["content-disposition"] == 'attachment; filename="risk_density.tif"'


@pytest.mark.parametrize(
    ("bounds", "columns", "rows"),
    [
        ((890_000, 6_245_000, 894_000, 6_248_000), slice(0, 40), slice(0, 30)),
        ((890_500, 6_247_000, 891_000, 6_247_300), slice(5, 10), slice(7, 10)),
        ((890_510, 6_247_010, 890_520, 6_247_020), slice(5, 6), slice(9, 10)),
        ((0, 0, 890_150, 9_000_000), slice(0, 2), slice(0, 30)),
    ],
)
def test_a_window_holds_the_pixels_that_the_rectangle_touches(embedded, published, bounds, columns, rows):
    with rasterio.open(published) as source:
        expected, transform = source.read(), source.transform
    text = ",".join(map(str, bounds))
    with opened(embedded.get(COVERAGE, params={"bbox": text, "bbox-crs": LAMBERT})) as window:
        np.testing.assert_array_equal(window.read(), expected[:, rows, columns])
        assert window.transform.c == transform.c + columns.start * 100
        assert window.transform.f == transform.f - rows.start * 100
        assert window.descriptions == ("all", "vols")
        assert window.crs.to_epsg() == 2154


def test_a_rectangle_in_degrees_holds_every_pixel_inside_it(embedded, published):
    west, south, east, north = 5.362, 43.285, 5.375, 43.295
    with opened(
        embedded.get(COVERAGE, params={"bbox": f"{west},{south},{east},{north}", "properties": "vols"})
    ) as window:
        assert window.count == 1
        left, bottom, right, top = window.bounds
    to_degrees = pyproj.Transformer.from_crs("EPSG:2154", "OGC:CRS84", always_xy=True)
    with rasterio.open(published) as source:
        for row in range(source.height):
            for column in range(source.width):
                x, y = source.xy(row, column)
                lon, lat = to_degrees.transform(x, y)
                if west <= lon <= east and south <= lat <= north:
                    assert left <= x <= right
                    assert bottom <= y <= top


def test_coverage_json_has_the_values_null_at_sea(embedded, published):
    document = embedded.get(COVERAGE, params={"f": "json", "properties": "all"}).json()
    with rasterio.open(published) as source:
        expected = source.read(1)
        first = source.xy(0, 0)
    values = np.array(document["ranges"]["all"]["values"], dtype=float).reshape(document["ranges"]["all"]["shape"])
    np.testing.assert_allclose(values, expected, rtol=1e-6, atol=1e-6, equal_nan=True)
    axes = document["domain"]["axes"]
    assert (axes["x"]["start"], axes["y"]["start"]) == first
    assert document["domain"]["referencing"][0]["system"]["id"] == LAMBERT
    assert None in document["ranges"]["all"]["values"]


def test_a_rectangle_elsewhere_has_no_pixels_and_a_large_one_is_refused_with_the_limit(embedded, synthetic_home):
    from starlette.testclient import TestClient

    from ogc_server.app import create_app
    from ogc_server.settings import Settings

    assert embedded.get(COVERAGE, params={"bbox": "-80,43,-79,44"}).status_code == 204
    settings = Settings(home=synthetic_home.root, max_coverage_pixels=1000)
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as client:
        refused = client.get(COVERAGE, params={"bbox": "5,43,6,44"})
        assert refused.status_code == 400
        assert "1000" in refused.json()["description"]


# a PNG has no coordinates of its own
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_map_tiles_show_the_colour_of_each_pixels_class(embedded, published, colours):
    """The colour at a pixel's centre is that of the class of the raster's value there; the sea is transparent."""
    zoom, size = 15, 256
    to_mercator = pyproj.Transformer.from_crs("EPSG:2154", "EPSG:3857", always_xy=True)
    half, span = 20_037_508.342789244, 2 * 20_037_508.342789244 / (1 << zoom)
    tiles, checked, drawn = {}, 0, set()
    with rasterio.open(published) as source:
        values = source.read(2)
        for row in range(0, source.height, 3):
            for column in range(0, source.width, 3):
                x, y = to_mercator.transform(*source.xy(row, column))
                tx, ty = (x + half) / span, (half - y) / span
                key = (int(ty), int(tx))
                if key not in tiles:
                    answer = embedded.get(f"{TILES}/{zoom}/{key[0]}/{key[1]}?properties=vols")
                    assert answer.status_code in {200, 204}
                    if answer.status_code == 200:
                        with rasterio.open(io.BytesIO(answer.content)) as image:
                            tiles[key] = image.read()
                    else:
                        tiles[key] = np.zeros((4, size, size), dtype=np.uint8)
                got = tuple(int(v) for v in tiles[key][:, int((ty % 1) * size), int((tx % 1) * size)])
                value = values[row, column]
                if np.isnan(value):
                    assert got[3] == 0
                    continue
                (expected,) = [
                    tuple(c["rgba"])
                    for c in colours
                    if (c["min"] is None or value >= c["min"]) and (c["max"] is None or value < c["max"])
                ] or [(0, 0, 0, 0)]
                assert got == expected or got[3] == expected[3] == 0
                drawn.add(expected)
                checked += 1
    assert checked > 100
    assert len(drawn) >= 3


def test_bands_have_their_own_tiles_and_the_first_is_the_default(embedded):
    path = f"{TILES}/12/1500/2109"
    default, first, other = (embedded.get(path + q).content for q in ("", "?properties=all", "?properties=vols"))
    assert default == first
    assert first != other
