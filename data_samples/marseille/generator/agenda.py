"""Planned events of two organisers, some of which meet in the same place at the same time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import shapely
import shapely.affinity
from shapely.geometry.base import BaseGeometry

from data_samples.marseille.generator import formats
from data_samples.marseille.generator import parameters as p
from data_samples.marseille.generator.land import Sites, to_degrees
from data_samples.marseille.generator.process import Simulation
from data_samples.marseille.generator.randomness import FloatArray, Geometries, IntArray, Streams
from data_samples.marseille.generator.timeline import utc_offset_hours

AGENDA, WORKS = "agenda", "travaux"
NATURES = {
    AGENDA: (("concert", "Concert"), ("match", "Match"), ("marche", "Marché"), ("manifestation", "Manifestation"),
             ("fete", "Fête de quartier"), ("escale", "Escale de croisière")),
    WORKS: (("chantier", "Chantier"), ("tournage", "Tournage"), ("deviation", "Déviation")),
}  # fmt: skip
SHARE_OF_WORKS = 0.4
POINT_CONFLICT_M = 50.0


@dataclass(frozen=True)
class Agenda:
    """Events (source, id, nature, title, start and end in local minutes) with their geometries, and conflicts.

    ``planted`` are the pairs made to conflict; ``conflicts`` all pairs of different sources whose times overlap and
    whose geometries are within 50 m, by comparing every pair.
    """

    events: pd.DataFrame
    geometries: Geometries
    planted: list[tuple[str, str]]
    conflicts: list[tuple[str, str]]


@dataclass
class _Event:
    """One event while it is made; times in local minutes since the start of the sample."""

    source: str
    event_id: str
    nature: str
    title: str
    start_minute: int
    end_minute: int
    geometry: BaseGeometry


def make_agenda(simulation: Simulation, sites: Sites) -> Agenda:
    """Make 400 events: works along streets, and the agenda's points and rectangles at open sites."""
    rng = Streams(simulation.seed).of("agenda")
    venues = sites.of("lieux_culturels", "equipements_sportifs", "parcs_jardins")
    works = int(p.EVENTS * SHARE_OF_WORKS)
    made = [
        _work(number, simulation, rng) if number < works else _gathering(number, venues, rng)
        for number in range(p.EVENTS)
    ]
    planted = _plant_conflicts(made, works, rng)
    columns = ["source", "event_id", "nature", "title", "start_minute", "end_minute"]
    events = pd.DataFrame({c: [getattr(event, c) for event in made] for c in columns})
    outlines = np.array([_rounded(event.geometry, 2) for event in made])
    return Agenda(events, outlines, planted, _every_conflict(events, outlines))


def _work(number: int, simulation: Simulation, rng: np.random.Generator) -> _Event:
    nature, title = NATURES[WORKS][int(rng.integers(len(NATURES[WORKS])))]
    start = int(rng.integers(30, p.DAYS - 50)) * 1440 + 7 * 60
    length = int(rng.integers(3, 45)) * 1440 + 11 * 60
    streets = simulation.town.streets
    segment = int(rng.integers(len(streets.start)))
    area = shapely.LineString([streets.start[segment], streets.end[segment]]).buffer(8.0, cap_style="flat")
    return _Event(WORKS, f"T{number + 1:04d}", nature, f"{title} n° {number + 1}", start, start + length, area)


def _gathering(number: int, venues: FloatArray, rng: np.random.Generator) -> _Event:
    nature, title = NATURES[AGENDA][int(rng.integers(len(NATURES[AGENDA])))]
    start = int(rng.integers(30, p.DAYS - 50)) * 1440 + int(rng.integers(9, 22)) * 60
    length = int(rng.integers(2, 10)) * 60
    x, y = (float(v) for v in venues[int(rng.integers(len(venues)))])
    place: BaseGeometry = shapely.box(x - 45, y - 30, x + 45, y + 30) if rng.random() < 0.35 else shapely.Point(x, y)
    return _Event(AGENDA, f"A{number + 1:04d}", nature, f"{title} n° {number + 1}", start, start + length, place)


