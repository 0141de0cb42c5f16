"""Applies a saved plan: exactly its files, stack by stack, and records that it starts and how it ended.

The same call can be repeated after it was cut off anywhere. What Terraform has not begun is applied; what is applied
already is found to be there; of what was applied in part, the plan is void, and the reason says to plan again.
"""

import datetime as dt
import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from infra.constructs.release import Release
from infra.releases.apply_decision import ApplyRequest, decide_apply
from infra.releases.data_loss import data_losses, unnamed_losses
from infra.releases.ledger import run_az
from infra.releases.record import RecordKind, ReleaseOutcome, ReleaseRecord, deployments
from infra.releases.recording import ReleaseRefusedError, record_end, record_start
from infra.releases.saved_plan import Manifest, digests, file_hashes, read_manifest, reviewed
from infra.releases.saving import named_outputs
from infra.releases.signed_in import other_identity
from infra.releases.target import Say, Target, utc_now, who
from infra.terraform_cli.driver import LOCK_FILE, Terraform, TerraformError
from infra.terraform_cli.interruption import StoppedBySignalError, signals_held
from infra.terraform_cli.synthesized import SynthesizedStack, UnusableStackError


@dataclass(frozen=True, kw_only=True)
class ApplyResult:
    """How applying a plan ended.

    Attributes
    ----------
    applied, not_applied
        Stacks that were applied, and stacks that were not, the failed one first.
    interrupted_by
        The first signal that arrived meanwhile; None if none did.
    """

    outcome: ReleaseOutcome
    applied: tuple[str, ...]
    not_applied: tuple[str, ...]
    reason: str = ""
    interrupted_by: signal.Signals | None = None


def apply_saved_plan(
    stacks: Mapping[str, SynthesizedStack],
    target: Target,
    release: Release,
    folder: Path,
    *,
    sha256: str,
    maximum_age: dt.timedelta,
    say: Say = print,
) -> ApplyResult:
    """Apply a saved plan, if there is no reason against it, and record start and end.

    A plan that was applied already, as the last deployment, is not applied again: its recorded outcome is returned.

    Parameters
    ----------
    stacks
        Every synthesized stack, in order.
    release
        The commit that is checked out and its wheel.
    folder
        The folder of the saved plan.
    sha256
        The hash that was reviewed.

    Raises
    ------
    SavedPlanError
        If the folder holds no plan that can be read.
    ReleaseRefusedError
        If there is a reason against it, with every reason.
    """
    manifest = read_manifest(folder)
    request = ApplyRequest(
        environment=target.environment,
        sha256=sha256,
        maximum_age=maximum_age,
        now=utc_now(),
        commit=release.commit,
        wheel=release.sha256,
        files=file_hashes(folder),
    )
    _require(decide_apply(manifest, request).reasons)
    missing = sorted(set(manifest.stacks) - set(stacks))
    if missing:
        raise UnusableStackError(f"not synthesized: {', '.join(missing)}. Run `python -m infra synth` first.")
    # Without the records nobody could roll back afterwards: if they cannot be read, nothing is applied.
    before = _last_of(manifest, target)
    if before is not None and before.outcome in DONE:
        say(f"this plan was applied already, as recorded at {before.at}")
        return _result(before, manifest)
    _require(_signed_in(target, manifest, folder))
    runs = target.terraform(stacks, manifest.stacks)
    _require(_stale(stacks, runs, manifest, folder))
    _require(_different_from_review(runs, folder))
    _require(unnamed_losses(data_losses({name: reviewed(folder, name)[0] for name in runs}), manifest.destroys))
    with signals_held("the records") as held:
        record_start(target, _record(manifest, ReleaseOutcome.STARTED))
        result = _in_order(runs, manifest, folder, say, resumed=before is not None)
        unrecorded = record_end(target, _record(manifest, result.outcome, result.applied, result.reason))
    if unrecorded:
        result = replace(result, outcome=ReleaseOutcome.FAILED, reason=f"{result.reason} {unrecorded}".strip())
    return replace(result, interrupted_by=held.number)


DONE = (ReleaseOutcome.SUCCEEDED, ReleaseOutcome.INCOMPLETE)
"""The outcomes after which nothing of a plan is left to apply."""


def _last_of(manifest: Manifest, target: Target) -> ReleaseRecord | None:
    """Return the record of the last deployment if it applied this plan, else None."""
    found = deployments(target.ledger.read())
    mine = found and found[-1].same_deployment(_record(manifest, ReleaseOutcome.STARTED))
    return found[-1] if mine else None


