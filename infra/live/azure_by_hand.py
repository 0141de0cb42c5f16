"""Compares what is held in Azure and Entra with what is declared: pure, one record for each thing that was added by hand."""

from collections.abc import Iterable, Iterator

from infra.live.azure_declared import AzureDeclaration
from infra.live.azure_rights import (
    GROUP_MEMBER,
    OWNER_OF,
    SERVICE_PRINCIPAL,
    DeclaredAssignment,
    LiveAssignment,
    LiveAzure,
)
from infra.live.by_hand import AddedByHand
from infra.live.live_rights import COPYABLE, SIGNS_IN, LiveRight

SCOPE, APPLICATION = "scope", "application"


def added_in_azure(live: LiveAzure, declared: AzureDeclaration) -> tuple[AddedByHand, ...]:
    """Return what is held beyond the declaration; what is above a ceiling comes first."""
    found = [*_assignments(live, declared), *_credentials(live.credentials, declared)]
    return tuple(sorted(found, key=lambda one: (not one.above, one.kind, one.on, one.principal, one.words)))


def _assignments(live: LiveAzure, declared: AzureDeclaration) -> Iterator[AddedByHand]:
    stated, permitted = (_keys(those, live) for those in (declared.assignments, declared.permitted))
    unknown = {_key(one, "") for one in declared.assignments if one.identity not in live.object_ids}
    for one in sorted(set(live.assignments)):
        holder = declared.holders.get(one.principal, declared.holders.get(one.principal_id, frozenset()))
        if one.key in stated or one.role in holder:
            continue
        if not declared.reads_directory and one.kind == SERVICE_PRINCIPAL and ("", *one.key[1:]) in unknown:
            continue  # nobody may tell this identity that the assignment is its own
        others = sorted(role for who, scope, role, _ in stated if (who, scope) == one.key[:2])
        word = one.role if not one.condition else f"{one.role} (under a condition)"
        yield AddedByHand(
            place=declared.place, principal=one.principal, kind=SCOPE, on=one.scope, words=(word,), declared=tuple(others),
            above=() if one.key in permitted else (word,), remedy=_taken_away(one),
        )  # fmt: skip


def _keys(those: Iterable[DeclaredAssignment], live: LiveAzure) -> set[tuple[str, str, str, str]]:
    """Return the assignments as Azure would state them; an identity that does not exist yet holds nothing."""
    return {_key(one, found) for one in those if (found := live.object_ids.get(one.identity))}


def _key(one: DeclaredAssignment, identity: str) -> tuple[str, str, str, str]:
    return LiveAssignment(
        principal_id=identity, principal="", role=one.role, scope=one.scope, condition=one.condition
    ).key


def _taken_away(one: LiveAssignment) -> str:
    return (
        f"Take it away: `az role assignment delete --assignee {one.principal_id} --role '{one.role}' --scope {one.scope}`; "
        "who owns subscriptions is named under `azure_holders` in infra/ceilings.yaml."
    )


def _credentials(held: Iterable[LiveRight], declared: AzureDeclaration) -> Iterator[AddedByHand]:
    for one in held:
        stated = declared.credentials[one.on].get(one.principal, frozenset())
        more = tuple(sorted(one.words - stated))
        if more:
            yield AddedByHand(
                place=declared.place, principal=one.principal, kind=APPLICATION, on=one.on, words=more,
                declared=tuple(sorted(stated)), above=more, remedy=_remedy(one, more),
            )  # fmt: skip


def _remedy(one: LiveRight, more: tuple[str, ...]) -> str:
    """Return what takes something away from an application; the ceiling of a credential that nobody declares is nothing."""
    if COPYABLE in more:
        return f"Delete it: `az ad app credential delete`, `--cert` for a certificate; {one.on} signs in by federation alone."
    if SIGNS_IN in more:
        return "Delete it: `az ad app federated-credential delete`; who signs in is declared with the pipelines."
    if OWNER_OF in more:
        return "Remove it: `az ad app owner remove`; an owner adds credentials, and so signs in as the application."
    if any(word.startswith(GROUP_MEMBER) for word in more):
        return f"Take {one.on} out of it in Entra: everything that it may do, {one.on} may do too."
    return "Revoke it in Entra, under Permissions of the enterprise application; `infra devops` gives what is needed."
