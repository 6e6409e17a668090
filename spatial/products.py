"""The step ``analyse``: hot spots and Moran of every theme, at the resolutions that the city file asks for."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from hexgrid.cells import cell_text, neighbour_matrix
from hexgrid.cube import BASE, counts_by_cell, universe, universe_name
from hexgrid.facts import BASE_RESOLUTION
from hexgrid.products import cell_product_id, key_column
from hexgrid.universe import planar_areas
from layers.city import ALL_THEMES, City
from layers.digests import code_digest, digest_json, lock_digest
from layers.home import Home
from layers.lake import cube_table
from layers.products import Form, Product
from layers.steps import Figure, ProgressCallback, Stage, StepReport, no_progress
from spatial.errors import TooCoarseError
from spatial.exact_tail import P_FLOOR
from spatial.neighbourhoods import SHARE_STEPS, Ints
from spatial.slices import Analysis, SliceParameters, analyse_slices
from spatial.specs import FAMILY, hotspot_spec

STEP = "analyse"
_MORAN_DIGITS = 6


def analyse(city: City, home: Home, *, progress: ProgressCallback | None = None) -> StepReport:
    """Find what stands out: products ``hotspots`` (default resolution) and ``hotspots_r<res>``.

    Parameters
    ----------
    city
        The city file.
    home
        Home folder whose city has been indexed.
    progress
        Called with a message and the fraction done.

    Returns
    -------
    StepReport
        Skipped when no input has changed. Figures: hot and cold cells of all incidents, and Moran's I, by resolution.
        A resolution that is too coarse for the city's land to hold a reference has no product, and ``left_out_r<res>``
        says why.

    Raises
    ------
    LakeError
        If the city has not been indexed.
    """
    started = time.monotonic()
    key = digest_json(analyse_inputs(city, home))
    stage = Stage(home, STEP, key)
    if stage.complete:
        stage.point()
        return StepReport(STEP, key, skipped=True, seconds=time.monotonic() - started, figures=stage.figures())
    tell = progress or no_progress
    stage.begin()
    products: list[Product] = []
    figures: dict[str, Figure] = {}
    resolutions = city.analysis.hotspots.resolutions
    for i, resolution in enumerate(resolutions):
        tell(f"points chauds, résolution {resolution}", i / len(resolutions))
        try:
            found = _analyse_resolution(city, home, resolution)
        except TooCoarseError as error:
            figures[f"left_out_r{resolution}"] = str(error)
            continue
        if found is not None:
            product, analysis = found
            products.append(product)
            figures |= _figures(product, analysis, resolution)
    stage.finish(products, figures)
    tell("analyse terminée", 1.0)
    return StepReport(STEP, key, skipped=False, seconds=time.monotonic() - started, figures=figures)


def analyse_inputs(city: City, home: Home) -> dict[str, str]:
    """Return name → digest of everything that decides the products."""
    facts = cube_table(home, BASE).latest()
    cells = cube_table(home, universe_name(BASE_RESOLUTION)).latest()
    settings = {
        "metric_crs": city.city.metric_crs,
        "attribution": city.city.attribution,
        "default_resolution": city.grid.default_resolution,
        "resolutions": city.grid.resolutions,
        "taxonomy": list(city.taxonomy.model_dump(mode="json")["themes"].items()),
        "period": [city.analysis.start.isoformat(), city.analysis.end.isoformat()],
        "hotspots": city.analysis.hotspots.model_dump(mode="json"),
    }
    return {
        "facts": facts.digest if facts else "",
        "universe": cells.digest if cells else "",
        "settings": digest_json(settings),
        "code": code_digest("layers", "hexgrid", "spatial"),
        "lock": lock_digest(),
    }


def _analyse_resolution(city: City, home: Home, resolution: int) -> tuple[Product, Analysis] | None:
    """Return the product of a resolution, or None where nothing was counted."""
    chosen = city.analysis.hotspots
    table = counts_by_cell(city, home, resolution)
    cells = table.column("cell").to_numpy()
    counts = _slices(city, table)
    if not any(count.any() for count in counts.values()):
        return None
    land_m2 = universe(home, resolution).column("land_area_m2").to_numpy()
    analysis = analyse_slices(
        counts,
        neighbour_matrix(cells, chosen.rings),
        # The universe's own area leaves out children that are all sea: a share of the whole cell needs the whole cell.
        area_m2=planar_areas(cells, city.city.metric_crs),
        land_area_m2=land_m2,
        parameters=SliceParameters(alpha=chosen.alpha, permutations=chosen.permutations, seed=chosen.seed),
    )
    spec = hotspot_spec(
        city,
        cell_product_id(FAMILY, resolution, default_resolution=city.grid.default_resolution),
        resolution,
        parameters=_parameters(city, analysis),
    )
    values: dict[str, Any] = {
        key_column().name: pa.array(cell_text(cells).tolist(), pa.string()),
        "n": table.column("n"),
        **{f"n_{theme}": table.column(f"n_{theme}") for theme in city.taxonomy.themes},
        **analysis.columns,
        "land_area_m2": pa.array(land_m2),
    }
    counted = np.any([count > 0 for count in counts.values()], axis=0)
    rows = pa.table([values[column.name] for column in spec.columns], names=[column.name for column in spec.columns])
    return Product(spec, {Form.EXACT: rows.filter(pa.array(counted | (land_m2 > 0)))}), analysis


def _slices(city: City, table: pa.Table) -> dict[str, Ints]:
    """Return the counts of every slice, in the order of the columns."""
    return {
        theme: table.column("n" if theme == ALL_THEMES else f"n_{theme}").to_numpy() for theme in city.theme_columns
    }


def _parameters(city: City, analysis: Analysis) -> dict[str, Any]:
    chosen = city.analysis.hotspots
    return {
        "start": city.analysis.start.isoformat(),
        "end": city.analysis.end.isoformat(),
        "rings": chosen.rings,
        "alpha": chosen.alpha,
        "permutations": chosen.permutations,
        "land_share_step": 1 / SHARE_STEPS,
        "p_floor": P_FLOOR,
        "cells_tested": analysis.cells_tested,
        "cells_of_reference": analysis.cells_whole,
        "global_moran": {name: _moran_document(analysis, name) for name in analysis.moran},
    }


def _moran_document(analysis: Analysis, name: str) -> Mapping[str, float | int] | None:
    found = analysis.moran[name]
    if found is None:
        return None
    return {
        "i": round(found.statistic, _MORAN_DIGITS),
        "expected": round(found.expectation, _MORAN_DIGITS),
        "z": round(found.z, 4),
        "p": round(found.p, _MORAN_DIGITS),
        "permutations": found.permutations,
    }


def _figures(product: Product, analysis: Analysis, resolution: int) -> dict[str, Figure]:
    verdicts = product.tables[Form.EXACT].column(f"class_{ALL_THEMES}").to_pylist()
    moran = analysis.moran[ALL_THEMES]
    return {
        f"hot_cells_r{resolution}": sum(v is not None and v.startswith("hot") for v in verdicts),
        f"cold_cells_r{resolution}": sum(v is not None and v.startswith("cold") for v in verdicts),
        f"cells_tested_r{resolution}": analysis.cells_tested,
        **({f"moran_i_r{resolution}": round(moran.statistic, _MORAN_DIGITS)} if moran else {}),
    }
