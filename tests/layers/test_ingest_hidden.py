"""What the city file hides is nowhere in the home folder, however late it is hidden and whatever interrupts it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from layers.errors import DeliveryError
from layers.receiving import GEOMETRY, ROW_NUMBER
from support.delivered_city import CITY_TOML, HEADER, DeliveredCity, row
from support.ingested import figures_of, records, take, versions

HASHED = CITY_TOML.replace('drop = ["AGENT"]', 'pseudonymise = ["AGENT"]')


def every_byte_of(folder: Path) -> bytes:
    """All files of a folder, Parquet and Arrow decoded."""
    parts = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        parts += [path.name.encode(), path.read_bytes()]
        if path.suffix == ".parquet":
            parts.append(str(pq.read_table(path, partitioning=None).to_pylist()).encode())
        elif path.suffix == ".arrow":
            with pa.OSFile(str(path), "rb") as file:
                parts.append(str(pa.ipc.open_file(file).read_all().to_pylist()).encode())
    return b"\n".join(parts)


def copies(city: DeliveredCity) -> list[pa.Table]:
    """What the lake holds of the deliveries, in no order."""
    return [pq.read_table(p, partitioning=None) for p in sorted((city.home.raw / "log").rglob("*.parquet"))]


def test_the_lakes_copy_is_the_kept_columns_as_they_were_read(small_city: DeliveredCity):
    small_city.deliver([row(1), "short", row(3, severity="99")])
    take(small_city)
    (copy,) = copies(small_city)
    assert copy.column_names == [*HEADER.split(";")[:-1], ROW_NUMBER]
    assert GEOMETRY not in copy.column_names
    assert copy.column(ROW_NUMBER).to_pylist() == [1, 3]  # refused rows are kept too, malformed ones cannot be
    assert copy.column("GRAVITE").to_pylist() == ["1", "99"]
    assert copy.column("X").to_pylist() == ["893500,00"] * 2
    assert b"log.csv" not in [p.name.encode() for p in small_city.home.raw.rglob("*")]


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
    assert len(copies(small_city)) == 1


def test_pseudonyms_are_stable_in_a_home_and_differ_between_homes(small_city: DeliveredCity, tmp_path: Path):
    small_city.write_toml(HASHED)
    other = DeliveredCity.at(tmp_path / "other")
    other.write_toml(HASHED)

    def pseudonyms(city: DeliveredCity) -> set[str]:
        take(city)
        return {value for copy in copies(city) for value in copy.column("AGENT").to_pylist()}

    first = pseudonyms(small_city)
    assert len(first) == 1  # one agent
    small_city.deliver([row(1), row(7)])
    assert pseudonyms(small_city) == first
    assert pseudonyms(other).isdisjoint(first)
    assert b"DUPONT" not in every_byte_of(small_city.home.root)


@pytest.mark.parametrize("gone", [True, False])
def test_what_is_dropped_later_leaves_the_lake(small_city: DeliveredCity, *, gone: bool):
    small_city.write_toml(HASHED)
    take(small_city)
    assert b"AGENT" in every_byte_of(small_city.home.raw)
    if gone:
        (small_city.folder / "log.csv").unlink()
    small_city.write_toml(CITY_TOML)
    take(small_city)
    assert set(records(small_city)) == {"MC1", "MC2"}
    assert ["AGENT" in copy.column_names for copy in copies(small_city)] == [False]


def test_what_is_dropped_later_leaves_the_deliveries_that_are_no_longer_read_too(small_city: DeliveredCity):
    small_city.write_toml(HASHED)
    for number in range(1, 4):
        small_city.deliver([row(n) for n in range(1, number + 2)])
        take(small_city)
    small_city.write_toml(CITY_TOML)
    take(small_city)
    assert ["AGENT" in copy.column_names for copy in copies(small_city)] == [False] * 3


def test_what_was_dropped_cannot_come_back_from_the_lakes_copy(small_city: DeliveredCity):
    take(small_city)
    (small_city.folder / "log.csv").unlink()
    small_city.write_toml(HASHED)
    take(small_city)  # what is gone cannot be hashed, and nothing reads it
    assert set(records(small_city)) == {"MC1", "MC2"}
    assert b"DUPONT" not in every_byte_of(small_city.home.root)
    agent = HASHED.replace('pseudonymise = ["AGENT"]', "").replace("severity =", 'address = "AGENT"\nseverity =')
    small_city.write_toml(agent)
    with pytest.raises(DeliveryError, match=r"log\.csv: .*AGENT"):
        take(small_city)


def test_a_full_disk_while_more_is_hidden_loses_no_delivery(small_city: DeliveredCity, monkeypatch: pytest.MonkeyPatch):
    """The lake's copy may be the only one left."""
    small_city.write_toml(HASHED)
    take(small_city)
    (small_city.folder / "log.csv").unlink()
    small_city.write_toml(CITY_TOML)

    def full_disk(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("layers.raw_copies.pq.ParquetWriter.write_table", full_disk)
        with pytest.raises(OSError, match="no space"):
            take(small_city)
    assert figures_of(small_city)["log.records"] == 2
    assert ["AGENT" in copy.column_names for copy in copies(small_city)] == [False]


MAPPED_LATE = CITY_TOML.replace('drop = ["AGENT"]\n', "").replace(
    'severity = "GRAVITE"\n', 'severity = "GRAVITE"\naddress = "AGENT"\n'
)


def test_a_column_that_is_dropped_later_leaves_earlier_versions_of_the_tables_too(small_city: DeliveredCity):
    small_city.write_toml(MAPPED_LATE)
    small_city.deliver([row(1).replace("DUPONT Jean", "12 rue des Alouettes"), row(2, code="Z9")])
    take(small_city)
    assert b"rue des Alouettes" in every_byte_of(small_city.home.root)
    small_city.write_toml()
    take(small_city)
    assert set(records(small_city)) == {"MC1", "MC2"}
    assert b"rue des Alouettes" not in every_byte_of(small_city.home.root)


def test_a_crash_before_accepted_rows_are_forgotten_hides_nothing_less(
    small_city: DeliveredCity, monkeypatch: pytest.MonkeyPatch
):
    small_city.write_toml(MAPPED_LATE)
    small_city.deliver([row(1).replace("DUPONT Jean", "12 rue des Alouettes")])
    take(small_city)
    small_city.write_toml()

    def crash(*_given: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("layers.ingest.forget_unused", crash)
        with pytest.raises(KeyboardInterrupt):
            take(small_city)
    take(small_city)
    assert b"rue des Alouettes" not in every_byte_of(small_city.home.root)


def test_a_refused_delivery_leaves_no_copy_after_a_crash_either(
    small_city: DeliveredCity, monkeypatch: pytest.MonkeyPatch
):
    small_city.write_toml(CITY_TOML.replace('\ncrs = "EPSG:2154"\n', "\n"))

    def crash(*_given: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("layers.ingest.take", crash)
        with pytest.raises(KeyboardInterrupt):
            take(small_city)
    assert copies(small_city)
    for _ in range(2):
        with pytest.raises(DeliveryError, match="reference system"):
            take(small_city)
        assert not copies(small_city)
