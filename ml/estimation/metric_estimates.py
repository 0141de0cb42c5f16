"""Estimates of a model's metrics before labels arrive, for both kinds of problem.

An estimation is learned once for a model and then applied to any rows. A classifier's probability states how likely the
label is (`ml.estimation.classification`); the loss of a regression has to be learned (`ml.estimation.regression`). Once
labels arrive, the realised value and the error of the estimate are recorded with it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.estimation.class_estimates import ClassEstimation
from ml.estimation.classification import (
    IsotonicCalibration,
    Performance,
    estimation_error,
    expected_log_loss,
    expected_roc_auc_score,
)
from ml.estimation.expected_cost import expected_cost
from ml.estimation.regression import LossEstimation
from ml.metrics.clusters import Units
from ml.metrics.metric_table import metric
from ml.monitoring.window_metrics import value_with_error
from ml.spec.costs import COST_PER_REQUEST, ErrorCosts
from ml.spec.estimator import Problem
from ml.spec.target import MultiClass, Target

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """One metric of some predictions, estimated without labels, and its realised value on the labels known so far.

    Attributes
    ----------
    estimated
        Expected over all predictions.
    realised, standard_error
        On the predictions whose labels are known.
    error
        Estimated minus realised, both on the predictions whose labels are known.

    Each is NaN where it is not defined, for example without any label.
    """

    metric: str
    estimated: float
    realised: float
    error: float
    standard_error: float


class Estimation(Protocol):
    """What was learned about one model's performance."""

    @property
    def problem(self) -> Target:
        """What is predicted, by which metrics have their names."""

    @property
    def costs(self) -> ErrorCosts | None:
        """The costs of errors; None without any."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that can be estimated."""

    def beliefs(self, inputs: pd.DataFrame, scores: Floats) -> Floats:
        """Return the expected label or losses of each row, rows on the first axis."""

    def expected(self, name: str, scores: Floats, beliefs: Floats, weights: Floats | None = None) -> Performance:
        """Return the expected metric of rows, given what `beliefs` returned for them."""


def learn(
    problem: Target,
    inputs: pd.DataFrame,
    scores: Floats,
    labels: Floats,
    *,
    numeric: Sequence[str],
    categorical: Sequence[str],
    costs: ErrorCosts | None = None,
) -> Estimation:
    """Learn how good a model's scores are, from labelled rows that it was not trained on.

    Parameters
    ----------
    inputs
        The columns of `numeric` and `categorical`, shape (rows, inputs).
    scores, labels
        Shape (rows,); scores of several classes (rows, classes).
    costs
        Of errors: with them the cost of a request is estimated too.

    Raises
    ------
    ValueError
        If there are no rows, or a score or label is not allowed.
    """
    if isinstance(problem, MultiClass):
        return ClassEstimation.learn(problem, scores, labels, costs)
    if problem is Problem.BINARY:
        metrics = ("roc_auc_score", "log_loss", *((COST_PER_REQUEST,) if costs else ()))
        calibration = IsotonicCalibration.fit(scores, labels)
        return ProbabilityEstimation(calibration=calibration, metrics=metrics, costs=costs)
    return LossEstimation.learn(inputs, scores, labels, numeric=numeric, categorical=categorical)


def estimates(
    estimation: Estimation,
    inputs: pd.DataFrame,
    scores: Floats,
    labels: Floats,
    units: Units,
    weights: Floats | None = None,
) -> tuple[Estimate, ...]:
    """Return an estimate of every metric, with the realised value on the labels known so far.

    Parameters
    ----------
    inputs
        The columns from which `estimation` was learned, shape (rows, inputs).
    scores, labels
        Shape (rows,), scores of several classes (rows, classes); a label that is not known is NaN.
    units
        Which rows depend on each other, for the standard error.
    weights
        Shape (rows,): how much each row counts; None for all alike.
    """
    beliefs, known = estimation.beliefs(inputs, scores), ~np.isnan(labels)
    counted = None if weights is None else weights[known]
    estimated = []
    for name in estimation.metrics:
        value, found = value_with_error(
            metric(name, estimation.problem, estimation.costs), labels[known], scores[known], units.take(known), counted
        )
        error = found.standard_error if found else None
        realised = Performance(metric=name, value=_or_nan(value), standard_error=_or_nan(error))
        compared = estimation_error(estimation.expected(name, scores[known], beliefs[known], counted), realised)
        estimated.append(
            Estimate(
                metric=name,
                estimated=estimation.expected(name, scores, beliefs, weights).value,
                realised=compared.realised,
                error=compared.error,
                standard_error=compared.standard_error,
            )
        )
    return tuple(estimated)


@dataclass(frozen=True, kw_only=True)
class ProbabilityEstimation:
    """What was learned about a classifier: the probability that belongs to each score."""

    calibration: IsotonicCalibration
    problem: Target = Problem.BINARY
    metrics: tuple[str, ...] = ("roc_auc_score", "log_loss")
    costs: ErrorCosts | None = None

    def beliefs(self, inputs: pd.DataFrame, scores: Floats) -> Floats:  # noqa: ARG002 - of the protocol
        """Return the probability that belongs to each score, shape (rows,)."""
        return self.calibration(scores)

    def expected(self, name: str, scores: Floats, beliefs: Floats, weights: Floats | None = None) -> Performance:
        """Return the metric's expectation over labels that are drawn with these probabilities."""
        if name == COST_PER_REQUEST and self.costs is not None:
            return expected_cost(scores, beliefs, self.costs, self.problem, weights)
        expected = {"roc_auc_score": expected_roc_auc_score, "log_loss": expected_log_loss}
        return expected[name](scores, beliefs, weights)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
