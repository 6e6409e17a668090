from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from layers.city import City, Source
from layers.errors import LakeError
from layers.home import Home
from layers.issues import Reason
from layers.quality import Report, read_report, report_names, source_report, summary_lines, write_reports
from layers.quality.page import time_chart, typographic
from layers.quality.reasons import REASONS
from layers.quality.wording import counted, date_form, date_text, decimal, listed, percent, whole
from layers.steps import Stage
from support.delivered_city import DeliveredCity
from support.made_source import NO_REJECTS, MadeSource, incidents, profile_of, rejects

NOON = np.array(["2024-05-15T10:07"] * 200, dtype="datetime64[us]") + np.arange(200) * np.timedelta64(1, "D")


@pytest.fixture
def city(small_city: DeliveredCity) -> City:
    return small_city.load()


@pytest.fixture
def source(city: City) -> Source:
    return city.sources[0]


def accepted(**changes: object) -> pa.Table:
    """Two hundred faultless records, one a day."""
    n = 200
    columns: dict[str, object] = {
        "record_id": [f"MC{i}" for i in range(n)],
        "category": ["night_noise"] * n,
        "source_code": ["N1"] * n,
        "started_at": NOON,
        "severity": pa.array([1] * n, pa.int8()),
        "provenance": ["reported"] * n,
        "precision_m": [5.0] * n,
        "lon": pa.array(5.37123 + np.arange(n) * 0.00137),
        "lat": pa.array(43.30123 + np.arange(n) * 0.00037),
    }
    return incidents(**(columns | changes))


def report(
    source: Source, city: City, table: pa.Table | None = None, refused: pa.Table = NO_REJECTS, **given
) -> Report:
    profile = profile_of((accepted() if table is None else table, refused)).document()
    known: dict = {"figures": {}, "reasons": {}, "unmapped": {}, "profiles": [profile], "records": None, "masked": {}}
    known["deliveries"] = [{"name": "log.csv", "digest": "ab" * 32, "rows": 200, "order": 1}]
    return source_report(source, city, **(known | given))


def codes(made: Report) -> set[str]:
    return {advice["code"] for advice in made.document["recommendations"]}


def advice(made: Report, code: str) -> dict:
    return next(a for a in made.document["recommendations"] if a["code"] == code)


def with_precision(source: Source) -> Source:
    columns = {name: rule.model_dump() for name, rule in source.columns.items()} | {
        "precision_m": {"column": "PRECISION"}
    }
    return Source.model_validate(source.model_dump() | {"columns": columns})


def test_a_faultless_delivery_has_nothing_to_correct(source: Source, city: City):
    made = report(with_precision(source), city)
    assert codes(made) == set()
    assert (
        made.document["headline"]["fr"] == "200 lignes reçues, 100\N{NARROW NO-BREAK SPACE}% retenues. Rien à corriger."
    )


def test_missing_positions_are_said_with_their_share_and_the_cure(source: Source, city: City):
    gone = np.arange(200) < 10
    table = accepted(lon=pa.array(np.full(200, 5.37123), mask=gone), lat=pa.array(np.full(200, 43.30123), mask=gone))
    found = advice(report(source, city, table), "not_located")
    assert found["level"] == "correct"
    assert found["text"]["fr"].startswith(
        "5,0\N{NARROW NO-BREAK SPACE}% des lignes (10) n’ont pas de position : joindre X et Y"
    )
    assert found["evidence"] == {"rows": 10, "share": 0.05}


def test_refused_dates_show_the_form_received_and_the_one_expected(source: Source, city: City):
    refused = rejects(*((row, "started_at", "2024-05-15 10:20", "invalid_date") for row in range(1, 8)))
    found = advice(report(source, city, refused=refused), "refused_rows")
    assert "« 9999-99-99 99:99 »" in found["text"]["fr"]
    assert "jj/mm/aaaa hh:mm" in found["text"]["fr"]
    assert "(DATE, HEURE)" in found["text"]["fr"]
    assert found["evidence"]["first_rows"] == [1, 2, 3]


