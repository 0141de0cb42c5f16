"""Estimates of a model's metrics from sums over its predictions, where there are too many for `ml.estimation.metric_estimates`.

What is expected of each row is computed from the row itself, and only sums leave a batch. The expected ROC AUC is that of
`ml.estimation.classification` on a grid of scores, within the bound of `ml.metrics.score_grid`; everything else is exact.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.estimation.class_estimates import expected_row_losses
from ml.estimation.classification import losses_by_outcome
from ml.estimation.expected_cost import expected_row_costs
from ml.estimation.metric_estimates import Estimate, Estimation
from ml.metrics.addends import Segments, added, each_segmentation, segment_name
from ml.metrics.metric_table import metric
from ml.metrics.quality_metrics import MetricError
from ml.metrics.score_grid import CellTable, Grid
from ml.metrics.segment_errors import Errors
from ml.metrics.segment_summary import Segment
from ml.metrics.segment_sums import Layout, numbers, score_part
from ml.spec.costs import COST_PER_REQUEST

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

KNOWN = "known"
"""The column by which predictions with a label are summed once more; its value is `YES` for them."""
YES = "yes"
SUMS = 2
_CELLS, _ITSELF = "cells", "itself"


@dataclass(frozen=True, kw_only=True)
class ExpectedSums:
    """Adds up what is expected of predictions, by group and once more of those with a label.

    Attributes
    ----------
    layout
        Of the predictions: their groups, scores and weights.
    estimations
        Model version to what was learned about it; batches have no other versions.
    inputs
        The columns that the estimations read.
    grids
        Of the scores by the name of their table, for a classifier.
    score
        The model among those of `layout`.
    """

    layout: Layout
    estimations: Mapping[int, Estimation]
    inputs: tuple[str, ...]
    grids: Mapping[str, Grid]
    score: str = "score"
    version: str = "model_version"

    values: int = SUMS

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it reads, besides the one of labels that are known."""
        weights = (self.layout.weight,) if self.layout.weight else ()
        scores = self.layout.columns_of(self.score)
        return tuple(dict.fromkeys([self.version, *scores, *self.layout.groups, *self.inputs, *weights]))

    def __call__(self, batch: pd.DataFrame) -> Iterator[pd.DataFrame]:
        """Yield the sums of a batch."""
        for number, estimation in self.estimations.items():
            rows = batch[batch[self.version] == number]
            if rows.empty:
                continue
            scores = self.layout.scores_of(rows, self.score)
            beliefs = estimation.beliefs(rows[list(self.inputs)], scores)
            weights = numbers(rows, self.layout.weight) if self.layout.weight else np.ones(len(rows))
            for _, segments in each_segmentation(rows, self.layout.groups, (KNOWN,)):
                yield from self._summed(estimation, segments, scores, beliefs, weights)

    def _summed(
        self, estimation: Estimation, segments: Segments, scores: Floats, beliefs: Floats, weights: Floats
    ) -> Iterator[pd.DataFrame]:
        def weighted(part: str, values: Floats, keys: Integers | None = None) -> pd.DataFrame:
            return added(segments, part, keys, np.column_stack([weights, weights * values]))

        if not self.layout.classes:
            for i, name in enumerate(estimation.metrics):
                yield weighted(name, beliefs[:, i])
            return
        for column, values, chances in zip(
            self.layout.columns_of(self.score), _by_column(scores), _by_column(beliefs), strict=True
        ):
            likely = np.clip(chances, 0.0, 1.0)
            yield weighted(_part(_CELLS, column), likely, self.grids[score_part(column)].cell_of(values))
            itself = weights**2 * likely * (1 - likely)
            yield added(segments, _part(_ITSELF, column), None, np.column_stack([np.ones(weights.size), itself]))
        for name, losses in _expected_losses(scores, beliefs).items():
            yield weighted(name, losses)
        if estimation.costs is not None:
            costs = expected_row_costs(scores, beliefs, estimation.costs, self.layout.problem)
            yield weighted(COST_PER_REQUEST, costs)


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What is expected of the metrics of one group, over all its predictions and over those with a label."""

    layout: Layout
    grids: Mapping[str, Grid]
    sums: Mapping[str, Mapping[str, pd.DataFrame]]
    group: tuple[object, ...]
    score: str = "score"

    def value(self, name: str, *, known: bool) -> float:
        """Return the expected value of a metric; NaN where it is not defined."""
        segment = segment_name(self.group, KNOWN, YES) if known else segment_name(self.group)
        parts = self.sums.get(segment, {})
        if name in self.layout.ranked:
            columns = self.layout.columns_of(self.score)
            ranked = [columns[place] for place in self.layout.ranked[name]]
            return float(np.mean([_expected_roc_auc(self.grids[score_part(one)], parts, one) for one in ranked]))
        if name not in parts:
            return float("nan")
        weight, total = (float(parts[name][f"sum_{i}"].sum()) for i in range(SUMS))
        if weight <= 0:
            return float("nan")
        if self.layout.classes:
            return total / weight
        mean = max(total / weight, 0.0)
        return float(np.sqrt(mean)) if metric(name).root else mean


def expected_of(sums: pd.DataFrame) -> dict[str, dict[str, pd.DataFrame]]:
    """Return the sums by segment and part."""
    return {
        str(segment): {str(part): rows for part, rows in own.groupby("part")}
        for segment, own in sums.groupby("segment")
    }


def summarised_estimates(
    expected: Expected, realised: Segment, errors: Errors | None, *, score: str, metrics: tuple[str, ...]
) -> tuple[Estimate, ...]:
    """Return an estimate of every metric with the realised value, as `ml.estimation.metric_estimates.estimates`.

    Parameters
    ----------
    realised, errors
        The predictions of the group, summed with their labels.
    """
    return tuple(_estimate(expected, realised, errors, score, name) for name in metrics)


def _estimate(expected: Expected, realised: Segment, errors: Errors | None, score: str, name: str) -> Estimate:
    value = error = float("nan")
    try:
        value = realised.value(name, score)[0]
        if errors is not None:
            error = errors.variance((name, score, None)).standard_error
    except MetricError:
        pass  # no label of a class, or too few units: what is not defined stays NaN
    return Estimate(
        metric=name, estimated=expected.value(name, known=False), realised=value,
        error=expected.value(name, known=True) - value, standard_error=error,
    )  # fmt: skip


def _by_column(values: Floats) -> Floats:
    """Return the values of each class that stands against the rest, shape (classes, rows)."""
    return np.atleast_2d(values.T)


def _part(name: str, column: str) -> str:
    return f"{name} {column}"


def _expected_losses(scores: Floats, beliefs: Floats) -> dict[str, Floats]:
    if scores.ndim > 1:
        return expected_row_losses(scores, beliefs)
    if_positive, if_negative = losses_by_outcome(scores)
    return {"log_loss": beliefs * if_positive + (1 - beliefs) * if_negative}


def _expected_roc_auc(grid: Grid, parts: Mapping[str, pd.DataFrame], column: str) -> float:
    """Return the expected ROC AUC: a row counts as positive with its probability, and is not compared with itself."""
    counted = parts.get(_part(_CELLS, column))
    if counted is None:
        return float("nan")
    columns = np.zeros((SUMS, grid.cells))
    for i in range(SUMS):
        columns[i, counted["key"].to_numpy(np.int64)] = counted[f"sum_{i}"].to_numpy(np.float64)
    table = CellTable(grid=grid, rows=columns[0], labels=columns[1], values=columns[0], distances=columns[0])
    positives, negatives = table.of_each_class
    rows, itself = (float(parts[_part(_ITSELF, column)][f"sum_{i}"].sum()) for i in range(SUMS))
    if rows < 2 or min(positives, negatives) <= 0:
        return float("nan")
    won = float(table.labels @ (np.cumsum(table.negatives) - table.negatives / 2))
    return (won - itself / 2) / (positives * negatives - itself)
