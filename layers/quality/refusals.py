"""Refused rows of a delivery, counted by reason, with the first of them and the forms of their values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc

_EXAMPLES = 3
"""First faults kept for each reason."""
_FORMS_READ = 500
"""Values of a batch and reason whose form is looked at."""
_FORMS_KEPT = 12
_FORM_LENGTH = 40


class Refusals:
    """Faults of a delivery; they add up batch by batch."""

    def __init__(self) -> None:
        self.rows = 0
        self.reasons: Counter[str] = Counter()
        self.examples: dict[str, list[dict[str, Any]]] = {}
        self.forms: dict[str, Counter[str]] = {}

    def add(self, rejected: pa.Table) -> None:
        """Count faults: columns ``row``, ``field``, ``value``, ``reason``."""
        if not rejected.num_rows:
            return
        self.rows += pc.count_distinct(rejected.column("row")).as_py()
        for pair in pc.value_counts(rejected.column("reason")).to_pylist():
            reason = str(pair["values"])
            self.reasons[reason] += pair["counts"]
            faults = rejected.filter(pc.equal(rejected.column("reason"), pair["values"])).slice(0, _FORMS_READ)
            kept = self.examples.setdefault(reason, [])
            kept += faults.select(["row", "field", "value"]).slice(0, _EXAMPLES - len(kept)).to_pylist()
            forms = self.forms.setdefault(reason, Counter())
            for given in pc.value_counts(faults.column("value")).to_pylist():
                if given["values"] is not None:
                    forms[form_of(str(given["values"]))] += given["counts"]
            self.forms[reason] = Counter(dict(_commonest(forms)))

    def document(self) -> dict[str, Any]:
        """Return the counts as JSON values."""
        return {
            "rows": self.rows,
            "reasons": dict(sorted(self.reasons.items())),
            "examples": {reason: list(rows) for reason, rows in sorted(self.examples.items())},
            "forms": {reason: dict(sorted(forms.items())) for reason, forms in sorted(self.forms.items())},
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Read what :meth:`document` gave."""
        refusals = cls()
        refusals.rows = document["rows"]
        refusals.reasons.update(document["reasons"])
        refusals.examples = {reason: list(rows) for reason, rows in document["examples"].items()}
        refusals.forms = {reason: Counter(forms) for reason, forms in document["forms"].items()}
        return refusals


def form_of(value: str) -> str:
    """Reduce a value to its form: ``31/02/2024 25:10`` is ``99/99/9999 99:99``, a letter is ``a``."""
    return re.sub(r"[^\W\d_]", "a", re.sub(r"\d", "9", value))[:_FORM_LENGTH]


def _commonest(forms: Counter[str]) -> list[tuple[str, int]]:
    return sorted(forms.items(), key=lambda item: (-item[1], item[0]))[:_FORMS_KEPT]
