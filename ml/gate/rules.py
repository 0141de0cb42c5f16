"""The rules of the gate, each a function from one case to its reasons.

A rule gives no reason if the policy switches it off, or if it needs a champion and there is none. A rule whose
measurement is missing fails.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from ml.evaluation.comparison import Comparison
from ml.evaluation.record import EvaluatedContender, Evaluation, WeightCounts
from ml.gate.case import Case, at_least, by_how_much, corrected, number, plain
from ml.gate.slice_rules import slices, small_slices
from ml.gate.verdict import Reason
from ml.labels.maturity import LabelCounts
from ml.metrics.clusters import DAY
from ml.metrics.metric_table import metric
from ml.metrics.quality_metrics import skill
from ml.spec.clusters import EntityKind
from ml.spec.costs import ErrorCosts
from ml.spec.gate_policy import Correction, GatePolicy


def general_reasons(evaluation: Evaluation, policy: GatePolicy, costs: ErrorCosts | None) -> Iterator[Reason]:
    """Yield the reasons for the evaluation as a whole; if one fails, no decision is possible."""
    complete = "the evaluation is complete" if evaluation.complete else "; ".join(evaluation.incomplete_because)
    yield plain("complete", None, evaluation.complete, complete)
    same = evaluation.policy_digest == policy.digest
    other = f", which is not the {policy.name!r} that decides now: evaluate again"
    yield plain("policy", None, same, f"it was measured for policy {evaluation.policy!r}{'' if same else other}")
    if evaluation.costs is not None or costs is not None:
        measured = evaluation.costs.sentence if evaluation.costs else "it was measured without costs"
        changed = "" if evaluation.costs == costs else ", which is not what is declared now: evaluate again"
        yield plain("costs", None, evaluation.costs == costs, f"{measured}{changed}")
    yield at_least("rows", evaluation.rows, policy.minimum_rows, "rows")
    if evaluation.label_counts is not None:
        yield _due(evaluation, evaluation.label_counts)
    if evaluation.positives is not None:
        rarer = min(evaluation.positives, evaluation.rows - evaluation.positives)
        yield at_least("positives", rarer, policy.minimum_positives, "rows of the rarer class")
    if policy.method.by_day:
        yield _days(evaluation, policy)
        yield from _entities(evaluation, policy)
    if evaluation.weights is not None:
        yield from _worth(evaluation.weights, policy)


def _worth(worth: WeightCounts, policy: GatePolicy) -> Iterator[Reason]:
    """Yield whether rows that count by weight are worth as many of equal weight as the policy demands."""
    demanded = [("rows", worth.rows, policy.minimum_rows), ("days", worth.days, policy.minimum_days)]
    if worth.rarer is not None:
        demanded.append(("rows of the rarer class", worth.rarer, policy.minimum_positives))
    for what, found, least in demanded:
        if what == "days" and not policy.method.by_day:
            continue
        sentence = f"weighted by {worth.column}, these are worth {found:.1f} {what} of equal weight, at least {least} are needed"
        yield number("weights", None, found >= least, found, least, sentence)


def _days(evaluation: Evaluation, policy: GatePolicy) -> Reason:
    least, what = policy.least_days(evaluation.day_memory), "days"
    if evaluation.day_memory:
        what += f", each of which may depend on the day before by up to {evaluation.day_memory:g}"
    return at_least("days", evaluation.days, least, what)


def _entities(evaluation: Evaluation, policy: GatePolicy) -> Iterator[Reason]:
    """Yield whether the sampled entities of each column are enough to know how much entities differ."""
    for counted in evaluation.entities:
        if counted.kind is EntityKind.FIXED:
            about = f"the verdict is about the {counted.entities} values of {counted.column} that were seen, no others"
            yield plain("entities", None, True, about)
            continue
        least, alike = policy.minimum_entities, counted.effective
        sentence = (
            f"{counted.entities} sampled values of {counted.column}, in effect {alike:.1f} of equal size, at least "
            f"{least} are needed"
        )
        yield number("entities", None, alike >= least, alike, least, sentence)


def candidate_reasons(case: Case) -> Iterator[Reason]:
    """Yield the reasons of every rule for one candidate; for one that does not count, only that reason."""
    for name, rule in RULES.items():
        yield from rule(case)
        if name == "counts" and case.candidate.failure_kind is not None:
            return


def _due(evaluation: Evaluation, counts: LabelCounts) -> Reason:
    """Rows that decide must be the requests that were due, all of them and no others."""
    other = "" if counts.deciding == evaluation.rows else f", but {evaluation.rows:,} were evaluated"
    return plain("labels_due", None, not other, f"{counts.sentence}{other}")


def _counts(case: Case) -> Iterator[Reason]:
    counts = case.candidate.failure_kind is None
    trials = case.candidate.trials_on_rows
    tried = f", with {trials} trials of its search that were validated on these rows" if trials else ""
    why = f"counts{tried}" if counts else f"does not count: {case.candidate.failure}"
    yield plain("counts", case.version, counts, f"version {case.version} {why}")


def _better(case: Case) -> Iterator[Reason]:
    policy = case.policy
    found = case.on_all_rows(policy.metric, case.evaluation.champion)
    if found is None:
        sentence = f"version {case.version} could not be compared with {case.rival} in {policy.metric}"
        yield plain("better", case.version, False, sentence)
        return
    what = f"version {case.version} has {policy.metric} {found.candidate_value:.4f}, {case.rival} {found.against_value:.4f}"
    if policy.minimum_win_share is not None:
        yield _won(case, found, what, policy.minimum_win_share)
        return
    alpha = policy.alpha or 0.0
    alone = "" if case.p_value == found.p_value else " of this comparison alone"
    sentence = (
        f"{what}: {_demanded(found.margin)} with p = {case.p_value:.3g}, at most {alpha:g} is needed "
        f"(difference {found.difference:+.4f}, 95%{alone} from {found.low:+.4f} to {found.high:+.4f}{_units(case, found)})"
    )
    yield number("better", case.version, case.p_value <= alpha, case.p_value, alpha, sentence)


def _demanded(margin: float) -> str:
    """Return what the difference has to be shown to be; a negative margin is how much worse is accepted."""
    if not margin:
        return "better"
    return f"better by more than {margin:g}" if margin > 0 else f"worse by less than {-margin:g}"


def _units(case: Case, found: Comparison) -> str:
    """Return what the units of a comparison were, where a use case declares more than independent days."""
    evaluation = case.evaluation
    if not found.clusters or not (evaluation.entities or evaluation.day_memory):
        return ""
    days = f"{found.clusters[DAY]} days" + (" that may depend on the day before" if evaluation.day_memory else "")
    others = [f"{count} of {name}" for name, count in found.clusters.items() if name != DAY]
    freedom = f"{found.degrees_of_freedom or math.inf:.1f} degrees of freedom"
    most = f", the largest variance is by {found.dominant}" if others else ""
    return f"; units: {' and '.join([days, *others])}, {freedom}{most}"


def _won(case: Case, found: Comparison, what: str, minimum: float) -> Reason:
    tried = len(case.evaluation.candidates) + case.evaluation.trials_on_rows
    candidates = tried if case.policy.correction is not Correction.NONE else 1
    needed = 1 - (1 - minimum) / candidates
    share = found.wins / found.resamples
    sentence = f"{what}: it wins on {found.wins} of {found.resamples} resamples, {needed:.1%} are needed"
    return number("better", case.version, share >= needed, share, needed, sentence)


def _better_than_constant(case: Case) -> Iterator[Reason]:
    policy = case.policy
    found = case.on_all_rows(policy.metric, None)
    alpha = policy.alpha if policy.alpha is not None else 1 - (policy.minimum_win_share or 0.0)
    p = 1.0 if found is None else found.p_value
    sentence = (
        f"version {case.version} is better than a constant prediction with p = {p:.3g}, at most {alpha:g} is needed"
    )
    yield number("better_than_constant", case.version, p <= alpha, p, alpha, sentence)


def _limit(case: Case) -> Iterator[Reason]:
    limit = case.policy.limit
    if limit is None:
        return
    value, sign = case.candidate.metrics[case.policy.metric], metric(case.policy.metric, case.evaluation.problem).sign
    sentence = f"version {case.version} has {case.policy.metric} {value:.4f}, the limit is {limit:g}"
    yield number("limit", case.version, sign * value >= sign * limit, value, limit, sentence)


def _guard_rails(case: Case) -> Iterator[Reason]:
    if case.champion is None:
        return
    policy = case.policy
    found = [case.on_all_rows(rail.metric, case.champion.version) for rail in policy.guard_rails]
    p_values = corrected([0.0 if c is None else c.p_worse for c in found], Correction.HOLM)
    for rail, c, p in zip(policy.guard_rails, found, p_values, strict=True):
        change = "was not compared" if c is None else f"is {by_how_much(c.difference)}"
        sentence = (
            f"version {case.version}: {rail.metric} {change}; worse by more than {rail.tolerance:g} has p = {p:.3g}, "
            f"{policy.guard_alpha:g} or less counts as shown"
        )
        yield number("guard_rails", case.version, p > policy.guard_alpha, p, policy.guard_alpha, sentence)


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
    yield number("calibration", case.version, value <= allowed, value, allowed, sentence)


def _latency(case: Case) -> Iterator[Reason]:
    policy = case.policy
    if policy.latency_ratio is None or case.champion is None:
        return
    incumbent, seconds = case.champion.seconds_per_1000_rows, case.candidate.seconds_per_1000_rows
    if incumbent is None or seconds is None:
        sentence = f"how long versions {case.version} and {case.champion.version} take to score was not measured"
        yield plain("latency", case.version, False, sentence)
        return
    allowed = max(policy.latency_floor, policy.latency_ratio * incumbent)
    sentence = f"version {case.version} takes {seconds:.4f} s for 1,000 rows, {allowed:.4f} s is allowed"
    yield number("latency", case.version, seconds <= allowed, seconds, allowed, sentence)


def _plausible(case: Case) -> Iterator[Reason]:
    most = case.policy.maximum_skill
    if most is None:
        return
    reached = _skill(case, case.candidate)
    way = f"goes {reached:.1%} of the way from a constant prediction to a perfect one"
    what = "is worse than a constant prediction" if reached < 0 else way
    sentence = f"version {case.version} {what}; more than {most:.0%} of the way looks like a leaked label"
    yield number("plausible", case.version, reached <= most, reached, most, sentence)


def _plausible_gain(case: Case) -> Iterator[Reason]:
    most = case.policy.maximum_skill_gain
    if most is None or case.champion is None:
        return
    gain = _skill(case, case.candidate) - _skill(case, case.champion)
    how = "less far" if gain < 0 else "further"
    sentence = (
        f"version {case.version} goes {abs(gain):.1%} {how} from a constant to a perfect prediction than the champion; "
        f"{most:.0%} further looks like a leaked label"
    )
    yield number("plausible_gain", case.version, gain <= most, gain, most, sentence)


def _skill(case: Case, contender: EvaluatedContender) -> float:
    name = case.policy.metric
    return skill(
        contender.metrics[name], case.evaluation.constant.get(name, math.nan), metric(name, case.evaluation.problem)
    )


RULES: Mapping[str, Callable[[Case], Iterator[Reason]]] = MappingProxyType(
    {
        "counts": _counts,
        "better": _better,
        "better_than_constant": _better_than_constant,
        "limit": _limit,
        "guard_rails": _guard_rails,
        "slices": slices,
        "small_slices": small_slices,
        "calibration": _calibration,
        "latency": _latency,
        "plausible": _plausible,
        "plausible_gain": _plausible_gain,
    }
)
"""The rules for every candidate, in the order in which they are reported; the name is `Reason.rule`."""
