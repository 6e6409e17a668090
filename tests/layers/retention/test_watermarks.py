"""The highest value of a pull may be the id of a record: it goes with that record."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from layers.city import Source
from layers.home import Home
from layers.raw_copies import RawDelivery
from layers.readers import Batch, OpenDelivery
from layers.receiving import store_batches
from layers.retention.destruction import without_rows
from support.delivered_city import CITY_TOML, DeliveredCity

BEFORE = dt.date(2024, 6, 1)


def pulled(city: DeliveredCity, watermark: dict[str, str]) -> tuple[Source, RawDelivery]:
    """Three rows of a database, of which the last one has the highest id."""
    text = CITY_TOML.replace('deliveries = ["log*.csv"]\nmode = "complete"', 'mode = "increment"')
    text = text.replace('drop = ["AGENT"]', "")
    database = '[sources.database]\nurl_env = "LOG_URL"\ntable = "log"\nwatermark = "NUM"\n'
    city.write_toml(text.replace("[sources.read]", f"{database}\n[sources.read]"))
    (source,) = city.load().sources
    table = pa.table(
        {
            "NUM": pa.array([70001, 70002, 70003], pa.int64()),
            "DATE": ["05/07/2024", "05/07/2024", "05/05/2024"],
            "HEURE": ["10:00"] * 3,
            "CODE": ["N1"] * 3,
            "X": ["893500,0"] * 3,
            "Y": ["6247500,0"] * 3,
            "GRAVITE": ["1"] * 3,
        }
    )
    opened = OpenDelivery(tuple(table.column_names), iter([Batch(table, np.arange(1, 4))]), decimal=",")
    extra: dict[str, Any] = {"pull": {"watermark": watermark, "content": "c"}, "other": 1}
    raw = store_batches(
        source,
        Home(city.home.root),
        digest="d" * 64,
        name="log@dddddddd",
        opened=opened,
        size_bytes=1,
        extra=extra,
        extras=frozenset(),
    )
    return source, raw


def test_a_watermark_that_names_a_record_goes_with_it(small_city: DeliveredCity):
    source, raw = pulled(small_city, {"type": "int", "value": "70003"})
    assert without_rows(raw, np.array([3]), source, BEFORE).extra == {"other": 1}


@pytest.mark.parametrize(
    ("watermark", "rows"),
    [({"type": "int", "value": "70003"}, [1]), ({"type": "datetime", "value": "2024-05-05T10:00:00"}, [3])],
)
def test_another_watermark_stays(small_city: DeliveredCity, watermark: dict[str, str], rows: list[int]):
    source, raw = pulled(small_city, watermark)
    left = without_rows(raw, np.array(rows), source, BEFORE)
    assert left.extra["pull"]["watermark"] == watermark
    assert left.purged_rows == 1
