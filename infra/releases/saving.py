"""Plans an environment and saves the plan: files, manifest and hash, for review and for `applying`.

A stack that reads outputs of an earlier stack is planned from the present values of these outputs. If the plan of the
earlier stack changes such an output, its apply makes the value wrong from which the later plan was made. Terraform does
not notice: it compares a plan with the state of its own stack alone. Such a stack is therefore deferred, with the
outputs that it waits for, and is planned, reviewed and applied in a second round.
"""

import json
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from infra.constructs.release import Release
from infra.releases.data_loss import data_losses, unnamed_losses
from infra.releases.saved_plan import Manifest, SavedPlanError, Wheel, digests, file_hashes, write_manifest
from infra.releases.target import Say, Target, utc_now
from infra.terraform_cli.changes import changes, summary
from infra.terraform_cli.driver import LOCK_FILE, PLAN, StateMissingError, Terraform, outputs_of, version
from infra.terraform_cli.references import output_reads, state_owner
from infra.terraform_cli.synthesized import SynthesizedStack, of_environment

Plan = Mapping[str, Any]
"""The plan of one stack, as ``terraform show -json`` gives it."""


def save_plan(
    stacks: Mapping[str, SynthesizedStack],
    target: Target,
    release: Release,
    folder: Path,
    *,
    uncommitted: bool,
    only: Collection[str] = (),
    allow_destroy: Collection[str] = (),
    say: Say = print,
) -> Manifest:
    """Plan every stack of an environment and save the plans in a folder.

    Parameters
    ----------
    stacks
        Every synthesized stack, in order.
    release
        The commit that is checked out and its wheel.
    folder
        Empty or new.
    uncommitted
        Whether the tree holds changes that are not committed.
    only
        The stacks of the environment to plan; none for all.
    allow_destroy
        The addresses with data that the plan may destroy.

    Returns
    -------
    Manifest
        With the hash over everything.

    Raises
    ------
    SavedPlanError
        If the stacks do not fit the release, the folder is not empty, or data would be destroyed that nobody has named,
        with every reason; the folder then holds no manifest, so nothing in it can be applied.
    UnusableStackError
        If no stack is of this environment.
    TerraformError
        If a plan fails; the folder then holds no manifest, so nothing in it can be applied.
    """
    chosen = of_environment(stacks, target.environment, only)
    if reasons := refusals(chosen, release, uncommitted=uncommitted, folder=folder):
        raise SavedPlanError("no plan is saved:\n" + "\n".join(f"- {reason}" for reason in reasons))
    created_at = utc_now()
    folder.mkdir(parents=True, exist_ok=True)
    plans: dict[str, Plan] = {}
    deferred: dict[str, tuple[str, ...]] = {}
    for name, terraform in target.terraform(stacks, chosen).items():
        if waits := waits_for(stacks, name, plans, deferred):
            deferred[name] = waits
            say(f"{name}: not planned yet, it reads what this deployment changes: {', '.join(waits)}")
            continue
        try:
            plans[name] = _save(terraform, folder)
        except StateMissingError:
            owners = {state_owner(stacks, stacks[name], state) for state, _ in output_reads(stacks[name])}
            deferred[name] = tuple(sorted(owner for owner in owners if owner is not None and owner not in chosen))
            say(
                f"{name}: not planned yet, what it reads is not deployed: {', '.join(deferred[name])}; deploy that first"
            )
            continue
        say(f"{name}: {summary(changes(plans[name]))}")
    losses = data_losses(plans)
    if reasons := unnamed_losses(losses, allow_destroy):
        raise SavedPlanError("no plan is saved:\n" + "\n".join(f"- {reason}" for reason in reasons))
    for loss in losses:
        say(f"{loss.sentence}: allowed by name")
    uploads_wheel = any(stacks[name].wheels for name in plans)
    manifest = Manifest(
        environment=target.environment,
        commit=release.commit,
        created_at=created_at.isoformat(),
        terraform=version(),
        providers={str(p["source"]): str(p["version"]) for stack in chosen.values() for p in stack.providers.values()},
        wheel=Wheel(name=release.wheel, sha256=str(release.sha256)) if uploads_wheel else None,
        stacks={name: digests(named_outputs(stacks[name], outputs_of(plan))) for name, plan in plans.items()},
        deferred=deferred,
        files=file_hashes(folder),
        destroys=tuple(sorted(loss.address for loss in losses)),
    )
    write_manifest(folder, manifest)
    return manifest


