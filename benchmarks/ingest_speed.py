"""Ingest five million incidents from CSV, and compare with reading the same file and writing it as Parquet.

python benchmarks/ingest_speed.py [--rows 5000000] [--runs 3] [--evidence]

Two ratios: the way of a record itself (read, contract, ids, write; one land polygon), and the whole of it (two zone
levels, near duplicates between two sources, light of the day). Every measurement is a process of its own, alone on the
machine, so that its peak memory is its own. The plain way is ``pyarrow.csv.read_csv`` and
``pyarrow.parquet.write_table`` as they come, in the same run; the order of the measurements turns from run to run.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from layers.city import load_city
from layers.home import Home
from layers.ingest import ingest

PROJECT = Path(__file__).resolve().parent.parent
SAMPLE = PROJECT / "data_samples" / "marseille"
EVIDENCE = PROJECT / "docs" / "evidence" / "ingest_speed.json"
ROWS = 5_000_000
DAYS = 3 * 365
CATEGORIES = 30
WAYS = ("plain", "bare", "full")
BOUNDS = {"bare": 6.0, "full": 20.0}
MEMORY_BOUND_GB = 2.0

_KINDS = ("rue", "boulevard", "avenue", "traverse", "chemin", "impasse", "allée", "place", "montée", "cours")
_OF = (
    "des Hautes",
    "des Basses",
    "des Vieilles",
    "des Petites",
    "des Grandes",
    "des Belles",
    "des Quatre",
    "des Trois",
)
_THINGS = tuple(
    f"{a}{b}" for a in ("Aub", "Cal", "Mar", "Fon", "Ros", "Lav", "Vig") for b in ("ines", "anques", "elles")
)

_CITY = """
[city]
id = "bench"
title = {{ fr = "Mesure", en = "Measurement" }}
metric_crs = "EPSG:2154"
timezone = "Europe/Paris"
attribution = "Ville de Marseille, quartiers (Licence Ouverte 2.0) ; incidents fictifs"

{geography}

[analysis]
start = 2023-01-01
end = 2025-12-31

[taxonomy.themes.theme]
title = {{ fr = "Thème", en = "Theme" }}
[taxonomy.themes.theme.categories]
{categories}
"""
_SOURCE = """
[[sources]]
id = "{id}"
layer = "incidents"
title = {{ fr = "Source", en = "Source" }}
organisation = "Police municipale"
deliveries = ["{id}.csv"]
crs = "EPSG:4326"

[sources.columns]
record_id = "NUM"
category = "CODE"
started_at = {{ columns = ["DATE", "HEURE"], format = "%d/%m/%Y %H:%M" }}
severity = "GRAVITE"
provenance = {{ column = "ORIGINE", map = {{ S = "reported", C = "discovered" }} }}
address = "ADRESSE"
lon = "LON"
lat = "LAT"
precision_m = "PREC"

[sources.categories]
{codes}
"""
_LEVELS = """
[land]
zones = "quartiers"
[[zones]]
id = "arrondissements"
title = { fr = "Arrondissements", en = "Arrondissements" }
dissolve = { of = "quartiers", by = "arrondissement", name = "arrondissement_name" }
[[zones]]
id = "quartiers"
title = { fr = "Quartiers", en = "Neighbourhoods" }
path = "quartiers.geojson"
"""
_BARE_LAND = """
zones = []
[land]
path = "quartiers.geojson"
"""
_ASKED = """
[enrichment]
daylight = true
[deduplication.near]
distance_m = 25.0
minutes = 10.0
sources = ["log", "desk"]
"""


def write_deliveries(folder: Path, rows: int) -> None:
    """Write the same incidents as one file for ``bare`` and as two sources' for ``full``, and both cities."""
    table = incidents(rows)
    for way, sources in (("bare", ("log",)), ("full", ("log", "desk"))):
        city = folder / way
        city.mkdir()
        shutil.copy(SAMPLE / "quartiers.geojson", city)
        for place, source in enumerate(sources):
            part = table.take(pa.array(np.arange(place, rows, len(sources))))
            pacsv.write_csv(part, city / f"{source}.csv", pacsv.WriteOptions(delimiter=";", quoting_style="none"))
        (city / "city.toml").write_text(_city(way, sources), encoding="utf-8")


