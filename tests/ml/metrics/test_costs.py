"""The decision that follows from declared costs is the cheapest, and the cost of a request is the money that is lost."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import costs as benchmark
from benchmarks.simulation.gate_test_sets import Setting
from ml.estimation.expected_cost import expected_cost
from ml.gate.decision import decide
from ml.gate.verdict import Outcome
from ml.metrics.metric_table import cost_metric, measure, metric
from ml.metrics.quality_metrics import MetricError
from ml.metrics.standard_errors import paired_mean
from ml.spec.costs import COST_PER_REQUEST, Costs
from ml.spec.estimator import Problem
from ml.spec.gate_policy import LEAST_COST
from tests.ml.gate.test_decision import BETTER, CHAMPION, DRAWN, EQUAL, evaluated

PRICES = Costs(false_positive=1.0, false_negative=4.0)
POLICY = replace(LEAST_COST, calibration_limit=None)
AMOUNTS = st.floats(0.01, 1_000)


@given(false_positive=AMOUNTS, false_negative=AMOUNTS, benefit=AMOUNTS, probability=st.floats(0, 1))
@settings(max_examples=200, deadline=None)
def test_the_threshold_is_where_acting_costs_as_much_as_not_acting(
    false_positive: float, false_negative: float, benefit: float, probability: float
) -> None:
    """Money counted as it is spent and earned: the decision by the threshold is never dearer than the other."""
    costs = Costs(false_positive=false_positive, false_negative=false_negative, benefit=benefit)
    acting = (1 - probability) * false_positive - probability * benefit
    waiting = probability * false_negative
    decided = acting if probability >= costs.threshold else waiting
    assert decided <= min(acting, waiting) + 1e-9 * (false_positive + false_negative + benefit)


def test_the_difference_of_two_models_is_that_of_the_money() -> None:
    """A benefit counts where it is missed, so a perfect model costs nothing and differences are those of the accounts."""
    costs = Costs(false_positive=1.0, false_negative=4.0, benefit=3.0)
    labels, money = DRAWN.labels, []
    for scores in (DRAWN.champion, DRAWN.candidates[0]):
        acts = scores >= 1 / 8
        spent = np.where(acts, np.where(labels == 1, -3.0, 1.0), np.where(labels == 1, 4.0, 0.0))
        money.append(spent.mean())
    found = cost_metric(costs)
    values = [found.function(labels, scores) for scores in (DRAWN.champion, DRAWN.candidates[0])]
    assert values[0] - values[1] == pytest.approx(money[0] - money[1])
    assert found.function(labels, labels) == found.perfect == 0.0


def test_there_is_no_cost_without_costs() -> None:
    """Its direction is known, its value is not, and a use case without costs does not have it."""
    assert COST_PER_REQUEST not in measure(DRAWN.labels, DRAWN.champion, Problem.BINARY)
    assert metric(COST_PER_REQUEST).sign == -1
    with pytest.raises(MetricError, match="declare them"):
        metric(COST_PER_REQUEST).function(DRAWN.labels, DRAWN.champion)


def test_the_gate_promotes_what_costs_less_and_keeps_what_does_not() -> None:
    """By the standard error with days as units; the verdict names the costs."""
    better, equal = (
        decide(evaluated(CHAMPION, one, policy=POLICY, costs=PRICES), POLICY, PRICES) for one in (BETTER, EQUAL)
    )
    assert (better.promoted, equal.outcome) == (2, Outcome.KEEP)
    assert "act from a probability of 0.2 on" in next(r.sentence for r in better.reasons if r.rule == "costs")
    losses = cost_metric(PRICES).row_loss
    assert losses is not None
    days = DRAWN.times.dayofyear.to_numpy()
    rows = losses(DRAWN.labels, DRAWN.champion), losses(DRAWN.labels, DRAWN.candidates[0])
    compared = evaluated(CHAMPION, BETTER, policy=POLICY, costs=PRICES).comparisons
    (found,) = [c for c in compared if (c.metric, c.against, c.slice_key) == (COST_PER_REQUEST, 1, None)]
    assert found.difference == pytest.approx(rows[0].mean() - rows[1].mean())
    assert found.standard_error == pytest.approx(paired_mean(*rows, groups=days).standard_error)


def test_a_miscalibrated_model_with_the_better_order_costs_more() -> None:
    """What ROC AUC does not see the money does: the threshold is a probability."""
    shifted = replace(BETTER, scores=np.sqrt(np.asarray(BETTER.scores)))
    found = evaluated(CHAMPION, shifted, policy=POLICY, costs=PRICES).contenders
    assert found[1].metrics["roc_auc_score"] > found[0].metrics["roc_auc_score"]
    assert found[1].metrics[COST_PER_REQUEST] > found[0].metrics[COST_PER_REQUEST]


def test_an_evaluation_for_other_costs_is_refused() -> None:
    """Measured without any, with others, or decided without."""
    measured = evaluated(CHAMPION, BETTER, policy=POLICY, costs=PRICES)
    for declared in (None, replace(PRICES, false_negative=5.0)):
        verdict = decide(measured, POLICY, declared)
        assert verdict.outcome is Outcome.REFUSE
        assert [reason.rule for reason in verdict.failed] == ["costs"]


def test_the_expected_cost_is_what_drawn_labels_cost() -> None:
    """Over many drawings of labels with the probabilities, which are right."""
    random = np.random.default_rng(2)
    scores = random.beta(2, 5, 2_000)
    drawn = [cost_metric(PRICES).function((random.random(2_000) < scores).astype(float), scores) for _ in range(300)]
    stated = expected_cost(scores, scores, PRICES, Problem.BINARY)
    assert stated.value == pytest.approx(np.mean(drawn), abs=4 * np.std(drawn) / np.sqrt(300))


def test_equal_models_are_seldom_found_cheaper() -> None:
    """A small share of ``python -m benchmarks costs``: where the lower limit of the rate lies."""
    rate = benchmark.found_cheaper(Setting(rows=2_000), PRICES, sets=150, seed=5)
    assert rate.interval()[0] <= 0.035
    assert benchmark.found_cheaper(Setting(rows=2_000, gains=(0.08,)), PRICES, sets=40, seed=5).share > 0.5
