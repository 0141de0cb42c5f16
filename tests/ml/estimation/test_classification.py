"""Expected metrics equal the realised ones when the probabilities are right."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from ml.estimation.classification import (
    IsotonicCalibration,
    Performance,
    estimation_error,
    expected_log_loss,
    expected_roc_auc_score,
)

RANDOM = np.random.default_rng(0)


def rows(count: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities and labels drawn from them."""
    random = np.random.default_rng(1)
    probabilities = 1 / (1 + np.exp(-random.normal(-1 + shift, 1.2, count)))
    return probabilities, (random.random(count) < probabilities).astype(float)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.5, 0.9]), st.booleans()), min_size=2, max_size=40))
def test_with_labels_for_probabilities_it_is_the_realised_metric(pairs: list[tuple[float, bool]]) -> None:
    """Ties included, as scikit-learn computes it."""
    scores, labels = (np.array(values, float) for values in zip(*pairs, strict=True))
    realised = expected_roc_auc_score(scores, labels)
    if len(set(labels)) == 2:
        assert realised.value == pytest.approx(metrics.roc_auc_score(labels, scores))
    else:
        assert math.isnan(realised.value)
    assert expected_log_loss(scores, labels).value == pytest.approx(metrics.log_loss(labels, scores, labels=[0, 1]))


def test_the_expected_auc_is_the_mean_over_drawn_labels() -> None:
    """Brute force: draw labels many times, weight by how many pairs they give."""
    probabilities = np.array([0.1, 0.1, 0.4, 0.6, 0.9])
    greater = probabilities[:, None] > probabilities[None, :]
    ties = (probabilities[:, None] == probabilities[None, :]) / 2
    weight = probabilities[:, None] * (1 - probabilities[None, :])
    np.fill_diagonal(weight, 0)
    expected = (weight * (greater + ties)).sum() / weight.sum()
    assert expected_roc_auc_score(probabilities, probabilities).value == pytest.approx(expected)


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_calibrated_probabilities_predict_the_realised_metric(shift: float) -> None:
    """Also after the inputs have shifted: within three standard errors of the realised value."""
    scores, labels = rows(20_000, shift)
    for measure in (expected_roc_auc_score, expected_log_loss):
        error = estimation_error(measure(scores, scores), measure(scores, labels))
        assert abs(error.error) < 3 * error.standard_error
        assert 0 < error.standard_error < 0.02


def test_standard_errors_are_those_of_repeated_draws() -> None:
    """Over five hundred redrawn sets of rows the realised values scatter as stated."""
    random = np.random.default_rng(3)
    drawn = {"roc_auc_score": [], "log_loss": []}
    stated = {}
    for _ in range(500):
        probabilities = 1 / (1 + np.exp(-random.normal(-1, 1.2, 500)))
        labels = (random.random(500) < probabilities).astype(float)
        for measure in (expected_roc_auc_score, expected_log_loss):
            realised = measure(probabilities, labels)
            drawn[realised.metric].append(realised.value)
            stated[realised.metric] = measure(probabilities, probabilities).standard_error
    for name, values in drawn.items():
        assert stated[name] == pytest.approx(np.std(values), rel=0.15), name


def test_calibration_turns_scores_into_probabilities() -> None:
    """A model that exaggerates is estimated too well, unless calibrated on labelled rows first."""
    truth, labels = rows(40_000)
    exaggerated = 1 / (1 + np.exp(-3 * np.log(truth / (1 - truth))))
    calibration = IsotonicCalibration.fit(exaggerated[:20_000], labels[:20_000])
    later, later_labels = exaggerated[20_000:], labels[20_000:]
    realised = expected_roc_auc_score(later, later_labels).value
    assert expected_roc_auc_score(later, later).value - realised > 0.05
    assert expected_roc_auc_score(later, calibration(later)).value == pytest.approx(realised, abs=0.015)


def test_a_change_of_the_relation_shows_only_as_the_error_of_the_estimate() -> None:
    """Labels that no longer follow the inputs leave the estimate unchanged; only its error shows it."""
    scores, _ = rows(5_000)
    noise = (np.random.default_rng(4).random(5_000) < 0.3).astype(float)
    error = estimation_error(expected_roc_auc_score(scores, scores), expected_roc_auc_score(scores, noise))
    assert error.error > 10 * error.standard_error
    assert (error.metric, error.realised) == ("roc_auc_score", pytest.approx(0.5, abs=0.03))


@pytest.mark.parametrize("count", [0, 1])
def test_no_rows_and_one_row_have_no_auc(count: int) -> None:
    """Not defined is NaN, never an exception."""
    assert math.isnan(expected_roc_auc_score(np.full(count, 0.3), np.full(count, 0.3)).value)
    assert math.isnan(expected_log_loss([], []).value)


def test_every_mistake_in_the_rows_is_reported_at_once() -> None:
    """Shapes, NaN and values out of range, with the first of them."""
    with pytest.raises(ValueError, match=r"length; 1 scores are not probabilities, the first is 1.5; 1 probabilities"):
        expected_roc_auc_score([0.1, 1.5], [math.nan])
    with pytest.raises(ValueError, match="no error against log_loss"):
        estimation_error(
            Performance(metric="roc_auc_score", value=0.5, standard_error=0.1),
            Performance(metric="log_loss", value=0.5, standard_error=0.1),
        )
