"""Decides whether a challenger goes on to the next stage, waits, or is returned: a pure function of evidence and a policy.

Guards need no labels: requests that could not be scored, seconds, how far the scores are from the champion's. On labels the
gate decides, `ml.gate.decision`, the same that made it challenger. Whatever could not be measured never lets it go on.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from ml.gate.verdict import Outcome, Reason, Verdict
from ml.spec.rollout_policy import SHADOW, WHOLE, RolloutPolicy

PATIENT = frozenset({"better", "better_than_constant", "limit"})
"""Rules of the gate whose failure means: not shown yet. A failure of any other one shows a fault."""

MEASURED = frozenset({"latency", "score_drift"})
"""Guards that let nothing pass where their value is not known; that alone returns nobody."""


class RolloutMove(StrEnum):
    """What becomes of a challenger."""

    ADVANCE = "advance"
    WAIT = "wait"
    RETURN = "return"


@dataclass(frozen=True, kw_only=True)
class ServedCounts:
    """What one version did in the present stage, whether it answered or only scored.

    Attributes
    ----------
    attempts, failures
        Requests that it was to score, and those of them that it could not.
    seconds
        The 99th percentile of the time for one request; None where nothing was measured.
    """

    version: int
    attempts: int
    failures: int
    seconds: float | None = None

    @property
    def scored(self) -> int:
        """Requests that it has scored."""
        return self.attempts - self.failures

    @property
    def error_share(self) -> float:
        """The share of requests that it could not score."""
        return self.failures / self.attempts if self.attempts else 0.0


@dataclass(frozen=True, kw_only=True)
class RolloutEvidence:
    """What is known of a challenger at one look.

    Attributes
    ----------
    percentage
        The present stage.
    days
        Since the stage began.
    score_distance
        Between the distributions of both versions' scores on the same requests of the stage; None where none is known.
    verdict, fault_verdict, reversed_verdict
        Of the gate on all matured requests of the rollout that both versions have scored: with the challenger as the
        candidate, the same with guards that spend their level over the looks, and the other way round. None where the gate
        was not asked; `not_asked` says why. Without the second one each fault of the first counts.
    stopped, overtaken, refused
        Why a person stops it, why the champion is another one, why it cannot be served; empty where nothing is wrong.
    """

    percentage: int
    days: float
    champion: ServedCounts
    challenger: ServedCounts
    score_distance: float | None = None
    verdict: Verdict | None = None
    fault_verdict: Verdict | None = None
    reversed_verdict: Verdict | None = None
    not_asked: str = ""
    stopped: str = ""
    overtaken: str = ""
    refused: str = ""


@dataclass(frozen=True, kw_only=True)
class RolloutDecision:
    """What becomes of a challenger, and every rule that was applied.

    Attributes
    ----------
    percentage, following
        The stage that was judged, and the one after the decision.
    returning
        The names of the rules by which it is returned.
    """

    move: RolloutMove
    version: int
    champion: int
    percentage: int
    following: int
    reasons: tuple[Reason, ...]
    returning: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The decision in one sentence, for a person."""
        if self.move is RolloutMove.ADVANCE:
            to = f"answers {self.following}% of the requests" if self.following < WHOLE else "is champion"
            return f"version {self.version} {to} after {said(self.percentage)}: every rule has passed."
        failed = [r for r in self.reasons if not r.passed and (not self.returning or r.rule in self.returning)]
        why = "; ".join(reason.sentence for reason in failed)
        if self.move is RolloutMove.RETURN:
            return f"version {self.version} was returned from {said(self.percentage)}, version {self.champion} answers all: {why}."
        return f"version {self.version} stays at {said(self.percentage)}: {why}."


def said(percentage: int) -> str:
    """Return a stage in words."""
    return "shadow" if percentage == SHADOW else f"{percentage}%"


def decide_rollout(evidence: RolloutEvidence, policy: RolloutPolicy) -> RolloutDecision:
    """Decide what becomes of a challenger.

    It is returned as soon as one guard or one rule of the gate shows a fault, at a level that is spent over the looks; it
    goes on if every rule has passed; otherwise it waits.
    """
    guards, judged = tuple(_guards(evidence, policy)), tuple(_judged(evidence))
    late = _time(evidence, policy)
    unknown = [reason for reason in guards if not reason.passed and reason.rule in MEASURED and reason.value is None]
    returning = [reason.rule for reason in guards if not reason.passed and reason not in unknown]
    shown = _shown_faults(evidence)
    returning += [
        reason.rule for reason in judged if not reason.passed and _shows_a_fault(reason) and reason.rule in shown
    ]
    waits = [*unknown, *(reason for reason in (_answers(evidence, policy), *judged) if not reason.passed)]
    if waits and not late.passed:
        returning.append(late.rule)
    reasons = (*guards, _answers(evidence, policy), *judged, late)
    move = RolloutMove.RETURN if returning else RolloutMove.WAIT if waits else RolloutMove.ADVANCE
    following = {
        RolloutMove.ADVANCE: policy.following(evidence.percentage),
        RolloutMove.WAIT: evidence.percentage,
        RolloutMove.RETURN: SHADOW,
    }[move]
    return RolloutDecision(
        move=move, version=evidence.challenger.version, champion=evidence.champion.version,
        percentage=evidence.percentage, following=following, reasons=reasons, returning=tuple(dict.fromkeys(returning)),
    )  # fmt: skip


