"""Run the jobs of a new environment for the first time, in the right order: features, training, scoring, monitoring.

The dates follow from the data: what lies before its newest part is trained on, the newest part is scored and monitored.
Where a model is delivered instead of trained, its delivery runs. Started again after an error, it goes on where it was.

Examples
--------
  python -m pipelines first-run --env dev --use-case flight_delay
  python -m pipelines first-run --env dev --use-case returns --location FOLDER
  python -m pipelines first-run --env dev --remote
"""

import datetime as dt
from typing import TYPE_CHECKING

from pipelines.command_line.console import Console
from pipelines.commands.options import EngineName, EnvironmentName, Location, OptionalUseCase, Root, opened
from pipelines.commands.remote.options import (
    Profile,
    RemoteFlag,
    at_workspace,
    refuse_contradictions,
    show_checks,
    show_task,
)
from pipelines.declarations.registry import use_case as use_case_named
from pipelines.declarations.registry import use_cases
from pipelines.declarations.shared_features import owners_first
from pipelines.declarations.use_case import UseCase
from pipelines.execution.check import CheckResult
from pipelines.lakehouse.registry.aliases import CHAMPION

if TYPE_CHECKING:
    from pipelines.day_one.first_run import FirstStep
    from pipelines.lakehouse.lakehouse import Lakehouse
    from pipelines.remote.connection import Remote


def run(
    env: EnvironmentName = "dev",
    use_case: OptionalUseCase = None,
    location: Location = None,
    engine: EngineName = None,
    root: Root = None,
    remote: RemoteFlag = False,
    profile: Profile = None,
) -> int:
    """Run the jobs and print what came of them; exit code 1 if one failed or no model passed the gate."""
    console = Console()
    refuse_contradictions(remote=remote, profile=profile, engine=engine, root=root)
    chosen = (use_case_named(use_case),) if use_case else owners_first(use_cases())
    if remote:
        return at_workspace(
            env,
            profile,
            console,
            lambda connected: max(_deployed(connected, one, console, location or "") for one in chosen),
        )
    with opened(env, engine, root) as lakehouse:
        return max(_here(lakehouse, one, console, location or "") for one in chosen)


def _here(lakehouse: "Lakehouse", use_case: UseCase, console: Console, location: str) -> int:
    from pipelines.commands.run import watcher
    from pipelines.day_one.first_run import Doing, first_run
    from pipelines.execution.jobs import run_and_record
    from pipelines.integration.local import count_days

    def run_step(step: "FirstStep") -> CheckResult:
        with console.working(f"{step.job.address} in {name}"):
            done = run_and_record(lakehouse, step.job, step.parameters, skip=step.skip, watcher=watcher(console))
        failed = [f"{one.task}: {one.error}" for one in done.last.values() if one.error]
        return CheckResult(about=done.job, held=done.succeeded, found="; ".join(failed) or f"run {done.run_id}")

    def champion() -> int | None:
        found = lakehouse.models.find_alias(use_case.model, CHAMPION)
        return found.number if found else None

    name = lakehouse.environment.name
    doing = Doing(
        run=run_step, champion=champion, count_days=lambda before: count_days(lakehouse, use_case, before=before)
    )
    checks = first_run(use_case, name, dt.datetime.now(dt.UTC), doing, location=location)
    return show_checks(f"first run of {use_case.name} in {name}", checks, console)


def _deployed(remote: "Remote", use_case: UseCase, console: Console, location: str) -> int:
    from pipelines.day_one.first_run import Doing, first_run
    from pipelines.integration.deployed_tables import count_days
    from pipelines.remote.registry import registered
    from pipelines.remote.runs import start_and_follow
    from pipelines.remote.statements import Sql

    sql, name = Sql(remote), remote.environment.name

    def run_step(step: "FirstStep") -> CheckResult:
        with console.working(f"{step.job.address} in {name}"):
            ended = start_and_follow(
                remote, step.job, step.parameters, skip=step.skip, show=lambda task: show_task(task, console)
            )
        return CheckResult(about=step.job.address, held=ended.succeeded, found=ended.sentence)

    def champion() -> int | None:
        found = registered(remote, use_case.model)
        return found.aliases.get(CHAMPION) if found else None

    doing = Doing(
        run=run_step, champion=champion, count_days=lambda before: count_days(remote, sql, use_case, before=before)
    )
    begun = dt.datetime.fromtimestamp(remote.clock.time(), dt.UTC)
    checks = first_run(use_case, name, begun, doing, location=location)
    return show_checks(f"first run of {use_case.name} in {name}", checks, console)
