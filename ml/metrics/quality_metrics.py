"""Formulas of the quality metrics of one column of scores: probabilities of one class, or quantities.

`ml.metrics.class_metrics` has those of several classes, `ml.metrics.metric_table` all of them by name. The difference of two
models in a metric, and its uncertainty, are in `ml.metrics.standard_errors` and `ml.metrics.bootstrap`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ml.spec.errors import LakehouseError
from ml.spec.estimator import Problem
from ml.spec.metric_names import higher_is_better

Floats = NDArray[np.float64]
Ranking = tuple[Floats, Floats]
"""Labels 0 and 1, and the scores by which their rows are ranked, shape ``(rows,)`` each."""

CALIBRATION_BINS = 10
"""Bins of equal count in which predicted and observed are compared."""
SMALLEST_PROBABILITY = 1e-15
"""Probabilities are clipped this far from 0 and 1 before a logarithm is taken."""


class MetricError(LakehouseError, ValueError):
    """A metric that does not exist, or that is not defined for these labels and scores."""


def mean_of(values: Floats, weights: Floats | None = None) -> float:
    """Return a mean, weighted where weights are given.

    Raises
    ------
    MetricError
        If weights are negative, infinite or missing, or all of them are 0.
    """
    return float(values.mean() if weights is None else np.dot(values, sound_weights(weights)) / weights.sum())


def sound_weights(weights: Floats) -> Floats:
    """Return the weights.

    Raises
    ------
    MetricError
        If one is negative, infinite or missing, or all of them are 0.
    """
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0):
        raise MetricError("weights are finite, 0 or more, and not all 0: look at the column that gives them.")
    return weights


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One measure of quality.

    Attributes
    ----------
    name
        Ends in ``_score`` (higher is better), ``_error`` or ``_loss`` (lower is better).
    function
        Takes labels and scores, each of shape ``(rows,)``, and perhaps as many weights; returns the value.
    row_loss
        For a metric that is a mean over rows, or a root of one: the loss of each row.
    root
        Whether the metric is the square root of that mean.
    rankings
        For a metric that is a ROC AUC, or a mean of several: labels 0 and 1, and scores, of each of them.
    problems
        Of which it is a metric; those of several classes are made for them.
    constant
        The best constant prediction for labels and perhaps weights: a number, or one for each class.
    """

    name: str
    function: Callable[..., float]
    problems: frozenset[Problem] = frozenset()
    row_loss: Callable[[Floats, Floats], Floats] | None = None
    root: bool = False
    rankings: Callable[[Floats, Floats], tuple[Ranking, ...]] | None = None
    constant: Callable[[Floats, Floats | None], float | Floats] = mean_of

    @property
    def has_test(self) -> bool:
        """Whether the difference of two models in it has a standard error without resampling."""
        return self.row_loss is not None or self.rankings is not None

    @property
    def higher_is_better(self) -> bool:
        """The direction, read from the name."""
        return higher_is_better(self.name)

    @property
    def sign(self) -> float:
        """The factor that makes a positive difference mean better."""
        return 1.0 if self.higher_is_better else -1.0

    @property
    def perfect(self) -> float:
        """The value of a perfect prediction."""
        return 1.0 if self.higher_is_better else 0.0


def skill(value: float, constant: float, m: Metric) -> float:
    """Return how far a value is from the constant prediction's to the perfect one, as a share; at most 1."""
    if m.perfect == constant:
        return 0.0
    return (value - constant) / (m.perfect - constant)


def roc_auc_score(labels: Floats, scores: Floats, weights: Floats | None = None) -> float:
    """Return the probability that a positive row scores above a negative one, ties counting half.

    Mann and Whitney's statistic: each positive row is ranked among the sorted negative ones. With weights, rows of either
    class are drawn by their weight.

    Raises
    ------
    MetricError
        If the labels are not of both classes.
    """
    positives = labels == 1
    above, below = np.sort(scores[positives]), np.sort(scores[~positives])
    if above.size == 0 or below.size == 0:
        raise MetricError(
            f"ROC AUC needs rows of both classes, got {above.size} positive and {below.size} negative: widen the window."
        )
    if weights is not None:
        shares = weighted_share_below(scores[~positives], sound_weights(weights)[~positives], scores[positives])
        return mean_of(shares, weights[positives])
    won = np.searchsorted(below, above, side="left").sum() + np.searchsorted(below, above, side="right").sum()
    return float(won / (2.0 * above.size * below.size))


