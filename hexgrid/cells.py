"""H3 cells as arrays: text, hierarchy, shapes and neighbours, without a Python loop per cell.

Cells travel as ``int64`` (bit 63 of an H3 index is never set) and leave the house as 15 characters of text. Geometry is
derived here and stored nowhere in the lake.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import h3ronpy
import numpy as np
import pyarrow as pa
import pyproj
import shapely
from h3ronpy import vector
from numpy.typing import ArrayLike, NDArray

from hexgrid.errors import CellError

if TYPE_CHECKING:
    import scipy.sparse as sp

Cells = NDArray[np.int64]

MAX_RESOLUTION = 15
CRS84 = "OGC:CRS84"
_RESOLUTION_BIT = 52
_RESOLUTION_MASK = np.int64(0xF << _RESOLUTION_BIT)
_BITS_PER_DIGIT = 3
_HALF_TURN_DEG = 180.0
_ANY_CELL = 0x8001FFFFFFFFFFF
_NAMED = 3
"""How many offenders an error message quotes."""


def _int64(values: Any) -> Cells:
    """Turn an Arrow array of unsigned indexes into ``int64``."""
    array = pa.array(values).cast(pa.uint64())
    return np.asarray(array.to_numpy(zero_copy_only=False), dtype=np.int64)


def _uint64(cells: ArrayLike) -> pa.Array:
    return pa.array(np.asarray(cells, dtype=np.int64).astype(np.uint64))


def cell_text(cells: ArrayLike) -> NDArray[np.str_]:
    """Return the 15-character text of each cell.

    Parameters
    ----------
    cells
        Shape (n,), ``int64`` H3 indexes.
    """
    texts = pa.array(h3ronpy.cells_to_string(_uint64(cells)))
    return np.asarray(texts.to_numpy(zero_copy_only=False), dtype="U15")


def cell_int(texts: Sequence[str] | NDArray[np.str_]) -> Cells:
    """Return the ``int64`` index of each text; the inverse of :func:`cell_text`.

    Raises
    ------
    CellError
        If a text is not the lower-case hexadecimal form of an H3 cell.
    """
    given = np.asarray(texts, dtype=str)
    parsed = pa.array(h3ronpy.cells_parse(pa.array(given.tolist(), pa.string()), set_failing_to_invalid=True))
    cells = np.asarray(parsed.fill_null(_ANY_CELL), dtype=np.int64)
    # The parser also takes decimal numbers and "x,y,resolution": only what prints back as itself is a cell's text.
    bad = np.asarray(parsed.is_null()) | (cell_text(cells) != given)
    if bad.any():
        named = ", ".join(map(repr, given[bad][:_NAMED].tolist()))
        raise CellError(f"not the 15-character text of an H3 cell: {named}")
    return cells


def resolutions(cells: ArrayLike) -> NDArray[np.int64]:
    """Return the resolution of each cell, 0 to 15."""
    return (np.asarray(cells, dtype=np.int64) & _RESOLUTION_MASK) >> _RESOLUTION_BIT


def parents(cells: ArrayLike, resolution: int) -> Cells:
    """Return the ancestor of each cell at a coarser (or its own) resolution, aligned on the input.

    Parameters
    ----------
    cells
        Shape (n,), ``int64`` H3 indexes, of any resolutions not coarser than ``resolution``.
    resolution
        Resolution wanted.

    Raises
    ------
    CellError
        If a cell is coarser than ``resolution``.

    Notes
    -----
    Bit arithmetic on the index: the resolution field is replaced, every finer digit becomes 7 ("unused"). This *is* the
    hierarchy of H3; the cell that contains a point at ``resolution`` may differ from the ancestor of its fine cell.

    References
    ----------
    H3 documentation, "H3 Index representations" (bit layout) and ``cellToParent``.
    """
    fine = np.asarray(cells, dtype=np.int64)
    if not 0 <= resolution <= MAX_RESOLUTION:
        raise CellError(f"resolution {resolution}: H3 has 0 to {MAX_RESOLUTION}")
    coarser = resolutions(fine) < resolution
    if coarser.any():
        found = int(resolutions(fine[coarser]).min())
        raise CellError(f"{int(coarser.sum())} cells have no ancestor at resolution {resolution}: theirs is {found}")
    unused = np.int64((1 << (_BITS_PER_DIGIT * (MAX_RESOLUTION - resolution))) - 1)
    return (fine & ~_RESOLUTION_MASK) | np.int64(resolution << _RESOLUTION_BIT) | unused


def descendants(cells: ArrayLike, resolution: int) -> Cells:
    """Return every descendant at a finer resolution: all those of the first cell first."""
    return _int64(h3ronpy.change_resolution(_uint64(cells), resolution))


def cells_of_points(lon_deg: ArrayLike, lat_deg: ArrayLike, resolution: int) -> Cells:
    """Return the cell of each point.

    Parameters
    ----------
    lon_deg, lat_deg
        Shape (n,), CRS84 degrees, finite.
    resolution
        Resolution wanted.

    Raises
    ------
    CellError
        If a coordinate is not finite.
    """
    lon, lat = np.asarray(lon_deg, dtype=np.float64), np.asarray(lat_deg, dtype=np.float64)
    broken = ~(np.isfinite(lon) & np.isfinite(lat))
    if broken.any():
        raise CellError(f"{int(broken.sum())} of {broken.size} points have no finite longitude and latitude")
    return _int64(vector.coordinates_to_cells(lat, lon, resolution))


def centres(cells: ArrayLike, crs: str | None = None) -> NDArray[np.float64]:
    """Return the centre of each cell, shape (n, 2): longitude and latitude, or x and y in ``crs``."""
    batch = vector.cells_to_coordinates(_uint64(cells))
    columns = {name: np.asarray(pa.array(batch.column(name)), dtype=np.float64) for name in ("lng", "lat")}
    return project(np.column_stack([columns["lng"], columns["lat"]]), crs)


def boundaries(cells: ArrayLike, crs: str | None = None) -> NDArray[np.object_]:
    """Return the boundary of each cell as a shapely polygon, aligned on the input.

    Parameters
    ----------
    cells
        Shape (n,), ``int64`` H3 indexes.
    crs
        CRS of the result; CRS84 degrees when omitted. Vertices are transformed, edges stay straight lines in ``crs``.

    Notes
    -----
    A cell that crosses the antimeridian keeps one ring: its western longitudes are raised by 360° and may exceed 180°.
    """
    given = np.asarray(cells, dtype=np.int64)
    if given.size == 0:
        return np.empty(0, dtype=object)
    encoded = pa.array(vector.cells_to_wkb_polygons(_uint64(given)))
    polygons = shapely.from_wkb(encoded.to_numpy(zero_copy_only=False))
    west, _, east, _ = shapely.bounds(polygons).T
    crossing = east - west > _HALF_TURN_DEG
    if crossing.any():
        polygons[crossing] = shapely.transform(polygons[crossing], _unwrap)
    if crs is None or crs == CRS84:
        return np.asarray(polygons, dtype=object)
    return np.asarray(shapely.transform(polygons, lambda points: project(points, crs)), dtype=object)


def _unwrap(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([np.where(points[:, 0] < 0, points[:, 0] + 2 * _HALF_TURN_DEG, points[:, 0]), points[:, 1]])


@lru_cache(maxsize=16)
def _transformer(source: str, target: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(source, target, always_xy=True)


def project(points: NDArray[np.float64], crs: str | None, *, source: str = CRS84) -> NDArray[np.float64]:
    """Transform points, shape (n, 2), from ``source`` to ``crs`` (None: as they are); inf where that is impossible."""
    if crs is None or crs == source:
        return points
    x, y = _transformer(source, crs).transform(points[:, 0], points[:, 1])
    return np.column_stack([x, y])


def spherical_areas(cells: ArrayLike) -> NDArray[np.float64]:
    """Return the area of each cell on H3's sphere, in m²."""
    return np.asarray(pa.array(h3ronpy.cells_area_m2(_uint64(cells))), dtype=np.float64)


