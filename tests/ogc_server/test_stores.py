"""Both stores give the same answers, and the answers are right."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import pytest
import shapely
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from layers.errors import RunError
from layers.products import Form, Product
from layers.runs import Run
from layers.text import fold
from ogc_server.publication.files import write_embedded_store
from ogc_server.publication.rows import prepare
from ogc_server.stores import Dialect, Store, open_store
from ogc_server.stores.engines import Watchdog, duckdb_engine, open_duckdb, postgis_engine
from ogc_server.systems import Frame
from support.synthetic import CENTRE_LAT, CENTRE_LON, INCIDENTS, NOT_LOCATED, THEMES, synthetic_products

COLLECTIONS = ("incidents", "events", "quartiers", "hex_incidents", "hex_incidents_r9", "hotspots", "hotspots_r9")
GEOMETRY_COLUMNS = {"geom", "geom_m"}


def rows_of(store: Store, statement: sa.Select) -> list[tuple]:
    with store.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(statement)]


def all_rows(store: Store, collection: str) -> list[tuple]:
    table = store.table(Form.EXACT, collection)
    columns = [c for c in table.columns if c.name not in GEOMETRY_COLUMNS]
    shapes = [store.geojson(table, frame) for frame in (Frame.LON_LAT, Frame.METRIC)]
    found = rows_of(store, sa.select(*columns, *shapes).order_by(table.c.fid))
    return [(*row[:-2], *(None if text is None else json.loads(text) for text in row[-2:])) for row in found]


def product_called(collection: str) -> Product:
    return next(p for p in synthetic_products() if p.spec.id == collection)


def shapes_of(run: Run, collection: str) -> dict[str, shapely.Geometry | None]:
    """Key → geometry of the bulk download, read by another library than the stores."""
    spec = run.manifest.product(collection).spec
    table = pq.read_table(run.folder / f"products/{collection}/exact.parquet")
    shapes = shapely.from_wkb(table.column("geometry").to_numpy(zero_copy_only=False))
    return dict(zip(table.column(spec.key).to_pylist(), shapes, strict=True))


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_both_stores_hold_the_same_rows(embedded_store: Store, postgis_store: Store, collection: str):
    embedded = all_rows(embedded_store, collection)
    assert embedded == all_rows(postgis_store, collection)
    assert [row[0] for row in embedded] == list(range(1, len(embedded) + 1))


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_a_store_gives_back_every_value_that_was_published(store: Store, collection: str):
    product = product_called(collection)
    table = store.table(Form.EXACT, collection)
    names = [c.name for c in product.spec.columns]
    found = {row[names.index(product.spec.key)]: row for row in rows_of(store, sa.select(*(table.c[n] for n in names)))}
    wanted = product.tables[Form.EXACT].select(names).to_pylist()
    assert len(found) == len(wanted)
    for row in wanted:
        assert dict(zip(names, found[row[product.spec.key]], strict=True)) == row


def test_an_empty_text_is_no_null(store: Store):
    table = store.table(Form.EXACT, "incidents")
    statement = sa.select(table.c.address, sa.func.count()).group_by(table.c.address)
    counted = dict(rows_of(store, statement))
    assert counted[""] == counted[None] == INCIDENTS // 5


def test_texts_have_folded_twins(store: Store):
    table = store.table(Form.EXACT, "quartiers")
    for name, folded in rows_of(store, sa.select(table.c.name, table.c.name_fold)):
        assert folded == fold(name)
    found = rows_of(store, sa.select(table.c.key).where(table.c.name_fold.like("oeil%")))
    assert found == [("q4",)]


def test_rows_without_a_position_come_last_and_have_no_bounds(store: Store):
    table = store.table(Form.EXACT, "incidents")
    located = INCIDENTS - NOT_LOCATED
    empty = rows_of(
        store, sa.select(table.c.fid, table.c.xmin, table.c.ymax_m).where(table.c.geom.is_(None)).order_by("fid")
    )
    assert empty == [(fid, None, None) for fid in range(located + 1, INCIDENTS + 1)]


def test_neighbours_on_the_ground_are_neighbours_in_the_table(store: Store):
    """Mean distance between successive rows: at most a quarter of what a random order gives."""
    table = store.table(Form.EXACT, "incidents")
    rows = rows_of(
        store, sa.select(table.c.xmin_m, table.c.ymin_m).where(table.c.xmin_m.is_not(None)).order_by(table.c.fid)
    )
    points = np.array(rows)
    shuffled = np.random.default_rng(0).permutation(points)
    step, random_step = (np.hypot(*np.diff(p, axis=0).T).mean() for p in (points, shuffled))
    assert step < random_step / 4


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_the_metric_geometry_is_the_other_one_moved(store: Store, collection: str):
    table = store.table(Form.EXACT, collection)
    pairs = rows_of(
        store, sa.select(store.geojson(table), store.geojson(table, Frame.METRIC)).where(table.c.geom.is_not(None))
    )
    transformer = pyproj.Transformer.from_crs("OGC:CRS84", "EPSG:2154", always_xy=True)
    lonlat, metric = (shapely.get_coordinates(shapely.from_geojson(texts)) for texts in zip(*pairs, strict=True))
    moved = np.column_stack(transformer.transform(*lonlat.T))
    assert np.abs(moved - metric).max() < 0.02  # half of the 7th decimal of a degree is 6 mm, of each axis
    assert np.abs(np.round(lonlat, 7) - lonlat).max() == 0
    assert np.abs(np.round(metric, 3) - metric).max() == 0


def test_axes_are_swapped_or_projected_on_demand(store: Store):
    table = store.table(Form.EXACT, "quartiers")
    statement = sa.select(*(store.geojson(table, f) for f in (Frame.LON_LAT, Frame.LAT_LON, Frame.MERCATOR)))
    for texts in rows_of(store, statement):
        lonlat, latlon, mercator = (shapely.get_coordinates(shapely.from_geojson(t)) for t in texts)
        assert np.array_equal(lonlat[:, ::-1], latlon)
        # spherical Mercator, EPSG guidance note 7-2, method 1024
        lam, phi = np.radians(lonlat).T
        wanted = 6_378_137.0 * np.column_stack([lam, np.log(np.tan(np.pi / 4 + phi / 2))])
        assert np.abs(mercator - wanted).max() <= 0.001


def test_web_mercator_is_the_same_text_on_both_stores(embedded_store: Store, postgis_store: Store):
    for collection in COLLECTIONS:
        texts = []
        for store in (embedded_store, postgis_store):
            table = store.table(Form.EXACT, collection)
            texts.append(rows_of(store, sa.select(store.geojson(table, Frame.MERCATOR)).order_by(table.c.fid)))
        assert texts[0] == texts[1]


boxes = st.tuples(*(st.floats(-0.09, 0.09, allow_nan=False) for _ in range(2)), *(st.floats(0, 0.05) for _ in range(2)))


@pytest.mark.parametrize("collection", ["incidents", "events", "quartiers", "hotspots"])
@pytest.mark.parametrize("metric", [False, True])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(box=boxes)
def test_a_rectangle_finds_what_shapely_finds(
    embedded_store: Store,
    postgis_store: Store,
    synthetic_run: Run,
    collection: str,
    metric: bool,  # noqa: FBT001
    box: tuple[float, ...],
):
    """In the axes of each CRS; a rectangle may be a line or a point."""
    dx, dy, width, height = box
    bounds = (CENTRE_LON + dx, CENTRE_LAT + dy, CENTRE_LON + dx + width, CENTRE_LAT + dy + height)
    if metric:
        bounds = (
            892_500 + dx * 8e4,
            6_247_000 + dy * 1.1e5,
            892_500 + dx * 8e4 + width * 8e4,
            6_247_000 + dy * 1.1e5 + height * 1e5,
        )
    answers = [keys_in(s, collection, bounds, metric=metric) for s in (embedded_store, postgis_store)]
    assert answers[0] == answers[1]
    assert answers[0] == oracle(embedded_store, collection, bounds, metric=metric)


def keys_in(store: Store, collection: str, bounds: tuple[float, float, float, float], *, metric: bool) -> set[str]:
    table = store.table(Form.EXACT, collection)
    key = table.c[product_called(collection).spec.key]
    return {row[0] for row in rows_of(store, sa.select(key).where(store.intersects(table, bounds, metric=metric)))}


_SHAPES: dict[tuple[str, bool], tuple[list[str], np.ndarray]] = {}


def oracle(store: Store, collection: str, bounds: tuple[float, float, float, float], *, metric: bool) -> set[str]:
    """Every shape of the collection against the rectangle, by shapely, without index or bounds."""
    if (collection, metric) not in _SHAPES:
        table = store.table(Form.EXACT, collection)
        key = table.c[product_called(collection).spec.key]
        shape = table.c.geom_m if metric else table.c.geom
        rows = rows_of(store, sa.select(key, shape).where(shape.is_not(None)))
        _SHAPES[collection, metric] = ([r[0] for r in rows], shapely.from_wkb([bytes(r[1]) for r in rows]))
    keys, shapes = _SHAPES[collection, metric]
    xmin, ymin, xmax, ymax = bounds
    rectangle = shapely.box(*bounds)
    if xmin == xmax or ymin == ymax:
        rectangle = shapely.LineString([(xmin, ymin), (xmax, ymax)])
    if xmin == xmax and ymin == ymax:
        rectangle = shapely.Point(xmin, ymin)
    return {k for k, hit in zip(keys, shapely.intersects(shapes, rectangle), strict=True) if hit}


def test_a_rectangle_that_touches_a_corner_finds_the_shape(store: Store, synthetic_run: Run):
    for key, shape in shapes_of(synthetic_run, "quartiers").items():
        _, _, xmax, ymax = shape.bounds
        assert key in keys_in(store, "quartiers", (xmax, ymax, xmax + 1, ymax + 1), metric=False)
        assert key not in keys_in(store, "quartiers", (xmax + 1e-6, ymax, xmax + 1, ymax + 1), metric=False)
        assert key in keys_in(store, "quartiers", (xmax, ymax, xmax, ymax), metric=False)


def test_texts_sort_by_code_point_on_both_stores(store: Store):
    """Whatever the database's locale: capitals before small letters, É and Œ after z."""
    table = store.table(Form.EXACT, "quartiers")
    names = [r[0] for r in rows_of(store, sa.select(table.c.name).order_by(store.sortable(table.c.name)))]
    assert names == sorted(names)
    assert names[-1] == "Œillets"