def weighted_share_below(others: Floats, weights: Floats, values: Floats) -> Floats:
    """Return for each value the share, by weight, of the others that are below it, equal ones counting half.

    Raises
    ------
    MetricError
        If all weights are 0.
    """
    order = np.argsort(others, kind="stable")
    ordered, total = others[order], np.concatenate([[0.0], np.cumsum(weights[order])])
    if total[-1] <= 0:
        raise MetricError("all rows of one class have a weight of 0: widen the window.")
    left, right = (np.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    return np.asarray((total[left] + total[right]) / (2.0 * total[-1]), dtype=np.float64)


def average_precision_score(labels: Floats, scores: Floats, weights: Floats | None = None) -> float:
    """Return the mean of precision over the recall gained at each distinct score.

    Raises
    ------
    MetricError
        If there is no positive row.
    """
    counted = np.ones(labels.size) if weights is None else sound_weights(weights)
    n_positive = float(labels @ counted)
    if n_positive == 0:
        raise MetricError("average precision needs at least one positive row, got none: widen the window.")
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    found, seen = np.cumsum((labels * counted)[order])[ends], np.cumsum(counted[order])[ends]
    gained = np.diff(found, prepend=0.0)
    return float(np.sum(gained * found / np.where(seen > 0, seen, 1.0)) / n_positive)


def expected_calibration_error(labels: Floats, scores: Floats, weights: Floats | None = None) -> float:
    """Return the mean distance between predicted and observed over bins of equal count.

    Ten bins by rank of the score; in the label's unit. For ``n`` rows a perfectly calibrated model still shows about
    ``0.8 * sd * sqrt(10 / n)``, where ``sd`` is the spread of the label within a bin.

    Raises
    ------
    MetricError
        If there are no rows.
    """
    predicted, observed, counts = calibration_curve(labels, scores, weights=weights)
    return float(np.sum(counts * np.abs(predicted - observed)) / counts.sum())


def calibration_curve(
    labels: Floats, scores: Floats, bins: int = CALIBRATION_BINS, *, weights: Floats | None = None
) -> tuple[Floats, Floats, Floats]:
    """Return mean score, mean label and count of each bin, the bins being of equal count by rank of the score.

    Equal scores share a bin, so a constant score makes one bin. With weights, means and counts are by weight.

    Raises
    ------
    MetricError
        If there are no rows.
    """
    if labels.size == 0:
        raise MetricError("calibration needs at least one row, got none.")
    index = calibration_bins(scores, bins)
    counted = np.ones(labels.size) if weights is None else sound_weights(weights)
    counts = np.bincount(index, weights=counted, minlength=bins).astype(np.float64)
    kept = counts > 0
    predicted = np.bincount(index, weights=scores * counted, minlength=bins)[kept] / counts[kept]
    observed = np.bincount(index, weights=labels * counted, minlength=bins)[kept] / counts[kept]
    return predicted, observed, counts[kept]


def calibration_bins(scores: Floats, bins: int = CALIBRATION_BINS) -> NDArray[np.intp]:
    """Return the number of each row's bin, the bins being of equal count by rank of the score; equal scores share one."""
    first_rank = stats.rankdata(scores, method="min") - 1
    return np.asarray(np.minimum((first_rank * bins) // scores.size, bins - 1), dtype=np.intp)


def rank_correlation_score(labels: Floats, scores: Floats, weights: Floats | None = None) -> float:
    """Return Spearman's correlation of label and score; with weights, the weighted correlation of their ranks.

    Raises
    ------
    MetricError
        If labels or scores are constant.
    """
    ranked_labels, ranked_scores = stats.rankdata(labels), stats.rankdata(scores)
    if labels.size == 0 or np.ptp(ranked_labels) == 0 or np.ptp(ranked_scores) == 0:
        raise MetricError("a rank correlation needs labels and scores that vary, got constant ones or no rows.")
    if weights is None:
        return float(np.corrcoef(ranked_labels, ranked_scores)[0, 1])
    covariance = np.cov(ranked_labels, ranked_scores, aweights=sound_weights(weights))
    return float(covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]))


def r2_score(labels: Floats, scores: Floats, weights: Floats | None = None) -> float:
    """Return the share of the label's variance that the scores explain.

    Raises
    ------
    MetricError
        If the labels are constant.
    """
    counted = np.ones(labels.size) if weights is None else sound_weights(weights)
    spread = float(np.sum(counted * (labels - mean_of(labels, weights)) ** 2)) if labels.size else 0.0
    if spread == 0:
        raise MetricError("R² needs labels that vary, got constant ones or no rows.")
    return 1.0 - float(np.sum(counted * (labels - scores) ** 2)) / spread


def log_losses(labels: Floats, scores: Floats) -> Floats:
    """Return the logarithmic loss of each row."""
    kept = np.clip(scores, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    return -np.log(np.where(labels == 1, kept, 1 - kept))


def squares(labels: Floats, scores: Floats) -> Floats:
    """Return the squared error of each row."""
    return (labels - scores) ** 2


def distances(labels: Floats, scores: Floats) -> Floats:
    """Return the absolute error of each row."""
    return np.abs(labels - scores)


def mean_loss(row_loss: Callable[[Floats, Floats], Floats], *, root: bool = False) -> Callable[..., float]:
    """Return the metric that is the mean of a loss over rows, or the root of one."""

    def mean(labels: Floats, scores: Floats, weights: Floats | None = None) -> float:
        if labels.size == 0:
            raise MetricError("a mean loss needs at least one row, got none.")
        value = mean_of(row_loss(labels, scores), weights)
        return float(np.sqrt(value)) if root else value

    return mean


def median_absolute_error(labels: Floats, scores: Floats, weights: Floats | None = None) -> float:
    """Return the median of the absolute errors."""
    if labels.size == 0:
        raise MetricError("a median error needs at least one row, got none.")
    return median(distances(labels, scores), weights)


def median(values: Floats, weights: Floats | None) -> float:
    """Return the median; with weights, the first value up to which half of the weight lies."""
    if weights is None:
        return float(np.median(values))
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(sound_weights(weights)[order])
    return float(values[order][np.searchsorted(reached, reached[-1] / 2)])


def bias_error(labels: Floats, scores: Floats, weights: Floats | None = None) -> float:
    """Return how far the mean score is from the mean label."""
    if labels.size == 0:
        raise MetricError("a bias needs at least one row, got none.")
    return abs(mean_of(scores - labels, weights))
