"""A small city and one product of each kind, without any pipeline."""

from __future__ import annotations

import datetime as dt

import h3
import numpy as np
import pyarrow as pa
import pytest
import shapely

from layers.city import City, Text
from layers.products import Column, Form, Grain, Kind, Product, ProductSpec
from styles.catalogue import styles_for
from styles.model import Style

CENTRE = (43.2965, 5.3698)
HOT_COLD = ("hot_q01", "hot_q05", "ns", "cold_q05", "cold_q01")
QUADRANTS = ("HH", "LL", "HL", "LH", "ns")


def both(text: str) -> Text:
    return Text(fr=text, en=f"{text} (en)")


@pytest.fixture(scope="session")
def city() -> City:
    category = {"title": {"fr": "Catégorie", "en": "Category"}}
    return City.model_validate(
        {
            "city": {
                "id": "essai",
                "title": {"fr": "Ville d'essai", "en": "Test city"},
                "metric_crs": "EPSG:2154",
                "timezone": "Europe/Paris",
                "attribution": "Ville d'essai <2026> & co",
            },
            "land": {"zones": "quartiers"},
            "zones": [{"id": "quartiers", "title": {"fr": "Quartiers", "en": "Districts"}, "path": "q.geojson"}],
            "taxonomy": {
                "themes": {
                    "vols": {"title": {"fr": "Vols", "en": "Thefts"}, "categories": {"vol": category}},
                    "bruit": {"title": {"fr": "Bruit", "en": "Noise"}, "categories": {"tapage": category}},
                }
            },
            "sources": [],
            "analysis": {"start": "2023-01-01", "end": "2025-12-31"},
        }
    )


def cells_around(resolution: int, rings: int) -> list[str]:
    return sorted(h3.grid_disk(h3.latlng_to_cell(*CENTRE, resolution), rings))


def theme_columns(kind: Kind, prefix: str, **more: object) -> list[Column]:
    return [
        Column(name=f"{prefix}_{t}", kind=kind, title=both(f"{prefix} {t}"), theme=t, **more) for t in ("vols", "bruit")
    ]


def counts_product(resolution: int, *, default: int = 10) -> Product:
    cells = cells_around(resolution, 12)
    rng = np.random.default_rng(resolution)
    thefts = np.floor(rng.gamma(0.7, 9.0 * 7 ** (10 - resolution), len(cells))).astype(np.int64)
    noise = np.where(rng.random(len(cells)) < 0.9, 0, 1).astype(np.int64)
    collection = "hex_incidents" if resolution == default else f"hex_incidents_r{resolution}"
    columns = [
        Column(name="h3", kind=Kind.KEY, title=both("Cellule")),
        Column(name="n", kind=Kind.COUNT, title=both("Incidents"), theme="all"),
        *theme_columns(Kind.COUNT, "n"),
        Column(name="land_area_m2", kind=Kind.MEASURE, title=both("Surface de terre"), unit="m2"),
    ]
    spec = ProductSpec(
        id=collection,
        family="hex_incidents",
        title=both("Incidents par cellule"),
        description=both("Nombre"),
        grain=Grain.CELL,
        key="h3",
        columns=tuple(columns),
        resolution=resolution,
    )
    table = pa.table(
        {
            "h3": cells,
            "n": thefts + noise,
            "n_vols": thefts,
            "n_bruit": noise,
            "land_area_m2": np.full(len(cells), 15000.0),
        }
    )
    return Product(spec, {Form.EXACT: table})


def hotspots_product(resolution: int, *, default: int = 10) -> Product:
    cells = cells_around(resolution, 12)
    size = len(cells)
    hot = np.array([HOT_COLD[i % 5] for i in range(size)], dtype=object)
    hot[:3] = None
    lisa = np.array([QUADRANTS[i % 5] for i in range(size)], dtype=object)
    collection = "hotspots" if resolution == default else f"hotspots_r{resolution}"
    columns, table = [Column(name="h3", kind=Kind.KEY, title=both("Cellule"))], {"h3": cells}
    columns.append(Column(name="n", kind=Kind.COUNT, title=both("Incidents"), theme="all"))
    table["n"] = np.arange(size)
    for theme in ("all", "vols"):
        columns.append(
            Column(name=f"class_{theme}", kind=Kind.CLASS, title=both("Classe"), theme=theme, classes=HOT_COLD)
        )
        columns.append(
            Column(name=f"lisa_{theme}", kind=Kind.CLASS, title=both("Moran"), theme=theme, classes=QUADRANTS)
        )
        table |= {f"class_{theme}": list(hot), f"lisa_{theme}": list(lisa)}
    spec = ProductSpec(
        id=collection,
        family="hotspots",
        title=both("Points chauds"),
        description=both("Gi*"),
        grain=Grain.CELL,
        key="h3",
        columns=tuple(columns),
        resolution=resolution,
        method=both("Gi* exact"),
    )
    return Product(spec, {Form.EXACT: pa.table(table)})


