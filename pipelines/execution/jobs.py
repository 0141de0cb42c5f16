"""Runs a job of a use case in an open lakehouse and records it in the runs table: what every local run goes through."""

import datetime as dt
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from pipelines.command_line.interrupts import last_words
from pipelines.command_line.program import TRACE
from pipelines.declarations.branch import require_branch_allowed
from pipelines.declarations.job import Job
from pipelines.declarations.registry import use_case
from pipelines.declarations.use_case import UseCase
from pipelines.execution.context import Context
from pipelines.execution.locks import hold
from pipelines.execution.parameters import resolve
from pipelines.execution.provenance import git_commit
from pipelines.execution.run_history import RunRecorder, earlier_attempts, last_values, new_run_id
from pipelines.execution.runner import Hooks, JobRun, State, TaskRun, first_task, run_job
from pipelines.lakehouse.lakehouse import Lakehouse
from pipelines.telemetry.attributes import JOB, RUN, STATE
from pipelines.telemetry.events import RUN_ENDED, RUN_FAILED
from pipelines.telemetry.recording import Noted, event, trace_id
from pipelines.telemetry.run import traced_run


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
    declared: UseCase | None = None,
) -> JobRun:
    """Run a job; record that it begins and, however it ends, every attempt at its tasks.

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
    declared
        The use case that the job is of, where it is declared otherwise than the registered one of its name.

    Raises
    ------
    DeclarationError
        If a parameter or a task's key is not one of the job's, or the job is a branch's and the environment not the first; nothing
        has run then.
    LockHeldError
        If the job is running in this environment already; nothing was written then.
    """
    for key in (*only, *skip):
        job.task(key)
    resolve(job, parameters)
    require_branch_allowed(job.use_case, lakehouse.environment)
    clock = dt.datetime.now(dt.UTC)
    context = Context(
        lakehouse=lakehouse, use_case=declared or use_case(job.use_case), run_id=run_id or new_run_id(clock), now=now or clock,
        say=watcher.say,
    )  # fmt: skip
    recorder = RunRecorder(context, cause=parameters.get("cause", "requested"))

    def noted(run: TaskRun) -> None:
        recorder.finished(run)
        watcher.finished(run)

    with held_for_run(context, job):
        earlier = earlier_attempts(context) if run_id else {}
        hooks = Hooks(
            recall=partial(last_values, context), begun=recorder.begun, finished=noted, earlier=earlier,
            holding=partial(held_for_run, context),
        )  # fmt: skip
        first = not earlier and (lakehouse.folder is not None or job.tasks[0].key in only)
        with (
            traced_run(
                environment=lakehouse.environment.name, engine=lakehouse.engine, folder=lakehouse.folder, commit=git_commit,
                job=job.address, run_id=context.run_id, first=first, say=watcher.say,
            ) as job_span,
            last_words(lambda: _interrupted(lakehouse, recorder)),
        ):  # fmt: skip
            try:
                recorder.start(job, first_task(job, only, skip), earlier=earlier)
                done = run_job(job, context, parameters, only=only, skip=skip, hooks=hooks)
            except BaseException as error:
                recorder.end(error)
                if (trace := trace_id()) is not None:
                    error.add_note(f"{TRACE} {trace}")
                raise
            recorder.end()
            _note_end(job_span, job, done)
    return done


def _note_end(job_span: Noted, job: Job, done: JobRun) -> None:
    job_span.set(STATE, (State.SUCCEEDED if done.succeeded else State.FAILED).value)
    event(RUN_ENDED if done.succeeded else RUN_FAILED, {JOB: job.address, RUN: done.run_id})


def _interrupted(lakehouse: Lakehouse, recorder: RunRecorder) -> None:
    """Record the interruption of a run whose main thread does not get to it."""
    recorder.end()
    if "models" in vars(lakehouse):  # else no run was begun
        lakehouse.models.end_open_runs()


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
