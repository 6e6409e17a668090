from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import shapely

from layers.catalogue import read_catalogue
from layers.errors import DeliveryError, HomeError
from layers.home import claim_home
from layers.ingest import ingest
from layers.lake import layer_table, reject_table
from support.delivered_city import CITY_TOML, HEADER, ORIGIN_X_M, ORIGIN_Y_M, DeliveredCity, row

PROJECT = Path(__file__).resolve().parents[2]


def take(city: DeliveredCity):
    return ingest(city.load(), city.home)


def incidents(city: DeliveredCity) -> dict[str, dict[str, object]]:
    return {r["record_id"]: r for r in layer_table(city.home, "incidents").read().to_pylist()}


def rejects(city: DeliveredCity) -> list[tuple[int, str, str | None, str]]:
    found = reject_table(city.home, "log").read().to_pylist()
    return sorted((r["row"], r["field"] or "", r["value"], r["reason"]) for r in found)


def versions(city: DeliveredCity) -> dict[str, tuple[int, str]]:
    names = ("incidents", "zones_blocks", "zones_districts", "land")
    latest = {name: layer_table(city.home, name).latest() for name in names}
    return {name: (version.version, version.digest) for name, version in latest.items()}


def test_a_record_is_whole(small_city: DeliveredCity):
    report = take(small_city)
    record = incidents(small_city)["MC2"]
    assert record["source"] == "log"
    assert record["organisation"] == "Police municipale"
    assert (record["theme"], record["category"], record["source_code"]) == ("family", "dispute", "F1")
    assert str(record["started_at"]) == "2024-05-15 21:05:00+00:00"
    assert (str(record["date"]), record["hour"]) == ("2024-05-15", 23)
    assert (record["provenance"], record["severity"]) == ("reported", 1)
    assert (record["located"], record["on_land"]) == (True, True)
    assert (record["zone_blocks"], record["zone_districts"]) == ("A1", "A")
    assert record["x_m"] == pytest.approx(ORIGIN_X_M + 500, abs=1e-3)
    assert record["y_m"] == pytest.approx(ORIGIN_Y_M + 1500, abs=1e-3)
    point = shapely.from_wkb(record["geometry"])
    assert (point.x, point.y) == (record["lon"], record["lat"])
    assert not report.skipped
    figures = dict(report.figures)
    assert (figures["log.rows"], figures["log.accepted"], figures["log.rejected"]) == (2, 2, 0)
    assert (figures["incidents"], figures["non_localised"], figures["off_land"], figures["unmapped"]) == (2, 0, 0, 0)


def test_the_layer_is_geoparquet_that_others_read(small_city: DeliveredCity):
    import geopandas

    take(small_city)
    file = layer_table(small_city.home, "incidents").latest().files[0]
    frame = geopandas.read_parquet(file.path)
    assert frame.crs == "OGC:CRS84"
    assert frame.geometry.x.tolist() == frame["lon"].tolist()
    assert file.partition == "month=2024-05"


def test_taking_the_same_twice_changes_nothing(small_city: DeliveredCity):
    first = take(small_city)
    before = versions(small_city)
    second = take(small_city)
    assert second.skipped
    assert (second.key, dict(second.figures)) == (first.key, dict(first.figures))
    assert versions(small_city) == before


def test_a_file_that_goes_back_is_taken_back(small_city: DeliveredCity):
    original = (small_city.folder / "log.csv").read_bytes()
    take(small_city)
    first = versions(small_city)["incidents"][1]
    small_city.deliver([row(1)])
    take(small_city)
    assert list(incidents(small_city)) == ["MC1"]
    (small_city.folder / "log.csv").write_bytes(original)
    assert not take(small_city).skipped
    assert set(incidents(small_city)) == {"MC1", "MC2"}
    assert versions(small_city)["incidents"][1] == first


