"""The metrics of segments from the sums of the first pass (`ml.metrics.segment_sums`), each with a bound of its error."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.metrics.clusters import DAY
from ml.metrics.influence_sums import Placed
from ml.metrics.quality_metrics import MetricError
from ml.metrics.score_grid import CellTable, Grid, rank_correlation
from ml.metrics.segment_sums import (
    AGE_STEPS,
    CLASS_ROWS,
    CONSTANT,
    FIRST_SUMS,
    LABEL,
    LABEL_SQUARES,
    Grids,
    Layout,
    centre_of,
    error_part,
    loss_part,
    score_part,
)
from ml.spec.estimator import Problem

Floats = NDArray[np.float64]
Quantity = tuple[str, str, str | None]


@dataclass(frozen=True, kw_only=True)
class Segment:
    """One segment as the first pass summed it.

    Attributes
    ----------
    name
        As `ml.metrics.addends.segment_name` makes it.
    sums
        Part to its sums: ``key`` and ``sum_0`` to ``sum_3``, with weights ``sum_4``, ascending by key.
    products
        Score column to the sum of the products of the ranks of label and score, from the second pass.
    """

    name: str
    layout: Layout
    grids: Mapping[str, Grid]
    sums: Mapping[str, pd.DataFrame]
    products: Mapping[str, float] = field(default_factory=dict)
    tables: dict[str, CellTable] = field(default_factory=dict, repr=False)

    @cached_property
    def identity(self) -> tuple[tuple[Any, ...], str | None, str | None]:
        """The group, the slice column (None for all rows of the group), and its value (None where it is missing)."""
        *group, key, value = json.loads(self.name)
        return tuple(group), key, value

    @property
    def rows(self) -> int:
        """Rows with a label."""
        return int(self._labelled[0].rows.sum())

    @cached_property
    def class_rows(self) -> Floats:
        """Rows of each class, shape (classes,); of a quantity empty."""
        if CLASS_ROWS not in self.sums:
            return self._of_classes(self.rows)
        found, counted = np.zeros(len(self.layout.problem.classes)), self.sums[CLASS_ROWS]
        found[counted["key"].to_numpy(np.int64)] = counted["sum_0"].to_numpy(np.float64)
        return found

    @cached_property
    def class_weights(self) -> Floats:
        """How much the rows of each class count together, shape (classes,); of a quantity empty."""
        return self._of_classes(self.weight)

    @property
    def positives(self) -> float | None:
        """Rows of class 1 of two, or of the rarest of several; None for a quantity."""
        if not self.class_rows.size:
            return None
        return float(self.class_rows[1] if self.layout.problem is Problem.BINARY else self.class_rows.min())

    @property
    def weight(self) -> float:
        """How much the rows with a label count together: their number where all count alike."""
        return float(self._labelled[0].weight.sum())

    @property
    def shares(self) -> Floats:
        """The share of each class by weight, shape (classes,)."""
        return self.class_weights / self.weight

    @property
    def mean_label(self) -> float:
        """The mean of the labels by weight, of two classes or of a quantity."""
        return float(self._labelled[0].labels.sum()) / self.weight

    @property
    def days(self) -> int:
        """Days that have a row with a label."""
        return len(self.sums[DAY]) if DAY in self.sums else 0

    def total(self, part: str) -> float:
        """Return a sum that has one key."""
        found = self.sums.get(part)
        return 0.0 if found is None else float(found["sum_0"].sum())

    def table(self, part: str) -> CellTable:
        """Return the table of a grid."""
        if part not in self.tables:
            self.tables[part] = _table(self.grids[part], self.sums.get(part), self.layout.first_sums)
        return self.tables[part]

    def age(self, part: str, share: float) -> float | None:
        """Return the age in days that a share of the rows that have one do not exceed; None without any."""
        found = self.sums.get(part)
        if found is None or not len(found):
            return None
        reached = np.cumsum(found["sum_0"].to_numpy())
        return float(found["key"].to_numpy()[np.searchsorted(reached, share * reached[-1])]) / AGE_STEPS

    def constant(self, name: str) -> float | Floats:
        """Return the best constant prediction, as `ml.metrics.metric_table.constant_scores`: a number, or one for each class."""
        if name == "mean_absolute_error":
            return self.table(LABEL).median()[0]
        return self.shares if len(self.layout.classes) > 1 else self.mean_label

    @property
    def label_spread(self) -> float:
        """The standard deviation of the label, as `ml.metrics.targets.label_spread`."""
        if len(self.layout.classes) > 1:
            return float(np.mean(np.sqrt(self.shares * (1 - self.shares))))
        return float(np.sqrt(max(self.label_variance, 0.0)))

    @property
    def label_variance(self) -> float:
        """The variance of the labels, of two classes or of a quantity."""
        mean = self.mean_label
        if self.layout.problem is Problem.BINARY:
            return mean * (1 - mean)
        return self.total(LABEL_SQUARES) / self.weight - (mean - centre_of(self.grids[LABEL])) ** 2

    def value(self, name: str, column: str) -> tuple[float, float]:
        """Return a metric of a model, and how far the exact value may be from it.

        Raises
        ------
        MetricError
            If these rows do not define it.
        """
        if not self.rows:
            raise MetricError(f"{name} needs at least one row, got none.")
        if not 0 < self.weight < float("inf"):
            raise MetricError("weights are finite, 0 or more, and not all 0: look at the column that gives them.")
        if column == CONSTANT:
            return self._of_constant(name)
        found = self.layout.metric(name)
        if found.row_loss is not None:
            mean = self.total(loss_part(column, name)) / self.weight
            return float(np.sqrt(mean)) if found.root else mean, 0.0
        tables = self._tables(column)
        if name in self.layout.ranked:
            return _mean([tables[place].roc_auc_score() for place in self.layout.ranked[name]])
        if name in self.layout.calibrated:
            return _mean([tables[place].expected_calibration_error() for place in self.layout.calibrated[name]])
        if name == "bias_error":
            return _mean([(abs(float(one.values.sum() - one.labels.sum())) / self.weight, 0.0) for one in tables])
        if name == "average_precision_score":
            return tables[0].average_precision_score()
        return self._of_quantity(name, column)

    def _of_quantity(self, name: str, column: str) -> tuple[float, float]:
        """Return a metric that only a regression has."""
        if name == "median_absolute_error":
            return self.table(error_part(column)).median()
        if name == "r2_score":
            if not self.label_variance > 0:
                raise MetricError("R² needs labels that vary, got constant ones or no rows.")
            squares = self.total(loss_part(column, "root_mean_squared_error")) / self.weight
            return 1.0 - squares / self.label_variance, 0.0
        return rank_correlation(self.table(LABEL), self.table(score_part(column)), self.products.get(column, 0.0))

    def _of_constant(self, name: str) -> tuple[float, float]:
        """Return a metric of the best constant prediction."""
        if self.layout.classes:
            return self._of_constant_class(name), 0.0
        if name == "mean_absolute_error":
            table = self.table(LABEL)
            means = table.values / np.where(table.weight > 0, table.weight, 1.0)
            return float(table.weight @ np.abs(means - self.constant(name)) / self.weight), table.median()[1]
        if name == "root_mean_squared_error":
            return float(np.sqrt(self.label_variance)), 0.0
        if name in {"bias_error", "r2_score", "expected_calibration_error"}:
            return 0.0, 0.0
        raise MetricError(f"{name} of a constant prediction is not defined.")

    def _of_constant_class(self, name: str) -> float:
        """Return a metric of the share of each class as a prediction, from one row of each class."""
        counts, best, found = self.shares, np.asarray(self.constant(name)), self.layout.metric(name)
        labels = np.arange(counts.size, dtype=np.float64)
        scores = np.tile(best, (counts.size, *(1 for _ in best.shape)))
        if found.row_loss is not None:
            return float(counts @ found.row_loss(labels, scores))
        if name == "bias_error" or name in self.layout.calibrated:
            return 0.0
        if name == "average_precision_score" and self.mean_label > 0:
            return self.mean_label
        return found.function(labels[counts > 0], scores[counts > 0])

    def values(self, column: str) -> dict[str, float]:
        """Return every metric of the problem by name; NaN for one that is not defined."""
        found = {}
        for name in self.layout.names:
            try:
                found[name] = self.value(name, column)[0]
            except MetricError:
                found[name] = float("nan")
        return found

    def placed(self, quantities: tuple[Quantity, ...]) -> Placed:
        """Return what the second pass needs to know."""
        terms = [(name, column) for name, *columns in quantities for column in columns if column is not None]
        centres: dict[tuple[str, str], float] = {}
        slopes: dict[tuple[str, str], float] = {}
        for name, column in dict.fromkeys(term for term in terms if term[0] not in self.layout.ranked):
            value = self._value_or_0(name, column)
            root = self.layout.metric(name).root
            centres[name, column] = value**2 if root else value
            slopes[name, column] = 0.5 / value if root and value > 0 else float(not root)
        tables = {column: self.table(score_part(column)) for column in self.layout.columns if self.layout.classes}
        regression = self.layout.problem is Problem.REGRESSION
        ranked = [LABEL, *map(score_part, self.layout.scores)] if regression else []
        losses = {one.name for one in self.layout.losses}
        with_constant = {name for name, column in terms if column == CONSTANT and name in losses}
        return Placed(
            weight=self.weight,
            weight_of_classes=tuple(float(self.class_weights[value]) for value in self.layout.classes),
            below={column: table.below for column, table in tables.items()},
            above={column: table.above for column, table in tables.items()},
            rankings=self._rankings(),
            centres=centres,
            slopes=slopes,
            constant={name: self._constant_or_0(name) for name in with_constant},
            ranks={part: self.table(part).centred_ranks for part in ranked},
        )

    def _rankings(self) -> dict[str, float]:
        """Return the ROC AUC of each column of scores; 0 where it is not defined."""
        alone = {places[0]: name for name, places in self.layout.ranked.items() if len(places) == 1}
        return {
            column: self._value_or_0(alone[place], model)
            for model in self.layout.scores
            for place, column in enumerate(self.layout.columns_of(model))
            if place in alone
        }

    def _constant_or_0(self, name: str) -> float | Floats:
        if 0 < self.weight < float("inf"):
            return self.constant(name)
        return np.zeros(len(self.layout.classes)) if len(self.layout.classes) > 1 else 0.0

    def _value_or_0(self, name: str, column: str) -> float:
        try:
            return self.value(name, column)[0]
        except MetricError:
            return 0.0

    def _tables(self, model: str) -> list[CellTable]:
        return [self.table(score_part(column)) for column in self.layout.columns_of(model)]

    @property
    def _labelled(self) -> list[CellTable]:
        """The tables of the first model: of its rows, as of any other's."""
        return self._tables(self.layout.scores[0])

    def _of_classes(self, whole: float) -> Floats:
        """Return what of a whole belongs to each class."""
        found = [float(table.labels.sum()) for table in self._labelled if self.layout.classes]
        return np.array([whole - found[0], found[0]] if len(found) == 1 else found)


