"""A plain analysis that reads the truth's geometry and judges each camera scheme.

It shows that what was planted can be found again: monthly counts in the exact visible polygon and in its ring, beside
matched controls and their rings, compared before and after the installation (difference in differences on the log
scale). The p-value is a permutation of months: if nothing changed, any 18 of the 36 months could have been the first
ones, so it holds under over-dispersion. Controls share weather and season with the scheme, which cancel.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import shapely
from shapely.geometry.base import BaseGeometry

from data_samples.marseille.generator.parameters import INSTALLED, START
from data_samples.marseille.generator.process import Simulation, simulate
from data_samples.marseille.generator.randomness import FloatArray, IntArray, points_at

ALPHA = 0.005
"""Two-sided, for each of the two questions (scheme, ring)."""
PERMUTATIONS = 9999
MONTHS = 36
DECREASE, DISPLACED, NOTHING = "decrease", "decrease, displaced", "no detectable effect"


@dataclass(frozen=True)
class Comparison:
    """Treated against controls, before and after: counts, relative change, permutation p, dispersion of months."""

    before: int
    after: int
    control_before: int
    control_after: int
    change: float
    p_value: float
    dispersion: float


@dataclass(frozen=True)
class Verdict:
    """What the plain analysis says of one scheme."""

    scheme: str
    verdict: str
    area: Comparison
    ring: Comparison


@dataclass(frozen=True)
class TruthGeometry:
    """Areas by id (EPSG:2154), schemes (id of area and ring) and control ids."""

    areas: Mapping[str, BaseGeometry]
    schemes: tuple[str, ...]
    controls: tuple[str, ...]

    @classmethod
    def read(cls, folder: Path) -> TruthGeometry:
        """Read ``areas.parquet`` and ``truth.json`` of a generated sample's ``truth`` folder."""
        table = pq.read_table(folder / "areas.parquet")
        geometries = shapely.from_wkb(table["geometry"].to_pylist())
        document = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
        return cls(
            dict(zip(table["id"].to_pylist(), geometries, strict=True)),
            tuple(sorted(document["schemes"])),
            tuple(document["placebo_areas"]),
        )

    @classmethod
    def of(cls, simulation: Simulation) -> TruthGeometry:
        """Take the geometry of a city in memory."""
        places = simulation.places
        return cls(
            {a.id: a.geometry for a in places.areas},
            tuple(sorted(a.of for a in places.of("scheme"))),
            tuple(a.id for a in places.of("control")),
        )


def judge(x_m: FloatArray, y_m: FloatArray, month: IntArray, truth: TruthGeometry, *, seed: int = 0) -> list[Verdict]:
    """Judge every scheme.

    Parameters
    ----------
    x_m, y_m
        Positions of records in EPSG:2154; those without coordinates are left out by the caller.
    month
        Local month of each record, 0 for the first of the period.
    truth
        Areas, schemes and controls.
    seed
        Of the permutations.

    Returns
    -------
    list of Verdict
        In the order of the schemes.
    """
    tree = shapely.STRtree(points_at(x_m, y_m))
    monthly = {i: _monthly(tree, month, truth.areas[i]) for i in _ids(truth)}
    control = np.sum([monthly[i] for i in truth.controls], axis=0)
    control_ring = np.sum([monthly[f"{i}-ring"] for i in truth.controls], axis=0)
    out = []
    for scheme in truth.schemes:
        area = compare(monthly[f"scheme-{scheme}"], control, seed=seed)
        ring = compare(monthly[f"scheme-{scheme}-ring"], control_ring, seed=seed)
        lower = area.p_value <= ALPHA and area.change < 0
        higher = ring.p_value <= ALPHA and ring.change > 0
        verdict = (DISPLACED if higher else DECREASE) if lower else NOTHING
        out.append(Verdict(scheme, verdict, area, ring))
    return out


def compare(treated: IntArray, control: IntArray, *, seed: int = 0) -> Comparison:
    """Difference in differences of monthly counts, with a permutation p.

    Parameters
    ----------
    treated, control
        Counts of the 36 months.
    seed
        Of the permutations.

    Returns
    -------
    Comparison
        ``change`` is exp(log ratio after − log ratio before) − 1; ``dispersion`` the variance/mean ratio of the
        treated counts beside what the controls' months foretell in each period.
    """
    before = _labels(seed)

    def log_ratio(labels: FloatArray) -> FloatArray:
        t0, c0 = labels @ treated, labels @ control
        return np.asarray(np.log((treated.sum() - t0) / (control.sum() - c0)) - np.log(t0 / c0))

    observed, draws = log_ratio(before[:1])[0], log_ratio(before[1:])
    p_value = (1 + np.sum(np.abs(draws - draws.mean()) >= abs(observed - draws.mean()))) / (1 + len(draws))
    first = before[0].astype(bool)
    expected = np.zeros(MONTHS)
    for part in (first, ~first):
        expected[part] = control[part] * treated[part].sum() / control[part].sum()
    # Controls vary too: a month's residual has variance expected × (1 + treated/control).
    noise = expected * (1 + treated.sum() / control.sum())
    dispersion = float(np.sum((treated - expected) ** 2 / noise) / (MONTHS - 2))
    return Comparison(
        before=int(treated[first].sum()), after=int(treated[~first].sum()),
        control_before=int(control[first].sum()), control_after=int(control[~first].sum()),
        change=float(np.exp(observed) - 1), p_value=float(p_value), dispersion=dispersion,
    )  # fmt: skip


def judge_simulation(simulation: Simulation) -> list[Verdict]:
    """Judge the schemes of a city in memory from its true incidents."""
    incidents = simulation.incidents
    date = np.datetime64(START) + incidents["day"].to_numpy().astype("timedelta64[D]")
    month = date.astype("datetime64[M]").astype(np.int64) - np.datetime64(START, "M").astype(np.int64)
    return judge(incidents["x_m"].to_numpy(), incidents["y_m"].to_numpy(), month, TruthGeometry.of(simulation))


def judge_seed(seed: int) -> list[Verdict]:
    """Make the city of a seed in memory and judge its schemes."""
    return judge_simulation(simulate(seed))


def _ids(truth: TruthGeometry) -> list[str]:
    own = [f"scheme-{s}" for s in truth.schemes]
    return [i + suffix for i in (*own, *truth.controls) for suffix in ("", "-ring")]


def _monthly(tree: shapely.STRtree, month: IntArray, area: BaseGeometry) -> IntArray:
    inside = tree.query(area, predicate="contains")
    return np.bincount(month[inside], minlength=MONTHS)


@cache
def _labels(seed: int) -> FloatArray:
    """Indicator of the months called "before": the real ones first, then permutations; shape (1 + draws, 36)."""
    months_before = (INSTALLED.year - START.year) * 12 + INSTALLED.month - START.month
    real = (np.arange(MONTHS) < months_before).astype(float)
    rng = np.random.Generator(np.random.PCG64(seed))
    return np.vstack([real, rng.permuted(np.tile(real, (PERMUTATIONS, 1)), axis=1)])
