"""The Azure roles that the stacks assign, and those that an environment's identity needs in order to assign them.

The right to assign roles is the right to everything, unless a condition says which. Dev's identity runs the code of pull
requests, so each identity may assign the roles of its own platform stack, to service principals, and nothing else: no role to
a person, no Owner to itself.
"""

from collections.abc import Iterable

from ml.spec.errors import DeclarationError
from ml.spec.near_miss import did_you_mean

DATA = "Storage Blob Data Contributor"
KEYS = "Key Vault Crypto Service Encryption User"
PUBLISHES = "Monitoring Metrics Publisher"
DEFINITIONS = {
    DATA: "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    KEYS: "e147488a-f6f5-4113-8e2d-b22465e65bf6",
    PUBLISHES: "3913510d-42f4-4e42-8a64-420c390055eb",
}
"""Ids of the roles that stacks assign (learn.microsoft.com/azure/role-based-access-control/built-in-roles)."""
ASSIGNED_TO = "ServicePrincipal"
"""The type of every principal that gets one, which each assignment states."""

BUILDS = "Contributor"
ASSIGNS = "Role Based Access Control Administrator"
LOCKS = "Locks Contributor"
PRIVILEGED = frozenset({"Owner", "User Access Administrator", ASSIGNS})
"""Roles with which an identity gives itself any other, unless a condition prevents it."""
CONDITION_VERSION = "2.0"


def only_assigning(roles: Iterable[str]) -> str:
    """Return the condition under which only these roles are given to or taken from service principals; empty for none.

    Source of the form: learn.microsoft.com/azure/role-based-access-control/delegate-role-assignments-examples.

    Raises
    ------
    DeclarationError
        If the id of a role is not known.
    """
    named = sorted(roles)
    if not named:
        return ""
    for role in named:
        if role not in DEFINITIONS:
            raise DeclarationError(
                f"role {role!r}: its id is not known, so no condition can name it; add it in "
                f"infra/permissions/azure_roles.py. {did_you_mean(role, DEFINITIONS)}".rstrip()
            )
    ids = ", ".join(sorted(DEFINITIONS[role] for role in named))
    sides = (("write", "Request"), ("delete", "Resource"))
    return " AND ".join(_side(action, source, ids) for action, source in sides)


def _side(action: str, source: str, ids: str) -> str:
    attribute = f"@{source}[Microsoft.Authorization/roleAssignments"
    return (
        f"((!(ActionMatches{{'Microsoft.Authorization/roleAssignments/{action}'}})) OR ("
        f"{attribute}:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {{{ids}}} AND "
        f"{attribute}:PrincipalType] ForAnyOfAnyValues:StringEqualsIgnoreCase {{'{ASSIGNED_TO}'}}))"
    )
