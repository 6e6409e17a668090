"""Where records are: coordinates of a delivery in CRS84 and in the city's metric CRS, and what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyproj
import shapely
from numpy.typing import NDArray

from layers.issues import Issues, Reason

CRS84 = "OGC:CRS84"
POINTS = frozenset({"Point"})
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
    lon, lat = (x, y) if _is_degrees(crs) else _moved(x, y, crs, CRS84)
    inside = _in_area(lon, lat, crs) & _in_area(lon, lat, metric_crs)
    astray = given & ~inside
    if astray.any():
        swapped_lon, swapped_lat = _moved(y, x, crs, CRS84)
        swapped = astray & _in_area(swapped_lon, swapped_lat, crs) & _in_area(swapped_lon, swapped_lat, metric_crs)
        issues.add(swapped, "coordinates", Reason.SWAPPED_AXES, _pairs(x, y, astray))
        issues.add(astray & ~swapped, "coordinates", Reason.OUTSIDE_CRS_AREA, _pairs(x, y, astray))
    lon, lat = (np.where(given & inside, v, np.nan) for v in (lon, lat))
    return _rounded(lon, lat, metric_crs, np.full(len(x), None, dtype=object))


def places_of_shapes(
    wkb: pa.Array, *, crs: str, metric_crs: str, kinds: frozenset[str] = POINTS, issues: Issues
) -> Places:
    """Place the geometries of a delivery.

    Parameters
    ----------
    wkb
        WKB in ``crs``, null or empty where not located.
    kinds
        Names of the geometries that are accepted; the point of a polygon is one inside it, that of a line the one
        halfway along.
    issues
        Receives the faults; a polygon that crosses itself and a line without length are some.
    """
    given = wkb.is_valid().to_numpy(zero_copy_only=False)
    with np.errstate(invalid="ignore"):  # coordinates that are no numbers: told below
        shapes = shapely.force_2d(shapely.from_wkb(wkb.to_numpy(zero_copy_only=False), on_invalid="ignore"))
    issues.add(given & shapely.is_missing(shapes), "geometry", Reason.INVALID_GEOMETRY)
    shapes[shapely.is_empty(shapes)] = None
    single = (shapely.get_type_id(shapes) == shapely.GeometryType.MULTIPOINT) & (
        shapely.get_num_geometries(shapes) == 1
    )
    shapes[single] = shapely.get_geometry(shapes[single], 0)
    types = shapely.get_type_id(shapes)
    known = ~shapely.is_missing(shapes)
    wrong = known & ~np.isin(types, [shapely.GeometryType[kind.upper()] for kind in kinds])
    if wrong.any():
        issues.add(wrong, "geometry", Reason.NOT_A_POINT, shapely.to_wkt(shapes, rounding_precision=2))
    drawn = known & ~wrong & (types != shapely.GeometryType.POINT)
    areas = drawn & (shapely.get_dimensions(shapes) == 2)
    broken = (areas & ~shapely.is_valid(shapes)) | (drawn & ~areas & ~(shapely.length(shapes) > 0))
    if broken.any():
        issues.add(broken, "geometry", Reason.INVALID_GEOMETRY, shapely.is_valid_reason(shapes))
    drawn, areas = drawn & ~broken, areas & ~broken
    lines = drawn & ~areas
    inner = shapes.copy()
    inner[areas] = shapely.point_on_surface(shapes[areas])
    inner[lines] = shapely.line_interpolate_point(_longest_line(shapes[lines]), 0.5, normalized=True)
    inner[wrong | broken] = None
    placed = places_of_points(
        shapely.get_x(inner), shapely.get_y(inner), crs=crs, metric_crs=metric_crs, bad=wrong | broken, issues=issues
    )
    outlines = np.full(len(shapes), None, dtype=object)
    outlines[drawn] = transform_shapes(shapes[drawn], crs, CRS84)
    return Places(placed.lon, placed.lat, placed.x_m, placed.y_m, outlines)


def _longest_line(shapes: NDArray[np.object_]) -> NDArray[np.object_]:
    """Lines, and the longest part of what consists of several."""
    parts, owner = shapely.get_parts(shapely.line_merge(shapes), return_index=True)
    order = np.lexsort((-shapely.length(parts), owner))
    longest: NDArray[np.object_] = parts[order][np.unique(owner[order], return_index=True)[1]]
    return longest


def _rounded(lon: FloatArray, lat: FloatArray, metric_crs: str, shapes: NDArray[np.object_]) -> Places:
    lon, lat = np.round(lon, _DEGREE_DECIMALS), np.round(lat, _DEGREE_DECIMALS)
    x_m, y_m = _moved(lon, lat, CRS84, metric_crs)
    return Places(lon, lat, np.round(x_m, _METRE_DECIMALS), np.round(y_m, _METRE_DECIMALS), shapes)


@lru_cache(maxsize=64)
def _is_degrees(crs: str) -> bool:
    """Whether coordinates of a CRS are those of CRS84, x first: nothing is to be moved."""
    return pyproj.CRS.from_user_input(crs).equals(pyproj.CRS.from_user_input(CRS84), ignore_axis_order=True)


@lru_cache(maxsize=64)
def _area_of_use(crs: str) -> Any:
    return pyproj.CRS.from_user_input(crs).area_of_use


def _moved(x: FloatArray, y: FloatArray, source: str, target: str) -> tuple[FloatArray, FloatArray]:
    moved_x, moved_y = transformer(source, target).transform(x, y)
    finite = np.isfinite(moved_x) & np.isfinite(moved_y)
    return np.where(finite, moved_x, np.nan), np.where(finite, moved_y, np.nan)


def _in_area(lon: FloatArray, lat: FloatArray, crs: str) -> BoolArray:
    """Whether points are in the area for which a CRS is made (its bounds in degrees)."""
    world = (np.abs(lon) <= 180) & (np.abs(lat) <= 90)
    area = _area_of_use(crs)
    if area is None:
        return world
    across = area.west > area.east
    east, west = lon <= area.east, lon >= area.west
    in_longitude: BoolArray = (west | east) if across else (west & east)
    inside: BoolArray = world & in_longitude & (lat >= area.south) & (lat <= area.north)
    return inside


def _pairs(x: FloatArray, y: FloatArray, rows: BoolArray) -> NDArray[np.object_]:
    """Spell the coordinates of ``rows``; None elsewhere."""
    spelled = np.full(len(x), None, dtype=object)
    spelled[rows] = [f"{a:.10g} {b:.10g}" for a, b in zip(x[rows], y[rows], strict=True)]
    return spelled
