"""A use case declares the way of a new champion; the job and the tables of a rollout follow from that."""

import inspect
from dataclasses import replace
from typing import Any

import pytest

from ml.spec.clusters import Clusters
from ml.spec.entries import load
from pipelines.api import RolloutPolicy, RolloutWay
from pipelines.declarations.job import Task
from pipelines.declarations.mistakes import DeclarationError
from pipelines.declarations.registry import use_case, use_cases
from pipelines.declarations.use_case import UseCase

FLIGHTS = use_case("flight_delay")
CANARY = RolloutPolicy(way=RolloutWay.CANARY)


def rolling(**changes: Any) -> UseCase:
    """The flights, whose new champions begin as a canary, with changes."""
    return replace(FLIGHTS, rollout=replace(CANARY, **changes))


def test_a_use_case_is_direct_unless_it_says_otherwise() -> None:
    """Then it has neither the job nor the tables."""
    for declared in use_cases():
        assert declared.rollout.is_direct
        assert "rollout" not in [job.name for job in declared.jobs]
        assert not {"answers", "failed_answers", "rollouts"} & {table.name for table in declared.tables}


def test_the_job_of_a_rollout_is_scheduled_and_ends_with_the_endpoint() -> None:
    """It collects, decides, and moves what serves."""
    job = rolling().job("rollout")
    assert [task.key for task in job.tasks] == ["collect", "decide", "serve"]
    assert job.schedule is not None
    assert [parameter.name for parameter in job.parameters] == ["until", "stop"]


@pytest.mark.parametrize("key", ["collect", "decide", "serve"])
def test_every_task_of_a_rollout_calls_a_function_that_takes_what_it_declares(key: str) -> None:
    """The context first, then one keyword for each parameter."""
    task = rolling().job("rollout").task(key)
    assert isinstance(task, Task)
    names = list(inspect.signature(load(task.entry)).parameters)
    assert names == ["context", *task.keywords]


def test_every_table_of_a_rollout_has_a_writer() -> None:
    """And every asset that its job reads exists."""
    declared = rolling()
    known = {table.address for table in declared.tables} | {declared.model.address}
    tasks = [task for job in declared.jobs for task in job.tasks if isinstance(task, Task)]
    assert known - {asset.address for task in tasks for asset in task.writes} == {declared.table("runs").address}
    assert {asset.address for task in tasks for asset in (*task.reads, *task.writes)} <= known


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sticky_by": ("carier",)}, "sticky_by: unknown column of the spine 'carier'"),
        ({"most_days": 21}, "most_days is 21, and the gate can decide 21 days after a rollout begins"),
    ],
)
def test_a_rollout_that_cannot_work_for_the_use_case_is_refused(changes: Any, said: str) -> None:
    """By a sentence that names the field and what is allowed."""
    with pytest.raises(DeclarationError, match="use case flight_delay: rollout: ") as caught:
        rolling(**changes)
    assert said in str(caught.value)


def test_a_rollout_lasts_until_days_that_depend_on_each_other_can_be_judged() -> None:
    """Where days remember, the gate demands more of them than the policy's least: a shorter rollout could never promote."""
    remembering = replace(FLIGHTS, clusters=Clusters())
    least = remembering.label_due_days + remembering.gate.least_days(remembering.clusters.day_memory)
    assert least > FLIGHTS.label_due_days + FLIGHTS.gate.minimum_days
    with pytest.raises(DeclarationError, match=f"the gate can decide {least} days after a rollout begins"):
        replace(remembering, rollout=replace(CANARY, most_days=least))
    assert replace(remembering, rollout=replace(CANARY, most_days=least + 1)).rollout.most_days == least + 1
