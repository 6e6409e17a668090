"""Open data of cities: contacts are found in the columns that hold them, and nothing is refused elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
import pytest

from layers.errors import DeliveryError
from layers.personal import Screen

CONTACTS = {
    "marseille_batiments_institutionnels_2018.csv": (",", "Numero de telephone", "phone"),
    "marseille_equipements_sportifs_2018.csv": (",", "Numero de telephone", "phone"),
    "marseille_ecoles_maternelles_2018.csv": (";", "Email", "email"),
    "marseille_creches_ukxm5oz.csv": (",", "Téléphone", "phone"),
    "marseille_lieux_culturels_2018_jrvozrd.csv": ("\t", "Numero de telephone", "phone"),
}


def read(path: Path, delimiter: str = ",") -> pa.Table:
    options = pcsv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    names = pcsv.open_csv(path, parse_options=options).schema.names
    text = pcsv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True)
    return pcsv.read_csv(path, parse_options=options, convert_options=text)


def masked_share(source, table: pa.Table, column: str) -> float:
    """Share of a column's values that are masked; the delivery is not refused."""
    screen = Screen(source, "file")
    screen.check_header([column])
    kept = screen.batch(table.select([column]), np.arange(1, len(table) + 1)).column(column)
    counted = sum(screen.conclude().get(column, {}).values())
    gone = kept.null_count - table.column(column).null_count
    assert counted == gone
    return gone / max(len(table) - table.column(column).null_count, 1)


@pytest.mark.parametrize("file", CONTACTS)
def test_columns_of_contacts_are_refused_by_header_and_by_value(shared_data, source_of, file):
    delimiter, column, kind = CONTACTS[file]
    table = read(shared_data / "marseille/sites/raw" / file, delimiter)
    with pytest.raises(DeliveryError, match=kind):
        Screen(source_of("sensitive_sites", {"address": column}), file).check_header(table.column_names)
    plain = table.select([column]).rename_columns(["observations"])
    screen = Screen(source_of("sensitive_sites", {"address": "observations"}), file)
    screen.batch(plain, np.arange(1, len(table) + 1))
    with pytest.raises(DeliveryError, match=f"{kind} in") as error:
        screen.conclude()
    assert not any(value in str(error.value) for value in set(plain.column(0).drop_null().to_pylist()))


def test_names_and_addresses_of_sites_are_left_alone(shared_data, source_of):
    table = read(shared_data / "marseille/sites/sites_merged.csv")
    assert masked_share(source_of("sensitive_sites", {"name": "name"}), table, "name") == 0
    assert masked_share(source_of("sensitive_sites", {"address": "address"}), table, "address") == 0
    assert masked_share(source_of("sensitive_sites", {"category": "category"}), table, "category") == 0


@pytest.mark.parametrize("prefix", ["", "12 ", "12 bis, "])
def test_names_of_streets_are_no_persons(shared_data, source_of, prefix):
    table = read(shared_data / "marseille/sites/osm_streets_index.csv")
    streets = pa.table({"voie": [prefix + name for name in table.column("name").to_pylist() if name]})
    source = source_of("incidents", {"address": "voie"})
    assert masked_share(source, streets, "voie") == 0
    renamed = streets.rename_columns(["adr"])
    assert masked_share(source_of("incidents", {"address": "adr"}), renamed, "adr") <= 1 / 5_000
    assert masked_share(source_of("sensitive_sites", {"name": "adr"}), renamed, "adr") == 0


def test_events_keep_their_ids_and_titles(shared_data, source_of):
    table = read(shared_data / "marseille/events/events_2026.csv")
    assert masked_share(source_of("events", {"record_id": "event_id"}), table, "event_id") == 0
    assert masked_share(source_of("events", {"nature": "categories"}), table, "categories") == 0
    # One title in 2,182 names somebody after an abbreviated civility.
    assert masked_share(source_of("events", {"title": "title"}), table, "title") <= 1 / 2_000


def test_dangerous_buildings_keep_their_addresses(shared_data, source_of):
    table = read(shared_data / "marseille/incidents/arretes_peril_2018_2019.csv")
    for column in ("adresse", "result_label"):
        assert masked_share(source_of("incidents", {"address": column}), table, column) == 0


@pytest.mark.parametrize(
    ("file", "field", "column"),
    [
        ("toronto_mci_2014_2021", "category", "mci"),
        ("toronto_mci_2014_2021", "zone_districts", "neighbourhood"),
        ("toronto_mci_2014_2021", "category", "premises_type"),
        ("nyc_vehicle_thefts_2014_2017", "category", "location_type"),
        ("nyc_vehicle_thefts_2014_2017", "record_id", "census_block"),
        ("portland_calls_2016_08_09", "category", "case_desc"),
        ("portland_calls_2016_08_09", "category", "final_case"),
    ],
)
def test_texts_of_other_cities_are_left_alone(shared_data, source_of, file, field, column):
    table = pq.read_table(shared_data / f"incidents/{file}.parquet", columns=[column])
    assert masked_share(source_of("incidents", {field: column}), table, column) == 0
