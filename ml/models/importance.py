"""How much a fitted model's quality on rows depends on each input, with standard errors by the units of these rows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.metrics.clusters import Units, clustered_variance
from ml.metrics.quality_metrics import Metric, MetricError, Ranking
from ml.metrics.standard_errors import class_shares, paired_mean, placements
from ml.models.prediction import predict
from ml.spec.target import Target

Floats = NDArray[np.float64]

BATCH_ROWS = 100_000
"""Shuffled rows that are scored by one call."""


@dataclass(frozen=True, kw_only=True)
class InputImportance:
    """How much a metric falls when one input is shuffled.

    Attributes
    ----------
    importance
        Positive means that the input helps; for an error or a loss, by how much it rises.
    standard_error
        By the units of the rows; None where the metric has none or the units are too few.
    """

    input: str
    importance: float
    standard_error: float | None


@dataclass(frozen=True, kw_only=True)
class ImportanceRows:
    """The rows on which importance is measured.

    Attributes
    ----------
    inputs, labels
        One per row.
    units
        Which rows depend on each other.
    weights
        Shape ``(rows,)``: how much each row counts; None for all alike.
    """

    inputs: pd.DataFrame
    labels: Floats
    units: Units
    weights: Floats | None = None

    def take(self, chosen: NDArray[np.intp]) -> "ImportanceRows":
        """Return some of the rows."""
        return ImportanceRows(
            inputs=self.inputs.iloc[chosen].reset_index(drop=True),
            labels=self.labels[chosen],
            units=self.units.take(chosen),
            weights=None if self.weights is None else self.weights[chosen],
        )


def permutation_importance(
    model: Any, measured_on: ImportanceRows, *, problem: Target, measured: Metric, seed: int, rows: int = 2_000,
    repeats: int = 2,
) -> tuple[InputImportance, ...]:  # fmt: skip
    """Measure how much worse a metric gets when one input is shuffled; the most important first.

    Breiman (2001), "Random forests", section 10, on a seeded sample of at most `rows` rows. The model and the same model without
    the input are compared like two models on the same rows, so the standard error is that of `ml.metrics.standard_errors`.
    Inputs that say the same stand in for each other, and each of them then shows little.

    Parameters
    ----------
    measured_on
        Rows that the model was not trained on.
    measured
        The metric.
    repeats
        How many times each input is shuffled; the components of the metric are averaged over them.

    Raises
    ------
    MetricError
        If the rows do not define the metric.
    """
    generator = np.random.default_rng(seed)
    sample = measured_on.take(np.sort(generator.permutation(len(measured_on.inputs))[:rows]))
    whole = predict(model, sample.inputs, problem=problem)
    measured.function(sample.labels, whole, sample.weights)
    found = []
    at_once = max(1, BATCH_ROWS // (repeats * max(1, len(sample.inputs))))
    for columns in _batched(list(sample.inputs.columns), at_once):
        # Several inputs and all repeats in one call: preparing a call costs more than scoring thousands of rows.
        shuffled = [_shuffled(sample.inputs, column, generator) for column in columns for _ in range(repeats)]
        scores = predict(model, pd.concat(shuffled, ignore_index=True), problem=problem)
        each = scores.reshape(len(columns), repeats, *whole.shape)
        for column, own in zip(columns, each, strict=True):
            importance, error = _fall(measured, sample, whole, own)
            found.append(InputImportance(input=column, importance=importance, standard_error=error))
    return tuple(sorted(found, key=lambda one: -one.importance))


def _fall(measured: Metric, sample: ImportanceRows, whole: Floats, shuffled: Floats) -> tuple[float, float | None]:
    """Return by how much the metric gets worse, and the standard error; `shuffled` has the scores of each repeat."""
    try:
        if measured.row_loss is not None:
            losses = np.mean([measured.row_loss(sample.labels, own) for own in shuffled], axis=0)
            plain = measured.row_loss(sample.labels, whole)
            found = paired_mean(losses, plain, root=measured.root, groups=sample.units, weights=sample.weights)
            return -measured.sign * found.value, found.standard_error
        if measured.rankings is not None:
            return _fall_in_auc(measured.rankings, sample, whole, shuffled)
    except MetricError:
        pass  # too few days or entities: a value without an error
    values = [measured.function(sample.labels, own, sample.weights) for own in shuffled]
    return measured.sign * (measured.function(sample.labels, whole, sample.weights) - float(np.mean(values))), None


def _fall_in_auc(
    rankings: Callable[[Floats, Floats], tuple[Ranking, ...]], sample: ImportanceRows, whole: Floats, shuffled: Floats
) -> tuple[float, float]:
    """Return the fall in a mean of ROC AUCs: a row's influence on it is the mean of its influences on each."""
    repeats = [rankings(sample.labels, own) for own in shuffled]
    values, influences, counted = [], [], []
    for place, (labels, scores) in enumerate(rankings(sample.labels, whole)):
        positives = labels == 1
        without = np.mean([placements(positives, own[place][1], sample.weights) for own in repeats], axis=0)
        falls, shares = placements(positives, scores, sample.weights) - without, class_shares(positives, sample.weights)
        values.append(float(falls[positives] @ shares[positives]))
        influences.append((falls - values[-1]) * shares)
        counted.append(shares)
    influence, shares = np.mean(influences, axis=0), np.mean(counted, axis=0)
    return float(np.mean(values)), clustered_variance(influence, sample.units, shares).standard_error


def _batched(names: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), size):
        yield names[start : start + size]


def _shuffled(sample: pd.DataFrame, column: str, generator: np.random.Generator) -> pd.DataFrame:
    return sample.assign(**{column: sample[column].to_numpy()[generator.permutation(len(sample))]})
