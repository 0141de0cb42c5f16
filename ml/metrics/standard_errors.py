"""Standard errors of metrics and of their differences, exact and without resampling: DeLong's test and paired means.

The gate compares the ROC AUC of two models on the same rows by `delong`, means of a loss by `paired_mean`; monitors use
`roc_auc_error` and `mean_error` of a single model. Rows may depend on each other: the components of one day, or of one
entity, are summed before their variance is taken (`ml.metrics.clusters`).

References
----------
DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44, 837-845. Sun and Xu (2014), IEEE Signal Processing Letters 21,
1389-1393, for the O(n log n) form. Obuchowski (1997), Biometrics 53, 567-578, for clustered rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ml.metrics.clusters import ClusteredVariance, Units, clustered_variance
from ml.metrics.quality_metrics import MetricError, Ranking, mean_of, sound_weights, weighted_share_below

Floats = NDArray[np.float64]
Groups = NDArray[np.int64] | Units
"""One way of clustering as a number for each row, or several."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The difference of two models in a metric, with its standard error.

    Attributes
    ----------
    first, second
        The metric of each model.
    value
        ``first - second``.
    standard_error
        Of `value`; 0 where the models are equal on every row.
    degrees_of_freedom
        Of Student's t for `value`; infinite where rows are independent and many.
    clusters, dominant
        Name of each way of clustering to its number of clusters, and the one with the largest variance; empty where
        rows are independent.
    """

    first: float
    second: float
    value: float
    standard_error: float
    degrees_of_freedom: float = float("inf")
    clusters: Mapping[str, int] = field(default_factory=dict)
    dominant: str = ""

    def p_above(self, margin: float = 0.0) -> float:
        """Return the one-sided p-value of "the true difference is at most `margin`"."""
        return self._tail(self.value - margin)

    def p_below(self, margin: float = 0.0) -> float:
        """Return the one-sided p-value of "the true difference is at least `margin`"."""
        return self._tail(margin - self.value)

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Return the two-sided confidence interval of the difference."""
        quantile = 0.5 + confidence / 2
        finite = np.isfinite(self.degrees_of_freedom)
        steps = special.stdtrit(self.degrees_of_freedom, quantile) if finite else special.ndtri(quantile)
        reach = float(steps) * self.standard_error
        return self.value - reach, self.value + reach

    @property
    def probability_better(self) -> float:
        """Return the confidence that the first is better: one minus the p-value of "not better"."""
        return 1.0 - self.p_above(0.0) if self.standard_error > 0 else 0.5 + 0.5 * float(np.sign(self.value))

    def _tail(self, distance: float) -> float:
        if self.standard_error == 0:
            return 0.0 if distance > 0 else 1.0
        steps = -distance / self.standard_error
        finite = np.isfinite(self.degrees_of_freedom)
        return float(special.stdtr(self.degrees_of_freedom, steps) if finite else special.ndtr(steps))


def delong(
    labels: Floats, first: Floats, second: Floats, *, groups: Groups | None = None, weights: Floats | None = None
) -> Difference:
    """Compare the ROC AUC of two models on the same rows.

    Parameters
    ----------
    labels, first, second
        Shape ``(rows,)``: 0 and 1, and the scores of each model.
    groups
        Shape ``(rows,)``: rows with the same number (for example a day) may depend on each other; None if all are
        independent. `Units` for days and entities.
    weights
        Shape ``(rows,)``: how much each row counts in its class; None for all alike.

    Raises
    ------
    MetricError
        If a class has fewer than two rows, or there are fewer than two groups.
    """
    positives = labels == 1
    n_positive, n_negative = int(positives.sum()), int(labels.size - positives.sum())
    if min(n_positive, n_negative) < 2:
        raise MetricError(
            f"DeLong's test needs two rows of each class, got {n_positive} positive and {n_negative} negative: widen the window."
        )
    components_first, components_second = (placements(positives, scores, weights) for scores in (first, second))
    counted = None if weights is None else weights[positives]
    auc_first = mean_of(components_first[positives], counted)
    auc_second = mean_of(components_second[positives], counted)
    values = components_first - components_second
    shares = class_shares(positives, weights)
    influence = (values - (auc_first - auc_second)) * shares
    if groups is None and weights is not None:
        variance = _sum_of_independent(influence[positives]) + _sum_of_independent(influence[~positives])
        return _difference((auc_first, auc_second), variance, float("inf"))
    if groups is None:
        variance = values[positives].var(ddof=1) / n_positive + values[~positives].var(ddof=1) / n_negative
        return _difference((auc_first, auc_second), float(variance), float("inf"))
    return _clustered((auc_first, auc_second), _grouped_variance(influence, groups, shares))


