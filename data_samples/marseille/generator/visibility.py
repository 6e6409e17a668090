"""What a camera sees: its sector minus buildings and all that they hide.

The polygon is exact for straight walls: a wall hides the quadrilateral between itself and its projection, from the
camera, far beyond the range. Arcs of the sector are polygons of 128 sides a turn.
"""

from __future__ import annotations

import numpy as np
import shapely

from data_samples.marseille.generator.randomness import FloatArray, Geometries

FAR = 25.0
"""How many ranges away shadows end."""
SIDES = 128


def sector(x: float, y: float, *, range_m: float, direction_deg: float, field_of_view_deg: float) -> shapely.Polygon:
    """Return the sector of a camera on open ground.

    Parameters
    ----------
    x, y
        Position in metres (EPSG:2154).
    range_m
        Radius.
    direction_deg
        Axis of view, clockwise from grid north.
    field_of_view_deg
        Opening angle; 360 gives a disc.
    """
    whole = field_of_view_deg >= 360
    count = max(2, int(np.ceil(SIDES * min(field_of_view_deg, 360) / 360)) + 1)
    half = min(field_of_view_deg, 360) / 2
    bearing = np.radians(direction_deg + np.linspace(-half, half, count))
    arc = np.column_stack([x + range_m * np.sin(bearing), y + range_m * np.cos(bearing)])
    ring = arc[:-1] if whole else np.concatenate([[[x, y]], arc])
    return shapely.Polygon(ring)


def visible_polygon(view: shapely.Polygon, x: float, y: float, footprints: Geometries) -> shapely.Polygon:
    """Return the part of ``view`` that the camera at (x, y) sees past convex quadrilateral ``footprints``.

    Parameters
    ----------
    view
        The sector on open ground, star-shaped around the camera.
    x, y
        Position in metres, outside all footprints.
    footprints
        Four-cornered polygons that may stand in the view; others are ignored.

    Returns
    -------
    shapely.Polygon
        The piece that holds the camera.
    """
    near = footprints[shapely.intersects(footprints, view)]
    if not len(near):
        return view
    rings = shapely.get_coordinates(near).reshape(len(near), 5, 2)
    hidden = shapely.union_all(np.concatenate([near, _shadows(rings, np.array([x, y]), view)]))
    seen = shapely.difference(view, hidden)
    parts = shapely.get_parts(seen)
    piece: shapely.Polygon = parts[np.argmin(shapely.distance(parts, shapely.Point(x, y)))]
    return piece


def _shadows(rings: FloatArray, eye: FloatArray, view: shapely.Polygon) -> Geometries:
    """Quadrilaterals behind each wall; a wall in line with the camera hides nothing more."""
    start, end = rings[:, :-1].reshape(-1, 2), rings[:, 1:].reshape(-1, 2)
    west, south, east, north = view.bounds
    far_m = FAR * max(east - west, north - south)

    def beyond(points: FloatArray) -> FloatArray:
        ray = points - eye
        return np.asarray(points + ray / np.hypot(ray[:, 0], ray[:, 1])[:, None] * far_m)

    quads = np.stack([start, end, beyond(end), beyond(start)], axis=1)
    a, b = start - eye, end - eye
    turned = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) > 1e-6
    return np.asarray(shapely.polygons(quads[turned]))
