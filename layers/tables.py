"""Tables of the lake, layer by layer: columns, types and what is derived of each record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray

from layers.accepted import NO_MONTH
from layers.city import City
from layers.clock import local_time
from layers.digests import in_canonical_order
from layers.enrichment.daylight import daylight
from layers.enrichment.holidays import holiday_columns
from layers.enrichment.weather import Weather
from layers.fields import GEOMETRY_KINDS, ZONE_PREFIX
from layers.geography import Geography
from layers.geoparquet import with_geo_metadata
from layers.locating import CRS84, POINTS, transform_shapes

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
            "located_by": pa.string(),
            "on_land": pa.bool_(),
            ZONES: pa.string(),
            "holiday": pa.bool_(),
            "school_holiday": pa.bool_(),
            "daylight": pa.string(),
            "rain_mm": pa.float64(),
            "temperature_c": pa.float64(),
            "wind_m_s": pa.float64(),
            **_PLACE,
            "merged_ids": pa.list_(pa.string()),
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
        "interventions": {
            **_WHO,
            "nature": pa.string(),
            "starts_at": UTC,
            "ends_at": UTC,
            "geometry": pa.binary(),
            "located": pa.bool_(),
            ZONES: pa.string(),
            "delivery": pa.string(),
        },
        "streets": {
            **_WHO,
            "name": pa.string(),
            "other_name": pa.string(),
            "length_m": pa.float64(),
            "geometry": pa.binary(),
            ZONES: pa.string(),
            "delivery": pa.string(),
        },
        "buildings": {
            **_WHO,
            "category": pa.string(),
            "dwellings": pa.int64(),
            "height_m": pa.float64(),
            **_PLACE,
            ZONES: pa.string(),
            "delivery": pa.string(),
        },
        "weather": {
            **_WHO,
            "observed_at": UTC,
            "observed_until": UTC,
            "rain_mm": pa.float64(),
            "temperature_c": pa.float64(),
            "wind_m_s": pa.float64(),
            **_PLACE,
            "delivery": pa.string(),
        },
    }
)


REPETITIVE = frozenset(
    {
        *("source", "organisation", "theme", "category", "source_code", "provenance", "located_by", "daylight"),
        *("date", "hour", "severity", "precision_m", "nature", "status", "kind", "delivery", "state", "ended_by"),
        *("rain_mm", "temperature_c", "wind_m_s"),
    }
)
"""Columns of few different values, besides zones."""


def table_schema(layer: str, levels: Sequence[str]) -> pa.Schema:
    """Build the schema of a layer's table, with one column per zone level."""
    fields: list[tuple[str, pa.DataType]] = []
    for name, kind in TABLE_COLUMNS[layer].items():
        fields += [(f"zone_{level}", kind) for level in levels] if name == ZONES else [(name, kind)]
    return pa.schema(fields)


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known of the city besides its records: zones and land, and the weather where it is joined."""

    city: City
    geography: Geography
    weather: Weather | None = None

    @property
    def centre(self) -> tuple[float, float]:
        """Longitude and latitude of the land's centroid, degrees: where the sun is looked at from."""
        point = shapely.centroid(self.geography.land)
        return float(shapely.get_x(point)), float(shapely.get_y(point))


def layer_rows(
    layer: str, records: pa.Table, known: Knowledge, *, also: Sequence[str] = (), order: Sequence[str] = ("id",)
) -> pa.Table:
    """Finish records of a layer: local date and hour, land, zones, surroundings and geometry.

    Parameters
    ----------
    records
        Accepted records (``layers.taking``) with ``id``, ``source``, ``organisation``, ``delivery`` and, of
        incidents, ``merged_ids``.
    also
        Columns that are kept as they are, after those of the layer.
    order
        Columns of the canonical order.

    Returns
    -------
    pyarrow.Table
        Rows of the layer's table (docs/architecture.md), in order.
    """
    lon, lat = (_numpy(records.column(name)) for name in ("lon", "lat"))
    located = ~np.isnan(lon)
    columns: dict[str, pa.Array | pa.ChunkedArray] = {"located": pa.array(located)}
    names = table_schema(layer, list(known.geography.zones))
    positions = known.geography.positions(lon, lat) if layer != "weather" else {}
    if layer == "incidents":
        land = known.geography.on_land(lon, lat, positions)
        columns["on_land"] = pa.array(land, pa.bool_(), mask=~located)
        columns |= _incident_columns(records, known)
    columns |= _zone_columns(known.geography, positions, records, lost=~located)
    if layer == "streets":
        shapes = shapely.from_wkb(records.column("shape").to_numpy())
        metric = transform_shapes(shapes, CRS84, known.city.city.metric_crs)
        columns["length_m"] = pa.array(np.round(np.nan_to_num(shapely.length(metric)), 2), pa.float64())
    columns["geometry"] = pc.coalesce(records.column("shape"), _points_wkb(lon, lat))
    arrays = [(columns[f.name] if f.name in columns else records.column(f.name)).cast(f.type) for f in names]
    kinds = sorted(GEOMETRY_KINDS.get(layer, POINTS))
    table = pa.table(arrays, schema=names)
    for name in also:
        table = table.append_column(name, records.column(name))
    return with_geo_metadata(in_canonical_order(table, order), kinds)


