"""Streets, blocks and buildings of a plausible texture.

Each quartier gets a slightly irregular grid of its own angle and spacing, dense near the centre and loose at the
edge. Blocks that leave the quartier or enter a massif are not built, so all that exists lies on land. The kept edges
of blocks are street segments; a run of segments along one grid line is a street with a name of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from data_samples.marseille.generator.land import Land, distance_to_centre_m, in_massif
from data_samples.marseille.generator.names import street_names
from data_samples.marseille.generator.randomness import BoolArray, FloatArray, Geometries, IntArray, Streams

ANCHOR_STEP_M = 10.0
HALF_STREET_M = 6.5
PATH_ANCHORS = 500


@dataclass(frozen=True)
class Anchors:
    """Places where incidents can happen: one every ten metres of street, and a few along paths in the massifs.

    ``dx, dy`` is the unit vector along the street, ``along_m`` the distance from the street's start; ``street`` is −1
    on a path. All in metres of EPSG:2154.
    """

    x: FloatArray
    y: FloatArray
    dx: FloatArray
    dy: FloatArray
    along_m: FloatArray
    street: IntArray
    quartier: IntArray

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Streets:
    """Street segments (start, end) with the street they belong to, and one name per street."""

    start: FloatArray
    end: FloatArray
    street: IntArray
    offset_m: FloatArray
    quartier: IntArray
    names: tuple[str, ...]


@dataclass(frozen=True)
class Town:
    """The built city: blocks (n, 4, 2), their quartier, streets, and anchors of incidents."""

    blocks: FloatArray
    block_quartier: IntArray
    nodes: FloatArray
    """Street corners (n, 2): where poles and cameras stand."""
    node_grid: IntArray
    """Quartier, row and column of each corner (n, 3)."""
    streets: Streets
    anchors: Anchors


def _spacing_m(distance_m: float) -> float:
    return float(np.interp(distance_m, [800, 3000, 6000, 9000, 13000], [78, 92, 115, 140, 170]))


class _Openness:
    """A smooth random field in −1…1: open ground (parks, railway land, farms) where it is low."""

    def __init__(self, rng: np.random.Generator) -> None:
        angle = rng.uniform(0, 2 * np.pi, 12)
        length_m = rng.uniform(900, 3500, 12)
        self.kx, self.ky = 2 * np.pi * np.cos(angle) / length_m, 2 * np.pi * np.sin(angle) / length_m
        self.phase = rng.uniform(0, 2 * np.pi, 12)

    def __call__(self, x: FloatArray, y: FloatArray) -> FloatArray:
        total = np.zeros(len(x))
        for kx, ky, phase in zip(self.kx, self.ky, self.phase, strict=True):
            total += np.cos(kx * x + ky * y + phase)
        return np.asarray(total / 4.0)


def _grid(land: Land, quartier: int, rng: np.random.Generator) -> tuple[FloatArray, IntArray]:
    """Nodes (rows, columns, 2) of one quartier's grid, and the (row, column) pairs of blocks inside the quartier."""
    polygon = land.quartiers[quartier]
    west, south, east, north = polygon.bounds
    centre = np.array([(west + east) / 2, (south + north) / 2])
    distance = float(distance_to_centre_m(land, centre[:1], centre[1:])[0])
    spacing = _spacing_m(distance) * rng.uniform(0.92, 1.08, 2)
    angle = rng.uniform(0, np.pi / 2)
    half = np.hypot(east - west, north - south) / 2
    rows, columns = (int(np.ceil(2 * half / s)) + 1 for s in spacing)
    u = (np.arange(rows) - rows / 2)[:, None] * spacing[0] + rng.normal(0, 0.05 * spacing[0], (rows, 1))
    v = (np.arange(columns) - columns / 2)[None, :] * spacing[1] + rng.normal(0, 0.05 * spacing[1], (1, columns))
    u = u + rng.normal(0, 1.0, (rows, columns))
    v = v + rng.normal(0, 1.0, (rows, columns))
    x = centre[0] + np.cos(angle) * u - np.sin(angle) * v
    y = centre[1] + np.sin(angle) * u + np.cos(angle) * v
    nodes = np.round(np.stack([x, y], axis=-1), 2)
    corners = np.stack([nodes[:-1, :-1], nodes[1:, :-1], nodes[1:, 1:], nodes[:-1, 1:]], axis=2)
    inside = np.zeros((rows, columns), dtype=bool)
    inside[:] = shapely.contains_xy(polygon, nodes[..., 0], nodes[..., 1])
    candidate = inside[:-1, :-1] & inside[1:, :-1] & inside[1:, 1:] & inside[:-1, 1:]
    pairs = np.argwhere(candidate)
    whole = shapely.contains_properly(polygon, shapely.polygons(corners[pairs[:, 0], pairs[:, 1]]))
    return nodes, pairs[whole]


