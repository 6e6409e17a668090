"""Ingestions by the hundred: what they do is the same, what makes them safe from power cuts is left out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import pytest

from layers import ingest, taking


@contextmanager
def quickly() -> Iterator[None]:
    """Work out the code's digest once, and do not wait for the disk."""
    with pytest.MonkeyPatch.context() as patch:
        digest = cache(ingest.code_digest)
        patch.setattr(ingest, "code_digest", digest)
        patch.setattr(taking, "code_digest", digest)
        patch.setattr(os, "fsync", lambda _: None)
        yield
