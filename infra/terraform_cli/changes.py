"""The changes of a plan, read from ``terraform show -json``: one record for each resource that changes."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Action(StrEnum):
    """What a plan does to a resource."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DESTROY = "destroy"
    FORGET = "forget"


@dataclass(frozen=True, kw_only=True)
class Change:
    """One resource that a plan changes.

    Attributes
    ----------
    address
        For example ``databricks_job.flight_delay_training``.
    attributes
        The top-level arguments whose value differs, in order; empty unless the resource is updated or replaced.
    """

    address: str
    action: Action
    attributes: tuple[str, ...] = ()


def changes(plan: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return every resource that the plan changes, by address; resources that are only read are left out."""
    found = []
    for resource in plan.get("resource_changes", []):
        change = resource["change"]
        action = action_of(change["actions"])
        if action is not None:
            found.append(Change(address=resource["address"], action=action, attributes=differing(change)))
    return tuple(sorted(found, key=lambda change: change.address))


def summary(planned: Iterable[Change]) -> str:
    """Return counts in one line, for example ``12 to create, 1 to update``; ``no changes`` if there are none."""
    counts = Counter(change.action for change in planned)
    return ", ".join(f"{counts[action]} to {action}" for action in Action if counts[action]) or "no changes"


def action_of(actions: list[str]) -> Action | None:
    """Return the action of a plan's list of actions; None for no change and for reading.

    What is created while the former one is forgotten is replaced: the former one stays, and nothing uses it any more.
    """
    if "create" in actions and len(actions) > 1:
        return Action.REPLACE
    known = {"create": Action.CREATE, "update": Action.UPDATE, "delete": Action.DESTROY, "forget": Action.FORGET}
    return known.get(actions[0])


def differing(change: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the top-level arguments whose value a planned change alters; none where one side does not exist."""
    before, after = change.get("before") or {}, change.get("after") or {}
    if not before or not after:
        return ()
    return tuple(sorted(name for name in {*before, *after} if before.get(name) != after.get(name)))
