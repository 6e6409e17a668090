"""A whole delivery: what is masked, what is refused, and what the message says."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers.errors import DeliveryError
from layers.personal import Screen
from layers.personal.columns import screened as screened_column
from layers.personal.detection import verdict
from layers.personal.policies import policy_of
from support.personal_values import INNOCENT, PERSONAL

STREETS = [f"{n} rue des Alouettes" for n in range(1, 101)]
PHONE, EMAIL = "06 39 98 12 34", "jean.dupont@laposte.net"
TEXT_TYPES = [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string()),
              pa.dictionary(pa.int32(), pa.large_string())]  # fmt: skip

WORDS = st.sampled_from(
    ["rue", "Paradis", "12", "bis", "-", "vol", "13006", "Marseille", "près", "du", "parc", "(n° 3)"]
)


def rows(size: int, first: int = 1) -> np.ndarray:
    return np.arange(first, first + size, dtype=np.int64)


def one_column(values, kind=None):
    return pa.table({"col7": pa.array(values, pa.string()).cast(kind or pa.string())})


@pytest.fixture
def screen(source_of) -> Screen:
    return Screen(source_of("incidents", {"address": "col7"}), "log.csv")


@pytest.mark.parametrize("kind", TEXT_TYPES, ids=str)
def test_a_stray_phone_is_masked_in_every_type_that_text_can_have(screen, kind):
    table = one_column([*STREETS, PHONE, None], kind)
    kept = screen.batch(table, rows(102))
    assert kept.schema == table.schema
    assert kept.column("col7").cast(pa.string()).to_pylist() == [*STREETS, None, None]
    assert screen.conclude() == {"col7": {"phone": 1}}


def test_a_value_that_no_row_of_a_dictionary_uses_does_not_stay_in_it(screen):
    words = pa.array([*STREETS, PHONE])
    column = pa.DictionaryArray.from_arrays(pa.array([3, None, 99], pa.int8()), words)
    kept = screen.batch(pa.table({"col7": column}), rows(3)).column("col7").chunk(0)
    assert kept.to_pylist() == [STREETS[3], None, STREETS[99]]
    assert PHONE not in kept.dictionary.to_pylist()
    assert screen.conclude() == {}


@pytest.mark.parametrize(
    "column",
    [
        pa.array([33639981234, 639981234]), pa.array([4.1, 2.0]), pa.array([True, None]), pa.nulls(2),
        pa.array([0, 1], pa.timestamp("us")), pa.array([0, 1], pa.date32()),
        pa.array([1, 2], pa.decimal128(12, 2)), pa.array([7, 7]).dictionary_encode(),
    ],
    ids=lambda column: str(column.type),
)  # fmt: skip
def test_columns_that_cannot_be_text_are_passed_on(screen, column):
    table = pa.table({"col7": column})
    assert screen.batch(table, rows(2)).equals(table)
    assert screen.conclude() == {}


@pytest.mark.parametrize("column", [pa.array([[PHONE]]), pa.array([{"a": PHONE}]), pa.array([PHONE.encode()])], ids=str)
def test_columns_that_cannot_be_looked_into_are_refused(screen, column):
    with pytest.raises(DeliveryError, match=r"log.csv: column 'col7': .* holds no text") as error:
        screen.batch(pa.table({"col7": column}), rows(1))
    assert PHONE not in str(error.value)


def test_a_personal_column_is_named_with_its_rows_and_never_with_a_value(screen):
    screen.batch(one_column(STREETS), rows(100))
    screen.batch(one_column([*STREETS[:90], *[EMAIL] * 3, *[PHONE] * 7]), rows(100, first=101))
    with pytest.raises(DeliveryError) as error:
        screen.conclude()
    message = str(error.value)
    assert message.startswith(
        "log.csv: column 'col7' holds persons: email in 3 of 200 values (rows 191, 192, 193); phone"
    )
    assert "phone in 7 of 200 values (rows 194, 195, 196, 197, 198, …)" in message
    assert "drop or pseudonymise of source 'log'" in message
    assert EMAIL not in message
    assert PHONE not in message


@pytest.mark.parametrize(
    ("hits", "values", "refused"),
    [(2, 4, False), (3, 4, True), (3, 150, True), (3, 151, False), (20, 1000, True), (19, 1000, False)],
)
def test_three_values_and_two_per_cent_make_a_column_personal(screen, hits, values, refused):
    screen.batch(one_column([PHONE] * hits + [STREETS[0]] * (values - hits) + [None] * 500), rows(values + 500))
    if refused:
        with pytest.raises(DeliveryError):
            screen.conclude()
    else:
        assert screen.conclude() == {"col7": {"phone": hits}}


def test_a_plainly_personal_column_is_refused_without_waiting_for_its_end(screen):
    with pytest.raises(DeliveryError, match="in its first rows"):
        screen.batch(one_column([PHONE, STREETS[0]] * 600), rows(1200))


def test_masked_values_do_not_depend_on_how_rows_are_cut_into_batches(source_of):
    values = [*STREETS, PHONE, *STREETS, EMAIL, *STREETS]
    kept = []
    for size in (7, 100, 1000):
        screen = Screen(source_of("incidents", {"address": "col7"}), "log.csv")
        table = one_column(values)
        parts = [
            screen.batch(table.slice(i, size), rows(len(values))[i : i + size]) for i in range(0, len(values), size)
        ]
        kept.append((pa.concat_tables(parts).column("col7").to_pylist(), screen.conclude()))
    assert kept[0] == kept[1] == kept[2]
    assert kept[0][1] == {"col7": {"email": 1, "phone": 1}}


def test_dropped_pseudonymised_and_own_columns_are_left_alone(source_of):
    source = source_of("incidents", {"address": "col7"}, drop=["TEL"], pseudonymise=["AGENT"])
    table = pa.table({"TEL": [PHONE] * 5, "AGENT": [EMAIL] * 5, "__name__": [EMAIL] * 5, "col7": STREETS[:5]})
    screen = Screen(source, "log.csv")
    assert screen.batch(table, rows(5)).equals(table)
    assert screen.conclude() == {}


def test_a_column_that_feeds_two_fields_is_judged_by_the_more_lenient(source_of):
    names = ["JULES FERRY", "Jean-François Leca", "Marie Dupont"] * 10
    source = source_of("sensitive_sites", {"name": "col7", "address": "col7"})
    screen = Screen(source, "sites.csv")
    assert screen.batch(one_column(names), rows(30)).column("col7").to_pylist() == names
    assert screen.conclude() == {}


@pytest.mark.parametrize("field", ["severity", "precision_m", "started_at", "ended_at"])
def test_columns_of_numbers_and_times_are_looked_through_too(screened, field):
    ordinary = ["12", "3,5", "01/02/2023 14:30", "2023-01-12", "14h30", "20230112143000", "4 500", "1e3"] * 30
    for value, kind in ((PHONE, "phone"), ("0639981234", "phone"), (EMAIL, "email"), ("DUPONT Jean", "person_name")):
        kept, masked = screened(field, [*ordinary, value])
        assert kept == [*ordinary, None]
        assert masked == {kind: 1}


@given(
    before=st.lists(WORDS, max_size=5),
    after=st.lists(WORDS, max_size=5),
    planted=st.one_of(
        st.from_regex(r"\A[a-z][a-z0-9._+-]{0,12}[a-z0-9]@[a-z0-9]{1,12}\.(?:fr|com|org|museum)\Z"),
        st.from_regex(r"\A(?:0|\+33|\+33 |0033 ?|\+33 \(0\))[1-79][0-9]{8}\Z"),
        st.from_regex(r"\A0[1-79](?: [0-9]{2}){4}\Z|\A0[1-79](?:\.[0-9]{2}){4}\Z|\A0[1-79](?:-[0-9]{2}){4}\Z"),
    ),
    field=st.sampled_from(["address", "category", "title", "name"]),
    kind=st.sampled_from(TEXT_TYPES),
)
def test_a_planted_contact_never_survives(source_of, before, after, planted, field, kind):
    layer = {"title": "events", "name": "sensitive_sites"}.get(field, "incidents")
    if field == "category" and planted.isdecimal():
        planted = f"{planted[:2]} {planted[2:]}"  # a code may have ten digits
    text = " ".join([*before, planted, *after])
    screen = Screen(source_of(layer, {field: "col7"}), "log.csv")
    kept = screen.batch(one_column([*STREETS[:40], text], kind), rows(41)).column("col7")
    assert kept.cast(pa.string()).to_pylist() == [*STREETS[:40], None]
    assert sum(screen.conclude()["col7"].values()) == 1


@given(st.integers(0, 2**32))
def test_ordinary_addresses_pass_whatever_their_order(source_of, seed):
    draw = random.Random(seed)
    types = ["rue", "avenue", "bd", "Impasse", "PLACE", "chemin"]
    names = [
        "Jean Jaurès",
        "du Général de Gaulle",
        "Monsieur Vincent",
        "Mme de Sévigné",
        "M. Thorez",
        "DES LICES",
        "du 8 Mai 1945",
    ]
    values = [
        f"{draw.randrange(1, 400)}{draw.choice([' ', ' bis ', ', ', 'B '])}{draw.choice(types)} {draw.choice(names)}"
        f"{draw.choice(['', ', 13006 Marseille', ' 13001', ' - 13388 Marseille cedex 13'])}"
        for _ in range(20)
    ]
    screen = Screen(source_of("incidents", {"address": "col7"}), "log.csv")
    assert screen.batch(one_column(values), rows(20)).column("col7").to_pylist() == values
    assert screen.conclude() == {}


def test_a_cell_of_megabytes_is_taken_out_at_once(screen):
    for cell in ("a" * 5_000_000, "@" * 5_000_000, "0639981234" * 500_000, "rue " * 1_000_000):
        assert screen.batch(one_column([*STREETS, cell]), rows(101)).column("col7").to_pylist() == [*STREETS, None]
    assert screen.conclude() == {"col7": {"narrative": 4}}


PARTS = st.one_of(
    st.sampled_from([kind_and_value[1] for kind_and_value in PERSONAL]), st.sampled_from(INNOCENT), st.text(max_size=8)
)


@given(texts=st.lists(st.lists(PARTS, min_size=1, max_size=3).map(" ".join), min_size=1, max_size=8))
def test_no_value_is_passed_over_that_a_look_at_each_would_find(source_of, texts):
    for field in ("address", "category", "severity"):
        policy = policy_of(source_of("incidents", {field: "col7"}), "col7")
        _, hits = screened_column(pa.array(texts, pa.string()), policy)
        assert hits.positions.tolist() == [i for i, text in enumerate(texts) if verdict(text, policy).weight]