def _city(way: str, sources: tuple[str, ...]) -> str:
    keys = [f"c{i:02d}" for i in range(CATEGORIES)]
    categories = "\n".join(f'{key} = {{ title = {{ fr = "{key}", en = "{key}" }} }}' for key in keys)
    codes = "\n".join(f'"{key.upper()}" = "{key}"' for key in keys)
    text = _CITY.format(geography=_LEVELS if way == "full" else "", categories=categories)
    text = (text if way == "full" else _BARE_LAND + text) + (_ASKED if way == "full" else "")
    return text + "".join(_SOURCE.format(id=source, codes=codes) for source in sources)


def incidents(rows: int) -> pa.Table:
    """Incidents of three years over the city's rectangle, in order of time, as a municipal log exports them."""
    rng = np.random.default_rng(20260101)
    minutes = np.sort(rng.integers(0, DAYS * 1440, rows))
    moments = pa.array(np.datetime64("2023-01-01", "us") + minutes * np.timedelta64(60_000_000, "us"))
    streets = pa.array([f"{kind} {of} {thing}" for kind in _KINDS for of in _OF for thing in _THINGS])
    numbers = pa.array([str(i) for i in range(1, 200)])
    return pa.table(
        {
            "NUM": pa.array([f"MC-{i:08d}" for i in range(rows)]),
            "DATE": pc.strftime(moments, format="%d/%m/%Y"),
            "HEURE": pc.strftime(moments, format="%H:%M"),
            "CODE": pa.array([f"C{i:02d}" for i in range(CATEGORIES)]).take(_drawn(rng, CATEGORIES, rows)),
            "GRAVITE": rng.integers(1, 5, rows),
            "ORIGINE": pa.array(["S", "C"]).take(_drawn(rng, 2, rows)),
            "ADRESSE": pc.binary_join_element_wise(
                numbers.take(_drawn(rng, 199, rows)), streets.take(_drawn(rng, len(streets), rows)), " "
            ),
            "LON": np.round(rng.uniform(5.30, 5.45, rows), 6),
            "LAT": np.round(rng.uniform(43.22, 43.37, rows), 6),
            "PREC": rng.choice([5.0, 20.0, 50.0], rows),
        }
    )


def _drawn(rng: np.random.Generator, of: int, rows: int) -> pa.Array:
    return pa.array(rng.integers(0, of, rows))


def plain(folder: Path) -> None:
    """Read and write the file as pyarrow does it."""
    table = pacsv.read_csv(folder / "bare" / "log.csv", parse_options=pacsv.ParseOptions(delimiter=";"))
    pq.write_table(table, folder / "plain.parquet")


def ingested(folder: Path, way: str) -> dict[str, Any]:
    """Ingest into an empty home."""
    with tempfile.TemporaryDirectory(dir=folder) as home:
        report = ingest(load_city(folder / way), Home(Path(home)))
        return {name: report.figures[name] for name in ("incidents", "off_land")}


def measure(folder: Path, way: str) -> dict[str, Any]:
    """Time one way in a process of its own."""
    command = [sys.executable, __file__, "--one", way, "--folder", str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=PROJECT)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def one(folder: Path, way: str) -> None:
    """Print what one way took, as JSON."""
    began = time.perf_counter()
    figures = plain(folder) if way == "plain" else ingested(folder, way)
    seconds = time.perf_counter() - began
    # Not getrusage: it counts what the process was before it became this program.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak_gb = int(status.split("VmHWM:")[1].split()[0]) / 1e6
    sys.stdout.write(json.dumps({"seconds": seconds, "peak_gb": peak_gb, "figures": figures}))


def main() -> None:
    """Measure, print, and keep the result if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--evidence", action="store_true", help=f"write {EVIDENCE.relative_to(PROJECT)}")
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        one(given.folder, given.one)
        return
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_deliveries(folder, given.rows)
        measure(folder, "plain")  # the file is in the cache of the disk from here on
        seconds: dict[str, list[float]] = {way: [] for way in WAYS}
        peaks: dict[str, list[float]] = {way: [] for way in WAYS}
        for run in range(given.runs):
            for way in (*WAYS[run % 3 :], *WAYS[: run % 3]):
                taken = measure(folder, way)
                seconds[way].append(round(taken["seconds"], 2))
                peaks[way].append(round(taken["peak_gb"], 2))
    medians = {way: statistics.median(values) for way, values in seconds.items()}
    ratios = {way: round(medians[way] / medians["plain"], 2) for way in BOUNDS}
    result = {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "rows": given.rows,
        "seconds": seconds,
        "peak_gb": peaks,
        "ratios": ratios,
        "bounds": {**BOUNDS, "peak_gb": MEMORY_BOUND_GB},
    }
    print(json.dumps(result, indent=1))
    if given.evidence:
        EVIDENCE.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
