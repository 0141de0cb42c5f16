"""A challenger goes from shadow through a canary to champion at a real endpoint, and a bad one is returned; no request fails.

The registry, the lakehouse, the online store and the endpoint are real; requests give what would be looked up.
"""

import asyncio
import datetime as dt
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ml.spec.rollout_policy import RolloutPolicy, RolloutWay
from pipelines.execution.context import TaskResult
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.lakehouse.registry.aliases import CHALLENGER, CHAMPION
from pipelines.lakehouse.registry.model_version import ModelVersion
from pipelines.lakehouse.registry.rollout_state import RolloutState, current_rollout, set_state
from pipelines.lakehouse.tables.arrow import records
from pipelines.serving.application import Application
from pipelines.serving.endpoint import EndpointOptions, opened_endpoint
from pipelines.serving.limits import Limits
from pipelines.tasks.rollout.decision import decide
from pipelines.tasks.rollout.replay import replay
from pipelines.tasks.versions.evaluation import evaluate
from pipelines.tasks.versions.promotion import promote
from tests.pipelines.online_store import started
from tests.pipelines.serving.test_endpoint import TOKEN, ask
from tests.pipelines.tasks.mutants import (
    EVALUATION_DAYS,
    FLIGHT_DELAY,
    SEED,
    SPLIT,
    FailsInStorms,
    context_of,
    flights,
    registered,
    store_training_set,
    trained,
    training_flights,
)

DECLARED = replace(
    FLIGHT_DELAY,
    rollout=RolloutPolicy(
        way=RolloutWay.CANARY, shadow_first=True, minimum_answers=100, latency_ratio=50.0, latency_floor=5.0
    ),
)  # the machine may be busy: another test is about seconds
LIMITS = Limits(waiting=64, deadline_seconds=60, follow_seconds=0.2, carry_seconds=1.0, publish_seconds=60)
KNOWN = SPLIT + dt.timedelta(days=EVALUATION_DAYS + DECLARED.label_due_days + 1)
"""From when on every outcome of the requests is due."""
ASKED_AT_ONCE = 500


class Served:
    """The endpoint, and who asks it all the while."""

    def __init__(self, application: Application, said: list[str]) -> None:
        self.application, self.said = application, said
        self.statuses: list[int] = []
        self._stop = threading.Event()
        self._client = threading.Thread(target=self._ask_on)

    def ask(self, rows: pd.DataFrame) -> list[dict[str, Any]]:
        """The answers to requests."""
        found: list[dict[str, Any]] = []
        for start in range(0, len(rows), ASKED_AT_ONCE):
            body = {
                "dataframe_records": json.loads(requests(rows[start : start + ASKED_AT_ONCE]).to_json(orient="records"))
            }
            status, answer, _ = asyncio.run(ask(self.application, body=body))
            self.statuses.append(status)
            assert status == 200, answer
            found += answer["predictions"]
        return found

    def version(self) -> dict[str, Any]:
        """What the endpoint says of itself."""
        found: dict[str, Any] = asyncio.run(ask(self.application, "/version", "GET"))[1]
        return found

    def wait_for(self, **facts: Any) -> None:
        """Wait until the endpoint has followed the registry."""
        until = time.monotonic() + 60
        while {name: self.version().get(name) for name in facts} != facts:
            assert time.monotonic() < until, (facts, self.version(), self.said)
            time.sleep(0.05)

    def begin(self, rows: pd.DataFrame) -> None:
        """Let a client ask one request after the other."""
        self._rows = rows
        self._client.start()

    def end(self) -> None:
        """Let it stop."""
        self._stop.set()
        self._client.join()

    def _ask_on(self) -> None:
        body = {"dataframe_records": json.loads(requests(self._rows.head(1)).to_json(orient="records"))}
        while not self._stop.wait(0.1):
            self.statuses.append(asyncio.run(ask(self.application, body=body))[0])


def requests(rows: pd.DataFrame) -> pd.DataFrame:
    """Flights as requests: the spine's columns, and what would be looked up."""
    given = [
        name
        for lookup in DECLARED.lookups
        for name in (*lookup.columns.values(), *((lookup.age_as,) if lookup.age_as else ()))
    ]
    at = rows["prediction_at"].dt.strftime("%Y-%m-%dT%H:%M:%S+00:00")
    own = rows[["carrier", "origin", "destination", "distance", "scheduled_minutes", *given]]
    return own.assign(
        flight_id=rows["request_key"], prediction_at=at, scheduled_departure_at=at, departure_hour=10, departure_weekday=2,
        flight=1, tailnum=None,
    )  # fmt: skip


