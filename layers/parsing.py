"""Text to numbers, times and dates, a column at a time, and which values are none."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from layers.clock import to_utc
from layers.errors import DeliveryError

FIRST_YEAR, LAST_YEAR = 1900, 2199
"""Years that a record may speak of; others are slips of the pen (0204 for 2024)."""

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$"
_BLANKS = r"[ \x{00A0}\x{202F}]"
_GROUPED = rf"^[+-]?\d{{1,3}}({_BLANKS}\d{{3}})+([.,]\d*)?$"
_ISO_DATE = r"^\d{4}-\d{2}-\d{2}$"
_ISO_LOCAL = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}(:\d{2}(:\d{2}([.,]\d{1,9})?)?)?$"
_ISO_OFFSET = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}(:\d{2}(:\d{2}(\.\d{1,9})?)?)? ?(Z|z|[+-]\d{2}(:?\d{2})?)$"
_WIDTHS = {"%d": 2, "%m": 2, "%Y": 4, "%H": 2, "%M": 2, "%S": 2}
_HOUR_DIRECTIVES = ("%H", "%I", "%c", "%X", "%T", "%s")
_US = "datetime64[us]"


@dataclass(frozen=True, slots=True)
class Numbers:
    """``number`` is float64, NaN where missing or bad; ``bad`` marks text that is no number."""

    number: NDArray[np.float64]
    bad: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Times:
    """``utc`` is datetime64[us], NaT where missing or bad. ``whole_day`` marks dates without a time."""

    utc: NDArray[np.datetime64]
    bad: NDArray[np.bool_]
    impossible: NDArray[np.bool_]
    whole_day: NDArray[np.bool_]
    shifted: NDArray[np.bool_]
    ambiguous: NDArray[np.bool_]
    again: NDArray[np.timedelta64]
    """How much later an ambiguous time comes the second time; zero elsewhere."""


def as_text(column: pa.Array) -> pa.Array:
    """Trimmed text of a column of any scalar type; empty is null."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type) or pa.types.is_nested(column.type):
        raise DeliveryError(f"a column of type {column.type} holds no text, number or time")
    text = pc.utf8_trim_whitespace(column.cast(pa.string()))
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)


def parse_numbers(column: pa.Array, *, decimal: Literal[".", ","] = ".") -> Numbers:
    """Read numbers.

    Parameters
    ----------
    column
        Numbers, or text in which ``decimal`` separates the fraction and blanks (also narrow or no-break) group digits.
    decimal
        Decimal separator of text. A point is always one: cells of a spreadsheet have it whatever is declared.
    """
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
        # Arrow's own cast of decimals multiplies by a power of ten: one in eight comes out as the number beside it.
        exact = column.cast(pa.string()) if pa.types.is_decimal(column.type) else column
        # Not safe: a whole number beyond 2^53 loses its last digits, which no field asks for.
        values = exact.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False).astype(np.float64, copy=True)
        given = column.is_valid().to_numpy(zero_copy_only=False)
        return Numbers(np.where(np.isfinite(values), values, np.nan), given & ~np.isfinite(values))
    text = as_text(column)
    if (quick := _all_plain(text, decimal)) is not None:
        return Numbers(quick, np.zeros(len(quick), dtype=bool))
    grouped = pc.match_substring_regex(text, _GROUPED)
    plain = pc.if_else(grouped, pc.replace_substring_regex(text, _BLANKS, ""), text)
    if decimal == ",":
        plain = pc.replace_substring(plain, ",", ".")
    good = pc.fill_null(pc.match_substring_regex(plain, _NUMBER), False)
    values = pc.if_else(good, plain, None).cast(pa.float64()).to_numpy(zero_copy_only=False)
    bad = pc.and_(text.is_valid(), pc.invert(good)).to_numpy(zero_copy_only=False)
    return Numbers(np.where(np.isfinite(values), values, np.nan), bad | np.isinf(values))


def _all_plain(text: pa.Array, decimal: str) -> NDArray[np.float64] | None:
    """Numbers of a column in which every value is plain, as nearly every column is; None for the careful way."""
    try:
        values = (pc.replace_substring(text, ",", ".") if decimal == "," else text).cast(pa.float64())
    except pa.ArrowInvalid:
        return None
    numbers: NDArray[np.float64] = values.to_numpy(zero_copy_only=False)
    # Arrow also reads nan and inf, which are no numbers here.
    return None if np.isinf(numbers).any() or np.isnan(numbers).sum() != values.null_count else numbers.copy()