def _require(reasons: tuple[str, ...]) -> None:
    if reasons:
        raise ReleaseRefusedError("the plan is not applied:\n" + "\n".join(f"- {reason}" for reason in reasons))


def _signed_in(target: Target, manifest: Manifest, folder: Path) -> tuple[str, ...]:
    """Return a reason for each stack that somebody else applies than who is signed in; offline nobody is."""
    if target.offline:
        return ()
    return other_identity({name: reviewed(folder, name)[0] for name in manifest.stacks}, run_az)


def _stale(
    stacks: Mapping[str, SynthesizedStack], runs: Mapping[str, Terraform], manifest: Manifest, folder: Path
) -> tuple[str, ...]:
    """Return a reason for each plan that was made from outputs of other stacks that have changed since."""
    reasons = []
    for name, planned_from in manifest.stacks.items():
        shutil.copyfile(folder / f"{name}.lock.hcl", runs[name].folder / LOCK_FILE)
        now = digests(named_outputs(stacks[name], runs[name].outputs_read()))
        moved = sorted(key for key in {*planned_from, *now} if planned_from.get(key) != now.get(key))
        if moved:
            reasons.append(f"{name} was planned from values of {', '.join(moved)} that have changed since: plan again.")
    return tuple(reasons)


def _different_from_review(runs: Mapping[str, Terraform], folder: Path) -> tuple[str, ...]:
    """Return a reason for each plan that does something else than its JSON and text say: the hash covers bytes only."""
    reasons = []
    for name, terraform in runs.items():
        terraform.init(locked=True)
        plan = folder / f"{name}.plan"
        if reviewed(folder, name) != (terraform.shown(plan), terraform.text_of_plan(plan)):
            reasons.append(f"the plan of {name} differs from what was shown to reviewers: plan again.")
    return tuple(reasons)


def _in_order(
    runs: Mapping[str, Terraform], manifest: Manifest, folder: Path, say: Say, *, resumed: bool
) -> ApplyResult:
    names = list(runs)

    def ended(outcome: ReleaseOutcome, position: int, reason: str) -> ApplyResult:
        left = (*names[position:], *manifest.deferred)
        return ApplyResult(outcome=outcome, applied=tuple(names[:position]), not_applied=left, reason=reason)

    for position, name in enumerate(names):
        say(f"{name} ({position + 1} of {len(names)}): applying the reviewed plan")
        try:
            runs[name].apply(plan=folder / f"{name}.plan", on_line=lambda line: say(f"  {line}"))
        except StoppedBySignalError as error:
            return ended(ReleaseOutcome.INTERRUPTED, position, stopped_by(error.number))
        except (TerraformError, OSError) as error:
            if not (resumed and _is_there(runs[name])):
                return ended(ReleaseOutcome.FAILED, position, str(error))
            say(f"{name}: applied already, by the run that did not finish")
            continue
        say(f"{name}: applied")
    why = f"{', '.join(manifest.deferred)} could not be planned yet: plan, review and apply again."
    outcome = ReleaseOutcome.INCOMPLETE if manifest.deferred else ReleaseOutcome.SUCCEEDED
    return ended(outcome, len(names), why if manifest.deferred else "")


def stopped_by(number: signal.Signals) -> str:
    """Return why an apply did not go on, for its record."""
    return f"interrupted by {number.name}: Terraform has finished what it had begun, and stopped."


def _is_there(terraform: Terraform) -> bool:
    """Return whether everything that the stack states is deployed already: planned again, nothing would change."""
    try:
        return not terraform.has_changes()
    except TerraformError:
        return False


def _result(record: ReleaseRecord, manifest: Manifest) -> ApplyResult:
    return ApplyResult(
        outcome=record.outcome, applied=record.applied, not_applied=tuple(manifest.deferred), reason=record.reason
    )


def _record(
    manifest: Manifest, outcome: ReleaseOutcome, applied: tuple[str, ...] = (), reason: str = ""
) -> ReleaseRecord:
    return ReleaseRecord(
        at=utc_now().isoformat(),
        kind=RecordKind.RELEASE,
        environment=manifest.environment,
        commit=manifest.commit,
        wheel=manifest.wheel.name if manifest.wheel else None,
        wheel_sha256=manifest.wheel.sha256 if manifest.wheel else None,
        plan_sha256=manifest.sha256,
        outcome=outcome,
        applied=applied,
        reason=reason,
        stacks=tuple(manifest.stacks),
        by=who(),
    )
