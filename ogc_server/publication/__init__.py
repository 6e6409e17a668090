"""Publication: products become an immutable run, and the run becomes the current one."""

from ogc_server.publication.publish import publish

__all__ = ["publish"]
