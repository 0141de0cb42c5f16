"""What goes back with a release: its wheel, its jobs, and what only they need. Pure decisions on stacks and plans."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infra.checks.reading import texts
from infra.terraform_cli.changes import Change, changes
from infra.terraform_cli.synthesized import SynthesizedStack

PERMISSIONS = "databricks_permissions"


@dataclass(frozen=True, kw_only=True)
class RollbackScope:
    """Whether a plan goes back with wheel and jobs alone.

    Attributes
    ----------
    moves
        What the plan would change.
    reasons
        Why it may not; empty if it may.
    """

    allowed: bool
    moves: tuple[Change, ...]
    reasons: tuple[str, ...]


def rollback_addresses(stack: SynthesizedStack, held: Mapping[str, Collection[str]]) -> tuple[str, ...]:
    """Return the addresses that go back with a release.

    Those are the wheel, every job, everything else that names the wheel (a cluster's library, a notebook), the
    permissions on any of them, and what a later release has added that depends on the wheel.

    Parameters
    ----------
    stack
        The workspace stack as the earlier release synthesizes it.
    held
        What its state holds: each address with those that it depends on.
    """
    wheels = frozenset(_wheels(stack))
    users = frozenset(_naming(stack, wheels) | _of_type(stack, "databricks_job"))
    permitted = frozenset(a for a in _naming(stack, users) if a.startswith(f"{PERMISSIONS}."))
    stated = {f"{kind}.{name}" for kind, name, _ in stack.resources()}
    added = {address for address, after in held.items() if address not in stated and wheels & set(after)}
    return tuple(sorted(wheels | users | permitted | added))


def rollback_scope(plan: Mapping[str, Any], allowed: Collection[str]) -> RollbackScope:
    """Decide whether a plan may be applied as a return to an earlier release.

    Parameters
    ----------
    plan
        As ``terraform show -json`` gives it.
    allowed
        The addresses that may change.

    Returns
    -------
    WayBack
        Refused if the plan touches anything else: going back moves code, not what the code works on.
    """
    moves = changes(plan)
    reasons = tuple(
        f"{change.address} would be {_DONE[change.action.value]}"
        + (f" ({', '.join(change.attributes)})" if change.attributes else "")
        + ": it is neither wheel nor job."
        for change in moves
        if change.address not in allowed
    )
    return RollbackScope(allowed=not reasons, moves=moves, reasons=reasons)


_DONE = {"create": "created", "update": "updated", "replace": "replaced", "destroy": "destroyed"}
_ADDRESS = re.compile(r"\b([a-z][a-z0-9]*_[a-z0-9_]+\.[a-z][a-z0-9_-]*)\b")
_EXPRESSION = re.compile(r"\$\{([^}]*)\}")


def _wheels(stack: SynthesizedStack) -> Iterator[str]:
    for kind, name, arguments in stack.resources():
        if kind == "databricks_file" and str(arguments.get("source", "")).endswith(".whl"):
            yield f"{kind}.{name}"


def _of_type(stack: SynthesizedStack, wanted: str) -> set[str]:
    return {f"{kind}.{name}" for kind, name, _ in stack.resources() if kind == wanted}


def _naming(stack: SynthesizedStack, addresses: Collection[str]) -> set[str]:
    """Return the resources that name any of the addresses, in an argument or among what they wait for."""
    return {f"{kind}.{name}" for kind, name, arguments in stack.resources() if _named(arguments) & set(addresses)}


def _named(arguments: Mapping[str, Any]) -> set[str]:
    expressions = (e for _, text in texts(arguments) for e in _EXPRESSION.findall(text))
    found = {address for expression in expressions for address in _ADDRESS.findall(expression)}
    return found | set(arguments.get("depends_on", ()))
