"""Contract: what the sample promises to later oracles, counted in the truth and in the deliveries themselves."""

from __future__ import annotations

import datetime as dt
import itertools
from zoneinfo import ZoneInfo

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from data_samples.marseille.generator import parameters as p

ZONE = ZoneInfo("Europe/Paris")


def test_size_themes_and_period(delivered):
    assert 80_000 <= len(delivered) <= 120_000
    per_theme = delivered["theme"].value_counts()
    assert len(per_theme) >= 9
    assert (per_theme >= 3_000).sum() >= 6
    assert per_theme.max() >= 10_000
    assert sorted(delivered["month"].unique()) == list(range(36))
    for theme in p.THEMES:
        assert 2 <= len(theme.categories) <= 4
        assert (theme.hot_places > 0) == (per_theme[theme.key] >= 3_000)


def test_truth_speaks_of_exactly_the_delivered_records(delivered, truth_records):
    key = ["source", "record_id"]
    both = delivered.merge(truth_records, on=key, how="outer", indicator=True, validate="one_to_one")
    assert (both["_merge"] == "both").all()
    assert (both["theme_x"] == both["theme_y"]).all()
    assert (both["category_x"] == both["category_y"]).all()
    located = both["has_coordinates"]
    assert (both["x_m"].notna() == located).all()
    away = np.hypot(both["x_m"] - both["true_x_m"], both["y_m"] - both["true_y_m"])[located]
    assert away.max() <= 50.1
    assert (away < 0.02).mean() > 0.85


def test_sources_write_the_instant_that_the_truth_holds(delivered, truth_records):
    both = delivered.merge(truth_records, on=["source", "record_id"])
    exact = both[~both["is_interval"] & (both["kind"] != "near_duplicate")]
    local = exact["true_utc"].dt.tz_convert(ZONE).dt.tz_localize(None)
    apart = exact["time"] != local
    # Only a clock that was not put forward differs: 02:30 is written, 03:30 is meant.
    assert (
        exact.loc[apart, "time"].dt.date.isin([dt.date(2023, 3, 26), dt.date(2024, 3, 31), dt.date(2025, 3, 30)])
    ).all()
    assert (exact.loc[apart, "time"].dt.hour == 2).all()
    assert apart.sum() >= 9


@pytest.mark.parametrize("night", ["2023-03-26", "2024-03-31", "2025-03-30", "2023-10-29", "2024-10-27", "2025-10-26"])
def test_both_clock_changes_of_each_year_have_records(delivered, truth_records, night):
    both = delivered.merge(truth_records, on=["source", "record_id"])
    date = pd.Timestamp(night)
    here = both[(both["component"] == "clock-change") & (both["true_utc"].dt.tz_convert(ZONE).dt.date == date.date())]
    assert len(here) == 12
    assert here["source"].nunique() >= 2
    if date.month == 10:  # both passes of the hour occur where the source can say which
        assert here["true_utc"].dt.hour.nunique() == 2


def test_provenance_severity_intervals_and_addresses(main_courante, verbalisations, allo_mairie, csu, truth_records):
    assert set(main_courante["ORIGINE"]) == {"S", "C", "Z"}
    assert set(main_courante["GRAVITE"]) == {"", "1", "2", "3", "4", "99"}
    intervals = (main_courante["FIN_FAIT"] != "").sum() + allo_mairie[1]["date_fin"].notna().sum()
    intervals += verbalisations["FIN"].notna().sum() + csu["fin"].notna().sum()
    assert 0.03 < intervals / len(truth_records) < 0.10
    bare = (main_courante["LONGITUDE"] == "") & (main_courante["ADRESSE"] != "")
    assert 500 < bare.sum() < 3_000
    assert 500 < allo_mairie[1].geometry.isna().sum() < 3_000
    assert allo_mairie[1].loc[allo_mairie[1].geometry.isna(), "adresse"].notna().all()
    assert (truth_records["theme"] == "violences_familiales").sum() > 1_500


def test_second_delivery_corrects_the_first(allo_mairie, sample):
    first, second = (frame.set_index("id_signalement") for frame in allo_mairie)
    changes = pd.read_csv(sample / "truth" / "corrections.csv").set_index("record_id")["change"]
    assert set(first.index) - set(second.index) == set(changes.index[changes == "withdrawn"])
    assert set(second.index) - set(first.index) == set(changes.index[changes == "added"])
    common = first.index.intersection(second.index)
    a, b = first.loc[common], second.loc[common]
    moved = ~a.geometry.geom_equals_exact(b.geometry, 0.001) & a.geometry.notna()
    assert set(common[moved]) == set(changes.index[changes == "place"])
    assert set(common[a["type"] != b["type"]]) == set(changes.index[changes == "code"])
    assert set(common[a["date_debut"] != b["date_debut"]]) == set(changes.index[changes == "time"])
    assert (a["adresse"].fillna("") == b["adresse"].fillna("")).all()


