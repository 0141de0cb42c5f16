"""Records a deployment around its changes: that it has started before the first one, how it ended after the last one."""

from infra.releases.ledger import LedgerError
from infra.releases.record import ReleaseOutcome, ReleaseRecord, as_line, unfinished
from infra.releases.target import Target
from ml.spec.errors import NotPossibleError


class ReleaseRefusedError(NotPossibleError):
    """A plan may not be applied or a rollback may not be done; the message has every reason. Nothing was changed."""


def record_start(target: Target, start: ReleaseRecord) -> None:
    """Append that a deployment starts; where the same one has started last and never ended, that record stays.

    Raises
    ------
    ReleaseRefusedError
        If it cannot be recorded: without the record, nobody could tell that part of the deployment is there.
    """
    try:
        last = unfinished(target.ledger.read())
        if last is None or not last.same_deployment(start):
            target.ledger.append(start)
    except (LedgerError, OSError) as error:
        raise ReleaseRefusedError(
            f"nothing was changed, because the start of the {start.kind} cannot be recorded: {error}"
        ) from error


def record_end(target: Target, end: ReleaseRecord) -> str:
    """Append how a deployment ended and return why that failed; empty if it did not. What was applied stays applied."""
    if end.outcome is ReleaseOutcome.STARTED:
        raise ValueError("a deployment does not end by starting.")
    try:
        target.ledger.append(end)
    except (LedgerError, OSError) as error:
        return f"It is not recorded ({error}); append this line to the records by hand: {as_line(end).strip()}"
    return ""
