"""Starts a deployed job and follows it to its end: what ``run --remote``, integration runs and promotions share."""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pipelines.command_line.interrupts import uninterrupted
from pipelines.declarations.job import Job, values_read
from pipelines.declarations.mistakes import DeclarationError
from pipelines.execution.parameters import resolve
from pipelines.remote.connection import Remote
from pipelines.remote.deployment import DeployedJob, find_job
from pipelines.remote.errors import InterruptedRunError, RemoteError
from pipelines.remote.following import Pace, RunResult, Show, follow

CANCELLED_WITHIN_SECONDS = 120
"""The longest wait for a cancelled run to end."""


@dataclass(frozen=True, kw_only=True)
class Started:
    """A run that has been started."""

    run_id: int
    job: DeployedJob

    @property
    def link(self) -> str:
        """The run's page."""
        return f"{self.job.link}/runs/{self.run_id}"


def start_and_follow(
    remote: Remote,
    job: Job,
    parameters: Mapping[str, str],
    *,
    show: Show,
    only: Collection[str] = (),
    skip: Collection[str] = (),
    cancel_on_interrupt: bool = False,
    pace: Pace | None = None,
) -> RunResult:
    """Start the deployed job of a declaration and follow it until it has ended.

    Parameters
    ----------
    parameters
        As text; what is not given has the deployed job's default.
    show
        Takes every task that begins, ends or is tried again.
    only, skip
        Keys of the only tasks to run, and of tasks to leave out.
    cancel_on_interrupt
        Whether Ctrl-C cancels the run; otherwise it goes on.

    Returns
    -------
    RunResult
        However the run ended; `RunResult.succeeded` says whether it did what it should.

    Raises
    ------
    DeclarationError
        If a parameter or a task is not one of the job's; nothing was started.
    NotDeployedError
        If the job is not deployed there; nothing was started.
    InterruptedRunError
        On Ctrl-C, with what became of the run.
    RemoteError
        If the workspace cannot be asked; once a run has started, the message has its link.
    """
    started = start(remote, job, parameters, only=only, skip=skip)
    return follow_started(remote, started, show=show, cancel_on_interrupt=cancel_on_interrupt, pace=pace)


def start(
    remote: Remote, job: Job, parameters: Mapping[str, str], *, only: Collection[str] = (), skip: Collection[str] = ()
) -> Started:
    """Start the deployed job of a declaration, once however often the request is repeated on its way.

    Raises
    ------
    DeclarationError
        If a parameter or a task is not one of the job's; nothing was started.
    NotDeployedError
        If the job is not deployed there; nothing was started.
    RemoteError
        If the workspace cannot be asked.
    """
    resolve(job, parameters)
    chosen = chosen_tasks(job, only=only, skip=skip)
    deployed = find_job(remote, job)
    token = uuid.uuid4().hex
    try:
        answer = remote.ask(
            f"start the job {job.address}",
            lambda: remote.client.jobs.run_now(
                deployed.job_id, job_parameters=dict(parameters) or None, only=chosen, idempotency_token=token
            ),
        )
    except KeyboardInterrupt as interrupt:
        raise InterruptedRunError(
            f"interrupted while {job.address} was being started: whether it runs says {deployed.link}."
        ) from interrupt
    started = Started(run_id=int(answer.bind()["run_id"]), job=deployed)
    remote.say(f"run {started.run_id} of {job.address} in {remote.environment.name}: {started.link}")
    return started


def follow_started(
    remote: Remote, started: Started, *, show: Show, cancel_on_interrupt: bool = False, pace: Pace | None = None
) -> RunResult:
    """Follow a run until it has ended.

    Raises
    ------
    InterruptedRunError
        On Ctrl-C, with what became of the run.
    RemoteError
        If the workspace can no longer be asked, with the run's link.
    """
    try:
        return follow(remote, started.run_id, show=show, pace=pace or Pace())
    except KeyboardInterrupt as interrupt:
        raise InterruptedRunError(_interrupted(remote, started, cancel=cancel_on_interrupt, pace=pace)) from interrupt
    except RemoteError as error:
        raise type(error)(f"{error} Run {started.run_id} goes on without being followed: {started.link}") from error


def chosen_tasks(job: Job, *, only: Collection[str], skip: Collection[str]) -> list[str] | None:
    """Return the keys of the tasks to run, in the job's order; None for all of them.

    Raises
    ------
    DeclarationError
        If a key is not a task's, if nothing is left, or if a task needs the value of one that is left out: on the
        platform a task that is left out has no values, where a local run recalls those of an earlier run.
    """
    for key in (*only, *skip):
        job.task(key)
    if not only and not skip:
        return None
    chosen = [task.key for task in job.tasks if (not only or task.key in only) and task.key not in skip]
    if not chosen:
        raise DeclarationError(f"no task of {job.address} is left to run: --only and --skip name all of them.")
    wanting = [key for key in chosen if (needed := _values_of(job, key)) and not needed <= set(chosen)]
    if wanting:
        raise DeclarationError(
            f"task {wanting[0]!r} of {job.address} needs the values of {', '.join(sorted(_values_of(job, wanting[0])))}, "
            "which a deployed run does not take from an earlier one: run them as well, or repair that run on its page."
        )
    return chosen


def _values_of(job: Job, key: str) -> frozenset[str]:
    """Return the tasks whose values a task reads."""
    return frozenset(value.task.key for value in values_read(job.task(key)))


def _interrupted(remote: Remote, started: Started, *, cancel: bool, pace: Pace | None) -> str:
    """Return what became of the run of somebody who pressed Ctrl-C, after cancelling it if that was asked for."""
    if not cancel:
        return (
            f"interrupted: run {started.run_id} of {started.job.name} goes on without being followed: {started.link} "
            "(--cancel-on-interrupt would have cancelled it)"
        )
    remote.say(f"cancelling run {started.run_id} of {started.job.name}")
    with uninterrupted(f"run {started.run_id} to be cancelled", gives_way=True):
        ended = cancel_run(remote, started, pace=pace)
    return f"interrupted: run {started.run_id} of {started.job.name} {ended}: {started.link}"


def cancel_run(remote: Remote, started: Started, *, pace: Pace | None = None) -> str:
    """Cancel a run, wait for its end, and return in some words how that went; it never raises.

    A second Ctrl-C ends the waiting, not the cancelling.
    """
    run_id, jobs = started.run_id, remote.client.jobs
    try:
        remote.ask(f"cancel run {run_id}", lambda: jobs.cancel_run(run_id))
        ended = follow(
            remote, run_id, show=lambda _task: None, pace=pace or Pace(), within_seconds=CANCELLED_WITHIN_SECONDS
        )
    except RemoteError as error:
        return f"may still be running ({error})"
    except KeyboardInterrupt:
        return "is being cancelled"
    return "had succeeded before it could be cancelled" if ended.succeeded else "was cancelled"
