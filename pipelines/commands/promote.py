"""Promote a model version from one environment to the next: copy it, evaluate it there, and let that gate decide.

It runs the declared job <use case>.delivery in the target, on this machine or, with --remote, as it is deployed. The
alias champion of the target moves only if its own gate says so, on rows of its own; whatever goes wrong before that
moves nothing. Exit code 0: promoted, or there was nothing to judge; 1: not promoted, with the reasons.

Examples
--------
  python -m pipelines promote air_time --from staging --to prod
  python -m pipelines promote air_time --from staging --to prod --version 2 --param evaluation_days=14
  python -m pipelines promote air_time --from staging --to prod --remote
"""

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipelines.commands.console import Console
from pipelines.commands.options import add_parameter_option, add_place_options, opened, parameters_of
from pipelines.commands.remote_champion import run_there
from pipelines.commands.remote_options import add_remote_options, at_workspace, refuse_without_remote
from pipelines.commands.run import watcher
from pipelines.declarations.environment import ENVIRONMENTS, environment
from pipelines.declarations.mistakes import DeclarationError
from pipelines.declarations.registry import use_case
from pipelines.declarations.use_case import DELIVERY, UseCase
from pipelines.execution.parameters import resolve

if TYPE_CHECKING:
    from pipelines.remote.connection import Remote

HELP = "copy a model to the next environment and promote it there if it is better"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which model, from where, to where."""
    parser.add_argument("use_case", metavar="MODEL", help="the use case whose model it is")
    parser.add_argument("--from", required=True, metavar="ENV", dest="source", help=", ".join(ENVIRONMENTS))
    parser.add_argument("--to", required=True, metavar="ENV", dest="env", help="the environment that receives it")
    parser.add_argument("--version", default="0", metavar="NUMBER", help="default: the champion there")
    add_parameter_option(parser)
    add_place_options(parser)
    add_remote_options(parser)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Run the delivery job of the target; exit code 1 if nothing was promoted."""
    declared = use_case(arguments.use_case)
    require_way(declared, source=arguments.source, target=arguments.env)
    job = declared.job(DELIVERY)
    given = {**_own_parameters(arguments), "source": arguments.source, "version": arguments.version}
    resolve(job, given)
    refuse_without_remote(arguments)
    if arguments.remote:
        return at_workspace(arguments, console, lambda remote: _promote_there(remote, declared, given, console))
    with opened(arguments, lived_in=True) as lakehouse:
        from pipelines.execution.jobs import run_and_record

        with console.working(f"{job.address} in {arguments.env}"):
            done = run_and_record(lakehouse, job, given, watcher=watcher(console))
    promoted = done.last["promote"].values.get("promoted", "")
    where = f"of {declared.name} in {arguments.env}"
    if promoted:
        console.line(f"version {promoted} is champion {where}")
    elif done.last["to_be_judged"].values.get("outcome") == "false":
        console.line(f"nothing was judged {where}: {done.last['copy'].values['told']}")
        return 0
    elif done.succeeded:
        console.line(f"nothing was promoted: the gate {where} gave its reasons above and in the verdicts")
    else:
        console.line(f"nothing was promoted: the champion {where} is what it was")
    return 0 if promoted and done.succeeded else 1


def require_way(use_case: UseCase, *, source: str, target: str) -> None:
    """Refuse a way that the declarations do not open.

    Raises
    ------
    DeclarationError
        If an environment does not exist, the target receives from another one, or trains the model itself.
    """
    environment(source)
    receiver = environment(target)
    if receiver.receives_from != source:
        received = f"receives from {receiver.receives_from}" if receiver.receives_from else "receives from none"
        raise DeclarationError(f"there is no way from {source} to {target}: {target} {received}.")
    if target in use_case.trained_in:
        raise DeclarationError(
            f"{use_case.name} is trained in {target} itself: run {use_case.job('training').address} there, or take "
            f"{target!r} out of trained_in in its declaration."
        )


def _own_parameters(arguments: argparse.Namespace) -> dict[str, str]:
    given = parameters_of(arguments.parameters)
    for name, option in (("source", "--from"), ("version", "--version")):
        if name in given:
            raise DeclarationError(f"--param {name}=... would be heard by nobody: give {option} instead.")
    return given


def _promote_there(remote: "Remote", use_case: UseCase, given: Mapping[str, str], console: Console) -> int:
    """Run the deployed delivery job, and tell by the alias whether it promoted anything."""
    from pipelines.remote.progress import Phase

    found = run_there(remote, use_case, DELIVERY, given, console)
    settled = any(task.task == "promote" and task.phase is Phase.NOT_NEEDED for task in found.run.tasks)
    if found.run.succeeded and not found.moved:
        console.line(
            "nothing was judged: it is the champion already, or was rolled back here"
            if settled
            else "the gate promoted nothing; its reasons are in the verdicts and on the run's page"
        )
    return 0 if found.run.succeeded and (found.moved or settled) else 1
