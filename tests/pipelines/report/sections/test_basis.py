"""What a decision opens is what was recorded with it, for each kind of target, with and without a champion."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml.evaluation.contender import Contender
from ml.evaluation.evaluate_contenders import evaluate
from ml.evaluation.record import Evaluation
from ml.gate.basis import DECIDES, NO_CHAMPION, NOT_STORED, basis
from ml.gate.decision import decide
from ml.gate.verdict import Verdict
from ml.spec.costs import Costs, ErrorCosts
from ml.spec.estimator import Problem
from ml.spec.gate_policy import GatePolicy, policy
from ml.spec.metric_names import METRIC_NAMES
from ml.spec.target import MultiClass, Target
from pipelines.report.page import render
from pipelines.report.records import EnvironmentRecords, Row, Version
from pipelines.report.sections.slice_plot import slice_plot
from tests.pipelines.report.test_page import JULY, Page, prod, report, verdict_row

ROWS = 4_200
START = pd.Timestamp("2024-01-01", tz="UTC")
CLASSES = MultiClass(classes=("early", "on_time", "late"))
RAW = sorted(
    {name for names in METRIC_NAMES.values() for name in names if name.endswith("_score")}
    | {"log_loss", "cost_per_request_loss", "mean_absolute_error"}
)
"""Names that people do not write like this."""
TARGETS: dict[str, tuple[Target, ErrorCosts | None]] = {
    "classification": (Problem.BINARY, None),
    "several classes": (CLASSES, None),
    "regression": (Problem.REGRESSION, None),
    "costs": (Problem.BINARY, Costs(false_positive=1, false_negative=4, unit="EUR")),
}


def labels_and_scores(problem: Target, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, and the scores of a champion and of a better candidate."""
    random = np.random.default_rng(seed)
    if problem is Problem.REGRESSION:
        truth = random.normal(10, 4, ROWS)
        return truth, truth + random.normal(0, 4, ROWS), truth + random.normal(0, 2, ROWS)
    if problem is Problem.BINARY:
        truth = random.binomial(1, 0.3, ROWS).astype(float)
        return truth, *(
            1 / (1 + np.exp(-(0.5 * spread * (truth - 0.5) * 2 + random.normal(0, 1, ROWS)))) for spread in (1, 2)
        )
    truth = random.choice(3, ROWS).astype(float)
    own = np.eye(3)[truth.astype(int)]
    both = (np.exp(spread * own + random.normal(0, 1, (ROWS, 3))) for spread in (0.7, 1.6))
    return truth, *(scores / scores.sum(axis=1, keepdims=True) for scores in both)