@pytest.mark.parametrize(
    ("bad", "field", "value", "reason"),
    [
        (row(3, date="", hour=""), "started_at", None, "missing_date"),
        (row(3, date="31/02/2024"), "started_at", "31/02/2024 10:20", "invalid_date"),
        (row(3, date="01/01/1204"), "started_at", "01/01/1204 10:20", "invalid_date"),
        (row(3, date="01/01/1804"), "started_at", "01/01/1804 10:20", "impossible_date"),
        (row(3, code=""), "category", None, "missing_category"),
        (row(3, severity="99"), "severity", "99.0", "out_of_range"),
        (row(3, severity="high"), "severity", "high", "invalid_number"),
        (row(3, severity="1,5"), "severity", "1,5", "invalid_number"),
        (row(3, x="here"), "x", "here", "invalid_coordinates"),
        (row(3, x="nan"), "x", "nan", "invalid_coordinates"),
        (row(3, x="0", y="0"), "coordinates", "0 0", "zero_coordinates"),
        (row(3, x="6246000", y="893000"), "coordinates", "6246000 893000", "swapped_axes"),
        (row(3, x="1", y="2"), "coordinates", "1 2", "outside_crs_area"),
        (row(1), "record_id", "MC1", "duplicate_record_id"),
        ("MC3;15/05/2024", "", None, "malformed_row"),
        (row(3) + ";more", "", None, "malformed_row"),
    ],
)
def test_bad_rows_are_refused_with_their_reason_and_good_ones_kept(
    small_city: DeliveredCity, bad: str, field: str, value: str | None, reason: str
):
    small_city.deliver([row(1), bad, row(2)])
    figures = dict(take(small_city).figures)
    assert rejects(small_city) == [(2, field, value, reason)]
    assert set(incidents(small_city)) == {"MC1", "MC2"}
    assert (figures["log.rows"], figures["log.accepted"], figures["log.rejected"]) == (3, 2, 1)


def test_a_row_with_several_faults_is_one_rejected_row(small_city: DeliveredCity):
    small_city.deliver([row(1, code="", severity="99", date="31/02/2024"), row(2)])
    figures = dict(take(small_city).figures)
    assert [r[1] for r in rejects(small_city)] == ["category", "severity", "started_at"]
    assert (figures["log.accepted"], figures["log.rejected"]) == (1, 1)


def test_of_two_rows_with_one_id_a_bad_one_does_not_hide_the_good_one(small_city: DeliveredCity):
    small_city.deliver([row(1, date="31/02/2024"), row(1), row(1, hour="11:11")])
    take(small_city)
    assert [(r[0], r[3]) for r in rejects(small_city)] == [(1, "invalid_date"), (3, "duplicate_record_id")]
    assert incidents(small_city)["MC1"]["hour"] == 10


def test_unknown_codes_are_kept_and_counted(small_city: DeliveredCity):
    small_city.deliver([row(1, code="Z9"), row(2, code="Z9"), row(3)])
    figures = dict(take(small_city).figures)
    record = incidents(small_city)["MC1"]
    assert (record["theme"], record["category"], record["source_code"]) == ("unmapped", "unmapped", "Z9")
    assert (figures["unmapped"], figures["log.unmapped"]) == (2, 2)
    assert read_catalogue(small_city.home)[0].unmapped_codes == {"Z9": 2}


def test_without_coordinates_a_record_is_counted_as_not_located(small_city: DeliveredCity):
    small_city.deliver([row(1, x=" ", y=" "), row(2)])
    figures = dict(take(small_city).figures)
    record = incidents(small_city)["MC1"]
    assert (record["located"], record["on_land"], record["geometry"], record["zone_blocks"]) == (
        False,
        None,
        None,
        None,
    )
    assert (figures["non_localised"], figures["off_land"]) == (1, 0)


def test_off_the_land_is_not_off_the_map(small_city: DeliveredCity):
    small_city.deliver([row(1, x=f"{ORIGIN_X_M - 50:.0f}"), row(2)])
    assert dict(take(small_city).figures)["off_land"] == 1
    assert (incidents(small_city)["MC1"]["on_land"], incidents(small_city)["MC1"]["zone_blocks"]) == (False, None)