def waits_for(
    stacks: Mapping[str, SynthesizedStack], name: str, plans: Mapping[str, Plan], deferred: Collection[str]
) -> tuple[str, ...]:
    """Return the outputs that a stack reads and that an earlier stack's plan would change, as ``stack.output``.

    Parameters
    ----------
    plans
        Plans of the earlier stacks.
    deferred
        Earlier stacks that are not planned yet: their outputs are not known either.
    """
    found = set()
    for state, output in output_reads(stacks[name]):
        owner = state_owner(stacks, stacks[name], state)
        if owner is not None and (owner in deferred or (owner in plans and _changes(plans[owner], output))):
            found.add(f"{owner}.{output}")
    return tuple(sorted(found))


def named_outputs(stack: SynthesizedStack, offered: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return, of the outputs of other stacks, those that this stack reads, by the name of the remote state."""
    found: dict[str, dict[str, Any]] = {}
    for state, output in output_reads(stack):
        if output in offered.get(state, {}):
            found.setdefault(state, {})[output] = offered[state][output]
    return found


def refusals(
    stacks: Mapping[str, SynthesizedStack], release: Release, *, uncommitted: bool, folder: Path
) -> tuple[str, ...]:
    """Return every reason why a plan of these stacks would not be a plan of the release; none if it would."""
    reasons = []
    if uncommitted:
        reasons.append("the tree has changes that are not committed: a plan is saved of a commit. Commit them first.")
    if folder.exists() and any(folder.iterdir()):
        reasons.append(f"the folder {folder} is not empty: name a new one.")
    for name, stack in ((name, stack) for name, stack in stacks.items() if stack.wheels):
        synthesized_with = ", ".join(Path(source).name for source in stack.wheels.values())
        if synthesized_with != release.wheel:
            reasons.append(f"{name} was synthesized with {synthesized_with}: run `python -m infra synth` again.")
        elif stack.wheel_sha256 is None:
            reasons.append(f"{name} was synthesized before {release.wheel} was built: {BUILD}.")
        elif stack.wheel_sha256 != release.sha256:
            reasons.append(
                f"{name} was synthesized with a wheel of sha256 {stack.wheel_sha256}, dist/ holds "
                f"{release.sha256}: {BUILD}."
            )
    return tuple(reasons)


BUILD = "run `python -m infra wheel`, then `python -m infra synth`"


def _changes(plan: Plan, output: str) -> bool:
    change = plan.get("output_changes", {}).get(output)
    # An output that the plan does not name at all is one that the state does not have.
    return change is None or change["actions"] != ["no-op"]


def _save(terraform: Terraform, folder: Path) -> Plan:
    """Plan one stack and save the plan, its JSON, its text and the lock file of its providers."""
    terraform.init()
    plan = terraform.plan(lock=True)
    file = folder / terraform.stack
    shutil.copyfile(terraform.folder / PLAN, file.with_name(f"{file.name}.plan"))
    # Terraform writes no lock file for a stack that needs no provider from outside.
    (terraform.folder / LOCK_FILE).touch()
    shutil.copyfile(terraform.folder / LOCK_FILE, file.with_name(f"{file.name}.lock.hcl"))
    file.with_name(f"{file.name}.json").write_text(json.dumps(plan), encoding="utf-8")
    file.with_name(f"{file.name}.txt").write_text(terraform.text_of_plan(), encoding="utf-8")
    return plan
