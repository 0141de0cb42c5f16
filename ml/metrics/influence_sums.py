"""The second pass over scored rows: the influence of each row on each metric, added up by day, by entity and by both.

The result of the first pass (`ml.metrics.segment_sums`) is known: which share of the other class a row of each cell is
ranked above, and around which means losses vary.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.metrics.addends import Segments, added, combined_key, each_segmentation, hashed
from ml.metrics.clusters import DAY
from ml.metrics.days import days_of
from ml.metrics.segment_sums import (
    CONSTANT,
    LABEL,
    SQUARES,
    TIME,
    Grids,
    Layout,
    finite,
    gridded_values,
    in_first,
    numbers,
    ranks_part,
    score_part,
    way_part,
)
from ml.spec.estimator import Problem

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Placed:
    """What the second pass needs of one segment.

    Attributes
    ----------
    weight, weight_of_classes
        How much the rows with a label count together, and those of each class that stands against the rest, in the order
        of `Layout.classes`; their numbers without weights.
    below, above
        Column of scores to the placements of the cells, see `ml.metrics.score_grid.CellTable`.
    rankings
        Column of scores to its ROC AUC, which the second pass centres on.
    centres
        Metric and model to the mean loss that the second pass centres on.
    slopes
        The same to the factor of its influence: 1, or that of a root.
    constant
        Metric to the best constant prediction, of several classes shape (classes,).
    ranks
        Name of the table to the rank of its cells less the mean rank, for a regression.
    """

    weight: float
    weight_of_classes: tuple[float, ...]
    below: Mapping[str, Floats]
    above: Mapping[str, Floats]
    rankings: Mapping[str, float]
    centres: Mapping[tuple[str, str], float]
    slopes: Mapping[tuple[str, str], float]
    constant: Mapping[str, float | Floats]
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
        """Sums of this pass: the quantities, rows, a row's share in its class for each ROC AUC, and with weights that in all rows."""
        return len(self.quantities) + 1 + len(self.layout.ranked) + bool(self.layout.weight)

    @cached_property
    def terms(self) -> list[tuple[str, str]]:
        """The metrics and score columns that the quantities are made of."""
        found = [(name, column) for name, *columns in self.quantities for column in columns if column is not None]
        return [term for term in dict.fromkeys(found) if term[0] not in self.layout.ranked or term[1] != CONSTANT]

    def __call__(self, batch: pd.DataFrame) -> Iterator[pd.DataFrame]:
        """Yield the sums of a batch."""
        rows = batch[~np.isnan(numbers(batch, LABEL))]
        keys, gridded = self._keys(rows), gridded_values(rows, self.layout)
        cells = {
            whole: {name: grid.cell_of(gridded[name]) for name, grid in self.grids.of(whole=whole).items()}
            for whole in (True, False)
        }
        for whole, segments in each_segmentation(rows, self.layout.groups, self.layout.slices):
            placeable = _Placeable(
                rows=rows, labels=numbers(rows, LABEL), weights=finite(self.layout.weights(rows)), keys=keys,
                cells=cells[whole],
            )  # fmt: skip
            yield from self._summed(placeable, segments)
            chosen, pooled = self._pooled(segments)
            if chosen.any():
                yield from self._summed(placeable.take(chosen), pooled)

    def _summed(self, rows: "_Placeable", segments: Segments) -> Iterator[pd.DataFrame]:
        placed = [self.placed[name] for name in segments.names]
        shares = self._shares(segments, placed, rows)
        of_all = rows.weights / _totals(segments, [one.weight for one in placed])
        influence = self._influence(rows, segments, placed, shares, of_all)
        ones = np.ones(rows.labels.size)
        weighted = [of_all] if self.layout.weight else []
        ranked = [_mean([shares[place] for place in places]) for places in self.layout.ranked.values()]
        values = np.column_stack([influence, ones, *ranked, *weighted])
        for ways in self.layout.ways:
            yield added(segments, way_part(ways), rows.keys[ways], values)
        squares = np.column_stack([influence**2, ones, *(ones for _ in ranked), *(one**2 for one in weighted)])
        classes = rows.labels if self.layout.classes else np.zeros(rows.labels.size)
        yield added(segments, SQUARES, classes.astype(np.int64), squares)
        for name in self.layout.scores if self.layout.problem is Problem.REGRESSION else ():
            part = score_part(name)
            products = _of_cells(segments, [one.ranks[LABEL] for one in placed], rows.cells[LABEL])
            products = products * _of_cells(segments, [one.ranks[part] for one in placed], rows.cells[part])
            yield added(segments, ranks_part(name), None, in_first(rows.weights * products, self.values))

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

    def _shares(self, segments: Segments, placed: Sequence[Placed], rows: "_Placeable") -> list[Floats]:
        """Return for each class that stands against the rest how much of its side each row is."""
        found = []
        for place, value in enumerate(self.layout.classes):
            own = _totals(segments, [one.weight_of_classes[place] for one in placed])
            others = _totals(segments, [one.weight - one.weight_of_classes[place] for one in placed])
            found.append(rows.weights / np.where(rows.labels == value, own, others))
        return found

    def _influence(
        self, rows: "_Placeable", segments: Segments, placed: Sequence[Placed],
        shares: Sequence[Floats], of_all: Floats,
    ) -> Floats:  # fmt: skip
        """Return the influence of each row on each quantity, shape (rows, quantities)."""
        terms = {term: self._term(term, rows, segments, placed, shares, of_all) for term in self.terms}
        nothing = np.zeros(rows.labels.size)
        columns = [
            terms.get((name, first), nothing) - (nothing if second is None else terms.get((name, second), nothing))
            for name, first, second in self.quantities
        ]
        return np.column_stack(columns) if columns else np.empty((rows.labels.size, 0))

    def _term(
        self, term: tuple[str, str], rows: "_Placeable", segments: Segments, placed: Sequence[Placed],
        shares: Sequence[Floats], of_all: Floats,
    ) -> Floats:  # fmt: skip
        """Return the influence of each row on one metric of one model."""
        name, column = term
        if name in self.layout.ranked:
            places = self.layout.ranked[name]
            return _mean([self._ranked(column, place, rows, segments, placed) * shares[place] for place in places])
        if not rows.labels.size:
            return np.empty(0)
        centres = _of_segments(segments, [one.centres[term] for one in placed])
        if column == CONSTANT:
            scores = np.asarray([one.constant[name] for one in placed], dtype=np.float64)[segments.codes]
        else:
            scores = self.layout.scores_of(rows.rows, column)
        row_loss = self.layout.metric(name).row_loss
        assert row_loss is not None  # noqa: S101 - quantities are ROC AUC and means of a loss
        slopes = _of_segments(segments, [one.slopes[term] for one in placed])
        return slopes * (row_loss(rows.labels, scores) - centres) * of_all

    def _ranked(
        self, model: str, place: int, rows: "_Placeable", segments: Segments, placed: Sequence[Placed]
    ) -> Floats:
        """Return by how much the placement of each row differs from the mean one, for a class against the rest."""
        column, value = self.layout.columns_of(model)[place], self.layout.classes[place]
        cells = rows.cells[score_part(column)]
        below = _of_cells(segments, [one.below[column] for one in placed], cells)
        above = _of_cells(segments, [one.above[column] for one in placed], cells)
        centres = _of_segments(segments, [one.rankings[column] for one in placed])
        return np.where(rows.labels == value, below, above) - centres


