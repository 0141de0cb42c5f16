"""Did retraining help? The live champion and the model that was never retrained, on the same requests, month by month.

Differences are judged by the method of the gate's policy (days, and what the use case declares, as units where it says so),
and called shown only after Holm's correction over the months. Positive always means that the champion was better.
"""

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ml.evaluation.comparison import Comparison, Subject, compare
from ml.gate.case import corrected
from ml.metrics.clusters import Units
from ml.metrics.metric_table import constant_scores, metric
from ml.metrics.quality_metrics import Metric, MetricError
from ml.metrics.targets import in_one_column
from ml.spec.costs import ErrorCosts
from ml.spec.gate_policy import Correction, GatePolicy
from ml.spec.target import Target
from pipelines.report.records import Scored

Floats = NDArray[np.float64]

LEVEL = 0.05
"""Two-sided, over all months together."""
TOP_SHARE = 0.1
"""The share of requests with the highest scores that is looked at by itself."""


class Judgement(StrEnum):
    """The comparison of the champion with the baseline in one month."""

    SAME_MODEL = "same model"
    BETTER = "better"
    WORSE = "worse"
    WITHIN_CHANCE = "within chance"
    UNKNOWN = "not comparable"


@dataclass(frozen=True, kw_only=True)
class MonthOutcome:
    """The outcomes of a month's predictions, as far as labels are known.

    Attributes
    ----------
    mean_label, mean_score
        Observed and predicted; of several classes how often the most probable one was right, and its probability. None
        without labels.
    top_label
        The same of the tenth with the highest scores; None without labels.
    constant
        What the best constant prediction would have had in the secondary metric; None where it is not defined.
    difference, low, high, standard_error
        Of the champion from the baseline in the policy's metric, with a 95% interval as Holm's correction over the months
        makes it; None where it is not comparable or the same model.
    observed_shares, predicted_shares
        Of several classes the share of the labels that each has, and its mean probability; empty without labels.
    """

    month: dt.datetime
    labelled: int
    champion_versions: tuple[int, ...]
    baseline_version: int | None
    mean_label: float | None
    mean_score: float | None
    top_label: float | None
    constant: float | None
    judgement: Judgement
    difference: float | None = None
    standard_error: float | None = None
    low: float | None = None
    high: float | None = None
    observed_shares: tuple[float, ...] = ()
    predicted_shares: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class MeanDifference:
    """The mean over the months in which two different models scored, with its 95% interval."""

    months: int
    value: float
    low: float
    high: float


def month_outcomes(
    scored: Scored,
    policy: GatePolicy,
    secondary: str | None,
    length: str = "month",
    *,
    problem: Target,
    costs: ErrorCosts | None = None,
) -> tuple[MonthOutcome, ...]:
    """Return what became of the predictions, month by month, or by windows of another length.

    Parameters
    ----------
    policy
        Names the metric in which the models are compared, and the method.
    secondary
        The metric for which the best constant prediction is computed.
    problem
        What is predicted.
    costs
        Of errors, for the cost of a request; None without any.
    """
    months = _windows(scored.instants, length)
    found = [(month, np.flatnonzero(months == month)) for month in np.unique(months)]
    main = metric(policy.metric, problem, costs)
    second = metric(secondary, problem, costs) if secondary else None
    compared = [_compared(_only(scored, rows), policy, main) for _, rows in found]
    p_values = corrected([1.0 if c is None else _two_sided(c) for c in compared], Correction.HOLM)
    count = sum(comparison is not None for comparison in compared)
    return tuple(
        _outcome(month, _only(scored, rows), second, _with_corrected_interval(comparison, p, count), p)
        for (month, rows), comparison, p in zip(found, compared, p_values, strict=True)
    )


def mean_difference(outcomes: Sequence[MonthOutcome]) -> MeanDifference | None:
    """Return the plain mean of the monthly differences; None if the same model scored in every month.

    Months are taken as independent of each other; days within a month as the policy's method has it.
    """
    pairs = [
        (o.difference, o.standard_error) for o in outcomes if o.difference is not None and o.standard_error is not None
    ]
    if not pairs:
        return None
    mean = math.fsum(difference for difference, _ in pairs) / len(pairs)
    reach = float(special.ndtri(0.975)) * math.sqrt(math.fsum(error**2 for _, error in pairs)) / len(pairs)
    return MeanDifference(months=len(pairs), value=mean, low=mean - reach, high=mean + reach)


def _windows(instants: NDArray[np.datetime64], length: str) -> NDArray[np.datetime64]:
    """Return the first day of the window of each instant."""
    days = instants.astype("datetime64[D]")
    if length == "month":
        return days.astype("datetime64[M]").astype("datetime64[D]")
    # The first day of 1970 was a Thursday.
    return np.asarray(days - (days.astype(np.int64) + 3) % 7, dtype=days.dtype) if length == "week" else days


