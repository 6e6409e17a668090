"""Ingest a small city, and read what became of its deliveries."""

from __future__ import annotations

from typing import Any

from layers.ingest import ingest
from layers.lake import layer_table, reject_table
from layers.steps import Figure, StepReport
from support.delivered_city import CITY_TOML, DeliveredCity

LAW = ("new", "updated", "unchanged", "merged", "rejected")
"""What every delivered row became one of."""


def take(city: DeliveredCity) -> StepReport:
    return ingest(city.load(), city.home)


def figures_of(city: DeliveredCity) -> dict[str, Figure]:
    return dict(take(city).figures)


def rows_of(city: DeliveredCity, table: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = layer_table(city.home, table).read().to_pylist()
    return rows


def records(city: DeliveredCity, layer: str = "incidents") -> dict[str, dict[str, Any]]:
    """Records of a layer by the id that their source gave them."""
    return {r["record_id"]: r for r in rows_of(city, layer)}


def history(city: DeliveredCity, layer: str = "incidents") -> list[dict[str, Any]]:
    """Versions that count no more; none where no history was ever written."""
    return rows_of(city, f"{layer}_history") if layer_table(city.home, f"{layer}_history").exists() else []


def rejects(city: DeliveredCity, source: str = "log") -> list[tuple[int, str, str | None, str]]:
    found = reject_table(city.home, source).read().to_pylist()
    return sorted((r["row"], r["field"] or "", r["value"], r["reason"]) for r in found)


def versions(city: DeliveredCity) -> dict[str, tuple[int, str]]:
    names = ("incidents", "zones_blocks", "zones_districts", "land")
    latest = {name: layer_table(city.home, name).latest() for name in names}
    return {name: (version.version, version.digest) for name, version in latest.items() if version is not None}


def digests(city: DeliveredCity) -> dict[str, str]:
    """Digest of every layer's content."""
    names = sorted(path.name for path in city.home.layers.iterdir())
    latest = {name: layer_table(city.home, name).latest() for name in names}
    return {name: version.digest for name, version in latest.items() if version is not None}


def with_columns(*lines: str, toml: str = CITY_TOML) -> str:
    """City file whose log gives more fields."""
    return toml.replace("[sources.columns]\n", "\n".join(["[sources.columns]", *lines, ""]), 1)


def with_city(tables: str, toml: str = CITY_TOML) -> str:
    """City file with more tables before its sources."""
    return toml.replace("[[sources]]", f"{tables}\n[[sources]]", 1)
