"""Which tasks of a run begin, which are left out, and how the run ends, follow from results, conditions and branches."""

from typing import Any

import pytest

from infra.emulated_compute.task_states import compare, decided, filled, overall, references_of


def task(key: str, *needs: str, result: str = "", **more: Any) -> dict[str, Any]:
    """Return a task with its dependencies and, if it has ended, its result."""
    depends = [dict(zip(("task_key", "outcome"), need.split("="), strict=False)) for need in needs]
    return {"task_key": key, "depends_on": depends, "state": {"result_state": result} if result else {}, **more}


def of(*tasks: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return tasks by their keys."""
    return {one["task_key"]: one for one in tasks}


@pytest.mark.parametrize(
    ("run_if", "results", "expected"),
    [
        ("ALL_SUCCESS", ("SUCCESS", "SUCCESS"), "run"),
        ("ALL_SUCCESS", ("SUCCESS", ""), "wait"),
        ("ALL_SUCCESS", ("SUCCESS", "FAILED"), "UPSTREAM_FAILED"),
        ("ALL_SUCCESS", ("SUCCESS", "EXCLUDED"), "EXCLUDED"),
        ("ALL_SUCCESS", ("EXCLUDED", "EXCLUDED"), "EXCLUDED"),
        ("NONE_FAILED", ("SUCCESS", "EXCLUDED"), "run"),
        ("NONE_FAILED", ("SUCCESS", "UPSTREAM_FAILED"), "UPSTREAM_FAILED"),
        ("AT_LEAST_ONE_SUCCESS", ("SUCCESS", "FAILED"), "run"),
        ("AT_LEAST_ONE_SUCCESS", ("FAILED", "FAILED"), "UPSTREAM_FAILED"),
        ("ALL_DONE", ("FAILED", "CANCELED"), "run"),
        ("AT_LEAST_ONE_FAILED", ("SUCCESS", "FAILED"), "run"),
        ("AT_LEAST_ONE_FAILED", ("SUCCESS", "SUCCESS"), "EXCLUDED"),
        ("ALL_FAILED", ("FAILED", "TIMEDOUT"), "run"),
    ],
)
def test_a_task_begins_by_its_run_if(run_if: str, results: tuple[str, str], expected: str) -> None:
    """Failed, left out and unfinished dependencies count as the documentation says."""
    before = [task(name, result=result) for name, result in zip("ab", results, strict=True)]
    assert decided(task("c", "a", "b", run_if=run_if), of(*before)) == expected


def test_the_branch_that_a_condition_does_not_take_is_left_out() -> None:
    """Its condition has succeeded, and only the other branch runs."""
    condition = task("is_new", result="SUCCESS", condition_task={"outcome": "true"})
    assert decided(task("train", "is_new=true"), of(condition)) == "run"
    assert decided(task("stop", "is_new=false"), of(condition)) == "EXCLUDED"


def test_a_task_that_was_not_asked_for_holds_nobody_up() -> None:
    """A run of some tasks alone does not wait for the others."""
    assert decided(task("evaluate", "train"), {}) == "run"


@pytest.mark.parametrize(
    ("left", "op", "right", "expected"),
    [
        ("10", "GREATER_THAN", "9", True),
        ("{{tasks.a.values.n}}", "EQUAL_TO", "3", True),
        ("true", "NOT_EQUAL", "true", False),
    ],
)
def test_a_condition_compares_numbers_as_numbers(left: str, op: str, right: str, expected: bool) -> None:
    """And the values of tasks by their references."""
    assert compare({"left": left, "op": op, "right": right}, {"tasks.a.values.n": "3"}) is expected


def test_references_are_parameters_ids_and_values_of_tasks() -> None:
    """An unknown one stays as it is written."""
    run = {"run_id": 7, "job_id": 3, "run_name": "j", "job_parameters": [{"name": "until", "value": "2013-01-20"}]}
    known = references_of(run, {"a": {"rows": 5}})
    written = ["{{job.run_id}}", "until={{job.parameters.until}}", {"n": "{{tasks.a.values.rows}}"}, "{{unknown}}"]
    assert filled(written, known) == ["7", "until=2013-01-20", {"n": "5"}, "{{unknown}}"]


def test_a_run_ends_by_its_leaves() -> None:
    """A failure that a later task made good leaves a success with failures."""
    failed = task("a", result="FAILED")
    assert overall([failed, task("b", "a", result="SUCCESS")]) == "SUCCESS_WITH_FAILURES"
    assert overall([task("a", result="SUCCESS"), task("b", "a", result="FAILED")]) == "FAILED"
    assert overall([task("a", result="SUCCESS"), task("b", "a", result="EXCLUDED")]) == "SUCCESS"
    assert overall([failed, task("b", "a", result="CANCELED")]) == "CANCELED"
