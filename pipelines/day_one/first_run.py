"""The first run of a use case in an environment: its jobs in order, on the data that is there.

The features are read; the newest part of the data is kept to be scored and monitored, by the same rule that places the
window of an integration run; what lies before it is trained on and judged by the gate. A run that was cut off is started
again: features are read from where they ended, a champion that is there is not trained again, and nothing is scored twice.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pipelines.declarations.job import Job, RunJobTask
from pipelines.declarations.standard_jobs.delivery import DELIVERY
from pipelines.declarations.use_case import UseCase
from pipelines.execution.check import CheckResult
from pipelines.integration.steps import horizon, placed
from pipelines.integration.window import DayCounts, Placement


@dataclass(frozen=True, kw_only=True)
class FirstStep:
    """One job of a first run.

    Attributes
    ----------
    skip
        Tasks that start other jobs: a first run starts each job itself.
    """

    job: Job
    parameters: Mapping[str, str]
    skip: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Doing:
    """What a first run asks of an environment.

    Attributes
    ----------
    run
        Runs one job to its end.
    count_days
        Returns the requests of each day before a day.
    champion
        Returns the number of the champion; None if there is none.
    """

    run: Callable[[FirstStep], CheckResult]
    count_days: Callable[[dt.date], Sequence[DayCounts]]
    champion: Callable[[], int | None]


def first_run(
    use_case: UseCase, environment: str, begun: dt.datetime, doing: Doing, *, location: str = ""
) -> tuple[CheckResult, ...]:
    """Run the jobs in order, until one fails or the gate refuses.

    Parameters
    ----------
    location
        Where the feeds lie (`pipelines.declarations.source_locations`); empty: as declared or as the settings state.

    Returns
    -------
    tuple of CheckResult
        One per job, one for the window of the data and one for the champion. If all of them held, every job has run.
    """
    done = [doing.run(_step(use_case, "features", **({"location": location} if location else {})))]
    if not done[-1].held:
        return tuple(done)
    placement = placed(use_case, doing.count_days, end=horizon(begun))
    done.append(CheckResult(about="data", held=placement.window is not None, found=_found(placement)))
    if placement.window is None:
        return tuple(done)
    split, until = str(placement.window.trained_until), str(placement.window.until)
    if doing.champion() is None:
        job = "training" if environment in use_case.trained_in else DELIVERY
        days = str(placement.window.evaluation_days)
        done.append(doing.run(_step(use_case, job, until=split, evaluation_days=days)))
    last = _promoted(doing.champion())
    done.append(last)
    for name in ("scoring", "monitoring"):
        if not last.held:
            break
        last = doing.run(_step(use_case, name, since=split, until=until))
        done.append(last)
    return tuple(done)


def _found(placement: Placement) -> str:
    window = placement.window
    if window is None:
        return placement.reason
    return f"trained until {window.trained_until}, then scored and monitored until {window.until}"


def _promoted(champion: int | None) -> CheckResult:
    if champion is None:
        return CheckResult(
            about="champion", held=False,
            found="no candidate has passed the gate, so nothing can be scored: the verdict above says why; run this again "
            "after the next training",
        )  # fmt: skip
    return CheckResult(about="champion", held=True, found=f"version {champion}")


def _step(use_case: UseCase, name: str, **parameters: str) -> FirstStep:
    job = use_case.job(name)
    skip = tuple(task.key for task in job.tasks if isinstance(task, RunJobTask))
    return FirstStep(job=job, parameters=parameters, skip=skip)
