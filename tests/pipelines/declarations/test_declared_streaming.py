"""A use case declares that its requests are scored as they come; its job and its table of progress follow from that."""

import inspect
from dataclasses import replace
from typing import Any

import pytest

from ml.spec.entries import load
from pipelines.api import StreamingPolicy, StreamTrigger
from pipelines.declarations.job import Job, Schedule, Task
from pipelines.declarations.mistakes import DeclarationError
from pipelines.declarations.registry import use_case, use_cases
from pipelines.declarations.use_case import UseCase

FLIGHTS = use_case("flight_delay")


def streaming(**given: Any) -> UseCase:
    """The flights, scored as they come."""
    return replace(FLIGHTS, streaming=StreamingPolicy(**given))


def test_no_use_case_streams_unless_it_says_so() -> None:
    """Then it has neither the job nor the table, and batch has its schedule."""
    for declared in use_cases():
        assert declared.streaming is None
        assert "stream" not in [job.name for job in declared.jobs]
        assert "streams" not in [table.name for table in declared.tables]
        assert declared.job("scoring").schedule is not None


def test_a_stream_starts_by_its_schedule_and_batch_has_none_any_more() -> None:
    """Every five minutes unless it says otherwise."""
    job = streaming().job("stream")
    assert job.schedule == Schedule(cron="0 0/5 * * * ?")
    assert not job.continuous
    assert streaming().job("scoring").schedule is None
    assert streaming(cron="0 0 * * * ?").job("stream").schedule == Schedule(cron="0 0 * * * ?")


def test_a_continuous_stream_ends_by_itself_before_its_timeout() -> None:
    """The next run has the newest release."""
    job = streaming(trigger=StreamTrigger.CONTINUOUS, run_hours=3).job("stream")
    assert job.continuous
    assert job.schedule is None
    assert job.timeout_minutes == 4 * 60
    assert job.parameter("trigger").default == "continuous"


def test_the_task_takes_what_it_declares_and_what_it_writes_exists() -> None:
    """The context first, then one keyword for each parameter; further arguments have defaults."""
    declared = streaming()
    task = declared.job("stream").task("stream")
    assert isinstance(task, Task)
    names = list(inspect.signature(load(task.entry)).parameters)
    assert names[: len(task.keywords) + 1] == ["context", *task.keywords]
    known = {table.address for table in declared.tables} | {declared.model.address}
    assert {asset.address for asset in (*task.reads, *task.writes)} <= known


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"trigger": "continous"}, "did you mean 'continuous'"),
        (
            {"trigger": StreamTrigger.CONTINUOUS, "cron": "0 0 * * * ?"},
            "a continuous stream has no schedule; leave it out",
        ),
        ({"interval_seconds": 0, "lag_minutes": 0}, "interval_seconds is 0 and lag_minutes is 0; give 1 or more"),
        ({"run_hours": 24}, "run_hours is 24; give at most 23"),
    ],
)
def test_a_stream_that_cannot_work_is_refused(given: dict[str, Any], said: str) -> None:
    """By a sentence that names the field and what is allowed."""
    with pytest.raises(DeclarationError, match="streaming") as caught:
        StreamingPolicy(**given)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schedule": Schedule(cron="0 0 * * * ?")}, "has a schedule"),
        ({"tasks": ()}, "give it one task, with retries=0"),
    ],
)
def test_a_continuous_job_has_one_task_and_no_schedule(changes: dict[str, Any], said: str) -> None:
    """As the service demands."""
    job: Job = streaming(trigger=StreamTrigger.CONTINUOUS).job("stream")
    with pytest.raises(DeclarationError, match="it is continuous") as caught:
        replace(job, **changes)
    assert said in str(caught.value)
