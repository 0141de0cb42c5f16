"""The gate decides whether a candidate becomes champion: a pure function of an evaluation and a policy.

It returns a verdict with its reasons. Nothing is measured here (see `ml.evaluation.evaluate_contenders`) and no alias
is moved. If no decision is possible, the verdict is a refusal.
"""

import math
from collections.abc import Mapping, Sequence

from ml.evaluation.record import EvaluatedContender, Evaluation
from ml.gate.case import Case, corrected
from ml.gate.rules import candidate_reasons, general_reasons
from ml.gate.verdict import Outcome, Reason, Verdict
from ml.spec.costs import ErrorCosts
from ml.spec.gate_policy import GatePolicy
from ml.spec.metric_names import higher_is_better


def decide(evaluation: Evaluation, policy: GatePolicy, costs: ErrorCosts | None = None) -> Verdict:
    """Decide whether a candidate becomes champion.

    Of several candidates that pass every rule, the one with the best value of the policy's metric is promoted.

    Parameters
    ----------
    evaluation
        Measured for this policy; an evaluation for another policy is refused.
    policy
        What is demanded of a candidate.
    costs
        Of errors, as declared now; an evaluation for other costs is refused.
    """
    general = tuple(general_reasons(evaluation, policy, costs))
    if not all(reason.passed for reason in general):
        return _verdict(evaluation, policy, Outcome.REFUSE, general)
    ranked = sorted(evaluation.candidates, key=lambda candidate: _rank(candidate, policy))
    p_values = _corrected(evaluation, policy)
    judged = {
        candidate.version: tuple(
            candidate_reasons(
                Case(evaluation=evaluation, policy=policy, candidate=candidate, p_value=p_values[candidate.version])
            )
        )
        for candidate in ranked
    }
    passed = next((version for version, found in judged.items() if all(reason.passed for reason in found)), None)
    counting = next((candidate.version for candidate in ranked if candidate.failure_kind is None), None)
    outcome = Outcome.PROMOTE if passed is not None else _without_winner(list(judged.values()))
    reasons = (*general, *(reason for found in judged.values() for reason in found), *_absence(judged))
    challenger = passed if passed is not None else counting
    return _verdict(evaluation, policy, outcome, reasons, promoted=passed, challenger=challenger)


def _without_winner(judged: Sequence[tuple[Reason, ...]]) -> Outcome:
    """Refuse if a better candidate breaks a rule or no candidate counts; keep if there is none, or none is better."""
    passed = {reason.rule for reasons in judged for reason in reasons if reason.passed}
    if not judged:
        return Outcome.KEEP
    return Outcome.REFUSE if "better" in passed or "counts" not in passed else Outcome.KEEP


def _absence(judged: Mapping[int, tuple[Reason, ...]]) -> tuple[Reason, ...]:
    if judged:
        return ()
    sentence = "there is no candidate"
    return (Reason(rule="candidates", candidate=None, passed=False, value=0.0, threshold=1.0, sentence=sentence),)


def _rank(candidate: EvaluatedContender, policy: GatePolicy) -> tuple[bool, float]:
    sign = 1.0 if higher_is_better(policy.metric) else -1.0
    value = sign * candidate.metrics.get(policy.metric, math.nan)
    return math.isnan(value), -value


def _corrected(evaluation: Evaluation, policy: GatePolicy) -> dict[int, float]:
    """Return each candidate's p-value for the comparison that decides, corrected for how many candidates there are.

    A candidate that does not count is included in their number, because it was tried; so is a trial of a search that was
    validated on the same rows. Trials that were validated on training rows alone have nothing to do with these.
    """
    raw = {candidate.version: 1.0 for candidate in evaluation.candidates}
    for c in evaluation.comparisons:
        if c.against == evaluation.champion and c.metric == policy.metric and c.slice_key is None:
            raw[c.candidate] = c.p_value
    tried = [1.0] * evaluation.trials_on_rows
    return dict(zip(raw, corrected([*raw.values(), *tried], policy.correction), strict=False))


def _verdict(
    evaluation: Evaluation,
    policy: GatePolicy,
    outcome: Outcome,
    reasons: tuple[Reason, ...],
    *,
    promoted: int | None = None,
    challenger: int | None = None,
) -> Verdict:
    return Verdict(
        outcome=outcome,
        evaluation_id=evaluation.evaluation_id,
        evaluation_digest=evaluation.digest,
        policy=policy.name,
        champion=evaluation.champion,
        promoted=promoted,
        challenger=challenger,
        reasons=reasons,
    )
