"""A second city from its own city file alone: Toronto, 240,992 open records, no boundary, no camera, no site."""

import datetime as dt
import json
import shutil
from collections import Counter
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from layers.home import Home
from layers.lake import layer_table
from layers.runs import RunManifest, open_run
from support.services import calanque, serving

DATA = "incidents/toronto_mci_2014_2021.parquet"
CITY_FILE = Path(__file__).parent / "toronto" / "city.toml"
THEMES = {
    "persons": {"Assault", "Robbery"},
    "property": {"Break and Enter", "Auto Theft", "Theft Over"},
}
pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def delivery(shared_data: Path) -> Path:
    return shared_data / DATA


@pytest.fixture(scope="module")
def toronto(delivery: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Home folder of Toronto, built on a machine whose clock is elsewhere."""
    folder = tmp_path_factory.mktemp("toronto")
    shutil.copy(CITY_FILE, folder)
    (folder / delivery.name).symlink_to(delivery)
    summary = json.loads(
        calanque("build", "--json", "--city", str(folder), home=folder / "home", TZ="Pacific/Auckland")
    )
    assert summary["city"] == "toronto"
    return folder / "home"


@pytest.fixture(scope="module")
def manifest(toronto: Path) -> RunManifest:
    return open_run(Home(toronto)).manifest


def in_period(moment: dt.datetime) -> bool:
    return 2014 <= moment.year <= 2021


def test_every_record_is_kept_and_exact_duplicates_stay_distinct(toronto: Path, delivery: Path):
    incidents = layer_table(Home(toronto), "incidents").read(["id", "date"])
    assert incidents.num_rows == pq.ParquetFile(delivery).metadata.num_rows == 240_992
    assert pc.count_distinct(incidents["id"]).as_py() == 240_992
    assert pc.min(incidents["date"]).as_py().year == 1966  # the stragglers are kept, and not analysed


def test_local_dates_are_those_of_the_file(toronto: Path, delivery: Path):
    """Naive local times of Toronto: the date and hour of the layer are the file's, whatever the machine's zone."""
    given = Counter(t.date() for t in pq.read_table(delivery, columns=["occurred_at"])["occurred_at"].to_pylist())
    kept = Counter(layer_table(Home(toronto), "incidents").read(["date"])["date"].to_pylist())
    assert kept == given


def test_instants_are_those_of_the_zone(toronto: Path, delivery: Path):
    """Oracle: zoneinfo, on the records of one summer and one winter day."""
    wanted = Counter(
        t.replace(tzinfo=ZoneInfo("America/Toronto")).astimezone(dt.UTC)
        for t in pq.read_table(delivery, columns=["occurred_at"])["occurred_at"].to_pylist()
        if t.date() in {dt.date(2019, 1, 15), dt.date(2019, 7, 15)}
    )
    table = layer_table(Home(toronto), "incidents").read(["date", "started_at"]).to_pylist()
    kept = Counter(r["started_at"] for r in table if r["date"] in {dt.date(2019, 1, 15), dt.date(2019, 7, 15)})
    assert len(wanted) > 20
    assert kept == wanted


def test_only_what_the_city_has_is_a_collection(manifest: RunManifest):
    families = {product.spec.family for product in manifest.products}
    assert families == {"incidents", "neighbourhoods", "hex_incidents", "hotspots", "risk_density"}


def test_thiessen_zones_are_the_named_neighbourhoods(toronto: Path, delivery: Path):
    names = set(pq.read_table(delivery, columns=["neighbourhood"])["neighbourhood"].to_pylist()) - {None}
    zones = layer_table(Home(toronto), "zones_neighbourhoods").read(["key", "name", "area_m2"])
    land_m2 = layer_table(Home(toronto), "land").read(["area_m2"])["area_m2"][0].as_py()
    assert set(zones["name"].to_pylist()) == names
    assert pc.sum(zones["area_m2"]).as_py() == pytest.approx(land_m2, rel=1e-6)


@pytest.mark.parametrize("theme", ["persons", "property", None])
def test_cells_count_the_records_of_the_period(theme: str | None, toronto: Path, delivery: Path):
    """Oracle: the delivery, counted by hand; every position is on the land, which is made of them."""
    rows = pq.read_table(delivery, columns=["occurred_at", "mci"]).to_pylist()
    kinds = THEMES[theme] if theme else set.union(*THEMES.values())
    wanted = sum(r["mci"] in kinds and in_period(r["occurred_at"]) for r in rows)
    run = open_run(Home(toronto))
    file = next(iter(run.manifest.product("hex_incidents").forms.values()))
    column = f"n_{theme}" if theme else "n"
    assert pc.sum(pq.read_table(run.path(file), columns=[column])[column]).as_py() == wanted


def test_it_is_served(toronto: Path, manifest: RunManifest):
    with serving(toronto) as url, httpx.Client(base_url=url, timeout=60) as client:
        collections = client.get("/collections?f=json").json()["collections"]
        assert {c["id"] for c in collections} == {product.spec.id for product in manifest.products}
        incidents = client.get("/collections/incidents/items?f=json&limit=1").json()
        assert incidents["numberMatched"] == 240_992
        lon, lat = incidents["features"][0]["geometry"]["coordinates"]
        assert -79.7 < lon < -79.1
        assert 43.5 < lat < 43.9
        page = client.get("/map")
        assert page.status_code == httpx.codes.OK
        assert "Toronto" in page.text
        assert "Marseille" not in page.text
