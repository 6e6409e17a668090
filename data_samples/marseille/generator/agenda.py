"""Planned events of two organisers, and the cameras that are not part of a scheme."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import shapely

from data_samples.marseille.generator import formats
from data_samples.marseille.generator import parameters as p
from data_samples.marseille.generator.land import Sites, to_degrees
from data_samples.marseille.generator.process import Simulation
from data_samples.marseille.generator.randomness import Geometries, Streams, pick
from data_samples.marseille.generator.timeline import day_index, utc_offset_hours

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


def make_agenda(simulation: Simulation, sites: Sites) -> Agenda:
    """Make 400 events: half an organiser's points and squares, half works along streets."""
    rng = Streams(simulation.seed).of("agenda")
    town = simulation.town
    venues = sites.of("lieux_culturels", "equipements_sportifs", "parcs_jardins")
    works = int(p.EVENTS * SHARE_OF_WORKS)
    rows, geometries = [], []
    for number in range(p.EVENTS):
        source = WORKS if number < works else AGENDA
        kinds = NATURES[source]
        nature, title = kinds[int(rng.integers(len(kinds)))]
        day = int(rng.integers(30, p.DAYS - 40))
        if source == WORKS:
            start, length = day * 1440 + 7 * 60, int(rng.integers(3, 45)) * 1440 + 11 * 60
            segment = int(rng.integers(len(town.streets.start)))
            line = shapely.LineString([town.streets.start[segment], town.streets.end[segment]])
            geometry = line.buffer(8.0, cap_style="flat")
        else:
            start, length = day * 1440 + int(rng.integers(9, 22)) * 60, int(rng.integers(2, 10)) * 60
            x, y = venues[int(rng.integers(len(venues)))]
            geometry = shapely.Point(x, y)
            if rng.random() < 0.35:
                geometry = shapely.box(x - 45, y - 30, x + 45, y + 30)
        rows.append([source, f"{source[0].upper()}{number + 1:04d}", nature, f"{title} {number + 1}", start, start + length])
        geometries.append(geometry)
    planted = _plant_conflicts(rows, geometries, works, rng)
    events = pd.DataFrame(rows, columns=["source", "event_id", "nature", "title", "start_minute", "end_minute"])
    outlines = np.array([shapely.transform(g, lambda c: np.round(c, 2)) for g in geometries])
    return Agenda(events, outlines, planted, _every_conflict(events, outlines))


def _plant_conflicts(
    rows: list[list[object]], geometries: list[shapely.Geometry], works: int, rng: np.random.Generator
) -> list[tuple[str, str]]:
    """Move some events of the agenda into works that last at that time."""
    pairs = []
    for work, event in zip(rng.choice(works, p.CONFLICTS, replace=False),
                           works + rng.choice(p.EVENTS - works, p.CONFLICTS, replace=False), strict=True):
        length = int(str(rows[event][5])) - int(str(rows[event][4]))
        begin = int(str(rows[work][4])) + 1440 + 10 * 60
        rows[event][4], rows[event][5] = begin, begin + length
        centre = geometries[work].centroid
        moved = geometries[event]
        offset = np.array([centre.x - moved.centroid.x, centre.y - moved.centroid.y])
        geometries[event] = shapely.transform(moved, lambda c, o=offset: c + o)
        pairs.append((str(rows[event][1]), str(rows[work][1])))
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
    own = (events["source"] == AGENDA).to_numpy()
    clock = {c: formats.local_clock(events[c].to_numpy(), p.START.isoformat(), "YYYY-MM-DDThh:mm")
             for c in ("start_minute", "end_minute")}
    offset = {c: utc_offset_hours(events[c].to_numpy() // 1440, events[c].to_numpy() // 60 % 24,
                                  second_pass=np.zeros(len(events), dtype=bool)) for c in clock}
    iso = {c: [f"{t}:00+{o:02d}:00" for t, o in zip(clock[c], offset[c], strict=True)] for c in clock}
    properties = [
        {"id": events["event_id"][i], "nature": events["nature"][i], "titre": events["title"][i],
         "debut": iso["start_minute"][i], "fin": iso["end_minute"][i]} for i in np.flatnonzero(own)]
    degrees = [shapely.transform(g, lambda c: np.round(np.column_stack(to_degrees(c[:, 0], c[:, 1])), 7))
               for g in agenda.geometries[own]]
    formats.write_geojson(folder / "agenda.geojson", "agenda", properties, [shapely.geometry.mapping(g) for g in degrees])
    rows = np.flatnonzero(~own)
    table = pa.table({
        "id": [events["event_id"][i] for i in rows],
        "nature": [events["nature"][i] for i in rows],
        "objet": [events["title"][i] for i in rows],
        "debut": [iso["start_minute"][i] for i in rows],
        "fin": [iso["end_minute"][i] for i in rows],
    })  # fmt: skip
    formats.write_gpkg(folder / "travaux.gpkg", "travaux", table, agenda.geometries[rows], geometry_type="Polygon",
                       crs=p.CRS_METRIC)


