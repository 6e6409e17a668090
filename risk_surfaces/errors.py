"""What a surface refuses, in words that name the parameter to change."""

from __future__ import annotations

from layers.errors import CalanqueError


class SurfaceError(CalanqueError, ValueError):
    """A surface cannot be computed from what was given, or does not add up to it."""
