"""The step ``index``: from records to the cube, in Spark, on a laptop or a cluster.

The driver hands out file names and commits what the tasks wrote; records never pass through it. Only what is as small
as the city comes back: the list of files written, and the cells of its land.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from pyspark.sql import SparkSession

from hexgrid.cube import BASE, month_name, universe_name, week_name
from hexgrid.facts import (
    BASE_RESOLUTION,
    FIGURES,
    FILE_SCHEMA,
    FactColumns,
    ddl,
    distinct_cell_reader,
    fact_reader,
    work_items,
)
from hexgrid.marginals import (
    MONTH_KEYS,
    MONTH_SCHEMA,
    WEEK_KEYS,
    WEEK_SCHEMA,
    Period,
    month_writer,
    week_reader,
    week_writer,
)
from hexgrid.products import hex_products
from hexgrid.spark import spark_session
from hexgrid.universe import (
    PIECE_SCHEMA,
    SHARE_SCHEMA,
    base_universe,
    land_pieces,
    parent_universe,
    piece_measurer,
    to_metric,
)
from layers.city import City
from layers.digests import code_digest, digest_json, lock_digest
from layers.home import Home
from layers.lake import DataFile, LakeTable, cube_table, layer_table
from layers.steps import Figure, ProgressCallback, Stage, StepReport, no_progress

STEP = "index"
_LONG_WORK_ROWS = 2_000_000


@dataclass(frozen=True)
class _Cube:
    """Tables and columns of one city's cube."""

    city: City
    home: Home

    @cached_property
    def columns(self) -> FactColumns:
        return FactColumns(tuple(f"zone_{level.id}" for level in self.city.zones))

    @cached_property
    def period(self) -> Period:
        return Period(self.city.analysis.start, self.city.analysis.end)

    @cached_property
    def base(self) -> LakeTable:
        return cube_table(self.home, BASE)

    @cached_property
    def months(self) -> dict[int, LakeTable]:
        return {r: cube_table(self.home, month_name(r)) for r in self.city.grid.resolutions}

    @cached_property
    def weeks(self) -> dict[int, LakeTable]:
        return {r: cube_table(self.home, week_name(r)) for r in self.city.grid.resolutions}

    @cached_property
    def universes(self) -> dict[int, LakeTable]:
        return {r: cube_table(self.home, universe_name(r)) for r in (BASE_RESOLUTION, *self.city.grid.resolutions)}

    @property
    def tables(self) -> list[LakeTable]:
        return [self.base, *self.months.values(), *self.weeks.values(), *self.universes.values()]

    def stands(self, inputs: Mapping[str, str]) -> bool:
        """Whether every table was made from these inputs."""
        versions = [table.latest() for table in self.tables]
        return all(version is not None and dict(version.inputs) == dict(inputs) for version in versions)


def index(city: City, home: Home, *, progress: ProgressCallback | None = None) -> StepReport:
    """Index every incident on the grid: base facts, marginals, universe and counts per cell.

    Parameters
    ----------
    city
        The city file.
    home
        Home folder whose layers have been ingested.
    progress
        Called with a message and the fraction done.

    Returns
    -------
    StepReport
        Skipped when no input has changed. Figures: records, located, not located (``unlocated``), off the land
        (``off_land``), counted (``in_period``), base facts, cells of the universe and of the land, cells with records
        that the metric CRS cannot measure (``cells_out_of_reach``: in the base facts, in no universe).

    Raises
    ------
    LakeError
        If the layers have not been ingested.
    SparkUnavailableError
        If Spark cannot start.
    """
    started = time.monotonic()
    inputs = index_inputs(city, home)
    key = digest_json(inputs)
    stage = Stage(home, STEP, key)
    cube = _Cube(city, home)
    if stage.complete and cube.stands(inputs):
        stage.point()
        return StepReport(STEP, key, True, time.monotonic() - started, stage.figures())
    tell = progress or no_progress
    tell("démarrage de Spark", 0.0)
    latest = layer_table(home, "incidents").latest()
    short = latest is None or latest.rows < _LONG_WORK_ROWS
    with spark_session(time_zone=city.city.timezone, short=short) as spark:
        figures = _build(spark, cube, inputs, tell)
    tell("produits par cellule", 0.95)
    if stage.complete:
        stage.point()
    else:
        stage.begin()
        stage.finish(hex_products(city, home), figures)
    tell("index terminé", 1.0)
    return StepReport(STEP, key, False, time.monotonic() - started, figures)


def index_inputs(city: City, home: Home) -> dict[str, str]:
    """Return name → digest of everything that decides the cube and its products."""
    incidents, land = layer_table(home, "incidents").latest(), layer_table(home, "land").latest()
    settings = {
        "metric_crs": city.city.metric_crs,
        "zones": [level.id for level in city.zones],
        "grid": city.grid.model_dump(mode="json"),
        "taxonomy": city.taxonomy.model_dump(mode="json"),
        "analysis": [city.analysis.start.isoformat(), city.analysis.end.isoformat()],
        "attribution": city.city.attribution,
    }
    return {
        "incidents": incidents.digest if incidents else "",
        "land": land.digest if land else "",
        "settings": digest_json(settings),
        "code": code_digest("layers", "hexgrid"),
        "lock": lock_digest(),
    }


