"""What labels and scores are like by the kind of target, so that nothing else asks what is predicted.

Of several classes the labels are their places, shape ``(rows,)``, and the scores their probabilities, shape
``(rows, classes)``; else scores have shape ``(rows,)``.
"""

import numpy as np
from numpy.typing import NDArray

from ml.metrics.quality_metrics import mean_of
from ml.spec.target import MultiClass, Target

Floats = NDArray[np.float64]

SUM_TOLERANCE = 1e-4
"""By how much the probabilities of a row may miss 1; single precision misses it by far less."""


def scores_shape(rows: int, problem: Target) -> tuple[int, ...]:
    """Return the shape of the scores of so many rows."""
    return (rows, len(problem.classes)) if isinstance(problem, MultiClass) else (rows,)


def label_values(problem: Target) -> Floats | None:
    """Return the labels that there are; None for a quantity."""
    return np.arange(len(problem.classes), dtype=np.float64) if problem.classes else None


def positive_rows(labels: Floats, problem: Target) -> int | None:
    """Return the rows of class 1 of two, or of the rarest of several; None for a quantity."""
    if not problem.classes:
        return None
    return int(class_counts(labels, problem).min()) if isinstance(problem, MultiClass) else int(labels.sum())


def rarer_rows(labels: Floats, problem: Target) -> int | None:
    """Return the rows of the rarest class; None for a quantity."""
    return int(class_counts(labels, problem).min()) if problem.classes else None


def class_counts(labels: Floats, problem: Target) -> NDArray[np.int64]:
    """Return the rows of each class, shape ``(classes,)``."""
    return np.bincount(labels.astype(np.intp), minlength=len(problem.classes))


def label_spread(labels: Floats, problem: Target, weights: Floats | None = None) -> float:
    """Return the standard deviation of the label; of several classes the mean of those of belonging to each."""
    if labels.size == 0:
        return 0.0
    if isinstance(problem, MultiClass):
        shares = [mean_of((labels == place).astype(np.float64), weights) for place in range(len(problem.classes))]
        return float(np.mean([np.sqrt(share * (1 - share)) for share in shares]))
    return float(labels.std()) if weights is None else float(np.sqrt(np.cov(labels, aweights=weights, ddof=0)))


def in_one_column(labels: Floats, scores: Floats) -> tuple[Floats, Floats]:
    """Return what was observed and predicted, one number a row each.

    Of several classes: whether the most probable one is right, and its probability.
    """
    if scores.ndim == 1:
        return labels, scores
    known = ~np.isnan(labels)
    right = np.where(known, scores.argmax(axis=1) == np.where(known, labels, -1.0), np.nan)
    return right, scores.max(axis=1)
