"""A use case publishes its features to an online store only if it says so; what cannot work is refused in a sentence."""

import inspect
from dataclasses import replace
from typing import Any

import pytest

from ml.spec.entries import load
from pipelines.api import OnlinePolicy, PublishMode, StreamingPolicy, StreamTrigger
from pipelines.declarations.branch import branched
from pipelines.declarations.job import Task
from pipelines.declarations.mistakes import DeclarationError
from pipelines.declarations.registry import use_case, use_cases

FLIGHTS = use_case("flight_delay")
PUBLISHED = replace(FLIGHTS, online=OnlinePolicy())


def test_no_use_case_publishes_unless_it_says_so() -> None:
    """Then the job of the features has the tasks that it had."""
    for declared in use_cases():
        assert declared.online is None
        assert [task.key for task in declared.job("features").tasks] == ["ingest", "build_features", "build_labels"]


def test_features_are_published_by_the_job_that_refreshes_them() -> None:
    """After them, beside the labels; the task takes what it declares, reads every table that predictions look up."""
    task = PUBLISHED.job("features").task("publish")
    assert isinstance(task, Task)
    assert [str(one) for one in task.dependencies] == ["build_features"]
    assert list(inspect.signature(load(task.entry)).parameters) == ["context"]
    assert {lookup.table for lookup in FLIGHTS.lookups} <= set(task.reads)
    assert task.timeout_minutes > OnlinePolicy().wait_minutes


def test_a_branch_publishes_nothing() -> None:
    """Nothing serves it, and the store would keep its tables when it is gone."""
    assert branched(PUBLISHED, "idea").online is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"mode": "TRIGERED"}, "did you mean 'TRIGGERED'"),
        ({"lag_hours": 0.0}, "lag_hours is 0; give more than 0"),
        ({"wait_minutes": 0}, "wait_minutes is 0; give 1 to 180"),
        ({"wait_minutes": 181}, "wait_minutes is 181; give 1 to 180"),
    ],
)
def test_a_policy_that_cannot_work_is_refused(given: dict[str, Any], said: str) -> None:
    """By a sentence that names the field and what is allowed."""
    with pytest.raises(DeclarationError, match=r"^online: ") as caught:
        OnlinePolicy(**given)
    assert said in str(caught.value)


def test_a_stream_that_refreshes_features_needs_a_pipeline_that_runs_all_the_time() -> None:
    """The job that publishes runs by its own schedule; between two runs nobody would publish."""
    streaming = StreamingPolicy(trigger=StreamTrigger.CONTINUOUS)
    with pytest.raises(
        DeclarationError, match=r"online: mode is TRIGGERED, and a stream refreshes .*; give CONTINUOUS"
    ):
        replace(PUBLISHED, streaming=streaming)
    assert replace(FLIGHTS, streaming=streaming, online=OnlinePolicy(mode=PublishMode.CONTINUOUS)).online is not None


def test_features_that_must_wait_are_not_published() -> None:
    """The platform keeps the newest row alone: while it may not be used, the one before is gone."""
    waiting = tuple(replace(one, available_after_minutes=45) for one in FLIGHTS.features)
    with pytest.raises(DeclarationError, match=r"rows of flight_delay_features\.\w+ must wait for 45 minutes"):
        replace(PUBLISHED, features=waiting)


def test_a_snapshot_needs_no_feed_of_changes() -> None:
    """The other modes read what has changed."""
    assert [mode for mode in PublishMode if not mode.reads_changes] == [PublishMode.SNAPSHOT]
