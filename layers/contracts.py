"""Record contracts: what a row must be to enter its layer, checked by pandera on whole columns."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from layers.declared_sources import Source
from layers.fields import LAYER_FIELDS, PERIODS, Field, FieldType
from layers.issues import Reason
from layers.mapping import Mapped

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # pandera warns about its own future modules
    import pandera.pandas as pandera

_MUST_BE_LOCATED = frozenset({"cameras", "sensitive_sites"})
_MISSING = {"category": Reason.MISSING_CATEGORY, "record_id": Reason.MISSING_RECORD_ID}


def record_contract(layer: str, *, with_record_ids: bool) -> pandera.DataFrameSchema:
    """Contract of a layer's mapped rows.

    Parameters
    ----------
    layer
        ``incidents``, ``events``, ``cameras`` or ``sensitive_sites``.
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
    if layer in _MUST_BE_LOCATED:
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
    """Check every row against its contract; faults join ``mapped.issues``.

    Returns
    -------
    numpy.ndarray
        Accepted rows, boolean, one per row. Of several valid rows with one record id the first is accepted.
    """
    schema = record_contract(source.layer, with_record_ids="record_id" in source.columns)
    frame = mapped.frame.assign(lon=mapped.places.lon)
    try:
        schema.validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as errors:
        _note(errors.failure_cases, frame, mapped)
    if "record_id" in source.columns:
        valid = ~mapped.issues.rejected
        repeated = mapped.frame["record_id"].where(valid).duplicated(keep="first").to_numpy() & valid
        mapped.issues.add(repeated, "record_id", Reason.DUPLICATE_RECORD_ID, mapped.frame["record_id"])
    accepted: NDArray[np.bool_] = ~mapped.issues.rejected
    return accepted


def _note(cases: pd.DataFrame, frame: pd.DataFrame, mapped: Mapped) -> None:
    """Turn pandera's failure cases into issues, save where the same field is already known to be bad."""
    located = cases[cases["index"].notna()]
    unplaced = cases[cases["index"].isna()]
    if len(unplaced):
        raise RuntimeError(
            f"the record contract does not fit its own frame: {unplaced[['column', 'check']].to_dict('records')}"
        )
    # A check of the whole frame repeats its failure for every column: its name says which field it speaks of.
    for check, rows in located.groupby("check", sort=True):
        reason, _, named = str(check).partition(":")
        fields = {named: rows} if named else dict(iter(rows.groupby("column", sort=True)))
        for field, failures in fields.items():
            bad = np.zeros(len(frame), dtype=bool)
            bad[failures["index"].unique().astype(np.int64)] = True
            related = ("x", "y", "lon", "lat", "geometry") if field == "coordinates" else ()
            for name in (str(field), *related):
                bad &= ~mapped.issues.flagged(name)
            mapped.issues.add(bad, str(field), Reason(reason), frame.get(field))
