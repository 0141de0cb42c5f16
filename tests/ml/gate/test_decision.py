"""The gate closes: every bad candidate is refused with the right reason, and an honest better model passes."""

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from benchmarks.simulation.gate_test_sets import Setting, draw
from ml.evaluation.contender import Contender
from ml.evaluation.evaluate_contenders import evaluate, keys_digest
from ml.evaluation.record import Evaluation, RecordError
from ml.gate.case import by_how_much, corrected
from ml.gate.decision import decide
from ml.gate.rules import RULES
from ml.gate.verdict import Outcome, Verdict
from ml.spec.estimator import Problem
from ml.spec.gate_policy import (
    ARTICLE,
    ARTICLE_UNPAIRED,
    DEFAULT_BINARY,
    DEFAULT_REGRESSION,
    NON_INFERIOR_BINARY,
    Correction,
    GatePolicy,
    Method,
)

DRAWN = draw(Setting(gains=(0.04, 0.0), rows=8_000, days=28, slices=4, positive_share=0.2), np.random.default_rng(2))
BEFORE = DRAWN.times.min() - pd.Timedelta(hours=1)
KEYS = [str(number) for number in range(8_000)]
POLICY = replace(DEFAULT_BINARY, limit=0.6)


def contender(version: int, scores: np.ndarray | None, **changes: Any) -> Contender:
    """A valid contender, with changes."""
    sound = Contender(
        version=version,
        estimator="logistic_regression",
        scores=scores,
        trained_until=BEFORE,
        overlap_rows=0,
        seconds_per_1000_rows=0.02,
    )
    return replace(sound, **changes)


CHAMPION = contender(1, DRAWN.champion)
BETTER = contender(2, DRAWN.candidates[0])
EQUAL = contender(3, DRAWN.candidates[1])


def evaluated(
    *contenders: Contender, champion: int | None = 1, policy: GatePolicy = POLICY, **changes: Any
) -> Evaluation:
    """Evaluate on the drawn rows, with changes."""
    arguments = {
        "evaluation_id": "2020-02",
        "model": "flight_delay",
        "labels": DRAWN.labels,
        "times": DRAWN.times,
        "keys": KEYS,
        "slices": {"origin": DRAWN.slices},
        "problem": Problem.BINARY,
        "seed": 5,
    }
    return evaluate(contenders=contenders, champion=champion, policy=policy, **{**arguments, **changes})


def judged(*contenders: Contender, policy: GatePolicy = POLICY, **changes: Any) -> Verdict:
    """Evaluate and decide."""
    return decide(evaluated(*contenders, policy=policy, **changes), policy)


def broken_rules(verdict: Verdict, version: int) -> set[str]:
    """The names of the rules that this candidate broke."""
    return {reason.rule for reason in verdict.failed if reason.candidate == version}


def test_an_honest_better_model_is_promoted() -> None:
    """Every rule was applied to it and none is broken."""
    verdict = judged(CHAMPION, BETTER)
    assert (verdict.outcome, verdict.promoted, verdict.challenger) == (Outcome.PROMOTE, 2, 2)
    assert verdict.failed == ()
    assert {reason.rule for reason in verdict.reasons if reason.candidate == 2} == set(RULES)
    assert verdict.sentence.startswith("promote version 2 instead of version 1: version 2 has roc_auc_score 0.7")


def test_an_equal_model_keeps_the_champion() -> None:
    """The verdict is keep, with the p-value; the candidate becomes the challenger."""
    verdict = judged(CHAMPION, EQUAL)
    assert (verdict.outcome, verdict.promoted, verdict.challenger) == (Outcome.KEEP, None, 3)
    assert broken_rules(verdict, 3) == {"better"}
    assert verdict.sentence.startswith("keep: version 1 stays champion; version 3 has roc_auc_score")


