"""A challenger goes on only if everything passed, waits while something is not shown, and is returned by one fault."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.gate.verdict import Reason, Verdict
from ml.rollout.decision import RolloutDecision, RolloutEvidence, RolloutMove, ServedCounts, decide_rollout
from ml.spec.errors import DeclarationError
from ml.spec.rollout_policy import RolloutPolicy, RolloutWay
from tests.ml.gate.test_decision import BETTER, CHAMPION, EQUAL, POLICY, contender, evaluated, judged

CANARY = RolloutPolicy(way=RolloutWay.CANARY, shadow_first=True, minimum_answers=100)
POSITIVE = judged(CHAMPION, BETTER)
UNDECIDED = judged(CHAMPION, replace(EQUAL, version=2))
SOUND = RolloutEvidence(
    percentage=10,
    days=20,
    champion=ServedCounts(version=1, attempts=900, failures=0, seconds=0.004),
    challenger=ServedCounts(version=2, attempts=100, failures=0, seconds=0.004),
    score_distance=0.1,
    verdict=POSITIVE,
)


def decided(**changes: Any) -> RolloutDecision:
    """The decision on sound evidence, with changes."""
    return decide_rollout(replace(SOUND, **changes), CANARY)


def challenger(**changes: Any) -> ServedCounts:
    """What the challenger did, with changes."""
    return replace(SOUND.challenger, **changes)


@pytest.mark.parametrize(("percentage", "following"), [(0, 10), (10, 50), (50, 100)])
def test_a_challenger_that_passes_everything_goes_to_the_next_stage(percentage: int, following: int) -> None:
    """From the shadow to the last percentage, one at a time."""
    found = decided(percentage=percentage)
    assert (found.move, found.percentage, found.following) == (RolloutMove.ADVANCE, percentage, following)
    assert all(reason.passed for reason in found.reasons)
    assert ("is champion" in found.sentence) == (following == 100)


@pytest.mark.parametrize(
    ("changes", "rule", "said"),
    [
        ({"stopped": "asked by operations"}, "stopped", "asked by operations"),
        ({"overtaken": "version 3 is champion"}, "champion", "version 3 is champion"),
        ({"refused": "its files are torn"}, "loads", "its files are torn"),
        ({"challenger": challenger(attempts=300, failures=4)}, "errors", "4 of 300"),
        ({"challenger": challenger(attempts=5, failures=5)}, "errors", "5 of 5"),
        ({"challenger": challenger(seconds=0.021)}, "latency", "21.0 ms"),
        ({"score_distance": 0.31}, "score_drift", "0.310"),
        ({"verdict": UNDECIDED, "days": 60.5}, "time", "60.5 days"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_one_fault_returns_the_challenger_at_once_whatever_else_passes(changes: Any, rule: str, said: str) -> None:
    """Within one evaluation, by its own rule, and from every stage."""
    for percentage in (0, 10, 50):
        found = decided(percentage=percentage, **changes)
        assert (found.move, found.following, found.returning) == (RolloutMove.RETURN, 0, (rule,))
        assert said in found.sentence


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"verdict": None, "not_asked": "no label is due"}, "gate"),
        ({"verdict": UNDECIDED}, "gate"),
        ({"challenger": challenger(attempts=99)}, "answers"),
        ({"challenger": challenger(seconds=None)}, "latency"),
        ({"champion": replace(SOUND.champion, seconds=None)}, "latency"),
        ({"score_distance": None}, "score_drift"),
    ],
)
def test_what_is_not_shown_or_not_measured_waits(changes: Any, rule: str) -> None:
    """It neither goes on nor back."""
    found = decided(**changes)
    assert (found.move, found.following) == (RolloutMove.WAIT, 10)
    assert rule in {reason.rule for reason in found.reasons if not reason.passed}


def test_too_few_matured_requests_are_no_look_and_wait() -> None:
    """The gate says what is missing, of the evaluation as a whole."""
    few = replace(POLICY, minimum_rows=10_000)
    found = decided(verdict=judged(CHAMPION, BETTER, policy=few))
    assert (found.move, [r.rule for r in found.reasons if not r.passed]) == (RolloutMove.WAIT, ["rows"])


def test_a_challenger_that_breaks_a_rule_of_the_gate_is_returned_by_that_rule() -> None:
    """Here it takes a hundred times as long as the champion; what is merely not shown waits."""
    slow = contender(2, BETTER.scores, seconds_per_1000_rows=2.0)
    found = decided(verdict=judged(CHAMPION, slow))
    assert (found.move, found.returning) == (RolloutMove.RETURN, ("latency",))


def test_a_challenger_that_the_gate_shows_to_be_worse_is_returned() -> None:
    """By the same gate with the roles exchanged."""
    worse = contender(2, -CHAMPION.scores + 1)  # type: ignore[operator]  # scores are there
    forth = judged(
        CHAMPION, worse, policy=replace(POLICY, guard_rails=(), slice_tolerance=None, calibration_limit=None)
    )
    back = judged(CHAMPION, worse, champion=2)
    found = decided(verdict=forth, reversed_verdict=back)
    assert (found.move, found.returning) == (RolloutMove.RETURN, ("worse",))


REASONS = st.builds(
    Reason, rule=st.sampled_from(["counts", "better", "limit", "slices", "latency"]), candidate=st.sampled_from([None, 2]),
    passed=st.booleans(), value=st.none(), threshold=st.none(), sentence=st.just("so"),
)  # fmt: skip
VERDICTS = st.builds(
    Verdict, outcome=st.sampled_from(list(POSITIVE.outcome.__class__)), evaluation_id=st.just("e"),
    evaluation_digest=st.just("d"), policy=st.just("p"), champion=st.just(1), promoted=st.sampled_from([None, 2, 3]),
    challenger=st.none(), reasons=st.lists(REASONS, max_size=4).map(tuple),
)  # fmt: skip
COUNTS = st.builds(
    lambda version, attempts, failures, seconds: ServedCounts(
        version=version, attempts=attempts + failures, failures=failures, seconds=seconds
    ),
    st.just(2), st.integers(0, 300), st.integers(0, 20), st.sampled_from([None, 0.001, 0.5]),
)  # fmt: skip


@given(
    st.sampled_from([0, 10, 50]), st.floats(0, 100), COUNTS, st.sampled_from([None, 0.0, 0.9]),
    st.one_of(st.none(), VERDICTS), st.sampled_from(["", "stop"]),
)  # fmt: skip
def test_nothing_goes_on_past_a_failure(
    percentage: int, days: float, own: ServedCounts, distance: float | None, verdict: Verdict | None, stopped: str
) -> None:
    """Whatever the evidence: it goes on by one stage and with every reason passed, or it does not go on."""
    evidence = replace(
        SOUND, percentage=percentage, days=days, challenger=own, score_distance=distance, verdict=verdict, stopped=stopped
    )  # fmt: skip
    found = decide_rollout(evidence, CANARY)
    assert decide_rollout(evidence, CANARY) == found
    if found.move is RolloutMove.ADVANCE:
        assert all(reason.passed for reason in found.reasons if reason.rule != "time")
        assert verdict is not None
        assert verdict.promoted == 2
        assert (own.scored >= 100, own.seconds, distance, stopped) == (True, 0.001, 0.0, "")
        assert found.following == CANARY.following(percentage)
    elif found.move is RolloutMove.RETURN:
        assert found.following == 0
        assert found.returning
    else:
        assert found.following == percentage
        assert any(not reason.passed for reason in found.reasons)


def test_the_stages_are_as_declared() -> None:
    """Of each way."""
    assert RolloutPolicy().stages == (100,)
    assert RolloutPolicy(way=RolloutWay.SHADOW).stages == (0, 100)
    assert RolloutPolicy(way=RolloutWay.CANARY).stages == (10, 50, 100)
    assert CANARY.stages == (0, 10, 50, 100)
    assert CANARY.following(30) == 50  # a stage that is declared no more


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"percentages": (50, 10, 100)}, "increase and end at 100"),
        ({"percentages": (10, 50)}, "increase and end at 100"),
        ({"percentages": ()}, "increase and end at 100"),
        ({"percentages": (0, 100)}, "whole numbers from 1 to 100"),
        ({"percentages": (10.5, 100)}, "a whole number"),
        ({"way": "cannary"}, "canary"),
        ({"way": RolloutWay.SHADOW, "shadow_first": True}, "shadow_first is for a canary"),
        ({"most_errors": 0.0}, "most_errors is 0.0; give more than 0"),
        ({"latency_ratio": 0.5}, "give 1 or more"),
    ],
)
def test_a_wrong_rollout_is_refused_in_one_sentence(changes: Any, said: str) -> None:
    """What is wrong, and what is allowed."""
    with pytest.raises(DeclarationError) as caught:
        RolloutPolicy(**{"way": RolloutWay.CANARY, **changes})
    assert said in str(caught.value)
    assert str(caught.value).startswith("rollout: ")
    assert "\n" not in str(caught.value)


def test_an_evaluation_of_a_look_is_judged_by_the_gate_of_that_look() -> None:
    """An evaluation that was measured for the whole level is refused by the policy of a look: it is another policy."""
    from ml.gate.decision import decide
    from ml.rollout.looks import policy_of_look

    first = policy_of_look(POLICY, 1)
    assert "policy" in {reason.rule for reason in decide(evaluated(CHAMPION, BETTER), first).failed}
    assert judged(CHAMPION, BETTER, policy=first).promoted == 2