def test_single_faults_are_named_together(source: Source, city: City):
    refused = rejects(
        (1, "severity", "99", "out_of_range"),
        (2, None, None, "malformed_row"),
        (3, "coordinates", "0 0", "zero_coordinates"),
    )
    made = report(source, city, refused=refused)
    assert "refused_rows" not in codes(made)
    assert advice(made, "single_faults")["evidence"]["rows"] == 3
    assert made.document["rejects"][-1]["rows"] == [
        {"row": 3, "field": "coordinates", "value": "0 0", "column": "X, Y"}
    ]


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("midnight", {"started_at": NOON.astype("datetime64[D]").astype("datetime64[us]") - np.timedelta64(2, "h")}),
        ("round_times", {"started_at": NOON.astype("datetime64[h]").astype("datetime64[us]")}),
        ("coarse_positions", {"lon": np.full(200, 5.37), "lat": 43.3 + np.arange(200) * 0.001}),
        ("common_position", {"lon": np.full(200, 5.36978), "lat": np.full(200, 43.29695)}),
        ("long_intervals", {"ended_at": NOON + np.timedelta64(3, "D")}),
        ("empty_field", {"severity": pa.array([1] * 40 + [None] * 160, pa.int8())}),
        ("gaps", {"started_at": np.repeat(np.concatenate([NOON[:9], NOON[40:51]]), 10)}),
    ],
)
def test_habits_of_a_source_are_asked_about(code: str, changes: dict, source: Source, city: City):
    assert code in codes(report(source, city, accepted(**changes)))
    assert code not in codes(report(source, city))


def test_what_ingestion_counted_becomes_advice(source: Source, city: City):
    made = report(
        source,
        city,
        figures={"equal_rows": 12, "near_duplicates": 3, "times_skipped_by_clock": 2},
        unmapped={"Z9": 4, "Z8": 9},
        masked={"ADRESSE": {"phone": 2, "email": 1}, "X": {"ip": 0}},
    )
    assert {"equal_rows", "near_duplicates", "skipped_hours", "unmapped_codes", "personal_values"} <= codes(made)
    assert "Z8 (9), Z9 (4)" in advice(made, "unmapped_codes")["text"]["fr"]
    assert "ADRESSE (adresse électronique, numéro de téléphone)" in advice(made, "personal_values")["text"]["fr"]
    assert made.document["masked"] == {"ADRESSE": {"email": 1, "phone": 2}}


def test_records_at_sea_are_asked_about(source: Source, city: City):
    records = pa.table(
        {"on_land": pa.array([True] * 150 + [False] * 50), "zone_blocks": pa.array(["A0"] * 150 + [None] * 50)}
    )
    made = report(source, city, records=records)
    assert advice(made, "off_land")["rows"] == 50
    assert made.document["positions"]["zones"] == [
        {
            "level": "blocks",
            "title": {"fr": "Îlots", "en": "Blocks"},
            "zones": 1,
            "commonest": [["A0", 150]],
            "records": 150,
        }
    ]


def test_a_shift_of_the_clock_since_the_previous_delivery_is_a_suspicion_of_time_zone(
    source: Source, city: City, rng: np.random.Generator
):
    one, other = MadeSource.draw(rng, 40_000).halves(rng)
    shifted = other.changed(hour=(other.hour + 2) % 24)
    made = report(source, city, profiles=[one.document(), shifted.document()])
    found = advice(made, "drift_hours")
    assert "fuseau horaire" in found["text"]["fr"]
    assert "time zone" in found["text"]["en"]
    assert found["evidence"]["detail"]["shift_hours"] == 2


def test_a_source_without_ids_is_told(source: Source, city: City):
    columns = {name: rule.model_dump() for name, rule in source.columns.items() if name != "record_id"}
    assert "no_record_id" in codes(report(Source.model_validate(source.model_dump() | {"columns": columns}), city))


def test_a_source_with_nothing_has_a_report(source: Source, city: City):
    made = report(source, city, profiles=[], deliveries=[])
    assert made.document["headline"]["en"] == "No row received."
    assert "Aucune ligne reçue" in made.html()


def test_the_urgent_comes_first(source: Source, city: City):
    refused = rejects(*((row, "severity", "99", "out_of_range") for row in range(30)))
    made = report(source, city, accepted(started_at=NOON.astype("datetime64[h]").astype("datetime64[us]")), refused)
    levels = [a["level"] for a in made.document["recommendations"]]
    assert levels == sorted(levels, key=["correct", "check", "know"].index)


def test_every_reason_of_a_refusal_has_words():
    assert {str(reason) for reason in Reason} <= set(REASONS)


def test_a_reason_without_words_is_shown_by_its_code(source: Source, city: City):
    made = report(source, city, refused=rejects((1, None, None, "unheard_of")))
    assert made.document["rejects"][0]["title"] == {"fr": "unheard_of", "en": "unheard_of"}


class _Page(HTMLParser):
    """What a page loads, and whether its elements are closed in order."""

    VOID = frozenset({"meta", "link", "br", "rect", "line"})

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.open: list[str] = []
        self.names: set[str] = set()
        self.captions = self.tables = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.tables += tag == "table"
        self.captions += tag == "caption"
        self.loaded += [v for k, v in attrs if k in {"src", "href", "xlink:href"} and v != "data:,"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)


