"""Azure roles: what each built-in role allows, and at which scope an identity holds one.

Ids and actions are those of https://learn.microsoft.com/en-us/azure/role-based-access-control/built-in-roles, as far
as a platform of this kind needs them. Not known: custom roles, deny assignments, conditions on assignments, Entra groups.
"""

import fnmatch
from dataclasses import dataclass

from infra.emulated_cloud.world import Json, World

ROLES_PAGE = "https://learn.microsoft.com/en-us/azure/role-based-access-control/built-in-roles"
KEY_ENCRYPTION = "Microsoft.KeyVault/vaults/keys/wrap/action"


@dataclass(frozen=True, kw_only=True)
class BuiltInRole:
    """A built-in role: its id, what it allows on resources, what it excepts, and what it allows on data."""

    identity: str
    actions: tuple[str, ...] = ()
    excepted: tuple[str, ...] = ()
    data: tuple[str, ...] = ()


ROLES: dict[str, BuiltInRole] = {
    "Owner": BuiltInRole(identity="8e3af657-a8ff-443c-a75c-2fe8c4bcb635", actions=("*",)),
    "Contributor": BuiltInRole(
        identity="b24988ac-6180-42a0-ab88-20f7382dd24c", actions=("*",),
        excepted=("microsoft.authorization/*/delete", "microsoft.authorization/*/write",
                  "microsoft.authorization/elevateaccess/action"),
    ),
    "Reader": BuiltInRole(identity="acdd72a7-3385-48ef-bd42-f606fba81ae7", actions=("*/read",)),
    "User Access Administrator": BuiltInRole(
        identity="18d7d88d-d35e-4fb5-a5c3-7773c20a72d9", actions=("*/read", "microsoft.authorization/*"),
    ),
    "Role Based Access Control Administrator": BuiltInRole(
        identity="f58310d9-a9f6-439a-9e8d-f62e7b41a168",
        actions=("*/read", "microsoft.authorization/roleassignments/write", "microsoft.authorization/roleassignments/delete"),
    ),
    "Locks Contributor": BuiltInRole(
        identity="28bf596f-4eb7-45ce-b5bc-6cf482fec137", actions=("microsoft.authorization/locks/*",),
    ),
    "Network Contributor": BuiltInRole(
        identity="4d97b98b-1d4f-4787-a291-c67834d212e7",
        actions=("microsoft.network/*", "microsoft.authorization/*/read", "microsoft.resources/deployments/*"),
    ),
    "Monitoring Metrics Publisher": BuiltInRole(
        identity="3913510d-42f4-4e42-8a64-420c390055eb", actions=("microsoft.insights/register/action",),
        data=("microsoft.insights/metrics/write", "microsoft.insights/telemetry/write"),
    ),
    "Key Vault Contributor": BuiltInRole(
        identity="f25e0fa2-a7c8-4377-a976-54943a77a395", actions=("microsoft.keyvault/*", "microsoft.authorization/*/read"),
    ),
    "Key Vault Administrator": BuiltInRole(
        identity="00482a5a-887f-4fb3-b363-3b7fe8e74483", actions=("microsoft.keyvault/vaults/*/read",),
        data=("microsoft.keyvault/vaults/*",),
    ),
    "Key Vault Crypto Officer": BuiltInRole(
        identity="14b46e9e-c2b7-41b4-b07b-48a6ebf60603", data=("microsoft.keyvault/vaults/keys/*",
                                                              "microsoft.keyvault/vaults/keyrotationpolicies/*"),
    ),
    "Key Vault Crypto Service Encryption User": BuiltInRole(
        identity="e147488a-f6f5-4113-8e2d-b22465e65bf6",
        data=("microsoft.keyvault/vaults/keys/read", "microsoft.keyvault/vaults/keys/wrap/action",
              "microsoft.keyvault/vaults/keys/unwrap/action"),
    ),
    "Key Vault Secrets Officer": BuiltInRole(
        identity="b86a8fe4-44ce-4948-aee5-eccb2c155cd7", data=("microsoft.keyvault/vaults/secrets/*",),
    ),
    "Key Vault Secrets User": BuiltInRole(
        identity="4633458b-17de-408a-b874-0445c86b69e6",
        data=("microsoft.keyvault/vaults/secrets/getsecret/action", "microsoft.keyvault/vaults/secrets/readmetadata/action"),
    ),
    "Storage Account Contributor": BuiltInRole(
        identity="17d1049b-9a84-46fb-8f53-869881c3d3ab", actions=("microsoft.storage/storageaccounts/*",),
    ),
    "Storage Blob Data Owner": BuiltInRole(
        identity="b7e6dc6d-f1e8-4753-8033-0f276bb0955b", data=("microsoft.storage/storageaccounts/blobservices/*",),
    ),
    "Storage Blob Data Contributor": BuiltInRole(
        identity="ba92f5b4-2d11-453d-a403-e96b0029c9fe", data=("microsoft.storage/storageaccounts/blobservices/*",),
    ),
    "Storage Blob Data Reader": BuiltInRole(
        identity="2a2b9908-6ea1-4ae2-8e65-a410df84e7d1", data=("microsoft.storage/storageaccounts/blobservices/*/read",),
    ),
    "Storage Queue Data Contributor": BuiltInRole(
        identity="974c5e8b-45b9-4653-ba55-5f855dd0fb88", data=("microsoft.storage/storageaccounts/queueservices/*",),
    ),
    "EventGrid EventSubscription Contributor": BuiltInRole(
        identity="428e0ff0-5e57-4d9c-a221-2c70d0e0a443", actions=("microsoft.eventgrid/eventsubscriptions/*",),
    ),
}  # fmt: skip
BY_ID = {role.identity: name for name, role in ROLES.items()}


