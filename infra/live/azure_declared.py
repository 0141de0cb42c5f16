"""What is declared of Azure roles and of applications in Entra: by the stacks, by the set-up of the pipelines, by the ceilings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.config.ceilings import Ceilings
from infra.config.loading import Settings
from infra.config.naming import ResourceKind, name
from infra.config.pipeline_names import CONNECTIONS, signs_in_as
from infra.config.stack_names import ACCOUNT
from infra.graph.estate import Estate, GraphResource
from infra.live.azure_rights import OWNER_OF, DeclaredAssignment, IdentitySource
from infra.live.live_rights import SIGNS_IN
from infra.permissions.azure_roles import only_assigning
from infra.rights.catalogue import Authority
from infra.rights.needed import NeededRight

TYPES: Mapping[str, str] = {
    "azurerm_application_insights": "Microsoft.Insights/components",
    "azurerm_databricks_access_connector": "Microsoft.Databricks/accessConnectors",
    "azurerm_databricks_workspace": "Microsoft.Databricks/workspaces",
    "azurerm_key_vault": "Microsoft.KeyVault/vaults",
    "azurerm_storage_account": "Microsoft.Storage/storageAccounts",
}
"""Type of resource to its name in Azure, for what holds a role and what a role is held on."""
IDENTITIES: Mapping[str, tuple[str, ...]] = {
    "identity": ("identity", "principalId"),
    "managed_disk_identity": ("properties", "managedDiskIdentity", "principalId"),
    "storage_account_identity": ("properties", "storageAccountIdentity", "principalId"),
}
"""Attribute of a resource to the keys under which Azure states the object id of that identity."""


@dataclass(frozen=True, kw_only=True)
class AzureDeclaration:
    """What is declared for one place.

    Attributes
    ----------
    application
        The display name of the place's own application.
    reads_directory
        Whether the place's own identity may read applications. Dev's may not: the code of a pull request signs in as it.
    scopes
        The Azure ids whose assignments are read, with those above and below them.
    assignments
        The roles that are declared.
    permitted
        Those that the ceilings allow, declared or not.
    holders
        By name or object id, the roles that the ceilings allow to those who own subscriptions.
    credentials
        Who is declared to hold what on each application that is read here, by its display name: the place's own, and
        for the account every one.
    groups
        Names of the Entra groups by their object ids.
    """

    place: str
    application: str
    reads_directory: bool
    scopes: tuple[str, ...]
    assignments: frozenset[DeclaredAssignment]
    permitted: frozenset[DeclaredAssignment]
    holders: Mapping[str, frozenset[str]]
    credentials: Mapping[str, Mapping[str, frozenset[str]]]
    groups: Mapping[str, str]


def azure_declaration(
    estates: Sequence[Estate], ceilings: Ceilings, place: str, rights: Mapping[str, Sequence[NeededRight]]
) -> AzureDeclaration:
    """Return what is declared for ``account`` or an environment.

    Parameters
    ----------
    estates
        The stacks of the tree, then those that were released: what either declares is not by hand.
    rights
        The rights that each place's identity needs, which `infra devops` gives it.
    """
    settings = estates[0].settings
    application = name(ResourceKind.APPLICATION, settings.account.organisation, place)
    scopes = tuple(sorted({*_groups(settings, place), *_state(settings, place)}))
    given = {
        DeclaredAssignment(
            identity=IdentitySource(
                attribute=("displayName",), value=name(ResourceKind.APPLICATION, settings.account.organisation, one)
            ),
            role=right.right, scope=right.scope, condition=only_assigning(right.roles_given),
        )
        for one, those in rights.items()
        for right in those
        if right.authority is Authority.AZURE and (one == place or right.scope in scopes)
    }  # fmt: skip
    stated = {one for estate in estates for one in _assigned(estate, place)}
    return AzureDeclaration(
        place=place,
        application=application,
        reads_directory=any(right.authority is Authority.ENTRA for right in rights.get(place, ())),
        scopes=scopes,
        assignments=frozenset(given | stated),
        permitted=frozenset(given | {one for estate in estates for one in _permitted(estate, ceilings, place)}),
        holders={who: frozenset(roles) for who, roles in ceilings.azure_holders.items()},
        credentials={
            name(ResourceKind.APPLICATION, settings.account.organisation, one): _credentials(
                settings, one, rights.get(one, ())
            )
            for one in ((ACCOUNT, *settings.environments) if place == ACCOUNT else (place,))
        },
        groups={str(identity): group for group, identity in settings.account.entra_groups.items() if identity},
    )


def _groups(settings: Settings, place: str) -> Iterator[str]:
    """Yield the Azure id of an environment's resource group; the account has none."""
    if place != ACCOUNT:
        group = name(ResourceKind.RESOURCE_GROUP, settings.account.organisation, place)
        yield f"/subscriptions/{settings.environments[place].subscription_id}/resourceGroups/{group}"


