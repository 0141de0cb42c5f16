"""The gate: may a candidate become champion? A pure function of an evaluation and a policy, with its reasons.

Nothing is measured here (see `ml.evaluation`) and nothing is moved. A decision that could not be made is a refusal.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from ml.comparison import Comparison
from ml.evaluation_record import Evaluation, Measured
from ml.gate_policy import Correction, GatePolicy
from ml.metrics import metric, skill
from ml.specification import Problem


class Outcome(StrEnum):
    """What follows from an evaluation.

    ``PROMOTE``: one candidate is shown to be better and breaks no rule. ``KEEP``: none is shown to be better, or there
    is none. ``REFUSE``: the evaluation cannot be decided on, no candidate counts, or one that is better breaks a rule;
    a person should look.
    """

    PROMOTE = "promote"
    KEEP = "keep"
    REFUSE = "refuse"


@dataclass(frozen=True, kw_only=True)
class Reason:
    """One rule as applied.

    Attributes
    ----------
    candidate
        Version it was applied to; None for the evaluation as a whole.
    value, threshold
        What was found and what was demanded; None where the rule is no comparison of numbers.
    """

    rule: str
    candidate: int | None
    passed: bool
    value: float | None
    threshold: float | None
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the gate decided.

    Attributes
    ----------
    promoted
        The version that becomes champion; None unless the outcome is ``PROMOTE``.
    challenger
        The best candidate that counts, promoted or not; None if there is none.
    reasons
        Every rule that was applied, first the evaluation's, then each candidate's, the best candidate first.
    """

    outcome: Outcome
    evaluation_id: str
    evaluation_digest: str
    policy: str
    champion: int | None
    promoted: int | None
    challenger: int | None
    reasons: tuple[Reason, ...]

    @property
    def failed(self) -> tuple[Reason, ...]:
        """The rules that were broken."""
        return tuple(reason for reason in self.reasons if not reason.passed)

    @property
    def sentence(self) -> str:
        """The verdict in one sentence, for a person."""
        if self.outcome is Outcome.PROMOTE:
            instead = f" instead of version {self.champion}" if self.champion is not None else " as the first champion"
            won = next(r for r in self.reasons if r.candidate == self.promoted and r.rule == "better")
            return f"promote version {self.promoted}{instead}: {won.sentence}."
        stays = f"version {self.champion} stays champion" if self.champion is not None else "there is still no champion"
        return f"{self.outcome.value}: {stays}; {'; '.join(r.sentence for r in self.failed)}."

    def to_json(self) -> str:
        """Return the verdict as one line of JSON."""
        return json.dumps({**asdict(self), "sentence": self.sentence}, sort_keys=True, allow_nan=False)


def decide(evaluation: Evaluation, policy: GatePolicy) -> Verdict:
    """Decide whether a candidate becomes champion.

    Parameters
    ----------
    evaluation
        Measured for this very policy; any other is refused.
    policy
        The demands.
    """
    general = tuple(_general_rules(evaluation, policy))
    if not all(reason.passed for reason in general):
        return _verdict(evaluation, policy, Outcome.REFUSE, general)
    if not evaluation.candidates:
        none = _reason("candidates", None, False, 0, 1, "there is no candidate")
        return _verdict(evaluation, policy, Outcome.KEEP, (*general, none))
    p_values = _corrected(evaluation, policy)
    ranked = sorted(evaluation.candidates, key=lambda c: _rank(c, policy))
    judged = {c.version: tuple(_candidate_rules(evaluation, policy, c, p_values)) for c in ranked}
    reasons = (*general, *(reason for found in judged.values() for reason in found))
    challenger = next((c.version for c in ranked if c.failure_kind is None), None)
    for version, found in judged.items():
        if all(reason.passed for reason in found):
            return _verdict(evaluation, policy, Outcome.PROMOTE, reasons, promoted=version, challenger=version)
    return _verdict(evaluation, policy, _without_winner(judged.values()), reasons, challenger=challenger)


