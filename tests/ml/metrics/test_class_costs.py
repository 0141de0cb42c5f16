"""Costs of errors of several classes: the decision is the cheapest, by brute force, and two classes are a case of it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks import classes as benchmark
from benchmarks.simulation.class_streams import ClassSetting
from ml.estimation.expected_cost import expected_cost
from ml.estimation.metric_estimates import estimates, learn
from ml.evaluation.record import Evaluation
from ml.gate.decision import decide
from ml.gate.verdict import Outcome
from ml.metrics.clusters import Units
from ml.metrics.decision_costs import cheapest, decided, expected_costs, of_each_class, row_costs
from ml.metrics.metric_table import constant_scores, cost_metric, measure, metric
from ml.metrics.standard_errors import mean_error, paired_mean
from ml.models.importance import ImportanceRows, permutation_importance
from ml.monitoring.window_metrics import value_with_error
from ml.spec.costs import COST_PER_REQUEST, ClassCosts, Costs, loss_table
from ml.spec.estimator import Problem
from ml.spec.gate_policy import policy
from ml.spec.target import MultiClass
from tests.ml.gate import test_several_classes as several

Floats = NDArray[np.float64]

CLASSES = several.CLASSES
PRICES = ClassCosts(
    amounts={
        "early": {"early": 1.0, "on_time": 2.0, "late": 9.0},
        "on_time": {"early": 3.0, "late": 1.0},
        "late": {"early": 4.0, "on_time": 2.0},
    },
    unit="EUR",
)
POLICY = replace(policy("least_cost", CLASSES), latency_ratio=None, maximum_skill_gain=None)
AMOUNTS = st.floats(0.01, 1_000)


def drawn(seed: int, rows: int = 400) -> tuple[Floats, Floats]:
    """Labels, and probabilities that know something of them."""
    labels = np.random.default_rng(seed).choice(3, rows, p=[0.2, 0.3, 0.5]).astype(np.float64)
    return labels, several.scores(labels, 0.9, seed)


def spent(true: float, chosen: int) -> float:
    """What one decision cost, as declared."""
    return PRICES.amounts[CLASSES.classes[int(true)]][CLASSES.classes[chosen]]


def test_no_other_decision_is_expected_to_cost_less() -> None:
    """Every decision about every row, with the declared amounts."""
    _, scores = drawn(1)
    for probabilities, chosen in zip(scores, decided(scores, PRICES, CLASSES), strict=True):
        costs = [sum(p * spent(true, one) for true, p in enumerate(probabilities)) for one in range(3)]
        assert costs[chosen] == pytest.approx(min(costs))
    assert len(set(decided(scores, PRICES, CLASSES))) == 3


def test_the_cost_of_a_request_is_the_mean_of_what_is_lost() -> None:
    """Row by row, with weights and without; of two models the difference is that of the money that was spent."""
    labels, scores = drawn(1)
    others = several.scores(labels, 0.6, 9)
    weights = np.random.default_rng(3).integers(0, 4, labels.size).astype(np.float64)
    found = cost_metric(PRICES, CLASSES)
    for counted in (None, weights):
        losses, money = [], []
        for one in (scores, others):
            paid = np.array([spent(t, d) for t, d in zip(labels, decided(one, PRICES, CLASSES), strict=True)])
            least = np.array([min(spent(t, d) for d in range(3)) for t in labels])
            losses.append(np.average(paid - least, weights=counted))
            money.append(np.average(paid, weights=counted))
            assert found.function(labels, one, counted) == pytest.approx(losses[-1])
        assert losses[0] - losses[1] == pytest.approx(money[0] - money[1])
    sure = np.eye(3)[labels.astype(int)]
    assert found.function(labels, sure) == found.perfect == 0.0


def test_equal_costs_of_all_errors_decide_for_the_most_probable_class() -> None:
    """And the cost is the share of errors."""
    labels, scores = drawn(2)
    alike = ClassCosts(amounts={a: {b: 1.0 for b in CLASSES.classes if b != a} for a in CLASSES.classes})
    assert (decided(scores, alike, CLASSES) == scores.argmax(axis=1)).all()
    measured = measure(labels, scores, CLASSES, None, alike)
    assert measured[COST_PER_REQUEST] == pytest.approx(measured["zero_one_loss"])


@given(false_positive=AMOUNTS, false_negative=AMOUNTS, benefit=AMOUNTS, seed=st.integers(0, 99))
def test_two_classes_are_a_case_of_several(
    false_positive: float, false_negative: float, benefit: float, seed: int
) -> None:
    """The cheapest decision by the table is to act from the threshold on, also at it; what it costs is the same."""
    costs = Costs(false_positive=false_positive, false_negative=false_negative, benefit=benefit)
    random = np.random.default_rng(seed)
    scores = np.concatenate([random.random(50), [costs.threshold, 0.0, 1.0]])
    labels = (random.random(53) < 0.5).astype(np.float64)
    chosen = cheapest(expected_costs(scores, costs, Problem.BINARY))
    assert (chosen == (scores >= costs.threshold)).all()
    assert (chosen == decided(scores, costs, Problem.BINARY)).all()
    missed, in_vain = (labels == 1) & (chosen == 0), (labels == 0) & (chosen == 1)
    by_hand = missed * (false_negative + benefit) + in_vain * false_positive
    assert row_costs(labels, scores, costs, Problem.BINARY) == pytest.approx(by_hand)


def test_a_class_that_is_never_there_changes_nothing_of_two() -> None:
    """The same two decisions, declared of three classes whose last one has no probability and is dear to decide for."""
    two = Costs(false_positive=1.0, false_negative=4.0)
    three = ClassCosts(amounts={"a": {"b": 1.0, "c": 50.0}, "b": {"a": 4.0, "c": 50.0}, "c": {"a": 1.0, "b": 1.0}})
    classes = MultiClass(classes=("a", "b", "c"))
    scores = np.append(np.random.default_rng(5).random(300), two.threshold)
    labels = (np.arange(301) % 2).astype(np.float64)
    several_scores = np.column_stack([of_each_class(scores), np.zeros(301)])
    assert (decided(several_scores, three, classes) == decided(scores, two, Problem.BINARY)).all()
    units = Units(days=np.arange(301) % 14)
    (value, error), (same, again) = (
        value_with_error(metric(COST_PER_REQUEST, problem, costs), labels, made, units)
        for problem, costs, made in ((Problem.BINARY, two, scores), (classes, three, several_scores))
    )
    assert value == same
    assert error == again


def test_of_decisions_that_cost_alike_the_last_declared_one_is_taken() -> None:
    """Also where rounding makes a difference of them, as at the threshold of two."""
    alike = ClassCosts(amounts={a: {b: 1.0 for b in CLASSES.classes if b != a} for a in CLASSES.classes})
    scores = np.array([[0.4, 0.4, 0.2], [0.1 + 0.2, 0.3, 0.4], [1 / 3, 1 / 3, 1 / 3], [0.45, 0.45 - 1e-12, 0.1]])
    assert decided(scores, alike, CLASSES).tolist() == [1, 2, 2, 1]
    assert decided(np.empty((0, 3)), alike, CLASSES).tolist() == []


def test_a_constant_prediction_takes_the_constant_decision_that_costs_least() -> None:
    """Of the three that there are; with weights the least by weight."""
    labels, _ = drawn(4)
    found = cost_metric(PRICES, CLASSES)
    for weights in (None, np.where(labels == 0, 8.0, 1.0)):
        constant = found.function(labels, constant_scores(labels, found, weights), weights)
        table = np.array(loss_table(PRICES, CLASSES))
        assert constant == pytest.approx(
            min(np.average(table[labels.astype(int), d], weights=weights) for d in range(3))
        )


def test_the_standard_error_is_that_of_a_mean_by_days_and_entities() -> None:
    """As of every mean of a loss."""
    labels, scores = drawn(1)
    random = np.random.default_rng(6)
    units = Units(days=np.arange(400) // 20, entities={"shop": random.integers(0, 25, 400)}, day_memory=0.5)
    found = metric(COST_PER_REQUEST, CLASSES, PRICES)
    _, error = value_with_error(found, labels, scores, units)
    assert error == mean_error(row_costs(labels, scores, PRICES, CLASSES), units)
    assert error is not None
    assert error.standard_error > 0


def evaluated(champion: Floats, candidate: Floats, labels: Floats) -> Evaluation:
    """Measured for the policy that judges money."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(several, "POLICY", POLICY)
        return several.evaluation(champion, candidate, labels, costs=PRICES)


