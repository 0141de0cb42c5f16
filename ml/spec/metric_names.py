"""The names of the metrics, for declarations; imports the standard library only.

The formulas are in `ml.metrics.quality_metrics`.
"""

from collections.abc import Mapping
from types import MappingProxyType

from ml.spec.costs import COST_PER_REQUEST, ErrorCosts
from ml.spec.estimator import Problem
from ml.spec.target import MULTI_CLASS, MultiClass, Target

METRIC_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
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
        MULTI_CLASS: (
            "macro_roc_auc_score",
            "log_loss",
            "brier_loss",
            "zero_one_loss",
            "bias_error",
            "expected_calibration_error",
        ),
    }
)
"""The metrics of each kind of target, in the order in which reports show them; of several classes each has its own as well."""

WITH_STANDARD_ERROR = frozenset(
    {
        "roc_auc_score", "macro_roc_auc_score", "log_loss", "brier_loss", "zero_one_loss", "mean_absolute_error",
        "root_mean_squared_error", COST_PER_REQUEST,
    }
)  # fmt: skip
"""The metrics with a standard error: a fall in them can be distinguished from chance. That of each class is another."""
_AUC_OF_CLASS = "roc_auc_of_"


def metric_names(problem: Target, costs: ErrorCosts | None) -> tuple[str, ...]:
    """Return the metrics that a use case has: those of its problem, and the cost of a request where it declares costs."""
    each = (name for one in problem.classes for name in (class_auc(one), class_calibration(one)))
    of_classes = tuple(each) if isinstance(problem, MultiClass) else ()
    return (*METRIC_NAMES[str(problem)], *of_classes, *((COST_PER_REQUEST,) if costs is not None else ()))


def class_auc(name: str) -> str:
    """Return the name of the ROC AUC of one class against the rest."""
    return f"{_AUC_OF_CLASS}{name}_score"


def class_calibration(name: str) -> str:
    """Return the name of the calibration error of one class's probability."""
    return f"calibration_of_{name}_error"


def higher_is_better(name: str) -> bool:
    """Return the direction of a metric, which its name carries."""
    return name.endswith("_score")


def has_standard_error(name: str) -> bool:
    """Return whether a metric has a standard error."""
    return name in WITH_STANDARD_ERROR or name.startswith(_AUC_OF_CLASS)
