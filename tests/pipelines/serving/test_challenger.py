"""During a rollout an endpoint divides requests by their keys, keeps the other version's scores, and fails none."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.rollout.routing import is_challengers
from pipelines.declarations.answers import answers_beside, failures_beside
from pipelines.declarations.asset import Layer, Table, column, key
from pipelines.lakehouse.registry.rollout_state import RolloutState
from pipelines.serving.answering import Answering
from pipelines.serving.journal import Journal, carry
from pipelines.serving.rollout_keeping import RolloutKeeping
from pipelines.serving.rollouts import FollowedRollout, ServedRollout
from pipelines.serving.shadow import Shadow, ShadowLot
from pipelines.serving.versions import Followed, Loaded
from tests.pipelines.scoring.declared_trips import FUNCTION, NOON

PREDICTIONS = Table(
    use_case="trips", layer=Layer.INFERENCE, name="predictions", comment="predictions",
    columns=(
        key("request_key"), key("alias"), key("model_version", "bigint"), key("prediction_at", "timestamp"),
        key("score", "double"), column("place_mean", "double"), column("decision", "boolean"),
    ),
    primary_key=("request_key", "alias"),
)  # fmt: skip
ALONE = replace(
    FUNCTION, lookups=(), numeric=("hour", "alone"), categorical=("origin",), kept=("hour", "alone", "origin")
)
"""Without look-ups: no store is asked."""
STATE = RolloutState(rollout_id="r1", version=2, champion=1, percentage=50, since=NOON)


class Constant:
    """Scores every request alike, or fails on one of them."""

    feature_names_in_ = ("hour", "alone", "origin")
    classes_ = (0, 1)

    def __init__(self, score: float, fails_at: str = "", seconds: float = 0.0) -> None:
        self.score, self.fails_at, self.seconds = score, fails_at, seconds

    def predict_proba(self, rows: Any) -> Any:
        """The same for each row."""
        time.sleep(self.seconds)
        if self.fails_at in list(rows["origin"]):
            raise ArithmeticError("no such place")
        return [[1 - self.score, self.score]] * len(rows)


class Rollouts:
    """A registry in memory: the rollout that goes on, and how its challenger loads."""

    def __init__(self) -> None:
        self.state: RolloutState | None = STATE
        self.model: Any = Constant(0.75)
        self.function = ALONE
        self.is_away = False
        self.loads = 0

    def rollout(self) -> RolloutState | None:
        """The rollout that goes on."""
        if self.is_away:
            raise ConnectionError("the registry is away")
        return self.state

    def current(self) -> int | None:
        """The champion."""
        return 1

    def load(self, number: int) -> Loaded:
        """A version; the champion scores 0.25."""
        self.loads += 1
        if self.model is None and number == 2:
            raise ValueError("its files are torn")
        chosen = Constant(0.25) if number == 1 else self.model
        return Loaded(
            number=number, function=ALONE if number == 1 else self.function, model=chosen, how="the estimator itself"
        )


class Trial:
    """What answers, and what it keeps."""

    def __init__(self, folder: Path) -> None:
        self.registry = Rollouts()
        self.asked = 0
        self.refused: list[str] = []
        self.said: list[str] = []
        champion = Followed(self.registry, self.said.append)
        assert champion.look()
        answers, failures = Journal(folder / "answers"), Journal(folder / "failures")
        self.journals = {"answers": answers, "failures": failures}
        self.followed = FollowedRollout(
            self.registry, champion, self.said.append, sticky_by=(), refused=lambda _, why: self.refused.append(why)
        )
        table = answers_beside(PREDICTIONS)
        self.rollouts = RolloutKeeping(
            self.followed, store="", answers=(table, answers), failures=(failures_beside(PREDICTIONS), failures)
        )
        self.answering = Answering(champion, store="", table=table, journal=answers, rollouts=self.rollouts)
        self.rollouts.shadow.start()

    def ask(self, *keys: str, origin: str = "a") -> dict[str, int]:
        """Which version answers each request of one body."""
        rows = [{"trip": one, "asked_at": NOON, "origin": origin, "line": 1, "people": 1} for one in keys]
        self.asked += 1
        (answer,) = self.answering([(f"body{self.asked}", pa.Table.from_pylist(rows, schema=ALONE.schema()))])
        found = answer.to_pylist()
        assert [row["request_key"] for row in found] == list(keys), "in the order of the requests"
        assert all(row["score"] == (0.75 if row["model_version"] == 2 else 0.25) for row in found)
        return {row["request_key"]: row["model_version"] for row in found}

    def kept(self, name: str) -> list[dict[str, Any]]:
        """What was written, the shadow's included."""
        self.rollouts.shadow.stop(10)
        found: list[dict[str, Any]] = []
        self.journals[name].close_segment()
        carry(self.journals[name], lambda rows, _: found.extend(rows.to_pylist()))
        return found


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    """A rollout at 50%."""
    found = Trial(tmp_path)
    found.followed.look()
    yield found
    found.rollouts.shadow.stop(10)


KEYS = [f"t{number}" for number in range(40)]


