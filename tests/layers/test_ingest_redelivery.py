"""Deliveries one after the other: what is new, changed, withdrawn or merged, and what is kept of what was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from layers.catalogue import read_catalogue
from layers.digests import digest_file
from layers.errors import DeliveryError, HomeError
from layers.home import Home, claim_home
from layers.lake import layer_table
from support.delivered_city import CITY_TOML, HEADER, ORIGIN_X_M, DeliveredCity, row
from support.ingested import LAW, digests, figures_of, history, records, rows_of, take, versions, with_columns

SECOND = """
[[sources]]
id = "calls"
layer = "incidents"
title = { fr = "Appels", en = "Calls" }
organisation = "Ville"
deliveries = ["calls*.csv"]
mode = "complete"
crs = "EPSG:2154"
drop = ["AGENT"]
read = { delimiter = ";", decimal = "," }
categories = { "N1" = "night_noise", "F1" = "dispute" }

[sources.columns]
record_id = "NUM"
category = "CODE"
started_at = { columns = ["DATE", "HEURE"], format = "%d/%m/%Y %H:%M" }
severity = "GRAVITE"
x = "X"
y = "Y"
"""
NEAR = '\n[deduplication.near]\ndistance_m = 50\nminutes = 30\nsources = ["log", "calls"]\n'


def two_sources(city: DeliveredCity, near: str = NEAR) -> None:
    city.write_toml(CITY_TOML + SECOND + near)


def paths(city: DeliveredCity, table: str = "incidents") -> dict[str | None, str]:
    return {f.partition: f.path for f in layer_table(city.home, table).latest().files}


def test_taking_the_same_twice_changes_nothing(small_city: DeliveredCity):
    first = take(small_city)
    before = versions(small_city)
    second = take(small_city)
    assert second.skipped
    assert (second.key, dict(second.figures)) == (first.key, dict(first.figures))
    assert versions(small_city) == before


def test_a_file_that_goes_back_is_taken_back(small_city: DeliveredCity):
    original = (small_city.folder / "log.csv").read_bytes()
    take(small_city)
    first = versions(small_city)["incidents"][1]
    small_city.deliver([row(1)])
    take(small_city)
    assert list(records(small_city)) == ["MC1"]
    (small_city.folder / "log.csv").write_bytes(original)
    assert not take(small_city).skipped
    assert set(records(small_city)) == {"MC1", "MC2"}
    assert versions(small_city)["incidents"][1] == first


def test_a_complete_delivery_updates_and_withdraws(small_city: DeliveredCity):
    small_city.deliver([row(1), row(2), row(3)], "log-1.csv")
    (small_city.folder / "log.csv").unlink()
    take(small_city)
    small_city.deliver([row(1), row(2, severity="3"), row(4)], "log-2.csv")
    figures = figures_of(small_city)
    assert set(records(small_city)) == {"MC1", "MC2", "MC4"}
    assert records(small_city)["MC2"]["severity"] == 3
    assert (figures["log.updated"], figures["log.withdrawn"]) == (1, 1)
    assert (figures["log.rows"], figures["log.accepted"]) == (6, 6)
    assert (figures["log.new"], figures["log.unchanged"]) == (4, 1)
    deliveries = read_catalogue(small_city.home)[0].deliveries
    assert [d.name for d in deliveries] == ["log-1.csv", "log-2.csv"]
    inputs = layer_table(small_city.home, "incidents").latest().inputs
    assert [inputs[f"deliveries/log/{n:04d}"] for n in (1, 2)] == [d.digest for d in deliveries]
    assert {p.name for p in (small_city.home.raw / "log").iterdir()} == {d.digest for d in deliveries}


def test_earlier_versions_are_kept_as_they_stood_and_say_what_ended_them(small_city: DeliveredCity):
    first = small_city.deliver([row(1), row(2), row(3, date="01/06/2024")])
    digest_1 = digest_file(first)
    take(small_city)
    stood = records(small_city)
    assert history(small_city) == []
    digest_2 = digest_file(small_city.deliver([row(1), row(2, severity="3", date="02/06/2024")]))
    take(small_city)
    past = {r["record_id"]: r for r in history(small_city)}
    assert {n: (r["state"], r["ended_by"], r["survivor"]) for n, r in past.items()} == {
        "MC2": ("updated", digest_2, None),
        "MC3": ("withdrawn", digest_2, None),
    }
    for name, version in past.items():
        assert {key: version[key] for key in stood[name]} == stood[name]
        assert version["delivery"] == digest_1
    # A version is in the month in which it stood.
    assert set(paths(small_city, "incidents_history")) == {"month=2024-05", "month=2024-06"}
    assert set(paths(small_city)) == {"month=2024-05", "month=2024-06"}


def test_a_history_that_is_no_more_is_emptied(small_city: DeliveredCity):
    first = (small_city.folder / "log.csv").read_bytes()
    take(small_city)
    small_city.deliver([row(1)])
    take(small_city)
    assert [r["record_id"] for r in history(small_city)] == ["MC2"]
    (small_city.folder / "log.csv").write_bytes(first)
    take(small_city)  # what is listed follows what is gone: the record came, went and came again
    assert [(r["record_id"], r["state"]) for r in history(small_city)] == []
    assert set(records(small_city)) == {"MC1", "MC2"}


def test_a_record_that_comes_again_is_new_again(small_city: DeliveredCity):
    for number, rows in enumerate([[row(1), row(2)], [row(1)], [row(1), row(2)]], start=1):
        small_city.deliver([*rows, row(90 + number)], f"log-{number}.csv")
    (small_city.folder / "log.csv").unlink()
    figures = figures_of(small_city)
    assert (figures["log.new"], figures["log.unchanged"], figures["log.withdrawn"]) == (6, 2, 3)
    assert sorted((r["record_id"], r["state"]) for r in history(small_city)) == [
        ("MC2", "withdrawn"),
        ("MC91", "withdrawn"),
        ("MC92", "withdrawn"),
    ]


def test_months_that_did_not_change_keep_their_files(small_city: DeliveredCity):
    increments = CITY_TOML.replace('mode = "complete"', 'mode = "increment"')
    small_city.write_toml(increments)
    small_city.deliver([row(n, date=f"15/0{n}/2024") for n in range(1, 5)])
    take(small_city)
    first = paths(small_city)
    small_city.write_toml(increments.replace("Main courante", "Journal"))  # says nothing of the records
    take(small_city)
    assert paths(small_city) == first
    small_city.deliver([row(2, date="15/02/2024", severity="5"), row(5, date="15/03/2024"), row(6)], "log2.csv")
    take(small_city)
    second = paths(small_city)
    kept = {month for month in first if second[month] == first[month]}
    assert kept == {"month=2024-01", "month=2024-04"}
    assert set(second) - set(first) == {"month=2024-05"}


def test_of_complete_files_replaced_in_place_the_last_two_count_and_all_are_kept(small_city: DeliveredCity):
    for severity in ("1", "2", "3"):
        small_city.deliver([row(1, severity=severity)])
        figures = figures_of(small_city)
    assert (figures["log.rows"], figures["log.updated"], figures["log.records"]) == (2, 1, 1)
    assert len(read_catalogue(small_city.home)[0].deliveries) == 2
    assert len(list((small_city.home.raw / "log").iterdir())) == 3


def test_an_increment_leaves_what_it_does_not_bring(small_city: DeliveredCity):
    small_city.write_toml(CITY_TOML.replace('mode = "complete"', 'mode = "increment"'))
    take(small_city)
    small_city.deliver([row(2, severity="5"), row(9)])  # in the place of the first file
    figures = figures_of(small_city)
    assert set(records(small_city)) == {"MC1", "MC2", "MC9"}
    assert (records(small_city)["MC2"]["severity"], figures["log.withdrawn"]) == (5, 0)
    assert [(r["record_id"], r["state"]) for r in history(small_city)] == [("MC2", "updated")]


def test_a_delivery_in_the_lake_needs_its_file_no_more(small_city: DeliveredCity):
    take(small_city)
    (small_city.folder / "log.csv").unlink()
    small_city.write_toml(CITY_TOML.replace('organisation = "Police municipale"', 'organisation = "Police"'))
    take(small_city)
    assert records(small_city)["MC1"]["organisation"] == "Police"


def test_a_missing_delivery_is_named(small_city: DeliveredCity):
    (small_city.folder / "log.csv").unlink()
    with pytest.raises(DeliveryError, match=r"source 'log': no file matches log\*\.csv"):
        take(small_city)
    small_city.write_toml(CITY_TOML.replace("log*.csv", "log.csv"))
    with pytest.raises(DeliveryError, match=r"log\.csv: no such delivery"):
        take(small_city)


def test_a_refused_delivery_leaves_the_layers_of_every_source_as_they_were(small_city: DeliveredCity):
    two_sources(small_city)
    small_city.deliver([row(1, code="F1")], "calls.csv")
    take(small_city)
    before = digests(small_city)
    small_city.deliver([row(5)])
    small_city.deliver(["1"], "calls.csv", header="NUM")
    with pytest.raises(DeliveryError, match=r"calls\.csv: source 'calls' reads the column"):
        take(small_city)
    assert digests(small_city) == before


def everything(city: DeliveredCity) -> dict[str, tuple[str, Any]]:
    """Each id's source and severity, from the layer and from what was merged."""
    merged = [r for r in history(city) if r["state"] == "merged"]
    return {r["id"]: (r["source"], r["severity"]) for r in [*rows_of(city, "incidents"), *merged]}


