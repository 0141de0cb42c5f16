"""The steps of the demonstration: which jobs run in which environment, as of which day of 2013.

dev trains on a sample; staging runs every job once on ten weeks; prod back-fills January to March and then runs April
to December month by month. A second use case is trained in staging and delivered to prod, which evaluates it again on
its own rows. Every run is a run of the declared jobs.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pipelines.declarations.use_case import UseCase
from pipelines.execution.context import TaskError
from pipelines.execution.jobs import Watcher, run_and_record
from pipelines.execution.runner import JobRun, TaskRun
from pipelines.execution.windows import month_of
from pipelines.lakehouse.lakehouse import Lakehouse
from pipelines.lakehouse.registry.aliases import BASELINE, CHAMPION

BACKFILLED_UNTIL = dt.datetime(2013, 4, 1, tzinfo=dt.UTC)
YEAR_END = dt.datetime(2014, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One run of a job in the demonstration."""

    environment: str
    job: str
    now: dt.datetime
    parameters: Mapping[str, str]


def dev_steps() -> tuple[Step, ...]:
    """Return the steps of dev: the training job on a fifth of January and February."""
    until = dt.datetime(2013, 3, 1, tzinfo=dt.UTC)
    return (
        _step("dev", "features", until),
        _step("dev", "training", until, sample="0.2", evaluation_days="21"),
    )


def staging_steps() -> tuple[Step, ...]:
    """Return the steps of staging: every job on the first ten weeks of the year."""
    trained, until = dt.datetime(2013, 2, 19, tzinfo=dt.UTC), dt.datetime(2013, 3, 12, tzinfo=dt.UTC)
    return (
        _step("staging", "features", trained),
        _step("staging", "training", trained, sample="0.5", evaluation_days="21"),
        _step("staging", "features", until),
        _step("staging", "scoring", until, since=trained.isoformat()),
        _step("staging", "monitoring", until),
    )


def trained_for_prod_steps() -> tuple[Step, ...]:
    """Return the steps of staging for a use case that prod receives: features and training on the same ten weeks."""
    until = staging_steps()[-1].now
    return (
        _step("staging", "features", until),
        _step("staging", "training", until, sample="0.5", evaluation_days="21"),
    )


def delivered_steps() -> tuple[Step, ...]:
    """Return the steps in which prod receives what staging trained: three months of features, then the delivery."""
    return (_step("prod", "features", BACKFILLED_UNTIL), _step("prod", "delivery", BACKFILLED_UNTIL))


def remaining_year_steps() -> tuple[Step, ...]:
    """Return the steps of prod from April to December at once, for a use case that is not run month by month."""
    since = BACKFILLED_UNTIL.isoformat()
    return (
        _step("prod", "features", YEAR_END),
        _step("prod", "scoring", YEAR_END, since=since),
        _step("prod", "monitoring", YEAR_END, since=since),
    )


def backfill_steps() -> tuple[Step, ...]:
    """Return the first steps of prod: three months of features, and the first training."""
    return (_step("prod", "features", BACKFILLED_UNTIL), _step("prod", "training", BACKFILLED_UNTIL))


def month_steps(start: dt.datetime) -> tuple[Step, ...]:
    """Return the steps of prod for one month, as of its end."""
    until = month_of(start).end
    since = start.isoformat()
    return (
        _step("prod", "features", until),
        _step("prod", "scoring", until, since=since),
        _step("prod", "scoring", until, since=since, alias=BASELINE),
        _step("prod", "monitoring", until),
    )


def rollback_step(reason: str) -> Step:
    """Return the step that gives prod's alias back to the champion before, after the year."""
    return Step(environment="prod", job="rollback", now=YEAR_END, parameters={"reason": reason})


def rollout_step(look: int, *, stop: str = "") -> Step:
    """Return the step that judges prod's challenger, once a day from the second day of January on.

    Parameters
    ----------
    look
        Counted from 1 over all rollouts.
    stop
        Why the challenger is taken back whatever it did; empty to let gate and guards decide.
    """
    return _step("prod", "rollout", YEAR_END + dt.timedelta(days=look), stop=stop)


def production_months() -> Iterator[dt.datetime]:
    """Return the first instant of each month from April to December."""
    start = BACKFILLED_UNTIL
    while start < YEAR_END:
        yield start
        start = month_of(start).end


def run_step(lakehouse: Lakehouse, use_case: UseCase, step: Step, watcher: Watcher) -> JobRun:
    """Run one step in its environment.

    Raises
    ------
    TaskError
        If the run failed, with the first error.
    """
    job = use_case.job(step.job)
    done = run_and_record(lakehouse, job, step.parameters, now=step.now, watcher=watcher, declared=use_case)
    if not done.succeeded:
        error = next(run.error for run in _attempts(done) if run.error)
        raise TaskError(f"{done.job} in {step.environment} failed as of {step.now:%Y-%m-%d}: {error}")
    return done


def name_first_champion(lakehouse: Lakehouse, use_case: UseCase) -> None:
    """Give the first champion the alias of the baseline, which goes on scoring after another version is champion."""
    champion = lakehouse.models.by_alias(use_case.model, CHAMPION)
    lakehouse.models.set_alias(champion, BASELINE)


def _attempts(run: JobRun) -> Iterator[TaskRun]:
    yield from run.attempts
    for started in run.started:
        yield from _attempts(started)


def _step(environment: str, job: str, until: dt.datetime, **parameters: str) -> Step:
    given = {"until": until.isoformat(), **parameters}
    return Step(environment=environment, job=job, now=until, parameters=given)
