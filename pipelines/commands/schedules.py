"""Pause the schedules of a deployed environment at once, or let them run again.

Runs in progress go on. Nothing is deployed: `infra drift` reports the paused schedules, and the next deployment sets what
the settings say (`schedules` under `jobs`).

Examples
--------
  python -m pipelines schedules pause --env prod --remote
  python -m pipelines schedules resume --env prod --remote --use-case flight_delay
"""

from typing import TYPE_CHECKING, Annotated

import typer

from ml.spec.errors import RequestError
from pipelines.command_line.console import Console
from pipelines.commands.options import EnvironmentName, OptionalUseCase
from pipelines.commands.remote.options import Profile, RemoteFlag, at_workspace
from pipelines.declarations.mistakes import unknown
from pipelines.declarations.registry import use_case as use_case_named
from pipelines.declarations.registry import use_cases

if TYPE_CHECKING:
    from pipelines.remote.connection import Remote

ACTIONS = ("pause", "resume")


def run(
    action: Annotated[
        str, typer.Argument(metavar="ACTION", help="pause or resume.", autocompletion=lambda: list(ACTIONS))
    ],
    env: EnvironmentName = "dev",
    use_case: OptionalUseCase = None,
    remote: RemoteFlag = False,
    profile: Profile = None,
) -> int:
    """Change the schedules and print each; exit code 3 if one could not be changed."""
    console = Console()
    if action not in ACTIONS:
        raise RequestError(unknown("action", action, ACTIONS))
    if not remote:
        raise RequestError("only deployed jobs have schedules: give --remote.")
    chosen = (use_case_named(use_case),) if use_case else use_cases()

    def work(connected: "Remote") -> int:
        from pipelines.remote.schedules import set_schedules

        changes = set_schedules(connected, chosen, paused=action == "pause")
        rows = [(one.job, one.before, one.now) for one in changes]
        console.table(f"schedules of {connected.environment.name}", ("job", "before", "now"), rows)
        changed = sum(one.before != one.now for one in changes)
        console.line(
            f"{changed} schedules changed; running runs go on. infra drift reports it until the settings or the next "
            "deployment say the same."
        )
        return 0

    return at_workspace(env, profile, console, work)
