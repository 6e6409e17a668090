from __future__ import annotations

import datetime as dt
import json
import zoneinfo
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers.quality import Profile
from layers.quality.places import are_coarse, commonest_positions
from layers.quality.refusals import form_of
from support.made_source import NO_REJECTS, incidents, profile_of, rejects

PARIS = zoneinfo.ZoneInfo("Europe/Paris")
INSTANTS = st.datetimes(dt.datetime.fromisoformat("1930-01-01"), dt.datetime.fromisoformat("2037-12-01"))


def at(*texts: str) -> np.ndarray:
    return np.array(texts, dtype="datetime64[us]")


@given(st.lists(INSTANTS, min_size=1, max_size=30))
def test_days_and_hours_are_those_of_the_local_clock(instants: list[dt.datetime]):
    document = profile_of((incidents(started_at=np.array(instants, dtype="datetime64[us]")), NO_REJECTS)).document()
    local = [instant.replace(tzinfo=dt.UTC).astimezone(PARIS) for instant in instants]
    assert document["days"] == dict(sorted(Counter(t.date().isoformat() for t in local).items()))
    assert document["hours"] == [sum(t.hour == hour for t in local) for hour in range(24)]
    assert document["weekdays"] == [sum(t.weekday() == day for t in local) for day in range(7)]
    assert sum(document["minutes"].values()) == len(local)


def test_both_sides_of_a_change_of_clocks_are_told_apart():
    # On 31 March 2024 at 01:00 UTC the clocks of Paris went from 02:00 to 03:00.
    table = incidents(started_at=at("2024-03-31T00:59", "2024-03-31T01:00", "2024-03-30T23:30"))
    document = profile_of((table, NO_REJECTS)).document()
    assert document["days"] == {"2024-03-31": 3}
    assert {hour: n for hour, n in enumerate(document["hours"]) if n} == {0: 1, 1: 1, 3: 1}


def test_dates_of_many_centuries_are_counted_too():
    table = incidents(started_at=at("0900-05-05T12:00", "2024-05-05T12:00", "2900-05-05T12:00"))
    document = profile_of((table, NO_REJECTS)).document()
    assert list(document["days"]) == ["0900-05-05", "2024-05-05", "2900-05-05"]


def test_an_hour_is_counted_only_where_it_is_known():
    started = at("2024-05-05T10:15", "2024-05-05T10:15", "2024-05-05T10:15", "2024-05-05T10:15")
    ended = at("NaT", "2024-05-05T11:15", "2024-05-06T10:15", "2024-05-06T10:16")
    document = profile_of((incidents(started_at=started, ended_at=ended), NO_REJECTS)).document()
    assert document["intervals"] == {"1h": 1, "24h": 1, "instant": 1, "longer": 1}
    assert sum(document["hours"]) == 2
    assert document["days"] == {"2024-05-05": 4}


def test_round_minutes_are_counted_by_the_local_clock():
    table = incidents(
        started_at=at(
            "2024-05-04T22:00", "2024-05-05T10:00", "2024-05-05T10:30", "2024-05-05T10:31", "2024-05-05T00:00"
        )
    )
    assert profile_of((table, NO_REJECTS)).document()["minutes"] == {"half": 1, "hour": 2, "midnight": 1, "other": 1}


def test_precision_falls_in_classes_with_their_upper_bound():
    precision = [0.0, 10.0, 10.1, 25.0, 50.0, 100.0, 500.0, 500.1, None, 3.0]
    lon = [5.37001] * 9 + [None]
    table = incidents(precision_m=precision, lon=lon, lat=[43.30001] * 9 + [None])
    document = profile_of((table, NO_REJECTS)).document()
    assert document["precision"] == {
        "0-10": 2,
        "10-25": 2,
        "25-50": 1,
        "50-100": 1,
        "100-500": 1,
        "500+": 1,
        "unknown": 1,
    }
    assert document["places"]["located"] == 9


def test_filled_fields_labels_and_positions_by_address_are_counted():
    table = incidents(
        address=["1 rue A", None, None],
        category=["noise", "noise", "unmapped"],
        source_code=["N1", "N1", "Z9"],
        provenance=["reported", "discovered", "reported"],
        lon=pa.array([5.3712345, 5.3812345, None]),
        lat=pa.array([43.3012345, 43.3112345, None]),
        located_by=["address", "coordinates", None],
    )
    document = profile_of((table, NO_REJECTS)).document()
    assert document["filled"] == {"address": 1, "category": 3, "provenance": 3}
    assert document["classes"] == {"noise": 2, "unmapped": 1}
    assert document["codes"] == {"N1": 2, "Z9": 1}
    assert document["provenance"] == {"discovered": 1, "reported": 2}
    assert document["places"] == {"by_address": 1, "located": 2}


def test_dictionary_columns_count_as_text_does():
    codes = pa.array(["N1", "Z9", "N1", None])
    plain, packed = (profile_of((incidents(source_code=c), NO_REJECTS)) for c in (codes, codes.dictionary_encode()))
    assert plain.document() == packed.document()


def test_a_column_of_free_text_taken_for_codes_stays_small():
    table = incidents(source_code=[f"text {number}" for number in range(5_000)])
    codes = profile_of((table, NO_REJECTS)).document()["codes"]
    assert len(codes) == 2_001
    assert codes["…"] == 3_000