def test_a_sentence_says_that_its_interval_is_of_one_comparison_where_its_p_is_of_several() -> None:
    """Of a p-value that was corrected for two candidates, an interval that was not must not be read as the test."""
    (one,) = (r.sentence for r in judged(CHAMPION, BETTER).reasons if r.rule == "better")
    several = [r.sentence for r in judged(CHAMPION, BETTER, EQUAL).reasons if r.rule == "better"]
    assert "95% from" in one
    assert "95% of this comparison alone from" in several[0]


def regressed_on_a_slice() -> np.ndarray:
    """Much better nearly everywhere, and far worse than the champion on one slice."""
    noise = np.random.default_rng(0).normal(size=8_000)
    evidence = np.where(DRAWN.slices == "3", 1.5 * noise, 0.8 * (DRAWN.labels - 0.2))
    return special.expit(special.logit(BETTER.scores) + evidence)


def shifted(by: float) -> np.ndarray:
    """The same order, other probabilities."""
    return special.expit(special.logit(BETTER.scores) + by)


def shuffled() -> np.ndarray:
    """The scores of a model that was trained on shuffled labels."""
    return np.random.default_rng(0).permutation(BETTER.scores)


def leaked(noise: float) -> np.ndarray:
    """The scores of a model that has seen the label."""
    return special.expit(6 * (DRAWN.labels - 0.5) + noise * np.random.default_rng(0).normal(size=8_000))


MUTANTS = {
    "constant": ({"scores": np.full(8_000, 0.2)}, {}, "counts", "every score is 0.2"),
    "shuffled labels": ({"scores": shuffled()}, {}, "better_than_constant", "better than a constant prediction with p"),
    "leaked label": ({"scores": leaked(0.5)}, {}, "plausible", "looks like a leaked label"),
    "partly leaked label": ({"scores": leaked(2.0)}, {}, "plausible_gain", "looks like a leaked label"),
    "trained on evaluation rows": ({"overlap_rows": 3}, {}, "counts", "3 rows of the evaluation were in its training"),
    "NaN scores": ({"scores": np.where(DRAWN.labels == 1, np.nan, 0.5)}, {}, "counts", "NaN or infinite"),
    "probabilities out of range": ({"scores": BETTER.scores * 2}, {}, "counts", "not from 0 to 1"),
    "hard labels": ({"scores": (BETTER.scores > 0.3).astype(float)}, {}, "counts", "hard labels"),
    "wrong signature": (
        {"scores": None, "failure": "columns the model does not know: x"},
        {},
        "counts",
        "does not know",
    ),
    "missing feature": ({"scores": None, "failure": "missing columns: humidity"}, {}, "counts", "missing columns"),
    "regressed slice": ({"scores": regressed_on_a_slice()}, {}, "slices", "worse on origin = 3"),
    "regressed small slice": (
        {"scores": regressed_on_a_slice()},
        {"minimum_slice_rows": 2_400},
        "small_slices",
        "worse on 1 small slice: origin = 3",
    ),
    "much slower": (
        {"seconds_per_1000_rows": 0.21},
        {},
        "latency",
        "takes 0.2100 s for 1,000 rows, 0.2000 s is allowed",
    ),
    "of unknown speed": ({"seconds_per_1000_rows": None}, {}, "latency", "was not measured"),
    "miscalibrated": ({"scores": shifted(1.5)}, {}, "calibration", "standard deviations of the label"),
    "worse log loss": ({"scores": shifted(2.5)}, {}, "guard_rails", "log_loss is worse by 0."),
    "scored other rows": ({"scored_keys": keys_digest(KEYS[::-1])}, {}, "counts", "scored on other rows"),
    "trained on later rows": ({"trained_until": DRAWN.times[5_000]}, {}, "counts", "not later than"),
    "below the absolute limit": ({}, {"limit": 0.95}, "limit", "the limit is 0.95"),
    "not better": ({"scores": EQUAL.scores}, {}, "better", "at most 0.025 is needed"),
}


