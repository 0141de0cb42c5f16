"""Every quality metric by name, for each kind of target, with its direction in the name.

``*_score`` is better when higher, ``*_error`` and ``*_loss`` when lower, as in scikit-learn. Evaluation, monitoring and reports
all read this table; the formulas are in `ml.metrics.quality_metrics` and `ml.metrics.class_metrics`.
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ml.metrics.class_metrics import class_metrics, shares_of
from ml.metrics.decision_costs import row_costs
from ml.metrics.quality_metrics import (
    Metric,
    MetricError,
    Ranking,
    average_precision_score,
    bias_error,
    distances,
    expected_calibration_error,
    log_losses,
    mean_loss,
    mean_of,
    median,
    median_absolute_error,
    r2_score,
    rank_correlation_score,
    roc_auc_score,
    squares,
)
from ml.spec.costs import COST_PER_REQUEST, ErrorCosts
from ml.spec.estimator import Problem
from ml.spec.near_miss import unknown
from ml.spec.target import MultiClass, Target

Floats = NDArray[np.float64]


def metric(name: str, problem: Target | None = None, costs: ErrorCosts | None = None) -> Metric:
    """Return one metric by name; the cost of a request without costs has a name and a direction and no value.

    Raises
    ------
    MetricError
        If the problem has no metric of that name; the message names the nearest one.
    """
    known = dict(METRICS) if problem is None else _metrics_of(problem)
    if problem is not Problem.REGRESSION:
        known[COST_PER_REQUEST] = cost_metric(costs, problem or Problem.BINARY)
    if name in known:
        return known[name]
    raise MetricError(unknown(f"metric for a {problem} problem" if problem else "metric", name, known))


def measure(
    labels: Floats, scores: Floats, problem: Target, weights: Floats | None = None, costs: ErrorCosts | None = None
) -> dict[str, float]:
    """Return every metric of the problem, by name; NaN for one that these rows do not define.

    Parameters
    ----------
    labels, scores
        Shape ``(rows,)``; for a binary problem labels are 0 and 1 and scores probabilities. Of several classes labels are
        their places and scores have shape ``(rows, classes)``.
    weights
        Shape ``(rows,)``: how much each row counts; None for all alike.
    costs
        Of errors; without them there is no cost of a request.
    """
    values: dict[str, float] = {}
    for name in names(problem, costs):
        try:
            values[name] = metric(name, problem, costs).function(labels, scores, weights)
        except MetricError:
            values[name] = float("nan")
    return values


def names(problem: Target, costs: ErrorCosts | None = None) -> tuple[str, ...]:
    """Return the names of all metrics of the problem, in the order in which reports show them."""
    known = tuple(_metrics_of(problem))
    return known if costs is None else (*known, COST_PER_REQUEST)


def cost_metric(costs: ErrorCosts | None, problem: Target = Problem.BINARY) -> Metric:
    """Return the mean cost of the decisions that follow from scores, as a loss: 0 if every decision is the cheapest.

    The decision about a constant prediction is the constant one that costs least on the labels.
    """

    def of_rows(labels: Floats, scores: Floats) -> Floats:
        if costs is None:
            raise MetricError("the cost of a request needs the costs of errors: declare them.")
        return row_costs(labels, scores, costs, problem)

    return Metric(
        name=COST_PER_REQUEST, function=mean_loss(of_rows), row_loss=of_rows, problems=_BINARY,
        constant=shares_of(problem) if isinstance(problem, MultiClass) else mean_of,
    )  # fmt: skip


def constant_scores(labels: Floats, measured: Metric, weights: Floats | None = None) -> Floats:
    """Return the best constant prediction, repeated for every row.

    It is computed from the evaluated labels themselves, which favours it over any model: the median for the mean
    absolute error, the mean for every other metric, the share of every class where there are several.
    """
    best = np.asarray(measured.constant(labels, weights), dtype=np.float64)
    return np.tile(best, (labels.size, *(1 for _ in best.shape)))


def _metrics_of(problem: Target) -> dict[str, Metric]:
    if isinstance(problem, MultiClass):
        return class_metrics(problem)
    return {name: m for name, m in METRICS.items() if problem in m.problems}


def _one_ranking(labels: Floats, scores: Floats) -> tuple[Ranking, ...]:
    return ((labels, scores),)


_BINARY = frozenset({Problem.BINARY})
_REGRESSION = frozenset({Problem.REGRESSION})
_BOTH = _BINARY | _REGRESSION

METRICS: Mapping[str, Metric] = MappingProxyType({
    m.name: m
    for m in (
        Metric(name="roc_auc_score", function=roc_auc_score, rankings=_one_ranking, problems=_BINARY),
        Metric(name="average_precision_score", function=average_precision_score, problems=_BINARY),
        Metric(name="log_loss", function=mean_loss(log_losses), row_loss=log_losses, problems=_BINARY),
        Metric(name="brier_loss", function=mean_loss(squares), row_loss=squares, problems=_BINARY),
        Metric(name="mean_absolute_error", function=mean_loss(distances), row_loss=distances, problems=_REGRESSION,
               constant=median),
        Metric(name="median_absolute_error", function=median_absolute_error, problems=_REGRESSION),
        Metric(name="root_mean_squared_error", function=mean_loss(squares, root=True), row_loss=squares, root=True,
               problems=_REGRESSION),
        Metric(name="r2_score", function=r2_score, problems=_REGRESSION),
        Metric(name="rank_correlation_score", function=rank_correlation_score, problems=_REGRESSION),
        Metric(name="bias_error", function=bias_error, problems=_BOTH),
        Metric(name="expected_calibration_error", function=expected_calibration_error, problems=_BOTH),
    )
})  # fmt: skip
"""Every metric by name; evaluation, monitoring and reports all read this table."""
