"""The law of rows: whatever is delivered, in whatever order, each row became exactly one thing."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.delivered_city import CITY_TOML, DeliveredCity, row
from support.ingested import LAW, digests, figures_of, history, rows_of, take

BAD = "bad"


@dataclass(frozen=True)
class Row:
    """A delivered row: its name, what it says, and whether it is refused."""

    name: int
    severity: int = 0
    month: int = 1
    good: bool = True

    @property
    def line(self) -> str:
        return row(self.name, severity=str(self.severity) if self.good else BAD, date=f"10/0{self.month}/2024")


ROWS = st.lists(
    st.builds(
        Row,
        name=st.integers(0, 4),
        severity=st.integers(0, 1),
        month=st.integers(1, 2),
        good=st.sampled_from([True, True, True, False]),
    ),
    max_size=7,
)
DELIVERIES = st.lists(ROWS, min_size=1, max_size=4)


@dataclass
class Oracle:
    """Records of a source by a loop and a dictionary."""

    complete: bool
    counts: Counter[str] = dataclasses.field(default_factory=Counter)
    present: dict[str, Row] = dataclasses.field(default_factory=dict)
    past: list[tuple[str, int, str]] = dataclasses.field(default_factory=list)

    def deliver(self, rows: Sequence[tuple[str, Row]]) -> None:
        """Apply a delivery of named rows."""
        coming: dict[str, Row] = {}
        for name, one in rows:
            if not one.good or name in coming:
                self.counts["rejected"] += 1
            else:
                coming[name] = one
        for name, one in coming.items():
            before = self.present.get(name)
            if before is None:
                self.counts["new"] += 1
            elif said(before) == said(one):
                self.counts["unchanged"] += 1
            else:
                self.counts["updated"] += 1
                self.past.append((name, before.severity, "updated"))
        if self.complete:
            for name in set(self.present) - set(coming):
                self.past.append((name, self.present.pop(name).severity, "withdrawn"))
                self.counts["withdrawn"] += 1
        self.present |= coming


def said(one: Row) -> tuple[int, int]:
    return one.severity, one.month


def by_content(rows: Sequence[Row]) -> list[tuple[str, Row]]:
    """Rows without ids are named by what they say, and by how many said the same before."""
    seen: Counter[tuple[int, int]] = Counter()
    named = []
    for one in rows:
        named.append((f"{said(one)} {seen[said(one)]}", one))
        seen[said(one)] += one.good
    return named


def by_id(rows: Sequence[Row]) -> list[tuple[str, Row]]:
    return [(f"MC{one.name}", one) for one in rows]


@pytest.fixture(autouse=True)
def _code_does_not_change_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading the code a hundred times would be most of the time."""
    for module in ("layers.ingest", "layers.taking"):
        monkeypatch.setattr(f"{module}.code_digest", lambda *_: "code")
        monkeypatch.setattr(f"{module}.lock_digest", lambda: "lock")


def delivered(place: Path, deliveries: Sequence[Sequence[Row]], toml: str) -> DeliveredCity:
    """City with one file per delivery; each file differs from the others, as files of different days do."""
    city = DeliveredCity.at(place)
    city.write_toml(toml)
    (city.folder / "log.csv").unlink()
    for number, rows in enumerate(deliveries):
        city.deliver([*(one.line for one in rows), *([""] * number)], f"log-{number}.csv")
    return city


@settings(max_examples=8, suppress_health_check=list(HealthCheck))
@given(deliveries=DELIVERIES, complete=st.booleans(), named=st.booleans())
def test_any_sequence_of_deliveries_is_what_a_loop_over_them_gives(
    tmp_path_factory: pytest.TempPathFactory, deliveries: list[list[Row]], *, complete: bool, named: bool
):
    toml = CITY_TOML if complete else CITY_TOML.replace('"complete"', '"increment"')
    if not named:
        toml = toml.replace('record_id = "NUM"\n', "").replace('["AGENT"]', '["AGENT", "NUM"]')
    city = delivered(tmp_path_factory.mktemp("law"), deliveries, toml)
    oracle = Oracle(complete)
    for rows in deliveries:
        oracle.deliver(by_id(rows) if named else by_content(rows))
    figures = figures_of(city)
    assert figures["log.rows"] == sum(map(len, deliveries)) == sum(figures[f"log.{name}"] for name in LAW)
    told = {name: figures[f"log.{name}"] for name in (*LAW, "withdrawn", "records")}
    assert told == {name: oracle.counts[name] for name in told} | {"records": len(oracle.present)}
    incidents, past = rows_of(city, "incidents"), history(city)
    assert Counter((r["severity"], r["date"].month) for r in incidents) == Counter(map(said, oracle.present.values()))
    assert Counter((r["severity"], r["state"]) for r in past) == Counter((s, state) for _, s, state in oracle.past)
    if named:
        assert {r["record_id"]: (r["severity"], r["date"].month) for r in incidents} == {
            name: said(one) for name, one in oracle.present.items()
        }
        assert Counter((r["record_id"], r["severity"], r["state"]) for r in past) == Counter(oracle.past)
    assert len({r["id"] for r in incidents}) == len(incidents)


@settings(max_examples=3, suppress_health_check=list(HealthCheck))
@given(deliveries=DELIVERIES, complete=st.booleans())
def test_deliveries_taken_one_by_one_leave_what_all_at_once_do(
    tmp_path_factory: pytest.TempPathFactory, deliveries: list[list[Row]], *, complete: bool
):
    toml = CITY_TOML if complete else CITY_TOML.replace('"complete"', '"increment"')
    place = tmp_path_factory.mktemp("order")
    at_once = delivered(place / "once", deliveries, toml)
    step_by_step = delivered(place / "steps", [], toml)
    for path in sorted(at_once.folder.glob("log-*.csv")):
        (step_by_step.folder / path.name).write_bytes(path.read_bytes())
        take(step_by_step)
    take(at_once)
    ours, theirs = digests(step_by_step), digests(at_once)
    # A history that was emptied again is there, without rows.
    assert {name: ours[name] for name in theirs} == theirs
    assert set(ours) - set(theirs) <= {"incidents_history"}
    assert history(step_by_step) == history(at_once)


@settings(max_examples=4, suppress_health_check=list(HealthCheck))
@given(deliveries=DELIVERIES)
def test_equal_rows_that_are_merged_are_counted_as_merged_and_none_is_lost(
    tmp_path_factory: pytest.TempPathFactory, deliveries: list[list[Row]]
):
    place = tmp_path_factory.mktemp("merged")
    kept = delivered(place / "kept", deliveries, CITY_TOML)
    merging = delivered(place / "merging", deliveries, CITY_TOML.replace("drop =", "merge_equal_rows = true\ndrop ="))
    all_figures, figures = figures_of(kept), figures_of(merging)
    assert figures["log.rows"] == sum(map(len, deliveries)) == sum(figures[f"log.{name}"] for name in LAW)
    assert figures["log.merged"] == all_figures["log.equal_rows"] == figures["log.equal_rows"]
    merged = [r for r in history(merging) if r["state"] == "merged"]
    incidents = rows_of(merging, "incidents")
    assert {r["id"] for r in [*incidents, *merged]} == {r["id"] for r in rows_of(kept, "incidents")}
    assert len({(r["severity"], r["date"]) for r in incidents}) == len(incidents)
    listed = {one: r["id"] for r in incidents for one in r["merged_ids"] or ()}
    assert listed == {r["id"]: r["survivor"] for r in merged}
    assert all(r["merged_ids"] is None or r["merged_ids"] == sorted(r["merged_ids"]) for r in incidents)
