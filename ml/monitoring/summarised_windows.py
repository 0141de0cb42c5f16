"""The metrics of a window from its summary, where there are too many predictions for `ml.monitoring.window_metrics`.

The same measurements, by the same rules; what a grid makes inexact is within the bounds of `ml.metrics.score_grid`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ml.metrics.addends import segment_name
from ml.metrics.metric_table import metric, names
from ml.metrics.quality_metrics import MetricError
from ml.metrics.segment_errors import Errors
from ml.metrics.segment_summary import Quantity, Segment
from ml.monitoring.findings import ALL_ROWS
from ml.monitoring.measurements import Measurement
from ml.monitoring.window_metrics import MOST, reported
from ml.spec.costs import ErrorCosts
from ml.spec.target import Target

COUNTS = ("predictions", "not_due", "without_label", "missing_labels", "assumed", "late_labels")
"""Columns of 0 and 1 that the predictions are counted by, as in `ml.monitoring.measurements.Measurement`."""
LATE_DAYS = "late_days"
"""The column with the age of late outcomes; in a summary it is known to the hour."""


def measured_quantities(
    problem: Target, scores: Sequence[str], costs: ErrorCosts | None = None
) -> tuple[Quantity, ...]:
    """Return what has to be summed for the errors of every metric that has one."""
    with_error = [name for name in names(problem, costs) if metric(name, problem, costs).has_test]
    return tuple((name, column, None) for name in with_error for column in scores)


def summarised_measurements(
    segments: Mapping[str, Segment],
    errors: Mapping[str, Errors],
    *,
    group: Sequence[Any],
    score: str,
    slices: Sequence[str],
    model_version: int,
) -> tuple[Measurement, ...]:
    """Return every metric over all rows of a group, and by the values of every slice column.

    Parameters
    ----------
    score
        The column of the model's scores.
    """
    own = _sorted(segments, group, slices)
    return tuple(
        one
        for key, value, name in own
        for one in _measure(segments[name], errors.get(name), score, model_version, key, value)
    )


def _sorted(segments: Mapping[str, Segment], group: Sequence[Any], slices: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return slice column, value and name of the segments of a group, in the order in which rows are measured."""
    own = (one for one in segments.values() if one.identity[0] == tuple(group))
    found = [(str(key), str(value), one.name) for one in own for _, key, value in [one.identity] if key is not None]
    return [(ALL_ROWS, ALL_ROWS, segment_name(group)), *sorted(found, key=lambda one: (slices.index(one[0]), one[1]))]


def _measure(
    segment: Segment, errors: Errors | None, score: str, model_version: int, key: str, value: str
) -> Iterator[Measurement]:
    counts = {name: int(segment.total(name)) for name in COUNTS if name in segment.layout.counts}
    for name in reported(segment.layout.names, key):
        found, freedom = _value(segment, name, score), None
        error = None
        if found is not None and errors is not None:
            try:
                variance = errors.variance((name, score, None))
                error, freedom = variance.standard_error, variance.freedom
            except (MetricError, KeyError):
                pass  # too few units, or a metric that has no variance: a value without an error
        yield Measurement(
            model_version=model_version, metric=name, value=found, standard_error=error, labelled=segment.rows,
            days=segment.days, slice_key=key, slice_value=value, degrees_of_freedom=freedom,
            late_days=segment.age(LATE_DAYS, MOST), **{"predictions": segment.rows, "not_due": 0, **counts},
        )  # fmt: skip


def _value(segment: Segment, name: str, score: str) -> float | None:
    try:
        return segment.value(name, score)[0]
    except MetricError:
        return None
