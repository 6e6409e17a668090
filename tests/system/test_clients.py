"""Real clients over the sample city: GDAL's OAPIF driver and QGIS 3.22."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import geopandas
import httpx
import numpy as np
import pyogrio
import pyproj
import pytest
import shapely

from support.services import need

pytestmark = pytest.mark.system
QGIS_PYTHON = "/usr/bin/python3"
READER = Path(__file__).with_name("qgis_reader.py")
QGIS_TIMEOUT_S = 240
PICTURE_PX = 900


def get(url: str, **parameters: object) -> dict:
    answer = httpx.get(url, params=parameters or None, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def matched(root: str, collection: str, **parameters: object) -> int:
    return get(f"{root}/collections/{collection}/items", limit=1, skipGeometry="true", **parameters)["numberMatched"]


@pytest.fixture(scope="module")
def cells(sample_server_url: str) -> geopandas.GeoDataFrame:
    """Hot spots in CRS84, page after page, as any script would read them."""
    url, features = f"{sample_server_url}/collections/hotspots/items?limit=10000&properties=h3,class_all", []
    while url:
        page = get(url)
        features += page["features"]
        url = next((link["href"] for link in page["links"] if link["rel"] == "next"), None)
    assert len(features) == page["numberMatched"]
    return geopandas.GeoDataFrame.from_features(features, crs="OGC:CRS84")


@pytest.fixture(scope="module")
def rectangle(cells: geopandas.GeoDataFrame) -> list[float]:
    """A rectangle of some streets around a hot cell."""
    hot = cells[cells["class_all"].fillna("").str.startswith("hot")]
    centre = (hot if len(hot) else cells).geometry.iloc[0].centroid
    return [round(v, 4) for v in (centre.x - 0.006, centre.y - 0.004, centre.x + 0.006, centre.y + 0.004)]


def test_gdal_lists_the_collections(sample_server_url):
    names = {name for name, _ in pyogrio.list_layers(f"OAPIF:{sample_server_url}")}
    assert {"incidents", "hotspots", "hotspots_r9", "quartiers", "cameras"} <= names


def test_gdal_reads_a_whole_layer_with_its_types(sample_server_url, cells):
    frame = pyogrio.read_dataframe(f"OAPIF:{sample_server_url}", layer="hotspots")
    assert set(frame["h3"]) == set(cells["h3"])
    assert frame["n"].dtype.kind == "i"
    assert frame.crs.to_epsg() == 2154
    ours = cells.to_crs(2154).set_index("h3").geometry
    theirs = frame.set_index("h3").geometry
    assert shapely.hausdorff_distance(ours.to_numpy(), theirs[ours.index].to_numpy()).max() < 0.02


def test_gdal_counts_the_incidents_and_reads_a_rectangle(sample_server_url, rectangle):
    source = f"OAPIF:{sample_server_url}"
    info = pyogrio.read_info(source, layer="incidents", force_feature_count=True)
    assert info["features"] == matched(sample_server_url, "incidents")
    to_lambert = pyproj.Transformer.from_crs("OGC:CRS84", "EPSG:2154", always_xy=True)
    bounds = to_lambert.transform_bounds(*rectangle)
    for layer in ("incidents", "hotspots"):
        frame = pyogrio.read_dataframe(source, layer=layer, bbox=bounds)
        text = ",".join(map(str, bounds))
        crs = "http://www.opengis.net/def/crs/EPSG/0/2154"
        assert len(frame) == matched(sample_server_url, layer, bbox=text, **{"bbox-crs": crs}) > 0
        assert shapely.intersects(frame.geometry.to_numpy(), shapely.box(*bounds)).all()


def class_colours(qml: str) -> dict[str, str]:
    """Class → fill colour (#rrggbb) as the QML says it."""
    symbols = dict(re.findall(r'<symbol [^>]*name="(\d+)"[^>]*>.*?name="color" value="(\d+,\d+,\d+)', qml, re.DOTALL))
    classes = re.findall(r'<category value="([^"]+)"[^>]*symbol="(\d+)"', qml)
    return {value: "#{:02x}{:02x}{:02x}".format(*map(int, symbols[symbol].split(","))) for value, symbol in classes}


def probes_of(cells: geopandas.GeoDataFrame, bounds: list[float]) -> geopandas.GeoDataFrame:
    """Some cells of each class inside the picture."""
    inside = cells[cells.within(shapely.box(*bounds)) & cells["class_all"].notna()]
    return inside.groupby("class_all").head(3)


def picture_bounds(cells: geopandas.GeoDataFrame) -> list[float]:
    """Square of 0.05° where most classes meet: the classes are known, so is the best place to look."""
    known = cells[cells["class_all"].notna()]
    centres = shapely.get_coordinates(shapely.centroid(known.geometry.to_numpy()))
    classes = known["class_all"].to_numpy()
    rare = centres[classes != "ns"] if (classes != "ns").any() else centres

    def variety(centre: np.ndarray) -> int:
        return len(set(classes[np.abs(centres - centre).max(axis=1) < 0.024]))

    best = max(rare[:: max(1, len(rare) // 200)], key=variety)
    return [float(v) for v in (*(best - 0.025), *(best + 0.025))]


def test_qgis_opens_counts_reads_and_draws(sample_server_url, cells, rectangle, tmp_path):
    present = subprocess.run(
        [QGIS_PYTHON, "-c", "import qgis.core"], capture_output=True, check=False, timeout=60
    ).returncode
    need(Path(QGIS_PYTHON).exists() and present == 0, "QGIS (python3-qgis)")
    qml = httpx.get(f"{sample_server_url}/collections/hotspots/styles/class_all", params={"f": "qml"}).text
    (tmp_path / "hotspots.qml").write_text(qml, encoding="utf-8")
    bounds = picture_bounds(cells)
    probes = probes_of(cells, bounds)
    asked = {
        "root": sample_server_url,
        "layers": {"quartiers": "key", "incidents": "id", "hotspots": "h3"},
        "read_whole": ["quartiers"],
        "rectangle": rectangle,
        "drawn": "hotspots",
        "qml": str(tmp_path / "hotspots.qml"),
        "picture": str(tmp_path / "hotspots.png"),
        "picture_px": PICTURE_PX,
        "picture_bounds": bounds,
        "probes": shapely.get_coordinates(shapely.centroid(probes.geometry.to_numpy())).tolist(),
    }
    (tmp_path / "request.json").write_text(json.dumps(asked), encoding="utf-8")
    environment = {
        **os.environ,
        "QT_QPA_PLATFORM": "offscreen",
        "HOME": str(tmp_path),
        "XDG_RUNTIME_DIR": str(tmp_path),
    }
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [QGIS_PYTHON, str(READER), str(tmp_path / "request.json")],
        env=environment, capture_output=True, text=True, timeout=QGIS_TIMEOUT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    answer = json.loads(
        next(line for line in done.stdout.splitlines() if line.startswith("ANSWER ")).removeprefix("ANSWER ")
    )
    incidents, hotspots = answer["incidents"], answer["hotspots"]
    text = ",".join(map(str, rectangle))
    assert incidents["count"] == matched(sample_server_url, "incidents")
    assert hotspots["count"] == len(cells)
    assert (
        len(set(answer["quartiers"]["keys"])) == answer["quartiers"]["count"] == matched(sample_server_url, "quartiers")
    )
    assert set(hotspots["inside"]) <= set(cells["h3"])
    assert len(incidents["inside"]) == matched(sample_server_url, "incidents", bbox=text) > 0
    assert len(hotspots["inside"]) == matched(sample_server_url, "hotspots", bbox=text) > 0
    assert dict(zip(incidents["fields"], incidents["types"], strict=True))["started_at"] == "DateTime"
    legend = class_colours(qml)
    expected = [legend[value] for value in probes["class_all"]]
    assert hotspots["pixels"] == expected
    assert len(set(expected)) >= 3
