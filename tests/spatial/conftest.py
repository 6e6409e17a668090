"""Cells of the sample city's land, with the sea that they are cut by."""

from __future__ import annotations

import pyarrow as pa
import pytest
import shapely

from hexgrid.cells import neighbour_matrix
from hexgrid.universe import parent_universe, planar_areas
from spatial.neighbourhoods import neighbourhoods, share_steps
from support.city_on_land import METRIC, LandCells, land_universe, marseille_land


@pytest.fixture(scope="session")
def land() -> shapely.Geometry:
    return marseille_land()


@pytest.fixture(scope="session")
def base_cells(land: shapely.Geometry) -> pa.Table:
    return land_universe(land)


@pytest.fixture(scope="session")
def land_cells(base_cells: pa.Table) -> dict[int, LandCells]:
    """Resolution → cells."""
    found = {}
    for resolution in (9, 10):
        universe = parent_universe(base_cells, resolution)
        cells = universe.column("cell").to_numpy()
        area_m2, land_m2 = planar_areas(cells, METRIC), universe.column("land_area_m2").to_numpy()
        places = neighbourhoods(neighbour_matrix(cells), share_steps(land_m2, area_m2))
        found[resolution] = LandCells(cells, area_m2, land_m2, places)
    return found
