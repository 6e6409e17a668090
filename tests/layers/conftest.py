"""Fixtures of the layers' tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

from delivered_city import DeliveredCity

# The first example of a test pays for imports, and cores are shared: time is no verdict on a property.
settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")


@pytest.fixture
def small_city(tmp_path: Path) -> DeliveredCity:
    return DeliveredCity.at(tmp_path)
