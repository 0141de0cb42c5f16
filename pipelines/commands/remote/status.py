"""Shows the status of a deployed environment in the layout of the local one: what ``status --remote`` prints."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines.command_line.console import Console
from pipelines.declarations.use_case import UseCase
from pipelines.execution.windows import finding_label
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.on_call.cause import FAILED, READS_FEEDS, likely_cause, newest_window, undelivered

if TYPE_CHECKING:
    from pipelines.remote.connection import Remote
    from pipelines.remote.statements import Sql
    from pipelines.remote.status import LastRun


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
        for show in (_show_model, _show_findings):
            try:
                show(remote, sql, use_case, console)
            except RefusedError as refused:
                console.error(str(refused))
                code = refused.exit_code
        if not code:
            console.line(f"what to look at: {_cause(remote, sql, use_case, runs)}")
    return code


def _cause(remote: "Remote", sql: "Sql", use_case: UseCase, runs: "Sequence[LastRun]") -> str:
    from pipelines.remote.registry import registered
    from pipelines.remote.status import last_run_of, newest_findings

    found = registered(remote, use_case.model)
    failed = [run.job for run in runs if run.state.partition(":")[0] in FAILED]
    return likely_cause(
        failed=failed,
        # A job may fail before its first task begins: only what the workspace says has failed is looked up.
        undelivered=undelivered(last_run_of(remote, sql, use_case, READS_FEEDS))
        if use_case.job("features").address in failed
        else (),
        findings=newest_window(newest_findings(remote, sql, use_case)),
        champion=found.aliases.get(CHAMPION) if found else None,
        ever_ran=any(run.started_at for run in runs),
    ).sentence


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
            for row in newest_findings(remote, sql, use_case)
        ],
    )
