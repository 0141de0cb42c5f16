"""Run a job: its tasks in order, as declared; on this machine, or with --remote as it is deployed.

Without dates a run ends where the data of its job ends, and says so. Scheduled runs keep to their clock.

Examples
--------
  python -m pipelines run flight_delay.features --env dev --param until=2013-02-01
  python -m pipelines run flight_delay.training --only evaluate,promote --run-id 20130401T000000.000000
  python -m pipelines run flight_delay.training --env staging --remote --cancel-on-interrupt
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from ml.spec.errors import RequestError
from pipelines.command_line.console import Console
from pipelines.commands.options import (
    EngineName,
    EnvironmentName,
    JobAddress,
    Parameters,
    Root,
    RunId,
    opened,
    parameters_of,
)
from pipelines.commands.remote.options import Profile, RemoteFlag, at_workspace, refuse_contradictions, show_task
from pipelines.day_one.ranges import WINDOW, DataRanges, choose_dates, takes_dates, until_now
from pipelines.declarations.job import Job
from pipelines.declarations.registry import job as job_named
from pipelines.declarations.registry import use_case
from pipelines.execution.parameters import resolve
from pipelines.execution.runner import State, TaskRun
from pipelines.telemetry.identity import with_trace

if TYPE_CHECKING:
    from pipelines.execution.jobs import Watcher
    from pipelines.lakehouse.lakehouse import Lakehouse
    from pipelines.remote.connection import Remote
    from pipelines.remote.progress import TaskProgress

STYLES = {
    State.SUCCEEDED: "green", State.FAILED: "red", State.UPSTREAM_FAILED: "red", State.INTERRUPTED: "red"
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Requested:
    """What a call asks for: the job, its parameters as text, and which of its tasks."""

    job: Job
    parameters: Mapping[str, str]
    only: Sequence[str]
    skip: Sequence[str]


def run(
    job: JobAddress,
    only: Annotated[
        str | None, typer.Option(metavar="TASKS", help="Run these tasks only, separated by commas.")
    ] = None,
    skip: Annotated[
        str | None, typer.Option(metavar="TASKS", help="Leave these tasks out, separated by commas.")
    ] = None,
    run_id: RunId = None,
    parameters: Parameters = None,
    env: EnvironmentName = "dev",
    engine: EngineName = None,
    root: Root = None,
    remote: RemoteFlag = False,
    profile: Profile = None,
    cancel_on_interrupt: Annotated[
        bool, typer.Option("--cancel-on-interrupt", help="Let Ctrl-C cancel the deployed run, which otherwise goes on.")
    ] = False,
) -> int:
    """Run the job; exit code 1 if a task failed."""
    console = Console()
    refuse_contradictions(
        remote=remote, profile=profile, engine=engine, root=root, cancel_on_interrupt=cancel_on_interrupt
    )
    requested = _requested(job, parameters, only, skip)
    if remote:
        earlier = _number(run_id) if run_id else None

        def work(connected: "Remote") -> int:
            dated = _dated_deployed(connected, requested, console) if earlier is None else requested
            return run_deployed(connected, dated, earlier, console, cancel_on_interrupt=cancel_on_interrupt)

        return at_workspace(env, profile, console, work)
    with opened(env, engine, root) as lakehouse:
        from pipelines.declared_code.mistakes import require_sound_code

        require_sound_code(use_case(requested.job.use_case), lakehouse.spark, job=requested.job.name)
        dated = _dated_here(lakehouse, requested, console) if run_id is None else requested
        return run_here(lakehouse, dated, console, run_id=run_id)


def run_here(lakehouse: "Lakehouse", requested: Requested, console: Console, *, run_id: str | None = None) -> int:
    """Run the job in an open lakehouse and show it; return the exit code."""
    from pipelines.execution.jobs import run_and_record

    name = lakehouse.environment.name
    with console.working(f"{requested.job.address} in {name}"):
        done = run_and_record(
            lakehouse, requested.job, requested.parameters, only=requested.only, skip=requested.skip, run_id=run_id,
            watcher=watcher(console),
        )  # fmt: skip
    without = f" without {', '.join(done.overcome)}, which failed" if done.succeeded and done.overcome else ""
    ended = f"{'succeeded' if done.succeeded else 'failed'}{without}"
    console.line(with_trace(f"run {done.run_id} of {done.job} in {name}: {ended}", done.trace_id))
    return 0 if done.succeeded else 1


def _dated_here(lakehouse: "Lakehouse", requested: Requested, console: Console) -> Requested:
    """Return the request with the end of the data, where it has no date; say which."""
    from pipelines.day_one.reading import ranges_here

    if not _wants_dates(requested):
        return requested
    ranges = ranges_here(lakehouse, use_case(requested.job.use_case))
    return _with_dates(requested, ranges, lakehouse.environment.name, console)


def _dated_deployed(remote: "Remote", requested: Requested, console: Console) -> Requested:
    """Return the request with the end of the deployed data; who may not read tables gets the clock, and a line about it."""
    from pipelines.day_one.reading import ranges_deployed
    from pipelines.remote.errors import RemoteError
    from pipelines.remote.statements import Sql

    if not _wants_dates(requested):
        return requested
    try:
        ranges = ranges_deployed(remote, Sql(remote), use_case(requested.job.use_case))
    except RemoteError as error:
        console.line(f"no date was given, and where the data ends could not be read, so the run ends now: {error}")
        return replace(requested, parameters={**requested.parameters, **until_now(dt.datetime.now(dt.UTC))})
    return _with_dates(requested, ranges, remote.environment.name, console)


def _wants_dates(requested: Requested) -> bool:
    return takes_dates(requested.job.name) and not any(requested.parameters.get(name) for name in WINDOW)


def _with_dates(requested: Requested, ranges: DataRanges, environment: str, console: Console) -> Requested:
    chosen = choose_dates(requested.job.name, requested.parameters, ranges, now=dt.datetime.now(dt.UTC))
    if chosen.sentence:
        console.line(f"{requested.job.use_case} in {environment}: {chosen.sentence}")
    return replace(requested, parameters={**requested.parameters, **chosen.parameters})


def watcher(console: Console) -> "Watcher":
    """Return what writes the lines of tasks, and one line about each task that has ended."""
    from pipelines.execution.jobs import Watcher

    return Watcher(say=lambda text: console.line(f"    {text}"), finished=lambda ended: show(ended, console))


def show(ended: TaskRun, console: Console) -> None:
    """Write one line about a task that has ended, and its error if it failed."""
    rows = f", {ended.rows:,} rows" if ended.rows is not None else ""
    attempt = f" (attempt {ended.attempt})" if ended.attempt > 1 else ""
    line = f"  {ended.task}: {ended.state.value}{attempt}, {ended.seconds:.1f} s{rows}"
    console.line(line, style=STYLES.get(ended.state))
    if ended.error and ended.state is not State.INTERRUPTED:  # which the program says itself
        console.error(with_trace(f"{ended.job}, task {ended.task}: {ended.error}", ended.trace_id))


def _requested(job: str, parameters: Sequence[str] | None, only: str | None, skip: str | None) -> Requested:
    declared, given = job_named(job), parameters_of(parameters)
    chosen, left_out = _keys(only), _keys(skip)
    resolve(declared, given, now=dt.datetime.now(dt.UTC))
    for key in (*chosen, *left_out):
        declared.task(key)
    if both := sorted(set(chosen) & set(left_out)):
        raise RequestError(f"--only and --skip both name {', '.join(both)}: name a task in one of them.")
    return Requested(job=declared, parameters=given, only=chosen, skip=left_out)


def run_deployed(
    remote: "Remote", requested: Requested, earlier: int | None, console: Console, *, cancel_on_interrupt: bool = False
) -> int:
    """Start the deployed job, or continue an earlier run of it, and follow it to its end."""
    from pipelines.remote.repairs import continue_run
    from pipelines.remote.runs import follow_started, start

    job, parameters = requested.job, requested.parameters
    title = f"{job.address} in {remote.environment.name}"
    if earlier is None:
        started = start(remote, job, parameters, only=requested.only, skip=requested.skip)
    else:
        started = continue_run(remote, job, earlier, parameters, only=requested.only, skip=requested.skip)
    ended: set[str] = set()

    def seen(task: "TaskProgress") -> None:
        show_task(task, console)
        if task.job == job.address and task.phase.ended:
            ended.add(task.task)
        update(f"{title}: {len(ended)} of {len(job.tasks)} tasks have ended")

    with console.working(title) as update:
        result = follow_started(remote, started, show=seen, cancel_on_interrupt=cancel_on_interrupt)
    console.line(result.sentence, style="green" if result.succeeded else "red")
    return result.exit_code


def _number(text: str) -> int:
    if not text.isdecimal():
        raise RequestError(
            f"--run-id {text!r} is not the id of a deployed run: give the number at the end of its link."
        )
    return int(text)


def _keys(text: str | None) -> list[str]:
    return [key.strip() for key in (text or "").split(",") if key.strip()]