@dataclass(frozen=True, kw_only=True)
class _Placeable:
    """Rows with a label, their keys by way of clustering, and the cells of their values on the grids of a segmentation."""

    rows: pd.DataFrame
    labels: Floats
    weights: Floats
    keys: Mapping[tuple[str, ...], NDArray[np.int64]]
    cells: Mapping[str, NDArray[np.int64]]

    def take(self, chosen: NDArray[np.bool_]) -> "_Placeable":
        """Return some of the rows."""
        return _Placeable(
            rows=self.rows[chosen],
            labels=self.labels[chosen],
            weights=self.weights[chosen],
            keys={ways: keys[chosen] for ways, keys in self.keys.items()},
            cells={name: cells[chosen] for name, cells in self.cells.items()},
        )


def _mean(columns: Sequence[Floats]) -> Floats:
    """Return the mean of columns by row."""
    return columns[0] if len(columns) == 1 else np.asarray(np.mean(columns, axis=0))


def _totals(segments: Segments, values: Sequence[float]) -> Floats:
    """Return the total of each row's segment to divide by; where it is 0, so is what is divided."""
    return _of_segments(segments, [value if value > 0 else 1.0 for value in values])


def _of_segments(segments: Segments, values: Sequence[float]) -> Floats:
    """Return the value of each row's segment."""
    return np.asarray(values, dtype=np.float64)[segments.codes]


def _of_cells(segments: Segments, tables: Sequence[Floats], cells: NDArray[np.int64]) -> Floats:
    """Return the entry of each row's cell in the table of its segment."""
    if not tables:
        return np.empty(0)
    return np.asarray(np.stack(tables)[segments.codes, cells], dtype=np.float64)
