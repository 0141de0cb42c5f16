"""The record of what ran, in the runs table: one commit when a run begins, one when it ends, however it ends.

The first says that the run is under way: a row of the task that it begins with. The last replaces it by a row for each
attempt at a task. Both merge by the key, so writing one of them again changes nothing. A run whose process was killed
has only the first; `doctor` finds it.
"""

import dataclasses
import datetime as dt
import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from ml.spec.errors import sentence_of
from pipelines.declarations.job import AnyTask, Job
from pipelines.declarations.use_case import UseCase
from pipelines.execution.context import Context
from pipelines.execution.locks import alive_in
from pipelines.execution.runner import State, TaskRun
from pipelines.lakehouse.lakehouse import Lakehouse
from pipelines.lakehouse.tables.arrow import records
from pipelines.telemetry.recording import trace_id


class RunRecorder:
    """The record of one run: what has ended, and what it is at."""

    def __init__(self, context: Context, *, cause: str) -> None:
        self._context, self._cause = context, cause
        self._first: TaskRun | None = None
        self._current: list[TaskRun] = []
        self._attempts: list[TaskRun] = []
        self._ending, self._ended = threading.Lock(), False

    def start(self, job: Job, task: AnyTask | None, *, earlier: Mapping[str, int]) -> None:
        """Record that the run begins, with the task that it begins with; a run without one leaves no record."""
        if task is None:
            return
        self._first = TaskRun(
            run_id=self._context.run_id, job=job.address, task=task.key, attempt=earlier.get(task.key, 0) + 1,
            state=State.RUNNING, started_at=dt.datetime.now(dt.UTC), seconds=0.0, trace_id=trace_id(),
        )  # fmt: skip
        self._write([self._first])

    def begun(self, run: TaskRun) -> None:
        """Note an attempt that begins."""
        self._current.append(run)

    def finished(self, run: TaskRun) -> None:
        """Note how an attempt ended."""
        self._current = [other for other in self._current if _key(other) != _key(run)]
        self._attempts.append(run)

    def end(self, error: BaseException | None = None) -> None:
        """Record every attempt, once; what has not ended, for the error that ended the run."""
        with self._ending:  # another thread may be at it
            if not self._ended:
                self._end(error)
                self._ended = True

    def _end(self, error: BaseException | None) -> None:
        state = State.FAILED if isinstance(error, Exception) else State.INTERRUPTED
        known = {_key(run) for run in self._attempts}
        open_runs = [run for run in (*([self._first] if self._first else []), *self._current) if _key(run) not in known]
        ended = {
            _key(run): dataclasses.replace(
                run, state=state, seconds=(dt.datetime.now(dt.UTC) - run.started_at).total_seconds(),
                error=sentence_of(error or KeyboardInterrupt()),
            )
            for run in open_runs
        }  # fmt: skip
        # Each deployed task is a run of its own that leaves out all others: of those it has nothing to say.
        deployed = self._context.lakehouse.folder is None
        done = [run for run in self._attempts if not (deployed and run.state is State.EXCLUDED)]
        self._write([*done, *ended.values()])

    def _write(self, runs: Sequence[TaskRun]) -> None:
        table = self._context.use_case.table("runs")
        if runs:
            rows = records(table, [row_of(run, as_of=self._context.now, cause=self._cause) for run in runs])
            self._context.lakehouse.tables.merge(table, rows)


def row_of(run: TaskRun, *, as_of: dt.datetime, cause: str) -> dict[str, object]:
    """Return an attempt as a row of the runs table."""
    return {
        "run_id": run.run_id, "job": run.job, "task": run.task, "attempt": run.attempt, "state": run.state.value,
        "as_of": as_of, "started_at": run.started_at, "seconds": run.seconds, "rows": run.rows, "cause": cause,
        "error": run.error, "values": json.dumps(dict(run.values)), "trace_id": run.trace_id,
    }  # fmt: skip


def earlier_attempts(context: Context) -> dict[str, int]:
    """Return the highest attempt at each task of the run, from its earlier calls."""
    runs = context.lakehouse.tables.read(context.use_case.table("runs")).where(F.col("run_id") == context.run_id)
    found = runs.groupBy("task").agg(F.max("attempt").alias("attempt")).toArrow().to_pylist()
    return {row["task"]: row["attempt"] for row in found}


def last_values(context: Context, job: str, task: str) -> Mapping[str, str]:
    """Return the values of a task when it last succeeded; none if it never did."""
    runs = context.lakehouse.tables.read(context.use_case.table("runs"))
    done = runs.where((F.col("job") == job) & (F.col("task") == task) & (F.col("state") == State.SUCCEEDED.value))
    rows = done.select("started_at", "values").toArrow().to_pylist()
    newest = max(rows, key=lambda row: row["started_at"], default=None)
    return dict(json.loads(newest["values"])) if newest else {}


def last_runs(lakehouse: Lakehouse, use_case: UseCase) -> list[dict[str, Any]]:
    """Return the last run of each declared task as a row of the runs table, however long ago, by job and task.

    A task that was left out of a run did not run. What became of one that is declared no more, nothing repairs.
    """
    runs = lakehouse.tables.read(use_case.table("runs")).where(F.col("state") != State.EXCLUDED.value)
    by = ["job", "task", "started_at"]
    newest = runs.groupBy("job", "task").agg(F.max("started_at").alias("started_at"))
    rows = runs.join(newest, by).orderBy(*by, "attempt").toArrow().to_pylist()
    last = {(row["job"], row["task"]): row for row in rows}
    declared = {(job.address, task.key) for job in use_case.jobs for task in job.tasks}
    return [row for key, row in last.items() if key in declared]


def killed(lakehouse: Lakehouse, use_case: UseCase, runs: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return those rows of the runs table that are recorded as running although their process is gone.

    A run that has ended since the rows were read is none of them: it records its end before it lets its lock go.

    Parameters
    ----------
    runs
        With ``state`` and ``run_id``.
    """
    alive = alive_in(lakehouse.folder)
    suspected = [row for row in runs if row["state"] == State.RUNNING and row["run_id"] not in alive]
    if not suspected:
        return []
    now = lakehouse.tables.read(use_case.table("runs")).where(F.col("state") == State.RUNNING.value)
    still = {row["run_id"] for row in now.select("run_id").toArrow().to_pylist()}
    return [row for row in suspected if row["run_id"] in still]


def new_run_id(now: dt.datetime) -> str:
    """Return a name for a run that began now; runs sort by it."""
    return now.strftime("%Y%m%dT%H%M%S.%f")


def _key(run: TaskRun) -> tuple[str, str, int]:
    return run.job, run.task, run.attempt
