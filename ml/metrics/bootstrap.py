"""Bootstraps of two models on the same rows: by row, by day, and unpaired as in the original article's code.

A resample is a count per row, and every metric is computed from counts, so no rows are copied or sorted again. With the
same seed two metrics get the same resamples. Two shortcuts give the same distribution for large data:

- Whole days: ROC AUC is a quadratic form in the counts of days, whose matrix is computed once (exact).
- Above `EXACT_ROWS` rows: the two scores are counted in a joint histogram by label, and its cells are resampled. The
  differences are centred on the exact difference; their spread agrees with that of rows to well under 1%.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ml.metrics.quality_metrics import Metric, MetricError, roc_auc_score

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

EXACT_ROWS = 50_000
"""Up to this number of rows, single rows are resampled."""
BINS = 128
"""Bins of each score in the joint histogram."""
_QUANTILE_SAMPLE = 65_536
_CELLS_AT_ONCE = 4_000_000

_Evaluator = Callable[[Floats], float]


def paired_bootstrap(
    labels: Floats,
    first: Floats,
    second: Floats,
    *,
    metric: Metric,
    resamples: int,
    seed: int,
    groups: Integers | None = None,
) -> Floats:
    """Return the difference of a metric, first minus second, on resamples that both models share.

    Parameters
    ----------
    labels, first, second
        Shape ``(rows,)``: the truth and each model's scores.
    groups
        Shape ``(rows,)``. If given, whole groups (for example days) are drawn with replacement instead of rows.

    Returns
    -------
    numpy.ndarray
        Shape ``(resamples,)``, in the metric's own direction. A resample without one of the classes shows no
        difference.

    Raises
    ------
    MetricError
        If there are no rows, fewer than two groups or, for ROC AUC, not both classes.

    References
    ----------
    Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapters 6 and 8.
    """
    generator = np.random.default_rng(seed)
    _check(labels, metric)
    if groups is not None:
        return _by_group(labels, first, second, metric, groups, resamples, generator)
    if metric.name == "roc_auc_score" and labels.size > EXACT_ROWS:
        return _by_cell(labels, first, second, resamples, generator)
    return _by_row(labels, (first, second), metric, resamples, generator)


def unpaired_bootstrap(
    labels: Floats, first: Floats, second: Floats, *, metric: Metric, resamples: int, seed: int
) -> Floats:
    """Return the difference of a metric where each model is measured on a resample of its own.

    This is what the original article's code does. The part that the models share (hard rows, easy rows) does not
    cancel, so the same gain is found far less often than with `paired_bootstrap`. Shape ``(resamples,)``.

    Raises
    ------
    MetricError
        If there are no rows or, for ROC AUC, not both classes.
    """
    generator = np.random.default_rng(seed)
    _check(labels, metric)
    alone = [_by_row(labels, (scores,), metric, resamples, generator) for scores in (first, second)]
    return alone[0] - alone[1]


def _check(labels: Floats, metric: Metric) -> None:
    if labels.size == 0:
        raise MetricError("a bootstrap needs at least one row, got none.")
    if metric.name == "roc_auc_score" and labels.min() == labels.max():
        raise MetricError("a bootstrap of ROC AUC needs rows of both classes: widen the window.")


def _by_row(
    labels: Floats, scores: tuple[Floats, ...], metric: Metric, resamples: int, generator: np.random.Generator
) -> Floats:
    """Return first minus second on the same counts per row; the metric itself if only one model is given."""
    evaluators = [_evaluator(labels, values, metric) for values in scores]
    result = np.empty(resamples, dtype=np.float64)
    for index in range(resamples):
        drawn = generator.integers(0, labels.size, labels.size, dtype=np.int32)
        counts = np.bincount(drawn, minlength=labels.size).astype(np.float64)
        values = [evaluate(counts) for evaluate in evaluators]
        result[index] = values[0] - sum(values[1:])
    return result


def _evaluator(labels: Floats, scores: Floats, metric: Metric) -> _Evaluator:
    """Return the metric as a function of the counts of rows."""
    if metric.name == "roc_auc_score":
        return _auc_evaluator(labels, scores)
    if metric.row_loss is not None:
        losses = metric.row_loss(labels, scores)
        return lambda counts: _finish(metric, float(counts @ losses / counts.sum()))

    def on_repeated_rows(counts: Floats) -> float:
        rows = np.repeat(np.arange(labels.size), counts.astype(np.int64))
        return metric.function(labels[rows], scores[rows])

    return on_repeated_rows


def _finish(metric: Metric, mean: float) -> float:
    return float(np.sqrt(mean)) if metric.root else mean


def _auc_evaluator(labels: Floats, scores: Floats) -> _Evaluator:
    """Rank the positive rows among the negative ones once; each resample then only sums counts."""
    positive, negative = np.flatnonzero(labels == 1), np.flatnonzero(labels != 1)
    ordered = negative[np.argsort(scores[negative])]
    left = np.searchsorted(scores[ordered], scores[positive], side="left")
    right = np.searchsorted(scores[ordered], scores[positive], side="right")
    tied = not np.array_equal(left, right)
    below = np.zeros(ordered.size + 1, dtype=np.float64)

    def evaluate(counts: Floats) -> float:
        np.cumsum(counts[ordered], out=below[1:])
        asked = counts[positive]
        won = asked @ ((below[left] + below[right]) / 2 if tied else below[left])
        pairs = asked.sum() * below[-1]
        return float(won / pairs) if pairs > 0 else 0.5

    return evaluate


def _auc(table: Floats) -> Floats:
    """Return ROC AUC of counts of negatives and positives by rising score; shape ``(..., 2, scores)`` in.

    If a class is missing it is 0.5, for both models.
    """
    negative, positive = table[..., 0, :], table[..., 1, :]
    pairs = negative.sum(axis=-1) * positive.sum(axis=-1)
    won = np.sum(positive * (np.cumsum(negative, axis=-1) - 0.5 * negative), axis=-1)
    return np.asarray(np.where(pairs > 0, won / np.where(pairs > 0, pairs, 1.0), 0.5))


def _by_group(
    labels: Floats,
    first: Floats,
    second: Floats,
    metric: Metric,
    groups: Integers,
    resamples: int,
    generator: np.random.Generator,
) -> Floats:
    _, index = np.unique(groups, return_inverse=True)
    n_groups = int(index.max()) + 1
    if n_groups < 2:
        raise MetricError(f"a bootstrap by groups needs two of them, got {n_groups}: widen the window.")
    drawn = generator.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=resamples).astype(np.float64)
    if metric.name == "roc_auc_score":
        return _auc_by_group(labels, first, index, drawn) - _auc_by_group(labels, second, index, drawn)
    evaluators = [_evaluator(labels, scores, metric) for scores in (first, second)]
    return np.array([evaluators[0](counts[index]) - evaluators[1](counts[index]) for counts in drawn])


def _auc_by_group(labels: Floats, scores: Floats, index: NDArray[np.intp], drawn: Floats) -> Floats:
    """Return ROC AUC for each row of counts of groups, from the pairs won between each two groups."""
    n_groups = drawn.shape[1]
    positive = labels == 1
    order = np.argsort(scores[positive])
    asked, asked_group = scores[positive][order], index[positive][order]
    won = np.empty((n_groups, n_groups), dtype=np.float64)
    for group in range(n_groups):
        others = np.sort(scores[~positive & (index == group)])
        below = np.searchsorted(others, asked, side="left") + np.searchsorted(others, asked, side="right")
        won[:, group] = np.bincount(asked_group, weights=below, minlength=n_groups) / 2
    positives = np.bincount(index[positive], minlength=n_groups).astype(np.float64)
    negatives = np.bincount(index[~positive], minlength=n_groups).astype(np.float64)
    pairs = (drawn @ positives) * (drawn @ negatives)
    return np.where(pairs > 0, np.sum((drawn @ won) * drawn, axis=1) / np.where(pairs > 0, pairs, 1.0), 0.5)


def _by_cell(labels: Floats, first: Floats, second: Floats, resamples: int, generator: np.random.Generator) -> Floats:
    cells, counts = joint_histogram(labels, first, second, generator)
    rows, share = int(counts.sum()), counts / counts.sum()
    exact = roc_auc_score(labels, first) - roc_auc_score(labels, second)
    centre = exact - _cell_difference(cells, counts[np.newaxis].astype(np.float64))[0]
    at_once = max(1, _CELLS_AT_ONCE // cells.size)
    parts = [
        _cell_difference(
            cells, generator.multinomial(rows, share, size=min(at_once, resamples - done)).astype(np.float64)
        )
        for done in range(0, resamples, at_once)
    ]
    return np.asarray(np.concatenate(parts) + centre)


def joint_histogram(
    labels: Floats, first: Floats, second: Floats, generator: np.random.Generator
) -> tuple[Integers, Integers]:
    """Return the occupied cells, ``(label * BINS + bin of first) * BINS + bin of second``, and their counts.

    The bins have about equal counts in a sample with as many rows of each class: if a class is rare, the order of
    scores depends on its rows.
    """
    by_class = [np.flatnonzero(labels == label) for label in (0, 1)]
    sample = np.concatenate([generator.choice(rows, _QUANTILE_SAMPLE // 2) for rows in by_class])
    inner = np.linspace(0, 1, BINS + 1)[1:-1]
    bins = [np.searchsorted(np.quantile(scores[sample], inner), scores, side="right") for scores in (first, second)]
    code = (labels.astype(np.int64) * BINS + bins[0]) * BINS + bins[1]
    counts = np.bincount(code, minlength=2 * BINS * BINS)
    cells = np.flatnonzero(counts)
    return cells, counts[cells]


def _cell_difference(cells: Integers, counts: Floats) -> Floats:
    """Return first minus second of ROC AUC for each row of counts of cells."""
    by_first, by_second = cells // BINS, cells // (BINS * BINS) * BINS + cells % BINS
    return _auc_of_bins(by_first, counts) - _auc_of_bins(by_second, counts)


def _auc_of_bins(bins: Integers, counts: Floats) -> Floats:
    order = np.argsort(bins, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(bins[order]) != 0))
    table = np.zeros((counts.shape[0], 2 * BINS), dtype=np.float64)
    table[:, bins[order][starts]] = np.add.reduceat(counts[:, order], starts, axis=1)
    return _auc(table.reshape(-1, 2, BINS))
