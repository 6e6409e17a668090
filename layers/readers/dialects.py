"""What differs between databases: how a transaction only reads, how types are told, how a geometry becomes WKB.

A new database is one subclass of :class:`Dialect` that names itself.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import Function  # not sa.func: geoalchemy2 gives the ST_ functions there types of its own

LOCAL_TIME = pa.timestamp("us")
INSTANT = pa.timestamp("us", "UTC")
_MAX_DIGITS = 76
"""Digits of the longest decimal of Arrow."""


@dataclass(frozen=True, slots=True)
class ColumnType:
    """Type of a column: ``name`` as its database says it, ``arrow`` as it is read; None where nothing reads it."""

    name: str
    arrow: pa.DataType | None = None
    geometry: bool = False
    sortable: bool = True


@dataclass(frozen=True, slots=True)
class DatabaseColumn:
    """A column that is read; ``position`` is its place in the table or query."""

    name: str
    position: int
    type: ColumnType


class Dialect(ABC):
    """One kind of database, known by the first part of its URL."""

    names: ClassVar[tuple[str, ...]]
    driver: ClassVar[str]
    """Name in a URL of the driver that is used."""
    options: ClassVar[dict[str, Any]] = {}
    """Arguments of the driver's connection."""
    registry: ClassVar[dict[str, type[Dialect]]] = {}

    def __init_subclass__(cls) -> None:
        """Make the database known."""
        for name in cls.names:
            Dialect.registry[name] = cls

    @abstractmethod
    def begin(self, connection: sa.Connection) -> None:
        """Begin a transaction that only reads, sees one state of the database, and gives instants in UTC."""

    @abstractmethod
    def types(self, connection: sa.Connection, described: Sequence[Any]) -> list[ColumnType]:
        """Types of the columns of a result, from its cursor's description."""

    @abstractmethod
    def wkb(self, geometry: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """Geometry as WKB, east before north."""

    @abstractmethod
    def srid(self, geometry: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """Number of a geometry's reference system in this database."""

    def crs(self, _connection: sa.Connection, srid: int) -> str:
        """Reference system that has this number here."""
        return f"EPSG:{srid}"

    def value(self, column: sa.ColumnElement[Any], _kind: ColumnType) -> sa.ColumnElement[Any]:
        """Column as it is selected, where its type holds values that its driver does not read."""
        return column


def dialect_of(name: str) -> Dialect | None:
    """Look a database up by its name in a URL."""
    found = Dialect.registry.get(name)
    return found() if found else None


def decimal_type(precision: int | None, scale: int | None) -> pa.DataType:
    """Exact numbers of a declared scale as decimals.

    A number without one can be any: it is read as text, for no binary number holds an identifier of twenty digits.
    """
    if precision is None or scale is None or not 0 < precision <= _MAX_DIGITS or not 0 <= scale <= precision:
        return pa.string()
    return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)


class PlanarGeometry(sa.types.UserDefinedType[bytes]):
    """PostGIS' type geometry, as the target of a cast: ST_SRID knows no geography."""

    cache_ok = True

    def get_col_spec(self, **_options: Any) -> str:
        """Name of the type."""
        return "geometry"


class PostgreSql(Dialect):
    """PostgreSQL and PostGIS, through psycopg."""

    names: ClassVar[tuple[str, ...]] = ("postgresql",)
    driver: ClassVar[str] = "postgresql+psycopg"
    # A database without encoding would give bytes for text.
    options: ClassVar[dict[str, Any]] = {"connect_timeout": 15, "client_encoding": "utf8"}
    arrow: ClassVar[dict[str, pa.DataType]] = {
        "bool": pa.bool_(),
        **dict.fromkeys(("int2", "int4", "int8", "oid"), pa.int64()),
        **dict.fromkeys(("float4", "float8"), pa.float64()),
        **dict.fromkeys(("text", "varchar", "bpchar", "name", "char", "citext", "uuid", "time", "timetz"), pa.string()),
        "date": pa.date32(),
        "timestamp": LOCAL_TIME,
        "timestamptz": INSTANT,
    }

    def begin(self, connection: sa.Connection) -> None:
        """Begin the transaction."""
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.exec_driver_sql("SET LOCAL TIME ZONE 'UTC'")

    def types(self, connection: sa.Connection, described: Sequence[Any]) -> list[ColumnType]:
        """Types by their names in the server's catalogue: extensions have other numbers in each database."""
        catalogue = sa.table("pg_type", *map(sa.column, ("oid", "typname", "typtype")), schema="pg_catalog")
        numbers = {int(column.type_code) for column in described}
        rows = connection.execute(sa.select(catalogue).where(catalogue.c.oid.in_(numbers)))
        known = {oid: (str(name), kind in {b"e", "e"}) for oid, name, kind in rows}
        return [self._type(column, *known[column.type_code]) for column in described]

    def _type(self, column: Any, name: str, enumerated: bool) -> ColumnType:  # noqa: FBT001
        if name in {"geometry", "geography"}:
            return ColumnType(name, pa.binary(), geometry=True, sortable=False)
        if name == "numeric":
            return ColumnType(name, decimal_type(column.precision, column.scale))
        arrow = pa.string() if enumerated else self.arrow.get(name)
        return ColumnType(name, arrow, sortable=arrow is not None)

    def value(self, column: sa.ColumnElement[Any], kind: ColumnType) -> sa.ColumnElement[Any]:
        """Times without end (infinity) as null, times before year 1 or after 9999 as its first or last day."""
        if kind.arrow not in {pa.date32(), LOCAL_TIME, INSTANT}:
            return column
        bounds: list[sa.ColumnElement[Any]] = [
            sa.literal_column(f"{kind.name} '{day}'") for day in ("0001-01-01", "9999-12-31")
        ]
        held = sa.func.least(sa.func.greatest(column, bounds[0]), bounds[1])
        return sa.case((sa.func.isfinite(column), held))

    def wkb(self, geometry: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """Two dimensions, little-endian: one form of one place."""
        flat: sa.ColumnElement[Any] = Function("ST_Force2D", sa.cast(geometry, PlanarGeometry()))
        return Function("ST_AsBinary", flat, sa.literal_column("'NDR'"))

    def srid(self, geometry: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """Number in spatial_ref_sys."""
        return Function("ST_SRID", sa.cast(geometry, PlanarGeometry()))

    def crs(self, connection: sa.Connection, srid: int) -> str:
        """Authority and code by spatial_ref_sys: a database may number systems in its own way."""
        known = sa.table("spatial_ref_sys", *map(sa.column, ("srid", "auth_name", "auth_srid", "srtext")))
        found = connection.execute(sa.select(known).where(known.c.srid == srid)).one_or_none()
        if found is None:
            return f"EPSG:{srid}"
        return f"{found.auth_name}:{found.auth_srid}" if found.auth_name else str(found.srtext)


_MYSQL_CODES = {
    0: "decimal",
    1: "tinyint",
    2: "smallint",
    3: "int",
    4: "float",
    5: "double",
    7: "timestamp",
    8: "bigint",
    9: "mediumint",
    10: "date",
    11: "time",
    12: "datetime",
    13: "year",
    15: "varchar",
    16: "bit",
    245: "json",
    246: "decimal",
    247: "enum",
    248: "set",
    249: "tinytext",
    250: "mediumtext",
    251: "longtext",
    252: "text",
    253: "varchar",
    254: "char",
    255: "geometry",
}
"""Column types of the client protocol (MySQL internals, ``enum_field_types``)."""


class MySql(Dialect):
    """MySQL and MariaDB, through PyMySQL."""

    names: ClassVar[tuple[str, ...]] = ("mysql", "mariadb")
    driver: ClassVar[str] = "mysql+pymysql"
    options: ClassVar[dict[str, Any]] = {"connect_timeout": 15, "charset": "utf8mb4"}
    arrow: ClassVar[dict[str, pa.DataType]] = {
        **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint", "year"), pa.int64()),
        **dict.fromkeys(("float", "double"), pa.float64()),
        **dict.fromkeys(("char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "time"), pa.string()),
        "date": pa.date32(),
        "datetime": LOCAL_TIME,
        "timestamp": INSTANT,
    }

    mariadb = False
    """Whether the server turned out to be a MariaDB."""

    def begin(self, connection: sa.Connection) -> None:
        """Begin the transaction; tables of engines without transactions are read as they are."""
        self.mariadb = bool(getattr(connection.dialect, "is_mariadb", False))
        connection.exec_driver_sql("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.exec_driver_sql("SET time_zone = '+00:00'")
        connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")

    def types(self, _connection: sa.Connection, described: Sequence[Any]) -> list[ColumnType]:
        """Types by the protocol's numbers; binary columns have those of text and show by their first value."""
        return [self._type(*column[:6]) for column in described]

    def _type(
        self, _name: str, code: int, _shown: Any, _size: Any, length: int | None, scale: int | None
    ) -> ColumnType:
        name = _MYSQL_CODES.get(code, f"type {code}")
        if name == "geometry":
            return ColumnType(name, pa.binary(), geometry=True, sortable=False)
        if name == "decimal":
            # The length counts the mark and perhaps a sign.
            digits = None if length is None else min(65, length - bool(scale))
            return ColumnType(name, decimal_type(digits, scale))
        return ColumnType(name, self.arrow.get(name), sortable=name in self.arrow)

    def wkb(self, geometry: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """MySQL 8 gives latitude first for geographic systems unless told; MariaDB keeps what it was given."""
        told: tuple[sa.ColumnElement[Any], ...] = () if self.mariadb else (sa.literal_column("'axis-order=long-lat'"),)
        return Function("ST_AsBinary", geometry, *told)

    def srid(self, geometry: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """Number that a geometry carries."""
        return Function("ST_SRID", geometry)


class Oracle(Dialect):
    """Oracle with Spatial, through python-oracledb.

    Held by the text of its statements only: no test runs them against a server.
    """

    names: ClassVar[tuple[str, ...]] = ("oracle",)
    driver: ClassVar[str] = "oracle+oracledb"
    options: ClassVar[dict[str, Any]] = {"tcp_connect_timeout": 15}
    arrow: ClassVar[dict[str, pa.DataType]] = {
        **dict.fromkeys(("BINARY_FLOAT", "BINARY_DOUBLE"), pa.float64()),
        **dict.fromkeys(("VARCHAR", "NVARCHAR", "CHAR", "NCHAR"), pa.string()),
        **dict.fromkeys(("DATE", "TIMESTAMP"), LOCAL_TIME),
        **dict.fromkeys(("TIMESTAMP_TZ", "TIMESTAMP_LTZ"), INSTANT),
        "BOOLEAN": pa.bool_(),
    }

    def begin(self, connection: sa.Connection) -> None:
        """Begin the transaction: one that only reads sees one state."""
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")

    def types(self, _connection: sa.Connection, described: Sequence[Any]) -> list[ColumnType]:
        """Types by the driver's names (``DB_TYPE_…``)."""
        return [self._type(*column[:6]) for column in described]

    def _type(
        self, _name: str, code: Any, _shown: Any, _size: Any, digits: int | None, scale: int | None
    ) -> ColumnType:
        name = re.sub("^DB_TYPE_", "", str(getattr(code, "name", code)))
        if name == "OBJECT":
            return ColumnType("SDO_GEOMETRY", pa.binary(), geometry=True, sortable=False)
        if name == "NUMBER":
            return ColumnType(name, decimal_type(digits or None, scale))
        if name in {"CLOB", "NCLOB", "LONG"}:
            return ColumnType(name, pa.string(), sortable=False)
        return ColumnType(name, self.arrow.get(name), sortable=name in self.arrow)

    def value(self, column: sa.ColumnElement[Any], kind: ColumnType) -> sa.ColumnElement[Any]:
        """Instants in UTC: the driver leaves the zone of a time out."""
        return Function("SYS_EXTRACT_UTC", column) if kind.arrow == INSTANT else column

    def wkb(self, geometry: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """Two dimensions, by the database's own function."""
        return sa.func.SDO_UTIL.TO_WKBGEOMETRY(geometry)

    def srid(self, geometry: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """Attribute of the geometry."""
        return _SdoSrid(geometry)

    def crs(self, _connection: sa.Connection, srid: int) -> str:
        """EPSG's numbers, save for Oracle's own number of longitude and latitude (WGS 84)."""
        return "EPSG:4326" if srid == 8307 else f"EPSG:{srid}"


class _SdoSrid(sa.ColumnElement[int]):
    """``table.geometry.SDO_SRID``: an attribute of an object, which needs the table's alias before it."""

    inherit_cache = False

    def __init__(self, geometry: sa.ColumnElement[Any]) -> None:
        self.geometry = geometry
        self.type = sa.Integer()


@compiles(_SdoSrid)
def _compile_sdo_srid(element: _SdoSrid, compiler: sa.sql.compiler.SQLCompiler, **options: Any) -> str:
    return f"{compiler.process(element.geometry, **options)}.SDO_SRID"
