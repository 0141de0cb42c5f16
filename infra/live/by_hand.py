"""What somebody holds beyond the declaration: who, what, where, how far above the ceiling, and what to do."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from infra.graph.rights import Judge
from infra.live.declared_rights import DeclaredRights
from infra.live.live_rights import (
    COPYABLE,
    OBJECTS,
    OWNS,
    PERSONAL_COMPUTE,
    RUNS_AS,
    SECURABLES,
    WORKSPACE,
    LiveRight,
    LiveRights,
)

CREATOR = frozenset({
    "IS_OWNER", "CAN_MANAGE", "MANAGE", OWNS, RUNS_AS, "servicePrincipal.manager", "group.manager",
})  # fmt: skip
"""What the identity of an environment holds on whatever it makes, without a grant."""
ADMINISTRATORS = frozenset({"admins"})
"""The group of a workspace whose rights the assignments to the workspace decide, which the account's stacks declare."""


@dataclass(frozen=True, kw_only=True)
class AddedByHand:
    """One right that is there and not declared.

    Attributes
    ----------
    place
        The environment, or ``account``.
    words
        What is held and not declared.
    declared
        What is declared for the principal on the object.
    above
        What of it is above the ceiling, so that it cannot be declared either.
    remedy
        The sentence that says what to do.
    """

    place: str
    principal: str
    kind: str
    on: str
    words: tuple[str, ...]
    declared: tuple[str, ...]
    above: tuple[str, ...]
    remedy: str

    @property
    def sentence(self) -> str:
        """The right for people."""
        stated = (
            f"the declaration gives {', '.join(self.declared)}" if self.declared else "the declaration gives nothing"
        )
        ceiling = f"above the ceiling: {', '.join(self.above)}" if self.above else "within the ceiling"
        return (
            f"{self.place}: {self.principal} holds {', '.join(self.words)} on {self.kind} {self.on} by hand; {stated}; "
            f"{ceiling}. {self.remedy}"
        )


def added_by_hand(
    live: LiveRights, declared: Sequence[DeclaredRights], judge: Judge, runner: str
) -> tuple[AddedByHand, ...]:
    """Return what is held beyond the declaration; what is above a ceiling comes first.

    Parameters
    ----------
    declared
        What the tree declares, then what was released: a right that either gives is not by hand.
    runner
        The display name of the identity that makes what is in the place: it owns and manages what it has made.
    """
    bound = Counter(_binding(right) for right in live.rights if _is_binding(right))
    held = [
        right for right in live.rights if not _is_binding(right) or bound[_binding(right)] > _bindings(right, declared)
    ]
    found = [one for right in held for one in _beyond(right, live.place, declared, judge, runner)]
    return tuple(sorted(found, key=lambda one: (not one.above, one.kind, one.on, one.principal)))


def _is_binding(right: LiveRight) -> bool:
    return right.principal.startswith(f"{WORKSPACE} ")


def _binding(right: LiveRight) -> tuple[str, str, frozenset[str]]:
    return right.kind, right.on, right.words


def _bindings(right: LiveRight, declared: Sequence[DeclaredRights]) -> int:
    """Return to how many other workspaces the declaration binds an object in this way; Terraform compares which they are."""
    return max(one.bindings[right.kind, right.on, *right.words] for one in declared)


def _beyond(
    right: LiveRight, place: str, declared: Sequence[DeclaredRights], judge: Judge, runner: str
) -> Iterator[AddedByHand]:
    if right.principal in ADMINISTRATORS:
        return
    stated = frozenset(word for one in declared for word in one.held(right.kind, right.on, right.principal))
    more = right.words - stated
    if right.principal == runner:
        more -= CREATOR
    if more:
        allowed = judge.allowed(declared[0].as_held(right.kind, right.on, right.principal, more))
        yield AddedByHand(
            place=place, principal=right.principal, kind=right.kind, on=right.on, words=tuple(sorted(more)),
            declared=tuple(sorted(stated)), above=tuple(sorted(more - allowed)),
            remedy=_remedy(right, more, declared[0]),
        )  # fmt: skip


def _remedy(right: LiveRight, more: frozenset[str], declared: DeclaredRights) -> str:
    """Return what takes a right away: the next deployment where the stacks state all rights on the object, else a command."""
    words = ", ".join(sorted(more))
    if COPYABLE in more:
        return _COPYABLE.format(on=right.on)
    if any("." in word for word in more) and right.kind in ("account", "identity", "group"):
        return _RULE_SET.format(who=right.principal, on=right.on, words=words)
    if right.kind == "policy" and right.on and (OWNS in more or right.on == PERSONAL_COMPUTE):
        undeclared = (
            f"No stack declares policy {right.on}: delete it with `databricks cluster-policies delete`, or declare it."
        )
        return _PERSONAL_COMPUTE if right.on == PERSONAL_COMPUTE else undeclared
    known = declared.objects.get((right.kind, right.on))
    if right.kind in _REMEDIES:
        return _REMEDIES[right.kind].format(who=right.principal, on=right.on, words=words)
    if OWNS in more or RUNS_AS in more:
        return f"Give {right.kind} {right.on} back to the environment's identity, or delete it if nobody needs it."
    if _is_binding(right):
        return f"Unbind what is not declared: `databricks workspace-bindings update-bindings {right.kind} {right.on}` with `remove`."
    if known is not None and known.resource is not None and known.held:
        return "The next deployment of the environment takes it away; declare it in `roles` or `team_access` if it is needed."
    if right.kind in SECURABLES:
        return (
            f"Take it away: `databricks grants update {SECURABLES[right.kind]} {right.on}` with `remove` for {words}."
        )
    if right.kind in OBJECTS:
        return f"No stack declares {right.kind} {right.on}: delete it, or take the right away with `databricks permissions set`."
    return f"Take it away: `databricks secrets delete-acl {right.on} {right.principal}`."


_COPYABLE = (
    "Delete it: `databricks account service-principal-secrets delete` in Databricks, `az ad app credential delete` in Entra; "
    "{on} signs in by federation alone."
)
_PERSONAL_COMPUTE = (
    "Choose Delegate for Personal Compute in the account console, under the settings of features, and take the policy from whoever has "
    "it in a workspace: its clusters have neither the limits nor the tags of a team."
)
_RULE_SET = "Take {words} on {on} from {who} in the account console, under its permissions; no stack gives such a role."
_REMEDIES = {
    "online_store": "No stack states who may use an online store: take {words} from {who} with `databricks permissions set database-projects {on}`.",
    "group": "Take {who} out of the group in the account console, or put it into `roles` or `teams` and deploy the account.",
    "identity": "Delete the policy: `databricks account service-principal-federation-policy delete`; who signs in is declared with the pipelines.",
    "account": "Take the role {words} from {who} in the account console; administrators are declared in `account.yaml`.",
    "workspace": "Delete the assignment: `databricks account workspace-assignment delete`; access is declared in `roles`.",
}  # fmt: skip
