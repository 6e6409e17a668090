"""What tasks do to a batch, on records that hypothesis makes up: nothing is lost, doubled, or ordered by chance."""

from __future__ import annotations

import datetime as dt
from typing import Any

import h3
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexgrid.cells import parents
from hexgrid.errors import CellError
from hexgrid.facts import FactColumns, facts_of_records, in_order, sum_by, work_items
from hexgrid.marginals import MONTH_KEYS, WEEK_KEYS, Period, counted, of_month, of_week
from layers.digests import table_digest
from layers.lake import DataFile
from support import grid_oracle as oracle

COLUMNS = FactColumns(("zone_quartiers",))
PERIOD = Period(dt.date(2024, 2, 1), dt.date(2024, 10, 31))
LAT, LON = h3.cell_to_latlng(min(h3.get_pentagons(11)))
SCHEMA = pa.schema(
    [("located", pa.bool_()), ("lon", pa.float64()), ("lat", pa.float64())]
    + [(f.name, f.type) for f in COLUMNS.schema if f.name not in {"cell", "n"}]
)
PLACES = [(5.37, 43.29), (LON, LAT), (180.0, -16.8)]
"""A city, a pentagon and the antimeridian."""


@st.composite
def record(draw: st.DrawFn) -> dict[str, Any]:
    located = draw(st.booleans())
    lon, lat = draw(st.sampled_from(PLACES))
    shift = st.floats(-0.01, 0.01)
    lon, lat = lon + draw(shift), lat + draw(shift)
    return {
        "located": located,
        "lon": (lon + 180) % 360 - 180 if located else None,
        "lat": lat if located else None,
        "on_land": draw(st.booleans()) if located else None,
        "zone_quartiers": draw(st.sampled_from(["a", "b", None])),
        "theme": draw(st.sampled_from(["nuit", "routes"])),
        "category": draw(st.sampled_from(["tapage", "rixe"])),
        "date": draw(st.dates(dt.date(2024, 1, 1), dt.date(2024, 12, 31))),
        "hour": draw(st.none() | st.integers(0, 23)),
        "provenance": draw(st.sampled_from(["reported", "discovered"])),
    }


RECORDS = st.lists(record(), max_size=40).map(lambda rows: pa.Table.from_pylist(rows, schema=SCHEMA))


def rolled_up(table: pa.Table, keys: list[str], resolution: int) -> pa.Table:
    place = table.column_names.index("cell")
    coarse = table.set_column(place, "cell", pa.array(parents(table.column("cell").to_numpy(), resolution)))
    return in_order(sum_by(coarse, keys), keys)


@settings(max_examples=60, deadline=None)
@given(RECORDS, st.integers(0, 40))
def test_batches_add_up_to_the_whole(records: pa.Table, cut: int):
    whole = facts_of_records(records, COLUMNS)
    assert whole.schema.equals(COLUMNS.schema)
    assert (pc.sum(whole.column("n")).as_py() or 0) == records.num_rows
    parts = [facts_of_records(part, COLUMNS) for part in (records.slice(cut), records.slice(0, cut))]
    together = sum_by(pa.concat_tables(parts), COLUMNS.keys).select(COLUMNS.schema.names)
    assert in_order(together, COLUMNS.keys).equals(in_order(whole, COLUMNS.keys))
    assert table_digest(together, COLUMNS.keys) == table_digest(whole, COLUMNS.keys)


@settings(max_examples=60, deadline=None)
@given(RECORDS)
def test_facts_equal_a_loop(records: pa.Table):
    expected: dict[tuple[object, ...], int] = {}
    for row in records.to_pylist():
        cell = h3.latlng_to_cell(row["lat"], row["lon"], 11) if row["located"] else None
        key = (cell, *(row[name] for name in COLUMNS.keys if name != "cell"))
        expected[key] = expected.get(key, 0) + 1
    assert oracle.as_counts(facts_of_records(records, COLUMNS)) == expected


@settings(max_examples=60, deadline=None)
@given(RECORDS)
def test_marginals_of_a_parent_are_the_sums_of_its_children(records: pa.Table):
    kept = counted(facts_of_records(records, COLUMNS), PERIOD)
    n = sum(
        bool(row["on_land"]) and PERIOD.start <= row["date"] <= PERIOD.end for row in records.to_pylist()
    )  # a record that is not located is on no land
    for marginal, keys in ((of_month, MONTH_KEYS), (of_week, WEEK_KEYS)):
        fine = marginal(kept, 10)
        assert (pc.sum(fine.column("n")).as_py() or 0) == n
        for resolution in (9, 8, 7, 6):
            assert in_order(marginal(kept, resolution), keys).equals(rolled_up(fine, keys, resolution))


def test_both_days_that_bound_the_period_are_counted():
    days = [PERIOD.start - dt.timedelta(1), PERIOD.start, PERIOD.end, PERIOD.end + dt.timedelta(1)]
    facts = pa.table({"on_land": [True] * 4, "date": pa.array(days, pa.date32()), "n": [1, 10, 100, 1_000]})
    assert pc.sum(counted(facts, PERIOD).column("n")).as_py() == 110


def test_monday_is_the_first_day_of_the_week():
    """Known answer: 1 January 2024 was a Monday, 7 January a Sunday."""
    facts = pa.table(
        {
            "cell": pa.array([h3.str_to_int(h3.latlng_to_cell(43.3, 5.4, 11))] * 2, pa.int64()),
            "theme": ["nuit"] * 2,
            "category": ["rixe"] * 2,
            "date": pa.array([dt.date(2024, 1, 1), dt.date(2024, 1, 7)], pa.date32()),
            "hour": pa.array([0, None], pa.int8()),
            "n": [3, 4],
        }
    )
    rows = in_order(of_week(facts, 9), WEEK_KEYS).select(["dow", "hour", "n"]).to_pylist()
    assert rows == [{"dow": 1, "hour": 0, "n": 3}, {"dow": 7, "hour": None, "n": 4}]


def test_a_located_record_without_coordinates_is_refused():
    row = {"located": True, "lon": None, "lat": None, "date": dt.date(2024, 5, 1)}
    with pytest.raises(CellError, match="1 of 1 points have no finite"):
        facts_of_records(pa.Table.from_pylist([row], schema=SCHEMA), COLUMNS)


def test_large_files_are_shared_out_and_every_row_group_is_read_once():
    files = [DataFile("small", 10), DataFile("empty", 0), DataFile("large", 2_500_000)]
    items = work_items(files).to_pylist()
    assert [(i["path"], i["part"], i["parts"]) for i in items] == [
        ("small", 0, 1),
        ("empty", 0, 1),
        ("large", 0, 3),
        ("large", 1, 3),
        ("large", 2, 3),
    ]
    groups = np.concatenate([np.arange(i["part"], 11, i["parts"]) for i in items if i["path"] == "large"])
    assert sorted(groups) == list(range(11))
