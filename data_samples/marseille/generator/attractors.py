"""The uneven background: how each theme spreads over streets, sites and its own attractors."""

from __future__ import annotations

import numpy as np
import shapely

from data_samples.marseille.generator.land import Land, Sites, distance_to_centre_m
from data_samples.marseille.generator.randomness import FloatArray, Streams
from data_samples.marseille.generator.town import Town

PATH_WEIGHT = 0.01
"""Weight of a path in a massif, beside about one for a street near the centre."""


def near_points(
    tree: shapely.STRtree, points: FloatArray, town: Town, *, reach_m: float, flat: bool = False
) -> FloatArray:
    """Weight of each anchor by its distance to points: a Gaussian cut at ``reach_m`` (three sigmas), or flat.

    Parameters
    ----------
    tree
        Index of the anchors.
    points
        Attractors (n, 2) in metres.
    town
        The built city.
    reach_m
        Where the weight ends.
    flat
        Count the attractors within reach instead.
    """
    where, anchors = tree.query(shapely.points(points), predicate="dwithin", distance=reach_m)
    distance = np.hypot(town.anchors.x[anchors] - points[where, 0], town.anchors.y[anchors] - points[where, 1])
    weight = np.ones(len(distance)) if flat else np.exp(-0.5 * (3 * distance / reach_m) ** 2)
    total = np.bincount(anchors, weights=weight, minlength=len(town.anchors))
    return np.asarray(np.minimum(total, 1.0) if flat else total)


def background_weights(
    land: Land, sites: Sites, town: Town, tree: shapely.STRtree, streams: Streams
) -> dict[str, FloatArray]:
    """Weights of every theme's background over the anchors.

    Returns
    -------
    dict
        Theme → weights, shape (n_anchors,), not normalised.
    """
    rng = streams.of("attractors")
    anchors = town.anchors
    distance = distance_to_centre_m(land, anchors.x, anchors.y)
    street_noise = rng.lognormal(0, 0.55, len(town.streets.names) + 1)
    quartier_noise = rng.lognormal(0, 0.30, len(land.keys) + 1)
    on_path = anchors.street < 0
    texture = street_noise[anchors.street] * quartier_noise[anchors.quartier]
    dense = np.where(on_path, PATH_WEIGHT, np.exp(-distance / 5200) * texture)
    even = np.where(on_path, PATH_WEIGHT, np.exp(-distance / 12000) * np.sqrt(texture))

    def mixed(base: FloatArray, share: float, extra: FloatArray) -> FloatArray:
        return np.asarray((1 - share) * base / base.sum() + share * extra / extra.sum())

    def corners(count: int, reach_m: float, minimum_m: float, maximum_m: float) -> FloatArray:
        away = distance_to_centre_m(land, town.nodes[:, 0], town.nodes[:, 1])
        chosen = rng.choice(np.flatnonzero((away > minimum_m) & (away < maximum_m)), count, replace=False)
        return near_points(tree, town.nodes[chosen], town, reach_m=reach_m)

    lively = rng.random(len(street_noise)) < 0.05
    lively_streets = np.where(lively[anchors.street] & ~on_path, np.exp(-distance / 2500), 0.0) + 1e-9
    culture = near_points(tree, sites.of("lieux_culturels", "equipements_sportifs"), town, reach_m=350.0)
    beaches = near_points(tree, sites.of("bases_nautiques_plages"), town, reach_m=500.0)
    shore = np.where(on_path, 0.02, 0.0) + beaches
    long_streets = np.bincount(anchors.street[~on_path], minlength=len(street_noise))[anchors.street]
    return {
        "vie_nocturne": mixed(dense**1.2, 0.45, lively_streets),
        "sites_evenementiels": mixed(dense, 0.75, culture),
        "abords_ecoles": even,
        "marches": mixed(dense, 0.40, corners(70, 300.0, 200, 8000)),
        "chantiers": mixed(even, 0.40, corners(320, 200.0, 0, 11000)),
        "occupation_espace_public": dense,
        "stationnement": dense**1.1,
        "accidents": mixed(even, 0.5, even * np.minimum(long_streets, 60)),
        "littoral": mixed(shore, 0.12, even),
        "habitat_social": mixed(even, 0.45, corners(110, 420.0, 2500, 10000)),
        "lieux_de_culte": mixed(even, 0.7, corners(90, 180.0, 300, 10000)),
        "violences_familiales": even**0.8,
    }
