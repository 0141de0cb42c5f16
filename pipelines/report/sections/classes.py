"""The classes of the page: of each, month by month, how often it came, was predicted, and how well it was told from the rest."""

from collections.abc import Sequence
from dataclasses import dataclass

from ml.monitoring.findings import ALL_ROWS
from ml.spec.metric_names import class_auc, class_calibration
from ml.spec.target import MultiClass
from pipelines.report.records import ReportRecords, Row
from pipelines.report.sections.quality import Month, most_used


@dataclass(frozen=True, kw_only=True)
class ClassMonth:
    """One class in one month; None where it was not measured.

    Attributes
    ----------
    observed, predicted
        The share of the labels that it has, and its mean probability on the same requests.
    auc, standard_error, calibration
        ROC AUC against the rest with its standard error, and the calibration error of its probability.
    """

    observed: float | None
    predicted: float | None
    auc: float | None
    standard_error: float | None
    calibration: float | None


@dataclass(frozen=True, kw_only=True)
class ClassTable:
    """One class over the months of the page."""

    name: str
    months: tuple[tuple[Month, ClassMonth], ...]


def class_tables(records: ReportRecords, months: Sequence[Month]) -> tuple[ClassTable, ...]:
    """Return a table for each class; none where no classes are declared or nothing was measured."""
    if not isinstance(records.problem, MultiClass) or not months:
        return ()
    return tuple(
        ClassTable(name=name, months=tuple((month, _measured(records, month, place, name)) for month in months))
        for place, name in enumerate(records.problem.classes)
    )


def _measured(records: ReportRecords, month: Month, place: int, name: str) -> ClassMonth:
    auc, calibration = (_row(records, month, metric) for metric in (class_auc(name), class_calibration(name)))
    outcome = month.outcome
    return ClassMonth(
        observed=outcome.observed_shares[place] if outcome and outcome.observed_shares else None,
        predicted=outcome.predicted_shares[place] if outcome and outcome.predicted_shares else None,
        auc=auc["value"] if auc else None,
        standard_error=auc["standard_error"] if auc else None,
        calibration=calibration["value"] if calibration else None,
    )


def _row(records: ReportRecords, month: Month, metric: str) -> Row | None:
    wanted = (month.start, records.champion, metric, ALL_ROWS)
    return most_used(
        [
            row
            for row in records.main_environment.metrics
            if (row["window_start"], row["alias"], row["metric"], row["slice_key"]) == wanted
        ]
    )
