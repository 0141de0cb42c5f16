"""The condition on a right to assign roles: only the roles that the stacks assign, so that nobody makes himself Owner."""

from collections.abc import Mapping, Sequence

from ml.spec.errors import DeclarationError
from ml.spec.near_miss import did_you_mean

ROLE_IDS: Mapping[str, str] = {
    "Key Vault Crypto Officer": "14b46e9e-c2b7-41b4-b07b-48a6ebf60603",
    "Key Vault Crypto Service Encryption User": "e147488a-f6f5-4113-8e2d-b22465e65bf6",
    "Storage Blob Data Contributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    "Storage Blob Data Reader": "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
}
"""Built-in roles of Azure, whose ids are the same in every tenant.

Source: https://learn.microsoft.com/en-us/azure/role-based-access-control/built-in-roles
"""
CONDITION_VERSION = "2.0"


def role_condition(roles: Sequence[str]) -> str:
    """Return the condition that lets its holder give and take the named roles and no others; empty for none.

    Source: https://learn.microsoft.com/en-us/azure/role-based-access-control/delegate-role-assignments-examples

    Raises
    ------
    DeclarationError
        If the id of a role is not known.
    """
    if not roles:
        return ""
    for role in roles:
        if role not in ROLE_IDS:
            raise DeclarationError(
                f"role {role!r}: its id is not known, so no condition can name it; add it in "
                f"infra/rights/role_conditions.py. {did_you_mean(role, ROLE_IDS)}".rstrip()
            )
    ids = ", ".join(sorted(ROLE_IDS[role] for role in roles))
    given = f"@Request[Microsoft.Authorization/roleAssignments:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {{{ids}}}"
    taken = given.replace("@Request", "@Resource")
    return (
        f"((!(ActionMatches{{'Microsoft.Authorization/roleAssignments/write'}})) OR ({given}))"
        f" AND ((!(ActionMatches{{'Microsoft.Authorization/roleAssignments/delete'}})) OR ({taken}))"
    )
