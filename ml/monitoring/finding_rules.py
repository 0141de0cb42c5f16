"""The rules that turn a window's measurements into findings: fallen metrics, drift, missing labels and predictions.

Findings are returned, never raised. Each states what, where, how much, against which threshold and since when, so
tables, alerts, the report and the retraining decision (`ml.monitoring.retraining_decision`) need nothing else.
Measurements come from `ml.profiles.table_profile`, `ml.drift.statistics` and `ml.monitoring.window_metrics`,
thresholds from `ml.drift.thresholds` and the policy.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from ml.drift.statistics import STATISTICS
from ml.drift.thresholds import Thresholds
from ml.monitoring.effects import drift_effect
from ml.monitoring.findings import ALL_ROWS, Finding, FindingKind, Window, window_finding
from ml.monitoring.measurements import EvaluatedMetric, Measurement
from ml.monitoring.metric_findings import metric_findings
from ml.profiles.column_profile import ColumnProfile
from ml.profiles.table_profile import Profile
from ml.spec.monitoring_policy import MonitoringPolicy

FIRST_PREDICTIONS = timedelta(days=1)
"""A window that began less than this ago may have no predictions yet."""


def window_findings(
    window: Window,
    *,
    measurements: Sequence[Measurement],
    evaluated: Sequence[EvaluatedMetric],
    reference: Profile | None,
    current: Profile | None,
    thresholds: Thresholds | None,
    policy: MonitoringPolicy,
    until: datetime,
    previous: Sequence[Finding] = (),
    unscored: int = 0,
    requests: int | None = None,
    in_hindsight: int = 0,
    champion: int | None = None,
) -> tuple[Finding, ...]:
    """Return the findings of one window.

    Metrics and drift are judged only after the window has ended, and metrics once most outcomes are known: judging an
    incomplete window every morning finds something by chance sooner or later.

    Parameters
    ----------
    measurements
        Metrics of the window; the one on all rows also holds the number of missing labels.
    evaluated
        The metrics at evaluation of every model version that predicted in the window.
    reference, current, thresholds
        Profile of the champion's training rows, profile of the window, and the thresholds of drift. If one is None,
        drift is not judged.
    until
        The instant up to which outcomes are known.
    previous
        Findings of earlier windows, from which `since` follows.
    unscored
        Requests of the window that have no prediction and that scoring no longer looks for by itself.
    requests
        Requests that fell due in the window; None if they were not counted.
    in_hindsight
        Predictions of the window whose version was trained or evaluated on their requests: they measure nothing.
    champion
        The version that is champion now. Where the same metric of several versions fell, there is one finding, about the
        champion if it is among them, else about the newest one; its message has the others.
    """
    why = _why_no_predictions(requests, in_hindsight)
    found = _volume_findings(window, measurements, policy, until, why) + _unscored_findings(window, unscored)
    found += _late_findings(window, measurements, policy)
    if window.end <= until:
        found += metric_findings(window, measurements, evaluated, policy, champion)
        if reference is not None and current is not None and thresholds is not None:
            found += drift_findings(window, reference, current, thresholds, policy)
    return tuple(_since(finding, previous) for finding in found)


def drift_findings(
    window: Window,
    reference: Profile,
    current: Profile,
    thresholds: Thresholds,
    policy: MonitoringPolicy,
    slice_key: str = ALL_ROWS,
    slice_value: str = ALL_ROWS,
) -> list[Finding]:
    """Return a finding for every column statistic above its threshold; none for windows of too few rows."""
    if current.rows < policy.minimum_rows:
        return []
    found = []
    for each in thresholds.thresholds:
        statistic = STATISTICS[each.statistic]
        before, after = reference.columns[each.column], current.columns[each.column]
        value = statistic(before, after)
        if value > each.value:
            found.append(
                window_finding(
                    window,
                    kind=FindingKind.MISSING_RATE if statistic.of_missing else FindingKind.DRIFT,
                    column_name=each.column,
                    slice_key=slice_key,
                    slice_value=slice_value,
                    statistic=each.statistic,
                    value=value,
                    threshold=each.value,
                    message=_drift_sentence(before, after, statistic.of_missing, each.statistic, value, each.value),
                )
            )
    return found


def _volume_findings(
    window: Window,
    measurements: Sequence[Measurement],
    policy: MonitoringPolicy,
    until: datetime,
    why_none: str,
) -> list[Finding]:
    overall = {m.model_version: m for m in measurements if m.slice_key == ALL_ROWS}
    predictions = sum(m.predictions for m in overall.values())
    if not predictions:
        if until - window.start < FIRST_PREDICTIONS:
            return []
        return [
            window_finding(
                window,
                kind=FindingKind.NO_PREDICTIONS,
                statistic="predictions",
                value=0.0,
                threshold=1.0,
                message=f"no predictions were made in the window: {why_none}",
            )
        ]
    missing = sum(m.missing_labels for m in overall.values())
    if missing / predictions <= policy.missing_labels:
        return []
    return [
        window_finding(
            window,
            kind=FindingKind.LABELS_MISSING,
            statistic="missing_labels",
            value=missing / predictions,
            threshold=policy.missing_labels,
            message=f"{missing:,} of {predictions:,} predictions ({missing / predictions:.1%}) are past their due date "
            f"without an outcome; {policy.missing_labels:.1%} are tolerated.",
        )
    ]


def _why_no_predictions(requests: int | None, in_hindsight: int) -> str:
    if in_hindsight:
        return (
            f"its {in_hindsight:,} were made in hindsight, for requests that the version was trained or evaluated on, and "
            "measure nothing; what is scored after the training is measured."
        )
    if requests == 0:
        return "no request fell due in it, so there was nothing to score; check the source of the requests."
    return "check the scoring job."


def _late_findings(window: Window, measurements: Sequence[Measurement], policy: MonitoringPolicy) -> list[Finding]:
    """Return a finding if more outcomes than tolerated came after their due time; a few outcomes say nothing yet."""
    overall = {m.model_version: m for m in measurements if m.slice_key == ALL_ROWS}
    due, late = sum(m.due for m in overall.values()), sum(m.late_labels for m in overall.values())
    if due < policy.minimum_labelled or late / due <= policy.late_labels:
        return []
    age = max(m.late_days or 0.0 for m in overall.values())
    return [
        window_finding(
            window,
            kind=FindingKind.LABELS_LATE,
            statistic="late_labels",
            value=late / due,
            threshold=policy.late_labels,
            message=f"{late:,} of {due:,} outcomes that were due ({late / due:.1%}) became known later than declared, nine in "
            f"ten of these within {age:.1f} days of the prediction; {policy.late_labels:.1%} are tolerated. They do not "
            "decide: declare label_due_days that cover them.",
        )
    ]


def _unscored_findings(window: Window, unscored: int) -> list[Finding]:
    if not unscored:
        return []
    return [
        window_finding(
            window,
            kind=FindingKind.REQUESTS_WITHOUT_PREDICTION,
            statistic="requests_without_prediction",
            value=float(unscored),
            threshold=0.0,
            message=f"{unscored:,} requests of the window have no prediction and lie before scoring's look-back: run the "
            f"scoring job with --param since={window.start:%Y-%m-%d}.",
        )
    ]


def _drift_sentence(
    before: ColumnProfile, after: ColumnProfile, of_missing: bool, statistic: str, value: float, threshold: float
) -> str:
    name = before.column.name
    if of_missing:
        return (
            f"{name} is missing in {after.missing_rate:.1%} of the rows, {before.missing_rate:.1%} in the reference; a "
            f"difference of {threshold:.1%} is within chance."
        )
    return (
        f"{name} drifted: {drift_effect(before, after)} ({statistic} {value:.4f}, above its threshold {threshold:.4f})."
    )


def _since(finding: Finding, previous: Sequence[Finding]) -> Finding:
    same = [p for p in previous if p.key == finding.key and p.window_end == finding.window_start]
    return replace(finding, since=min(p.since for p in same)) if same else finding