def with_end(toml: str = CITY_TOML) -> str:
    end = 'ended_at = { column = "FIN", format = "%d/%m/%Y %H:%M" }\nseverity'
    return toml.replace("severity", end, 1)


@pytest.mark.parametrize(
    ("end", "hour", "ended_at"),
    [
        ("", 10, None),
        ("15/05/2024 11:20", 10, "2024-05-15 09:20:00+00:00"),
        ("15/05/2024 11:21", None, "2024-05-15 09:21:00+00:00"),
        ("15/05/2024", None, "2024-05-15 22:00:00+00:00"),
    ],
)
def test_the_hour_is_unknown_when_the_interval_is_longer_than_one(
    small_city: DeliveredCity, end: str, hour: int | None, ended_at: str | None
):
    small_city.write_toml(with_end())
    small_city.deliver([f"{row(1)};{end}"], header=f"{HEADER};FIN")
    take(small_city)
    record = incidents(small_city)["MC1"]
    assert record["hour"] == hour
    assert (record["ended_at"] and str(record["ended_at"])) == ended_at


@pytest.mark.parametrize(
    ("date", "ends"), [("31/03/2024", "2024-03-31 22:00:00+00:00"), ("27/10/2024", "2024-10-27 23:00:00+00:00")]
)
def test_the_day_of_a_clock_change_ends_at_its_own_midnight(small_city: DeliveredCity, date: str, ends: str):
    """23 hours in March, 25 in October."""
    small_city.deliver([row(1, date=date, hour="")])
    take(small_city)
    assert str(incidents(small_city)["MC1"]["ended_at"]) == ends


def test_a_quotation_mark_that_is_never_closed_refuses_the_delivery(small_city: DeliveredCity):
    """Nothing may be lost silently: the rows after the mark would be one value of its row, even of a dropped column."""
    rows = [row(n) for n in range(1, 31)]
    rows[9] = rows[9].replace("DUPONT Jean", '"DUPONT Jean')
    small_city.deliver(rows)
    with pytest.raises(DeliveryError, match=r"row 10, column 'AGENT'.*never closed"):
        take(small_city)


def test_honest_line_breaks_inside_quotes_are_kept(small_city: DeliveredCity):
    small_city.deliver([row(1).replace("DUPONT Jean", '"DUPONT\nJean; ""dit"" Petit"'), row(2)])
    assert dict(take(small_city).figures)["log.accepted"] == 2


def test_blank_lines_before_the_header_are_no_rows(small_city: DeliveredCity):
    small_city.deliver([row(1)], header=f"\n\n{HEADER}")
    figures = dict(take(small_city).figures)
    assert (figures["log.rows"], figures["log.rejected"]) == (1, 0)


def test_a_date_without_time_lasts_its_day(small_city: DeliveredCity):
    small_city.deliver([row(1, hour="")])
    take(small_city)
    record = incidents(small_city)["MC1"]
    assert (str(record["date"]), record["hour"]) == ("2024-05-15", None)
    assert (record["ended_at"] - record["started_at"]).total_seconds() == 86_400


def test_end_before_start_is_refused(small_city: DeliveredCity):
    small_city.write_toml(with_end())
    small_city.deliver([f"{row(1)};14/05/2024 10:00", f"{row(2)};"], header=f"{HEADER};FIN")
    take(small_city)
    assert [(r[0], r[1], r[3]) for r in rejects(small_city)] == [(1, "ended_at", "end_before_start")]


def test_times_of_both_clock_changes_are_read_and_counted(small_city: DeliveredCity):
    small_city.deliver([row(1, date="31/03/2024", hour="02:30"), row(2, date="27/10/2024", hour="02:30")])
    figures = dict(take(small_city).figures)
    assert (figures["log.times_skipped_by_clock"], figures["log.times_shown_twice"]) == (1, 1)
    assert incidents(small_city)["MC1"]["hour"] == 3
    assert str(incidents(small_city)["MC2"]["started_at"]) == "2024-10-27 00:30:00+00:00"


