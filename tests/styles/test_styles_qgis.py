"""QGIS itself reads the styles: the oracle of QML, of the raster colours, and of its MapLibre converter."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from styles.maplibre import maplibre_document
from styles.model import Style, StyleLayer
from styles.qml import feature_qml, raster_qml, sector_expression
from styles.raster import at_least, below
from support.services import need

Styles = dict[tuple[str, str, str], Style]
PYTHON = Path("/usr/bin/python3")
"""Interpreter of the distribution: QGIS' Python modules are made for it."""
SCRIPT = Path(__file__).with_name("qgis_styles.py")
TIMEOUT_S = 120

FEATURES = [
    (("exact", "hotspots", "class_all"), "hotspots"),
    (("exact", "hotspots", "lisa_vols"), "hotspots_r9"),
    (("exact", "hex_incidents", "n"), "hex_incidents_r8"),
    (("exact", "incidents", "theme"), "incidents"),
    (("exact", "events", "nature"), "events"),
    (("exact", "quartiers", "outline"), "quartiers"),
    (("exact", "cameras", "status"), "cameras"),
]
SECTORS = [[90.0, 60.0, 100.0], [0.0, 90.0, 50.0], [None, 60.0, 100.0]]
"""Direction (clockwise from north), width (degrees) and radius (metres) of cameras."""
TILES = [("exact", "hotspots", "class_all"), ("exact", "hex_incidents", "n")]


def qgis_present() -> bool:
    if not PYTHON.exists():
        return False
    probe = subprocess.run([PYTHON, "-c", "import qgis.core"], capture_output=True, check=False, timeout=TIMEOUT_S)
    return probe.returncode == 0


def values_of(layer: StyleLayer) -> list[str | float | None]:
    values: list[str | float | None] = [v for c in layer.classes for v in c.values]
    for wanted in layer.classes:
        values += [v for v in (wanted.low, None if wanted.high is None else wanted.high - 1) if v is not None]
    return values or ["x"]


