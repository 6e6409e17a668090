"""The store of one run: tables with typed columns, and SQL that means the same in DuckDB and in PostGIS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

import pyarrow.parquet as pq
import shapely
import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.sql.functions import Function

from layers.errors import RunError
from layers.products import Form, Grain
from layers.runs import Run
from ogc_server.stores.columns import (
    BOUNDS,
    BOUNDS_COLUMN,
    CRS84_SRID,
    GEOMETRY,
    METRIC_BOUNDS,
    METRIC_GEOMETRY,
    POINTS,
    metric_srid,
    stored_table,
)
from ogc_server.stores.engines import Dialect, duckdb_engine, postgis_engine
from ogc_server.systems import Bounds, Frame

STORE_FILE: Final = "store.duckdb"
DEGREE_DECIMALS: Final = 7
"""Decimals of a CRS84 coordinate (about 1 cm): geometries are rounded once, at publication."""
METRE_DECIMALS: Final = 3
MERCATOR_SRID: Final = 3857
_MERCATOR_DECIMALS: Final = 9


class StoreSettings(Protocol):
    """What a store needs of the server's settings."""

    @property
    def database_url(self) -> SecretStr | None:
        """PostGIS that holds the runs; none means the embedded store."""
        ...


def schema_of_run(run_id: str) -> str:
    """Return the PostgreSQL schema of a run."""
    return f"run_{run_id}"


