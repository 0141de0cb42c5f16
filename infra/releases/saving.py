"""Plans an environment and keeps the plan: files, manifest and hash, for review and for `applying`.

A stack that reads outputs of an earlier one is planned from their values of now. Would the earlier stack's own plan
change such an output, then every plan of the later one would be made from a value that its apply makes wrong, and
Terraform would not notice: it compares a plan with its own state alone. Such a stack is therefore not planned but
deferred, with the outputs that it waits for: it is planned, reviewed and applied in a second round.
"""

import json
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from infra.checks.reading import output_reads, state_owner
from infra.constructs.deployment import Release
from infra.releases.saved_plan import Manifest, SavedPlanError, Wheel, digests, file_hashes, write_manifest
from infra.releases.target import Say, Target, utc_now
from infra.terraform_cli.changes import changes, summary
from infra.terraform_cli.driver import LOCK_FILE, PLAN, Terraform, outputs_of, version
from infra.terraform_cli.synthesized import SynthesizedStack, of_environment


def save_plan(
    stacks: Mapping[str, SynthesizedStack],
    target: Target,
    release: Release,
    folder: Path,
    *,
    changed: bool,
    only: Collection[str] = (),
    say: Say = print,
) -> Manifest:
    """Plan every stack of an environment and keep the plans in a folder.

    Parameters
    ----------
    stacks
        Every synthesized stack, in order.
    release
        The commit that is checked out and its wheel.
    folder
        Empty or new.
    changed
        Whether the tree holds changes that are not committed.
    only
        The stacks of the environment to plan; none for all.

    Returns
    -------
    Manifest
        With the hash over everything.

    Raises
    ------
    KeptPlanError
        If the stacks or the folder are not fit for it, with every reason.
    UnusableStackError
        If no stack is of this environment.
    TerraformError
        If a plan fails; the folder then holds no manifest, so nothing in it can be applied.
    """
    chosen = of_environment(stacks, target.environment, only)
    against = unfit(chosen, release, changed=changed, folder=folder)
    if against:
        raise SavedPlanError("no plan is kept:\n" + "\n".join(f"- {reason}" for reason in against))
    made_at = utc_now()
    folder.mkdir(parents=True, exist_ok=True)
    runs = target.terraform(stacks, chosen)
    plans: dict[str, Mapping[str, Any]] = {}
    deferred: dict[str, tuple[str, ...]] = {}
    for name, terraform in runs.items():
        waits = waits_for(stacks, name, plans, deferred)
        if waits:
            deferred[name] = waits
            say(f"{name}: not planned yet, it reads what this deployment changes: {', '.join(waits)}")
            continue
        plans[name] = _plan(terraform, folder)
        say(f"{name}: {summary(changes(plans[name]))}")
    manifest = Manifest(
        environment=target.environment,
        commit=release.commit,
        created_at=made_at.isoformat(),
        terraform=version(),
        providers=_providers(chosen.values()),
        wheel=_wheel([stacks[name] for name in plans], release),
        stacks={name: digests(_read(stacks[name], plan)) for name, plan in plans.items()},
        deferred=deferred,
        files=file_hashes(folder),
    )
    write_manifest(folder, manifest)
    return manifest


def waits_for(
    stacks: Mapping[str, SynthesizedStack],
    name: str,
    planned: Mapping[str, Mapping[str, Any]],
    deferred: Collection[str],
) -> tuple[str, ...]:
    """Return the outputs that a stack reads and that an earlier stack's plan would change, as ``stack.output``.

    Parameters
    ----------
    planned
        Plans of the earlier stacks as JSON.
    deferred
        Earlier stacks that are not planned yet: what they offer is not known either.
    """
    found = []
    for state, output in output_reads(stacks[name].content):
        owner = state_owner(stacks, stacks[name], state)
        if owner in deferred or (owner is not None and owner in planned and _changes(planned[owner], output)):
            found.append(f"{owner}.{output}")
    return tuple(sorted(set(found)))


def _changes(plan: Mapping[str, Any], output: str) -> bool:
    change = plan.get("output_changes", {}).get(output)
    # An output that the plan does not name at all is one that the state does not have.
    return change is None or change["actions"] != ["no-op"]


def _plan(terraform: Terraform, folder: Path) -> Mapping[str, Any]:
    """Plan one stack and keep plan, JSON, text and the lock of its providers."""
    terraform.init()
    content = terraform.plan(lock=True)
    kept = folder / terraform.stack
    shutil.copyfile(terraform.folder / PLAN, kept.with_name(f"{kept.name}.plan"))
    # Terraform writes none for a stack that needs no provider from outside.
    (terraform.folder / LOCK_FILE).touch()
    shutil.copyfile(terraform.folder / LOCK_FILE, kept.with_name(f"{kept.name}.lock.hcl"))
    kept.with_name(f"{kept.name}.json").write_text(json.dumps(content), encoding="utf-8")
    kept.with_name(f"{kept.name}.txt").write_text(terraform.text_of_plan(), encoding="utf-8")
    return content


def _read(stack: SynthesizedStack, plan: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the outputs that a stack names, of all that the states offer which its plan was made from."""
    return named_outputs(stack, outputs_of(plan))


def named_outputs(stack: SynthesizedStack, offered: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return, of what other stacks offer, the outputs that this stack names."""
    found: dict[str, dict[str, Any]] = {}
    for state, output in output_reads(stack.content):
        if output in offered.get(state, {}):
            found.setdefault(state, {})[output] = offered[state][output]
    return found


def _providers(stacks: Collection[SynthesizedStack]) -> dict[str, str]:
    return {str(p["source"]): str(p["version"]) for stack in stacks for p in stack.providers.values()}


def unfit(stacks: Mapping[str, SynthesizedStack], release: Release, *, changed: bool, folder: Path) -> tuple[str, ...]:
    """Return every reason why a plan of these stacks would not be one of the release; none if it would."""
    reasons = []
    if changed:
        reasons.append("the tree has changes that are not committed: a plan is kept of a commit. Commit them first.")
    if folder.exists() and any(folder.iterdir()):
        reasons.append(f"the folder {folder} is not empty: name a new one.")
    for name, source in _wheel_sources(stacks.values()):
        if Path(source).name != release.wheel:
            reasons.append(f"{name} was synthesized with {Path(source).name}: run `python -m infra synth` again.")
        elif _wheel_hash(stacks[name]) is None:
            reasons.append(f"{name} was synthesized before {release.wheel} was built: {BUILD}.")
        elif _wheel_hash(stacks[name]) != release.sha256:
            reasons.append(
                f"{name} was synthesized with a wheel of sha256 {_wheel_hash(stacks[name])}, dist/ holds "
                f"{release.sha256}: {BUILD}."
            )
    return tuple(reasons)


BUILD = "run `python -m infra wheel`, then `python -m infra synth`"


def _wheel(stacks: Collection[SynthesizedStack], release: Release) -> Wheel | None:
    uploaded = [*_wheel_sources(stacks)]
    return Wheel(name=release.wheel, sha256=str(release.sha256)) if uploaded else None


def _wheel_sources(stacks: Collection[SynthesizedStack]) -> Iterator[tuple[str, str]]:
    """Yield the name of every stack that uploads a wheel, and where it takes it from."""
    for stack in stacks:
        for file in stack.content.get("resource", {}).get("databricks_file", {}).values():
            if str(file.get("source", "")).endswith(".whl"):
                yield stack.name, str(file["source"])


def _wheel_hash(stack: SynthesizedStack) -> str | None:
    output = stack.content.get("output", {}).get("wheel_sha256")
    return None if output is None else str(output["value"])
