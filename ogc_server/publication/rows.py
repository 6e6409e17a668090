"""Rows as both stores, the files and the tiles hold them: in spatial order, with shapes and bounds.

One order for all: cells by their H3 index, everything else by the index of its position at resolution 15. Rows that
are near each other on the ground are near each other on the disk, so that a rectangle touches few blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray

from hexgrid.cells import boundaries, cell_int, cells_of_points, project
from layers.errors import ProductError
from layers.products import Form, Grain, Product, ProductSpec
from layers.text import fold
from ogc_server.stores.columns import (
    BOUNDS,
    FID,
    FOLDED,
    GEOMETRY,
    METRIC_BOUNDS,
    METRIC_GEOMETRY,
    folded_columns,
)
from ogc_server.stores.store import DEGREE_DECIMALS, METRE_DECIMALS

Shapes = NDArray[np.object_]

_FINEST_RESOLUTION = 15
_DECLARED = {
    "Point": {int(shapely.GeometryType.POINT)},
    "Polygon": {int(shapely.GeometryType.POLYGON)},
    "MultiPolygon": {int(shapely.GeometryType.MULTIPOLYGON)},
}
"""Declared geometry type → accepted ones; any other declaration accepts all."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """A product in one form, ready to be written.

    Parameters
    ----------
    spec, form
        What it is.
    table
        The product's own columns, in the order of ``fid`` = 1…n; rows without a position come last.
    shapes, shapes_m
        Geometry of each row in CRS84 (to 7 decimals) and in the metric CRS (to 1 mm), None where not located.
    """

    spec: ProductSpec
    form: Form
    table: pa.Table
    shapes: Shapes
    shapes_m: Shapes

    @property
    def located(self) -> int:
        """Number of rows that have a position: the first ones."""
        return int((~shapely.is_missing(self.shapes)).sum())

    def stored(self) -> pa.Table:
        """Return the columns of a store's table, in its order; geometries as WKB."""
        columns: dict[str, pa.Array | pa.ChunkedArray] = {FID: pa.array(range(1, self.table.num_rows + 1), pa.int64())}
        columns |= dict(zip(self.table.column_names, self.table.columns, strict=True))
        for name in folded_columns(self.spec, self.table.column_names):
            columns[name + FOLDED] = _folded(self.table.column(name))
        for names, shapes in ((BOUNDS, self.shapes), (METRIC_BOUNDS, self.shapes_m)):
            columns |= dict(zip(names, bounds_columns(shapes), strict=True))
        columns |= {GEOMETRY: wkb_column(self.shapes), METRIC_GEOMETRY: wkb_column(self.shapes_m)}
        return pa.table(columns)


def prepare(product: Product, form: Form, *, metric_crs: str) -> Rows:
    """Order the rows of a product and give them shapes.

    Parameters
    ----------
    product
        Of any grain but rasters.
    form
        One of its forms.
    metric_crs
        The city's CRS in metres.

    Raises
    ------
    ProductError
        If a geometry is not valid, or a key is no H3 cell.
    """
    table = _plain(product.tables[form])
    spec = product.spec
    if spec.grain is Grain.CELL:
        cells = cell_int(table.column(spec.key).to_pylist())
        order = np.argsort(cells, kind="stable")
        exact: Shapes = boundaries(cells[order])
    else:
        if "geometry" not in table.column_names:
            raise ProductError(f"product {spec.id!r}, form {form}: a {spec.grain} has a column geometry")
        found = shapely.from_wkb(table.column("geometry").to_numpy(zero_copy_only=False))
        shapes = np.asarray(found, dtype=object)
        shapes[shapely.is_empty(shapes)] = None
        _check_valid(shapes, spec, form)
        shapes = _as_declared(shapes, spec, form)
        order = _spatial_order(shapes, table.column(spec.key))
        # exterior rings counter-clockwise, as RFC 7946 (3.1.6) wants them
        exact = np.asarray(shapely.orient_polygons(shapes[order]), dtype=object)
        table = table.drop_columns(["geometry"])
    moved = shapely.transform(exact, lambda points: project(points, metric_crs))
    return Rows(
        spec=spec,
        form=form,
        table=table.take(pa.array(order)).combine_chunks(),
        shapes=rounded(exact, DEGREE_DECIMALS),
        shapes_m=rounded(np.asarray(moved, dtype=object), METRE_DECIMALS),
    )


