from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from layers.city import Holidays, SchoolHoliday
from layers.enrichment.holidays import FRENCH_SCHOOL_CALENDAR, check_holidays, holiday_columns
from layers.errors import CityFileError

DAY = dt.timedelta(days=1)

# Code du travail, article L3133-1, and its dates of 2024 (service-public.fr, "Jours fériés").
PARIS_2024 = {
    "2024-01-01",
    "2024-04-01",  # Easter Monday
    "2024-05-01",
    "2024-05-08",
    "2024-05-09",  # Ascension
    "2024-05-20",  # Pentecost Monday
    "2024-07-14",
    "2024-08-15",
    "2024-11-01",
    "2024-11-11",
    "2024-12-25",
}
# Article L3134-13: Alsace and Moselle have Good Friday and 26 December besides.
ALSACE_MOSELLE_2024 = PARIS_2024 | {"2024-03-29", "2024-12-26"}

# Arrêté du 7 décembre 2022 (calendrier scolaire 2023–2026), zone B: day named by the decree, and day on which class
# resumes. Holidays begin on the day named, after class, and for the many without class on Saturday the evening before:
# that day counts as free.
ZONE_B_2024_2025 = {
    "Toussaint": ("2024-10-19", "2024-11-04"),
    "Noël": ("2024-12-21", "2025-01-06"),
    "Hiver": ("2025-02-08", "2025-02-24"),
    "Printemps": ("2025-04-05", "2025-04-22"),
    "Ascension": ("2025-05-29", "2025-06-02"),
    "Été": ("2025-07-05", "2025-09-01"),
}


def every_day(start: str, end: str) -> list[dt.date]:
    first, last = dt.date.fromisoformat(start), dt.date.fromisoformat(end)
    return [first + n * DAY for n in range((last - first).days + 1)]


def columns(days: list[dt.date | None], holidays: Holidays) -> dict[str, list[bool | None]]:
    found = holiday_columns(pa.array(days, pa.date32()), holidays)
    assert {name: column.type for name, column in found.items()} == dict.fromkeys(found, pa.bool_())
    assert list(found) == ["holiday", "school_holiday"]
    return {name: column.to_pylist() for name, column in found.items()}


def free(days: list[dt.date], said: list[bool | None]) -> set[str]:
    return {str(day) for day, one in zip(days, said, strict=True) if one}


@pytest.mark.parametrize(
    ("subdivision", "expected"),
    [(None, PARIS_2024), ("57", ALSACE_MOSELLE_2024), ("6AE", ALSACE_MOSELLE_2024)],
)
def test_public_holidays_of_2024(subdivision: str | None, expected: set[str]):
    days = every_day("2024-01-01", "2024-12-31")
    found = columns(days, Holidays(country="FR", subdivision=subdivision))["holiday"]
    assert None not in found
    assert free(days, found) == expected


def test_public_holidays_of_other_countries():
    # Ontario: Employment Standards Act, section 1 (Family Day is the third Monday of February).
    assert columns([dt.date(2024, 2, 19)], Holidays(country="CA", subdivision="ON"))["holiday"] == [True]
    assert columns([dt.date(2024, 2, 19)], Holidays(country="CA", subdivision="QC"))["holiday"] == [False]


def test_a_day_in_lieu_is_found_in_the_year_before_its_holiday():
    # 5 U.S.C. 6103: New Year's Day of 2022 was a Saturday, Friday 31 December 2021 was off.
    assert columns([dt.date(2021, 12, 31)], Holidays(country="US"))["holiday"] == [True]


def test_school_holidays_of_zone_b_are_those_of_the_decree():
    days = every_day("2024-09-02", "2025-08-31")
    said = columns(days, Holidays(country="FR", school_zone="B"))["school_holiday"]
    expected = set()
    for named, return_ in ZONE_B_2024_2025.values():
        expected |= {str(day) for day in every_day(named, return_)[:-1]}
    assert free(days, said) == expected
    assert None not in said


def test_zones_have_their_own_winter():
    # Same decree: the winter holidays of 2025 begin on 22 February (A), 8 February (B), 15 February (C).
    days = [dt.date(2025, 2, 8), dt.date(2025, 2, 15), dt.date(2025, 2, 24), dt.date(2025, 3, 3)]
    said = {zone: columns(days, Holidays(country="FR", school_zone=zone))["school_holiday"] for zone in ("A", "B", "C")}
    assert said == {
        "A": [False, False, True, True],
        "B": [True, True, False, False],
        "C": [False, True, True, False],
    }


