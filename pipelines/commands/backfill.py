"""Read a window of the sources again and bring up to date what depends on it; here, or with --remote as it is deployed.

Example
-------
  python -m pipelines backfill flight_delay --since 2025-06-01 --until 2025-08-01 --env prod --remote
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ml.spec.errors import RequestError
from pipelines.command_line.console import Console
from pipelines.commands.options import EngineName, EnvironmentName, Location, Root, UseCaseName, opened
from pipelines.commands.remote.options import Profile, RemoteFlag, at_workspace, refuse_contradictions
from pipelines.commands.run import Requested, run_deployed, run_here
from pipelines.declarations.job import RunJobTask
from pipelines.declarations.registry import use_case as use_case_named
from pipelines.declarations.use_case import UseCase
from pipelines.execution.parameters import resolve

if TYPE_CHECKING:
    from pipelines.remote.connection import Remote


def run(
    use_case: UseCaseName,
    since: Annotated[str, typer.Option(metavar="INSTANT", help="Begin of the window, UTC.")],
    until: Annotated[str, typer.Option(metavar="INSTANT", help="End of the window, exclusive, UTC.")],
    as_of: Annotated[
        str | None, typer.Option("--as-of", metavar="INSTANT", help="Measure again as known then. Default: now.")
    ] = None,
    location: Location = None,
    env: EnvironmentName = "dev",
    engine: EngineName = None,
    root: Root = None,
    remote: RemoteFlag = False,
    profile: Profile = None,
) -> int:
    """Run the features, scoring and monitoring jobs on the window, without a retraining; stop at the first that fails.

    Repeating the command changes nothing. A file that differs from the one read before is read as a correction, in the
    way that its source declares. Exit code 1 if a job failed.
    """
    console = Console()
    refuse_contradictions(remote=remote, profile=profile, engine=engine, root=root)
    declared = use_case_named(use_case)
    requests = steps(declared, since=since, until=until, as_of=as_of or "", location=location or "")
    if remote:

        def work(connected: "Remote") -> int:
            return _first_failure(run_deployed(connected, one, None, console) for one in requests)

        return at_workspace(env, profile, console, work)
    with opened(env, engine, root) as lakehouse:
        from pipelines.lakehouse.registry.aliases import CHAMPION

        if lakehouse.models.find_alias(declared.model, CHAMPION) is None:
            console.line(f"{use_case} has no champion in {env!r}: no prediction or metric depends on the window")
            requests = requests[:1]
        return _first_failure(run_here(lakehouse, one, console) for one in requests)


def steps(use_case: UseCase, *, since: str, until: str, as_of: str, location: str) -> tuple[Requested, ...]:
    """Return the runs of a back-fill, in their order.

    Raises
    ------
    DeclarationError
        If an instant is none, or the window is empty.
    RequestError
        If the instant as of which is measured lies before the window's end.
    """
    window = {"since": since, "until": until}
    monitored = {"since": since, **({"until": as_of} if as_of else {})}
    wanted: Sequence[tuple[str, Mapping[str, str]]] = (
        ("features", {**window, **({"location": location} if location else {})}),
        ("scoring", window),
        ("monitoring", monitored),
    )
    now = dt.datetime.now(dt.UTC)
    for name, parameters in wanted:
        resolve(use_case.job(name), parameters, now=now)
    if as_of and dt.datetime.fromisoformat(as_of) < dt.datetime.fromisoformat(until):
        raise RequestError(f"--as-of {as_of} lies before --until {until}: give the same instant or a later one.")
    return tuple(
        Requested(
            job=use_case.job(name), parameters=parameters, only=(),
            skip=[task.key for task in use_case.job(name).tasks if isinstance(task, RunJobTask)],
        )
        for name, parameters in wanted
    )  # fmt: skip


def _first_failure(codes: Iterable[int]) -> int:
    return next((code for code in codes if code), 0)
