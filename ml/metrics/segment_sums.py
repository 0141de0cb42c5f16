"""What batches of scored rows add to the summaries that metrics and their variances are computed from, in two passes.

The first counts the rows by the cell of their score and adds up their losses. The second, which knows the result of the
first, adds up the influence of each row on each metric by day, by entity and by both.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.metrics.addends import Segments, added, combined_key, each_segmentation, hashed
from ml.metrics.clusters import DAY, combinations
from ml.metrics.days import days_of
from ml.metrics.quality_metrics import METRICS, Metric, names
from ml.metrics.score_grid import Grid
from ml.spec.estimator import Problem

Floats = NDArray[np.float64]

TIME, LABEL = "prediction_at", "label"
"""Columns of every batch; a label that is not known, or does not count, is missing."""
FIRST_SUMS = 4
"""Values of the first pass: rows, labels, values and distances, see `ml.metrics.score_grid.Table`."""
AGE_STEPS = 24
"""Steps of a day in which ages are counted."""
SQUARES, LABEL_SQUARES = "squares", "label squares"
"""Parts: the squared influences of single rows by class, and the labels' squared distances from `centre_of` their grid."""
CONSTANT = "constant"
"""The score column of a constant prediction, which no batch has."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What the columns of a batch mean.

    Attributes
    ----------
    scores
        A column for each model.
    groups, slices
        Columns whose combinations are summed apart, and those whose single values are.
    entities
        Columns of the sampled entities.
    counts
        Columns of 0 and 1 whose sums are wanted, over rows with and without a label.
    ages
        A column of ages in days whose distribution is wanted, missing where a row has none; empty for none.
    """

    problem: Problem
    scores: tuple[str, ...]
    groups: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()
    days_depend: bool = False
    counts: tuple[str, ...] = ()
    ages: str = ""

    @property
    def losses(self) -> tuple[Metric, ...]:
        """The metrics that are means of a loss, or roots of one."""
        return tuple(METRICS[name] for name in names(self.problem) if METRICS[name].row_loss is not None)

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


def score_part(column: str) -> str:
    """Return the name of the table of a model's scores."""
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
    found = {score_part(name): _numbers(batch, name) for name in layout.scores}
    if layout.problem is Problem.REGRESSION:
        labels = _numbers(batch, LABEL)
        found[LABEL] = labels
        found |= {error_part(name): np.abs(labels - _numbers(batch, name)) for name in layout.scores}
    return found


@dataclass(frozen=True, kw_only=True)
class FirstPass:
    """Counts rows by the cells of their values, adds up losses, and counts what is known of the outcomes."""

    layout: Layout
    grids: Grids

    values: int = FIRST_SUMS

    def __call__(self, batch: pd.DataFrame) -> Iterator[pd.DataFrame]:
        """Yield the sums of a batch."""
        labelled = ~np.isnan(_numbers(batch, LABEL))
        rows = batch[labelled]
        days = days_of(rows[TIME])
        gridded, losses = gridded_values(rows, self.layout), self._losses(rows)
        cells = {
            whole: {name: grid.cell_of(gridded[name]) for name, grid in self.grids.of(whole=whole).items()}
            for whole in (True, False)
        }
        labels = _numbers(rows, LABEL)
        for whole, segments in each_segmentation(batch, self.layout.groups, self.layout.slices):
            own = segments.take(labelled)
            for name, values in gridded.items():
                columns = np.column_stack([np.ones(len(rows)), labels, values, np.abs(labels - values)])
                yield added(own, name, cells[whole][name], columns)
            for name, values in losses.items():
                yield added(own, name, None, _first(values))
            yield added(own, DAY, days, _first(np.ones(len(rows))))
            for name in self.layout.counts:
                yield added(segments, name, None, _first(_numbers(batch, name)))
            if self.layout.ages:
                ages = _numbers(batch, self.layout.ages)
                old = ~np.isnan(ages)
                steps = np.ceil(ages[old] * AGE_STEPS).astype(np.int64)
                yield added(segments.take(old), self.layout.ages, steps, _first(np.ones(steps.size)))

    def _losses(self, rows: pd.DataFrame) -> dict[str, Floats]:
        labels = _numbers(rows, LABEL)
        found = {
            loss_part(name, one.name): one.row_loss(labels, _numbers(rows, name))
            for one in self.layout.losses
            for name in self.layout.scores
            if one.row_loss is not None
        }
        if self.layout.problem is Problem.REGRESSION:
            found[LABEL_SQUARES] = (labels - centre_of(self.grids.whole[LABEL])) ** 2
        return found