def parse_times(column: pa.Array, *, timezone: str, form: str | None = None) -> Times:
    """Read instants.

    Parameters
    ----------
    column
        Timestamps, dates, or text: ISO 8601 (as spreadsheets' own dates become), or ``form``. An offset in the value
        wins over the zone.
    timezone
        IANA zone of local clock times.
    form
        strptime format; a row that has only its date part (before ``" %H"``) is a whole day.

    Raises
    ------
    DeliveryError
        If ``form`` is no strptime format.
    """
    if pa.types.is_temporal(column.type):
        local, utc, whole_day = _typed(column)
        given = column.is_valid().to_numpy(zero_copy_only=False)
    else:
        text = as_text(column)
        given = text.is_valid().to_numpy(zero_copy_only=False)
        local, utc, whole_day = _read_text(text, given, form)
    known = ~np.isnat(utc)
    localised = to_utc(np.where(known, np.datetime64("NaT", "us"), local), timezone)
    instants = np.where(known, utc, localised.utc)
    bad = given & np.isnat(instants)
    year = instants.astype("datetime64[Y]").astype(np.int64) + 1970
    impossible = ~np.isnat(instants) & ((year < FIRST_YEAR) | (year > LAST_YEAR))
    instants[impossible] = np.datetime64("NaT", "us")
    return Times(instants, bad, impossible, whole_day & ~bad, localised.shifted, localised.ambiguous, localised.again)


_Parsed = tuple[NDArray[np.datetime64], NDArray[np.datetime64], NDArray[np.bool_]]
"""Local times, instants, whole days: of the first two, the one that a row does not have is NaT."""


def _read_text(text: pa.Array, given: NDArray[np.bool_], form: str | None) -> _Parsed:
    """Times of text: by the form where it is a plain one, then ISO 8601, then the form in pandas' careful reading."""
    none = np.full(len(text), np.datetime64("NaT", "us"))
    local, utc, whole_day = none, none.copy(), np.zeros(len(text), dtype=bool)
    if form is not None and (pattern := _pattern_of(form)) is not None:
        local = _plainly_formatted(text, form, pattern)
        whole_day = ~np.isnat(local) & (not any(directive in form for directive in _HOUR_DIRECTIVES))
    unread = given & np.isnat(local)
    if unread.any():
        local[unread], utc[unread], whole_day[unread] = _iso(text.filter(pa.array(unread)))
        unread &= np.isnat(local) & np.isnat(utc)
    if form is not None and unread.any():
        local[unread], utc[unread], whole_day[unread] = _formatted(text.filter(pa.array(unread)), form)
    return local, utc, whole_day


def _pattern_of(form: str) -> str | None:
    """Regular expression of a form whose directives are all of fixed width; None for any other."""
    parts = re.findall(r"%.|[^%]+", form)
    if not all(part in _WIDTHS or part[0] != "%" for part in parts) or "%Y" not in parts or form.endswith("%"):
        return None
    return f"^{''.join(rf'\d{{{_WIDTHS[part]}}}' if part in _WIDTHS else re.escape(part) for part in parts)}$"


def _plainly_formatted(text: pa.Array, form: str, pattern: str) -> NDArray[np.datetime64]:
    """Local times of the values that are spelled exactly as the form says; NaT for the others.

    Arrow's strptime is ten times as fast as pandas', but lenient: the pattern is strict about blanks and widths, and
    what could be carried over (31 February, second 60) must come back as it was written.
    """
    exact = pc.if_else(pc.match_substring_regex(text, pattern), text, pa.scalar(None, pa.string()))
    moments = pc.strptime(exact, format=form, unit="us", error_is_null=True)
    values: NDArray[np.datetime64] = _microseconds(moments)
    for directive, part in (("%d", pc.day), ("%S", pc.second)):
        if directive in form:
            before = form[: form.index(directive)]
            start = len(re.sub("|".join(_WIDTHS), lambda found: "0" * _WIDTHS[found[0]], before))
            written = pc.utf8_slice_codeunits(exact, start, start + 2).cast(pa.int64())
            carried = ~_true(pc.equal(part(moments), written))
            values[carried] = np.datetime64("NaT", "us")
    return values


def _true(mask: pa.Array) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = pc.fill_null(mask, False).to_numpy(zero_copy_only=False)
    return found