def test_near_records_of_two_sources_are_one_and_can_be_told_apart_again(small_city: DeliveredCity):
    two_sources(small_city, near="")
    small_city.deliver([row(1), row(2, hour="18:00"), row(3, code="F1")])
    near_x = f"{ORIGIN_X_M + 530:.2f}"
    small_city.deliver(
        [row(1, hour="10:45", x=near_x, severity="7"), row(2, hour="19:00"), row(3, date="16/05/2024")], "calls.csv"
    )
    take(small_city)
    apart = rows_of(small_city, "incidents")
    assert len(apart) == 6
    two_sources(small_city)
    figures = figures_of(small_city)
    assert {name: figures[f"calls.{name}"] for name in (*LAW, "records", "near_duplicates")} == {
        "new": 2,
        "updated": 0,
        "unchanged": 0,
        "merged": 1,
        "rejected": 0,
        "records": 2,
        "near_duplicates": 1,
    }
    assert (figures["log.merged"], figures["incidents"]) == (0, 5)
    merged = [r for r in history(small_city) if r["state"] == "merged"]
    survivors = [r for r in rows_of(small_city, "incidents") if r["merged_ids"]]
    assert [(r["record_id"], r["source"]) for r in survivors] == [("MC1", "log")]  # named first, so trusted most
    assert survivors[0]["merged_ids"] == [merged[0]["id"]]
    assert (merged[0]["survivor"], merged[0]["severity"], merged[0]["ended_by"]) == (survivors[0]["id"], 7, None)
    assert everything(small_city) == {r["id"]: (r["source"], r["severity"]) for r in apart}
    two_sources(small_city, near="")
    take(small_city)
    assert rows_of(small_city, "incidents") == apart


