"""Features: every question against the rows as they were before publication, on both stores."""

from __future__ import annotations

import datetime as dt
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hexgrid.cells import boundaries, cell_int
from layers.products import Form
from support.synthetic import CENTRE_LAT, CENTRE_LON, INCIDENTS, synthetic_products

CRS = "http://www.opengis.net/def/crs/{}"
LAMBERT, MERCATOR, WGS84 = (CRS.format(f"EPSG/0/{n}") for n in (2154, 3857, 4326))
FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def truth():
    """Collection → table as given to the publication, with geometries in CRS84."""
    found = {}
    for product in synthetic_products():
        table = product.tables[Form.EXACT].to_pandas()
        if "geometry" in table:
            table["geometry"] = shapely.from_wkb(table["geometry"])
        else:
            table["geometry"] = boundaries(cell_int(table["h3"].tolist()), None)
        found[product.spec.id] = table
    return found


def ask(client, collection, **parameters):
    answer = client.get(f"/collections/{collection}/items", params={"limit": 10_000, **parameters})
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(page):
    return {feature["id"] for feature in page["features"]}


def test_all_rows_with_their_values(client, truth):
    page = ask(client, "incidents")
    assert page["numberMatched"] == page["numberReturned"] == INCIDENTS
    expected = truth["incidents"].set_index("id")
    for feature in page["features"]:
        row, properties = expected.loc[feature["id"]], feature["properties"]
        assert "id" not in properties
        assert properties["theme"] == row["theme"]
        assert properties["severity"] == (None if pd.isna(row["severity"]) else row["severity"])
        assert pd.Timestamp(properties["started_at"]) == row["started_at"]
        assert properties["date"] == str(row["date"])[:10]
        assert properties["located"] is bool(row["located"])
        assert properties["address"] == row["address"]
        if row["geometry"] is None:
            assert feature["geometry"] is None
        else:
            assert feature["geometry"]["coordinates"] == pytest.approx([row["geometry"].x, row["geometry"].y], abs=1e-7)


def test_cells_are_hexagons_and_keep_their_index(client, truth):
    page = ask(client, "hotspots")
    expected = dict(zip(truth["hotspots"]["h3"], truth["hotspots"]["geometry"], strict=True))
    assert ids(page) == set(expected)
    for feature in page["features"]:
        assert feature["properties"]["h3"] == feature["id"]
        shape = shapely.geometry.shape(feature["geometry"])
        assert shape.exterior.is_ccw  # RFC 7946, 3.1.6
        assert shapely.hausdorff_distance(shape, expected[feature["id"]]) < 2e-7