def mean_delong(
    first: Sequence[Ranking], second: Sequence[Ranking], *, groups: Groups | None = None, weights: Floats | None = None
) -> Difference:
    """Compare two models in the mean of several ROC AUCs on the same rows, such as that of every class against the rest.

    A row's influence on the mean is the mean of its influences, so their variance allows for what the rankings share.

    Parameters
    ----------
    first, second
        Labels and scores of each ranking by either model; the labels of both are the same.
    groups, weights
        As in `delong`.

    Raises
    ------
    MetricError
        If a class has fewer than two rows, or there are fewer than two groups.
    """
    if len(first) == 1:
        ((labels, scores),), ((_, against),) = first, second
        return delong(labels, scores, against, groups=groups, weights=weights)
    parts = [_auc_parts(labels, scores, weights) for labels, scores in first]
    others = [_auc_parts(labels, scores, weights) for labels, scores in second]
    values = float(np.mean([part.value for part in parts])), float(np.mean([part.value for part in others]))
    influence = np.mean([a.influence - b.influence for a, b in zip(parts, others, strict=True)], axis=0)
    if groups is None:
        return _difference(values, _sum_of_independent(influence), float("inf"))
    shares = np.mean([part.shares for part in parts], axis=0)
    return _clustered(values, _grouped_variance(influence, groups, shares))


@dataclass(frozen=True, kw_only=True)
class _AucParts:
    """A ROC AUC, what each row adds to its error, and how much each row counts."""

    value: float
    influence: Floats
    shares: Floats


def _auc_parts(labels: Floats, scores: Floats, weights: Floats | None) -> _AucParts:
    positives = labels == 1
    n_positive, n_negative = int(positives.sum()), int(labels.size - positives.sum())
    if min(n_positive, n_negative) < 2:
        raise MetricError(
            f"DeLong's test needs two rows of each class, got {n_positive} positive and {n_negative} negative: widen the window."
        )
    components = placements(positives, scores, weights)
    value = mean_of(components[positives], None if weights is None else weights[positives])
    shares = class_shares(positives, weights)
    return _AucParts(value=value, influence=(components - value) * shares, shares=shares)


def class_shares(positives: NDArray[np.bool_], weights: Floats | None = None) -> Floats:
    """Return how much each row counts in its class, shape ``(rows,)``; 1 over either class.

    Raises
    ------
    MetricError
        If a class has no weight.
    """
    if weights is None:
        return np.asarray(1.0 / np.where(positives, positives.sum(), (~positives).sum()))
    totals = weights[positives].sum(), weights[~positives].sum()
    if min(totals) <= 0:
        raise MetricError("all rows of one class have a weight of 0: widen the window.")
    return np.asarray(weights / np.where(positives, *totals))


def placements(positives: NDArray[np.bool_], scores: Floats, weights: Floats | None = None) -> Floats:
    """Return for each row the share of the other class against which it is ranked correctly, ties counting half.

    Their mean over either class is the ROC AUC. Shape ``(rows,)``. With weights, shares are by weight.
    """
    above, below = scores[positives], scores[~positives]
    result = np.empty(scores.size, dtype=np.float64)
    if weights is not None:
        counted = sound_weights(weights)
        result[positives] = weighted_share_below(below, counted[~positives], above)
        result[~positives] = 1.0 - weighted_share_below(above, counted[positives], below)
        return result
    result[positives] = _share_below(np.sort(below), above)
    result[~positives] = 1.0 - _share_below(np.sort(above), below)
    return result


def paired_mean(
    first: Floats, second: Floats, *, root: bool = False, groups: Groups | None = None, weights: Floats | None = None
) -> Difference:
    """Compare the means of two models' losses on the same rows by a paired t test.

    Parameters
    ----------
    first, second
        Shape ``(rows,)``: the loss of each row under either model.
    root
        Compare the square roots of the means instead, to first order (the delta method).
    groups
        As in `delong`.
    weights
        Shape ``(rows,)``: how much each row counts; None for all alike.

    Raises
    ------
    MetricError
        If there are fewer than two rows, or fewer than two groups.
    """
    if first.size < 2:
        raise MetricError(f"a paired test needs two rows, got {first.size}: widen the window.")
    mean_first, mean_second = mean_of(first, weights), mean_of(second, weights)
    means, slopes = (mean_first, mean_second), (1.0, 1.0)
    if root:
        means = float(np.sqrt(means[0])), float(np.sqrt(means[1]))
        slopes = (_half_inverse(means[0]), _half_inverse(means[1]))
    influence = slopes[0] * (first - mean_first) - slopes[1] * (second - mean_second)
    if weights is not None:
        shares = weights / weights.sum()
        if groups is None:
            return _difference(means, _sum_of_independent(influence * shares), float(influence.size - 1))
        return _clustered(means, _grouped_variance(influence * shares, groups, shares))
    if groups is None:
        return _difference(means, float(influence.var(ddof=1)) / influence.size, float(influence.size - 1))
    return _clustered(means, _grouped_variance(influence / influence.size, groups))


