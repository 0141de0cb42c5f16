"""A weight counts a row as often as it says: metrics and errors are those of as many copies that are one unit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from benchmarks.simulation.gate_test_sets import Setting, draw
from ml.gate.decision import decide
from ml.metrics.metric_table import METRICS, constant_scores, measure
from ml.metrics.quality_metrics import MetricError
from ml.metrics.standard_errors import delong, mean_error, paired_mean, roc_auc_error
from ml.spec.estimator import Problem
from ml.spec.gate_policy import DEFAULT_BINARY
from tests.ml.evaluation.test_evaluate_contenders import BETTER, CHAMPION, DRAWN, evaluated

NOT_BY_COPIES = {"expected_calibration_error", "rank_correlation_score", "median_absolute_error"}
"""Their bins, ranks and middles count rows before weights are looked at."""


@st.composite
def weighted_rows(draw: st.DrawFn) -> tuple[np.ndarray, ...]:
    """Labels, two models' scores with ties, whole weights, days."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.integers(12, 40))
    labels = (generator.random(size) < 0.4).astype(float)
    labels[:4] = 0.0, 0.0, 1.0, 1.0
    scores = generator.integers(1, draw(st.sampled_from([4, 1_000])), (2, size)) / 1_001
    return labels, *scores, generator.integers(1, 5, size).astype(float), generator.integers(0, 5, size)


@given(case=weighted_rows())
@settings(max_examples=60, deadline=None)
def test_metrics_and_errors_are_those_of_as_many_copies(case: tuple[np.ndarray, ...]) -> None:
    """Of one model, and of the difference of two, by row and by day."""
    labels, first, second, weights, days = case
    copies = np.repeat(np.arange(labels.size), weights.astype(int))
    for problem in Problem:
        whole, counted = measure(labels[copies], first[copies], problem), measure(labels, first, problem, weights)
        for name in set(whole) - NOT_BY_COPIES:
            assert counted[name] == pytest.approx(whole[name], abs=1e-12), name
    for groups in (np.arange(labels.size), days):
        if np.unique(groups).size < 2:
            continue
        pairs = (
            (delong(labels, first, second, groups=groups, weights=weights),
             delong(labels[copies], first[copies], second[copies], groups=groups[copies])),
            (paired_mean(first, second, groups=groups, weights=weights),
             paired_mean(first[copies], second[copies], groups=groups[copies])),
            (paired_mean(first, second, root=True, groups=groups, weights=weights),
             paired_mean(first[copies], second[copies], root=True, groups=groups[copies])),
        )  # fmt: skip
        for counted_difference, difference in pairs:
            assert counted_difference.value == pytest.approx(difference.value, abs=1e-12)
            assert counted_difference.standard_error == pytest.approx(difference.standard_error, abs=1e-9)
            assert counted_difference.degrees_of_freedom == pytest.approx(difference.degrees_of_freedom, rel=1e-9)
        errors = (
            (roc_auc_error(labels, first, groups, weights), roc_auc_error(labels[copies], first[copies], groups[copies])),
            (mean_error(first, groups, weights=weights), mean_error(first[copies], groups[copies])),
        )  # fmt: skip
        for with_weights, with_copies in errors:
            assert with_weights.standard_error == pytest.approx(with_copies.standard_error, abs=1e-9)


@given(case=weighted_rows(), factor=st.floats(0.01, 100))
@settings(max_examples=25, deadline=None)
def test_only_the_ratio_of_weights_matters(case: tuple[np.ndarray, ...], factor: float) -> None:
    """And equal weights are none."""
    labels, first, second, weights, _days = case
    for name, metric in METRICS.items():
        if (
            name == "median_absolute_error"
        ):  # where half of the weight lies exactly between two values, rounding decides
            continue
        assert metric.function(labels, first, factor * weights) == pytest.approx(
            metric.function(labels, first, weights), abs=1e-9
        ), name
        equal = metric.function(labels, first, np.full(labels.size, factor))
        assert equal == pytest.approx(metric.function(labels, first), abs=1e-9), name
    plain, equal_weights = (
        delong(labels, first, second, weights=counted) for counted in (None, np.full(labels.size, factor))
    )
    assert equal_weights.standard_error == pytest.approx(plain.standard_error, abs=1e-9)


def test_weighted_metrics_agree_with_scikit_learn() -> None:
    """Also with weights that are no whole numbers."""
    random = np.random.default_rng(4)
    labels, scores, weights = (random.random(500) < 0.3).astype(float), random.random(500).round(2), random.random(500)
    scores = np.clip(scores, 0.01, 0.99)
    found = measure(labels, scores, Problem.BINARY, weights)
    assert found["roc_auc_score"] == pytest.approx(oracle.roc_auc_score(labels, scores, sample_weight=weights))
    assert found["average_precision_score"] == pytest.approx(
        oracle.average_precision_score(labels, scores, sample_weight=weights)
    )
    assert found["log_loss"] == pytest.approx(oracle.log_loss(labels, scores, sample_weight=weights))
    assert measure(labels, scores, Problem.REGRESSION, weights)["r2_score"] == pytest.approx(
        oracle.r2_score(labels, scores, sample_weight=weights)
    )
    assert constant_scores(labels, METRICS["log_loss"], weights)[0] == pytest.approx(
        np.average(labels, weights=weights)
    )


@pytest.mark.parametrize("weight", [-1.0, np.nan, np.inf])
def test_what_is_no_weight_is_refused(weight: float) -> None:
    """A metric is not defined by it, whatever the other weights are."""
    labels, weights = np.array([0.0, 1.0, 1.0]), np.array([1.0, 1.0, weight])
    for name in ("roc_auc_score", "log_loss", "average_precision_score"):
        with pytest.raises(MetricError, match="weights are finite"):
            METRICS[name].function(labels, np.array([0.1, 0.2, 0.3]), weights)


def test_the_gate_counts_what_weighted_rows_are_worth() -> None:
    """A test set whose weight lies on few rows is as small as these; with equal weights nothing changes."""
    policy = DEFAULT_BINARY
    alike = evaluated(CHAMPION, BETTER, weights=np.ones(DRAWN.labels.size), weight_column="amount")
    plain = evaluated(CHAMPION, BETTER)
    assert [c.p_value for c in alike.comparisons] == pytest.approx([c.p_value for c in plain.comparisons])
    assert alike.weights is not None
    assert alike.weights.rows == pytest.approx(DRAWN.labels.size)
    few = np.where(np.arange(DRAWN.labels.size) < 300, 1.0, 1e-6)
    reasons = list(decide(evaluated(CHAMPION, BETTER, weights=few, weight_column="amount"), policy).failed)
    (rows,) = [r.sentence for r in reasons if r.rule == "weights" and "rows of equal" in r.sentence]
    assert rows == "weighted by amount, these are worth 300.0 rows of equal weight, at least 1000 are needed"


def test_a_candidate_that_is_better_where_weights_are_large_wins_by_weight_only() -> None:
    """The same scores, two verdicts."""
    drawn = draw(Setting(gains=(0.05,), rows=6_000, days=28, positive_share=0.3), np.random.default_rng(3))
    heavy = np.arange(6_000) % 4 == 0
    mixed = np.where(heavy, drawn.candidates[0], np.random.default_rng(1).permutation(drawn.champion))
    weights = np.where(heavy, 200.0, 1.0)
    plain, weighted = (
        delong(drawn.labels, mixed, drawn.champion, groups=drawn.times.dayofyear.to_numpy(), weights=counted)
        for counted in (None, weights)
    )
    assert plain.p_below(0.0) < 0.001
    assert weighted.p_above(0.0) < 0.05
