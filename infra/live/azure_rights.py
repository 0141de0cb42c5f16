"""Who holds what in Azure and Entra, as values: assignments of roles, and what an application's identity can be used with."""

from collections.abc import Sequence
from dataclasses import dataclass

from infra.live.live_rights import LiveRight

OWNER_OF = "OWNER"
"""Whoever owns an application adds credentials to it, and so signs in as it."""
SERVICE_PRINCIPAL = "ServicePrincipal"
GROUP_MEMBER = "MEMBER OF"
"""Before the name of a group or a directory role: its rights are the identity's too."""


@dataclass(frozen=True, kw_only=True, order=True)
class IdentitySource:
    """Where the object id of an identity is found.

    Attributes
    ----------
    resource
        The Azure id of the resource whose managed identity it is; empty for one that Entra alone knows.
    attribute
        The keys that lead from the resource to the object id; or the property by which Entra is asked.
    value
        For Entra, the value of the property.
    """

    resource: str = ""
    attribute: tuple[str, ...]
    value: str = ""


@dataclass(frozen=True, kw_only=True, order=True)
class DeclaredAssignment:
    """One role that an identity is declared to hold.

    Attributes
    ----------
    condition
        Empty for none.
    """

    identity: IdentitySource
    role: str
    scope: str
    condition: str = ""


@dataclass(frozen=True, kw_only=True, order=True)
class LiveAssignment:
    """One assignment of a role as Azure states it.

    Attributes
    ----------
    principal_id, principal
        The object id, and the name for people.
    kind
        ``User``, ``Group`` or ``ServicePrincipal``.
    scope
        Where it was given; it holds for everything below.
    """

    principal_id: str
    principal: str
    kind: str = SERVICE_PRINCIPAL
    role: str
    scope: str
    condition: str = ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What two assignments have in common that give the same: ids are compared without case, conditions without blanks."""
        return self.principal_id.lower(), self.scope.lower().rstrip("/"), self.role, "".join(self.condition.split())


@dataclass(frozen=True, kw_only=True)
class LiveAzure:
    """All that could be read, the object ids of the declared identities, and a sentence for each thing that could not be read."""

    assignments: Sequence[LiveAssignment]
    credentials: Sequence[LiveRight]
    object_ids: dict[IdentitySource, str]
    unread: Sequence[str] = ()
