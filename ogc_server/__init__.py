"""How it is read: publication of runs, stores, OGC APIs and pages."""
