"""Public and school holidays: what the calendars say of a date, and nothing of dates that they do not cover."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from layers.city import Holidays
from layers.errors import CityFileError

FRENCH_SCHOOL_CALENDAR = (dt.date(2017, 9, 4), dt.date(2028, 8, 31))
"""First and last day of the French school years whose decreed dates the library holds.

It has no earlier ones, and extrapolates later ones from the rules of the last decree: those are not taken.
"""

_EPOCH = dt.date(1970, 1, 1)
_UNKNOWN, _WORKING, _FREE = -1, 0, 1

type _Period = tuple[dt.date, dt.date]


@dataclass(frozen=True, slots=True)
class _Calendar:
    """Periods of which something is known, and those of them that are free; local dates, both ends included."""

    known: tuple[_Period, ...]
    free: tuple[_Period, ...]

    def says(self, days: NDArray[np.int64], valid: NDArray[np.bool_]) -> pa.Array:
        """Whether each day (since 1970) is free; null where unknown, or not ``valid``."""
        if not self.known or not valid.any():
            return pa.nulls(len(days), pa.bool_())
        first = max(int(days[valid].min()), min(_day(start) for start, _ in self.known))
        last = min(int(days[valid].max()), max(_day(end) for _, end in self.known))
        said = np.full(max(last - first + 1, 0) + 2, _UNKNOWN, dtype=np.int8)  # and one beyond either end
        for periods, value in ((self.known, _WORKING), (self.free, _FREE)):
            for start, end in periods:
                said[max(_day(start) - first, 0) + 1 : max(min(_day(end), last) - first + 1, 0) + 1] = value
        answer = said[np.clip(days - first + 1, 0, len(said) - 1)]
        return pa.array(answer == _FREE, mask=~valid | (answer == _UNKNOWN))


def holiday_columns(dates: pa.Array, holidays: Holidays) -> dict[str, pa.Array]:
    """Whether each date is a public holiday, and whether it is in school holidays.

    Parameters
    ----------
    dates
        date32, local, shape (n,).
    holidays
        Country, subdivision and school calendar of the city file.

    Returns
    -------
    dict[str, pa.Array]
        ``holiday`` and ``school_holiday``, bool, shape (n,). Null where the date is, and where no calendar covers it:
        years that the library does not know; for schools, dates outside the French calendar of the zone
        (``FRENCH_SCHOOL_CALENDAR``) and outside the first to the last day of those that the city file writes out.
        Days off in lieu of a holiday on a weekend are public holidays where the country has them; Sundays are not.

    Raises
    ------
    CityFileError
        If no calendar is known of the country or subdivision, or a French school zone is given elsewhere.
    """
    valid = dates.is_valid().to_numpy(zero_copy_only=False)
    days = dates.cast(pa.int32()).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    years = _years(days[valid])
    return {
        "holiday": _public(holidays, years).says(days, valid),
        "school_holiday": _school(holidays, years).says(days, valid),
    }


def check_holidays(holidays: Holidays) -> None:
    """Refuse calendars that do not exist, before any data are read.

    Raises
    ------
    CityFileError
        If no calendar is known of the country or subdivision, or a French school zone is given elsewhere.
    """
    _public(holidays, range(2024, 2025))
    _school(holidays, range(2024, 2025))


def _public(holidays: Holidays, years: range) -> _Calendar:
    import holidays as calendars  # noqa: PLC0415 — over a second, for cities that ask for it

    try:
        empty = calendars.country_holidays(holidays.country)
    except NotImplementedError as error:
        raise CityFileError(
            f"enrichment.holidays.country {holidays.country!r}: no public holidays are known of it;"
            " a two-letter ISO 3166-1 code is expected, such as FR"
        ) from error
    accepted = (*empty.subdivisions, *empty.subdivisions_aliases)
    if holidays.subdivision is not None and holidays.subdivision not in accepted:
        raise CityFileError(
            f"enrichment.holidays.subdivision {holidays.subdivision!r} has no calendar of its own in"
            f" {holidays.country}; expected: {', '.join(accepted) or 'none'}, or no subdivision"
        )
    # A day in lieu can be in the year before or after its holiday.
    wanted = range(max(years.start - 1, empty.start_year), min(years.stop + 1, empty.end_year + 1))
    found = calendars.country_holidays(holidays.country, subdiv=holidays.subdivision, years=wanted)
    known = (dt.date(empty.start_year, 1, 1), dt.date(empty.end_year, 12, 31))
    return _Calendar((known,), _single_days(found))


def _school(holidays: Holidays, years: range) -> _Calendar:
    written = [(period.start, period.end) for period in holidays.school_holidays]
    known = [(min(start for start, _ in written), max(end for _, end in written))] if written else []
    if holidays.school_zone is None:
        return _Calendar(tuple(known), tuple(written))
    if holidays.country != "FR":
        raise CityFileError(
            f"enrichment.holidays.school_zone {holidays.school_zone!r} is a zone of the French calendar, and"
            f" country is {holidays.country!r}: write the periods as enrichment.holidays.school_holidays"
        )
    return _Calendar((*known, FRENCH_SCHOOL_CALENDAR), (*written, *_french_school(holidays.school_zone, years)))


def _french_school(zone: str, years: range) -> tuple[_Period, ...]:
    import holidays as calendars  # noqa: PLC0415 — over a second, for cities that ask for it

    first, last = FRENCH_SCHOOL_CALENDAR
    wanted = range(max(years.start - 1, first.year), min(years.stop + 1, last.year + 1))
    found = calendars.country_holidays("FR", subdiv=f"Zone {zone}", years=wanted, categories=calendars.SCHOOL)
    return _single_days(day for day in found if first <= day <= last)


def _single_days(days: Iterable[dt.date]) -> tuple[_Period, ...]:
    return tuple((day, day) for day in sorted(days))


def _years(days: NDArray[np.int64]) -> range:
    """Calendar years of days since 1970."""
    if not len(days):
        return range(1970, 1970)
    first, last = np.array([days.min(), days.max()]).astype("datetime64[D]").astype("datetime64[Y]").astype(int)
    return range(int(first) + 1970, int(last) + 1971)


def _day(date: dt.date) -> int:
    return (date - _EPOCH).days
