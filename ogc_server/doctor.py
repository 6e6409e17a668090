"""What ``calanque doctor`` examines: each thing is tried, not looked up, and what fails comes with its repair."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import duckdb
import h3
import numpy as np
import pyogrio
import pyproj
import sqlalchemy as sa
from pydantic import ValidationError

from hexgrid.cells import cell_text, cells_of_points
from hexgrid.spark import one_row_job
from layers.city import load_city
from layers.errors import CalanqueError
from layers.home import Home
from layers.runs import open_run
from ogc_server.settings import Settings
from ogc_server.stores.engines import spatial_extension

PROJECT = Path(__file__).resolve().parent.parent
MAP_LIBRARY = PROJECT / "node_modules" / "maplibre-gl" / "dist"
DISK_NEEDED_GB = 2.0
WANTED_DRIVERS = frozenset({"GPKG", "GeoJSON", "XLSX", "ODS", "FlatGeobuf", "ESRI Shapefile"})
LAMBERT_93_ORIGIN = (3.0, 46.5, 700_000.0, 6_600_000.0)
"""Longitude, latitude, easting, northing of the origin of EPSG:2154, by its definition."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried."""

    check: str
    state: Literal["ok", "warning", "broken"]
    found: str
    repair: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return the finding as plain values."""
        return asdict(self)


class _FaultError(CalanqueError):
    """A check that failed, with its repair."""

    def __init__(self, found: str, repair: str, *, required: bool = True) -> None:
        super().__init__(found)
        self.finding_state: Literal["warning", "broken"] = "broken" if required else "warning"
        self.repair = repair


def examine(city_path: Path, home: Home) -> list[Finding]:
    """Try everything that Calanque needs on this machine.

    Parameters
    ----------
    city_path
        City file (or its folder) that is meant to be built.
    home
        Home folder that is meant to be written.
    """
    checks: list[tuple[str, Callable[[], str]]] = [
        ("Python", _python),
        ("Spark and Java", _spark),
        ("H3", _grid),
        ("GDAL", _gdal),
        ("PROJ", _proj),
        ("DuckDB spatial", _duckdb),
        ("MapLibre", _map_library),
        ("disk", lambda: _disk(home)),
        ("home", lambda: _home(home)),
        ("city", lambda: _city(city_path, home)),
    ]
    try:
        settings = Settings(home=home.root)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        broken = Finding("settings", "broken", faults, "correct the environment variable CALANQUE_… of that name")
        return [*(_try(name, check) for name, check in checks), broken]
    checks.append(("port", lambda: _port(settings)))
    if settings.database_url is not None:
        url = settings.database_url.get_secret_value()
        checks.append(("PostGIS", lambda: _postgis(url)))
    return [_try(name, check) for name, check in checks]


def _try(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, "ok", check())
    except _FaultError as fault:
        return Finding(name, fault.finding_state, str(fault), fault.repair)
    except Exception as error:  # noqa: BLE001 a broken library may raise anything, and that is what is reported
        text = str(error).strip() or type(error).__name__
        repair = "see the message" if isinstance(error, CalanqueError) else "make setup"
        return Finding(name, "broken", text, repair)


def _python() -> str:
    version = platform.python_version()
    if not (3, 12) <= sys.version_info[:2] < (3, 15):
        raise _FaultError(version, "install Python 3.12, 3.13 or 3.14, then make setup")
    return f"{version} at {sys.executable}"


def _spark() -> str:
    done = one_row_job()
    return f"Spark {done['spark']} on Java {done['java']} ({done['java_home']}), one row in {done['seconds']} s"


def _grid() -> str:
    """The grid is computed by h3ronpy; H3's own library must name the same cell."""
    lon_deg, lat_deg, resolution = 5.37, 43.3, 11
    cell = str(cell_text(cells_of_points(np.array([lon_deg]), np.array([lat_deg]), resolution))[0])
    reference = h3.latlng_to_cell(lat_deg, lon_deg, resolution)
    if cell != reference:
        raise _FaultError(f"h3ronpy says {cell} where H3 {h3.versions()['c']} says {reference}", "make setup")
    return f"H3 {h3.versions()['c']} and h3ronpy agree on {cell}"


def _gdal() -> str:
    drivers = pyogrio.list_drivers()
    lacking = WANTED_DRIVERS - set(drivers)
    if lacking:
        raise _FaultError(f"no driver for {', '.join(sorted(lacking))}", "make setup (pyogrio's own wheel has them)")
    return f"{pyogrio.__gdal_version_string__} with {len(drivers)} formats"


def _proj() -> str:
    lon_deg, lat_deg, x_m, y_m = LAMBERT_93_ORIGIN
    x, y = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:2154", always_xy=True).transform(lon_deg, lat_deg)
    if max(abs(x - x_m), abs(y - y_m)) > 0.001:
        raise _FaultError(
            f"the origin of EPSG:2154 comes out at {x:.3f} {y:.3f}", "unset PROJ_LIB and PROJ_DATA, then make setup"
        )
    return f"{pyproj.proj_version_str}, database {pyproj.datadir.get_data_dir()}"


def _duckdb() -> str:
    with duckdb.connect() as connection:
        connection.execute(f"LOAD '{spatial_extension()}'")
        row = connection.execute("SELECT ST_AsText(ST_Point(5.37, 43.3))").fetchone()
    return f"{duckdb.__version__}, {row[0] if row else 'no answer'}"


def _map_library() -> str:
    if not MAP_LIBRARY.is_dir():
        repair = "make setup (npm and a network are needed); until then /map shows a still picture"
        raise _FaultError("not installed", repair, required=False)
    return str(MAP_LIBRARY)


def _existing(path: Path) -> Path:
    return next(p for p in (path, *path.parents) if p.exists())


def _disk(home: Home) -> str:
    free_gb = shutil.disk_usage(_existing(home.root)).free / 1e9
    if free_gb < DISK_NEEDED_GB:
        raise _FaultError(f"{free_gb:.1f} GB free", f"free {DISK_NEEDED_GB:g} GB, or set CALANQUE_HOME to another disk")
    return f"{free_gb:.1f} GB free"


def _home(home: Home) -> str:
    folder = _existing(home.root)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _FaultError(f"{folder}: {error.strerror}", "set CALANQUE_HOME to a folder that you may write") from error
    if not home.current.is_symlink():
        return f"{home.root}, nothing published yet"
    return f"{home.root}, serving run {open_run(home).manifest.run_id}"


def _city(city_path: Path, home: Home) -> str:
    city = load_city(city_path)
    city.check_home(home)
    return f"{city.city.title.en}: {len(city.sources)} sources, analysis {city.analysis.start} to {city.analysis.end}"


def _port(settings: Settings) -> str:
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            repair = "none needed: serve takes the next free port and prints it"
            raise _FaultError(
                f"{settings.port} on {settings.host}: {os.strerror(error.errno or 0)}", repair, required=False
            ) from error
    return f"{settings.port} on {settings.host} is free"


def _postgis(url: str) -> str:
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    try:
        with engine.connect() as connection:
            version = connection.execute(sa.text("SELECT postgis_full_version()")).scalar_one()
    except sa.exc.SQLAlchemyError as error:
        # The driver's own message, without the URL: it may hold a password.
        said = str(getattr(error, "orig", None) or type(error).__name__).strip().splitlines()[0]
        raise _FaultError(
            said, "check CALANQUE_DATABASE_URL, and run CREATE EXTENSION postgis in that database"
        ) from error
    finally:
        engine.dispose()
    return str(version)
