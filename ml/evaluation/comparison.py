"""Compares two models on the same rows: the difference and its uncertainty, by the method that a policy names."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ml.metrics.bootstrap import paired_bootstrap, unpaired_bootstrap
from ml.metrics.clusters import Units, effective_clusters
from ml.metrics.quality_metrics import Metric, MetricError
from ml.metrics.standard_errors import Difference, mean_delong, paired_mean
from ml.spec.gate_policy import GatePolicy, Method

Floats = NDArray[np.float64]

CONFIDENCE = 0.95
"""Of every interval that a comparison reports; a policy decides on the p-value or the wins."""
FALLBACK_RESAMPLES = 1_000
"""For metrics that have no analytic test, where the policy states no number of resamples."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One candidate against the champion, or against a constant, in one metric on all rows or on one slice.

    Attributes
    ----------
    against
        Version of the champion; None for the best constant prediction.
    slice_key, slice_value
        None for all rows.
    difference
        Positive means that the candidate is better, for metrics of either direction.
    standard_error, low, high
        Of `difference`; the interval is two-sided, 95%.
    probability_better
        Confidence that the true difference is above 0: one minus the p-value, or the share of resamples.
    margin, p_value
        One-sided p-value of "the true difference is at most `margin`".
    tolerance, p_worse
        One-sided p-value of "the candidate is worse by `tolerance` at most", the tolerance in the metric's unit; a
        small one shows a regression.
    wins, resamples
        On how many resamples the difference was above `margin`; both 0 where nothing was resampled.
    degrees_of_freedom
        Of Student's t; None where rows are independent and many, or resampled.
    clusters, dominant
        Name of each way of clustering to its number of clusters, and the way with the largest variance; empty where
        nothing is clustered, or resampled.
    """

    candidate: int
    against: int | None
    metric: str
    slice_key: str | None
    slice_value: str | None
    rows: int
    method: Method
    candidate_value: float
    against_value: float
    difference: float
    standard_error: float
    low: float
    high: float
    probability_better: float
    margin: float
    p_value: float
    tolerance: float
    p_worse: float
    wins: int
    resamples: int
    degrees_of_freedom: float | None = None
    clusters: Mapping[str, int] = field(default_factory=dict)
    dominant: str = ""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What a comparison is about: whose scores, in which metric, on which slice."""

    candidate: int
    against: int | None
    metric: Metric
    slice_key: str | None = None
    slice_value: str | None = None
    margin: float = 0.0
    tolerance: float = 0.0


def compare(
    subject: Subject,
    labels: Floats,
    candidate: Floats,
    against: Floats,
    *,
    policy: GatePolicy,
    units: Units,
    seed: int,
    weights: Floats | None = None,
) -> Comparison:
    """Compare two models on the same rows by the policy's method.

    Parameters
    ----------
    labels, candidate, against
        Shape ``(rows,)``: the truth, and either model's scores, of several classes ``(rows, classes)``.
    units
        Which rows depend on each other. A slice with fewer sampled entities than the policy demands is a statement
        about these entities: by day.
    seed
        Of the bootstrap; the analytic methods draw nothing.
    weights
        Shape ``(rows,)``: how much each row counts, by an analytic method; None for all alike.

    Raises
    ------
    ml.metrics.quality_metrics.MetricError
        If these rows do not define the metric or the test, for example because a class is missing.
    """
    method = method_for(policy.method, subject, int(np.unique(units.days).size))
    if subject.slice_key is not None and _few_entities(units, policy):
        units = units.without_entities()
    if method.resamples_rows and weights is not None:
        raise MetricError(f"{subject.metric.name} has no test with weights: leave it out of the policy.")
    if method.resamples_rows:
        resamples = policy.resamples or FALLBACK_RESAMPLES
        drawn = _resampled(subject.metric, method, labels, candidate, against, units.days, resamples, seed)
        judged = _from_resamples(subject, subject.metric.sign * drawn)
    else:
        groups = units if method.by_day else None
        judged = _from_test(subject, tested(subject.metric, labels, candidate, against, groups, weights))
    values = tuple(subject.metric.function(labels, scores, weights) for scores in (candidate, against))
    return _comparison(subject, method, labels.size, (values[0], values[1]), judged)


def compare_sums(subject: Subject, found: Difference, *, method: Method, rows: int) -> Comparison:
    """Return the comparison from a difference that was found elsewhere, by `method`, which does not resample."""
    return _comparison(subject, method, rows, (found.first, found.second), _from_test(subject, found))