def test_a_key_is_unique_and_indexed(store: Store):
    table = store.table(Form.EXACT, "incidents")
    lookup = sa.select(table.c.fid).where(table.c.id == sa.bindparam("id"))
    key = rows_of(store, sa.select(table.c.id).where(table.c.fid == 7))[0][0]
    with store.engine.connect() as connection:
        assert connection.execute(lookup, {"id": key}).scalars().all() == [7]
        if store.dialect_name is Dialect.POSTGRESQL:
            plan = connection.exec_driver_sql(
                f"EXPLAIN SELECT fid FROM {table.schema}.{table.name} WHERE id = '{key}'"
            ).scalars()
            assert "incidents__key" in " ".join(plan)
        else:
            sql = "SELECT is_unique, expressions FROM duckdb_indexes() WHERE table_name = 'exact__incidents'"
            assert connection.exec_driver_sql(sql).fetchall() == [(True, "[id]")]


def test_a_rectangle_reads_few_blocks_of_the_embedded_store(tmp_path: Path):
    """20,000 points: three row groups where DuckDB's default makes one, and a small rectangle lies in one of them."""
    size = 20_000
    zones = product_called("quartiers")
    rng = np.random.default_rng(11)
    points = shapely.points(CENTRE_LON + rng.uniform(-0.1, 0.1, size), CENTRE_LAT + rng.uniform(-0.08, 0.08, size))
    columns = {"key": np.char.mod("%05d", np.arange(size)), "name": ["x"] * size, "area_m2": np.zeros(size)}
    table = pa.table(columns | {"geometry": pa.array(shapely.to_wkb(points), pa.binary())})
    spec = zones.spec.model_copy(update={"geometry_type": "Point"})
    rows = prepare(Product(spec, {Form.EXACT: table}), Form.EXACT, metric_crs="EPSG:2154")
    write_embedded_store([rows], tmp_path / "store.duckdb", metric_crs="EPSG:2154")
    with open_duckdb(":memory:") as connection:
        connection.execute(f"ATTACH '{tmp_path / 'store.duckdb'}' AS s (READ_ONLY)")
        sql = "SELECT DISTINCT row_group_id FROM pragma_storage_info('s.exact__quartiers')"
        assert sorted(connection.execute(sql).fetchall()) == [(0,), (1,), (2,)]
        west, south, east, north = CENTRE_LON - 0.05, CENTRE_LAT - 0.04, CENTRE_LON - 0.045, CENTRE_LAT - 0.036
        touched = connection.execute(
            "SELECT count(*) FROM (SELECT min(xmin) w, max(xmax) e, min(ymin) s, max(ymax) n FROM s.exact__quartiers"
            " GROUP BY (fid - 1) // 8192) WHERE w <= ? AND e >= ? AND s <= ? AND n >= ?",
            [east, west, north, south],
        ).fetchone()
        assert touched[0] < 3


