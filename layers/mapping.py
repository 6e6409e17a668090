"""From a delivery's columns to a layer's fields: the rules of the city file, applied a column at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyproj.exceptions import ProjError

from layers.city import City
from layers.clock import local_time, to_utc
from layers.declared_sources import ColumnRule, Source
from layers.errors import DeliveryError
from layers.fields import GEOMETRY_KINDS, LAYER_FIELDS, PERIODS, ZONE_PREFIX, Field, FieldType
from layers.issues import Issues, Reason
from layers.locating import CRS84, POINTS, Places, places_of_points, places_of_shapes, transformer
from layers.parsing import Times, as_text, parse_numbers, parse_times
from layers.readers.base import Batch

UNMAPPED = "unmapped"
"""Category of a code that the city file does not translate."""

_COORDINATES = ("x", "y", "lon", "lat")
_CODED = frozenset({"category", "nature"})
_CRS_LENGTH = 60
"""Text fields whose unknown codes are kept as ``unmapped`` and counted."""

type Values = Any
"""Values of a field: text as an Arrow array, numbers as float64 (NaN), times as datetime64[us] in UTC (NaT)."""


@dataclass(slots=True)
class Mapped:
    """A batch in the fields of its layer, one value per row of the batch, not yet judged.

    ``extras`` are columns of the delivery, as text, that zones are made of.
    """

    columns: dict[str, Values]
    places: Places
    issues: Issues
    extras: dict[str, pa.Array]
    figures: Counter[str] = field(default_factory=Counter)
    unknown_codes: list[tuple[pa.Array, NDArray[np.bool_]]] = field(default_factory=list)
    """Codes that are kept as ``unmapped``: text of the column, and which rows have them."""

    def unmapped_codes(self, rows: NDArray[np.bool_]) -> Counter[str]:
        """Count the codes that the city file does not translate, among some rows (boolean, shape (n,))."""
        total: Counter[str] = Counter()
        for codes, unknown in self.unknown_codes:
            total.update(_counts(codes, unknown & rows))
        return total


@dataclass(frozen=True, slots=True)
class Mapper:
    """Rules of one source, ready for the batches of one delivery.

    Parameters
    ----------
    source, city
        What the city file says.
    crs
        CRS that the delivery declares, if any.
    decimal
        Decimal separator of its numbers.
    extras
        Columns that are kept aside, as text.
    name
        File name, for errors.
    """

    source: Source
    city: City
    name: str
    crs: str | None = None
    decimal: Literal[".", ","] = "."
    extras: frozenset[str] = frozenset()

    @property
    def timezone(self) -> str:
        """Zone of clock times without an offset."""
        return self.source.timezone or self.city.city.timezone

    def map(self, batch: Batch) -> Mapped:
        """Apply the rules to a batch.

        Raises
        ------
        DeliveryError
            If a column cannot hold what its rule expects, or the CRS is declared nowhere.
        """
        size = batch.table.num_rows
        extras = {column: as_text(_array(batch.table, column)) for column in sorted(self.extras)}
        mapped = Mapped({}, Places.nowhere(size), Issues(size), extras)
        times: dict[str, Times] = {}
        for name, contract in LAYER_FIELDS[self.source.layer].items():
            if name in _COORDINATES:
                continue
            rule = self.source.columns.get(name)
            try:
                mapped.columns[name] = (
                    _absent(contract, size)
                    if rule is None
                    else self._values(name, contract, rule, _read(batch, rule), mapped, times)
                )
            except DeliveryError as error:
                raise DeliveryError(f"{self.name}: field {name!r}: {error}") from error
        self._settle_periods(mapped, times)
        if self.source.layer == "incidents":
            self._translate_categories(mapped)
            for name, rule in self.source.columns.items():
                if name.startswith(ZONE_PREFIX):
                    mapped.columns[name] = as_text(_read(batch, rule))
        mapped.places = self._places(batch, mapped.issues)
        return mapped

    def _values(
        self,
        name: str,
        contract: Field,
        rule: ColumnRule,
        column: pa.Array,
        mapped: Mapped,
        times: dict[str, Times],
    ) -> Values:
        """Values of one field; faults go to ``mapped.issues``."""
        if rule.map is not None:
            text = as_text(column)
            column, unknown = _translated(text, rule.map)
            if self.source.layer == "incidents" and name == "category":
                pass  # an unknown code is one of the source, which its categories may translate
            elif name in _CODED:
                column = pc.if_else(pa.array(unknown), UNMAPPED, column)
                mapped.unknown_codes.append((text, unknown))
            elif contract.codes or contract.type is not FieldType.TEXT:
                mapped.issues.add(unknown, name, Reason.UNKNOWN_CODE, text)
                column = pc.if_else(pa.array(unknown), pa.scalar(None, pa.string()), column)
        if contract.type in {FieldType.TIME, FieldType.DATE}:
            return self._moments(name, contract, rule, column, mapped, times)
        if contract.type is FieldType.TEXT:
            words = as_text(column)
            return words if contract.default is None else words.fill_null(contract.default)
        numbers = parse_numbers(column, decimal="." if rule.map is not None else self.decimal)
        values = numbers.number if rule.scale is None else numbers.number * rule.scale
        fractional = np.zeros(len(column), dtype=bool)
        if contract.type is FieldType.INTEGER:
            fractional = ~np.isnan(values) & (values != np.round(values))
        if (numbers.bad | fractional).any():
            mapped.issues.add(numbers.bad | fractional, name, Reason.INVALID_NUMBER, as_text(column))
        return np.where(fractional, np.nan, values)

    def _moments(
        self, name: str, contract: Field, rule: ColumnRule, column: pa.Array, mapped: Mapped, times: dict[str, Times]
    ) -> NDArray[np.datetime64]:
        # A date has no zone: it is read as a clock time of UTC and never moved.
        timezone = self.timezone if contract.type is FieldType.TIME else "UTC"
        read = parse_times(column, timezone=timezone, form=rule.format)
        if (read.bad | read.impossible).any():
            given = as_text(column)
            mapped.issues.add(read.bad, name, Reason.INVALID_DATE, given)
            mapped.issues.add(read.impossible, name, Reason.IMPOSSIBLE_DATE, given)
        if contract.type is FieldType.DATE:
            return read.utc.astype("datetime64[D]").astype("datetime64[us]")
        mapped.figures["times_skipped_by_clock"] += int(read.shifted.sum())
        mapped.figures["times_shown_twice"] += int(read.ambiguous.sum())
        times[name] = read
        return read.utc

    def _settle_periods(self, mapped: Mapped, times: Mapping[str, Times]) -> None:
        """Make a date without time the interval of its day, and let a period cross the hour that clocks show twice.

        An end date is inclusive; a start without end lasts its day. An ambiguous end before its start is the second
        passage of that hour.
        """
        pair = PERIODS.get(self.source.layer)
        if pair is None or LAYER_FIELDS[self.source.layer][pair[0]].type is not FieldType.TIME:
            return
        start, end = pair
        starts: NDArray[np.datetime64] = mapped.columns[start]
        ends: NDArray[np.datetime64] = np.array(mapped.columns[end])
        if end in times:
            again = times[end].ambiguous & (ends < starts)
            ends[again] += times[end].again[again]
            days = np.flatnonzero(times[end].whole_day)
            over = _next_midnight(ends[days], self.timezone)
            after = ~(over <= starts[days])  # a day that is over before the start stays before it, and is refused
            ends[days[after]] = over[after]
        if start in times:
            lasting = times[start].whole_day & np.isnat(ends) & ~mapped.issues.flagged(end)
            ends[lasting] = _next_midnight(starts[lasting], self.timezone)
        mapped.columns[end] = ends

    def _translate_categories(self, mapped: Mapped) -> None:
        """Translate the source's codes: theme, category and the code itself."""
        codes = mapped.columns["category"]
        themes = self.city.taxonomy.theme_of()
        known = dict(self.source.categories) or {category: category for category in themes}
        category, unknown = _translated(codes, known)
        category = pc.if_else(pa.array(unknown), UNMAPPED, category)
        mapped.columns["source_code"] = codes
        mapped.columns["category"] = category
        mapped.columns["theme"] = _translated(category, {**themes, UNMAPPED: UNMAPPED})[0]
        mapped.unknown_codes.append((codes, unknown))

    def _places(self, batch: Batch, issues: Issues) -> Places:
        source, size = self.source, batch.table.num_rows
        pair = ("lon", "lat") if "lon" in source.columns else ("x", "y")
        from_columns = pair[0] in source.columns
        crs = source.crs or (None if from_columns else self.crs)
        if not from_columns and batch.geometry is None:
            return Places.nowhere(size)
        if crs is None:
            raise DeliveryError(
                f"{self.name}: its coordinates have no reference system: neither the file nor the source "
                f'{source.id!r} declares one (crs = "EPSG:4326", "EPSG:2154" …)'
            )
        metric_crs = self.city.city.metric_crs
        self._check_crs(crs, metric_crs)
        if not from_columns:
            kinds = GEOMETRY_KINDS.get(source.layer, POINTS)
            return places_of_shapes(batch.geometry, crs=crs, metric_crs=metric_crs, kinds=kinds, issues=issues)
        values, bad = [], np.zeros(size, dtype=bool)
        for name in pair:
            rule = source.columns[name]
            column = _read(batch, rule)
            numbers = parse_numbers(column, decimal=self.decimal)
            if numbers.bad.any():
                issues.add(numbers.bad, name, Reason.INVALID_COORDINATES, as_text(column))
            values.append(numbers.number if rule.scale is None else numbers.number * rule.scale)
            bad |= numbers.bad
        return places_of_points(values[0], values[1], crs=crs, metric_crs=metric_crs, bad=bad, issues=issues)

    def _check_crs(self, crs: str, metric_crs: str) -> None:
        """Refuse a reference system that says nothing of where on the earth it is."""
        try:
            transformer(crs, CRS84)
            transformer(crs, metric_crs)
        except ProjError as error:
            raise DeliveryError(
                f"{self.name}: its coordinates have the reference system {crs[:_CRS_LENGTH]!r}, which leads nowhere on "
                f"the earth; declare theirs under source {self.source.id!r}: {error}"
            ) from error