@pytest.mark.parametrize("limit", [1, 7, 100, 133, 400, 399])
def test_pages_cover_every_row_once_and_promise_no_empty_one(client, limit):
    url, seen, pages = f"/collections/incidents/items?limit={limit}&theme=vols", [], 0
    if limit == 1:
        url += "&datetime=2024-01-01/2024-02-15"
    while url:
        page = client.get(url).json()
        assert page["features"]
        assert page["numberReturned"] == len(page["features"])
        seen += [f["id"] for f in page["features"]]
        pages += 1
        following = [link for link in page["links"] if link["rel"] == "next"]
        assert all(link["type"] == "application/geo+json" for link in following)
        url = following[0]["href"] if following else None
    assert len(seen) == len(set(seen)) == page["numberMatched"]
    assert pages == -(-page["numberMatched"] // limit)


def test_next_and_prev_keep_the_question(client):
    page = client.get("/collections/incidents/items?limit=5&offset=5&theme=vols&bbox=5.3,43.2,5.5,43.4").json()
    links = {link["rel"]: dict(parse_qsl(urlsplit(link["href"]).query)) for link in page["links"]}
    assert links["next"] == {"limit": "5", "theme": "vols", "bbox": "5.3,43.2,5.5,43.4", "offset": "10"}
    assert links["prev"]["offset"] == "0"
    assert links["self"]["offset"] == "5"


def test_a_limit_above_the_maximum_is_served_as_the_maximum(client):
    assert client.get("/collections/incidents/items?limit=1000000").json()["numberReturned"] == INCIDENTS
    assert client.get("/collections/incidents/items").json()["numberReturned"] == 100
    beyond = client.get("/collections/incidents/items?offset=5000").json()
    assert (beyond["features"], beyond["numberMatched"]) == ([], INCIDENTS)
    assert not [link for link in beyond["links"] if link["rel"] == "next"]


degrees = st.floats(-0.05, 0.05)


@FEW
@given(west=degrees, south=degrees, width=st.floats(0, 0.04), height=st.floats(0, 0.04))
@pytest.mark.parametrize("collection", ["hotspots", "incidents", "quartiers", "events"])
def test_rectangles_in_degrees_select_what_shapely_selects(client, truth, collection, west, south, width, height):
    bounds = [round(v, 6) for v in (CENTRE_LON + west, CENTRE_LAT + south)]
    bounds += [round(bounds[0] + width, 6), round(bounds[1] + height, 6)]
    frame = truth[collection]
    key = frame.columns[0]
    box = shapely.box(*bounds)
    sure = frame[key][shapely.intersects(frame["geometry"].to_numpy(), box)]
    # within 1e-7 degrees of the edge, rounding at publication may decide
    grown, shrunk = box.buffer(2e-7), box.buffer(-2e-7)
    at_most = set(frame[key][shapely.intersects(frame["geometry"].to_numpy(), grown)])
    at_least = set(frame[key][shapely.intersects(frame["geometry"].to_numpy(), shrunk)])
    text = ",".join(map(str, bounds))
    found = ids(ask(client, collection, bbox=text))
    assert at_least <= found <= at_most
    assert len(found ^ set(sure)) <= len(at_most - at_least)
    swapped = ",".join(map(str, (bounds[1], bounds[0], bounds[3], bounds[2])))
    assert ids(ask(client, collection, bbox=swapped, **{"bbox-crs": WGS84})) == found


@FEW
@given(west=st.floats(-4000, 4000), south=st.floats(-4000, 4000), size=st.floats(50, 5000))
def test_rectangles_in_lambert_select_exactly_the_hexagons_that_cross_them(client, truth, west, south, size):
    frame = truth["hotspots"]
    to_lambert = pyproj.Transformer.from_crs("OGC:CRS84", "EPSG:2154", always_xy=True)
    x, y = to_lambert.transform(CENTRE_LON, CENTRE_LAT)
    bounds = [round(v, 2) for v in (x + west, y + south, x + west + size, y + south + size)]
    metric = shapely.transform(frame["geometry"].to_numpy(), lambda c: np.column_stack(to_lambert.transform(*c.T)))
    box = shapely.box(*bounds)
    found = ids(ask(client, "hotspots", bbox=",".join(map(str, bounds)), **{"bbox-crs": LAMBERT}))
    assert set(frame["h3"][shapely.intersects(metric, box.buffer(-0.02))]) <= found
    assert found <= set(frame["h3"][shapely.intersects(metric, box.buffer(0.02))])


def test_a_lambert_rectangle_is_not_its_two_corners(client, truth):
    """Moving two corners selects other hexagons: this is what the exact comparison is for."""
    to_lambert = pyproj.Transformer.from_crs("OGC:CRS84", "EPSG:2154", always_xy=True)
    back = pyproj.Transformer.from_crs("EPSG:2154", "OGC:CRS84", always_xy=True)
    x, y = to_lambert.transform(CENTRE_LON, CENTRE_LAT)
    bounds = (x - 900, y - 900, x + 900, y + 900)
    exact = ids(ask(client, "hotspots", bbox=",".join(map(str, bounds)), **{"bbox-crs": LAMBERT}))
    corners = (*back.transform(*bounds[:2]), *back.transform(*bounds[2:]))
    assert exact != ids(ask(client, "hotspots", bbox=",".join(map(str, corners))))


def test_unlocated_rows_are_in_no_rectangle_but_in_the_collection(client, truth):
    everywhere = ids(ask(client, "incidents", bbox="-180,-90,180,90"))
    assert everywhere == set(truth["incidents"]["id"][truth["incidents"]["located"]])
    assert len(everywhere) < INCIDENTS
    huge = ids(ask(client, "incidents", bbox="-1e300,-1e300,1e300,1e300"))
    assert huge == everywhere


@pytest.mark.parametrize("crs", [LAMBERT, MERCATOR, WGS84, CRS.format("OGC/1.3/CRS84")])
@pytest.mark.parametrize("collection", ["incidents", "quartiers", "hotspots", "events"])
def test_coordinates_in_every_system_are_those_of_proj(client, truth, collection, crs):
    answer = client.get(f"/collections/{collection}/items", params={"limit": 10_000, "crs": crs})
    assert answer.headers["content-crs"] == f"<{crs}>"
    code = crs.split("/")[-1] if "EPSG" in crs else None
    move = pyproj.Transformer.from_crs("OGC:CRS84", f"EPSG:{code}" if code else "OGC:CRS84", always_xy=code != "4326")
    tolerance = 1e-7 if code in {None, "4326"} else 0.02
    frame = truth[collection].set_index(truth[collection].columns[0])["geometry"]
    for feature in answer.json()["features"]:
        expected = frame[feature["id"]]
        if expected is None:
            assert feature["geometry"] is None
            continue
        moved = shapely.transform(expected, lambda c: np.column_stack(move.transform(*c.T)))
        got = shapely.geometry.shape(feature["geometry"])
        assert got.bounds == pytest.approx(moved.bounds, abs=tolerance)
        assert got.geom_type == expected.geom_type


def test_one_feature_in_another_system(client):
    answer = client.get("/collections/quartiers/items/q4", params={"crs": LAMBERT})
    assert answer.headers["content-crs"] == f"<{LAMBERT}>"
    x, _ = answer.json()["geometry"]["coordinates"][0][0][0]
    assert 880_000 < x < 910_000


# intervals against pandas: an incident lasts from started_at to ended_at, or is an instant
@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("2024-05-01T00:00:00Z/2024-08-01T00:00:00Z", "2024-05-01T00:00:00Z", "2024-08-01T00:00:00Z"),
        ("../2024-05-01T00:00:00Z", None, "2024-05-01T00:00:00Z"),
        ("2024-05-01T00:00:00Z/..", "2024-05-01T00:00:00Z", None),
        ("2024-05-01", "2024-05-01T00:00:00Z", "2024-05-01T23:59:59.999999Z"),
        ("2024-05-01T00:00:00+02:00/2024-05-03T00:00:00+02:00", "2024-04-30T22:00:00Z", "2024-05-02T22:00:00Z"),
        ("0000-01-01T00:00:00Z/2023-06-01T00:00:00Z", None, "2023-06-01T00:00:00Z"),
        ("2025-06-01T00:00:00Z/9999-12-31T00:00:00Z", "2025-06-01T00:00:00Z", None),
        ("1990-01-01/1991-01-01", "1990-01-01T00:00:00Z", "1991-01-01T00:00:00Z"),
    ],
)
def test_datetime_selects_what_overlaps(client, truth, text, low, high):
    frame = truth["incidents"]
    end = frame["ended_at"].fillna(frame["started_at"])
    chosen = pd.Series(data=True, index=frame.index)
    if high:
        chosen &= frame["started_at"] <= pd.Timestamp(high)
    if low:
        chosen &= end >= pd.Timestamp(low)
    page = ask(client, "incidents", datetime=text)
    assert ids(page) == set(frame["id"][chosen])
    assert page["numberMatched"] == chosen.sum()