def test_every_rule_has_a_mutant_that_breaks_it() -> None:
    """A rule without a mutant fails here, by name."""
    assert {rule for _, _, rule, _ in MUTANTS.values()} == set(RULES)


@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_a_mutant_is_not_promoted_and_the_right_rule_gives_the_reason(name: str) -> None:
    """Each bad candidate breaks its rule, with a sentence that names what is wrong."""
    changes, demands, rule, message = MUTANTS[name]
    policy = replace(POLICY, **demands)
    verdict = judged(CHAMPION, replace(BETTER, **changes), policy=policy)
    assert verdict.outcome is not Outcome.PROMOTE
    assert verdict.promoted is None
    assert rule in broken_rules(verdict, 2)
    assert any(message in reason.sentence for reason in verdict.failed if reason.rule == rule)


@pytest.mark.parametrize("name", sorted(set(MUTANTS) - {"not better", "shuffled labels"}))
def test_a_mutant_that_looks_better_or_does_not_count_is_a_refusal(name: str) -> None:
    """A person should look, so the outcome is refuse and not keep."""
    changes, demands, _, _ = MUTANTS[name]
    policy = replace(POLICY, **demands)
    assert judged(CHAMPION, replace(BETTER, **changes), policy=policy).outcome is Outcome.REFUSE


@pytest.mark.parametrize("name", ["regressed slice", "much slower", "miscalibrated", "leaked label"])
def test_only_the_rule_in_question_stops_a_mutant(name: str) -> None:
    """With that rule switched off it passes, so no other rule stopped it."""
    changes, _, rule, _ = MUTANTS[name]
    switches = {
        "slices": {"slice_tolerance": None},
        "latency": {"latency_ratio": None},
        "calibration": {"calibration_limit": None, "guard_rails": ()},
        "plausible": {"maximum_skill": None, "maximum_skill_gain": None},
    }
    policy = replace(POLICY, **switches[rule])
    assert judged(CHAMPION, replace(BETTER, **changes), policy=policy).promoted == 2


def test_too_few_rows_positives_or_days_are_refused() -> None:
    """The reason names each with its count; no candidate is judged."""
    rows = slice(0, 600)
    few = {"labels": DRAWN.labels[rows], "times": DRAWN.times[rows], "keys": KEYS[rows], "slices": {}}
    contenders = [replace(c, scores=c.scores[rows]) for c in (CHAMPION, BETTER)]
    verdict = judged(*contenders, policy=replace(POLICY, minimum_positives=200), **few)
    assert verdict.outcome is Outcome.REFUSE
    assert {reason.rule for reason in verdict.failed} == {"rows", "positives", "days"}
    assert "600 rows, at least 1000 are needed" in verdict.sentence
    assert verdict.sentence.endswith(
        "; to have enough, evaluate 7 times as many days (evaluation_days), or have the policy ask for less (minimum_rows, "
        "minimum_positives, minimum_days, minimum_dependent_days where a day may depend on the day before)."
    )
    assert verdict.challenger is None


def test_an_incomplete_evaluation_is_refused() -> None:
    """A champion that cannot be loaded is not replaced for that."""
    verdict = judged(replace(CHAMPION, scores=None, failure="OSError: no such file"), BETTER)
    assert verdict.outcome is Outcome.REFUSE
    assert "champion version 1 does not count: it could not be scored: OSError" in verdict.sentence


def test_a_tampered_record_is_refused_before_it_is_decided_on() -> None:
    """A p-value edited in storage never reaches the gate."""
    stored = json.loads(evaluated(CHAMPION, EQUAL).to_json())
    for comparison in stored["evaluation"]["comparisons"]:
        comparison["p_value"] = 0.0
    with pytest.raises(RecordError, match="was changed after it was written"):
        Evaluation.from_json(json.dumps(stored))


