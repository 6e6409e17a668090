"""Where the city may hold anything: quartiers, land, massifs, and how urban a place is.

The quartiers and the sites are open data and never change with the seed. The massifs are drawn by hand, roughly:
nothing but paths is put there.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyproj
import shapely
from shapely.geometry.base import BaseGeometry

from data_samples.marseille.generator.parameters import CRS_METRIC
from data_samples.marseille.generator.randomness import BoolArray, FloatArray, Geometries

FOLDER = Path(__file__).resolve().parent.parent
CENTRE_LON_LAT = (5.3745, 43.2960)
"""The head of the Vieux-Port."""

# Rough outlines in degrees: Calanques and Saint-Cyr, Étoile, Garlaban, Nerthe, the islands.
MASSIFS_LON_LAT: tuple[tuple[tuple[float, float], ...], ...] = (
    (
        (5.330, 43.222),
        (5.360, 43.224),
        (5.385, 43.235),
        (5.410, 43.242),
        (5.430, 43.238),
        (5.445, 43.252),
        (5.460, 43.266),
        (5.480, 43.272),
        (5.505, 43.281),
        (5.545, 43.275),
        (5.545, 43.150),
        (5.330, 43.150),
    ),
    (
        (5.400, 43.374),
        (5.440, 43.367),
        (5.475, 43.354),
        (5.500, 43.345),
        (5.545, 43.333),
        (5.545, 43.410),
        (5.400, 43.410),
    ),
    ((5.503, 43.318), (5.545, 43.296), (5.545, 43.346), (5.503, 43.346)),
    ((5.240, 43.366), (5.285, 43.367), (5.312, 43.374), (5.338, 43.386), (5.338, 43.410), (5.240, 43.410)),
    ((5.200, 43.150), (5.335, 43.150), (5.335, 43.300), (5.200, 43.300)),
)


@dataclass(frozen=True)
class Land:
    """The fixed ground. All geometries are in the metric CRS (EPSG:2154, metres).

    Attributes
    ----------
    keys, names
        Quartier keys and names, in the file's order.
    quartiers
        One polygon per quartier, shape (111,).
    land
        Union of the quartiers.
    massifs
        Union of the rough massif outlines.
    centre
        Easting and northing of the centre.
    """

    keys: tuple[str, ...]
    names: tuple[str, ...]
    quartiers: Geometries
    land: BaseGeometry
    massifs: BaseGeometry
    centre: tuple[float, float]


@dataclass(frozen=True)
class Sites:
    """Open sites that attract incidents: metres, with their theme and category."""

    ids: tuple[str, ...]
    themes: tuple[str, ...]
    categories: tuple[str, ...]
    x: FloatArray
    y: FloatArray

    def of(self, *themes: str) -> FloatArray:
        """Positions (n, 2) of the sites of these themes."""
        keep = np.isin(np.array(self.themes), themes)
        return np.column_stack([self.x[keep], self.y[keep]])


def to_metric(lon: FloatArray, lat: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Transform degrees (longitude, latitude) to metres in EPSG:2154."""
    x, y = _transformer("EPSG:4326", CRS_METRIC).transform(lon, lat)
    return np.asarray(x), np.asarray(y)


def to_degrees(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Transform metres in EPSG:2154 to degrees (longitude, latitude)."""
    lon, lat = _transformer(CRS_METRIC, "EPSG:4326").transform(x, y)
    return np.asarray(lon), np.asarray(lat)


@cache
def _transformer(source: str, target: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(source, target, always_xy=True)


def _metric(geometries: Geometries) -> Geometries:
    return shapely.transform(geometries, lambda c: np.column_stack(to_metric(c[:, 0], c[:, 1])))


@cache
def load_land() -> Land:
    """Read the quartiers and derive the land polygon (once per process)."""
    features = json.loads((FOLDER / "quartiers.geojson").read_text(encoding="utf-8"))["features"]
    quartiers = _metric(shapely.from_geojson([json.dumps(f["geometry"]) for f in features]))
    massifs = _metric(np.array([shapely.Polygon(ring) for ring in MASSIFS_LON_LAT]))
    x, y = to_metric(np.array([CENTRE_LON_LAT[0]]), np.array([CENTRE_LON_LAT[1]]))
    land = shapely.union_all(quartiers)
    shapely.prepare(land)
    shapely.prepare(quartiers)
    return Land(
        keys=tuple(f["properties"]["key"] for f in features),
        names=tuple(f["properties"]["name"] for f in features),
        quartiers=quartiers,
        land=land,
        massifs=shapely.union_all(massifs),
        centre=(float(x[0]), float(y[0])),
    )


@cache
def load_sites() -> Sites:
    """Read the open sites (once per process)."""
    with (FOLDER / "sites.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    x, y = to_metric(np.array([float(r["lon"]) for r in rows]), np.array([float(r["lat"]) for r in rows]))
    return Sites(
        tuple(r["id"] for r in rows), tuple(r["theme"] for r in rows), tuple(r["category"] for r in rows), x, y
    )


def distance_to_centre_m(land: Land, x: FloatArray, y: FloatArray) -> FloatArray:
    """Distance to the head of the Vieux-Port in metres."""
    return np.hypot(x - land.centre[0], y - land.centre[1])


def in_massif(land: Land, x: FloatArray, y: FloatArray) -> BoolArray:
    """Whether positions lie in a massif or on an island."""
    return np.asarray(shapely.contains_xy(land.massifs, x, y))
