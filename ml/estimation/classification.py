"""Expected metrics of a classifier on rows whose labels have not arrived, from its calibrated probabilities.

If a row's probability is right, its label is a draw with that probability, and the metric has an expectation over these
draws. The estimate sees that inputs change; it does not see that the relation between inputs and label changes. So it
is shown next to the realised metric, with its error, once labels arrive. Given labels instead of probabilities, the
same functions return the realised metric.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.isotonic import IsotonicRegression

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Performance:
    """One metric's value and standard error; NaN where it is not defined."""

    metric: str
    value: float
    standard_error: float


@dataclass(frozen=True, kw_only=True)
class EstimateDeviation:
    """How far an estimate without labels was from the realised metric.

    Attributes
    ----------
    error
        Estimated minus realised.
    standard_error
        Of the realised value; an error of several of these is not chance.
    """

    metric: str
    estimated: float
    realised: float
    error: float
    standard_error: float


@dataclass(frozen=True, kw_only=True)
class IsotonicCalibration:
    """The probability that belongs to a score, as a monotone function through these points."""

    scores: tuple[float, ...]
    probabilities: tuple[float, ...]

    @classmethod
    def fit(cls, scores: ArrayLike, labels: ArrayLike) -> "IsotonicCalibration":
        """Fit by isotonic regression on rows that the model was not trained on.

        Parameters
        ----------
        scores, labels
            Shape (rows,); labels are 0 or 1.

        Raises
        ------
        ValueError
            If there are no rows, shapes differ, or a score or label is not allowed.
        """
        score, label = _checked(scores, labels, "labels")
        fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(score, label)
        return cls(
            scores=tuple(map(float, fitted.X_thresholds_)), probabilities=tuple(map(float, fitted.y_thresholds_))
        )

    def __call__(self, scores: ArrayLike) -> Floats:
        """Return the probability that belongs to each score, shape (rows,)."""
        return np.interp(np.asarray(scores, np.float64), self.scores, self.probabilities)


def expected_roc_auc_score(scores: ArrayLike, probabilities: ArrayLike, weights: Floats | None = None) -> Performance:
    """Return the expected area under the ROC curve and its standard error, with one sort.

    A row counts as positive with its probability and as negative with the rest; the standard error is that of DeLong,
    DeLong and Clarke-Pearson (1988) with these weights. Labels for `probabilities` give the realised value.

    Parameters
    ----------
    scores, probabilities
        Shape (rows,).
    weights
        Shape (rows,): how much each row counts; None for all alike.
    """
    score, probability = _checked(scores, probabilities, "probabilities")
    counted = np.ones(score.size) if weights is None else weights
    positive, negative = counted * probability, counted * (1 - probability)
    positives, negatives = positive.sum(), negative.sum()
    if score.size < 2 or min(positives, negatives) <= 0:
        return Performance(metric="roc_auc_score", value=np.nan, standard_error=np.nan)
    _, group = np.unique(score, return_inverse=True)
    negatives_below = _share_below(group, negative) / negatives
    positives_above = 1 - _share_below(group, positive) / positives
    itself = positive @ negative  # a row is not compared with itself: that would count as a tie
    value = float((positive @ negatives_below * negatives - itself / 2) / (positives * negatives - itself))
    variance = (
        positive @ (negatives_below - value) ** 2 / positives**2
        + negative @ (positives_above - value) ** 2 / negatives**2
    )
    return Performance(metric="roc_auc_score", value=value, standard_error=float(np.sqrt(variance)))


def expected_log_loss(scores: ArrayLike, probabilities: ArrayLike, weights: Floats | None = None) -> Performance:
    """Return the expected logarithmic loss of the scores and its standard error.

    Parameters
    ----------
    scores, probabilities
        Shape (rows,); scores of 0 and 1 are clipped by the machine's precision, as in scikit-learn.
    weights
        Shape (rows,): how much each row counts; None for all alike.
    """
    score, positive = _checked(scores, probabilities, "probabilities")
    if not score.size or (weights is not None and weights.sum() <= 0):
        return Performance(metric="log_loss", value=np.nan, standard_error=np.nan)
    if_positive, if_negative = losses_by_outcome(score)
    losses = positive * if_positive + (1 - positive) * if_negative
    second = positive * if_positive**2 + (1 - positive) * if_negative**2
    shares = np.full(score.size, 1 / score.size) if weights is None else weights / weights.sum()
    value = float(shares @ losses)
    # Of a row the spread of its own draw and that around the mean; each counts with the square of its share.
    variance = float(shares**2 @ np.maximum(second - 2 * value * losses + value**2, 0.0))
    return Performance(metric="log_loss", value=value, standard_error=float(np.sqrt(variance)))


def losses_by_outcome(scores: Floats) -> tuple[Floats, Floats]:
    """Return the logarithmic loss of each score if the label is positive, and if it is negative; shape (rows,) each."""
    drawn_in = np.clip(scores, np.finfo(np.float64).eps, 1 - np.finfo(np.float64).eps)
    return -np.log(drawn_in), -np.log1p(-drawn_in)


def estimation_error(estimated: Performance, realised: Performance) -> EstimateDeviation:
    """Return how far the estimate was from the realised value of the same metric on the same rows.

    Raises
    ------
    ValueError
        If the two are different metrics.
    """
    if estimated.metric != realised.metric:
        raise ValueError(
            f"an estimate of {estimated.metric} has no error against {realised.metric}: give the same metric."
        )
    return EstimateDeviation(
        metric=realised.metric,
        estimated=estimated.value,
        realised=realised.value,
        error=estimated.value - realised.value,
        standard_error=realised.standard_error,
    )


def _share_below(group: NDArray[np.intp], weight: Floats) -> Floats:
    """Return for each row the weight of the rows of lower score, and half that of equal score."""
    per_score = np.bincount(group, weights=weight)
    below = np.cumsum(per_score) - per_score / 2
    return below[group]


def _checked(scores: ArrayLike, probabilities: ArrayLike, second: str) -> tuple[Floats, Floats]:
    score, probability = np.asarray(scores, np.float64), np.asarray(probabilities, np.float64)
    mistakes = []
    if score.shape != probability.shape or score.ndim != 1:
        mistakes.append(f"scores {score.shape} and {second} {probability.shape} must have the same length")
    for name, values in (("scores", score), (second, probability)):
        outside = values[~((values >= 0) & (values <= 1))]
        if outside.size:
            mistakes.append(f"{outside.size} {name} are not probabilities, the first is {outside.flat[0]}")
    if mistakes:
        raise ValueError(f"cannot measure performance: {'; '.join(mistakes)}.")
    return score, probability