def test_the_spring_of_2021_is_that_of_the_changed_calendar():
    # The ministry moved the spring holidays of every zone to 10–26 April 2021 when schools closed (Covid-19).
    for zone in ("A", "B", "C"):
        said = columns([dt.date(2021, 4, 12), dt.date(2021, 4, 28)], Holidays(country="FR", school_zone=zone))
        assert said["school_holiday"] == [True, False]


def test_outside_the_calendars_nothing_is_said():
    first, last = FRENCH_SCHOOL_CALENDAR
    days = [dt.date(2016, 7, 20), first - DAY, first, last, last + DAY, dt.date(2031, 7, 20)]
    found = columns(days, Holidays(country="FR", school_zone="B"))
    assert found["school_holiday"] == [None, None, False, True, None, None]
    assert None not in found["holiday"]
    # The first public holiday of the French calendar is of 1803, the last that the library computes of 2100.
    far = [dt.date(1, 1, 1), dt.date(1789, 7, 14), dt.date(2024, 7, 14), dt.date(2101, 7, 14), dt.date(9999, 12, 31)]
    assert columns(far, Holidays(country="FR"))["holiday"] == [None, None, True, None, None]


def test_school_holidays_are_unknown_where_no_calendar_is_given():
    found = columns([dt.date(2024, 7, 14), dt.date(2024, 3, 4)], Holidays(country="FR"))
    assert found == {"holiday": [True, False], "school_holiday": [None, None]}


def test_written_school_holidays_are_known_from_the_first_to_the_last():
    written = (
        SchoolHoliday(start=dt.date(2024, 7, 1), end=dt.date(2024, 9, 2)),
        SchoolHoliday(start=dt.date(2024, 3, 11), end=dt.date(2024, 3, 15)),
    )
    days = [
        dt.date(2024, 3, 10),
        dt.date(2024, 3, 11),
        dt.date(2024, 3, 15),
        dt.date(2024, 3, 16),
        dt.date(2024, 9, 2),
        dt.date(2024, 9, 3),
    ]
    said = columns(days, Holidays(country="CA", subdivision="ON", school_holidays=written))["school_holiday"]
    assert said == [None, True, True, False, True, None]


def test_written_school_holidays_add_to_the_french_calendar():
    written = (SchoolHoliday(start=dt.date(2024, 5, 6), end=dt.date(2024, 5, 7)),)
    days = [dt.date(2024, 5, 3), dt.date(2024, 5, 6), dt.date(2024, 5, 7), dt.date(2024, 7, 20)]
    said = columns(days, Holidays(country="FR", school_zone="B", school_holidays=written))["school_holiday"]
    assert said == [True, True, True, True]
    alone = columns(days, Holidays(country="FR", school_zone="B"))["school_holiday"]
    assert alone == [True, False, False, True]


def test_unknown_dates_are_neither_holidays_nor_not():
    assert columns([None, dt.date(2024, 7, 14), None], Holidays(country="FR"))["holiday"] == [None, True, None]
    assert columns([None], Holidays(country="FR", school_zone="B"))["school_holiday"] == [None]
    assert columns([], Holidays(country="FR", school_zone="B")) == {"holiday": [], "school_holiday": []}


@pytest.mark.parametrize(
    ("holidays", "message"),
    [
        (Holidays(country="XX"), r"country 'XX'.*such as FR"),
        (Holidays(country="FR", subdivision="67"), r"subdivision '67'.*expected: 57, 6AE"),
        (Holidays(country="LK", subdivision="A"), r"expected: .*none"),
        (Holidays(country="BE", school_zone="A"), r"school_zone 'A'.*country is 'BE'.*school_holidays"),
    ],
)
def test_calendars_that_do_not_exist_are_refused_with_what_is_expected(holidays: Holidays, message: str):
    for check in (check_holidays, lambda h: holiday_columns(pa.array([dt.date(2024, 1, 1)]), h)):
        with pytest.raises(CityFileError, match=message):
            check(holidays)


def test_known_calendars_are_accepted():
    check_holidays(Holidays(country="FR", subdivision="57", school_zone="A"))


def test_a_period_that_ends_before_it_starts_is_refused():
    with pytest.raises(ValidationError, match="before start"):
        SchoolHoliday(start=dt.date(2024, 3, 2), end=dt.date(2024, 3, 1))


@given(st.lists(st.none() | st.dates(dt.date(1800, 1, 1), dt.date(2110, 1, 1)), max_size=4))
def test_what_is_said_of_a_date_does_not_depend_on_the_others(days: list[dt.date | None]):
    holidays = Holidays(country="FR", subdivision="57", school_zone="C")
    together = columns(days, holidays)
    alone = [columns([day], holidays) for day in days]
    for name, said in together.items():
        assert said == [one[name][0] for one in alone]
