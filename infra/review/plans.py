"""What Terraform's plans change, in the same records: compared with what exists, and certain about replacements."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from infra.config.stack_names import environment_of
from infra.releases.saved_plan import MANIFEST, read_manifest
from infra.review.comparing import Basis, Meaning, ResourceChange
from infra.review.privileges import Privilege, privileges_of
from infra.review.values import ValueChange, value_changes
from infra.terraform_cli.changes import Action, action_of, differing
from ml.spec.errors import NotPossibleError


class PlanFileError(NotPossibleError, ValueError):
    """A file is not a plan as ``terraform show -json`` writes it."""


def read_plans(paths: Iterable[Path]) -> Mapping[str, Mapping[str, Any]]:
    """Return plans by stack; a file is named ``<stack>.json``.

    The manifest of a saved plan is none, and a stack that the plan beside it defers has none yet (`deferred`).

    Raises
    ------
    PlanFileError
        If a file is not a plan.
    """
    paths = list(paths)
    plans, waiting = {}, deferred(paths)
    for path in paths:
        if path.name == MANIFEST or path.stem in waiting:
            continue
        try:
            plan = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(plan, dict) or "format_version" not in plan:
                raise PlanFileError(
                    f"{path} is not a plan: give a file that `terraform show -json` or `plan --json` wrote."
                )
        except OSError as error:
            raise PlanFileError(
                f"{path} cannot be read as a plan: {error.strerror}; `plan --json` writes one for each stack."
            ) from error
        except ValueError as error:
            raise PlanFileError(f"{path} cannot be read as a plan: {error}") from error
        plans[path.stem] = plan
    return plans


def deferred(paths: Iterable[Path]) -> dict[str, tuple[str, ...]]:
    """Return the stacks without a file that the saved plan in their folder defers, with the outputs that they wait for.

    Raises
    ------
    SavedPlanError
        If the manifest of the saved plan cannot be read.
    """
    missing = [path for path in paths if not path.exists() and (path.parent / MANIFEST).exists()]
    found = {path.stem: read_manifest(path.parent).deferred.get(path.stem) for path in missing}
    return {stack: outputs for stack, outputs in found.items() if outputs is not None}


def meaning_of_plans(plans: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Meaning]:
    """Return what plans change, by environment.

    Parameters
    ----------
    plans
        By stack.
    """
    meanings: dict[str, Meaning] = {}
    for stack, plan in plans.items():
        before, after = _privileges(plan, "before"), _privileges(plan, "after")
        mine = Meaning(
            resources=_changes(stack, plan),
            gained=tuple(sorted(after - before)),
            lost=tuple(sorted(before - after)),
        )
        environment = environment_of(stack)
        meanings[environment] = joined(meanings.get(environment, Meaning()), mine)
    return meanings


def joined(one: Meaning, other: Meaning) -> Meaning:
    """Return the union of two meanings."""
    return Meaning(
        resources=tuple(sorted((*one.resources, *other.resources), key=lambda c: (c.stack, c.address))),
        blocks=(*one.blocks, *other.blocks),
        gained=tuple(sorted({*one.gained, *other.gained})),
        lost=tuple(sorted({*one.lost, *other.lost})),
    )


def _changes(stack: str, plan: Mapping[str, Any]) -> tuple[ResourceChange, ...]:
    found = []
    for resource in plan.get("resource_changes", ()):
        change = resource["change"]
        action = action_of(change["actions"])
        if action is None or resource.get("mode") == "data":
            continue
        forced = tuple(sorted({str(path[0]) for path in change.get("replace_paths", ()) if path}))
        replaced = action is Action.REPLACE
        found.append(
            ResourceChange(
                stack=stack,
                address=resource["address"],
                action=action,
                attributes=forced or differing(change),
                basis=Basis.PLANNED if replaced else None,
                values=_values(resource) if action in (Action.UPDATE, Action.REPLACE) else (),
            )
        )
    return tuple(found)


def _values(resource: Mapping[str, Any]) -> tuple[ValueChange, ...]:
    """Return what differs; values that Terraform marks as sensitive or does not know yet are left out."""
    change = resource["change"]
    marks = [change.get(side) or {} for side in ("before_sensitive", "after_sensitive", "after_unknown")]
    if any(mark is True for mark in marks):  # all of it
        return ()
    hidden = {name for mark in marks for name, value in mark.items() if value}
    before, after = (
        {name: value for name, value in (change.get(side) or {}).items() if name not in hidden}
        for side in ("before", "after")
    )
    return value_changes(resource["type"], before, after)


def _privileges(plan: Mapping[str, Any], side: str) -> set[Privilege]:
    return {
        privilege
        for resource in plan.get("resource_changes", ())
        if resource.get("mode") != "data" and resource["change"].get(side) is not None
        for privilege in privileges_of(resource["type"], resource["name"], resource["change"][side])
    }
