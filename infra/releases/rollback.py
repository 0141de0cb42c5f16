"""Rolls an environment back to the wheel and the jobs of the previous release, and changes nothing else.

The environment holds only the wheel that is deployed. The previous wheel is therefore built again from its commit, and
its bytes must have the hash of the release.
"""

from dataclasses import dataclass
from pathlib import Path

from infra.releases.applying import INTERRUPTED, ReleaseRefusedError, record_failure
from infra.releases.rebuild import checked_out, rebuild_wheel, synthesize_checkout
from infra.releases.record import RecordKind, ReleaseOutcome, ReleaseRecord, current, previous_release
from infra.releases.rollback_scope import RollbackDecision, decide_rollback, rollback_scope
from infra.releases.target import Say, Target, utc_now
from infra.terraform_cli.driver import Terraform, TerraformError


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
    """

    to: ReleaseRecord
    decision: RollbackDecision
    outcome: ReleaseOutcome | None
    reason: str = ""


def roll_back(target: Target, root: Path, *, dry_run: bool, say: Say = print) -> RollbackResult:
    """Roll an environment back to the previous release.

    Parameters
    ----------
    target
        The environment.
    root
        The repository.
    dry_run
        Only plan.

    Raises
    ------
    ReleaseRefusedError
        If there is no previous release, or the rollback would change more than wheel and jobs. Nothing was changed.
    RebuildError
        If the previous commit cannot be checked out, or gives another wheel. Nothing was changed.
    """
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
        reason = _apply(terraform, say)
    outcome = ReleaseOutcome.FAILED if reason else ReleaseOutcome.SUCCEEDED
    unrecorded = record_failure(target, _record(previous, outcome, () if reason else (name,), reason))
    if unrecorded:
        outcome, reason = ReleaseOutcome.FAILED, f"{reason} {unrecorded}".strip()
    return RollbackResult(to=previous, decision=decision, outcome=outcome, reason=reason)


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


def _apply(terraform: Terraform, say: Say) -> str:
    """Apply the plan and return why that failed; empty if it did not."""
    try:
        terraform.apply(on_line=lambda line: say(f"  {line}"))
    except (TerraformError, OSError, KeyboardInterrupt) as error:
        return str(error) or INTERRUPTED
    return ""


def _record(to: ReleaseRecord, outcome: ReleaseOutcome, applied: tuple[str, ...], reason: str) -> ReleaseRecord:
    return ReleaseRecord(
        at=utc_now().isoformat(),
        kind=RecordKind.ROLLBACK,
        environment=to.environment,
        commit=to.commit,
        wheel=to.wheel,
        wheel_sha256=to.wheel_sha256,
        plan_sha256=None,
        outcome=outcome,
        applied=applied,
        reason=reason,
    )
