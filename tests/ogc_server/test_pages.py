"""The map page without a browser: complete, true to the data, and loading nothing from elsewhere."""

from __future__ import annotations

import base64
import re
import warnings
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import h3
import numpy as np
import pyarrow as pa
import pytest
import rasterio
import shapely
from hypothesis import given
from hypothesis import strategies as st
from rasterio.errors import NotGeoreferencedWarning
from starlette.testclient import TestClient

from layers.city import Text
from layers.products import Form
from layers.runs import Run
from ogc_server.errors import OgcError
from ogc_server.pages import map_page, sentences
from ogc_server.pages.choice import chosen
from ogc_server.pages.context import MapContext
from ogc_server.pages.figure import WIDTH_UNITS, Frame, dot_path, frame_of, ring_path
from ogc_server.pages.findings import tidy
from ogc_server.pages.layer_data import masks
from styles.cells import NULL_CLASS, count_classes
from styles.files import read_style, styles_of
from styles.model import StyleClass, StyleLayer
from styles.vocabularies import HOT_AND_COLD
from support.synthetic import synthetic_products

SUBJECTS = {
    "hotspots.class",
    "hotspots.lisa",
    "hex_incidents",
    "risk_density",
    "incidents",
    "events",
    "quartiers",
}


class Page(HTMLParser):
    """Elements of a page with their attributes, and its texts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())

    def all(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        return [a for t, a in self.elements if t == tag and all(a.get(k) == v for k, v in wanted.items())]

    @property
    def text(self) -> str:
        return " ".join(t for t in self.texts if t)


def page(client: TestClient, query: str = "", **headers: str) -> Page:
    answer = client.get(f"/map{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    return Page(answer.text)


def counts_by_class(collection: str) -> Counter[str | None]:
    product = next(p for p in synthetic_products() if p.spec.id == collection)
    return Counter(product.tables[Form.EXACT].column("class_all").to_pylist())


def test_the_list_holds_every_subject_and_opens_with_hot_spots(embedded: TestClient):
    found = page(embedded)
    radios = found.all("input", type="radio")
    assert {r["value"] for r in radios} == SUBJECTS
    assert [r["value"] for r in radios if "checked" in r] == ["hotspots.class"]
    assert "Points chauds et froids" in found.text


@pytest.mark.parametrize("subject", sorted(SUBJECTS))
@pytest.mark.parametrize("language", ["fr", "en"])
def test_each_subject_is_a_whole_page(subject: str, language: str, embedded: TestClient):
    answer = embedded.get(f"/map?layer={subject}&lang={language}")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-language"] == language
    found = Page(answer.text)
    ids = [a["id"] for _, a in found.elements if "id" in a]
    assert len(ids) == len(set(ids)), Counter(ids).most_common(3)
    assert found.all("html", lang=language)
    assert len(found.all("h1")) == len(found.all("main")) == 1
    assert found.all("svg", role="img")
    assert found.all("table")
    labelled = {a["for"] for a in found.all("label") if a.get("for")}
    assert {a["id"] for a in found.all("select")} <= labelled


def test_nothing_comes_from_elsewhere_and_nothing_is_inline(embedded: TestClient):
    for subject in SUBJECTS:
        found = page(embedded, f"?layer={subject}")
        for tag, attributes in found.elements:
            assert "style" not in attributes, f"<{tag}> has an inline style, which the policy refuses"
            assert not [a for a in attributes if a.startswith("on")]
            for name in ("src", "href", "action", "data-maplibre"):
                address = attributes.get(name) or ""
                assert address.startswith(("/", "#", "data:")) or not address, f"<{tag} {name}={address[:60]}>"
                assert not address.startswith("//")
        assert all(s.get("src") for s in found.all("script"))
        assert not found.all("style")


def test_the_drawn_map_has_the_cells_of_each_class(embedded: TestClient):
    found, expected = page(embedded), counts_by_class("hotspots")
    drawn = {a["fill"]: a["d"] for a in found.all("path") if (a.get("class") or "").startswith("class ")}
    for wanted in HOT_AND_COLD.classes:
        rings = (drawn.get(wanted.colour) or "").count("M")
        assert rings == expected[wanted.values[0]], wanted.id


def test_the_drawn_cells_lie_where_their_index_says():
    pyproj = pytest.importorskip("pyproj")
    cell = h3.latlng_to_cell(43.2965, 5.3698, 9)
    corners = np.array([(lon, lat) for lat, lon in h3.cell_to_boundary(cell)])
    x, y = pyproj.Transformer.from_crs(4326, 2154, always_xy=True).transform(corners[:, 0], corners[:, 1])
    frame = Frame((880_000.0, 6_240_000.0, 900_000.0, 6_255_000.0))
    path = ring_path(frame, [shapely.Polygon(np.column_stack([x, y]))])
    numbers = np.array([float(v) for v in re.findall(r"-?\d+", path)]).reshape(-1, 2)
    vertices = np.cumsum(numbers, axis=0) * frame.metres_per_unit
    found = np.column_stack([880_000 + vertices[:, 0], 6_255_000 - vertices[:, 1]])
    assert np.hypot(*(found - np.column_stack([x, y])).T).max() < frame.metres_per_unit
    assert frame.metres_per_unit == 20_000 / WIDTH_UNITS


def test_records_at_one_place_are_one_dot():
    frame = frame_of(np.array([shapely.box(0, 0, 1000, 1000)]))
    assert dot_path(frame, shapely.points([[500, 500], [500, 500.05], [900, 900]])).count("M") == 2


def test_the_sentence_counts_the_hot_and_cold_cells(embedded: TestClient):
    expected = counts_by_class("hotspots")
    hot, cold = (expected[f"{side}_q01"] + expected[f"{side}_q05"] for side in ("hot", "cold"))
    text = page(embedded).text
    assert f"{hot} cellules en point chaud, surtout " in text
    assert f"{cold} cellules froides, sur {sum(expected.values())}." in text


def test_the_table_ranks_cells_by_class_then_by_score(embedded: TestClient):
    found = page(embedded)
    cells = [a["href"].rsplit("/", 1)[1] for a in found.all("a") if "/items/" in (a.get("href") or "")]
    product = next(p for p in synthetic_products() if p.spec.id == "hotspots")
    rows = {r["h3"]: r for r in product.tables[Form.EXACT].select(["h3", "n", "z_all", "class_all"]).to_pylist()}
    hottest = sorted((r for r in rows.values() if r["class_all"] == "hot_q01"), key=lambda r: (-r["z_all"], r["h3"]))
    assert cells == [r["h3"] for r in hottest[: len(cells)]]
    assert len(cells) == 20
    assert embedded.get(f"/collections/hotspots/items/{cells[0]}").status_code == 200


def test_links_of_the_page_answer(embedded: TestClient):
    for subject in SUBJECTS:
        found = page(embedded, f"?layer={subject}")
        addresses = {
            a["href"] for tag, a in found.elements if tag in {"a", "link"} and (a.get("href") or "").startswith("/")
        }
        addresses |= {a["data-style"] for a in found.all("div") if a.get("data-style")}
        for address in addresses:
            assert embedded.get(address).status_code == 200, address


@pytest.mark.parametrize(
    ("query", "subject", "theme"),
    [
        ("?layer=hotspots.class&theme=vols", "hotspots.class", "vols"),
        ("?layer=hotspots.class&theme=bruit", "hotspots.class", "all"),
        ("?layer=events&theme=vols", "events", "all"),
        ("?theme=vols", "hotspots.class", "vols"),
    ],
)
def test_a_theme_is_kept_where_the_layer_has_it(query: str, subject: str, theme: str, embedded: TestClient):
    found = page(embedded, query)
    assert [r["value"] for r in found.all("input", type="radio") if "checked" in r] == [subject]
    selected = [o["value"] for o in found.all("option") if "selected" in o]
    assert selected == ([theme] if subject != "events" else [])


@pytest.mark.parametrize(
    "query", ["?layer=absent", "?theme=absent", "?couche=hotspots.class", "?lang=de", "?layer=a&layer=b"]
)
def test_what_does_not_exist_is_refused(query: str, embedded: TestClient):
    assert embedded.get(f"/map{query}").status_code == 400


def test_a_public_reader_sees_zones_only(public: TestClient):
    assert [r["value"] for r in page(public).all("input", type="radio")] == ["quartiers"]
    assert public.get("/map?layer=hotspots.class").status_code == 400
    assert "cellule" not in page(public).text


def test_a_profile_without_any_product_is_told_so(synthetic_run: Run):
    empty = Run(synthetic_run.folder, synthetic_run.manifest.model_copy(update={"products": (), "styles": {}}))
    text = Text(fr="Vide", en="Empty")
    context = MapContext(run=empty, form=Form.PUBLIC, city_title=text, attribution="", metric_crs="EPSG:2154")
    with pytest.raises(OgcError) as raised:
        chosen(context, None, None)
    assert raised.value.status == 404


def test_language_follows_the_browser(embedded: TestClient):
    assert "Couches" in page(embedded).text
    assert "Layers" in page(embedded, **{"accept-language": "en-GB,en;q=0.9"}).text
    assert "Couches" in page(embedded, "?lang=fr", **{"accept-language": "en"}).text


def test_texts_of_the_city_are_escaped(embedded: TestClient):
    answer = embedded.get("/map")
    assert "&lt;2026&gt; &amp; co" in answer.text
    assert "<2026>" not in answer.text


def test_the_page_is_remembered_by_its_reader(embedded: TestClient):
    first = embedded.get("/map?layer=hex_incidents")
    again = embedded.get("/map?layer=hex_incidents", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert embedded.get("/map").headers["etag"] != first.headers["etag"]


def test_policy_lets_only_this_server_in(embedded: TestClient):
    policy = embedded.get("/map").headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


@pytest.mark.parametrize("name", ["map.js", "map-style.js", "map-popup.js", "map-texts.js", "map.css"])
def test_assets_have_their_media_type(name: str, embedded: TestClient):
    answer = embedded.get(f"/assets/{name}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/javascript" if name.endswith("js") else "text/css")


@pytest.mark.parametrize(
    "path",
    ["/assets/absent.js", "/assets/..%2Fmap_page.py", "/assets/maplibre/0.0.0/maplibre-gl.mjs", "/assets/map_page.py"],
)
def test_no_other_file_is_served(path: str, embedded: TestClient):
    assert embedded.get(path).status_code == 404


def test_scripts_never_read_data_as_html():
    for path in map_page.ASSETS.glob("*.js"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|setHTML\b|document\.write|eval\(", text), (
            path.name
        )
        assert not re.search(r"https?://", text), path.name


def test_french_texts_of_the_controls_are_complete():
    library = map_page.MAPLIBRE / "dist" / "maplibre-gl.mjs"
    if not library.exists():
        pytest.skip("MapLibre is not installed (npm ci)")
    own = set(re.findall(r'"(\w+\.\w+)":', (map_page.ASSETS / "map-texts.js").read_text(encoding="utf-8")))
    theirs = set(
        re.findall(
            r'"((?:\w+Control|Map|Marker|Popup|CooperativeGesturesHandler)\.\w+)":', library.read_text(encoding="utf-8")
        )
    )
    assert own == theirs


def test_without_maplibre_the_drawn_map_is_the_page(embedded: TestClient, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(map_page, "maplibre_version", lambda: None)
    found = page(embedded)
    assert not found.all("script")
    assert not [a for a in found.all("link", rel="stylesheet") if "maplibre" in (a["href"] or "")]
    assert found.all("svg", role="img")


def test_the_drawn_density_has_the_colour_of_each_pixel(embedded: TestClient, synthetic_run: Run, tmp_path: Path):
    (drawn,) = page(embedded, "?layer=risk_density").all("image")
    png = tmp_path / "density.png"
    png.write_bytes(base64.b64decode((drawn["href"] or "").removeprefix("data:image/png;base64,")))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(png) as source:
            pixels = source.read()
    product = synthetic_run.manifest.product("risk_density")
    with rasterio.open(synthetic_run.path(product.forms[Form.EXACT])) as source:
        values = source.read(1)
    entry = styles_of(synthetic_run.manifest.styles, Form.EXACT, "risk_density")[0]
    layer = read_style((synthetic_run.folder / "styles" / entry.model).read_text(encoding="utf-8")).layers[0]
    assert pixels.shape[1:] == values.shape
    for row, column in np.ndindex(values.shape):
        wanted = None if np.isnan(values[row, column]) else layer.class_of(float(values[row, column]))
        expected = wanted.rgba if wanted else (0, 0, 0, 0)
        assert tuple(pixels[:, row, column]) == expected


@given(st.lists(st.one_of(st.none(), st.integers(0, 500)), max_size=60))
def test_numbers_are_put_in_the_class_that_the_style_says(values: list[int | None]):
    classes = count_classes(np.array([v for v in values if v is not None]))
    layer = StyleLayer(collection="c", classes=classes, no_data=NULL_CLASS)
    assert_masks(layer, pa.chunked_array([pa.array(values, pa.int64())]))


@given(
    values=st.lists(st.one_of(st.none(), st.sampled_from(["hot_q01", "ns", "cold_q05", "jamais vu"])), max_size=60),
    rest=st.booleans(),
)
def test_texts_are_put_in_the_class_that_the_style_says(*, values: list[str | None], rest: bool):
    others = StyleClass(
        id="others", label=Text(fr="Autres", en="Others"), colour="#cccccc", outline="#000000", rest=True
    )
    classes = (*HOT_AND_COLD.classes, *((others,) if rest else ()))
    layer = StyleLayer(collection="c", classes=classes, no_data=None if rest else NULL_CLASS)
    assert_masks(layer, pa.chunked_array([pa.array(values, pa.string())]))


def assert_masks(layer: StyleLayer, values: pa.ChunkedArray) -> None:
    found = masks(layer, values)
    for row, value in enumerate(values.to_pylist()):
        expected = layer.class_of(value)
        assert [wanted for wanted, rows in found if rows[row]] == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (sentences.hot_and_cold([], 0, 10, "fr"), "Aucune cellule en point chaud ; 0 cellule froide, sur 10."),
        (
            sentences.hot_and_cold(["Belsunce", "Noailles", "Noailles"], 1, 1200, "fr"),
            "3 cellules en point chaud, surtout Noailles et Belsunce ; 1 cellule froide, sur 1\u202f200.",
        ),
        (
            sentences.hot_and_cold(["Old Port"], 0, 10, "en"),
            "1 hot-spot cell, mainly Old Port; 0 cold cells, out of 10.",
        ),
        (
            sentences.clusters(["If"], 2, 9, "fr"),
            "1 cellule haute parmi des hautes, surtout If ; 2 cellules basses parmi des basses, sur 9.",
        ),
        (sentences.counts(1, 1, 5, ["If"], "fr"), "1 incident dans 1 cellule sur 5, surtout If."),
        (sentences.counts(0, 0, 5, [], "en"), "0 incidents in 0 of 5 cells."),
        (sentences.density(812.5, "par km²", "If", "fr"), "Densité la plus forte : 812,5 par km², à If."),
        (sentences.records(2, 1, "fr"), "2 enregistrements, dont 1 sans position."),
        (sentences.records(1, 0, "en"), "1 record."),
    ],
)
def test_sentences(made: str, expected: str):
    assert made == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("NOTRE DAME DU MONT", "Notre Dame du Mont"),
        ("LES ILES", "Les Iles"),
        ("L'ESTAQUE", "L'Estaque"),
        ("Le Panier", "Le Panier"),
    ],
)
def test_names_in_capitals_become_names(given: str, expected: str):
    assert tidy(given) == expected
