"""One way to start Spark: on this machine by default, on any master by configuration, offline and quiet.

Only this floor talks to Spark. Tasks read and write files with pyarrow, so no Hadoop library is needed on either side.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkException
from pyspark.java_gateway import launch_gateway
from pyspark.sql import SparkSession

from hexgrid.cells import cells_of_points
from hexgrid.errors import SparkTaskError, SparkUnavailableError
from hexgrid.java import find_java

MASTER_VARIABLE = "CALANQUE_SPARK_MASTER"
MEMORY_VARIABLE = "CALANQUE_SPARK_MEMORY"
APPLICATION = "calanque"
LOOPBACK = "127.0.0.1"
_LOG_CONFIGURATION = """status = error
rootLogger.level = error
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = Spark %p %c{1}: %m%n
logger.gateway.name = org.apache.spark.api.python.PythonGatewayServer
logger.gateway.level = error
"""
_TASKS_PER_CORE = 4
_QUOTED_LOG_CHARACTERS = 2000
_STOP_TIMEOUT_S = 30


@contextmanager
def spark_session(*, time_zone: str = "UTC", short: bool = False) -> Iterator[SparkSession]:
    """Yield a Spark session; stop it, Java included, at the end.

    A session that already runs in this process is used as it is and left running.

    Parameters
    ----------
    time_zone
        IANA name of the session's zone, whatever the machine's.
    short
        The work lasts seconds: Java then starts fast rather than compile for the long run.

    Raises
    ------
    SparkUnavailableError
        If no Java is found or Spark does not start.

    Notes
    -----
    ``CALANQUE_SPARK_MASTER`` names the master (default ``local[*]``: all cores of this machine, on loopback only),
    ``CALANQUE_SPARK_MEMORY`` the driver's memory (default ``2g``). Everything else follows Spark's own configuration
    (``SPARK_CONF_DIR``, ``spark-defaults.conf``; ``SPARK_LOCAL_DIRS`` for what does not fit in memory).
    """
    running = SparkSession.getActiveSession()
    if running is not None:
        before = running.conf.get("spark.sql.session.timeZone")
        running.conf.set("spark.sql.session.timeZone", time_zone)
        try:
            yield running
        finally:
            running.conf.set("spark.sql.session.timeZone", before or "UTC")
        return
    work = Path(tempfile.mkdtemp(prefix="calanque-spark-"))
    try:
        with _java_process(work, time_zone=time_zone, short=short) as session:
            yield session
    finally:
        shutil.rmtree(work, ignore_errors=True)


@contextmanager
def _java_process(work: Path, *, time_zone: str, short: bool) -> Iterator[SparkSession]:
    """Run Java for the time of one session; what it says goes to a file that is quoted when it does not start."""
    java = find_java(work)
    python = sys.executable
    environment = {"JAVA_HOME": str(java.home), "PYSPARK_PYTHON": python, "PYSPARK_DRIVER_PYTHON": python}
    master = os.environ.get(MASTER_VARIABLE) or "local[*]"
    if master.startswith("local"):
        environment["SPARK_LOCAL_IP"] = LOOPBACK  # a host name that resolves nowhere must not stop a laptop
    configuration = SparkConf(loadDefaults=False).setMaster(master).setAppName(APPLICATION)
    configuration.setAll(list(_configuration(master, work, time_zone=time_zone, short=short).items()))
    said = work / "java.log"
    launch: Any = launch_gateway
    gateway: Any = None
    with said.open("wb") as log, _environment(environment):
        try:
            gateway = launch(configuration, popen_kwargs={"stderr": log})
            session = SparkSession(SparkContext(conf=configuration, gateway=gateway))
        except Exception as error:
            reason = str(error)  # asked of Java while it is there
            _end(gateway)
            tail = said.read_text(encoding="utf-8", errors="replace")[-_QUOTED_LOG_CHARACTERS:]
            raise SparkUnavailableError(
                f"Spark did not start on master {master!r} with Java {java.version} ({java.origin}: {java.home}): "
                f"{reason}\n{tail}"
            ) from error
    try:
        session.conf.set("spark.sql.shuffle.partitions", str(_TASKS_PER_CORE * session.sparkContext.defaultParallelism))
        yield session
    except PySparkException as error:
        # asked of Java while it is there: the text of such an error lives in it
        raise SparkTaskError(f"Spark failed: {str(error)[-_QUOTED_LOG_CHARACTERS:]}") from None
    finally:
        session.stop()
        _end(gateway)


def _configuration(master: str, work: Path, *, time_zone: str, short: bool) -> dict[str, str]:
    log = work / "log4j2.properties"
    log.write_text(_LOG_CONFIGURATION, encoding="utf-8")
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.memory": os.environ.get(MEMORY_VARIABLE) or "2g",
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={log.as_uri()} -Duser.timezone=UTC",
        "spark.executorEnv.PYTHONPATH": str(Path(__file__).resolve().parent.parent),
        "spark.sql.session.timeZone": time_zone,
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.warehouse.dir": (work / "warehouse").as_uri(),
        # Few and heavy partitions of Python work: merging the small ones would leave cores idle.
        "spark.sql.adaptive.enabled": "false",
    }
    if short:
        # Measured on two cores: 14 s instead of 22 s of processor time to start and index 100,000 records.
        settings["spark.driver.extraJavaOptions"] += " -XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
        settings["spark.sql.codegen.wholeStage"] = "false"
    if master.startswith("local"):
        settings |= {"spark.driver.host": LOOPBACK, "spark.driver.bindAddress": LOOPBACK, "spark.local.dir": str(work)}
    return settings


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables for the time that Java starts in."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _end(gateway: Any) -> None:
    """End the Java process, which would otherwise hold its memory until this process ends."""
    SparkContext._gateway = SparkContext._jvm = None  # noqa: SLF001 — pyspark would reuse a Java that has gone
    if gateway is None:
        return
    if gateway.proc.poll() is None:  # a Java that died has no connection left to close
        gateway.shutdown()
    gateway.proc.stdin.close()  # Spark's Java side leaves when its standard input closes
    gateway.proc.wait(timeout=_STOP_TIMEOUT_S)


def one_row_job() -> dict[str, str | int | float]:
    """Run one row through Java, a Python worker and h3ronpy, and tell what did it (for ``calanque doctor``).

    Raises
    ------
    SparkUnavailableError
        If any link of that chain is missing.
    """
    started = time.monotonic()
    with spark_session(short=True) as spark:
        row = spark.createDataFrame(pa.table({"lon_deg": [5.37], "lat_deg": [43.29]}))
        try:
            answer = row.mapInArrow(_cell_of_row, "cell long").toArrow()
        except Exception as error:
            raise SparkUnavailableError(
                f"Spark starts, and its Python worker ({sys.executable}) fails: {error}"
            ) from error
        runtime: Any = spark.sparkContext._jvm  # noqa: SLF001 — the only way to ask Java itself
        return {
            "spark": spark.version,
            "java": str(runtime.java.lang.System.getProperty("java.version")),
            "java_home": str(runtime.java.lang.System.getProperty("java.home")),
            "master": str(spark.sparkContext.master),
            "cell": f"{answer.column('cell')[0].as_py():x}",
            "seconds": round(time.monotonic() - started, 2),
        }


def _cell_of_row(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        lon, lat = (batch.column(name).to_numpy() for name in ("lon_deg", "lat_deg"))
        yield pa.RecordBatch.from_arrays([pa.array(cells_of_points(lon, lat, 11))], names=["cell"])
