"""Where records are: coordinates of a delivery in CRS84 and in the city's metric CRS, and what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyproj
import shapely
from numpy.typing import NDArray

from layers.issues import Issues, Reason

CRS84 = "OGC:CRS84"
_DEGREE_DECIMALS = 9
_METRE_DECIMALS = 4
"""Coordinates are kept to a tenth of a millimetre: below it, they differ from one machine to the next."""

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Places:
    """Coordinates, shape (n,), NaN where not located: degrees in CRS84 and metres in the metric CRS.

    ``shapes`` are geometries in CRS84 where a record is more than a point (None elsewhere).
    """

    lon: FloatArray
    lat: FloatArray
    x_m: FloatArray
    y_m: FloatArray
    shapes: NDArray[np.object_]

    @classmethod
    def nowhere(cls, size: int) -> Places:
        """Places of records that have none."""
        none = np.full(size, np.nan)
        return cls(none, none.copy(), none.copy(), none.copy(), np.full(size, None, dtype=object))


@lru_cache(maxsize=64)
def transformer(source: str, target: str) -> pyproj.Transformer:
    """Build a transformer between two CRS, x (or longitude) first whatever the authority says."""
    return pyproj.Transformer.from_crs(source, target, always_xy=True)


def transform_shapes(shapes: NDArray[np.object_], source: str, target: str) -> NDArray[np.object_]:
    """Transform geometries from one CRS to another (longitude or x first); straight edges stay straight."""
    if source == target:
        return shapes
    move = transformer(source, target).transform
    moved: NDArray[np.object_] = shapely.transform(shapes, lambda xy: np.column_stack(move(xy[:, 0], xy[:, 1])))
    return moved


def places_of_points(
    x: FloatArray, y: FloatArray, *, crs: str, metric_crs: str, bad: BoolArray, issues: Issues
) -> Places:
    """Place points, and flag those that cannot be where they say.

    Parameters
    ----------
    x, y
        Coordinates in ``crs`` (longitude or easting first), shape (n,), NaN where missing.
    crs, metric_crs
        CRS of the delivery and of the city.
    bad
        Rows whose coordinates could not be read as numbers (already flagged).
    issues
        Receives the faults: half a pair, (0, 0), swapped axes, outside the area in which a CRS is used.
    """
    no_x, no_y = np.isnan(x), np.isnan(y)
    issues.add((no_x != no_y) & ~bad, "coordinates", Reason.INCOMPLETE_COORDINATES)
    given = ~no_x & ~no_y
    zero = given & (x == 0) & (y == 0)
    issues.add(zero, "coordinates", Reason.ZERO_COORDINATES, _pairs(x, y, zero))
    given &= ~zero
    x, y = np.where(given, x, np.nan), np.where(given, y, np.nan)
    lon, lat = _moved(x, y, crs, CRS84)
    inside = _in_area(lon, lat, crs) & _in_area(lon, lat, metric_crs)
    astray = given & ~inside
    if astray.any():
        swapped_lon, swapped_lat = _moved(y, x, crs, CRS84)
        swapped = astray & _in_area(swapped_lon, swapped_lat, crs) & _in_area(swapped_lon, swapped_lat, metric_crs)
        issues.add(swapped, "coordinates", Reason.SWAPPED_AXES, _pairs(x, y, astray))
        issues.add(astray & ~swapped, "coordinates", Reason.OUTSIDE_CRS_AREA, _pairs(x, y, astray))
    lon, lat = (np.where(given & inside, v, np.nan) for v in (lon, lat))
    return _rounded(lon, lat, metric_crs, np.full(len(x), None, dtype=object))


def places_of_shapes(wkb: pa.Array, *, crs: str, metric_crs: str, polygons: bool, issues: Issues) -> Places:
    """Place the geometries of a delivery.

    Parameters
    ----------
    wkb
        WKB in ``crs``, null or empty where not located.
    polygons
        Whether polygons are accepted beside points; a polygon's point is one inside it.
    issues
        Receives the faults; a polygon that crosses itself is one.
    """
    given = wkb.is_valid().to_numpy(zero_copy_only=False)
    shapes = shapely.force_2d(shapely.from_wkb(wkb.to_numpy(zero_copy_only=False), on_invalid="ignore"))
    issues.add(given & shapely.is_missing(shapes), "geometry", Reason.INVALID_GEOMETRY)
    shapes[shapely.is_empty(shapes)] = None
    single = (shapely.get_type_id(shapes) == shapely.GeometryType.MULTIPOINT) & (
        shapely.get_num_geometries(shapes) == 1
    )
    shapes[single] = shapely.get_geometry(shapes[single], 0)
    types = shapely.get_type_id(shapes)
    areas = np.isin(types, (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON))
    known = ~shapely.is_missing(shapes)
    wrong = known & (types != shapely.GeometryType.POINT) & ~(areas & polygons)
    issues.add(wrong, "geometry", Reason.NOT_A_POINT, shapely.to_wkt(shapes, rounding_precision=2))
    broken = areas & polygons & ~shapely.is_valid(shapes)
    issues.add(broken, "geometry", Reason.INVALID_GEOMETRY, shapely.is_valid_reason(shapes))
    areas &= polygons & ~broken
    inner = shapes.copy()
    inner[areas] = shapely.point_on_surface(shapes[areas])
    inner[wrong | broken] = None
    placed = places_of_points(
        shapely.get_x(inner), shapely.get_y(inner), crs=crs, metric_crs=metric_crs, bad=wrong | broken, issues=issues
    )
    drawn = np.full(len(shapes), None, dtype=object)
    drawn[areas] = transform_shapes(shapes[areas], crs, CRS84)
    return Places(placed.lon, placed.lat, placed.x_m, placed.y_m, drawn)


def _rounded(lon: FloatArray, lat: FloatArray, metric_crs: str, shapes: NDArray[np.object_]) -> Places:
    lon, lat = np.round(lon, _DEGREE_DECIMALS), np.round(lat, _DEGREE_DECIMALS)
    x_m, y_m = _moved(lon, lat, CRS84, metric_crs)
    return Places(lon, lat, np.round(x_m, _METRE_DECIMALS), np.round(y_m, _METRE_DECIMALS), shapes)


def _moved(x: FloatArray, y: FloatArray, source: str, target: str) -> tuple[FloatArray, FloatArray]:
    moved_x, moved_y = transformer(source, target).transform(x, y)
    finite = np.isfinite(moved_x) & np.isfinite(moved_y)
    return np.where(finite, moved_x, np.nan), np.where(finite, moved_y, np.nan)


def _in_area(lon: FloatArray, lat: FloatArray, crs: str) -> BoolArray:
    """Whether points are in the area for which a CRS is made (its bounds in degrees)."""
    world = (np.abs(lon) <= 180) & (np.abs(lat) <= 90)
    area = pyproj.CRS.from_user_input(crs).area_of_use
    if area is None:
        return world
    across = area.west > area.east
    in_longitude = (lon >= area.west) | (lon <= area.east) if across else (lon >= area.west) & (lon <= area.east)
    return world & in_longitude & (lat >= area.south) & (lat <= area.north)


def _pairs(x: FloatArray, y: FloatArray, rows: BoolArray) -> NDArray[np.object_]:
    """Spell the coordinates of ``rows``; None elsewhere."""
    spelled = np.full(len(x), None, dtype=object)
    spelled[rows] = [f"{a:.10g} {b:.10g}" for a, b in zip(x[rows], y[rows], strict=True)]
    return spelled
