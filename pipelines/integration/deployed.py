"""An integration run in a deployed environment: the deployed jobs on the slice, judged by SQL, and everything put back.

What runs and what must hold is the same as on the embedded lakehouse: `pipelines.integration`.
"""

import datetime as dt
from dataclasses import dataclass, field

from ml.monitoring.findings import ALL_ROWS
from pipelines.declarations.asset import Table
from pipelines.declarations.use_case import UseCase
from pipelines.execution.check import Check
from pipelines.integration.judgement import Ingested, Measured, Written, judge
from pipelines.integration.steps import SliceStep, require_integrable, slice_steps
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.remote.connection import Remote
from pipelines.remote.deployment import find_job
from pipelines.remote.errors import BusyError, RemoteError
from pipelines.remote.following import Pace, RunResult, Show
from pipelines.remote.progress import TaskProgress, phase_of
from pipelines.remote.runs import Started, follow_started, start
from pipelines.remote.snapshots import Snapshot, go_back, snapshot
from pipelines.remote.statements import Sql, quoted, text


@dataclass
class Progress:
    """What has run so far; the ids tell our commits from others, also those of a run that was cancelled."""

    steps: tuple[SliceStep, ...]
    results: list[RunResult] = field(default_factory=list)
    ours: set[int] = field(default_factory=set)
    last: Started | None = None

    def run_id(self, name: str) -> int:
        """Return the id of the run of the job of that name."""
        ended = zip(self.steps, self.results, strict=True)
        return next(result.run_id for step, result in ended if step.job.name == name)


def integrate(remote: Remote, use_case: UseCase, *, show: Show, pace: Pace | None = None) -> tuple[Check, ...]:
    """Run the deployed jobs on the slice, return what holds of what they wrote, and put everything back.

    Whatever happens after the first run has started, what the runs wrote is put back; Ctrl-C cancels the running one
    first. If this process is killed, or a run cannot be stopped, it is not: the line about the state before says what
    it was.

    Raises
    ------
    DeclarationError
        If an integration run must not be there.
    NotDeployedError
        If a job is not deployed there.
    BusyError
        If one of the jobs is running already.
    RemoteError
        If the workspace cannot be asked; nothing has started, or what was done is put back as far as it goes.
    """
    require_integrable(remote.environment, use_case)
    sql = Sql(remote)
    _require_idle(remote, use_case)
    before = snapshot(remote, sql, use_case)
    remote.say(before.sentence)
    begun = dt.datetime.fromtimestamp(remote.clock.time(), dt.UTC)
    progress = Progress(steps=slice_steps(use_case, begun))
    try:
        checks = _run_and_judge(remote, sql, use_case, before, progress, show, pace)
    finally:
        cleaned = _clean_up(remote, sql, use_case, before, progress)
        for check in cleaned:
            # When a run has raised, nobody else says it.
            remote.say(f"{check.about}: {check.found}")
    return (*checks, *cleaned)


def _run_and_judge(
    remote: Remote, sql: Sql, use_case: UseCase, before: Snapshot, progress: Progress, show: Show, pace: Pace | None
) -> tuple[Check, ...]:
    done: list[Check] = []
    for step in progress.steps:
        result = _run(remote, step, progress, show, pace)
        done.append(Check(about=f"job {step.job.address}", held=result.succeeded, found=result.sentence))
        if not result.succeeded:
            return tuple(done)
    return (*done, *judge(use_case, written(remote, sql, use_case, progress, since=before.at)))


def _run(remote: Remote, step: SliceStep, progress: Progress, show: Show, pace: Pace | None) -> RunResult:
    def noted(task: TaskProgress) -> None:
        progress.ours.add(task.run_id)
        show(task)

    started = start(remote, step.job, step.parameters, skip=step.skip)
    progress.ours.add(started.run_id)
    progress.last = started
    result = follow_started(remote, started, show=noted, cancel_on_interrupt=True, pace=pace)
    progress.results.append(result)
    return result


def _clean_up(remote: Remote, sql: Sql, use_case: UseCase, before: Snapshot, progress: Progress) -> tuple[Check, ...]:
    """Put everything back, unless the last run may still be writing."""
    last = progress.last
    if last is not None and not _has_ended(remote, last.run_id):
        found = f"nothing was put back: run {last.run_id} may still be writing: {last.link}"
        return (Check(about="clean-up", held=False, found=found),)
    return go_back(remote, sql, use_case, before, progress.ours)


