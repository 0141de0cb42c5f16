"""The first pass over scored rows: counts by the cell of their score, and sums of their losses.

The second, which knows the result of the first, is `ml.metrics.influence_sums`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.metrics.addends import added, each_segmentation
from ml.metrics.clusters import DAY, combinations
from ml.metrics.days import days_of
from ml.metrics.metric_table import metric, names
from ml.metrics.quality_metrics import Metric
from ml.metrics.score_grid import Grid
from ml.spec.costs import ErrorCosts
from ml.spec.estimator import Problem
from ml.spec.metric_names import class_auc, class_calibration
from ml.spec.target import MultiClass, Target

Floats = NDArray[np.float64]

TIME, LABEL = "prediction_at", "label"
"""Columns of every batch; a label that is not known, or does not count, is missing."""
FIRST_SUMS = 4
"""Values of the first pass: rows, labels, values and distances, see `ml.metrics.score_grid.CellTable`; then perhaps weights."""
AGE_STEPS = 24
"""Steps of a day in which ages are counted."""
SQUARES, LABEL_SQUARES = "squares", "label squares"
"""Parts: the squared influences of single rows by class, and the labels' squared distances from `centre_of` their grid."""
CLASS_ROWS = "rows of classes"
"""Part: the number of rows of each class, where rows have weights."""
CONSTANT = "constant"
"""The score column of a constant prediction, which no batch has."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What the columns of a batch mean.

    Attributes
    ----------
    scores
        A column for each model; of several classes what `columns_of` its columns begin with.
    groups, slices
        Columns whose combinations are summed apart, and those whose single values are.
    entities
        Columns of the sampled entities.
    counts
        Columns of 0 and 1 whose sums are wanted, over rows with and without a label.
    ages
        A column of ages in days whose distribution is wanted, missing where a row has none; empty for none.
    costs
        Of errors, for the cost of a request; None without any.
    weight
        A column with how much each row counts; empty where all count alike.
    """

    problem: Target
    scores: tuple[str, ...]
    groups: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()
    day_memory: float = 0.0
    counts: tuple[str, ...] = ()
    ages: str = ""
    costs: ErrorCosts | None = None
    weight: str = ""

    @property
    def first_sums(self) -> int:
        """How many values the first pass sums."""
        return FIRST_SUMS + bool(self.weight)

    def weights(self, batch: pd.DataFrame) -> Floats:
        """Return how much each row of a batch counts; one that is no weight is infinite, so that what it is in is not defined."""
        if not self.weight:
            return np.ones(len(batch))
        found = numbers(batch, self.weight)
        return np.where(np.isfinite(found) & (found >= 0), found, np.inf)

    @property
    def classes(self) -> tuple[int, ...]:
        """The labels that stand against the rest: class 1 of two, each of several; none of a quantity."""
        if isinstance(self.problem, MultiClass):
            return tuple(range(len(self.problem.classes)))
        return (1,) if self.problem is Problem.BINARY else ()

    def columns_of(self, model: str) -> tuple[str, ...]:
        """Return the columns of a model's scores: one, or in the order of `classes` one for each of several classes."""
        return class_columns(model, self.problem) if isinstance(self.problem, MultiClass) else (model,)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns of all scores."""
        return tuple(column for model in self.scores for column in self.columns_of(model))

    def scores_of(self, batch: pd.DataFrame, model: str) -> Floats:
        """Return a model's scores, shape (rows,), of several classes (rows, classes)."""
        if not isinstance(self.problem, MultiClass):
            return numbers(batch, model)
        return np.asarray(batch[list(self.columns_of(model))].to_numpy(np.float64))

    @cached_property
    def ranked(self) -> dict[str, tuple[int, ...]]:
        """The metrics that are a ROC AUC, or the mean of several, to the places of their classes among `classes`."""
        if not isinstance(self.problem, MultiClass):
            return {"roc_auc_score": (0,)} if self.problem is Problem.BINARY else {}
        each = {class_auc(name): (place,) for place, name in enumerate(self.problem.classes)}
        return {"macro_roc_auc_score": self.classes, **each}

    @cached_property
    def calibrated(self) -> dict[str, tuple[int, ...]]:
        """The metrics of calibration to the places of the columns, among those of a model, that they are the mean of."""
        if not isinstance(self.problem, MultiClass):
            return {"expected_calibration_error": (0,)}
        each = {class_calibration(name): (place,) for place, name in enumerate(self.problem.classes)}
        return {"expected_calibration_error": self.classes, **each}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all metrics."""
        return names(self.problem, self.costs)

    def metric(self, name: str) -> Metric:
        """Return one of the metrics by its name."""
        return metric(name, self.problem, self.costs)

    @property
    def losses(self) -> tuple[Metric, ...]:
        """The metrics that are means of a loss, or roots of one."""
        found = (self.metric(name) for name in self.names)
        return tuple(one for one in found if one.row_loss is not None)

    @property
    def ways(self) -> list[tuple[str, ...]]:
        """Every combination of ways of clustering."""
        return combinations((DAY, *self.entities))


@dataclass(frozen=True, kw_only=True)
class Grids:
    """The grids of the scores, and of labels and errors for a regression; for all rows and, coarser, for slices."""

    whole: Mapping[str, Grid]
    slices: Mapping[str, Grid]

    def of(self, *, whole: bool) -> Mapping[str, Grid]:
        """Return the grids of one of the two."""
        return self.whole if whole else self.slices


def class_columns(model: str, problem: MultiClass) -> tuple[str, ...]:
    """Return the columns of a model's probabilities; of the model ``score`` they are those that predictions have."""
    return tuple(f"{model}_of_{name}" for name in problem.classes)