def _without_winner(judged: "Sequence[tuple[Reason, ...]] | object") -> Outcome:
    found = list(judged)  # type: ignore[call-overload]
    better = [reasons for reasons in found if any(r.rule == "better" and r.passed for r in reasons)]
    none_counts = all(any(r.rule == "counts" and not r.passed for r in reasons) for reasons in found)
    return Outcome.REFUSE if better or none_counts else Outcome.KEEP


def _verdict(
    evaluation: Evaluation, policy: GatePolicy, outcome: Outcome, reasons: tuple[Reason, ...], *,
    promoted: int | None = None, challenger: int | None = None,
) -> Verdict:  # fmt: skip
    return Verdict(
        outcome=outcome, evaluation_id=evaluation.evaluation_id, evaluation_digest=evaluation.digest, policy=policy.name,
        champion=evaluation.champion, promoted=promoted, challenger=challenger, reasons=reasons,
    )  # fmt: skip


def _reason(
    rule: str, candidate: int | None, passed: bool, value: float | None, threshold: float | None, sentence: str
) -> Reason:
    finite = [None if number is None or not math.isfinite(number) else float(number) for number in (value, threshold)]
    return Reason(
        rule=rule, candidate=candidate, passed=passed, value=finite[0], threshold=finite[1], sentence=sentence
    )


def _general_rules(evaluation: Evaluation, policy: GatePolicy) -> Iterator[Reason]:
    complete = "the evaluation is complete" if evaluation.complete else "; ".join(evaluation.incomplete_because)
    yield _reason("complete", None, evaluation.complete, None, None, complete)
    same = evaluation.policy_digest == policy.digest
    yield _reason("policy", None, same, None, None, f"it was measured for policy {evaluation.policy!r}" + (
        "" if same else f", which is not the policy {policy.name!r} that decides now: evaluate again"))  # fmt: skip
    yield _at_least("rows", evaluation.rows, policy.minimum_rows, "rows")
    if evaluation.problem is Problem.BINARY and evaluation.positives is not None:
        rarer = min(evaluation.positives, evaluation.rows - evaluation.positives)
        yield _at_least("positives", rarer, policy.minimum_positives, "rows of the rarer class")
    if policy.method.by_day:
        yield _at_least("days", evaluation.days, policy.minimum_days, "days")


def _at_least(rule: str, value: int, minimum: int, what: str) -> Reason:
    return _reason(rule, None, value >= minimum, value, minimum, f"{value} {what}, at least {minimum} are needed")


def _rank(candidate: Measured, policy: GatePolicy) -> tuple[bool, float]:
    value = candidate.metrics.get(policy.metric, float("nan"))
    return candidate.failure_kind is not None or math.isnan(value), -metric(policy.metric).sign * value


def _find(
    evaluation: Evaluation, candidate: int, against: int | None, name: str, *, whole: bool = True
) -> list[Comparison]:
    return [
        c
        for c in evaluation.comparisons
        if (c.candidate, c.against, c.metric, c.slice_key is None) == (candidate, against, name, whole)
    ]


def _corrected(evaluation: Evaluation, policy: GatePolicy) -> dict[int, float]:
    """Return each candidate's p-value against the champion, or a constant, corrected for their number."""
    raw = {}
    for candidate in evaluation.candidates:
        found = _find(evaluation, candidate.version, evaluation.champion, policy.metric)
        raw[candidate.version] = found[0].p_value if found else 1.0
    return dict(zip(raw, corrected(list(raw.values()), policy.correction), strict=True))


def corrected(p_values: Sequence[float], correction: Correction) -> list[float]:
    """Return p-values corrected for how many there are.

    Bonferroni multiplies by their number. Holm (1979), Scandinavian Journal of Statistics 6, 65-70, multiplies the
    smallest by the number, the next by one less, and so on, keeping their order; it is never less powerful.
    """
    if correction is Correction.NONE:
        return list(p_values)
    count = len(p_values)
    if correction is Correction.BONFERRONI:
        return [min(1.0, p * count) for p in p_values]
    result, largest = [0.0] * count, 0.0
    for rank, index in enumerate(sorted(range(count), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, p_values[index] * (count - rank)))
        result[index] = largest
    return result


