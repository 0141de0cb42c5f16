"""The embedded engine: Sail, a Spark Connect server inside this process, which no other user can reach."""

import atexit
import functools
import os
from contextlib import ExitStack
from typing import Any

from pyspark.sql import SparkSession

from pipelines.lakehouse.engines.channel import connect
from pipelines.lakehouse.engines.other_users import refuse_other_users
from pipelines.lakehouse.engines.private_door import LOOPBACK, PrivateDoor
from pipelines.lakehouse.engines.quiet import quiet_spark

# Sail's own log is of no use to a person who runs a job; set RUST_LOG to see it.
QUIET = "off"
KEPT_SECONDS = 10 * 365 * 24 * 3600
"""How long a session may be idle: as long as its process lives, instead of Sail's 900 seconds. A model may be fitted, or a notebook
be open, for longer, and what comes after that needs the session; source: docs.lakesail.com/sail/latest/reference/configuration."""


@functools.cache
def session() -> SparkSession:
    """Return this process's session, started on the first call and shared by every environment opened in it.

    Raises
    ------
    EngineUnavailableError
        If other users of this machine could reach the server.
    """
    os.environ.setdefault("RUST_LOG", QUIET)
    os.environ.setdefault("SAIL_SPARK__SESSION_TIMEOUT_SECS", str(KEPT_SECONDS))
    from pysail.spark import SparkConnectServer

    server = SparkConnectServer(LOOPBACK, 0)
    server.start(background=True)
    door, target = _closed(server)
    spark = connect(target)
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    # Where in our code each column was made is for Spark's own error messages; Sail has no use for it.
    spark.conf.set("spark.python.sql.dataFrameDebugging.enabled", "false")
    quiet_spark()
    atexit.register(_stop, spark, server, door)
    return spark


def _closed(server: Any) -> tuple[PrivateDoor | None, str]:
    """Close a server to other users and return the way in, or make sure that there are none."""
    host, port = server.listening_address
    with ExitStack() as unless_closed:
        unless_closed.callback(server.stop)
        try:
            door: PrivateDoor | None = PrivateDoor((host, port))
        except OSError as cannot:
            refuse_other_users(str(cannot))
            door = None
        unless_closed.pop_all()
    return door, door.target if door is not None else f"{host}:{port}"


def _stop(spark: SparkSession, server: Any, door: PrivateDoor | None) -> None:
    spark.stop()
    if door is not None:
        door.close()
    server.stop()
