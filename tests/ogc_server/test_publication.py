"""What a run holds, that it is the same each time, and that nothing can leave half a run behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import geopandas as gpd
import h3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rasterio
import shapely
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from layers.digests import digest_file, digest_json
from layers.errors import CalanqueError, ProductError, RunError
from layers.home import Home
from layers.lake import layer_table
from layers.products import Form, Grain, Product
from layers.runs import Run, current_run_id, list_runs, open_run
from layers.steps import Stage
from ogc_server.publication import identity, publish
from ogc_server.publication.rows import prepare, rounded
from ogc_server.stores import Store, open_store
from ogc_server.stores.engines import open_duckdb
from styles.files import entries_of
from support.synthetic import INCIDENTS, NOT_LOCATED, build_synthetic_run, synthetic_city, synthetic_products

PROJECT = Path(__file__).resolve().parents[2]


def product_called(collection: str) -> Product:
    return next(p for p in synthetic_products() if p.spec.id == collection)


def prepare_exact(product: Product):
    return prepare(product, Form.EXACT, metric_crs="EPSG:2154")


def geo_of(path: Path) -> dict:
    return json.loads(pq.read_metadata(path).metadata[b"geo"])


# ---- files of a run


def test_the_bulk_download_is_geoparquet_that_others_read(synthetic_run: Run):
    """Requirements of GeoParquet 1.1.0; read by GeoPandas and by DuckDB."""
    path = synthetic_run.folder / "products/incidents/exact.parquet"
    geo = geo_of(path)
    column = geo["columns"][geo["primary_column"]]
    assert geo["version"] == "1.1.0"
    assert (column["encoding"], column["geometry_types"]) == ("WKB", ["Point"])
    frame = gpd.read_parquet(path)
    assert frame.crs.equals("OGC:CRS84")
    assert len(frame) == INCIDENTS
    assert frame.geometry.isna().sum() == NOT_LOCATED
    assert column["bbox"] == frame.total_bounds.tolist()
    with open_duckdb(":memory:") as connection:
        matches = "ST_XMin(geometry) = bbox.xmin AND ST_YMax(geometry) = bbox.ymax"
        sql = f"SELECT count(*) FILTER ({matches}), count(*) FILTER (bbox.xmin IS NULL) FROM '{path}'"
        assert connection.execute(sql).fetchone() == (INCIDENTS - NOT_LOCATED, NOT_LOCATED)


def test_a_rectangle_of_the_bulk_download_is_read_through_its_covering(synthetic_run: Run):
    path = synthetic_run.folder / "products/quartiers/exact.parquet"
    frame = gpd.read_parquet(path)
    west, south, _, _ = frame.geometry.iloc[3].bounds
    few = gpd.read_parquet(path, bbox=(west - 1e-3, south - 1e-3, west + 1e-3, south + 1e-3))
    assert 0 < len(few) < len(frame)


def test_cells_get_the_shape_of_their_index(synthetic_run: Run):
    frame = gpd.read_parquet(synthetic_run.folder / "products/hotspots/exact.parquet")
    assert frame.h3.is_monotonic_increasing
    for cell, shape in zip(frame.h3, frame.geometry, strict=True):
        wanted = shapely.Polygon([(lon, lat) for lat, lon in h3.cell_to_boundary(cell)])
        assert shapely.hausdorff_distance(shape, wanted) < 1e-7
        assert shape.exterior.is_ccw


def test_columns_and_values_are_those_of_the_product(synthetic_run: Run):
    for product in synthetic_products():
        for form, table in product.tables.items():
            path = synthetic_run.folder / f"products/{product.spec.id}/{form}.parquet"
            written = pq.read_table(path).drop_columns(["geometry", "bbox"])
            assert written.column_names == [n for n in table.column_names if n != "geometry"]
            assert sorted(map(repr, written.to_pylist())) == sorted(
                map(repr, table.select(written.column_names).to_pylist())
            )


def test_a_raster_is_copied_as_it_is(synthetic_run: Run):
    file = synthetic_run.manifest.product("risk_density").forms[Form.EXACT]
    path = synthetic_run.path(file)
    assert path.name == "exact.tif"
    assert digest_file(path) == file.digest
    with rasterio.open(path) as source:
        assert source.descriptions == ("all", "vols")


def test_the_manifest_says_what_the_run_holds(synthetic_run: Run, embedded_store: Store):
    manifest = synthetic_run.manifest
    assert [p.spec for p in manifest.products] == [*(p.spec for p in synthetic_products()), manifest.products[-1].spec]
    rows = {p.spec.id: p.forms[Form.EXACT].rows for p in manifest.products}
    assert rows["incidents"] == INCIDENTS
    assert rows["risk_density"] is None
    public = [p.spec.id for p in manifest.products if Form.PUBLIC in p.forms]
    assert public == ["quartiers"]
    assert manifest.parameters["city"]["metric_crs"] == "EPSG:2154"
    assert manifest.parameters["city"]["profiles"]["analyst"] == "exact"
    with embedded_store.engine.connect() as connection:
        tables = set(connection.exec_driver_sql("SELECT table_name FROM duckdb_tables()").scalars())
    assert tables == {
        f"{form}__{p.spec.id}" for p in manifest.products for form in p.forms if p.spec.grain is not Grain.RASTER
    }


def test_styles_are_made_form_by_form_and_their_files_are_there(synthetic_run: Run):
    styles = synthetic_run.manifest.styles
    assert {e.family for e in entries_of(styles, Form.EXACT)} >= {"incidents", "hotspots", "risk_density", "quartiers"}
    assert {e.family for e in entries_of(styles, Form.PUBLIC)} == {"quartiers"}
    for entry in entries_of(styles, Form.EXACT):
        for relative in (entry.maplibre, *entry.qml.values()):
            assert (synthetic_run.folder / "styles" / relative).stat().st_size > 0


# ---- the same each time


def content(run: Run) -> dict[str, str]:
    body = run.manifest.model_dump(mode="json", exclude={"built_at"})
    files = [p for p in run.folder.rglob("*") if p.is_file()]
    return {"manifest": json.dumps(body, sort_keys=True)} | {
        str(p.relative_to(run.folder)): digest_file(p) for p in files if p.name not in {"store.duckdb", "manifest.json"}
    }


def test_another_folder_gives_the_same_run_byte_for_byte(synthetic_run: Run, tmp_path: Path):
    """But for the database file, whose bytes DuckDB does not promise, and the building time."""
    assert content(build_synthetic_run(Home(tmp_path))) == content(synthetic_run)


def test_the_order_of_the_rows_of_a_product_does_not_matter():
    for collection in ("incidents", "hotspots", "quartiers", "events"):
        product = product_called(collection)
        table = product.tables[Form.EXACT]
        shuffled = table.take(pa.array(np.random.default_rng(5).permutation(table.num_rows)))
        one = prepare_exact(product)
        other = prepare_exact(Product(product.spec, {Form.EXACT: shuffled}))
        assert one.stored().equals(other.stored())


# ---- shapes


def test_a_record_without_geometry_column_and_a_broken_polygon_are_refused():
    product = product_called("quartiers")
    table = product.tables[Form.EXACT]
    with pytest.raises(ProductError, match="has a column geometry"):
        prepare_exact(Product(product.spec, {Form.EXACT: table.drop_columns(["geometry"])}))
    bow_tie = shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])
    shapes = pa.array([shapely.to_wkb(bow_tie)] * 9, pa.binary())
    broken = table.set_column(table.schema.get_field_index("geometry"), "geometry", shapes)
    with pytest.raises(ProductError, match="9 geometries are not valid"):
        prepare_exact(Product(product.spec, {Form.EXACT: broken}))


def test_shapes_are_of_the_declared_type():
    """A polygon becomes a multipolygon where that is declared; a polygon among points is refused."""
    zones = product_called("quartiers")
    table = zones.tables[Form.EXACT]
    square = pa.array([shapely.to_wkb(shapely.box(5, 43, 6, 44))] * 9, pa.binary())
    single = table.set_column(table.schema.get_field_index("geometry"), "geometry", square)
    rows = prepare_exact(Product(zones.spec, {Form.EXACT: single}))
    assert {shape.geom_type for shape in rows.shapes} == {"MultiPolygon"}
    points = zones.spec.model_copy(update={"geometry_type": "Point"})
    with pytest.raises(ProductError, match="declared as Point, has POLYGON"):
        prepare_exact(Product(points, {Form.EXACT: single}))


def test_something_that_is_no_cell_is_refused():
    product = product_called("hex_incidents_r9")
    table = product.tables[Form.EXACT]
    keys = pa.array(["8a", *table.column("h3").to_pylist()[1:]])
    with pytest.raises(CalanqueError, match="8a"):
        prepare_exact(Product(product.spec, {Form.EXACT: table.set_column(0, "h3", keys)}))


coordinates = st.floats(-1e-6, 1e-6).map(lambda v: v + 5.0)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(coordinates, coordinates), min_size=4, max_size=12))
def test_rounding_keeps_shapes_valid_and_near(points: list[tuple[float, float]]):
    """Shapes of some ten units of the last decimal: where rounding breaks, snapping mends."""
    shape = shapely.make_valid(shapely.Polygon(points))
    result = rounded(np.array([shape, None], dtype=object), 7)
    assert result[1] is None
    assert shapely.is_valid(result[0])
    xy = shapely.get_coordinates(result[0])
    assert np.abs(np.round(xy, 7) - xy).max(initial=0) < 1e-12
    if xy.size:
        assert shapely.distance(shapely.points(xy), shape).max() <= 1e-7


# ---- the step


def test_publishing_before_the_other_steps_says_what_to_do(tmp_path: Path):
    with pytest.raises(RunError, match="run index, analyse, surfaces first"):
        publish(synthetic_city(), Home(tmp_path))


@pytest.fixture
def done_home(layers_only: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Home folder of a small city whose steps are all done, under made-up keys: their freshness is tested apart."""
    monkeypatch.setattr(identity, "_check_fresh", lambda *_: None)
    for step, collections in STAGED.items():
        finish_stage(layers_only, step, collections)
    return layers_only


