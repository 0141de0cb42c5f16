"""Applies a saved plan: exactly its files, stack by stack, and records how it ended."""

import datetime as dt
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from infra.constructs.deployment import Release
from infra.releases.apply_decision import ApplyRequest, decide_apply
from infra.releases.ledger import LedgerError
from infra.releases.record import RecordKind, ReleaseOutcome, ReleaseRecord, as_line
from infra.releases.saved_plan import Manifest, digests, file_hashes, read_manifest, reviewed
from infra.releases.saving import named_outputs
from infra.releases.target import Say, Target, utc_now
from infra.terraform_cli.driver import LOCK_FILE, Terraform, TerraformError
from infra.terraform_cli.synthesized import SynthesizedStack, UnusableStackError
from ml.spec.errors import NotPossibleError


class ReleaseRefusedError(NotPossibleError):
    """A plan may not be applied or a rollback may not be done; the message has every reason. Nothing was changed."""


@dataclass(frozen=True, kw_only=True)
class ApplyResult:
    """How applying a plan ended.

    Attributes
    ----------
    applied, not_applied
        Stacks that were applied, and stacks that were not, the failed one first.
    """

    outcome: ReleaseOutcome
    applied: tuple[str, ...]
    not_applied: tuple[str, ...]
    reason: str = ""


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
    """Apply a saved plan, if there is no reason against it, and append the record.

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
    runs = target.terraform(stacks, manifest.stacks)
    _require(_stale(stacks, runs, manifest, folder))
    _require(_different_from_review(runs, folder))
    # Without the records nobody could roll back afterwards: if they cannot be read, nothing is applied.
    target.ledger.read()
    result = _in_order(runs, manifest, folder, say)
    unrecorded = record_failure(target, _record(manifest, result))
    if unrecorded:
        return replace(result, outcome=ReleaseOutcome.FAILED, reason=f"{result.reason} {unrecorded}".strip())
    return result


def record_failure(target: Target, record: ReleaseRecord) -> str:
    """Append a record and return why that failed; empty if it did not. What was applied before stays applied."""
    try:
        target.ledger.append(record)
    except (LedgerError, OSError) as error:
        return f"It is not recorded ({error}); append this line to the records by hand: {as_line(record).strip()}"
    return ""


def _require(reasons: tuple[str, ...]) -> None:
    if reasons:
        raise ReleaseRefusedError("the plan is not applied:\n" + "\n".join(f"- {reason}" for reason in reasons))


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


def _in_order(runs: Mapping[str, Terraform], manifest: Manifest, folder: Path, say: Say) -> ApplyResult:
    names = list(runs)
    for position, name in enumerate(names):
        say(f"{name} ({position + 1} of {len(names)}): applying the reviewed plan")
        try:
            runs[name].apply(plan=folder / f"{name}.plan", on_line=lambda line: say(f"  {line}"))
        except (TerraformError, OSError, KeyboardInterrupt) as error:
            return ApplyResult(
                outcome=ReleaseOutcome.FAILED,
                applied=tuple(names[:position]),
                not_applied=(*names[position:], *manifest.deferred),
                reason=str(error) or INTERRUPTED,
            )
        say(f"{name}: applied")
    waiting = tuple(manifest.deferred)
    if waiting:
        why = f"{', '.join(waiting)} could not be planned yet: plan, review and apply again."
        return ApplyResult(outcome=ReleaseOutcome.INCOMPLETE, applied=tuple(names), not_applied=waiting, reason=why)
    return ApplyResult(outcome=ReleaseOutcome.SUCCEEDED, applied=tuple(names), not_applied=())


INTERRUPTED = "Interrupted: Terraform has finished what it had begun, and stopped."


def _record(manifest: Manifest, result: ApplyResult) -> ReleaseRecord:
    return ReleaseRecord(
        at=utc_now().isoformat(),
        kind=RecordKind.RELEASE,
        environment=manifest.environment,
        commit=manifest.commit,
        wheel=manifest.wheel.name if manifest.wheel else None,
        wheel_sha256=manifest.wheel.sha256 if manifest.wheel else None,
        plan_sha256=manifest.sha256,
        outcome=result.outcome,
        applied=result.applied,
        reason=result.reason,
    )
