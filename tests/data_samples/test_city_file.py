"""Contract: the sample's city file is valid and speaks of every column, code and file that the generator writes."""

from __future__ import annotations

import ast
import hashlib
import itertools
import json
import tomllib

import pandas as pd
import pytest

from data_samples.marseille.generator import parameters as p
from data_samples.marseille.generator.land import FOLDER
from layers.city import load_city
from layers.home import Home
from layers.lake import LakeTable

FLOORS = {"layers", "hexgrid", "spatial", "risk_surfaces", "styles", "ogc_server"}


@pytest.fixture(scope="module")
def city():
    return load_city(FOLDER)


def test_themes_and_categories_are_the_generators(city):
    assert list(city.taxonomy.themes) == [t.key for t in p.THEMES]
    for theme in p.THEMES:
        assert list(city.taxonomy.themes[theme.key].categories) == [c.key for c in theme.categories]
        assert city.taxonomy.themes[theme.key].sensitive == theme.sensitive
    assert (city.analysis.start, city.analysis.end, city.analysis.as_of) == (p.START, p.END, p.END)


def test_every_source_code_is_mapped_to_its_category(city):
    mapped = {(s.id, code): category for s in city.sources for code, category in s.categories.items()}
    written = {(s, code): c.key for t in p.THEMES for c in t.categories for s, code, _ in c.codes}
    assert mapped == written


def test_four_sources_in_four_formats(city):
    incidents = [s for s in city.sources if s.layer == "incidents"]
    assert sorted(s.read.format for s in incidents) == ["csv", "geojson", "gpkg", "xlsx"]
    names = [{c for rule in s.columns.values() for c in rule.reads()} for s in incidents]
    assert not any(a & b - {"adresse", "ADRESSE", "PRECISION_M", "precision_m", "gravite"}
                   for a, b in itertools.combinations(names, 2))  # fmt: skip
    assert sum(len(s.deliveries) == 2 for s in incidents) == 1


def test_heads_hold_the_declared_columns(city):
    """Each delivered column is read or dropped, none else: nothing would be refused."""
    for source in city.sources:
        if "/reference/" in source.deliveries[0]:
            continue  # heads are those of deliveries
        name = source.deliveries[0].rsplit("/", 1)[-1]
        head = FOLDER / name if name == "sites.csv" else next((FOLDER / "heads").glob(f"{name}*"))
        if head.suffix == ".csv":
            delimiter = source.read.delimiter or ","
            have = set(head.read_text(encoding="utf-8").splitlines()[0].split(delimiter))
        else:
            have = set(json.loads(head.read_text(encoding="utf-8"))["features"][0]["properties"])
        declared = {c for rule in source.columns.values() for c in rule.reads()} | set(source.drop)
        assert have == declared, source.id


def test_quartiers_and_sites_are_open_data_without_persons():
    features = json.loads((FOLDER / "quartiers.geojson").read_text(encoding="utf-8"))["features"]
    keys = [f["properties"]["key"] for f in features]
    assert len(set(keys)) == len(keys) == 111
    assert keys[0] == "13201-belsunce"
    assert len({f["properties"]["arrondissement"] for f in features}) == 16
    sites = (FOLDER / "sites.csv").read_text(encoding="utf-8")
    assert len(sites.splitlines()) == 1_376
    table = pd.read_csv(FOLDER / "sites.csv", dtype=str)
    assert table["id"].is_unique
    for pattern in ("@", r"\b0[1-9](?:[ .]?\d\d){4}\b"):
        assert not table.drop(columns=["lon", "lat"]).apply(lambda c, w=pattern: c.str.contains(w)).any(axis=None)
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert "Licence Ouverte" in readme
    assert "Ville de Marseille, quartiers" in readme


def test_the_generator_imports_no_floor():
    for path in [*(FOLDER / "generator").glob("*.py"), FOLDER / "analysis_of_truth.py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {n.split(".")[0] for n in names} & FLOORS, path


def test_the_lake_holds_what_the_truth_says(sample_home, truth, truth_records):
    """The built sample: every record once, at its true instant, in its category; refusals as planted."""
    home = Home(sample_home)
    rejects = LakeTable(home.rejects, p.MC).read().to_pandas()
    delivery = hashlib.sha256((FOLDER / "generated" / "deliveries" / "main_courante.csv").read_bytes()).hexdigest()
    rejects = rejects[rejects["delivery"] == delivery]  # a home that is kept also remembers earlier deliveries
    found = dict(zip(rejects["row"], rejects["reason"], strict=True))
    assert found == {d["row"]: d["reason"] for d in truth["dirty_rows"] if d["expected"] == "rejected"}
    incidents = LakeTable(home.layers, "incidents").read().to_pandas()
    merged = incidents["merged_ids"].dropna().map(len).sum()
    assert len(incidents) + merged == len(truth_records) + 2  # the unknown code and the record at sea are kept
    by_address = incidents["located_by"] == "address"  # an address alone is enough: the sample has its streets
    assert (incidents["located_by"][~by_address] == "coordinates").all()
    assert (incidents["theme"] == "unmapped").sum() == 1
    both = incidents.merge(truth_records, on=["source", "record_id"], suffixes=("", "_true"))
    assert len(both) == len(incidents) - 2
    assert (both["has_coordinates"] == (both["located_by"] == "coordinates")).all()
    exact = both[~both["is_interval"] & (both["kind"] != "near_duplicate")]
    assert (exact["started_at"] == exact["true_utc"]).all()
    assert (both["theme"] == both["theme_true"]).all()
    assert (both["category"] == both["category_true"]).all()


def test_city_file_is_plain_toml():
    assert tomllib.loads((FOLDER / "city.toml").read_text(encoding="utf-8"))["city"]["metric_crs"] == "EPSG:2154"