@pytest.fixture(scope="module")
def lakehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lakehouse]:
    """An environment with a champion, a better candidate that has begun its rollout, and the outcomes of the requests."""
    seen, later = training_flights(), flights("evaluation", 6_000)
    with open_lakehouse("dev", root=tmp_path_factory.mktemp("rollout")) as opened:
        store_training_set(opened, "run", seen, later)
        champion = registered(opened, trained(seen, "logistic_regression"), seen, estimator="logistic_regression")
        opened.models.set_alias(champion, CHAMPION)
        opened.models.clear_candidates(FLIGHT_DELAY.model)
        registered(opened, trained(seen), seen)
        context = context_of(opened, declared=DECLARED)
        evaluate(context, seed=SEED)
        assert promote(context).values == {"outcome": "rollout", "promoted": ""}
        table = DECLARED.labels.table
        rows = LIVE[["request_key", "label"]].assign(known_at=LIVE["label_known_at"], outcome="landed")
        opened.tables.append_once(table, records(table, rows.to_dict("records")), batch_id="outcomes")
        yield opened


LIVE = flights("live", 4_000, seed=SEED + 7)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An online store."""
    yield from started(tmp_path_factory.mktemp("store"))


@pytest.fixture
def served(lakehouse: Lakehouse, store: str, tmp_path: Path) -> Iterator[Served]:
    """The endpoint of the environment, with a client that asks all the while."""
    said: list[str] = []
    options = EndpointOptions(until=KNOWN, limits=LIMITS)
    with opened_endpoint(
        lakehouse, DECLARED, options, store=store, folder=tmp_path, token=TOKEN, say=said.append
    ) as application:
        found = Served(application, said)
        found.begin(LIVE.tail(1))
        yield found
        found.end()


def looked(lakehouse: Lakehouse, day: int) -> TaskResult:
    """The task of the rollout on a day."""
    context = context_of(lakehouse, f"look {day}", now=KNOWN + dt.timedelta(days=day), declared=DECLARED)
    return decide(context, until=None, stop="")


def rows_of(lakehouse: Lakehouse, name: str) -> pd.DataFrame:
    """The rows of a table."""
    return lakehouse.tables.read(DECLARED.table(name)).toArrow().to_pandas()


def wait_for_answers(lakehouse: Lakehouse, count: int) -> None:
    """Wait until so many answers of any kind were carried over."""
    until = time.monotonic() + 60
    while lakehouse.tables.read(DECLARED.table("answers")).count() < count:
        assert time.monotonic() < until
        time.sleep(0.1)


def number(lakehouse: Lakehouse, alias: str) -> int:
    """The version behind an alias."""
    return lakehouse.models.by_alias(DECLARED.model, alias).number


def begin(lakehouse: Lakehouse, version: ModelVersion, percentage: int) -> None:
    """Begin a rollout at a stage, as a promotion does."""
    state = RolloutState(
        rollout_id=f"of {version.number}", version=version.number, champion=number(lakehouse, CHAMPION),
        percentage=percentage, since=KNOWN,
    )  # fmt: skip
    set_state(lakehouse.models, DECLARED.model, state)
    lakehouse.models.set_alias(version, CHALLENGER)


@pytest.mark.proof
def test_a_challenger_goes_from_shadow_to_champion_and_a_bad_one_is_returned(
    lakehouse: Lakehouse, served: Served
) -> None:
    """Every request is answered meanwhile; who gets the challenger at 10% gets it at 50%."""
    assert (number(lakehouse, CHAMPION), number(lakehouse, CHALLENGER)) == (1, 2)
    served.wait_for(version=1, challenger=2, challenger_answers_percent=0)

    in_shadow = served.ask(LIVE.head(2_500))
    assert {answer["model_version"] for answer in in_shadow} == {1}
    wait_for_answers(lakehouse, 5_000)
    answers = rows_of(lakehouse, "answers")
    shadows = answers[answers["shadow_of"].notna()]
    assert set(shadows["model_version"]) == {2}
    assert set(shadows["shadow_of"]) <= set(answers["answer_id"])

    assert looked(lakehouse, 1).values == {"move": "advance", "following": "10"}
    served.wait_for(challenger_answers_percent=10)
    at_ten = by_key(served.ask(LIVE.iloc[2_500:]))
    assert 100 <= sum(version == 2 for version in at_ten.values()) <= 200
    wait_for_answers(lakehouse, 8_000)
    again = looked(lakehouse, 1)
    assert again.values["move"] == "advance", "a decision that was taken is carried out, not taken again"
    assert current_rollout(lakehouse.models, DECLARED.model).percentage == 10  # type: ignore[union-attr]  # there is one

    assert looked(lakehouse, 2).values == {"move": "advance", "following": "50"}
    served.wait_for(challenger_answers_percent=50)
    at_fifty = by_key(served.ask(LIVE.iloc[2_500:]))
    assert {key for key, version in at_ten.items() if version == 2} < {
        key for key, version in at_fifty.items() if version == 2
    }
    wait_for_answers(lakehouse, 11_000)

    assert looked(lakehouse, 3).values == {"move": "advance", "following": "100"}
    assert number(lakehouse, CHAMPION) == 2
    served.wait_for(version=2, challenger=None)
    assert {answer["model_version"] for answer in served.ask(LIVE.head(50))} == {2}
    verdict = rows_of(lakehouse, "verdicts").sort_values("decided_at").iloc[-1]
    assert (verdict["outcome"], verdict["champion"], verdict["promoted"]) == ("promote", 1, 2)
    assert looked(lakehouse, 4).values == {"move": "none"}
    assert len(rows_of(lakehouse, "findings")) == 0

    bad = registered(lakehouse, FailsInStorms(trained(training_flights(1_000))), training_flights(1_000), run_id="bad")
    begin(lakehouse, bad, 50)
    served.wait_for(challenger=bad.number, challenger_answers_percent=50)
    stormy = LIVE.iloc[:60].assign(wind_speed=120.0)
    assert {answer["model_version"] for answer in served.ask(stormy)} == {2}
    found = looked(lakehouse, 5)
    while found.values["move"] == "wait":  # until the journal was carried over
        found = looked(lakehouse, 6 + len(rows_of(lakehouse, "rollouts")))
    assert found.values == {"move": "return", "following": "0"}
    served.wait_for(version=2, challenger=None)
    (finding,) = rows_of(lakehouse, "findings").to_dict("records")
    assert (finding["kind"], finding["model_version"], finding["statistic"]) == (
        "challenger_returned",
        bad.number,
        "errors",
    )
    assert "could not score" in finding["message"]
    assert set(rows_of(lakehouse, "verdicts")["outcome"]) == {"rollout", "promote", "returned"}
    assert set(served.statuses) == {200}


@pytest.mark.proof
def test_what_databricks_logs_is_replayed_as_the_endpoint_here_would_keep_it(lakehouse: Lakehouse) -> None:
    """The answered scores, the shadow's of the other version, failures by version; the same log twice adds nothing."""
    state = RolloutState(rollout_id="logged", version=2, champion=1, percentage=10, since=KNOWN)
    rows, names = requests(LIVE.head(30)), iter("abc")

    def logged(part: pd.DataFrame, version: int, status: int = 200) -> dict[str, Any]:
        body = json.dumps({"dataframe_records": json.loads(part.to_json(orient="records"))})
        answer = {"predictions": [{"score": 0.5, "model_version": version}] * len(part)}
        return {
            "databricks_request_id": next(names), "request_time": KNOWN, "status_code": status, "execution_duration_ms": 7,
            "request": body, "response": json.dumps(answer) if status == 200 else "torn", "served_entity_id": f"entity {version}",
        }  # fmt: skip

    log = [logged(rows[:10], 1), logged(rows[10:20], 2), logged(rows[20:], 2, status=500)]
    context = context_of(lakehouse, "replayed", declared=DECLARED)
    assert replay(context, state, log) == 50
    replay(context, state, log)
    kept = rows_of(lakehouse, "answers")
    kept = kept[kept["rollout_id"] == "logged"]
    answered, shadows = kept[kept["shadow_of"].isna()], kept[kept["shadow_of"].notna()]
    assert answered["model_version"].value_counts().to_dict() == {1: 10, 2: 10}
    assert (set(answered["score"]), set(answered["seconds"])) == ({0.5}, {0.007})
    assert shadows["model_version"].value_counts().to_dict() == {1: 20, 2: 10}
    assert 0.5 not in set(shadows["score"])
    failed = rows_of(lakehouse, "failed_answers")
    failed = failed[failed["rollout_id"] == "logged"]
    assert (set(failed["model_version"]), set(failed["message"]), len(failed)) == (
        {2},
        {"the endpoint answered 500"},
        10,
    )


def by_key(answers: list[dict[str, Any]]) -> dict[str, int]:
    """The version that answered each request."""
    return {answer["request_key"]: answer["model_version"] for answer in answers}
