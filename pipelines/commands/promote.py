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

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ml.spec.errors import RequestError
from pipelines.command_line.console import Console
from pipelines.commands.options import EngineName, Parameters, Root, opened, parameters_of
from pipelines.commands.remote.champion import run_deployed
from pipelines.commands.remote.options import Profile, RemoteFlag, at_workspace, refuse_contradictions
from pipelines.commands.run import watcher
from pipelines.declarations.environment import environment
from pipelines.declarations.mistakes import DeclarationError
from pipelines.declarations.registry import use_case as use_case_named
from pipelines.declarations.standard_jobs.delivery import DELIVERY
from pipelines.declarations.use_case import UseCase
from pipelines.execution.parameters import resolve

if TYPE_CHECKING:
    from pipelines.remote.connection import Remote


def run(
    use_case: Annotated[str, typer.Argument(metavar="MODEL", help="The use case whose model it is.")],
    source: Annotated[str, typer.Option("--from", metavar="ENV", help="The environment that has the model.")],
    env: Annotated[str, typer.Option("--to", metavar="ENV", help="The environment that receives it.")],
    version: Annotated[
        int | None, typer.Option("--version", metavar="NUMBER", min=1, help="Default: the champion of --from.")
    ] = None,
    parameters: Parameters = None,
    engine: EngineName = None,
    root: Root = None,
    remote: RemoteFlag = False,
    profile: Profile = None,
) -> int:
    """Run the delivery job of the target; exit code 1 if nothing was promoted."""
    console = Console()
    refuse_contradictions(remote=remote, profile=profile, engine=engine, root=root)
    declared = use_case_named(use_case)
    require_way(declared, source=source, target=env)
    job = declared.job(DELIVERY)
    given = {**_own_parameters(parameters), "source": source, "version": str(version or 0)}
    resolve(job, given)
    if remote:
        return at_workspace(
            env, profile, console, lambda connected: _promote_deployed(connected, declared, given, console)
        )
    with opened(env, engine, root, must_exist=True) as lakehouse:
        from pipelines.execution.jobs import run_and_record

        with console.working(f"{job.address} in {env}"):
            done = run_and_record(lakehouse, job, given, watcher=watcher(console))
    promoted = done.last["promote"].values.get("promoted", "")
    where = f"of {declared.name} in {env}"
    if promoted:
        console.line(f"version {promoted} is champion {where}")
    elif done.last["to_be_judged"].values.get("outcome") == "false":
        console.line(f"nothing was judged {where}: {done.last['copy'].values['message']}")
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


def _own_parameters(texts: Sequence[str] | None) -> dict[str, str]:
    given = parameters_of(texts)
    for name, option in (("source", "--from"), ("version", "--version")):
        if name in given:
            raise RequestError(f"--param {name}=... is not read: give {option} instead.")
    return given


def _promote_deployed(remote: "Remote", use_case: UseCase, given: Mapping[str, str], console: Console) -> int:
    """Run the deployed delivery job, and tell by the alias whether it promoted anything."""
    from pipelines.remote.progress import Phase

    found = run_deployed(remote, use_case, DELIVERY, given, console)
    settled = any(task.task == "promote" and task.phase is Phase.NOT_NEEDED for task in found.run.tasks)
    if found.run.succeeded and not found.moved:
        console.line(
            "nothing was judged: it is the champion already, or was rolled back here"
            if settled
            else "the gate promoted nothing; its reasons are in the verdicts and on the run's page"
        )
    return 0 if found.run.succeeded and (found.moved or settled) else 1
