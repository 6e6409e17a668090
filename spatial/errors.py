"""What a statistic refuses, in words that name the parameter to change."""

from __future__ import annotations

from layers.errors import CalanqueError


class StatisticError(CalanqueError, ValueError):
    """A statistic cannot be computed from what was given."""
