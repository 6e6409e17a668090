"""Planted places: areas that keep their distance, hot places that the permutation tail finds, and nothing else."""

from __future__ import annotations

import itertools

import h3
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import shapely

from data_samples.marseille.generator import parameters as p
from data_samples.marseille.generator.cells import outlines
from support.hot_cells import hot

HOT_THEMES = [t.key for t in p.THEMES if t.hot_places]


@pytest.fixture(scope="module")
def cell_truth(sample) -> dict[int, pd.DataFrame]:
    return {r: pq.read_table(sample / "truth" / f"cells_r{r}.parquet").to_pandas() for r in (9, 10, 11)}


@pytest.fixture(scope="module")
def cell_counts(delivered, cell_truth, land) -> dict[int, pd.DataFrame]:
    """Counts of located, on-land records by cell and theme, through the hierarchy from base cells."""
    located = delivered[delivered["x_m"].notna()]
    located = located[shapely.contains_xy(land, located["x_m"], located["y_m"])]
    from data_samples.marseille.generator.land import to_degrees

    lon, lat = to_degrees(located["x_m"].to_numpy(), located["y_m"].to_numpy())
    base = [h3.latlng_to_cell(b, a, 11) for a, b in zip(lon, lat, strict=True)]
    out = {}
    for resolution in (9, 10):
        cell = pd.Series([h3.cell_to_parent(c, resolution) for c in base], name="h3")
        table = pd.crosstab(cell, located["theme"].to_numpy())
        out[resolution] = table.reindex(cell_truth[resolution]["h3"], fill_value=0)
        assert out[resolution].to_numpy().sum() == len(located)
    return out


@pytest.fixture(scope="module")
def land_share(cell_truth) -> dict[int, np.ndarray]:
    out = {}
    for resolution in (9, 10):
        table = cell_truth[resolution]
        whole = shapely.area(outlines(np.array([int(c, 16) for c in table["h3"]])))
        out[resolution] = table["land_area_m2"].to_numpy() / whole
    return out


def test_universe_is_the_land(cell_truth, land):
    assert [len(cell_truth[r]) for r in (9, 10)] == [2613, 17009]
    for resolution in (9, 10):
        assert cell_truth[resolution]["land_area_m2"].sum() == pytest.approx(land.area, rel=1e-6)


@pytest.mark.parametrize("theme", [t.key for t in p.THEMES])
def test_expected_is_one_sum_at_every_resolution_and_agrees_with_the_records(theme, cell_truth, delivered):
    column = f"expected_{theme}"
    totals = [cell_truth[r][column].sum() for r in (9, 10, 11)]
    assert totals[0] == pytest.approx(totals[2], abs=0.1)
    assert totals[1] == pytest.approx(totals[2], abs=0.1)
    children = cell_truth[10].groupby(cell_truth[10]["h3"].map(lambda c: h3.cell_to_parent(c, 9)))[column].sum()
    parents = cell_truth[9].set_index("h3")[column]
    assert np.allclose(children.reindex(parents.index), parents, atol=1e-3)
    n = (delivered["theme"] == theme).sum()
    copies = (p.EXACT_DUPLICATES + p.NEAR_DUPLICATES) / len(delivered)
    assert abs(n - totals[0]) < 6 * np.sqrt(n) + 2 * copies * n


def test_massifs_are_nearly_empty(delivered, quartiers):
    wild = quartiers.set_index("key").geometry
    wild = wild[[k for k in wild.index if k.endswith(("-sormiou", "-carpiagne", "-les-iles"))]]
    points = shapely.points(delivered["x_m"].fillna(0), delivered["y_m"].fillna(0))
    inside = sum(int(shapely.contains(shape, points).sum()) for shape in wild)
    city = len(delivered) / quartiers.area.sum()
    assert 0 < inside / wild.area.sum() < 0.03 * city


def test_records_off_the_land_are_few_and_known(delivered, land):
    located = delivered[delivered["x_m"].notna()]
    off = ~shapely.contains_xy(land, located["x_m"], located["y_m"])
    assert off.sum() < 0.001 * len(located)


