"""Addresses matched against the city's streets, with the precision that a street allows, or not at all."""

from layers.gazetteer.gazetteer import Gazetteer, Located, Outcome

__all__ = ["Gazetteer", "Located", "Outcome"]
