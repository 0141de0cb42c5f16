"""Quality metrics where one of several classes is predicted, each of them against the rest.

Labels are the places of the classes, shape ``(rows,)``; scores have a probability for each, shape ``(rows, classes)``. What is
ranked or calibrated is measured for each class against the rest and averaged over the classes, each counting alike
(one-versus-rest, Fawcett 2006, Pattern Recognition Letters 27, 861-874, section 9; Hand and Till 2001, Machine Learning 45,
171-186, for why the mean does not depend on how frequent a class is).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.metrics.quality_metrics import (
    SMALLEST_PROBABILITY,
    Metric,
    Ranking,
    bias_error,
    expected_calibration_error,
    mean_loss,
    mean_of,
    roc_auc_score,
)
from ml.spec.metric_names import class_auc, class_calibration
from ml.spec.target import MultiClass

Floats = NDArray[np.float64]


def class_metrics(problem: MultiClass) -> dict[str, Metric]:
    """Return every metric of a target with these classes by name: those of all classes, then those of each."""
    shares = shares_of(problem)

    def made(name: str, function: Callable[..., float], **more: Any) -> Metric:
        return Metric(name=name, function=function, constant=shares, **more)

    losses: Mapping[str, Callable[[Floats, Floats], Floats]] = {
        "log_loss": log_losses, "brier_loss": brier_losses, "zero_one_loss": zero_one_losses,
    }  # fmt: skip
    found = [
        made("macro_roc_auc_score", _macro(roc_auc_score), rankings=rankings),
        *(made(name, mean_loss(of_row), row_loss=of_row) for name, of_row in losses.items()),
        made("bias_error", _macro(bias_error)),
        made("expected_calibration_error", _macro(expected_calibration_error)),
    ]
    for place, name in enumerate(problem.classes):
        found += [
            made(class_auc(name), _of(place, roc_auc_score), rankings=_ranking_of(place)),
            made(class_calibration(name), _of(place, expected_calibration_error)),
        ]
    return {one.name: one for one in found}


def shares_of(problem: MultiClass) -> Callable[[Floats, Floats | None], Floats]:
    """Return the best constant prediction: for labels and perhaps weights the share of each class, shape ``(classes,)``."""

    def shares(labels: Floats, weights: Floats | None) -> Floats:
        return np.array([mean_of(_is(labels, place), weights) for place in range(len(problem.classes))])

    return shares


def rankings(labels: Floats, scores: Floats) -> tuple[Ranking, ...]:
    """Return for each class which rows have it, and its probability."""
    return tuple(_against_rest(labels, scores))


def log_losses(labels: Floats, scores: Floats) -> Floats:
    """Return the logarithmic loss of each row, of the probability of the class that it has."""
    own = np.take_along_axis(scores, labels.astype(np.intp)[:, None], axis=1)[:, 0]
    return np.asarray(-np.log(np.clip(own, SMALLEST_PROBABILITY, 1.0)))


def brier_losses(labels: Floats, scores: Floats) -> Floats:
    """Return the squared errors of each row's probabilities, summed over the classes (Brier 1950)."""
    own = np.arange(scores.shape[1]) == labels[:, None]
    return np.asarray(((scores - own) ** 2).sum(axis=1))


def zero_one_losses(labels: Floats, scores: Floats) -> Floats:
    """Return 1 for each row whose most probable class is not the one that it has, 0 for the others."""
    return np.asarray(scores.argmax(axis=1) != labels, dtype=np.float64)


def _against_rest(labels: Floats, scores: Floats) -> Iterator[Ranking]:
    for place in range(scores.shape[1]):
        yield _is(labels, place), scores[:, place]


def _macro(formula: Callable[..., float]) -> Callable[..., float]:
    """Return the mean of a formula over the classes, each against the rest."""

    def mean(labels: Floats, scores: Floats, weights: Floats | None = None) -> float:
        return float(np.mean([formula(own, values, weights) for own, values in _against_rest(labels, scores)]))

    return mean


def _of(place: int, formula: Callable[..., float]) -> Callable[..., float]:
    """Return a formula for one class against the rest."""

    def value(labels: Floats, scores: Floats, weights: Floats | None = None) -> float:
        return formula(_is(labels, place), scores[:, place], weights)

    return value


def _ranking_of(place: int) -> Callable[[Floats, Floats], tuple[Ranking, ...]]:
    def ranking(labels: Floats, scores: Floats) -> tuple[Ranking, ...]:
        return ((_is(labels, place), scores[:, place]),)

    return ranking


def _is(labels: Floats, place: int) -> Floats:
    return np.asarray(labels == place, dtype=np.float64)
