"""What a verdict of the gate was based on, from the evaluation and the reasons that were recorded with it.

Levels and corrected p-values are those of the recorded reasons; nothing is measured again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ml.evaluation.comparison import Comparison
from ml.evaluation.record import Evaluation
from ml.gate.intervals import CorrectedInterval, alone, corrected_interval, corrected_intervals
from ml.gate.slice_basis import ShownSlice, estimate_of, reason_of, shown_slices, worst_first
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
    interval
        At the level of its rule, as wide as the correction makes it.
    low, high
        Two-sided, 95%, of this comparison alone.
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
    low: float
    high: float
    method: str
    limit: float | None
    passed: bool | None


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
    evaluation: Evaluation | None, candidate: int, reasons: Sequence[Reason], policy: GatePolicy | None
) -> DecisionBasis:
    """Return what the verdict on a candidate was based on.

    Parameters
    ----------
    evaluation
        As stored with the decision; None where it is not.
    reasons
        Every recorded reason about the candidate.
    policy
        The present one, None if it is not known. What the reasons do not record is taken from it, and only if the decision
        was made by it.
    """
    contender = next((one for one in evaluation.contenders if one.version == candidate), None) if evaluation else None
    if evaluation is None or contender is None:
        return DecisionBasis(without=(NOT_STORED,))
    compared = [c for c in evaluation.comparisons if c.candidate == candidate]
    slices = tuple(sorted(shown_slices(evaluation, candidate, reasons, policy), key=worst_first))
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
    evaluation: Evaluation, compared: Sequence[Comparison], reasons: Sequence[Reason], policy: GatePolicy | None
) -> Iterator[ShownComparison]:
    everywhere = [c for c in compared if c.slice_key is None]
    decides, constant = reason_of("better", reasons), reason_of("better_than_constant", reasons)
    rails = {c.metric: one for c in everywhere for one in reasons if _is_about(one, c)}
    guarded = [c for c in everywhere if c.metric in rails and c.against is not None]
    guards = _guarded(guarded, rails)
    tried = len(evaluation.candidates) + evaluation.trials_on_rows
    together = 1 if policy is not None and policy.correction is Correction.NONE else tried
    for c in everywhere:
        if (c.metric, c.against) == (evaluation.metric, evaluation.champion):
            yield _shown(c, DECIDES, decides, _at(c, decides, together), c.margin)
        elif c.metric == evaluation.metric:
            yield _shown(c, AGAINST_CONSTANT, constant, _at(c, constant, 1), c.margin)
        elif c.metric not in guards:
            yield _shown(c, REPORTED, None, alone(estimate_of(c)), None)
        if c.metric in guards and c.against is not None:
            yield _shown(c, GUARDS, rails[c.metric], guards[c.metric], -c.tolerance)


def _is_about(reason: Reason, comparison: Comparison) -> bool:
    """Return whether a recorded reason is the guard rail of a comparison's metric, which it names after its version."""
    return reason.rule == "guard_rails" and reason.sentence.partition(": ")[2].startswith(f"{comparison.metric} ")


def _guarded(compared: Sequence[Comparison], rails: dict[str, Reason]) -> dict[str, CorrectedInterval]:
    level = next((rails[c.metric].threshold for c in compared), None)
    if level is None:
        return {}
    estimates = [estimate_of(c, worse=True) for c in compared]
    found = corrected_intervals(estimates, level=level, correction=Correction.HOLM)
    return dict(zip((c.metric for c in compared), found, strict=True))


def _at(comparison: Comparison, reason: Reason | None, together: int) -> CorrectedInterval:
    """Return the interval at the level of the recorded reason; of the comparison alone where no rule was applied to it."""
    estimate = estimate_of(comparison)
    if reason is None or reason.value is None or reason.threshold is None:
        return alone(estimate)
    return corrected_interval(estimate, p_value=reason.value, level=reason.threshold, together=together)


def _shown(
    c: Comparison, role: str, reason: Reason | None, interval: CorrectedInterval, limit: float | None
) -> ShownComparison:
    return ShownComparison(
        role=role, metric=c.metric, against=c.against, candidate_value=c.candidate_value, against_value=c.against_value,
        difference=c.difference, interval=interval, low=c.low, high=c.high, method=c.method.replace("_", " "), limit=limit,
        passed=None if reason is None else reason.passed,
    )  # fmt: skip
