"""The state of a deployed environment as records: versions and champions, last runs, newest findings.

Shown by the command ``status --remote`` in the layout of the local status.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from ml.evaluation.record import Evaluation
from pipelines.declarations.use_case import UseCase
from pipelines.remote.connection import Remote
from pipelines.remote.deployment import find_job, jobs_named
from pipelines.remote.progress import message_of, phase_of
from pipelines.remote.registry import registered
from pipelines.remote.statements import Row, Sql, quoted

READ_FINDINGS = 200
SHOWN_EVALUATIONS = 20


@dataclass(frozen=True, kw_only=True)
class VersionStatus:
    """One registered version, and what the evaluations and verdicts say of it."""

    number: int
    aliases: tuple[str, ...]
    estimator: str | None
    trained_until: str | None
    cause: str | None
    verdict: str | None


@dataclass(frozen=True, kw_only=True)
class LastRun:
    """The last run of a declared job; without a state where it never ran or is not deployed."""

    job: str
    state: str
    started_at: dt.datetime | None
    seconds: float | None
    link: str | None


def last_runs(remote: Remote, use_case: UseCase) -> tuple[LastRun, ...]:
    """Return the last run of every declared job, in the order of the declaration.

    Raises
    ------
    NotDeployedError
        If the workspace is another environment's.
    RemoteError
        If it cannot be asked.
    """
    return tuple(_last_run(remote, use_case, name) for name in (job.name for job in use_case.jobs))


def versions(remote: Remote, sql: Sql, use_case: UseCase) -> tuple[VersionStatus, ...]:
    """Return the registered versions of the use case's model, oldest first; none if it has none.

    Raises
    ------
    RemoteError
        If the workspace cannot be asked.
    """
    found = registered(remote, use_case.model)
    if found is None or not found.numbers:
        return ()
    evaluations = _newest_evaluations(sql, remote, use_case)
    return tuple(
        VersionStatus(
            number=number,
            aliases=tuple(sorted(alias for alias, behind in found.aliases.items() if behind == number)),
            **{"estimator": None, "trained_until": None, "cause": None, "verdict": None, **evaluations.get(number, {})},
        )
        for number in found.numbers
    )


def last_verdict(remote: Remote, sql: Sql, use_case: UseCase) -> Row | None:
    """Return the newest verdict with ``decided_at`` and ``sentence``; None if there is none."""
    table = _table(remote, use_case, "verdicts")
    rows = sql.rows_if_exists(
        f"SELECT decided_at, sentence FROM {table} ORDER BY decided_at DESC LIMIT 1"  # noqa: S608 - names of ours, quoted
    )
    return rows[0] if rows else None


def newest_findings(remote: Remote, sql: Sql, use_case: UseCase) -> list[Row]:
    """Return the newest findings with ``window_start``, ``window_end``, ``kind``, ``since`` and ``message``."""
    table = _table(remote, use_case, "findings")
    return sql.rows_if_exists(
        f"SELECT window_start, window_end, kind, since, message FROM {table} "  # noqa: S608 - names of ours, quoted
        f"ORDER BY window_start DESC LIMIT {READ_FINDINGS}"
    )


def judged_until(remote: Remote, sql: Sql, use_case: UseCase) -> dt.datetime | None:
    """Return the end of the newest day that the daily alarm has judged; None if it has judged none."""
    rows = sql.rows_if_exists(f"SELECT max(window_end) AS judged FROM {_table(remote, use_case, 'alarm_days')}")  # noqa: S608 - names of ours, quoted
    found: dt.datetime | None = rows[0]["judged"] if rows else None
    return found


def last_task_runs(remote: Remote, sql: Sql, use_case: UseCase) -> list[Row]:
    """Return the last run of each task with ``job``, ``task``, ``state``, ``error`` and ``trace_id``, as runs have recorded it."""
    table = _table(remote, use_case, "runs")
    return sql.rows_if_exists(
        "SELECT r.job, r.task, r.state, r.error, r.trace_id "  # noqa: S608 - names of ours, quoted
        f"FROM {table} AS r JOIN (SELECT job, task, max(started_at) AS newest FROM {table} GROUP BY job, task) AS last "
        "ON r.job = last.job AND r.task = last.task AND r.started_at = last.newest ORDER BY r.job, r.task"
    )


def _last_run(remote: Remote, use_case: UseCase, name: str) -> LastRun:
    job = use_case.job(name)
    if not jobs_named(remote, job.address):
        return LastRun(job=job.address, state="not deployed", started_at=None, seconds=None, link=None)
    deployed = find_job(remote, job)
    runs = remote.ask(
        f"list the runs of {job.address}",
        lambda: next(iter(remote.client.jobs.list_runs(job_id=deployed.job_id, limit=1)), None),
    )
    if runs is None:
        return LastRun(job=job.address, state="never ran", started_at=None, seconds=None, link=deployed.link)
    phase, said = phase_of(runs.status, runs.state), message_of(runs.status, runs.state)
    begun, ended = (runs.start_time or 0) / 1000, (runs.end_time or 0) / 1000
    return LastRun(
        job=job.address,
        state=phase.value if phase.good or not said else f"{phase.value}: {said}",
        started_at=dt.datetime.fromtimestamp(begun, dt.UTC) if begun else None,
        seconds=(ended or remote.clock.time()) - begun if begun else None,
        link=runs.run_page_url,
    )


def _newest_evaluations(sql: Sql, remote: Remote, use_case: UseCase) -> Mapping[int, dict[str, str | None]]:
    """Return estimator, training end, cause and verdict of each version from its newest evaluation, by number."""
    evaluations, verdicts, runs = (_table(remote, use_case, name) for name in ("evaluations", "verdicts", "runs"))
    rows = sql.rows_if_exists(
        "SELECT e.evaluation, v.promoted, v.outcome, r.cause "  # noqa: S608 - names of ours, quoted
        f"FROM {evaluations} AS e LEFT JOIN {verdicts} AS v ON v.evaluation_id = e.evaluation_id "
        f"LEFT JOIN (SELECT run_id, max(cause) AS cause FROM {runs} GROUP BY run_id) AS r ON r.run_id = e.evaluation_id "
        f"ORDER BY e.evaluated_at DESC LIMIT {SHOWN_EVALUATIONS}"
    )
    found: dict[int, dict[str, str | None]] = {}
    for row in rows:
        evaluation = Evaluation.from_json(row["evaluation"])
        for one in evaluation.candidates:
            judged = None if row["outcome"] is None else "promote" if row["promoted"] == one.version else "not promoted"
            trained = {"estimator": one.estimator, "trained_until": (one.trained_until or "")[:10] or None}
            found.setdefault(one.version, {**trained, "cause": row["cause"], "verdict": judged})
    return found


def _table(remote: Remote, use_case: UseCase, name: str) -> str:
    return quoted(remote.name(use_case.table(name).address))