def test_an_instant_meets_what_lasts_over_it(client, truth):
    frame = truth["incidents"].dropna(subset="ended_at")
    row = frame.iloc[0]
    middle = row["started_at"] + (row["ended_at"] - row["started_at"]) / 2
    assert row["id"] in ids(ask(client, "incidents", datetime=middle.isoformat().replace("+00:00", "Z")))


def test_datetime_leaves_collections_without_time_alone(client):
    assert ask(client, "quartiers", datetime="1990-01-01")["numberMatched"] == 9


def test_declared_extents_hold_the_data(client, truth):
    for name in ("incidents", "events", "quartiers", "hotspots"):
        extent = client.get(f"/collections/{name}").json()["extent"]
        west, south, east, north = extent["spatial"]["bbox"][0]
        bounds = shapely.total_bounds(truth[name]["geometry"].to_numpy())
        assert west < bounds[0] - 0.019
        assert south < bounds[1] - 0.019
        assert east > bounds[2] + 0.019
        assert north > bounds[3] + 0.019
    first, last = client.get("/collections/incidents").json()["extent"]["temporal"]["interval"][0]
    assert pd.Timestamp(first) == truth["incidents"]["started_at"].min()
    assert pd.Timestamp(last) == truth["incidents"][["started_at", "ended_at"]].max().max()