def _candidate_rules(
    evaluation: Evaluation, policy: GatePolicy, candidate: Measured, p_values: dict[int, float]
) -> Iterator[Reason]:
    version = candidate.version
    counts = candidate.failure_kind is None
    sentence = f"version {version} counts" if counts else f"version {version} does not count: {candidate.failure}"
    yield _reason("counts", version, counts, None, None, sentence)
    if not counts:
        return
    yield _better(evaluation, policy, candidate, p_values)
    yield from _floors(evaluation, policy, candidate)
    yield from _guards(evaluation, policy, candidate)
    yield from _slices(evaluation, policy, candidate)
    yield from _calibration(evaluation, policy, candidate)
    yield from _latency(evaluation, policy, candidate)
    yield from _plausibility(evaluation, policy, candidate)


def _better(evaluation: Evaluation, policy: GatePolicy, candidate: Measured, p_values: dict[int, float]) -> Reason:
    version, name = candidate.version, policy.metric
    against = "a constant prediction" if evaluation.champion is None else f"version {evaluation.champion}"
    found = _find(evaluation, version, evaluation.champion, name)
    if not found:
        return _reason(
            "better", version, False, None, None, f"version {version} could not be compared with {against} in {name}"
        )
    c = found[0]
    what = f"version {version} has {name} {c.candidate_value:.4f}, {against} {c.against_value:.4f}"
    if policy.minimum_win_share is not None:
        tests = len(evaluation.candidates) if policy.correction is not Correction.NONE else 1
        needed = 1 - (1 - policy.minimum_win_share) / tests
        share = c.wins / c.resamples
        return _reason("better", version, share >= needed, share, needed,
                       f"{what}: it wins on {c.wins} of {c.resamples} resamples, {needed:.1%} are needed")  # fmt: skip
    p, alpha = p_values[version], policy.alpha or 0.0
    margin = f" by more than {policy.margin:g}" if policy.margin else ""
    return _reason("better", version, p <= alpha, p, alpha,
                   f"{what}: better{margin} with p = {p:.3g}, at most {alpha:g} is needed "
                   f"(difference {c.difference:+.4f}, 95% from {c.low:+.4f} to {c.high:+.4f})")  # fmt: skip


def _floors(evaluation: Evaluation, policy: GatePolicy, candidate: Measured) -> Iterator[Reason]:
    version, name = candidate.version, policy.metric
    found = _find(evaluation, version, None, name)
    alpha = policy.alpha if policy.alpha is not None else 1 - (policy.minimum_win_share or 0.0)
    p = found[0].p_value if found else 1.0
    yield _reason("better_than_constant", version, p <= alpha, p, alpha,
                  f"version {version} is better than a constant prediction with p = {p:.3g}, at most {alpha:g} is needed")  # fmt: skip
    if policy.limit is not None:
        value = candidate.metrics[name]
        sign = metric(name).sign
        yield _reason("limit", version, sign * value >= sign * policy.limit, value, policy.limit,
                      f"version {version} has {name} {value:.4f}, the limit is {policy.limit:g}")  # fmt: skip


def _guards(evaluation: Evaluation, policy: GatePolicy, candidate: Measured) -> Iterator[Reason]:
    if evaluation.champion is None or not policy.guard_rails:
        return
    found = [
        (rail, _find(evaluation, candidate.version, evaluation.champion, rail.metric)) for rail in policy.guard_rails
    ]
    adjusted = corrected([c[0].p_worse if c else 0.0 for _, c in found], Correction.HOLM)
    for (rail, comparisons), p in zip(found, adjusted, strict=True):
        change = f"by {comparisons[0].difference:+.4f}" if comparisons else "in a way that was not measured"
        yield _reason(f"guard_rail:{rail.metric}", candidate.version, p > policy.guard_alpha, p, policy.guard_alpha,
                      f"version {candidate.version} changes {rail.metric} {change} (positive is better); worse by more than "
                      f"{rail.tolerance:g} has p = {p:.3g}, at most {policy.guard_alpha:g} counts as shown")  # fmt: skip


