"""The rules that turn a window's measurements into findings: fallen metrics, drift, missing labels and predictions.

Findings are returned, never raised. Each states what, where, how much, against which threshold and since when, so
tables, alerts, the report and the retraining decision (`ml.monitoring.retraining_decision`) need nothing else.
Measurements come from `ml.profiles.table_profile`, `ml.drift.statistics` and `ml.monitoring.window_metrics`,
thresholds from `ml.drift.thresholds` and the policy.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from scipy.stats import t as student

from ml.drift.statistics import STATISTICS
from ml.drift.thresholds import Thresholds
from ml.monitoring.effects import drift_effect, metric_effect
from ml.monitoring.findings import ALL_ROWS, WHOLE_TABLE, Finding, FindingKind, Window
from ml.monitoring.measurements import EvaluatedMetric, Measurement
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
    champion
        The version that is champion now. Where the same metric of several versions fell, there is one finding, about the
        champion if it is among them, else about the newest one; its message has the others.
    """
    found = _volume_findings(window, measurements, policy, until, requests) + _unscored_findings(window, unscored)
    found += _late_findings(window, measurements, policy)
    if window.end <= until:
        found += _one_for_each(_metric_findings(window, measurements, evaluated, policy), champion)
        if reference is not None and current is not None and thresholds is not None:
            found += drift_findings(window, reference, current, thresholds, policy)
    return tuple(_since(finding, previous) for finding in found)


def direction(metric: str) -> int:
    """Return 1 for a metric that should be high and -1 for one that should be low, by its name.

    Raises
    ------
    ValueError
        If the name states neither.
    """
    if metric.endswith("_score"):
        return 1
    if metric.endswith(("_error", "_loss")):
        return -1
    raise ValueError(f"metric {metric!r} does not say its direction: name it *_score (up), *_error or *_loss (down).")


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
                _finding(
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
    requests: int | None,
) -> list[Finding]:
    overall = {m.model_version: m for m in measurements if m.slice_key == ALL_ROWS}
    predictions = sum(m.predictions for m in overall.values())
    if not predictions:
        if until - window.start < FIRST_PREDICTIONS:
            return []
        return [
            _finding(
                window,
                kind=FindingKind.NO_PREDICTIONS,
                statistic="predictions",
                value=0.0,
                threshold=1.0,
                message="no predictions were made in the window: "
                + (
                    "no request fell due in it, so there was nothing to score; check the source of the requests."
                    if requests == 0
                    else "check the scoring job."
                ),
            )
        ]
    missing = sum(m.missing_labels for m in overall.values())
    if missing / predictions <= policy.missing_labels:
        return []
    return [
        _finding(
            window,
            kind=FindingKind.LABELS_MISSING,
            statistic="missing_labels",
            value=missing / predictions,
            threshold=policy.missing_labels,
            message=f"{missing:,} of {predictions:,} predictions ({missing / predictions:.1%}) are past their due date "
            f"without an outcome; {policy.missing_labels:.1%} are tolerated.",
        )
    ]