def test_the_gate_promotes_what_costs_less_and_keeps_what_does_not() -> None:
    """With days and shops as units; the verdict names the costs, and the record keeps them."""
    labels = several.labels_of()
    found = evaluated(several.scores(labels, 0.8, 1), several.scores(labels, 1.3, 2), labels)
    verdict = decide(found, POLICY, PRICES)
    assert verdict.outcome is Outcome.PROMOTE, verdict.sentence
    assert PRICES.sentence in [reason.sentence for reason in verdict.reasons if reason.rule == "costs"]
    assert {r.metric for r in POLICY.guard_rails} == {"log_loss", "macro_roc_auc_score"}
    again = Evaluation.from_json(found.to_json())
    assert again == found
    assert again.costs == PRICES
    units = Units(
        days=np.arange(several.ROWS) // 150,
        entities={"shop": np.unique(several.shops(), return_inverse=True)[1].astype(np.int64)},
    )
    losses = [row_costs(labels, several.scores(labels, d, s), PRICES, CLASSES) for d, s in ((0.8, 1), (1.3, 2))]
    expected = paired_mean(losses[0], losses[1], groups=units)
    (compared,) = [c for c in found.comparisons if (c.against, c.metric, c.slice_key) == (1, COST_PER_REQUEST, None)]
    assert compared.difference == pytest.approx(expected.value)
    assert compared.standard_error == pytest.approx(expected.standard_error)
    equal = evaluated(several.scores(labels, 0.8, 1), several.scores(labels, 0.8, 2), labels)
    assert decide(equal, POLICY, PRICES).outcome is Outcome.KEEP


