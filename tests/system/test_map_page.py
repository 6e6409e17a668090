"""The map page of the sample city in a real browser: what is drawn, what is said, and what is never loaded."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from shapely.geometry import shape

from ogc_server.pages.figure import WIDTH_UNITS, frame_of
from ogc_server.pages.map_page import maplibre_version
from styles.vocabularies import HOT_AND_COLD
from support.services import need

pytestmark = pytest.mark.system

CHROMIUM = Path("/usr/bin/chromium")
SOFTWARE_GL = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
QUIET = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"]
VIEW = {"width": 1100, "height": 800}
READY_MS = 60_000
COLOURS = {c.values[0]: c.colour for c in HOT_AND_COLD.classes}
MIN_CLASSES = 3
METRIC = "http://www.opengis.net/def/crs/EPSG/0/2154"


@dataclass
class Watched:
    """A page, and what it said and asked for."""

    page: Any
    problems: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)

    def open(self, address: str, *, scripted: bool = True) -> None:
        self.page.goto(address)
        if scripted:
            self.wait()

    def wait(self) -> None:
        self.page.wait_for_function(
            "() => document.getElementById('map').dataset.ready === document.getElementById('figure').dataset.style",
            timeout=READY_MS,
        )

    def picture(self) -> np.ndarray:
        """Screenshot as rows × columns × 3 bytes."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(io.BytesIO(self.page.screenshot())) as source:
                return np.moveaxis(source.read([1, 2, 3]), 0, -1)


Watch = Callable[..., Watched]


@pytest.fixture(scope="module")
def playwright() -> Iterator[Any]:
    need(CHROMIUM.exists(), "Chromium (/usr/bin/chromium)")
    need(maplibre_version(), "MapLibre (npm ci)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def browser(playwright: Any) -> Iterator[Any]:
    opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=[*QUIET, *SOFTWARE_GL])
    yield opened
    opened.close()


@pytest.fixture
def watch(browser: Any) -> Iterator[Callable[..., Watched]]:
    """Open pages that are closed after the test: a map that is not looked at still draws."""
    contexts = []

    def new_page(*, scripted: bool = True) -> Watched:
        contexts.append(browser.new_context(viewport=VIEW, java_script_enabled=scripted, locale="fr-FR"))
        return watched_page(contexts[-1].new_page())

    yield new_page
    for context in contexts:
        context.close()


def watched_page(page: Any) -> Watched:
    watched = Watched(page)
    watched.page.on("console", lambda m: watched.problems.append(m.text) if m.type in {"error", "warning"} else None)
    watched.page.on("pageerror", lambda e: watched.problems.append(str(e)))
    watched.page.on(
        "requestfailed", lambda r: watched.problems.append(f"{r.url} {r.failure}") if not given_up(r) else None
    )
    watched.page.on("request", lambda r: watched.addresses.append(r.url))
    return watched


def given_up(request: Any) -> bool:
    """Whether the page itself stopped a request: the map drops tiles that it no longer shows."""
    return request.failure == "net::ERR_ABORTED"


@pytest.fixture(scope="module")
def cells(sample_server_url: str) -> list[dict[str, Any]]:
    """Hot spots of resolution 9 as any client reads them."""
    answer = httpx.get(f"{sample_server_url}/collections/hotspots_r9/items?limit=10000", timeout=60)
    features: list[dict[str, Any]] = answer.raise_for_status().json()["features"]
    return features