def evaluated(kind: str, *, champion: int | None = 1, **more: Any) -> tuple[Evaluation, GatePolicy]:
    """Champion 1 and candidate 2 on 28 days, with a large slice on each half and a small one."""
    problem, costs = TARGETS[kind]
    gate = replace(policy("default", problem), slice_tolerance=0.02, latency_ratio=None, **more)
    if costs is not None:
        gate = replace(gate, metric="cost_per_request_loss")
    truth, theirs, own = labels_and_scores(problem, 3)
    contenders = [
        Contender(
            version=number, estimator="x", scores=scores, trained_until=START - pd.Timedelta(days=1), overlap_rows=0
        )
        for number, scores in ((1, theirs), (2, own))
        if number != 1 or champion
    ]
    where = np.where(np.arange(ROWS) % 40 == 0, "small", np.where(np.arange(ROWS) % 2 == 0, "north", "south"))
    found = evaluate(
        evaluation_id="e", model="m", labels=truth, champion=champion, problem=problem, policy=gate, seed=0,
        times=pd.Series(START + pd.to_timedelta(np.arange(ROWS) // 150, unit="D")),
        keys=[str(number) for number in range(ROWS)], slices={"where": where.astype(object)}, contenders=contenders,
        costs=costs,
    )  # fmt: skip
    return found, gate


def shown(kind: str, **more: Any) -> tuple[Any, Verdict, GatePolicy]:
    """What the decision about candidate 2 opens."""
    evaluation, gate = evaluated(kind, **more)
    verdict = decide(evaluation, gate, evaluation.costs)
    reasons = [one for one in verdict.reasons if one.candidate == 2]
    return basis(Evaluation.from_json(evaluation.to_json()), 2, reasons, gate), verdict, gate


@pytest.mark.parametrize("kind", TARGETS)
def test_a_decision_opens_each_comparison_with_its_corrected_interval_and_its_slices(kind: str) -> None:
    """Values, difference, interval and limit; the interval leaves out the limit if, and only if, the rule was met."""
    found, verdict, _ = shown(kind)
    decides = next(one for one in found.comparisons if one.role == DECIDES)
    reason = next(one for one in verdict.reasons if one.candidate == 2 and one.rule == "better")
    assert (decides.passed, decides.interval.p_value) == (reason.passed, reason.value)
    assert decides.interval.level == reason.threshold
    assert (decides.interval.low > decides.limit) == reason.passed
    assert {one.name for one in found.slices} == {"where = north", "where = south", "where = small"}
    assert all(one.difference is not None for one in found.slices if one.judged != "too small")
    assert all(one.interval and one.limit is not None for one in found.slices if one.judged == "alone")


@pytest.mark.parametrize("kind", TARGETS)
def test_a_first_promotion_opens_a_constant_and_slices_that_were_not_judged(kind: str) -> None:
    """One sentence says so."""
    found, _, _ = shown(kind, champion=None)
    assert NO_CHAMPION in found.without
    assert all(one.against is None for one in found.comparisons)
    assert {one.judged for one in found.slices} == {"no champion"}
    assert {one.difference for one in found.slices} == {None}
    assert slice_plot(found.slices, name="x", metric="y") == ""


def test_a_decision_without_its_evaluation_says_so() -> None:
    """And opens no table."""
    assert basis(None, 2, (), policy("default", Problem.BINARY)).without == (NOT_STORED,)


def test_the_level_is_that_of_the_decision_and_not_that_of_a_policy_that_came_later() -> None:
    """Rules that were not recorded are not made up from the present policy."""
    evaluation, gate = evaluated("classification")
    reasons = [one for one in decide(evaluation, gate).reasons if one.candidate == 2]
    then, now = (basis(evaluation, 2, reasons, one) for one in (gate, replace(gate, alpha=0.2, small_slice_alpha=0.2)))
    levels = [[one.interval.level for one in found.comparisons] for found in (then, now)]
    assert levels[0] == levels[1]
    small = [
        [one.interval.together for one in found.slices if one.judged.startswith("too small")] for found in (then, now)
    ]
    assert small[0]
    assert small[1] == [1] * len(small[1])


def with_verdict(evaluation: Evaluation, verdict: Verdict) -> EnvironmentRecords:
    """Return an environment with the verdict of an evaluation."""
    row: Row = verdict_row(
        JULY, verdict.outcome.value, evaluation="e", reasons=verdict.reasons, promoted=verdict.promoted,
        champion=verdict.champion, sentence=verdict.sentence,
    )  # fmt: skip
    stored = ({"evaluation_id": "e", "evaluation": evaluation.to_json()},)
    return prod(verdicts=(row,), evaluations=stored, retrainings=(), versions=(Version(number=2, aliases=(), tags={}),))


def decision_page(kind: str) -> str:
    """A report with the verdict about candidate 2."""
    evaluation, gate = evaluated(kind)
    environment = with_verdict(evaluation, decide(evaluation, gate, evaluation.costs))
    return render(report(environment, policy=gate, problem=TARGETS[kind][0], costs=evaluation.costs))


@pytest.mark.parametrize("kind", TARGETS)
def test_the_page_shows_what_a_decision_was_based_on_once(kind: str) -> None:
    """With its comparisons, slices and plot, no table twice, and no metric under its raw name in a sentence."""
    html = decision_page(kind)
    opened = html.split('class="basis"')[1].split("</details>")[0]
    assert opened.count("what it was compared with") == opened.count("the worst first") == 1
    assert opened.count("<svg") == 1
    text = Page(html).text
    assert [name for name in RAW if re.search(rf"\b{name}\b", text)] == []
    assert re.search(r"\d95%|95%|for all \d together", text)