def test_equal_rows_of_a_source_are_one_record_where_the_city_file_says_so(small_city: DeliveredCity):
    small_city.write_toml(with_columns('address = "RUE"').replace("drop =", "merge_equal_rows = true\ndrop ="))
    streets = ["12 bd de la Mer", "12 Boulevard de la mer", "12, BOULEVARD DE LA MER", "13 bd de la Mer", ""]
    rows = [f"{row(n)};{street}" for n, street in enumerate(streets)]
    small_city.deliver([*rows, f"{row(9, severity='2')};{streets[0]}"], header=f"{HEADER};RUE")
    figures = figures_of(small_city)
    assert (figures["log.merged"], figures["log.new"], figures["log.equal_rows"]) == (2, 4, 2)
    assert figures["log.near_duplicates"] == 0
    assert {r["record_id"] for r in [*rows_of(small_city, "incidents"), *history(small_city)]} == {
        *(f"MC{n}" for n in range(5)),
        "MC9",
    }
    one = next(r for r in rows_of(small_city, "incidents") if r["merged_ids"])
    assert one["merged_ids"] == sorted(r["id"] for r in history(small_city))
    assert {r["survivor"] for r in history(small_city)} == {one["id"]}


def test_a_home_of_another_city_is_refused(small_city: DeliveredCity):
    claim_home(small_city.home, "elsewhere")
    with pytest.raises(HomeError, match="one home holds one city"):
        take(small_city)


def test_two_homes_with_the_same_deliveries_hold_the_same_tables_however_they_came(
    small_city: DeliveredCity, tmp_path: Path
):
    two_sources(small_city)
    small_city.deliver([row(1), row(2)], "log-1.csv")
    (small_city.folder / "log.csv").unlink()
    small_city.deliver([row(7, hour="10:30")], "calls.csv")
    take(small_city)
    small_city.deliver([row(2, severity="4"), row(3)], "log-2.csv")
    take(small_city)
    fresh = DeliveredCity(small_city.folder, Home(tmp_path / "fresh"))
    take(fresh)
    assert digests(fresh) == digests(small_city)


def test_a_delivery_that_repeats_an_earlier_one_counts_at_its_own_place(small_city: DeliveredCity):
    for number, severity in ((1, "1"), (2, "2"), (3, "1")):
        small_city.deliver([row(1, severity=severity)], f"log{number}.csv")
    (small_city.folder / "log.csv").unlink()
    take(small_city)
    assert records(small_city)["MC1"]["severity"] == 1


def test_columns_may_change_their_names_from_one_complete_delivery_to_the_next(small_city: DeliveredCity):
    take(small_city)
    small_city.write_toml(CITY_TOML.replace('"GRAVITE"', '"NIVEAU"'))
    small_city.deliver([row(1, severity="3"), row(7)], header=HEADER.replace("GRAVITE", "NIVEAU"))
    figures = figures_of(small_city)
    assert set(records(small_city)) == {"MC1", "MC7"}
    assert records(small_city)["MC1"]["severity"] == 3
    assert figures["log.rows"] == sum(figures[f"log.{name}"] for name in LAW) == 2
