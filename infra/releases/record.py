"""What was released into an environment: one JSON line per deployment, only ever appended, and which one is the way back.

Where the lines are kept is the business of `ledger`.
"""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class RecordKind(StrEnum):
    """What moved the environment."""

    RELEASE = "release"
    ROLLBACK = "rollback"


class ReleaseOutcome(StrEnum):
    """How it ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    INCOMPLETE = "incomplete"
    """Everything that was planned is applied, but a stack waits for a plan on the new outputs of another."""


class ReleaseRecordError(ValueError):
    """A line of the records is none."""


@dataclass(frozen=True, kw_only=True)
class ReleaseRecord:
    """One deployment.

    Attributes
    ----------
    at
        UTC, ISO 8601.
    commit
        In full.
    wheel, wheel_sha256
        File name and hash of the wheel; None where no stack of the environment uploads one.
    plan_sha256
        Hash of the kept plan that was applied; None for a rollback, which makes its own.
    applied
        The stacks that were applied.
    reason
        Why it failed or what it waits for; empty after a success.
    """

    at: str
    kind: RecordKind
    environment: str
    commit: str
    wheel: str | None
    wheel_sha256: str | None
    plan_sha256: str | None
    outcome: ReleaseOutcome
    applied: tuple[str, ...] = ()
    reason: str = ""


def as_line(record: ReleaseRecord) -> str:
    """Return the record as one line of JSON."""
    return json.dumps(dataclasses.asdict(record), sort_keys=True) + "\n"


def read_records(text: str) -> tuple[ReleaseRecord, ...]:
    """Return the records of a file, oldest first.

    Raises
    ------
    RecordError
        If any line is no record, with its number.
    """
    return tuple(_record(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip())


def previous_release(records: Sequence[ReleaseRecord]) -> ReleaseRecord | None:
    """Return the release to go back to: the last one that succeeded, other than what is there now.

    What was gone back from is not gone to again, and a deployment that failed counts as being there: part of it is.
    After a deployment that moved no wheel there is nothing to go back to: the code is not what it changed.

    Parameters
    ----------
    records
        Of one environment, oldest first.

    Returns
    -------
    Record or None
        None if nothing was released before.
    """
    there = current(records)
    if there is not None and there.wheel is None:
        return None
    standing = [r for r in _standing(records) if r.wheel is not None and (there is None or r.commit != there.commit)]
    return standing[-1] if standing else None


def current(records: Sequence[ReleaseRecord]) -> ReleaseRecord | None:
    """Return what is deployed now, in whole or, after a failure, in part; None if nothing was deployed yet."""
    moved = [r for r in records if r.kind is RecordKind.RELEASE or r.outcome is ReleaseOutcome.SUCCEEDED]
    return moved[-1] if moved else None


def _standing(records: Iterable[ReleaseRecord]) -> list[ReleaseRecord]:
    """Return the releases that succeeded and were not gone back from, oldest first."""
    standing: list[ReleaseRecord] = []
    for record in records:
        if record.outcome is not ReleaseOutcome.SUCCEEDED:
            continue
        if record.kind is RecordKind.RELEASE:
            standing.append(record)
        else:
            commits = [other.commit for other in standing]
            kept = len(commits) - commits[::-1].index(record.commit) if record.commit in commits else 0
            standing = standing[:kept]
    return standing


def _record(number: int, line: str) -> ReleaseRecord:
    try:
        content = json.loads(line)
        kind, outcome = RecordKind(content["kind"]), ReleaseOutcome(content["outcome"])
        return ReleaseRecord(**{**content, "kind": kind, "outcome": outcome, "applied": tuple(content["applied"])})
    except (ValueError, KeyError, TypeError) as error:
        raise ReleaseRecordError(
            f"line {number} of the records of releases is no record ({error}): {line[:80]}"
        ) from error