def _state(settings: Settings, place: str) -> Iterator[str]:
    """Yield the Azure id of the storage account that keeps the place's state, if Azure keeps it."""
    stated = settings.account.state if place == ACCOUNT else settings.environments[place].state
    if stated is not None:
        yield (
            f"/subscriptions/{stated.subscription_id}/resourceGroups/{stated.resource_group}"
            f"/providers/Microsoft.Storage/storageAccounts/{stated.storage_account}"
        )


def _assigned(estate: Estate, place: str) -> Iterator[DeclaredAssignment]:
    for one in estate.of("azurerm_role_assignment"):
        if one.environment != place:
            continue
        origins = estate.origins(one.stack, one.get("principal_id"))
        on = estate.origin(one.stack, one.get("scope"))
        holder = estate.by_where.get(origins[0].where) if len(origins) == 1 else None
        if holder is None or on is None:
            continue  # the checks refuse an assignment that leads nowhere
        for identity in _identity(estate, holder, origins[0].attribute):
            yield DeclaredAssignment(
                identity=identity, role=str(one.get("role_definition_name")), scope=_id(estate, on),
                condition=str(one.get("condition") or ""),
            )  # fmt: skip


def _permitted(estate: Estate, ceilings: Ceilings, place: str) -> Iterator[DeclaredAssignment]:
    for role, allowed in ceilings.azure_roles.items():
        for right in allowed:
            kind, _, attribute = right.principal.rpartition(".")
            holders = [one for one in estate.of(kind) if one.environment == place and right.named in ("", one.name)]
            scopes = [_id(estate, one) for one in estate.of(right.scope) if one.environment == place]
            for holder in holders:
                for identity in _identity(estate, holder, attribute):
                    yield from (DeclaredAssignment(identity=identity, role=role, scope=scope) for scope in scopes)


def _identity(estate: Estate, holder: GraphResource, attribute: str) -> Iterator[IdentitySource]:
    if holder.type in TYPES and attribute in IDENTITIES:
        yield IdentitySource(resource=_id(estate, holder), attribute=IDENTITIES[attribute])
    elif holder.type == "data.azuread_service_principal":
        for argument, known_as in (("client_id", "appId"), ("display_name", "displayName")):
            if holder.get(argument) is not None:
                yield IdentitySource(attribute=(known_as,), value=str(holder.get(argument)))


def _id(estate: Estate, one: GraphResource) -> str:
    """Return the Azure id of a resource, whose name and group the settings give."""
    (group,) = _groups(estate.settings, one.environment)
    return f"{group}/providers/{TYPES.get(one.type, one.type)}/{one.get('name')}"


def _credentials(settings: Settings, place: str, rights: Sequence[NeededRight]) -> Mapping[str, frozenset[str]]:
    account = settings.account
    application = name(ResourceKind.APPLICATION, account.organisation, place)
    deployer = name(ResourceKind.APPLICATION, account.organisation, ACCOUNT)
    found: dict[str, Any] = {}
    for key, connection in CONNECTIONS.items():
        if connection.stage == place:
            issuer, subject = signs_in_as(account.azure_devops, key)
            found[f"{subject} of {issuer}"] = frozenset({SIGNS_IN})
    if place != ACCOUNT:
        found[deployer] = frozenset({OWNER_OF})
    roles = frozenset(right.right for right in rights if right.authority is Authority.ENTRA)
    return {**found, application: roles}
