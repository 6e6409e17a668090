"""Which rows are past their period: by start, by record, by delivery."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from layers.ingest import ingest
from layers.receiving import deliveries_of, receive
from layers.retention.ageing import PastRows, held_in_order, past_rows
from support.delivered_city import CAMERAS, CITY_TOML, DeliveredCity, row

CUTOFF = dt.date(2024, 6, 1)
LATER = dt.timedelta(days=400)


def found(city: DeliveredCity, source_id: str = "log", cutoff: dt.date = CUTOFF) -> list[PastRows]:
    loaded = city.load()
    source = next(s for s in loaded.sources if s.id == source_id)
    return past_rows(source, held_in_order(source, loaded, city.home), loaded, cutoff)


def numbers(city: DeliveredCity, source_id: str = "log", cutoff: dt.date = CUTOFF) -> list[list[int]]:
    return [past.rows.tolist() for past in found(city, source_id, cutoff)]


def deliver(city: DeliveredCity, *deliveries: Sequence[str], mode: str = "increment") -> DeliveredCity:
    city.write_toml(CITY_TOML.replace('mode = "complete"', f'mode = "{mode}"'))
    (city.folder / "log.csv").unlink()
    for number, rows in enumerate(deliveries, start=1):
        city.deliver(rows, f"log{number}.csv")
    loaded = city.load()
    (source,) = loaded.sources
    for one in deliveries_of(source, loaded, city.home):
        receive(one, source, city.home, extras=frozenset())
    return city


def test_a_record_goes_by_the_local_date_of_its_start(small_city: DeliveredCity):
    """31 May 23:59 and 1 June 00:01 in Paris are the same day in UTC."""
    last, first = row(1, date="31/05/2024", hour="23:59"), row(2, date="01/06/2024", hour="00:01")
    assert numbers(deliver(small_city, [last, first])) == [[1]]


def test_a_refused_row_with_a_date_goes_by_its_date(small_city: DeliveredCity):
    assert numbers(deliver(small_city, [row(1, severity="99"), row(2, date="02/06/2024", severity="99")])) == [[1]]


def test_a_row_without_a_date_goes_with_the_day_its_delivery_was_received(small_city: DeliveredCity):
    deliver(small_city, [row(1, date="31/02/2024"), row(2, date="31/12/2099")])
    received = dt.datetime.now(dt.UTC).date()
    assert numbers(small_city, cutoff=received - LATER) == [[]]
    assert numbers(small_city, cutoff=received + LATER) == [[1]]


def test_an_earlier_version_goes_when_the_last_one_says_that_the_record_is_old(small_city: DeliveredCity):
    deliver(small_city, [row(1, date="05/06/2024"), row(2, date="05/06/2024")], [row(1, date="05/05/2024")])
    (first, second) = found(small_city)
    assert (first.rows.tolist(), second.rows.tolist()) == ([1], [1])
    assert (len(first.dragged), len(second.dragged)) == (1, 0)


def test_an_old_version_of_a_record_that_is_recent_goes_alone(small_city: DeliveredCity):
    assert numbers(deliver(small_city, [row(1, date="05/05/2024")], [row(1, date="05/06/2024")])) == [[1], []]


def test_a_refused_row_is_no_later_version(small_city: DeliveredCity):
    deliver(small_city, [row(1, date="05/06/2024")], [row(1, date="31/02/2024")])
    assert numbers(small_city) == [[], []]


def test_a_delivery_of_lasting_things_goes_once_replaced_and_received_long_ago(small_city: DeliveredCity):
    small_city.write_toml(CITY_TOML + CAMERAS)
    for name, line in (("cameras1", "C1;893500;6247500"), ("cameras2", "C1;893600;6247500")):
        (small_city.folder / f"{name}.csv").write_text(f"N;X;Y\n{line}\n", encoding="utf-8")
    ingest(small_city.load(), small_city.home)
    received = dt.datetime.now(dt.UTC).date()
    assert numbers(small_city, "cameras", received - LATER) == [[], []]
    assert numbers(small_city, "cameras", received + LATER) == [[1], []]


def test_a_delivery_without_the_columns_of_today_has_no_dates(small_city: DeliveredCity):
    """The first delivery came under other rules and has been replaced since."""
    ingest(small_city.load(), small_city.home)
    (small_city.folder / "log.csv").unlink()
    small_city.write_toml(CITY_TOML.replace('["DATE", "HEURE"]', '["JOUR", "HEURE"]').replace("log*", "new*"))
    renamed = "NUM;JOUR;HEURE;CODE;X;Y;GRAVITE;AGENT"
    small_city.deliver([row(1, date="05/05/2024")], "new.csv", renamed)
    small_city.deliver([row(1, date="05/06/2024")], "new2.csv", renamed)
    ingest(small_city.load(), small_city.home)  # what was replaced, and cannot be compared, keeps nothing out
    assert numbers(small_city)[0] == []
    assert numbers(small_city, cutoff=dt.datetime.now(dt.UTC).date() + LATER)[0] == [1, 2]


DAYS = st.sampled_from(["30/05/2024", "31/05/2024", "01/06/2024", "02/06/2024"])
DELIVERIES = st.lists(st.lists(st.tuples(st.integers(1, 4), DAYS), min_size=1, max_size=4), min_size=1, max_size=4)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deliveries=DELIVERIES)
def test_rows_go_as_a_plain_loop_says(tmp_path_factory: pytest.TempPathFactory, deliveries: list):
    city = deliver(
        DeliveredCity.at(tmp_path_factory.mktemp("city")),
        *(
            [row(number, date=day, severity=str(place)) for number, day in rows]
            for place, rows in enumerate(deliveries)
        ),
    )
    held = [past.raw for past in found(city)]
    order = [int(raw.received.name[3]) - 1 for raw in held]
    expected = []
    for place in order:
        goes = []
        for position, (number, day) in enumerate(deliveries[place], start=1):
            later = [
                d for p in order for n, d in deliveries[p] if n == number and p == _last(deliveries, order, number)
            ]
            if day.endswith("05/2024") or all(d.endswith("05/2024") for d in later):
                goes.append(position)
        expected.append(goes)
    assert numbers(city) == expected


def _last(deliveries: list, order: list[int], number: int) -> int:
    return [place for place in order if any(n == number for n, _ in deliveries[place])][-1]


def test_nothing_is_read_of_a_source_without_deliveries(small_city: DeliveredCity):
    assert found(small_city) == []


def test_row_numbers_are_numbers_of_the_delivery(small_city: DeliveredCity):
    deliver(small_city, [row(1), row(2, date="05/06/2024"), row(3)])
    (past,) = found(small_city)
    assert past.rows.dtype == np.int64
    assert past.rows.tolist() == [1, 3]
