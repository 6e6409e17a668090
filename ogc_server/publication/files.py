"""Files of a run that hold tables: GeoParquet for download, and the embedded store.

GeoParquet 1.1: https://geoparquet.org/releases/v1.1.0/. Its geometries are those of the stores, in CRS84, with a
bounding-box covering that lets DuckDB, GDAL and QGIS skip row groups.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import shapely
import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

from layers.digests import digest_json, table_digest
from ogc_server.publication.rows import Rows, bounds_columns, wkb_column
from ogc_server.stores.columns import (
    BOUNDS,
    BOUNDS_COLUMN,
    FID,
    GEOMETRY,
    METRIC_GEOMETRY,
    metric_srid,
    stored_table,
)
from ogc_server.stores.engines import duckdb_dialect, open_duckdb

ROW_GROUP_ROWS: Final = 8192
"""Rows of a block in the store and in the files: a rectangle of some streets reads one or two."""
_GEOPARQUET_VERSION: Final = "1.1.0"
_OGC_NAMES: Final = {
    0: "Point",
    1: "LineString",
    3: "Polygon",
    4: "MultiPoint",
    5: "MultiLineString",
    6: "MultiPolygon",
}


def write_geoparquet(rows: Rows, path: Path) -> str:
    """Write the bulk download of a product.

    Returns
    -------
    str
        Canonical digest of its content (not of its bytes, which vary with the version of the writer).
    """
    table = rows.table.append_column("geometry", wkb_column(rows.shapes))
    edges = pa.StructArray.from_arrays(bounds_columns(rows.shapes), names=list(BOUNDS))
    digest = table_digest(table, [rows.spec.key])
    table = table.append_column(BOUNDS_COLUMN, edges).replace_schema_metadata({"geo": json.dumps(_geo_metadata(rows))})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, compression="zstd", row_group_size=ROW_GROUP_ROWS, write_page_index=True)
    return digest


def _geo_metadata(rows: Rows) -> dict[str, Any]:
    present = rows.shapes[~shapely.is_missing(rows.shapes)]
    kinds = sorted({_OGC_NAMES[int(k)] for k in shapely.get_type_id(present)})
    column: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": kinds,
        "crs": pyproj.CRS("OGC:CRS84").to_json_dict(),
        "covering": {"bbox": {edge: [BOUNDS_COLUMN, edge] for edge in BOUNDS}},
    }
    if present.size:
        column["bbox"] = shapely.total_bounds(present).tolist()
    return {"version": _GEOPARQUET_VERSION, "primary_column": "geometry", "columns": {"geometry": column}}


def write_embedded_store(products: Iterable[Rows], path: Path, *, metric_crs: str) -> str:
    """Write the embedded store of a run: one native table per product and form.

    Parameters
    ----------
    products
        Rows in their order.
    path
        New file.

    Returns
    -------
    str
        Canonical digest of the content of all tables.
    """
    digests: dict[str, str] = {}
    # One thread: rows keep their order, and the file is laid out the same way each time.
    connection = open_duckdb(":memory:", threads=1)
    try:
        quoted = str(path).replace("'", "''")
        connection.execute(f"ATTACH '{quoted}' AS run (ROW_GROUP_SIZE {ROW_GROUP_ROWS})")
        connection.execute("USE run")
        for rows in products:
            table = _define(rows, metric_crs)
            content = rows.stored()
            digests[table.name] = table_digest(content, [FID])
            _load(connection, table, content)
        connection.execute("CHECKPOINT run")
        connection.execute("USE memory")
        connection.execute("DETACH run")
    finally:
        connection.close()
    return digest_json(digests)


def _define(rows: Rows, metric_crs: str) -> sa.Table:
    fields = {f.name: f.type for f in rows.table.schema}
    srid_m = metric_srid(metric_crs)
    return stored_table(sa.MetaData(), rows.spec, rows.form, fields, srid_m=srid_m, postgis=False)


def _load(connection: Any, table: sa.Table, content: pa.Table) -> None:
    dialect = duckdb_dialect()
    connection.execute(str(CreateTable(table).compile(dialect=dialect)))
    shapes = {GEOMETRY, METRIC_GEOMETRY}
    values = ", ".join(f'ST_GeomFromWKB("{n}")' if n in shapes else f'"{n}"' for n in content.column_names)
    connection.register("content", content)
    connection.execute(f'INSERT INTO "{table.name}" SELECT {values} FROM content')  # noqa: S608 (names are ours)
    connection.unregister("content")
    for index in table.indexes:
        connection.execute(str(sa.schema.CreateIndex(index).compile(dialect=dialect)))
