"""How much a fitted model's quality depends on each input."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.metrics.quality_metrics import metric
from ml.models.prediction import predict
from ml.spec.costs import Costs
from ml.spec.estimator import Problem

Floats = NDArray[np.float64]

BATCH_ROWS = 100_000
"""Shuffled rows that are scored by one call."""


def permutation_importance(
    model: Any,
    inputs: pd.DataFrame,
    labels: Floats,
    *,
    problem: Problem,
    metric_name: str,
    seed: int,
    rows: int = 5_000,
    repeats: int = 3,
    costs: Costs | None = None,
) -> pd.DataFrame:
    """Measure how much worse a metric gets when one input is shuffled.

    Breiman (2001), "Random forests", section 10, on a seeded sample of at most `rows` rows.

    Returns
    -------
    pandas.DataFrame
        Columns ``input``, ``importance`` (mean fall in the metric, positive means that the input helps) and
        ``standard_deviation`` over repeats, the most important first.
    """
    generator = np.random.default_rng(seed)
    chosen = np.sort(generator.permutation(len(inputs))[:rows])
    sample, truth = inputs.iloc[chosen].reset_index(drop=True), np.asarray(labels, dtype=np.float64)[chosen]
    measured = metric(metric_name, problem, costs)
    whole = measured.function(truth, predict(model, sample, problem=problem))
    records = []
    at_once = max(1, BATCH_ROWS // (repeats * max(1, len(sample))))
    for columns in _batched(list(sample.columns), at_once):
        # Several inputs and all repeats in one call: preparing a call costs more than scoring thousands of rows.
        shuffled = [_shuffled(sample, column, generator) for column in columns for _ in range(repeats)]
        scores = predict(model, pd.concat(shuffled, ignore_index=True), problem=problem)
        for column, own in zip(columns, scores.reshape(len(columns), repeats, len(sample)), strict=True):
            falls = [measured.sign * (whole - measured.function(truth, row)) for row in own]
            records.append((column, float(np.mean(falls)), float(np.std(falls))))
    frame = pd.DataFrame(records, columns=["input", "importance", "standard_deviation"])
    return frame.sort_values("importance", ascending=False, kind="stable", ignore_index=True)


def _batched(names: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), size):
        yield names[start : start + size]


def _shuffled(sample: pd.DataFrame, column: str, generator: np.random.Generator) -> pd.DataFrame:
    return sample.assign(**{column: sample[column].to_numpy()[generator.permutation(len(sample))]})
