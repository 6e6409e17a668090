"""Spark once for the session, and the made-up city indexed once."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from hexgrid.index import index
from hexgrid.spark import spark_session
from layers.city import City
from layers.home import Home
from layers.steps import StepReport
from support.grid_city import city_document, incidents_table, make_home, metric_land


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """One Spark for the whole test session; every index that runs in this process uses it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CALANQUE_SPARK_MASTER", "local[2]")
        with spark_session(short=True) as session:
            yield session


@pytest.fixture(scope="session")
def city() -> City:
    """The made-up city."""
    return City.model_validate(city_document())


@pytest.fixture(scope="session")
def incidents() -> pa.Table:
    """Its incidents."""
    return incidents_table()


@pytest.fixture(scope="session")
def indexed(
    tmp_path_factory: pytest.TempPathFactory, spark: SparkSession, city: City, incidents: pa.Table
) -> tuple[Home, StepReport]:
    """Home folder of the made-up city, indexed once. Read only."""
    home = make_home(tmp_path_factory.mktemp("hexgrid"), incidents, metric_land())
    return home, index(city, home)


@pytest.fixture(scope="session")
def home(indexed: tuple[Home, StepReport]) -> Home:
    """Home folder of the indexed city."""
    return indexed[0]