STAGED: dict[str, list[str]] = {"index": ["hex_incidents"], "analyse": ["hotspots", "hotspots_r9"], "surfaces": []}


@pytest.fixture
def layers_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Home folder of a small city that has been ingested."""
    monkeypatch.delenv("CALANQUE_DATABASE_URL", raising=False)
    home = Home(tmp_path)
    zones = product_called("quartiers").tables[Form.EXACT]
    zones = zones.add_column(2, "parent", pa.nulls(zones.num_rows, pa.string()))
    layer_table(home, "zones_quartiers").commit({None: zones}, inputs={"deliveries/zones/q": "d1"}, sort_by=["key"])
    return home


def test_statistics_of_other_records_or_parameters_are_not_published(layers_only: Home):
    """Each step must have been done on what is there now; one that has not is named."""
    city = synthetic_city()
    for step, inputs_of in identity.STEPS.items():
        finish_stage(layers_only, step, STAGED[step], key=digest_json(inputs_of(city, layers_only)))
    assert not publish(city, layers_only).skipped
    later = synthetic_city(analysis={**city.analysis.model_dump(mode="json"), "start": "2020-01-01"})
    with pytest.raises(RunError, match=r"index, analyse, surfaces in .* is older"):
        publish(later, layers_only)
    finish_stage(layers_only, "surfaces", [], key="of another time")
    with pytest.raises(RunError, match=r"surfaces in .* is older"):
        publish(city, layers_only)


def finish_stage(home: Home, step: str, collections: list[str], variant: int = 0, key: str = "") -> None:
    stage = Stage(home, step, key or f"{step}-{variant}")
    stage.begin()
    stage.finish([p for p in synthetic_products(variant) if p.spec.id in collections], {})


def test_publishing_twice_changes_nothing(done_home: Home):
    first = publish(synthetic_city(), done_home)
    run = open_run(done_home)
    files = {p: p.stat().st_mtime_ns for p in run.folder.rglob("*")}
    assert not first.skipped
    assert [p.spec.id for p in run.manifest.products] == ["quartiers", "hex_incidents", "hotspots", "hotspots_r9"]
    again = publish(synthetic_city(), done_home)
    assert again.skipped
    assert again.key == first.key == run.manifest.run_id
    assert {p: p.stat().st_mtime_ns for p in run.folder.rglob("*")} == files
    assert dict(again.figures) == dict(first.figures)


def test_what_was_published_before_is_switched_back_to_without_writing(done_home: Home):
    old = publish(synthetic_city(), done_home).key
    finish_stage(done_home, "index", ["hex_incidents"], variant=1)
    new = publish(synthetic_city(), done_home).key
    assert current_run_id(done_home) == new != old
    Stage(done_home, "index", "index-0").point()
    report = publish(synthetic_city(), done_home)
    assert (report.key, report.skipped) == (old, True)
    assert current_run_id(done_home) == old


def test_a_damaged_run_is_built_again(done_home: Home):
    key = publish(synthetic_city(), done_home).key
    before = content(open_run(done_home))
    (done_home.runs / key / "store.duckdb").unlink()
    with pytest.raises(RunError, match=r"lost store\.duckdb"):
        open_run(done_home)
    assert not publish(synthetic_city(), done_home).skipped
    assert content(open_run(done_home)) == before


def test_another_parameter_of_the_city_is_another_run(done_home: Home):
    keys = {
        publish(city, done_home).key
        for city in (
            synthetic_city(),
            synthetic_city(analysis={"start": "2023-01-01", "end": "2025-12-30"}),
            synthetic_city(stores={"kind": "embedded"}),  # the default, said aloud
        )
    }
    assert len(keys) == 2


def test_the_step_loads_postgis_too_and_only_once(done_home: Home, url_without_runs: SecretStr):
    first = publish(synthetic_city(stores={"kind": "postgis"}), done_home, database_url=url_without_runs)
    again = publish(synthetic_city(stores={"kind": "postgis"}), done_home, database_url=url_without_runs)
    assert (first.skipped, again.skipped) == (False, True)
    store = open_store(open_run(done_home), SimpleNamespace(database_url=url_without_runs))
    with store.engine.connect() as connection:
        table = store.table(Form.EXACT, "hotspots")
        assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar() == 271
    store.close()


def test_a_database_that_is_new_gets_the_run_that_is_already_there(done_home: Home, url_without_runs: SecretStr):
    assert not publish(synthetic_city(), done_home).skipped
    assert not publish(synthetic_city(), done_home, database_url=url_without_runs).skipped
    assert publish(synthetic_city(), done_home, database_url=url_without_runs).skipped


def test_a_city_that_wants_postgis_needs_its_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("CALANQUE_DATABASE_URL", raising=False)
    with pytest.raises(RunError, match="CALANQUE_DATABASE_URL"):
        publish(synthetic_city(stores={"kind": "postgis"}), Home(tmp_path))


# ---- crashes

_KILLED_BUILD = """
import os, sys
from pathlib import Path
from support.synthetic import build_synthetic_run
import ogc_server.publication.assembly as assembly, layers.runs as runs

