"""GeoParquet metadata: what makes a Parquet column of WKB a geometry for others."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pyarrow as pa

VERSION = "1.1.0"


def with_geo_metadata(table: pa.Table, geometry_types: Sequence[str], column: str = "geometry") -> pa.Table:
    """Declare ``column`` as WKB in CRS84 (GeoParquet 1.1: no ``crs`` member means OGC:CRS84).

    Parameters
    ----------
    table
        Table with a binary column.
    geometry_types
        Names of the types that it may hold, for instance ``["Point"]``.
    """
    document = {
        "version": VERSION,
        "primary_column": column,
        "columns": {column: {"encoding": "WKB", "geometry_types": list(geometry_types)}},
    }
    return table.replace_schema_metadata({b"geo": json.dumps(document).encode()})
