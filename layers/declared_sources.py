"""Sources as the city file declares them: where deliveries are, and how columns become fields."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from layers.fields import LAYER_FIELDS
from layers.values import Crs, LayerKind, Slug, Text, TimeZone, Value


class ColumnRule(Value):
    """How one field of a record contract is read from a delivery.

    Exactly one of ``column``, ``columns`` or ``const``. ``columns`` are joined with a blank (date and time
    in two columns). ``map`` translates the source's codes; ``format`` is a strptime format.
    """

    column: str | None = None
    columns: tuple[str, ...] | None = None
    const: str | int | float | None = None
    format: str | None = None
    map: dict[str, str | int | float] | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if sum(v is not None for v in (self.column, self.columns, self.const)) != 1:
            raise ValueError("give exactly one of column, columns or const")
        return self

    def reads(self) -> tuple[str, ...]:
        """Columns of the delivery that this rule uses."""
        return self.columns or ((self.column,) if self.column else ())


class ReadOptions(Value):
    """Overrides of what is otherwise sniffed from the file."""

    format: (
        Literal["csv", "xlsx", "ods", "geojson", "gpkg", "shapefile", "geoparquet", "parquet", "flatgeobuf"] | None
    ) = None
    encoding: str | None = None
    delimiter: str | None = None
    decimal: Literal[".", ","] = "."
    sheet: str | None = None
    layer: str | None = None


class Source(Value):
    """One entry of ``[[sources]]``."""

    id: Slug
    layer: LayerKind
    title: Text
    organisation: str
    deliveries: tuple[str, ...]
    """Files in the order received; a glob is expanded in name order."""
    mode: Literal["complete", "increment"] = "complete"
    crs: Crs | None = None
    """CRS of the coordinates; refused when neither this nor the file declares one."""
    timezone: TimeZone | None = None
    read: ReadOptions = ReadOptions()
    columns: dict[str, ColumnRule]
    drop: tuple[str, ...] = ()
    pseudonymise: tuple[str, ...] = ()
    categories: dict[str, Slug] = Field(default={})
    """Source code → taxonomy category (incidents); an unlisted code is kept as ``unmapped`` and counted."""
    attribution: str | None = None
    update_frequency: str | None = None
    classification: Literal["public", "interne", "restreint"] = "interne"
    retention_days: int | None = Field(default=None, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _short_rules(cls, data: Any) -> Any:
        """``field = "COLUMN"`` is short for ``field = { column = "COLUMN" }``."""
        if isinstance(data, dict) and isinstance(data.get("columns"), dict):
            columns = {k: {"column": v} if isinstance(v, str) else v for k, v in data["columns"].items()}
            data = {**data, "columns": columns}
        return data

    @model_validator(mode="after")
    def _known_fields(self) -> Self:
        fields = LAYER_FIELDS[self.layer]
        unknown = sorted(set(self.columns) - set(fields))
        if unknown:
            raise ValueError(f"a layer {self.layer!r} has no field {', '.join(unknown)}; it has {', '.join(fields)}")
        missing = [name for name, field in fields.items() if field.required and name not in self.columns]
        if missing:
            raise ValueError(f"columns of a layer {self.layer!r} must give {', '.join(missing)}")
        for pair in (("x", "y"), ("lon", "lat")):
            if (pair[0] in self.columns) != (pair[1] in self.columns):
                raise ValueError(f"columns give {pair[0]} or {pair[1]} without the other")
        if {"x", "lon"} <= set(self.columns):
            raise ValueError("columns give x, y and lon, lat: one pair is enough")
        if self.categories and self.layer != "incidents":
            raise ValueError(
                f"categories translate incidents; a layer {self.layer!r} maps codes in columns.category.map"
            )
        read = {column for rule in self.columns.values() for column in rule.reads()}
        hidden = sorted(read & {*self.drop, *self.pseudonymise})
        if hidden:
            raise ValueError(f"columns read {', '.join(hidden)}, which drop or pseudonymise take away")
        return self
