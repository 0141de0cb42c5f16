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
  python -m pipelines integration --env staging --remote --among flight_delay,air_time
"""

import datetime as dt
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ml.spec.errors import RequestError
from pipelines.command_line.console import Console
from pipelines.commands.options import OptionalUseCase
from pipelines.commands.remote.options import (
    Profile,
    RemoteFlag,
    at_workspace,
    refuse_contradictions,
    show_checks,
    show_task,
)
from pipelines.declarations.environment import ENVIRONMENTS, Environment, environment
from pipelines.declarations.registry import use_case as use_case_named
from pipelines.declarations.registry import use_cases
from pipelines.declarations.shared_features import owners_first
from pipelines.declarations.use_case import UseCase

if TYPE_CHECKING:
    from pipelines.remote.connection import Remote


def run(
    env: Annotated[str, typer.Option("--env", metavar="ENV", help=f"One of {', '.join(ENVIRONMENTS)}.")],
    use_case: OptionalUseCase = None,
    among: Annotated[
        str,
        typer.Option(
            "--among",
            metavar="NAMES",
            help="Only those of these use cases that the environment trains, with commas. Default: all that it trains.",
        ),
    ] = "",
    root: Annotated[
        Path | None,
        typer.Option(
            "--root",
            metavar="FOLDER",
            help="Empty folder to work in, which stays. Default: a temporary one, removed later.",
        ),
    ] = None,
    remote: RemoteFlag = False,
    profile: Profile = None,
) -> int:
    """Run the jobs and print the checks; exit code 1 if one of them does not hold."""
    console = Console()
    refuse_contradictions(remote=remote, profile=profile, root=root)
    opened = environment(env)
    chosen = _chosen(use_case, among, opened)
    if not chosen:
        whose = f"none of {among}" if among else "no use case"
        console.line(f"{whose} is trained in {opened.name}: there is nothing to run")
        return 0
    if remote:
        return at_workspace(env, profile, console, lambda connected: _all_deployed(connected, chosen, console))
    if root is None:
        with tempfile.TemporaryDirectory(prefix="integration-") as folder:
            return _all_here(opened, chosen, Path(folder), console)
    if root.exists() and any(root.iterdir()):
        raise RequestError(f"{root} is not empty: name another folder with --root.")
    return _all_here(opened, chosen, root, console)


def _chosen(name: str | None, among: str, opened: Environment) -> tuple[UseCase, ...]:
    from pipelines.integration.steps import require_integrable

    if name is not None and among:
        raise RequestError("state --use-case or --among, not both.")
    if name is None:
        wanted = [use_case_named(one) for one in among.split(",")] if among else use_cases()
        chosen = tuple(one for one in owners_first(wanted) if opened.name in one.trained_in)
    else:
        chosen = (use_case_named(name),)
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


def _all_deployed(remote: "Remote", chosen: Sequence[UseCase], console: Console) -> int:
    from pipelines.integration.deployed import integrate

    code = 0
    for one in chosen:
        with console.working(f"integration of {one.name} in {remote.environment.name}"):
            checks = integrate(remote, one, show=lambda task: show_task(task, console))
        code = max(code, show_checks(f"integration of {one.name} in {remote.environment.name}", checks, console))
    return code
