"""The provider: pygeoapi's interface over the tables of a run, whichever store holds them.

``StoreProvider`` is a pygeoapi provider like any other (its items handler works over it, and a test compares the two);
the server itself asks :func:`read_page` and :func:`read_item`, which take a rectangle in its own system and hand
geometries over as the text that the store wrote.
"""

from __future__ import annotations

import json
from typing import Any

from pygeoapi.provider.base import BaseProvider, ProviderItemNotFoundError, ProviderQueryError

from ogc_server.collections import Collection
from ogc_server.errors import OgcError
from ogc_server.feature_query import Equal, FeatureQuery, Sort, typed
from ogc_server.features import FeatureRow, read_item, read_page
from ogc_server.parameters import interval
from ogc_server.rasters import grid_of
from ogc_server.systems import boxes


class StoreProvider(BaseProvider):  # type: ignore[misc]  # pygeoapi has no types
    """Features of one collection, for pygeoapi.

    Parameters
    ----------
    provider_def
        pygeoapi's configuration; ``data`` is the :class:`Collection`.
    """

    def __init__(self, provider_def: dict[str, Any]) -> None:
        super().__init__(provider_def)
        self.collection: Collection = provider_def["data"]
        self._fields = self.get_fields()

    def get_fields(self) -> dict[str, dict[str, Any]]:
        """Return column → JSON Schema type; fresh dictionaries, for pygeoapi changes them."""
        return {p.name: dict(p.schema) for p in self.collection.columns}

    def query(self, **arguments: Any) -> dict[str, Any]:
        """Return a page of features as pygeoapi asks for it.

        Parameters
        ----------
        arguments
            ``offset``, ``limit``, ``resulttype``, ``bbox`` (in ``storage_crs``: pygeoapi has moved it there),
            ``datetime_``, ``properties`` (equalities), ``sortby``, ``select_properties``, ``skip_geometry``, as
            pygeoapi documents them.

        Raises
        ------
        ProviderQueryError
            For what this provider does not do (``filterq``, ``q``), or a value of the wrong type.
        """
        if arguments.get("filterq") is not None or arguments.get("q"):
            raise ProviderQueryError(user_msg="filter and q are not supported")
        try:
            query = self._query(arguments)
        except OgcError as error:
            raise ProviderQueryError(user_msg=error.text.en) from error
        page = read_page(self.collection, query, hits_only=arguments.get("resulttype") == "hits")
        return {
            "type": "FeatureCollection",
            "features": [_feature(row) for row in page.rows],
            "numberMatched": page.matched,
            "numberReturned": len(page.rows),
        }

    def _query(self, arguments: dict[str, Any]) -> FeatureQuery:
        types, systems = self.collection.types, self.collection.systems
        values: dict[str, str] = {}
        if bbox := arguments.get("bbox"):
            values = {"bbox": ",".join(str(v) for v in bbox), "bbox-crs": self.collection.storage_uri}
        if moment := arguments.get("datetime_"):
            values["datetime"] = moment
        return FeatureQuery(
            limit=int(arguments.get("limit", 10)),
            offset=int(arguments.get("offset", 0)),
            boxes=boxes(values, systems),
            interval=interval(values),
            equals=tuple(Equal(n, typed(str(v), n, types[n])) for n, v in arguments.get("properties") or []),
            sort=tuple(Sort(s["property"], descending=s["order"] == "-") for s in arguments.get("sortby") or []),
            properties=tuple(arguments.get("select_properties") or []) or None,
            geometry=not arguments.get("skip_geometry"),
        )

    def get(self, identifier: str, **_: Any) -> dict[str, Any]:
        """Return one feature.

        Raises
        ------
        ProviderItemNotFoundError
            If there is none.
        """
        row = read_item(self.collection, identifier)
        if row is None:
            raise ProviderItemNotFoundError(user_msg="no such feature")
        return _feature(row)


def _feature(row: FeatureRow) -> dict[str, Any]:
    geometry = json.loads(row.geometry) if row.geometry else None
    return {"type": "Feature", "id": row.id, "geometry": geometry, "properties": dict(row.properties)}


class RasterProvider(BaseProvider):  # type: ignore[misc]  # pygeoapi has no types
    """Bands and grid of one raster, for pygeoapi's descriptions; values are read by :mod:`ogc_server.rasters`."""

    def __init__(self, provider_def: dict[str, Any]) -> None:
        super().__init__(provider_def)
        self.collection: Collection = provider_def["data"]
        assert self.collection.raster is not None
        grid = grid_of(self.collection.raster, tuple(c.name for c in self.collection.spec.columns))
        self._coverage_properties = {
            "width": grid.width,
            "height": grid.height,
            "resx": grid.pixel_m,
            "resy": grid.pixel_m,
        }
        self._fields = self.get_fields()

    def get_fields(self) -> dict[str, dict[str, Any]]:
        """Return band → JSON Schema type."""
        return {p.name: dict(p.schema) for p in self.collection.columns}