def test_an_evaluation_for_other_costs_is_refused() -> None:
    """One amount is another, or none are declared."""
    labels = several.labels_of()
    found = evaluated(several.scores(labels, 0.8, 1), several.scores(labels, 1.3, 2), labels)
    dearer = {**PRICES.amounts, "late": {"early": 4.5, "on_time": 2.0}}
    for declared in (None, replace(PRICES, amounts=dearer)):
        assert [reason.rule for reason in decide(found, POLICY, declared).failed] == ["costs"]


def test_a_model_that_cannot_tell_the_dear_errors_is_kept_out_whatever_its_order() -> None:
    """Its probabilities are drawn to the middle: every ROC AUC stays, the decisions cost more."""
    labels = several.labels_of()
    sound = several.scores(labels, 0.9, 1)
    odds = 0.15 * np.log(sound)
    flat = np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)
    found = [measure(labels, one, CLASSES, None, PRICES) for one in (sound, flat)]
    assert found[1]["macro_roc_auc_score"] > found[0]["macro_roc_auc_score"] - 0.01
    assert found[1][COST_PER_REQUEST] > 1.1 * found[0][COST_PER_REQUEST]


def test_the_expected_cost_is_what_drawn_labels_cost() -> None:
    """Over many drawings of labels by the probabilities, which are right; so is the error, with that of the rows in it."""
    _, scores = drawn(2, rows=2_000)
    random, found = np.random.default_rng(7), cost_metric(PRICES, CLASSES)
    costs = []
    for _ in range(300):
        labels = np.minimum((scores.cumsum(axis=1) < random.random((2_000, 1))).sum(axis=1), 2).astype(np.float64)
        costs.append(found.function(labels, scores))
    stated = expected_cost(scores, scores, PRICES, CLASSES)
    assert stated.value == pytest.approx(np.mean(costs), abs=4 * np.std(costs) / np.sqrt(300))
    assert 0.9 * np.std(costs) < stated.standard_error < 1.3 * np.std(costs)
    drawn_costs = [  # What each row costs if each class is true, and how likely that is.
        (chance, loss_table(PRICES, CLASSES)[true][chosen])
        for row, chosen in zip(scores, decided(scores, PRICES, CLASSES), strict=True)
        for true, chance in enumerate(row)
    ]
    spread = sum(chance * (cost - stated.value) ** 2 for chance, cost in drawn_costs) / len(scores)
    assert stated.standard_error == pytest.approx(np.sqrt(spread / len(scores)))
    assert np.isnan(expected_cost(np.empty((0, 3)), np.empty((0, 3)), PRICES, CLASSES).value)


