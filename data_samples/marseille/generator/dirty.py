"""One example of each kind of dirty row, planted in the main courante at known row numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from data_samples.marseille.generator.randomness import Streams


@dataclass(frozen=True)
class DirtyRow:
    """A planted row: where it is (1-based, header not counted), what is wrong and what should happen.

    ``expected`` is ``rejected`` (with a ``reason``), ``unmapped`` (kept, under no category) or ``off_land`` (kept,
    outside the land).
    """

    source: str
    file: str
    row: int
    kind: str
    expected: str
    reason: str


# kind, changes by column, what should happen, reason of the refusal
_SPOILED: tuple[tuple[str, dict[str, str], str, str], ...] = (
    ("missing_date", {"DATE_FAIT": "", "HEURE_FAIT": ""}, "rejected", "missing_date"),
    ("impossible_date", {"DATE_FAIT": "31/02/2024"}, "rejected", "invalid_date"),
    ("impossible_time", {"HEURE_FAIT": "25:61"}, "rejected", "invalid_date"),
    (
        "end_before_start",
        {"DATE_FAIT": "12/03/2024", "HEURE_FAIT": "10:00", "FIN_FAIT": "11/03/2024 10:00"},
        "rejected",
        "end_before_start",
    ),
    ("swapped_axes", {"LONGITUDE": "43,2961000", "LATITUDE": "5,3812000"}, "rejected", "swapped_axes"),
    ("null_island", {"LONGITUDE": "0,0000000", "LATITUDE": "0,0000000"}, "rejected", "zero_coordinates"),
    ("outside_crs", {"LONGITUDE": "543,1000000", "LATITUDE": "95,2000000"}, "rejected", "outside_crs_area"),
    ("not_a_number", {"LONGITUDE": "5,38x"}, "rejected", "invalid_coordinates"),
    ("half_a_position", {"LATITUDE": ""}, "rejected", "incomplete_coordinates"),
    ("missing_category", {"CODE": ""}, "rejected", "missing_category"),
    ("severity_out_of_range", {"GRAVITE": "99"}, "rejected", "out_of_range"),
    ("unknown_provenance", {"ORIGINE": "Z"}, "rejected", "unknown_code"),
    ("unknown_code", {"CODE": "MC999"}, "unmapped", ""),
    ("at_sea", {"LONGITUDE": "5,3000000", "LATITUDE": "43,2500000"}, "off_land", ""),
    ("empty_id", {"NUM_MC": ""}, "rejected", "missing_record_id"),
)


def dirty_main_courante(
    header: Sequence[str], table: list[list[str]], streams: Streams
) -> tuple[list[list[str]], list[DirtyRow]]:
    """Insert the dirty rows at random places: copies of good rows, each spoilt in one way.

    Parameters
    ----------
    header
        Column names.
    table
        Good rows, in order; not changed.
    streams
        Random streams of the seed.

    Returns
    -------
    table, planted
        The rows to write, and where each dirty one is.
    """
    rng = streams.of("dirty")
    located = [i for i, row in enumerate(table) if row[header.index("LONGITUDE")] and not row[header.index("FIN_FAIT")]]
    models = [located[i] for i in sorted(rng.choice(len(located), len(_SPOILED) + 1, replace=False))]
    order = rng.permutation(len(_SPOILED))
    insertions: list[tuple[int, list[str], str, str, str]] = []
    for number, (index, model) in enumerate(zip(order, models, strict=False)):
        kind, changes, expected, reason = _SPOILED[index]
        row = list(table[model])
        row[header.index("NUM_MC")] = f"MC99-{number + 1:06d}"
        for column, value in changes.items():
            row[header.index(column)] = value
        insertions.append((model, row, kind, expected, reason))
    twin = list(table[models[-1]])
    twin[header.index("HEURE_FAIT")] = "12:34"
    insertions.append((models[-1], twin, "duplicated_id", "rejected", "duplicate_record_id"))
    out: list[list[str]] = []
    planted: list[DirtyRow] = []
    after = {model: (row, kind, expected, reason) for model, row, kind, expected, reason in insertions}
    for index, row in enumerate(table):
        out.append(row)
        if index in after:
            dirty, kind, expected, reason = after[index]
            out.append(dirty)
            planted.append(DirtyRow("main_courante", "main_courante.csv", len(out), kind, expected, reason))
    return out, sorted(planted, key=lambda d: d.row)