def _only(scored: Scored, rows: NDArray[np.intp]) -> Scored:
    columns: dict[str, Any] = {
        name: value[rows] for name, value in vars(scored).items() if isinstance(value, np.ndarray)
    }
    return replace(scored, **columns)


def _compared(month: Scored, policy: GatePolicy, compared: Metric) -> Comparison | None:
    """Return the comparison of a month; None where one model made all predictions, or it is not defined."""
    both = ~np.isnan(month.labels) & ~np.isnan(month.baseline).reshape(month.labels.size, -1).any(axis=1)
    if not (month.champion_version[both] != month.baseline_version[both]).any():
        return None
    days = month.instants.astype("datetime64[D]").astype(np.int64)
    kinds = [] if month.entities is None else list(month.entities[both].T)
    units = Units(
        days=days[both], entities={str(kind): codes for kind, codes in enumerate(kinds)}, day_memory=month.day_memory
    )  # fmt: skip
    subject = Subject(candidate=1, against=0, metric=compared)
    try:
        return compare(
            subject, month.labels[both], month.champion[both], month.baseline[both],
            policy=policy, units=units, seed=0,
            weights=None if month.weights is None else month.weights[both],
        )  # fmt: skip
    except MetricError:
        return None


def _two_sided(comparison: Comparison) -> float:
    return min(1.0, 2 * min(comparison.p_value, comparison.p_worse))


def _with_corrected_interval(comparison: Comparison | None, p_value: float, count: int) -> Comparison | None:
    """Return a comparison whose interval excludes 0 if, and only if, its corrected p-value is below the level.

    The interval is that of the corrected p-value, at least as wide as the uncorrected one, and at most as wide as
    Bonferroni's for as many months.
    """
    if comparison is None or comparison.low is None or comparison.high is None:
        return comparison
    usual, bonferroni = (float(special.ndtri(1 - LEVEL / 2 / number)) for number in (1, max(count, 1)))
    distance = float(special.ndtri(1 - p_value / 2)) if p_value < 1 else 0.0
    reach = (comparison.high - comparison.low) / 2
    widest = reach * bonferroni / usual
    wanted = abs(comparison.difference) * usual / distance if distance > 0 else widest
    shown = min(max(wanted, reach), widest)
    if (p_value > LEVEL) != (
        shown >= abs(comparison.difference)
    ):  # the comparison's own distribution is not the normal one
        shown = abs(comparison.difference) * (1.0 if p_value > LEVEL else 0.999)
    return replace(comparison, low=comparison.difference - shown, high=comparison.difference + shown)


def _outcome(
    month: np.datetime64, rows: Scored, secondary: Metric | None, comparison: Comparison | None, p_value: float
) -> MonthOutcome:
    known = ~np.isnan(rows.labels)
    labels = rows.labels[known]
    predicted = rows.champion[known]
    observed, scores = in_one_column(labels, predicted)
    shares = predicted.mean(axis=0) if predicted.ndim == 2 and labels.size else ()
    weights = None if rows.weights is None else rows.weights[known]
    there = rows.baseline_version[rows.baseline_version > 0]
    same = bool(there.size) and bool((rows.champion_version == rows.baseline_version).all())
    return MonthOutcome(
        month=month.astype("datetime64[s]").astype(dt.datetime).replace(tzinfo=dt.UTC),
        labelled=int(known.sum()),
        champion_versions=tuple(sorted({int(version) for version in rows.champion_version})),
        baseline_version=int(there[0]) if there.size else None,
        mean_label=float(observed.mean()) if labels.size else None,
        mean_score=float(scores.mean()) if labels.size else None,
        top_label=_top_label(observed, scores),
        constant=_constant(labels, secondary, weights),
        judgement=_judgement(comparison, p_value, same=same),
        difference=comparison.difference if comparison else None,
        standard_error=comparison.standard_error if comparison else None,
        low=comparison.low if comparison else None,
        high=comparison.high if comparison else None,
        observed_shares=tuple(float(np.mean(labels == place)) for place in range(len(shares))),
        predicted_shares=tuple(map(float, shares)),
    )


def _judgement(comparison: Comparison | None, p_value: float, *, same: bool) -> Judgement:
    if comparison is None:
        return Judgement.SAME_MODEL if same else Judgement.UNKNOWN
    if p_value > LEVEL:
        return Judgement.WITHIN_CHANCE
    return Judgement.BETTER if comparison.difference > 0 else Judgement.WORSE


def _top_label(labels: Floats, scores: Floats) -> float | None:
    if labels.size == 0:
        return None
    highest = np.argsort(-scores, kind="stable")[: max(1, round(labels.size * TOP_SHARE))]
    return float(labels[highest].mean())


def _constant(labels: Floats, secondary: Metric | None, weights: Floats | None) -> float | None:
    if secondary is None or labels.size == 0:
        return None
    try:
        value = secondary.function(labels, constant_scores(labels, secondary, weights), weights)
    except MetricError:
        return None
    return value if math.isfinite(value) else None