def segments_of(sums: pd.DataFrame, layout: Layout, grids: Grids) -> dict[str, Segment]:
    """Return every segment by its name, from the merged sums of the first pass."""
    found = {}
    for name, own in sums.groupby("segment", sort=True):
        parts = {str(part): rows.sort_values("key") for part, rows in own.groupby("part", sort=False)}
        whole = json.loads(str(name))[-2] is None
        found[str(name)] = Segment(name=str(name), layout=layout, grids=grids.of(whole=whole), sums=parts)
    return found


def pooled_segment(name: str, parts: Sequence[Segment]) -> Segment:
    """Return several segments of one grid as one, of another name."""
    sums = [f"sum_{i}" for i in range(parts[0].layout.first_sums)]
    summed = {
        part: pd.concat([one.sums[part] for one in parts if part in one.sums])
        .groupby("key", as_index=False)[sums]
        .sum()
        for part in dict.fromkeys(part for one in parts for part in one.sums)
    }
    return Segment(name=name, layout=parts[0].layout, grids=parts[0].grids, sums=summed)


def _mean(found: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the mean of values and that of their bounds."""
    value, bound = np.mean(np.array(found), axis=0)
    return float(value), float(bound)


def _table(grid: Grid, sums: pd.DataFrame | None, width: int) -> CellTable:
    columns = np.zeros((width, grid.cells))
    if sums is not None:
        cells = sums["key"].to_numpy(np.int64)
        for i in range(width):
            columns[i, cells] = sums[f"sum_{i}"].to_numpy(np.float64)
    return CellTable(
        grid=grid, rows=columns[0], labels=columns[1], values=columns[2], distances=columns[3],
        weights=columns[FIRST_SUMS] if width > FIRST_SUMS else None,
    )  # fmt: skip
