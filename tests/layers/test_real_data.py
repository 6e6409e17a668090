"""Real deliveries, as their producers publish them, through city files alone (``real/<name>/city.toml``).

Every row is accounted for, also when a corrected file is delivered; then the lists of Marseille. Expected values are
those of an independent reading with pandas, and of the description of the data.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from layers.lake import layer_table
from support.real_city import RealCity, read_plainly

CITIES = ("marseille", "france", "toronto", "new_york", "portland", "memphis")

SITES = {
    "residences_crous": 14,
    "bases_nautiques_plages": 27,
    "batiments_institutionnels": 71,
    "creches": 198,
    "ecoles_elementaires": 227,
    "ecoles_maternelles": 241,
    "equipements_sociaux": 162,
    "equipements_sportifs": 138,
    "lieux_culturels": 109,
    "monuments_historiques": 79,
    "parcs_jardins": 109,
}
"""Sites in the ten files of the city of Marseille and that of the CROUS, as the description of the data counts them."""

ROWS = {("marseille", source): rows for source, rows in SITES.items()} | {
    ("marseille", "annuaire"): 745,
    ("marseille", "annuaire_lambert"): 745,
    ("marseille", "cameras"): 1_358,
    ("marseille", "arretes_peril"): 244,
    ("marseille", "evenements"): 2_182,
    ("marseille", "lieux"): 335,
    ("france", "velo"): 9_365,
    ("france", "caracteristiques"): 10_000,
    ("toronto", "mci"): 240_992,
    ("new_york", "thefts"): 35_746,
    ("portland", "calls"): 37_819,
    ("memphis", "robberies"): 2_245,
}
"""Rows that each file holds, as the description of the data counts them."""


@pytest.mark.parametrize(("city", "source"), ROWS)
def test_every_row_that_comes_in_is_accounted_for(ingested, city: str, source: str):
    figures = ingested(city).of(source)
    assert figures["rows"] == ROWS[city, source]
    assert figures["rows"] == figures["accepted"] + figures["rejected"]
    became = sum(figures[name] for name in ("new", "updated", "unchanged", "merged", "rejected"))
    assert figures["rows"] == became
    assert figures["records"] == figures["new"] == len(ingested(city).records(source))
    assert figures["withdrawn"] == figures["updated"] == figures["unchanged"] == 0


@pytest.mark.parametrize("city", CITIES)
def test_what_has_not_changed_is_not_ingested_again(ingested, city: str):
    real = ingested(city)
    before = dict(real.figures)
    assert real.ingest()
    assert real.figures == before


@pytest.mark.parametrize("city", CITIES)
def test_the_raw_copy_holds_mapped_columns_only(ingested, city: str):
    real = ingested(city)
    derived = {level.thiessen.by for level in real.city.zones if level.thiessen}
    for source in real.city.sources:
        read = {column for rule in source.columns.values() for column in rule.reads()} | derived
        files = list((real.home.raw / source.id).rglob("*.parquet"))
        assert files
        for file in files:
            names = {name for name in pq.read_schema(file).names if not name.startswith("__")}
            assert names <= read


def corrected(plain: pd.DataFrame, *, key: str | None, text: str) -> pd.DataFrame:
    """A delivery with five rows dropped, seven changed in one column, and three added."""
    new = plain.iloc[5:].reset_index(drop=True)
    new.loc[:6, text] = new.loc[:6, text] + " bis"
    added = new.iloc[20:23].copy()
    added[text] = added[text] + " annexe"
    if key is not None:
        added[key] = [f"N{n}" for n in range(3)]
    return pd.concat([new, added], ignore_index=True)


def test_a_corrected_delivery_updates_adds_and_withdraws(shared_data: Path, tmp_path: Path):
    real = RealCity.at(tmp_path / "city", "marseille", shared_data)
    real.ingest()
    before = {source.id: real.of(source.id) for source in real.city.sources}
    changed = {
        "annuaire": ("identifiant_de_l_etablissement", "nom_etablissement"),
        "evenements": ("event_id", "title"),
        "creches": (None, "Nom de la crèche"),
    }
    for source, (key, text) in changed.items():
        path = real.delivered(source)
        plain = read_plainly(path)
        path.unlink()
        corrected(plain, key=key, text=text).to_csv(path, index=False)
    assert not real.ingest()
    for source, first in before.items():
        figures = real.of(source)
        assert figures["rows"] == sum(figures[n] for n in ("new", "updated", "unchanged", "merged", "rejected"))
        if source not in {*changed, "annuaire_lambert"}:
            assert figures == first
            continue
        rows = first["rows"]
        assert figures["rows"] == rows + rows - 2
        assert figures["records"] == rows - 2
        if source == "creches":  # without ids a record is known by its content: a changed one is another
            expected = {"new": rows + 10, "updated": 0, "unchanged": rows - 12, "withdrawn": 12}
        else:
            expected = {"new": rows + 3, "updated": 7, "unchanged": rows - 12, "withdrawn": 5}
        assert {name: figures[name] for name in expected} == expected
    names = real.records("annuaire")["name"]
    assert names.str.endswith(" bis").sum() == 7
    assert names.str.endswith(" annexe").sum() == 3


@pytest.mark.parametrize("source", SITES)
def test_city_files_with_their_own_separators_and_line_breaks(ingested, source: str):
    real = ingested("marseille")
    columns = next(s for s in real.city.sources if s.id == source).columns
    plain = read_plainly(real.delivered(source)).apply(lambda column: column.str.strip())
    wanted = {name: columns[name].column for name in ("name", "address", "lon", "lat")}
    given = pd.DataFrame({name: plain[column] for name, column in wanted.items()})
    given["category"] = plain[columns["category"].column] if columns["category"].column else columns["category"].const
    given["capacity"] = plain[columns["capacity"].column] if "capacity" in columns else ""
    figures = real.of(source)
    assert (figures["rejected"], figures["not_located"]) == (0, 0)
    assert figures["equal_rows"] == given.duplicated().sum()
    found = real.records(source)[[*wanted, "category"]].fillna({"address": ""})
    given = given.astype({"lon": float, "lat": float}).round(9)[list(found.columns)]
    order = list(found.columns)
    pd.testing.assert_frame_equal(
        found.sort_values(order).reset_index(drop=True),
        given.sort_values(order).reset_index(drop=True),
        rtol=0,
        atol=2e-9,
    )
    assert found["lon"].between(5.229, 5.520).all()
    assert found["lat"].between(43.198, 43.389).all()


def test_phones_and_addresses_of_persons_are_in_no_site(ingested):
    sites = layer_table(ingested("marseille").home, "sensitive_sites").read(["name", "address"]).to_pandas()
    text = sites["name"].fillna("") + " " + sites["address"].fillna("")
    assert not text.str.contains(r"@|\b0[1-9](?:[ .]?\d\d){4}\b").any()


def test_degrees_and_lambert_of_one_file_are_the_same_places(ingested):
    """The directory gives both; pyproj takes one to the other within 4e-8 degree (description of the data)."""
    real = ingested("marseille")
    plain = read_plainly(real.delivered("annuaire")).set_index("identifiant_de_l_etablissement")
    by_degrees, by_metres = (
        real.records(s).set_index("record_id").sort_index() for s in ("annuaire", "annuaire_lambert")
    )
    plain = plain.loc[by_degrees.index]
    for name, axis in (("longitude", "lon"), ("latitude", "lat")):
        assert np.abs(plain[name].astype(float) - by_metres[axis]).max() < 1e-7
        assert np.abs(plain[name].astype(float) - by_degrees[axis]).max() < 1e-9
    for name, axis in (("coordx_origine", "x_m"), ("coordy_origine", "y_m")):
        assert np.abs(plain[name].astype(float) - by_metres[axis]).max() < 0.001
        assert np.abs(plain[name].astype(float) - by_degrees[axis]).max() < 0.02


def test_cameras_that_stand_in_one_place_are_counted(ingested):
    """1,358 rows, 532 positions (description of the data): three layers of one map put together."""
    real = ingested("marseille")
    positions = read_plainly(real.delivered("cameras"))[["lon", "lat"]].astype(float).round(6).drop_duplicates()
    found = real.records("cameras")[["lon", "lat"]].round(6)
    assert set(found.itertuples(index=False, name=None)) == set(positions.itertuples(index=False, name=None))
    assert len(positions) == 532
    figures = real.of("cameras")
    assert (figures["records"], figures["merged"], figures["rejected"]) == (1_358, 0, 0)
    assert figures["equal_rows"] == 1_358 - 532


def test_orders_without_a_date_are_refused_and_the_others_last_a_day(ingested):
    real = ingested("marseille")
    plain = read_plainly(real.delivered("arretes_peril"))
    undated = {row for row, date in enumerate(plain["date_arrete"], start=1) if not date}
    reasons = real.reasons("arretes_peril")
    assert {row for row, reason in reasons.items() if reason == "missing_date"} == undated
    assert len(undated) == real.of("arretes_peril")["rejected"] == 244 - 71
    found = real.records("arretes_peril").set_index("record_id")
    given = plain.set_index("id")["date_arrete"].loc[found.index]
    assert (found["date"].astype(str) == given).all()
    assert found["hour"].isna().all()
    # One dated order is geocoded in Aix: it is kept, off the land.
    assert found["lat"].gt(43.5).sum() == 1
    assert not found.loc[found["lat"].gt(43.5), "on_land"].any()


def test_events_keep_their_instants_and_count_what_their_nature_does_not_say(ingested):
    real = ingested("marseille")
    plain = read_plainly(real.delivered("evenements")).set_index("event_id")
    found = real.records("evenements").set_index("record_id").loc[plain.index]
    assert (found["starts_at"] == pd.to_datetime(plain["start"], utc=True)).all()
    # A title that reads like the name of a person ("… de M. Zimmermann") is masked and counted, its event is kept.
    kept = found["title"].notna()
    assert (found["title"] == plain["title"].str.strip())[kept].all()
    assert (~kept).sum() == real.of("evenements")["masked"] < 5
    several = plain["categories"].str.contains("|", regex=False)
    assert (found["nature"] == "unmapped").equals(several)
    figures = real.of("evenements")
    assert figures["unmapped"] == several.sum() == 17
    assert figures["not_located"] == figures["records"] == 2_182


def test_venues_without_a_place_are_refused(ingested):
    """335 venues, 23 of them with coordinates (description of the data): a site is nothing without its place."""
    real = ingested("marseille")
    plain = read_plainly(real.delivered("lieux"))
    nowhere = {row for row, lon in enumerate(plain["lon"], start=1) if not lon}
    assert real.reasons("lieux") == dict.fromkeys(sorted(nowhere), "missing_coordinates")
    assert set(real.records("lieux")["record_id"]) == set(plain.loc[plain["lon"] != "", "slug"])
    assert real.of("lieux")["records"] == 23
