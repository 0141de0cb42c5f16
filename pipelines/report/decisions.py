"""Why each decision was taken, as the report shows it: retrainings, verdicts with their rules, findings, drift."""

import datetime as dt
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ml.gate.verdict import Reason
from ml.monitoring.findings import FindingKind
from pipelines.report.records import EnvironmentRecords, ReportRecords, Row, Version

OF_COLUMNS = (FindingKind.DRIFT, FindingKind.MISSING_RATE)
"""The kinds of finding that the drift grid shows; the others are told one by one."""


class Way(StrEnum):
    """What ended with a verdict: the ways by which the alias of the champion can move."""

    TRAINING = "training"
    DELIVERY = "delivery"
    ROLLBACK = "rollback"


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One candidate before the gate, with every rule that was applied to it."""

    version: int
    estimator: str
    copied_from: str | None
    promoted: bool
    reasons: tuple[Reason, ...]

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
        The environment from which a delivery brought its candidate; None where nothing was brought or no candidate
        was judged.
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


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One decision of the monitor whether to retrain and what came of it, or one verdict that a person asked for.

    Attributes
    ----------
    retrain
        None where a person asked for the one verdict that is told, not the monitor.
    found
        Kind of finding to how many there were in the month just closed.
    """

    decided_at: dt.datetime
    retrain: bool | None
    cause: str
    reasons: tuple[str, ...]
    found: Mapping[str, int]
    verdicts: tuple[GateDecision, ...]


@dataclass(frozen=True, kw_only=True)
class DriftCell:
    """One column in one month: the statistic, and what was found of it."""

    value: float | None
    threshold: float | None
    missing: str


@dataclass(frozen=True, kw_only=True)
class DriftGrid:
    """A drift statistic of every column and month, the columns that moved most first."""

    statistic: str
    rows: tuple[tuple[str, tuple[DriftCell, ...]], ...]
    largest: float


def gate_decisions(told: EnvironmentRecords) -> tuple[GateDecision, ...]:
    """Return every verdict, oldest first."""
    versions = {version.number: version for version in told.versions}
    jobs = {row["run_id"]: str(row["job"]) for row in told.runs}
    return tuple(
        _gate_decision(row, versions, jobs.get(row["evaluation_id"], ""))
        for row in sorted(told.verdicts, key=lambda row: row["decided_at"])
    )


def decisions(told: EnvironmentRecords, verdicts: Sequence[GateDecision]) -> tuple[Decision, ...]:
    """Return every decision on retraining, and every verdict that a person asked for, oldest first."""
    started = {row["decided_at"] for row in told.retrainings if row["retrain"]}
    answers = [v for v in verdicts if v.decided_at in started and v.way is not Way.ROLLBACK]
    monitored = [_monitored(told, row, answers) for row in told.retrainings]
    requested = [_requested(verdict) for verdict in verdicts if verdict not in answers]
    return tuple(sorted((*monitored, *requested), key=lambda decision: decision.decided_at))


def drift_grid(records: ReportRecords, columns: Sequence[dt.datetime]) -> DriftGrid | None:
    """Return the drift of every column from what the champion was trained on; None if nothing was compared."""
    statistic = drawn_statistic(records.drift_statistics)
    told = records.told
    rows: dict[tuple[str, dt.datetime], Row] = {}
    # The month before is compared again when its labels are complete, maybe with a newer champion: the last one counts.
    for row in sorted(told.drift, key=lambda row: row["computed_at"]):
        if row.get(statistic) is not None:
            rows[row["column_name"], row["window_start"]] = row
    if not rows or not columns:
        return None
    findings = {(f["column_name"], f["window_start"], f["statistic"]): f for f in told.findings}
    grid = {
        name: tuple(_drift_cell(rows.get((name, month)), name, month, statistic, findings) for month in columns)
        for name in {name for name, _ in rows}
    }
    ordered = sorted(grid, key=lambda name: (-max(cell.value or 0.0 for cell in grid[name]), name))
    largest = max(cell.value or 0.0 for cells in grid.values() for cell in cells)
    return DriftGrid(statistic=statistic, rows=tuple((name, grid[name]) for name in ordered), largest=largest)


