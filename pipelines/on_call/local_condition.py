"""Reads how a use case stands in a local environment: what status prints first, and the page of the house shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.declarations.use_case import UseCase
from pipelines.execution.run_history import killed, last_runs
from pipelines.lakehouse.lakehouse import Lakehouse
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.on_call.alerts import Alert, alarms_of
from pipelines.on_call.cause import Cause, failed_first, likely_cause, named, newest_window, undelivered

READ = 200
"""More findings than a month has."""


@dataclass(frozen=True, kw_only=True)
class Condition:
    """How a use case stands in an environment.

    Attributes
    ----------
    runs
        The last run of each task.
    gone
        Those of them that are recorded as running although their process is gone.
    findings
        Those of the newest month that has any, which still stand.
    champion
        The number of its version; None without one.
    alerts
        Those that stand, the most urgent first.
    """

    runs: Sequence[Mapping[str, Any]]
    gone: Sequence[Mapping[str, Any]]
    findings: Sequence[Mapping[str, Any]]
    champion: int | None
    cause: Cause
    alerts: tuple[Alert, ...]


def condition_of(lakehouse: Lakehouse, use_case: UseCase, *, place: str) -> Condition:
    """Return how a use case stands; each table is read once.

    Parameters
    ----------
    place
        The option by which a command reaches the environments: ``--root`` with its folder, or ``--remote``.
    """
    runs = last_runs(lakehouse, use_case)
    gone = killed(lakehouse, use_case, runs)
    findings = standing_findings(lakehouse, use_case)
    lost = lakehouse.models.lost_champion(use_case.model)
    found = None if lost else lakehouse.models.find_alias(use_case.model, CHAMPION)
    champion = found.number if found else None
    refused = undelivered(runs)
    cause = likely_cause(
        failed=named(failed_first(runs)), undelivered=refused, gone=named(gone), lost=lost, findings=findings,
        champion=champion, ever_ran=bool(runs), at=f"--env {lakehouse.environment.name} {place}",
    )  # fmt: skip
    alerts = alarms_of(
        failed_jobs=[str(row["job"]) for row in (*failed_first(runs), *gone)],
        kinds=[str(one["kind"]) for one in findings],
        undelivered=refused,
    )
    return Condition(runs=runs, gone=gone, findings=findings, champion=champion, cause=cause, alerts=alerts)


def standing_findings(lakehouse: Lakehouse, use_case: UseCase) -> Sequence[Mapping[str, Any]]:
    """Return the findings of the newest month that has any, without those that later mornings did not find again."""
    table = lakehouse.tables.read(use_case.table("findings"))
    newest = table.orderBy(table["window_start"].desc()).limit(READ).toArrow().to_pylist()
    days = lakehouse.tables.read(use_case.table("alarm_days"))
    judged = days.orderBy(days["window_end"].desc()).limit(1).toArrow().to_pylist()
    return newest_window(newest, judged=judged[0]["window_end"] if judged else None)