def _rounded(geometry: BaseGeometry, decimals: int) -> BaseGeometry:
    return shapely.transform(geometry, lambda c: np.round(c, decimals))


def _plant_conflicts(made: list[_Event], works: int, rng: np.random.Generator) -> list[tuple[str, str]]:
    """Move some events of the agenda into works that last at that time."""
    pairs = []
    chosen = rng.choice(works, p.CONFLICTS, replace=False)
    moved = works + rng.choice(p.EVENTS - works, p.CONFLICTS, replace=False)
    for work, event in zip((made[i] for i in chosen), (made[i] for i in moved), strict=True):
        length = event.end_minute - event.start_minute
        event.start_minute = work.start_minute + 1440 + 10 * 60
        event.end_minute = event.start_minute + length
        there, here = work.geometry.centroid, event.geometry.centroid
        event.geometry = shapely.affinity.translate(event.geometry, there.x - here.x, there.y - here.y)
        pairs.append((event.event_id, work.event_id))
    return sorted(pairs)


def _every_conflict(events: pd.DataFrame, geometries: Geometries) -> list[tuple[str, str]]:
    """All pairs of different sources that overlap in time and lie within 50 m."""
    start, end = events["start_minute"].to_numpy(), events["end_minute"].to_numpy()
    source, identifier = events["source"].to_numpy(), events["event_id"].to_numpy()
    pairs = []
    for i in np.flatnonzero(source == AGENDA):
        together = (source == WORKS) & (start < end[i]) & (end > start[i])
        close = together & shapely.dwithin(geometries, geometries[i], POINT_CONFLICT_M)
        pairs += [(str(identifier[i]), str(identifier[j])) for j in np.flatnonzero(close)]
    return sorted(pairs)


def write_agenda(folder: Path, agenda: Agenda) -> None:
    """Write the agenda as GeoJSON in degrees, the works as a GeoPackage of polygons in EPSG:2154."""
    events = agenda.events
    starts, ends = (_iso(events[column].to_numpy()) for column in ("start_minute", "end_minute"))
    own = (events["source"] == AGENDA).to_numpy()
    properties = [
        {"id": events["event_id"][i], "nature": events["nature"][i], "titre": events["title"][i],
         "debut": starts[i], "fin": ends[i]}
        for i in np.flatnonzero(own)
    ]  # fmt: skip
    degrees = [shapely.geometry.mapping(_rounded(_in_degrees(g), 7)) for g in agenda.geometries[own]]
    formats.write_geojson(folder / "agenda.geojson", "agenda", properties, degrees)
    rows = np.flatnonzero(~own)
    table = pa.table({
        "id": [events["event_id"][i] for i in rows],
        "nature": [events["nature"][i] for i in rows],
        "objet": [events["title"][i] for i in rows],
        "debut": [starts[i] for i in rows],
        "fin": [ends[i] for i in rows],
    })  # fmt: skip
    formats.write_gpkg(
        folder / "travaux.gpkg", "travaux", table, agenda.geometries[rows], geometry_type="Polygon", crs=p.CRS_METRIC
    )


def _in_degrees(geometry: BaseGeometry) -> BaseGeometry:
    return shapely.transform(geometry, lambda c: np.column_stack(to_degrees(c[:, 0], c[:, 1])))


def _iso(minutes: IntArray) -> list[str]:
    """ISO 8601 local time with its offset."""
    first_pass = np.zeros(len(minutes), dtype=bool)
    offset = utc_offset_hours(minutes // 1440, minutes // 60 % 24, second_pass=first_pass)
    text = formats.local_clock(minutes, p.START.isoformat(), "YYYY-MM-DDThh:mm")
    return [f"{t}:00+{o:02d}:00" for t, o in zip(text, offset, strict=True)]
