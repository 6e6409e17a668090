"""Word lists, kept as data: ``words.toml`` and ``first_names.txt``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any


@cache
def _document() -> Mapping[str, Any]:
    return tomllib.loads(_text("words.toml"))


def _text(name: str) -> str:
    return resources.files("layers.personal").joinpath(name).read_text(encoding="utf-8")


def section(*path: str) -> Mapping[str, frozenset[str]]:
    """Lists under a table of ``words.toml``, by name: words, or phrases where the file has an array."""
    table: Any = _document()
    for key in path:
        table = table[key]
    return {
        name: frozenset(listed.split() if isinstance(listed, str) else listed)
        for name, listed in table.items()
        if isinstance(listed, str | list)
    }


@cache
def first_names() -> frozenset[str]:
    """Commonest first names in France, of every origin, and in English; folded, compound ones by their parts.

    Names that are common words, months or cities (``marine``, ``florence``) are left out.
    """
    return frozenset(_text("first_names.txt").split())