def die(*_, **__):
    os.kill(os.getpid(), 9)

module, name = sys.argv[2].split(":")
setattr({"assembly": assembly, "runs": runs}[module], name, die)
build_synthetic_run(Path(sys.argv[1]), variant=1)
"""


@pytest.mark.parametrize("moment", ["assembly:_write_tiles", "runs:sync_path", "runs:switch_current"])
def test_a_build_killed_at_any_moment_leaves_the_old_run_and_the_next_one_completes(tmp_path: Path, moment: str):
    """Half built, built but not renamed, renamed but not switched to."""
    home = Home(tmp_path)
    old = build_synthetic_run(home)
    before = content(old)
    command = [sys.executable, "-c", _KILLED_BUILD, str(tmp_path), moment]
    paths = f"{PROJECT}:{PROJECT / 'tests'}"
    killed = subprocess.run(
        command, env={"PYTHONPATH": paths, "PATH": ""}, cwd=PROJECT, check=False, capture_output=True
    )
    assert killed.returncode == -9, killed.stderr.decode()
    assert current_run_id(home) == old.manifest.run_id
    assert content(open_run(home)) == before
    new = build_synthetic_run(home, variant=1)
    assert open_run(home).manifest.run_id == new.manifest.run_id != old.manifest.run_id
    assert {r.manifest.run_id for r in list_runs(home)} == {old.manifest.run_id, new.manifest.run_id}
    assert [p.name for p in home.runs.iterdir() if p.name.startswith(".")] == []