def test_a_complete_delivery_updates_and_withdraws(small_city: DeliveredCity):
    small_city.deliver([row(1), row(2), row(3)], "log-1.csv")
    (small_city.folder / "log.csv").unlink()
    take(small_city)
    small_city.deliver([row(1), row(2, severity="3"), row(4)], "log-2.csv")
    figures = dict(take(small_city).figures)
    assert set(incidents(small_city)) == {"MC1", "MC2", "MC4"}
    assert incidents(small_city)["MC2"]["severity"] == 3
    assert (figures["log.updated"], figures["log.withdrawn"]) == (1, 1)
    assert (figures["log.rows"], figures["log.accepted"]) == (6, 6)
    assert (figures["log.new"], figures["log.unchanged"]) == (4, 1)
    deliveries = read_catalogue(small_city.home)[0].deliveries
    assert [d.name for d in deliveries] == ["log-1.csv", "log-2.csv"]
    inputs = layer_table(small_city.home, "incidents").latest().inputs
    assert [inputs[f"deliveries/log/{n:04d}"] for n in (1, 2)] == [d.digest for d in deliveries]
    assert {p.name for p in (small_city.home.raw / "log").iterdir()} == {d.digest for d in deliveries}


def test_of_complete_files_replaced_in_place_the_last_two_count_and_all_are_kept(small_city: DeliveredCity):
    for severity in ("1", "2", "3"):
        small_city.deliver([row(1, severity=severity)])
        figures = dict(take(small_city).figures)
    assert (figures["log.rows"], figures["log.updated"], figures["log.records"]) == (2, 1, 1)
    assert len(read_catalogue(small_city.home)[0].deliveries) == 2
    assert len(list((small_city.home.raw / "log").iterdir())) == 3


def test_an_increment_leaves_what_it_does_not_bring(small_city: DeliveredCity):
    small_city.write_toml(CITY_TOML.replace('mode = "complete"', 'mode = "increment"'))
    take(small_city)
    small_city.deliver([row(2, severity="5"), row(9)])  # in the place of the first file
    figures = dict(take(small_city).figures)
    assert set(incidents(small_city)) == {"MC1", "MC2", "MC9"}
    assert (incidents(small_city)["MC2"]["severity"], figures["log.withdrawn"]) == (5, 0)


def test_a_delivery_in_the_lake_needs_its_file_no_more(small_city: DeliveredCity):
    take(small_city)
    (small_city.folder / "log.csv").unlink()
    small_city.write_toml(CITY_TOML.replace('organisation = "Police municipale"', 'organisation = "Police"'))
    take(small_city)
    assert incidents(small_city)["MC1"]["organisation"] == "Police"


def test_a_missing_delivery_is_named(small_city: DeliveredCity):
    (small_city.folder / "log.csv").unlink()
    with pytest.raises(DeliveryError, match=r"source 'log': no file matches log\*\.csv"):
        take(small_city)
    small_city.write_toml(CITY_TOML.replace("log*.csv", "log.csv"))
    with pytest.raises(DeliveryError, match=r"log\.csv: no such delivery"):
        take(small_city)


def every_byte_of(folder: Path) -> bytes:
    """All files of a folder, Parquet decoded."""
    parts = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        parts += [path.name.encode(), path.read_bytes()]
        if path.suffix == ".parquet":
            parts.append(str(pq.read_table(path, partitioning=None).to_pylist()).encode())
    return b"\n".join(parts)


def test_dropped_columns_are_nowhere_in_the_home(small_city: DeliveredCity):
    small_city.deliver([row(1), row(2, severity="99"), "short;DUPONT Jean"])
    take(small_city)
    kept = every_byte_of(small_city.home.root)
    assert b"MC1" in kept
    assert b"DUPONT" not in kept