def full_report(source: Source, city: City) -> Report:
    refused = rejects(*((row, "started_at", "<script>alert(1)</script>", "invalid_date") for row in range(9)))
    source = Source.model_validate(source.model_dump() | {"title": {"fr": "<b>Main</b>", "en": "Log & more"}})
    profile = profile_of((accepted(ended_at=NOON), refused)).document()
    return report(
        source,
        city,
        profiles=[profile, profile],
        unmapped={"<img src=x onerror=alert(1)>": 3},
        masked={"<i>": {"phone": 2}},
        records=pa.table({"on_land": [True], "zone_blocks": ["A0"]}),
        deliveries=[{"name": "<s>.csv", "digest": "0" * 64, "rows": 9, "order": n} for n in (1, 2)],
    )


def test_the_page_is_whole_loads_nothing_and_escapes_every_value(source: Source, city: City):
    text = full_report(source, city).html()
    page = _Page()
    page.feed(text)
    assert page.open == []
    assert page.loaded == []
    assert not page.names & {"script", "img", "b" + "ase", "iframe", "s", "i", "object", "form"}
    assert page.captions == page.tables > 6
    assert "&lt;script&gt;" in text
    assert "@import" not in text
    assert "url(" not in text


def test_the_page_is_in_french_with_english_marked(source: Source, city: City):
    text = full_report(source, city).html()
    assert re.search(r'<!doctype html>\s*<html lang="fr">', text)
    assert text.count('lang="en"') > 30
    assert "Recommandations" in text


def test_a_report_is_the_same_each_time_and_its_page_is_drawn_from_its_json(source: Source, city: City):
    one, other = full_report(source, city), full_report(source, city)
    assert json.dumps(one.document) == json.dumps(other.document)
    assert Report(one.source, json.loads(json.dumps(one.document))).html() == other.html()


def test_reports_are_written_in_the_stage_and_read_back(source: Source, city: City, tmp_path: Path):
    home = Home(tmp_path / "home")
    with pytest.raises(LakeError, match="no layers yet"):
        report_names(home)
    stage = Stage(home, "ingest", "k" * 8)
    made = full_report(source, city)
    written = write_reports(stage.begin(), [made])
    assert sorted(path.name for path in written) == ["log.html", "log.json"]
    stage.finish([], {})
    assert report_names(home) == ["log"]
    assert read_report(home, "log").document == json.loads(json.dumps(made.document))
    with pytest.raises(LakeError, match=r"no quality report of source 'other'.*log"):
        read_report(home, "other")
    headline, lines = summary_lines(read_report(home, "log"))
    assert headline.startswith("209 rows received")
    assert lines


def test_numbers_are_written_as_people_do():
    thin = "\N{NARROW NO-BREAK SPACE}"
    assert (whole(1234567).fr, whole(1234567).en) == (f"1{thin}234{thin}567", "1,234,567")
    assert (decimal(-0.126, 2).fr, decimal(1234.5).en) == ("-0,13", "1,234.5")
    assert [percent(s).en for s in (0, 0.0001, 0.5, 0.9999, 1)] == ["0%", "<0.1%", "50.0%", ">99.9%", "100%"]
    assert [counted(n, ("ligne", "lignes"), ("row", "rows")).fr for n in (0, 1, 2)] == [
        "0 ligne",
        "1 ligne",
        "2 lignes",
    ]
    assert [counted(n, ("ligne", "lignes"), ("row", "rows")).en for n in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]
    assert (date_text("2024-03-01").fr, date_text("2024-03-02").en) == ("1er mars 2024", "2 March 2024")
    assert date_form("%d/%m/%Y %H:%M").fr == "jj/mm/aaaa hh:mm"
    assert (listed(["a", "b", "c"], 2).fr, listed(["a"], 2).en) == ("a, b et 1 autre", "a")
    assert (
        typographic("Vu : « a » ?")
        == "Vu\N{NO-BREAK SPACE}: «\N{NO-BREAK SPACE}a\N{NO-BREAK SPACE}»\N{NO-BREAK SPACE}?"
    )


def test_bars_of_a_chart_hold_every_record_of_whole_periods():
    days = {f"2024-{month:02d}-{day:02d}": 2 for month in range(1, 13) for day in range(1, 29)}
    chart = time_chart(days, "2024-01-01", "2024-12-28")
    assert chart is not None
    assert chart.period.en == "by week"
    assert len(chart.bars) == 51
    assert chart.highest == 14
    assert time_chart({"2024-01-01": 3}, "2024-01-01", "2024-01-01") is None
    assert time_chart({}, None, None) is None
