"""Which metrics of a window fell below what they were at evaluation, by more than chance and tolerance explain."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from scipy.stats import t as student

from ml.monitoring.effects import metric_effect
from ml.monitoring.findings import ALL_ROWS, Finding, FindingKind, Window, window_finding
from ml.monitoring.measurements import EvaluatedMetric, Measurement
from ml.spec.monitoring_policy import MonitoringPolicy


def metric_findings(
    window: Window, measurements: Sequence[Measurement], evaluated: Iterable[EvaluatedMetric], policy: MonitoringPolicy,
    champion: int | None = None,
) -> list[Finding]:  # fmt: skip
    """Return a finding for each metric and slice that fell by more than chance and tolerance explain.

    Parameters
    ----------
    champion
        The version that is champion now: of several versions of which the same fell, the finding is about it.
    """
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
    found = [
        finding
        for group in groups
        for m, b in group
        if (finding := _metric_finding(window, m, b, share / len(group), policy)) is not None
    ]
    return _one_for_each(found, champion)


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
    return window_finding(
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
