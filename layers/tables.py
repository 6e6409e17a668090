"""Tables of the lake, layer by layer: columns, types and what is derived of each record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from layers.city import City
from layers.clock import local_time
from layers.geography import Geography
from layers.geoparquet import with_geo_metadata

UTC = pa.timestamp("us", tz="UTC")
HOUR = np.timedelta64(1, "h")

ZONES = "zones"
"""Place of the zone columns in the lists below."""

_PLACE = {"lon": pa.float64(), "lat": pa.float64(), "x_m": pa.float64(), "y_m": pa.float64(), "geometry": pa.binary()}
_WHO = {"id": pa.string(), "source": pa.string(), "record_id": pa.string(), "organisation": pa.string()}

TABLE_COLUMNS: Mapping[str, Mapping[str, pa.DataType]] = MappingProxyType(
    {
        "incidents": {
            **_WHO,
            "theme": pa.string(),
            "category": pa.string(),
            "source_code": pa.string(),
            "started_at": UTC,
            "ended_at": UTC,
            "date": pa.date32(),
            "hour": pa.int8(),
            "provenance": pa.string(),
            "severity": pa.int8(),
            "precision_m": pa.float64(),
            "address": pa.string(),
            "located": pa.bool_(),
            "on_land": pa.bool_(),
            ZONES: pa.string(),
            **_PLACE,
            "delivery": pa.string(),
        },
        "events": {
            **_WHO,
            "nature": pa.string(),
            "title": pa.string(),
            "starts_at": UTC,
            "ends_at": UTC,
            "geometry": pa.binary(),
            "located": pa.bool_(),
            ZONES: pa.string(),
            "delivery": pa.string(),
        },
        "cameras": {
            **_WHO,
            "status": pa.string(),
            "kind": pa.string(),
            "direction_deg": pa.float64(),
            "range_m": pa.float64(),
            "field_of_view_deg": pa.float64(),
            "in_service_from": pa.date32(),
            "in_service_to": pa.date32(),
            **_PLACE,
            ZONES: pa.string(),
            "delivery": pa.string(),
        },
        "sensitive_sites": {
            **_WHO,
            "category": pa.string(),
            "name": pa.string(),
            "address": pa.string(),
            "capacity": pa.int64(),
            **_PLACE,
            ZONES: pa.string(),
            "delivery": pa.string(),
        },
    }
)

_GEOMETRY_TYPES = {"events": ["Point", "Polygon", "MultiPolygon"]}


def table_schema(layer: str, levels: Sequence[str]) -> pa.Schema:
    """Build the schema of a layer's table, with one column per zone level."""
    fields: list[tuple[str, pa.DataType]] = []
    for name, kind in TABLE_COLUMNS[layer].items():
        fields += [(f"zone_{level}", kind) for level in levels] if name == ZONES else [(name, kind)]
    return pa.schema(fields)


def layer_rows(layer: str, records: pd.DataFrame, city: City, geography: Geography) -> pa.Table:
    """Finish a layer's records: local date and hour, land and zones, geometry.

    Parameters
    ----------
    records
        Accepted records of all sources of the layer.

    Returns
    -------
    pyarrow.Table
        The layer's table (docs/architecture.md), in id order.
    """
    frame = records.sort_values("id", kind="stable").reset_index(drop=True)
    lon, lat = (frame[name].to_numpy(dtype=np.float64) for name in ("lon", "lat"))
    located = ~np.isnan(lon)
    columns: dict[str, NDArray[np.object_] | pa.Array] = {"located": pa.array(located)}
    for level, zones in geography.zones.items():
        columns[f"zone_{level}"] = pa.array(zones.locate(lon, lat), pa.string())
    if layer == "incidents":
        columns |= _incident_columns(frame, city, geography, located)
    columns["geometry"] = _geometry(frame, located)
    schema = table_schema(layer, list(geography.zones))
    arrays = [columns[f.name] if f.name in columns else _array(frame[f.name], f.type) for f in schema]
    return with_geo_metadata(pa.table(arrays, schema=schema), _GEOMETRY_TYPES.get(layer, ["Point"]))


def _incident_columns(
    frame: pd.DataFrame, city: City, geography: Geography, located: NDArray[np.bool_]
) -> dict[str, pa.Array]:
    """Local date, hour (null when the interval is longer than one hour), and whether the place is on land."""
    started, ended = (frame[name].to_numpy(dtype="datetime64[us]") for name in ("started_at", "ended_at"))
    local = local_time(started, city.city.timezone)
    days = local.astype("datetime64[D]")
    hours = (local - days).astype("timedelta64[h]").astype(np.int64)
    uncertain = ~np.isnat(ended) & (ended - started > HOUR)
    on_land = geography.on_land(frame["lon"].to_numpy(dtype=np.float64), frame["lat"].to_numpy(dtype=np.float64))
    return {
        "date": pa.array(days, pa.date32()),
        "hour": pa.array(hours, pa.int64(), mask=uncertain).cast(pa.int8()),
        "on_land": pa.array(on_land, pa.bool_(), mask=~located),
    }


def _geometry(frame: pd.DataFrame, located: NDArray[np.bool_]) -> pa.Array:
    """WKB in CRS84: the shape where there is one, else the point; null when not located."""
    shapes = frame["shape"].to_numpy(dtype=object).copy()
    points = located & shapely.is_missing(shapes)
    shapes[points] = shapely.points(frame["lon"].to_numpy()[points], frame["lat"].to_numpy()[points])
    shapes[~located] = None
    return pa.array(shapely.to_wkb(shapes), pa.binary())


def _array(column: pd.Series, kind: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(kind):
        return pa.array(column.to_numpy(dtype="datetime64[us]"), pa.timestamp("us")).cast(kind)
    if pa.types.is_date32(kind):
        return pa.array(column.to_numpy(dtype="datetime64[us]").astype("datetime64[D]"), kind)
    if pa.types.is_integer(kind):
        values = column.to_numpy(dtype=np.float64)
        return pa.array(np.nan_to_num(values).astype(np.int64), pa.int64(), mask=np.isnan(values)).cast(kind)
    if pa.types.is_floating(kind):
        values = column.to_numpy(dtype=np.float64)
        return pa.array(values, kind, mask=np.isnan(values))
    return pa.array(column.to_numpy(dtype=object), kind, from_pandas=True)


def month_parts(table: pa.Table) -> dict[str | None, pa.Table]:
    """Split incidents by month of their local date: ``month=2024-05`` → rows, in id order."""
    months = table.column("date").to_numpy().astype("datetime64[M]")
    order = np.argsort(months, kind="stable")
    unique, starts = np.unique(months[order], return_index=True)
    ordered = table.take(pa.array(order))
    ends = np.append(starts[1:], len(order))
    return {
        f"month={month}": ordered.slice(start, end - start)
        for month, start, end in zip(unique, starts.tolist(), ends.tolist(), strict=True)
    }
