"""How a model card writes numbers, instants, intervals and units."""

import math

from scipy import special

from ml.card.facts import CardMetric
from ml.card.record import UNDEFINED, UNKNOWN
from ml.evaluation.record import Evaluation
from ml.gate.intervals import CorrectedInterval
from ml.spec.clusters import EntityKind
from ml.spec.target import Target

LEVEL = 0.975
"""Quantile of the upper end of a two-sided interval at 95%."""


def number(value: float | None) -> str:
    """Return a number with four decimals."""
    if value is None:
        return UNKNOWN
    return f"{value:.4f}" if math.isfinite(value) else UNDEFINED


def count(value: int | None) -> str:
    """Return a number of things."""
    return UNKNOWN if value is None else f"{value:,}"


def p_value(value: float | None) -> str:
    """Return a probability with three digits."""
    return UNKNOWN if value is None else f"{value:.3g}"


def span(low: float | None, high: float | None) -> str:
    """Return an interval."""
    if low is None or high is None:
        return UNKNOWN
    if not (math.isfinite(low) and math.isfinite(high)):
        return UNDEFINED
    return f"{low:+.4f} to {high:+.4f}"


def deciding(found: CorrectedInterval | None) -> str:
    """Return the interval of a rule, with the share of repetitions in which it holds for so many tests together."""
    if found is None or found.low is None or found.high is None:
        return "none"
    together = f", {found.together} tests together" if found.together > 1 else ""
    return f"{span(found.low, found.high)} ({100 * found.coverage:.3g}%{together})"


def instant(text: str | None) -> str:
    """Return a recorded instant to the minute, in UTC."""
    return UNKNOWN if not text else text[:16].replace("T", " ")


def interval(found: CardMetric) -> str:
    """Return the two-sided 95% interval of a metric, by Student's t where its degrees of freedom are known."""
    if found.value is None or found.standard_error is None:
        return "no standard error"
    freedom = found.degrees_of_freedom
    quantile = float(special.ndtri(LEVEL) if freedom is None else special.stdtrit(freedom, LEVEL))
    reach = quantile * found.standard_error
    return f"{found.value - reach:.4f} to {found.value + reach:.4f}"


def unit_of(metric: str, problem: Target) -> str:
    """Return the unit in which a metric is stated."""
    if metric == "log_loss":
        return "nats per request"
    if metric.endswith("_error"):
        return "probability" if problem.classes else "unit of the label"
    return "none"


def units_of_errors(evaluation: Evaluation) -> str:
    """Return what counts as one independent observation in the errors and intervals of an evaluation."""
    days = f"{evaluation.days:,} days"
    if evaluation.day_memory:
        days += f", each of which may depend on the day before by up to {evaluation.day_memory:g}"
    sampled = [f"{e.entities:,} values of {e.column}" for e in evaluation.entities if e.kind is EntityKind.SAMPLED]
    return "; ".join((days, *sampled))