def write_features(path: Path, style: Style, values: list[str | float | None], *, null: bool) -> None:
    shapes: dict[str, Any] = {
        "point": {"type": "Point", "coordinates": [5.37, 43.3]},
        "fill": {"type": "Polygon", "coordinates": [[[5, 43], [6, 43], [6, 44], [5, 43]]]},
    }
    shape = shapes["point" if style.symbol == "point" else "fill"]
    features = [
        {
            "type": "Feature",
            "geometry": shape,
            "properties": {
                style.attribute or "key": v,
                "starts_at": "2024-01-01T00:00:00Z",
                "ends_at": "2024-01-02T00:00:00Z",
            },
        }
        for v in [*values, *([None] if null else [])]
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")


def densities(layer: StyleLayer) -> list[float]:
    edges = [c.low for c in layer.classes if c.low]
    return [0.0, *(f(e) for e in edges for f in (below, at_least)), 1e6]


@pytest.fixture(scope="module")
def told(styles: Styles, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What QGIS says of all styles, in one start of it."""
    need(qgis_present(), "QGIS with its Python modules (python3-qgis)")
    folder = tmp_path_factory.mktemp("qgis")
    jobs: dict[str, list[dict[str, Any]]] = {"features": [], "rasters": [], "maplibre": [], "sectors": []}
    for index, (name, collection) in enumerate(FEATURES):
        style = styles[name]
        data, qml = folder / f"{index}.geojson", folder / f"{index}.qml"
        write_features(data, style, values_of(style.layer(collection)), null=True)
        qml.write_text(feature_qml(style, collection), encoding="utf-8")
        jobs["features"].append({"data": str(data), "qml": str(qml)})
    raster, qml = folder / "density.tif", folder / "density.qml"
    style = styles["exact", "risk_density", "vols"]
    profile = {"driver": "GTiff", "width": 4, "height": 4, "count": 2, "dtype": "float32", "crs": "EPSG:2154"}
    with rasterio.open(raster, "w", **profile, transform=rasterio.transform.from_origin(9e5, 6.3e6, 25, 25)) as target:
        target.write(np.ones((2, 4, 4), dtype=np.float32))
    qml.write_text(raster_qml(style), encoding="utf-8")
    jobs["rasters"].append({"data": str(raster), "qml": str(qml), "values": densities(style.layers[0])})
    expression = sector_expression(styles["exact", "cameras", "status"].sector)
    jobs["sectors"] = [{"expression": expression, "lon_lat": [5.37, 43.3], "attributes": a} for a in SECTORS]
    for name in TILES:
        style = styles[name]
        drawn = [x for x in style.layers if x.max_zoom is None or x.max_zoom > x.min_zoom]
        job = {"document": maplibre_document(style), "attribute": style.attribute, "values": values_of(drawn[0])}
        job |= {"collections": [x.collection for x in drawn], "text": bool(drawn[0].classes[0].values)}
        jobs["maplibre"].append(job)
    (folder / "jobs.json").write_text(json.dumps(jobs), encoding="utf-8")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV", "PROJ", "GDAL"))}
    environment |= {"QT_QPA_PLATFORM": "offscreen", "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
    command = [str(PYTHON), str(SCRIPT), str(folder / "jobs.json")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=TIMEOUT_S, check=False)
    assert "ANSWER" in done.stdout, done.stderr[-3000:]
    answer: dict[str, Any] = json.loads(done.stdout.split("ANSWER", 1)[1])
    return answer


@pytest.mark.parametrize("index", range(len(FEATURES)), ids=[f"{n[1]}-{n[2]}" for n, _ in FEATURES])
def test_qgis_draws_each_feature_in_the_colour_of_its_class(index: int, told: dict[str, Any], styles: Styles):
    name, collection = FEATURES[index]
    style, answer = styles[name], told["features"][index]
    layer = style.layer(collection)
    assert (answer["valid"], answer["ok"]) == (True, True), answer["message"]
    numeric = any(c.is_numeric for c in layer.classes)
    expected = [layer.class_of(v) for v in values_of(layer)] + [None if numeric else layer.class_of(None)]
    assert answer["colours"] == [c.colour if c else None for c in expected]
    assert answer["renderer"] == (
        "graduatedSymbol" if numeric else "categorizedSymbol" if style.attribute else "singleSymbol"
    )


def test_qgis_shows_french_labels_and_field_names(told: dict[str, Any], styles: Styles):
    layer = styles["exact", "hotspots", "class_all"].layer("hotspots")
    answer = told["features"][0]
    assert answer["legend"] == [*(c.label.fr for c in layer.classes), "Sans donnée"]
    assert answer["aliases"]["class_all"] == dict(layer.fields)["class_all"].fr


def test_qgis_knows_the_time_of_events(told: dict[str, Any]):
    assert told["features"][4]["temporal"] == ["starts_at", "ends_at"]


def test_qgis_shades_a_density_in_the_colour_of_its_class(told: dict[str, Any], styles: Styles):
    style, answer = styles["exact", "risk_density", "vols"], told["rasters"][0]
    assert (answer["valid"], answer["ok"], answer["band"]) == (True, True, 2)
    layer = style.layers[0]
    assert answer["colours"] == [list(layer.class_of(v).rgba) for v in densities(layer)]


@pytest.mark.parametrize("index", range(len(TILES)), ids=[n[2] for n in TILES])
def test_qgis_converts_the_maplibre_style_without_loss(index: int, told: dict[str, Any], styles: Styles):
    style, answer = styles[TILES[index]], told["maplibre"][index]
    assert (answer["result"], answer["warnings"]) == (0, [])
    first = next(x for x in style.layers if x.max_zoom is None or x.max_zoom > x.min_zoom)
    for collection, colours in answer["colours"].items():
        layer = style.layer(collection)
        assert colours == [[layer.class_of(v).colour] for v in values_of(first)]


def test_qgis_draws_what_a_camera_sees(told: dict[str, Any]):
    eastwards, northwards, unknown = told["sectors"]
    for (_, width_deg, radius_m), (area_m2, _, _) in zip(SECTORS, (eastwards, northwards), strict=False):
        assert area_m2 == pytest.approx(width_deg / 360 * np.pi * radius_m**2, rel=0.01)
    assert (eastwards[1] > 30, abs(eastwards[2]) < 3) == (True, True)
    assert (northwards[2] > 15, abs(northwards[1]) < 3) == (True, True)
    assert unknown is None
    assert told["features"][6]["symbol_layers"] == 2 * [["GeometryGenerator", "SimpleMarker"]]