def _typed(column: pa.Array) -> _Parsed:
    whole_day = np.full(len(column), pa.types.is_date32(column.type) or pa.types.is_date64(column.type))
    if pa.types.is_time(column.type) or pa.types.is_duration(column.type):
        raise DeliveryError(f"a column of type {column.type} has no date: join it to one with columns = [date, time]")
    zoned = pa.types.is_timestamp(column.type) and column.type.tz is not None
    moments = _within_reach(column).cast(pa.timestamp("us", tz="UTC" if zoned else None), safe=False)
    values = _microseconds(moments)
    none = np.full(len(column), np.datetime64("NaT", "us"))
    return (none, values, whole_day) if zoned else (values, none, whole_day)


def _within_reach(column: pa.Array) -> pa.Array:
    """Move dates that microseconds cannot tell, over which a cast would run, to the nearest that they can."""
    days = pa.types.is_date32(column.type)
    unit = "D" if days else "ms" if pa.types.is_date64(column.type) else column.type.unit
    whole = column.cast(pa.int32() if days else pa.int64())
    if unit == "ns":
        return column
    first, last = (
        int(np.array(day, dtype=f"datetime64[{unit}]").astype(np.int64)) for day in ("0001-01-01", "9999-12-31")
    )
    low, high = pc.less(whole, first), pc.greater(whole, last)
    if not (pc.any(low).as_py() or pc.any(high).as_py()):
        return column
    within = pc.if_else(low, first, pc.if_else(high, last, whole))
    return within.cast(whole.type).cast(column.type)


def _microseconds(moments: pa.Array) -> NDArray[np.datetime64]:
    """Timestamps in microseconds as numpy's, NaT where null; the array is the caller's own."""
    values: NDArray[np.datetime64] = (
        pc.cast(moments.cast(pa.timestamp("us", tz=moments.type.tz)), pa.int64())
        .fill_null(np.iinfo(np.int64).min)
        .to_numpy(zero_copy_only=False)
        .view(_US)
        .copy()
    )
    return values


def _strptime(text: pd.Series, form: str) -> pd.Series:
    try:
        parsed: pd.Series = pd.to_datetime(text, format=form, errors="coerce", utc="%z" in form)
    except ValueError as error:
        raise DeliveryError(f"{form!r} is not a format of dates and times: {error}") from error
    return parsed


def _formatted(text: pa.Array, form: str) -> _Parsed:
    values = text.to_pandas()
    parsed = _strptime(values, form)
    whole_day = np.full(len(values), not any(directive in form for directive in _HOUR_DIRECTIVES))
    none = np.full(len(values), np.datetime64("NaT", "us"))
    date_form, separator, _ = form.partition(" %H")
    if separator:
        unread = parsed.isna() & values.notna()
        if unread.any():
            days = _strptime(values[unread], date_form)
            parsed = parsed.copy()
            parsed[unread] = days.dt.tz_localize("UTC") if parsed.dt.tz is not None else days
            whole_day = unread.to_numpy()
            if parsed.dt.tz is not None:
                # A day without time is local, whatever zone the other rows name.
                local = np.where(whole_day, _naive(parsed), np.datetime64("NaT", "us"))
                return local, np.where(whole_day, np.datetime64("NaT", "us"), _naive(parsed)), whole_day
    return (none, _naive(parsed), whole_day) if parsed.dt.tz is not None else (_naive(parsed), none, whole_day)


def _iso(text: pa.Array) -> _Parsed:
    def matching(pattern: str) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = pc.fill_null(pc.match_substring_regex(text, pattern), False).to_numpy(
            zero_copy_only=False
        )
        return found

    days, clock, zoned = matching(_ISO_DATE), matching(_ISO_LOCAL), matching(_ISO_OFFSET)
    values = text.to_pandas()
    local = np.full(len(values), np.datetime64("NaT", "us"))
    utc = local.copy()
    naive = days | clock
    if naive.any():
        local[naive] = _naive(pd.to_datetime(values[naive], format="ISO8601", errors="coerce"))
    if zoned.any():
        utc[zoned] = _naive(pd.to_datetime(values[zoned], format="ISO8601", errors="coerce", utc=True))
    return local, utc, days


def _naive(moments: pd.Series) -> NDArray[np.datetime64]:
    zoned = moments.dt.tz is not None
    plain = moments.dt.tz_convert("UTC").dt.tz_localize(None) if zoned else moments
    return plain.to_numpy().astype(_US)
