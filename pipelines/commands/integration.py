"""Run every job in order on a window of the data, check what they wrote, and clean up.

The window and its sample are those that the use case declares; without a declaration they are placed at the end of
what its sources have delivered.

Without --remote everything happens in a folder of its own on this machine. With --remote the deployed jobs of the
environment run; afterwards every table goes back to the version it had, every alias to where it was, and the model
versions of the run are deleted. Where somebody else has written meanwhile, nothing is taken back, and it is said.
The last environment is refused. Exit code 1 if a job failed, a check did not hold, or something is left over.

Examples
--------
  python -m pipelines integration --env staging
  python -m pipelines integration --env staging --remote --use-case flight_delay
"""

import argparse
import datetime as dt
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.commands.console import Console
from pipelines.commands.remote_options import (
    add_remote_options,
    at_workspace,
    refuse_without_remote,
    show_checks,
    show_task,
)
from pipelines.declarations.environment import ENVIRONMENTS, Environment, environment
from pipelines.declarations.mistakes import DeclarationError
from pipelines.declarations.registry import use_case, use_cases
from pipelines.declarations.use_case import UseCase

if TYPE_CHECKING:
    from pipelines.remote.connection import Remote

HELP = "run every job on a window of the data, check what it wrote, clean up"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add where, and which use case."""
    parser.add_argument("--env", required=True, metavar="ENV", help=", ".join(ENVIRONMENTS))
    parser.add_argument("--use-case", metavar="NAME", help="default: every use case that is trained there")
    parser.add_argument(
        "--root", type=Path, metavar="FOLDER",
        help="empty folder to work in, which is kept; default: a temporary one, which is removed",
    )  # fmt: skip
    add_remote_options(parser)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Run the jobs and print the checks; exit code 1 if one of them did not hold."""
    refuse_without_remote(arguments)
    if arguments.remote and arguments.root:
        raise DeclarationError(
            "--root is a folder of this machine, and with --remote nothing runs here: give one of them."
        )
    opened = environment(arguments.env)
    chosen = _chosen(arguments, opened)
    if not chosen:
        console.line(f"no use case is trained in {opened.name}: there is nothing to run")
        return 0
    if arguments.remote:
        return at_workspace(arguments, console, lambda remote: _all_there(remote, chosen, console))
    if arguments.root is None:
        with tempfile.TemporaryDirectory(prefix="integration-") as folder:
            return _all_here(opened, chosen, Path(folder), console)
    if arguments.root.exists() and any(arguments.root.iterdir()):
        raise DeclarationError(f"{arguments.root} is not empty: name another folder with --root.")
    return _all_here(opened, chosen, arguments.root, console)


def _chosen(arguments: argparse.Namespace, opened: Environment) -> tuple[UseCase, ...]:
    from pipelines.integration.steps import require_integrable

    if arguments.use_case is None:
        chosen = tuple(one for one in use_cases() if opened.name in one.trained_in)
    else:
        chosen = (use_case(arguments.use_case),)
    for one in chosen or use_cases():
        require_integrable(opened, one)
    return chosen


def _all_here(opened: Environment, chosen: Sequence[UseCase], root: Path, console: Console) -> int:
    from pipelines.commands.run import watcher
    from pipelines.integration.local import integrate

    code = 0
    for one in chosen:
        with console.working(f"integration of {one.name} as {opened.name}"):
            checks = integrate(opened.name, one, root, begun=dt.datetime.now(dt.UTC), watcher=watcher(console))
        code = max(code, show_checks(f"integration of {one.name} as {opened.name}", checks, console))
    return code


def _all_there(remote: "Remote", chosen: Sequence[UseCase], console: Console) -> int:
    from pipelines.integration.deployed import integrate

    code = 0
    for one in chosen:
        with console.working(f"integration of {one.name} in {remote.environment.name}"):
            checks = integrate(remote, one, show=lambda task: show_task(task, console))
        code = max(code, show_checks(f"integration of {one.name} in {remote.environment.name}", checks, console))
    return code
