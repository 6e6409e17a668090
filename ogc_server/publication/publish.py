"""The step ``publish``: one run from all that the other steps have made, or none when nothing changed."""

from __future__ import annotations

import os
import time

from pydantic import SecretStr

from layers.city import City
from layers.errors import RunError
from layers.home import Home, writing
from layers.record_products import record_products
from layers.runs import Run, open_run, switch_current
from layers.steps import Figure, ProgressCallback, StepReport, no_progress
from ogc_server.publication.assembly import assemble
from ogc_server.publication.identity import complete_stages, identify_home, record_figures, staged_products
from ogc_server.publication.postgis import hold_run

STEP = "publish"
DATABASE_URL = "CALANQUE_DATABASE_URL"


def publish(
    city: City, home: Home, *, progress: ProgressCallback | None = None, database_url: SecretStr | None = None
) -> StepReport:
    """Publish all products as an immutable run and make it the current one.

    The run's id is a digest of its inputs: when that run is there already, it becomes the current one and nothing is
    written. Whatever interrupts this, the previous run stays whole and current.

    Parameters
    ----------
    city, home
        The city, and the home folder whose steps are done.
    progress
        Told what is being written.
    database_url
        PostGIS that is to hold the run too; by default the one that ``CALANQUE_DATABASE_URL`` names, if any.

    Raises
    ------
    RunError
        If a step has not been done, or the city wants PostGIS and no URL is given or nothing answers there.
    """
    started = time.monotonic()
    tell = progress or no_progress
    url = database_url or environment_url()
    if city.stores.kind == "postgis" and url is None:
        raise RunError(f'the city file says stores.kind = "postgis": give the database in {DATABASE_URL}')
    with writing(home):
        stages = complete_stages(home)
        identity = identify_home(city, home, stages)
        run = _whole_run(home, identity.run_id)
        skipped = run is not None
        if run is None:
            products = [*record_products(city, home), *staged_products(stages)]
            run = assemble(products, city, home, identity=identity, figures=record_figures(home), progress=tell)
        if url is not None:
            # Before the switch for a run that was there; one just built is current, and a server that reads PostGIS
            # keeps the run it has until the new one is loaded.
            skipped = not hold_run(run, url.get_secret_value(), progress=tell) and skipped
        switch_current(home, run.manifest.run_id)
    tell("publié / published", 1.0)
    seconds = time.monotonic() - started
    return StepReport(STEP, run.manifest.run_id, skipped=skipped, seconds=seconds, figures=_figures(run))


def environment_url() -> SecretStr | None:
    """Address of the database that runs are also published in, if one is named."""
    text = os.environ.get(DATABASE_URL)
    return SecretStr(text) if text else None


def _whole_run(home: Home, run_id: str) -> Run | None:
    try:
        return open_run(home, run_id)
    except RunError:
        return None  # not there, or damaged: it is built


def _figures(run: Run) -> dict[str, Figure]:
    manifest = run.manifest
    figures: dict[str, Figure] = {
        "run": manifest.run_id,
        "as_of": manifest.as_of.isoformat(),
        "collections": len(manifest.products),
        "rows": sum(f.rows or 0 for p in manifest.products for f in p.forms.values()),
        "styles": len(manifest.styles),
        "bytes": sum(p.stat().st_size for p in run.folder.rglob("*") if p.is_file()),
    }
    return figures | manifest.figures
