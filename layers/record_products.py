"""Records and zones as products: what is known, ready to be published as it is."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import pyarrow as pa
import pyarrow.compute as pc

from layers.city import City, ZoneLevel
from layers.fields import GEOMETRY_KINDS, PERIODS
from layers.home import Home
from layers.lake import layer_table
from layers.products import Column, Form, Grain, Product, ProductSpec
from layers.record_columns import ZONE_COLUMNS, record_columns
from layers.values import Text

_PUBLISHED: Mapping[str, tuple[Text, Text]] = MappingProxyType(
    {
        "incidents": (
            Text(fr="Incidents", en="Incidents"),
            Text(
                fr="Incidents signalés ou constatés, un par enregistrement d’une source. Sans coordonnées, un incident "
                "est compté comme « non localisé » et n’a pas de géométrie.",
                en="Incidents reported or discovered, one per record of a source. Without coordinates, an incident is "
                "counted as “non localisé” and has no geometry.",
            ),
        ),
        "events": (
            Text(fr="Événements", en="Events"),
            Text(
                fr="Manifestations, travaux et autres événements, avec leur période et leur emprise.",
                en="Public events, works and others, with their period and their place.",
            ),
        ),
        "cameras": (
            Text(fr="Caméras", en="Cameras"),
            Text(
                fr="Caméras installées ou prévues : direction, portée, champ de vision, dates de service.",
                en="Cameras installed or planned: direction, range, field of view, dates in service.",
            ),
        ),
        "sensitive_sites": (
            Text(fr="Sites sensibles", en="Sensitive sites"),
            Text(
                fr="Écoles, équipements et autres lieux à surveiller, un point par site.",
                en="Schools, facilities and other places to watch over, one point per site.",
            ),
        ),
        "interventions": (
            Text(fr="Interventions", en="Interventions"),
            Text(
                fr="Patrouilles, opérations et autres interventions d’un service, avec leur période et leur lieu.",
                en="Patrols, operations and other interventions of a service, with their period and their place.",
            ),
        ),
    }
)
"""Title and description of the layers that are collections; the others (streets, buildings, weather) serve to make
something of records and stay in the lake."""


def record_products(city: City, home: Home) -> list[Product]:
    """Make a product of every layer that holds records, and of every zone level.

    Parameters
    ----------
    city
        The city.
    home
        Its home folder, ingested.

    Returns
    -------
    list of Product
        Records in the exact form; zone levels in all four, for boundaries are public. A layer without records gives
        none, nor do layers of reference: streets, buildings, weather.

    Raises
    ------
    LakeError
        If nothing has been ingested.
    """
    products = []
    for layer in dict.fromkeys(source.layer for source in city.sources if source.layer in _PUBLISHED):
        table = layer_table(home, layer).read()
        if table.num_rows:
            products.append(_record_product(layer, table, city))
    products += [_zone_product(level, layer_table(home, f"zones_{level.id}").read(), city) for level in city.zones]
    return products


def _record_product(layer: str, table: pa.Table, city: City) -> Product:
    columns = record_columns(layer, city, _present(table))
    title, description = _PUBLISHED[layer]
    start, end = PERIODS.get(layer, (None, None))
    attributions = dict.fromkeys(s.attribution or city.city.attribution for s in city.sources if s.layer == layer)
    spec = ProductSpec(
        id=layer,
        family=layer,
        title=title,
        description=description,
        grain=Grain.RECORD,
        key="id",
        columns=columns,
        attribution=" ; ".join(attributions),
        time_column=start,
        time_end_column=end,
        geometry_type="Geometry" if layer in GEOMETRY_KINDS else "Point",
    )
    return Product(spec, {Form.EXACT: _select(table, columns).sort_by("id")})


def _present(table: pa.Table) -> dict[str, tuple[str, ...]]:
    """Values of every text column that may be a class."""
    names = [name for name in ("nature", "category") if name in table.column_names]
    return {name: tuple(sorted(pc.unique(table.column(name)).drop_null().to_pylist())) for name in names}


def _select(table: pa.Table, columns: tuple[Column, ...]) -> pa.Table:
    return table.select([*(column.name for column in columns), "geometry"])


def _zone_product(level: ZoneLevel, table: pa.Table, city: City) -> Product:
    spec = ProductSpec(
        id=level.id,
        family=level.id,
        title=level.title,
        description=Text(
            fr=f"{level.title.fr} : limites, noms et superficies (planes, en {city.city.metric_crs}).",
            en=f"{level.title.en}: boundaries, names and areas (planar, in {city.city.metric_crs}).",
        ),
        grain=Grain.ZONE,
        key="key",
        columns=ZONE_COLUMNS,
        attribution=level.attribution or city.city.attribution,
        geometry_type="MultiPolygon",
    )
    rows = _select(table, ZONE_COLUMNS).sort_by("key")
    return Product(spec, dict.fromkeys(Form, rows))