def test_a_record_measured_for_another_policy_is_refused() -> None:
    """A margin or a method other than the measured one would make its p-values meaningless."""
    evaluation = evaluated(CHAMPION, BETTER)
    verdict = decide(evaluation, replace(POLICY, margin=-0.01))
    assert verdict.outcome is Outcome.REFUSE
    assert [reason.rule for reason in verdict.failed] == ["policy"]


def test_no_candidate_keeps_the_champion() -> None:
    """The verdict states that there is no candidate."""
    verdict = judged(CHAMPION)
    assert (verdict.outcome, verdict.challenger) == (Outcome.KEEP, None)
    assert verdict.sentence == "keep: version 1 stays champion; there is no candidate."


def test_the_first_model_ever_has_to_beat_a_constant() -> None:
    """Without a champion the floors decide: a useful model is promoted, noise is kept out."""
    first = judged(BETTER, champion=None)
    assert (first.outcome, first.promoted) == (Outcome.PROMOTE, 2)
    assert "as the first champion" in first.sentence
    noise = judged(replace(BETTER, scores=shuffled()), champion=None)
    assert noise.outcome is Outcome.KEEP
    assert "there is still no champion" in noise.sentence
    assert {"better", "better_than_constant", "limit"} <= broken_rules(noise, 2)


def test_a_first_model_that_is_miscalibrated_or_leaked_is_refused() -> None:
    """The rules that need no champion hold for the first model too."""
    for name, rule in (("miscalibrated", "calibration"), ("leaked label", "plausible")):
        verdict = judged(replace(BETTER, **MUTANTS[name][0]), champion=None)
        assert verdict.outcome is Outcome.REFUSE
        assert rule in broken_rules(verdict, 2)


def test_of_several_better_candidates_the_best_is_promoted() -> None:
    """Whatever their order; the others' reasons are kept."""
    best = contender(4, special.expit(special.logit(BETTER.scores) + 0.6 * (DRAWN.labels - 0.2)))
    for order in ((CHAMPION, BETTER, best), (best, BETTER, CHAMPION)):
        verdict = judged(*order)
        assert verdict.promoted == 4
        assert {reason.candidate for reason in verdict.reasons} == {None, 2, 4}


def test_when_the_best_breaks_a_rule_the_next_may_pass() -> None:
    """A faster, slightly worse candidate that is better than the champion is promoted instead."""
    best = contender(
        4, special.expit(special.logit(BETTER.scores) + 0.6 * (DRAWN.labels - 0.2)), seconds_per_1000_rows=9.0
    )
    verdict = judged(CHAMPION, BETTER, best)
    assert (verdict.outcome, verdict.promoted) == (Outcome.PROMOTE, 2)
    assert broken_rules(verdict, 4) == {"latency"}


def test_a_failing_candidate_does_not_stop_an_honest_one() -> None:
    """Its failure is among the reasons."""
    verdict = judged(CHAMPION, BETTER, contender(4, None, failure="ValueError: broken"))
    assert verdict.promoted == 2
    assert broken_rules(verdict, 4) == {"counts"}


def test_the_level_is_shared_among_all_candidates_that_were_tried() -> None:
    """With nine more candidates, one of which does not count, the same p-value is ten times as large."""
    others = [contender(10 + n, np.random.default_rng(n).random(8_000)) for n in range(8)]
    alone = judged(CHAMPION, BETTER)
    among = judged(CHAMPION, BETTER, *others, contender(30, None, failure="broken"))
    p_values = [
        next(r.value for r in verdict.reasons if r.candidate == 2 and r.rule == "better") for verdict in (alone, among)
    ]
    assert p_values[1] == pytest.approx(10 * p_values[0])


def test_the_articles_rule_counts_wins() -> None:
    """Promoted on at least 90 of 100 resamples; a share corrected for several candidates is higher."""
    verdict = judged(CHAMPION, BETTER, policy=ARTICLE)
    reason = next(r for r in verdict.reasons if r.rule == "better")
    assert verdict.promoted == 2
    assert (reason.value >= 0.9, reason.threshold) == (True, pytest.approx(0.9))
    assert "of 100 resamples, 90.0% are needed" in reason.sentence
    both = judged(CHAMPION, BETTER, EQUAL, policy=replace(ARTICLE, correction=Correction.BONFERRONI))
    assert next(r for r in both.reasons if r.rule == "better").threshold == pytest.approx(0.95)


