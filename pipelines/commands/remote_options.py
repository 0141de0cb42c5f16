"""Options and sentences that commands on a deployed environment share: which workspace, who logs in, what is shown."""

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pipelines.commands.console import Console
from pipelines.declarations.environment import environment
from pipelines.declarations.mistakes import DeclarationError
from pipelines.execution.check import CheckResult

if TYPE_CHECKING:
    from pipelines.remote.connection import Remote
    from pipelines.remote.progress import TaskProgress

STYLES = {"succeeded": "green", "failed": "red", "timed out": "red", "upstream failed": "red", "cancelled": "red"}


def add_remote_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--remote`` and ``--profile``."""
    parser.add_argument(
        "--remote", action="store_true",
        help="ask the deployed environment over the Databricks SDK, which finds workspace and login by itself",
    )  # fmt: skip
    parser.add_argument(
        "--profile", metavar="NAME", help="profile of ~/.databrickscfg, where there are several (with --remote)"
    )


def refuse_without_remote(arguments: argparse.Namespace, *names: str) -> None:
    """Refuse options that mean nothing on this machine.

    Raises
    ------
    DeclarationError
        Naming the option that was given without ``--remote``.
    """
    given = [name for name in ("profile", *names) if getattr(arguments, name) and not arguments.remote]
    if given:
        option = given[0].replace("_", "-")
        raise DeclarationError(f"--{option} is about a deployed environment: give --remote as well, or leave it out.")


def at_workspace(arguments: argparse.Namespace, console: Console, work: Callable[["Remote"], int]) -> int:
    """Connect to the environment's workspace, do some work there, and return its exit code or that of what went wrong.

    The SDK is loaded only once the names are known to be right.
    """
    environment(arguments.env)
    from pipelines.remote.connection import connect
    from pipelines.remote.errors import RemoteError

    try:
        return work(connect(arguments.env, profile=arguments.profile, say=console.line))
    except RemoteError as error:
        console.error(str(error))
        return error.exit_code


def show_task(task: "TaskProgress", console: Console) -> None:
    """Write one line about a task of a deployed run, and what went wrong if it failed."""
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
    """Print a table of checks and every one that did not hold; return the exit code: 1 if there is one.

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
