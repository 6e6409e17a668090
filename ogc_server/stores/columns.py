"""Columns of a stored table: one definition, from which both stores are created and read.

The types follow from the Arrow schema of the product's GeoParquet file in the run, so that neither database is asked
what it holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import geoalchemy2
import pyarrow as pa
import pyproj
import sqlalchemy as sa

from layers.errors import ProductError
from layers.products import Form, Kind, ProductSpec

FID: Final = "fid"
"""Position of the row in spatial order, 1…n: paging key and integer id in tiles."""
GEOMETRY: Final = "geom"
METRIC_GEOMETRY: Final = "geom_m"
BOUNDS: Final = ("xmin", "ymin", "xmax", "ymax")
METRIC_BOUNDS: Final = ("xmin_m", "ymin_m", "xmax_m", "ymax_m")
FOLDED: Final = "_fold"
"""Suffix of the columns that hold a text folded for comparison without case and accents."""
BOUNDS_COLUMN: Final = "bbox"
"""Covering of a GeoParquet file (a struct): no column of the stores."""
POINTS: Final = "points"
"""Member of a table's ``info``: whether its geometries are all points, whose bounds say everything."""
CRS84_SRID: Final = 4326
"""PostGIS knows longitude–latitude order by this number."""


class DuckGeometry(sa.types.UserDefinedType[bytes]):
    """The type ``GEOMETRY`` of DuckDB's spatial extension; a plain select gives WKB."""

    cache_ok = True

    def get_col_spec(self, **_options: Any) -> str:
        """Return its name in SQL."""
        return "GEOMETRY"


def table_name(form: Form, collection_id: str) -> str:
    """Return the name of a product's table, for instance ``exact__hotspots``."""
    return f"{Form(form).value}__{collection_id}"


def folded_columns(spec: ProductSpec, names: Iterable[str]) -> list[str]:
    """Return the columns among ``names`` that have a folded twin: free texts."""
    present = set(names)
    return [c.name for c in spec.columns if c.kind is Kind.TEXT and c.name in present]


def metric_srid(metric_crs: str) -> int:
    """Return the number by which PostGIS knows the city's metric CRS; 0 ("unknown") where it has no EPSG code."""
    authority = pyproj.CRS.from_user_input(metric_crs).to_authority(auth_name="EPSG", min_confidence=100)
    return int(authority[1]) if authority else 0


def column_type(data_type: pa.DataType) -> sa.types.TypeEngine[Any]:
    """Return the SQL type of an Arrow type.

    Raises
    ------
    ProductError
        For a type that is never stored (lists, structs, decimals).
    """
    plain: tuple[tuple[Any, sa.types.TypeEngine[Any]], ...] = (
        (pa.types.is_boolean, sa.Boolean()),
        (pa.types.is_integer, sa.BigInteger()),
        (pa.types.is_floating, sa.Double()),
        (pa.types.is_string, sa.Text()),
        (pa.types.is_large_string, sa.Text()),
        (pa.types.is_date32, sa.Date()),
        (pa.types.is_timestamp, sa.DateTime(timezone=True)),
    )
    for matches, sql_type in plain:
        if matches(data_type):
            return sql_type
    raise ProductError(f"a column of type {data_type} cannot be stored")


def stored_table(
    metadata: sa.MetaData,
    spec: ProductSpec,
    form: Form,
    fields: Mapping[str, pa.DataType],
    *,
    srid_m: int,
    postgis: bool,
) -> sa.Table:
    """Define the table of one product and form.

    Parameters
    ----------
    metadata
        Collects the table; its schema is the table's.
    fields
        Column → Arrow type of the product's own columns, in order.
    srid_m
        Number of the city's metric CRS in PostGIS (:func:`metric_srid`).
    postgis
        Whether the table is PostGIS' (GeoAlchemy2 types, indexes) or DuckDB's.

    Returns
    -------
    sqlalchemy.Table
        ``fid``, the product's columns, folded texts, bounds in CRS84 degrees and in metres, ``geom`` in CRS84 and
        ``geom_m`` in the metric CRS.
    """
    name = table_name(form, spec.id)
    columns: list[sa.Column[Any]] = [
        sa.Column(FID, sa.BigInteger(), primary_key=postgis, autoincrement=False, nullable=False)
    ]
    columns += [sa.Column(n, column_type(t), nullable=n != spec.key) for n, t in fields.items()]
    columns += [sa.Column(n + FOLDED, sa.Text()) for n in folded_columns(spec, fields)]
    # PostgreSQL keeps xmin and xmax for itself: there they are stored as xmin_ and xmax_, and called as anywhere else
    taken = {"xmin", "xmax"} if postgis else set()
    columns += [sa.Column(f"{n}_" if n in taken else n, sa.Double(), key=n) for n in (*BOUNDS, *METRIC_BOUNDS)]
    shapes = ((GEOMETRY, CRS84_SRID), (METRIC_GEOMETRY, srid_m))
    for column, srid in shapes:
        shape: Any = geoalchemy2.Geometry("GEOMETRY", srid=srid, spatial_index=False) if postgis else DuckGeometry()
        columns.append(sa.Column(column, shape))
    # Indexes of PostgreSQL live in one name space per schema: the table's name makes them unique.
    indexes = [sa.Index(f"{name}__key", spec.key, unique=True)]
    if postgis:
        indexes += [sa.Index(f"{name}__{c}", c, postgresql_using="gist") for c, _ in shapes]
        if spec.time_column and spec.time_column in fields:
            indexes.append(sa.Index(f"{name}__time", spec.time_column))
    info = {POINTS: spec.geometry_type == "Point"}
    return sa.Table(name, metadata, *columns, *indexes, info=info)