@pytest.mark.parametrize(("wins", "outcome"), [(89, Outcome.KEEP), (90, Outcome.PROMOTE)])
def test_the_articles_rule_closes_below_ninety_wins(wins: int, outcome: Outcome) -> None:
    """Eighty-nine of a hundred is not enough, ninety is."""
    found = evaluated(CHAMPION, BETTER, policy=ARTICLE)
    counted = tuple(replace(c, wins=wins) if c.against == 1 else c for c in found.comparisons)
    assert decide(replace(found, comparisons=counted), ARTICLE).outcome is outcome


def test_pairing_finds_a_gain_that_the_articles_code_misses() -> None:
    """The same small gain on the same rows: paired it wins nearly always, unpaired far less often."""
    small = draw(Setting(gains=(0.012,), correlation=0.95, slices=1), np.random.default_rng(3))
    contenders = [contender(1, small.champion), contender(2, small.candidates[0])]
    rows = {"labels": small.labels, "times": small.times, "keys": KEYS[:5_000], "slices": {}}
    shares = [
        next(r.value for r in judged(*contenders, policy=policy, **rows).reasons if r.rule == "better")
        for policy in (ARTICLE, ARTICLE_UNPAIRED)
    ]
    assert shares[0] > 0.95
    assert shares[1] < shares[0] - 0.05


def test_a_non_inferior_candidate_passes_and_an_inferior_one_does_not() -> None:
    """Slightly worse is accepted within the margin, much worse is not."""
    policy = replace(NON_INFERIOR_BINARY, margin=-0.02, method=Method.ANALYTIC)
    generator = np.random.default_rng(0)

    def noisy(spread: float) -> np.ndarray:
        return special.expit(special.logit(CHAMPION.scores) + spread * generator.normal(size=8_000))

    assert judged(CHAMPION, contender(2, noisy(0.1)), policy=policy).promoted == 2
    verdict = judged(CHAMPION, contender(2, noisy(1.5)), policy=policy)
    assert verdict.outcome is Outcome.KEEP
    assert "worse by less than 0.02" in verdict.sentence


@given(difference=st.floats(-2, 2))
def test_a_difference_is_told_in_its_direction_and_without_a_sign(difference: float) -> None:
    """Nobody reads "better by -0.09"; the number is the same whichever way it goes."""
    said = by_how_much(difference)
    assert re.fullmatch(r"(better|worse) by \d+\.\d{4}", said)
    assert (said.startswith("worse"), said.split()[-1]) == (difference < 0, f"{abs(difference):.4f}")


@pytest.mark.parametrize("margin", [-0.02, 0.0, 0.02])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("logits", [0.0, 2.5])
def test_no_sentence_counts_a_fall_as_a_negative_gain(margin: float, *, turned: bool, logits: float) -> None:
    """Of better, worse and miscalibrated candidates, with a margin of either sign, on large slices and on a small one."""
    scores = 1 - shifted(logits) if turned else shifted(logits)
    slices = {"origin": np.where(np.arange(8_000) < 60, "TINY", DRAWN.slices)}
    policy = replace(POLICY, margin=margin, maximum_skill_gain=0.5)
    verdict = judged(CHAMPION, replace(BETTER, scores=scores), policy=policy, slices=slices)
    for reason in verdict.reasons:
        assert not re.search(r"\b(by|than|goes|further|less far) [-+\u2212]", reason.sentence), reason.sentence
    rails = [reason.sentence for reason in verdict.reasons if reason.rule == "guard_rails"]
    assert rails
    assert all(re.search(r" is (better|worse) by \d", sentence) for sentence in rails)


