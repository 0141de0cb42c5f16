"""Applies a kept plan: exactly its files, stack by stack, and records how it ended."""

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


class ReleaseRefusedError(Exception):
    """The plan may not be applied; the message holds every reason. Nothing was moved."""


@dataclass(frozen=True, kw_only=True)
class ApplyResult:
    """How applying ended.

    Attributes
    ----------
    done, left
        Stacks that were applied, and those that were not, the failed one first.
    """

    outcome: ReleaseOutcome
    done: tuple[str, ...]
    left: tuple[str, ...]
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
    """Apply a kept plan, if nothing speaks against it, and append the record.

    Parameters
    ----------
    stacks
        Every synthesized stack, in order.
    release
        The commit that is checked out and its wheel.
    folder
        Of the kept plan.
    sha256
        The hash that was reviewed.

    Raises
    ------
    KeptPlanError
        If the folder holds no readable plan.
    RefusedError
        If anything speaks against it, with every reason.
    """
    manifest = read_manifest(folder)
    asked = ApplyRequest(
        environment=target.environment,
        sha256=sha256,
        maximum_age=maximum_age,
        now=utc_now(),
        commit=release.commit,
        wheel=release.sha256,
        files=file_hashes(folder),
    )
    decided = decide_apply(manifest, asked)
    _require(decided.reasons)
    missing = sorted(set(manifest.stacks) - set(stacks))
    if missing:
        raise UnusableStackError(f"not synthesized: {', '.join(missing)}. Run `python -m infra synth` first.")
    runs = target.terraform(stacks, manifest.stacks)
    _require(_stale(stacks, runs, manifest, folder))
    _require(_not_as_shown(runs, folder))
    # Where the records cannot be reached nothing is moved, for nobody could go back afterwards.
    target.ledger.read()
    applied = _in_order(runs, manifest, folder, say)
    unrecorded = record_failure(target, _record(manifest, applied))
    if unrecorded:
        return replace(applied, outcome=ReleaseOutcome.FAILED, reason=f"{applied.reason} {unrecorded}".strip())
    return applied


def record_failure(target: Target, record: ReleaseRecord) -> str:
    """Append a record and return why that failed; empty if it did not. What was moved before stays moved."""
    try:
        target.ledger.append(record)
    except (LedgerError, OSError) as error:
        return f"It is not recorded ({error}); add the line to the records by hand: {as_line(record).strip()}"
    return ""


def _require(reasons: tuple[str, ...]) -> None:
    if reasons:
        raise ReleaseRefusedError("the plan is not applied:\n" + "\n".join(f"- {reason}" for reason in reasons))


def _stale(
    stacks: Mapping[str, SynthesizedStack], runs: Mapping[str, Terraform], manifest: Manifest, folder: Path
) -> tuple[str, ...]:
    """Return the outputs of other stacks that are no longer what the plans were made from."""
    reasons = []
    for name, planned_from in manifest.stacks.items():
        shutil.copyfile(folder / f"{name}.lock.hcl", runs[name].folder / LOCK_FILE)
        now = digests(named_outputs(stacks[name], runs[name].outputs_read()))
        moved = sorted(key for key in {*planned_from, *now} if planned_from.get(key) != now.get(key))
        if moved:
            reasons.append(
                f"{name} was planned from other values of {', '.join(moved)} than there are now: plan again."
            )
    return tuple(reasons)


def _not_as_shown(runs: Mapping[str, Terraform], folder: Path) -> tuple[str, ...]:
    """Return which plans would do something else than what was reviewed: the hash binds files, not their meaning."""
    reasons = []
    for name, terraform in runs.items():
        terraform.init(locked=True)
        plan = folder / f"{name}.plan"
        if reviewed(folder, name) != (terraform.shown(plan), terraform.text_of_plan(plan)):
            reasons.append(f"the plan of {name} is not the one that was shown to reviewers: plan again.")
    return tuple(reasons)


def _in_order(runs: Mapping[str, Terraform], manifest: Manifest, folder: Path, say: Say) -> ApplyResult:
    names = list(runs)
    for position, name in enumerate(names):
        say(f"{name} ({position + 1} of {len(names)}): applying the reviewed plan")
        try:
            runs[name].apply(plan=folder / f"{name}.plan", tell=lambda line: say(f"  {line}"))
        except (TerraformError, OSError, KeyboardInterrupt) as error:
            done, left = tuple(names[:position]), (*names[position:], *manifest.deferred)
            return ApplyResult(outcome=ReleaseOutcome.FAILED, done=done, left=left, reason=str(error) or INTERRUPTED)
        say(f"{name}: applied")
    waiting = tuple(manifest.deferred)
    if waiting:
        why = f"{', '.join(waiting)} could not be planned before: plan, review and apply again."
        return ApplyResult(outcome=ReleaseOutcome.INCOMPLETE, done=tuple(names), left=waiting, reason=why)
    return ApplyResult(outcome=ReleaseOutcome.SUCCEEDED, done=tuple(names), left=())


INTERRUPTED = "Interrupted: Terraform has stopped after what it had begun."


def _record(manifest: Manifest, applied: ApplyResult) -> ReleaseRecord:
    return ReleaseRecord(
        at=utc_now().isoformat(),
        kind=RecordKind.RELEASE,
        environment=manifest.environment,
        commit=manifest.commit,
        wheel=manifest.wheel.name if manifest.wheel else None,
        wheel_sha256=manifest.wheel.sha256 if manifest.wheel else None,
        plan_sha256=manifest.sha256,
        outcome=applied.outcome,
        applied=applied.done,
        reason=applied.reason,
    )