def disk(cells: ArrayLike, rings: int = 1) -> Cells:
    """Return the sorted distinct cells within ``rings`` grid steps of any of ``cells``, themselves included."""
    return np.unique(_int64(h3ronpy.grid_disk(_uint64(cells), rings, flatten=True)))


def neighbour_matrix(cells: ArrayLike, rings: int = 1) -> sp.csr_array:
    """Return who neighbours whom among ``cells``.

    Parameters
    ----------
    cells
        Shape (n,), distinct ``int64`` H3 indexes of one resolution, in any order.
    rings
        Largest number of grid steps between neighbours.

    Returns
    -------
    scipy.sparse.csr_array
        Shape (n, n), ``int64`` zeros and ones, symmetric, zero diagonal, rows and columns in the order of the input.
        The row of an island is empty; a pentagon has five first neighbours.

    Raises
    ------
    CellError
        If a cell is repeated, or the resolutions differ.
    """
    import scipy.sparse as sp  # noqa: PLC0415 — slow to import, and no Spark worker needs it

    given = np.asarray(cells, dtype=np.int64)
    n = given.size
    if n == 0:
        return sp.csr_array((0, 0), dtype=np.int64)
    order = np.argsort(given, kind="stable")
    in_order = given[order]
    if (in_order[1:] == in_order[:-1]).any():
        raise CellError("neighbour_matrix: a cell is given twice")
    if np.unique(resolutions(given)).size > 1:
        raise CellError(f"neighbour_matrix: cells of several resolutions {np.unique(resolutions(given)).tolist()}")
    disks = pa.array(h3ronpy.grid_disk(_uint64(given), rings))
    targets = _int64(disks.flatten())
    rows = np.repeat(np.arange(n), np.diff(np.asarray(disks.offsets)))
    places = np.minimum(np.searchsorted(in_order, targets), n - 1)
    columns = order[places]
    kept = (in_order[places] == targets) & (columns != rows)
    ones = np.ones(int(kept.sum()), dtype=np.int64)
    matrix = sp.csr_array((ones, (rows[kept], columns[kept])), shape=(n, n), dtype=np.int64)
    matrix.sort_indices()
    return matrix


def cells_of_polygon(polygon: shapely.Geometry, resolution: int) -> Cells:
    """Return the sorted cells that overlap a polygon.

    Parameters
    ----------
    polygon
        Polygon or MultiPolygon, CRS84 degrees, edges straight in degrees; split at the antimeridian.
    resolution
        Resolution of the cells.
    """
    if shapely.is_empty(polygon):
        return np.empty(0, dtype=np.int64)
    cells = vector.geometry_to_cells(polygon, resolution, vector.ContainmentMode.Covers)
    return np.unique(_int64(cells))
