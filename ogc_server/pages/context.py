"""What the server gives to the pages: one published run, as one profile reads it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from layers.city import Text
from layers.products import Form, Grain, ProductSpec
from layers.runs import Run
from styles.files import StyleEntry, entries_of

STYLES_FOLDER = "styles"
"""Folder of a run that holds its styles; paths of a :class:`StyleEntry` are relative to it."""


@dataclass(frozen=True, eq=False)
class MapContext:
    """All that the map page shows.

    Build one per run and profile and keep it: what is computed from the run's files is remembered by context.

    Parameters
    ----------
    run
        The published run.
    form
        The form that the profile reads; products without it are not shown.
    city_title, attribution
        From the city file.
    metric_crs
        CRS of the map without JavaScript, in metres.
    """

    run: Run
    form: Form
    city_title: Text
    attribution: str
    metric_crs: str

    @cached_property
    def specs(self) -> dict[str, ProductSpec]:
        """Products that exist in the form, by collection, in the run's order."""
        return {p.spec.id: p.spec for p in self.run.manifest.products if self.form in p.forms}

    @cached_property
    def styles(self) -> tuple[StyleEntry, ...]:
        """Styles of these products."""
        entries = entries_of(self.run.manifest.styles, self.form)
        return tuple(e for e in entries if any(c in self.specs for c in e.collections))

    @cached_property
    def zone_levels(self) -> tuple[str, ...]:
        """Collections of zones, the fewest zones first."""
        rows = {p.spec.id: p.forms[self.form].rows or 0 for p in self.run.manifest.products if p.spec.id in self.specs}
        levels = [c for c, spec in self.specs.items() if spec.grain is Grain.ZONE]
        return tuple(sorted(levels, key=lambda c: rows[c]))

    def rows(self, collection: str) -> int:
        """Rows of a collection in this form (0 for a raster)."""
        return self.run.manifest.product(collection).forms[self.form].rows or 0

    def file(self, collection: str) -> Path:
        """GeoParquet or GeoTIFF of a collection in this form."""
        return self.run.path(self.run.manifest.product(collection).forms[self.form])

    def style_text(self, relative: str) -> str:
        """Content of a file of styles."""
        return (self.run.folder / STYLES_FOLDER / relative).read_text(encoding="utf-8")
