"""What telemetry costs: processor time per span, times the spans of a run of jobs, as share of it: ``python -m benchmarks telemetry``.

A difference of two whole runs is far smaller than what two equal runs differ by. So the cost of a span is measured by itself,
on tasks made of the spans that a job has, exported to files and flushed as a job does; the spans of real jobs are counted; and the
product is compared with the processor time of these jobs, all threads included. Jobs with and without telemetry run in turn
beside it: their difference is printed with its interval, for information.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from scipy import stats

from benchmarks.limits import Figure, Limit, judge
from pipelines.declarations.registry import use_case
from pipelines.execution.jobs import run_and_record
from pipelines.lakehouse.lakehouse import open_lakehouse
from pipelines.telemetry.attributes import (
    ATTEMPT,
    JOB,
    OPERATION,
    ROWS,
    SKIPPED,
    STATE,
    SYSTEM,
    TABLE,
    TASK,
    VERSION_READ,
)
from pipelines.telemetry.attributes import VERSION_WRITTEN as WRITTEN
from pipelines.telemetry.instruments import ROWS_WRITTEN, TASK_SECONDS
from pipelines.telemetry.recording import flush, measure, span
from pipelines.telemetry.run import traced_run
from pipelines.telemetry.settings import OFF, SWITCH

JOBS = "processor time of the jobs without it"
ON = Limit(what="telemetry to files: upper end of its cost", alternative=JOBS, at_most=0.02)
SWITCHED_OFF = Limit(what="telemetry that is off: upper end of its cost", alternative=JOBS, at_most=0.0001)
LIMITS = (ON, SWITCHED_OFF)

TASKS, REPEATS, PAIRS = 50, 15, 3
READS, WRITES = 5, 4
SPANS = 2 + READS + WRITES
"""Of one task, as below."""
JOB_NAMES = ("features", "training")
UNTIL = "2013-02-15"


def main() -> int:
    """Measure, print, and return 1 if telemetry costs more than its limits."""
    on, off = _per_span("file"), _per_span(OFF)
    start = [_start_up() for _ in range(5)]
    with_it, without = [], []
    spans = 0
    for _ in range(PAIRS):  # in turn
        seconds, spans = _jobs("file")
        with_it.append(seconds)
        without.append(_jobs(OFF)[0])
    total = statistics.median(without)
    low, high = (begun + spans * each for begun, each in zip(_ends(start), _ends(on), strict=True))
    differences = [one - other for one, other in zip(with_it, without, strict=True)]
    print(
        f"  a span costs {_interval(on, 1e6)} us of processor time on, {_interval(off, 1e6)} us off; loading {_interval(start, 1)} s, once"
    )
    print(f"  {' and '.join(JOB_NAMES)} of air_time: {spans} spans, {total:.1f} s of processor time")
    print(f"  share of the jobs: {100 * low / total:.3f}% to {100 * high / total:.3f}%")
    print(f"  with less without, {PAIRS} pairs in turn: {_interval(differences, 1)} s")
    return judge(
        [
            Figure(limit=ON, seconds=high, alternative_seconds=total),
            Figure(limit=SWITCHED_OFF, seconds=spans * _ends(off)[1], alternative_seconds=total),
        ]
    )


def task() -> None:
    """Record what a task of a job does: its span, an attempt, reads, writes, what was measured, one flush."""
    names = {JOB: "air_time.features", TASK: "build_features"}
    table = {SYSTEM: "delta", TABLE: "air_time_features.route_history"}
    with span("task build_features", names) as own:
        with span("attempt", {**names, ATTEMPT: 1}) as attempt:
            for _ in range(READS):
                with span("read air_time_features.route_history", {**table, OPERATION: "read"}) as noted:
                    noted.set(VERSION_READ, 3)
            for _ in range(WRITES):
                with span("append air_time_features.route_history", {**table, OPERATION: "append"}) as noted:
                    for attribute, value in ((ROWS, 1000), (WRITTEN, 4), (SKIPPED, False)):
                        noted.set(attribute, value)
                measure(ROWS_WRITTEN, 1000, {**table, OPERATION: "append"})
            attempt.set(STATE, "succeeded")
            measure(TASK_SECONDS, 3.0, {**names, STATE: "succeeded"})
        flush()
        own.set(STATE, "succeeded")


def _per_span(switch: str) -> list[float]:
    """Return the processor seconds of a span in each repetition, less those of a loop that does nothing."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ[SWITCH] = switch
        with traced_run(
            environment="dev", engine="embedded", folder=Path(folder), commit=lambda: "abc", job="air_time.features",
            run_id="r1", first=True, say=print,
        ):  # fmt: skip
            task()
            return [(_seconds(task) - _seconds(lambda: None)) / (TASKS * SPANS) for _ in range(REPEATS)]


def _seconds(call: Callable[[], None]) -> float:
    begun = time.process_time()
    for _ in range(TASKS):
        call()
    return time.process_time() - begun


def _start_up() -> float:
    """Return the processor seconds of loading what is needed, in a process that has loaded MLflow, as every job does.

    The garbage of MLflow's own loading is collected before: else that falls into the next import, whichever it is.
    """
    code = (
        "import gc, time, mlflow\ngc.collect()\nbegun = time.process_time()\nimport pipelines.telemetry.providers\n"
        "import pipelines.telemetry.json_lines\nprint(time.process_time() - begun)"
    )
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)  # noqa: S603 - our own code


def _jobs(switch: str) -> tuple[float, int]:
    """Run jobs in a new environment; return their processor seconds, all threads included, and the spans recorded."""
    os.environ[SWITCH] = switch
    declared = use_case("air_time")
    with tempfile.TemporaryDirectory() as root, open_lakehouse("dev", root=Path(root)) as lakehouse:
        begun = time.process_time()
        for name in JOB_NAMES:
            run_and_record(lakehouse, declared.job(name), {"until": UNTIL})
        spent = time.process_time() - begun
        traces = "".join(file.read_text() for file in Path(root, "dev", "telemetry").glob("*.traces.jsonl"))
        return spent, traces.count('"startTimeUnixNano"')


def _ends(values: list[float]) -> tuple[float, float]:
    """Return the ends of the 95% interval of a mean, by Student's t."""
    mean = statistics.mean(values)
    half = stats.t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
    return mean - half, mean + half


def _interval(values: list[float], factor: float) -> str:
    low, high = _ends(values)
    return f"{statistics.mean(values) * factor:.3g} ({low * factor:.3g} to {high * factor:.3g})"


if __name__ == "__main__":
    sys.exit(main())
