"""The expected cost of decisions about rows whose labels have not arrived, from the probability of each class.

If a row's probabilities are right, its label is a draw by them, and the cost of its decision has an expectation over these draws.
"""

import math

import numpy as np
from numpy.typing import NDArray

from ml.estimation.classification import Performance
from ml.metrics.decision_costs import costs_by_class, of_each_class
from ml.spec.costs import COST_PER_REQUEST, ErrorCosts
from ml.spec.target import Target

Floats = NDArray[np.float64]


def expected_cost(
    scores: Floats, probabilities: Floats, costs: ErrorCosts, problem: Target, weights: Floats | None = None
) -> Performance:
    """Return the expected cost of a request whose decision follows from its scores, and its standard error.

    Parameters
    ----------
    scores, probabilities
        Shape (rows,), of several classes (rows, classes): by what is decided, and how likely each class is.
    costs
        Of errors.
    weights
        Shape (rows,): how much each row counts; None for all alike.
    """
    rows = len(scores)
    if not rows or (weights is not None and weights.sum() <= 0):
        return Performance(metric=COST_PER_REQUEST, value=math.nan, standard_error=math.nan)
    chances, amounts = of_each_class(probabilities), costs_by_class(scores, costs, problem)
    shares = np.full(rows, 1 / rows) if weights is None else weights / weights.sum()
    value = float(shares @ expected_row_costs(scores, probabilities, costs, problem))
    # Of a row the spread of its own draw and that around the mean; each counts with the square of its share.
    variance = float(shares**2 @ (chances * (amounts - value) ** 2).sum(axis=1))
    return Performance(metric=COST_PER_REQUEST, value=value, standard_error=float(np.sqrt(variance)))


def expected_row_costs(scores: Floats, probabilities: Floats, costs: ErrorCosts, problem: Target) -> Floats:
    """Return the expected cost of the decision about each row, shape (rows,)."""
    return np.asarray((of_each_class(probabilities) * costs_by_class(scores, costs, problem)).sum(axis=1))