def _late_findings(window: Window, measurements: Sequence[Measurement], policy: MonitoringPolicy) -> list[Finding]:
    """Return a finding if more outcomes than tolerated came after their due time; a few outcomes say nothing yet."""
    overall = {m.model_version: m for m in measurements if m.slice_key == ALL_ROWS}
    due, late = sum(m.due for m in overall.values()), sum(m.late_labels for m in overall.values())
    if due < policy.minimum_labelled or late / due <= policy.late_labels:
        return []
    age = max(m.late_days or 0.0 for m in overall.values())
    return [
        _finding(
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
        _finding(
            window,
            kind=FindingKind.REQUESTS_WITHOUT_PREDICTION,
            statistic="requests_without_prediction",
            value=float(unscored),
            threshold=0.0,
            message=f"{unscored:,} requests of the window have no prediction and lie before scoring's look-back: run the "
            f"scoring job with --param since={window.start:%Y-%m-%d}.",
        )
    ]


def _metric_findings(
    window: Window, measurements: Sequence[Measurement], evaluated: Iterable[EvaluatedMetric], policy: MonitoringPolicy
) -> list[Finding]:
    known = {(b.model_version, b.metric, b.slice_key, b.slice_value): b for b in evaluated}
    judged = [
        (m, known[key])
        for m in measurements
        if (key := (m.model_version, m.metric, m.slice_key, m.slice_value)) in known
        and _is_judgeable(m, known[key], policy)
    ]
    groups = [[pair for pair in judged if (pair[0].slice_key == ALL_ROWS) is whole] for whole in (True, False)]
    # Bonferroni's correction with weights: all slices together get half of the level, whatever their number.
    share = policy.metric_alpha / max(1, sum(map(bool, groups)))
    return [
        finding
        for group in groups
        for m, b in group
        if (finding := _metric_finding(window, m, b, share / len(group), policy)) is not None
    ]


def _one_for_each(found: Iterable[Finding], champion: int | None) -> list[Finding]:
    """Return one finding for each metric and slice: a window in which the champion changed may have one of either version."""
    by_key: dict[tuple[str, ...], list[Finding]] = {}
    for finding in found:
        by_key.setdefault(finding.key, []).append(finding)
    return [_together(same, champion) for same in by_key.values()]


def _together(same: Sequence[Finding], champion: int | None) -> Finding:
    first, *others = sorted(same, key=lambda one: (one.model_version != champion, -(one.model_version or 0)))
    return replace(first, message=" ".join([first.message, *(f"Also: {one.message}" for one in others)]))


def _metric_finding(
    window: Window, measured: Measurement, evaluated: EvaluatedMetric, level: float, policy: MonitoringPolicy
) -> Finding | None:
    assert measured.value is not None and measured.standard_error is not None  # noqa: PT018, S101 # judgeable, see above
    sign = direction(measured.metric)
    spread = math.hypot(measured.standard_error, evaluated.standard_error)
    freedom = _least_freedom(measured, evaluated)
    margin = policy.metric_tolerance + spread * float(student.isf(level, freedom))
    threshold = evaluated.value - sign * margin
    if sign * (measured.value - threshold) >= 0:
        return None
    where = "" if measured.slice_key == ALL_ROWS else f" for {measured.slice_key} = {measured.slice_value}"
    return _finding(
        window,
        kind=FindingKind.METRIC_FELL,
        slice_key=measured.slice_key,
        slice_value=measured.slice_value,
        statistic=measured.metric,
        value=measured.value,
        threshold=threshold,
        model_version=measured.model_version,
        message=f"{measured.metric} of version {measured.model_version}{where} is {measured.value:.4f} on "
        f"{measured.labelled:,} labels; at evaluation it was {evaluated.value:.4f} "
        f"({metric_effect(evaluated.value, measured.value, spread, freedom=freedom, unit=policy.metric_unit)}), "
        f"and chance and tolerance explain no worse than {threshold:.4f}.",
    )


def _least_freedom(measured: Measurement, evaluated: EvaluatedMetric) -> float:
    """Return the smaller of the two numbers of degrees of freedom; below 1 if one is not recorded.

    Student's t with so many degrees of freedom never errs more often than stated. Welch's degrees of freedom,
    between the two numbers, do: if a few days happen to be alike, the many days of the other side make their small
    standard error look reliable.
    """
    return min(_freedom(measured), _freedom(evaluated))


def _freedom(one: Measurement | EvaluatedMetric) -> float:
    return (one.days or 0) - 1 if one.degrees_of_freedom is None else one.degrees_of_freedom


def _is_judgeable(measured: Measurement, evaluated: EvaluatedMetric, policy: MonitoringPolicy) -> bool:
    return (
        all(x is not None and math.isfinite(x) for x in (measured.value, measured.standard_error))
        and measured.labelled >= policy.minimum_labelled
        and measured.due >= policy.minimum_settled * measured.predictions
        and _least_freedom(measured, evaluated) >= 1
    )


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


def _finding(
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


def _since(finding: Finding, previous: Sequence[Finding]) -> Finding:
    same = [p for p in previous if p.key == finding.key and p.window_end == finding.window_start]
    return replace(finding, since=min(p.since for p in same)) if same else finding