def make_cameras(simulation: Simulation) -> pd.DataFrame:
    """Make 150 cameras: the schemes', then others on street corners away from schemes and controls.

    Returns
    -------
    pandas.DataFrame
        code, scheme (empty outside schemes), status, kind, direction_deg, range_m, field_of_view_deg, in_service_from,
        in_service_to (ISO dates or empty), x_m, y_m.
    """
    rng = Streams(simulation.seed).of("cameras")
    rows = [
        (c.scheme, "installed", "ptz", c.direction_deg, c.range_m, c.field_of_view_deg, p.INSTALLED.isoformat(), "", c.x, c.y)
        for c in simulation.places.cameras
    ]
    nodes = simulation.town.nodes
    far = ~np.asarray(shapely.dwithin(shapely.points(nodes), simulation.places.reserved, 300.0))
    middle = np.hypot(nodes[:, 0] - simulation.land.centre[0], nodes[:, 1] - simulation.land.centre[1])
    wanted = p.CAMERAS - len(rows)
    stand = np.unique(pick(rng, far * np.exp(-middle / 4000), 4 * wanted))
    stand = np.sort(rng.permutation(stand)[:wanted])
    for number, node in enumerate(stand):
        ptz = rng.random() < 0.4
        planned = number < p.PLANNED_CAMERAS
        since = day_index(p.START) + int(rng.integers(-1500, p.DAYS - 60))
        begin = np.datetime64(p.START) + since
        until = "" if planned or rng.random() > 0.06 else str(np.datetime64(p.END) - int(rng.integers(0, 50)))
        rows.append((
            "", "planned" if planned else "installed", "ptz" if ptz else "fixed",
            0.0 if ptz else float(rng.integers(0, 360)), float(rng.choice([150, 200, 250] if ptz else [60, 80, 120])),
            360.0 if ptz else float(rng.choice([60, 90, 120])),
            "" if planned else str(begin), until, float(nodes[node, 0]), float(nodes[node, 1]),
        ))  # fmt: skip
    columns = ["scheme", "status", "kind", "direction_deg", "range_m", "field_of_view_deg", "in_service_from",
               "in_service_to", "x_m", "y_m"]
    cameras = pd.DataFrame(rows, columns=columns)
    cameras = cameras.iloc[rng.permutation(len(cameras))].reset_index(drop=True)
    cameras.insert(0, "code", [f"CAM-{i + 1:03d}" for i in range(len(cameras))])
    return cameras


def write_cameras(folder: Path, cameras: pd.DataFrame) -> None:
    """Write the cameras as a UTF-8 CSV in EPSG:2154; the scheme is not in it (a city does not know it either)."""
    header = ("code", "etat", "type", "azimut_deg", "portee_m", "angle_deg", "mise_en_service", "retrait", "x_l93", "y_l93")
    states, kinds = {"installed": "installée", "planned": "prévue"}, {"ptz": "dôme", "fixed": "fixe"}
    rows = [
        (c.code, states[c.status], kinds[c.kind], f"{c.direction_deg:.0f}", f"{c.range_m:.0f}",
         f"{c.field_of_view_deg:.0f}", c.in_service_from, c.in_service_to, f"{c.x_m:.2f}", f"{c.y_m:.2f}")
        for c in cameras.itertuples()
    ]  # fmt: skip
    formats.write_csv(folder / "cameras.csv", header, rows, encoding="utf-8", delimiter=",")