def test_a_miscalibrated_champion_does_not_block_every_candidate() -> None:
    """After a change of season all are miscalibrated; a candidate may exceed the champion by the allowance."""
    late = replace(CHAMPION, scores=special.expit(special.logit(CHAMPION.scores) + 1.5))
    verdict = judged(late, replace(BETTER, scores=shifted(1.4)))
    assert verdict.promoted == 2


def regression(candidate_noise: float) -> tuple[np.ndarray, list[Contender]]:
    """Champion and candidate of a regression, in minutes."""
    generator = np.random.default_rng(1)
    truth = generator.normal(10, 30, 8_000)
    shared = truth + generator.normal(0, 20, 8_000)
    return truth, [
        contender(1, shared + generator.normal(0, 8, 8_000)),
        contender(2, shared + generator.normal(0, candidate_noise, 8_000)),
    ]


@pytest.mark.parametrize(
    "policy",
    [
        DEFAULT_REGRESSION,
        replace(DEFAULT_REGRESSION, method=Method.ANALYTIC),
        replace(DEFAULT_REGRESSION, method=Method.PAIRED_BOOTSTRAP, resamples=200),
        replace(DEFAULT_REGRESSION, method=Method.DAY_BOOTSTRAP, resamples=200),
        replace(DEFAULT_REGRESSION, metric="root_mean_squared_error", guard_rails=()),
    ],
    ids=lambda policy: f"{policy.metric}-{policy.method}",
)
def test_a_regression_goes_through_the_same_gate(policy: GatePolicy) -> None:
    """Smaller errors are better: a sharper candidate is promoted, an equal one and a blunter one are not."""
    outcomes = []
    for noise in (1, 8, 15):
        truth, contenders = regression(noise)
        verdict = judged(*contenders, policy=policy, labels=truth, problem=Problem.REGRESSION)
        outcomes.append(verdict.outcome)
    assert outcomes == [Outcome.PROMOTE, Outcome.KEEP, Outcome.KEEP]


def test_a_verdict_survives_json() -> None:
    """With every reason and a sentence for the table."""
    for verdict in (judged(CHAMPION, BETTER), judged(CHAMPION, EQUAL, contender(4, None, failure="broken"))):
        assert Verdict.from_json(verdict.to_json()) == verdict
        assert json.loads(verdict.to_json())["sentence"] == verdict.sentence


@pytest.mark.parametrize("text", ["", "null", "{}", "[1]", '{"sentence": "", "reasons": [], "outcome": "promote"}'])
def test_a_text_that_is_not_a_verdict_is_refused(text: str) -> None:
    """An empty, truncated or foreign text."""
    with pytest.raises(ValueError, match="this is not a stored verdict"):
        Verdict.from_json(text)


def test_a_verdict_names_the_evaluation_it_was_decided_on() -> None:
    """By its digest, so that promotion can check the stored one."""
    evaluation = evaluated(CHAMPION, BETTER)
    assert decide(evaluation, POLICY).evaluation_digest == Evaluation.from_json(evaluation.to_json()).digest


@given(p_values=st.lists(st.floats(0, 1), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_holm_is_between_no_correction_and_bonferroni(p_values: list[float]) -> None:
    """And keeps the order of the p-values."""
    none, holm, bonferroni = (corrected(p_values, c) for c in (Correction.NONE, Correction.HOLM, Correction.BONFERRONI))
    assert none == p_values
    assert all(n <= h <= b for n, h, b in zip(none, holm, bonferroni, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(np.array(holm)[order]) >= 0).all()
    assert min(holm) == pytest.approx(min(bonferroni))


def test_holm_equals_a_worked_example() -> None:
    """Holm's steps on four p-values, by hand: 4 x 0.01, 3 x 0.02, then 2 x 0.03 and 0.04, never falling."""
    assert corrected([0.04, 0.01, 0.03, 0.02], Correction.HOLM) == pytest.approx([0.06, 0.04, 0.06, 0.06])