def build_town(land: Land, streams: Streams) -> Town:
    """Build blocks, streets and anchors.

    Parameters
    ----------
    land
        The fixed ground.
    streams
        Random streams of the seed.

    Returns
    -------
    Town
        About 12,000 blocks, 4,000 streets and 250,000 anchors, all on land.
    """
    openness = _Openness(streams.of("town/openness"))
    blocks, owners, nodes, grid, edges = [], [], [], [], []
    for quartier in range(len(land.quartiers)):
        lattice, pairs = _grid(land, quartier, streams.of(f"town/grid/{land.keys[quartier]}"))
        if not len(pairs):
            continue
        i, j = pairs.T
        middle = (lattice[i, j] + lattice[i + 1, j + 1]) / 2
        distance = distance_to_centre_m(land, middle[:, 0], middle[:, 1])
        threshold = np.interp(distance, [1500, 5000, 12000], [-2.0, -0.75, -0.25])
        keep = ~in_massif(land, middle[:, 0], middle[:, 1]) & (openness(middle[:, 0], middle[:, 1]) > threshold)
        i, j = i[keep], j[keep]
        blocks.append(np.stack([lattice[i, j], lattice[i + 1, j], lattice[i + 1, j + 1], lattice[i, j + 1]], axis=1))
        owners.append(np.full(len(i), quartier))
        corner = np.unique(np.concatenate([np.column_stack([i + a, j + b]) for a in (0, 1) for b in (0, 1)]), axis=0)
        nodes.append(lattice[corner[:, 0], corner[:, 1]])
        grid.append(np.column_stack([np.full(len(corner), quartier), corner]))
        edges.append(_edges(quartier, lattice, i, j))
    streets = _streets(np.concatenate([e[0] for e in edges]), np.concatenate([e[1] for e in edges]), streams)
    anchors = _anchors(land, streets, streams)
    return Town(
        np.concatenate(blocks), np.concatenate(owners), np.concatenate(nodes), np.concatenate(grid), streets, anchors
    )


def _edges(quartier: int, lattice: FloatArray, i: IntArray, j: IntArray) -> tuple[IntArray, FloatArray]:
    """Unique block edges as (quartier, direction, line, position) and their end points (n, 2, 2)."""
    along_rows = np.concatenate([np.column_stack([j, i]), np.column_stack([j + 1, i])])
    along_columns = np.concatenate([np.column_stack([i, j]), np.column_stack([i + 1, j])])
    keys, points = [], []
    for direction, pairs in enumerate((along_rows, along_columns)):
        line, position = np.unique(pairs, axis=0).T
        if direction == 0:
            ends = np.stack([lattice[position, line], lattice[position + 1, line]], axis=1)
        else:
            ends = np.stack([lattice[line, position], lattice[line, position + 1]], axis=1)
        keys.append(np.column_stack([np.full(len(line), quartier), np.full(len(line), direction), line, position]))
        points.append(ends)
    return np.concatenate(keys), np.concatenate(points)


def _streets(keys: IntArray, points: FloatArray, streams: Streams) -> Streets:
    """Join consecutive edges of a grid line into named streets."""
    order = np.lexsort((keys[:, 3], keys[:, 2], keys[:, 1], keys[:, 0]))
    keys, points = keys[order], points[order]
    same = np.all(keys[1:, :3] == keys[:-1, :3], axis=1) & (keys[1:, 3] == keys[:-1, 3] + 1)
    street = np.concatenate([[0], np.cumsum(~same)])
    length = np.hypot(*(points[:, 1] - points[:, 0]).T)
    cumulated = np.cumsum(length) - length
    first = np.concatenate([[0], np.flatnonzero(~same) + 1])
    offset = cumulated - cumulated[first][street]
    names = street_names(int(street[-1]) + 1, streams.of("town/names"))
    return Streets(points[:, 0], points[:, 1], street, offset, keys[:, 0], names)


