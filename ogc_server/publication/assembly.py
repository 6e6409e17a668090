"""Building a run from products: files, store, tiles, styles, manifest, and the switch to it."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from layers.city import City
from layers.digests import digest_file
from layers.home import Home
from layers.products import Form, Grain, Kind, Product
from layers.runs import Run, RunBuilder, RunFile, RunManifest, RunProduct
from layers.steps import Figure, ProgressCallback, no_progress
from ogc_server.publication.files import write_embedded_store, write_geoparquet
from ogc_server.publication.identity import RunIdentity
from ogc_server.publication.rows import Rows, prepare
from ogc_server.publication.tiles import bake, family_layers
from ogc_server.stores.store import STORE_FILE
from styles.catalogue import styles_for
from styles.files import write_styles
from styles.model import Style

STORE = "store"
"""Name of the embedded store among the manifest's files; tiles are ``tiles/<form>/<family>``."""


@dataclass(eq=False)
class _Building:
    """A run being built: its folder, and what its manifest will say."""

    folder: Path
    city: City
    rows: list[Rows] = field(default_factory=list)
    products: list[RunProduct] = field(default_factory=list)
    files: dict[str, RunFile] = field(default_factory=dict)


def assemble(
    products: Sequence[Product],
    city: City,
    home: Home,
    *,
    identity: RunIdentity,
    figures: Mapping[str, Figure] | None = None,
    progress: ProgressCallback = no_progress,
) -> Run:
    """Build a run, bring it out whole and make it the current one.

    Parameters
    ----------
    products
        All that is published, in the order of the collections.
    city
        Its city.
    home
        Where runs live.
    identity
        What the products were made from.
    figures
        Counts that go with every map.
    progress
        Told what is being written.

    Returns
    -------
    Run
        The run, whole on disk; ``runs/current`` points at it.
    """
    run_id = identity.run_id
    with RunBuilder(home, run_id) as builder:
        building = _Building(builder.folder, city)
        progress("fichiers / files", 0.0)
        for product in products:
            building.products.append(_write_product(building, product))
        progress("base embarquée / embedded store", 0.3)
        _write_store(building)
        progress("styles", 0.5)
        styles = styles_for(products, city, bands=_raster_values(products))
        entries = write_styles(styles, building.folder / "styles")
        progress("tuiles / tiles", 0.6)
        _write_tiles(building, styles)
        progress("mise en service / switching", 0.95)
        manifest = RunManifest(
            run_id=run_id,
            city_id=identity.city_id,
            as_of=identity.as_of,
            inputs=dict(identity.inputs),
            city=identity.city,
            code=identity.code,
            lock=identity.lock,
            parameters=dict(identity.parameters),
            products=tuple(building.products),
            files=building.files,
            styles=entries,
            figures=dict(figures or {}),
        )
        return builder.finish(manifest)


def _write_product(building: _Building, product: Product) -> RunProduct:
    """Write a product's files, one for each of its forms."""
    forms: dict[Form, RunFile] = {}
    for form in product.forms:
        suffix = "tif" if product.spec.grain is Grain.RASTER else "parquet"
        place = f"products/{product.spec.id}/{form}.{suffix}"
        path = building.folder / place
        if product.spec.grain is Grain.RASTER:
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(product.rasters[form], path)
            forms[form] = RunFile(path=place, digest=digest_file(path))
            continue
        rows = prepare(product, form, metric_crs=building.city.city.metric_crs)
        building.rows.append(rows)
        forms[form] = RunFile(path=place, digest=write_geoparquet(rows, path), rows=rows.table.num_rows)
    return RunProduct(spec=product.spec, forms=forms)


def _write_store(building: _Building) -> None:
    path = building.folder / STORE_FILE
    digest = write_embedded_store(building.rows, path, metric_crs=building.city.city.metric_crs)
    building.files[STORE] = RunFile(path=STORE_FILE, digest=digest, rows=sum(r.table.num_rows for r in building.rows))


def _write_tiles(building: _Building, styles: Sequence[Style]) -> None:
    digests = {(form, p.spec.id): file.digest for p in building.products for form, file in p.forms.items()}
    baked: dict[object, Path] = {}
    families: dict[tuple[Form, str], list[Rows]] = defaultdict(list)
    for rows in building.rows:
        families[rows.form, rows.spec.family].append(rows)
    for (form, family), members in families.items():
        layers = family_layers(members, building.city.grid.tile_resolutions)
        if not layers:
            continue  # no row has a position
        drawn = {s.attribute for s in styles if s.form == form and s.family == family and s.attribute}
        place = f"tiles/{form}/{family}.pmtiles"
        path = building.folder / place
        # the forms of a zone level are the same rows: they are baked once
        same = (family, frozenset(drawn), tuple(digests[form, layer.rows.spec.id] for layer in layers))
        if same in baked:
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(baked[same], path)
        else:
            bake(layers, path, attributes=drawn)
            baked[same] = path
        building.files[f"tiles/{form}/{family}"] = RunFile(path=place, digest=digest_file(path))


def _raster_values(products: Sequence[Product]) -> dict[str, dict[str, NDArray[np.floating]]]:
    """Read the bands of raster products, NaN where there is no value: classes of their styles come from them."""
    values: dict[str, dict[str, NDArray[np.floating]]] = {}
    for product in products:
        if product.spec.grain is not Grain.RASTER:
            continue
        names = [c.name for c in product.spec.columns if c.kind is Kind.DENSITY]
        bands: dict[str, Any] = {}
        for path in product.rasters.values():
            with rasterio.open(path) as source:
                order = [d if d in names else n for d, n in zip(source.descriptions, names, strict=True)]
                read = source.read(masked=True).filled(np.nan)
            bands |= dict(zip(order, read, strict=True))
        values[product.spec.id] = bands
    return values
