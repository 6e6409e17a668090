"""Sources as the city file declares them: where deliveries are, and how columns become fields."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from layers.durations import Duration
from layers.fields import LAYER_FIELDS, ZONE_PREFIX
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
    scale: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Factor from the source's unit to the field's (km/h to m/s: 0.2777777778)."""
    pad: dict[str, Annotated[int, Field(ge=2, le=20)]] = Field(default={})
    """Column → width to which its text is filled with zeros on the left (4: 130 is 0130, half past one)."""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if sum(v is not None for v in (self.column, self.columns, self.const)) != 1:
            raise ValueError("give exactly one of column, columns or const")
        if strangers := sorted(set(self.pad) - set(self.reads())):
            raise ValueError(f"pad speaks of {', '.join(strangers)}, which this rule does not read")
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
    quote: str | None = Field(default=None, min_length=1, max_length=1)
    decimal: Literal[".", ","] | None = None
    sheet: str | None = None
    layer: str | None = None


class Database(Value):
    """Table ``[sources.database]``: a table or a query instead of files.

    The address of the database is a secret: the file names the environment variable that holds it (an SQLAlchemy URL,
    ``postgresql+psycopg://``, ``mysql+pymysql://`` or ``oracle+oracledb://``).
    """

    url_env: str = Field(pattern=r"^[A-Z][A-Z0-9_]*$")
    table: str | None = None
    """``schema.table`` or ``table``."""
    query: str | None = None
    """One SELECT without parameters."""
    watermark: str | None = None
    """Column that only grows: a pull asks for the rows at or after the highest value that the lake holds."""
    geometry: str | None = None
    """Geometry column; by default the first one of the table."""
    chunk_rows: int = Field(default=50_000, ge=100, le=1_000_000)

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.table is None) == (self.query is None):
            raise ValueError("give exactly one of table or query")
        return self


class Source(Value):
    """One entry of ``[[sources]]``."""

    id: Slug
    layer: LayerKind
    title: Text
    organisation: str
    deliveries: tuple[str, ...] = ()
    """Files in the order received; a glob is expanded in name order."""
    database: Database | None = None
    """Instead of files: each ingestion pulls a delivery."""
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
    categories_path: str | None = None
    """CSV with the columns code and category, instead of ``categories``."""
    merge_equal_rows: bool = False
    """Whether rows equal in every mapped column but the record id are one record; else they are counted and kept."""
    owner: str | None = None
    main_user: str | None = None
    purpose: Text | None = None
    update_method: str | None = None
    """How deliveries arrive: deposit of a file, export, database …"""
    attribution: str | None = None
    update_frequency: Duration | None = None
    """ISO 8601 duration, for instance P1D: a source whose last delivery is older is late."""
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
    def _one_way_in(self) -> Self:
        if bool(self.deliveries) == (self.database is not None):
            raise ValueError("give exactly one of deliveries (files) or database")
        if self.database is not None and self.database.watermark is not None and self.mode != "increment":
            raise ValueError('a watermark brings new rows only: mode = "increment" goes with it')
        if self.categories and self.categories_path:
            raise ValueError("give categories or categories_path, not both")
        if self.merge_equal_rows and self.layer != "incidents":
            raise ValueError(f"merge_equal_rows is for incidents; equal rows of a layer {self.layer!r} are counted")
        return self

    @model_validator(mode="after")
    def _known_fields(self) -> Self:
        fields = LAYER_FIELDS[self.layer]
        unknown = sorted(
            name
            for name in self.columns
            if name not in fields and not (self.layer == "incidents" and name.startswith(ZONE_PREFIX))
        )
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
