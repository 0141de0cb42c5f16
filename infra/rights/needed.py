"""Derives the rights of each identity from the resources of the stacks that it applies: a pure function on the stacks."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from infra.config.stack_names import environment_of, identity_of
from infra.permissions.azure_roles import ASSIGNS, DATA
from infra.rights.catalogue import NEEDS, Authority
from infra.synthesis.stack import RemoteState, Resource, Stack
from ml.spec.errors import DeclarationError

STATE_WRITER, STATE_READER = DATA, "Storage Blob Data Reader"
STATE_PAGE = "https://developer.hashicorp.com/terraform/language/backend/azurerm"

GRANTED_BY: Mapping[Authority, str] = {
    Authority.AZURE: "python -m infra devops --apply",
    Authority.ENTRA: "python -m infra devops --apply",
    Authority.ACCOUNT: "a person who is account admin, once, in the account console",
    Authority.METASTORE: "the stack {environment}-account",
    Authority.WORKSPACE: "the stack {environment}-account",
}


@dataclass(frozen=True, kw_only=True, order=True)
class NeededRight:
    """One right that an identity needs.

    Attributes
    ----------
    scope
        Where it is held: an Azure id, the tenant, the account, the metastore or an environment's workspace.
    page
        The documentation page of the rule.
    granted_by
        The command, the stack or the person that grants it.
    roles_given
        For a right to assign roles: the only roles that have to be assigned.
    """

    authority: Authority
    scope: str
    right: str
    page: str
    granted_by: str
    roles_given: tuple[str, ...] = ()


def rights_of(stack: Stack) -> tuple[NeededRight, ...]:
    """Return the rights that applying one stack needs, each once.

    Raises
    ------
    DeclarationError
        If the stack has a resource whose type is not in the catalogue.
    """
    return tuple(sorted({*_of_resources(stack), *_of_states(stack)}))


def rights_by_identity(stacks: Iterable[Stack]) -> Mapping[str, tuple[NeededRight, ...]]:
    """Return the rights of each identity over all stacks that it applies: ``account``, and the name of an environment."""
    found: dict[str, set[NeededRight]] = {}
    for stack in stacks:
        found.setdefault(identity_of(stack.name), set()).update(rights_of(stack))
    return {identity: _merged(rights) for identity, rights in found.items()}


def _of_resources(stack: Stack) -> Iterator[NeededRight]:
    roles = tuple(
        sorted(
            {
                str(resource.arguments["role_definition_name"])
                for resource in stack.resources.values()
                if resource.type == "azurerm_role_assignment"
            }
        )
    )
    for resource in stack.resources.values():
        key = f"data.{resource.type}" if resource.is_data else resource.type
        if key not in NEEDS:
            raise DeclarationError(
                f"stack {stack.name}, {resource.address}: no right is known for the type {key}; state what it needs, "
                "with the documentation page, in infra/rights/catalogue.py."
            )
        for need in NEEDS[key]:
            yield NeededRight(
                authority=need.authority,
                scope=_scope(need.authority, stack, resource),
                right=need.right,
                page=need.page,
                granted_by=GRANTED_BY[need.authority].format(environment=environment_of(stack.name)),
                roles_given=roles if need.right == ASSIGNS else (),
            )


def _of_states(stack: Stack) -> Iterator[NeededRight]:
    """Yield the rights on the states that the stack writes and reads, where these are in Azure."""
    for state, right in ((stack.state, STATE_WRITER), *((read.state, STATE_READER) for read in stack.read.values())):
        if state.azure is not None and not (right == STATE_READER and _container(state) == _container(stack.state)):
            yield NeededRight(
                authority=Authority.AZURE,
                scope=_container(state),
                right=right,
                page=STATE_PAGE,
                granted_by=GRANTED_BY[Authority.AZURE],
            )


def _scope(authority: Authority, stack: Stack, resource: Resource) -> str:
    if authority is Authority.AZURE:
        return f"/subscriptions/{resource.provider.arguments['subscription_id']}"
    if authority is Authority.WORKSPACE:
        return f"the workspace of {environment_of(stack.name)}"
    return {Authority.ENTRA: "the tenant", Authority.ACCOUNT: "the account", Authority.METASTORE: "the metastore"}[
        authority
    ]


def _container(state: RemoteState) -> str:
    """Return the Azure id of the storage account that holds a state; empty for a state on the local disk."""
    place = state.azure
    if place is None:
        return ""
    return (
        f"/subscriptions/{place['subscription_id']}/resourceGroups/{place['resource_group_name']}"
        f"/providers/Microsoft.Storage/storageAccounts/{place['storage_account_name']}"
    )


def _merged(rights: Iterable[NeededRight]) -> tuple[NeededRight, ...]:
    """Return each right once, with the first of its pages and every role that it has to give."""
    found: dict[tuple[Authority, str, str], NeededRight] = {}
    for right in sorted(rights):
        key = (right.authority, right.scope, right.right)
        earlier = found.get(key, right)
        given = tuple(sorted({*earlier.roles_given, *right.roles_given}))
        found[key] = NeededRight(
            authority=right.authority,
            scope=right.scope,
            right=right.right,
            page=earlier.page,
            granted_by=earlier.granted_by,
            roles_given=given,
        )
    return tuple(
        right
        for (authority, scope, name), right in found.items()
        if name != STATE_READER or (authority, scope, STATE_WRITER) not in found
    )