def _anchors(land: Land, streets: Streets, streams: Streams) -> Anchors:
    vector = streets.end - streets.start
    length = np.hypot(vector[:, 0], vector[:, 1])
    count = np.maximum(1, np.round(length / ANCHOR_STEP_M)).astype(np.int64)
    edge = np.repeat(np.arange(len(count)), count)
    rank = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)
    fraction = (rank + 0.5) / count[edge]
    xy = streets.start[edge] + fraction[:, None] * vector[edge]
    unit = vector[edge] / length[edge][:, None]
    paths = _paths(land, streams.of("town/paths"))
    none = np.full(len(paths), -1)
    return Anchors(
        x=np.concatenate([xy[:, 0], paths[:, 0]]),
        y=np.concatenate([xy[:, 1], paths[:, 1]]),
        dx=np.concatenate([unit[:, 0], np.ones(len(paths))]),
        dy=np.concatenate([unit[:, 1], np.zeros(len(paths))]),
        along_m=np.concatenate([streets.offset_m[edge] + fraction * length[edge], np.zeros(len(paths))]),
        street=np.concatenate([streets.street[edge], none]),
        quartier=np.concatenate([streets.quartier[edge], none]),
    )


def _paths(land: Land, rng: np.random.Generator) -> FloatArray:
    """Random positions at least 30 m inside the land part of the massifs."""
    wild = shapely.intersection(land.massifs, land.land).buffer(-30.0)
    west, south, east, north = wild.bounds
    draws = np.column_stack([rng.uniform(west, east, 20 * PATH_ANCHORS), rng.uniform(south, north, 20 * PATH_ANCHORS)])
    inside = shapely.contains_xy(wild, draws[:, 0], draws[:, 1])
    return np.asarray(draws[inside][:PATH_ANCHORS])


def buildings(town: Town, blocks: BoolArray, streams: Streams) -> tuple[Geometries, IntArray, IntArray]:
    """Building footprints of the chosen blocks: two rows of parcels, back to back, set back from the street.

    Parameters
    ----------
    town
        The built city.
    blocks
        Which blocks, shape (n_blocks,). The buildings of a block do not depend on which others are chosen.
    streams
        Random streams of the seed.

    Returns
    -------
    footprints, block, dwellings
        Polygons in EPSG:2154, the block of each, and its number of dwellings.
    """
    width_m = np.hypot(*(town.blocks[:, 1] - town.blocks[:, 0]).T)
    depth_m = np.hypot(*(town.blocks[:, 3] - town.blocks[:, 0]).T)
    parcels = np.maximum(1, np.round(width_m / 26)).astype(np.int64)
    loose = np.clip((width_m + depth_m - 190) / 120, 0.0, 1.0)
    total = np.cumsum(2 * parcels)
    block = np.repeat(np.arange(len(parcels)), 2 * parcels)
    rank = np.arange(len(block)) - np.repeat(total - 2 * parcels, 2 * parcels)
    rng = streams.of("town/buildings")
    present = rng.random(len(block)) > 0.04 + 0.30 * loose[block]
    gap = rng.uniform(0, 5, len(block)) * loose[block]
    setback = rng.uniform(0, 1, len(block)) * (0.6 + 6 * loose[block])
    depth = rng.uniform(0.30, 0.42, len(block)) * (1 - 0.35 * loose[block])
    floors = rng.integers(1, 7, len(block)) - np.round(3 * loose[block]).astype(np.int64)
    chosen = present & blocks[block]
    block, rank, gap, setback, depth = (a[chosen] for a in (block, rank, gap, setback, depth))
    row, column = rank // parcels[block], rank % parcels[block]
    margin_u = (HALF_STREET_M + 0.5) / width_m[block]
    left = margin_u + (1 - 2 * margin_u) * column / parcels[block] + gap / width_m[block]
    right = margin_u + (1 - 2 * margin_u) * (column + 1) / parcels[block] - gap / width_m[block]
    front = (HALF_STREET_M + 0.5 + setback) / depth_m[block]
    back = np.maximum(front + 0.05, depth)
    front, back = np.where(row == 0, front, 1 - front), np.where(row == 0, back, 1 - back)
    corners = np.stack(
        [_at(town.blocks[block], u, v) for u, v in ((left, front), (right, front), (right, back), (left, back))], axis=1
    )
    dwellings = np.maximum(1, floors[chosen]) * 2
    return np.asarray(shapely.polygons(np.round(corners, 2))), block, dwellings


def _at(block: FloatArray, u: FloatArray, v: FloatArray) -> FloatArray:
    """Bilinear position (u, v in 0…1) inside blocks."""
    u, v = u[:, None], v[:, None]
    return np.asarray(
        (1 - u) * (1 - v) * block[:, 0] + u * (1 - v) * block[:, 1] + u * v * block[:, 2] + (1 - u) * v * block[:, 3]
    )
