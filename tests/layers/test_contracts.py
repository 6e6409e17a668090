from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from layers.contracts import judge, record_contract
from layers.fields import LAYER_FIELDS
from layers.issues import Reason
from layers.mapping import map_delivery
from layers.readers import Delivery
from layers.tables import TABLE_COLUMNS, table_schema
from support.delivered_city import HEADER, DeliveredCity

PROJECT = Path(__file__).resolve().parents[2]

FIELD = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        [
            "",
            " ",
            "0",
            "-1",
            "1e400",
            "nan",
            "893500",
            "6246500",
            "15/05/2024",
            "31/02/2024",
            "10:20",
            "25:00",
            "N1",
            "F1",
        ]
    ),
)
ROWS = st.lists(st.lists(FIELD, min_size=8, max_size=8), min_size=1, max_size=8)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_whatever_is_delivered_each_row_is_accepted_or_refused_with_a_reason(
    small_city: DeliveredCity, rows: list[list[str]]
):
    city = small_city.load()
    names = HEADER.split(";")
    table = pa.table({name: [row[i] for row in rows] for i, name in enumerate(names)}).drop_columns(["AGENT"])
    mapped = map_delivery(Delivery.of(table), city.sources[0], city, extras=frozenset(), name="fuzz.csv")
    accepted = judge(mapped, city.sources[0])
    faults = mapped.issues.frame()
    assert set(faults["position"]) == set(np.flatnonzero(~accepted))
    assert set(faults["reason"]) <= {str(r) for r in Reason}
    good = mapped.frame[accepted]
    assert good["started_at"].notna().all()
    assert good["category"].isin(["night_noise", "dispute", "unmapped"]).all()
    assert good["severity"].dropna().between(0, 10).all()
    assert good["record_id"].is_unique
    placed = ~np.isnan(mapped.places.lon)
    assert (np.isnan(mapped.places.x_m) == ~placed).all()


@pytest.mark.parametrize("layer", LAYER_FIELDS)
def test_every_field_of_a_layer_has_its_column(layer: str):
    fields = set(LAYER_FIELDS[layer]) - {"x", "y", "lon", "lat"}
    assert fields <= set(TABLE_COLUMNS[layer])
    assert set(record_contract(layer, with_record_ids=True).columns) == fields


@pytest.mark.parametrize("layer", TABLE_COLUMNS)
def test_columns_are_those_that_the_architecture_promises(layer: str):
    text = (PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8")
    line = next(row for row in text.splitlines() if row.startswith(f"| `{layer}` | id, source"))
    promised = re.sub(r"\([^)]*\)", "", line.split("|")[2]).replace("…", "")
    names = [name.strip() for name in promised.split(",")]
    schema = table_schema(layer, ["&lt;level&gt;"])
    assert [name for name in names if name] == schema.names


def test_a_contract_that_does_not_fit_its_frame_is_not_taken_for_bad_rows(small_city: DeliveredCity):
    city = small_city.load()
    table = pa.table({name: ["1"] for name in HEADER.split(";")})
    mapped = map_delivery(Delivery.of(table), city.sources[0], city, extras=frozenset(), name="x.csv")
    mapped.frame = pd.DataFrame(mapped.frame.drop(columns="severity"))
    with pytest.raises(RuntimeError, match="does not fit its own frame"):
        judge(mapped, city.sources[0])
