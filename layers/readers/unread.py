"""What GDAL passes over in silence: geometries that it cannot read, and values that are not of their column's type.

Rows come without such a geometry as if they had none, and with zero, nothing or another day instead of such a value.
"""

from __future__ import annotations

import json
import sqlite3
import urllib.parse
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from layers.errors import DeliveryError

_NUMBERS = ("BOOLEAN", "TINYINT", "SMALLINT", "MEDIUMINT", "INT", "FLOAT", "DOUBLE", "REAL")
"""Types of columns of numbers (OGC 12-128r19, table 1), also at the beginning of INTEGER."""
_LARGEST_JSON_BYTES = 2**28
"""A larger one is refused without the number of the row: it would take gigabytes to find."""
_GEOMETRIES = frozenset(
    {"Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon", "GeometryCollection"}
)


@dataclass(slots=True)
class Shapes:
    """Keeps count of the rows that are read without a place.

    ``nowhere`` is how many the file itself has. ``given`` tells for each row whether the file gives it a geometry, and
    is asked once there are more; None when that would take too long. ``empty_too`` says whether a point without
    coordinates may be one that could not be read.
    """

    nowhere: int
    given: Callable[[], NDArray[np.bool_] | None]
    empty_too: bool
    _missing: list[NDArray[np.int64]] = field(default_factory=list)
    _given: NDArray[np.bool_] | None = None

    def check(self, shapes: pa.Array, first_row: int, name: str) -> None:
        """Refuse a file in which a geometry cannot be read.

        Parameters
        ----------
        shapes
            WKB of the next rows, null where there is none.
        first_row, name
            Number of the first of them, and name of the file.

        Raises
        ------
        DeliveryError
            Names the row, where it can be found.
        """
        missing = shapes.is_null().to_numpy(zero_copy_only=False)
        if self.empty_too:
            missing |= shapely.is_empty(shapely.from_wkb(shapes.to_numpy(zero_copy_only=False)))
        self._missing.append(first_row + np.flatnonzero(missing))
        if sum(map(len, self._missing)) <= self.nowhere:
            return
        rows = np.concatenate(self._missing)
        if self._given is None:
            self._given = self.given()
        unread = rows if self._given is None else rows[self._given[rows - 1]]
        where = "" if self._given is None else "".join(f"row {row}, " for row in unread[:1])
        if len(unread):
            raise DeliveryError(f"{name}: {where}geometry: cannot be read; correct it, or deliver the row without one")


def shapes_of_geojson(path: Path, nowhere: int) -> Shapes:
    """Shapes of a GeoJSON file in which ``nowhere`` geometries are null or empty."""

    def given() -> NDArray[np.bool_] | None:
        if path.stat().st_size > _LARGEST_JSON_BYTES:
            return None
        return np.array([_has_geometry(feature) for feature in features_of(path)], dtype=bool)

    return Shapes(nowhere, given, empty_too=True)


def features_of(path: Path) -> list[Any]:
    """Features of a GeoJSON file, parsed whole."""
    try:
        document = json.loads(path.read_bytes().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DeliveryError(f"{path.name}: is no JSON: {type(error).__name__}") from error
    features = document.get("features") if isinstance(document, dict) else None
    return features if isinstance(features, list) else [document]


def _has_geometry(feature: Any) -> bool:
    """Whether a feature has a geometry that is not empty, readable or not."""
    geometry = feature.get("geometry") if isinstance(feature, dict) else None
    if geometry is None:
        return False
    if not isinstance(geometry, dict) or geometry.get("type") not in _GEOMETRIES:
        return True
    return geometry.get("geometries" if geometry["type"] == "GeometryCollection" else "coordinates") != []


def row_of_nul(path: Path) -> int | None:
    """Row of the first feature with a NUL in its text."""
    if path.stat().st_size > _LARGEST_JSON_BYTES:
        return 0
    rows = enumerate(features_of(path), start=1)
    return next((row for row, feature in rows if "\\u0000" in json.dumps(feature).replace("\\\\", "")), None)


def connect(path: Path) -> closing[sqlite3.Connection]:
    """Open a database that nobody writes."""
    address = f"file:{urllib.parse.quote(str(path.resolve()))}?mode=ro&immutable=1"
    database = sqlite3.connect(address, uri=True)
    database.text_factory = bytes  # text may be none
    return closing(database)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def shapes_of_geopackage(path: Path, layer: str, geometry: str) -> Shapes:
    """Shapes of a layer of a GeoPackage."""
    column, table = _quoted(geometry), _quoted(layer)

    def given() -> NDArray[np.bool_]:
        with connect(path) as database:
            rows = database.execute(f"SELECT {column} IS NOT NULL FROM {table}").fetchall()  # noqa: S608 — quoted
        return np.array(rows, dtype=bool).reshape(-1)

    with connect(path) as database:
        (nowhere,) = database.execute(f"SELECT count(*) FROM {table} WHERE {column} IS NULL").fetchone()  # noqa: S608 — quoted
    return Shapes(nowhere, given, empty_too=False)


def check_types(path: Path, layer: str) -> None:
    """Refuse a layer of a GeoPackage with words in a column of numbers, or no days in a column of dates.

    SQLite keeps any value in any column.

    Raises
    ------
    DeliveryError
        Names the row and the column.
    """
    table = _quoted(layer)
    with connect(path) as database:
        columns = [
            (name.decode(), kind.decode().upper())
            for _, name, kind, *_ in database.execute(f"PRAGMA table_info({table})")
        ]
        tests = {name: test for name, kind in columns if (test := _test(_quoted(name), kind)) is not None}
        for name, test in tests.items():
            rows = database.execute(f"SELECT {test} FROM {table}")  # noqa: S608 — quoted
            found = next((row for row, (bad,) in enumerate(rows, start=1) if bad), None)
            if found is not None:
                raise DeliveryError(f"{path.name}: row {found}, column {name!r}: holds no value of the column's type")


def _test(column: str, kind: str) -> str | None:
    """SQL that tells a value that is not of its column's type."""
    if kind.startswith("DATE"):
        day = f"substr({column}, 1, 10)"
        return f"{column} IS NOT NULL AND (typeof({column}) <> 'text' OR date({day}, '+0 days') IS NOT {day})"
    if kind.startswith(_NUMBERS):
        return f"typeof({column}) IN ('text', 'blob')"
    return None
