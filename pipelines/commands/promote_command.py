"""Promote a model version from one environment to the next: copy it, evaluate it there, and let that gate decide.

It runs the declared job <use case>.delivery in the target, on this machine or, with --remote, as it is deployed. The alias champion of the target moves only if its own gate
says so, on rows of its own; whatever goes wrong before that moves nothing. Exit code 0: promoted, or champion already;
1: not promoted, with the reasons.

Examples
--------
  python -m pipelines promote air_time --from staging --to prod
  python -m pipelines promote air_time --from staging --to prod --version 2 --param evaluation_days=14
  python -m pipelines promote air_time --from staging --to prod --remote
"""

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipelines.commands.options import add_parameter_option, add_place_options, opened, parameters_of
from pipelines.commands.remote_options import add_remote_options, at_workspace, refuse_without_remote, show_task
from pipelines.commands.run_command import show
from pipelines.console import Console
from pipelines.declarations.environment import ENVIRONMENTS, environment
from pipelines.declarations.mistakes import DeclarationError
from pipelines.declarations.registry import use_case
from pipelines.declarations.use_case import DELIVERY, UseCase
from pipelines.parameters import resolve
from pipelines.tasks.aliases import CHAMPION

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
    given = {**parameters_of(arguments.parameters), "source": arguments.source, "version": arguments.version}
    resolve(job, given)
    refuse_without_remote(arguments)
    if arguments.remote:
        return at_workspace(arguments, console, lambda remote: _promote_there(remote, declared, given, console))
    with opened(arguments) as workspace:
        from pipelines.jobs import run_in

        with console.working(f"{job.address} in {arguments.env}"):
            done = run_in(
                workspace, job, given,
                say=lambda text: console.line(f"    {text}"), finished=lambda ended: show(ended, console),
            )  # fmt: skip
    if not done.succeeded:
        console.line(f"nothing was promoted: the champion of {declared.name} in {arguments.env} is what it was")
        return 1
    promoted, already = done.last["promote"].values["promoted"], done.last["copy"].values["champion"] == "true"
    if promoted:
        console.line(f"version {promoted} is champion of {declared.name} in {arguments.env}")
    elif already:
        console.line(f"it is the champion of {declared.name} in {arguments.env} already")
    else:
        console.line(f"the gate of {arguments.env} promoted nothing; its reasons are above and in the verdicts")
    return 0 if promoted or already else 1


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


def _promote_there(remote: "Remote", use_case: UseCase, given: Mapping[str, str], console: Console) -> int:
    """Run the deployed delivery job, and tell by the alias whether it promoted anything."""
    from pipelines.remote.registry import registered
    from pipelines.remote.runs import start_and_follow

    def champion() -> int | None:
        found = registered(remote, use_case.model)
        return found.aliases.get(CHAMPION) if found else None

    before = champion()
    job = use_case.job(DELIVERY)
    with console.working(f"{job.address} in {remote.environment.name}"):
        ended = start_and_follow(remote, job, given, show=lambda task: show_task(task, console))
    console.line(ended.sentence, style="green" if ended.succeeded else "red")
    now = champion()
    if ended.succeeded and now != before:
        console.line(f"version {now} is champion of {use_case.name} in {remote.environment.name}")
        return 0
    stays = f"version {before} stays champion" if before else "there is still no champion"
    console.line(
        f"nothing was promoted in {remote.environment.name}, {stays}: it was the delivered one already, or the gate's reasons "
        "are in the verdicts and on the run's page"
    )
    return ended.exit_code or 1
