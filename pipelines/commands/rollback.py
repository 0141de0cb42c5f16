"""Give the alias champion back to the previous champion, and store why.

It runs the declared job <use case>.rollback: the previous champion is found from the stored verdicts, and if they name none,
nothing is moved. With --remote it starts that job as it is deployed, whose identity alone may move the alias there.

Examples
--------
  python -m pipelines rollback flight_delay --env prod --reason "scores are stuck since the new weather feed"
  python -m pipelines rollback flight_delay --env prod --remote --reason "late flights of EWR are missed"
"""

from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.command_line.console import Console
from pipelines.commands.options import EngineName, EnvironmentName, Root, UseCaseName, opened
from pipelines.commands.remote.champion import run_deployed
from pipelines.commands.remote.options import Profile, RemoteFlag, at_workspace, refuse_contradictions
from pipelines.commands.run import watcher
from pipelines.declarations.environment import environment
from pipelines.declarations.registry import use_case as use_case_named
from pipelines.declarations.use_case import UseCase

if TYPE_CHECKING:
    from pipelines.remote.connection import Remote


def run(
    use_case: UseCaseName,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why; stored in the verdicts and with the version.")
    ],
    env: EnvironmentName = "dev",
    engine: EngineName = None,
    root: Root = None,
    remote: RemoteFlag = False,
    profile: Profile = None,
) -> int:
    """Move the alias; exit code 1 if there is no previous champion."""
    console = Console()
    refuse_contradictions(remote=remote, profile=profile, engine=engine, root=root)
    declared, stated = use_case_named(use_case), reason.strip()
    environment(env)
    if remote:
        return at_workspace(
            env, profile, console, lambda connected: _roll_back_deployed(connected, declared, stated, console)
        )
    job = declared.job("rollback")
    with opened(env, engine, root, must_exist=True) as lakehouse:
        from pipelines.execution.jobs import run_and_record
        from pipelines.tasks.versions.rollback import require_previous

        require_previous(lakehouse, declared)  # what cannot be done is an answer, and no run that has failed
        done = run_and_record(lakehouse, job, {"reason": stated}, watcher=watcher(console))
    if not done.succeeded:
        return 1
    moved = done.last["take_back"].values
    console.line(
        f"version {moved['champion']} is champion of {declared.name} in {env} instead of {moved['instead_of']}"
    )
    return 0


def _roll_back_deployed(remote: "Remote", use_case: UseCase, reason: str, console: Console) -> int:
    """Run the deployed job; exit code 1 unless another version is champion then."""
    found = run_deployed(remote, use_case, "rollback", {"reason": reason}, console)
    return 0 if found.run.succeeded and found.moved else 1
