"""Measurements that monitoring compares, as records: a metric in a window, and the same metric at evaluation."""

from dataclasses import dataclass

from ml.monitoring.findings import ALL_ROWS


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One metric of one model version, window and slice, measured on the labels that are due, and its counts.

    Attributes
    ----------
    metric
        Its name carries its direction: ``*_score`` up; ``*_error`` and ``*_loss`` down.
    value, standard_error
        None if the metric is not defined, for example with labels of one class only, or its error is unknown; such a
        measurement raises no finding, because a fall cannot be distinguished from chance. Days are the units of the
        error, and the sampled entities that are declared.
    labelled, days
        Predictions that count in the metric, and the number of days on which they were made; None if not recorded.
    without_label
        Predictions with an outcome that never gives a label.
    missing_labels
        Predictions past their due date without an outcome.
    assumed
        Of those labelled, the ones that were due without an outcome and have the value that the use case states for it.
    late_labels, late_days
        Predictions whose outcome became known only after its due time, and the age in days by which nine in ten of these
        were known; None without any.
    not_due
        Predictions whose outcome is not due yet; None if not recorded.
    degrees_of_freedom
        Of the error; None where it has none, or if not recorded: then one less than the days.
    """

    model_version: int
    metric: str
    value: float | None
    standard_error: float | None
    predictions: int
    labelled: int
    days: int | None
    without_label: int = 0
    missing_labels: int = 0
    assumed: int = 0
    late_labels: int = 0
    late_days: float | None = None
    not_due: int | None = None
    slice_key: str = ALL_ROWS
    slice_value: str = ALL_ROWS
    degrees_of_freedom: float | None = None

    @property
    def due(self) -> int:
        """Predictions whose outcome is due, known or not."""
        if self.not_due is None:
            return self.labelled + self.without_label + self.missing_labels
        return self.predictions - self.not_due


@dataclass(frozen=True, kw_only=True)
class EvaluatedMetric:
    """One metric of a model version on all rows or one slice, as measured by the evaluation that promoted it."""

    model_version: int
    metric: str
    value: float
    standard_error: float
    days: int | None
    slice_key: str = ALL_ROWS
    slice_value: str = ALL_ROWS
    degrees_of_freedom: float | None = None
