"""The contenders of an evaluation, and the reasons why one does not count: provenance first, then its scores."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.evaluation.record import FailureKind
from ml.metrics.targets import scores_shape
from ml.models.importance import InputImportance
from ml.spec.target import Target

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One model version as passed to an evaluation: champion or candidate.

    Attributes
    ----------
    scores
        Shape ``(rows,)``, of several classes ``(rows, classes)``; None where scoring failed.
    trained_until
        Latest prediction time among the rows it was trained on.
    overlap_rows
        Number of the evaluation's rows that it was trained on, counted by key; None if unknown, and then the contender
        does not count.
    seconds_per_1000_rows
        Time that scoring took, for 1,000 rows; None if unknown.
    scored_keys
        `keys_digest` of the rows it was scored on; None where the caller scored exactly `keys`.
    trials_on_rows
        How many further combinations of its parameters were validated on rows of the evaluation; 0 where a search kept to
        training rows.
    importance
        How much its metric depends on each input, on rows of the evaluation; empty if it was not measured.
    failure
        Why it could not be loaded or scored; None on success.
    """

    version: int
    estimator: str
    scores: Floats | None
    trained_until: pd.Timestamp | None
    overlap_rows: int | None
    seconds_per_1000_rows: float | None = None
    scored_keys: str | None = None
    trials_on_rows: int = 0
    importance: tuple[InputImportance, ...] = ()
    failure: str | None = None


def failure_of(
    contender: Contender, instants: pd.DatetimeIndex, digest: str, problem: Target
) -> tuple[FailureKind, str] | None:
    """Return why a contender does not count, the first reason in the order of the rules; None if it counts.

    Parameters
    ----------
    instants, digest
        Times of the evaluation's rows, and the digest of their keys.
    """
    if contender.failure is None and contender.scores is not None:
        facts = ScoreFacts.of(np.asarray(contender.scores, dtype=np.float64), len(instants), problem)
    else:
        facts = None
    older = 0
    if contender.trained_until is not None and len(instants):
        older = int(np.sum(np.asarray(_in_utc(instants) <= _in_utc(contender.trained_until))))
    return fault_of(contender, facts, older, digest, problem)


@dataclass(frozen=True, kw_only=True)
class ScoreFacts:
    """What the scores of a contender are like, by which they count or not.

    Attributes
    ----------
    rows
        Of the evaluation.
    shape
        Of the scores.
    broken
        Scores that are NaN or infinite; of such scores the others are not known.
    lowest, highest, distinct
        The range of the scores, and how many different ones there are; with two or more, three stand for any number.
    """

    rows: int
    shape: tuple[int, ...]
    broken: int = 0
    lowest: float = 0.0
    highest: float = 0.0
    distinct: int = 0

    @classmethod
    def of(cls, scores: Floats, rows: int, problem: Target) -> "ScoreFacts":
        """Return the facts of scores that are at hand; of several classes those of all probabilities together."""
        broken = int(np.sum(~np.isfinite(scores)))
        if scores.shape != scores_shape(rows, problem) or broken or not rows:
            return cls(rows=rows, shape=scores.shape, broken=broken)
        alike = not np.ptp(scores, axis=0).any()
        return cls(
            rows=rows, shape=scores.shape, lowest=float(scores.min()), highest=float(scores.max()),
            distinct=1 if alike else int(np.unique(scores).size),
        )  # fmt: skip


def fault_of(
    contender: Contender, facts: ScoreFacts | None, older: int, digest: str, problem: Target
) -> tuple[FailureKind, str] | None:
    """Return why a contender does not count, from what is known of its scores; None if it counts.

    Parameters
    ----------
    facts
        None if it was not scored.
    older
        Rows of the evaluation that are not later than what it was trained on.
    """
    if contender.failure is not None:
        return FailureKind.RAISED, f"it could not be scored: {contender.failure}"
    if facts is None:
        return FailureKind.RAISED, "it was not scored and no error was given"
    return next(iter((*_provenance(contender, older, digest), *_score_faults(facts, problem))), None)


def _provenance(contender: Contender, older: int, digest: str) -> Iterator[tuple[FailureKind, str]]:
    if contender.scored_keys not in (None, digest):
        yield FailureKind.OTHER_ROWS, "it was scored on other rows than the evaluation's"
    if contender.overlap_rows is None:
        yield FailureKind.OVERLAP, "it is not recorded which rows it was trained on"
    elif contender.overlap_rows:
        yield FailureKind.OVERLAP, f"{contender.overlap_rows} rows of the evaluation were in its training set"
    if contender.trained_until is None:
        yield FailureKind.OLDER_ROWS, "it is not recorded until when it was trained"
    elif older:
        until = contender.trained_until.isoformat()
        yield (
            FailureKind.OLDER_ROWS, f"{older} rows of the evaluation are not later than {until}, until when it was trained"
        )  # fmt: skip


def _in_utc(instants: Any) -> Any:
    """Return one instant or many; those without a zone are in UTC."""
    return instants.tz_localize("UTC") if instants.tz is None else instants


def _score_faults(facts: ScoreFacts, problem: Target) -> Iterator[tuple[FailureKind, str]]:
    rows = facts.rows
    if facts.shape != scores_shape(rows, problem):
        yield FailureKind.OTHER_ROWS, f"it gave scores of shape {facts.shape} for {rows} rows"
        return
    if facts.broken:
        yield FailureKind.NOT_FINITE, f"{facts.broken} of {rows} scores are NaN or infinite"
        return
    if problem.classes and rows and (facts.lowest < 0 or facts.highest > 1):
        yield FailureKind.OUT_OF_RANGE, f"scores reach from {facts.lowest:.6g} to {facts.highest:.6g}, not from 0 to 1"
    if rows > 1 and facts.distinct == 1:
        yield FailureKind.CONSTANT, f"every score is {facts.lowest:.6g}"
    if problem.classes and rows > 2 and facts.distinct == 2:
        yield FailureKind.HARD_LABELS, "it gave two distinct scores only: hard labels instead of probabilities"
