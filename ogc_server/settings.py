"""Settings of one server: what it serves, to whom, and the bounds within which it answers."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from layers.city import ProfileName

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
"""Names under which a loopback server may be addressed (header ``Host``)."""


def is_loopback(host: str) -> bool:
    """Tell whether ``host`` is a loopback name or address."""
    if host in LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Settings(BaseSettings):
    """What ``create_app`` needs; each may come from the environment (``CALANQUE_HOME``, ``CALANQUE_PORT`` …).

    There is no access control yet: ``profile`` is the profile of everybody who reaches the server, and the server
    therefore binds to loopback addresses only.
    """

    model_config = SettingsConfigDict(env_prefix="CALANQUE_", frozen=True, extra="forbid")

    home: Path = Path("var")
    profile: ProfileName = "analyst"
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8010
    database_url: SecretStr | None = None
    """PostGIS that holds the runs; none means the embedded store of each run."""
    public_url: str | None = None
    """Root of every link, for instance behind a proxy; by default the address that the client used."""

    default_limit: Annotated[int, Field(ge=1)] = 100
    max_limit: Annotated[int, Field(ge=1, le=100_000)] = 10_000
    max_offset: Annotated[int, Field(ge=0)] = 10_000_000
    max_url_bytes: Annotated[int, Field(ge=256)] = 8192
    max_body_bytes: Annotated[int, Field(ge=0)] = 1_000_000
    max_coverage_pixels: Annotated[int, Field(ge=1)] = 4_000_000

    @field_validator("host")
    @classmethod
    def _loopback_only(cls, host: str) -> str:
        if not is_loopback(host):
            raise ValueError(
                f"host {host!r} is not a loopback address: there is no access control yet, so that the server "
                "answers on this machine only (127.0.0.1, ::1 or localhost)"
            )
        return host

    @field_validator("public_url")
    @classmethod
    def _absolute_url(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"public_url {url!r} is not an absolute http(s) URL without query or fragment")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _limits_ordered(self) -> Self:
        if self.default_limit > self.max_limit:
            raise ValueError(f"default_limit {self.default_limit} is above max_limit {self.max_limit}")
        return self

    def allowed_hosts(self) -> frozenset[str]:
        """Host names (without port) to which the server answers; any other gets 421."""
        names = LOOPBACK_NAMES | {self.host}
        if self.public_url:
            names |= {urlsplit(self.public_url).hostname or ""}
        return frozenset(names)