def centre_of(grid: Grid) -> float:
    """Return a value in the middle of a grid, from which squares are summed."""
    return float(grid.edges[grid.edges.size // 2]) if grid.edges.size else 0.0


@dataclass(frozen=True, kw_only=True)
class Placed:
    """What the second pass needs of one segment.

    Attributes
    ----------
    rows, positives
        With a label, and of the positive class.
    below, above
        Score column to the placements of the cells, see `ml.metrics.score_grid.Table`.
    centres
        Metric and score column to the mean that the second pass centres on: the ROC AUC, or the mean loss.
    slopes
        The same to the factor of its influence: 1, or that of a root.
    constant
        Metric to the best constant prediction.
    ranks
        Name of the table to the rank of its cells less the mean rank, for a regression.
    """

    rows: float
    positives: float
    below: Mapping[str, Floats]
    above: Mapping[str, Floats]
    centres: Mapping[tuple[str, str], float]
    slopes: Mapping[tuple[str, str], float]
    constant: Mapping[str, float]
    ranks: Mapping[str, Floats]


@dataclass(frozen=True, kw_only=True)
class SecondPass:
    """Adds up the influence of rows on metrics, and on differences of two models in a metric.

    Attributes
    ----------
    placed
        Name of each segment to what the first pass found.
    quantities
        Each a metric and two score columns, the first less the second; the second None for the first alone.
    pools
        Name of a segment to that of another one, in which its rows are summed too, together with those of others.
    """

    layout: Layout
    grids: Grids
    placed: Mapping[str, Placed]
    quantities: tuple[tuple[str, str, str | None], ...]
    pools: Mapping[str, str] = field(default_factory=dict)

    @property
    def values(self) -> int:
        """Sums of this pass: the quantities, then rows, then the share of a row in its class."""
        return len(self.quantities) + 2

    @cached_property
    def terms(self) -> list[tuple[str, str]]:
        """The metrics and score columns that the quantities are made of."""
        found = [(name, column) for name, *columns in self.quantities for column in columns if column is not None]
        return [term for term in dict.fromkeys(found) if term != ("roc_auc_score", CONSTANT)]

    def __call__(self, batch: pd.DataFrame) -> Iterator[pd.DataFrame]:
        """Yield the sums of a batch."""
        rows = batch[~np.isnan(_numbers(batch, LABEL))]
        keys, gridded = self._keys(rows), gridded_values(rows, self.layout)
        cells = {
            whole: {name: grid.cell_of(gridded[name]) for name, grid in self.grids.of(whole=whole).items()}
            for whole in (True, False)
        }
        for whole, segments in each_segmentation(rows, self.layout.groups, self.layout.slices):
            placeable = _Placeable(rows=rows, labels=_numbers(rows, LABEL), keys=keys, cells=cells[whole])
            yield from self._summed(placeable, segments)
            chosen, pooled = self._pooled(segments)
            if chosen.any():
                yield from self._summed(placeable.take(chosen), pooled)

    def _summed(self, rows: "_Placeable", segments: Segments) -> Iterator[pd.DataFrame]:
        placed = [self.placed[name] for name in segments.names]
        shares = self._shares(segments, placed, rows.labels)
        influence = self._influence(rows, segments, placed, shares)
        ones = np.ones(rows.labels.size)
        values = np.column_stack([influence, ones, shares])
        for ways in self.layout.ways:
            yield added(segments, way_part(ways), rows.keys[ways], values)
        squares = np.column_stack([influence**2, ones, ones])
        yield added(segments, SQUARES, (rows.labels == 1).astype(np.int64), squares)
        for name in self.layout.scores if self.layout.problem is Problem.REGRESSION else ():
            part = score_part(name)
            products = _of_cells(segments, [one.ranks[LABEL] for one in placed], rows.cells[LABEL])
            products = products * _of_cells(segments, [one.ranks[part] for one in placed], rows.cells[part])
            yield added(segments, ranks_part(name), None, _first(products, self.values))

    def _pooled(self, segments: Segments) -> tuple[NDArray[np.bool_], Segments]:
        """Return which rows are summed in another segment too, and the segments of these."""
        targets = [self.pools.get(name) for name in segments.names]
        names = list(dict.fromkeys(target for target in targets if target is not None))
        places = np.array([-1 if target is None else names.index(target) for target in targets], dtype=np.int64)
        codes = places[segments.codes] if places.size else segments.codes
        chosen = codes >= 0 if places.size else np.zeros(segments.codes.size, dtype=np.bool_)
        return chosen, Segments(names=names, codes=codes[chosen])

    def _keys(self, rows: pd.DataFrame) -> dict[tuple[str, ...], NDArray[np.int64]]:
        alone = {DAY: days_of(rows[TIME]), **{name: hashed(rows[name]) for name in self.layout.entities}}
        found = {}
        for ways in self.layout.ways:
            key = alone[ways[0]]
            for name in ways[1:]:
                key = combined_key(key, alone[name])
            found[ways] = key
        return found

    def _shares(self, segments: Segments, placed: Sequence[Placed], labels: Floats) -> Floats:
        positives = _of_segments(segments, [one.positives for one in placed])
        counts = _of_segments(segments, [one.rows for one in placed])
        return 1.0 / np.maximum(np.where(labels == 1, positives, counts - positives), 1.0)

    def _influence(self, rows: "_Placeable", segments: Segments, placed: Sequence[Placed], shares: Floats) -> Floats:
        """Return the influence of each row on each quantity, shape (rows, quantities)."""
        terms = {term: self._term(term, rows, segments, placed, shares) for term in self.terms}
        nothing = np.zeros(rows.labels.size)
        columns = [
            terms.get((name, first), nothing) - (nothing if second is None else terms.get((name, second), nothing))
            for name, first, second in self.quantities
        ]
        return np.column_stack(columns) if columns else np.empty((rows.labels.size, 0))

    def _term(
        self, term: tuple[str, str], rows: "_Placeable", segments: Segments, placed: Sequence[Placed], shares: Floats
    ) -> Floats:
        """Return the influence of each row on one metric of one model."""
        name, column = term
        centres = _of_segments(segments, [one.centres[term] for one in placed])
        if name == "roc_auc_score":
            cells = rows.cells[score_part(column)]
            below = _of_cells(segments, [one.below[column] for one in placed], cells)
            above = _of_cells(segments, [one.above[column] for one in placed], cells)
            return (np.where(rows.labels == 1, below, above) - centres) * shares
        if column == CONSTANT:
            scores = _of_segments(segments, [one.constant[name] for one in placed])
        else:
            scores = _numbers(rows.rows, column)
        row_loss = METRICS[name].row_loss
        assert row_loss is not None  # noqa: S101 - quantities are ROC AUC and means of a loss
        slopes = _of_segments(segments, [one.slopes[term] for one in placed])
        counts = _of_segments(segments, [one.rows for one in placed])
        return slopes * (row_loss(rows.labels, scores) - centres) / counts


@dataclass(frozen=True, kw_only=True)
class _Placeable:
    """Rows with a label, their keys by way of clustering, and the cells of their values on the grids of a segmentation."""

    rows: pd.DataFrame
    labels: Floats
    keys: Mapping[tuple[str, ...], NDArray[np.int64]]
    cells: Mapping[str, NDArray[np.int64]]

    def take(self, chosen: NDArray[np.bool_]) -> "_Placeable":
        """Return some of the rows."""
        return _Placeable(
            rows=self.rows[chosen],
            labels=self.labels[chosen],
            keys={ways: keys[chosen] for ways, keys in self.keys.items()},
            cells={name: cells[chosen] for name, cells in self.cells.items()},
        )


def _of_segments(segments: Segments, values: Sequence[float]) -> Floats:
    """Return the value of each row's segment."""
    return np.asarray(values, dtype=np.float64)[segments.codes]


def _of_cells(segments: Segments, tables: Sequence[Floats], cells: NDArray[np.int64]) -> Floats:
    """Return the entry of each row's cell in the table of its segment."""
    if not tables:
        return np.empty(0)
    return np.asarray(np.stack(tables)[segments.codes, cells], dtype=np.float64)


def _first(values: Floats, width: int = FIRST_SUMS) -> Floats:
    found = np.zeros((values.size, width))
    found[:, 0] = values
    return found


def _numbers(batch: pd.DataFrame, name: str) -> Floats:
    return batch[name].to_numpy(np.float64)
