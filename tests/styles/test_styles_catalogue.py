"""The catalogue: which styles a run has, and that their classes come from its data."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pytest

from layers.city import City
from layers.products import Form, Product
from styles.catalogue import styles_for
from styles.model import Style, Symbol

Styles = dict[tuple[str, str, str], Style]


def by_id(products: list[Product], collection: str) -> Product:
    return next(p for p in products if p.spec.id == collection)


def test_each_family_opens_with_exactly_one_style(styles: Styles):
    defaults = Counter((form, family) for (form, family, _), s in styles.items() if s.default)
    assert set(defaults) == {(form, family) for form, family, _ in styles}
    assert set(defaults.values()) == {1}


def test_attributes_that_are_drawn(styles: Styles):
    exact = {(family, style) for form, family, style in styles if form == "exact"}
    assert exact == {
        ("hex_incidents", "n"),
        ("hex_incidents", "n_vols"),
        ("hex_incidents", "n_bruit"),
        ("hotspots", "class_all"),
        ("hotspots", "class_vols"),
        ("hotspots", "lisa_all"),
        ("hotspots", "lisa_vols"),
        ("incidents", "theme"),
        ("events", "nature"),
        ("cameras", "status"),
        ("quartiers", "outline"),
        ("risk_density", "all"),
        ("risk_density", "vols"),
    }


def test_a_form_that_a_product_lacks_has_no_style(styles: Styles):
    assert {family for form, family, _ in styles if form == "public"} == {"quartiers"}


def test_limits_of_one_form_never_come_from_another(products: list[Product], city: City):
    exact = by_id(products, "hex_incidents")
    small = exact.tables[Form.EXACT]
    masked = small.set_column(1, "n", pa.array([min(v, 3) for v in small.column("n").to_pylist()], pa.int64()))
    both_forms = Product(exact.spec, {Form.EXACT: small, Form.PUBLIC: masked.drop_columns(["n_vols", "n_bruit"])})
    made = {(s.form, s.id): s for s in styles_for([both_forms], city)}
    assert set(made) == {(Form.EXACT, "n"), (Form.EXACT, "n_vols"), (Form.EXACT, "n_bruit"), (Form.PUBLIC, "n")}
    public = made[Form.PUBLIC, "n"].layer("hex_incidents")
    assert max(c.low or 0 for c in public.classes) <= 3
    assert public.n == sum(masked.column("n").to_pylist())


@pytest.mark.parametrize("collection", ["hex_incidents", "hex_incidents_r9", "hex_incidents_r7"])
def test_every_cell_is_in_exactly_one_class(collection: str, styles: Styles, products: list[Product]):
    layer = styles["exact", "hex_incidents", "n"].layer(collection)
    values = by_id(products, collection).tables[Form.EXACT].column("n").to_pylist()
    counted = Counter(next(c.id for c in layer.classes if c.holds(v)) for v in values)
    assert all(sum(c.holds(v) for c in layer.classes) == 1 for v in values)
    assert tuple(counted[c.id] for c in layer.classes) == layer.counts
    assert layer.n == sum(values)
    assert len(layer.classes) >= 5


def test_limits_follow_the_size_of_cells(styles: Styles):
    style = styles["exact", "hex_incidents", "n"]
    tops = [
        max(c.low or 0 for c in style.layer(f"hex_incidents{suffix}").classes) for suffix in ("", "_r9", "_r8", "_r7")
    ]
    assert tops == sorted(tops)
    assert tops[-1] > 50 * tops[0]


def test_a_theme_of_ones_has_one_class_beside_none(styles: Styles):
    labels = [c.label.fr for c in styles["exact", "hex_incidents", "n_bruit"].layer("hex_incidents").classes]
    assert labels == ["Aucun", "1 et plus"]


def test_class_counts_and_no_data_of_hot_spots(styles: Styles, products: list[Product]):
    layer = styles["exact", "hotspots", "class_all"].layer("hotspots")
    values = Counter(by_id(products, "hotspots").tables[Form.EXACT].column("class_all").to_pylist())
    assert layer.counts == tuple(values[c.values[0]] for c in layer.classes)
    assert layer.no_data is not None
    assert layer.class_of(None) is layer.no_data
    assert styles["exact", "hotspots", "class_all"].note is not None


def test_zooms_of_a_family_cover_every_zoom_once(styles: Styles):
    for family, expected in {
        "hotspots": {10: (14, None), 9: (0, 14)},
        "hex_incidents": {10: (14, None), 9: (12, 14)},
    }.items():
        style = next(s for (form, f, _), s in styles.items() if f == family and s.default)
        for resolution, zooms in expected.items():
            layer = style.layer(family if resolution == 10 else f"{family}_r{resolution}")
            assert (layer.min_zoom, layer.max_zoom) == zooms
        for zoom in range(23):
            drawn = [x for x in style.layers if x.min_zoom <= zoom and (x.max_zoom is None or zoom < x.max_zoom)]
            assert len(drawn) == 1, (family, zoom)


def test_records_by_theme_in_the_order_of_the_city_file(styles: Styles):
    layer = styles["exact", "incidents", "theme"].layer("incidents")
    assert [c.label.fr for c in layer.classes] == ["Vols", "Bruit", "Hors nomenclature", "Autres"]
    assert layer.counts == (8, 4, 4, 4)
    rest = layer.class_of("jamais vu")
    assert rest is not None
    assert rest.rest
    assert styles["exact", "events", "nature"].symbol is Symbol.MIXED
    period = styles["exact", "incidents", "theme"].period
    assert period is not None
    assert [d.isoformat() for d in period] == ["2024-01-01", "2024-01-20"]


def test_density_counts_the_incidents_of_its_theme(styles: Styles, products: list[Product]):
    table = by_id(products, "hex_incidents").tables[Form.EXACT]
    assert styles["exact", "risk_density", "vols"].layers[0].n == sum(table.column("n_vols").to_pylist())
    assert styles["exact", "risk_density", "vols"].band == 2


def test_a_raster_without_its_values_is_refused(products: list[Product], city: City):
    with pytest.raises(ValueError, match="no values were given for band 'all'"):
        styles_for([by_id(products, "risk_density")], city)
