"""The embedded engine: Sail, a Spark Connect server inside this process, on loopback and a free port."""

import atexit
import functools
import os

from pyspark.sql import SparkSession

from pipelines.lakehouse.engines.quiet import quiet_spark

# Sail's own log is of no use to a person who runs a job; set RUST_LOG to see it.
QUIET = "off"


@functools.cache
def session() -> SparkSession:
    """Return this process's session, started on the first call and shared by every environment opened in it."""
    os.environ.setdefault("RUST_LOG", QUIET)
    from pysail.spark import SparkConnectServer

    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    host, port = server.listening_address
    spark: SparkSession = SparkSession.builder.remote(f"sc://{host}:{port}").create()
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    # Where in our code each column was made is for Spark's own error messages; Sail has no use for it.
    spark.conf.set("spark.python.sql.dataFrameDebugging.enabled", "false")
    quiet_spark()
    atexit.register(_stop, spark, server)
    return spark


def _stop(spark: SparkSession, server: object) -> None:
    spark.stop()
    server.stop()  # type: ignore[attr-defined]  # pysail ships no types