def _array(table: pa.Table, column: str) -> pa.Array:
    array = table.column(column).combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # what combine_chunks gives for an empty column
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    return array.cast(array.type.value_type) if pa.types.is_dictionary(array.type) else array


def _read(batch: Batch, rule: ColumnRule) -> pa.Array:
    """Column that a rule reads: as it is, or the text of several joined with a blank, or a constant."""
    if rule.const is not None:
        return pa.repeat(pa.scalar(str(rule.const), pa.string()), batch.table.num_rows)
    if rule.columns is not None:
        texts = [_text(batch, rule, column) for column in rule.columns]
        # Not null_handling="skip": pyarrow 26 loses the rows in which every part is null.
        return as_text(pc.binary_join_element_wise(*(text.fill_null("") for text in texts), " "))
    column = rule.reads()[0]
    return _text(batch, rule, column) if column in rule.pad else _array(batch.table, column)


def _text(batch: Batch, rule: ColumnRule, column: str) -> pa.Array:
    """Text of a column, filled with zeros on the left where the rule says to what width."""
    text = as_text(_array(batch.table, column))
    return pc.utf8_lpad(text, rule.pad[column], "0") if column in rule.pad else text


def _translated(text: pa.Array, codes: Mapping[str, str | int | float]) -> tuple[pa.Array, NDArray[np.bool_]]:
    """Text after a map, and which codes the map does not know."""
    position = pc.index_in(text, pa.array(list(codes), pa.string()))
    known = position.is_valid()
    new = pa.array([str(v) for v in codes.values()], pa.string()).take(position)
    unknown = pc.and_(text.is_valid(), pc.invert(known)).to_numpy(zero_copy_only=False)
    return (pc.if_else(known, new, text) if unknown.any() else new), unknown


def _absent(contract: Field, size: int) -> Values:
    if contract.type is FieldType.TEXT:
        return pa.repeat(pa.scalar(contract.default, pa.string()), size)
    if contract.type in {FieldType.TIME, FieldType.DATE}:
        return np.full(size, np.datetime64("NaT", "us"))
    return np.full(size, np.nan)


def _next_midnight(midnights: NDArray[np.datetime64], timezone: str) -> NDArray[np.datetime64]:
    """Local midnight that ends the day begun at each instant (UTC): 23 or 25 hours later when the clocks change."""
    days = local_time(midnights, timezone).astype("datetime64[D]") + np.timedelta64(1, "D")
    return to_utc(days.astype("datetime64[us]"), timezone).utc


def _counts(text: pa.Array, rows: NDArray[np.bool_]) -> dict[str, int]:
    if not rows.any():
        return {}
    return {row["values"]: row["counts"] for row in text.filter(pa.array(rows)).value_counts().to_pylist()}
