"""Drift: what changed in the way a source is made, between one delivery and the next.

Records that differ are the point of a new delivery; drift is a difference in *shape*. Every comparison asks two things:
that chance does not explain it, and that it is large enough to matter. Chance: Pearson's chi-square of homogeneity on
counts, divided by the source's own overdispersion (McCullagh and Nelder, Generalized Linear Models, 1989, §4.5), and
all p-values of a pair of deliveries adjusted together by Holm's method (Scandinavian Journal of Statistics 6, 1979).
Size: the total variation distance, half the sum of absolute differences of shares, that is the share of records that
would have to change class. Deliveries that share records differ less than independent ones: the test then errs on the
side of silence.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from layers.quality.days import central_days, daily_rate, overdispersion
from layers.quality.profile import INTERVAL_CLASSES, PRECISION_CLASSES

ALPHA: Final = 0.01
"""Probability of any false alarm between two deliveries of one and the same source."""
DISTANCES: Final = {"shape": 0.10, "located": 0.02, "rejected": 0.01, "filled": 0.05}
"""Smallest differences that matter: of a distribution, of the share of records located, of rows refused, of fields
filled."""
VOLUME_RATIO: Final = 1.5
"""Records a day: this many times more, or less. Seasons stay below."""
LABEL_RECORDS: Final = 10
"""A code of fewer records may come and go."""
_EXPECTED = 5
"""Cells with a smaller expectation are counted together: the chi-square is no approximation below (Cochran, 1954)."""
_SHIFT_EXPLAINS = 0.5
"""A shift of the clock is suspected when it takes away at least half of the distance between two days."""
_COMPLETE_SHARE = 0.8
"""A complete delivery with fewer rows than this share of the previous one has lost some."""
_MOST_LABELS = 200


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that changed.

    ``what`` is ``hours``, ``weekdays``, ``classes``, ``codes``, ``precision``, ``intervals``, ``provenance``,
    ``located``, ``rejected``, ``filled``, ``vanished``, ``new``, ``volume`` or ``rows``; ``about`` the field or code.
    """

    what: str
    distance: float
    """Total variation distance or difference of shares, 0 to 1; for ``volume`` and ``rows``, new over old."""
    p_value: float
    """Adjusted for all comparisons of the pair; 0 for what is a rule and no test."""
    before: float
    after: float
    about: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return the change as JSON values, rounded to what is read."""
        return {k: round(v, 6) if isinstance(v, float) else v for k, v in asdict(self).items()}


def compare(
    previous: Mapping[str, Any], current: Mapping[str, Any], *, mode: Literal["complete", "increment"] = "increment"
) -> list[Change]:
    """Compare two profiles of a source.

    Parameters
    ----------
    previous, current
        Documents of :class:`~layers.quality.profile.Profile`, of one layer.
    mode
        Of the source: a complete delivery does not shrink without a reason.

    Returns
    -------
    list of Change
        Largest distance first. Between independent samples of one source: nothing, save with probability 1 %.
    """
    spread = max(overdispersion(previous["days"]), overdispersion(current["days"]))
    candidates = [
        *_shapes(previous, current, spread),
        *_shares(previous, current, spread),
        *_labels(previous, current, spread),
        *_volume(previous, current, spread),
    ]
    adjusted = holm([c.p_value for c, _ in candidates])
    found = [
        replace(change, p_value=p)
        for (change, matters), p in zip(candidates, adjusted, strict=True)
        if matters and p < ALPHA
    ]
    return sorted([*found, *_shrunk(previous, current, mode)], key=_order)


def _order(change: Change) -> tuple[float, str, str]:
    size = abs(1 - change.distance) if change.what in {"volume", "rows"} else change.distance
    return (-size, change.what, change.about or "")


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values so that the probability of any false rejection is bounded (Holm 1979)."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [1.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def total_variation(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    """Half the sum of absolute differences of two distributions given as counts, 0 to 1."""
    if not before.sum() or not after.sum():
        return 0.0
    return float(np.abs(before / before.sum() - after / after.sum()).sum() / 2)


def homogeneity_p(before: NDArray[np.float64], after: NDArray[np.float64], spread: float = 1.0) -> float:
    """Probability that two rows of counts of one distribution differ as much (Pearson's chi-square over ``spread``).

    Classes with an expectation below five are counted together, the rarest first.
    """
    table = np.stack([before, after]).astype(np.float64)
    sums = table.sum(axis=1)
    if not sums.all():
        return 1.0
    share = sums.min() / sums.sum()
    order = np.argsort(table.sum(axis=0), kind="stable")
    table = table[:, order]
    needed = _EXPECTED / share
    together = int(np.searchsorted(np.cumsum(table.sum(axis=0)), needed))
    if together >= table.shape[1] - 1:
        return 1.0
    table = np.column_stack([table[:, : together + 1].sum(axis=1), table[:, together + 1 :]])
    expected = np.outer(sums, table.sum(axis=0)) / sums.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return float(special.chdtrc(table.shape[1] - 1, statistic / spread))


_Candidate = tuple[Change, bool]
"""A comparison, and whether its size matters; its p-value is not adjusted yet."""


def _shapes(previous: Mapping[str, Any], current: Mapping[str, Any], spread: float) -> list[_Candidate]:
    found = []
    rows: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = {
        name: (np.array(previous[name], dtype=np.float64), np.array(current[name], dtype=np.float64))
        for name in ("hours", "weekdays")
    }
    classes: dict[str, Sequence[str]] = {"precision": PRECISION_CLASSES, "intervals": INTERVAL_CLASSES}
    # Classes follow from codes: where there are codes, they say more.
    labels = "codes" if previous["codes"] and current["codes"] else "classes"
    for name in (labels, "precision", "intervals", "provenance"):
        names = classes.get(name) or sorted({*previous[name], *current[name]})
        rows[name] = (_counts(previous[name], names), _counts(current[name], names))
    for name, (before, after) in rows.items():
        if before.sum() and after.sum():
            distance = total_variation(before, after)
            detail = _clock_shift(before, after, distance, spread) if name == "hours" else {}
            change = Change(
                name, distance, homogeneity_p(before, after, spread), before.sum(), after.sum(), detail=detail
            )
            found.append((change, distance >= DISTANCES["shape"]))
    return found


def _counts(labels: Mapping[str, int], names: Sequence[str]) -> NDArray[np.float64]:
    return np.array([labels.get(name, 0) for name in names], dtype=np.float64)


def _clock_shift(
    before: NDArray[np.float64], after: NDArray[np.float64], distance: float, spread: float
) -> dict[str, Any]:
    """Hours by which the new day is later, when a shift explains the difference or most of it: a fault of time zone."""
    shifts = sorted(range(-11, 13), key=abs)
    distances = {shift: total_variation(np.roll(before, shift), after) for shift in shifts}
    best = min(shifts, key=lambda shift: distances[shift])
    explained = homogeneity_p(np.roll(before, best), after, spread) >= ALPHA
    if best and (explained or distances[best] <= _SHIFT_EXPLAINS * distance):
        return {"shift_hours": best, "distance_after_shift": round(distances[best], 6)}
    return {}


def _shares(previous: Mapping[str, Any], current: Mapping[str, Any], spread: float) -> list[_Candidate]:
    """Compare shares of records: located, refused, with each field filled."""
    n, m = previous["accepted"], current["accepted"]
    wanted: list[tuple[str, str | None, int, int, int, int]] = []
    if previous["places"] or current["places"]:
        wanted.append(
            ("located", None, previous["places"].get("located", 0), n, current["places"].get("located", 0), m)
        )
    refused, refused_now = previous["refusals"]["rows"], current["refusals"]["rows"]
    wanted.append(("rejected", None, refused, n + refused, refused_now, m + refused_now))
    wanted += [
        ("filled", name, previous["filled"][name], n, current["filled"][name], m)
        for name in sorted({*previous["filled"]} & {*current["filled"]})
    ]
    found = []
    for what, about, yes, of, yes_now, of_now in wanted:
        if of and of_now:
            before, after = yes / of, yes_now / of_now
            p = homogeneity_p(np.array([yes, of - yes]), np.array([yes_now, of_now - yes_now]), spread)
            change = Change(what, abs(after - before), p, before, after, about=about)
            found.append((change, abs(after - before) >= DISTANCES[what]))
    return found


def _labels(previous: Mapping[str, Any], current: Mapping[str, Any], spread: float) -> list[_Candidate]:
    """Codes that vanish or appear. All of a code's records fall on one side with probability share ** number."""
    name = "codes" if previous["codes"] or current["codes"] else "classes"
    before, after = previous[name], current[name]
    n, m = sum(before.values()), sum(after.values())
    if not n or not m:
        return []
    found = []
    for what, labels, others, share in (("vanished", before, after, n / (n + m)), ("new", after, before, m / (n + m))):
        alone = {label: number for label, number in labels.items() if label not in others}
        for label, number in sorted(alone.items(), key=lambda item: (-item[1], item[0]))[:_MOST_LABELS]:
            p = math.exp(number / spread * math.log(share))
            part = number / (n if what == "vanished" else m)
            before_part, after_part = (part, 0.0) if what == "vanished" else (0.0, part)
            change = Change(what, part, p, before_part, after_part, about=label, detail={"records": number})
            found.append((change, number >= LABEL_RECORDS))
    return found


def _volume(previous: Mapping[str, Any], current: Mapping[str, Any], spread: float) -> list[_Candidate]:
    """Compare records a day, by the normal approximation of the logarithm of a ratio of overdispersed counts."""
    before, after = central_days(previous["days"]), central_days(current["days"])
    if before is None or after is None:
        return []
    n, m = int(before.counts.sum()), int(after.counts.sum())
    rate, rate_now = daily_rate(before), daily_rate(after)
    ratio = rate_now / rate
    z = math.log(ratio) / math.sqrt(spread * (1 / n + 1 / m))
    p = float(2 * special.ndtr(-abs(z)))
    return [(Change("volume", ratio, p, rate, rate_now), not 1 / VOLUME_RATIO < ratio < VOLUME_RATIO)]


def _shrunk(previous: Mapping[str, Any], current: Mapping[str, Any], mode: str) -> list[Change]:
    rows = [d["accepted"] + d["refusals"]["rows"] for d in (previous, current)]
    if mode == "increment" or not rows[0] or rows[1] >= _COMPLETE_SHARE * rows[0]:
        return []
    return [Change("rows", rows[1] / rows[0], 0.0, float(rows[0]), float(rows[1]))]
