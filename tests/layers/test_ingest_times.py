"""When records were: local clock times, dates alone, intervals, and the nights on which the clocks change."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from layers.lake import layer_table
from support.delivered_city import HEADER, DeliveredCity, row
from support.ingested import figures_of, records, rejects, take, versions, with_columns
from support.services import PROJECT

END = 'ended_at = { column = "FIN", format = "%d/%m/%Y %H:%M" }'
TAKE = "import sys; from pathlib import Path; from layers.city import load_city; from layers.home import Home\n"
TAKE += "from layers.ingest import ingest; ingest(load_city(Path(sys.argv[1])), Home(Path(sys.argv[2])))\n"


@pytest.mark.parametrize(
    ("end", "hour", "ended_at"),
    [
        ("", 10, None),
        ("15/05/2024 11:20", 10, "2024-05-15 09:20:00+00:00"),
        ("15/05/2024 11:21", None, "2024-05-15 09:21:00+00:00"),
        ("15/05/2024", None, "2024-05-15 22:00:00+00:00"),
        ("17/05/2024", None, "2024-05-17 22:00:00+00:00"),
    ],
)
def test_the_hour_is_unknown_when_the_interval_is_longer_than_one(
    small_city: DeliveredCity, end: str, hour: int | None, ended_at: str | None
):
    small_city.write_toml(with_columns(END))
    small_city.deliver([f"{row(1)};{end}"], header=f"{HEADER};FIN")
    take(small_city)
    record = records(small_city)["MC1"]
    assert record["hour"] == hour
    assert (record["ended_at"] and str(record["ended_at"])) == ended_at


@pytest.mark.parametrize(("date", "hours"), [("31/03/2024", 23), ("27/10/2024", 25), ("15/05/2024", 24)])
def test_a_date_without_time_lasts_its_day_be_it_of_23_or_25_hours(small_city: DeliveredCity, date: str, hours: int):
    small_city.deliver([row(1, date=date, hour="")])
    take(small_city)
    record = records(small_city)["MC1"]
    assert (record["date"].strftime("%d/%m/%Y"), record["hour"]) == (date, None)
    assert (record["ended_at"] - record["started_at"]).total_seconds() == hours * 3600


def test_two_dates_without_times_are_a_period_of_whole_days(small_city: DeliveredCity):
    small_city.write_toml(with_columns(END))
    rows = [f"{row(1, hour='')};16/05/2024", f"{row(2, hour='')};15/05/2024", f"{row(3, hour='')};14/05/2024"]
    small_city.deliver(rows, header=f"{HEADER};FIN")
    take(small_city)
    lasting = {n: (r["ended_at"] - r["started_at"]).total_seconds() for n, r in records(small_city).items()}
    assert lasting == {"MC1": 2 * 86_400, "MC2": 86_400}
    assert [(r[0], r[3]) for r in rejects(small_city)] == [(3, "end_before_start")]


def test_an_end_that_cannot_be_read_is_not_made_up(small_city: DeliveredCity):
    small_city.write_toml(with_columns(END))
    small_city.deliver([f"{row(1, hour='')};31/02/2024"], header=f"{HEADER};FIN")
    take(small_city)
    assert rejects(small_city) == [(1, "ended_at", "31/02/2024", "invalid_date")]


def test_end_before_start_is_refused(small_city: DeliveredCity):
    small_city.write_toml(with_columns(END))
    small_city.deliver([f"{row(1)};14/05/2024 10:00", f"{row(2)};"], header=f"{HEADER};FIN")
    take(small_city)
    assert [(r[0], r[1], r[3]) for r in rejects(small_city)] == [(1, "ended_at", "end_before_start")]


def test_times_of_both_clock_changes_are_read_and_counted(small_city: DeliveredCity):
    small_city.deliver([row(1, date="31/03/2024", hour="02:30"), row(2, date="27/10/2024", hour="02:30")])
    figures = figures_of(small_city)
    assert (figures["log.times_skipped_by_clock"], figures["log.times_shown_twice"]) == (1, 1)
    assert records(small_city)["MC1"]["hour"] == 3
    assert str(records(small_city)["MC2"]["started_at"]) == "2024-10-27 00:30:00+00:00"


@pytest.mark.parametrize(
    ("start", "end", "minutes"),
    [
        ("01:50", "02:10", 20),  # before the change, then its first passage
        ("02:10", "02:50", 40),  # both in the first passage
        ("02:50", "02:10", 20),  # from the first passage into the second
        ("02:50", "03:10", 80),  # over the second passage
        ("03:10", "02:50", None),  # backwards however it is read
    ],
)
def test_a_period_of_the_october_night_goes_from_the_first_passage_of_the_hour_to_the_second(
    small_city: DeliveredCity, start: str, end: str, minutes: int | None
):
    """Paris, 27 October 2024: 02:00 to 03:00 comes twice."""
    small_city.write_toml(with_columns(END))
    small_city.deliver([f"{row(1, date='27/10/2024', hour=start)};27/10/2024 {end}"], header=f"{HEADER};FIN")
    take(small_city)
    if minutes is None:
        assert [r[3] for r in rejects(small_city)] == ["end_before_start"]
    else:
        record = records(small_city)["MC1"]
        assert (record["ended_at"] - record["started_at"]).total_seconds() == 60 * minutes


def test_a_record_is_in_its_local_month(small_city: DeliveredCity):
    """00:30 on 1 June in Paris is 31 May in UTC."""
    small_city.deliver([row(1, date="01/06/2024", hour="00:30"), row(2, date="31/12/2024", hour="23:59")])
    take(small_city)
    months = [f.partition for f in layer_table(small_city.home, "incidents").latest().files]
    assert months == ["month=2024-06", "month=2024-12"]
    assert str(records(small_city)["MC1"]["started_at"]) == "2024-05-31 22:30:00+00:00"


def test_the_machines_zone_does_not_matter(small_city: DeliveredCity, tmp_path: Path):
    """Both nights of the clock change, local midnight and the year's end, under another zone of the machine."""
    hard = [("31/03/2024", "02:30"), ("27/10/2024", "02:30"), ("15/05/2024", ""), ("31/12/2024", "23:59")]
    lines = [row(n, date=date, hour=hour) for n, (date, hour) in enumerate(hard)]
    far = DeliveredCity.at(tmp_path / "far")
    for city in (far, small_city):
        city.deliver(lines)
    command = [sys.executable, "-c", TAKE, str(far.folder), str(far.home.root)]
    subprocess.run(command, cwd=PROJECT, env=os.environ | {"TZ": "Pacific/Auckland"}, check=True)
    take(small_city)
    assert versions(far)["incidents"][1] == versions(small_city)["incidents"][1]
