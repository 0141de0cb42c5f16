"""Applies one stack for `cdktf deploy` and `cdktf destroy`, through the same guards as `apply`.

The cdktf command line runs the program that TERRAFORM_BINARY_NAME names (docs/platform.md). It asks Terraform to plan, to
ask and to apply in one command. Here the three are apart: the plan is made under the lock and kept, whoever is not the
identity of the stack is refused, the start is recorded before the first change, signals are forwarded and waited for, and
what is applied is exactly the plan that was approved.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from infra.constructs.release import Release
from infra.releases.applying import stopped_by
from infra.releases.data_loss import data_losses, unnamed_losses
from infra.releases.ledger import Az
from infra.releases.record import RecordKind, ReleaseOutcome, ReleaseRecord
from infra.releases.recording import ReleaseRefusedError, record_end, record_start
from infra.releases.signed_in import other_identity
from infra.releases.target import Say, Target, utc_now, who
from infra.terraform_cli.driver import PLAN, Terraform, TerraformError
from infra.terraform_cli.interruption import StoppedBySignalError, signals_held

QUESTION = {
    "apply": "Do you want to perform these actions?",
    "destroy": "Do you really want to destroy all resources?",
}
"""Terraform's own questions, by which the cdktf command line knows that an approval is awaited."""
KINDS = {"apply": RecordKind.RELEASE, "destroy": RecordKind.REMOVAL}
"""What a command is recorded as."""
ANSWER = "yes"


@dataclass(frozen=True, kw_only=True)
class StackRequest:
    """What the cdktf command line asks for.

    Attributes
    ----------
    command
        ``apply`` or ``destroy``.
    approved
        Whether nobody is asked.
    allow_destroy
        The addresses with data that an ``apply`` may destroy.
    """

    command: str
    approved: bool
    allow_destroy: tuple[str, ...] = ()


def apply_stack(
    request: StackRequest,
    terraform: Terraform,
    target: Target,
    release: Release,
    *,
    ask: Callable[[], str],
    az: Az,
    say: Say = print,
) -> int:
    """Plan, ask, record and apply one stack; return the exit code.

    Parameters
    ----------
    terraform
        In the stack's folder.
    target
        Where its releases are recorded: those of the identity that applies the stack.
    release
        The commit that is checked out and its wheel.
    ask
        Returns the answer to the question that was printed.

    Raises
    ------
    TerraformError
        If the plan cannot be made or the apply fails; the failure is recorded.
    ReleaseRefusedError
        If somebody else applies the stack, data would be destroyed that nobody has named, or the start cannot be recorded;
        nothing is changed. ``destroy`` names the whole stack: it asks, and what is declared as protected stops it.
    StoppedBySignalError
        If a signal has arrived; Terraform has ended what it had begun.
    """
    plan = terraform.plan(lock=True, destroy=request.command == "destroy")
    say(terraform.text_of_plan())
    if not _changes(plan):
        say("No changes: nothing is applied.")
        return 0
    plans = {terraform.stack: plan}
    losses = () if request.command == "destroy" else data_losses(plans)
    if reasons := (*other_identity(plans, az), *unnamed_losses(losses, request.allow_destroy)):
        raise ReleaseRefusedError("the plan is not applied:\n" + "\n".join(f"- {reason}" for reason in reasons))
    if not request.approved:
        say(
            f"{QUESTION[request.command]}\n  Only '{ANSWER}' approves; exactly this plan is applied.\n\n  Enter a value:"
        )
        if ask().strip() != ANSWER:
            say("Not approved: nothing is changed.")
            return 1
    start = _record(terraform, target, release, plan, kind=KINDS[request.command])
    with signals_held("the records") as held:
        record_start(target, start)
        error = _applied(terraform, say)
        unrecorded = record_end(target, _ended(start, terraform, error))
    if unrecorded:
        say(unrecorded)
    if error is not None:
        raise error
    if held.number is not None:
        raise StoppedBySignalError(held.number, remedy="Everything is applied.")
    return 1 if unrecorded else 0


def _applied(terraform: Terraform, say: Say) -> TerraformError | StoppedBySignalError | None:
    """Apply the plan of the stack's folder and return what went wrong."""
    try:
        terraform.apply(on_line=say)
    except (TerraformError, StoppedBySignalError) as error:
        return error
    return None


def _changes(plan: dict[str, Any]) -> bool:
    """Return whether a plan changes resources or outputs; reading data changes nothing."""
    resources = (change["change"]["actions"] for change in plan.get("resource_changes", ()))
    outputs = (change["actions"] for change in plan.get("output_changes", {}).values())
    return any(actions not in (["no-op"], ["read"]) for actions in (*resources, *outputs))


def _record(
    terraform: Terraform, target: Target, release: Release, plan: dict[str, Any], *, kind: RecordKind
) -> ReleaseRecord:
    wheel = release.sha256 is not None and "wheel" in plan.get("planned_values", {}).get("outputs", {})
    return ReleaseRecord(
        at=utc_now().isoformat(),
        kind=kind,
        environment=target.environment,
        commit=release.commit,
        wheel=release.wheel if wheel else None,
        wheel_sha256=release.sha256 if wheel else None,
        plan_sha256=hashlib.sha256((terraform.folder / PLAN).read_bytes()).hexdigest(),
        outcome=ReleaseOutcome.STARTED,
        stacks=(terraform.stack,),
        by=who(),
    )


def _ended(
    start: ReleaseRecord, terraform: Terraform, error: TerraformError | StoppedBySignalError | None
) -> ReleaseRecord:
    if error is None:
        outcome, reason = ReleaseOutcome.SUCCEEDED, ""
    elif isinstance(error, StoppedBySignalError):
        outcome, reason = ReleaseOutcome.INTERRUPTED, stopped_by(error.number)
    else:
        outcome, reason = ReleaseOutcome.FAILED, str(error)
    applied = (terraform.stack,) if error is None else ()
    return replace(start, at=utc_now().isoformat(), outcome=outcome, applied=applied, reason=reason)


def stack_folder(here: Path) -> str | None:
    """Return the name of the stack whose folder this is, as the cdktf command line enters it; None for another folder."""
    return here.name if here.parent.name == "stacks" and (here / "cdk.tf.json").is_file() else None
