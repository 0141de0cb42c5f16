"""Give the alias champion back to the previous champion, and store why.

The previous champion is found from the stored verdicts. If they name none, nothing is moved. With --remote it starts the
deployed job <use case>.rollback, whose identity alone may move the alias there.

Examples
--------
  python -m pipelines rollback flight_delay --env prod --reason "scores are stuck since the new weather feed"
  python -m pipelines rollback flight_delay --env prod --remote --reason "late flights of EWR are missed"
"""

import argparse
import datetime as dt
from typing import TYPE_CHECKING

from pipelines.commands.console import Console
from pipelines.commands.options import add_lakehouse_options, opened
from pipelines.commands.remote_champion import run_there
from pipelines.commands.remote_options import add_remote_options, at_workspace, refuse_without_remote
from pipelines.declarations.environment import environment
from pipelines.declarations.mistakes import DeclarationError
from pipelines.declarations.registry import use_case
from pipelines.declarations.use_case import UseCase

if TYPE_CHECKING:
    from pipelines.remote.connection import Remote

HELP = "give the alias champion back to the previous champion"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add whose champion, and why."""
    parser.add_argument("use_case", metavar="USE_CASE", help="see: python -m pipelines list")
    parser.add_argument(
        "--reason", required=True, metavar="TEXT", help="why; kept in the verdicts and with the version"
    )
    add_lakehouse_options(parser)
    add_remote_options(parser)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Move the alias; exit code 1 if there is nothing to go back to."""
    declared, reason = use_case(arguments.use_case), arguments.reason.strip()
    environment(arguments.env)
    if not reason:
        raise DeclarationError(
            "--reason is empty: say why the champion is taken back, for those who read the verdicts."
        )
    refuse_without_remote(arguments)
    if arguments.remote:
        return at_workspace(arguments, console, lambda remote: _roll_back_there(remote, declared, reason, console))
    with opened(arguments, lived_in=True) as lakehouse:
        from pipelines.tasks.rollback import RollbackError, roll_back

        try:
            done = roll_back(lakehouse, declared, reason=reason, now=dt.datetime.now(dt.UTC))
        except RollbackError as refused:
            console.error(str(refused))
            return 1
    console.line(
        f"version {done.previous} is champion of {declared.name} in {arguments.env} instead of {done.champion}"
    )
    console.line(done.sentence)
    return 0


def _roll_back_there(remote: "Remote", use_case: UseCase, reason: str, console: Console) -> int:
    """Run the deployed job; exit code 1 unless another version is champion then."""
    found = run_there(remote, use_case, "rollback", {"reason": reason}, console)
    return 0 if found.run.succeeded and found.moved else 1
