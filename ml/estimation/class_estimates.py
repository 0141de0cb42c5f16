"""Expected metrics of a classifier of several classes on rows whose labels have not arrived.

As `ml.estimation.classification` has it for two: if a row's probabilities are right, its label is a draw by them. Each class's
probability is calibrated against the rest, and those of a row are divided by their sum.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.estimation.classification import IsotonicCalibration, Performance, expected_roc_auc_score
from ml.estimation.expected_cost import expected_cost
from ml.metrics.quality_metrics import SMALLEST_PROBABILITY, mean_of
from ml.spec.costs import COST_PER_REQUEST, ErrorCosts
from ml.spec.metric_names import class_auc
from ml.spec.target import MultiClass

Floats = NDArray[np.float64]

MACRO, LOG_LOSS, ZERO_ONE = "macro_roc_auc_score", "log_loss", "zero_one_loss"


@dataclass(frozen=True, kw_only=True)
class ClassEstimation:
    """What was learned about a classifier of several classes: the probability that belongs to each class's score."""

    problem: MultiClass
    calibrations: tuple[IsotonicCalibration, ...]
    costs: ErrorCosts | None = None

    @classmethod
    def learn(
        cls, problem: MultiClass, scores: Floats, labels: Floats, costs: ErrorCosts | None = None
    ) -> "ClassEstimation":
        """Learn from labelled rows that the model was not trained on.

        Parameters
        ----------
        scores, labels
            Shape (rows, classes) and (rows,).
        costs
            Of errors: with them the cost of a request is estimated too.

        Raises
        ------
        ValueError
            If there are no rows, or a score or label is not allowed.
        """
        return cls(
            problem=problem,
            costs=costs,
            calibrations=tuple(
                IsotonicCalibration.fit(scores[:, place], (labels == place).astype(np.float64))
                for place in range(len(problem.classes))
            ),
        )

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that can be estimated: those of all classes, then the ROC AUC of each, and the cost of a request."""
        of_costs = (COST_PER_REQUEST,) if self.costs else ()
        return (MACRO, LOG_LOSS, ZERO_ONE, *map(class_auc, self.problem.classes), *of_costs)

    def beliefs(self, inputs: object, scores: Floats) -> Floats:  # noqa: ARG002 - of the protocol
        """Return the probability of each class of each row, shape (rows, classes); each row's add up to 1."""
        found = np.column_stack([one(scores[:, place]) for place, one in enumerate(self.calibrations)])
        sums = found.sum(axis=1, keepdims=True)
        return np.asarray(np.where(sums > 0, found / np.where(sums > 0, sums, 1.0), scores))

    def expected(self, name: str, scores: Floats, beliefs: Floats, weights: Floats | None = None) -> Performance:
        """Return the metric's expectation over labels that are drawn with these probabilities; its error is known of costs only."""
        if name == COST_PER_REQUEST and self.costs is not None:
            return expected_cost(scores, beliefs, self.costs, self.problem, weights)
        if not len(scores) or (weights is not None and weights.sum() <= 0):
            return Performance(metric=name, value=math.nan, standard_error=math.nan)
        if name in (LOG_LOSS, ZERO_ONE):
            value = mean_of(expected_row_losses(scores, beliefs)[name], weights)
        else:
            value = float(np.mean([self._auc(place, scores, beliefs, weights) for place in self._places(name)]))
        return Performance(metric=name, value=value, standard_error=math.nan)

    def _places(self, name: str) -> list[int]:
        """Return the classes whose ROC AUCs a metric is the mean of."""
        return [place for place, one in enumerate(self.problem.classes) if name in (MACRO, class_auc(one))]

    @staticmethod
    def _auc(place: int, scores: Floats, beliefs: Floats, weights: Floats | None) -> float:
        return expected_roc_auc_score(scores[:, place], np.clip(beliefs[:, place], 0.0, 1.0), weights).value


def expected_row_losses(scores: Floats, beliefs: Floats) -> dict[str, Floats]:
    """Return the expected losses of each row by name, shape (rows,) each.

    Parameters
    ----------
    scores, beliefs
        Shape (rows, classes): what was predicted, and how likely each class is.
    """
    chosen = np.take_along_axis(beliefs, scores.argmax(axis=1)[:, None], axis=1)[:, 0]
    log_losses = (beliefs * -np.log(np.clip(scores, SMALLEST_PROBABILITY, 1.0))).sum(axis=1)
    return {LOG_LOSS: log_losses, ZERO_ONE: 1 - chosen}