def score_part(column: str) -> str:
    """Return the name of the table of a column of scores."""
    return f"score {column}"


def error_part(column: str) -> str:
    """Return the name of the table of a model's absolute errors."""
    return f"error {column}"


def loss_part(column: str, metric: str) -> str:
    """Return the name of the sum of a model's losses."""
    return f"loss {metric} {column}"


def ranks_part(column: str) -> str:
    """Return the name of the sum of the products of the ranks of a model's scores and the labels."""
    return f"ranks {column}"


def way_part(names: Sequence[str]) -> str:
    """Return the name of the sums by one way of clustering, or by several."""
    return " ".join(("way", *names))


def gridded_values(batch: pd.DataFrame, layout: Layout) -> dict[str, Floats]:
    """Return the values that get a grid, by the name of their table, for rows with a label."""
    found = {score_part(name): numbers(batch, name) for name in layout.columns}
    if layout.problem is Problem.REGRESSION:
        labels = numbers(batch, LABEL)
        found[LABEL] = labels
        found |= {error_part(name): np.abs(labels - numbers(batch, name)) for name in layout.scores}
    return found


@dataclass(frozen=True, kw_only=True)
class FirstPass:
    """Counts rows by the cells of their values, adds up losses, and counts what is known of the outcomes."""

    layout: Layout
    grids: Grids

    @property
    def values(self) -> int:
        """How many values a key has."""
        return self.layout.first_sums

    def __call__(self, batch: pd.DataFrame) -> Iterator[pd.DataFrame]:
        """Yield the sums of a batch."""
        labelled = ~np.isnan(numbers(batch, LABEL))
        rows = batch[labelled]
        days = days_of(rows[TIME])
        gridded, losses = gridded_values(rows, self.layout), self._losses(rows)
        cells = {
            whole: {name: grid.cell_of(gridded[name]) for name, grid in self.grids.of(whole=whole).items()}
            for whole in (True, False)
        }
        labels, weights = numbers(rows, LABEL), self.layout.weights(rows)
        own_labels = self._own_labels(labels)
        columns = {
            name: self._columns(own_labels.get(name, labels), values, weights) for name, values in gridded.items()
        }
        for whole, segments in each_segmentation(batch, self.layout.groups, self.layout.slices):
            own = segments.take(labelled)
            for name, summed in columns.items():
                yield added(own, name, cells[whole][name], summed)
            for name, values in losses.items():
                yield added(own, name, None, self._in_first(values))
            if self.layout.weight and self.layout.classes:
                yield added(own, CLASS_ROWS, labels.astype(np.int64), self._in_first(np.ones(len(rows))))
            yield added(own, DAY, days, self._in_first(np.ones(len(rows))))
            for name in self.layout.counts:
                yield added(segments, name, None, self._in_first(numbers(batch, name)))
            if self.layout.ages:
                ages = numbers(batch, self.layout.ages)
                old = ~np.isnan(ages)
                steps = np.ceil(ages[old] * AGE_STEPS).astype(np.int64)
                yield added(segments.take(old), self.layout.ages, steps, self._in_first(np.ones(steps.size)))

    def _own_labels(self, labels: Floats) -> dict[str, Floats]:
        """Return the labels that a column of scores is for, by the name of its table: 1 for the rows of its class."""
        own = [(labels == value).astype(np.float64) for value in self.layout.classes]
        return {
            score_part(column): values
            for model in self.layout.scores
            for column, values in zip(self.layout.columns_of(model), own, strict=bool(own))
        }

    def _columns(self, labels: Floats, values: Floats, weights: Floats) -> Floats:
        """Return what is summed by the cells of values, shape (rows, values)."""
        ones, distances = np.ones(labels.size), np.abs(labels - values)
        if not self.layout.weight:
            return np.column_stack([ones, labels, values, distances])
        return np.column_stack([ones, *(finite(weights) * one for one in (labels, values, distances)), weights])

    def _in_first(self, values: Floats) -> Floats:
        return in_first(values, self.values)

    def _losses(self, rows: pd.DataFrame) -> dict[str, Floats]:
        labels = numbers(rows, LABEL)
        found = {
            loss_part(name, one.name): one.row_loss(labels, self.layout.scores_of(rows, name))
            for one in self.layout.losses
            for name in self.layout.scores
            if one.row_loss is not None
        }
        if self.layout.problem is Problem.REGRESSION:
            found[LABEL_SQUARES] = (labels - centre_of(self.grids.whole[LABEL])) ** 2
        if not self.layout.weight:
            return found
        weights = finite(self.layout.weights(rows))
        return {name: weights * values for name, values in found.items()}


def centre_of(grid: Grid) -> float:
    """Return a value in the middle of a grid, from which squares are summed."""
    return float(grid.edges[grid.edges.size // 2]) if grid.edges.size else 0.0


def finite(weights: Floats) -> Floats:
    """Return weights with 0 for those that are none."""
    return np.where(np.isfinite(weights), weights, 0.0)


def in_first(values: Floats, width: int) -> Floats:
    """Return values as the first of several columns, the others 0; shape (rows, width)."""
    found = np.zeros((values.size, width))
    found[:, 0] = values
    return found


def numbers(batch: pd.DataFrame, name: str) -> Floats:
    """Return a column as numbers, missing ones as NaN."""
    return batch[name].to_numpy(np.float64)
