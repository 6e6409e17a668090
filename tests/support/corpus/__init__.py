"""Deliveries that no producer should send, and some do: made when a test asks for them, by format."""

from __future__ import annotations

from collections import ChainMap

from support.corpus.case import Case
from support.corpus.columnar import COLUMNAR
from support.corpus.delimited import DELIMITED
from support.corpus.geojson import GEOJSON
from support.corpus.spreadsheets import SPREADSHEETS
from support.corpus.values import VALUES
from support.corpus.vector import VECTOR

_PARTS = (DELIMITED, VALUES, SPREADSHEETS, GEOJSON, VECTOR, COLUMNAR)
CORPUS: dict[str, Case] = dict(ChainMap(*reversed(_PARTS)))
"""What is wrong → the delivery."""

assert len(CORPUS) == sum(map(len, _PARTS)), "two cases have one name"

__all__ = ["CORPUS", "Case"]
