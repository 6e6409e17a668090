"""A small streets layer to look for addresses in, laid out in metres."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyproj
import shapely

METRIC_CRS = "EPSG:2154"
ORIGIN_M = (893_000.0, 6_247_000.0)

_TO_DEGREES = pyproj.Transformer.from_crs(METRIC_CRS, "OGC:CRS84", always_xy=True).transform


def in_degrees(shapes: Iterable[shapely.Geometry]) -> np.ndarray:
    """Shapes in metres from the origin, in CRS84."""
    moved = np.array(list(shapes), dtype=object)
    return np.asarray(
        shapely.transform(moved, lambda xy: np.column_stack(_TO_DEGREES(*(xy + ORIGIN_M).T))), dtype=object
    )


def streets_table(
    names: Sequence[str | None],
    shapes: Iterable[shapely.Geometry] | None = None,
    *,
    ids: Sequence[str] | None = None,
    other_names: Sequence[str | None] | None = None,
) -> pa.Table:
    """Table of a streets layer; without shapes, parallel lines of 200 m, one kilometre apart."""
    shapes = shapes or [shapely.LineString([(0, 1000 * i), (200, 1000 * i)]) for i in range(len(names))]
    return pa.table(
        {
            "id": pa.array(ids or [str(i) for i in range(len(names))], pa.string()),
            "name": pa.array(names, pa.string()),
            "other_name": pa.array(other_names or [None] * len(names), pa.string()),
            "geometry": pa.array(shapely.to_wkb(in_degrees(shapes)), pa.binary()),
        }
    )
