"""Record contracts: every row of a batch is accepted, or refused with a reason that names its field."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from layers.city import City
from layers.contracts import judge, record_contract
from layers.fields import LAYER_FIELDS
from layers.issues import Reason
from layers.mapping import Mapped, Mapper
from layers.readers.base import Batch
from layers.tables import TABLE_COLUMNS, table_schema
from support.delivered_city import HEADER, DeliveredCity, row

PROJECT = Path(__file__).resolve().parents[2]
AS_ANOTHER = {"interventions": ("events", "title")}
"""Layers whose columns are told as those of another, less one."""
NAMES = HEADER.split(";")[:-1]

FIELD = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        [
            *("", " ", "0", "-1", "1e400", "nan", "893500", "6246500"),
            *("15/05/2024", "31/02/2024", "10:20", "25:00", "N1", "F1"),
        ]
    ),
)
ROWS = st.lists(st.lists(FIELD, min_size=7, max_size=7), min_size=1, max_size=8)


def mapped_rows(city: City, rows: list[list[str]]) -> Mapped:
    table = pa.table({name: pa.array([line[i] for line in rows], pa.string()) for i, name in enumerate(NAMES)})
    batch = Batch(table, np.arange(1, len(rows) + 1))
    return Mapper(city.sources[0], city, "fuzz.csv", decimal=",").map(batch)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_whatever_is_delivered_each_row_is_accepted_or_refused_with_a_reason(
    small_city: DeliveredCity, rows: list[list[str]]
):
    city = small_city.load()
    mapped = mapped_rows(city, rows)
    accepted = judge(mapped, city.sources[0])
    faults = mapped.issues.frame()
    assert set(faults["position"]) == set(np.flatnonzero(~accepted))
    assert set(faults["reason"]) <= {str(r) for r in Reason}
    assert not faults.duplicated(["position", "field"]).any()  # one fault of a field, the first that was found
    good = {name: np.asarray(values)[accepted] for name, values in mapped.columns.items()}
    assert not np.isnat(good["started_at"]).any()
    assert set(good["category"]) <= {"night_noise", "dispute", "unmapped"}
    severity = good["severity"][~np.isnan(good["severity"])]
    assert ((severity >= 0) & (severity <= 10)).all()
    assert all(name for name in good["record_id"])
    placed = ~np.isnan(mapped.places.lon)
    assert (np.isnan(mapped.places.x_m) == ~placed).all()


def test_batches_that_are_judged_at_the_same_time_do_not_mix(small_city: DeliveredCity):
    city = small_city.load()
    lines = [row(n, severity="99" if n % 3 == 0 else "1", code="" if n % 5 == 0 else "N1") for n in range(30)]
    batches = [[line.split(";")[:-1] for line in lines[start : start + 3]] for start in range(0, 30, 3)] * 4

    def verdict(rows: list[list[str]]) -> tuple[list[bool], list[str]]:
        mapped = mapped_rows(city, rows)
        return judge(mapped, city.sources[0]).tolist(), mapped.issues.frame()["reason"].tolist()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(verdict, batches)) == [verdict(batch) for batch in batches]


@pytest.mark.parametrize("layer", LAYER_FIELDS)
def test_every_field_of_a_layer_has_its_column(layer: str):
    fields = set(LAYER_FIELDS[layer]) - {"x", "y", "lon", "lat"}
    assert fields <= set(TABLE_COLUMNS[layer])
    assert set(record_contract(layer, with_record_ids=True).columns) == fields


@pytest.mark.parametrize("layer", TABLE_COLUMNS)
def test_columns_are_those_that_the_architecture_promises(layer: str):
    text = (PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8")
    lines = {line.split("`")[1]: line.split("|")[2] for line in reversed(text.splitlines()) if line.startswith("| `")}
    other, without = AS_ANOTHER.get(layer, (layer, ""))
    assert other == layer or lines[layer].strip() == f"as `{other}`, without {without}"
    promised = re.sub(r"\([^)]*\)", "", lines[other]).replace("…", "")
    names = [name.strip() for name in promised.split(",")]
    schema = table_schema(layer, ["&lt;level&gt;"])
    assert [name for name in names if name and name != without] == schema.names


def test_a_contract_that_does_not_fit_its_frame_is_not_taken_for_bad_rows(small_city: DeliveredCity):
    city = small_city.load()
    mapped = mapped_rows(city, [["1"] * 7])
    del mapped.columns["severity"]
    with pytest.raises(RuntimeError, match="does not fit its own frame"):
        judge(mapped, city.sources[0])