def _guards(evidence: RolloutEvidence, policy: RolloutPolicy) -> Iterator[Reason]:
    """Yield the rules that need no labels; the failure of one returns the challenger."""
    challenger = evidence.challenger.version
    for rule, why, well in (
        ("stopped", evidence.stopped, "nobody has stopped it"),
        ("champion", evidence.overtaken, f"version {evidence.champion.version} is still champion"),
        ("loads", evidence.refused, f"version {challenger} can be served"),
    ):
        yield Reason(rule=rule, candidate=challenger, passed=not why, value=None, threshold=None, sentence=why or well)
    yield _errors(evidence, policy)
    if evidence.challenger.scored >= policy.minimum_answers:
        yield _latency(evidence, policy)
        yield _score_drift(evidence, policy)


def _errors(evidence: RolloutEvidence, policy: RolloutPolicy) -> Reason:
    """Judge errors also before there are enough requests: as if all that are still to come would succeed."""
    own, theirs = evidence.challenger, evidence.champion
    share = own.failures / max(own.attempts, policy.minimum_answers)
    allowed = theirs.error_share + policy.most_errors
    sentence = (
        f"version {own.version} could not score {own.failures:,} of {own.attempts:,} requests, version {theirs.version} "
        f"{theirs.failures:,} of {theirs.attempts:,}; {policy.most_errors:.1%} more is allowed"
    )
    return _number("errors", own.version, share <= allowed, share, allowed, sentence)


def _latency(evidence: RolloutEvidence, policy: RolloutPolicy) -> Reason:
    own, theirs = evidence.challenger, evidence.champion
    if own.seconds is None or theirs.seconds is None:
        unknown = f"how long versions {own.version} and {theirs.version} take was not measured"
        return _number("latency", own.version, False, None, None, unknown)
    allowed = max(policy.latency_floor, policy.latency_ratio * theirs.seconds)
    sentence = (
        f"version {own.version} takes {own.seconds * 1000:.1f} ms for 99 in 100 requests, version {theirs.version} "
        f"{theirs.seconds * 1000:.1f} ms; {allowed * 1000:.1f} ms is allowed"
    )
    return _number("latency", own.version, own.seconds <= allowed, own.seconds, allowed, sentence)


def _score_drift(evidence: RolloutEvidence, policy: RolloutPolicy) -> Reason:
    own, found, most = evidence.challenger.version, evidence.score_distance, policy.most_score_drift
    if found is None:
        return _number("score_drift", own, False, None, most, "no request of this stage was scored by both versions")
    sentence = (
        f"the scores of version {own} are {found:.3f} from those of version {evidence.champion.version} on the same "
        f"requests; {most:g} is allowed"
    )
    return _number("score_drift", own, found <= most, found, most, sentence)


def _answers(evidence: RolloutEvidence, policy: RolloutPolicy) -> Reason:
    own = evidence.challenger
    sentence = f"version {own.version} has scored {own.scored:,} requests in this stage, at least {policy.minimum_answers:,} are needed"
    passed = own.scored >= policy.minimum_answers
    return _number("answers", own.version, passed, float(own.scored), float(policy.minimum_answers), sentence)


def _judged(evidence: RolloutEvidence) -> tuple[Reason, ...]:
    """Return what the gate says, its own reasons included."""
    verdict, own = evidence.verdict, evidence.challenger.version
    if verdict is None:
        return (_number("gate", own, False, None, None, evidence.not_asked or "the gate was not asked"),)
    if any(reason.candidate is None for reason in verdict.failed):
        return tuple(reason for reason in verdict.reasons if reason.candidate is None)
    positive = verdict.outcome is Outcome.PROMOTE and verdict.promoted == own
    worse = [
        reason
        for reason in (evidence.reversed_verdict.reasons if evidence.reversed_verdict else ())
        if reason.rule == "better" and reason.passed
    ]
    gate = _number("gate", own, positive, None, None, f"the gate says {verdict.outcome.value} of version {own}")
    shown = [_number("worse", own, False, reason.value, reason.threshold, reason.sentence) for reason in worse]
    return (gate, *verdict.reasons, *shown)


def _shown_faults(evidence: RolloutEvidence) -> frozenset[str]:
    """Return the rules that fail also where guards spend their level over the looks, and that the champion is better."""
    verdict = evidence.fault_verdict or evidence.verdict
    failed = verdict.failed if verdict else ()
    return frozenset({"worse", *(reason.rule for reason in failed)})


def _shows_a_fault(reason: Reason) -> bool:
    return reason.candidate is not None and reason.rule not in PATIENT and reason.rule != "gate"


def _time(evidence: RolloutEvidence, policy: RolloutPolicy) -> Reason:
    own = evidence.challenger.version
    sentence = f"version {own} is in this stage for {evidence.days:.1f} days, {policy.most_days} are allowed"
    return _number("time", own, evidence.days <= policy.most_days, evidence.days, float(policy.most_days), sentence)


def _number(
    rule: str, candidate: int, passed: bool, value: float | None, threshold: float | None, sentence: str
) -> Reason:
    return Reason(rule=rule, candidate=candidate, passed=passed, value=value, threshold=threshold, sentence=sentence)
