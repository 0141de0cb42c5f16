"""What a verdict of the gate was based on, from the evaluation and the reasons that were recorded with it.

Levels and corrected p-values are those of the recorded reasons; nothing is measured again.
"""

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

NOT_STORED = "The evaluation is not stored, so the values, intervals and slices of this decision cannot be shown."
NO_CHAMPION = "There was no champion: the candidate was compared with a constant prediction, and no slice was judged."
NO_SLICES = "No slice was part of this decision."
NOT_COUNTED = "The candidate did not count, so it was compared with nothing."
NOT_REACHED = "The evaluation as a whole allowed no decision, so no rule was applied to the candidate; what was measured is shown."
RESAMPLED = "A bootstrap decided: its intervals are those of each comparison alone, because the resamples are not kept."

DECIDES, AGAINST_CONSTANT = "has to be better", "has to be better than a constant"
GUARDS, REPORTED = "must not be shown to be worse", "reported, decides nothing"
ROLES = (DECIDES, AGAINST_CONSTANT, GUARDS, REPORTED)
"""What a comparison was for, in the order in which they are shown."""


@dataclass(frozen=True, kw_only=True)
class ShownComparison:
    """A candidate and what it was compared with in one metric, on all rows.

    Attributes
    ----------
    role
        What the comparison was for, in words.
    against
        Version of the champion; None for a constant prediction.
    limit
        The difference that must be, or must not be, shown; None for a metric that is only reported.
    passed
        Whether the rule was met; None where no rule was applied.
    """

    role: str
    metric: str
    against: int | None
    candidate_value: float
    against_value: float
    difference: float
    interval: CorrectedInterval
    limit: float | None
    passed: bool | None


@dataclass(frozen=True, kw_only=True)
class ShownSlice:
    """A candidate and the champion on one slice, in the deciding metric.

    Attributes
    ----------
    judged
        How the slice was judged, in words.
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
    limit: float | None = None
    worse: bool = False


@dataclass(frozen=True, kw_only=True)
class DecisionBasis:
    """What a verdict on one candidate was based on.

    Attributes
    ----------
    metric
        The one that decides.
    slices
        Those on which the candidate was shown to be worse first, then from the worst to the best.
    without
        What was no part of the decision, a sentence for each.
    """

    metric: str = ""
    comparisons: tuple[ShownComparison, ...] = ()
    slices: tuple[ShownSlice, ...] = ()
    without: tuple[str, ...] = ()

    @property
    def confidences(self) -> tuple[tuple[str, CorrectedInterval], ...]:
        """How slices were judged, with an interval of each way: those of one way share their level."""
        return tuple({one.judged: one.interval for one in reversed(self.slices) if one.interval is not None}.items())


def basis(
    evaluation: Evaluation | None, candidate: int, reasons: Sequence[Reason], policy: GatePolicy
) -> DecisionBasis:
    """Return what the verdict on a candidate was based on.

    Parameters
    ----------
    evaluation
        As stored with the decision; None where it is not.
    reasons
        Every recorded reason about the candidate.
    policy
        The present one. What the reasons do not record is taken from it, and only if the decision was made by it.
    """
    contender = next((one for one in evaluation.contenders if one.version == candidate), None) if evaluation else None
    if evaluation is None or contender is None:
        return DecisionBasis(without=(NOT_STORED,))
    compared = [c for c in evaluation.comparisons if c.candidate == candidate]
    slices = tuple(sorted(_slices(evaluation, candidate, reasons, policy), key=_worst_first))
    without = []
    if contender.failure_kind is not None:
        without.append(NOT_COUNTED)
    elif not reasons:
        without.append(NOT_REACHED)
    if evaluation.champion is None:
        without.append(NO_CHAMPION)
    elif not slices:
        without.append(NO_SLICES)
    if any(c.resamples for c in compared):
        without.append(RESAMPLED)
    return DecisionBasis(
        metric=evaluation.metric, slices=slices,
        comparisons=tuple(sorted(_comparisons(evaluation, compared, reasons, policy), key=lambda one: ROLES.index(one.role))),
        without=tuple(without),
    )  # fmt: skip


def _comparisons(
    evaluation: Evaluation, compared: Sequence[Comparison], reasons: Sequence[Reason], policy: GatePolicy
) -> Iterator[ShownComparison]:
    everywhere = [c for c in compared if c.slice_key is None]
    decides, constant = _reason("better", reasons), _reason("better_than_constant", reasons)
    rails = {c.metric: one for c in everywhere for one in reasons if _is_about(one, c)}
    guarded = [c for c in everywhere if c.metric in rails and c.against is not None]
    guards = _guarded(guarded, rails)
    tried = len(evaluation.candidates) + evaluation.trials_on_rows
    together = 1 if policy.correction is Correction.NONE else tried
    for c in everywhere:
        if (c.metric, c.against) == (evaluation.metric, evaluation.champion):
            yield _shown(c, DECIDES, decides, _at(c, decides, together), c.margin)
        elif c.metric == evaluation.metric:
            yield _shown(c, AGAINST_CONSTANT, constant, _at(c, constant, 1), c.margin)
        elif c.metric not in guards:
            yield _shown(c, REPORTED, None, alone(_estimate(c)), None)
        if c.metric in guards and c.against is not None:
            yield _shown(c, GUARDS, rails[c.metric], guards[c.metric], -c.tolerance)


def _is_about(reason: Reason, comparison: Comparison) -> bool:
    """Return whether a recorded reason is the guard rail of a comparison's metric, which it names after its version."""
    return reason.rule == "guard_rails" and reason.sentence.partition(": ")[2].startswith(f"{comparison.metric} ")