def _numpy(column: pa.ChunkedArray) -> NDArray[np.float64]:
    values: NDArray[np.float64] = column.to_numpy()
    return values


def _moments(column: pa.ChunkedArray) -> NDArray[np.datetime64]:
    values: NDArray[np.datetime64] = column.cast(pa.timestamp("us")).to_numpy()
    return values


def _zone_columns(
    geography: Geography, positions: dict[str, NDArray[np.int64]], records: pa.Table, *, lost: NDArray[np.bool_]
) -> dict[str, pa.Array]:
    """Zone of each level: by position, else the one that the record names."""
    for name in records.column_names:
        if name.startswith(ZONE_PREFIX):
            level = name.removeprefix(ZONE_PREFIX)
            named = geography.zones[level].positions_of(records.column(name))
            for above, found in geography.upwards(level, named).items():
                positions[above] = np.where(lost & (positions[above] < 0), found, positions[above])
    return {f"{ZONE_PREFIX}{level}": geography.zones[level].keys_at(found) for level, found in positions.items()}


def _incident_columns(records: pa.Table, known: Knowledge) -> dict[str, pa.Array]:
    """Local date, hour (null when the interval is longer than one hour), and what surrounded the record."""
    city = known.city
    started, ended = _moments(records.column("started_at")), _moments(records.column("ended_at"))
    local = local_time(started, city.city.timezone)
    days = local.astype("datetime64[D]")
    hours = (local - days).astype("timedelta64[h]").astype(np.int64)
    uncertain = ~np.isnat(ended) & (ended - started > HOUR)
    dates = pa.array(days, pa.date32())
    columns = {
        "date": dates,
        "hour": pa.array(hours, pa.int64(), mask=uncertain).cast(pa.int8()),
    }
    size = records.num_rows
    wanted = city.enrichment
    nothing = {
        **dict.fromkeys(("holiday", "school_holiday"), pa.bool_()),
        "daylight": pa.string(),
        **dict.fromkeys(("rain_mm", "temperature_c", "wind_m_s"), pa.float64()),
    }
    columns |= {name: pa.nulls(size, kind) for name, kind in nothing.items()}
    if wanted.holidays is not None:
        columns |= holiday_columns(dates, wanted.holidays)
    if wanted.daylight:
        columns["daylight"] = daylight(started, ended, *known.centre)
    if known.weather is not None:
        columns |= known.weather.at(started, np.where(uncertain, ended, np.datetime64("NaT", "us")))
    return columns


def _points_wkb(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> pa.Array:
    """WKB of points, null where not located: the 21 bytes of each, laid out at once."""
    known = ~np.isnan(lon)
    points = np.empty(int(known.sum()), dtype=[("order", "u1"), ("type", "<u4"), ("x", "<f8"), ("y", "<f8")])
    points["order"], points["type"], points["x"], points["y"] = 1, 1, lon[known], lat[known]
    offsets = np.zeros(len(lon) + 1, dtype=np.int32)
    np.cumsum(known * points.itemsize, out=offsets[1:])
    validity = pa.py_buffer(np.packbits(known, bitorder="little").tobytes())
    buffers = [validity, pa.py_buffer(offsets), pa.py_buffer(points.tobytes())]
    return pa.Array.from_buffers(pa.binary(), len(lon), buffers)


def month_name(month: int) -> str | None:
    """Partition of incidents of a month since January 1970: ``month=2024-05``; None for ``NO_MONTH``."""
    return None if month == NO_MONTH else f"month={np.datetime64(month, 'M')}"
