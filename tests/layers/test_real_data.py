"""Real deliveries: Toronto's crimes from its city file alone, and the city of Marseille's own lists of sites."""

from __future__ import annotations

import shutil
import zoneinfo
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from layers.city import load_city
from layers.home import Home
from layers.ingest import ingest
from layers.lake import layer_table, reject_table
from support.delivered_city import DeliveredCity

TORONTO = Path(__file__).resolve().parents[1] / "system" / "toronto"


@pytest.fixture(scope="module")
def toronto(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Path, dict]:
    folder = tmp_path_factory.mktemp("toronto")
    shutil.copy(TORONTO / "city.toml", folder)
    data = shared_data / "incidents" / "toronto_mci_2014_2021.parquet"
    (folder / data.name).symlink_to(data)
    home = Home(folder / "home")
    report = ingest(load_city(folder), home)
    return home, data, dict(report.figures)


def test_all_of_toronto_is_taken_and_equal_rows_are_different_records(toronto: tuple[Home, Path, dict]):
    home, data, figures = toronto
    given = pq.read_table(data).to_pandas()
    assert (figures["mci.rows"], figures["mci.accepted"], figures["mci.rejected"]) == (240_992, 240_992, 0)
    ids = layer_table(home, "incidents").read(["id"]).column("id")
    assert len(ids.unique()) == len(ids) == 240_992
    # The description of the data counts 1,603 rows that repeat another in every column.
    assert given.duplicated().sum() == 1_603
    assert reject_table(home, "mci").read().num_rows == 0


def test_local_hours_of_toronto_come_back(toronto: tuple[Home, Path, dict]):
    home, data, figures = toronto
    taken = layer_table(home, "incidents").read(["date", "hour", "started_at"])
    given = pq.read_table(data, columns=["occurred_at"]).column("occurred_at").to_numpy()
    hours = np.bincount(given.astype("datetime64[h]").astype(int) % 24, minlength=24)
    found = np.bincount(taken.column("hour").to_numpy(), minlength=24)
    skipped = figures["mci.times_skipped_by_clock"]
    assert 0 < skipped < 30
    # The only hours that move are those that the clocks skipped: from two to three.
    assert (hours - found).tolist() == [0, 0, skipped, -skipped, *[0] * 20]
    first = pc.min(taken.column("started_at")).as_py().astimezone(zoneinfo.ZoneInfo("America/Toronto"))
    assert str(first.date()) == "1966-06-09"


def test_neighbourhoods_of_toronto_are_made_of_its_points(toronto: tuple[Home, Path, dict]):
    home, data, _ = toronto
    zones = layer_table(home, "zones_neighbourhoods").read().to_pandas()
    land = layer_table(home, "land").read().to_pandas()
    assert len(zones) == 140
    assert zones["area_m2"].sum() == pytest.approx(land["area_m2"].iloc[0], rel=1e-6)
    # The city of Toronto is 630.2 km² (Statistics Canada, census of 2016); the hull of its points is somewhat more.
    assert 630e6 < land["area_m2"].iloc[0] < 900e6
    taken = layer_table(home, "incidents").read(["lon", "lat", "zone_neighbourhoods", "on_land"]).to_pandas()
    assert taken["on_land"].all()
    names = zones.set_index("key")["name"]
    given = pq.read_table(data, columns=["lon", "lat", "neighbourhood"]).to_pandas()
    given = given.groupby([given["lon"].round(8), given["lat"].round(8)])["neighbourhood"].agg(
        lambda n: n.mode().iloc[0]
    )
    taken["name"] = taken["zone_neighbourhoods"].map(names)
    positions = taken.groupby([taken["lon"].round(8), taken["lat"].round(8)])["name"].first()
    assert (positions == given.astype(str).reindex(positions.index)).mean() > 0.999


SITES = {
    "marseille_creches_ukxm5oz.csv": 198,
    "marseille_ecoles_maternelles_2018.csv": 241,
    "marseille_monuments_historiques_2018.csv": 79,
    "crous-marseille.csv": 14,
}
"""Untouched city files of 2018 and the number of sites that their description gives."""


@pytest.mark.parametrize("name", SITES)
def test_city_files_with_their_own_separators_and_line_breaks(shared_data: Path, small_city: DeliveredCity, name: str):
    file = shared_data / "marseille" / "sites" / "raw" / name
    header = file.read_text(encoding="utf-8-sig").splitlines()[0]
    delimiter = max(";,\t", key=header.count)
    columns = [c.strip().strip('"') for c in header.split(delimiter)]

    def column(*beginnings: str) -> str:
        return next(c for c in columns if c.lower().startswith(beginnings))

    title, lon, lat = column("nom", "name", "dénomination"), column("lon"), column("lat")
    dropped = [c for c in columns if c not in {title, lon, lat}]
    shutil.copy(file, small_city.folder / "sites.csv")
    start = small_city.folder.joinpath("city.toml").read_text().split("[[sources]]")[0]
    small_city.write_toml(
        start
        + f"""[[sources]]
id = "sites"
layer = "sensitive_sites"
title = {{ fr = "Sites", en = "Sites" }}
organisation = "Ville de Marseille"
deliveries = ["sites.csv"]
crs = "EPSG:4326"
drop = {dropped}
[sources.columns]
name = "{title}"
category = {{ const = "site" }}
lon = "{lon}"
lat = "{lat}"
"""
    )
    figures = dict(ingest(small_city.load(), small_city.home).figures)
    assert (figures["sites.rows"], figures["sites.accepted"]) == (SITES[name], SITES[name])
    lons = layer_table(small_city.home, "sensitive_sites").read(["lon"]).column("lon").to_numpy()
    assert lons.min() > 5.2
    assert lons.max() < 5.6
