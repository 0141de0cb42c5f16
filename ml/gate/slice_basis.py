"""What a verdict of the gate found on each slice, from the evaluation and the reasons that were recorded with it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ml.evaluation.comparison import Comparison
from ml.evaluation.record import Evaluation, SmallSlice
from ml.gate.intervals import (
    ONE_SIDED,
    CorrectedInterval,
    DifferenceToJudge,
    alone,
    corrected_interval,
    corrected_intervals,
)
from ml.gate.verdict import Reason
from ml.spec.gate_policy import Correction, GatePolicy

ALONE, NO_RULE = "alone", "no rule"
"""How a slice that is large enough was judged; the second where no rule was applied."""


@dataclass(frozen=True, kw_only=True)
class ShownSlice:
    """A candidate and the champion on one slice, in the deciding metric.

    Attributes
    ----------
    judged
        How the slice was judged, in words.
    interval
        At the level of its rule, as wide as the correction makes it.
    low, high
        Two-sided, 95%, of this slice alone; None where there is no interval.
    limit
        The difference below which the candidate is too bad here.
    worse
        Whether the candidate was shown to be worse than that.
    """

    name: str
    rows: int
    judged: str
    candidate_value: float | None = None
    against_value: float | None = None
    difference: float | None = None
    interval: CorrectedInterval | None = None
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    worse: bool = False


def shown_slices(
    evaluation: Evaluation, candidate: int, reasons: Sequence[Reason], policy: GatePolicy | None
) -> Iterator[ShownSlice]:
    """Yield every slice of a candidate with how it was judged."""
    if evaluation.champion is None:
        yield from _measured(evaluation, candidate)
        return
    wanted = (candidate, evaluation.metric, evaluation.champion)
    large = [
        c
        for c in evaluation.comparisons
        if c.slice_key is not None and (c.candidate, c.metric, c.against) == wanted
    ]  # fmt: skip
    rule = reason_of("slices", reasons)
    for c, interval in zip(large, _tested([estimate_of(c, worse=True) for c in large], rule), strict=True):
        yield ShownSlice(
            name=f"{c.slice_key} = {c.slice_value}", rows=c.rows, judged=ALONE if rule else NO_RULE,
            candidate_value=c.candidate_value, against_value=c.against_value, difference=c.difference,
            interval=interval, low=c.low, high=c.high, limit=-c.tolerance if rule else None, worse=_is_shown(interval, rule),
        )  # fmt: skip
    yield from _small(evaluation, candidate, _small_rule(evaluation, reasons, policy))


def _small_rule(evaluation: Evaluation, reasons: Sequence[Reason], policy: GatePolicy | None) -> Reason | None:
    """Return the rule of small slices with its level, which the reason does not record: only if the policy is still the same."""
    rule, decides = reason_of("small_slices", reasons), reason_of("better", reasons)
    if rule is None or policy is None:
        return None
    looked = policy.alpha is not None and decides is not None and decides.threshold is not None
    then = replace(policy, alpha=decides.threshold) if looked and decides else policy
    return replace(rule, threshold=policy.small_slice_alpha) if then.digest == evaluation.policy_digest else None


def _small(evaluation: Evaluation, candidate: int, rule: Reason | None) -> Iterator[ShownSlice]:
    found = [one for one in evaluation.small_slices if one.candidate == candidate]
    tested = [one for one in found if one.p_worse is not None]
    intervals = _tested([_estimate_of_small(one) for one in tested], rule)
    by_slice = {(one.slice_key, one.slice_value): interval for one, interval in zip(tested, intervals, strict=True)}
    for one in found:
        interval = by_slice.get((one.slice_key, one.slice_value))
        values = _values(evaluation, candidate, one), _values(evaluation, evaluation.champion, one)
        yield ShownSlice(
            name=f"{one.slice_key} = {one.slice_value}", rows=one.rows, candidate_value=values[0], against_value=values[1],
            judged="with others" if one.pooled else "too small",
            difference=one.difference, interval=interval, limit=-one.tolerance,
            worse=interval is not None and _is_shown(interval, rule),
        )  # fmt: skip


def _measured(evaluation: Evaluation, candidate: int) -> Iterator[ShownSlice]:
    """Yield the slices of a candidate that had no champion to be compared with."""
    for one in evaluation.contender(candidate).slices:
        value = one.metrics.get(evaluation.metric)
        yield ShownSlice(
            name=f"{one.slice_key} = {one.slice_value}", rows=one.rows, judged="no champion",
            candidate_value=_known(value),
        )  # fmt: skip


def _values(evaluation: Evaluation, version: int | None, small: SmallSlice) -> float | None:
    contender = next((one for one in evaluation.contenders if one.version == version), None)
    for one in contender.slices if contender else ():
        if (one.slice_key, one.slice_value) == (small.slice_key, small.slice_value):
            return _known(one.metrics.get(evaluation.metric))
    return None


def _known(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


def _tested(estimates: Sequence[DifferenceToJudge], rule: Reason | None) -> tuple[CorrectedInterval, ...]:
    if rule is None or rule.threshold is None:
        return tuple(alone(one) for one in estimates)
    return corrected_intervals(estimates, level=rule.threshold, correction=Correction.HOLM)


def _is_shown(interval: CorrectedInterval, rule: Reason | None) -> bool:
    return rule is not None and rule.threshold is not None and interval.p_value <= rule.threshold


def estimate_of(c: Comparison, *, worse: bool = False) -> DifferenceToJudge:
    """Return what was found by a comparison, with the p-value of a gain or of a fall."""
    return DifferenceToJudge(
        difference=c.difference, standard_error=None if c.resamples else c.standard_error, low=c.low, high=c.high,
        degrees_of_freedom=c.degrees_of_freedom, p_value=c.p_worse if worse else c.p_value,
    )  # fmt: skip


def _estimate_of_small(one: SmallSlice) -> DifferenceToJudge:
    estimate = DifferenceToJudge(
        difference=one.difference or 0.0, standard_error=one.standard_error, p_value=1.0 if one.p_worse is None else one.p_worse,
        degrees_of_freedom=one.degrees_of_freedom,
    )  # fmt: skip
    usual = corrected_interval(estimate, p_value=estimate.p_value, level=ONE_SIDED, together=1)
    return replace(estimate, low=usual.low, high=usual.high)


def reason_of(rule: str, reasons: Sequence[Reason]) -> Reason | None:
    """Return the recorded reason of a rule; None if the rule was not applied."""
    return next((reason for reason in reasons if reason.rule == rule), None)


def worst_first(one: ShownSlice) -> tuple[bool, bool, float, str]:
    """Return where a slice is shown: those with a fall first, then from the worst to the best."""
    return not one.worse, one.difference is None, one.difference or 0.0, one.name
