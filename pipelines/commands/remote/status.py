"""Shows the status of a deployed environment in the layout of the local one: what ``status --remote`` prints."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines.command_line.console import Console
from pipelines.declarations.use_case import UseCase
from pipelines.execution.windows import finding_label
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.on_call.alerts import STANDING, alarms_of, standing
from pipelines.on_call.cause import FAILED, errors_of, likely_cause, newest_window, undelivered

if TYPE_CHECKING:
    from pipelines.remote.connection import Remote
    from pipelines.remote.statements import Sql
    from pipelines.remote.status import LastRun

SHOWN_FINDINGS = 12


def show_remote_status(remote: "Remote", console: Console, shown: Sequence[UseCase]) -> int:
    """Print last runs, versions and findings of use cases.

    Runs come first: who may see jobs need not be allowed to read tables, and then sees what is allowed.

    Returns
    -------
    int
        The exit code: 0, or that of the first thing that could not be read.
    """
    from pipelines.remote.errors import RefusedError
    from pipelines.remote.statements import Sql

    sql, code = Sql(remote), 0
    for use_case in shown:
        name = remote.environment.name
        console.line(f"{use_case.name} in {name} ({remote.host}): {use_case.description}", style="bold")
        runs = _show_runs(remote, use_case, console)
        refusals = []
        for show in (_show_model, _show_findings):
            try:
                show(remote, sql, use_case, console)
            except RefusedError as refused:
                console.error(str(refused))
                refusals.append(refused)
        code = code or max((one.exit_code for one in refusals), default=0)
        _show_cause(remote, sql, use_case, runs, console, with_tables=not refusals)
    return code


def _show_cause(
    remote: "Remote", sql: "Sql", use_case: UseCase, runs: "Sequence[LastRun]", console: Console, *, with_tables: bool
) -> None:
    """Print what to look at, errors and alarms; who may not read tables is told of failed jobs alone."""
    from pipelines.remote.registry import registered
    from pipelines.remote.status import judged_until, last_task_runs, newest_findings

    failed = [run.job for run in runs if run.state.partition(":")[0] in FAILED]
    if not (with_tables or failed):
        return
    # A job may fail before its first task begins: only what the workspace says has failed is looked up.
    tasks = last_task_runs(remote, sql, use_case) if with_tables and failed else []
    recorded = [task for task in tasks if task["job"] in failed]
    findings = []
    if with_tables:
        judged = judged_until(remote, sql, use_case)
        findings = newest_window(newest_findings(remote, sql, use_case), judged=judged)
    found = registered(remote, use_case.model) if with_tables else None
    refused = undelivered(recorded)
    cause = likely_cause(
        failed=failed, undelivered=refused, findings=findings,
        champion=found.aliases.get(CHAMPION) if found else None, ever_ran=any(run.started_at for run in runs),
        at=f"--env {remote.environment.name} --remote",
    )  # fmt: skip
    console.line(f"what to look at: {cause.sentence}")
    for error in errors_of(recorded, said=cause.sentence):
        console.line(f"  {error}")
    alarms = alarms_of(failed_jobs=failed, kinds=[str(one["kind"]) for one in findings], undelivered=refused)
    name, team = use_case.name, use_case.team
    rows = standing(alarms, use_case=name, team=team, environment=remote.environment.name, place="--remote")
    console.table("alerts", STANDING, rows)


def _show_runs(remote: "Remote", use_case: UseCase, console: Console) -> "Sequence[LastRun]":
    from pipelines.remote.status import last_runs

    found = last_runs(remote, use_case)
    rows = [
        (run.job, run.state, f"{run.started_at:%Y-%m-%d %H:%M:%S}" if run.started_at else None, run.seconds, run.link)
        for run in found
    ]
    console.table("last run of each job", ("job", "state", "started", "seconds", "link"), rows)
    return found


def _show_model(remote: "Remote", sql: "Sql", use_case: UseCase, console: Console) -> None:
    from pipelines.remote.status import last_verdict, versions

    console.table(
        f"versions of {use_case.model.address}",
        ("version", "aliases", "estimator", "trained until", "cause", "verdict"),
        [
            (one.number, ", ".join(one.aliases) or None, one.estimator, one.trained_until, one.cause, one.verdict)
            for one in versions(remote, sql, use_case)
        ],
    )
    verdict = last_verdict(remote, sql, use_case)
    if verdict is not None:
        console.line(f"last verdict ({verdict['decided_at']:%Y-%m-%d}): {verdict['sentence']}")


def _show_findings(remote: "Remote", sql: "Sql", use_case: UseCase, console: Console) -> None:
    from pipelines.remote.status import newest_findings

    console.table(
        "newest findings",
        ("window", "kind", "since", "finding"),
        [
            (
                finding_label(row["window_start"], row["kind"], use_case.monitoring.window),
                row["kind"],
                f"{row['since']:%Y-%m-%d}",
                row["message"],
            )
            for row in newest_findings(remote, sql, use_case)[:SHOWN_FINDINGS]
        ],
    )
