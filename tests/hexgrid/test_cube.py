"""What every floor reads: counts by cell, and the products made of them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import h3
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from hexgrid.cells import cell_text
from hexgrid.cube import counts_by_cell, universe
from hexgrid.errors import CellError
from hexgrid.products import hex_products
from layers.city import City
from layers.errors import LakeError
from layers.home import Home
from layers.products import Form, Grain, Kind, Product
from layers.steps import latest_stage
from support import grid_oracle as oracle
from support.grid_city import city_document

SENSITIVE = {"sans_gravite", "intrafamilial"}


@pytest.fixture(scope="module")
def counted(incidents: pa.Table):
    return oracle.in_statistics(oracle.records(incidents), dt.date(2024, 1, 1), dt.date(2024, 12, 31))


@pytest.mark.parametrize("resolution", [11, 10, 9, 6, 5])
def test_counts_by_cell_equal_a_loop_over_the_records(city: City, home: Home, counted: pd.DataFrame, resolution: int):
    """Resolution 11 comes from the base facts, 5 is rolled up on read, the others are stored."""
    table = counts_by_cell(city, home, resolution)
    assert table.column("cell").equals(universe(home, resolution).column("cell"))
    assert table.column_names == ["cell", "n", "n_nuit", "n_routes", "n_familles"]
    cells = counted["cell"].map(lambda cell: h3.cell_to_parent(cell, resolution))
    for name, kept in {
        "n": ~counted["category"].isin(SENSITIVE),
        "n_nuit": counted["theme"] == "nuit",
        "n_routes": counted["theme"] == "routes",
        "n_familles": counted["theme"] == "familles",
    }.items():
        expected = cells[kept].value_counts().to_dict()
        values = table.column(name).to_numpy()
        assert values.dtype == np.int64
        found = dict(zip(cell_text(table.column("cell").to_numpy()), values, strict=True))
        assert {cell: n for cell, n in found.items() if n} == expected


def test_unmapped_records_count_in_n_only(city: City, home: Home, counted: pd.DataFrame):
    table = counts_by_cell(city, home, 9)
    total = {name: int(table.column(name).to_numpy().sum()) for name in table.column_names[1:]}
    unmapped = int((counted["theme"] == "unmapped").sum())
    minor = int((counted["category"] == "sans_gravite").sum())
    assert total["n"] == total["n_nuit"] + total["n_routes"] - minor + unmapped


def test_what_is_finer_than_the_base_or_not_indexed_is_refused(city: City, home: Home, tmp_path: Path):
    with pytest.raises(CellError, match="resolution 12: the cube goes from 0 to its base, 11"):
        counts_by_cell(city, home, 12)
    with pytest.raises(LakeError, match="universe_r11"):
        counts_by_cell(city, Home(tmp_path), 9)


@pytest.fixture(scope="module")
def products(city: City, home: Home):
    return {product.spec.id: product for product in hex_products(city, home)}


def test_one_product_for_each_resolution_of_the_city_file(products: dict[str, Product], home: Home):
    assert list(products) == [
        "hex_incidents",
        "hex_incidents_r9",
        "hex_incidents_r8",
        "hex_incidents_r7",
        "hex_incidents_r6",
    ]
    stage = latest_stage(home, "index")
    assert stage is not None
    assert [product.spec for product in stage.products()] == [product.spec for product in products.values()]
    for product in products.values():
        spec = product.spec
        assert (spec.family, spec.grain, spec.key, product.forms) == ("hex_incidents", Grain.CELL, "h3", (Form.EXACT,))
        assert [c.name for c in spec.columns] == ["h3", "n", "n_nuit", "n_routes", "n_familles", "land_area_m2"]
        assert [c.theme for c in spec.columns if c.kind is Kind.COUNT] == ["all", "nuit", "routes", "familles"]


def test_products_hold_the_cells_with_land_or_counted_records(products: dict[str, Product], city: City, home: Home):
    for product in products.values():
        resolution = product.spec.resolution
        assert resolution is not None
        table = product.tables[Form.EXACT]
        counts = counts_by_cell(city, home, resolution)
        land = universe(home, resolution).column("land_area_m2").to_numpy()
        kept = (land > 0) | np.any([c.to_numpy() > 0 for c in counts.columns[1:]], axis=0)
        assert 0 < kept.sum() < kept.size or resolution < 9
        assert table.column("h3").to_pylist() == cell_text(counts.column("cell").to_numpy()[kept]).tolist()
        assert all(h3.is_valid_cell(text) for text in table.column("h3").to_pylist())
        for name in ("n", "n_nuit", "n_routes", "n_familles"):
            assert table.column(name).to_numpy().sum() == counts.column(name).to_numpy().sum() > 0


def test_the_default_resolution_of_the_city_file_has_the_bare_name(home: Home):
    document = city_document() | {"grid": {"resolutions": (9, 8), "default_resolution": 8}}
    ids = [product.spec.id for product in hex_products(City.model_validate(document), home)]
    assert ids == ["hex_incidents_r9", "hex_incidents"]
