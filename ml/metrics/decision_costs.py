"""The decision that costs least in expectation, and what decisions cost: by the loss table that declared costs give.

`ml.spec.costs` says what is declared. Probabilities come from the scores, so what holds for them holds for decisions: scores that
are no probabilities decide wrongly. numpy only: a served model carries this module.
"""

import numpy as np
from numpy.typing import NDArray

from ml.spec.costs import Costs, ErrorCosts, loss_table
from ml.spec.target import Target

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

ROUNDING = 1e-9
"""Expected costs that differ by a smaller share are the same: so much may rounding make of it."""


def decided(scores: Floats, costs: ErrorCosts, problem: Target) -> Places:
    """Return the class for which each row is decided: the one whose decision costs least in expectation (Elkan 2001).

    Of classes that cost alike the last one in their declared order; of two that is to act, from the threshold on.

    Parameters
    ----------
    scores
        Shape ``(rows,)``: the probability of class 1 of two; of several ``(rows, classes)``.

    Returns
    -------
    numpy.ndarray
        Shape ``(rows,)``: the places of the classes; of two 1 is to act.
    """
    if isinstance(costs, Costs):
        # The same in closed form, to the last bit of the threshold that stands beside the decision.
        return np.asarray(scores >= costs.threshold, dtype=np.intp)
    return cheapest(expected_costs(scores, costs, problem))


def cheapest(expected: Floats) -> Places:
    """Return the place of the least cost of each row, the last one of several that are alike."""
    alike = expected <= expected.min(axis=1, keepdims=True) * (1 + ROUNDING)
    return np.asarray(expected.shape[1] - 1 - alike[:, ::-1].argmax(axis=1), dtype=np.intp)


def expected_costs(scores: Floats, costs: ErrorCosts, problem: Target) -> Floats:
    """Return what each decision is expected to cost beyond the cheapest one, shape ``(rows, classes)``."""
    return np.asarray(of_each_class(scores) @ np.array(loss_table(costs, problem)))


def row_costs(labels: Floats, scores: Floats, costs: ErrorCosts, problem: Target) -> Floats:
    """Return what the decision about each row cost beyond the cheapest one, shape ``(rows,)``."""
    return np.asarray(np.array(loss_table(costs, problem))[labels.astype(np.intp), decided(scores, costs, problem)])


def costs_by_class(scores: Floats, costs: ErrorCosts, problem: Target) -> Floats:
    """Return what the decision about each row costs if each of the classes is true, shape ``(rows, classes)``."""
    return np.asarray(np.array(loss_table(costs, problem)).T[decided(scores, costs, problem)])


def of_each_class(scores: Floats) -> Floats:
    """Return the probability of each class, shape ``(rows, classes)``."""
    return scores if scores.ndim == 2 else np.column_stack([1 - scores, scores])