def test_a_column_that_nobody_spoke_of_refuses_the_delivery_and_leaves_no_copy(small_city: DeliveredCity):
    take(small_city)
    before = versions(small_city)
    small_city.deliver([f"{row(1)};06 12 34 56 78"], header=f"{HEADER};TELEPHONE")
    with pytest.raises(DeliveryError, match=r"log\.csv: source 'log' says nothing of the column 'TELEPHONE'"):
        take(small_city)
    assert b"06 12 34" not in every_byte_of(small_city.home.root)
    assert versions(small_city) == before


def test_a_column_that_is_not_there_is_named(small_city: DeliveredCity):
    small_city.deliver(["1;2"], header="NUM;DATE")
    with pytest.raises(DeliveryError, match="reads the column 'CODE', 'GRAVITE'"):
        take(small_city)


def test_pseudonyms_are_stable_in_a_home_and_differ_between_homes(small_city: DeliveredCity, tmp_path: Path):
    hidden = CITY_TOML.replace('drop = ["AGENT"]', 'pseudonymise = ["AGENT"]')
    small_city.write_toml(hidden)
    other = DeliveredCity.at(tmp_path / "other")
    other.write_toml(hidden)

    def pseudonyms(city: DeliveredCity) -> set[str]:
        take(city)
        files = sorted((city.home.raw / "log").rglob("*.parquet"))
        return {v for f in files for v in pq.read_table(f, partitioning=None).column("AGENT").to_pylist()}

    first = pseudonyms(small_city)
    assert len(first) == 1  # one agent
    small_city.deliver([row(1), row(7)])
    assert pseudonyms(small_city) == first
    assert pseudonyms(other).isdisjoint(first)
    assert b"DUPONT" not in every_byte_of(small_city.home.root)


def test_what_is_dropped_later_leaves_the_lake(small_city: DeliveredCity):
    small_city.write_toml(CITY_TOML.replace('drop = ["AGENT"]', 'pseudonymise = ["AGENT"]'))
    take(small_city)
    assert b"AGENT" in every_byte_of(small_city.home.raw)
    (small_city.folder / "log.csv").unlink()
    small_city.write_toml(CITY_TOML)
    take(small_city)
    assert set(incidents(small_city)) == {"MC1", "MC2"}
    raw = next((small_city.home.raw / "log").rglob("*.parquet"))
    assert "AGENT" not in pq.read_table(raw, partitioning=None).column_names


def test_what_is_dropped_later_leaves_the_deliveries_that_are_no_longer_read_too(small_city: DeliveredCity):
    small_city.write_toml(CITY_TOML.replace('drop = ["AGENT"]', 'pseudonymise = ["AGENT"]'))
    for number in range(1, 4):
        small_city.deliver([row(n) for n in range(1, number + 2)])
        take(small_city)
    small_city.write_toml(CITY_TOML)
    take(small_city)
    copies = list((small_city.home.raw / "log").rglob("*.parquet"))
    assert len(copies) == 3
    assert [c for c in copies if "AGENT" in pq.read_table(c, partitioning=None).column_names] == []


