"""How the tasks of a run depend on one another, as the service decides it: pure functions of a run's document.

Run if, excluded tasks and the branches of conditions: https://learn.microsoft.com/azure/databricks/jobs/run-if and
https://learn.microsoft.com/azure/databricks/jobs/if-else. References in braces:
https://learn.microsoft.com/azure/databricks/jobs/dynamic-value-references.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from infra.emulated_cloud.world import Json

SUCCESS, FAILED, CANCELED, TIMED_OUT = "SUCCESS", "FAILED", "CANCELED", "TIMEDOUT"
EXCLUDED, UPSTREAM_FAILED, WITH_FAILURES = "EXCLUDED", "UPSTREAM_FAILED", "SUCCESS_WITH_FAILURES"
BAD = frozenset({FAILED, CANCELED, TIMED_OUT, UPSTREAM_FAILED, "UPSTREAM_CANCELED"})
"""Results of a task that is not as it should be."""
REFERENCE = re.compile(r"\{\{\s*([\w.\-]+)\s*\}\}")
COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "EQUAL_TO": operator.eq, "NOT_EQUAL": operator.ne, "GREATER_THAN": operator.gt, "LESS_THAN": operator.lt,
    "GREATER_THAN_OR_EQUAL": operator.ge, "LESS_THAN_OR_EQUAL": operator.le,
}  # fmt: skip


def result_of(task: Json) -> str:
    """Return how a task has ended; empty if it has not."""
    return str(task["state"].get("result_state", ""))


def decided(task: Json, tasks: Mapping[str, Json]) -> str:
    """Return what becomes of a waiting task: ``run``, ``wait``, or the result with which it is skipped.

    Parameters
    ----------
    task
        The task.
    tasks
        Every task of the run by its key; a dependency that is not in the run counts as successful.
    """
    needed = [one for one in task.get("depends_on", ()) if one["task_key"] in tasks]
    results = [result_of(tasks[one["task_key"]]) for one in needed]
    if not all(results):
        return "wait"
    if not needed:
        return "run"
    taken = [_seen(one, tasks[one["task_key"]]) for one in needed]
    if all(result == EXCLUDED for result in taken):
        return EXCLUDED
    return _run_if(str(task.get("run_if", "ALL_SUCCESS")), taken)


def _seen(dependency: Json, task: Json) -> str:
    """Return a dependency's result; the branch of a condition that was not taken is excluded."""
    asked = dependency.get("outcome")
    given = (task.get("condition_task") or {}).get("outcome")
    return EXCLUDED if asked and given and asked != given else result_of(task)


def _run_if(condition: str, results: Sequence[str]) -> str:
    bad = [result for result in results if result in BAD]
    good = [result for result in results if result in (SUCCESS, WITH_FAILURES)]
    if condition == "ALL_DONE":
        return "run"
    if condition in ("ALL_FAILED", "AT_LEAST_ONE_FAILED"):
        holds = len(bad) == len(results) if condition == "ALL_FAILED" else bool(bad)
        return "run" if holds else EXCLUDED
    if condition == "AT_LEAST_ONE_SUCCESS":
        return "run" if good else UPSTREAM_FAILED
    if bad:
        return UPSTREAM_FAILED
    return EXCLUDED if condition == "ALL_SUCCESS" and len(good) < len(results) else "run"


def filled(value: Any, references: Mapping[str, str]) -> Any:
    """Return a value with every reference in braces replaced, also within lists and mappings; an unknown one stays."""
    if isinstance(value, str):
        return REFERENCE.sub(lambda found: references.get(found[1], found[0]), value)
    if isinstance(value, list):
        return [filled(one, references) for one in value]
    if isinstance(value, dict):
        return {name: filled(one, references) for name, one in value.items()}
    return value


def references_of(run: Json, values: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the text of each reference that the tasks of a run may write: parameters, ids, and values of tasks.

    Parameters
    ----------
    values
        Task to the values that it has set.
    """
    found = {"job.run_id": str(run["run_id"]), "job.id": str(run["job_id"]), "job.name": str(run["run_name"])}
    found |= {f"job.parameters.{one['name']}": str(one["value"]) for one in run["job_parameters"]}
    found |= {
        f"tasks.{task}.values.{name}": str(value) for task, own in values.items() for name, value in own.items()
    }  # fmt: skip
    return found


def compare(condition: Json, references: Mapping[str, str]) -> bool:
    """Return the outcome of a condition: numbers as numbers, except that equality compares texts."""
    left, right = (str(filled(condition[side], references)) for side in ("left", "right"))
    comparison = COMPARISONS[condition["op"]]
    if condition["op"] in ("EQUAL_TO", "NOT_EQUAL"):
        return comparison(left, right)
    return comparison(float(left), float(right))


def overall(tasks: Sequence[Json]) -> str:
    """Return the result of a run from its leaves, the tasks on which none depends.

    https://learn.microsoft.com/azure/databricks/jobs/run-if#how-does-databricks-determine-job-run-status
    """
    needed = {one["task_key"] for task in tasks for one in task.get("depends_on", ())}
    leaves = [result_of(task) for task in tasks if task["task_key"] not in needed]
    results = [result_of(task) for task in tasks]
    if CANCELED in results:
        return CANCELED
    if any(result in BAD for result in leaves):
        return TIMED_OUT if TIMED_OUT in leaves else FAILED
    return WITH_FAILURES if any(result in BAD for result in results) else SUCCESS
