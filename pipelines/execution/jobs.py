"""Runs a job of a use case in an open lakehouse and records it in the runs table: what every local run goes through."""

import datetime as dt
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from pipelines.declarations.job import Job
from pipelines.declarations.registry import use_case
from pipelines.execution.context import Context
from pipelines.execution.locks import hold
from pipelines.execution.parameters import resolve
from pipelines.execution.run_history import append, last_values, new_run_id
from pipelines.execution.runner import JobRun, TaskRun, run_job
from pipelines.lakehouse.lakehouse import Lakehouse


@dataclass(frozen=True, kw_only=True)
class Watcher:
    """Who follows a run.

    Attributes
    ----------
    say
        Takes one line of a task.
    finished
        Takes the record of each attempt at a task.
    """

    say: Callable[[str], None]
    finished: Callable[[TaskRun], None]


SILENT = Watcher(say=lambda _line: None, finished=lambda _run: None)
"""Nobody follows the run."""


def run_and_record(
    lakehouse: Lakehouse,
    job: Job,
    parameters: Mapping[str, str],
    *,
    watcher: Watcher = SILENT,
    now: dt.datetime | None = None,
    run_id: str | None = None,
    only: Collection[str] = (),
    skip: Collection[str] = (),
) -> JobRun:
    """Run a job and record every attempt at its tasks, also if the run is interrupted.

    Parameters
    ----------
    parameters
        As text; a parameter that is left out has its default.
    now
        The instant that tasks take for the present; by default the clock's.
    run_id
        Of an earlier run, to go on with it; by default a new one.
    only, skip
        Keys of the only tasks to run, and of tasks to leave out.

    Raises
    ------
    DeclarationError
        If a parameter or a task's key is not one of the job's; nothing has run then.
    LockHeldError
        If the job is running in this environment already; nothing was written then.
    """
    for key in (*only, *skip):
        job.task(key)
    resolve(job, parameters)
    clock = dt.datetime.now(dt.UTC)
    context = Context(
        lakehouse=lakehouse, use_case=use_case(job.use_case), run_id=run_id or new_run_id(clock), now=now or clock,
        say=watcher.say,
    )  # fmt: skip
    attempts: list[TaskRun] = []

    def noted(run: TaskRun) -> None:
        attempts.append(run)
        watcher.finished(run)

    with held_for_run(context, job):
        try:
            return run_job(
                job, context, parameters, only=only, skip=skip, finished=noted, recall=partial(last_values, context),
                holding=partial(held_for_run, context),
            )  # fmt: skip
        finally:
            append(context, attempts, cause=parameters.get("cause", "requested"))


@contextmanager
def held_for_run(context: Context, job: Job) -> Iterator[None]:
    """Hold a job's lock, and let every write of the block pass it; a deployed job runs once at a time by its settings."""
    lakehouse = context.lakehouse
    if lakehouse.folder is None:
        yield
        return
    environment = lakehouse.environment.name
    with (
        hold(lakehouse.folder, job.address, environment=environment, run_id=context.run_id) as lock,
        lakehouse.guard.under(lock.writing),
    ):
        yield
