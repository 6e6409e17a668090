"""The 150 cameras: those of the three schemes, and others that change nothing."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import shapely

from data_samples.marseille.generator import formats
from data_samples.marseille.generator import parameters as p
from data_samples.marseille.generator.land import distance_to_centre_m
from data_samples.marseille.generator.process import Simulation
from data_samples.marseille.generator.randomness import FloatArray, Streams, pick, points_at

COLUMNS = (
    "scheme", "status", "kind", "direction_deg", "range_m", "field_of_view_deg", "in_service_from", "in_service_to",
    "x_m", "y_m",
)  # fmt: skip
HEADER = (
    "code", "etat", "type", "azimut_deg", "portee_m", "angle_deg", "mise_en_service", "retrait", "x_l93", "y_l93",
)  # fmt: skip
STATES = {"installed": "installée", "planned": "prévue"}
KINDS = {"ptz": "dôme", "fixed": "fixe"}
AWAY_M = 300.0
"""Other cameras keep this distance from schemes and controls."""


def make_cameras(simulation: Simulation) -> pd.DataFrame:
    """Make the cameras: the schemes', then others on street corners, more of them near the centre.

    Returns
    -------
    pandas.DataFrame
        code, scheme (empty outside schemes), status, kind, direction_deg, range_m, field_of_view_deg, in_service_from,
        in_service_to (ISO dates or empty), x_m, y_m; shuffled.
    """
    rng = Streams(simulation.seed).of("cameras")
    installed = p.INSTALLED.isoformat()
    rows: list[tuple[object, ...]] = [
        (
            c.scheme,
            "installed",
            "ptz" if c.field_of_view_deg >= 360 else "fixed",
            c.direction_deg,
            c.range_m,
            c.field_of_view_deg,
            installed,
            "",
            c.x,
            c.y,
        )
        for c in simulation.places.cameras
    ]
    nodes = simulation.town.nodes
    near = shapely.dwithin(points_at(nodes[:, 0], nodes[:, 1]), simulation.places.reserved, AWAY_M)
    distance = distance_to_centre_m(simulation.land, nodes[:, 0], nodes[:, 1])
    wanted = p.CAMERAS - len(rows)
    stand = np.unique(pick(rng, np.where(near, 0.0, np.exp(-distance / 4000)), 4 * wanted))
    for number, node in enumerate(rng.permutation(stand)[:wanted]):
        rows.append(_camera(nodes[node], rng, planned=number < p.PLANNED_CAMERAS))
    cameras = pd.DataFrame(rows, columns=list(COLUMNS)).iloc[rng.permutation(len(rows))].reset_index(drop=True)
    cameras.insert(0, "code", [f"CAM-{i + 1:03d}" for i in range(len(cameras))])
    return cameras


def _camera(xy: FloatArray, rng: np.random.Generator, *, planned: bool) -> tuple[object, ...]:
    """Draw one camera: turning with a full view, or fixed with an axis; planned ones have no dates."""
    ptz = rng.random() < 0.4
    direction = 0.0 if ptz else float(rng.integers(0, 360))
    reach = float(rng.choice([150, 200, 250] if ptz else [60, 80, 120]))
    view = 360.0 if ptz else float(rng.choice([60, 90, 120]))
    since = p.START + dt.timedelta(days=int(rng.integers(-1500, p.DAYS - 60)))
    retired = rng.random() < 0.06
    until = p.END - dt.timedelta(days=int(rng.integers(0, 50)))
    dates = ("", "") if planned else (str(since), str(until) if retired else "")
    kind = "ptz" if ptz else "fixed"
    status = "planned" if planned else "installed"
    return ("", status, kind, direction, reach, view, *dates, float(xy[0]), float(xy[1]))


def write_cameras(folder: Path, cameras: pd.DataFrame) -> None:
    """Write the cameras as a UTF-8 CSV in EPSG:2154; the scheme is not in it (a city does not know it either)."""
    text = pd.DataFrame({
        "code": cameras["code"],
        "etat": cameras["status"].map(STATES),
        "type": cameras["kind"].map(KINDS),
        "azimut_deg": cameras["direction_deg"].map("{:.0f}".format),
        "portee_m": cameras["range_m"].map("{:.0f}".format),
        "angle_deg": cameras["field_of_view_deg"].map("{:.0f}".format),
        "mise_en_service": cameras["in_service_from"],
        "retrait": cameras["in_service_to"],
        "x_l93": cameras["x_m"].map("{:.2f}".format),
        "y_l93": cameras["y_m"].map("{:.2f}".format),
    })  # fmt: skip
    rows: list[list[str]] = text[list(HEADER)].to_numpy().tolist()
    formats.write_csv(folder / "cameras.csv", HEADER, rows, encoding="utf-8", delimiter=",")
