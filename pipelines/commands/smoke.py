"""Prove after a release that a deployed environment is what was released. Reads only; nothing is started or changed.

Who is logged in, that every declared job is deployed exactly once with its tasks and its schedule, that every task
installs the same wheel and its file is there, that champions can be loaded and tables read. Exit code 4 with every
check that did not hold; 3 if the workspace could not be asked or its answer not be understood, which says nothing about
the release.

Example
-------
  python -m pipelines smoke --env prod --remote --wheel lakehouse_mlops-0.1.0+g0123456789ab-py3-none-any.whl
"""

from typing import TYPE_CHECKING, Annotated

import typer

from ml.spec.errors import LakehouseError, RequestError, sentence_of
from pipelines.command_line.console import Console
from pipelines.commands.remote.options import Profile, RemoteFlag, at_workspace, show_checks
from pipelines.declarations.environment import ENVIRONMENTS
from pipelines.declarations.mistakes import unknown
from pipelines.declarations.registry import use_cases

if TYPE_CHECKING:
    from pipelines.remote.connection import Remote

SCHEDULES = ("running", "paused")
NOT_AS_RELEASED = 4
"""A check did not hold. Not 1, with which any crash ends too: for this answer alone prod is taken back."""


class CannotAskError(LakehouseError):
    """A deployed environment gave no answer that can be understood."""

    exit_code = 3
    retry_helps = True


def run(
    env: Annotated[str, typer.Option("--env", metavar="ENV", help=f"One of {', '.join(ENVIRONMENTS)}.")],
    wheel: Annotated[
        str | None,
        typer.Option(
            "--wheel", metavar="NAME", help="File name of the wheel that every task installs. Default: any one."
        ),
    ] = None,
    schedules: Annotated[
        str | None,
        typer.Option(
            "--schedules", metavar="STATE", help="running or paused. Default: either, but the same for all jobs."
        ),
    ] = None,
    remote: RemoteFlag = False,
    profile: Profile = None,
) -> int:
    """Print a table of checks; exit code 4 if one of them does not hold, 3 if the environment cannot be asked."""
    console = Console()
    if not remote:
        raise RequestError("smoke asks a deployed environment, and only that: give --remote.")
    if schedules not in (None, *SCHEDULES):
        raise RequestError(unknown("state of schedules", str(schedules), SCHEDULES))
    try:
        return at_workspace(env, profile, console, lambda connected: _smoke(connected, wheel, schedules, console))
    except LakehouseError:
        raise
    except Exception as error:
        # An answer that cannot be understood says nothing about the release: never 1, never 4.
        raise CannotAskError(f"{env} could not be asked: {sentence_of(error)}.") from error


def _smoke(remote: "Remote", wheel: str | None, schedules: str | None, console: Console) -> int:
    from pipelines.remote.smoke import smoke

    env = remote.environment.name
    with console.working(f"asking {env}") as update:
        checks = []
        for check in smoke(remote, use_cases(), wheel=wheel, schedules=schedules):
            checks.append(check)
            update(f"asking {env}: {check.about}")
    return NOT_AS_RELEASED if show_checks(f"smoke of {env}", checks, console) else 0
