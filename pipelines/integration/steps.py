"""What an integration run runs: the jobs of a use case in their order, in a window that is this run's own.

Batches are written once per window: the end of each window is shifted by a little that no other run has, so that a
second integration run writes its rows again. The shift is less than an hour.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pipelines.declarations.environment import ENVIRONMENTS, Environment
from pipelines.declarations.integration_window import IntegrationWindow
from pipelines.declarations.job import Job, RunJobTask, Task
from pipelines.declarations.mistakes import DeclarationError
from pipelines.declarations.use_case import UseCase
from pipelines.execution.check import CheckResult
from pipelines.integration.window import DayCounts, Placement, declared, place_window

BEGINNING = dt.datetime(1900, 1, 1, tzinfo=dt.UTC)
"""Before everything that sources deliver; registers of things go back furthest."""
SHIFT_MILLISECONDS = 3_600_000_000
"""After so many milliseconds, 41 days, a shift may come back."""
SERVING = "pipelines.tasks.versions.serving:serve"


@dataclass(frozen=True, kw_only=True)
class IntegrationStep:
    """One job of an integration run.

    Attributes
    ----------
    now
        The instant that a local run takes for the present.
    skip
        Tasks that are left out: they reach beyond the tables and the model, to an endpoint or another job.
    """

    job: Job
    now: dt.datetime
    parameters: Mapping[str, str]
    skip: tuple[str, ...]


def require_integrable(environment: Environment, use_case: UseCase) -> None:
    """Refuse an integration run where it must not be.

    Raises
    ------
    DeclarationError
        In the last environment, which people rely on, and where the use case's model is not trained.
    """
    if all(other.receives_from != environment.name for other in ENVIRONMENTS.values()):
        raise DeclarationError(
            f"integration runs write and then delete, and {environment.name} is what people rely on: run them in "
            f"{environment.receives_from}, and look at {environment.name} with python -m pipelines smoke."
        )
    if environment.name not in use_case.trained_in:
        raise DeclarationError(
            f"{use_case.name} is not trained in {environment.name}: run its integration in {', '.join(use_case.trained_in)}."
        )


def run_steps(
    use_case: UseCase,
    begun: dt.datetime,
    *,
    run: Callable[[IntegrationStep], CheckResult],
    count_days: Callable[[dt.date], Sequence[DayCounts]],
) -> tuple[CheckResult, ...]:
    """Run the jobs of an integration run in their order, until one fails.

    Parameters
    ----------
    begun
        When the integration run began: the shift of its windows follows from it.
    run
        Runs one step and returns whether it succeeded.
    count_days
        Returns the requests of each day before a day; called once the sources have been read, unless the use case
        declares its window.

    Returns
    -------
    tuple of CheckResult
        One per job that ran and one for the window. If all of them held, every job has run.
    """
    first = run(first_step(use_case, begun))
    if not first.held:
        return (first,)
    placement = _placement(use_case, begun, count_days)
    window = CheckResult(about="window", held=placement.window is not None, found=placement.reason)
    if placement.window is None:
        return (first, window)
    done = [first, window]
    for step in later_steps(use_case, placement.window, begun):
        result = run(step)
        done.append(result)
        if not result.held:
            break
    return tuple(done)


def first_step(use_case: UseCase, begun: dt.datetime) -> IntegrationStep:
    """Return the job that reads the sources: as far as the declared window is trained on, else everything until now."""
    window = use_case.integration
    since = _midnight(window.since) if window and window.since else BEGINNING
    return _step(
        use_case, "features", window.trained_until if window else horizon(begun), begun, since=since.isoformat()
    )


def owners_step(owner: UseCase, begun: dt.datetime) -> IntegrationStep:
    """Return the job that fills the shared feature tables of another use case, with everything until now."""
    return _step(owner, "features", horizon(begun), begun, since=BEGINNING.isoformat())


def later_steps(use_case: UseCase, window: IntegrationWindow, begun: dt.datetime) -> tuple[IntegrationStep, ...]:
    """Return the jobs after the first one: train, read on, score and monitor in the window."""
    training = {"sample": str(window.sample), "evaluation_days": str(window.evaluation_days)}
    if window.training_days is not None:
        training["training_days"] = str(window.training_days)
    since = _midnight(window.trained_until)
    return (
        _step(use_case, "training", window.trained_until, begun, **training),
        _step(use_case, "features", window.until, begun, since=(since + _shift(begun)).isoformat()),
        _step(use_case, "scoring", window.until, begun, since=since.isoformat()),
        _step(use_case, "monitoring", window.until, begun, since=since.isoformat()),
    )


def horizon(begun: dt.datetime) -> dt.date:
    """Return the last midnight before which a window that is placed must end: with its shift, none ends in the future."""
    return (begun.astimezone(dt.UTC) - dt.timedelta(hours=1)).date()


def _placement(
    use_case: UseCase, begun: dt.datetime, count_days: Callable[[dt.date], Sequence[DayCounts]]
) -> Placement:
    if use_case.integration is not None:
        return declared(use_case.integration)
    return placed(use_case, count_days, end=horizon(begun))


def placed(use_case: UseCase, count_days: Callable[[dt.date], Sequence[DayCounts]], *, end: dt.date) -> Placement:
    """Return where the rule places the window of a use case on the data before a day."""
    return place_window(
        count_days(end),
        problem=use_case.problem,
        gate=use_case.gate,
        demanded_days=use_case.gate.least_days(use_case.clusters.day_memory),
        label_due_days=use_case.label_due_days,
        horizon=end,
    )


def _step(use_case: UseCase, job: str, end: dt.date, begun: dt.datetime, **parameters: str) -> IntegrationStep:
    declared_job, until = use_case.job(job), _midnight(end) + _shift(begun)
    given = {**parameters, "until": until.isoformat()}
    return IntegrationStep(job=declared_job, now=until, parameters=given, skip=_reaching_out(declared_job))


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC)


def _shift(begun: dt.datetime) -> dt.timedelta:
    return dt.timedelta(microseconds=int(begun.timestamp() * 1000) % SHIFT_MILLISECONDS)


def _reaching_out(job: Job) -> tuple[str, ...]:
    return tuple(
        task.key
        for task in job.tasks
        if isinstance(task, RunJobTask) or (isinstance(task, Task) and task.entry == SERVING)
    )
