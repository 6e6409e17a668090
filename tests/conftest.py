"""Fixtures shared by every floor: real data, and the sample city built and served once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from support.services import PROJECT, calanque, one_at_a_time, serving

# The first example of a test pays for imports, and cores are shared: time is no verdict on a property.
settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real open data that is not part of the project; tests that use it skip where it is absent."""
    folder = Path(os.environ.get("CALANQUE_SHARED_DATA") or PROJECT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("real data are not here (set CALANQUE_SHARED_DATA to their folder)")
    return folder


@pytest.fixture(scope="session")
def sample_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Home folder in which the whole sample city is built. Shared by all tests: read only."""
    kept = os.environ.get("CALANQUE_TEST_HOME")
    root = tmp_path_factory.getbasetemp()
    shared = root.parent if os.environ.get("PYTEST_XDIST_WORKER") else root
    home = Path(kept) if kept else shared / "sample-home"
    with one_at_a_time(home.with_suffix(".lock")):
        if not (home / "built").exists():
            calanque("build", home=home)
            (home / "built").touch()
    return home


@pytest.fixture(scope="session")
def sample_server_url(sample_home: Path) -> Iterator[str]:
    """Root URL of a real server process over the sample city, profile ``analyst``."""
    with serving(sample_home) as url:
        yield url
