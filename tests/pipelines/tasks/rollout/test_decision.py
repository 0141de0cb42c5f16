"""The task of a rollout keeps its decision before anything moves, carries it out once, and takes requests back first."""

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sklearn.dummy import DummyClassifier

from ml.evaluation.contender import Contender
from pipelines.api import RolloutPolicy, RolloutWay
from pipelines.execution.context import Context, TaskError, TaskResult
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.lakehouse.registry.aliases import CHALLENGER, CHAMPION
from pipelines.lakehouse.registry.rollout_state import RolloutState, current_rollout, set_state, state_of
from pipelines.lakehouse.tables.arrow import records
from pipelines.tasks.rollout import decision as rollout
from pipelines.tasks.rollout.decision import decide
from pipelines.tasks.rollout.replay import collect
from pipelines.tasks.versions.promotion import promote
from pipelines.tasks.versions.rollback import decide as previous_champion
from tests.ml.gate.test_decision import BETTER, EQUAL, POLICY, evaluated
from tests.ml.gate.test_decision import CHAMPION as CONTENDER
from tests.pipelines.tasks.mutants import FLIGHT_DELAY, training_flights

DECLARED = replace(FLIGHT_DELAY, rollout=RolloutPolicy(way=RolloutWay.CANARY, minimum_answers=20))
MODEL = DECLARED.model
BEGUN = dt.datetime(2013, 5, 1, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lakehouse]:
    """An environment with three versions."""
    rows = training_flights(100)
    inputs = rows[list(DECLARED.inputs)].drop(columns=list(DECLARED.categorical_inputs))
    with open_lakehouse("dev", root=tmp_path_factory.mktemp("rollout")) as lakehouse:
        for name in ("first", "second", "third"):
            with lakehouse.models.start_run(DECLARED.name, name=name) as run:
                model = DummyClassifier().fit(inputs, rows["label"])
                lakehouse.models.register(
                    MODEL, model, run=run, input_example=inputs.head(2), output_example=[0.5, 0.5]
                )
        yield lakehouse


@pytest.fixture
def lakehouse(environment: Lakehouse, request: pytest.FixtureRequest) -> Lakehouse:
    """The environment with a rollout at 10%, named after the test."""
    models = environment.models
    state = RolloutState(rollout_id=request.node.name, version=2, champion=1, percentage=10, since=BEGUN)
    models.set_alias(models.version(MODEL, 1), CHAMPION)
    set_state(models, MODEL, state)
    models.set_alias(models.version(MODEL, 2), CHALLENGER)
    return environment


def context_of(lakehouse: Lakehouse, run_id: str, *, days: float = 1.0) -> Context:
    """A run, so many days after the stage has begun."""
    now = BEGUN + dt.timedelta(days=days)
    return Context(lakehouse=lakehouse, use_case=DECLARED, run_id=run_id, now=now, say=lambda _: None)


def run(lakehouse: Lakehouse, run_id: str, *, days: float = 1.0, stop: str = "") -> TaskResult:
    """The task of one run."""
    return decide(context_of(lakehouse, run_id, days=days), until=None, stop=stop)


def rows_of(lakehouse: Lakehouse, name: str, **equal: Any) -> list[dict[str, Any]]:
    """The rows of a table that have some values."""
    rows = lakehouse.tables.read(DECLARED.table(name)).toArrow().to_pylist()
    return [row for row in rows if all(row[column] == value for column, value in equal.items())]


def test_without_answers_the_challenger_waits_and_nothing_moves(lakehouse: Lakehouse) -> None:
    """The decision is kept with what is missing."""
    assert run(lakehouse, "waits").values == {"move": "wait", "following": "10"}
    (kept,) = rows_of(lakehouse, "rollouts", run_id="waits")
    assert "has scored 0 requests in this stage, at least 20 are needed" in kept["sentence"]
    assert (kept["look"], kept["evaluation"]) == (None, None)
    found = current_rollout(lakehouse.models, MODEL)
    assert found is not None
    assert (found.percentage, found.since) == (10, BEGUN)


