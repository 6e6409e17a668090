"""Fixtures of the layers' tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.delivered_city import DeliveredCity


@pytest.fixture
def small_city(tmp_path: Path) -> DeliveredCity:
    return DeliveredCity.at(tmp_path)
