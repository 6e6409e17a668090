"""The step ``surfaces``: kernel density of every theme, as one raster whose bands integrate to their incidents."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray

from hexgrid.universe import to_metric
from layers.city import ALL_THEMES, City
from layers.digests import code_digest, digest_json, lock_digest
from layers.home import Home
from layers.lake import layer_table
from layers.products import Form, Product
from layers.steps import Figure, ProgressCallback, Stage, StepReport, no_progress
from risk_surfaces.errors import SurfaceError
from risk_surfaces.geobox import Floats, GeoBox
from risk_surfaces.kernel_density import TRUNCATION, bin_points, density, integral, kernel_weights, smooth
from risk_surfaces.land_share import land_share
from risk_surfaces.raster import rounded, write_cog
from risk_surfaces.specs import PRODUCT_ID, UNIT, density_spec

STEP = "surfaces"
INTEGRAL_TOLERANCE = 1e-3
"""Relative: a band whose integral over land departs more from its incidents is not published."""


@dataclass(frozen=True)
class Incidents:
    """Located, on-land incidents of the analysis period.

    Attributes
    ----------
    x_m, y_m
        Shape (incidents,), the city's metric CRS.
    slices
        Slice (``all``, then themes) → mask of shape (incidents,).
    """

    x_m: Floats
    y_m: Floats
    slices: Mapping[str, NDArray[np.bool_]]


def surfaces(city: City, home: Home, *, progress: ProgressCallback | None = None) -> StepReport:
    """Spread incidents over the land: product ``risk_density``, one band per theme and all, events per km² and year.

    Parameters
    ----------
    city
        The city file.
    home
        Home folder whose layers have been ingested.
    progress
        Called with a message and the fraction done.

    Returns
    -------
    StepReport
        Skipped when no input has changed. Figures: pixels, and of each band the number of incidents
        (``n_<theme>``) and the integral of its published values over land (``integral_<theme>``).

    Raises
    ------
    LakeError
        If the layers have not been ingested.
    SurfaceError
        If a band does not integrate to its incidents.
    """
    started = time.monotonic()
    key = digest_json(surface_inputs(city, home))
    stage = Stage(home, STEP, key)
    if stage.complete:
        stage.point()
        return StepReport(STEP, key, skipped=True, seconds=time.monotonic() - started, figures=stage.figures())
    tell = progress or no_progress
    folder = stage.begin()
    tell("incidents localisés", 0.0)
    incidents = located_incidents(city, home)
    products: list[Product] = []
    figures: dict[str, Figure] = {}
    if incidents.x_m.size:
        product, figures = _risk_density(city, home, incidents, folder / PRODUCT_ID, tell)
        products.append(product)
    stage.finish(products, figures)
    tell("surfaces terminées", 1.0)
    return StepReport(STEP, key, skipped=False, seconds=time.monotonic() - started, figures=figures)


def surface_inputs(city: City, home: Home) -> dict[str, str]:
    """Return name → digest of everything that decides the products."""
    incidents, land = layer_table(home, "incidents").latest(), layer_table(home, "land").latest()
    settings = {
        "metric_crs": city.city.metric_crs,
        "attribution": city.city.attribution,
        "taxonomy": list(city.taxonomy.model_dump(mode="json")["themes"].items()),
        "period": [city.analysis.start.isoformat(), city.analysis.end.isoformat()],
        "density": city.analysis.density.model_dump(mode="json"),
    }
    return {
        "incidents": incidents.digest if incidents else "",
        "land": land.digest if land else "",
        "settings": digest_json(settings),
        "code": code_digest("layers", "hexgrid", "risk_surfaces"),
        "lock": lock_digest(),
    }


def located_incidents(city: City, home: Home) -> Incidents:
    """Read the incidents that a density is made of: located, on land, dated within the analysis period.

    As in the cube, a theme counts all its records, and ``all`` every record but those of sensitive categories.
    """
    table = layer_table(home, "incidents").read(["theme", "category", "date", "located", "on_land", "x_m", "y_m"])
    start, end = (pa.scalar(day, pa.date32()) for day in (city.analysis.start, city.analysis.end))
    in_period = pc.and_(pc.greater_equal(table.column("date"), start), pc.less_equal(table.column("date"), end))
    kept = table.filter(pc.and_(in_period, pc.and_(table.column("located"), table.column("on_land"))))
    sensitive = pc.is_in(kept.column("category"), pa.array(sorted(city.taxonomy.sensitive_categories()), pa.string()))
    theme = kept.column("theme").to_numpy()
    slices = {ALL_THEMES: ~np.asarray(sensitive), **{name: theme == name for name in city.taxonomy.themes}}
    return Incidents(
        x_m=kept.column("x_m").to_numpy(), y_m=kept.column("y_m").to_numpy(),
        slices={name: slices[name] for name in city.theme_columns},
    )  # fmt: skip


def _metric_land(city: City, home: Home) -> shapely.Geometry:
    stored = layer_table(home, "land").read(["geometry"]).column("geometry")[0].as_py()
    return to_metric(shapely.from_wkb(stored), city.city.metric_crs)


def _risk_density(
    city: City, home: Home, incidents: Incidents, folder: Path, tell: ProgressCallback
) -> tuple[Product, dict[str, Figure]]:
    """Compute, check and write every band."""
    chosen = city.analysis.density
    land = _metric_land(city, home)
    # With every record: an edge that is straight in degrees bends in metres, and a point beside it may lie beyond.
    reached = np.vstack([shapely.bounds(land).reshape(2, 2), np.column_stack([incidents.x_m, incidents.y_m])])
    (west, south), (east, north) = reached.min(axis=0).tolist(), reached.max(axis=0).tolist()
    box = GeoBox.covering((west, south, east, north), pixel_m=chosen.pixel_m, crs=city.city.metric_crs)
    share = land_share(land, box)
    weights = kernel_weights(chosen.bandwidth_m, chosen.pixel_m)
    mass = smooth(share, weights)
    bands: dict[str, NDArray[np.float32]] = {}
    figures: dict[str, Figure] = {"pixels": int((share > 0).sum())}
    for i, (name, mask) in enumerate(incidents.slices.items()):
        tell(f"densité : {name}", 0.1 + 0.8 * i / len(incidents.slices))
        counts = bin_points(incidents.x_m[mask], incidents.y_m[mask], box)
        per_km2 = density(counts, share, pixel_km2=box.pixel_km2, weights=weights, mass=mass)
        bands[name] = rounded(per_km2 / city.analysis.years)
        n = int(mask.sum())
        figures[f"n_{name}"] = n
        figures[f"integral_{name}"] = _checked_integral(name, bands[name], share, box, n, city.analysis.years)
    folder.mkdir()
    path = folder / f"{Form.EXACT}.tif"
    write_cog(path, bands, box, unit=UNIT)
    spec = density_spec(city, parameters=_parameters(city, box, figures))
    return Product(spec, rasters={Form.EXACT: path}), figures


def _checked_integral(name: str, band: NDArray[np.float32], share: Floats, box: GeoBox, n: int, years: float) -> float:
    """Integrate what is published over land and period; refuse what does not add up to the incidents."""
    found = integral(band, share, pixel_km2=box.pixel_km2) * years
    if abs(found - n) > INTEGRAL_TOLERANCE * n:
        raise SurfaceError(f"band {name!r} integrates to {found:.3f} incidents, and {n} are located on land")
    return round(found, 3)


def _parameters(city: City, box: GeoBox, figures: Mapping[str, Figure]) -> dict[str, object]:
    return {
        "start": city.analysis.start.isoformat(),
        "end": city.analysis.end.isoformat(),
        "years": round(city.analysis.years, 6),
        "kernel": "gaussian",
        "bandwidth_m": city.analysis.density.bandwidth_m,
        "truncation_bandwidths": TRUNCATION,
        "pixel_m": box.pixel_m,
        "edge_correction": "Diggle",
        "incidents": {name.removeprefix("n_"): n for name, n in figures.items() if name.startswith("n_")},
    }
