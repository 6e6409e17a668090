"""The cube of the whole sample city against pandas and one h3 call per record."""

from __future__ import annotations

from pathlib import Path

import h3
import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pytest

from hexgrid.cells import parents
from hexgrid.cube import BASE, counts_by_cell, month_name, universe
from hexgrid.index import index_inputs
from layers.city import City, load_city
from layers.home import Home
from layers.lake import cube_table, layer_table
from layers.steps import latest_stage

pytestmark = pytest.mark.system

SAMPLE_CITY = Path(__file__).resolve().parents[2] / "data_samples" / "marseille"
KEYS = ["cell", "theme", "category", "month"]


@pytest.fixture(scope="module")
def home(sample_home: Path) -> Home:
    return Home(sample_home)


@pytest.fixture(scope="module")
def city() -> City:
    return load_city(SAMPLE_CITY)


@pytest.fixture(scope="module")
def records(home: Home) -> pd.DataFrame:
    columns = ["lon", "lat", "located", "on_land", "theme", "category", "date", "hour", "provenance"]
    frame = layer_table(home, "incidents").read(columns).to_pandas()
    frame["cell"] = [
        h3.str_to_int(h3.latlng_to_cell(lat, lon, 11)) if located else 0
        for lat, lon, located in zip(frame["lat"], frame["lon"], frame["located"], strict=True)
    ]
    return frame


def sizes(frame: pd.DataFrame, keys: list[str]) -> pd.Series:
    weights = frame["n"] if "n" in frame else pd.Series(1, index=frame.index)
    return weights.groupby([frame[key] for key in keys], dropna=False).sum().sort_index()


def test_base_facts_of_the_sample(home: Home, records: pd.DataFrame):
    keys = ["cell", "theme", "category", "date", "hour", "provenance"]
    facts = cube_table(home, BASE).read([*keys, "n"]).to_pandas()
    facts["cell"] = facts["cell"].fillna(0).astype(np.int64)
    pd.testing.assert_series_equal(sizes(facts, keys), sizes(records, keys), check_names=False)


@pytest.mark.parametrize("resolution", [10, 9, 8, 7, 6])
def test_months_of_the_sample_roll_up_by_the_hierarchy(home: Home, city: City, records: pd.DataFrame, resolution: int):
    within = (records["date"] >= city.analysis.start) & (records["date"] <= city.analysis.end)
    counted = records[records["on_land"].eq(other=True) & within].copy()
    ancestors = {
        cell: h3.str_to_int(h3.cell_to_parent(h3.int_to_str(cell), resolution)) for cell in set(counted["cell"])
    }
    counted["cell"] = counted["cell"].map(ancestors)
    counted["month"] = [day.replace(day=1) for day in counted["date"]]
    stored = cube_table(home, month_name(resolution)).read().to_pandas()
    pd.testing.assert_series_equal(sizes(stored, KEYS), sizes(counted, KEYS), check_names=False)
    sensitive = counted["category"].isin(city.taxonomy.sensitive_categories())
    counts = counts_by_cell(city, home, resolution)
    assert pc.sum(counts.column("n")).as_py() == int((~sensitive).sum())


def test_the_land_of_the_sample_is_in_its_universe_whole(home: Home, records: pd.DataFrame):
    base = universe(home, 11)
    land_m2 = base.column("land_area_m2").to_numpy()
    whole_m2 = layer_table(home, "land").read(["area_m2"]).column("area_m2")[0].as_py()
    assert land_m2.sum() == pytest.approx(whole_m2, rel=1e-8)
    with_land = base.column("cell").to_numpy()[land_m2 > 0]
    assert set(records.loc[records["on_land"].eq(other=True), "cell"]) <= set(with_land)
    for resolution in (10, 9, 8, 7, 6):
        cells, place = np.unique(parents(base.column("cell").to_numpy(), resolution), return_inverse=True)
        table = universe(home, resolution)
        assert (table.column("cell").to_numpy() == cells).all()
        assert (table.column("land_area_m2").to_numpy() == np.bincount(place, weights=land_m2)).all()


def test_figures_of_the_step_tell_what_is_outside_the_statistics(home: Home, city: City, records: pd.DataFrame):
    stage = latest_stage(home, "index")
    assert stage is not None
    figures = stage.figures()
    assert figures["records"] == len(records)
    assert figures["unlocated"] == (~records["located"]).sum()
    assert figures["off_land"] == records["on_land"].eq(other=False).sum()
    version = cube_table(home, BASE).latest()
    assert version is not None
    assert version.inputs["incidents"] == index_inputs(city, home)["incidents"]