@pytest.mark.parametrize(
    ("collection", "question", "mask"),
    [
        ("incidents", {"theme": "bruit"}, lambda f: f["theme"] == "bruit"),
        ("incidents", {"severity": "3"}, lambda f: f["severity"] == 3),
        ("incidents", {"located": "false", "theme": "vols"}, lambda f: ~f["located"] & (f["theme"] == "vols")),
        ("incidents", {"address": ""}, lambda f: f["address"] == ""),
        ("incidents", {"address": "ÎLE D'IF\n(quai)"}, lambda f: f["address"].str.startswith("ÎLE", na=False)),
        (
            "incidents",
            {"address": 'Place "Jean-Jaurès", escalier; n° 3'},
            lambda f: f["address"].str.startswith("Place", na=False),
        ),
        ("incidents", {"theme": "'; DROP TABLE incidents; --"}, lambda f: f["theme"] == "x"),
        ("quartiers", {"name": "L’Estaque"}, lambda f: f["name"] == "L’Estaque"),
        ("quartiers", {"name": "L%Estaque"}, lambda f: f["name"] == "x"),
        ("hotspots", {"class_all": "hot_q01"}, lambda f: f["class_all"] == "hot_q01"),
        ("hotspots", {"n": "5", "lisa_vols": "HH"}, lambda f: (f["n"] == 5) & (f["lisa_vols"] == "HH")),
        ("hotspots", {"z_all": "-1"}, lambda f: f["z_all"] == -1.0),
        ("hotspots", {"z_all": "-1.0e0"}, lambda f: f["z_all"] == -1.0),
        ("hotspots", {"n": "9223372036854775807"}, lambda f: f["n"] == -1),
        ("hotspots", {"n": "9223372036854775808"}, None),
    ],
)
def test_equalities_compare_by_the_columns_own_type(client, truth, collection, question, mask):
    if mask is None:
        answer = client.get(f"/collections/{collection}/items", params=question)
        assert answer.status_code == 400
        return
    frame = truth[collection]
    assert ids(ask(client, collection, **question)) == set(frame[frame.columns[0]][mask(frame)])


def test_an_equality_on_a_time(client, truth):
    row = truth["incidents"].iloc[7]
    local = row["started_at"].tz_convert("Europe/Paris").isoformat()
    assert ids(ask(client, "incidents", started_at=local)) == {row["id"]}


def test_sorting_is_total_by_code_point_with_nulls_last(client, truth):
    names = [f["properties"]["name"] for f in ask(client, "quartiers", sortby="name")["features"]]
    assert names == sorted(truth["quartiers"]["name"])
    assert names[-1] == "Œillets"
    page = ask(client, "incidents", sortby="-severity,started_at")["features"]
    got = [(f["properties"]["severity"], f["properties"]["started_at"]) for f in page]
    known = [g for g in got if g[0] is not None]
    assert got == known + [g for g in got if g[0] is None]
    assert [g[0] for g in known] == sorted((g[0] for g in known), reverse=True)
    for value in (4, 3, 2, 1):
        times = [pd.Timestamp(t) for v, t in known if v == value]
        assert times == sorted(times)


def test_selection_of_properties_and_of_geometry(client):
    page = ask(client, "hotspots", properties="n,class_all", skipGeometry="true", limit=3)
    for feature in page["features"]:
        assert list(feature["properties"]) == ["n", "class_all"]
        assert feature["geometry"] is None
        assert feature["id"]


def test_both_stores_give_the_same_answers(embedded, on_postgis):
    for path in [
        "/collections/incidents/items?limit=400",
        "/collections/events/items",
        "/collections/hotspots/items?limit=1000",
        f"/collections/hotspots/items?limit=1000&crs={LAMBERT}",
        f"/collections/quartiers/items?crs={WGS84}",
        "/collections/incidents/items?sortby=-address,precision_m&limit=400",
        "/collections/incidents/items?bbox=5.36,43.29,5.38,43.31&datetime=2024-01-01/..",
        "/collections/hex_incidents_r9/items?n=5",
        "/collections",
        "/collections/incidents/schema",
    ]:
        one, other = embedded.get(path), on_postgis.get(path)
        assert one.status_code == 200
        # 893456.0 and 893456 are the same number, written by two libraries
        assert one.json() == other.json(), path


def test_mercator_coordinates_agree_to_a_millimetre_on_both_stores(embedded, on_postgis):
    path = f"/collections/hotspots/items?limit=1000&crs={MERCATOR}"
    pages = [server.get(path).json()["features"] for server in (embedded, on_postgis)]
    for one, other in zip(*pages, strict=True):
        assert one["id"] == other["id"]
        difference = np.array(one["geometry"]["coordinates"]) - np.array(other["geometry"]["coordinates"])
        assert np.abs(difference).max() <= 0.0011


