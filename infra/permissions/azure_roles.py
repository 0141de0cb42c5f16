"""The Azure roles that the stacks assign, and those that an environment's identity needs in order to assign them.

The right to assign roles is the right to everything, unless a condition says which. Dev's identity runs the code of pull
requests, so each identity may assign the roles of its own platform stack, to service principals, and nothing else: no role to
a person, no Owner to itself.
"""

from collections.abc import Iterable
from dataclasses import dataclass

DATA = "Storage Blob Data Contributor"
KEYS = "Key Vault Crypto Service Encryption User"
DEFINITIONS = {DATA: "ba92f5b4-2d11-453d-a403-e96b0029c9fe", KEYS: "e147488a-f6f5-4113-8e2d-b22465e65bf6"}
"""Ids of the roles that stacks assign (learn.microsoft.com/azure/role-based-access-control/built-in-roles)."""
ASSIGNED_TO = "ServicePrincipal"
"""The type of every principal that gets one, which each assignment states."""

BUILDS = "Contributor"
ASSIGNS = "Role Based Access Control Administrator"
LOCKS = "Locks Contributor"
PRIVILEGED = frozenset({"Owner", "User Access Administrator", ASSIGNS})
"""Roles with which an identity gives itself any other, unless a condition prevents it."""


@dataclass(frozen=True, kw_only=True, order=True)
class AzureRole:
    """A role on a scope; the condition is empty where the role is narrow by itself."""

    name: str
    condition: str = ""


def assigned_roles(*, customer_managed_keys: bool) -> tuple[str, ...]:
    """Return the roles that an environment's platform stack assigns."""
    return (DATA, KEYS) if customer_managed_keys else (DATA,)


def deployment_roles(*, customer_managed_keys: bool, locks: bool) -> tuple[AzureRole, ...]:
    """Return the roles of an environment's identity on its subscription: it creates resources, their roles and locks."""
    assigns = AzureRole(
        name=ASSIGNS, condition=only_assigning(assigned_roles(customer_managed_keys=customer_managed_keys))
    )
    return (AzureRole(name=BUILDS), assigns, *((AzureRole(name=LOCKS),) if locks else ()))


def only_assigning(roles: Iterable[str]) -> str:
    """Return the condition under which only these roles are given to or taken from service principals.

    Source of the form: learn.microsoft.com/azure/role-based-access-control/delegate-role-assignments-examples.
    """
    ids = ", ".join(DEFINITIONS[role] for role in roles)
    sides = (("write", "Request"), ("delete", "Resource"))
    return " AND ".join(_side(action, source, ids) for action, source in sides)


def _side(action: str, source: str, ids: str) -> str:
    attribute = f"@{source}[Microsoft.Authorization/roleAssignments"
    return (
        f"((!(ActionMatches{{'Microsoft.Authorization/roleAssignments/{action}'}})) OR ("
        f"{attribute}:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {{{ids}}} AND "
        f"{attribute}:PrincipalType] ForAnyOfAnyValues:StringEqualsIgnoreCase {{'{ASSIGNED_TO}'}}))"
    )