def _slices(evaluation: Evaluation, policy: GatePolicy, candidate: Measured) -> Iterator[Reason]:
    if evaluation.champion is None or policy.slice_tolerance is None:
        return
    found = _find(evaluation, candidate.version, evaluation.champion, policy.metric, whole=False)
    adjusted = corrected([c.p_worse for c in found], Correction.HOLM)
    fallen = [(c, p) for c, p in zip(found, adjusted, strict=True) if p <= policy.slice_alpha]
    smallest = min(adjusted, default=1.0)
    listed = ", ".join(f"{c.slice_key}={c.slice_value} by {-c.difference:.4f}" for c, _ in fallen)
    sentence = f"is worse on {listed}" if fallen else f"is shown to be worse on none of {len(found)} slices"
    yield _reason("slices", candidate.version, not fallen, smallest, policy.slice_alpha,
                  f"version {candidate.version} {sentence} (tolerance {policy.slice_tolerance:g}, smallest p = {smallest:.3g})")  # fmt: skip


def _calibration(evaluation: Evaluation, policy: GatePolicy, candidate: Measured) -> Iterator[Reason]:
    if policy.calibration_limit is None:
        return
    spread = evaluation.label_spread or 1.0
    value = candidate.metrics["expected_calibration_error"] / spread
    allowed = policy.calibration_limit
    if evaluation.champion is not None:
        incumbent = evaluation.contender(evaluation.champion).metrics["expected_calibration_error"] / spread
        allowed = max(allowed, incumbent + policy.calibration_allowance)
    yield _reason("calibration", candidate.version, value <= allowed, value, allowed,
                  f"version {candidate.version} is off by {value:.3f} standard deviations of the label in calibration, "
                  f"{allowed:.3f} is allowed")  # fmt: skip


def _latency(evaluation: Evaluation, policy: GatePolicy, candidate: Measured) -> Iterator[Reason]:
    if policy.latency_ratio is None or evaluation.champion is None:
        return
    incumbent = evaluation.contender(evaluation.champion).seconds_per_1000_rows
    seconds = candidate.seconds_per_1000_rows
    if incumbent is None or seconds is None:
        yield _reason("latency", candidate.version, False, seconds, None,
                      f"how long scoring takes was not measured for versions {candidate.version} and {evaluation.champion}")  # fmt: skip
        return
    allowed = max(policy.latency_floor, policy.latency_ratio * incumbent)
    yield _reason("latency", candidate.version, seconds <= allowed, seconds, allowed,
                  f"version {candidate.version} takes {seconds:.4f} s for 1,000 rows, {allowed:.4f} s is allowed")  # fmt: skip


def _plausibility(evaluation: Evaluation, policy: GatePolicy, candidate: Measured) -> Iterator[Reason]:
    measured = metric(policy.metric)
    constant = evaluation.constant.get(policy.metric, float("nan"))
    reached = skill(candidate.metrics[policy.metric], constant, measured)
    if policy.maximum_skill is not None:
        yield _reason("plausible", candidate.version, reached <= policy.maximum_skill, reached, policy.maximum_skill,
                      f"version {candidate.version} goes {reached:.1%} of the way from a constant to a perfect prediction; "
                      f"above {policy.maximum_skill:.0%} a leaked label is likely")  # fmt: skip
    if policy.maximum_skill_gain is not None and evaluation.champion is not None:
        incumbent = evaluation.contender(evaluation.champion).metrics[policy.metric]
        gain = reached - skill(incumbent, constant, measured)
        yield _reason("plausible_gain", candidate.version, gain <= policy.maximum_skill_gain, gain, policy.maximum_skill_gain,
                      f"version {candidate.version} gains {gain:+.1%} of that way on the champion; "
                      f"above {policy.maximum_skill_gain:.0%} a leaked label is likely")  # fmt: skip
