"""How incidents become records: sources, codes, precision, addresses, spans of time, duplicates and dirty rows.

One table holds what every source knows; :mod:`deliveries` writes it in each source's own shape. Schemes, controls and
their surroundings are recorded exactly, once and with coordinates, so that camera verdicts rest on the cameras alone.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import shapely

from data_samples.marseille.generator import parameters as p
from data_samples.marseille.generator.process import Simulation
from data_samples.marseille.generator.randomness import BoolArray, Streams, pick, put

PREFIX = {p.MC: "MC", p.VF: "V", p.AM: "AM", p.CSU: ""}
UNTOUCHED_M = 160.0
"""Nothing within this distance of schemes and controls is blurred, doubled or left without coordinates."""


def record(simulation: Simulation) -> pd.DataFrame:
    """Turn true incidents into the records of the four sources.

    Parameters
    ----------
    simulation
        A city with its incidents.

    Returns
    -------
    pandas.DataFrame
        The incidents' columns, and: incident (row of the true incident), kind (``original``, ``exact_duplicate``,
        ``near_duplicate``), duplicate_of (record id), record_id, start_minute and end_minute (local minutes since the
        start, end −1 when the time is known), rx_m, ry_m (recorded position, NaN without coordinates), precision_m,
        severity (0 when unknown), provenance, has_address, has_copy. Sorted by source and record id.
    """
    streams = Streams(simulation.seed)
    records = simulation.incidents.copy()
    records["incident"] = np.arange(len(records))
    records["kind"] = "original"
    records["local_minute"] = records["day"] * 1440 + records["hour"] * 60 + records["minute"]
    records["start_minute"], records["end_minute"] = records["local_minute"], -1
    records["rx_m"], records["ry_m"] = records["x_m"], records["y_m"]
    records["precision_m"] = 5.0
    points = shapely.points(records["x_m"], records["y_m"])
    ordinary = ~np.asarray(shapely.dwithin(points, simulation.places.reserved, UNTOUCHED_M))
    ordinary &= (records["label"] != "clock-change").to_numpy()
    _rate_severity(records, streams)
    _spans(records, ordinary, streams)
    records = _duplicates(records, ordinary, simulation, streams)
    plain = (records["kind"] == "original").to_numpy() & ~records["incident"].duplicated(keep=False).to_numpy()
    plain[: len(ordinary)] &= ordinary
    _blur(records, plain, streams)
    _addresses(records, plain, streams)
    return _identified(records)


def _rate_severity(records: pd.DataFrame, streams: Streams) -> None:
    """Severity 1–4 by category (0 = not given, 5 %), and who noticed: patrols and operators, or people."""
    rng = streams.of("recording/severity")
    severity = np.zeros(len(records), dtype=np.int64)
    groups = records.groupby("category").indices
    for theme in p.THEMES:
        for category in theme.categories:
            rows = groups.get(category.key, np.zeros(0, dtype=np.int64))
            severity[rows] = 1 + pick(rng, np.array(category.severity), len(rows))
    severity[rng.random(len(records)) < 0.05] = 0
    records["severity"] = severity
    seen_by_patrol = (records["source"] == p.MC) & (rng.random(len(records)) < 0.4)
    discovered = seen_by_patrol | records["source"].isin([p.VF, p.CSU])
    records["provenance"] = np.where(discovered, "discovered", "reported")


def _spans(records: pd.DataFrame, ordinary: BoolArray, streams: Streams) -> None:
    """Some categories are found afterwards: the record says between when and when."""
    rng = streams.of("recording/spans")
    draw, before, after = rng.random((3, len(records)))
    for theme in p.THEMES:
        for category in theme.categories:
            rows = (records["category"] == category.key).to_numpy() & ordinary & (draw < category.interval_share)
            length = category.interval_hours * 60
            start = records["local_minute"] - np.round(before * length / 2).astype(np.int64)
            end = records["local_minute"] + 1 + np.round(after * length / 2).astype(np.int64)
            rows &= (start >= 0).to_numpy() & (end < p.DAYS * 1440).to_numpy()
            records.loc[rows, "start_minute"], records.loc[rows, "end_minute"] = start[rows], end[rows]


def _duplicates(records: pd.DataFrame, ordinary: BoolArray, simulation: Simulation, streams: Streams) -> pd.DataFrame:
    """Append exact duplicates (same source, another id) and near ones (another source, metres and minutes away)."""
    rng = streams.of("recording/duplicates")
    exact_pool = np.flatnonzero(ordinary & (records["end_minute"] < 0).to_numpy())
    exact = records.iloc[np.sort(rng.choice(exact_pool, p.EXACT_DUPLICATES, replace=False))].copy()
    exact["kind"] = "exact_duplicate"
    others: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for theme in p.THEMES:
        for category in theme.categories:
            for source, _, _ in category.codes:
                others[category.key, source] = [(s, c) for s, c, _ in category.codes if s != source]
    choices = [others[c, s] for c, s in zip(records["category"], records["source"], strict=True)]
    pool = np.flatnonzero(
        ordinary
        & (records["end_minute"] < 0).to_numpy()
        & np.array([bool(c) for c in choices])
        & ~records.index.isin(exact.index)
        & (records["hour"] != 2).to_numpy()
    )
    near = records.iloc[np.sort(rng.choice(pool, p.NEAR_DUPLICATES, replace=False))].copy()
    picked = [choices[i][0] for i in near.index]
    near["source"], near["code"] = [s for s, _ in picked], [c for _, c in picked]
    angle, radius = rng.uniform(0, 2 * np.pi, len(near)), p.NEAR_DUPLICATE_M * np.sqrt(rng.random(len(near)))
    x, y = near["x_m"] + radius * np.cos(angle), near["y_m"] + radius * np.sin(angle)
    on_land = shapely.contains_xy(simulation.land.land, x, y)
    near["rx_m"], near["ry_m"] = (
        np.where(on_land, np.round(x, 2), near["x_m"]),
        np.where(on_land, np.round(y, 2), near["y_m"]),
    )
    shift = rng.integers(-int(p.NEAR_DUPLICATE_MINUTES), int(p.NEAR_DUPLICATE_MINUTES) + 1, len(near))
    near["start_minute"] = np.clip(near["local_minute"] + shift, 0, p.DAYS * 1440 - 1)
    near["provenance"] = np.where(near["source"].isin([p.VF, p.CSU]), "discovered", "reported")
    near["precision_m"] = 25.0
    near["kind"] = "near_duplicate"
    return pd.concat([records, exact, near], ignore_index=True)


def _blur(records: pd.DataFrame, plain: BoolArray, streams: Streams) -> None:
    """Some positions are only known to some tens of metres, and say so."""
    rng = streams.of("recording/blur")
    rows = np.flatnonzero(plain & (rng.random(len(records)) < p.IMPRECISE_SHARE))
    precision = rng.choice([20.0, 30.0, 50.0], len(rows))
    angle, radius = rng.uniform(0, 2 * np.pi, len(rows)), precision * np.sqrt(rng.random(len(rows)))
    put(records, "rx_m", rows, np.round(records["x_m"].to_numpy()[rows] + radius * np.cos(angle), 2))
    put(records, "ry_m", rows, np.round(records["y_m"].to_numpy()[rows] + radius * np.sin(angle), 2))
    put(records, "precision_m", rows, precision)


def _addresses(records: pd.DataFrame, plain: BoolArray, streams: Streams) -> None:
    """Most records bear an address; some of two sources bear nothing else."""
    rng = streams.of("recording/addresses")
    on_street = (records["street"] >= 0).to_numpy()
    records["has_address"] = on_street & (rng.random(len(records)) < 0.75)
    writes_addresses = records["source"].isin([p.MC, p.AM]).to_numpy()
    bare = plain & on_street & writes_addresses & (rng.random(len(records)) < p.ADDRESS_ONLY_SHARE / 0.45)
    records.loc[bare, "has_address"] = True
    records.loc[bare, ["rx_m", "ry_m"]] = np.nan
    duplicated = records["kind"] == "exact_duplicate"
    originals = records.loc[records["kind"] == "original"].set_index("incident")["has_address"]
    records.loc[duplicated, "has_address"] = records.loc[duplicated, "incident"].map(originals)


def _identified(records: pd.DataFrame) -> pd.DataFrame:
    """Number the records of each source in order of time, and point duplicates at their originals."""
    rank = records["kind"].map({"original": 0, "exact_duplicate": 1, "near_duplicate": 2})
    records = records.assign(rank=rank).sort_values(["source", "start_minute", "incident", "rank"], kind="stable")
    number = records.groupby("source").cumcount() + 1
    year = p.START.year + (records["start_minute"] >= 365 * 1440).astype(int) + (records["start_minute"] >= 731 * 1440)
    records["record_id"] = [
        f"{n + 100000}" if s == p.CSU else f"{PREFIX[s]}{y % 100:02d}-{n:06d}"
        for s, y, n in zip(records["source"], year, number, strict=True)
    ]
    originals = records.loc[records["kind"] == "original"].set_index("incident")
    copies = records["kind"] != "original"
    records["duplicate_of"] = ""
    records["duplicate_of_source"] = ""
    records.loc[copies, "duplicate_of"] = records.loc[copies, "incident"].map(originals["record_id"])
    records.loc[copies, "duplicate_of_source"] = records.loc[copies, "incident"].map(originals["source"])
    records["has_copy"] = records["incident"].duplicated(keep=False)
    return records.drop(columns="rank").reset_index(drop=True)
