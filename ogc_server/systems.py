"""Coordinate reference systems that the server speaks, and rectangles given in them.

Geometries are stored twice: in CRS84 and in the city's metric CRS. A rectangle is compared with the geometries of its
own system, never by moving two corners into another one (8 km in Lambert-93 would lose a row of hexagons). The axes of
Web Mercator and of EPSG:4326 are those of CRS84, scaled or swapped: a rectangle there is a rectangle here, exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import pyproj

from ogc_server.errors import bad_parameter
from ogc_server.parameters import Parameters, number

CRS84_URI: Final = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
_EARTH_RADIUS_M: Final = 6_378_137.0
_FARTHEST: Final = 1e9
"""Bounds beyond this (degrees or metres) mean "everything on that side"."""

Bounds = tuple[float, float, float, float]
"""xmin, ymin, xmax, ymax."""


class Frame(StrEnum):
    """In which axes coordinates are written."""

    LON_LAT = "lon_lat"
    LAT_LON = "lat_lon"
    MERCATOR = "mercator"
    METRIC = "metric"


@dataclass(frozen=True, slots=True)
class System:
    """One coordinate reference system on offer."""

    uri: str
    frame: Frame

    @property
    def metric(self) -> bool:
        """Whether its geometries are those stored in the city's metric CRS."""
        return self.frame is Frame.METRIC


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in the axes of one of the two stored geometries."""

    bounds: Bounds
    metric: bool


CRS84: Final = System(CRS84_URI, Frame.LON_LAT)


def systems_of(metric_crs: str) -> tuple[System, ...]:
    """Return the systems offered for a city: CRS84, EPSG:4326, EPSG:3857 and its own, where that has an EPSG code.

    Raises
    ------
    pyproj.exceptions.CRSError
        If ``metric_crs`` cannot be read.
    """
    common = (
        CRS84,
        System("http://www.opengis.net/def/crs/EPSG/0/4326", Frame.LAT_LON),
        System("http://www.opengis.net/def/crs/EPSG/0/3857", Frame.MERCATOR),
    )
    crs = pyproj.CRS.from_user_input(metric_crs)
    authority = crs.to_authority(auth_name="EPSG", min_confidence=100)
    # a system whose official axes are northing, easting would need its coordinates swapped: it is not offered
    if authority is None or authority[1] == "3857" or crs.axis_info[0].direction != "east":
        return common
    return (*common, System(f"http://www.opengis.net/def/crs/EPSG/0/{authority[1]}", Frame.METRIC))


def chosen_system(values: Parameters, name: str, systems: tuple[System, ...]) -> System:
    """Read ``crs`` or ``bbox-crs``; CRS84 by default (OGC 18-058, requirements 6 and 8)."""
    uri = values.get(name)
    if uri is None:
        return CRS84
    for system in systems:
        if uri in {system.uri, f"[{_curie(system.uri)}]"}:
            return system
    offered = ", ".join(s.uri for s in systems)
    raise bad_parameter(name, f"systèmes acceptés : {offered}.", f"accepted systems: {offered}.")


def _curie(uri: str) -> str:
    authority, version, code = uri.split("/")[-3:]
    return f"{authority}:{code}" if version == "0" else f"OGC:{code}"


def boxes(values: Parameters, systems: tuple[System, ...]) -> tuple[Box, ...]:
    """Read ``bbox`` in ``bbox-crs``.

    Returns
    -------
    tuple of Box
        Empty without ``bbox``; two where a box of CRS84 crosses the antimeridian; else one.

    Raises
    ------
    OgcError
        400 for anything but 4 (or 6) finite numbers in order, or a ``bbox-crs`` without ``bbox``.
    """
    text = values.get("bbox")
    system = chosen_system(values, "bbox-crs", systems)
    if text is None:
        if "bbox-crs" in values:
            raise bad_parameter("bbox-crs", "donné sans « bbox ».", "given without 'bbox'.")
        return ()
    parts = text.split(",")
    if len(parts) not in {4, 6}:
        raise bad_parameter("bbox", "4 ou 6 nombres sont attendus.", "4 or 6 numbers are expected.")
    given = [number(part.strip(), "bbox") for part in parts]
    if len(given) == 6:  # heights: our geometries are flat, their height is any
        if given[2] > given[5]:
            raise bad_parameter("bbox", "hauteurs dans le mauvais ordre.", "heights are in the wrong order.")
        given = [given[0], given[1], given[3], given[4]]
    xmin, ymin, xmax, ymax = given
    if system.frame is Frame.LAT_LON:
        xmin, ymin, xmax, ymax = ymin, xmin, ymax, xmax
    if ymin > ymax:
        raise bad_parameter("bbox", "le sud dépasse le nord.", "the south is beyond the north.")
    if system.frame in {Frame.MERCATOR, Frame.METRIC} and xmin > xmax:
        raise bad_parameter("bbox", "l’ouest dépasse l’est.", "the west is beyond the east.")
    if system.frame is Frame.MERCATOR:
        xmin, ymin, xmax, ymax = (*_from_mercator(xmin, ymin), *_from_mercator(xmax, ymax))
    xmin, ymin, xmax, ymax = (min(_FARTHEST, max(-_FARTHEST, v)) for v in (xmin, ymin, xmax, ymax))
    if xmin > xmax:  # across the antimeridian (RFC 7946, 5.2)
        return (Box((xmin, ymin, 180.0, ymax), metric=False), Box((-180.0, ymin, xmax, ymax), metric=False))
    return (Box((xmin, ymin, xmax, ymax), metric=system.metric),)


def _from_mercator(x_m: float, y_m: float) -> tuple[float, float]:
    """Inverse of the spherical Mercator projection (EPSG guidance note 7-2, method 1024), in degrees."""
    lon = math.degrees(x_m / _EARTH_RADIUS_M)
    lat = math.degrees(math.atan(math.sinh(min(700.0, max(-700.0, y_m / _EARTH_RADIUS_M)))))
    return lon, lat