@pytest.mark.parametrize(
    "query",
    [
        "limit=30",
        "limit=10&offset=25",
        "theme=vols&limit=500",
        "sortby=-started_at&limit=12",
        "properties=theme&limit=4",
    ],
)
def test_pygeoapis_own_handler_over_our_provider_gives_the_same_features(client, query):
    """An oracle: where stock pygeoapi is right, we are the same."""
    import json
    from types import SimpleNamespace

    from pygeoapi.api import APIRequest
    from pygeoapi.api.itemtypes import get_collection_item, get_collection_items

    served = client.app.state.runs.current()
    api = served.api("http://127.0.0.1:8010")
    plain = SimpleNamespace(query_params=dict(parse_qsl(query)), headers={}, scope={"path": "/"})
    _, status, body = get_collection_items(api, APIRequest(plain, ["fr-FR"]), "incidents")
    assert status == 200
    theirs, ours = json.loads(body), client.get(f"/collections/incidents/items?{query}").json()
    assert [f["id"] for f in theirs["features"]] == [f["id"] for f in ours["features"]]
    assert theirs["features"] == ours["features"]
    assert theirs["numberMatched"] == ours["numberMatched"]
    one = ours["features"][0]
    plain.query_params = {}
    _, status, body = get_collection_item(api, APIRequest(plain, ["fr-FR"]), "incidents", one["id"])
    assert status == 200
    assert json.loads(body)["geometry"] == one["geometry"]


def test_periods_given_by_dates_stay_open_without_an_end():
    """Between dates, a missing end has not ended and a missing start is unknown; without both, nothing is known."""
    import sqlalchemy as sa

    from layers.city import Text
    from layers.products import Column, Grain, Kind, ProductSpec
    from ogc_server.collections import Collection, properties_of
    from ogc_server.feature_query import FeatureQuery
    from ogc_server.features import read_page

    class Cameras:
        engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)

        @staticmethod
        def geojson(table, frame):
            return sa.null()

    both = Text(fr="x", en="x")
    names = {"id": Kind.KEY, "since": Kind.DATE, "until": Kind.DATE}
    spec = ProductSpec(
        id="cameras", family="cameras", title=both, description=both, grain=Grain.RECORD, key="id",
        columns=tuple(Column(name=n, kind=k, title=both) for n, k in names.items()),
        time_column="since", time_end_column="until",
    )  # fmt: skip
    table = sa.Table(
        "cameras", sa.MetaData(), sa.Column("fid", sa.Integer), sa.Column("id", sa.Text),
        sa.Column("since", sa.Date), sa.Column("until", sa.Date),
    )  # fmt: skip
    day = dt.date
    rows = [
        ("ended", day(2020, 1, 1), day(2021, 1, 1)),
        ("open", day(2020, 1, 1), None),
        ("old", None, day(2021, 1, 1)),
        ("planned", None, None),
        ("future", day(2030, 1, 1), None),
    ]
    with Cameras.engine.begin() as connection:
        table.metadata.create_all(connection)
        connection.execute(
            table.insert(),
            [{"fid": i, "id": n, "since": a, "until": b} for i, (n, a, b) in enumerate(rows)],
        )
    columns = properties_of(spec, {c.name: c.type for c in table.columns})
    collection = Collection(
        spec,
        Form.EXACT,
        (0, 0, 1, 1),
        (),
        columns,
        rows=5,
        table=table,
        store=Cameras(),
        zone=dt.timezone(dt.timedelta(hours=2)),
    )

    def at(low, high):
        return {r.id for r in read_page(collection, FeatureQuery(interval=(low, high))).rows}

    utc = dt.UTC
    assert at(dt.datetime(2022, 6, 1, tzinfo=utc), dt.datetime(2022, 7, 1, tzinfo=utc)) == {"open"}
    assert at(dt.datetime(2020, 6, 1, tzinfo=utc), dt.datetime(2020, 7, 1, tzinfo=utc)) == {"ended", "open", "old"}
    assert at(None, None) == {"ended", "open", "old", "future"}
    # 23:30 on 31 December in UTC is the first of January in the city
    assert at(dt.datetime(2029, 12, 31, 23, 30, tzinfo=utc), None) == {"open", "future"}
