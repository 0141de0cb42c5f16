"""Reliability: what was observed where a model predicted so much, bin by bin, on the rows of an evaluation."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.metrics.clusters import Units
from ml.metrics.quality_metrics import MetricError, calibration_bins, mean_of
from ml.metrics.standard_errors import mean_error

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ReliabilityBin:
    """Rows of about the same score.

    Attributes
    ----------
    predicted, observed
        Mean score and mean label.
    standard_error
        Of `observed`, by the units of the rows; None where these are too few.
    """

    predicted: float
    observed: float
    rows: int
    standard_error: float | None


def reliability(labels: Floats, scores: Floats, units: Units, weights: Floats | None) -> Iterator[ReliabilityBin]:
    """Yield the bins of `ml.metrics.quality_metrics.expected_calibration_error`, the lowest score first.

    Parameters
    ----------
    labels, scores, weights
        Shape ``(rows,)``; weights are None for all alike.
    """
    index = calibration_bins(scores)
    for number in np.unique(index):
        rows = np.flatnonzero(index == number)
        counted = None if weights is None else weights[rows]
        try:
            predicted, observed = mean_of(scores[rows], counted), mean_of(labels[rows], counted)
        except MetricError:  # rows of no weight
            continue
        try:
            error = mean_error(labels[rows], units.take(rows), weights=counted).standard_error
        except MetricError:
            error = None
        yield ReliabilityBin(predicted=predicted, observed=observed, rows=int(rows.size), standard_error=error)
