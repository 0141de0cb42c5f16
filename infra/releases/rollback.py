"""Takes an environment back to the wheel and jobs of the release before, and to nothing else of it.

The wheel is not taken from the environment, which holds only the one that is deployed: it is built again from its
commit, and its bytes are proven to be those that were released.
"""

from dataclasses import dataclass
from pathlib import Path

from infra.releases.applying import INTERRUPTED, RefusedError, not_recorded
from infra.releases.rebuild import checked_out, rebuilt, synthesized_at
from infra.releases.record import Kind, Outcome, Record, current, release_before
from infra.releases.rollback_scope import WayBack, movable, way_back
from infra.releases.target import Say, Target, utc_now
from infra.terraform_cli.driver import Terraform, TerraformError


@dataclass(frozen=True, kw_only=True)
class WentBack:
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

    to: Record
    way: WayBack
    outcome: Outcome | None
    reason: str = ""


def go_back(target: Target, root: Path, *, dry_run: bool, say: Say = print) -> WentBack:
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
        release = rebuilt(tree, before)
        say(f"{release.wheel} built again, sha256 {release.sha256} as released")
        stacks = synthesized_at(tree, target.folder)
        name = f"{target.environment}-workspace"
        terraform = target.terraform(stacks, [name])[name]
        terraform.init()
        addresses = movable(stacks[name], terraform.held())
        way = way_back(terraform.plan(lock=not dry_run, targets=addresses), addresses)
        if not way.allowed:
            raise RefusedError(
                "not gone back, nothing is moved:\n" + "\n".join(f"- {r}" for r in way.reasons) + FORWARD
            )
        for change in way.moves:
            say(f"  {change.action}: {change.address}")
        if dry_run:
            return WentBack(to=before, way=way, outcome=None)
        reason = _applied(terraform, say)
    outcome = Outcome.FAILED if reason else Outcome.SUCCEEDED
    unrecorded = not_recorded(target, _record(before, outcome, () if reason else (name,), reason))
    if unrecorded:
        return WentBack(to=before, way=way, outcome=Outcome.FAILED, reason=f"{reason} {unrecorded}".strip())
    return WentBack(to=before, way=way, outcome=outcome, reason=reason)


FORWARD = "\nThe release before differs in more than code: deploy its settings again as a change of their own."


def _before(target: Target) -> Record:
    records = target.ledger.read()
    before = release_before(records)
    if before is not None:
        return before
    there = current(records)
    told = "nothing was released yet"
    if there is not None:
        told = f"before {there.commit[:12]} of {there.at} nothing else was"
        if there.wheel is None:
            told = f"the last deployment, {there.commit[:12]} of {there.at}, moved no wheel"
    raise RefusedError(f"{target.environment} has no release to go back to: {told}. Nothing is moved.")


def _applied(terraform: Terraform, say: Say) -> str:
    """Apply the plan and return why that failed; empty if it did not."""
    try:
        terraform.apply(tell=lambda line: say(f"  {line}"))
    except (TerraformError, OSError, KeyboardInterrupt) as error:
        return str(error) or INTERRUPTED
    return ""


def _record(to: Record, outcome: Outcome, applied: tuple[str, ...], reason: str) -> Record:
    return Record(
        at=utc_now().isoformat(),
        kind=Kind.ROLLBACK,
        environment=to.environment,
        commit=to.commit,
        wheel=to.wheel,
        wheel_sha256=to.wheel_sha256,
        plan_sha256=None,
        outcome=outcome,
        applied=applied,
        reason=reason,
    )
