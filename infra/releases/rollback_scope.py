"""What a rollback may change: the wheel, the jobs, and what only they need. Pure decisions on stacks and plans."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from infra.terraform_cli.changes import Change, changes
from infra.terraform_cli.references import expressions
from infra.terraform_cli.synthesized import SynthesizedStack

PERMISSIONS = "databricks_permissions"


@dataclass(frozen=True, kw_only=True)
class RollbackDecision:
    """Whether a plan may be applied as a rollback.

    Attributes
    ----------
    changes
        What the plan would change.
    reasons
        Why it may not be applied; empty if it may.
    """

    allowed: bool
    changes: tuple[Change, ...]
    reasons: tuple[str, ...]


def rollback_scope(stack: SynthesizedStack, dependencies: Mapping[str, Collection[str]]) -> tuple[str, ...]:
    """Return the addresses that a rollback may change.

    Those are the wheel, every job, everything else that refers to the wheel (the library of a cluster, a notebook), the
    permissions on any of them, and what a later release has added that depends on the wheel.

    Parameters
    ----------
    stack
        The workspace stack as the previous release synthesizes it.
    dependencies
        The addresses in its state, each with the addresses that it depends on.
    """
    wheels = frozenset(stack.wheels)
    jobs = {f"{kind}.{name}" for kind, name, _ in stack.resources() if kind == "databricks_job"}
    users = frozenset(_referring_to(stack, wheels) | jobs)
    permissions = frozenset(a for a in _referring_to(stack, users) if a.startswith(f"{PERMISSIONS}."))
    stated = {f"{kind}.{name}" for kind, name, _ in stack.resources()}
    added = {address for address, after in dependencies.items() if address not in stated and wheels & set(after)}
    return tuple(sorted(wheels | users | permissions | added))


def decide_rollback(plan: Mapping[str, Any], scope: Collection[str]) -> RollbackDecision:
    """Decide whether a plan may be applied as a rollback to an earlier release.

    Parameters
    ----------
    plan
        As ``terraform show -json`` gives it.
    scope
        The addresses that may change.

    Returns
    -------
    RollbackDecision
        Refused if the plan changes anything else: a rollback changes code, not the data and rights it works with.
    """
    planned = changes(plan)
    reasons = tuple(
        f"{change.address} would be {_DONE[change.action.value]}"
        + (f" ({', '.join(change.attributes)})" if change.attributes else "")
        + ": it is neither wheel nor job."
        for change in planned
        if change.address not in scope
    )
    return RollbackDecision(allowed=not reasons, changes=planned, reasons=reasons)


_DONE = {"create": "created", "update": "updated", "replace": "replaced", "destroy": "destroyed"}
_ADDRESS = re.compile(r"\b([a-z][a-z0-9]*_[a-z0-9_]+\.[a-z][a-z0-9_-]*)\b")


def _referring_to(stack: SynthesizedStack, addresses: Collection[str]) -> set[str]:
    """Return the resources that refer to any of the addresses, in an argument or in ``depends_on``."""
    return {f"{kind}.{name}" for kind, name, arguments in stack.resources() if _referred(arguments) & set(addresses)}


def _referred(arguments: Mapping[str, Any]) -> set[str]:
    found = {address for expression in expressions(arguments) for address in _ADDRESS.findall(expression)}
    return found | set(arguments.get("depends_on", ()))
