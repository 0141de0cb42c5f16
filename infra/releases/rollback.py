"""Takes an environment back to the wheel and jobs of the release before, and to nothing else of it.

The wheel is not taken from the environment, which holds only the one that is deployed: it is built again from its
commit, and its bytes are proven to be those that were released.
"""

from dataclasses import dataclass
from pathlib import Path

from infra.releases.applying import INTERRUPTED, ReleaseRefusedError, record_failure
from infra.releases.rebuild import checked_out, rebuild_wheel, synthesize_checkout
from infra.releases.record import RecordKind, ReleaseOutcome, ReleaseRecord, current, previous_release
from infra.releases.rollback_scope import RollbackScope, rollback_addresses, rollback_scope
from infra.releases.target import Say, Target, utc_now
from infra.terraform_cli.driver import Terraform, TerraformError


@dataclass(frozen=True, kw_only=True)
class RollbackResult:
    """How going back ended.

    Attributes
    ----------
    to
        The release that is, or would be, there again.
    way
        What moved, or would move.
    outcome
        None if nothing was to be moved but only looked at.
    """

    to: ReleaseRecord
    way: RollbackScope
    outcome: ReleaseOutcome | None
    reason: str = ""


def roll_back(target: Target, root: Path, *, dry_run: bool, say: Say = print) -> RollbackResult:
    """Go back to the release before.

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
    RefusedError
        If there is no release before, or the way back would touch more than wheel and jobs. Nothing was moved.
    PastError
        If the earlier commit cannot be had, or gives another wheel. Nothing was moved.
    """
    before = _before(target)
    say(f"back to commit {before.commit[:12]}, released {before.at}")
    with checked_out(before.commit, root) as tree:
        release = rebuild_wheel(tree, before)
        say(f"{release.wheel} built again, sha256 {release.sha256} as released")
        stacks = synthesize_checkout(tree, target.folder)
        name = f"{target.environment}-workspace"
        terraform = target.terraform(stacks, [name])[name]
        terraform.init()
        addresses = rollback_addresses(stacks[name], terraform.held())
        way = rollback_scope(terraform.plan(lock=not dry_run, targets=addresses), addresses)
        if not way.allowed:
            raise ReleaseRefusedError(
                "not gone back, nothing is moved:\n" + "\n".join(f"- {r}" for r in way.reasons) + FORWARD
            )
        for change in way.moves:
            say(f"  {change.action}: {change.address}")
        if dry_run:
            return RollbackResult(to=before, way=way, outcome=None)
        reason = _applied(terraform, say)
    outcome = ReleaseOutcome.FAILED if reason else ReleaseOutcome.SUCCEEDED
    unrecorded = record_failure(target, _record(before, outcome, () if reason else (name,), reason))
    if unrecorded:
        return RollbackResult(
            to=before, way=way, outcome=ReleaseOutcome.FAILED, reason=f"{reason} {unrecorded}".strip()
        )
    return RollbackResult(to=before, way=way, outcome=outcome, reason=reason)


FORWARD = "\nThe release before differs in more than code: deploy its settings again as a change of their own."


def _before(target: Target) -> ReleaseRecord:
    records = target.ledger.read()
    before = previous_release(records)
    if before is not None:
        return before
    there = current(records)
    told = "nothing was released yet"
    if there is not None:
        told = f"before {there.commit[:12]} of {there.at} nothing else was"
        if there.wheel is None:
            told = f"the last deployment, {there.commit[:12]} of {there.at}, moved no wheel"
    raise ReleaseRefusedError(f"{target.environment} has no release to go back to: {told}. Nothing is moved.")


def _applied(terraform: Terraform, say: Say) -> str:
    """Apply the plan and return why that failed; empty if it did not."""
    try:
        terraform.apply(tell=lambda line: say(f"  {line}"))
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
