"""The jobs of an integration run: in order, in windows that no other run has, in a window that fits the use case."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from pipelines.declarations.integration_window import IntegrationWindow
from pipelines.declarations.mistakes import DeclarationError
from pipelines.declarations.registry import use_case
from pipelines.declarations.use_case import UseCase
from pipelines.execution.check import CheckResult
from pipelines.integration.steps import (
    BEGINNING,
    SHIFT_MILLISECONDS,
    IntegrationStep,
    first_step,
    horizon,
    later_steps,
    run_steps,
)
from pipelines.integration.window import DayCounts

AIR_TIME = use_case("air_time")
UNDECLARED = replace(AIR_TIME, integration=None)
BEGUN = dt.datetime(2026, 11, 1, 0, 20, tzinfo=dt.UTC)
JOBS = ["features", "training", "features", "scoring", "monitoring"]


def declared_steps(begun: dt.datetime) -> tuple[IntegrationStep, ...]:
    """Return the steps of a use case that declares its window."""
    assert AIR_TIME.integration is not None
    return (first_step(AIR_TIME, begun), *later_steps(AIR_TIME, AIR_TIME.integration, begun))


class Runs:
    """Records the steps that are run, and fails one of them."""

    def __init__(self, *, fails: int | None = None, days: Sequence[DayCounts] = ()) -> None:
        self.steps: list[IntegrationStep] = []
        self.counted: list[dt.date] = []
        self._fails, self._days = fails, days

    def of(self, declared: UseCase) -> tuple[CheckResult, ...]:
        """Run the steps of a use case."""
        return run_steps(declared, BEGUN, run=self._run, count_days=self._count)

    def _run(self, step: IntegrationStep) -> CheckResult:
        self.steps.append(step)
        return CheckResult(about=step.job.name, held=len(self.steps) - 1 != self._fails, found="")

    def _count(self, end: dt.date) -> Sequence[DayCounts]:
        assert [step.job.name for step in self.steps] == ["features"], "days are counted once the sources are read"
        self.counted.append(end)
        return self._days


def days_of(first: dt.date, number: int) -> tuple[DayCounts, ...]:
    """Return so many days with 200 labelled requests each."""
    return tuple(
        DayCounts(day=first + dt.timedelta(days=n), requests=200, labelled=200, positives=80) for n in range(number)
    )


def test_two_runs_have_windows_of_their_own() -> None:
    """A batch is written once per window, so each run shifts the ends of its windows, by less than an hour."""
    one, two = (declared_steps(BEGUN + dt.timedelta(milliseconds=n)) for n in (0, 1))
    assert [step.job.name for step in one] == JOBS
    assert all(a.parameters["until"] != b.parameters["until"] for a, b in zip(one, two, strict=True))
    assert one[2].parameters["since"] == one[0].parameters["until"]
    assert dt.timedelta(microseconds=SHIFT_MILLISECONDS) == dt.timedelta(hours=1)
    assert all(step.now.minute + step.now.hour * 60 <= 60 for step in (*one, *two))


def test_tasks_that_reach_beyond_tables_and_model_are_skipped() -> None:
    """No endpoint is touched, and no other job is started."""
    steps = declared_steps(BEGUN)
    assert steps[1].skip == ("serve",)
    assert set(steps[4].skip) == {"retrain", "deliver"}


def test_a_declared_window_gives_every_parameter() -> None:
    """Ends, sample and days reach the jobs; what is not declared is left to the job's defaults."""
    steps = declared_steps(BEGUN)
    assert [step.now.date() for step in steps] == [dt.date(2013, 2, 19)] * 2 + [dt.date(2013, 3, 12)] * 3
    assert (steps[1].parameters["sample"], steps[1].parameters["evaluation_days"]) == ("0.5", "16")
    assert "training_days" not in steps[1].parameters
    assert steps[0].parameters["since"] == BEGINNING.isoformat()
    assert {step.parameters["since"] for step in steps[3:]} == {"2013-02-19T00:00:00+00:00"}
    window = IntegrationWindow(
        since=dt.date(2024, 12, 1), trained_until=dt.date(2025, 2, 1), until=dt.date(2025, 3, 1), training_days=40
    )
    other = replace(AIR_TIME, integration=window)
    assert first_step(other, BEGUN).parameters["since"] == "2024-12-01T00:00:00+00:00"
    assert later_steps(other, window, BEGUN)[0].parameters["training_days"] == "40"


def test_a_use_case_with_a_declared_window_needs_no_count() -> None:
    """The window is reported as declared, after the first job."""
    runs = Runs()
    checks = runs.of(AIR_TIME)
    assert [check.about for check in checks] == ["features", "window", *JOBS[1:]]
    assert checks[1].found.startswith("as declared: trained and evaluated on 16 days until 2013-02-19")
    assert runs.counted == []


def test_a_use_case_without_a_declared_window_has_one_placed_on_its_data() -> None:
    """All sources are read until now, and the other jobs run at the end of what they delivered."""
    runs = Runs(days=days_of(dt.date(2025, 1, 1), 150))
    checks = runs.of(UNDECLARED)
    assert all(check.held for check in checks)
    assert [step.job.name for step in runs.steps] == JOBS
    assert runs.counted == [horizon(BEGUN)]
    assert runs.steps[0].now.date() == horizon(BEGUN)
    assert all(step.now.year == 2025 for step in runs.steps[1:])


def test_no_window_ends_in_the_future() -> None:
    """The day that has just begun is left out, as the shift could move its midnight beyond the present."""
    assert horizon(BEGUN) == dt.date(2026, 10, 31)
    assert horizon(BEGUN + dt.timedelta(hours=1)) == dt.date(2026, 11, 1)
    assert first_step(UNDECLARED, BEGUN).now <= BEGUN


def test_too_little_data_is_a_check_that_does_not_hold() -> None:
    """Nothing is trained then."""
    runs = Runs(days=days_of(dt.date(2025, 1, 1), 5))
    checks = runs.of(UNDECLARED)
    assert [(check.about, check.held) for check in checks] == [("features", True), ("window", False)]
    assert [step.job.name for step in runs.steps] == ["features"]


@pytest.mark.parametrize("fails", range(5))
def test_nothing_runs_after_a_job_that_failed(fails: int) -> None:
    """The failed job is the last check."""
    runs = Runs(fails=fails)
    checks = runs.of(AIR_TIME)
    assert len(runs.steps) == fails + 1
    assert [check.held for check in checks] == [True] * (len(checks) - 1) + [False]
    assert all(one.now <= two.now for one, two in pairwise(runs.steps))


def test_a_window_that_cannot_be_right_is_refused_where_it_is_declared() -> None:
    """Every mistake is named at once."""
    day = dt.date(2025, 3, 1)
    with pytest.raises(DeclarationError) as refused:
        IntegrationWindow(trained_until=day, until=day, since=day, sample=0.0, evaluation_days=0, training_days=0)
    for part in ("trained_until=", "since=", "sample=0.0", "evaluation_days=0", "training_days=0"):
        assert part in str(refused.value)