def allows(world: World, principal: str, action: str, scope: str) -> bool:
    """Return whether an identity may do something on resources at a scope, by a role there or above."""
    return any(
        _fits(action, role.actions) and not _fits(action, role.excepted) for role in held_roles(world, principal, scope)
    )


def allows_data(world: World, principal: str, action: str, scope: str) -> bool:
    """Return whether an identity may do something on data at a scope, by a role there or above."""
    return any(_fits(action, role.data) for role in held_roles(world, principal, scope))


def held_roles(world: World, principal: str, scope: str) -> list[BuiltInRole]:
    """Return the roles that an identity holds at a scope; those above are inherited."""
    found = []
    for assignment in world.store("azure", "role assignments").values():
        given = assignment["scope"].lower().rstrip("/")
        if assignment["principalId"] == principal and (scope.lower() + "/").startswith(given + "/"):
            found.append(ROLES[BY_ID[assignment["roleDefinitionId"].rpartition("/")[2]]])
    return found


def has_data_role(world: World, principal: str, vault_uri: str, action: str) -> bool:
    """Return whether an identity may do something with what a vault of an address holds."""
    vault = find_by_property(world, "vaultUri", vault_uri)
    return vault is not None and allows_data(world, principal, action, vault["id"])


def find_by_property(world: World, name: str, value: str) -> Json | None:
    """Return the resource that has a property of a value, compared without case and closing slash."""
    wanted = value.lower().rstrip("/")
    resources = world.store("azure", "resources").values()
    return next(
        (one for one in resources if str(one.get("properties", {}).get(name, "")).lower().rstrip("/") == wanted), None
    )


def give_role(world: World, principal: str, role: str, scope: str) -> None:
    """Let an identity hold a role at a scope, without anybody asking for it."""
    identity = f"{scope}/providers/Microsoft.Authorization/roleAssignments/{world.new_uuid()}"
    world.store("azure", "role assignments")[identity.lower()] = {
        "~id": identity, "scope": scope, "principalId": principal, "roleDefinitionId": f"/providers/Microsoft.Authorization/roleDefinitions/{ROLES[role].identity}",
    }  # fmt: skip


def _fits(action: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(action.lower(), pattern) for pattern in patterns)
