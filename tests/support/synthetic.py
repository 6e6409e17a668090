"""A small complete run, made in a second without Spark or deliveries: every grain, two forms, all awkward values.

``build_synthetic_run(home)`` is what tests of the stores, the server, the styles and the pages stand on. Its rows are
drawn from a seed; ``synthetic_products()`` gives them as they were before publication, for oracles.
"""

from __future__ import annotations

import datetime as dt
import functools
from pathlib import Path

import h3
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import rasterio
import shapely
from rasterio.transform import from_origin

from layers.city import City, Text
from layers.home import Home
from layers.products import Column, Form, Grain, Kind, Product, ProductSpec
from layers.runs import Run
from ogc_server.publication.assembly import assemble
from ogc_server.publication.identity import identify

CENTRE_LON, CENTRE_LAT = 5.3698, 43.2965
HOT_COLD = ("hot_q01", "hot_q05", "ns", "cold_q05", "cold_q01")
QUADRANTS = ("HH", "LL", "HL", "LH", "ns")
THEMES = ("vols", "bruit")
INCIDENTS = 400
NOT_LOCATED = 25
AS_OF = dt.date(2025, 12, 30)


def both(text: str) -> Text:
    return Text(fr=text, en=f"{text} (en)")


def synthetic_city(**changes: object) -> City:
    """City of the synthetic run; ``changes`` replace whole tables of its city file."""
    category = {"title": {"fr": "Catégorie", "en": "Category"}}
    document: dict[str, object] = {
        "city": {
            "id": "essai",
            "title": {"fr": "Ville d’essai", "en": "Test city"},
            "metric_crs": "EPSG:2154",
            "timezone": "Europe/Paris",
            "attribution": "Ville d’essai <2026> & co",
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
    return City.model_validate(document | changes)


def build_synthetic_run(home: Home | Path, *, variant: int = 0) -> Run:
    """Build the run, make it current and return it.

    ``variant`` gives another run id and other counts (a second publication).
    """
    home = home if isinstance(home, Home) else Home(home)
    city = synthetic_city()
    products = [*synthetic_products(variant), _density(home.root / f"density-{variant}.tif")]
    identity = identify(city, inputs={"layers/incidents": f"{variant:064x}"}, as_of=AS_OF)
    figures = {"incidents": INCIDENTS, "incidents_not_located": NOT_LOCATED}
    return assemble(products, city, home, identity=identity, figures=figures)


@functools.cache
def synthetic_products(variant: int = 0) -> tuple[Product, ...]:
    """Table products of the run, in its order."""
    return (
        _incidents(),
        _events(),
        _quartiers(),
        _counts(10, variant),
        _counts(9, variant),
        _hotspots(10, variant),
        _hotspots(9, variant),
    )


def _spec(collection: str, grain: Grain, key: str, columns: list[Column], **more: object) -> ProductSpec:
    family = str(more.pop("family", collection))
    return ProductSpec(
        id=collection,
        family=family,
        title=both(collection.replace("_", " ").capitalize()),
        description=both(f"Produit d’essai : {collection}"),
        grain=grain,
        key=key,
        columns=tuple(columns),
        attribution="Ville d’essai",
        **more,
    )


def _incidents() -> Product:
    rng = np.random.default_rng(1)
    start = np.datetime64("2023-01-01T00:00:00", "us") + (rng.random(INCIDENTS) * 1000 * 86_400e6).astype(
        "timedelta64[us]"
    )
    lon, lat = CENTRE_LON + rng.normal(0, 0.02, INCIDENTS), CENTRE_LAT + rng.normal(0, 0.015, INCIDENTS)
    shapes = shapely.points(lon, lat)
    located = np.arange(INCIDENTS) % (INCIDENTS // NOT_LOCATED) != 3
    shapes[~located] = None
    severity = pa.array(rng.integers(1, 5, INCIDENTS), mask=rng.random(INCIDENTS) < 0.3)
    addresses = ["Rue de l’Œuvre, 13001 Marseille", "", None, 'Place "Jean-Jaurès", escalier; n° 3', "ÎLE D'IF\n(quai)"]
    table = pa.table(
        {
            "id": [f"{v:016x}" for v in rng.integers(0, 2**63, INCIDENTS)],
            "theme": pa.array(rng.choice(THEMES, INCIDENTS)),
            "severity": severity,
            "started_at": pa.array(start).cast(pa.timestamp("us", tz="UTC")),
            "ended_at": pa.array(start + np.timedelta64(90, "m"), mask=rng.random(INCIDENTS) < 0.8).cast(
                pa.timestamp("us", tz="UTC")
            ),
            "date": pa.array(start.astype("datetime64[D]")),
            "precision_m": pa.array(rng.gamma(2, 10, INCIDENTS), mask=rng.random(INCIDENTS) < 0.1),
            "address": [addresses[i % len(addresses)] for i in range(INCIDENTS)],
            "located": located,
            "geometry": pa.array(shapely.to_wkb(shapes), pa.binary()),
        }
    )
    columns = [
        Column(name="id", kind=Kind.KEY, title=both("Identifiant")),
        Column(name="theme", kind=Kind.CLASS, title=both("Thème")),
        Column(name="severity", kind=Kind.MEASURE, title=both("Gravité"), unit="1"),
        Column(name="started_at", kind=Kind.TIME, title=both("Début")),
        Column(name="ended_at", kind=Kind.TIME, title=both("Fin")),
        Column(name="date", kind=Kind.DATE, title=both("Date locale")),
        Column(name="precision_m", kind=Kind.MEASURE, title=both("Précision"), unit="m"),
        Column(name="address", kind=Kind.TEXT, title=both("Adresse")),
        Column(name="located", kind=Kind.FLAG, title=both("Localisé")),
    ]
    times = {"time_column": "started_at", "time_end_column": "ended_at"}
    spec = _spec("incidents", Grain.RECORD, "id", columns, geometry_type="Point", **times)
    return Product(spec, {Form.EXACT: table})


def _events() -> Product:
    size = 12
    centres = shapely.points(CENTRE_LON + np.linspace(-0.03, 0.03, size), np.full(size, CENTRE_LAT + 0.01))
    shapes = np.where(np.arange(size) % 3 == 0, shapely.buffer(centres, 0.002), centres)
    shapes[5] = None
    start = [dt.datetime(2024, 1 + i % 12, 1, 9, tzinfo=dt.UTC) for i in range(size)]
    table = pa.table(
        {
            "id": [f"e{i:02d}" for i in range(size)],
            "nature": ["match", "marché", None, "concert"] * (size // 4),
            "title": [f"Événement n° {i}" for i in range(size)],
            "starts_at": pa.array(start, pa.timestamp("us", tz="UTC")),
            "ends_at": pa.array([s + dt.timedelta(days=i) for i, s in enumerate(start)], pa.timestamp("us", tz="UTC")),
            "geometry": pa.array(shapely.to_wkb(shapes), pa.binary()),
        }
    )
    columns = [
        Column(name="id", kind=Kind.KEY, title=both("Identifiant")),
        Column(name="nature", kind=Kind.CLASS, title=both("Nature")),
        Column(name="title", kind=Kind.TEXT, title=both("Titre")),
        Column(name="starts_at", kind=Kind.TIME, title=both("Début")),
        Column(name="ends_at", kind=Kind.TIME, title=both("Fin")),
    ]
    times = {"time_column": "starts_at", "time_end_column": "ends_at"}
    spec = _spec("events", Grain.RECORD, "id", columns, geometry_type="Geometry", **times)
    return Product(spec, {Form.EXACT: table})


def _quartiers() -> Product:
    """Nine squares that tile the place, the first one in two parts (an island)."""
    edges = 0.03
    shapes = []
    for row in range(3):
        for column in range(3):
            west, south = CENTRE_LON + (column - 1.5) * edges, CENTRE_LAT + (row - 1.5) * edges
            shapes.append(shapely.MultiPolygon([shapely.box(west, south, west + edges, south + edges)]))
    island = shapely.box(CENTRE_LON - 0.07, CENTRE_LAT - 0.04, CENTRE_LON - 0.06, CENTRE_LAT - 0.03)
    shapes[0] = shapely.MultiPolygon([*shapes[0].geoms, island])
    table = pa.table(
        {
            "key": [f"q{i}" for i in range(9)],
            "name": [
                "Le Panier",
                "Noailles",
                "L’Estaque",
                "Endoume",
                "Œillets",
                "La Rose",
                "Sainte-Marthe",
                "Mazargues",
                "If",
            ],
            "area_m2": np.linspace(8e6, 9e6, 9),
            "geometry": pa.array(shapely.to_wkb(np.array(shapes, dtype=object)), pa.binary()),
        }
    )
    columns = [
        Column(name="key", kind=Kind.KEY, title=both("Code")),
        Column(name="name", kind=Kind.TEXT, title=both("Nom")),
        Column(name="area_m2", kind=Kind.MEASURE, title=both("Surface"), unit="m2"),
    ]
    spec = _spec("quartiers", Grain.ZONE, "key", columns, geometry_type="MultiPolygon")
    return Product(spec, dict.fromkeys(Form, table))


def _cells(resolution: int) -> list[str]:
    rings = {10: 9, 9: 4}[resolution]
    # not in cell order: publication puts them in it
    return sorted(h3.grid_disk(h3.latlng_to_cell(CENTRE_LAT, CENTRE_LON, resolution), rings), key=lambda c: c[::-1])


def _cell_id(family: str, resolution: int) -> str:
    return family if resolution == 10 else f"{family}_r{resolution}"


def _counts(resolution: int, variant: int) -> Product:
    cells = _cells(resolution)
    rng = np.random.default_rng([resolution, variant])
    thefts, noise = rng.poisson(4, len(cells)), rng.poisson(1, len(cells))
    columns = [
        Column(name="h3", kind=Kind.KEY, title=both("Cellule H3")),
        Column(name="n", kind=Kind.COUNT, title=both("Incidents"), theme="all", unit="1"),
        *(Column(name=f"n_{t}", kind=Kind.COUNT, title=both(f"Incidents : {t}"), theme=t, unit="1") for t in THEMES),
        Column(name="land_area_m2", kind=Kind.MEASURE, title=both("Surface de terre"), unit="m2"),
    ]
    table = pa.table(
        {
            "h3": cells,
            "n": thefts + noise,
            "n_vols": thefts,
            "n_bruit": noise,
            "land_area_m2": np.full(len(cells), 15_047.5),
        }
    )
    spec = _spec(
        _cell_id("hex_incidents", resolution), Grain.CELL, "h3", columns, family="hex_incidents", resolution=resolution
    )
    return Product(spec, {Form.EXACT: table})


def _hotspots(resolution: int, variant: int) -> Product:
    counts = _counts(resolution, variant)
    source = counts.tables[Form.EXACT]
    size = source.num_rows
    rng = np.random.default_rng([7, resolution, variant])
    columns, values = [*counts.spec.columns[:2]], {"h3": source.column("h3"), "n": source.column("n")}
    for theme in ("all", "vols"):
        z = pc.cast(source.column("n"), pa.float64()).to_numpy() - 5.0
        columns += [
            Column(name=f"z_{theme}", kind=Kind.SCORE, title=both(f"Score {theme}"), theme=theme, unit="1"),
            Column(name=f"q_{theme}", kind=Kind.PROBABILITY, title=both(f"q {theme}"), theme=theme, unit="1"),
            Column(
                name=f"class_{theme}", kind=Kind.CLASS, title=both(f"Classe {theme}"), theme=theme, classes=HOT_COLD
            ),
            Column(name=f"lisa_{theme}", kind=Kind.CLASS, title=both(f"Moran {theme}"), theme=theme, classes=QUADRANTS),
        ]
        hot: list[str | None] = [HOT_COLD[i % 5] for i in range(size)]
        hot[:2] = [None, None]
        values |= {
            f"z_{theme}": z,
            f"q_{theme}": pa.array(rng.random(size), mask=np.arange(size) < 2),
            f"class_{theme}": hot,
            f"lisa_{theme}": [QUADRANTS[i % 5] for i in range(size)],
        }
    spec = _spec(_cell_id("hotspots", resolution), Grain.CELL, "h3", columns, family="hotspots", resolution=resolution)
    return Product(spec, {Form.EXACT: pa.table(values)})


def _density(path: Path) -> Product:
    """A hill of 40 × 30 pixels of 100 m in Lambert-93, with a corner of sea."""
    rows, columns = np.mgrid[0:30, 0:40]
    hill = 900.0 * np.exp(-((rows - 15) ** 2 + (columns - 20) ** 2) / 60.0)
    hill[:6, :6] = np.nan
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {
        "driver": "COG",
        "dtype": "float32",
        "width": 40,
        "height": 30,
        "count": 2,
        "crs": "EPSG:2154",
        "transform": from_origin(890_000, 6_248_000, 100, 100),
        "nodata": float("nan"),
    }
    with rasterio.open(path, "w", **profile) as target:
        for band, (name, share) in enumerate((("all", 1.0), ("vols", 0.75)), start=1):
            target.write((hill * share).astype("float32"), band)
            target.set_band_description(band, name)
    bands = [
        Column(name=n, kind=Kind.DENSITY, title=both(f"Densité {n}"), theme=n, unit="km-2.a-1") for n in ("all", "vols")
    ]
    spec = _spec("risk_density", Grain.RASTER, "all", bands)
    return Product(spec, rasters={Form.EXACT: path})
