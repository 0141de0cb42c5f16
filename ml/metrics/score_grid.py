"""Values on a grid of cells, and the metrics that follow from how many rows each cell has.

A table of a grid can be added to another one of the same grid, so parts of the rows can be counted anywhere. What is
exact on single values is within a bound here, and the bound is computed from the table itself. A value that many rows
share has a cell of its own, so ties cost nothing; up to as many distinct values as cells, everything is exact.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ml.metrics.quality_metrics import CALIBRATION_BINS, MetricError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CELLS = 32_768
"""Cells of equal count in the sample: ROC AUC of all rows is then within `ROC_AUC_BOUND` of the exact value."""
SLICE_CELLS = 4_096
"""Cells for slices, of which there may be hundreds; the bound is eight times as large."""
SAMPLE_ROWS = 262_144
"""Rows from which a grid is made: eight for each cell, so hardly a cell has three times its share."""
_ROUNDING = 1e-9
"""Sums of weights that differ by a smaller share are the same."""
ROC_AUC_BOUND = 1e-4
"""The largest error of ROC AUC on all rows, whatever the distribution of the scores; a typical one is below 1e-7."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Cells, each from one edge to below the next; the first and the last are open.

    Attributes
    ----------
    edges
        Shape (cells - 1,), ascending.
    """

    edges: Floats

    @classmethod
    def of(cls, sample: Floats, cells: int = CELLS) -> "Grid":
        """Return a grid whose cells hold about equally many rows of a sample, and each frequent value alone."""
        values, counts = np.unique(sample[np.isfinite(sample)], return_counts=True)
        if values.size > cells:
            frequent = values[counts * cells >= counts.sum()]
            between = values[np.searchsorted(np.cumsum(counts), np.arange(1, cells) * (counts.sum() / cells))]
        else:
            frequent, between = values, values
        return cls(edges=np.unique(np.concatenate([between, frequent, np.nextafter(frequent, np.inf)])))

    @property
    def cells(self) -> int:
        """Their number."""
        return int(self.edges.size) + 1

    def cell_of(self, values: Floats) -> Integers:
        """Return the cell of each value, shape (rows,)."""
        return np.asarray(np.searchsorted(self.edges, values, side="right"), dtype=np.int64)

    @cached_property
    def single(self) -> NDArray[np.bool_]:
        """Whether a cell holds one value only, shape (cells,)."""
        inner = self.edges[1:] == np.nextafter(self.edges[:-1], np.inf)
        return np.concatenate([[False], inner, [False]])[: self.cells]

    @cached_property
    def widths(self) -> Floats:
        """The width of each cell, shape (cells,); 0 for a single value, infinite for the outer ones."""
        widths = np.where(self.single[1:-1], 0.0, np.diff(self.edges))
        return np.concatenate([[np.inf], widths, [np.inf]])[: self.cells]


@dataclass(frozen=True, kw_only=True)
class CellTable:
    """Sums of rows by the cell of their value, each of shape (cells,).

    Attributes
    ----------
    rows, labels, values, distances
        Number of rows, and sums of their labels, of the values themselves, and of the distances between the two.
    weights
        Sums of the weights of the rows, by which the sums of the others are then weighted too; None if all count alike.
    """

    grid: Grid
    rows: Floats
    labels: Floats
    values: Floats
    distances: Floats
    weights: Floats | None = None

    @property
    def weight(self) -> Floats:
        """How much the rows of each cell count."""
        return self.rows if self.weights is None else self.weights

    @cached_property
    def negatives(self) -> Floats:
        """How much rows with the label 0 count, where labels are 0 and 1."""
        return np.maximum(self.weight - self.labels, 0.0)

    @property
    def of_each_class(self) -> tuple[float, float]:
        """How much positive and negative rows count."""
        return float(self.labels.sum()), float(self.negatives.sum())

    @property
    def distinct(self) -> Floats:
        """The lower edges of the cells with rows: of few distinct values these themselves, which equal ones of other grids equal."""
        return np.concatenate([[-np.inf], self.grid.edges])[self.rows > 0]

    @cached_property
    def below(self) -> Floats:
        """For a positive row of each cell, the share of negatives that it is ranked above; ties count half."""
        return _share_below(self.negatives)

    @cached_property
    def above(self) -> Floats:
        """For a negative row of each cell, the share of positives that it is ranked below; ties count half."""
        return 1.0 - _share_below(self.labels)

    def roc_auc_score(self) -> tuple[float, float]:
        """Return the area under the ROC curve, and how far the exact value may be from it.

        Two rows of one cell count as a tie, so each such pair of both classes may be wrong by a half.

        Raises
        ------
        MetricError
            If a class has no row.
        """
        positives, negatives = self._both_classes("ROC AUC")
        unknown = self.labels @ (self.negatives * ~self.grid.single)
        return float(self.labels @ self.below / positives), float(unknown / (2 * positives * negatives))

    def average_precision_score(self) -> tuple[float, float]:
        """Return the mean precision at the rank of each positive row, and how far the exact value may be from it.

        Raises
        ------
        MetricError
            If there is no positive row.
        """
        positives = float(self.labels.sum())
        if not positives:
            raise MetricError("average precision needs at least one positive row, got none: widen the window.")
        counted, found = self.weight[::-1], self.labels[::-1]
        ranked = np.cumsum(counted)
        ranked = np.where(ranked > 0, ranked, 1.0)
        unknown = np.where(self.grid.single[::-1], 0.0, np.minimum(1.0, counted / ranked))
        return float(found @ (np.cumsum(found) / ranked) / positives), float(found @ unknown / positives)

    def expected_calibration_error(self) -> tuple[float, float]:
        """Return the mean distance of predicted and observed over bins of equal count, and its bound.

        A cell across the border of two bins is counted in the first.

        Raises
        ------
        MetricError
            If there are no rows.
        """
        total = self.rows.sum()
        if not total:
            raise MetricError("calibration needs at least one row, got none.")
        ends = np.cumsum(self.rows)
        first, last = (_bin(rank, total) for rank in (ends - self.rows, np.maximum(ends - 1, 0)))
        signed = np.bincount(first, weights=self.values - self.labels, minlength=CALIBRATION_BINS)
        across = (first != last) & ~self.grid.single & (self.rows > 0)
        counted = self.weight.sum()
        return float(np.abs(signed).sum() / counted), float(2 * self.distances[across].sum() / counted)

    def median(self) -> tuple[float, float]:
        """Return the median of the values, and how far the exact one may be from it.

        Raises
        ------
        MetricError
            If there are no rows.
        """
        total = self.rows.sum()
        if not total:
            raise MetricError("a median needs at least one row, got none.")
        if self.weights is not None:
            return self._weighted_median(self.weights)
        ends = np.cumsum(self.rows)
        middle = np.searchsorted(ends, [(total - 1) // 2, total // 2], side="right")
        return float((self.values / np.maximum(self.rows, 1))[middle].mean()), float(self.grid.widths[middle].mean())

    def _weighted_median(self, weights: Floats) -> tuple[float, float]:
        """Return the first value up to which half of the weight lies; at the end of a cell rounding may choose the next."""
        held = np.flatnonzero(weights > 0)
        means, widths = self.values[held] / weights[held], self.grid.widths[held]
        ends = np.cumsum(weights[held])
        half = ends[-1] / 2
        first, last = np.searchsorted(ends, [half * (1 - _ROUNDING), half * (1 + _ROUNDING)])
        place = int(np.searchsorted(ends, half))
        return float(means[place]), float(means[last] - means[first] + widths[[first, last]].max())

    @cached_property
    def ranks(self) -> Floats:
        """The mean rank of the rows of each cell, from 1 on."""
        return np.asarray(np.cumsum(self.rows) - (self.rows - 1) / 2, dtype=np.float64)

    @property
    def rank_spread(self) -> float:
        """Standard deviation of the ranks of the rows."""
        total = float(self.weight.sum()) or 1.0
        squares = float(self.weight @ self.centred_ranks**2) / total
        return float(np.sqrt(max(squares - self.rank_mean**2, 0.0)))

    @cached_property
    def centred_ranks(self) -> Floats:
        """The mean rank of the rows of each cell, less that of all rows."""
        return np.asarray(self.ranks - (self.rows.sum() + 1) / 2, dtype=np.float64)

    @property
    def rank_mean(self) -> float:
        """The mean of the centred ranks by weight; 0 where all rows count alike."""
        return float(self.weight @ self.centred_ranks / (self.weight.sum() or 1.0))

    @property
    def rank_bound(self) -> float:
        """Standard deviation of what is unknown about the ranks, as a share of theirs."""
        # Ranks within a cell are known as a set; with weights it is not known which row has the largest one.
        inside = (self.rows**2 - 1) / 12 if self.weights is None else (self.rows - 1) ** 2 / 4
        unknown = np.where(self.grid.single, 0.0, self.weight * inside)
        return float(np.sqrt(unknown.sum() / (self.weight.sum() or 1.0)) / (self.rank_spread or 1.0))

    def _both_classes(self, what: str) -> tuple[float, float]:
        positives, negatives = self.of_each_class
        if not (positives and negatives):
            raise MetricError(
                f"{what} needs both classes, got {positives:.0f} positive and {negatives:.0f} negative rows: widen the window."
            )
        return positives, negatives


def rank_correlation(labels: CellTable, scores: CellTable, product: float) -> tuple[float, float]:
    """Return Spearman's correlation of label and score, and how far the exact one may be from it.

    Parameters
    ----------
    labels, scores
        Tables of the same rows, of whose values the correlation is.
    product
        Sum over the rows, by weight, of the product of both ranks, each less the mean of all ranks.

    Raises
    ------
    MetricError
        If labels or scores are constant.
    """
    spreads = labels.rank_spread * scores.rank_spread
    if spreads == 0:
        raise MetricError("a rank correlation needs labels and scores that vary, got constant ones or no rows.")
    value = (product / float(labels.weight.sum()) - labels.rank_mean * scores.rank_mean) / spreads
    return value, min(2.0, 2 * (labels.rank_bound + scores.rank_bound))


def _share_below(counts: Floats) -> Floats:
    total = float(counts.sum())
    if not np.isfinite(total):
        return np.zeros(counts.size)  # a weight that is none: no metric of these rows is defined
    return np.asarray((np.cumsum(counts) - counts / 2) / (total or 1.0), dtype=np.float64)


def _bin(ranks: Floats, total: float) -> Integers:
    return np.minimum((ranks * CALIBRATION_BINS) // total, CALIBRATION_BINS - 1).astype(np.int64)