def test_nobody_can_write(store: Store):
    table = store.table(Form.EXACT, "quartiers")
    with store.engine.connect() as connection, pytest.raises(sa.exc.DBAPIError):
        connection.execute(sa.delete(table))
    with store.engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar() == 9


def test_times_are_utc_whatever_the_machine(store: Store, monkeypatch: pytest.MonkeyPatch):
    with store.engine.connect() as connection:
        sql = "SHOW TimeZone" if store.dialect_name is Dialect.POSTGRESQL else "SELECT current_setting('TimeZone')"
        assert connection.exec_driver_sql(sql).scalar() == "UTC"


def test_a_table_that_a_form_lacks_does_not_exist(store: Store):
    assert store.table("public", "quartiers").name == "public__quartiers"
    with pytest.raises(RunError, match="no public form of 'incidents'"):
        store.table("public", "incidents")
    with pytest.raises(RunError, match="no exact form of 'nothing'"):
        store.table(Form.EXACT, "nothing")


def test_threads_share_a_store(store: Store):
    table = store.table(Form.EXACT, "hotspots")
    statement = sa.select(sa.func.count()).where(store.intersects(table, (5.3, 43.2, 5.4, 43.4)))
    alone = rows_of(store, statement)
    with ThreadPoolExecutor(8) as pool:
        assert all(answer == alone for answer in pool.map(lambda _: rows_of(store, statement), range(64)))


