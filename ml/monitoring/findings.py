"""Findings of monitoring, as records: what, where, how much, against which threshold and since when.

The rules that make findings of measurements are in `ml.monitoring.finding_rules`, the decision that follows from
findings is in `ml.monitoring.retraining_decision`.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

WHOLE_TABLE = ":table"
"""The column name of a row that concerns all columns, as in Databricks data profiling."""
ALL_ROWS = ":all"
"""The slice key and value of a row that concerns all rows."""


class FindingKind(StrEnum):
    """The kind of a finding."""

    METRIC_FELL = "metric_fell"
    DRIFT = "drift"
    MISSING_RATE = "missing_rate"
    LABELS_MISSING = "labels_missing"
    LABELS_LATE = "labels_late"
    NO_PREDICTIONS = "no_predictions"
    REQUESTS_WITHOUT_PREDICTION = "requests_without_prediction"
    SUDDEN_CHANGE = "sudden_change"
    SOURCE_STOPPED = "source_stopped"
    SOURCE_VOLUME = "source_volume"
    LABELS_STOPPED = "labels_stopped"
    SKEW = "skew"
    CHALLENGER_RETURNED = "challenger_returned"
    STREAM_LAGS = "stream_lags"
    FEATURES_STALE = "features_stale"
    SHARED_FEATURES_STALE = "shared_features_stale"


OF_A_DAY = frozenset(
    (
        FindingKind.SUDDEN_CHANGE,
        FindingKind.SOURCE_STOPPED,
        FindingKind.SOURCE_VOLUME,
        FindingKind.LABELS_STOPPED,
        FindingKind.SHARED_FEATURES_STALE,
    )
)
"""The kinds whose window is a day: what the daily alarm said stays, and no later measurement replaces it."""


WHILE_IT_LASTS = frozenset(
    (
        FindingKind.SOURCE_STOPPED,
        FindingKind.LABELS_STOPPED,
        FindingKind.SHARED_FEATURES_STALE,
        FindingKind.STREAM_LAGS,
        FindingKind.FEATURES_STALE,
    )
)
"""The kinds that are found again each day for as long as they last: one that a later day does not have is over."""


OF_OTHER_TASKS = OF_A_DAY | {
    FindingKind.SKEW, FindingKind.CHALLENGER_RETURNED, FindingKind.STREAM_LAGS, FindingKind.FEATURES_STALE,
}  # fmt: skip
"""The kinds that the daily alarm, the comparison of scoring with training, rollouts, streams and endpoints find: no decision on a
window replaces them."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """The stretch of time that is monitored as one; the end is exclusive."""

    start: datetime
    end: datetime


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that is not as it should be.

    Attributes
    ----------
    model_version
        The version whose metric fell; None if the finding is not about one version.
    since
        Start of the first window of the unbroken run of windows in which this was found.
    message
        The whole finding in one sentence.
    """

    window_start: datetime
    window_end: datetime
    kind: str
    column_name: str
    slice_key: str
    slice_value: str
    statistic: str
    value: float | None
    threshold: float | None
    since: datetime
    message: str
    model_version: int | None = None

    @classmethod
    def of_a_day(
        cls, day: Window, kind: FindingKind, *, statistic: str, value: float | None, threshold: float | None, since: datetime,
        message: str, model_version: int | None = None,
    ) -> "Finding":  # fmt: skip
        """Return a finding of a day that is about no column and no slice."""
        return cls(
            window_start=day.start, window_end=day.end, kind=kind.value, column_name=WHOLE_TABLE, slice_key=ALL_ROWS,
            slice_value=ALL_ROWS, statistic=statistic, value=value, threshold=threshold, since=since, message=message,
            model_version=model_version,
        )  # fmt: skip

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """Two findings of different windows with this key are the same finding."""
        return self.kind, self.column_name, self.slice_key, self.slice_value, self.statistic

    def as_row(self) -> dict[str, Any]:
        """Return the finding as a row of the findings table."""
        return asdict(self)


def window_finding(
    window: Window,
    *,
    kind: FindingKind,
    statistic: str,
    value: float,
    threshold: float,
    message: str,
    column_name: str = WHOLE_TABLE,
    slice_key: str = ALL_ROWS,
    slice_value: str = ALL_ROWS,
    model_version: int | None = None,
) -> Finding:
    """Return a finding of a window, for the first time found in it."""
    return Finding(
        window_start=window.start,
        window_end=window.end,
        kind=kind.value,
        column_name=column_name,
        slice_key=slice_key,
        slice_value=slice_value,
        statistic=statistic,
        value=value,
        threshold=threshold,
        since=window.start,
        message=message,
        model_version=model_version,
    )
