"""Every encoding of a style gives every value the same class and colour, and nothing else."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from defusedxml import ElementTree

from layers.products import Form
from styles.files import StyleEntry, entries_of, read_style, styles_of, write_styles
from styles.legend import legend_svg
from styles.maplibre import maplibre_document, resolve_urls
from styles.model import Style, StyleLayer, Symbol
from styles.qml import feature_qml, raster_qml
from styles.raster import at_least, below, colour_table, gdal_colour_map, qgis_colour_map

Styles = dict[tuple[str, str, str], Style]


def feature_layers(styles: Styles) -> Iterator[tuple[Style, StyleLayer]]:
    for style in styles.values():
        if style.symbol is not Symbol.RASTER:
            for layer in style.layers:
                yield style, layer


def sampled_values(layer: StyleLayer) -> list[str | float | None]:
    """Values at, beside and between all limits, each category, an unknown one, and null."""
    values: list[str | float | None] = [None]
    for wanted in layer.classes:
        values += list(wanted.values)
        if wanted.low is not None:
            values += [wanted.low, wanted.low + 1]
        if wanted.high is not None:
            values.append(wanted.high - 1)
    return [*values, "jamais vu"] if any(c.values for c in layer.classes) else values


def passes(condition: list[Any] | None, attribute: str | None, value: object) -> bool:
    """Legacy filters as the MapLibre style specification defines them (``$type`` left to the caller)."""
    if condition is None or condition[1] == "$type":
        return True
    operator, *rest = condition
    number = isinstance(value, int | float)
    tests = {
        "all": lambda: all(passes(c, attribute, value) for c in rest),
        "!has": lambda: value is None,
        "==": lambda: value == rest[1],
        ">=": lambda: number and value >= rest[1],
        "<": lambda: number and value < rest[1],
        "in": lambda: value in rest[1:],
        "!in": lambda: value not in rest[1:],
    }
    assert operator in tests, f"{operator!r} is not in the subset that QGIS converts"
    return bool(tests[operator]())


def test_maplibre_gives_each_value_its_class(styles: Styles):
    for style, layer in feature_layers(styles):
        entries = [e for e in maplibre_document(style)["layers"] if e["source-layer"] == layer.collection]
        if layer.max_zoom == layer.min_zoom:
            assert not entries
            continue
        for value in sampled_values(layer):
            found = {
                e["metadata"]["calanque:class"] for e in entries if passes(e.get("filter"), style.attribute, value)
            }
            expected = layer.class_of(value)
            assert found == ({expected.id} if expected else set()), (style.id, layer.collection, value)


def test_maplibre_paints_the_colours_of_the_model(styles: Styles):
    keys = {"fill": "fill-color", "circle": "circle-color", "line": "line-color"}
    for style, layer in feature_layers(styles):
        classes = {c.id: c for c in [*layer.classes, *([layer.no_data] if layer.no_data else [])]}
        for entry in maplibre_document(style)["layers"]:
            if entry["source-layer"] == layer.collection:
                wanted = classes[entry["metadata"]["calanque:class"]]
                expected = wanted.outline if entry["type"] == "line" else wanted.colour
                assert entry["paint"][keys[entry["type"]]] == expected
                assert (entry["minzoom"], entry.get("maxzoom")) == (layer.min_zoom, layer.max_zoom)


def test_maplibre_stays_in_the_part_that_qgis_converts(styles: Styles):
    for style in styles.values():
        document = maplibre_document(style)
        assert len({e["id"] for e in document["layers"]}) == len(document["layers"])
        assert set(document["sources"]) == {style.family}
        for entry in document["layers"]:
            assert all(isinstance(v, str | int | float) for v in entry["paint"].values()), "a paint is not constant"


def test_tile_addresses_get_the_root_of_the_server(styles: Styles):
    document = maplibre_document(styles["exact", "hotspots", "class_all"])
    before = json.dumps(document)
    resolved = resolve_urls(document, "https://carte.example/calanque/")
    expected = "https://carte.example/calanque/collections/hotspots/tiles/WebMercatorQuad/{z}/{y}/{x}"
    assert resolved["sources"]["hotspots"]["tiles"] == [expected]
    assert resolve_urls(resolved, "https://other.example") == resolved
    assert json.dumps(document) == before


def test_attribution_is_text_where_clients_read_html(styles: Styles):
    source = maplibre_document(styles["exact", "quartiers", "outline"])["sources"]["quartiers"]
    assert source["attribution"] == "Ville d&#x27;essai &lt;2026&gt; &amp; co"


def qml_colours(text: str) -> dict[str, str]:
    """Legend label → colour of a feature QML."""
    root = ElementTree.fromstring(text)
    symbols = {}
    for symbol in root.iter("symbol"):
        red, green, blue, _ = next(o.get("value") for o in symbol.iter("Option") if o.get("name") == "color").split(",")
        symbols[symbol.get("name")] = f"#{int(red):02x}{int(green):02x}{int(blue):02x}"
    entries = [*root.iter("category"), *root.iter("range")]
    return {e.get("label"): symbols[e.get("symbol")] for e in entries} or {"": symbols["0"]}


def test_qml_has_the_classes_and_colours_of_the_model(styles: Styles):
    for style, layer in feature_layers(styles):
        found = qml_colours(feature_qml(style, layer.collection))
        classes = [*layer.classes]
        numeric = any(c.is_numeric for c in classes)
        if layer.no_data and not numeric:
            classes.append(layer.no_data)
        expected = {c.label.fr: c.colour for c in classes} if style.attribute else {"": classes[0].colour}
        assert found == expected


def test_qml_ranges_hold_the_whole_numbers_of_their_class(styles: Styles):
    style = styles["exact", "hex_incidents", "n"]
    for layer in style.layers:
        ranges = [r.attrib for r in ElementTree.fromstring(feature_qml(style, layer.collection)).iter("range")]
        for value in sampled_values(layer):
            if value is not None:
                found = [r["label"] for r in ranges if float(r["lower"]) <= value <= float(r["upper"])]
                assert found == [layer.class_of(value).label.fr]


def test_legend_shows_each_class_with_its_colour_rows_total_and_period(styles: Styles):
    for style in styles.values():
        for layer in style.layers:
            root = ElementTree.fromstring(legend_svg(style, layer.collection, "fr"))
            name = "{http://www.w3.org/2000/svg}"
            swatches = [e for e in root.iter() if "swatch" in (e.get("class") or "")]
            classes = [*layer.classes, *([layer.no_data] if layer.no_data else [])]
            assert [(s.get("class"), s.get("fill")) for s in swatches if not s.get("fill").startswith("url")] == [
                (f"swatch {c.id}", c.colour) for c in classes if not c.pattern
            ]
            texts = " ".join(t.text for t in root.iter(f"{name}text"))
            assert all(c.label.fr in texts for c in classes)
            assert root.find(f"{name}title").text == style.title.fr
            if layer.n is not None:
                assert "n = " in texts
            if style.period:
                assert str(style.period[1].year) in texts


def test_legend_speaks_both_languages(styles: Styles):
    english = legend_svg(styles["exact", "hotspots", "class_vols"], "hotspots", "en")
    assert "Hot and cold spots – Thefts" in english
    assert "q ≤ 0.01" in english
    assert "q ≤ 0,01" in legend_svg(styles["exact", "hotspots", "class_vols"], "hotspots", "fr")


def densities(layer: StyleLayer) -> list[float]:
    edges = [c.low for c in layer.classes if c.low]
    near = [f(e) for e in edges for f in (below, at_least)]
    return [float(np.float32(v)) for v in (0.0, 1e-9, *near, *(1.01 * e for e in edges), 1e7)]


@pytest.mark.parametrize("band", ["all", "vols"])
def test_colour_tables_agree_on_every_density(band: str, styles: Styles):
    style = styles["exact", "risk_density", band]
    layer = style.layers[0]
    table = colour_table(style)["classes"]
    qgis = [line.split(",") for line in qgis_colour_map(style).splitlines()[2:]]
    items = [i.attrib for i in ElementTree.fromstring(raster_qml(style)).iter("item")]
    gdal = [[float(p) for p in line.split()] for line in gdal_colour_map(style).splitlines()[1:]]
    for value in densities(layer):
        expected = layer.class_of(value)
        red, green, blue, alpha = expected.rgba
        entry = next(c for c in table if value >= c["min"] and (c["max"] is None or value < c["max"]))
        assert tuple(entry["rgba"]) == expected.rgba
        line = next(x for x in qgis if value <= float(x[0]))
        assert [int(v) for v in line[1:5]] == [red, green, blue, alpha]
        item = next(i for i in items if value <= float(i["value"]))
        assert (item["color"], int(item["alpha"]), item["label"]) == (expected.colour, alpha, expected.label.fr)
        above = next(i for i, row in enumerate(gdal) if value <= row[0])
        bounds = gdal[above if math.isclose(value, gdal[above][0]) else above - 1], gdal[above]
        assert bounds[0][1:] == bounds[1][1:] == [red, green, blue, alpha]


def test_raster_qml_names_its_band(styles: Styles):
    renderer = ElementTree.fromstring(raster_qml(styles["exact", "risk_density", "vols"])).find("pipe/rasterrenderer")
    assert renderer.get("band") == "2"


def test_the_time_controller_finds_start_and_end(styles: Styles):
    temporal = ElementTree.fromstring(feature_qml(styles["exact", "events", "nature"], "events")).find("temporal")
    assert (temporal.get("startField"), temporal.get("endField"), temporal.get("enabled")) == (
        "starts_at",
        "ends_at",
        "0",
    )


def test_files_are_those_that_the_manifest_lists(styles: Styles, tmp_path: Path):
    listed = write_styles(list(styles.values()), tmp_path)
    entries = [StyleEntry.model_validate(json.loads(json.dumps(e))) for e in listed.values()]
    named: set[str] = set()
    for entry in entries:
        named |= {entry.model, entry.maplibre, *entry.qml.values(), *entry.qml_points.values(), *entry.colours.values()}
        named |= {path for languages in entry.legend.values() for path in languages.values()}
        assert set(entry.legend) == set(entry.qml) == set(entry.collections)
    assert named == {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert styles_of(listed, Form.EXACT, "hotspots_r9")[0].id == "class_all"
    assert {e.family for e in entries_of(listed, Form.PUBLIC)} == {"quartiers"}


def test_a_style_is_read_back_as_it_was(styles: Styles, tmp_path: Path):
    listed = write_styles(list(styles.values()), tmp_path)
    for (form, family, style_id), style in styles.items():
        text = (tmp_path / listed[f"{form}/{family}/{style_id}"]["model"]).read_text(encoding="utf-8")
        assert read_style(text) == style


def test_the_same_products_give_the_same_bytes(styles: Styles, tmp_path: Path):
    for name in ("first", "second"):
        write_styles(list(styles.values()), tmp_path / name)
    for path in (tmp_path / "first").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "second" / path.relative_to(tmp_path / "first")).read_bytes()