def test_batches_add_up_to_the_whole(rng: np.random.Generator):
    n = 3_000
    table = incidents(
        category=pa.array(rng.choice(["a", "b", "c"], n)),
        started_at=at("2024-01-01") + rng.integers(0, 10**13, n).astype("timedelta64[us]"),
        lon=pa.array(np.where(rng.random(n) < 0.1, 5.37, rng.random(n) + 5)),
        lat=pa.array(np.full(n, 43.3)),
        precision_m=pa.array(rng.random(n) * 600),
    )
    faults = rejects(*((row, "started_at", "31/02/2024", "invalid_date") for row in range(9)))
    whole = profile_of((table, faults)).document()
    parts = profile_of((table.slice(0, 1_000), faults), (table.slice(1_000), NO_REJECTS)).document()
    positions, in_parts = whole.pop("positions"), parts.pop("positions")
    assert parts == whole
    assert positions[0][:2] == in_parts[0][:2] == [5.37, 43.3]
    assert positions[0][2] == in_parts[0][2]


def test_a_document_is_json_and_is_read_back():
    table = incidents(started_at=at("2024-05-05T10:15"), lon=[5.37], lat=[43.3], source_code=["N1"], address=["x"])
    profile = profile_of((table, rejects((4, "severity", "99", "out_of_range"))))
    text = json.dumps(profile.document(), allow_nan=False)
    read = Profile.of(json.loads(text))
    assert read.document() == profile.document()
    read.add(table, NO_REJECTS)
    assert read.document()["accepted"] == 2


def test_refused_rows_are_counted_once_and_the_first_are_kept():
    faults = rejects(
        (3, "started_at", "31/02/2024 10:00", "invalid_date"),
        (3, "severity", "99", "out_of_range"),
        (7, "started_at", "2024-13-01 10:00", "invalid_date"),
        (8, "started_at", "30/02/2024 10:00", "invalid_date"),
        (9, "started_at", "29/02/2023 10:00", "invalid_date"),
        (10, None, None, "malformed_row"),
    )
    refusals = profile_of((incidents(), faults)).document()["refusals"]
    assert refusals["rows"] == 5
    assert refusals["reasons"] == {"invalid_date": 4, "malformed_row": 1, "out_of_range": 1}
    assert [row["row"] for row in refusals["examples"]["invalid_date"]] == [3, 7, 8]
    assert refusals["forms"]["invalid_date"] == {"99/99/9999 99:99": 3, "9999-99-99 99:99": 1}


def test_an_id_found_repeated_at_the_end_is_no_accepted_row():
    profile = profile_of((incidents(record_id=["a", "b", "a"]), NO_REJECTS))
    before = profile.counts["places"]["located"]
    profile.take_back(rejects((3, "record_id", "a", "duplicate_record_id")), located=1)
    document = profile.document()
    assert (document["accepted"], document["refusals"]["rows"]) == (2, 1)
    assert profile.counts["places"]["located"] == before - 1


@pytest.mark.parametrize(
    ("layer", "columns", "days"),
    [
        ("events", {"starts_at": at("2024-05-05T10:15"), "ends_at": at("2024-06-05T10:15"), "nature": ["x"]}, 1),
        ("cameras", {"in_service_from": pa.array([dt.date(2020, 1, 2)]), "status": ["planned"]}, 1),
        ("weather", {"observed_at": at("2024-05-05T10:15"), "rain_mm": [1.0]}, 1),
        ("sensitive_sites", {"name": ["x"], "category": ["School"]}, 0),
        ("streets", {"name": ["Rue X"]}, 0),
    ],
)
def test_every_kind_of_layer_has_a_profile(layer: str, columns: dict, days: int):
    document = profile_of((incidents(**columns), NO_REJECTS), layer=layer).document()
    assert document["accepted"] == 1
    assert len(document["days"]) == days


def test_forms_keep_what_separates_and_hide_the_rest():
    assert form_of("31/02/2024 25:61") == "99/99/9999 99:99"
    assert form_of("lundi 3 févr.") == "aaaaa 9 aaaa."


@given(
    st.lists(st.sampled_from([(5.37, 43.3), (5.38, 43.3), (-0.1, -33.9), (5.37, 43.30001)]), min_size=1, max_size=60)
)
def test_common_positions_are_exact_where_they_stand_out(places: list[tuple[float, float]]):
    lon, lat = (np.array(values) for values in zip(*places, strict=True))
    counted = Counter(places)
    for place, number in commonest_positions(lon, lat):
        assert counted[place] == number


def test_a_default_position_is_found_among_a_hundred_thousand(rng: np.random.Generator):
    lon, lat = 5.2 + 0.3 * rng.random(100_000), 43.2 + 0.2 * rng.random(100_000)
    lon[::50], lat[::50] = 5.36978, 43.29695
    place, number = commonest_positions(lon, lat)[0]
    assert place == (5.36978, 43.29695)
    assert number == 2_000


def test_coordinates_are_coarse_when_both_are_round():
    lon, lat = np.array([5.37, 5.37, 5.37123]), np.array([43.3, 43.30001, 43.3])
    assert are_coarse(lon, lat, []).tolist() == [True, False, False]
    x, y = np.array([893_000.0, 893_000.0, 893_100.0]), np.array([6_246_000.0, 6_246_010.0, 6_246_000.0])
    assert are_coarse(np.full(3, 5.371234), np.full(3, 43.301234), [x, y]).tolist() == [True, False, True]
