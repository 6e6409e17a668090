"""One example of each kind of dirty row, planted in the main courante at known row numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from data_samples.marseille.generator.randomness import Streams


@dataclass(frozen=True)
class DirtyRow:
    """A planted row: where it is (1-based, header not counted), what is wrong and what should happen.

    ``expected`` is ``rejected``, ``unmapped`` (kept, under no category), ``off_land`` (kept, outside the land) or
    ``kept``.
    """

    source: str
    file: str
    row: int
    kind: str
    field: str
    expected: str


# kind, column, value, field of the contract, what should happen
_SPOILED: tuple[tuple[str, dict[str, str], str, str], ...] = (
    ("missing_date", {"DATE_FAIT": "", "HEURE_FAIT": ""}, "started_at", "rejected"),
    ("impossible_date", {"DATE_FAIT": "31/02/2024"}, "started_at", "rejected"),
    ("impossible_time", {"HEURE_FAIT": "25:61"}, "started_at", "rejected"),
    ("end_before_start", {"DATE_FAIT": "12/03/2024", "HEURE_FAIT": "10:00", "FIN_FAIT": "11/03/2024 10:00"},
     "ended_at", "rejected"),
    ("swapped_axes", {"LONGITUDE": "43,2961000", "LATITUDE": "5,3812000"}, "lon", "rejected"),
    ("null_island", {"LONGITUDE": "0,0000000", "LATITUDE": "0,0000000"}, "lon", "rejected"),
    ("outside_crs", {"LONGITUDE": "543,1000000", "LATITUDE": "95,2000000"}, "lon", "rejected"),
    ("not_a_number", {"LONGITUDE": "5,38x"}, "lon", "rejected"),
    ("half_a_position", {"LATITUDE": ""}, "lat", "rejected"),
    ("missing_category", {"CODE": ""}, "category", "rejected"),
    ("severity_out_of_range", {"GRAVITE": "99"}, "severity", "rejected"),
    ("unknown_provenance", {"ORIGINE": "Z"}, "provenance", "rejected"),
    ("unknown_code", {"CODE": "MC999"}, "category", "unmapped"),
    ("at_sea", {"LONGITUDE": "5,3000000", "LATITUDE": "43,2500000"}, "geometry", "off_land"),
    ("empty_id", {"NUM_MC": ""}, "record_id", "rejected"),
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
        kind, changes, field, expected = _SPOILED[index]
        row = list(table[model])
        row[header.index("NUM_MC")] = f"MC99-{number + 1:06d}"
        for column, value in changes.items():
            row[header.index(column)] = value
        insertions.append((model, row, kind, field, expected))
    twin = list(table[models[-1]])
    twin[header.index("HEURE_FAIT")] = "12:34"
    insertions.append((models[-1], twin, "duplicated_id", "record_id", "rejected"))
    out: list[list[str]] = []
    planted: list[DirtyRow] = []
    after = {model: (row, kind, field, expected) for model, row, kind, field, expected in insertions}
    for index, row in enumerate(table):
        out.append(row)
        if index in after:
            dirty, kind, field, expected = after[index]
            out.append(dirty)
            planted.append(DirtyRow("main_courante", "main_courante.csv", len(out), kind, field, expected))
    return out, sorted(planted, key=lambda d: d.row)