def test_near_duplicates_are_near_and_others_are_not(delivered, truth_records):
    both = delivered.merge(truth_records, on=["source", "record_id"])
    copies = both[both["kind"] != "original"]
    originals = both.set_index(["source", "record_id"])
    model = originals.loc[list(zip(copies["duplicate_of_source"], copies["duplicate_of"], strict=True))].reset_index()
    apart = np.hypot(copies["x_m"].to_numpy() - model["x_m"], copies["y_m"].to_numpy() - model["y_m"])
    minutes = np.abs((copies["time"].to_numpy() - model["time"].to_numpy()) / np.timedelta64(1, "m"))
    near = (copies["kind"] == "near_duplicate").to_numpy()
    assert near.sum() == p.NEAR_DUPLICATES
    assert (~near).sum() == p.EXACT_DUPLICATES
    assert apart[near].max() <= p.NEAR_DUPLICATE_M + 0.05
    assert minutes[near].max() <= p.NEAR_DUPLICATE_MINUTES
    assert (copies["source"].to_numpy() != model["source"])[near].all()
    assert apart[~near].max() == 0
    assert minutes[~near].max() == 0
    assert (copies["category_x"].to_numpy() == model["category_x"]).all()


def test_duplicates_can_be_told_from_chance(delivered, truth_records):
    """Pairs of one category from two sources within 30 m and 15 min are planted ones in 99 of 100 cases."""
    both = delivered.merge(truth_records, on=["source", "record_id"])
    q = both[both["has_coordinates"] & ~both["is_interval"]].reset_index(drop=True)
    points = shapely.points(q["x_m"], q["y_m"])
    i, j = shapely.STRtree(points).query(points, predicate="dwithin", distance=30.0)
    minutes = q["time"].to_numpy().astype("datetime64[m]").astype(np.int64)
    category, source = (q[c].astype("category").cat.codes.to_numpy() for c in ("category_x", "source"))
    keep = (i < j) & (category[i] == category[j]) & (source[i] != source[j]) & (np.abs(minutes[i] - minutes[j]) <= 15)
    i, j = i[keep], j[keep]
    key = (q["source"] + "/" + q["record_id"]).to_numpy()
    model = (q["duplicate_of_source"] + "/" + q["duplicate_of"]).to_numpy()
    planted = (model[i] == key[j]) | (model[j] == key[i])
    assert planted.sum() / p.NEAR_DUPLICATES >= 0.95
    assert planted.mean() >= 0.99


def test_dirty_rows_are_where_the_truth_says(main_courante, truth):
    rows = {row["kind"]: (row, main_courante.iloc[row["row"] - 1]) for row in truth["dirty_rows"]}
    assert len(rows) == len(truth["dirty_rows"]) == 16
    assert rows["missing_date"][1]["DATE_FAIT"] == ""
    assert rows["impossible_date"][1]["DATE_FAIT"].startswith("31/02")
    assert rows["swapped_axes"][1]["LONGITUDE"].startswith("43,")
    assert rows["null_island"][1]["LATITUDE"] == "0,0000000"
    assert rows["unknown_code"][1]["CODE"] == "MC999"
    assert rows["missing_category"][1]["CODE"] == ""
    assert rows["empty_id"][1]["NUM_MC"] == ""
    twin = rows["duplicated_id"][1]
    assert (main_courante["NUM_MC"] == twin["NUM_MC"]).sum() == 2
    assert main_courante["NUM_MC"].duplicated().sum() == 1
    assert all((row["expected"] == "rejected") == bool(row["reason"]) for row, _ in rows.values())


def test_contagion_is_its_own_category_near_and_soon(truth_records):
    children = truth_records[truth_records["contagion_parent"] != ""]
    assert set(children["category"]) == {p.CONTAGIOUS}
    assert len(children) > 400
    originals = truth_records[truth_records["kind"] == "original"]
    parents = originals.set_index("record_id").loc[children["contagion_parent"]]
    days = (children["true_utc"].to_numpy() - parents["true_utc"].to_numpy()) / np.timedelta64(1, "D")
    apart = np.hypot(
        children["true_x_m"].to_numpy() - parents["true_x_m"], children["true_y_m"].to_numpy() - parents["true_y_m"]
    )
    assert days.min() > 0
    assert days.max() <= p.OFFSPRING_MAX_DAYS + 0.1
    assert 2.5 < days.mean() < 4.5
    assert 40 < np.median(apart) < 85


def test_burst_school_excess_and_trends(truth, truth_records, quartiers):
    burst = truth_records[truth_records["component"] == "burst"]
    assert len(burst) >= 40
    assert (burst["true_utc"].max() - burst["true_utc"].min()).days < p.BURST_DAYS
    school = truth_records[truth_records["component"] == "school"]
    local = school["true_utc"].dt.tz_convert(ZONE)
    assert (local.dt.dayofweek < 5).all()
    assert local.dt.hour.between(7, 18).mean() > 0.85
    assert not local.dt.month.eq(8).any()
    points = shapely.points(truth_records["true_x_m"], truth_records["true_y_m"])
    year = truth_records["true_utc"].dt.tz_convert(ZONE).dt.year.to_numpy()
    after_crisis = (truth_records["true_utc"] >= pd.Timestamp(p.CRISIS_START, tz=ZONE)).to_numpy()
    outlines = quartiers.set_index("key").geometry
    for key, kind in truth["trends"].items():
        inside = shapely.contains(outlines[key], points)
        ratio = (inside & (year == 2025)).sum() / (inside & (year == 2023)).sum()
        if kind == "rise":
            assert ratio > 1.3, key
        elif kind == "fall":
            assert ratio < 0.75, key
        else:
            share = (inside & after_crisis).sum() / inside.sum()
            assert share > 1.5 * 61 / p.DAYS, key