def rounded(shapes: Shapes, decimals: int) -> Shapes:
    """Round coordinates: both stores then print the same numbers, and neighbours keep the same vertices.

    A shape that rounding would break (a sliver thinner than the last decimal) is snapped to the same grid by GEOS,
    which keeps it valid.
    """
    plain = np.asarray(shapely.transform(shapes, lambda points: np.round(points, decimals)), dtype=object)
    broken = ~shapely.is_valid(plain) & ~shapely.is_missing(plain)
    if broken.any():
        plain[broken] = shapely.set_precision(shapes[broken], 10.0**-decimals)
    return plain


def bounds_columns(shapes: Shapes) -> list[pa.Array]:
    """Return xmin, ymin, xmax and ymax of each shape, null where there is none."""
    edges = shapely.bounds(shapes).reshape(-1, 4)
    return [pa.array(edges[:, i], pa.float64(), from_pandas=True) for i in range(4)]


def wkb_column(shapes: Shapes) -> pa.Array:
    """Return the WKB of each shape, null where there is none."""
    return pa.array(shapely.to_wkb(shapes, byte_order=1), pa.binary())


def _plain(table: pa.Table) -> pa.Table:
    """Cast to the few types that are stored: text, int64, float64, boolean, date, time in UTC."""
    fields = []
    for field in table.schema:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if pa.types.is_integer(kind):
            kind = pa.int64()
        elif pa.types.is_floating(kind):
            kind = pa.float64()
        elif pa.types.is_large_string(kind):
            kind = pa.string()
        elif pa.types.is_large_binary(kind):
            kind = pa.binary()
        elif pa.types.is_timestamp(kind):
            kind = pa.timestamp("us", tz="UTC")
        fields.append(pa.field(field.name, kind))
    return table.cast(pa.schema(fields))


def _check_valid(shapes: Shapes, spec: ProductSpec, form: Form) -> None:
    bad = ~shapely.is_valid(shapes) & ~shapely.is_missing(shapes)
    if bad.any():
        reason = shapely.is_valid_reason(shapes[bad][0])
        raise ProductError(f"product {spec.id!r}, form {form}: {int(bad.sum())} geometries are not valid ({reason})")


def _as_declared(shapes: Shapes, spec: ProductSpec, form: Form) -> Shapes:
    """Make every shape of the declared type: clients open a layer by it, and points are searched by bounds alone."""
    kinds = shapely.get_type_id(shapes)
    if spec.geometry_type == "MultiPolygon":
        single = kinds == shapely.GeometryType.POLYGON
        shapes[single] = [shapely.MultiPolygon([shape]) for shape in shapes[single]]
        kinds[single] = shapely.GeometryType.MULTIPOLYGON
    accepted = _DECLARED.get(spec.geometry_type)
    found = set(np.unique(kinds[kinds >= 0]).tolist())
    if accepted is not None and not found <= accepted:
        other = ", ".join(sorted(shapely.GeometryType(k).name for k in found - accepted))
        raise ProductError(f"product {spec.id!r}, form {form}: declared as {spec.geometry_type}, has {other}")
    return shapes


def _spatial_order(shapes: Shapes, keys: pa.ChunkedArray) -> NDArray[np.int64]:
    """Order by the finest cell of a point inside the shape, then by key; rows without a shape last."""
    located = ~shapely.is_missing(shapes)
    places = np.full(len(shapes), np.iinfo(np.int64).max)
    if located.any():
        points = shapely.get_coordinates(shapely.point_on_surface(shapes[located]))
        places[located] = cells_of_points(points[:, 0], points[:, 1], _FINEST_RESOLUTION)
    pairs = pa.table({"place": places, "key": keys})
    return np.asarray(pc.sort_indices(pairs, sort_keys=[("place", "ascending"), ("key", "ascending")]), dtype=np.int64)


def _folded(column: pa.ChunkedArray) -> pa.Array:
    # texts repeat (names of zones, titles): each is folded once
    coded = column.combine_chunks().dictionary_encode()
    twins = pa.array([None if t is None else fold(t) for t in coded.dictionary.to_pylist()], pa.string())
    return twins.take(coded.indices)