def test_each_request_is_answered_by_the_version_of_its_key_and_scored_by_the_other(trial: Trial) -> None:
    """Both scores are kept with the stage; the shadow's names the answer to the same request."""
    answered = trial.ask(*KEYS)
    assert answered == {one: 2 if is_challengers([one], salt="r1", percentage=50) else 1 for one in KEYS}
    assert set(answered.values()) == {1, 2}
    assert trial.ask(*reversed(KEYS)) == dict(reversed(answered.items()))
    rows = trial.kept("answers")
    answers = {row["answer_id"]: row for row in rows if row["shadow_of"] is None}
    shadows = [row for row in rows if row["shadow_of"] is not None]
    assert len(shadows) == len(rows) / 2
    for row in shadows:
        answer = answers[row["shadow_of"]]
        assert {row["model_version"], answer["model_version"]} == {1, 2}
        assert row["request_key"] == answer["request_key"]
    assert {(row["rollout_id"], row["rollout_percentage"]) for row in rows} == {("r1", 50)}
    assert all(row["seconds"] > 0 for row in rows)
    assert trial.kept("failures") == []


def test_a_shadow_scores_everything_and_answers_nothing(trial: Trial) -> None:
    """At 0%."""
    trial.registry.state = replace(STATE, percentage=0)
    trial.followed.look()
    assert set(trial.ask(*KEYS).values()) == {1}
    shadows = [row for row in trial.kept("answers") if row["shadow_of"] is not None]
    assert [(row["request_key"], row["model_version"], row["score"]) for row in shadows] == [
        (one, 2, 0.75) for one in KEYS
    ]


@pytest.mark.parametrize("percentage", [0, 50])
def test_what_the_challenger_cannot_score_the_champion_answers_and_the_failure_is_kept(
    trial: Trial, percentage: int
) -> None:
    """Whether it was to answer or only to score."""
    trial.registry.state = replace(STATE, percentage=percentage, version=2, rollout_id="r2")
    trial.registry.model = Constant(0.75, fails_at="storm")
    trial.followed._current = None
    trial.followed.look()
    assert set(trial.ask(*KEYS, origin="storm").values()) == {1}
    failures = trial.kept("failures")
    assert {row["model_version"] for row in failures} == {2}
    assert sorted(row["request_key"] for row in failures) == sorted(KEYS), "each is tried once"
    assert all("no such place" in row["message"] for row in failures)
    assert all(row["shadow_of"] is None for row in trial.kept("answers"))


def test_a_slow_shadow_delays_no_answer_and_leaves_out_what_it_cannot_take() -> None:
    """The queue is bounded; what was left out is counted."""
    going, kept = threading.Event(), []
    lot = ShadowLot(ids=["a/0", "a/1"], requests=pa.table({"x": [1, 2]}), features=[], scorer=None, rollout=STATE)  # type: ignore[arg-type]  # no scorer is asked

    def keep(one: ShadowLot, _: Any) -> None:
        going.wait(10)
        kept.append(one)

    shadow = Shadow(store="", keep=keep, failed=lambda *_: None, most_waiting=2)
    shadow.start()
    for _ in range(10):
        shadow.offer(lot)
    going.set()
    shadow.stop(10)
    assert len(kept) + shadow.left_out / 2 == 10
    assert shadow.left_out >= 2 * 7


def test_a_challenger_that_cannot_be_taken_answers_nothing_and_why_is_noted_once(trial: Trial) -> None:
    """Torn files, or requests with other columns than the champion's."""
    for changes, why in (
        ({"model": None}, "its files are torn"),
        ({"function": replace(ALONE, request=ALONE.request[:-1])}, "takes requests with other columns than version 1"),
    ):
        trial.registry = Rollouts()
        vars(trial.registry).update(changes)
        trial.followed._source = trial.registry
        trial.registry.state = replace(STATE, rollout_id=why)
        trial.followed._current = None
        trial.followed.look()
        trial.followed.look()
        assert trial.followed.current is None
        assert trial.registry.loads == 1
        assert set(trial.ask(*KEYS).values()) == {1}
    assert [why in said for why, said in zip(("torn", "other columns"), trial.refused, strict=True)] == [True, True]


def test_the_endpoint_follows_the_registry_and_goes_on_where_it_is_away(trial: Trial) -> None:
    """A stage is taken without loading again; a rollout that is over leaves the champion alone."""
    loads = trial.registry.loads
    trial.registry.state = replace(STATE, percentage=100)
    assert trial.followed.look()
    assert set(trial.ask(*KEYS).values()) == {2}
    assert trial.registry.loads == loads
    trial.registry.is_away = True
    assert not trial.followed.look()
    assert set(trial.ask(*KEYS).values()) == {2}
    trial.registry.is_away = False
    trial.registry.state = None
    assert trial.followed.look()
    assert set(trial.ask(*KEYS).values()) == {1}
    assert json.dumps(trial.said).count("is over here") == 1


@given(
    st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=30, unique=True),
    st.integers(0, 100),
    st.integers(0, 100),
)
@settings(max_examples=50)
def test_requests_keep_their_version_as_the_percentage_grows(keys: list[str], one: int, other: int) -> None:
    """By the columns that the use case names, here two."""
    rows = pa.table({"trip": keys, "origin": [text[:1] for text in keys]})
    small, large = (
        ServedRollout(state=replace(STATE, percentage=p), challenger=None, sticky_by=("origin",)).divided(rows)  # type: ignore[arg-type]  # no challenger is asked
        for p in sorted((one, other))
    )
    assert all(before <= after for before, after in zip(small, large, strict=True))
    by_origin = {origin: {chosen for o, chosen in zip(rows["origin"].to_pylist(), large, strict=True) if o == origin}
                 for origin in rows["origin"].to_pylist()}  # fmt: skip
    assert all(len(chosen) == 1 for chosen in by_origin.values())
