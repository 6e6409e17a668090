"""From a delivery's columns to a layer's fields: the rules of the city file, applied a column at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from layers.city import City
from layers.clock import local_time, to_utc
from layers.declared_sources import ColumnRule, Source
from layers.errors import DeliveryError
from layers.fields import LAYER_FIELDS, PERIODS, Field, FieldType
from layers.issues import Issues, Reason
from layers.locating import Places, places_of_points, places_of_shapes
from layers.parsing import as_text, parse_numbers, parse_times
from layers.readers import Delivery

UNMAPPED = "unmapped"
"""Category of a code that the city file does not translate."""

_COORDINATES = ("x", "y", "lon", "lat")
_CODED = frozenset({"category", "nature"})
"""Text fields whose unknown codes are kept as ``unmapped`` and counted."""

_Values = NDArray[np.object_] | NDArray[np.float64] | NDArray[np.datetime64]


@dataclass(slots=True)
class Mapped:
    """A delivery in the fields of its layer, one row per row of the delivery, not yet judged.

    ``frame`` holds text (None), float64 (NaN), datetime64[us] in UTC (NaT). ``extras`` are columns of the delivery
    that zones are made of.
    """

    frame: pd.DataFrame
    places: Places
    issues: Issues
    extras: dict[str, NDArray[np.object_]]
    figures: dict[str, int] = field(default_factory=dict)
    unmapped_codes: dict[str, int] = field(default_factory=dict)


def check_columns(delivery: Delivery, source: Source, extras: frozenset[str], name: str) -> None:
    """Refuse a delivery that lacks a column, or brings one that nobody spoke of.

    Raises
    ------
    DeliveryError
        Names the file and the columns.
    """
    have = set(delivery.table.column_names)
    read = {column for rule in source.columns.values() for column in rule.reads()} | extras
    if missing := sorted(read - have):
        raise DeliveryError(
            f"{name}: source {source.id!r} reads the column {', '.join(map(repr, missing))}, which is not there "
            f"(columns: {', '.join(delivery.table.column_names)})"
        )
    if unknown := sorted(have - read - {*source.drop, *source.pseudonymise}):
        raise DeliveryError(
            f"{name}: source {source.id!r} says nothing of the column {', '.join(map(repr, unknown))}: "
            "map it under columns, or list it under drop or pseudonymise"
        )


def map_delivery(delivery: Delivery, source: Source, city: City, *, extras: frozenset[str], name: str) -> Mapped:
    """Apply a source's rules to a delivery.

    Parameters
    ----------
    delivery
        The file, read.
    extras
        Columns that are kept aside, as text.
    name
        File name, for errors.

    Raises
    ------
    DeliveryError
        If a column cannot hold what its rule expects, or the CRS is declared nowhere.
    """
    size = delivery.table.num_rows
    timezone = source.timezone or city.city.timezone
    mapped = Mapped(
        pd.DataFrame(index=pd.RangeIndex(size)),
        Places.nowhere(size),
        Issues(size),
        {column: _objects(as_text(_array(delivery.table, column))) for column in sorted(extras)},
    )
    for field_name, contract in LAYER_FIELDS[source.layer].items():
        rule = source.columns.get(field_name)
        if field_name in _COORDINATES:
            continue
        try:
            mapped.frame[field_name] = (
                _absent(contract, size)
                if rule is None
                else _values(_Reading(field_name, contract, rule, source, timezone), _read(delivery, rule), mapped)
            )
        except DeliveryError as error:
            raise DeliveryError(f"{name}: field {field_name!r}: {error}") from error
    _close_days(mapped, source, timezone)
    if source.layer == "incidents":
        _categories(mapped, source, city)
    mapped.places = _places(delivery, source, city, mapped.issues, name)
    return mapped


def _array(table: pa.Table, column: str) -> pa.Array:
    chunks = table.column(column)
    array = pa.concat_arrays(chunks.chunks) if chunks.num_chunks else pa.array([], chunks.type)
    return array.cast(array.type.value_type) if pa.types.is_dictionary(array.type) else array


def _objects(array: pa.Array) -> NDArray[np.object_]:
    values: NDArray[np.object_] = array.to_numpy(zero_copy_only=False).astype(object)
    return values


def _read(delivery: Delivery, rule: ColumnRule) -> pa.Array:
    """Column that a rule reads: as it is, or the text of several joined with a blank, or a constant."""
    if rule.const is not None:
        return pa.array([str(rule.const)] * delivery.table.num_rows, pa.string())
    if rule.columns is not None:
        texts = [as_text(_array(delivery.table, column)) for column in rule.columns]
        # Not null_handling="skip": pyarrow 26 loses the rows in which every part is null.
        return as_text(pc.binary_join_element_wise(*(text.fill_null("") for text in texts), " "))
    return _array(delivery.table, rule.reads()[0])


def _translated(text: pa.Array, codes: Mapping[str, str | int | float]) -> tuple[pa.Array, NDArray[np.bool_]]:
    """Text after a map, and which codes the map does not know."""
    position = pc.index_in(text, pa.array(list(codes), pa.string()))
    known = position.is_valid()
    new = pa.array([str(v) for v in codes.values()], pa.string()).take(position)
    unknown = pc.and_(text.is_valid(), pc.invert(known)).to_numpy(zero_copy_only=False)
    return pc.if_else(known, new, text), unknown


@dataclass(frozen=True, slots=True)
class _Reading:
    """One field of one source: what it must be, and how it is read."""

    name: str
    contract: Field
    rule: ColumnRule
    source: Source
    timezone: str


def _values(reading: _Reading, column: pa.Array, mapped: Mapped) -> _Values:
    """Values of one field; faults go to ``mapped.issues``."""
    name, contract, rule = reading.name, reading.contract, reading.rule
    if rule.map is not None:
        text = as_text(column)
        column, unknown = _translated(text, rule.map)
        if name in _CODED:
            column = pc.if_else(pa.array(unknown), UNMAPPED, column)
            _count_codes(mapped, text, unknown)
        elif contract.codes or contract.type is not FieldType.TEXT:
            mapped.issues.add(unknown, name, Reason.UNKNOWN_CODE, _objects(text))
            column = pc.if_else(pa.array(unknown), pa.scalar(None, pa.string()), column)
    if contract.type in {FieldType.TIME, FieldType.DATE}:
        return _moments(reading, column, mapped)
    if contract.type is FieldType.TEXT:
        words = as_text(column)
        return _objects(words if contract.default is None else words.fill_null(contract.default))
    numbers = parse_numbers(column, decimal="." if rule.map is not None else reading.source.read.decimal)
    fractional = np.zeros(len(column), dtype=bool)
    if contract.type is FieldType.INTEGER:
        fractional = ~np.isnan(numbers.number) & (numbers.number != np.round(numbers.number))
    mapped.issues.add(numbers.bad | fractional, name, Reason.INVALID_NUMBER, _objects(as_text(column)))
    return np.where(fractional, np.nan, numbers.number)


def _absent(contract: Field, size: int) -> _Values:
    if contract.type is FieldType.TEXT:
        return np.full(size, contract.default, dtype=object)
    if contract.type in {FieldType.TIME, FieldType.DATE}:
        return np.full(size, np.datetime64("NaT", "us"))
    return np.full(size, np.nan)


def _moments(reading: _Reading, column: pa.Array, mapped: Mapped) -> NDArray[np.datetime64]:
    name, contract = reading.name, reading.contract
    # A date has no zone: it is read as a clock time of UTC and never moved.
    timezone = reading.timezone if contract.type is FieldType.TIME else "UTC"
    times = parse_times(column, timezone=timezone, form=reading.rule.format)
    given = _objects(as_text(column))
    mapped.issues.add(times.bad, name, Reason.INVALID_DATE, given)
    mapped.issues.add(times.impossible, name, Reason.IMPOSSIBLE_DATE, given)
    if contract.type is FieldType.DATE:
        return times.utc.astype("datetime64[D]").astype("datetime64[us]")
    for figure, mask in (("times_skipped_by_clock", times.shifted), ("times_shown_twice", times.ambiguous)):
        mapped.figures[figure] = mapped.figures.get(figure, 0) + int(mask.sum())
    mapped.extras[f"whole_day:{name}"] = times.whole_day.astype(object)
    return times.utc


def _close_days(mapped: Mapped, source: Source, timezone: str) -> None:
    """Make a date without time the interval of its day: an end date is inclusive, a start without end lasts its day."""
    pair = PERIODS.get(source.layer)
    if pair is None or LAYER_FIELDS[source.layer][pair[0]].type is not FieldType.TIME:
        return
    start, end = pair
    starts, ends = mapped.frame[start].to_numpy(), mapped.frame[end].to_numpy().copy()
    whole_start = mapped.extras.pop(f"whole_day:{start}", np.zeros(len(starts), dtype=object)).astype(bool)
    whole_end = mapped.extras.pop(f"whole_day:{end}", np.zeros(len(starts), dtype=object)).astype(bool)
    ends[whole_end] = _next_midnight(ends[whole_end], timezone)
    lasting = whole_start & np.isnat(ends) & ~mapped.issues.flagged(end)
    ends[lasting] = _next_midnight(starts[lasting], timezone)
    mapped.frame[end] = ends


def _next_midnight(midnights: NDArray[np.datetime64], timezone: str) -> NDArray[np.datetime64]:
    """Local midnight that ends the day begun at each instant (UTC): 23 or 25 hours later when the clocks change."""
    days = local_time(midnights, timezone).astype("datetime64[D]") + np.timedelta64(1, "D")
    return to_utc(days.astype("datetime64[us]"), timezone).utc


def _count_codes(mapped: Mapped, text: pa.Array, unknown: NDArray[np.bool_]) -> None:
    for row in text.filter(pa.array(unknown)).value_counts().to_pylist():
        mapped.unmapped_codes[row["values"]] = mapped.unmapped_codes.get(row["values"], 0) + row["counts"]


def _categories(mapped: Mapped, source: Source, city: City) -> None:
    """Translate the source's codes: theme, category and the code itself."""
    codes = mapped.frame["category"]
    known = dict(source.categories) or {category: category for category in city.taxonomy.theme_of()}
    category = codes.map(known)
    unknown = (codes.notna() & category.isna()).to_numpy()
    category = category.where(~unknown, UNMAPPED)
    themes = {**city.taxonomy.theme_of(), UNMAPPED: UNMAPPED}
    mapped.frame["source_code"] = codes
    mapped.frame["category"] = category.astype(object).where(category.notna(), None)
    theme = category.map(themes)
    mapped.frame["theme"] = theme.astype(object).where(theme.notna(), None)
    _count_codes(mapped, pa.array(codes.to_numpy(), pa.string()), unknown)


