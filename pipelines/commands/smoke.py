"""Prove after a release that a deployed environment is what was released. Reads only; nothing is started or changed.

Who is logged in, that every declared job is deployed exactly once with its tasks and its schedule, that every task
installs the same wheel and its file is there, that champions can be loaded and tables read. Exit code 4 with every
check that did not hold; 3 if the workspace could not be asked or its answer not be understood, which says nothing about
the release.

Example
-------
  python -m pipelines smoke --env prod --remote --wheel lakehouse_mlops-0.1.0+g0123456789ab-py3-none-any.whl
"""

import argparse
from typing import TYPE_CHECKING

from pipelines.commands.console import Console
from pipelines.commands.remote_options import add_remote_options, at_workspace, show_checks
from pipelines.declarations.environment import ENVIRONMENTS
from pipelines.declarations.mistakes import DeclarationError, unknown
from pipelines.declarations.registry import use_cases

if TYPE_CHECKING:
    from pipelines.remote.connection import Remote

HELP = "prove that a deployed environment is what was released"
SCHEDULES = ("running", "paused")
CANNOT_ASK = 3
NOT_AS_RELEASED = 4
"""A check did not hold. Not 1, with which any crash ends too: for this answer alone prod is taken back."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which environment, and what is expected there."""
    parser.add_argument("--env", required=True, metavar="ENV", help=", ".join(ENVIRONMENTS))
    parser.add_argument(
        "--wheel", metavar="NAME", help="file name of the wheel that every task must install; default: any, but one"
    )
    parser.add_argument(
        "--schedules", metavar="STATE", help="running or paused; default: either, but the same for all jobs"
    )
    add_remote_options(parser)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Print a table of checks; exit code 4 if one of them did not hold, 3 if nobody could look."""
    if not arguments.remote:
        raise DeclarationError("smoke looks at a deployed environment, and only there: give --remote.")
    if arguments.schedules not in (None, *SCHEDULES):
        raise DeclarationError(unknown("state of schedules", arguments.schedules, SCHEDULES))
    try:
        return at_workspace(arguments, console, lambda remote: _smoke(remote, arguments, console))
    except DeclarationError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, nobody has seen that the release is broken
        if arguments.debug:
            console.traceback()
        console.error(f"{arguments.env} could not be looked at: {type(error).__name__}: {error}")
        return CANNOT_ASK


def _smoke(remote: "Remote", arguments: argparse.Namespace, console: Console) -> int:
    from pipelines.remote.smoke import smoke

    with console.working(f"looking at {arguments.env}") as update:
        checks = []
        for check in smoke(remote, use_cases(), wheel=arguments.wheel, schedules=arguments.schedules):
            checks.append(check)
            update(f"looking at {arguments.env}: {check.about}")
    return NOT_AS_RELEASED if show_checks(f"smoke of {arguments.env}", checks, console) else 0