def test_the_expected_cost_of_two_classes_is_that_of_a_binary_problem() -> None:
    """The same function, by the threshold or by the table; given labels it is the realised cost."""
    two = Costs(false_positive=1.0, false_negative=4.0)
    random = np.random.default_rng(8)
    scores, labels = random.random(500), (random.random(500) < 0.4).astype(np.float64)
    weights = random.random(500)
    realised = expected_cost(scores, labels, two, Problem.BINARY, weights)
    assert realised.value == pytest.approx(cost_metric(two).function(labels, scores, weights))
    acts = scores >= two.threshold
    by_hand = np.where(acts, (1 - scores) * 1.0, scores * 4.0)
    assert expected_cost(scores, scores, two, Problem.BINARY).value == pytest.approx(by_hand.mean())


def test_the_cost_is_estimated_before_labels_arrive() -> None:
    """Learned on rows with labels; on others it comes close to what is realised, and its error is known."""
    (labels, scores), (later, probabilities) = drawn(1, 8_000), drawn(2, 8_000)
    learned = learn(CLASSES, pd.DataFrame(), scores, labels, numeric=(), categorical=(), costs=PRICES)
    half = np.where(np.arange(8_000) % 2 == 0, later, np.nan)
    units = Units(days=np.arange(8_000) % 28)
    found = {
        one.metric: one for one in estimates(learned, pd.DataFrame(index=range(8_000)), probabilities, half, units)
    }
    realised = measure(later, probabilities, CLASSES, None, PRICES)[COST_PER_REQUEST]
    assert found[COST_PER_REQUEST].estimated == pytest.approx(realised, rel=0.05)
    assert abs(found[COST_PER_REQUEST].error) < 4 * found[COST_PER_REQUEST].standard_error
    weights = np.where(later == 2, 3.0, 1.0)
    weighted = estimates(learned, pd.DataFrame(index=range(8_000)), probabilities, half, units, weights)
    beliefs = learned.beliefs(pd.DataFrame(), probabilities)
    by_row = (beliefs @ np.array(loss_table(PRICES, CLASSES)))[range(8_000), decided(probabilities, PRICES, CLASSES)]
    (cost,) = [one for one in weighted if one.metric == COST_PER_REQUEST]
    assert cost.estimated == pytest.approx(np.average(by_row, weights=weights))
    assert cost.estimated != pytest.approx(found[COST_PER_REQUEST].estimated, rel=0.01)


def test_the_importance_of_an_input_is_what_decisions_cost_more_without_it() -> None:
    """The one that the model reads; the other costs nothing."""
    labels, scores = drawn(3)

    class Reader:
        """Predicts the probabilities that its rows name by their number."""

        feature_names_in_ = ("number", "noise")
        classes_ = (0, 1, 2)

        def predict_proba(self, rows: pd.DataFrame) -> Floats:
            return scores[rows["number"].to_numpy(int)]

    inputs = pd.DataFrame({"number": np.arange(400.0), "noise": np.zeros(400)})
    rows = ImportanceRows(inputs=inputs, labels=labels, units=Units(days=np.arange(400) // 20))
    judged = metric(COST_PER_REQUEST, CLASSES, PRICES)
    first, second = permutation_importance(Reader(), rows, problem=CLASSES, measured=judged, seed=0)
    assert (first.input, second.input, second.importance) == ("number", "noise", 0.0)
    assert first.standard_error is not None
    assert first.importance > 3 * first.standard_error > 0


def test_equal_models_are_seldom_found_cheaper() -> None:
    """A small share of ``python -m benchmarks classes``: where the lower limit of the rate lies."""
    judged = [name for name in benchmark.METRICS if name.startswith("cost per request")]
    levels = benchmark.found_better(ClassSetting(rows=1_500), sets=120, seed=5)
    powers = benchmark.found_better(ClassSetting(rows=1_500, gain=0.3), sets=30, seed=5)
    assert len(judged) == 3
    for name in judged:
        assert levels[name].interval()[0] <= 0.035, name
        assert powers[name].share > 0.5, name
