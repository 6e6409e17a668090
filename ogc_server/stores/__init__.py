"""Where the server reads features: the embedded store of a run, or PostGIS, behind one interface."""

from ogc_server.stores.engines import Dialect
from ogc_server.stores.store import Store, open_store, schema_of_run

__all__ = ["Dialect", "Store", "open_store", "schema_of_run"]
