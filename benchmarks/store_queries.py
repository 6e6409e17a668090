"""Time the queries that a map and a table ask of a store of generated incidents; print medians and ratios as JSON.

    python benchmarks/store_queries.py [--rows 1000000] [--database-url postgresql://…] [--repeat 300]

The rows are laid out by the code that publishes runs. With a PostGIS URL the same rows are loaded there and the two
stores are compared in one run: absolute figures move from machine to machine, ratios hardly do.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
import sqlalchemy as sa
from pydantic import SecretStr

from layers.city import Text
from layers.products import Column, Form, Grain, Kind, Product, ProductSpec
from layers.runs import Run, RunFile, RunManifest, RunProduct
from ogc_server.publication.files import write_embedded_store, write_geoparquet
from ogc_server.publication.postgis import hold_run
from ogc_server.publication.rows import prepare
from ogc_server.stores import Store, open_store

METRIC_CRS = "EPSG:2154"
CENTRE_LON, CENTRE_LAT = 5.3698, 43.2965
BOX_DEG = 0.01
PAGE = 100


def incidents(rows: int, rng: np.random.Generator) -> Product:
    """Four fifths of the points in twelve dense places, the rest anywhere in the city."""
    places = rng.uniform([-0.1, -0.06], [0.1, 0.06], (12, 2))
    dense = places[rng.integers(0, 12, rows)] + rng.normal(0, 0.006, (rows, 2))
    sparse = rng.uniform([-0.12, -0.08], [0.12, 0.08], (rows, 2))
    points = np.where(rng.random((rows, 1)) < 0.8, dense, sparse) + np.array([CENTRE_LON, CENTRE_LAT])
    start = np.datetime64("2023-01-01", "us") + rng.integers(0, 94_000_000_000_000, rows).astype("timedelta64[us]")
    table = pa.table(
        {
            "id": np.char.mod("%016x", rng.permutation(rows) * 7919 + 13),
            "theme": pa.array(rng.choice(["vols", "bruit", "degradations", "stationnement"], rows)),
            "started_at": pa.array(start).cast(pa.timestamp("us", tz="UTC")),
            "address": pa.array(np.char.add("Rue n° ", rng.integers(1, 2000, rows).astype(str))),
            "geometry": pa.array(shapely.to_wkb(shapely.points(points)), pa.binary()),
        }
    )
    kinds = {"id": Kind.KEY, "theme": Kind.CLASS, "started_at": Kind.TIME, "address": Kind.TEXT}
    text = Text(fr="Banc d’essai", en="Benchmark")
    spec = ProductSpec(
        id="incidents",
        family="incidents",
        title=text,
        description=text,
        grain=Grain.RECORD,
        key="id",
        columns=tuple(Column(name=n, kind=k, title=text) for n, k in kinds.items()),
        time_column="started_at",
        geometry_type="Point",
    )
    return Product(spec, {Form.EXACT: table})


def write_run(product: Product, folder: Path) -> Run:
    rows = prepare(product, Form.EXACT, metric_crs=METRIC_CRS)
    place = "products/incidents/exact.parquet"
    digest = write_geoparquet(rows, folder / place)
    write_embedded_store([rows], folder / "store.duckdb", metric_crs=METRIC_CRS)
    file = RunFile(path=place, digest=digest, rows=rows.table.num_rows)
    manifest = RunManifest(
        run_id="be" * 8,
        city_id="bench",
        as_of="2025-12-31",
        inputs={},
        city="",
        code="",
        lock="",
        parameters={"city": {"metric_crs": METRIC_CRS}},
        products=(RunProduct(spec=product.spec, forms={Form.EXACT: file}),),
    )
    return Run(folder, manifest)


def questions(store: Store, ids: list[str], rng: np.random.Generator) -> dict[str, Callable[[], sa.Select[Any]]]:
    table = store.table(Form.EXACT, "incidents")
    columns = [table.c.id, table.c.theme, table.c.started_at, table.c.address, store.geojson(table)]

    def box() -> tuple[float, float, float, float]:
        west, south = rng.uniform([CENTRE_LON - 0.1, CENTRE_LAT - 0.06], [CENTRE_LON + 0.09, CENTRE_LAT + 0.05])
        return west, south, west + BOX_DEG, south + BOX_DEG

    def page(where: sa.ColumnElement[bool]) -> sa.Select[Any]:
        return sa.select(*columns).where(where).order_by(table.c.fid).limit(PAGE)

    return {
        "rectangle, 100 rows": lambda: page(store.intersects(table, box())),
        "rectangle, count": lambda: sa.select(sa.func.count()).select_from(table).where(store.intersects(table, box())),
        "one row by key": lambda: sa.select(*columns).where(table.c.id == ids[rng.integers(len(ids))]),
        "page after a row": lambda: page(table.c.fid > int(rng.integers(1, len(ids)))),
    }


def measure(store: Store, ids: list[str], repeat: int) -> dict[str, float]:
    """Median milliseconds of each question, rows fetched, a connection from the pool included."""
    medians = {}
    for name, question in questions(store, ids, np.random.default_rng(2)).items():
        times = []
        for _ in range(repeat):
            statement = question()
            started = time.perf_counter()
            with store.engine.connect() as connection:
                connection.execute(statement).fetchall()
            times.append((time.perf_counter() - started) * 1e3)
        medians[name] = round(statistics.median(times), 3)
    return medians


@contextmanager
def stores(run: Run, database_url: str | None) -> Iterator[dict[str, Store]]:
    opened = {"embedded": open_store(run)}
    if database_url:
        hold_run(run, database_url)
        opened["postgis"] = open_store(run, SimpleNamespace(database_url=SecretStr(database_url)))
    try:
        yield opened
    finally:
        for store in opened.values():
            store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=300)
    parser.add_argument("--database-url")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="calanque-bench-") as folder:
        product = incidents(given.rows, np.random.default_rng(1))
        started = time.perf_counter()
        run = write_run(product, Path(folder))
        figures: dict[str, Any] = {"rows": given.rows, "seconds_to_write": round(time.perf_counter() - started, 1)}
        figures["store_bytes"] = (Path(folder) / "store.duckdb").stat().st_size
        ids = product.tables[Form.EXACT].column("id").to_pylist()
        with stores(run, given.database_url) as opened:
            medians = {name: measure(store, ids, given.repeat) for name, store in opened.items()}
    figures["median_ms"] = medians
    if "postgis" in medians:
        pairs = medians["embedded"].items()
        figures["embedded_over_postgis"] = {k: round(v / medians["postgis"][k], 2) for k, v in pairs}
    print(json.dumps(figures, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
