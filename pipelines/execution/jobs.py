"""Runs a job of a use case in an open lakehouse and keeps its record: what the command line and the demo share."""

import datetime as dt
from collections.abc import Callable, Collection, Mapping

from pipelines.declarations.job import Job
from pipelines.declarations.registry import use_case
from pipelines.execution.context import Context
from pipelines.execution.run_history import keep, last_values, new_run_id
from pipelines.execution.runner import JobRun, TaskRun, run_job
from pipelines.lakehouse.lakehouse import Lakehouse


def run_in(
    lakehouse: Lakehouse,
    job: Job,
    parameters: Mapping[str, str],
    *,
    say: Callable[[str], None],
    finished: Callable[[TaskRun], None],
    now: dt.datetime | None = None,
    run_id: str | None = None,
    only: Collection[str] = (),
    skip: Collection[str] = (),
) -> JobRun:
    """Run a job; its record is kept also when the run is interrupted.

    Parameters
    ----------
    now
        The instant that tasks take for the present; by default the clock's.
    run_id
        Of an earlier run, to go on with it; by default a new one.
    """
    declared = use_case(job.use_case)
    begun = now or dt.datetime.now(dt.UTC)
    identity = run_id or new_run_id(dt.datetime.now(dt.UTC))
    context = Context(lakehouse=lakehouse, use_case=declared, run_id=identity, now=begun, say=say)
    attempts: list[TaskRun] = []

    def noted(run: TaskRun) -> None:
        attempts.append(run)
        finished(run)

    try:
        return run_job(
            job, context, parameters, only=only, skip=skip, finished=noted,
            recall=lambda address, task: last_values(lakehouse, declared, address, task),
        )  # fmt: skip
    finally:
        keep(lakehouse, declared, attempts, as_of=begun, cause=parameters.get("cause", "requested"))