def _sum_of_independent(influence: Floats) -> float:
    """Return the variance of a sum of independent parts that are centred already."""
    return float(np.sum(influence**2)) * influence.size / max(1, influence.size - 1)


def roc_auc_error(labels: Floats, scores: Floats, groups: Groups, weights: Floats | None = None) -> ClusteredVariance:
    """Return the variance of one model's ROC AUC; the rows of one group are one unit.

    Parameters
    ----------
    labels, scores, groups
        Shape ``(rows,)``: 0 and 1, the scores, and the group of each row as a number.

    Raises
    ------
    MetricError
        If a class has no row, or there are fewer than two groups.
    """
    positives = labels == 1
    n_positive, n_negative = int(positives.sum()), int(labels.size - positives.sum())
    if not (n_positive and n_negative):
        raise MetricError(f"ROC AUC needs both classes, got {n_positive} positive and {n_negative} negative rows.")
    components = placements(positives, scores, weights)
    centred = components - mean_of(components[positives], None if weights is None else weights[positives])
    shares = class_shares(positives, weights)
    return _grouped_variance(centred * shares, groups, shares)


def mean_auc_error(rankings: Sequence[Ranking], groups: Groups, weights: Floats | None = None) -> ClusteredVariance:
    """Return the variance of the mean of one model's ROC AUCs; the rows of one group are one unit.

    Raises
    ------
    MetricError
        If a class has fewer than two rows, or there are fewer than two groups.
    """
    if len(rankings) == 1:
        ((labels, scores),) = rankings
        return roc_auc_error(labels, scores, groups, weights)
    parts = [_auc_parts(labels, scores, weights) for labels, scores in rankings]
    shares = np.mean([part.shares for part in parts], axis=0)
    return _grouped_variance(np.mean([part.influence for part in parts], axis=0), groups, shares)


def mean_error(
    losses: Floats, groups: Groups, *, root: bool = False, weights: Floats | None = None
) -> ClusteredVariance:
    """Return the variance of one model's mean loss, or of its root; the rows of one group are one unit.

    Parameters
    ----------
    losses, groups
        Shape ``(rows,)``.
    root
        Of the square root of the mean, to first order (the delta method).

    Raises
    ------
    MetricError
        If there are fewer than two groups.
    """
    mean = mean_of(losses, weights)
    slope = _half_inverse(float(np.sqrt(mean))) if root else 1.0
    if weights is not None:
        shares = weights / weights.sum()
        return _grouped_variance(slope * (losses - mean) * shares, groups, shares)
    return _grouped_variance(slope * (losses - mean) / losses.size, groups)


def _grouped_variance(influence: Floats, groups: Groups, weights: Floats | None = None) -> ClusteredVariance:
    """Return the variance of a sum of influences that may depend on each other within a group."""
    units = groups if isinstance(groups, Units) else Units(days=groups)
    return clustered_variance(influence, units, weights)


def _difference(values: tuple[float, float], variance: float, freedom: float) -> Difference:
    return Difference(
        first=values[0], second=values[1], value=values[0] - values[1], standard_error=float(np.sqrt(variance)),
        degrees_of_freedom=freedom,
    )  # fmt: skip


def _clustered(values: tuple[float, float], found: ClusteredVariance) -> Difference:
    plain = _difference(values, found.value, found.freedom)
    return replace(plain, clusters=found.clusters, dominant=found.dominant)


def _share_below(ordered: Floats, values: Floats) -> Floats:
    left = np.searchsorted(ordered, values, side="left")
    right = np.searchsorted(ordered, values, side="right")
    return (left + right) / (2.0 * ordered.size)


def _half_inverse(value: float) -> float:
    return 0.5 / value if value > 0 else 0.0