def test_a_crash_while_more_is_hidden_loses_no_delivery(small_city: DeliveredCity, monkeypatch: pytest.MonkeyPatch):
    """The lake's copy may be the only one left."""
    small_city.write_toml(CITY_TOML.replace('drop = ["AGENT"]', 'pseudonymise = ["AGENT"]'))
    take(small_city)
    (small_city.folder / "log.csv").unlink()
    small_city.write_toml(CITY_TOML)

    def full_disk(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("layers.raw.pq.write_table", full_disk)
        with pytest.raises(OSError, match="no space"):
            take(small_city)
    take(small_city)
    assert set(incidents(small_city)) == {"MC1", "MC2"}


def test_coordinates_without_a_reference_system_are_refused(small_city: DeliveredCity):
    small_city.write_toml(CITY_TOML.replace('crs = "EPSG:2154"\ndrop', "drop"))
    with pytest.raises(DeliveryError, match=r"log\.csv: its coordinates have no reference system"):
        take(small_city)


def test_a_home_of_another_city_is_refused(small_city: DeliveredCity):
    claim_home(small_city.home, "elsewhere")
    with pytest.raises(HomeError, match="one home holds one city"):
        take(small_city)


def test_a_home_in_use_is_refused(small_city: DeliveredCity):
    holder = "import sys, time\nfrom pathlib import Path\nfrom layers.home import Home, writing\n"
    holder += "with writing(Home(Path(sys.argv[1]))):\n    print('held', flush=True)\n    time.sleep(60)\n"
    command = [sys.executable, "-c", holder, str(small_city.home.root)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(HomeError, match="written by another process"):
            take(small_city)
        process.kill()
    take(small_city)  # the lock went with its holder


TAKE = "import sys; from pathlib import Path; from layers.city import load_city; from layers.home import Home\n"
TAKE += "from layers.ingest import ingest; ingest(load_city(Path(sys.argv[1])), Home(Path(sys.argv[2])))\n"


def test_the_machines_zone_does_not_matter(small_city: DeliveredCity, tmp_path: Path):
    """Both nights of the clock change, local midnight and the year's end, under another zone of the machine."""
    hard = [("31/03/2024", "02:30"), ("27/10/2024", "02:30"), ("15/05/2024", ""), ("31/12/2024", "23:59")]
    lines = [row(n, date=date, hour=hour) for n, (date, hour) in enumerate(hard)]
    far = DeliveredCity.at(tmp_path / "far")
    for city in (far, small_city):
        city.deliver(lines)
    command = [sys.executable, "-c", TAKE, str(far.folder), str(far.home.root)]
    subprocess.run(command, cwd=PROJECT, env=os.environ | {"TZ": "Pacific/Auckland"}, check=True)
    take(small_city)
    assert versions(far)["incidents"][1] == versions(small_city)["incidents"][1]


KILLED = """
import os, signal, sys
from pathlib import Path
left = int(sys.argv[3])
def count(*_):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
import layers.lake, layers.home, layers.raw
wrote = os.fsync
def fsync(descriptor):
    wrote(descriptor)
    count()
os.fsync = fsync
"""


@pytest.mark.parametrize("writes", [2, 9])
def test_killed_at_any_write_the_layers_stay_whole_and_the_next_run_completes(small_city: DeliveredCity, writes: int):
    take(small_city)
    first = versions(small_city)
    small_city.deliver([row(1, severity="4"), row(3, date="01/06/2024")])
    arguments = [str(small_city.folder), str(small_city.home.root), str(writes)]
    done = subprocess.run([sys.executable, "-c", KILLED + TAKE, *arguments], cwd=PROJECT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert set(incidents(small_city)) in ({"MC1", "MC2"}, {"MC1", "MC3"})
    take(small_city)
    assert set(incidents(small_city)) == {"MC1", "MC3"}
    assert versions(small_city)["land"][1] == first["land"][1]
    fresh = DeliveredCity(small_city.folder, type(small_city.home)(small_city.home.root.parent / "fresh"))
    take(fresh)
    assert versions(fresh)["incidents"][1] == versions(small_city)["incidents"][1]


@pytest.mark.prove
def test_killed_at_twenty_moments(small_city: DeliveredCity):
    """kill -9 from outside, at moments that no write chooses."""
    for attempt in range(20):
        small_city.deliver([row(n, severity=str(attempt % 10)) for n in range(500)])
        command = [sys.executable, "-c", TAKE, str(small_city.folder), str(small_city.home.root)]
        process = subprocess.Popen(command, cwd=PROJECT)
        time.sleep(1.0 + 0.15 * attempt)
        process.kill()
        process.wait()
        table = layer_table(small_city.home, "incidents")
        if table.exists():
            assert table.read().num_rows == table.latest().rows
        take(small_city)
        assert {r["severity"] for r in incidents(small_city).values()} == {attempt % 10}
