"""What a statistic refuses, in words that name the parameter to change."""

from __future__ import annotations

from layers.errors import CalanqueError


class StatisticError(CalanqueError, ValueError):
    """A statistic cannot be computed from what was given."""


class TooCoarseError(StatisticError):
    """Too few cells are whole on land to make a distribution to compare with."""