def sampled(features: list[dict[str, Any]], each: int = 12) -> dict[str, list[tuple[float, float]]]:
    """Centres (CRS84) of some cells of each class, spread over the city."""
    found: dict[str, list[tuple[float, float]]] = {}
    for feature in features:
        centre = shape(feature["geometry"]).centroid
        found.setdefault(feature["properties"]["class_all"], []).append((centre.x, centre.y))
    return {c: points[:: max(1, len(points) // each)] for c, points in found.items() if c in COLOURS}


def matching_classes(picture: np.ndarray, positions: dict[str, np.ndarray]) -> dict[str, float]:
    """Share of the positions of each class that have its legend's colour.

    A zone's outline may cross a centre: the best of the pixels around it counts.
    """
    shares = {}
    for name, pixels in positions.items():
        wanted = np.array([int(COLOURS[name][i : i + 2], 16) for i in (1, 3, 5)])
        hits = []
        for x, y in np.rint(pixels).astype(int):
            around = picture[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3].reshape(-1, 3).astype(int)
            hits.append(bool((np.abs(around - wanted).max(axis=1) <= 2).any()))
        shares[name] = float(np.mean(hits))
    return shares


def assert_clean(watched: Watched, root: str) -> None:
    assert watched.problems == []
    elsewhere = [a for a in watched.addresses if not a.startswith((f"{root}/", "data:", f"blob:{root}/"))]
    assert elsewhere == []


def test_known_cells_have_the_colours_of_the_legend(watch: Watch, sample_server_url: str, cells: list[dict[str, Any]]):
    watched = watch()
    watched.open(f"{sample_server_url}/map?layer=hotspots.class")
    corner = watched.page.evaluate(
        "() => { const r = calanqueMap.getCanvas().getBoundingClientRect(); return [r.x, r.y] }"
    )
    positions = {}
    for name, centres in sampled(cells).items():
        script = "centres => centres.map(c => { const p = calanqueMap.project(c); return [p.x, p.y] })"
        positions[name] = np.array(watched.page.evaluate(script, centres)) + np.array(corner)
    shares = matching_classes(watched.picture(), positions)
    assert len(shares) >= MIN_CLASSES
    assert min(shares.values()) >= 0.9, shares
    assert_clean(watched, sample_server_url)


def test_without_javascript_the_drawn_map_has_the_same_colours(
    watch: Watch, sample_server_url: str, cells: list[dict[str, Any]]
):
    watched = watch(scripted=False)
    watched.open(f"{sample_server_url}/map?layer=hotspots.class", scripted=False)
    place = watched.page.locator("#figure svg").bounding_box()
    zones = httpx.get(f"{sample_server_url}/collections/quartiers/items?limit=1000&crs={METRIC}", timeout=60).json()
    frame = frame_of(np.array([shape(f["geometry"]) for f in zones["features"]]))
    import pyproj

    metric = pyproj.Transformer.from_crs("OGC:CRS84", "EPSG:2154", always_xy=True)
    # the drawing keeps its proportions and lies in the middle of its box
    scale = min(place["width"] / WIDTH_UNITS, place["height"] / frame.height_units)
    margin = np.array([place["width"] - scale * WIDTH_UNITS, place["height"] - scale * frame.height_units]) / 2
    positions = {
        name: np.array([place["x"], place["y"]])
        + margin
        + scale * frame.units(np.array([metric.transform(*c) for c in centres]))
        for name, centres in sampled(cells).items()
    }
    shares = matching_classes(watched.picture(), positions)
    assert len(shares) >= MIN_CLASSES
    assert min(shares.values()) >= 0.9, shares
    assert not any("maplibre-gl.mjs" in a for a in watched.addresses)
    assert_clean(watched, sample_server_url)


def test_the_form_changes_the_layer_in_place_and_back(watch: Watch, sample_server_url: str):
    watched = watch()
    page = watched.page
    watched.open(f"{sample_server_url}/map?layer=hotspots.class")
    page.evaluate("() => { window.unchanged = true }")
    page.locator("input[value=risk_density]").check()
    page.wait_for_function("() => document.querySelector('h1').textContent.startsWith('Densité')")
    watched.wait()
    assert "layer=risk_density" in page.url
    assert page.evaluate("() => calanqueMap.getSource('risk_density').type") == "raster"
    theme = page.locator("#theme option").nth(1).get_attribute("value")
    page.locator("#theme").select_option(theme)
    page.wait_for_function("theme => location.search.includes(`theme=${theme}`)", arg=theme)
    watched.wait()
    page.go_back()
    page.go_back()
    page.wait_for_function("() => document.querySelector('h1').textContent.startsWith('Points chauds')")
    watched.wait()
    assert page.locator("input[value='hotspots.class']").is_checked()
    assert page.evaluate("() => window.unchanged") is True
    assert_clean(watched, sample_server_url)


def test_the_legend_follows_the_size_of_the_cells(watch: Watch, sample_server_url: str):
    watched = watch()
    watched.open(f"{sample_server_url}/map?layer=hex_incidents#15/43.2965/5.3798")
    shown = "() => [...document.querySelectorAll('#legend > div:not([hidden])')].map(e => e.textContent).join()"
    assert "résolution 10" in watched.page.evaluate(shown)
    watched.page.evaluate("() => calanqueMap.jumpTo({ zoom: 9 })")
    watched.wait()
    assert "résolution 7" in watched.page.evaluate(shown)
    assert_clean(watched, sample_server_url)


def test_a_cell_is_described_by_mouse_and_by_keyboard(watch: Watch, sample_server_url: str):
    watched = watch()
    page = watched.page
    watched.open(f"{sample_server_url}/map?layer=hotspots.class#15/43.2965/5.3798")
    for act in (lambda: page.locator("canvas.maplibregl-canvas").click(), lambda: page.keyboard.press("Enter")):
        page.locator("canvas.maplibregl-canvas").focus()
        act()
        popup = page.locator(".maplibregl-popup .popup")
        popup.wait_for()
        assert popup.locator("h3").text_content() in {c.label.fr for c in HOT_AND_COLD.classes}
        address = popup.locator("a").get_attribute("href")
        assert httpx.get(f"{sample_server_url}{address}", timeout=30).status_code == httpx.codes.OK
        page.get_by_role("button", name="Fermer la fiche").click()
    assert page.get_by_role("button", name="Zoomer", exact=True).is_visible()
    assert_clean(watched, sample_server_url)


def test_a_description_never_reads_data_as_html(watch: Watch, sample_server_url: str):
    watched = watch()
    watched.open(f"{sample_server_url}/map")
    made = watched.page.evaluate(
        """async () => {
          const { popupContent } = await import('/assets/map-popup.js');
          const hostile = '<img src=x onerror="window.hit = true"><b>gras</b>';
          const text = { fr: hostile, en: hostile };
          const feature = { sourceLayer: 'c', properties: { key: hostile, title: hostile },
                            layer: { metadata: { 'calanque:label': text } } };
          const style = { metadata: { 'calanque:keys': { c: 'key' }, 'calanque:title': text,
                                      'calanque:fields': { key: text, title: text } } };
          const box = popupContent(feature, style, 'fr', '');
          document.body.append(box);
          await new Promise((resolve) => setTimeout(resolve, 200));
          return { images: box.querySelectorAll('img, b').length, hit: window.hit === true, text: box.textContent };
        }"""
    )
    assert (made["images"], made["hit"]) == (0, False)
    assert made["text"].count("<b>gras</b>") >= 3


def test_without_webgl_the_drawn_map_stays(playwright: Any, sample_server_url: str):
    blind = playwright.chromium.launch(
        executable_path=str(CHROMIUM), args=[*QUIET, "--disable-3d-apis", "--disable-gpu"]
    )
    try:
        page = blind.new_context(viewport=VIEW).new_page()
        page.goto(f"{sample_server_url}/map?layer=hotspots.class")
        page.wait_for_timeout(2000)
        assert page.locator("#figure svg").is_visible()
        assert page.locator("form button[type=submit]").is_visible()
    finally:
        blind.close()