class Store:
    """Features of one run, for reading; safe for threads.

    Parameters
    ----------
    engine
        Connections.
    tables
        (form, collection id) → table.
    srid_m
        Number of the metric CRS in PostGIS.

    Notes
    -----
    A rectangle is compared with the geometry of its own CRS. Only CRS84 and the city's metric CRS are stored: other
    systems (EPSG:4326, 3857) have the axes of CRS84, scaled or swapped, and are computed from its coordinates.
    """

    def __init__(self, engine: sa.Engine, tables: Mapping[tuple[Form, str], sa.Table], *, srid_m: int) -> None:
        self.engine = engine
        self.dialect_name = Dialect(engine.dialect.name)
        self._tables: dict[tuple[Form, str], sa.Table] = dict(tables)
        self._srid_m = srid_m

    def table(self, form: Form | str, collection_id: str) -> sa.Table:
        """Return the table of a collection in one form.

        Raises
        ------
        RunError
            If the run has no such table: the collection does not exist for profiles that read this form.
        """
        try:
            return self._tables[Form(form), collection_id]
        except KeyError as error:
            raise RunError(f"this run has no {Form(form).value} form of {collection_id!r}") from error

    def geojson(self, table: sa.Table, frame: Frame = Frame.LON_LAT) -> sa.ColumnElement[str | None]:
        """GeoJSON text of a row's geometry, null where it has none.

        Parameters
        ----------
        frame
            Axes of the coordinates: those stored (degrees to 7 decimals, metres of the city's CRS to 1 mm), or
            computed from CRS84 (swapped; Web Mercator, metres cut to 1 mm).
        """
        column = table.c[METRIC_GEOMETRY if frame is Frame.METRIC else GEOMETRY]
        if frame is Frame.LAT_LON:
            return self._json(_function("ST_FlipCoordinates", column), DEGREE_DECIMALS)
        if frame is Frame.METRIC:
            return self._json(column, METRE_DECIMALS)
        if frame is Frame.LON_LAT:
            return self._json(column, DEGREE_DECIMALS)
        if self.dialect_name is Dialect.DUCKDB:
            always_xy = sa.literal(True, sa.Boolean())
            moved = _function("ST_Transform", column, sa.literal("OGC:CRS84"), sa.literal("EPSG:3857"), always_xy)
        else:
            moved = _function("ST_Transform", column, sa.literal(MERCATOR_SRID, sa.Integer()))
        # the two libraries differ in the last bits, which nobody needs: both texts are cut alike
        return sa.func.regexp_replace(
            self._json(moved, _MERCATOR_DECIMALS), r"(\.[0-9]{3})[0-9]+", r"\1", "g", type_=sa.Text()
        )

    def _json(self, shape: sa.ColumnElement[Any], decimals: int) -> sa.ColumnElement[str | None]:
        if self.dialect_name is Dialect.DUCKDB:
            # as text: its JSON type would be parsed and built again by every layer above
            return sa.cast(_function("ST_AsGeoJSON", shape), sa.Text())
        numbers = [sa.literal(n, sa.Integer()) for n in (decimals, 0)]  # 0: no member "crs"
        return _function("ST_AsGeoJSON", shape, *numbers, type_=sa.Text())

    def sortable(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """Return what to sort by so that both stores agree: texts by code point, whatever the database's locale."""
        if self.dialect_name is Dialect.POSTGRESQL and isinstance(column.type, sa.String):
            return sa.collate(column, "C")
        return column

    def intersects(self, table: sa.Table, bounds: Bounds, *, metric: bool = False) -> sa.ColumnElement[bool]:
        """Rows whose geometry meets a rectangle, touching included; the rectangle may be a line or a point.

        Parameters
        ----------
        bounds
            xmin, ymin, xmax, ymax with xmin ≤ xmax and ymin ≤ ymax, in the axes of the chosen geometry.
        metric
            Compare with the geometry in the city's metric CRS (metres) instead of CRS84 (degrees).
        """
        column = table.c[METRIC_GEOMETRY if metric else GEOMETRY]
        wkt = sa.literal(shapely.to_wkt(_rectangle(bounds), rounding_precision=-1), sa.Text())
        xmin, ymin, xmax, ymax = (table.c[name] for name in (METRIC_BOUNDS if metric else BOUNDS))
        limits: list[sa.ColumnElement[float]] = [sa.literal(v, sa.Double()) for v in bounds]
        west, south, east, north = limits
        near = sa.and_(xmin <= east, xmax >= west, ymin <= north, ymax >= south)
        if self.dialect_name is Dialect.DUCKDB:
            if table.info[POINTS]:
                return near
            box = _function("ST_GeomFromText", wkt)
            return sa.and_(near, _function("ST_Intersects", column, box, type_=sa.Boolean()))
        srid = sa.literal(self._srid_m if metric else CRS84_SRID, sa.Integer())
        box = _function("ST_GeomFromText", wkt, srid)
        # ST_Intersects brings the index; the bounds are the same test as on the other store
        return sa.and_(_function("ST_Intersects", column, box, type_=sa.Boolean()), near)

    def close(self) -> None:
        """Close idle connections; those in use close when they are given back."""
        self.engine.dispose()


def open_store(run: Run, settings: StoreSettings | None = None) -> Store:
    """Open the store of a run: PostGIS where the settings name a database, else the file in the run's folder.

    Raises
    ------
    RunError
        If the database cannot be reached, or does not hold this run.
    """
    url = settings.database_url if settings is not None else None
    postgis = url is not None
    schema = schema_of_run(run.manifest.run_id) if postgis else None
    metric_crs = str(run.manifest.parameters["city"]["metric_crs"])
    tables = run_tables(run, metric_crs=metric_crs, schema=schema, postgis=postgis)
    if url is None:
        engine = duckdb_engine(run.folder / STORE_FILE)
    else:
        engine = postgis_engine(url.get_secret_value(), schema=schema)
        _check_loaded(engine, run.manifest.run_id)
    return Store(engine, tables, srid_m=metric_srid(metric_crs))


def run_tables(run: Run, *, metric_crs: str, schema: str | None, postgis: bool) -> dict[tuple[Form, str], sa.Table]:
    """Define the tables of a run from its manifest and the schemas of its GeoParquet files."""
    metadata = sa.MetaData(schema=schema)
    tables: dict[tuple[Form, str], sa.Table] = {}
    srid_m = metric_srid(metric_crs)
    for product in run.manifest.products:
        if product.spec.grain is Grain.RASTER:
            continue
        for form, file in product.forms.items():
            arrow = pq.read_schema(run.path(file))
            fields = {f.name: f.type for f in arrow if f.name not in {"geometry", BOUNDS_COLUMN}}
            table = stored_table(metadata, product.spec, form, fields, srid_m=srid_m, postgis=postgis)
            tables[form, product.spec.id] = table
    return tables


def _check_loaded(engine: sa.Engine, run_id: str) -> None:
    runs = sa.text("SELECT 1 FROM calanque.runs WHERE run_id = :run_id")
    try:
        with engine.connect() as connection:
            there = sa.inspect(connection).has_table("runs", schema="calanque")
            if there and connection.execute(runs, {"run_id": run_id}).scalar() is not None:
                return
    except sa.exc.OperationalError as error:
        engine.dispose()
        # the driver's text may hold the address, which belongs in no answer
        raise RunError("the PostGIS database cannot be reached (CALANQUE_DATABASE_URL)") from error
    engine.dispose()
    raise RunError(f"the PostGIS database does not hold run {run_id}: 'calanque publish' with the same URL loads it")


def _function(name: str, *arguments: Any, type_: Any = None) -> Function[Any]:
    # not sa.func: GeoAlchemy2 registers the ST_ names there, and compiles them in its own way
    return Function(name, *arguments, type_=type_ if type_ is not None else sa.types.NullType())


def _rectangle(bounds: Bounds) -> shapely.Geometry:
    xmin, ymin, xmax, ymax = bounds
    if xmin == xmax and ymin == ymax:
        return shapely.Point(xmin, ymin)
    if xmin == xmax or ymin == ymax:  # a flat polygon is invalid, and each library answers as it likes
        return shapely.LineString([(xmin, ymin), (xmax, ymax)])
    return shapely.box(xmin, ymin, xmax, ymax)