def test_a_statement_that_lasts_is_interrupted(synthetic_run: Run):
    engine = duckdb_engine(synthetic_run.folder / "store.duckdb")
    Watchdog(engine, timeout_s=0.3)
    with engine.connect() as connection:
        with pytest.raises(sa.exc.DBAPIError, match=r"(?i)interrupt"):
            connection.exec_driver_sql(
                "SELECT count(*) FROM range(100000000) a, range(100000) b WHERE a.range % 7 = b.range"
            ).scalar()
        assert connection.exec_driver_sql("SELECT 42").scalar() == 42
    engine.dispose()


def test_the_watchdog_ends_with_its_engine(synthetic_run: Run):
    def watchdogs() -> int:
        return sum(t.name == "statement-watchdog" for t in threading.enumerate())

    before = watchdogs()
    engine = duckdb_engine(synthetic_run.folder / "store.duckdb")
    assert watchdogs() == before + 1
    last = next(t for t in reversed(threading.enumerate()) if t.name == "statement-watchdog")
    engine.dispose()
    del engine
    import gc

    gc.collect()
    last.join(timeout=5)
    assert not last.is_alive()


def test_a_database_that_lacks_the_run_is_told_apart_from_one_that_does_not_answer(
    synthetic_run: Run, synthetic_postgis_url: str
):
    from types import SimpleNamespace

    other = Run(synthetic_run.folder, synthetic_run.manifest.model_copy(update={"run_id": "0" * 16}))
    with pytest.raises(RunError, match="does not hold run 0000000000000000"):
        open_store(other, SimpleNamespace(database_url=SecretStr(synthetic_postgis_url)))
    silent = SecretStr("postgresql://somebody:secret@127.0.0.1:9/nowhere")
    with pytest.raises(RunError, match="cannot be reached") as caught:
        open_store(synthetic_run, SimpleNamespace(database_url=silent))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["sqlite:///x.db", "mysql://h/d", "no url at all"])
def test_other_databases_are_refused(url: str):
    with pytest.raises(RunError, match="postgresql://"):
        postgis_engine(url)


def test_themes_are_as_published(store: Store):
    table = store.table(Form.EXACT, "incidents")
    assert {r[0] for r in rows_of(store, sa.select(table.c.theme).distinct())} == set(THEMES)