def record_product(collection: str, attribute: str, values: list[str | None], geometry_type: str) -> Product:
    size = len(values)
    start = dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC)
    columns = (
        Column(name="id", kind=Kind.KEY, title=both("Identifiant")),
        Column(name=attribute, kind=Kind.CLASS, title=both("Catégorie")),
        Column(name="starts_at", kind=Kind.TIME, title=both("Début")),
        Column(name="ends_at", kind=Kind.TIME, title=both("Fin")),
    )
    spec = ProductSpec(
        id=collection,
        family=collection,
        title=both(collection.capitalize()),
        description=both("Enregistrements"),
        grain=Grain.RECORD,
        key="id",
        columns=columns,
        time_column="starts_at",
        time_end_column="ends_at",
        geometry_type=geometry_type,
    )
    points = shapely.points(CENTRE[1] + np.linspace(0, 0.01, size), np.full(size, CENTRE[0]))
    table = pa.table(
        {
            "id": [f"r{i}" for i in range(size)],
            attribute: pa.array(values, pa.string()),
            "starts_at": pa.array([start + dt.timedelta(days=i) for i in range(size)], pa.timestamp("us", "UTC")),
            "ends_at": pa.array([start + dt.timedelta(days=i + 1) for i in range(size)], pa.timestamp("us", "UTC")),
            "geometry": list(shapely.to_wkb(points)),
        }
    )
    return Product(spec, {Form.EXACT: table})


def cameras_product() -> Product:
    columns = (
        Column(name="id", kind=Kind.KEY, title=both("Identifiant")),
        Column(name="status", kind=Kind.CLASS, title=both("État"), classes=("installed", "planned")),
        *(Column(name=n, kind=Kind.MEASURE, title=both(n)) for n in ("direction_deg", "field_of_view_deg", "range_m")),
    )
    spec = ProductSpec(
        id="cameras",
        family="cameras",
        title=both("Caméras"),
        description=both("Caméras"),
        grain=Grain.RECORD,
        key="id",
        columns=columns,
        geometry_type="Point",
    )
    table = pa.table(
        {
            "id": ["a", "b", "c"],
            "status": ["installed", "planned", "installed"],
            "direction_deg": [90.0, 0.0, None],
            "field_of_view_deg": [60.0, 90.0, 60.0],
            "range_m": [100.0, 50.0, 100.0],
            "geometry": list(shapely.to_wkb(shapely.points([[5.37, 43.3], [5.38, 43.3], [5.39, 43.3]]))),
        }
    )
    return Product(spec, {Form.EXACT: table})


def zones_product() -> Product:
    columns = tuple(Column(name=n, kind=Kind.TEXT, title=both(n)) for n in ("key", "name"))
    spec = ProductSpec(
        id="quartiers",
        family="quartiers",
        title=both("Quartiers"),
        description=both("Quartiers"),
        grain=Grain.ZONE,
        key="key",
        columns=columns,
        geometry_type="MultiPolygon",
    )
    x, y = CENTRE[1], CENTRE[0]
    boxes = [shapely.box(x - 0.02, y - 0.02, x, y + 0.02), shapely.box(x, y - 0.02, x + 0.02, y + 0.02)]
    table = pa.table({"key": ["a", "b"], "name": ["Ouest", "Est"], "geometry": list(shapely.to_wkb(boxes))})
    return Product(spec, dict.fromkeys(Form, table))


def density_product() -> Product:
    columns = [Column(name="all", kind=Kind.DENSITY, title=both("Densité"), theme="all", unit="/km2/a")]
    columns.append(Column(name="vols", kind=Kind.DENSITY, title=both("Densité vols"), theme="vols", unit="/km2/a"))
    spec = ProductSpec(
        id="risk_density",
        family="risk_density",
        title=both("Densité"),
        description=both("Noyau"),
        grain=Grain.RASTER,
        key="pixel",
        columns=tuple(columns),
    )
    return Product(spec, rasters={Form.EXACT: "risk_density.tif"})


def density_bands() -> dict[str, dict[str, np.ndarray]]:
    y, x = np.mgrid[0:80, 0:90]
    surface = 400 * np.exp(-((x - 45) ** 2 + (y - 40) ** 2) / 300).astype(np.float32)
    surface[:, :5] = np.nan
    return {"risk_density": {"all": surface, "vols": surface / 7}}


@pytest.fixture(scope="session")
def products() -> list[Product]:
    return [
        record_product("incidents", "theme", ["vols", "bruit", "vols", "unmapped", None] * 4, "Point"),
        record_product("events", "nature", ["concert", "match"] * 5, "Geometry"),
        cameras_product(),
        zones_product(),
        *(counts_product(r) for r in (10, 9, 8, 7)),
        *(hotspots_product(r) for r in (10, 9)),
        density_product(),
    ]


@pytest.fixture(scope="session")
def styles(products: list[Product], city: City) -> dict[tuple[str, str, str], Style]:
    """Every style of the small city by form, family and id."""
    made = styles_for(products, city, bands=density_bands())
    found = {(s.form.value, s.family, s.id): s for s in made}
    assert len(found) == len(made), "ids of styles are not unique"
    return found
