"""ISO 8601 durations of the city file: how often a source is updated."""

from __future__ import annotations

import calendar
import datetime as dt
import re
from typing import Annotated, Final

from pydantic import AfterValidator

_FORM: Final = re.compile(
    r"P(?=.)(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?=.)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?",
    re.ASCII,
)
_LONGEST_DIGITS: Final = 4


def add_duration(day: dt.date, duration: str) -> dt.date:
    """Add an ISO 8601 duration to a date.

    Years and months follow the calendar (31 January + P1M is the last of February); a part of a day counts as one day.

    Raises
    ------
    ValueError
        If ``duration`` is no duration of whole numbers, for instance ``P1D``, ``P2W``, ``P1M`` or ``PT6H``.
    """
    parts = _parts(duration)
    months = day.year * 12 + day.month - 1 + 12 * parts["years"] + parts["months"]
    year, month = divmod(months, 12)
    if year > dt.MAXYEAR:
        raise ValueError(f"{duration!r} leads beyond the year {dt.MAXYEAR}")
    month += 1
    moved = day.replace(year=year, month=month, day=min(day.day, calendar.monthrange(year, month)[1]))
    seconds = 3600 * parts["hours"] + 60 * parts["minutes"] + parts["seconds"]
    return moved + dt.timedelta(days=7 * parts["weeks"] + parts["days"] + -(-seconds // 86_400))


def checked_duration(text: str) -> str:
    """Return ``text`` if it is an ISO 8601 duration.

    Raises
    ------
    ValueError
        If it is none; the message gives examples.
    """
    _parts(text)
    return text


Duration = Annotated[str, AfterValidator(checked_duration)]
"""An ISO 8601 duration, as the city file writes it."""


def _parts(text: str) -> dict[str, int]:
    found = _FORM.fullmatch(text)
    if found is None or any(len(digits or "") > _LONGEST_DIGITS for digits in found.groupdict().values()):
        raise ValueError(f"{text!r} is not an ISO 8601 duration, for instance P1D, P1W, P1M or PT6H")
    return {name: int(digits or 0) for name, digits in found.groupdict().items()}
