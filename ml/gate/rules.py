"""The rules of the gate, each a function from one case to its reasons.

A rule gives no reason if the policy switches it off, or if it needs a champion and there is none. A rule whose
measurement is missing fails.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from ml.evaluation.comparison import Comparison
from ml.evaluation.record import EvaluatedContender, Evaluation
from ml.gate.verdict import Reason
from ml.labels.maturity import LabelCounts
from ml.metrics.quality_metrics import metric, skill
from ml.spec.estimator import Problem
from ml.spec.gate_policy import Correction, GatePolicy


@dataclass(frozen=True, kw_only=True)
class Case:
    """One candidate before the gate.

    Attributes
    ----------
    p_value
        Of its comparison with the champion, or with a constant where there is none, corrected for the number of
        candidates.
    """

    evaluation: Evaluation
    policy: GatePolicy
    candidate: EvaluatedContender
    p_value: float

    @property
    def version(self) -> int:
        """The candidate's version."""
        return self.candidate.version

    @property
    def champion(self) -> EvaluatedContender | None:
        """The champion as measured, if there is one."""
        version = self.evaluation.champion
        return None if version is None else self.evaluation.contender(version)

    @property
    def rival(self) -> str:
        """What the candidate has to beat, as text for a sentence."""
        return "a constant prediction" if self.champion is None else f"version {self.champion.version}"

    def on_all_rows(self, metric_name: str, against: int | None) -> Comparison | None:
        """Return the comparison on all rows, if it could be made."""
        found = (c for c in self._comparisons(metric_name, against) if c.slice_key is None)
        return next(found, None)

    def on_slices(self) -> list[Comparison]:
        """Return the comparisons with the champion on the slices that are large enough."""
        against = self.evaluation.champion
        return [c for c in self._comparisons(self.policy.metric, against) if c.slice_key is not None]

    def _comparisons(self, metric_name: str, against: int | None) -> list[Comparison]:
        wanted = (self.version, metric_name, against)
        return [c for c in self.evaluation.comparisons if (c.candidate, c.metric, c.against) == wanted]


def general_reasons(evaluation: Evaluation, policy: GatePolicy) -> Iterator[Reason]:
    """Yield the reasons for the evaluation as a whole; if one fails, no decision is possible."""
    complete = "the evaluation is complete" if evaluation.complete else "; ".join(evaluation.incomplete_because)
    yield _plain("complete", None, evaluation.complete, complete)
    same = evaluation.policy_digest == policy.digest
    other = f", which is not the {policy.name!r} that decides now: evaluate again"
    yield _plain("policy", None, same, f"it was measured for policy {evaluation.policy!r}{'' if same else other}")
    yield _at_least("rows", evaluation.rows, policy.minimum_rows, "rows")
    if evaluation.label_counts is not None:
        yield _due(evaluation, evaluation.label_counts)
    if evaluation.problem is Problem.BINARY and evaluation.positives is not None:
        rarer = min(evaluation.positives, evaluation.rows - evaluation.positives)
        yield _at_least("positives", rarer, policy.minimum_positives, "rows of the rarer class")
    if policy.method.by_day:
        yield _at_least("days", evaluation.days, policy.minimum_days, "days")


def candidate_reasons(case: Case) -> Iterator[Reason]:
    """Yield the reasons of every rule for one candidate; for one that does not count, only that reason."""
    for name, rule in RULES.items():
        yield from rule(case)
        if name == "counts" and case.candidate.failure_kind is not None:
            return


