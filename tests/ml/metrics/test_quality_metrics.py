"""Metrics agree with scikit-learn, say their direction in their name, and are clear where rows do not define them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats
from sklearn import metrics as oracle

from ml.metrics.metric_table import METRICS, constant_scores, measure, metric, names
from ml.metrics.quality_metrics import MetricError, calibration_curve, roc_auc_score, skill
from ml.spec.estimator import Problem

ORACLES = {
    "roc_auc_score": oracle.roc_auc_score,
    "average_precision_score": oracle.average_precision_score,
    "log_loss": lambda labels, scores: oracle.log_loss(labels, scores, labels=[0, 1]),
    "brier_loss": oracle.brier_score_loss,
    "mean_absolute_error": oracle.mean_absolute_error,
    "median_absolute_error": oracle.median_absolute_error,
    "root_mean_squared_error": oracle.root_mean_squared_error,
    "r2_score": oracle.r2_score,
    "rank_correlation_score": lambda labels, scores: stats.spearmanr(labels, scores).statistic,
    "bias_error": lambda labels, scores: abs(np.mean(scores) - np.mean(labels)),
}
WITHOUT_ORACLE = {"expected_calibration_error"}


@st.composite
def labelled(draw: st.DrawFn, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a problem, scores often tied, labels never of one kind only."""
    size = draw(st.integers(4, 60))
    scores = draw(arrays.arrays(np.float64, size, elements=st.integers(1, 19).map(lambda n: n / 20)))
    if problem is Problem.BINARY:
        labels = draw(arrays.arrays(np.float64, size, elements=st.sampled_from([0.0, 1.0])))
        labels[:2] = 0.0, 1.0
    else:
        labels = draw(arrays.arrays(np.float64, size, elements=st.integers(-50, 50).map(float)))
        labels[:2] = -51.0, 51.0
    scores[:2] = 0.0125, 0.9875
    return labels, scores


def test_every_metric_has_an_oracle() -> None:
    """A metric without an oracle fails here, by name."""
    assert set(ORACLES) | WITHOUT_ORACLE == set(METRICS)


@pytest.mark.parametrize("name", sorted(ORACLES))
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_metric_equals_the_known_implementation(name: str, data: st.DataObject) -> None:
    """On generated rows with ties every metric equals scikit-learn's or scipy's."""
    problem = sorted(METRICS[name].problems)[0]
    labels, scores = data.draw(labelled(problem))
    assert METRICS[name].function(labels, scores) == pytest.approx(ORACLES[name](labels, scores), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", sorted(METRICS))
def test_the_name_of_a_metric_states_its_direction(name: str) -> None:
    """Perfect scores are better than noise in the direction that the name states."""
    generator = np.random.default_rng(3)
    found = METRICS[name]
    labels = (generator.random(400) < 0.3).astype(float)
    noise = generator.random(400)
    assert name.endswith(("_score", "_error", "_loss"))
    assert found.sign * (found.function(labels, labels) - found.function(labels, noise)) > 0
    assert found.function(labels, labels) == pytest.approx(found.perfect, abs=1e-9)


@pytest.mark.parametrize("name", sorted(METRICS))
def test_no_rows_are_an_error_not_a_number(name: str) -> None:
    """Without rows every metric raises."""
    with pytest.raises(MetricError, match=r"needs|need"):
        METRICS[name].function(np.empty(0), np.empty(0))


@pytest.mark.parametrize("labels", [np.zeros(5), np.ones(5)])
def test_one_class_has_no_roc_auc(labels: np.ndarray) -> None:
    """The message states the number of rows of each class."""
    with pytest.raises(MetricError, match=r"both classes, got [05] positive and [05] negative"):
        roc_auc_score(labels, np.linspace(0, 1, 5))


def test_metrics_that_rows_do_not_define_are_nan() -> None:
    """Measuring a slice of one class gives every metric; those it does not define are NaN."""
    found = measure(np.zeros(6), np.linspace(0.1, 0.6, 6), Problem.BINARY)
    assert tuple(found) == names(Problem.BINARY)
    assert math.isnan(found["roc_auc_score"])
    assert math.isnan(found["average_precision_score"])
    assert found["brier_loss"] > 0


def test_an_unknown_metric_is_refused_with_the_nearest_name() -> None:
    """The message names the near miss, and the problem if it is another problem's metric."""
    with pytest.raises(MetricError, match=r"did you mean 'roc_auc_score'\?"):
        metric("roc_auc_scor")
    with pytest.raises(MetricError, match="for a regression problem"):
        metric("roc_auc_score", Problem.REGRESSION)


def test_calibration_error_finds_a_constant_offset() -> None:
    """Scores that are too high by 0.1 everywhere are off by 0.1."""
    generator = np.random.default_rng(0)
    scores = generator.uniform(0.1, 0.8, 200_000)
    labels = (generator.random(scores.size) < scores).astype(float)
    error = METRICS["expected_calibration_error"].function
    assert error(labels, scores) < 0.006
    assert error(labels, scores + 0.1) == pytest.approx(0.1, abs=0.006)


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_calibration_bins_hold_every_row_once_and_equal_scores_together(data: tuple[np.ndarray, np.ndarray]) -> None:
    """Counts add up, and a score is never split over two bins."""
    labels, scores = data.draw(labelled(Problem.BINARY))
    predicted, observed, counts = calibration_curve(labels, scores)
    assert counts.sum() == labels.size
    assert predicted @ counts == pytest.approx(scores.sum())
    assert observed @ counts == pytest.approx(labels.sum())
    assert (np.diff(predicted) > 0).all()


def test_a_constant_score_is_one_bin_and_calibrated_at_the_mean() -> None:
    """Always predicting the share of positives is perfectly calibrated."""
    labels = np.array([0.0, 0.0, 0.0, 1.0])
    assert METRICS["expected_calibration_error"].function(labels, np.full(4, 0.25)) == 0.0


@pytest.mark.parametrize(
    "name", ["mean_absolute_error", "root_mean_squared_error", "r2_score", "log_loss", "brier_loss"]
)
def test_no_constant_beats_the_one_a_model_is_compared_with(name: str) -> None:
    """The constant prediction is the best of all constants, so to beat it means to have used the inputs."""
    labels = np.array([0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0])
    found = METRICS[name]
    best = found.sign * found.function(labels, constant_scores(labels, found))
    others = [found.sign * found.function(labels, np.full(7, value)) for value in np.linspace(0.01, 0.99, 50)]
    assert best >= max(others) - 1e-12


def test_skill_is_zero_for_a_constant_and_one_for_perfection() -> None:
    """Skill has no unit: half way from a constant to a perfect prediction is 0.5 for a score and for an error."""
    assert skill(0.75, 0.5, METRICS["roc_auc_score"]) == 0.5
    assert skill(6.0, 12.0, METRICS["mean_absolute_error"]) == 0.5
    assert skill(15.0, 12.0, METRICS["mean_absolute_error"]) == -0.25
    assert skill(0.0, 0.0, METRICS["mean_absolute_error"]) == 0.0
