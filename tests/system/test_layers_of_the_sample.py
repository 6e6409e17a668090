"""The sample's layers as its city file asks for them: duplicates merged, addresses placed, surroundings joined."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from layers.home import Home
from layers.lake import layer_table
from support.planted_duplicates import found_duplicates, lake_ids
from support.services import SAMPLE_CITY

pytestmark = pytest.mark.system
TRUTH = SAMPLE_CITY / "generated" / "truth" / "records.parquet"


@pytest.fixture(scope="module")
def home(sample_home: Path) -> Home:
    return Home(sample_home)


@pytest.fixture(scope="module")
def truth(home: Home) -> pa.Table:
    return pq.read_table(TRUTH)


def test_planted_duplicates_are_merged_and_hardly_anything_else(home: Home, truth: pa.Table):
    found = found_duplicates(layer_table(home, "incidents").read(["id", "merged_ids"]), truth)
    assert (found["exact"].planted, found["near"].planted) == (400, 1200)
    for kind, duplicates in found.items():
        assert duplicates.precision >= 0.99, kind
        assert duplicates.recall >= 0.95, kind


def test_every_merged_record_is_in_the_history_under_the_one_that_stands_for_it(home: Home):
    merged = layer_table(home, "incidents").read(["id", "merged_ids"]).to_pylist()
    listed = {gone: row["id"] for row in merged for gone in row["merged_ids"] or ()}
    history = layer_table(home, "incidents_history").read(["id", "state", "survivor"]).to_pylist()
    assert {row["id"]: row["survivor"] for row in history if row["state"] == "merged"} == listed


def test_planted_addresses_are_placed_on_their_street_within_the_stated_precision(home: Home, truth: pa.Table):
    names = ["id", "located_by", "x_m", "y_m", "precision_m", "address"]
    records = layer_table(home, "incidents").read(names).to_pandas().set_index("id")
    ids = lake_ids(truth["source"].to_pylist(), truth["record_id"].to_pylist())
    planted = truth.to_pandas().set_index(np.array(ids))
    planted = planted[~planted["has_coordinates"] & planted.index.isin(records.index)]
    assert len(planted) > 2_000
    placed = records.loc[planted.index]
    by_address = (placed["located_by"] == "address").to_numpy()
    away_m = np.hypot(placed["x_m"] - planted["true_x_m"], placed["y_m"] - planted["true_y_m"])
    # Halfway along the right street, the true place is no farther than the street reaches (and half its width).
    right = by_address & (away_m <= placed["precision_m"] + 15).to_numpy()
    assert right.mean() >= 0.95
    assert (records["located_by"] == "address").sum() == by_address.sum()


def test_surroundings_are_joined_where_the_city_file_asks_for_them(home: Home):
    columns = ["date", "hour", "holiday", "school_holiday", "daylight", "rain_mm"]
    rows = layer_table(home, "incidents").read(columns).to_pandas()
    july = rows["date"].astype(str).str.endswith("-07-14")
    assert rows.loc[july, "holiday"].all()
    assert rows["school_holiday"].mean() == pytest.approx(0.33, abs=0.1)  # 16 weeks of vacation and more a year
    noon, night = rows[rows["hour"] == 12], rows[rows["hour"] == 0]
    assert set(noon["daylight"].dropna()) == {"day"}
    assert set(night["daylight"].dropna()) == {"night"}
    # Rain is told by the day: of an incident whose hour is unknown, only where one day holds the whole interval.
    assert rows.loc[rows["hour"].notna(), "rain_mm"].notna().all()
    assert 0.1 < rows.loc[rows["hour"].isna(), "rain_mm"].notna().mean() < 0.9
