"""What makes two rows of a source the same: everything that they say, however it is spelled."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from layers.gazetteer.words import WAYS
from layers.identity import content_hashes
from layers.text import fold_column

_ADDRESS = r"^(?P<number>(?:\d+ ?(?:[a-z]|bis|ter|quater)? )?)(?P<way>[a-z]+)(?P<rest>(?: .*)?)$"


def likeness_hashes(rows: pa.Table) -> NDArray[np.uint64]:
    """Hash of what each row says, uint64: equal for rows that differ in their record id and in spelling alone.

    Parameters
    ----------
    rows
        Accepted rows. Case, accents and punctuation of text do not count, nor whether the type of way of an
        ``address`` is abbreviated.
    """
    for name in ("address", "title"):
        if name in rows.column_names:
            text = fold_column(rows.column(name).combine_chunks())
            alike = _ways_written_out(text) if name == "address" else text
            rows = rows.set_column(rows.column_names.index(name), name, alike)
    return content_hashes(rows)


def _ways_written_out(folded: pa.Array) -> pa.Array:
    """Write out the type of way: ``12 bd de la mer`` becomes ``12 boulevard de la mer``."""
    parts = pc.extract_regex(folded, _ADDRESS)
    number, way, rest = (pc.struct_field(parts, name) for name in ("number", "way", "rest"))
    place = pc.index_in(way, pa.array(list(WAYS), pa.string()))
    full = pa.array(list(WAYS.values()), pa.string()).take(place)
    return pc.coalesce(pc.binary_join_element_wise(number, full, rest, ""), folded)
