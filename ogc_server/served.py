"""The run that is served: opened once, swapped whole when another one is published."""

from __future__ import annotations

import datetime as dt
import logging
import math
import threading
import time
import weakref
import zoneinfo
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import sqlalchemy as sa
from pygeoapi.api import API

from layers.city import Text
from layers.digests import code_digest
from layers.errors import CalanqueError
from layers.home import Home
from layers.products import Form, Grain, ProductSpec
from layers.runs import Run, RunProduct, current_run_id, open_run
from ogc_server.archives import TileArchive
from ogc_server.collections import Collection, band_properties, properties_of
from ogc_server.errors import no_run
from ogc_server.features import plain
from ogc_server.openapi import openapi_document
from ogc_server.pages.context import MapContext
from ogc_server.protocol import build_api, pygeoapi_configuration
from ogc_server.rasters import grid_of
from ogc_server.settings import Settings
from ogc_server.stores import Store, open_store
from ogc_server.systems import Bounds, systems_of
from styles.files import StyleEntry, entries_of

_LOGGER: Final = logging.getLogger(__name__)
_EXTENT_MARGIN_DEG: Final = 0.02
"""Declared extents are larger than the data: clients move their corners into other systems."""
_RETRY_S: Final = 5.0
_ROOTS_KEPT: Final = 16
_DOCUMENTS_KEPT: Final = 1024


@dataclass(frozen=True, eq=False)
class Served:
    """A run as one profile reads it, open and ready.

    Parameters
    ----------
    run, form, store
        What is read, in which form, and where from.
    collections
        What the profile sees, by id, in the order of the run.
    title, description
        Of the server, in French and English.
    city
        What the run says of its city.
    identity
        Run, code and profile: with the address and the query, all that decides the bytes of an answer.
    """

    run: Run
    form: Form
    store: Store
    collections: Mapping[str, Collection]
    title: Text
    description: Text
    city: CityFacts
    identity: str
    settings: Settings
    _apis: dict[str, API] = field(default_factory=dict)
    _documents: dict[tuple[str, ...], bytes] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @cached_property
    def map_context(self) -> MapContext:
        """What the map page shows; the same object as long as this run is served."""
        return MapContext(
            run=self.run,
            form=self.form,
            city_title=self.city.title,
            attribution=self.city.attribution,
            metric_crs=self.city.metric_crs,
        )

    def api(self, root: str) -> API:
        """Return the pygeoapi object whose links start with ``root``."""
        with self._lock:
            return self._apis.get(root) or self._build_api(root)

    def _build_api(self, root: str) -> API:
        found = list(self.collections.values())
        openapi = openapi_document(
            found,
            title=self.title,
            description=self.description,
            version=self.run.manifest.run_id,
            server_url=root,
            settings=self.settings,
        )
        configuration = pygeoapi_configuration(
            self.collections, title=self.title, description=self.description, root=root, settings=self.settings
        )
        if len(self._apis) >= _ROOTS_KEPT:  # loopback names and ports are few, but a client chooses them
            self._apis.clear()
        self._apis[root] = build_api(configuration, openapi)
        return self._apis[root]

    def document(self, key: tuple[str, ...], make: Callable[[], bytes]) -> bytes:
        """Return a document that depends on the run alone, made once."""
        body = self._documents.get(key)
        if body is None:
            body = make()
            if len(self._documents) >= _DOCUMENTS_KEPT:
                self._documents.clear()
            self._documents[key] = body
        return body


