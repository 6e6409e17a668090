"""Real incidents of several cities and of the accidents file of France, each with its own way to say when and where.

Expected values are those of an independent reading with pandas and pyproj, and of the description of the data.
"""

from __future__ import annotations

import zoneinfo
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyproj
import pytest

from layers.lake import layer_table
from support.real_city import RealCity, read_plainly


def in_france(lon: pd.Series, lat: pd.Series) -> pd.Series:
    """Whether points are in the area of use of Lambert-93."""
    area = pyproj.CRS("EPSG:2154").area_of_use
    return lon.between(area.west, area.east) & lat.between(area.south, area.north)


def test_accidents_of_the_present_schema(ingested):
    real = ingested("france")
    plain = read_plainly(real.delivered("velo"))
    inside = in_france(plain["long"], plain["lat"])
    figures = real.of("velo")
    assert 0 < figures["rejected"] == (~inside).sum()
    assert real.reasons("velo") == dict.fromkeys((np.flatnonzero(~inside) + 1).tolist(), "outside_crs_area")
    plain = plain[inside].set_index("Num_Acc")
    found = real.records("velo").set_index("record_id").loc[plain.index]
    assert np.abs(found["lon"] - plain["long"]).max() < 1e-9
    assert (found["severity"] == plain["gravite_max"]).all()
    days = pd.to_datetime(plain["an"] + "-" + plain["mois"] + "-" + plain["jour"], format="%Y-%m-%d")
    assert (pd.to_datetime(found["date"]) == days).all()
    moved = (found["hour"] != plain["hrmn"].astype(int)).sum()
    assert moved == figures["times_skipped_by_clock"]


def test_accidents_of_the_old_schema_are_in_hundred_thousandths_of_a_degree(ingested):
    real = ingested("france")
    plain = read_plainly(real.delivered("caracteristiques"))
    given = plain["lat"] != ""
    lon, lat = (pd.to_numeric(plain[name], errors="coerce") / 1e5 for name in ("long", "lat"))
    unread = given & lon.isna()  # a dash instead of a longitude
    zero = given & (lon == 0) & (lat == 0)
    outside = given & ~unread & ~zero & ~in_france(lon, lat)
    figures, reasons = real.of("caracteristiques"), real.reasons("caracteristiques")
    assert figures["not_located"] == (~given).sum() == 5_651
    assert figures["rejected"] == (unread | zero | outside).sum()
    for rows, reason in ((zero, "zero_coordinates"), (unread, "invalid_coordinates")):
        assert {row for row, found in reasons.items() if found == reason} == set((np.flatnonzero(rows) + 1).tolist())
    kept = plain[given & ~unread & ~zero & ~outside]
    found = real.records("caracteristiques").set_index("record_id").loc[kept["Num_Acc"]]
    assert np.abs(found["lon"].to_numpy() - kept["long"].astype(float).to_numpy() / 1e5).max() < 2e-9
    assert np.abs(found["lat"].to_numpy() - kept["lat"].astype(float).to_numpy() / 1e5).max() < 2e-9
    days = pd.to_datetime("20" + kept["an"].str.zfill(2) + kept["mois"].str.zfill(2) + kept["jour"].str.zfill(2))
    assert (pd.to_datetime(found["date"]).to_numpy() == days.to_numpy()).all()
    hours = kept["hrmn"].str.zfill(4).str[:2].astype(int).to_numpy()
    assert (found["hour"].to_numpy() != hours).sum() <= figures["times_skipped_by_clock"] < 10


def test_all_of_toronto_is_taken_and_equal_rows_are_different_records(ingested):
    real = ingested("toronto")
    plain = read_plainly(real.delivered("mci"))
    mapped = ["occurred_at", "mci", "premises_type", "neighbourhood", "lon", "lat"]
    figures = real.of("mci")
    assert figures["equal_rows"] == plain.duplicated(mapped).sum() == 2_011
    assert (figures["records"], figures["rejected"], figures["unmapped"]) == (240_992, 0, 0)
    ids = layer_table(real.home, "incidents").read(["id"]).column("id")
    assert pc.count_distinct(ids).as_py() == 240_992


def test_local_hours_of_toronto_come_back(ingested):
    real = ingested("toronto")
    taken = layer_table(real.home, "incidents").read(["hour", "started_at"])
    given = read_plainly(real.delivered("mci"))["occurred_at"].dt.hour
    hours = np.bincount(given, minlength=24)
    found = np.bincount(taken.column("hour").to_numpy(), minlength=24)
    skipped = real.of("mci")["times_skipped_by_clock"]
    assert 0 < skipped < 30
    # The only hours that move are those that the clocks skipped: from two to three.
    assert (hours - found).tolist() == [0, 0, skipped, -skipped, *[0] * 20]
    first = pc.min(taken.column("started_at")).as_py().astimezone(zoneinfo.ZoneInfo("America/Toronto"))
    assert str(first.date()) == "1966-06-09"


