"""The purge of a lake: what goes, what stays, and what brings it back (nothing)."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path

import pytest

from layers.errors import DeliveryError, HomeError
from layers.home import Home
from layers.ingest import ingest
from layers.lake import layer_table, reject_table
from layers.raw_copies import raw_deliveries
from layers.retention import purge as purging
from layers.retention.cutoffs import move_cutoffs, read_cutoffs
from layers.retention.journal import Entry, add_to_journal, log, read_journal, read_log
from layers.runs import RunBuilder, RunManifest, current_run_id, lake_inputs, list_runs
from support.delivered_city import CAMERAS, CITY_TOML, DeliveredCity, row
from support.home_reader import find

TODAY = dt.date(2024, 12, 31)
PERIOD_DAYS = 200
"""Records from 14 June 2024 on are kept."""
OLD, NEW = "05/05/2024", "05/07/2024"


def keeps(city: DeliveredCity, *, mode: str = "increment", days: int = PERIOD_DAYS) -> None:
    text = CITY_TOML.replace('mode = "complete"', f'mode = "{mode}"\nretention_days = {days}')
    city.write_toml(text)


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("ingested")
    city = DeliveredCity.at(place)
    keeps(city)
    rows = [row(71001, date=OLD), row(71002, date=OLD), row(72001, date=NEW), row(72002, date=NEW)]
    refused = [row(71003, date=OLD, severity="99"), row(72003, date=NEW, severity="98")]
    city.deliver(rows + refused)
    ingest(city.load(), city.home)
    return place


@pytest.fixture
def city(ingested: Path, tmp_path: Path) -> DeliveredCity:
    """Two old records, two recent ones, an old refused row and a recent one; ingested, not purged."""
    shutil.copytree(ingested, tmp_path / "place")
    return DeliveredCity(tmp_path / "place" / "city", Home(tmp_path / "place" / "home"))


def purge(city: DeliveredCity, *, today: dt.date = TODAY, rebuild: bool = True) -> purging.Purged:
    loaded = city.load()
    again = (lambda: ingest(loaded, city.home)) if rebuild else None
    return purging.purge(loaded, city.home, today=today, rebuild=again, publications=lambda kept: None)


def ids(city: DeliveredCity, table: str = "incidents") -> list[str]:
    return sorted(layer_table(city.home, table).read(["record_id"]).column("record_id").to_pylist())


def known_as(city: DeliveredCity, *numbers: int) -> list[str]:
    """Record ids and our own ids of some records."""
    rows = layer_table(city.home, "incidents").read(["id", "record_id"]).to_pylist()
    names = {f"MC{number}" for number in numbers}
    return [*names, *(r["id"] for r in rows if r["record_id"] in names)]


def a_run(city: DeliveredCity, run_id: str) -> None:
    """Publish a run that says what the lake holds now."""
    inputs = lake_inputs(city.load(), city.home)
    with RunBuilder(city.home, run_id) as builder:
        (builder.folder / "note.txt").write_text("records")
        builder.finish(
            RunManifest(
                run_id=run_id, city_id="carre", as_of=TODAY, inputs=inputs, city="c", code="c", lock="l", products=()
            )
        )


def test_old_records_go_everywhere_and_recent_ones_stay(city: DeliveredCity):
    gone, kept = known_as(city, 71001, 71002, 71003), known_as(city, 72001, 72002)
    assert set().union(*find(city.home.root, gone).values()) == {name.lower() for name in gone}
    purged = purge(city)
    assert find(city.home.root, gone) == {}
    assert set().union(*find(city.home.root, kept).values()) == {name.lower() for name in kept}
    assert ids(city) == ["MC72001", "MC72002"]
    (entry,) = purged.entries
    assert (entry.raw_rows, entry.records, entry.earlier_versions, entry.rejects) == (3, 2, 0, 1)
    assert entry.before == dt.date(2024, 6, 14)


def test_row_numbers_and_the_sum_of_rows_stay(city: DeliveredCity):
    purge(city)
    (raw,) = raw_deliveries("log", city.home)
    assert raw.row_numbers().tolist() == [3, 4, 6]
    assert (raw.rows, raw.purged_rows, raw.purged_before) == (6, 3, dt.date(2024, 6, 14))
    figures = ingest(city.load(), city.home).figures
    parts = ("new", "updated", "unchanged", "merged", "rejected")
    assert figures["log.rows"] == 6 == sum(figures[f"log.{part}"] for part in parts)
    assert figures["log.expired"] == 3
    assert [r["row"] for r in reject_table(city.home, "log").read().to_pylist()] == [6]


def test_a_dry_run_changes_nothing(city: DeliveredCity):
    before = {p: p.read_bytes() for p in city.home.root.rglob("*") if p.is_file()}
    plan = purging.plan_purge(city.load(), city.home, TODAY)
    assert plan.entries[0].raw_rows == 3
    assert {p: p.read_bytes() for p in city.home.root.rglob("*") if p.is_file()} == before


def test_purging_again_finds_nothing_and_moves_no_cutoff(city: DeliveredCity):
    purge(city)
    before = ingest(city.load(), city.home)
    assert purge(city, today=TODAY + dt.timedelta(days=3)).entries == ()
    after = ingest(city.load(), city.home)
    assert (after.key, after.skipped) == (before.key, True)
    assert len(read_log(city.home)) == 1


def test_a_full_dump_does_not_bring_them_back(city: DeliveredCity):
    gone = known_as(city, 71001, 71002)
    purge(city)
    city.deliver([row(71001, date=OLD), row(71009, date=OLD), row(72009, date=NEW)], "log_dump.csv")
    figures = ingest(city.load(), city.home).figures
    assert ids(city) == ["MC72001", "MC72002", "MC72009"]
    assert find(city.home.root, [*gone, "MC71009"]) == {}
    assert figures["log.expired"] == 5
    assert [line["raw_rows"] for line in read_log(city.home)] == [3, 2]
    assert ingest(city.load(), city.home).skipped


def test_the_same_file_read_with_other_options_does_not_bring_them_back(city: DeliveredCity):
    gone = known_as(city, 71001, 71002, 71003)
    purge(city)
    city.write_toml((city.folder / "city.toml").read_text().replace('delimiter = ";"', 'encoding = "utf-8"'))
    ingest(city.load(), city.home)
    assert ids(city) == ["MC72001", "MC72002"]
    assert find(city.home.root, gone) == {}


def test_a_delivery_of_which_nothing_is_left_keeps_its_name_and_digest(city: DeliveredCity):
    keeps(city, days=1)
    (before,) = raw_deliveries("log", city.home)
    purge(city)
    (raw,) = raw_deliveries("log", city.home)
    assert [p.name for p in raw.folder.iterdir()] == [raw.marker["marker"]]
    assert (raw.received.name, raw.received.digest, raw.rows) == ("log.csv", before.received.digest, 6)
    assert ids(city) == []


def test_a_record_that_turns_out_to_be_old_goes_with_its_earlier_versions(city: DeliveredCity):
    """Its correction is refused; the version before must not come back in its place, nor stay in a run."""
    purge(city)
    ingest(city.load(), city.home)
    a_run(city, "a" * 16)
    gone = known_as(city, 72001)
    city.deliver([row(72001, date=OLD)], "log_correction.csv")
    ingest(city.load(), city.home)
    assert ids(city) == ["MC72002"]
    assert read_journal(city.home) is not None
    purge(city)
    assert find(city.home.root, gone) == {}
    assert read_journal(city.home) is None
    assert list_runs(city.home) == []


def test_earlier_versions_are_counted(city: DeliveredCity):
    city.deliver([row(71001, date=OLD, severity="5")], "log_more.csv")
    ingest(city.load(), city.home)
    (entry,) = purge(city).entries
    assert (entry.raw_rows, entry.records, entry.earlier_versions, entry.rejects) == (4, 2, 1, 1)
    assert sorted(entry.rows.values()) == [1, 3]


def test_a_source_without_a_period_keeps_everything(small_city: DeliveredCity):
    ingest(small_city.load(), small_city.home)
    assert purge(small_city, today=dt.date(2050, 1, 1)).entries == ()
    assert len(ids(small_city)) == 2


def test_a_source_that_the_city_file_forgot_is_named_and_kept(city: DeliveredCity):
    (city.home.raw / "former").mkdir()
    assert purge(city).unnamed == ("former",)
    assert (city.home.raw / "former").is_dir()


def test_runs_made_before_go_and_those_made_after_stay(city: DeliveredCity):
    a_run(city, "a" * 16)

    def rebuilt() -> None:
        ingest(city.load(), city.home)
        a_run(city, "b" * 16)

    purged = purging.purge(city.load(), city.home, today=TODAY, rebuild=rebuilt, publications=lambda kept: None)
    assert purged.runs == ("a" * 16,)
    assert current_run_id(city.home) == "b" * 16
    assert [p.name for p in city.home.runs.iterdir() if p.name != "current"] == ["b" * 16]
    inputs = list_runs(city.home)[0].manifest.inputs
    assert (inputs["retention/log"], inputs["retention/log/0001"]) == ("2024-06-14", "3")


def test_a_run_that_is_put_back_goes_again(city: DeliveredCity):
    a_run(city, "a" * 16)
    shutil.copytree(city.home.runs / ("a" * 16), city.home.root.with_name("backup"))
    purge(city)
    shutil.copytree(city.home.root.with_name("backup"), city.home.runs / ("a" * 16))
    assert purge(city).runs == ("a" * 16,)
    assert list_runs(city.home) == []
    assert read_log(city.home)[-1]["runs"] == ["a" * 16]
    assert purge(city).entries == ()


def test_a_replaced_delivery_of_cameras_goes_with_the_day_it_was_received(small_city: DeliveredCity):
    small_city.write_toml(CITY_TOML + CAMERAS.replace('crs = "', 'retention_days = 30\ncrs = "'))
    for number in (1, 2):
        path = small_city.folder / f"cameras{number}.csv"
        path.write_text(f"N;X;Y\nCAM880{number};893500;6247500\n", encoding="utf-8")
        ingest(small_city.load(), small_city.home)
    rows = [layer_table(small_city.home, name).read().to_pylist() for name in ("cameras_history", "cameras")]
    former, present = (["CAM880" + str(n), table[0]["id"]] for n, table in enumerate(rows, start=1))
    later = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=40)
    (entry,) = purge(small_city, today=later).entries
    assert (entry.raw_rows, entry.records, entry.earlier_versions) == (1, 0, 1)
    assert find(small_city.home.root, former) == {}
    assert find(small_city.home.root, present) != {}


def test_a_run_that_holds_nothing_of_it_stays(city: DeliveredCity):
    """Made when the source had other deliveries, none of which loses a row."""
    keeps(city, days=5000)
    (city.folder / "log.csv").unlink()
    recent = city.home.root.with_name("recent")
    other = DeliveredCity(city.folder, Home(recent))
    city.deliver([row(72001, date=NEW)], "log_recent.csv")
    ingest(other.load(), other.home)
    a_run(other, "c" * 16)
    city.deliver([row(71001, date=OLD)], "log_z.csv")
    ingest(other.load(), other.home)
    keeps(city)
    assert purge(other).runs == ()
    assert current_run_id(other.home) == "c" * 16


def test_destroying_only_leaves_no_run_and_no_layer(city: DeliveredCity):
    gone = known_as(city, 71001, 71002, 71003)
    a_run(city, "a" * 16)
    (city.home.runs / ".building-left").mkdir()
    kept: list[set[str]] = []
    purging.purge(city.load(), city.home, today=TODAY, rebuild=None, publications=lambda ids: kept.append(set(ids)))
    assert list(city.home.runs.iterdir()) == []
    assert kept == [set()]
    assert not city.home.layers.exists()
    assert find(city.home.root, gone) == {}
    ingest(city.load(), city.home)
    assert ids(city) == ["MC72001", "MC72002"]


class Killed(BaseException):
    """Stands for kill -9: nothing after it is done."""


STEPS = (
    "move_cutoffs",
    "without_rows",
    "clear_lake",
    "write_journal",
    "stale_runs",
    "destroy_runs",
    "close_journal",
)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_purge_that_dies_is_ended_by_the_next(
    city: DeliveredCity, monkeypatch: pytest.MonkeyPatch, step: str, when: str
):
    gone = known_as(city, 71001, 71002, 71003)
    a_run(city, "a" * 16)
    done = getattr(purging, step)

    def dies(*arguments: object, **options: object) -> None:
        if when == "after":
            done(*arguments, **options)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(purging, step, dies)
        with pytest.raises(Killed):
            purge(city)
    purge(city)
    assert find(city.home.root, gone) == {}
    assert ids(city) == ["MC72001", "MC72002"]
    assert list_runs(city.home) == []
    assert read_journal(city.home) is None
    (line,) = read_log(city.home)
    assert (line["raw_rows"], line["records"], line["rejects"], line["runs"]) == (3, 2, 1, ["a" * 16])


def test_a_purge_that_dies_is_ended_by_a_build(city: DeliveredCity, monkeypatch: pytest.MonkeyPatch):
    """Which resumes it, ingests, builds and publishes, and concludes it."""
    gone = known_as(city, 71001, 71002, 71003)
    a_run(city, "a" * 16)
    loaded = city.load()

    def dies(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(purging, "clear_lake", dies)
        with pytest.raises(Killed):
            purge(city)
    assert purging.conclude(loaded, city.home, lambda kept: None) is None  # nothing is built yet
    purging.resume(loaded, city.home)
    ingest(loaded, city.home)
    a_run(city, "b" * 16)
    purging.resume(loaded, city.home)  # what was built since stays
    assert ids(city) == ["MC72001", "MC72002"]
    assert purging.conclude(loaded, city.home, lambda kept: None) is not None
    assert [run.manifest.run_id for run in list_runs(city.home)] == ["b" * 16]
    assert find(city.home.root, gone) == {}
    assert not purging.is_pending(city.home)


def test_a_city_that_cannot_be_built_leaves_the_purge_to_be_ended(city: DeliveredCity):
    a_run(city, "a" * 16)

    def refused() -> None:
        raise DeliveryError("another delivery is refused")

    with pytest.raises(DeliveryError):
        purging.purge(city.load(), city.home, today=TODAY, rebuild=refused, publications=lambda kept: None)
    assert current_run_id(city.home) == "a" * 16
    assert raw_deliveries("log", city.home)[0].purged_rows == 3
    purge(city)
    assert current_run_id(city.home) is None
    assert len(read_log(city.home)) == 1


def test_temporary_files_of_a_crash_go(city: DeliveredCity):
    left = [city.home.stages / ".latest.json.123", city.home.state / ".purge.json.77"]
    for path in left:
        path.write_text("MC71001")
    purge(city)
    assert [path for path in left if path.exists()] == []


def test_the_log_names_no_record(city: DeliveredCity):
    purge(city)
    (line,) = (city.home.state / "purge.log").read_text().splitlines()
    assert set(json.loads(line)) == {
        *("on", "source", "before", "rows", "raw_rows", "records", "earlier_versions", "rejects", "runs")
    }


def test_a_torn_line_of_the_log_does_not_swallow_the_next(tmp_path: Path):
    home = Home(tmp_path)
    entry = Entry(TODAY, "log", TODAY, {"d": 1})
    log(home, [entry])
    path = home.state / "purge.log"
    path.write_text(path.read_text() + '{"on": "20')
    log(home, [entry, Entry(TODAY, "other", TODAY, {"d": 2})])
    assert [line["source"] for line in read_log(home)] == ["log", "other"]


def test_a_damaged_journal_is_an_error(tmp_path: Path):
    home = Home(tmp_path)
    add_to_journal(home, [Entry(TODAY, "log", TODAY, {"d": 1})])
    (home.state / "purge.json").write_text("{")
    with pytest.raises(HomeError, match=r"purge\.json"):
        read_journal(home)


def test_cutoffs_only_move_forward(tmp_path: Path):
    home = Home(tmp_path)
    move_cutoffs(home, {"log": TODAY})
    move_cutoffs(home, {"log": dt.date(2020, 1, 1), "other": TODAY})
    assert read_cutoffs(home) == {"log": TODAY, "other": TODAY}
