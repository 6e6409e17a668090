"""What the second delivery of Allô Mairie corrects: rows changed, withdrawn and added."""

from __future__ import annotations

import numpy as np
import pandas as pd

from data_samples.marseille.generator import parameters as p
from data_samples.marseille.generator.randomness import Streams, put

WRONG_CODE = {"DEPOT": "REGROUPEMENT", "REGROUPEMENT": "DEPOT", "STAT-GENANT": "STAT-VENTOUSE",
              "STAT-VENTOUSE": "STAT-GENANT"}  # fmt: skip
WRONG_M = 140.0


def first_state(final: pd.DataFrame, streams: Streams) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the records as first delivered, and the list of what the second delivery changes.

    Parameters
    ----------
    final
        The source's records as they should be, withdrawn ones included.
    streams
        Random streams of the seed.

    Returns
    -------
    before, corrections
        ``before`` has the same rows, some with a wrong code, time or place. ``corrections`` has ``record_id`` and
        ``change``: ``code``, ``time``, ``place``, ``withdrawn`` (absent from the second delivery) or ``added``
        (absent from the first).
    """
    rng = streams.of("correction")
    ordinary = (final["kind"] == "original") & ~final["label"].str.startswith(("scheme", "control", "clock-change"))
    ordinary &= ~final["has_copy"]
    coded = np.flatnonzero(ordinary & final["code"].isin(list(WRONG_CODE)))
    third = p.CHANGED_ROWS // 3
    code_rows = np.sort(rng.choice(coded, third, replace=False))
    rest = np.flatnonzero(
        ordinary & final["rx_m"].notna() & (final["end_minute"] < 0) & (final["start_minute"] >= 1440)
    )
    rest = np.setdiff1d(rest, code_rows)
    chosen = rng.choice(rest, 2 * third + p.WITHDRAWN_ROWS + p.ADDED_ROWS, replace=False)
    cuts = np.cumsum([third, third, p.WITHDRAWN_ROWS])
    time_rows, place_rows, withdrawn, added = (np.sort(part) for part in np.split(chosen, cuts))
    before = final.copy()
    put(before, "code", code_rows, final["code"].iloc[code_rows].map(WRONG_CODE).to_numpy())
    minutes = final["start_minute"].to_numpy()[time_rows] - 1440
    put(before, "start_minute", time_rows, minutes)
    x = np.round(final["rx_m"].to_numpy()[place_rows] + WRONG_M, 2)
    put(before, "rx_m", place_rows, x)
    changes = [
        ("code", code_rows),
        ("time", time_rows),
        ("place", place_rows),
        ("withdrawn", withdrawn),
        ("added", added),
    ]
    corrections = pd.DataFrame(
        [(final["record_id"].iloc[i], change) for change, rows in changes for i in rows],
        columns=["record_id", "change"],
    )
    return before, corrections.sort_values("record_id", ignore_index=True)
