"""Persons are planted in every format: the delivery is refused, or they are found nowhere in the home folder."""

from __future__ import annotations

import hashlib
import hmac
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from layers.errors import DeliveryError
from layers.ingest import ingest
from layers.receiving import raw_deliveries
from layers.steps import StepReport
from support.conservation import check_conservation
from support.corpus import Case
from support.corpus.case import NAMES, good_rows
from support.delivered_city import DeliveredCity
from support.home_reader import find
from support.planted_persons import ASIDE, BESIDE, FORMATS, PERSONS, ROWS, TELLING, case_of, header_in, needles

KINDS = tuple(PERSONS)
STREETS = [row.address for row in good_rows(ROWS)]


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeliveredCity:
    """A city whose temporary files can be looked at."""
    (tmp_path / "temporary").mkdir()
    for name in ("TMPDIR", "CPL_TMPDIR"):
        monkeypatch.setenv(name, str(tmp_path / "temporary"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return DeliveredCity.at(tmp_path)


def places_of(values: Sequence[str], city: DeliveredCity) -> dict[str, set[str]]:
    """Where any of these is, in the home folder and in what is left of temporary files."""
    assert not list((city.folder.parent / "temporary").iterdir())
    return find(city.home.root, needles(values))


def refusal_of(case: Case, city: DeliveredCity) -> str:
    """Message of a refusal that leaves nothing."""
    case.deliver(city)
    with pytest.raises(DeliveryError) as refusal:
        ingest(city.load(), city.home)
    left = sorted(path.relative_to(city.home.root).as_posix() for path in city.home.root.rglob("*") if path.is_file())
    assert left == ["home.json", "state/writer.lock"]
    return str(refusal.value)


def accepted(case: Case, city: DeliveredCity) -> StepReport:
    """Report of an ingestion that takes every row."""
    case.deliver(city)
    report = ingest(city.load(), city.home)
    check_conservation(city, report)
    assert (report.figures["log.rows"], report.figures["log.records"]) == (ROWS, ROWS)
    assert find(city.home.root, ["MC1"])  # the reader does find what is there
    return report


DAILY = {
    (suffix, kind) for suffix in FORMATS for kind in KINDS if suffix == next(iter(FORMATS)) or kind == next(iter(KINDS))
}
CROSSED = [
    pytest.param(suffix, kind, marks=[] if (suffix, kind) in DAILY else [pytest.mark.prove])
    for suffix in FORMATS
    for kind in KINDS
]
"""Every kind in one format and every format with one kind, each time; the others at length."""


@pytest.mark.parametrize(("suffix", "kind"), CROSSED)
def test_a_column_of_persons_under_an_innocent_header_is_refused_and_found_nowhere(
    city: DeliveredCity, suffix: str, kind: str
):
    message = refusal_of(case_of(suffix, "observations", PERSONS[kind], field="address"), city)
    assert f"log.{suffix}" in message
    assert repr(header_in(suffix, "observations")) in message
    assert "rows 1, 2, 3" in message
    assert not [value for value in PERSONS[kind] if value in message]
    assert not places_of(PERSONS[kind], city)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_telling_header_is_refused_before_any_value_is_read(city: DeliveredCity, suffix: str):
    for kind, header in TELLING.items():
        message = refusal_of(case_of(suffix, header, STREETS, field="address"), city)
        assert f"log.{suffix}: the header says" in message
        assert repr(header_in(suffix, header)) in message, kind


@pytest.mark.parametrize("kind", ["phone", "email", "plate", "ip"])
def test_a_title_holds_no_contact(city: DeliveredCity, kind: str):
    case = case_of("csv", "observations", PERSONS[kind])
    columns = {"starts_at": '"MOMENT"', "nature": '"CODE"', "title": '"observations"', "x": '"X"', "y": '"Y"'}
    case.deliver(city)
    toml = (city.folder / "city.toml").read_text(encoding="utf-8")
    head = toml.partition("[sources.columns]")[0].replace('layer = "incidents"', 'layer = "events"')
    rules = "\n".join(f"{name} = {rule}" for name, rule in columns.items())
    city.write_toml(f'{head}drop = ["NUM", "GRAVITE", "ADRESSE"]\n[sources.columns]\n{rules}\n')
    with pytest.raises(DeliveryError, match="'observations' holds persons"):
        ingest(city.load(), city.home)
    assert not places_of(PERSONS[kind], city)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_column_that_nobody_spoke_of_is_refused_by_its_name(city: DeliveredCity, suffix: str):
    message = refusal_of(case_of(suffix, "observations", PERSONS["email"]), city)
    assert f"says nothing of the column {header_in(suffix, 'observations')!r}" in message
    assert not places_of(PERSONS["email"], city)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_dropped_column_is_found_nowhere(city: DeliveredCity, suffix: str):
    values = [PERSONS[KINDS[n % len(KINDS)]][n] for n in range(ROWS)]
    header = header_in(suffix, "nom_victime")
    accepted(case_of(suffix, header, values, more=f'drop = ["{header}"]'), city)
    assert not places_of(values, city)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_pseudonymised_column_is_found_as_keyed_hashes_alone(city: DeliveredCity, suffix: str):
    values = PERSONS["person_name"][: ROWS // 2] * 2
    header = header_in(suffix, "nom_victime")
    accepted(case_of(suffix, header, values, more=f'pseudonymise = ["{header}"]'), city)
    assert not places_of([*values, *(hashlib.sha256(value.encode()).hexdigest()[:32] for value in values)], city)
    (raw,) = raw_deliveries("log", city.home)
    (batch,) = raw.batches()
    key = (city.home.state / "pseudonym.key").read_bytes()
    hashes = [hmac.digest(key, value.encode(), "sha256").hex()[:32] for value in values]
    names = [row.name for row in good_rows(ROWS)]
    # FlatGeobuf keeps its rows in the order of their places.
    kept = dict(zip(*(batch.table.column(name).to_pylist() for name in ("NUM", header)), strict=True))
    assert kept == dict(zip(names, hashes, strict=True))
    assert all(re.search(r"^(?:lake/raw/|state/)", place) for place in find(city.home.root, hashes))


@pytest.mark.parametrize("suffix", FORMATS)
def test_one_contact_among_addresses_is_masked_and_counted(city: DeliveredCity, suffix: str):
    address = PERSONS["email"][0]
    case = case_of(suffix, "lieu", [*STREETS[:-1], f"{STREETS[-1]} {address}"], field="address")
    assert accepted(case, city).figures["log.masked"] == 1
    assert not places_of([address], city)
    assert places_of([STREETS[0]], city)


@pytest.mark.parametrize("suffix", BESIDE)
def test_what_is_beside_the_table_is_found_nowhere(city: DeliveredCity, suffix: str):
    after, more = BESIDE[suffix]
    case = case_of(suffix, "lieu", STREETS, field="address", more=more, after=after)
    if suffix == "geojson":
        message = refusal_of(case, city)  # GDAL makes a column of what is beside the properties
        assert "says nothing of the column" in message
    else:
        accepted(case, city)
    assert not places_of(ASIDE, city)


def test_a_refused_row_keeps_no_person(city: DeliveredCity):
    """Neither the row that cannot be cut, nor a contact where a number, a date or a code should be."""
    email, phone, name = PERSONS["email"][0], PERSONS["phone"][0], PERSONS["person_name"][0]
    rows = [";".join(map(str, row.cells)) for row in good_rows(ROWS)]
    rows[3] = f"{rows[3]};{name};{phone}"
    for place, value in ((5, email), (7, phone)):
        cells = rows[place].split(";")
        cells[3] = value
        rows[place] = ";".join(cells)
    cells = rows[9].split(";")
    rows[9] = ";".join([cells[0], email, *cells[2:]])
    cells = rows[11].split(";")
    rows[11] = ";".join([*cells[:2], f"{name} {phone}", *cells[3:]])
    case = case_of("csv", "lieu", STREETS, after=lambda path: path.write_text("\n".join([";".join(NAMES), *rows])))
    case.deliver(city)
    report = ingest(city.load(), city.home)
    check_conservation(city, report)
    assert report.figures["log.rejected"] == 3
    assert report.figures["log.masked"] == 4
    assert not places_of([email, phone, name], city)


def test_a_corrected_delivery_after_a_refused_one_is_taken(city: DeliveredCity):
    refusal_of(case_of("csv", "observations", PERSONS["phone"], field="address"), city)
    accepted(case_of("csv", "observations", STREETS, field="address"), city)
    assert not places_of(PERSONS["phone"], city)
