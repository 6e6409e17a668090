"""What decides a run: everything that goes into its id, and nothing that does not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow.compute as pc

from hexgrid.index import index_inputs
from layers.city import City
from layers.digests import code_digest, digest_json, lock_digest
from layers.errors import RunError
from layers.home import Home
from layers.lake import layer_table
from layers.products import Product
from layers.runs import compute_run_id, lake_inputs, resolve_as_of
from layers.steps import Figure, Stage, latest_stage
from risk_surfaces.products import surface_inputs
from spatial.products import analyse_inputs

STEPS: dict[str, Callable[[City, Home], dict[str, str]]] = {
    "index": index_inputs,
    "analyse": analyse_inputs,
    "surfaces": surface_inputs,
}
"""Steps whose products are published, in the order of the collections."""
_UNMAPPED = "unmapped"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunIdentity:
    """All that decides a run's content; ``run_id`` is its digest."""

    inputs: Mapping[str, str]
    city_id: str
    city: str
    parameters: Mapping[str, Any]
    as_of: dt.date
    code: str
    lock: str

    @property
    def run_id(self) -> str:
        """16 hexadecimal digits."""
        return compute_run_id(
            inputs=self.inputs,
            city=self.city,
            parameters=self.parameters,
            as_of=self.as_of,
            code=self.code,
            lock=self.lock,
        )


def identify(city: City, *, inputs: Mapping[str, str], as_of: dt.date) -> RunIdentity:
    """Put together what decides a run of ``city`` made from ``inputs`` (name → digest)."""
    return RunIdentity(
        inputs=dict(inputs),
        city_id=city.city.id,
        city=city.digest,
        parameters=city_facts(city),
        as_of=as_of,
        code=code_digest(),
        lock=lock_digest(),
    )


def identify_home(city: City, home: Home, stages: Mapping[str, Stage]) -> RunIdentity:
    """Put together what decides the run that ``home`` would publish now."""
    _check_fresh(city, home, stages)
    inputs = lake_inputs(city, home) | {f"stages/{step}": stage.key for step, stage in stages.items()}
    return identify(city, inputs=inputs, as_of=resolve_as_of(city, home))


def _check_fresh(city: City, home: Home, stages: Mapping[str, Stage]) -> None:
    """Refuse to publish statistics of other records, parameters or code than the present ones.

    Raises
    ------
    RunError
        Naming the steps that are out of date.
    """
    stale = [step for step, inputs_of in STEPS.items() if stages[step].key != digest_json(inputs_of(city, home))]
    if stale:
        raise RunError(
            f"{', '.join(stale)} in {home.root} is older than the layers, the city file or the code: "
            f"run {', '.join(stale)} again ('calanque build' does all)"
        )


def city_facts(city: City) -> dict[str, Any]:
    """Return what a reader of the run must know of its city: a run is served without the city file."""
    return {
        "city": {
            "title": city.city.title.model_dump(mode="json"),
            "metric_crs": city.city.metric_crs,
            "timezone": city.city.timezone,
            "attribution": city.city.attribution,
            "contact_url": city.city.contact_url,
            "licence": city.city.licence,
            "profiles": {name: profile.form for name, profile in city.profiles.items()},
            "period": [city.analysis.start.isoformat(), city.analysis.end.isoformat()],
        }
    }


def complete_stages(home: Home) -> dict[str, Stage]:
    """Return the latest stage of each step that has products to publish.

    Raises
    ------
    RunError
        If a step has not been done.
    """
    stages = {step: latest_stage(home, step) for step in STEPS}
    missing = [step for step, stage in stages.items() if stage is None]
    if missing:
        raise RunError(
            f"nothing to publish yet in {home.root}: run {', '.join(missing)} first ('calanque build' does all)"
        )
    return {step: stage for step, stage in stages.items() if stage is not None}


def staged_products(stages: Mapping[str, Stage]) -> list[Product]:
    """Read the products of all steps."""
    return [product for stage in stages.values() for product in stage.products()]


def record_figures(home: Home) -> dict[str, Figure]:
    """Count what no map of incidents shows: not located, off the land, with a code that the taxonomy lacks."""
    table = layer_table(home, "incidents")
    if not table.exists():
        return {}
    records = table.read(["located", "on_land", "theme"])
    located, on_land = records.column("located"), records.column("on_land")
    figures = {
        "incidents": records.num_rows,
        "incidents_not_located": records.num_rows - (pc.sum(located).as_py() or 0),
        "incidents_off_land": pc.sum(pc.and_(located, pc.invert(on_land))).as_py() or 0,
        "incidents_unmapped": pc.sum(pc.equal(records.column("theme"), _UNMAPPED)).as_py() or 0,
    }
    return {name: int(value) for name, value in figures.items()}