def drawn_statistic(statistics: Sequence[str]) -> str:
    """Return the first statistic that compares values, not missing ones."""
    return next((name for name in statistics if not name.startswith("missing")), "js_distance")


def told_findings(told: EnvironmentRecords) -> tuple[Row, ...]:
    """Return the findings that are not about single columns, oldest first."""
    return tuple(f for f in all_findings(told) if f["kind"] not in OF_COLUMNS)


def all_findings(told: EnvironmentRecords) -> tuple[Row, ...]:
    """Return every finding, oldest first, the kinds that ask for a retraining before the others."""
    kinds = [kind.value for kind in FindingKind]
    return tuple(
        sorted(
            told.findings, key=lambda f: (f["window_start"], kinds.index(f["kind"]), f["column_name"], f["slice_key"])
        )
    )


def _gate_decision(row: Row, versions: Mapping[int, Version], job: str) -> GateDecision:
    reasons = [Reason(**reason) for reason in json.loads(row["reasons"])]
    judged = dict.fromkeys(reason.candidate for reason in reasons if reason.candidate is not None)
    candidates = tuple(_judged(number, row, reasons, versions) for number in judged)
    way = _way(row, job, candidates)
    copied = next((c.copied_from for c in candidates if c.copied_from), None) if way is Way.DELIVERY else None
    return GateDecision(
        way=way, origin=None if copied is None else copied.split()[0],
        decided_at=row["decided_at"], evaluation_id=row["evaluation_id"], outcome=row["outcome"],
        policy=row["policy"], champion=row["champion"], promoted=row["promoted"], sentence=row["sentence"],
        general=tuple(reason for reason in reasons if reason.candidate is None), candidates=candidates,
    )  # fmt: skip


def _way(row: Row, job: str, candidates: Sequence[Judged]) -> Way:
    """Return what a verdict ended: its job tells, also where no candidate was judged; without it, its candidates."""
    if row["outcome"] == Way.ROLLBACK:
        return Way.ROLLBACK
    copied = any(candidate.copied_from for candidate in candidates)
    return Way.DELIVERY if (job.endswith(f".{Way.DELIVERY}") if job else copied) else Way.TRAINING


def _judged(number: int, row: Row, reasons: Sequence[Reason], versions: Mapping[int, Version]) -> Judged:
    tags = versions[number].tags if number in versions else {}
    return Judged(
        version=number, estimator=tags.get("estimator", "unknown"), copied_from=tags.get("copied_from"),
        promoted=number == row["promoted"], reasons=tuple(reason for reason in reasons if reason.candidate == number),
    )  # fmt: skip


def _monitored(told: EnvironmentRecords, asked: Row, answers: Sequence[GateDecision]) -> Decision:
    moment = asked["decided_at"]
    # The month that was closed at that moment; one of which only a part had passed counts as well.
    closed = max(
        (f["window_start"] for f in told.findings if f["window_start"] < moment <= f["window_end"]), default=None
    )
    return Decision(
        decided_at=moment,
        retrain=bool(asked["retrain"]),
        cause=str(asked["cause"]),
        reasons=tuple(json.loads(asked["reasons"])),
        found=Counter(f["kind"] for f in told.findings if f["window_start"] == closed),
        verdicts=tuple(verdict for verdict in answers if verdict.decided_at == moment),
    )


def _requested(verdict: GateDecision) -> Decision:
    return Decision(
        decided_at=verdict.decided_at, retrain=None, cause="requested", reasons=(), found={}, verdicts=(verdict,)
    )


def _drift_cell(
    row: Row | None, name: str, month: dt.datetime, statistic: str, findings: Mapping[tuple[str, dt.datetime, str], Row]
) -> DriftCell:
    above = findings.get((name, month, statistic))
    missing = findings.get((name, month, "missing_rate_difference"))
    return DriftCell(
        value=None if row is None else float(row[statistic]),
        threshold=None if above is None else above["threshold"],
        missing="" if missing is None else missing["message"],
    )
