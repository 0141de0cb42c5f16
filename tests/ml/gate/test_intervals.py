"""The interval of each difference says what its rule says: it excludes the limit exactly where the rule calls it shown."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from ml.evaluation.comparison import Comparison
from ml.evaluation.record import Evaluation
from ml.gate.decision import decide
from ml.gate.intervals import JudgedDifference, judged_differences
from ml.spec.gate_policy import ARTICLE, DEFAULT_BINARY, Correction, GatePolicy
from tests.ml.gate.test_decision import BETTER, CHAMPION, EQUAL, POLICY, contender, evaluated
from tests.ml.gate.test_small_slices import carriers_with, reversed_on
from tests.ml.gate.test_small_slices import evaluated as on_carriers

OF_RULES = ("better", "better_than_constant", "guard_rails", "slices", "small_slices")


def agrees(one: JudgedDifference) -> bool:
    """Whether the interval excludes the limit exactly where the difference is shown to be beyond it."""
    if one.low is None or one.high is None:
        return True
    assert one.low <= one.difference <= one.high
    return bool((one.high < one.limit if one.fall else one.low > one.limit) == one.shown)


def drawn(evaluation: Evaluation, effects: list[float], trials: int) -> Evaluation:
    """The evaluation with the difference of each comparison replaced by one of so many standard errors, and its p-values."""
    found: list[Comparison] = []
    for place, one in enumerate(evaluation.comparisons):
        t = effects[place % len(effects)]
        difference, freedom = t * one.standard_error, one.degrees_of_freedom or math.inf
        better = float(stats.t.sf((difference - one.margin) / one.standard_error, freedom))
        worse = float(stats.t.cdf((difference + one.tolerance) / one.standard_error, freedom))
        found.append(replace(one, difference=difference, p_value=better, p_worse=worse))
    contenders = tuple(replace(one, trials_on_rows=trials) for one in evaluation.contenders)
    return replace(evaluation, comparisons=tuple(found), contenders=contenders)


MEASURED = evaluated(CHAMPION, BETTER, EQUAL)
BY_WINS: GatePolicy = replace(ARTICLE, minimum_rows=1, resamples=100)
WON = evaluated(CHAMPION, BETTER, EQUAL, policy=BY_WINS)


@given(
    effects=st.lists(st.floats(-6, 6), min_size=1, max_size=40), trials=st.integers(0, 3),
    correction=st.sampled_from(Correction),
)  # fmt: skip
def test_no_interval_contradicts_its_rule(effects: list[float], trials: int, correction: Correction) -> None:
    """Whatever the differences, the correction and the number of trials; the reasons of the gate say the same."""
    policy = replace(POLICY, correction=correction)
    evaluation = replace(drawn(MEASURED, effects, trials), policy_digest=policy.digest)
    verdict = decide(evaluation, policy)
    for version in (2, 3):
        found = judged_differences(evaluation, policy, version)
        assert [one for one in found if not agrees(one)] == []
        passed = {r.rule: r.passed for r in verdict.reasons if r.candidate == version and r.rule != "guard_rails"}
        for rule in ("better", "better_than_constant"):
            assert [one.shown for one in found if one.rule == rule] == [passed[rule]]
        assert passed["slices"] == (not any(one.shown for one in found if one.rule == "slices"))


def test_one_test_alone_has_the_interval_of_its_level() -> None:
    """The textbook's one-sided bounds: Student's quantile times the standard error, on either side."""
    policy = replace(POLICY, correction=Correction.NONE)
    evaluation = evaluated(CHAMPION, BETTER, policy=policy)
    one = next(d for d in judged_differences(evaluation, policy, 2) if d.rule == "better")
    made = next(
        c for c in evaluation.comparisons if c.metric == policy.metric and c.slice_key is None and c.against == 1
    )
    assert policy.alpha is not None
    reach = stats.t.ppf(1 - policy.alpha, made.degrees_of_freedom or math.inf) * made.standard_error
    assert (one.low, one.high) == pytest.approx((made.difference - reach, made.difference + reach))
    assert one.tests == 1


def test_the_smallest_of_several_p_values_has_bonferronis_interval() -> None:
    """Holm multiplies it by the number of tests, so its bound is at the level divided by that number."""
    carriers = np.random.default_rng(4).choice(np.array(["AA", "UA", "DL", "WN"], dtype=object), carriers_with().size)
    evaluation = on_carriers(carriers, reversed_on(carriers == "UA"))
    found = [one for one in judged_differences(evaluation, DEFAULT_BINARY, 2) if one.rule == "slices"]
    worst = found[0]
    assert (worst.slice_value, worst.shown, worst.tests) == ("UA", True, 4)
    made = next(c for c in evaluation.comparisons if c.slice_value == "UA" and c.metric == DEFAULT_BINARY.metric)
    quantile = stats.t.ppf(1 - DEFAULT_BINARY.slice_alpha / 4, made.degrees_of_freedom or math.inf)
    assert worst.high == pytest.approx(made.difference + quantile * made.standard_error, rel=1e-6)
    assert made.high != pytest.approx(worst.high)  # that of one test at 95%, which the record keeps


def test_every_rule_that_compares_is_there_and_slices_come_worst_first() -> None:
    """All rows, the constant, guard rails, slices, small slices, with what either version has."""
    carriers = carriers_with(YV=0.01, UA=0.4, HA=0.0005)
    found = judged_differences(on_carriers(carriers), DEFAULT_BINARY, 2)
    assert list(dict.fromkeys(one.rule for one in found if one.slice_key is None)) == list(OF_RULES[:3])
    assert {one.rule for one in found} == set(OF_RULES)
    slices = [one.difference for one in found if one.slice_key is not None]
    assert slices == sorted(slices)
    small = next(one for one in found if one.rule == "small_slices")
    assert (small.slice_value, small.candidate_value, small.tests) == ("YV", None, 1)
    assert "HA" not in {one.slice_value for one in found}  # four rows define no difference


def test_a_first_champion_is_compared_with_a_constant_alone() -> None:
    """The comparison that decides is that one, once."""
    evaluation = evaluated(BETTER, champion=None)
    found = judged_differences(evaluation, POLICY, 2)
    assert [(one.rule, one.against) for one in found] == [("better", None)]
    assert agrees(found[0])


@given(share=st.floats(0, 1), effect=st.floats(-4, 4))
def test_a_share_of_wins_has_an_interval_that_agrees(share: float, effect: float) -> None:
    """A policy without p-values, whose resamples need not look like Student's: a share is needed, higher for two candidates."""
    assume(effect > 0 or share < 0.5)  # nine of ten resamples do not win where the difference itself is none
    comparisons = tuple(
        replace(one, wins=round(share * one.resamples), difference=effect * one.standard_error)
        if one.metric == BY_WINS.metric and one.slice_key is None and one.against == 1
        else one
        for one in WON.comparisons
    )
    evaluation = replace(WON, comparisons=comparisons)
    verdict = decide(evaluation, BY_WINS)
    for version in (2, 3):
        found = judged_differences(evaluation, BY_WINS, version)
        assert [one for one in found if not agrees(one)] == []
        passed = {r.rule: r.passed for r in verdict.reasons if r.candidate == version}
        assert found[0].shown == passed["better"]


def test_what_was_not_compared_has_no_differences() -> None:
    """A candidate that does not count, and an evaluation for another policy."""
    failed = evaluated(CHAMPION, contender(2, None, failure="it raised"), EQUAL)
    assert judged_differences(failed, POLICY, 2) == ()
    assert judged_differences(MEASURED, replace(POLICY, alpha=0.01), 2) == ()
    with pytest.raises(KeyError, match="version 9"):
        judged_differences(MEASURED, POLICY, 9)
