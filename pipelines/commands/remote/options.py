"""What commands on a deployed environment share: the options, the connection, and how tasks and checks are shown."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ml.spec.errors import RequestError
from pipelines.command_line.console import Console
from pipelines.declarations.environment import environment
from pipelines.execution.check import CheckResult

if TYPE_CHECKING:
    from pipelines.remote.connection import Remote
    from pipelines.remote.progress import TaskProgress

STYLES = {
    "succeeded": "green",
    "succeeded with failures": "yellow",
    "failed": "red",
    "timed out": "red",
    "upstream failed": "red",
    "cancelled": "red",
}

RemoteFlag = Annotated[
    bool,
    typer.Option(
        "--remote",
        help="Ask the deployed environment through the Databricks SDK, which finds workspace and login itself.",
    ),
]
Profile = Annotated[
    str | None,
    typer.Option(
        "--profile", metavar="NAME", help="Profile of ~/.databrickscfg, with --remote, where there are several."
    ),
]


def refuse_contradictions(
    *, remote: bool, profile: str | None, engine: str | None = None, root: Path | None = None, **remote_only: bool
) -> None:
    """Refuse options that mean nothing beside ``--remote``, or nothing without it; all of them in one message.

    Parameters
    ----------
    remote_only
        Further options that need ``--remote``, by name, and whether they are given.

    Raises
    ------
    RequestError
        Naming every such option.
    """
    here = {"--engine": engine, "--root": root}
    there = {"--profile": profile, **{f"--{name.replace('_', '-')}": given for name, given in remote_only.items()}}
    mistakes = [
        f"{name} is about this machine, and with --remote nothing runs here: give one of them."
        for name, given in here.items()
        if remote and given
    ] + [
        f"{name} is about a deployed environment: give --remote as well, or leave it out."
        for name, given in there.items()
        if given and not remote
    ]
    if mistakes:
        raise RequestError(" ".join(mistakes))


def at_workspace(env: str, profile: str | None, console: Console, work: Callable[["Remote"], int]) -> int:
    """Connect to the environment's workspace, do some work there, and return its exit code.

    The SDK is loaded only once the names are known to be right.
    """
    environment(env)
    from pipelines.remote.connection import connect

    return work(connect(env, profile=profile, say=console.line))


def show_task(task: "TaskProgress", console: Console) -> None:
    """Write one line about a task of a deployed run, and its error if it failed."""
    attempt = f" (attempt {task.attempt})" if task.attempt > 1 else ""
    seconds = f", {task.seconds:.0f} s" if task.phase.ended and task.seconds else ""
    console.line(
        f"  {task.job}, {task.task}: {task.phase.value}{attempt}{seconds}  {task.link}", STYLES.get(task.phase.value)
    )
    if task.error:
        console.error(f"{task.job}, task {task.task}: {task.error}")
    if task.trace:
        console.detail(task.trace)


def show_checks(title: str, checks: Sequence[CheckResult], console: Console) -> int:
    """Print a table of checks and each that does not hold; return the exit code: 1 if there is one.

    Parameters
    ----------
    title
        What was checked, for example ``"smoke of prod"``.
    """
    rows = [(check.about, "yes" if check.held else "NO", check.found) for check in checks]
    console.table(title, ("check", "holds", "found"), rows)
    failed = [check for check in checks if not check.held]
    for check in failed:
        console.error(f"{check.about}: {check.found}")
    console.line(f"{title}: {len(checks) - len(failed)} of {len(checks)} checks hold")
    return 1 if failed else 0
