"""The JVM engine: Spark with Delta as a local Spark Connect server, a child process on loopback and a free port.

A process of its own, rather than `SparkSession.builder.remote("local[2]")`, because that one takes a fixed port, changes
this process's environment and cannot run in one process with the embedded engine.
"""

import atexit
import functools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from secrets import token_urlsafe
from typing import IO

import pyspark
from pyspark.sql import SparkSession

import pipelines
from pipelines.lakehouse.engines.channel import connect
from pipelines.lakehouse.engines.private_door import owner_of_listener
from pipelines.lakehouse.engines.quiet import quiet_spark
from pipelines.lakehouse.engines.unavailable import EngineUnavailableError

DELTA = "io.delta:delta-spark_4.1_2.13:4.4.0"
"""Delta's jars for Spark 4.1, from Maven Central into Ivy's cache on first use."""

SETTINGS = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.session.timeZone": "UTC",
    "spark.connect.grpc.binding.address": "127.0.0.1",
    # An idle session lives as long as the process that uses it, not for 60 minutes: a model may be fitted for longer.
    "spark.connect.session.manager.defaultSessionTimeout": "3650d",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    # The server lives for minutes: the second compiler costs more than it brings back.
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    # The driver's own ports ask for a secret, which Spark makes itself for a local master; Spark Connect for our token.
    "spark.authenticate": "true",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.connect.serverStacktrace.enabled": "false",
    "spark.sql.pyspark.jvmStacktrace.enabled": "false",
    # The defaults, 200 and 50, are for tables of many files: here they double the time of a small script.
    "spark.sql.shuffle.partitions": "2",
    "spark.databricks.delta.snapshotPartitions": "1",
    # VACUUM lists a table's folder in as many tasks as this states: by default 10,000, minutes for a folder of ten files.
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "4",
}
CLIENT_VARIABLES = ("SPARK_REMOTE", "SPARK_LOCAL_REMOTE", "SPARK_CONNECT_MODE_ENABLED", "PYSPARK_SUBMIT_ARGS")
"""What a Spark Connect client has in its environment and a server must not."""

INSTALLED_FIRST = """import sys
sys.path.sort(key=lambda place: place.endswith("pyspark.zip"))
"""
"""Run by each Python process of the server when it starts: it takes the installed pyspark, which is compiled, before the archive that
Spark puts first. Importing from that takes more than twice as long, and Spark gives the process of a stream ten seconds."""

START_SECONDS = 180
"""Ample for a first start, which downloads Delta's jars."""

# The shell ends the server when its standard input closes: also when this process is killed, which runs no handler.
WITH_PARENT = (
    'exec 3<&0; "$@" 3<&- </dev/null & server=$!; { cat <&3; kill "$server"; } >/dev/null 2>&1 & wait "$server"'
)


@functools.cache
def session() -> SparkSession:
    """Return this process's session, started on the first call and shared by every environment opened in it.

    Raises
    ------
    EngineUnavailableError
        If there is no Java, or the server does not start, with the last lines of its log.
    """
    if shutil.which("java", path=_java_path()) is None:
        raise EngineUnavailableError(
            "engine 'spark' needs Java 17 and none was found: install it or set JAVA_HOME, or use --engine embedded."
        )
    folder = Path(tempfile.mkdtemp(prefix="spark-"))
    port, token = _free_port(), token_urlsafe()
    server = _start(folder, port, token)
    with ExitStack() as unless_it_starts:
        unless_it_starts.callback(_end, server, folder)
        _wait(server, port, folder / "log")
        unless_it_starts.pop_all()
    spark = connect(f"127.0.0.1:{port}", token=token)
    atexit.register(_stop, spark, server, folder)
    quiet_spark()
    return spark


def _start(folder: Path, port: int, token: str) -> "subprocess.Popen[bytes]":
    settings = {
        **SETTINGS,
        "spark.connect.grpc.binding.port": str(port),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.local.dir": str(folder),
    }
    submit = Path(pyspark.__file__).parent / "bin" / "spark-submit"
    command = [str(submit), "--master", "local[2]", "--packages", DELTA]
    for name, value in settings.items():
        command += ["--conf", f"{name}={value}"]
    command += ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal"]
    modules = folder / "modules"
    modules.mkdir()
    (modules / "sitecustomize.py").write_text(INSTALLED_FIRST, encoding="utf-8")
    environment = {
        **{name: value for name, value in os.environ.items() if name not in CLIENT_VARIABLES},
        "SPARK_CONNECT_AUTHENTICATE_TOKEN": token,  # not an argument: those are visible to every user of the machine
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": os.pathsep.join([str(modules), str(Path(pipelines.__file__).parents[1])]),
    }
    with (folder / "log").open("wb") as log:
        return _popen(["/bin/sh", "-c", WITH_PARENT, "spark", *command], environment, folder, log)


def _popen(command: list[str], environment: dict[str, str], folder: Path, log: IO[bytes]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603 - a fixed command and our own settings
        command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment, cwd=folder, start_new_session=True
    )


def _wait(server: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                _require_ours(port)
                return
        if server.poll() is not None:
            break
        time.sleep(0.1)
    raise EngineUnavailableError(_failure(log))


def _require_ours(port: int) -> None:
    """Send the token to nobody else who has taken the free port before the server did."""
    if sys.platform == "linux" and owner_of_listener(("127.0.0.1", port)) != os.geteuid():
        raise EngineUnavailableError(
            f"engine 'spark': another user of this machine listens on port {port}, which was free a moment ago: start again."
        )


def _failure(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    telling = [line for line in lines if "rror" in line or "xception" in line] or lines
    return (
        f"engine 'spark' did not start: {' | '.join(telling[-3:]) or 'no output'}. It needs Java 17 and Delta's jars "
        f"({DELTA}) from Maven Central or Ivy's cache; use --engine embedded without them."
    )


def _stop(spark: SparkSession, server: "subprocess.Popen[bytes]", folder: Path) -> None:
    spark.stop()
    _end(server, folder)


def _end(server: "subprocess.Popen[bytes]", folder: Path) -> None:
    if server.stdin:
        server.stdin.close()
    server.wait()
    shutil.rmtree(folder, ignore_errors=True)


def _java_path() -> str | None:
    home = os.environ.get("JAVA_HOME")
    return str(Path(home, "bin")) if home else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
