"""An integration run in a deployed environment: the deployed jobs on the window, checks by SQL, and everything put back.

Which jobs run and what must hold is the same as on the embedded lakehouse: `pipelines.integration`.
"""

import datetime as dt
from dataclasses import dataclass, field

from pipelines.command_line.interrupts import uninterrupted
from pipelines.declarations import registry
from pipelines.declarations.shared_features import owners_of
from pipelines.declarations.use_case import UseCase
from pipelines.execution.check import CheckResult
from pipelines.integration.checks import check_contents
from pipelines.integration.deployed_tables import count_days, read_contents
from pipelines.integration.steps import IntegrationStep, owners_step, require_integrable, run_steps
from pipelines.remote.connection import Remote
from pipelines.remote.deployment import find_job
from pipelines.remote.errors import BusyError, RemoteError
from pipelines.remote.following import Pace, RunResult, Show
from pipelines.remote.progress import TaskProgress, phase_of
from pipelines.remote.runs import Started, follow_started, start
from pipelines.remote.snapshots import Snapshot, restore_snapshot, snapshot, version_of
from pipelines.remote.statements import Sql


@dataclass
class Progress:
    """What has run so far.

    Attributes
    ----------
    ended
        Every step that has ended, with its result.
    own_ids
        Ids of our runs and of their tasks, also of a run that was cancelled: by them our commits are recognised.
    last
        The run that was started last.
    """

    ended: list[tuple[IntegrationStep, RunResult]] = field(default_factory=list)
    own_ids: set[int] = field(default_factory=set)
    last: Started | None = None


def integrate(remote: Remote, use_case: UseCase, *, show: Show, pace: Pace | None = None) -> tuple[CheckResult, ...]:
    """Run the deployed jobs on the window, return the checks of what they wrote, and put everything back.

    Whatever happens after the first run has started, what the runs wrote is put back; Ctrl-C cancels the running one
    first. If this process is killed, or a run cannot be stopped, nothing is put back: the line about the state before
    states what it was.

    Raises
    ------
    DeclarationError
        If the environment or the use case allows no integration run.
    NotDeployedError
        If a job is not deployed there.
    BusyError
        If one of the jobs is running already.
    RemoteError
        If the workspace cannot be asked; nothing has started, or what was done is put back as far as possible.
    """
    require_integrable(remote.environment, use_case)
    sql = Sql(remote)
    _require_idle(remote, use_case)
    missing = _fill_shared(remote, sql, use_case, show, pace)
    if not all(check.held for check in missing):
        return missing
    before = snapshot(remote, sql, use_case)
    remote.say(before.sentence)
    progress = Progress()
    try:
        checks = _run_and_check(remote, sql, use_case, before, progress, show, pace)
    finally:
        with uninterrupted(f"{remote.environment.name} to be restored"):
            cleaned = _clean_up(remote, sql, use_case, before, progress)
        for check in cleaned:
            # When a run has raised, nobody else says it.
            remote.say(f"{check.about}: {check.found}")
    return (*missing, *checks, *cleaned)


def _fill_shared(remote: Remote, sql: Sql, use_case: UseCase, show: Show, pace: Pace | None) -> tuple[CheckResult, ...]:
    """Run the owner's job for each shared feature table that nobody has written; what it writes is its owner's, and stays."""
    begun, done = dt.datetime.fromtimestamp(remote.clock.time(), dt.UTC), list[CheckResult]()
    for owner in owners_of(use_case):
        tables = [one.table for one in use_case.shared_features if one.table.use_case == owner]
        if any(version_of(remote, sql, table.address) is None for table in tables):
            step = owners_step(registry.use_case(owner), begun)
            result = _run(remote, step, Progress(), show, pace)
            done.append(CheckResult(about=f"job {step.job.address}", held=result.succeeded, found=result.sentence))
    return tuple(done)


def _run_and_check(
    remote: Remote, sql: Sql, use_case: UseCase, before: Snapshot, progress: Progress, show: Show, pace: Pace | None
) -> tuple[CheckResult, ...]:
    def run(step: IntegrationStep) -> CheckResult:
        result = _run(remote, step, progress, show, pace)
        return CheckResult(about=f"job {step.job.address}", held=result.succeeded, found=result.sentence)

    checks = run_steps(
        use_case,
        dt.datetime.fromtimestamp(remote.clock.time(), dt.UTC),
        run=run,
        count_days=lambda end: count_days(remote, sql, use_case, before=end),
    )
    if not all(check.held for check in checks):
        return checks
    return (*checks, *check_contents(use_case, read_contents(remote, sql, use_case, progress.ended, since=before.at)))


def _run(remote: Remote, step: IntegrationStep, progress: Progress, show: Show, pace: Pace | None) -> RunResult:
    def noted(task: TaskProgress) -> None:
        progress.own_ids.add(task.run_id)
        show(task)

    started = start(remote, step.job, step.parameters, skip=step.skip)
    progress.own_ids.add(started.run_id)
    progress.last = started
    result = follow_started(remote, started, show=noted, cancel_on_interrupt=True, pace=pace)
    progress.ended.append((step, result))
    return result


def _clean_up(
    remote: Remote, sql: Sql, use_case: UseCase, before: Snapshot, progress: Progress
) -> tuple[CheckResult, ...]:
    """Put everything back, unless the last run may still be writing."""
    last = progress.last
    if last is not None and not _has_ended(remote, last.run_id):
        found = f"nothing was put back: run {last.run_id} may still be writing: {last.link}"
        return (CheckResult(about="clean-up", held=False, found=found),)
    return restore_snapshot(remote, sql, use_case, before, progress.own_ids)


def _has_ended(remote: Remote, run_id: int) -> bool:
    try:
        run = remote.ask(f"look at run {run_id}", lambda: remote.client.jobs.get_run(run_id))
    except RemoteError:
        return False
    return phase_of(run.status, run.state).ended


def _require_idle(remote: Remote, use_case: UseCase) -> None:
    """Refuse to mix with somebody else's run."""
    for job in use_case.jobs:
        deployed = find_job(remote, job)
        running = remote.ask(
            f"list the running runs of {job.address}",
            lambda job_id=deployed.job_id: list(remote.client.jobs.list_runs(job_id=job_id, active_only=True)),  # type: ignore[misc] # mypy cannot type a lambda's default
        )
        if running:
            raise BusyError(
                f"{job.address} is running in {remote.environment.name} ({running[0].run_page_url}): an integration run "
                "would mix with it. Wait for its end, and pause its schedule."
            )
