"""Reading the cube: the one way in which every floor obtains counts by cell."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hexgrid.cells import Cells, parents
from hexgrid.errors import CellError
from hexgrid.facts import BASE_RESOLUTION
from hexgrid.marginals import Period, counted
from hexgrid.universe import parent_universe
from layers.city import City
from layers.home import Home
from layers.lake import cube_table

BASE = "base"


def month_name(resolution: int) -> str:
    """Table of counts by cell, category and month."""
    return f"cell_month_r{resolution}"


def week_name(resolution: int) -> str:
    """Table of counts by cell, category, day of week and hour."""
    return f"cell_week_r{resolution}"


def universe_name(resolution: int) -> str:
    """Table of the cells that exist at a resolution."""
    return f"universe_r{resolution}"


def universe(home: Home, resolution: int) -> pa.Table:
    """Return the cells of a resolution, in order, with ``area_m2`` and ``land_area_m2`` (the city's metric CRS).

    A resolution that is not stored is rolled up from the nearest finer one that is.

    Raises
    ------
    LakeError
        If the city has not been indexed.
    CellError
        If ``resolution`` is finer than the base.
    """
    _not_finer_than_base(resolution)
    finer = range(resolution, BASE_RESOLUTION)
    stored = next((r for r in finer if _is_current(home, universe_name(r))), BASE_RESOLUTION)
    table = cube_table(home, universe_name(stored)).read()
    return table if stored == resolution else parent_universe(table, resolution)


def counts_by_cell(city: City, home: Home, resolution: int) -> pa.Table:
    """Count the on-land records of the analysis period in each cell of the universe.

    Parameters
    ----------
    city
        The city file: its taxonomy and analysis period.
    home
        Home folder whose city has been indexed.
    resolution
        H3 resolution, at most the base's. One without marginals is rolled up from the nearest finer one that has them,
        or from the base facts.

    Returns
    -------
    pyarrow.Table
        ``cell`` in the order of :func:`universe`, ``n`` (every record but those of sensitive categories) and
        ``n_<theme>`` (every record of the theme), all ``int64``. Unmapped codes count in ``n`` only.

    Raises
    ------
    LakeError
        If the city has not been indexed.
    CellError
        If ``resolution`` is finer than the base.
    """
    cells = universe(home, resolution).column("cell").to_numpy()
    facts = _category_counts(city, home, resolution)
    places = np.searchsorted(cells, facts.column("cell").to_numpy())
    n = facts.column("n").to_numpy()
    hidden = pa.array(sorted(city.taxonomy.sensitive_categories()), pa.string())
    sensitive = pc.is_in(facts.column("category"), value_set=hidden)
    columns = {"cell": cells, "n": _sums(places, n, ~np.asarray(sensitive), cells.size)}
    theme = facts.column("theme").combine_chunks()
    for name in city.taxonomy.themes:
        columns[f"n_{name}"] = _sums(places, n, np.asarray(pc.equal(theme, name)), cells.size)
    return pa.table(columns)


def _category_counts(city: City, home: Home, resolution: int) -> pa.Table:
    """Cell (at ``resolution``), theme, category and n; cells may be repeated."""
    for stored in range(resolution, BASE_RESOLUTION):
        if _is_current(home, month_name(stored)):
            facts = cube_table(home, month_name(stored)).read(["cell", "theme", "category", "n"])
            break
    else:
        whole = cube_table(home, BASE).read(["cell", "on_land", "theme", "category", "date", "n"])
        facts = counted(whole, Period(city.analysis.start, city.analysis.end))
    cells = parents(facts.column("cell").to_numpy(), resolution)
    return facts.set_column(facts.column_names.index("cell"), "cell", pa.array(cells))


def _is_current(home: Home, name: str) -> bool:
    """Whether a table was made with the present base facts: one of a resolution no longer listed stays behind."""
    base, table = cube_table(home, BASE).latest(), cube_table(home, name).latest()
    return table is not None and base is not None and dict(table.inputs) == dict(base.inputs)


def _sums(places: Cells, n: NDArray[np.int64], kept: NDArray[np.bool_], size: int) -> NDArray[np.int64]:
    total = np.zeros(size, dtype=np.int64)
    np.add.at(total, places[kept], n[kept])
    return total


def _not_finer_than_base(resolution: int) -> None:
    if not 0 <= resolution <= BASE_RESOLUTION:
        raise CellError(f"resolution {resolution}: the cube goes from 0 to its base, {BASE_RESOLUTION}")
