"""Personal data in deliveries: refused by header and by value, stray values masked, before anything is written."""

from layers.personal.kinds import Kind
from layers.personal.screen import Screen

__all__ = ["Kind", "Screen"]