def _places(delivery: Delivery, source: Source, city: City, issues: Issues, name: str) -> Places:
    pair = ("lon", "lat") if "lon" in source.columns else ("x", "y")
    crs = source.crs or (delivery.crs if pair[0] not in source.columns else None)
    if pair[0] not in source.columns and delivery.geometry is None:
        return Places.nowhere(delivery.table.num_rows)
    if crs is None:
        raise DeliveryError(
            f"{name}: its coordinates have no reference system: neither the file nor the source {source.id!r} declares "
            'one (crs = "EPSG:4326", "EPSG:2154" …)'
        )
    metric_crs = city.city.metric_crs
    if pair[0] not in source.columns:
        return places_of_shapes(
            delivery.geometry, crs=crs, metric_crs=metric_crs, polygons=source.layer == "events", issues=issues
        )
    values, bad = [], np.zeros(delivery.table.num_rows, dtype=bool)
    for field_name in pair:
        column = _read(delivery, source.columns[field_name])
        numbers = parse_numbers(column, decimal=source.read.decimal)
        issues.add(numbers.bad, field_name, Reason.INVALID_COORDINATES, _objects(as_text(column)))
        values.append(numbers.number)
        bad |= numbers.bad
    return places_of_points(values[0], values[1], crs=crs, metric_crs=metric_crs, bad=bad, issues=issues)