def test_hot_places_are_as_promised(truth, cell_truth):
    places = [a for a in truth["places"] if a["kind"] == "hot_place"]
    assert min(np.sqrt(a["area_m2"] / np.pi) for a in places) >= 400
    for theme in HOT_THEMES:
        own = [a for a in places if a["of"] == theme]
        assert 3 <= len(own) <= 6
        for a, b in itertools.combinations(own, 2):
            assert np.hypot(a["x_m"] - b["x_m"], a["y_m"] - b["y_m"]) > 1_300
        table = cell_truth[9]
        percentile = np.quantile(table[f"expected_{theme}"], 0.95)
        assert percentile == pytest.approx(truth["themes"][theme]["percentile95_r9"], rel=0.06)
        outline = outlines(np.array([int(c, 16) for c in table["h3"]]))
        for place in own:
            disc = shapely.Point(place["x_m"], place["y_m"]).buffer(p.HOT_RADIUS_M)
            share = shapely.area(shapely.intersection(outline, disc)) / shapely.area(outline)
            inside = table.loc[share > 0.5, f"expected_{theme}"]
            assert 3.0 <= inside.mean() / percentile <= 5.0, place["id"]


@pytest.mark.parametrize("theme", HOT_THEMES)
def test_hot_places_are_found_at_resolution_9(theme, cell_truth, cell_counts, land_share):
    table, counts = cell_truth[9], cell_counts[9][theme].to_numpy()
    flagged = hot(table["h3"].tolist(), counts, land_share[9])
    planted = (table[f"place_{theme}"] > 0.5).to_numpy()
    expected = table[f"expected_{theme}"].to_numpy()
    assert planted.sum() >= 12
    assert flagged[planted].mean() >= 0.90
    assert flagged[expected < expected.mean()].mean() <= 0.01


@pytest.mark.parametrize(
    "theme", [pytest.param(t, marks=() if i < 2 else pytest.mark.prove) for i, t in enumerate(HOT_THEMES)]
)
def test_every_place_has_a_hot_cell_at_resolution_10(theme, truth, cell_truth, cell_counts, land_share):
    table, counts = cell_truth[10], cell_counts[10][theme].to_numpy()
    cells = table["h3"].tolist()
    flagged = hot(cells, counts, land_share[10])
    centre = shapely.centroid(outlines(np.array([int(c, 16) for c in cells])))
    for place in truth["places"]:
        if place["kind"] == "hot_place" and place["of"] == theme:
            inside = shapely.dwithin(centre, shapely.Point(place["x_m"], place["y_m"]), p.HOT_RADIUS_M)
            assert flagged[inside].any(), place["id"]
    expected = table[f"expected_{theme}"].to_numpy()
    assert flagged[expected < expected.mean()].mean() <= 0.01


def test_schemes_controls_and_places_keep_apart(truth_areas):
    schemes = truth_areas[truth_areas["kind"] == "scheme"]
    controls = truth_areas[truth_areas["kind"] == "control"]
    rings = truth_areas[truth_areas["kind"] == "control_ring"]
    assert sorted(schemes["of"]) == ["A", "B", "C"]
    assert len(controls) >= 40
    discs = [c.geometry.union(truth_areas.loc[f"{c.Index}-ring"].geometry) for c in controls.itertuples()]
    assert shapely.union_all(np.array(discs)).area == pytest.approx(controls.area.sum() + rings.area.sum(), rel=1e-6)
    for scheme in schemes.itertuples():
        assert scheme.geometry.geom_type == "Polygon"
        reach = scheme.geometry.buffer(p.RING_M)
        hot_places = truth_areas[truth_areas["kind"].isin(["hot_place", "emerging", "burst", "lighting"])]
        assert not hot_places.intersects(reach).any()
        assert not np.any(shapely.intersects(np.array(discs), reach))
        others = schemes[schemes["of"] != scheme.of]
        assert others.distance(scheme.geometry).min() > 1_000


def test_scheme_areas_are_the_views_of_their_cameras(truth_areas, truth, sample):
    """Oracle: the stored area is what the delivered cameras see of the delivered buildings."""
    import geopandas as gpd

    from data_samples.marseille.generator.visibility import sector, visible_polygon

    cameras = pd.read_csv(sample / "deliveries" / "cameras.csv").set_index("code")
    footprints = gpd.read_file(sample / "reference" / "batiments.gpkg").geometry.to_numpy()
    for scheme, codes in truth["scheme_cameras"].items():
        views = []
        for camera in cameras.loc[codes].itertuples():
            view = sector(
                camera.x_l93,
                camera.y_l93,
                range_m=camera.portee_m,
                direction_deg=camera.azimut_deg,
                field_of_view_deg=camera.angle_deg,
            )
            views.append(visible_polygon(view, camera.x_l93, camera.y_l93, footprints))
        seen = shapely.union_all(views)
        stored = truth_areas.loc[f"scheme-{scheme}"].geometry
        assert seen.symmetric_difference(stored).area < 1e-3 * stored.area
        assert shapely.area(shapely.intersection(footprints, stored)).sum() < 1e-3
        assert len(codes) >= 5
