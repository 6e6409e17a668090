"""What can go wrong on the grid, and what to do about it."""

from __future__ import annotations

from layers.errors import CalanqueError


class CellError(CalanqueError, ValueError):
    """A value is no H3 cell, or a cell of the wrong resolution."""


class SparkUnavailableError(CalanqueError, RuntimeError):
    """Spark cannot start here; the message says what to install or to set."""


class SparkTaskError(RuntimeError):
    """A task of Spark failed; the message is what Spark said. A defect, or a broken disk: nothing in the city file."""
