"""Processors, memory and lost executors of an attempt at a task: what is measured, and what is not taken for a loss."""

import os
import subprocess
import sys
import textwrap
from collections import namedtuple
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.telemetry.driver_health import busy_share, executors, is_lost, watched

ROOT = Path(__file__).parents[3]
Times = namedtuple("Times", "user system idle iowait")  # noqa: PYI024 -- as psutil makes it
SECONDS = st.floats(min_value=0, max_value=1e6)


@given(st.tuples(*[SECONDS] * 4), st.tuples(*[SECONDS] * 4))
def test_a_share_is_between_nothing_and_all_and_grows_with_the_use(
    start: tuple[float, ...], more: tuple[float, ...]
) -> None:
    """Idle processors and those that wait for a disk are not busy."""
    before = Times(*start)
    after = Times(*(one + further for one, further in zip(start, more, strict=True)))
    share = busy_share(before, after)
    assert 0 <= share <= 1
    if sum(more) > 1:
        assert share == pytest.approx((more[0] + more[1]) / sum(more), abs=1e-6)
    assert busy_share(before, before) == 0


@pytest.mark.parametrize(
    ("active", "removed", "reason", "lost"),
    [
        (True, None, "", False),
        (False, 20.0, "Command exited with code 137", True),
        (False, 20.0, "Executor heartbeat timed out after 130000 ms", True),
        (False, 20.0, "Executor killed by driver.", False),
        (False, 20.0, "Executor decommission finished: spark scale down", False),
        (False, 9.0, "Command exited with code 137", False),
        (False, None, "", False),
    ],
)
def test_an_executor_that_the_driver_let_go_or_that_went_before_is_not_lost(
    active: bool, removed: float | None, reason: str, lost: bool
) -> None:
    """The block began at 10."""
    assert is_lost(active=active, removed=removed, reason=reason, since=10.0) is lost


def test_without_telemetry_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """No reading of the machine, no library."""
    monkeypatch.setattr(psutil, "cpu_times", lambda: pytest.fail("read"))
    with watched({}):
        pass


def test_without_spark_there_are_no_executors(monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded engine has none."""
    monkeypatch.delitem(sys.modules, "pyspark.sql", raising=False)
    assert executors() == []


LOSES_ONE = """
    import os, signal, time
    import psutil
    from pyspark.sql import SparkSession
    from pipelines.telemetry.driver_health import executors, is_lost

    spark = SparkSession.builder.master("local-cluster[1,1,1024]").config("spark.ui.enabled", "false").getOrCreate()
    begun = time.time()
    spark.range(10).count()
    assert not any(is_lost(**one, since=begun) for one in executors()), executors()
    def is_backend(process):
        try:
            return any("CoarseGrainedExecutorBackend" in word for word in process.cmdline())
        except psutil.Error:  # it has ended meanwhile
            return False

    backend = [one for one in psutil.Process().children(recursive=True) if is_backend(one)]
    backend[0].send_signal(signal.SIGKILL)
    until = time.time() + 300
    while time.time() < until:
        if any(is_lost(**one, since=begun) for one in executors()):
            break
        time.sleep(0.1)
    print("lost", sum(is_lost(**one, since=begun) for one in executors()))
    spark.stop()
"""


@pytest.mark.proof
@pytest.mark.xdist_group("jvm")
def test_a_real_executor_that_is_killed_is_counted(tmp_path: Path) -> None:
    """A cluster of Spark on this machine, with an executor in a process of its own."""
    # Not what an embedded session of another test has set: its client would be asked for here.
    outside = {name: value for name, value in os.environ.items() if not name.startswith("SPARK_")}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LOSES_ONE)], cwd=tmp_path, text=True, capture_output=True, check=False,
        env={**outside, "PYTHONPATH": str(ROOT), "SPARK_LOCAL_IP": "127.0.0.1"},
    )  # fmt: skip
    assert done.stdout.split() == ["lost", "1"], done.stderr[-3000:]
