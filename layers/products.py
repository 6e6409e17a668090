"""What a product is: the contract between the floors that compute and the server that publishes.

A product is one table (keyed by record, zone or cell) or one raster, with the meaning of each column, the method
and its parameters, and one *form* per audience. A form that a product does not have does not exist for the
profiles that read it: disclosure control adds forms, nothing else does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, model_validator

from layers.city import Text
from layers.errors import ProductError


class Form(StrEnum):
    """Who a version of a product is for; a policy maps profiles to forms."""

    EXACT = "exact"
    PLANNER = "planner"
    PARTNER = "partner"
    PUBLIC = "public"


class Grain(StrEnum):
    """What one row of a product is."""

    RECORD = "record"
    ZONE = "zone"
    CELL = "cell"
    RASTER = "raster"


class Kind(StrEnum):
    """What a column means; disclosure control and styles decide by it, never by a column's name."""

    KEY = "key"
    COUNT = "count"
    SCORE = "score"
    PROBABILITY = "probability"
    CLASS = "class"
    DENSITY = "density"
    MEASURE = "measure"
    TEXT = "text"
    FLAG = "flag"
    TIME = "time"
    DATE = "date"


class Column(BaseModel):
    """One column: its meaning, its unit (UCUM-like text, ``1`` for none) and what users read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
    kind: Kind
    title: Text
    unit: str | None = None
    description: Text | None = None
    theme: str | None = None
    """Theme that the column speaks of (``all`` for every non-sensitive category)."""
    classes: tuple[str, ...] | None = None
    """Values of a class column, in the order of the legend."""


class ProductSpec(BaseModel):
    """Everything about a product but its values. Stored once in the run's manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
    """Collection id: ``hotspots`` at the default resolution, ``hotspots_r9`` at another."""
    family: str
    """Product without its resolution: ``hotspots``. Tiles and styles are per family."""
    title: Text
    description: Text
    grain: Grain
    key: str
    """Column whose value is the feature id (for cells: ``h3``, the 15-character index)."""
    columns: tuple[Column, ...]
    resolution: int | None = None
    method: Text | None = None
    parameters: dict[str, Any] = {}
    seed: int | None = None
    references: tuple[str, ...] = ()
    attribution: str | None = None
    time_column: str | None = None
    """Column (or start of the pair ``time_column``, ``time_end_column``) that ``datetime`` filters."""
    time_end_column: str | None = None
    geometry_type: str = "Polygon"
    """OGC name: Point, Polygon, MultiPolygon or Geometry."""

    @model_validator(mode="after")
    def _key_is_a_column(self) -> Self:
        names = [c.name for c in self.columns]
        if len(set(names)) != len(names):
            raise ValueError(f"columns of {self.id!r} are not unique")
        if self.grain is not Grain.RASTER and self.key not in names:
            raise ValueError(f"key {self.key!r} of {self.id!r} is not one of its columns")
        if (self.grain is Grain.CELL) != (self.resolution is not None):
            raise ValueError(f"{self.id!r}: a resolution goes with grain 'cell' and with no other")
        return self

    def column(self, name: str) -> Column:
        """Return the column called ``name``.

        Raises
        ------
        ProductError
            If there is none.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise ProductError(f"product {self.id!r} has no column {name!r}")


class Product:
    """A spec with its values.

    Parameters
    ----------
    spec
        The contract.
    tables
        One table per form. Cells carry no geometry (it is derived from ``h3``); records and zones carry
        ``geometry``: WKB in CRS84, null where a record is not located.
    rasters
        One Cloud-Optimised GeoTIFF per form (grain ``raster``).
    """

    def __init__(
        self,
        spec: ProductSpec,
        tables: Mapping[Form, pa.Table] | None = None,
        rasters: Mapping[Form, Path] | None = None,
    ) -> None:
        self.spec = spec
        self.tables: dict[Form, pa.Table] = dict(tables or {})
        self.rasters: dict[Form, Path] = dict(rasters or {})
        self._check()

    @property
    def forms(self) -> tuple[Form, ...]:
        """Forms that exist."""
        return tuple(f for f in Form if f in self.tables or f in self.rasters)

    def _check(self) -> None:
        if (self.spec.grain is Grain.RASTER) == bool(self.tables):
            raise ProductError(f"product {self.spec.id!r} of grain {self.spec.grain} has the wrong kind of values")
        wanted = [c.name for c in self.spec.columns]
        for form, table in self.tables.items():
            have = [n for n in table.column_names if n != "geometry"]
            if form is Form.EXACT and have != wanted:
                missing, extra = set(wanted) - set(have), set(have) - set(wanted)
                raise ProductError(
                    f"product {self.spec.id!r}, form {form}: columns differ from the spec "
                    f"(missing {sorted(missing)}, unexpected {sorted(extra)}, or order)"
                )
            if not set(have) <= set(wanted):
                raise ProductError(
                    f"product {self.spec.id!r}, form {form}: unexpected {sorted(set(have) - set(wanted))}"
                )
            key = table.column(self.spec.key)
            if key.null_count or len(key.unique()) != len(key):
                raise ProductError(f"product {self.spec.id!r}, form {form}: key {self.spec.key!r} is null or repeated")

    def save(self, folder: Path) -> None:
        """Write ``product.json`` and ``<form>.parquet`` into ``folder`` (rasters are already there)."""
        folder.mkdir(parents=True, exist_ok=True)
        for form, table in self.tables.items():
            pq.write_table(table, folder / f"{form}.parquet", compression="zstd")
        rasters = {str(form): path.name for form, path in self.rasters.items()}
        document = {
            "spec": self.spec.model_dump(mode="json"),
            "tables": [str(f) for f in self.tables],
            "rasters": rasters,
        }
        (folder / "product.json").write_text(json.dumps(document, ensure_ascii=False, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what :meth:`save` wrote."""
        document = json.loads((folder / "product.json").read_text(encoding="utf-8"))
        return cls(
            ProductSpec.model_validate(document["spec"]),
            {Form(f): pq.read_table(folder / f"{f}.parquet") for f in document["tables"]},
            {Form(f): folder / name for f, name in document["rasters"].items()},
        )