def test_neighbourhoods_of_toronto_are_made_of_its_points(ingested):
    real = ingested("toronto")
    zones = layer_table(real.home, "zones_neighbourhoods").read().to_pandas()
    land = layer_table(real.home, "land").read().to_pandas()
    assert len(zones) == 140
    assert zones["area_m2"].sum() == pytest.approx(land["area_m2"].iloc[0], rel=1e-6)
    # The city of Toronto is 630.2 km² (Statistics Canada, census of 2016); the hull of its points is somewhat more.
    assert 630e6 < land["area_m2"].iloc[0] < 900e6
    taken = real.records("mci")
    assert taken["on_land"].all()
    names = zones.set_index("key")["name"]
    given = read_plainly(real.delivered("mci"))[["lon", "lat", "neighbourhood"]]
    given = given.groupby([given["lon"].round(8), given["lat"].round(8)])["neighbourhood"].agg(
        lambda n: n.mode().iloc[0]
    )
    taken["name"] = taken["zone_neighbourhoods"].map(names)
    positions = taken.groupby([taken["lon"].round(8), taken["lat"].round(8)])["name"].first()
    assert (positions == given.astype(str).reindex(positions.index)).mean() > 0.999


def test_thefts_of_new_york_lie_between_two_times(ingested):
    real = ingested("new_york")
    plain = read_plainly(real.delivered("thefts")).set_index("uid")
    plain.index = plain.index.astype(str)
    found = real.records("thefts").set_index("record_id").loc[plain.index]
    figures = real.of("thefts")
    assert found["ended_at"].isna().sum() == plain["date_end"].isna().sum() == 2_852
    moved = 0
    for name, column in (("started_at", "date_start"), ("ended_at", "date_end")):
        local = found[name].dt.tz_convert("America/New_York").dt.tz_localize(None)
        moved += ((local != plain[column]) & plain[column].notna()).sum()
    assert moved == figures["times_skipped_by_clock"]
    uncertain = (found["ended_at"] - found["started_at"]) > np.timedelta64(1, "h")
    assert found["hour"].isna().equals(uncertain)
    assert figures["equal_rows"] == plain.duplicated(["date_start", "date_end", "longitude", "latitude"]).sum() == 135
    assert np.abs(found["lon"] - plain["longitude"]).max() < 1e-9


def test_equal_thefts_are_one_where_the_city_file_says_so(shared_data: Path, tmp_path: Path):
    real = RealCity.at(tmp_path / "city", "new_york", shared_data)
    path = real.folder / "city.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("[sources.columns]", "merge_equal_rows = true\n\n[sources.columns]"), encoding="utf-8")
    real.ingest()
    plain = read_plainly(real.delivered("thefts"))
    repeated = plain.duplicated(["date_start", "date_end", "longitude", "latitude"])
    figures, found = real.of("thefts"), real.records("thefts")
    assert figures["merged"] == repeated.sum() == 135
    assert figures["rows"] == figures["new"] + figures["merged"] + figures["rejected"]
    assert len(found) == figures["records"] == 35_746 - 135
    assert found["merged_ids"].dropna().map(len).sum() == 135


def test_calls_of_portland_are_in_feet_last_a_day_and_the_blank_row_is_refused(ingested):
    real = ingested("portland")
    plain = read_plainly(real.delivered("calls"))
    blank = int(np.flatnonzero(plain["category"].isna())[0]) + 1
    assert set(real.reasons("calls")) == {blank}
    assert real.of("calls")["rejected"] == 1
    found = real.records("calls")
    assert found["hour"].isna().all()
    assert (found["ended_at"] - found["started_at"] == np.timedelta64(1, "D")).all()
    # lon and lat of the file are those that pyproj makes of the feet (description of the data): an independent column.
    given = plain.drop(index=blank - 1)
    by = ["date", "category", "lon", "lat"]
    names = {"MOTOR VEHICLE THEFT": "motor_vehicle_theft", "STREET CRIMES": "street_crime"}
    given = pd.DataFrame(
        {
            "date": given["occ_date"].dt.strftime("%Y-%m-%d"),
            "category": given["category"].astype(str).map(lambda c: names.get(c, c.lower())),
            "lon": given["lon"].round(7),
            "lat": given["lat"].round(7),
        }
    ).sort_values(by)
    taken = found.assign(date=found["date"].astype(str), lon=found["lon"].round(7), lat=found["lat"].round(7))[by]
    pd.testing.assert_frame_equal(
        taken.sort_values(by).reset_index(drop=True), given.reset_index(drop=True), rtol=0, atol=2e-7
    )


def test_robberies_of_memphis_come_from_one_layer_of_three(ingested):
    real = ingested("memphis")
    found = real.records("robberies")
    assert set(found["category"]) == {"robbery"}
    assert (found["lon"].round(3) - found["lon"]).abs().max() < 1e-9  # rounded by the publisher
    first = found.set_index("record_id").loc["15213800"]
    assert (first["lon"], first["lat"]) == (-89.942, 35.149)
    assert first["started_at"] == pd.Timestamp("2019-01-01T01:30", tz="America/Chicago")