def test_a_person_stops_a_rollout_with_a_reason_that_is_kept_once(lakehouse: Lakehouse) -> None:
    """As a verdict, a finding, and the end in the registry; the same run again changes nothing."""
    for _ in range(2):
        assert run(lakehouse, "stopped", stop="the feed of winds is wrong").values["move"] == "return"
    assert current_rollout(lakehouse.models, MODEL) is None
    (verdict,) = rows_of(lakehouse, "verdicts", evaluation_id="rollout stopped")
    assert (verdict["outcome"], verdict["champion"], verdict["promoted"], verdict["challenger"]) == (
        "returned",
        1,
        None,
        2,
    )
    (finding,) = rows_of(lakehouse, "findings", statistic="stopped")
    assert finding["message"] == (
        "challenger version 2 was taken back from the endpoint, version 1 answers every request: the feed of winds is wrong."
    )
    assert len(rows_of(lakehouse, "findings_history", statistic="stopped")) == 1
    assert run(lakehouse, "after it").values == {"move": "none"}


def test_failures_return_a_challenger_before_it_has_answered_enough(lakehouse: Lakehouse) -> None:
    """Five failures of five."""
    table = DECLARED.table("failed_answers")
    state = current_rollout(lakehouse.models, MODEL)
    assert state is not None
    failed = [
        {"failure_id": f"f{number}/2", "failed_at": BEGUN, "model_version": 2, "request_key": f"f{number}", "message": "no",
         "rollout_id": state.rollout_id, "rollout_percentage": 10}
        for number in range(5)
    ]  # fmt: skip
    lakehouse.tables.append_once(table, records(table, failed), batch_id="failed")
    assert run(lakehouse, "failures").values["move"] == "return"
    (finding,) = rows_of(lakehouse, "findings", statistic="errors")
    assert "version 2 could not score 5 of 5 requests" in finding["message"]


def test_an_endpoint_that_could_not_take_the_challenger_returns_it(lakehouse: Lakehouse) -> None:
    """By the reason that the endpoint has noted."""
    table = DECLARED.table("failed_answers")
    state = current_rollout(lakehouse.models, MODEL)
    assert state is not None
    noted = {
        "failure_id": f"{state.rollout_id}/2", "failed_at": BEGUN, "model_version": 2, "request_key": None,
        "message": "version 2 is not taken as challenger: torn", "rollout_id": state.rollout_id, "rollout_percentage": 10,
    }  # fmt: skip
    lakehouse.tables.append_once(table, records(table, [noted]), batch_id="noted")
    assert run(lakehouse, "noted").values["move"] == "return"
    (kept,) = rows_of(lakehouse, "rollouts", run_id="noted")
    assert "is not taken as challenger: torn" in kept["sentence"]
    assert json.loads(kept["reasons"])[0]["rule"] == "loads"


def test_a_champion_that_was_replaced_meanwhile_ends_the_rollout(lakehouse: Lakehouse) -> None:
    """It was judged against another one."""
    lakehouse.models.delete_alias(MODEL, CHAMPION)
    assert run(lakehouse, "overtaken").values["move"] == "return"
    (kept,) = rows_of(lakehouse, "rollouts", run_id="overtaken")
    assert "began against version 1, and the champion is none any more now" in kept["sentence"]


def test_a_challenger_that_stays_too_long_is_returned(lakehouse: Lakehouse) -> None:
    """After so many days as the use case declares."""
    assert run(lakehouse, "on time", days=60).values["move"] == "wait"
    assert run(lakehouse, "late", days=60.1).values["move"] == "return"
    assert len(rows_of(lakehouse, "findings", statistic="time")) == 1


def promoted(lakehouse: Lakehouse, run_id: str, *contenders: Contender) -> TaskResult:
    """The task promote on an evaluation of some versions, by a gate that takes it."""
    declared = replace(DECLARED, gate=POLICY)
    evaluation = evaluated(*contenders, evaluation_id=run_id)
    table = declared.table("evaluations")
    row = {
        "evaluation_id": run_id, "evaluated_at": BEGUN, "champion": 1, "candidates": len(contenders) - 1,
        "rows": evaluation.rows, "complete": True, "evaluation": evaluation.to_json(),
    }  # fmt: skip
    lakehouse.tables.merge(table, records(table, [row]))
    return promote(replace(context_of(lakehouse, run_id), use_case=declared))


