"""The record of what was released into an environment: two JSON lines per deployment, and which one a rollback returns to.

The first line says that a deployment has started and is written before its first change, the second how it ended. Where
the second is missing, the deployment was cut off: part of it may be there. Lines are only appended. `ledger` stores them.
"""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ml.spec.errors import NotPossibleError


class RecordKind(StrEnum):
    """What changed the environment."""

    RELEASE = "release"
    ROLLBACK = "rollback"
    REMOVAL = "removal"
    """All that a stack has made was destroyed."""


class ReleaseOutcome(StrEnum):
    """How a deployment ended, or that it has started."""

    STARTED = "started"
    """The only record of a deployment that runs, or that was cut off."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    INCOMPLETE = "incomplete"
    """Everything that was planned is applied, but a stack waits for a plan on the new outputs of another."""
    INTERRUPTED = "interrupted"
    """A signal has stopped it: Terraform has finished what it had begun, and nothing after that."""


class ReleaseRecordError(NotPossibleError, ValueError):
    """A line of the records is not a record."""


@dataclass(frozen=True, kw_only=True)
class ReleaseRecord:
    """The start or the end of one deployment.

    Attributes
    ----------
    at
        UTC, ISO 8601.
    commit
        In full.
    wheel, wheel_sha256
        File name and hash of the wheel; None where no stack of the environment uploads one.
    plan_sha256
        Hash of the saved plan that was applied; None for a rollback, which makes its own plan.
    applied
        The stacks that were applied.
    reason
        Why it failed or what it waits for; empty after a success.
    stacks
        The stacks that it was to change; empty in records from before this was recorded.
    by
        Who started it, as ``user@machine``; empty in records from before this was recorded.
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
    stacks: tuple[str, ...] = ()
    by: str = ""

    def same_deployment(self, other: "ReleaseRecord") -> bool:
        """Return whether both are of one deployment, or of a deployment and its repetition."""
        return (self.kind, self.environment, self.commit, self.plan_sha256) == (
            other.kind, other.environment, other.commit, other.plan_sha256,
        )  # fmt: skip


def as_line(record: ReleaseRecord) -> str:
    """Return the record as one line of JSON."""
    return json.dumps(dataclasses.asdict(record), sort_keys=True) + "\n"


def read_records(text: str) -> tuple[ReleaseRecord, ...]:
    """Return the records of a file, oldest first.

    Raises
    ------
    ReleaseRecordError
        If a line is not a record, with its number.
    """
    return tuple(_record(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip())


def deployments(records: Sequence[ReleaseRecord]) -> tuple[ReleaseRecord, ...]:
    """Return the last record of each deployment, in order: its end, or its start where it never ended.

    Parameters
    ----------
    records
        Of one environment, oldest first. Records from before starts were recorded are ends.
    """
    found: list[ReleaseRecord] = []
    for record in records:
        found = [f for f in found if f.outcome is not ReleaseOutcome.STARTED or not f.same_deployment(record)]
        found.append(record)
    return tuple(found)


def unfinished(records: Sequence[ReleaseRecord]) -> ReleaseRecord | None:
    """Return the start of the last deployment if it has not ended; None if it has, or if there was none."""
    return records[-1] if records and records[-1].outcome is ReleaseOutcome.STARTED else None


def previous_release(records: Sequence[ReleaseRecord]) -> ReleaseRecord | None:
    """Return the release that a rollback returns to: the last one that succeeded, other than the deployed one.

    A rolled-back release is never a rollback target. A deployment that failed, was interrupted or never ended counts as deployed,
    because part of it may be.
    After a deployment without a wheel there is no target, because that deployment did not change the code.

    Parameters
    ----------
    records
        Of one environment, oldest first.

    Returns
    -------
    ReleaseRecord or None
        None if there is no such release.
    """
    deployed = current(records)
    if deployed is not None and deployed.wheel is None:
        return None
    standing = [
        r for r in _standing(records) if r.wheel is not None and (deployed is None or r.commit != deployed.commit)
    ]
    return standing[-1] if standing else None


def current(records: Sequence[ReleaseRecord]) -> ReleaseRecord | None:
    """Return what is deployed now, in whole or in part where it did not succeed; None if nothing was deployed yet."""
    deployed = [r for r in records if r.kind is not RecordKind.ROLLBACK or r.outcome is ReleaseOutcome.SUCCEEDED]
    return deployed[-1] if deployed else None


def _standing(records: Iterable[ReleaseRecord]) -> list[ReleaseRecord]:
    """Return the releases that succeeded and were not rolled back, oldest first."""
    standing: list[ReleaseRecord] = []
    for record in records:
        if record.outcome is not ReleaseOutcome.SUCCEEDED:
            continue
        if record.kind is RecordKind.RELEASE:
            standing.append(record)
        elif record.kind is RecordKind.ROLLBACK:
            commits = [other.commit for other in standing]
            kept = len(commits) - commits[::-1].index(record.commit) if record.commit in commits else 0
            standing = standing[:kept]
    return standing


def _record(number: int, line: str) -> ReleaseRecord:
    try:
        content = json.loads(line)
        kind, outcome = RecordKind(content["kind"]), ReleaseOutcome(content["outcome"])
        stacks = {"applied": tuple(content["applied"]), "stacks": tuple(content.get("stacks", ()))}
        return ReleaseRecord(**{**content, "kind": kind, "outcome": outcome, **stacks})
    except (ValueError, KeyError, TypeError) as error:
        raise ReleaseRecordError(
            f"line {number} of the records of releases is not a record ({error}): {line[:80]}"
        ) from error