def _guarded(compared: Sequence[Comparison], rails: dict[str, Reason]) -> dict[str, CorrectedInterval]:
    level = next((rails[c.metric].threshold for c in compared), None)
    if level is None:
        return {}
    estimates = [_estimate(c, worse=True) for c in compared]
    found = corrected_intervals(estimates, level=level, correction=Correction.HOLM)
    return dict(zip((c.metric for c in compared), found, strict=True))


def _at(comparison: Comparison, reason: Reason | None, together: int) -> CorrectedInterval:
    """Return the interval at the level of the recorded reason; of the comparison alone where no rule was applied to it."""
    estimate = _estimate(comparison)
    if reason is None or reason.value is None or reason.threshold is None:
        return alone(estimate)
    return corrected_interval(estimate, p_value=reason.value, level=reason.threshold, together=together)


def _shown(
    c: Comparison, role: str, reason: Reason | None, interval: CorrectedInterval, limit: float | None
) -> ShownComparison:
    return ShownComparison(
        role=role, metric=c.metric, against=c.against, candidate_value=c.candidate_value, against_value=c.against_value,
        difference=c.difference, interval=interval, limit=limit, passed=None if reason is None else reason.passed,
    )  # fmt: skip


def _slices(
    evaluation: Evaluation, candidate: int, reasons: Sequence[Reason], policy: GatePolicy
) -> Iterator[ShownSlice]:
    if evaluation.champion is None:
        yield from _measured(evaluation, candidate)
        return
    wanted = (candidate, evaluation.metric, evaluation.champion)
    large = [
        c
        for c in evaluation.comparisons
        if c.slice_key is not None and (c.candidate, c.metric, c.against) == wanted
    ]  # fmt: skip
    rule = _reason("slices", reasons)
    for c, interval in zip(large, _tested([_estimate(c, worse=True) for c in large], rule), strict=True):
        yield ShownSlice(
            name=f"{c.slice_key} = {c.slice_value}", rows=c.rows, judged="alone" if rule else "no rule",
            candidate_value=c.candidate_value, against_value=c.against_value, difference=c.difference,
            interval=interval, limit=-c.tolerance if rule else None, worse=_is_shown(interval, rule),
        )  # fmt: skip
    yield from _small(evaluation, candidate, _small_rule(evaluation, reasons, policy))


def _small_rule(evaluation: Evaluation, reasons: Sequence[Reason], policy: GatePolicy) -> Reason | None:
    """Return the rule of small slices with its level, which the reason does not record: only if the policy is still the same."""
    rule, decides = _reason("small_slices", reasons), _reason("better", reasons)
    if rule is None:
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


def _estimate(c: Comparison, *, worse: bool = False) -> DifferenceToJudge:
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


def _reason(rule: str, reasons: Sequence[Reason]) -> Reason | None:
    return next((reason for reason in reasons if reason.rule == rule), None)


def _worst_first(one: ShownSlice) -> tuple[bool, bool, float, str]:
    return not one.worse, one.difference is None, one.difference or 0.0, one.name
