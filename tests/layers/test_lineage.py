from __future__ import annotations

import datetime as dt
import json

import pytest

from hexgrid.products import FAMILY as HEX_INCIDENTS
from layers.catalogue_records import catalogue_document
from layers.digests import digest_json
from layers.errors import RunError
from layers.ingest import ingest
from layers.lineage import FAMILIES, layers_of, lineage, products_using
from layers.products import Column, Form, Grain, Kind, ProductSpec
from layers.receiving import raw_deliveries
from layers.runs import Run, RunBuilder, RunFile, RunManifest, RunProduct, lake_inputs
from layers.values import Text
from risk_surfaces.specs import PRODUCT_ID as RISK_DENSITY
from spatial.specs import FAMILY as HOTSPOTS
from support.delivered_city import CITY_TOML, DeliveredCity, row

TITLE = Text(fr="Titre", en="Title")
DAY = dt.date(2024, 12, 31)


def spec(name: str, grain: Grain, **changes: object) -> ProductSpec:
    key = {Grain.CELL: "h3", Grain.ZONE: "key"}.get(grain, "id")
    known: dict = {
        "id": name,
        "family": name,
        "title": TITLE,
        "description": TITLE,
        "grain": grain,
        "key": key,
        "columns": (Column(name=key, kind=Kind.KEY, title=TITLE),),
        "resolution": 10 if grain is Grain.CELL else None,
    }
    return ProductSpec(**(known | changes))


SPECS = (
    spec("incidents", Grain.RECORD),
    spec("blocks", Grain.ZONE),
    spec(
        "hotspots",
        Grain.CELL,
        method=Text(fr="Getis-Ord", en="Getis-Ord Gi*"),
        parameters={"alpha": 0.05, "global_moran": {"all": 0.7}},
        seed=20260101,
    ),
    spec("risk_density", Grain.RASTER),
    spec("later_family", Grain.CELL),
)


def publish(city: DeliveredCity) -> Run:
    """Publish a run of the present layers, with products of every grain."""
    loaded = city.load()
    inputs = lake_inputs(loaded, city.home) | {"stages/index": "1" * 64, "stages/analyse": "2" * 64}
    run_id = digest_json(inputs)[:16]
    products = tuple(
        RunProduct(spec=each, forms={Form.EXACT: RunFile(path="data.txt", digest="a" * 64, rows=3)}) for each in SPECS
    )
    manifest = RunManifest(
        run_id=run_id, city_id="carre", as_of=DAY, inputs=inputs, city="c", code="x", lock="l", products=products
    )
    with RunBuilder(city.home, run_id) as builder:
        (builder.folder / "data.txt").write_text("data")
        return builder.finish(manifest)


@pytest.fixture
def ingested(small_city: DeliveredCity) -> DeliveredCity:
    ingest(small_city.load(), small_city.home)
    return small_city


def test_a_product_is_followed_to_the_digest_of_every_delivery(ingested: DeliveredCity):
    publish(ingested)
    found = lineage(ingested.home, None, "hotspots").document
    [raw] = raw_deliveries("log", ingested.home)
    incidents, land = found["layers"]
    assert (incidents["layer"], land["layer"]) == ("incidents", "land")
    assert incidents["current"]
    assert incidents["sources"][0]["source"] == "log"
    assert incidents["sources"][0]["deliveries"] == [
        {"order": 1, "digest": raw.received.digest, "name": "log.csv", "rows": 2, "purged_rows": 0, "held": True}
    ]
    assert (found["seed"], found["parameters"]["alpha"], found["method"]["en"]) == (20260101, 0.05, "Getis-Ord Gi*")
    assert found["steps"] == [{"step": "index", "key": "1" * 64}, {"step": "analyse", "key": "2" * 64}]
    assert found["unattributed"] == {}
    assert json.loads(json.dumps(found)) == found


def test_both_deliveries_of_a_corrected_file_are_in_the_lineage(ingested: DeliveredCity):
    ingested.deliver([row(1, severity="2"), row(2)])
    ingest(ingested.load(), ingested.home)
    publish(ingested)
    deliveries = lineage(ingested.home, None, "incidents").document["layers"][0]["sources"][0]["deliveries"]
    assert [d["order"] for d in deliveries] == list(range(1, len(deliveries) + 1))
    assert len({d["digest"] for d in deliveries}) == len(deliveries)
    assert deliveries[-1]["held"]


def test_an_older_run_says_that_the_lake_has_moved_on(ingested: DeliveredCity):
    run = publish(ingested)
    ingested.deliver([row(1, severity="3"), row(2), row(3)])
    ingest(ingested.load(), ingested.home)
    later = publish(ingested)
    assert later.manifest.run_id != run.manifest.run_id
    old = lineage(ingested.home, run.manifest.run_id, "hotspots")
    assert not old.document["layers"][0]["current"]
    assert "the lake holds another version now" in old.text()
    assert lineage(ingested.home, None, "hotspots").document["layers"][0]["current"]


def test_the_tree_names_method_seed_layer_source_file_and_digest(ingested: DeliveredCity):
    publish(ingested)
    text = lineage(ingested.home, None, "hotspots").text()
    [raw] = raw_deliveries("log", ingested.home)
    for part in (
        "Getis-Ord Gi*",
        "alpha 0.05",
        "seed 20260101",
        "incidents",
        "log.csv",
        raw.received.digest[:12],
        "2 rows",
    ):
        assert part in text
    assert "global_moran" not in text
    assert text.splitlines()[-1].startswith("└─ city file")


def test_a_source_that_the_city_file_names_no_more_is_not_lost(ingested: DeliveredCity):
    run = publish(ingested)
    ingested.write_toml(CITY_TOML.replace('id = "log"', 'id = "register"'))
    ingest(ingested.load(), ingested.home)
    found = lineage(ingested.home, run.manifest.run_id, "incidents")
    assert list(found.document["unattributed"]) == ["log/0001"]
    assert "names no more" in found.text()


def test_what_a_product_was_made_from_follows_from_what_it_is(ingested: DeliveredCity):
    run = publish(ingested)
    made = {p.spec.id: layers_of(p.spec, run.manifest) for p in run.manifest.products}
    assert made["incidents"] == ["incidents", "land", "zones_blocks", "zones_districts"]
    assert made["blocks"] == ["zones_blocks"]
    assert made["hotspots"] == made["risk_density"] == ["incidents", "land"]
    assert set(made["later_family"]) == {"incidents", "land", "zones_districts", "zones_blocks"}
    assert products_using(run, "incidents") == ["incidents", "hotspots", "risk_density", "later_family"]
    assert catalogue_document(ingested.home)["features"][0]["properties"]["usedBy"] == products_using(run, "incidents")


def test_the_table_of_families_names_the_products_of_every_floor():
    assert set(FAMILIES) == {HEX_INCIDENTS, HOTSPOTS, RISK_DENSITY}


def test_an_unknown_run_or_product_is_refused_by_name(ingested: DeliveredCity):
    with pytest.raises(RunError, match="no published run"):
        lineage(ingested.home, None, "hotspots")
    publish(ingested)
    with pytest.raises(RunError, match="no product 'nothing'"):
        lineage(ingested.home, None, "nothing")
    with pytest.raises(RunError, match="no run 'ffff'"):
        lineage(ingested.home, "ffff", "hotspots")
