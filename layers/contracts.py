"""Record contracts: what a row must be to enter its layer, checked by pandera on whole columns."""

from __future__ import annotations

import warnings
from functools import lru_cache

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from layers.declared_sources import Source
from layers.fields import LAYER_FIELDS, MUST_BE_LOCATED, PERIODS, Field, FieldType
from layers.issues import Reason
from layers.mapping import Mapped

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # pandera warns about its own future modules
    import pandera.pandas as pandera

_MISSING = {"category": Reason.MISSING_CATEGORY, "record_id": Reason.MISSING_RECORD_ID}


@lru_cache(maxsize=32)
def record_contract(layer: str, *, with_record_ids: bool) -> pandera.DataFrameSchema:
    """Contract of a layer's mapped rows.

    Parameters
    ----------
    layer
        A layer of :data:`layers.fields.LAYER_FIELDS`.
    with_record_ids
        Whether the source has ids of its own: then every row has one.

    Returns
    -------
    pandera.DataFrameSchema
        Each check is named by the :class:`~layers.issues.Reason` that it stands for.
    """
    columns = {
        name: _column(name, field, required=field.required or (name == "record_id" and with_record_ids))
        for name, field in LAYER_FIELDS[layer].items()
        if name not in {"x", "y", "lon", "lat"}
    }
    checks = []
    if layer in PERIODS:
        start, end = PERIODS[layer]
        checks.append(
            pandera.Check(
                lambda frame: ~(frame[end] < frame[start]), name=f"{Reason.END_BEFORE_START}:{end}", ignore_na=False
            )
        )
    if layer in MUST_BE_LOCATED:
        reason = f"{Reason.MISSING_COORDINATES}:coordinates"
        checks.append(pandera.Check(lambda frame: frame["lon"].notna(), name=reason, ignore_na=False))
    return pandera.DataFrameSchema(columns, checks=checks, strict=False)


def _column(name: str, field: Field, *, required: bool) -> pandera.Column:
    checks = []
    if required:
        moment = field.type in {FieldType.TIME, FieldType.DATE}
        reason = _MISSING.get(name, Reason.MISSING_DATE if moment else Reason.MISSING_VALUE)
        checks.append(pandera.Check(lambda values: values.notna(), name=str(reason), ignore_na=False))
    if field.codes:
        checks.append(pandera.Check(lambda values: values.isin(field.codes), name=str(Reason.UNKNOWN_CODE)))
    if field.minimum is not None or field.maximum is not None:
        low, high = field.minimum, field.maximum
        checks.append(pandera.Check(lambda values: values.between(low, high), name=str(Reason.OUT_OF_RANGE)))
    return pandera.Column(nullable=True, checks=checks)


def judge(mapped: Mapped, source: Source) -> NDArray[np.bool_]:
    """Check every row of a batch against its contract; faults join ``mapped.issues``.

    Returns
    -------
    numpy.ndarray
        Accepted rows, boolean, one per row. Repeated record ids are told apart later, over the whole delivery.
    """
    schema = record_contract(source.layer, with_record_ids="record_id" in source.columns)
    frame = _frame(mapped)
    if lacking := sorted(set(schema.columns) - set(frame.columns)):
        raise RuntimeError(f"the record contract does not fit its own frame, which lacks {', '.join(lacking)}")
    # Check by check, not validate(): its report joins the failures of all columns, at the price of warnings of pandas.
    for check in schema.checks:
        reason, _, field = str(check.name).partition(":")
        _note(check(frame).check_output, field, Reason(reason), frame, mapped)
    for name, column in schema.columns.items():
        for check in column.checks:
            _note(check(frame[name]).check_output, name, Reason(str(check.name)), frame, mapped)
    accepted: NDArray[np.bool_] = ~mapped.issues.rejected
    return accepted


def _frame(mapped: Mapped) -> pd.DataFrame:
    """Fields as pandera takes them; text stays in Arrow's memory."""
    columns = {
        name: pd.Series(values, dtype=pd.ArrowDtype(pa.string())) if isinstance(values, pa.Array) else values
        for name, values in mapped.columns.items()
    }
    return pd.DataFrame({**columns, "lon": mapped.places.lon}, index=pd.RangeIndex(mapped.issues.size))


def _note(passed: pd.Series, field: str, reason: Reason, frame: pd.DataFrame, mapped: Mapped) -> None:
    """Turn rows that did not pass into issues, save where the same field is already known to be bad."""
    failed = passed.index[~passed.to_numpy(dtype=bool)]  # missing values may have been left out
    if not len(failed):
        return
    bad = np.zeros(len(frame), dtype=bool)
    bad[failed.to_numpy()] = True
    related = ("x", "y", "lon", "lat", "geometry") if field == "coordinates" else ()
    for name in (field, *related):
        bad &= ~mapped.issues.flagged(name)
    mapped.issues.add(bad, field, reason, _given(frame, field))


def _given(frame: pd.DataFrame, field: str) -> NDArray[np.object_] | None:
    if field not in frame:
        return None
    values: NDArray[np.object_] = frame[field].astype(object).where(frame[field].notna(), None).to_numpy()
    return values
