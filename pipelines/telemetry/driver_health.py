"""How the machine of a run was during an attempt at a task: its processors, its memory, and executors of Spark that were lost.

On a cluster the machine is the driver. What its other machines do is seen by the executors that they lose.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pipelines.telemetry.instruments import EXECUTORS_LOST, MACHINE_MEMORY, MACHINE_PROCESSOR
from pipelines.telemetry.recording import Attributes, measure, trace_id

WANTED = ("killed by driver", "decommission")
"""What Spark says of an executor that the driver itself has let go, because the cluster shrinks."""


@contextmanager
def watched(attributes: Attributes) -> Iterator[None]:
    """Measure the machine over the block, whether or not it fails; nothing while telemetry is off."""
    if trace_id() is None:
        yield
        return
    import psutil

    begun, before = time.time(), psutil.cpu_times()
    try:
        yield
    finally:
        measure(MACHINE_PROCESSOR, busy_share(before, psutil.cpu_times()), attributes)
        measure(MACHINE_MEMORY, psutil.virtual_memory().percent / 100, attributes)
        if lost := sum(is_lost(**one, since=begun) for one in executors()):
            measure(EXECUTORS_LOST, lost, attributes)


def busy_share(before: Any, after: Any) -> float:
    """Return the share of the processors' time that was busy between two readings, 0 to 1; 0 if no time has passed.

    Parameters
    ----------
    before, after
        Seconds by kind of use, as ``psutil.cpu_times`` gives them. Waiting for a disk is not busy.
    """
    total = sum(after) - sum(before)
    idle = sum(getattr(after, name, 0.0) - getattr(before, name, 0.0) for name in ("idle", "iowait"))
    return min(1.0, max(0.0, 1 - idle / total)) if total > 0 else 0.0


def is_lost(*, active: bool, removed: float | None, reason: str, since: float) -> bool:
    """Return whether an executor went since a moment although the driver had not let it go.

    Parameters
    ----------
    removed, since
        Seconds since 1970; None for an executor that was not removed.
    """
    return not active and removed is not None and removed >= since and not any(one in reason for one in WANTED)


def executors() -> list[dict[str, Any]]:
    """Return all executors of the Spark that this process runs, as `is_lost` takes them; none where there is no such Spark.

    A client of Spark Connect, as on serverless compute, does not see them.
    """
    spark = sys.modules.get("pyspark.sql")
    session = spark.SparkSession.getActiveSession() if spark else None
    try:
        store = session.sparkContext._jsc.sc().statusStore() if session else None  # noqa: SLF001 -- Python has no other way to it
    except AttributeError:  # of Spark Connect
        store = None
    if store is None:
        return []
    listed = store.executorList(False)
    return [_as_stated(listed.apply(place)) for place in range(listed.size())]


def _as_stated(one: Any) -> dict[str, Any]:
    removed, reason = one.removeTime(), one.removeReason()
    return {
        "active": bool(one.isActive()), "removed": removed.get().getTime() / 1000 if removed.isDefined() else None,
        "reason": str(reason.get()) if reason.isDefined() else "",
    }  # fmt: skip
