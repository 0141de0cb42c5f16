"""Why each decision was taken, as the report shows it: retrainings, and verdicts with their rules."""

import datetime as dt
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from ml.evaluation.record import EvaluatedContender, Evaluation
from ml.gate.basis import DecisionBasis, basis
from ml.gate.verdict import Reason
from ml.monitoring.findings import OF_OTHER_TASKS
from ml.monitoring.findings_history import known_at
from ml.spec.gate_policy import GatePolicy
from pipelines.report.records import EnvironmentRecords, Row, Version
from pipelines.report.sections.distributions import Distribution, distributions, excess
from pipelines.report.sections.findings import OF_COLUMNS


class Way(StrEnum):
    """What led to a verdict: the ways in which the alias of the champion can move."""

    TRAINING = "training"
    DELIVERY = "delivery"
    ROLLBACK = "rollback"
    ROLLOUT = "rollout"


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One candidate before the gate, with every rule that was applied to it.

    Attributes
    ----------
    measured
        What its evaluation found, importance and reliability among it; None where the evaluation is not stored.
    basis
        Values, intervals and slices that the verdict was based on.
    """

    version: int
    estimator: str
    copied_from: str | None
    promoted: bool
    reasons: tuple[Reason, ...]
    measured: EvaluatedContender | None = None
    basis: DecisionBasis = field(default_factory=DecisionBasis)

    @property
    def rules(self) -> int:
        """How many rules were applied to it."""
        return len(self.reasons)

    @property
    def failed(self) -> int:
        """How many rules it broke."""
        return sum(not reason.passed for reason in self.reasons)


@dataclass(frozen=True, kw_only=True)
class GateDecision:
    """One verdict: the rules for the evaluation as a whole, then each candidate's.

    Attributes
    ----------
    origin
        The environment from which a delivery copied its candidate; None where nothing was copied or no candidate was
        judged.
    """

    way: Way
    origin: str | None
    decided_at: dt.datetime
    evaluation_id: str
    outcome: str
    policy: str
    champion: int | None
    promoted: int | None
    sentence: str
    general: tuple[Reason, ...]
    candidates: tuple[Judged, ...]

    @property
    def comparisons(self) -> int:
        """How many comparisons of its candidates it opens."""
        return sum(len(candidate.basis.comparisons) for candidate in self.candidates)

    @property
    def slices(self) -> int:
        """How many slices of its candidates it opens."""
        return sum(len(candidate.basis.slices) for candidate in self.candidates)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One decision of the monitor whether to retrain, with the verdicts that followed, or one verdict that a person requested.

    Attributes
    ----------
    retrain
        None where a person, not the monitor, requested the one verdict.
    found
        Kind of finding to how many there were in the window just closed, as known then.
    findings
        These findings, the ones that exceed their threshold the most first.
    distributions
        Of the columns that these findings are about, before and after.
    """

    decided_at: dt.datetime
    retrain: bool | None
    cause: str
    reasons: tuple[str, ...]
    found: Mapping[str, int]
    verdicts: tuple[GateDecision, ...]
    findings: tuple[Row, ...] = ()
    distributions: tuple[Distribution, ...] = ()

    @property
    def of_columns(self) -> bool:
        """Whether a finding was about the distribution of a column."""
        return any(finding["kind"] in OF_COLUMNS for finding in self.findings)


def gate_decisions(environment: EnvironmentRecords, policy: GatePolicy) -> tuple[GateDecision, ...]:
    """Return every verdict, oldest first; `policy` is the present one."""
    versions = {version.number: version for version in environment.versions}
    evaluations = {row["evaluation_id"]: Evaluation.from_json(row["evaluation"]) for row in environment.evaluations}
    jobs = {row["run_id"]: str(row["job"]) for row in environment.runs}
    return tuple(
        _gate_decision(row, versions, jobs.get(row["evaluation_id"], ""), evaluations.get(row["evaluation_id"]), policy)
        for row in sorted(environment.verdicts, key=lambda row: row["decided_at"])
    )


