"""The record of what ran: a row of the runs table for each attempt at a task, appended when a job ends, however it ends."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence

from pyspark.sql import functions as F  # noqa: N812 - the name under which every Spark reader knows it

from pipelines.execution.context import Context
from pipelines.execution.runner import State, TaskRun
from pipelines.lakehouse.tables.arrow import records


def append(context: Context, attempts: Sequence[TaskRun], *, cause: str) -> None:
    """Append the records of one run of a job to the runs table; records that are there already are not added again."""
    table = context.use_case.table("runs")
    rows = [
        {
            "run_id": one.run_id, "job": one.job, "task": one.task, "attempt": one.attempt, "state": one.state.value,
            "as_of": context.now, "started_at": one.started_at, "seconds": one.seconds, "rows": one.rows, "cause": cause,
            "error": one.error, "values": json.dumps(dict(one.values)),
        }
        for one in attempts
    ]  # fmt: skip
    if rows:
        first = attempts[0]
        batch = json.dumps([first.run_id, first.job, first.started_at.isoformat()])
        context.lakehouse.tables.append_once(table, records(table, rows), batch_id=batch)


def last_values(context: Context, job: str, task: str) -> Mapping[str, str]:
    """Return the values of a task when it last succeeded; none if it never did."""
    runs = context.lakehouse.tables.read(context.use_case.table("runs"))
    done = runs.where((F.col("job") == job) & (F.col("task") == task) & (F.col("state") == State.SUCCEEDED.value))
    rows = done.select("started_at", "values").toArrow().to_pylist()
    newest = max(rows, key=lambda row: row["started_at"], default=None)
    return dict(json.loads(newest["values"])) if newest else {}


def new_run_id(now: dt.datetime) -> str:
    """Return a name for a run that began now; runs sort by it."""
    return now.strftime("%Y%m%dT%H%M%S.%f")
