"""What an integration run runs: the steps of staging in the demonstration, in a window that is this run's own.

Batches are written once per window: the end of each window is shifted by a little that no other run has, so that a
second integration run writes its rows again. The shift is less than an hour.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.declarations.environment import ENVIRONMENTS, Environment
from pipelines.declarations.job import Job, RunJobTask, Task
from pipelines.declarations.mistakes import DeclarationError
from pipelines.declarations.use_case import UseCase
from pipelines.demo.steps import staging_steps

BEGINNING = dt.datetime(1900, 1, 1, tzinfo=dt.UTC)
"""Before everything that the sources tell; the register of aircraft goes back furthest."""
SHIFT_MILLISECONDS = 3_600_000_000
"""After so many milliseconds, 41 days, a shift may come back."""
SERVING = "pipelines.tasks.serving:serve"


@dataclass(frozen=True, kw_only=True)
class SliceStep:
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


def slice_steps(use_case: UseCase, begun: dt.datetime) -> tuple[SliceStep, ...]:
    """Return the jobs of an integration run in their order.

    Parameters
    ----------
    begun
        When the integration run began: the shift of its windows follows from it.
    """
    shift = dt.timedelta(microseconds=int(begun.timestamp() * 1000) % SHIFT_MILLISECONDS)
    steps, since = [], BEGINNING
    for step in staging_steps():
        job, until = use_case.job(step.job), step.now + shift
        given = {**step.parameters, "until": until.isoformat()}
        if job.name == "features":
            given["since"], since = since.isoformat(), until
        steps.append(SliceStep(job=job, now=until, parameters=given, skip=_reaching_out(job)))
    return tuple(steps)


def _reaching_out(job: Job) -> tuple[str, ...]:
    return tuple(
        task.key
        for task in job.tasks
        if isinstance(task, RunJobTask) or (isinstance(task, Task) and task.entry == SERVING)
    )