def corrected(p_values: Sequence[float], correction: Correction) -> list[float]:
    """Return p-values corrected for their number.

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


def _due(evaluation: Evaluation, counts: LabelCounts) -> Reason:
    """Rows that decide must be the requests that were due, all of them and no others."""
    other = "" if counts.deciding == evaluation.rows else f", but {evaluation.rows:,} were evaluated"
    return _plain("labels_due", None, not other, f"{counts.sentence}{other}")


def _counts(case: Case) -> Iterator[Reason]:
    counts = case.candidate.failure_kind is None
    why = "counts" if counts else f"does not count: {case.candidate.failure}"
    yield _plain("counts", case.version, counts, f"version {case.version} {why}")


def _better(case: Case) -> Iterator[Reason]:
    policy = case.policy
    found = case.on_all_rows(policy.metric, case.evaluation.champion)
    if found is None:
        sentence = f"version {case.version} could not be compared with {case.rival} in {policy.metric}"
        yield _plain("better", case.version, False, sentence)
        return
    what = f"version {case.version} has {policy.metric} {found.candidate_value:.4f}, {case.rival} {found.against_value:.4f}"
    if policy.minimum_win_share is not None:
        yield _won(case, found, what, policy.minimum_win_share)
        return
    alpha = policy.alpha or 0.0
    margin = f" by more than {found.margin:g}" if found.margin else ""
    sentence = (
        f"{what}: better{margin} with p = {case.p_value:.3g}, at most {alpha:g} is needed "
        f"(difference {found.difference:+.4f}, 95% from {found.low:+.4f} to {found.high:+.4f})"
    )
    yield _number("better", case.version, case.p_value <= alpha, case.p_value, alpha, sentence)


def _won(case: Case, found: Comparison, what: str, minimum: float) -> Reason:
    candidates = len(case.evaluation.candidates) if case.policy.correction is not Correction.NONE else 1
    needed = 1 - (1 - minimum) / candidates
    share = found.wins / found.resamples
    sentence = f"{what}: it wins on {found.wins} of {found.resamples} resamples, {needed:.1%} are needed"
    return _number("better", case.version, share >= needed, share, needed, sentence)


def _better_than_constant(case: Case) -> Iterator[Reason]:
    policy = case.policy
    found = case.on_all_rows(policy.metric, None)
    alpha = policy.alpha if policy.alpha is not None else 1 - (policy.minimum_win_share or 0.0)
    p = 1.0 if found is None else found.p_value
    sentence = (
        f"version {case.version} is better than a constant prediction with p = {p:.3g}, at most {alpha:g} is needed"
    )
    yield _number("better_than_constant", case.version, p <= alpha, p, alpha, sentence)


def _limit(case: Case) -> Iterator[Reason]:
    limit = case.policy.limit
    if limit is None:
        return
    value, sign = case.candidate.metrics[case.policy.metric], metric(case.policy.metric).sign
    sentence = f"version {case.version} has {case.policy.metric} {value:.4f}, the limit is {limit:g}"
    yield _number("limit", case.version, sign * value >= sign * limit, value, limit, sentence)


def _guard_rails(case: Case) -> Iterator[Reason]:
    if case.champion is None:
        return
    policy = case.policy
    found = [case.on_all_rows(rail.metric, case.champion.version) for rail in policy.guard_rails]
    p_values = corrected([0.0 if c is None else c.p_worse for c in found], Correction.HOLM)
    for rail, c, p in zip(policy.guard_rails, found, p_values, strict=True):
        change = "was not compared" if c is None else f"is better by {c.difference:+.4f}"
        sentence = (
            f"version {case.version}: {rail.metric} {change}; worse by more than {rail.tolerance:g} has p = {p:.3g}, "
            f"{policy.guard_alpha:g} or less counts as shown"
        )
        yield _number("guard_rails", case.version, p > policy.guard_alpha, p, policy.guard_alpha, sentence)


def _slices(case: Case) -> Iterator[Reason]:
    policy = case.policy
    if case.champion is None or policy.slice_tolerance is None:
        return
    found = case.on_slices()
    p_values = corrected([c.p_worse for c in found], Correction.HOLM)
    fallen = [c for c, p in zip(found, p_values, strict=True) if p <= policy.slice_alpha]
    listed = ", ".join(f"{c.slice_key} = {c.slice_value} by {-c.difference:.4f}" for c in fallen)
    smallest = min(p_values, default=1.0)
    sentence = (
        f"version {case.version} is shown to be worse on {listed or f'none of {len(found)} slices'} "
        f"(more than {policy.slice_tolerance:g} worse, smallest p = {smallest:.3g})"
    )
    yield _number("slices", case.version, not fallen, smallest, policy.slice_alpha, sentence)


def _calibration(case: Case) -> Iterator[Reason]:
    policy, name = case.policy, "expected_calibration_error"
    if policy.calibration_limit is None:
        return
    spread = case.evaluation.label_spread or 1.0
    value, allowed = case.candidate.metrics[name] / spread, policy.calibration_limit
    if case.champion is not None:
        allowed = max(allowed, case.champion.metrics[name] / spread + policy.calibration_allowance)
    sentence = (
        f"version {case.version} is miscalibrated by {value:.3f} standard deviations of the label, "
        f"{allowed:.3f} is allowed"
    )
    yield _number("calibration", case.version, value <= allowed, value, allowed, sentence)


def _latency(case: Case) -> Iterator[Reason]:
    policy = case.policy
    if policy.latency_ratio is None or case.champion is None:
        return
    incumbent, seconds = case.champion.seconds_per_1000_rows, case.candidate.seconds_per_1000_rows
    if incumbent is None or seconds is None:
        sentence = f"how long versions {case.version} and {case.champion.version} take to score was not measured"
        yield _plain("latency", case.version, False, sentence)
        return
    allowed = max(policy.latency_floor, policy.latency_ratio * incumbent)
    sentence = f"version {case.version} takes {seconds:.4f} s for 1,000 rows, {allowed:.4f} s is allowed"
    yield _number("latency", case.version, seconds <= allowed, seconds, allowed, sentence)


def _plausible(case: Case) -> Iterator[Reason]:
    most = case.policy.maximum_skill
    if most is None:
        return
    reached = _skill(case, case.candidate)
    sentence = (
        f"version {case.version} goes {reached:.1%} of the way from a constant to a perfect prediction; "
        f"more than {most:.0%} looks like a leaked label"
    )
    yield _number("plausible", case.version, reached <= most, reached, most, sentence)


def _plausible_gain(case: Case) -> Iterator[Reason]:
    most = case.policy.maximum_skill_gain
    if most is None or case.champion is None:
        return
    gain = _skill(case, case.candidate) - _skill(case, case.champion)
    sentence = (
        f"version {case.version} goes {gain:+.1%} further from a constant to a perfect prediction than the champion; "
        f"more than {most:.0%} looks like a leaked label"
    )
    yield _number("plausible_gain", case.version, gain <= most, gain, most, sentence)


def _skill(case: Case, contender: EvaluatedContender) -> float:
    name = case.policy.metric
    return skill(contender.metrics[name], case.evaluation.constant.get(name, math.nan), metric(name))


def _plain(rule: str, candidate: int | None, passed: bool, sentence: str) -> Reason:
    return Reason(rule=rule, candidate=candidate, passed=passed, value=None, threshold=None, sentence=sentence)


def _number(rule: str, candidate: int | None, passed: bool, value: float, threshold: float, sentence: str) -> Reason:
    found = [float(number) if math.isfinite(number) else None for number in (value, threshold)]
    return Reason(
        rule=rule, candidate=candidate, passed=bool(passed), value=found[0], threshold=found[1], sentence=sentence
    )


def _at_least(rule: str, value: int, minimum: int, what: str) -> Reason:
    return _number(rule, None, value >= minimum, value, minimum, f"{value} {what}, at least {minimum} are needed")


RULES: Mapping[str, Callable[[Case], Iterator[Reason]]] = MappingProxyType(
    {
        "counts": _counts,
        "better": _better,
        "better_than_constant": _better_than_constant,
        "limit": _limit,
        "guard_rails": _guard_rails,
        "slices": _slices,
        "calibration": _calibration,
        "latency": _latency,
        "plausible": _plausible,
        "plausible_gain": _plausible_gain,
    }
)
"""The rules for every candidate, in the order in which they are reported; the name is `Reason.rule`."""
