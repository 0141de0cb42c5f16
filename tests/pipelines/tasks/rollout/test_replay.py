"""A log says which version answered: by the answer, or by the served entity where there is none."""

import json
from typing import Any

from pipelines.lakehouse.registry.rollout_state import RolloutState
from pipelines.tasks.rollout.replay import logged_requests
from tests.pipelines.scoring.declared_trips import FUNCTION, NOON

CANARY = RolloutState(rollout_id="r", version=2, champion=1, percentage=10, since=NOON)
ROW = {"trip": "t1", "asked_at": "2013-02-01T12:00:00Z", "origin": "a", "line": 2}


def logged(name: str, entity: str, version: int | None, status: int = 200, **row: Any) -> dict[str, Any]:
    """One row of the inference table."""
    answer = {"predictions": [{"score": 0.5, "model_version": version}]}
    return {
        "databricks_request_id": name, "request_time": NOON, "status_code": status, "execution_duration_ms": 12,
        "request": json.dumps({"instances": [{**ROW, **row}]}), "response": json.dumps(answer) if version else "no",
        "served_entity_id": entity,
    }  # fmt: skip


def test_a_request_is_of_the_version_that_its_answer_names() -> None:
    """With its seconds."""
    (one, other) = logged_requests([logged("a", "x", 1), logged("b", "y", 2)], FUNCTION, CANARY)
    assert [(found.name, found.version, found.seconds) for found in (one, other)] == [("a", 1, 0.012), ("b", 2, 0.012)]
    assert one.rows.to_pylist()[0]["trip"] == "t1"


def test_a_failure_is_of_the_version_whose_entity_failed() -> None:
    """Also if that entity has never answered: it is the one that is left."""
    rows = [logged("a", "x", 1), logged("b", "y", None, 500), logged("c", "x", None, 503)]
    found = list(logged_requests(rows, FUNCTION, CANARY))
    assert [(one.name, one.version, one.failed_with) for one in found] == [
        ("a", 1, ""), ("b", 2, "the endpoint answered 500"), ("c", 1, "the endpoint answered 503"),
    ]  # fmt: skip


def test_a_request_that_was_wrong_or_is_of_nobody_known_is_left_out() -> None:
    """What the client did wrong, and failures before either version has answered."""
    rows = [logged("a", "x", None, 400), logged("b", "x", 1, line="two"), logged("c", "z", None, 500)]
    assert [one.name for one in logged_requests(rows[:2], FUNCTION, CANARY)] == []
    assert list(logged_requests(rows[2:], FUNCTION, CANARY)) == []
