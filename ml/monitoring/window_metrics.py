"""The metrics of a window on the labels that are due, each with its standard error and its counts.

One window of one model version at a time, on all rows and by slice. Whether a value is a finding is decided in
`ml.monitoring.finding_rules`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.metrics.clusters import ClusteredVariance, Units
from ml.metrics.metric_table import metric, names
from ml.metrics.quality_metrics import Metric, MetricError
from ml.metrics.standard_errors import mean_auc_error, mean_error
from ml.monitoring.findings import ALL_ROWS
from ml.monitoring.measurements import Measurement
from ml.spec.costs import ErrorCosts
from ml.spec.metric_names import has_standard_error
from ml.spec.target import Target

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

MOST = 0.9
"""The share of late outcomes that the age stated with them covers."""


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """The predictions of one model version in one window, with their outcomes.

    Attributes
    ----------
    scores, labels
        Shape (rows,), scores of several classes (rows, classes); a label that is unknown, or will never arrive, is NaN.
    closed
        Shape (rows,): whether an outcome was known when due, with or without a label.
    due
        Shape (rows,): whether the outcome is due. What is not due yet counts in no metric, labelled or not.
    units
        Which rows depend on each other: those of one day, and of one sampled entity.
    slices
        Column to value, shape (rows,) each.
    late_days
        Shape (rows,): the age in days at which an outcome became known that was not known when due; NaN for all others.
        None if there are none.
    weights
        Shape (rows,): how much each row counts; None for all alike.
    """

    scores: Floats
    labels: Floats
    closed: Mask
    due: Mask
    units: Units
    slices: pd.DataFrame
    late_days: Floats | None = None
    weights: Floats | None = None

    @property
    def age_when_late(self) -> Floats:
        """The age of each late outcome in days, shape (rows,); NaN for all others."""
        return np.full(self.labels.size, np.nan) if self.late_days is None else self.late_days


def measure_window(
    predictions: Predictions, *, model_version: int, problem: Target, costs: ErrorCosts | None = None
) -> tuple[Measurement, ...]:
    """Return every metric over all rows, and by the values of every slice column.

    Metrics that the labels of a slice do not define are None; each metric of a slice repeats the slice's counts.
    """
    metrics = [metric(name, problem, costs) for name in names(problem, costs)]
    found = list(_measure(predictions, _every_row(predictions), model_version, metrics, ALL_ROWS, ALL_ROWS))
    for key in map(str, predictions.slices):
        codes, distinct = pd.factorize(predictions.slices[key].to_numpy(object), use_na_sentinel=False)
        names_of = np.array([str(value) for value in distinct], dtype=object)
        for value in sorted(set(names_of)):
            rows = np.isin(codes, np.flatnonzero(names_of == value))
            found += _measure(predictions, rows, model_version, metrics, key, value)
    return tuple(found)


def value_with_error(
    metric: Metric, labels: Floats, scores: Floats, units: Units, weights: Floats | None = None
) -> tuple[float | None, ClusteredVariance | None]:
    """Return a metric and its variance by the units; None where they are not defined.

    ROC AUCs and means of them: `ml.metrics.standard_errors.mean_auc_error`. Means of a loss, and roots of them:
    `ml.metrics.standard_errors.mean_error`. Other metrics have no variance, and neither has anything that was
    measured on a single day or a single entity.
    """
    try:
        value = metric.function(labels, scores, weights)
    except MetricError:
        return None, None
    try:
        if metric.row_loss is not None:
            return value, mean_error(metric.row_loss(labels, scores), units, root=metric.root, weights=weights)
        ranked = metric.rankings(labels, scores) if metric.rankings is not None else ()
        return value, mean_auc_error(ranked, units, weights) if ranked else None
    except MetricError:
        return value, None


def _measure(
    predictions: Predictions,
    rows: Mask,
    model_version: int,
    metrics: Sequence[Metric],
    slice_key: str,
    slice_value: str,
) -> Iterator[Measurement]:
    due, closed = rows & predictions.due, predictions.closed
    labelled = due & ~np.isnan(predictions.labels)
    days = int(np.unique(predictions.units.days[labelled]).size)
    labels, scores, units = predictions.labels[labelled], predictions.scores[labelled], predictions.units.take(labelled)
    weights = None if predictions.weights is None else predictions.weights[labelled]
    late = due & ~np.isnan(predictions.age_when_late)
    names_reported = reported([one.name for one in metrics], slice_key)
    for one in [one for one in metrics if one.name in names_reported]:
        value, found = value_with_error(one, labels, scores, units, weights)
        yield Measurement(
            model_version=model_version,
            metric=one.name,
            value=value,
            standard_error=found.standard_error if found else None,
            predictions=int(rows.sum()),
            labelled=int(labelled.sum()),
            days=days,
            without_label=int((due & closed & ~labelled).sum()),
            missing_labels=int((due & ~closed & ~labelled & ~late).sum()),
            assumed=int((labelled & ~closed).sum()),
            late_labels=int(late.sum()),
            late_days=float(np.quantile(predictions.age_when_late[late], MOST)) if late.any() else None,
            not_due=int((rows & ~predictions.due).sum()),
            slice_key=slice_key,
            slice_value=slice_value,
            degrees_of_freedom=found.freedom if found else None,
        )


def reported(metrics: Sequence[str], slice_key: str) -> Sequence[str]:
    """Slices are small: only metrics with a standard error are reported for them."""
    return metrics if slice_key == ALL_ROWS else [name for name in metrics if has_standard_error(name)]


def _every_row(predictions: Predictions) -> Mask:
    return np.ones(predictions.labels.size, dtype=np.bool_)
