"""Tables and queries of real databases as deliveries; Oracle as the text of its statements only."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest
import shapely
import sqlalchemy as sa
from sqlalchemy.dialects import mysql, oracle

from layers.declared_sources import Database
from layers.errors import DeliveryError
from layers.readers.connections import check_query, relation
from layers.readers.database import open_query, open_snapshot
from layers.readers.dialects import INSTANT, LOCAL_TIME, ColumnType, MySql, Oracle, decimal_type
from support.databases import TestDatabase

POSTGIS_TYPES = """
CREATE TYPE state AS ENUM ('open', 'closed');
CREATE DOMAIN code AS varchar(8);
CREATE TABLE records (
    num integer PRIMARY KEY, clock timestamp, instant timestamptz, day date, hour time, exact numeric(10,2),
    free numeric, small real, number double precision, flag boolean, "Libellé % :x" varchar, fixed char(4),
    state state, code code, key uuid, place geometry(Point, 2154))
"""
POSTGIS_ROW = """
INSERT INTO records VALUES (1, '2024-05-15 10:20:00.5', '2024-05-15 10:20+02', '2024-05-15', '10:20', 1.5,
    123456789012345678901.50, 0.1, 5.4171023, true, 'é', 'ab', 'open', 'N1', '00000000-0000-0000-0000-000000000003',
    ST_SetSRID(ST_MakePoint(893000.25, 6246000.5), 2154))
"""
MARIADB_TYPES = """
CREATE TABLE records (
    num int PRIMARY KEY, clock datetime(6), instant timestamp, day date, hour time, exact decimal(10,2),
    free decimal(40,3), small float, number double, flag boolean, `Libellé % :x` varchar(20), fixed char(4),
    state enum('open', 'closed'), code text, key_ uuid, place point REF_SYSTEM_ID=2154)
"""
MARIADB_ROW = """
INSERT INTO records VALUES (1, '2024-05-15 10:20:00.5', '2024-05-15 10:20:00', '2024-05-15', '10:20', 1.5,
    123456789012345678901.5, 0.1, 5.4171023, true, 'é', 'ab', 'open', 'N1', '00000000-0000-0000-0000-000000000003',
    ST_GeomFromText('POINT(893000.25 6246000.5)', 2154))
