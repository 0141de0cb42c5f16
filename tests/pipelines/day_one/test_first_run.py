"""A first run runs the right jobs in the right order, goes on where it was, and stops where nothing can follow."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from pipelines.day_one.first_run import Doing, FirstStep, first_run
from pipelines.declarations.registry import use_case
from pipelines.execution.check import CheckResult
from pipelines.integration.window import DayCounts

AIR_TIME = use_case("air_time")
BEGUN = dt.datetime(2026, 11, 28, 9, tzinfo=dt.UTC)
FIRST = dt.date(2026, 6, 1)


@dataclass
class Environment:
    """An environment that notes what is run in it, and whose training promotes, refuses or fails."""

    champion: int | None = None
    promotes: bool = True
    fails: str = ""
    days: int = 170
    ran: list[FirstStep] = field(default_factory=list)

    def run(self, step: FirstStep) -> CheckResult:
        """Note a step; a training that may promotes."""
        self.ran.append(step)
        if step.job.name in ("training", "delivery") and self.promotes:
            self.champion = 1
        return CheckResult(about=step.job.address, held=step.job.name != self.fails, found="")

    def count(self, before: dt.date) -> Sequence[DayCounts]:
        """A thousand requests a day, every one with a label."""
        found = [FIRST + dt.timedelta(days=number) for number in range(self.days)]
        return [DayCounts(day=day, requests=1000, labelled=1000, positives=300) for day in found if day < before]

    def first_run(self, name: str = "dev", location: str = "") -> tuple[CheckResult, ...]:
        """Run it for the first time."""
        doing = Doing(run=self.run, count_days=self.count, champion=lambda: self.champion)
        return first_run(AIR_TIME, name, BEGUN, doing, location=location)

    @property
    def jobs(self) -> list[str]:
        """The names of the jobs that ran, in order."""
        return [step.job.name for step in self.ran]


def test_the_jobs_run_in_order_on_the_data_that_is_there() -> None:
    """What is scored lies after what was trained on, and no step starts another job."""
    dev = Environment()
    assert all(check.held for check in dev.first_run())
    assert dev.jobs == ["features", "training", "scoring", "monitoring"]
    training, scoring = dev.ran[1].parameters, dev.ran[2].parameters
    assert training["until"] == scoring["since"] < scoring["until"] <= "2026-11-28"
    assert dev.ran[3].skip == ("retrain", "deliver")


def test_only_the_features_job_is_told_where_the_files_are() -> None:
    """A use case of one's own file names the file and not its folder."""
    dev = Environment()
    dev.first_run(location="exports")
    assert dev.ran[0].parameters == {"location": "exports"}
    assert all("location" not in step.parameters for step in dev.ran[1:])
    dev.first_run()
    assert dev.ran[4].parameters == {}


def test_a_model_that_is_delivered_is_not_trained() -> None:
    """Prod receives the model of this use case."""
    prod = Environment()
    prod.first_run("prod")
    assert prod.jobs == ["features", "delivery", "scoring", "monitoring"]


def test_a_first_run_goes_on_where_it_was() -> None:
    """A champion that is there is not trained again."""
    again = Environment(champion=3)
    assert all(check.held for check in again.first_run())
    assert again.jobs == ["features", "scoring", "monitoring"]


@pytest.mark.parametrize(
    ("environment", "jobs", "stopped_by"),
    [
        (Environment(fails="features"), ["features"], "air_time.features"),
        (Environment(days=5), ["features"], "data"),
        (Environment(promotes=False), ["features", "training"], "champion"),
        (Environment(fails="scoring"), ["features", "training", "scoring"], "air_time.scoring"),
    ],
    ids=["features failed", "too little data", "the gate refused", "scoring failed"],
)
def test_it_stops_where_nothing_can_follow(environment: Environment, jobs: list[str], stopped_by: str) -> None:
    """The last check says why."""
    checks = environment.first_run()
    assert environment.jobs == jobs
    assert [check.about for check in checks if not check.held] == [stopped_by]