def _comparison(
    subject: Subject, method: Method, rows: int, values: tuple[float, float], judged: "_Judged"
) -> Comparison:
    return Comparison(
        candidate=subject.candidate,
        against=subject.against,
        metric=subject.metric.name,
        slice_key=subject.slice_key,
        slice_value=subject.slice_value,
        rows=rows,
        method=method,
        candidate_value=values[0],
        against_value=values[1],
        difference=subject.metric.sign * (values[0] - values[1]),
        standard_error=judged.standard_error,
        low=judged.low,
        high=judged.high,
        probability_better=judged.probability_better,
        margin=subject.margin,
        p_value=judged.p_value,
        tolerance=subject.tolerance,
        p_worse=judged.p_worse,
        wins=judged.wins,
        resamples=judged.resamples,
        degrees_of_freedom=judged.degrees_of_freedom,
        clusters=judged.clusters,
        dominant=judged.dominant,
    )


@dataclass(frozen=True, kw_only=True)
class _Judged:
    standard_error: float
    low: float
    high: float
    probability_better: float
    p_value: float
    p_worse: float
    wins: int = 0
    resamples: int = 0
    degrees_of_freedom: float | None = None
    clusters: Mapping[str, int] = field(default_factory=dict)
    dominant: str = ""


def _few_entities(units: Units, policy: GatePolicy) -> bool:
    return any(effective_clusters(codes) < policy.minimum_entities for codes in units.entities.values())


def method_for(wanted: Method, subject: Subject, days: int) -> Method:
    """Return the policy's method, or the nearest one that the metric and the slice, on so many days, allow.

    A metric without an analytic test is resampled. A slice that lies on a single day is compared by row: that may find
    a difference that is due to the day, but a slice is never skipped silently.
    """
    analytic = not wanted.resamples_rows and subject.metric.has_test
    by_day = wanted.by_day and (subject.slice_key is None or days > 1)
    if analytic:
        return Method.ANALYTIC_BY_DAY if by_day else Method.ANALYTIC
    if wanted is Method.UNPAIRED_BOOTSTRAP:
        return wanted
    return Method.DAY_BOOTSTRAP if by_day else Method.PAIRED_BOOTSTRAP


def tested(
    metric: Metric, labels: Floats, candidate: Floats, against: Floats, groups: Units | None, weights: Floats | None
) -> Difference:
    """Return the difference of two models in a metric with an analytic test, first less second, whatever is better."""
    if metric.rankings is not None:
        first, second = metric.rankings(labels, candidate), metric.rankings(labels, against)
        return mean_delong(first, second, groups=groups, weights=weights)
    assert metric.row_loss is not None  # noqa: S101 - a metric with a test has one of both
    losses = metric.row_loss(labels, candidate), metric.row_loss(labels, against)
    return paired_mean(*losses, root=metric.root, groups=groups, weights=weights)


def _from_test(subject: Subject, found: Difference) -> _Judged:
    better = replace(found, value=subject.metric.sign * found.value)
    low, high = better.interval(CONFIDENCE)
    return _Judged(
        standard_error=better.standard_error,
        low=low,
        high=high,
        probability_better=better.probability_better,
        p_value=better.p_above(subject.margin),
        p_worse=better.p_below(-subject.tolerance),
        degrees_of_freedom=better.degrees_of_freedom if np.isfinite(better.degrees_of_freedom) else None,
        clusters=better.clusters,
        dominant=better.dominant,
    )


def _resampled(
    metric: Metric,
    method: Method,
    labels: Floats,
    candidate: Floats,
    against: Floats,
    days: NDArray[np.int64],
    resamples: int,
    seed: int,
) -> Floats:
    if method is Method.UNPAIRED_BOOTSTRAP:
        return unpaired_bootstrap(labels, candidate, against, metric=metric, resamples=resamples, seed=seed)
    groups = days if method.by_day else None
    return paired_bootstrap(labels, candidate, against, metric=metric, resamples=resamples, seed=seed, groups=groups)


def _from_resamples(subject: Subject, better: Floats) -> _Judged:
    low, high = np.quantile(better, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return _Judged(
        standard_error=float(better.std(ddof=1)) if better.size > 1 else 0.0,
        low=float(low),
        high=float(high),
        probability_better=float(np.mean(better > 0)),
        # One is added to numerator and denominator: the observed sample counts as a resample, so p is never 0.
        p_value=(1 + int(np.sum(better <= subject.margin))) / (better.size + 1),
        p_worse=(1 + int(np.sum(better >= -subject.tolerance))) / (better.size + 1),
        wins=int(np.sum(better > subject.margin)),
        resamples=better.size,
    )
