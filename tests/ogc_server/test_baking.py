"""Vector tiles, read back by GDAL: every feature, its id, its shape, at the zooms that the city wants."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyogrio
import pytest
import shapely
import sqlalchemy as sa

from layers.products import Form, Product
from layers.runs import Run
from ogc_server.archives import TileArchive
from ogc_server.publication.rows import Rows, prepare
from ogc_server.publication.tiles import THINNED_ABOVE_ROWS, WHOLE_FROM_ZOOM, bake, family_layers
from ogc_server.stores import Store
from support.synthetic import CENTRE_LAT, CENTRE_LON, INCIDENTS, NOT_LOCATED, synthetic_city, synthetic_products

LAST_ZOOM = 15


def archive_of(run: Run, family: str, form: str = "exact") -> Path:
    return run.folder / run.manifest.files[f"tiles/{form}/{family}"].path


def read_layer(path: Path, layer: str, zoom: int) -> gpd.GeoDataFrame:
    """Features of all tiles of a zoom; one that lies in two tiles comes twice."""
    return pyogrio.read_dataframe(path, layer=layer, ZOOM_LEVEL=zoom)


def prepared(collection: str) -> Rows:
    product = next(p for p in synthetic_products() if p.spec.id == collection)
    return prepare(product, Form.EXACT, metric_crs="EPSG:2154")


@pytest.mark.parametrize(("collection", "zooms"), [("hotspots_r9", (6, 10, 13)), ("hotspots", (14, 15))])
def test_a_tile_knows_each_cell_by_the_id_of_the_store(
    synthetic_run: Run, embedded_store: Store, collection: str, zooms: tuple[int, ...]
):
    table = embedded_store.table(Form.EXACT, collection)
    columns = [table.c[n] for n in ("fid", "h3", "n", "class_all", "class_vols", "lisa_all")]
    with embedded_store.engine.connect() as connection:
        stored = {row.fid: tuple(row)[1:] for row in connection.execute(sa.select(*columns))}
    for zoom in zooms:
        tiles = read_layer(archive_of(synthetic_run, "hotspots"), collection, zoom)
        assert set(tiles.mvt_id) == set(stored)
        for row in tiles.itertuples():
            assert (row.h3, row.n, row.class_all, row.class_vols, row.lisa_all) == stored[row.mvt_id]


def test_each_zoom_has_exactly_one_resolution(synthetic_run: Run):
    path = archive_of(synthetic_run, "hotspots")
    declared = {layer["id"]: (layer["minzoom"], layer["maxzoom"]) for layer in TileArchive(path).vector_layers}
    assert declared == {"hotspots_r9": (0, 13), "hotspots": (14, LAST_ZOOM)}
    for zoom in range(8, LAST_ZOOM + 1):
        drawn = [c for c in declared if len(read_layer(path, c, zoom))]
        assert drawn == (["hotspots_r9"] if zoom <= 13 else ["hotspots"])


def test_hexagons_in_tiles_lie_where_they_lie(synthetic_run: Run):
    """Within two units of a tile of 4096: 0.6 m at zoom 15 on the ground, 1.2 m in Web Mercator."""
    rows = prepared("hotspots")
    shapes = gpd.GeoSeries(rows.shapes, crs=4326).to_crs(3857)
    tiles = read_layer(archive_of(synthetic_run, "hotspots"), "hotspots", LAST_ZOOM)
    whole = tiles.dissolve("mvt_id")
    unit = 2 * 20_037_508.342789244 / 2**LAST_ZOOM / 4096
    worst = max(
        shapely.hausdorff_distance(s, shapes[fid - 1]) for fid, s in whole.geometry.items() if s.geom_type == "Polygon"
    )
    assert worst < 2 * unit
    assert len(whole) == len(shapes)


def test_points_and_polygons_of_events_are_both_there(synthetic_run: Run):
    tiles = read_layer(archive_of(synthetic_run, "events"), "events", LAST_ZOOM)
    kinds = {fid: g.geom_type.removeprefix("Multi") for fid, g in zip(tiles.mvt_id, tiles.geometry, strict=True)}
    rows = prepared("events")
    assert kinds == {fid: s.geom_type for fid, s in enumerate(rows.shapes[: rows.located], start=1)}
    assert set(kinds.values()) == {"Point", "Polygon"}


def test_records_without_a_position_are_in_no_tile_and_a_few_points_are_never_thinned(synthetic_run: Run):
    for zoom in (3, 9, LAST_ZOOM):
        tiles = read_layer(archive_of(synthetic_run, "incidents"), "incidents", zoom)
        assert set(tiles.mvt_id) == set(range(1, INCIDENTS - NOT_LOCATED + 1))
        assert set(tiles.columns) == {"mvt_id", "id", "theme", "geometry"}


def test_every_form_of_a_zone_level_has_its_own_archive(synthetic_run: Run):
    contents = {archive_of(synthetic_run, "quartiers", form).read_bytes() for form in Form}
    assert len(contents) == 1
    tiles = read_layer(archive_of(synthetic_run, "quartiers", "public"), "quartiers", 12)
    assert set(tiles.key) == {f"q{i}" for i in range(9)}
    assert "Œillets" in set(tiles.name)


def test_other_products_have_no_tiles_below_the_exact_form(synthetic_run: Run):
    below = {name for name in synthetic_run.manifest.files if name.startswith("tiles/") and "/exact/" not in name}
    assert below == {f"tiles/{form}/quartiers" for form in ("planner", "partner", "public")}


def test_many_points_are_thinned_at_low_zooms_only_and_the_same_way_each_time(tmp_path: Path):
    size = 2 * THINNED_ABOVE_ROWS
    rng = np.random.default_rng(3)
    points = shapely.points(CENTRE_LON + rng.normal(0, 0.03, size), CENTRE_LAT + rng.normal(0, 0.03, size))
    source = next(p for p in synthetic_products() if p.spec.id == "quartiers")
    spec = source.spec.model_copy(update={"geometry_type": "Point"})
    table = pa.table(
        {
            "key": [f"{i:05d}" for i in range(size)],
            "name": ["x"] * size,
            "area_m2": np.ones(size),
            "geometry": pa.array(shapely.to_wkb(points), pa.binary()),
        }
    )
    rows = prepare(Product(spec, {Form.EXACT: table}), Form.EXACT, metric_crs="EPSG:2154")
    for name in ("a", "b"):
        bake(family_layers([rows], {}), tmp_path / f"{name}.pmtiles")
    assert (tmp_path / "a.pmtiles").read_bytes() == (tmp_path / "b.pmtiles").read_bytes()
    kept = {
        z: set(read_layer(tmp_path / "a.pmtiles", "quartiers", z).mvt_id) for z in (9, 13, WHOLE_FROM_ZOOM, LAST_ZOOM)
    }
    assert kept[WHOLE_FROM_ZOOM] == kept[LAST_ZOOM] == set(range(1, size + 1))
    assert 0 < len(kept[9]) < len(kept[13]) < size / 2


def test_layers_that_share_a_zoom_or_are_missing_are_refused(tmp_path: Path):
    layers = family_layers([prepared("hotspots"), prepared("hotspots_r9")], synthetic_city().grid.tile_resolutions)
    assert [(layer.rows.spec.id, layer.min_zoom, layer.max_zoom) for layer in layers] == [
        ("hotspots_r9", 0, 13),
        ("hotspots", 14, LAST_ZOOM),
    ]
    with pytest.raises(ValueError, match="share a zoom"):
        bake([dataclasses.replace(layers[0], max_zoom=14), layers[1]], tmp_path / "x.pmtiles")
    with pytest.raises(ValueError, match="no layer"):
        bake([], tmp_path / "x.pmtiles")
    assert list(tmp_path.iterdir()) == []


def test_the_finest_resolution_alone_serves_every_zoom():
    layers = family_layers([prepared("hotspots")], synthetic_city().grid.tile_resolutions)
    assert [(layer.min_zoom, layer.max_zoom) for layer in layers] == [(0, LAST_ZOOM)]
