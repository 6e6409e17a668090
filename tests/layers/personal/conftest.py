"""Sources and screens that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from layers.declared_sources import Source
from layers.personal import Screen

_REQUIRED = {
    "incidents": ("category", "started_at"),
    "events": ("nature", "starts_at"),
    "sensitive_sites": ("category", "name"),
}


def _source_of(layer: str, columns: dict[str, Any], **keys: Any) -> Source:
    """Source of a layer; fields that it must give and ``columns`` do not are constants."""
    constants = {field: {"const": "x"} for field in _REQUIRED[layer]}
    return Source.model_validate(
        {
            "id": "log",
            "layer": layer,
            "title": {"fr": "Main courante", "en": "Log"},
            "organisation": "Ville",
            "deliveries": ["log.csv"],
            "columns": constants | columns,
            **keys,
        }
    )


@pytest.fixture(scope="session")
def source_of() -> Callable[..., Source]:
    """Build a source from the columns that it maps."""
    return _source_of


@pytest.fixture(scope="session")
def screened() -> Callable[..., tuple[list[Any], dict[str, int]]]:
    """Screen one column of values: what is left of it, and how many values of each kind were masked."""

    def screen(field: str, values: Sequence[Any], layer: str = "incidents", header: str = "col7"):
        one = Screen(_source_of(layer, {field: header}), "log.csv")
        column = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values)
        table = one.batch(pa.table({header: column}), np.arange(1, len(column) + 1))
        return table.column(header).to_pylist(), dict(one.conclude().get(header, {}))

    return screen
