"""Products of the index: how many incidents each cell counts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from hexgrid.cells import cell_text
from hexgrid.cube import counts_by_cell, universe
from layers.city import ALL_THEMES, City, Text
from layers.home import Home
from layers.products import Column, Form, Grain, Kind, Product, ProductSpec

FAMILY = "hex_incidents"
COUNT_UNIT = "1"
AREA_UNIT = "m2"


def cell_product_id(family: str, resolution: int, *, default_resolution: int) -> str:
    """Return the id of a product keyed by cell: its family's name alone at the default resolution."""
    return family if resolution == default_resolution else f"{family}_r{resolution}"


def key_column() -> Column:
    """Column ``h3`` of every product keyed by cell."""
    return Column(
        name="h3",
        kind=Kind.KEY,
        title=Text(fr="Cellule H3", en="H3 cell"),
        description=Text(
            fr="Indice H3 de la cellule, en 15 caractères hexadécimaux.",
            en="H3 index of the cell, 15 hexadecimal characters.",
        ),
    )


def land_area_column() -> Column:
    """Column ``land_area_m2`` of every product keyed by cell."""
    return Column(
        name="land_area_m2",
        kind=Kind.MEASURE,
        title=Text(fr="Surface terrestre", en="Land area"),
        unit=AREA_UNIT,
        description=Text(
            fr="Surface de la cellule située sur la terre ferme, somme de ses cellules de base.",
            en="Area of the cell that lies on land, the sum over its base cells.",
        ),
    )


def count_columns(city: City) -> tuple[Column, ...]:
    """Columns ``n`` and ``n_<theme>`` of every product that counts incidents."""
    every = Column(
        name="n",
        kind=Kind.COUNT,
        title=Text(fr="Incidents", en="Incidents"),
        unit=COUNT_UNIT,
        theme=ALL_THEMES,
        description=Text(
            fr="Incidents de la période d'analyse, hors catégories sensibles.",
            en="Incidents of the analysis period, sensitive categories left out.",
        ),
    )
    themes = (
        Column(
            name=f"n_{key}",
            kind=Kind.COUNT,
            title=Text(fr=f"Incidents : {theme.title.fr}", en=f"Incidents: {theme.title.en}"),
            unit=COUNT_UNIT,
            theme=key,
        )
        for key, theme in city.taxonomy.themes.items()
    )
    return (every, *themes)


def hex_products(city: City, home: Home) -> list[Product]:
    """Return the counts per cell, one product for each resolution of the city file.

    Parameters
    ----------
    city
        The city file.
    home
        Home folder whose cube is complete.

    Returns
    -------
    list of Product
        ``hex_incidents`` at the default resolution and ``hex_incidents_r<res>`` at the others, exact form, cells with
        land or counted records, in cell order. Empty when the city counts no incident.
    """
    products = [_product(city, home, resolution) for resolution in city.grid.resolutions]
    return [product for product in products if _counts_something(product)]


def _product(city: City, home: Home, resolution: int) -> Product:
    counts = counts_by_cell(city, home, resolution)
    land_m2 = universe(home, resolution).column("land_area_m2").to_numpy()
    numbers = counts.drop_columns(["cell"])
    counted = np.any([column.to_numpy() > 0 for column in numbers.columns], axis=0)
    cells = pa.array(cell_text(counts.column("cell").to_numpy()).tolist(), pa.string())
    table = numbers.add_column(0, "h3", cells).append_column("land_area_m2", pa.array(land_m2))
    return Product(_spec(city, resolution), {Form.EXACT: table.filter(pa.array(counted | (land_m2 > 0)))})


def _spec(city: City, resolution: int) -> ProductSpec:
    start, end = city.analysis.start, city.analysis.end
    return ProductSpec(
        id=cell_product_id(FAMILY, resolution, default_resolution=city.grid.default_resolution),
        family=FAMILY,
        title=Text(
            fr=f"Incidents par cellule (H3, résolution {resolution})",
            en=f"Incidents by cell (H3, resolution {resolution})",
        ),
        description=Text(
            fr="Nombre d'incidents localisés sur la terre ferme, "
            f"du {start:%d/%m/%Y} au {end:%d/%m/%Y}, par cellule H3.",
            en=f"Number of incidents located on land, from {start} to {end}, by H3 cell.",
        ),
        grain=Grain.CELL,
        key="h3",
        columns=(key_column(), *count_columns(city), land_area_column()),
        resolution=resolution,
        method=Text(
            fr="Chaque incident est compté dans sa cellule de base (résolution 11), puis additionné selon la "
            "hiérarchie H3 : une cellule est exactement la somme de ses enfants.",
            en="Each incident is counted in its base cell (resolution 11), then summed along the H3 hierarchy: "
            "a cell is exactly the sum of its children.",
        ),
        parameters={"start": start.isoformat(), "end": end.isoformat(), "base_resolution": city.grid.base_resolution},
        references=("https://h3geo.org/docs/core-library/h3Indexing/",),
        attribution=city.city.attribution,
    )


def _counts_something(product: Product) -> bool:
    table = product.tables[Form.EXACT]
    return any(bool((table.column(c.name).to_numpy() > 0).any()) for c in product.spec.columns if c.kind is Kind.COUNT)
