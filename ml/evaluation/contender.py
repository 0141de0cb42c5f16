"""The contenders of an evaluation, and the reasons why one does not count: provenance first, then its scores."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.evaluation.record import FailureKind
from ml.models.importance import InputImportance
from ml.spec.estimator import Problem

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One model version as passed to an evaluation: champion or candidate.

    Attributes
    ----------
    scores
        Shape ``(rows,)``; None where scoring failed.
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
    contender: Contender, instants: pd.DatetimeIndex, digest: str, problem: Problem
) -> tuple[FailureKind, str] | None:
    """Return why a contender does not count, the first reason in the order of the rules; None if it counts.

    Parameters
    ----------
    instants, digest
        Times of the evaluation's rows, and the digest of their keys.
    """
    if contender.failure is not None:
        return FailureKind.RAISED, f"it could not be scored: {contender.failure}"
    if contender.scores is None:
        return FailureKind.RAISED, "it was not scored and no error was given"
    scores = np.asarray(contender.scores, dtype=np.float64)
    for kind, sentence in (*_provenance(contender, instants, digest), *_score_faults(scores, len(instants), problem)):
        return kind, sentence
    return None


def _provenance(contender: Contender, instants: pd.DatetimeIndex, digest: str) -> Iterator[tuple[FailureKind, str]]:
    if contender.scored_keys not in (None, digest):
        yield FailureKind.OTHER_ROWS, "it was scored on other rows than the evaluation's"
    if contender.overlap_rows is None:
        yield FailureKind.OVERLAP, "it is not recorded which rows it was trained on"
    elif contender.overlap_rows:
        yield FailureKind.OVERLAP, f"{contender.overlap_rows} rows of the evaluation were in its training set"
    if contender.trained_until is None:
        yield FailureKind.OLDER_ROWS, "it is not recorded until when it was trained"
    elif len(instants):
        older = int(np.sum(np.asarray(_in_utc(instants) <= _in_utc(contender.trained_until))))
        if older:
            yield (
                FailureKind.OLDER_ROWS,
                (
                    f"{older} rows of the evaluation are not later than {contender.trained_until.isoformat()}, until when it was trained"
                ),
            )


def _in_utc(instants: Any) -> Any:
    """Return one instant or many; those without a zone are in UTC."""
    return instants.tz_localize("UTC") if instants.tz is None else instants


def _score_faults(scores: Floats, rows: int, problem: Problem) -> Iterator[tuple[FailureKind, str]]:
    if scores.shape != (rows,):
        yield FailureKind.OTHER_ROWS, f"it gave scores of shape {scores.shape} for {rows} rows"
        return
    broken = int(np.sum(~np.isfinite(scores)))
    if broken:
        yield FailureKind.NOT_FINITE, f"{broken} of {rows} scores are NaN or infinite"
        return
    if problem is Problem.BINARY and rows and (scores.min() < 0 or scores.max() > 1):
        yield FailureKind.OUT_OF_RANGE, f"scores reach from {scores.min():.6g} to {scores.max():.6g}, not from 0 to 1"
    distinct = np.unique(scores).size
    if rows > 1 and distinct == 1:
        yield FailureKind.CONSTANT, f"every score is {scores[0]:.6g}"
    if problem is Problem.BINARY and rows > 2 and distinct == 2:
        yield FailureKind.HARD_LABELS, "it gave two distinct scores only: hard labels instead of probabilities"