def decisions(environment: EnvironmentRecords, verdicts: Sequence[GateDecision]) -> tuple[Decision, ...]:
    """Return every decision on retraining, and every verdict that a person requested, oldest first."""
    started = {row["decided_at"] for row in environment.retrainings if row["retrain"]}
    answers = [v for v in verdicts if v.decided_at in started and v.way is not Way.ROLLBACK]
    monitored = [_monitored(environment, row, answers) for row in environment.retrainings]
    requested = [_requested(verdict) for verdict in verdicts if verdict not in answers]
    return tuple(sorted((*monitored, *requested), key=lambda decision: decision.decided_at))


def _gate_decision(
    row: Row, versions: Mapping[int, Version], job: str, evaluation: Evaluation | None, policy: GatePolicy
) -> GateDecision:
    reasons = [Reason(**reason) for reason in json.loads(row["reasons"])]
    judged = dict.fromkeys(reason.candidate for reason in reasons if reason.candidate is not None)
    measured = [one.version for one in evaluation.candidates] if evaluation else []
    candidates = tuple(
        _judged(number, row, reasons, versions, evaluation, policy) for number in dict.fromkeys((*judged, *measured))
    )
    way = _way(row, job, candidates)
    copied = next((c.copied_from for c in candidates if c.copied_from), None) if way is Way.DELIVERY else None
    return GateDecision(
        way=way, origin=None if copied is None else copied.split()[0],
        decided_at=row["decided_at"], evaluation_id=row["evaluation_id"], outcome=row["outcome"],
        policy=row["policy"], champion=row["champion"], promoted=row["promoted"], sentence=row["sentence"],
        general=tuple(reason for reason in reasons if reason.candidate is None), candidates=candidates,
    )  # fmt: skip


def _way(row: Row, job: str, candidates: Sequence[Judged]) -> Way:
    """Return what led to a verdict: known from its job, or from its candidates where the job is unknown."""
    if row["outcome"] == Way.ROLLBACK:
        return Way.ROLLBACK
    if row["evaluation_id"].startswith(f"{Way.ROLLOUT} "):
        return Way.ROLLOUT
    copied = any(candidate.copied_from for candidate in candidates)
    return Way.DELIVERY if (job.endswith(f".{Way.DELIVERY}") if job else copied) else Way.TRAINING


def _judged(
    number: int, row: Row, reasons: Sequence[Reason], versions: Mapping[int, Version], evaluation: Evaluation | None,
    policy: GatePolicy,
) -> Judged:  # fmt: skip
    own = tuple(reason for reason in reasons if reason.candidate == number)
    found = next((one for one in evaluation.contenders if one.version == number), None) if evaluation else None
    tags = versions[number].tags if number in versions else {}
    return Judged(
        version=number, estimator=tags.get("estimator", "unknown"), copied_from=tags.get("copied_from"),
        promoted=number == row["promoted"], reasons=own,
        measured=found, basis=basis(evaluation, number, own, policy),
    )  # fmt: skip


def _monitored(environment: EnvironmentRecords, decided: Row, answers: Sequence[GateDecision]) -> Decision:
    moment = decided["decided_at"]
    # What was known then: the findings of a month change when it is measured again. Older releases kept no history.
    known = known_at(environment.findings_history, moment) if environment.findings_history else environment.findings
    # The month that was closed at that moment; one of which only a part had passed counts as well.
    known = [f for f in known if f["kind"] not in OF_OTHER_TASKS]
    closed = max((f["window_start"] for f in known if f["window_start"] < moment <= f["window_end"]), default=None)
    closing = sorted((f for f in known if f["window_start"] == closed), key=lambda f: -excess(f))
    return Decision(
        decided_at=moment,
        retrain=bool(decided["retrain"]),
        cause=str(decided["cause"]),
        reasons=tuple(json.loads(decided["reasons"])),
        found=Counter(f["kind"] for f in closing),
        findings=tuple(closing),
        verdicts=tuple(verdict for verdict in answers if verdict.decided_at == moment),
        distributions=distributions(environment, known, closed, moment),
    )


def _requested(verdict: GateDecision) -> Decision:
    return Decision(
        decided_at=verdict.decided_at, retrain=None, cause="requested", reasons=(), found={}, verdicts=(verdict,)
    )