def _build(spark: SparkSession, cube: _Cube, inputs: Mapping[str, str], tell: ProgressCallback) -> dict[str, Figure]:
    tell("faits de base", 0.25)
    figures = _index_records(spark, cube, inputs)
    tell("semaine type", 0.55)
    _count_weeks(spark, cube, inputs)
    tell("univers des cellules", 0.75)
    return figures | _measure_universe(spark, cube, inputs)


def _run(spark: SparkSession, items: pa.Table, task: Any, result: pa.Schema) -> Any:
    """Share the rows of a small table out among tasks; return the data frame of what they make of them."""
    tasks = max(1, min(items.num_rows, int(spark.conf.get("spark.sql.shuffle.partitions") or 1)))
    return spark.createDataFrame(items).repartition(tasks).mapInArrow(task, ddl(result))


def _index_records(spark: SparkSession, cube: _Cube, inputs: Mapping[str, str]) -> dict[str, Figure]:
    source = layer_table(cube.home, "incidents")
    latest = source.latest()
    keyed = cube.columns.schema.append(pa.field("month", pa.string()))
    facts = _run(spark, work_items(latest.files if latest else ()), fact_reader(source.filesystem, cube.columns), keyed)
    writer = month_writer(cube.base, cube.months, cube.columns, cube.period)
    written = facts.groupBy("month").applyInArrow(writer, ddl(FILE_SCHEMA)).toArrow()
    _commit(cube.base, written, cube.columns.schema, cube.columns.keys, inputs)
    for table in cube.months.values():
        _commit(table, written, MONTH_SCHEMA, MONTH_KEYS, inputs)
    total = {name: int(np.sum(written.column(name).to_numpy())) for name in FIGURES}
    return {
        "records": total["records"],
        "located": total["located"],
        "unlocated": total["records"] - total["located"],
        "off_land": total["off_land"],
        "in_period": total["in_period"],
        "base_facts": int(sum(row["rows"] for row in written.to_pylist() if row["table"] == BASE)),
    }


def _count_weeks(spark: SparkSession, cube: _Cube, inputs: Mapping[str, str]) -> None:
    reader = week_reader(cube.base.filesystem, max(cube.weeks), cube.period)
    counts = _run(spark, _base_items(cube), reader, WEEK_SCHEMA)
    written = counts.groupBy("dow").applyInArrow(week_writer(cube.weeks), ddl(FILE_SCHEMA)).toArrow()
    for table in cube.weeks.values():
        _commit(table, written, WEEK_SCHEMA, WEEK_KEYS, inputs)


def _measure_universe(spark: SparkSession, cube: _Cube, inputs: Mapping[str, str]) -> dict[str, Figure]:
    crs = cube.city.city.metric_crs
    stored = layer_table(cube.home, "land").read(["geometry"]).column("geometry")[0].as_py()
    pieces = [shapely.to_wkb(piece) for piece in land_pieces(to_metric(shapely.from_wkb(stored), crs))]
    shares = _run(spark, pa.table([pieces], schema=PIECE_SCHEMA), piece_measurer(crs), SHARE_SCHEMA).toArrow()
    cells = pa.schema([("cell", pa.int64())])
    found = _run(spark, _base_items(cube), distinct_cell_reader(cube.base.filesystem), cells).distinct().toArrow()
    base = base_universe(shares, found.column("cell").to_numpy(), crs)
    for resolution, table in cube.universes.items():
        rows = base if resolution == BASE_RESOLUTION else parent_universe(base, resolution)
        table.commit({None: rows}, inputs=inputs, sort_by=["cell"])
    on_land = base.column("land_area_m2").to_numpy()
    reached = np.isin(found.column("cell").to_numpy(), base.column("cell").to_numpy())
    return {
        "cells_out_of_reach": int((~reached).sum()),
        "cells": base.num_rows,
        "land_cells": int((on_land > 0).sum()),
        "land_km2": round(float(on_land.sum()) / 1e6, 3),
    }


def _base_items(cube: _Cube) -> pa.Table:
    version = cube.base.latest()
    files = [file for file in version.files if file.rows] if version else []
    return work_items(files)


def _commit(table: LakeTable, written: pa.Table, schema: pa.Schema, keys: list[str], inputs: Mapping[str, str]) -> None:
    """Make the files that tasks wrote the table; an empty table is committed too, so that readers find it."""
    files = [
        DataFile(row["path"], row["rows"], row["partition"], row["digest"])
        for row in written.to_pylist()
        if row["table"] == table.name
    ]
    if files:
        table.commit_files(files, inputs=inputs)
    else:
        table.commit({None: schema.empty_table()}, inputs=inputs, sort_by=keys)