def _has_ended(remote: Remote, run_id: int) -> bool:
    try:
        run = remote.ask(f"look at run {run_id}", lambda: remote.client.jobs.get_run(run_id))
    except RemoteError:
        return False
    return phase_of(run.status, run.state).ended


def _require_idle(remote: Remote, use_case: UseCase) -> None:
    """Refuse to mix with a run that is somebody else's."""
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


def written(remote: Remote, sql: Sql, use_case: UseCase, progress: Progress, *, since: dt.datetime) -> Written:
    """Return what the tables hold of these runs.

    Parameters
    ----------
    progress
        What ran, and how it ended.
    since
        Measurements from then on count.

    Raises
    ------
    RemoteError
        If the tables cannot be read.
    """
    scoring = next(step for step in progress.steps if step.job.name == "scoring")
    ends = ", ".join(sorted({text(step.now) for step in progress.steps if step.job.name == "features"}))
    # Requests of the window that were predicted before this run are not predicted again: the window counts, not the run.
    (predicted,) = sql.rows(
        "SELECT count(*) AS predictions, count(DISTINCT request_key) AS prediction_keys "  # noqa: S608 - ours
        f"FROM {_table(remote, use_case, 'predictions')} WHERE alias = {text(CHAMPION)} "
        f"AND prediction_at >= {text(dt.datetime.fromisoformat(scoring.parameters['since']))} "
        f"AND prediction_at < {text(scoring.now)}"
    )
    (judged,) = sql.rows(
        f"SELECT count(*) AS verdicts FROM {_table(remote, use_case, 'verdicts')} "  # noqa: S608 - ours
        f"WHERE evaluation_id = {text(str(progress.run_id('training')))}"
    )
    ingested = sql.rows(
        "SELECT source, sum(rows_read) AS read, sum(rows_kept) AS kept, sum(rows_quarantined) AS quarantined "  # noqa: S608 - ours
        f"FROM {_table(remote, use_case, 'ingests')} WHERE until IN ({ends}) GROUP BY source"
    )
    return Written(
        ingested=tuple(Ingested(**row) for row in ingested),
        **predicted,
        **judged,
        measured=_measured(remote, sql, use_case, since),
        columns=_columns(remote, sql, use_case),
    )


def _measured(remote: Remote, sql: Sql, use_case: UseCase, since: dt.datetime) -> tuple[Measured, ...]:
    number = "value IS NOT NULL AND NOT isnan(value) AND abs(value) < CAST('Infinity' AS DOUBLE)"
    rows = sql.rows(
        f"SELECT metric, count(*) AS rows, count(*) - count(CASE WHEN {number} THEN 1 END) AS without_value, "  # noqa: S608 - ours
        f"min(CASE WHEN {number} THEN value END) AS minimum, max(CASE WHEN {number} THEN value END) AS maximum "
        f"FROM {_table(remote, use_case, 'metrics')} "
        f"WHERE slice_key = {text(ALL_ROWS)} AND labelled > 0 AND computed_at >= {text(since)} GROUP BY metric"
    )
    return tuple(Measured(**row) for row in rows)


def _columns(remote: Remote, sql: Sql, use_case: UseCase) -> dict[str, tuple[tuple[str, str], ...] | None]:
    schemas = ", ".join(sorted({text(table.schema) for table in use_case.tables}))
    rows = sql.rows(
        "SELECT table_schema, table_name, column_name, full_data_type "  # noqa: S608 - ours
        f"FROM {quoted(remote.name('information_schema.columns'))} WHERE table_schema IN ({schemas}) "
        "ORDER BY table_schema, table_name, ordinal_position"
    )
    found: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        column = (row["column_name"], row["full_data_type"].lower())
        found.setdefault(f"{row['table_schema']}.{row['table_name']}", []).append(column)
    return {table.address: tuple(found[table.address]) if table.address in found else None for table in use_case.tables}


def _table(remote: Remote, use_case: UseCase, name: str) -> str:
    table: Table = use_case.table(name)
    return quoted(remote.name(table.address))