def test_a_positive_verdict_begins_a_rollout_in_place_of_the_one_before(lakehouse: Lakehouse) -> None:
    """The champion stays; the same run again begins nothing; a verdict without a promotion leaves the rollout alone."""
    models, before = lakehouse.models, current_rollout(lakehouse.models, MODEL)
    assert before is not None
    equal, better = replace(EQUAL, version=3), replace(BETTER, version=3)
    assert promoted(lakehouse, "not better", CONTENDER, equal).values["outcome"] == "keep"
    assert current_rollout(models, MODEL) == before
    for _ in range(2):
        assert promoted(lakehouse, "better", CONTENDER, better).values == {"outcome": "rollout", "promoted": ""}
        assert models.by_alias(MODEL, CHAMPION).number == 1
        state = current_rollout(models, MODEL)
        assert state is not None
        assert (state.rollout_id, state.version, state.percentage) == ("better", 3, 10)
        set_state(models, MODEL, replace(state, since=BEGUN))
    ended = state_of(models.version(MODEL, 2))
    assert ended is not None
    assert ended.ended == "version 3 has come after it"
    (verdict,) = rows_of(lakehouse, "verdicts", evaluation_id="better")
    assert (verdict["outcome"], verdict["promoted"], verdict["challenger"]) == ("rollout", None, 3)


def kept_decision(lakehouse: Lakehouse, run_id: str, following: int) -> None:
    """A run that has decided and was cut off before anything moved."""
    table = DECLARED.table("rollouts")
    state = current_rollout(lakehouse.models, MODEL)
    assert state is not None
    row = {
        "run_id": run_id, "decided_at": BEGUN, "rollout_id": state.rollout_id, "model_version": 2, "champion": 1,
        "percentage": 10, "move": "advance", "following": following, "look": 1, "sentence": "it goes on", "reasons": "[]",
    }  # fmt: skip
    lakehouse.tables.merge(table, records(table, [row]))


def test_a_run_that_was_cut_off_carries_out_what_it_had_decided_once(lakehouse: Lakehouse) -> None:
    """The next stage begins when it was decided; a stage that has moved on is not moved back."""
    kept_decision(lakehouse, "cut off", 50)
    assert run(lakehouse, "cut off", days=9).values == {"move": "advance", "following": "50"}
    state = current_rollout(lakehouse.models, MODEL)
    assert state is not None
    assert (state.percentage, state.since) == (50, BEGUN)
    set_state(lakehouse.models, MODEL, replace(state, percentage=70))
    run(lakehouse, "cut off")
    assert current_rollout(lakehouse.models, MODEL) == replace(state, percentage=70)


@pytest.mark.parametrize("moved", [False, True], ids=["before the alias moved", "after it"])
def test_a_promotion_by_a_rollout_that_was_cut_off_is_finished(
    lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch, moved: bool
) -> None:
    """The verdict names the champion before, so a rollback finds it."""
    name = f"last stage {moved}"
    kept_decision(lakehouse, name, 100)
    with monkeypatch.context() as patch:

        def killed(*_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

        patch.setattr(rollout, "set_state" if moved else "_keep_verdict", killed)
        with pytest.raises(KeyboardInterrupt):
            run(lakehouse, name)
    assert lakehouse.models.by_alias(MODEL, CHAMPION).number == (2 if moved else 1)
    run(lakehouse, name)
    assert lakehouse.models.by_alias(MODEL, CHAMPION).number == 2
    ended = state_of(lakehouse.models.version(MODEL, 2))
    assert ended is not None
    assert (ended.percentage, ended.ended) == (100, "it is champion")
    verdicts = rows_of(lakehouse, "verdicts", evaluation_id=f"rollout {name}")
    assert [verdict["outcome"] for verdict in verdicts] == ["promote"]
    assert previous_champion(2, verdicts).previous == 1


def test_the_last_stage_moves_no_alias_that_another_decision_has_moved(lakehouse: Lakehouse) -> None:
    """It says which, and what to do."""
    kept_decision(lakehouse, "overtaken at the end", 100)
    lakehouse.models.delete_alias(MODEL, CHAMPION)
    with pytest.raises(TaskError, match="the champion is none now: another decision came first"):
        run(lakehouse, "overtaken at the end")
    assert lakehouse.models.find_alias(MODEL, CHAMPION) is None


def test_the_endpoint_of_this_machine_keeps_its_answers_itself(lakehouse: Lakehouse) -> None:
    """There is no log to collect."""
    said: list[str] = []
    assert collect(replace(context_of(lakehouse, "collected"), say=said.append)).rows == 0
    assert said == ["the endpoint of this machine keeps its answers itself"]
