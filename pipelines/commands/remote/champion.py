"""Runs a deployed job that may move the alias champion, and tells by the alias what came of it.

A deployed run does not give out the values of its tasks, and a run can fail after the alias has moved.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.command_line.console import Console
from pipelines.commands.remote.options import show_task
from pipelines.declarations.use_case import UseCase
from pipelines.lakehouse.registry.aliases import CHAMPION

if TYPE_CHECKING:
    from pipelines.remote.connection import Remote
    from pipelines.remote.following import RunResult


@dataclass(frozen=True, kw_only=True)
class Moved:
    """The champion before and after a run; None for none."""

    before: int | None
    now: int | None
    run: "RunResult"

    @property
    def moved(self) -> bool:
        """Whether another version is champion now."""
        return self.now != self.before


def run_deployed(remote: "Remote", use_case: UseCase, job: str, given: Mapping[str, str], console: Console) -> Moved:
    """Start the deployed job, follow it to its end, and say which version is champion then.

    Raises
    ------
    RemoteError
        If the workspace cannot be asked.
    """
    from pipelines.remote.runs import start_and_follow

    before = _champion(remote, use_case)
    declared = use_case.job(job)
    with console.working(f"{declared.address} in {remote.environment.name}"):
        ended = start_and_follow(remote, declared, given, show=lambda task: show_task(task, console))
    console.line(ended.sentence, style="green" if ended.succeeded else "red")
    found = Moved(before=before, now=_champion(remote, use_case), run=ended)
    if found.moved:
        was = f"instead of {before}" if before else "where none was"
        console.line(f"version {found.now} is champion of {use_case.name} in {remote.environment.name}, {was}")
    else:
        stays = f"version {before} stays champion" if before else "there is still no champion"
        console.line(f"nothing was moved: {stays} of {use_case.name} in {remote.environment.name}")
    return found


def _champion(remote: "Remote", use_case: UseCase) -> int | None:
    from pipelines.remote.registry import registered

    found = registered(remote, use_case.model)
    return found.aliases.get(CHAMPION) if found else None
