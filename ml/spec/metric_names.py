"""The names of the metrics, for declarations; imports the standard library only.

The formulas are in `ml.metrics.quality_metrics`.
"""

from collections.abc import Mapping
from types import MappingProxyType

from ml.spec.costs import COST_PER_REQUEST, Costs
from ml.spec.estimator import Problem

METRIC_NAMES: Mapping[Problem, tuple[str, ...]] = MappingProxyType(
    {
        Problem.BINARY: (
            "roc_auc_score",
            "average_precision_score",
            "log_loss",
            "brier_loss",
            "bias_error",
            "expected_calibration_error",
        ),
        Problem.REGRESSION: (
            "mean_absolute_error",
            "median_absolute_error",
            "root_mean_squared_error",
            "r2_score",
            "rank_correlation_score",
            "bias_error",
            "expected_calibration_error",
        ),
    }
)
"""The metrics of each kind of problem, in the order in which reports show them."""

WITH_STANDARD_ERROR = frozenset(
    {"roc_auc_score", "log_loss", "brier_loss", "mean_absolute_error", "root_mean_squared_error", COST_PER_REQUEST}
)
"""The metrics with a standard error: a fall in them can be distinguished from chance."""


def metric_names(problem: Problem, costs: Costs | None) -> tuple[str, ...]:
    """Return the metrics that a use case has: those of its problem, and the cost of a request where it declares costs."""
    return (*METRIC_NAMES[problem], *((COST_PER_REQUEST,) if costs is not None else ()))