"""


def table(name: str = "records", **keys) -> Database:
    return Database(url_env="DB", table=name, **keys)


def query(text: str, **keys) -> Database:
    return Database(url_env="DB", query=text, **keys)


def clock(text: str) -> dt.datetime:
    """A time as a clock shows it, without zone."""
    return dt.datetime.fromisoformat(text)


def read(server: TestDatabase, database: Database, since: object = None) -> pa.Table:
    with open_query(database, url=server.url, since=since) as opened:
        return pa.concat_tables([batch.table for batch in opened.batches])


def numbered(server: TestDatabase, rows: int) -> None:
    """Table ``records`` with num 1 to ``rows``, inserted backwards."""
    server.run("CREATE TABLE records (num integer PRIMARY KEY, day date, title varchar(20))")
    values = ",".join(f"({n}, '2024-01-{1 + n % 28:02d}', 'r{n}')" for n in range(rows, 0, -1))
    server.run(f"INSERT INTO records VALUES {values}")


def test_postgresql_types_become_arrow_types(postgis: TestDatabase):
    postgis.run(POSTGIS_TYPES, POSTGIS_ROW)
    found = read(postgis, table())
    assert dict(zip(found.column_names, found.schema.types, strict=True)) == {
        "num": pa.int64(),
        "clock": pa.timestamp("us"),
        "instant": pa.timestamp("us", "UTC"),
        "day": pa.date32(),
        "hour": pa.string(),
        "exact": pa.decimal128(10, 2),
        "free": pa.string(),
        "small": pa.float64(),
        "number": pa.float64(),
        "flag": pa.bool_(),
        "Libellé % :x": pa.string(),
        "fixed": pa.string(),
        "state": pa.string(),
        "code": pa.string(),
        "key": pa.string(),
    }
    assert list(found.to_pylist()[0].values()) == [
        1,
        clock("2024-05-15 10:20:00.500000"),
        dt.datetime(2024, 5, 15, 8, 20, tzinfo=dt.UTC),
        dt.date(2024, 5, 15),
        "10:20:00",
        Decimal("1.50"),
        "123456789012345678901.50",
        0.1,
        5.4171023,
        True,
        "é",
        "ab  ",
        "open",
        "N1",
        "00000000-0000-0000-0000-000000000003",
    ]


def test_mariadb_types_become_arrow_types(mariadb: TestDatabase):
    mariadb.run("SET time_zone = '+02:00'", MARIADB_TYPES, MARIADB_ROW)
    found = read(mariadb, table())
    types = dict(zip(found.column_names, found.schema.types, strict=True))
    assert types["exact"] == pa.decimal128(11, 2)
    assert pa.types.is_decimal256(types["free"])
    assert (types["clock"], types["instant"], types["day"]) == (LOCAL_TIME, INSTANT, pa.date32())
    assert list(found.to_pylist()[0].values()) == [
        1,
        clock("2024-05-15 10:20:00.500000"),
        dt.datetime(2024, 5, 15, 8, 20, tzinfo=dt.UTC),
        dt.date(2024, 5, 15),
        "10:20:00",
        Decimal("1.50"),
        Decimal("123456789012345678901.500"),
        0.1,
        5.4171023,
        1,
        "é",
        "ab",
        "open",
        "N1",
        "00000000-0000-0000-0000-000000000003",
    ]


def test_a_geometry_is_wkb_with_its_reference_system(server: TestDatabase):
    server.run(*((POSTGIS_TYPES, POSTGIS_ROW) if server.kind == "postgis" else (MARIADB_TYPES, MARIADB_ROW)))
    with open_query(table(), url=server.url) as opened:
        assert (opened.crs, opened.has_geometry, "place" in opened.columns) == ("EPSG:2154", True, False)
        (batch,) = opened.batches
    assert shapely.from_wkb(batch.geometry[0].as_py()) == shapely.Point(893000.25, 6246000.5)


def test_a_query_reads_like_a_table(server: TestDatabase):
    server.run(*((POSTGIS_TYPES, POSTGIS_ROW) if server.kind == "postgis" else (MARIADB_TYPES, MARIADB_ROW)))
    text = "SELECT num AS \"N\", '50 % :x 12:30' AS note, place FROM records WHERE num % 2 = 1"
    text = text.replace('"', "`") if server.kind == "mariadb" else text
    with open_query(query(text), url=server.url) as opened:
        assert (opened.columns, opened.crs) == (("N", "note"), "EPSG:2154")
        assert [batch.table.to_pylist() for batch in opened.batches] == [[{"N": 1, "note": "50 % :x 12:30"}]]


def test_longitude_comes_before_latitude(server: TestDatabase):
    place = "ST_GeomFromText('POINT(5.37 43.29)', 4326)"
    if server.kind == "postgis":  # a geography, which is not a geometry there
        place += "::geography"
    with open_query(query(f"SELECT 1 AS num, {place} AS place"), url=server.url) as opened:
        assert opened.crs == "EPSG:4326"
        (batch,) = opened.batches
    assert shapely.from_wkb(batch.geometry[0].as_py()) == shapely.Point(5.37, 43.29)


def test_a_system_that_a_database_numbers_in_its_own_way_is_found_by_its_authority(postgis: TestDatabase):
    postgis.run(
        "CREATE TABLE spatial_ref_sys AS SELECT 990001 AS srid, 'EPSG' AS auth_name, 2154 AS auth_srid, '' AS srtext"
    )
    with open_query(query("SELECT 1 AS num, ST_GeomFromText('POINT(1 2)') AS place"), url=postgis.url) as opened:
        assert opened.crs is None
    with open_snapshot(table("spatial_ref_sys"), url=postgis.url) as snapshot:
        assert snapshot._dialect.crs(snapshot._connection, 990001) == "EPSG:2154"


def test_two_reference_systems_in_one_column_are_refused_with_their_row(server: TestDatabase):
    server.run("CREATE TABLE records (num integer PRIMARY KEY, place geometry)")
    for number, srid in ((1, 2154), (2, 2154), (3, 4326)):
        server.run(f"INSERT INTO records VALUES ({number}, ST_GeomFromText('POINT(1 2)', {srid}))")
    with pytest.raises(DeliveryError, match="'place', row 3: its reference system is SRID 4326"):
        read(server, table())


def test_rows_come_in_chunks_numbered_in_the_order_of_the_key(server: TestDatabase):
    numbered(server, 250)
    with open_query(table(chunk_rows=100), url=server.url) as opened:
        batches = list(opened.batches)
    assert [b.table.num_rows for b in batches] == [100, 100, 50]
    assert [n for b in batches for n in b.rows.tolist()] == list(range(1, 251))
    assert [n for b in batches for n in b.table.column("num").to_pylist()] == list(range(1, 251))


def test_without_a_key_all_columns_order_the_rows(server: TestDatabase):
    numbered(server, 30)
    found = read(server, query("SELECT title, day FROM records"))
    rows = [(r["title"], r["day"]) for r in found.to_pylist()]
    assert rows == sorted(rows)


def test_a_view_reads_like_a_table(server: TestDatabase):
    numbered(server, 3)
    server.run("CREATE VIEW shown AS SELECT num, title FROM records")
    assert read(server, table("shown")).column("num").to_pylist() == [1, 2, 3]


def test_an_empty_table_has_columns_and_no_rows(server: TestDatabase):
    server.run("CREATE TABLE records (num integer PRIMARY KEY, day date)")
    with open_query(table(), url=server.url) as opened:
        assert opened.columns == ("num", "day")
        assert list(opened.batches) == []


def test_a_snapshot_shows_the_same_rows_again_whatever_is_written_meanwhile(server: TestDatabase):
    numbered(server, 5)
    with open_snapshot(table(), url=server.url) as snapshot:
        first = [p.batch.table for p in snapshot.parts()]
        server.run("INSERT INTO records VALUES (6, '2024-01-01', 'later')", "DELETE FROM records WHERE num = 1")
        assert [p.batch.table for p in snapshot.parts()] == first


def test_a_snapshot_left_halfway_can_be_closed(server: TestDatabase):
    numbered(server, 500)
    with open_query(table(chunk_rows=100), url=server.url) as opened:
        assert next(opened.batches).table.num_rows == 100


@pytest.mark.parametrize(
    ("since", "expected"),
    [(None, [9, 1, 2, 3, 4]), (clock("2024-01-02 00:00:00"), [9, 2, 3, 4]), (clock("2024-01-04 00:00:00"), [9, 4])],
)
def test_a_watermark_asks_for_what_is_at_or_after_it_and_for_what_has_none(
    server: TestDatabase, since: object, expected: list[int]
):
    kind = "timestamp" if server.kind == "postgis" else "datetime"
    server.run(f"CREATE TABLE records (num integer PRIMARY KEY, changed {kind})")
    server.run(
        "INSERT INTO records VALUES "
        "(4, '2024-01-04'), (3, '2024-01-02'), (2, '2024-01-02'), (1, '2024-01-01'), (9, NULL)"
    )
    found = read(server, table(watermark="changed"), since).column("num").to_pylist()
    assert sorted(found) == sorted(expected)
    assert [n for n in found if n != 9] == [n for n in expected if n != 9]


@pytest.mark.parametrize(
    ("kind", "marks"),
    [
        ("integer", [1, 2]),
        ("numeric(10,2)", [Decimal("1.10"), Decimal("1.25")]),
        ("date", [dt.date(2024, 1, 1), dt.date(2024, 1, 2)]),
        ("varchar(20)", ["a", "b"]),
    ],
)
def test_watermarks_are_of_their_columns_type(server: TestDatabase, kind: str, marks: list[object]):
    server.run(f"CREATE TABLE records (num integer PRIMARY KEY, changed {kind})")
    server.run(f"INSERT INTO records VALUES (1, '{marks[0]}'), (2, '{marks[1]}')")
    with open_snapshot(table(watermark="changed"), url=server.url, since=marks[1], without={"changed"}) as snapshot:
        assert [c.name for c in snapshot.columns] == ["num"]
        (part,) = snapshot.parts()
    assert part.watermarks == [marks[1]]


def test_a_watermark_of_rounded_numbers_is_refused(server: TestDatabase):
    server.run("CREATE TABLE records (num integer PRIMARY KEY, changed double precision)")
    with pytest.raises(DeliveryError, match="'changed' is of type"):
        read(server, table(watermark="changed"))


def test_times_without_end_are_null_and_times_out_of_reach_are_kept_to_be_rejected(postgis: TestDatabase):
    postgis.run("CREATE TABLE records (num integer PRIMARY KEY, until timestamp, day date, exact numeric(5,2))")
    postgis.run(
        "INSERT INTO records VALUES (1, 'infinity', '-infinity', 'NaN'), (2, '0044-03-15 BC', '12000-01-01', 1)"
    )
    assert [tuple(r.values()) for r in read(postgis, table()).to_pylist()] == [
        (1, None, None, None),
        (2, clock("0001-01-01 00:00:00"), dt.date(9999, 12, 31), Decimal("1.00")),
    ]


def test_zero_dates_are_null_and_impossible_ones_are_kept_to_be_rejected(mariadb: TestDatabase):
    mariadb.run(
        "SET sql_mode = 'ALLOW_INVALID_DATES'", "CREATE TABLE records (num int PRIMARY KEY, day date, t datetime)"
    )
    mariadb.run(
        "SET sql_mode = 'ALLOW_INVALID_DATES'",
        "INSERT INTO records VALUES (1, '0000-00-00', '0000-00-00 00:00:00'), (2, '2024-02-31', '2024-02-31 10:00'), "
        "(3, '2024-02-03', '2024-02-03 10:00')",
    )
    assert [tuple(r.values()) for r in read(mariadb, table()).to_pylist()] == [
        (1, None, None),
        (2, dt.date(1, 1, 1), clock("0001-01-01 00:00:00")),
        (3, dt.date(2024, 2, 3), clock("2024-02-03 10:00:00")),
    ]


@pytest.mark.parametrize("kind", ["json", "jsonb", "bytea", "integer[]", "interval", "inet", "xml", "point"])
def test_a_type_that_nothing_reads_is_refused_by_column_and_type(postgis: TestDatabase, kind: str):
    postgis.run(f"CREATE TABLE records (num integer, odd {kind})", "INSERT INTO records VALUES (1, NULL)")
    with pytest.raises(DeliveryError, match=rf"column 'odd' is of type _?{kind.replace('integer[]', 'int4')}"):
        read(postgis, table())
    with open_snapshot(table(), url=postgis.url, without={"odd"}) as snapshot:
        assert [p.batch.table.to_pylist() for p in snapshot.parts()] == [[{"num": 1}]]


def test_bytes_and_numbers_beyond_64_bits_are_refused_by_column(mariadb: TestDatabase):
    mariadb.run("CREATE TABLE records (num bigint unsigned, odd blob)")
    mariadb.run("INSERT INTO records VALUES (1, NULL), (2, 'abc'), (18446744073709551615, NULL)")
    with pytest.raises(DeliveryError, match="column 'odd' is of type text and holds bytes"):
        read(mariadb, query("SELECT num, odd FROM records WHERE num < 3"))
    with pytest.raises(DeliveryError, match="column 'num', row 3: a value is not of the column's type bigint"):
        read(mariadb, query("SELECT num FROM records"))


def test_of_two_geometries_the_named_one_counts(server: TestDatabase):
    server.run("CREATE TABLE records (num integer PRIMARY KEY, area geometry, place geometry)")
    server.run("INSERT INTO records VALUES (1, NULL, ST_GeomFromText('POINT(1 2)', 2154))")
    with open_snapshot(table(geometry="place"), url=server.url, without={"area"}) as snapshot:
        (part,) = snapshot.parts()
    assert part.batch.geometry.null_count == 0
    with pytest.raises(DeliveryError, match="column 'area' is another geometry"):
        read(server, table(geometry="place"))
    with pytest.raises(DeliveryError, match="no geometry column 'num'"):
        read(server, table(geometry="num"))


def test_what_is_dropped_is_not_asked_for(server: TestDatabase):
    numbered(server, 1)
    with open_snapshot(table(), url=server.url, without={"title"}) as snapshot:
        assert "title" not in str(snapshot._statement)


def test_nothing_is_written_even_by_a_function(postgis: TestDatabase):
    postgis.run(
        "CREATE TABLE records (num integer)",
        "CREATE FUNCTION sly() RETURNS integer LANGUAGE sql AS 'INSERT INTO records VALUES (1) RETURNING num'",
    )
    with pytest.raises(DeliveryError, match="ReadOnlySqlTransaction 25006"):
        read(postgis, query("SELECT sly() AS num"))
    assert postgis.ask("SELECT count(*) FROM records") == [(0,)]


def test_nothing_is_written_in_mariadb_either(mariadb: TestDatabase):
    mariadb.run(
        "CREATE TABLE records (num integer)",
        "CREATE FUNCTION sly() RETURNS integer MODIFIES SQL DATA BEGIN INSERT INTO records VALUES (1); RETURN 1; END",
    )
    with pytest.raises(DeliveryError, match="the database refuses"):
        read(mariadb, query("SELECT sly() AS num"))
    assert mariadb.ask("SELECT count(*) FROM records") == [(0,)]


@pytest.mark.parametrize(
    "text",
    [
        "DELETE FROM records",
        "SELECT 1; DROP TABLE records",
        "SELECT 1 -- comment",
        "SELECT 1 /*! INTO OUTFILE '/tmp/x' */",
        "WITH gone AS (DELETE FROM records RETURNING *) SELECT * FROM gone",
        "SELECT * INTO copied FROM records",
        "SELECT * FROM records FOR UPDATE",
        "TABLE records",
        "",
    ],
)
def test_a_query_is_one_select(text: str):
    with pytest.raises(DeliveryError, match="one SELECT"):
        check_query(text)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 'delete' AS word, \"update\" FROM records",
        "  with a as (select 1 as n) select n from a",
        "(SELECT 1 AS n) UNION (SELECT 2)",
        "SELECT updated_at, deleted FROM records",
    ],
)
def test_words_in_quotes_and_in_longer_names_are_no_writing(text: str):
    check_query(text)


def test_errors_never_show_a_value_of_a_row(server: TestDatabase):
    server.run("CREATE TABLE records (num integer PRIMARY KEY, name varchar(20))")
    server.run("INSERT INTO records VALUES (1, '12'), (2, 'Dupont')")
    if server.kind == "postgis":
        text = "SELECT num, name::integer AS number FROM records"
    else:
        text = "SELECT num, (SELECT r.name FROM records r WHERE r.num >= records.num) AS number FROM records"
    with pytest.raises(DeliveryError, match="the database refuses") as refused:
        read(server, query(text))
    assert "Dupont" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_errors_never_show_the_password(server: TestDatabase):
    url = sa.make_url(server.url).set(username="nobody", password="s3cr3t", host="127.0.0.1", port=1)
    for given in (url.render_as_string(hide_password=False), "s3cr3t", "sqlite://u:s3cr3t@host/x"):
        with pytest.raises(DeliveryError) as refused, open_query(table(), url=given):
            pass
        assert "s3cr3t" not in str(refused.value)
        assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    ("database", "message"),
    [
        (table("nowhere"), "nowhere"),
        (table("a.b.c"), "schema.table or table is expected"),
        (table(watermark="nowhere"), "no column 'nowhere'"),
        (query("SELECT 1 AS a, 2 AS a"), "several columns are called 'a'|Duplicate column name 'a'"),
        (query("SELECT nowhere FROM records"), "nowhere"),
    ],
)
def test_what_is_not_there_is_named(server: TestDatabase, database: Database, message: str):
    numbered(server, 1)
    with pytest.raises(DeliveryError, match=message):
        read(server, database)


def test_a_schema_can_be_named(server: TestDatabase):
    numbered(server, 2)
    column = "current_schema()" if server.kind == "postgis" else "database()"
    ((schema,),) = server.ask(f"SELECT {column}")
    assert read(server, table(f"{schema}.records")).num_rows == 2


@pytest.mark.parametrize(
    ("precision", "scale", "expected"),
    [
        (10, 2, pa.decimal128(10, 2)),
        (38, 0, pa.decimal128(38, 0)),
        (65, 30, pa.decimal256(65, 30)),
        (None, None, pa.string()),
        (77, 2, pa.string()),
        (3, -2, pa.string()),
    ],
)
def test_exact_numbers_stay_exact(precision: int | None, scale: int | None, expected: pa.DataType):
    assert decimal_type(precision, scale) == expected


def test_oracle_statements_are_these():
    """Compiled only: no Oracle runs here."""
    place, instant = relation(table("CITY.RECORDS"), ["PLACE", "AT"]).c
    dialect = Oracle()
    asked = [
        dialect.wkb(place).label("c0"),
        dialect.srid(place).label("c1"),
        dialect.value(instant, ColumnType("TIMESTAMP_TZ", INSTANT)).label("c2"),
    ]
    since = (
        sa.select(*asked).where(sa.or_(instant >= clock("2024-01-01 00:00:00"), instant.is_(None))).order_by(instant)
    )
    assert " ".join(str(since.compile(dialect=oracle.dialect())).split()) == (
        'SELECT SDO_UTIL.TO_WKBGEOMETRY(delivery."PLACE") AS c0, delivery."PLACE".SDO_SRID AS c1, '
        'SYS_EXTRACT_UTC(delivery."AT") AS c2 FROM "CITY"."RECORDS" delivery '
        'WHERE delivery."AT" >= :AT_1 OR delivery."AT" IS NULL ORDER BY delivery."AT"'
    )


def test_an_oracle_query_is_wrapped_and_limited_in_its_own_way():
    asked = relation(query("SELECT NUM, PLACE FROM CITY.RECORDS WHERE D > TO_DATE('12:30', 'HH24:MI')"), ["PLACE"])
    place = asked.c["PLACE"]
    first = sa.select(Oracle().srid(place).label("c0")).where(place.is_not(None)).limit(1)
    assert " ".join(str(first.compile(dialect=oracle.dialect())).split()) == (
        "SELECT delivery.\"PLACE\".SDO_SRID AS c0 FROM (SELECT NUM, PLACE FROM CITY.RECORDS WHERE D > TO_DATE('12:30', "
        "'HH24:MI')) delivery WHERE delivery.\"PLACE\" IS NOT NULL FETCH FIRST __[POSTCOMPILE_param_1] ROWS ONLY"
    )


@pytest.mark.parametrize(
    ("name", "digits", "scale", "expected"),
    [
        ("DB_TYPE_NUMBER", 10, 2, pa.decimal128(10, 2)),
        ("DB_TYPE_NUMBER", 0, -127, pa.string()),
        ("DB_TYPE_VARCHAR", None, None, pa.string()),
        ("DB_TYPE_DATE", None, None, LOCAL_TIME),
        ("DB_TYPE_TIMESTAMP_TZ", None, None, INSTANT),
        ("DB_TYPE_BLOB", None, None, None),
    ],
)
def test_oracle_types_are_told_by_the_drivers_names(
    name: str, digits: int | None, scale: int | None, expected: pa.DataType | None
):
    class Code:
        def __init__(self) -> None:
            self.name = name

    (found,) = Oracle().types(None, [("C", Code(), None, None, digits, scale, True)])
    assert found.arrow == expected


def test_mysql_is_told_the_order_of_axes_and_mariadb_needs_no_telling():
    place = relation(table(), ["place"]).c["place"]
    dialect = MySql()
    assert str(dialect.wkb(place).compile(dialect=mysql.dialect())) == (
        "ST_AsBinary(delivery.place, 'axis-order=long-lat')"
    )
    dialect.mariadb = True
    assert str(dialect.wkb(place).compile(dialect=mysql.dialect())) == "ST_AsBinary(delivery.place)"