class Runs:
    """The current run of a home folder, noticed when it changes.

    Each request asks where ``runs/current`` points, which costs microseconds. When it points elsewhere, one thread
    opens the new run while requests are still answered from the old one; then it is swapped in one assignment. The old
    run is closed when its last request has been answered.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.home = Home(settings.home)
        self._served: Served | None = None
        self._opening = threading.Lock()
        self._failed: tuple[str, float] | None = None

    @property
    def is_open(self) -> bool:
        """Whether :meth:`current` answers at once."""
        return self._served is not None

    def current(self) -> Served:
        """Return the run to answer from.

        Raises
        ------
        OgcError
            503 when nothing has been published.
        """
        served, wanted = self._served, current_run_id(self.home)
        if served is not None and wanted != served.run.manifest.run_id and not served.run.folder.is_dir():
            served = self._served = None  # its run was destroyed: no answer is made of it any more
        if served is not None:
            if (
                wanted not in {None, served.run.manifest.run_id}
                and not self._opening.locked()
                and self._may_try(wanted)
            ):
                threading.Thread(target=self._open, daemon=True, name="open-run").start()
            return served
        if wanted is None:
            raise no_run()
        self._open()
        if self._served is None:
            raise no_run()
        return self._served

    def _may_try(self, run_id: str | None) -> bool:
        if self._failed is None or self._failed[0] != run_id:
            return True
        return time.monotonic() - self._failed[1] > _RETRY_S

    def _open(self) -> None:
        with self._opening:
            wanted = current_run_id(self.home)
            known = self._served.run.manifest.run_id if self._served else None
            if wanted is None or wanted == known or not self._may_try(wanted):
                return
            try:
                served = open_served(open_run(self.home), self.settings)
            except (CalanqueError, OSError, sa.exc.SQLAlchemyError):
                # the run that is served stays; the next request after a pause tries again
                _LOGGER.exception("run %s cannot be opened", wanted)
                self._failed = (wanted, time.monotonic())
                return
            self._failed = None
            self._served = served
            _LOGGER.info("serving run %s as %s", wanted, self.settings.profile)


def open_served(run: Run, settings: Settings) -> Served:
    """Open a run for the profile of ``settings``.

    Raises
    ------
    RunError
        If a file of the run is not what the manifest says.
    """
    city = CityFacts.of(run)
    form = city.form_of(settings.profile)
    store = open_store(run, settings)
    styles = entries_of(run.manifest.styles, form)
    collections = {
        product.spec.id: _collection(product, form, run=run, store=store, city=city, styles=styles)
        for product in run.manifest.products
        if form in product.forms
    }
    served = Served(
        run=run,
        form=form,
        store=store,
        collections=collections,
        title=Text(fr=f"Calanque – {city.title.fr}", en=f"Calanque – {city.title.en}"),
        description=Text(
            fr="Incidents, points chauds et densités de risque, agrégés sur une grille d’hexagones H3. "
            "Descriptif, non prédictif, sans donnée personnelle.",
            en="Incidents, hot spots and risk densities, aggregated on a grid of H3 hexagons. "
            "Descriptive, not predictive, without personal data.",
        ),
        city=city,
        # the bounds are in the API's description and decide how long a page is
        identity=f"{run.manifest.run_id} {code_digest()} {settings.profile} {store.dialect_name} "
        f"{settings.default_limit} {settings.max_limit} {settings.max_offset}",
        settings=settings,
    )
    weakref.finalize(served, store.close)
    return served


@dataclass(frozen=True, slots=True)
class CityFacts:
    """What the run says of its city."""

    title: Text
    attribution: str
    metric_crs: str
    zone: zoneinfo.ZoneInfo
    forms: Mapping[str, Form]

    @classmethod
    def of(cls, run: Run) -> CityFacts:
        """Read them in the manifest."""
        facts: dict[str, Any] = run.manifest.parameters["city"]
        return cls(
            title=Text.model_validate(facts["title"]),
            attribution=facts["attribution"],
            metric_crs=facts["metric_crs"],
            zone=zoneinfo.ZoneInfo(facts["timezone"]),
            forms={name: Form(form) for name, form in facts["profiles"].items()},
        )

    def form_of(self, profile: str) -> Form:
        """Return the form that a profile reads; one that the city does not name reads the public form."""
        return self.forms.get(profile, Form.PUBLIC)


def _collection(
    product: RunProduct, form: Form, *, run: Run, store: Store, city: CityFacts, styles: list[StyleEntry]
) -> Collection:
    spec = product.spec
    path = run.path(product.forms[form])
    common: dict[str, Any] = {
        "spec": spec,
        "form": form,
        "systems": systems_of(city.metric_crs),
        "download": path,
        "styles": tuple(sorted((s for s in styles if spec.id in s.collections), key=lambda s: not s.default)),
        "attribution": spec.attribution or city.attribution,
        "zone": city.zone,
    }
    if spec.grain is Grain.RASTER:
        grid = grid_of(path, tuple(c.name for c in spec.columns))
        columns = band_properties(spec, grid.bands)
        return Collection(extent=_outwards(grid.bounds_lonlat), columns=columns, raster=path, **common)
    table = store.table(form, spec.id)
    types = {c.name: c.type for c in table.columns}
    tiles = run.manifest.files.get(f"tiles/{form}/{spec.family}")
    extent, period = _extents(store, table, spec)
    return Collection(
        extent=extent or _ANYWHERE,
        columns=properties_of(spec, types),
        rows=product.forms[form].rows,
        table=table,
        period=period,
        archive=TileArchive(run.path(tiles)) if tiles and spec.id == spec.family else None,
        store=store,
        **common,
    )


_ANYWHERE: Final[Bounds] = (-180.0, -90.0, 180.0, 90.0)


Period = tuple[str | None, str | None]


def _extents(store: Store, table: sa.Table, spec: ProductSpec) -> tuple[Bounds | None, Period | None]:
    """Return the bounds of a table (None without geometry) and its first and last time."""
    low, high = sa.func.min, sa.func.max
    columns = [low(table.c.xmin), low(table.c.ymin), high(table.c.xmax), high(table.c.ymax)]
    times = [table.c[name] for name in (spec.time_column, spec.time_end_column) if name and name in table.c]
    columns += [low(times[0]), *(high(t) for t in times)] if times else []
    # between dates a missing end says "not ended yet", as in features._during
    days = len(times) == 2 and isinstance(times[1].type, sa.Date) and not isinstance(times[1].type, sa.DateTime)
    lasting = sa.and_(times[0].is_not(None), times[1].is_(None)) if days else sa.false()
    with store.engine.connect() as connection:
        row = connection.execute(sa.select(*columns)).one()
        is_open = days and connection.execute(sa.select(sa.exists().where(lasting))).scalar_one()
    bounds = None if row[0] is None else _outwards((row[0], row[1], row[2], row[3]))
    if not times or row[4] is None:
        return bounds, None
    if is_open:
        return bounds, (_moment(row[4]), None)
    last = max(v for v in row[5:] if v is not None)
    return bounds, (_moment(row[4]), _moment(last))


def _moment(value: dt.date) -> str:
    text = str(plain(value))
    return text if "T" in text else f"{text}T00:00:00Z"


def _outwards(bounds: Bounds) -> Bounds:
    """Round bounds outwards to hundredths of a degree, and add the margin."""
    west, south, east, north = bounds
    margin = _EXTENT_MARGIN_DEG
    return (
        max(-180.0, round(math.floor(west * 100) / 100 - margin, 2)),
        max(-90.0, round(math.floor(south * 100) / 100 - margin, 2)),
        min(180.0, round(math.ceil(east * 100) / 100 + margin, 2)),
        min(90.0, round(math.ceil(north * 100) / 100 + margin, 2)),
    )
