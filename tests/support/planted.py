"""What was planted in the sample city, and how well a set of hot cells finds it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import shapely

from hexgrid.cells import Cells, boundaries, cell_int, cells_of_points, parents, project
from support.city_on_land import CRS84, METRIC

ANYWHERE = 0.5
"""A cell is planted when more than this share of its land is inside a hot place."""


@dataclass(frozen=True)
class Planted:
    """Truth of one resolution; arrays are aligned on ``cells``."""

    cells: Cells
    table: pd.DataFrame
    places: pd.DataFrame
    """Hot places: ``of`` (theme) and ``geometry`` (EPSG:2154)."""

    @classmethod
    def read(cls, folder: Path, resolution: int) -> Planted:
        """Read a ``truth`` folder; cells in the order of their index."""
        table = pq.read_table(folder / f"cells_r{resolution}.parquet").to_pandas()
        table.index = cell_int(table["h3"].to_numpy().astype(str))
        table = table.sort_index()
        areas = pq.read_table(folder / "areas.parquet").to_pandas()
        places = areas[areas["kind"] == "hot_place"].assign(
            geometry=lambda a: shapely.from_wkb(a["geometry"].to_numpy())
        )
        return cls(table.index.to_numpy(), table, places)

    @property
    def themes(self) -> list[str]:
        """Themes in which something was planted."""
        return [name.removeprefix("place_") for name in self.table.columns if name.startswith("place_")]

    @property
    def land_area_m2(self) -> np.ndarray:
        return self.table["land_area_m2"].to_numpy()

    def planted(self, theme: str) -> np.ndarray:
        """Mask of the cells more than half of whose land is inside a hot place."""
        return (self.table[f"place_{theme}"] > ANYWHERE).to_numpy()

    def below_mean(self, theme: str) -> np.ndarray:
        """Mask of the cells whose true intensity per km² of land is below the theme's over the city."""
        expected, land_m2 = self.table[f"expected_{theme}"].to_numpy(), self.land_area_m2
        return (land_m2 > 0) & (expected * land_m2.sum() < expected.sum() * land_m2)

    def cells_of_places(self, theme: str) -> Iterator[np.ndarray]:
        """Yield the mask of each hot place's own cells."""
        outlines = boundaries(self.cells, METRIC)
        for place in self.places.loc[self.places["of"] == theme, "geometry"]:
            inside = shapely.area(shapely.intersection(outlines, place)) > ANYWHERE * shapely.area(outlines)
            yield inside


def true_counts(folder: Path, cells: Cells, resolution: int) -> dict[str, np.ndarray]:
    """Theme → counts per cell of the records delivered with coordinates, at their true places."""
    columns = ["theme", "has_coordinates", "true_x_m", "true_y_m"]
    records = pq.read_table(folder / "records.parquet", columns=columns).to_pandas()
    records = records[records["has_coordinates"]]
    lon, lat = project(records[["true_x_m", "true_y_m"]].to_numpy(), CRS84, source=METRIC).T
    places = np.searchsorted(cells, parents(cells_of_points(lon, lat, 11), resolution))
    return {
        theme: np.bincount(places[(records["theme"] == theme).to_numpy()], minlength=cells.size)
        for theme in records["theme"].unique()
    }
