"""Tables of a resolution that the city file lists no more stay in the lake: they must not be read for today's."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow as pa
import shapely

from hexgrid.cube import counts_by_cell, month_name, universe, universe_name
from hexgrid.marginals import MONTH_KEYS, MONTH_SCHEMA
from layers.lake import cube_table
from support.city_on_land import FIRST_DAY, fill_home, incidents_table, land_universe, points_on, small_city

LAND = shapely.Point(5.40, 43.32).buffer(0.02)


def test_marginals_and_universe_of_another_cube_are_not_read(tmp_path: Path):
    points = points_on(LAND, 300, np.random.default_rng(1))
    days = [FIRST_DAY + dt.timedelta(days=i) for i in range(300)]
    home = fill_home(tmp_path, LAND, land_universe(LAND), incidents_table(points, ["vols"] * 300, days))
    city = small_city(("vols",))
    cells = universe(home, 9)
    old = {"incidents": "of another delivery"}
    row = {"cell": cells["cell"][0].as_py(), "theme": "vols", "category": "vols_a", "month": FIRST_DAY, "n": 7}
    stale = pa.Table.from_pylist([row], schema=MONTH_SCHEMA)
    cube_table(home, month_name(9)).commit({None: stale}, inputs=old, sort_by=MONTH_KEYS)
    cube_table(home, universe_name(9)).commit({None: cells.slice(0, 1)}, inputs=old, sort_by=["cell"])
    assert universe(home, 9).equals(cells)
    assert sum(counts_by_cell(city, home, 9)["n_vols"].to_pylist()) == 300