def test_emerging_places_follow_their_patterns(truth_records):
    month = truth_records["true_utc"].dt.tz_convert(ZONE)
    month = (month.dt.year - 2023) * 12 + month.dt.month - 1
    counts = {
        pattern: np.bincount(month[truth_records["component"] == f"emerging/{pattern}"], minlength=36)
        for pattern in p.EMERGING_PATTERNS
    }
    assert counts["new"][34:].sum() > 0.9 * counts["new"].sum()
    assert counts["intensifying"][24:].sum() > 1.5 * counts["intensifying"][:12].sum()
    assert counts["diminishing"][:12].sum() > 1.5 * counts["diminishing"][24:].sum()
    on = np.isin(np.arange(36) % 6, (1, 2, 5))
    assert counts["sporadic"][on].sum() > 20 * counts["sporadic"][~on].sum()
    assert all(c.sum() >= 100 for c in counts.values())


def test_rain_and_season_act(sample, truth_records):
    weather = pd.read_csv(sample / "reference" / "meteo.csv", parse_dates=["date"]).set_index("date")
    assert len(weather) == p.DAYS
    local = truth_records["true_utc"].dt.tz_convert(ZONE).dt.tz_localize(None).dt.normalize()
    wet = weather["pluie_mm"] >= 2
    accidents = truth_records["theme"] == "accidents"
    per_day = local[accidents].value_counts().reindex(weather.index, fill_value=0)
    ratio = per_day[wet].mean() / per_day[~wet].mean()
    assert abs(np.log(ratio) - p.THEME["accidents"].rain_effect) < 0.12
    beach = local[truth_records["theme"] == "littoral"].dt.month.value_counts()
    assert beach[[7, 8]].sum() > 5 * beach[[12, 1]].sum()


def test_events_and_cameras(sample, truth):
    agenda = gpd.read_file(sample / "deliveries" / "agenda.geojson")
    works = gpd.read_file(sample / "deliveries" / "travaux.gpkg")
    assert len(agenda) + len(works) == 400
    assert set(agenda.geom_type) == {"Point", "Polygon"}
    assert set(works.geom_type) == {"Polygon"}
    planted = {tuple(pair) for pair in truth["event_conflicts"]["planted"]}
    assert len(planted) == p.CONFLICTS
    assert planted <= {tuple(pair) for pair in truth["event_conflicts"]["all"]}
    cameras = pd.read_csv(sample / "deliveries" / "cameras.csv")
    assert len(cameras) == 150
    assert (cameras["etat"] == "prévue").sum() == p.PLANNED_CAMERAS
    assert cameras.loc[cameras["etat"] == "prévue", "mise_en_service"].isna().all()
    assert (cameras.loc[cameras["type"] == "dôme", "angle_deg"] == 360).all()
    assert cameras["retrait"].notna().any()
    listed = set(itertools.chain.from_iterable(truth["scheme_cameras"].values()))
    assert set(cameras.loc[cameras["code"].isin(listed), "mise_en_service"]) == {p.INSTALLED.isoformat()}


def test_event_conflicts_are_all_pairs(sample, truth):
    """Oracle: compare every event of the agenda with every work, from the delivered files."""
    agenda = gpd.read_file(sample / "deliveries" / "agenda.geojson").to_crs(2154)
    works = gpd.read_file(sample / "deliveries" / "travaux.gpkg")
    found = set()
    for event, work in itertools.product(agenda.itertuples(), works.itertuples()):
        together = pd.Timestamp(event.debut) < pd.Timestamp(work.fin) and pd.Timestamp(work.debut) < pd.Timestamp(
            event.fin
        )
        if together and event.geometry.distance(work.geometry) <= 50:
            found.add((event.id, work.id))
    assert found == {tuple(pair) for pair in truth["event_conflicts"]["all"]}


def test_lighting_lowers_nights_only(truth_records, truth_areas):
    inside = truth_records[truth_records["component"] == "lighting"]
    local = inside["true_utc"].dt.tz_convert(ZONE)
    dark = (local.dt.hour >= 20) | (local.dt.hour < 6)
    after = local >= pd.Timestamp(p.LIGHTING_DATE, tz=ZONE)
    days = (pd.Timestamp(p.END) - pd.Timestamp(p.LIGHTING_DATE)).days
    rate = (dark & after).sum() / days / ((dark & ~after).sum() / (p.DAYS - days))
    assert 0.5 < rate < 0.85
    assert truth_areas.loc["lighting", "kind"] == "lighting"
