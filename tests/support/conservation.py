"""Nothing is lost: every row of a delivery is a record, merged into one, or rejected, and only one of them."""

from __future__ import annotations

from layers.lake import layer_table, reject_table
from layers.steps import StepReport
from support.delivered_city import DeliveredCity


def check_conservation(city: DeliveredCity, report: StepReport, source: str = "log") -> None:
    """Compare the figures of a source's first delivery with the rows that the lake holds."""
    figures = {name.removeprefix(f"{source}."): number for name, number in report.figures.items()}
    counted = [figures[name] for name in ("new", "updated", "unchanged", "merged", "rejected")]
    assert figures["rows"] == sum(counted)
    assert figures["records"] == layer_table(city.home, "incidents").read(["id"]).num_rows
    assert figures["records"] == figures["new"]
    rows = reject_table(city.home, source).read(["row"]).column("row").to_pylist()
    assert len(set(rows)) == figures["rejected"]
    assert all(1 <= row <= figures["rows"] for row in rows)
