"""Rolls an environment back to the wheel and the jobs of the previous release, and changes nothing else.

The environment holds only the wheel that is deployed. The previous wheel is therefore built again from its commit, and
its bytes must have the hash of the release.
"""

import signal
from dataclasses import dataclass, replace
from pathlib import Path

from infra.releases.applying import stopped_by
from infra.releases.rebuild import checked_out, commit_of, rebuild_wheel, synthesize_checkout
from infra.releases.record import RecordKind, ReleaseOutcome, ReleaseRecord, current, previous_release
from infra.releases.recording import ReleaseRefusedError, record_end, record_start
from infra.releases.rollback_scope import RollbackDecision, decide_rollback, rollback_scope
from infra.releases.target import Say, Target, utc_now, who
from infra.terraform_cli.driver import Terraform, TerraformError
from infra.terraform_cli.interruption import StoppedBySignalError, signals_held


@dataclass(frozen=True, kw_only=True)
class RollbackResult:
    """How a rollback ended.

    Attributes
    ----------
    to
        The release that is deployed again, or would be.
    decision
        The changes that were made, or would be.
    outcome
        None after a dry run.
    interrupted_by
        The first signal that arrived while it was applied; None if none did.
    """

    to: ReleaseRecord
    decision: RollbackDecision
    outcome: ReleaseOutcome | None
    reason: str = ""
    interrupted_by: signal.Signals | None = None


def roll_back(
    target: Target, root: Path, *, dry_run: bool, deployed: str | None = None, say: Say = print
) -> RollbackResult:
    """Roll an environment back to the previous release.

    Parameters
    ----------
    target
        The environment.
    root
        The repository.
    dry_run
        Only plan.
    deployed
        The commit to roll back from, as git names it: the rollback is refused if another one is deployed. None for
        whichever is.

    Raises
    ------
    ReleaseRefusedError
        If there is no previous release, another one is deployed than `deployed` names, or the rollback would change
        more than wheel and jobs. Nothing was changed.
    RebuildError
        If the previous commit cannot be checked out, or gives another wheel. Nothing was changed.
    """
    if deployed is not None:
        _require_deployed(commit_of(deployed, root), target)
    previous = _previous(target)
    say(f"back to commit {previous.commit[:12]}, released {previous.at}")
    with checked_out(previous.commit, root) as tree:
        release = rebuild_wheel(tree, previous)
        say(f"{release.wheel} built again, sha256 {release.sha256} as released")
        stacks = synthesize_checkout(tree, target.folder)
        name = f"{target.environment}-workspace"
        terraform = target.terraform(stacks, [name])[name]
        terraform.init()
        scope = rollback_scope(stacks[name], terraform.dependencies())
        decision = decide_rollback(terraform.plan(lock=not dry_run, targets=scope), scope)
        if not decision.allowed:
            raise ReleaseRefusedError(
                "not rolled back, nothing was changed:\n" + "\n".join(f"- {r}" for r in decision.reasons) + FORWARD
            )
        for change in decision.changes:
            say(f"  {change.action}: {change.address}")
        if dry_run:
            return RollbackResult(to=previous, decision=decision, outcome=None)
        return _recorded(terraform, target, RollbackResult(to=previous, decision=decision, outcome=None), say)


def _recorded(terraform: Terraform, target: Target, planned: RollbackResult, say: Say) -> RollbackResult:
    """Apply the plan of a rollback, and record start and end."""
    with signals_held("the records") as held:
        record_start(target, _record(planned.to, terraform.stack, ReleaseOutcome.STARTED))
        outcome, reason = _apply(terraform, say)
        unrecorded = record_end(target, _record(planned.to, terraform.stack, outcome, reason))
    if unrecorded:
        outcome, reason = ReleaseOutcome.FAILED, f"{reason} {unrecorded}".strip()
    return replace(planned, outcome=outcome, reason=reason, interrupted_by=held.number)


FORWARD = "\nThe previous release differs in more than code: deploy its settings again as a change of their own."


def _previous(target: Target) -> ReleaseRecord:
    records = target.ledger.read()
    previous = previous_release(records)
    if previous is not None:
        return previous
    deployed = current(records)
    if deployed is None:
        why = "nothing was released yet"
    elif deployed.wheel is None:
        why = f"the last deployment, {deployed.commit[:12]} of {deployed.at}, deployed no wheel"
    else:
        why = f"nothing else was released before {deployed.commit[:12]} of {deployed.at}"
    raise ReleaseRefusedError(f"{target.environment} has no release to roll back to: {why}. Nothing was changed.")


def _require_deployed(commit: str, target: Target) -> None:
    there = current(target.ledger.read())
    if there is None or there.commit != commit:
        what = f"{there.commit[:12]}, by the {there.kind} of {there.at}," if there else "nothing"
        raise ReleaseRefusedError(
            f"{target.environment} is not rolled back from {commit[:12]}: {what} is deployed there. Nothing was changed."
        )


def _apply(terraform: Terraform, say: Say) -> tuple[ReleaseOutcome, str]:
    """Apply the plan and return how it ended, and why if it did not succeed."""
    try:
        terraform.apply(on_line=lambda line: say(f"  {line}"))
    except StoppedBySignalError as error:
        return ReleaseOutcome.INTERRUPTED, stopped_by(error.number)
    except (TerraformError, OSError) as error:
        return ReleaseOutcome.FAILED, str(error)
    return ReleaseOutcome.SUCCEEDED, ""


def _record(to: ReleaseRecord, stack: str, outcome: ReleaseOutcome, reason: str = "") -> ReleaseRecord:
    return ReleaseRecord(
        at=utc_now().isoformat(),
        kind=RecordKind.ROLLBACK,
        environment=to.environment,
        commit=to.commit,
        wheel=to.wheel,
        wheel_sha256=to.wheel_sha256,
        plan_sha256=None,
        outcome=outcome,
        applied=(stack,) if outcome is ReleaseOutcome.SUCCEEDED else (),
        reason=reason,
        stacks=(stack,),
        by=who(),
    )
