"""The rules of Azure Resource Manager: roles at scopes, what a resource needs, locks, and keys before encryption."""

import ipaddress
import re
from typing import Any

from infra.emulated_cloud.areas.azure.ids import ASSIGNMENT, FIXED, resource_type, resources
from infra.emulated_cloud.areas.azure.roles import BY_ID, ROLES, ROLES_PAGE, allows, allows_data, find_by_property
from infra.emulated_cloud.calls import Attempt, Call, ServiceRule
from infra.emulated_cloud.world import Json

Range = ipaddress.IPv4Network | ipaddress.IPv6Network
"""A range of addresses of a virtual network, which may have both kinds."""

WORKSPACE_IDENTITIES = ("managedDiskIdentity", "storageAccountIdentity")


def _action(call: Call) -> tuple[str, str]:
    """Return the action that a request needs and the resource that it needs it on."""
    if call.method == "POST":
        scope, _, verb = call.path.rpartition("/")
        return f"{resource_type(scope)}/{verb}/action", scope
    verb = {"GET": "read", "HEAD": "read", "DELETE": "delete"}.get(call.method, "write")
    scope = call.path.partition(f"/providers/{ASSIGNMENT}")[0] if ASSIGNMENT.lower() in call.path.lower() else call.path
    return f"{resource_type(call.path)}/{verb}", scope


def _may_act(call: Call) -> bool:
    """Return whether the caller's roles allow a request; who gives roles is a rule of its own."""
    return (call.method == "PUT" and ASSIGNMENT in call.path) or _is_allowed(call)


def _is_allowed(call: Call) -> bool:
    return allows(call.world, call.caller.object_id, *_action(call))


def _group_exists(call: Call) -> bool:
    found = re.match(r"(/subscriptions/[^/]+/resourcegroups/[^/]+)/", call.path.lower())
    return found is None or found[1] in resources(call)


def _parent_exists(call: Call) -> bool:
    parts = call.path.strip("/").split("/")
    own = 1 if len(parts) % 2 else 2  # what a resource has once, such as a cap, has no name
    parent = "/" + "/".join(parts[:-own]).lower()
    return (
        resource_type(call.path).count("/") < 2 or parent in resources(call) or resource_type(parent).lower() in FIXED
    )


def _is_unlocked(call: Call) -> bool:
    return not any(_locks(path, document, call) for path, document in resources(call).items())


def _locks(path: str, document: Json, call: Call) -> bool:
    """Return whether a resource is a lock that holds what a request changes or, for a deletion, something in it."""
    target = call.path.lower()
    scope, _, lock = path.partition("/providers/microsoft.authorization/locks/")
    level = str(document.get("properties", {}).get("level", ""))
    if not lock or "/locks/" in target:
        return False
    held = f"{target}/".startswith(f"{scope}/")
    if call.method == "DELETE":
        return held or scope.startswith(f"{target}/")
    return held and level == "ReadOnly"


def _principal_exists(call: Call) -> bool:
    wanted = str(call.fields.get("properties", {}).get("principalId"))
    known = {caller.object_id for caller in call.world.tokens.values()}
    known |= set(call.world.store("graph", "servicePrincipals")) | set(call.world.store("graph", "directory objects"))
    return wanted in known | {identity for one in resources(call).values() for identity in _identities(one)}


def _identities(document: Json) -> list[str]:
    """Return the identities in Entra that a resource has."""
    properties = document.get("properties", {})
    holders = (document.get("identity"), properties, *(properties.get(name) for name in WORKSPACE_IDENTITIES))
    return [str(holder["principalId"]) for holder in holders if holder and "principalId" in holder]


def _role_exists(call: Call) -> bool:
    return str(call.fields.get("properties", {}).get("roleDefinitionId", "")).rpartition("/")[2] in BY_ID


def _may_use_key(call: Call) -> bool:
    """Return whether the identity of a storage account may wrap with the key it is to be encrypted with."""
    key = call.fields.get("properties", {}).get("encryption", {}).get("keyvaultproperties")
    if not key:
        return True
    kept = resources(call).get(call.path.lower(), {})
    vault = find_by_property(call.world, "vaultUri", str(key.get("keyvaulturi", "")))
    identity = str((kept.get("identity") or {}).get("principalId", ""))
    return vault is not None and allows_data(
        call.world, identity, "Microsoft.KeyVault/vaults/keys/wrap/action", vault["id"]
    )


def _fits_in_network(call: Call) -> bool:
    """Return whether the subnets of a virtual network do not share addresses, which are compared as prefixes."""
    parent = call.path.lower().rpartition("/subnets/")[0]
    network = resources(call).get(parent, {})
    own = [ipaddress.ip_network(one) for one in _prefixes(call.fields)]
    whole = [
        ipaddress.ip_network(one)
        for one in network.get("properties", {}).get("addressSpace", {}).get("addressPrefixes", ())
    ]
    others = [
        ipaddress.ip_network(one) for path, document in resources(call).items()
        if path.startswith(f"{parent}/subnets/") and path != call.path.lower() for one in _prefixes(document)
    ]  # fmt: skip
    inside = all(any(_is_within(one, space) for space in whole) for one in own)
    return inside and not any(one.overlaps(other) for one in own for other in others)


def _is_within(one: Range, space: Range) -> bool:
    """Return whether a range is in another one; a range of IPv6 is in none of IPv4."""
    if isinstance(one, ipaddress.IPv4Network) and isinstance(space, ipaddress.IPv4Network):
        return one.subnet_of(space)
    return isinstance(one, ipaddress.IPv6Network) and isinstance(space, ipaddress.IPv6Network) and one.subnet_of(space)


def _prefixes(document: Json) -> list[Any]:
    properties = document.get("properties", {})
    return list(properties.get("addressPrefixes") or [one for one in [properties.get("addressPrefix")] if one])


SUBSCRIPTION = "/subscriptions/5a0b1c2d-3e4f-4a5b-8c6d-7e8f90a1b2c3"
GROUP = f"{SUBSCRIPTION}/resourceGroups/rg"
MADE_GROUP = Attempt(who="dev", request=f"PUT azure{GROUP}?api-version=2023-07-01", body={"location": "westeurope"})
NETWORK = Attempt(
    who="dev", request=f"PUT azure{GROUP}/providers/Microsoft.Network/virtualNetworks/vnet",
    body={"location": "westeurope", "properties": {"addressSpace": {"addressPrefixes": ["10.40.0.0/20"]}}},
)  # fmt: skip
ACCOUNT_PATH = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/lake"
_DOCS = "https://learn.microsoft.com/en-us/azure"


def _give(who: str, principal: str, role: str, name: str = "11111111-1111-4111-8111-111111111111") -> Attempt:
    return Attempt(
        who=who, request=f"PUT azure{GROUP}/providers/Microsoft.Authorization/roleAssignments/{name}",
        body={"properties": {"principalId": principal, "roleDefinitionId": f"/x/{ROLES[role].identity}"}},
    )  # fmt: skip


def _subnet(name: str, prefix: str) -> Attempt:
    return Attempt(who="dev", request=f"PUT azure{GROUP}/providers/Microsoft.Network/virtualNetworks/vnet/subnets/{name}",
                   body={"properties": {"addressPrefix": prefix}})  # fmt: skip


_WRITES = ("azure PUT /subscriptions/*", "azure PATCH /subscriptions/*", "azure DELETE /subscriptions/*")
_ASSIGNS = (f"azure PUT */{ASSIGNMENT}/*",)

RULES = (
    ServiceRule(
        rule="azure-needs-a-role",
        says="A resource is read, written and deleted by who has a role that allows it, at its scope or above.",
        page="https://learn.microsoft.com/en-us/azure/role-based-access-control/overview",
        on=("azure * /subscriptions/*",), holds=_may_act,
        refusal=(403, "AuthorizationFailed",
                 "The client '{caller}' does not have authorization to perform this action over scope '{path}'."),
        accepted=MADE_GROUP,
        refused=Attempt(who="staging", request=f"PUT azure{GROUP}?api-version=2023-07-01", body={"location": "westeurope"}),
    ),
    ServiceRule(
        rule="role-assignments-need-their-right",
        says="Roles are given by Owners and User Access Administrators; a Contributor gives none.",
        page=f"{_DOCS}/role-based-access-control/role-assignments-steps", on=_ASSIGNS, holds=_is_allowed,
        refusal=(403, "AuthorizationFailed",
                 ("The client '{caller}' does not have authorization to perform action "
                 "'Microsoft.Authorization/roleAssignments/write'.")),
        given=(MADE_GROUP,),
        accepted=_give("person", "bbbbbbbb-0000-4000-8000-000000000001", "Reader"),
        refused=_give("dev", "bbbbbbbb-0000-4000-8000-000000000001", "Owner"),
    ),
    ServiceRule(
        rule="role-assignments-name-principals", says="A role is given to an identity that exists in Entra.",
        page=f"{_DOCS}/role-based-access-control/troubleshooting", on=_ASSIGNS, holds=_principal_exists,
        refusal=(400, "PrincipalNotFound", "Principal {principalId} does not exist in the directory."),
        given=(MADE_GROUP,),
        accepted=_give("person", "bbbbbbbb-0000-4000-8000-000000000001", "Reader"),
        refused=_give("person", "99999999-9999-4999-8999-999999999999", "Reader"),
    ),
    ServiceRule(
        rule="role-exists", says="A role assignment names a role that exists.", page=ROLES_PAGE, on=_ASSIGNS,
        holds=_role_exists, refusal=(400, "RoleDefinitionDoesNotExist", "The specified role definition does not exist."),
        given=(MADE_GROUP,),
        accepted=_give("person", "bbbbbbbb-0000-4000-8000-000000000001", "Reader"),
        refused=Attempt(
            who="person", request=f"PUT azure{GROUP}/providers/{ASSIGNMENT}/11111111-1111-4111-8111-111111111111",
            body={"properties": {"principalId": "bbbbbbbb-0000-4000-8000-000000000001", "roleDefinitionId": "/x/unknown"}},
        ),
    ),
    ServiceRule(
        rule="resource-group-exists", says="A resource is created in a resource group that exists.",
        page=f"{_DOCS}/azure-resource-manager/management/manage-resource-groups-portal",
        on=("azure PUT */providers/*",), holds=_group_exists,
        refusal=(404, "ResourceGroupNotFound", "Resource group of '{path}' could not be found."),
        given=(MADE_GROUP,), accepted=NETWORK,
        refused=Attempt(who="dev", request=f"PUT azure{SUBSCRIPTION}/resourceGroups/none/providers/Microsoft.Network/"
                                           "virtualNetworks/vnet", body={"location": "westeurope"}),
    ),
    ServiceRule(
        rule="parent-exists", says="A child resource is created below a resource that exists.",
        page=f"{_DOCS}/azure-resource-manager/templates/child-resource-name-type",
        on=("azure PUT */providers/*",), holds=_parent_exists,
        refusal=(404, "ParentResourceNotFound", "Can not perform requested operation on nested resource: '{path}'."),
        given=(MADE_GROUP, NETWORK), accepted=_subnet("a", "10.40.1.0/24"),
        refused=Attempt(who="dev", request=f"PUT azure{GROUP}/providers/Microsoft.Network/virtualNetworks/other/subnets/a",
                        body={"properties": {"addressPrefix": "10.40.1.0/24"}}),
    ),
    ServiceRule(
        rule="locks-hold", says="A lock refuses deletion, or every change, of what is at its scope or below.",
        page=f"{_DOCS}/azure-resource-manager/management/lock-resources", on=_WRITES, holds=_is_unlocked,
        refusal=(409, "ScopeLocked", "The scope '{path}' cannot perform this operation because it is locked."),
        given=(MADE_GROUP, NETWORK, Attempt(
            who="person", request=f"PUT azure{GROUP}/providers/Microsoft.Network/virtualNetworks/vnet/providers/"
                                  "Microsoft.Authorization/locks/keep", body={"properties": {"level": "CanNotDelete"}})),
        accepted=_subnet("a", "10.40.1.0/24"),
        refused=Attempt(who="dev", request=f"DELETE azure{GROUP}"),
    ),
    ServiceRule(
        rule="subnets-fit", says="A subnet lies in the addresses of its network and shares none with another.",
        page=f"{_DOCS}/virtual-network/virtual-networks-faq", on=("azure PUT */virtualNetworks/*/subnets/*",),
        holds=_fits_in_network,
        refusal=(400, "NetcfgSubnetRangesOverlap", "The addresses of subnet '{path}' overlap or lie outside its network."),
        given=(MADE_GROUP, NETWORK, _subnet("a", "10.40.1.0/24")),
        accepted=_subnet("b", "10.40.2.0/24"), refused=_subnet("b", "10.40.1.128/25"),
    ),
    ServiceRule(
        rule="storage-key-needs-its-identity",
        says="A storage account is encrypted with a customer's key only if its identity may use the key.",
        page=f"{_DOCS}/storage/common/customer-managed-keys-overview",
        on=("azure PUT */Microsoft.Storage/storageAccounts/*", "azure PATCH */Microsoft.Storage/storageAccounts/*"),
        holds=_may_use_key,
        refusal=(403, "KeyVaultAuthenticationFailure", "The storage account's identity has no access to the key."),
        given=(
            MADE_GROUP,
            Attempt(who="dev", request=f"PUT azure{GROUP}/providers/Microsoft.KeyVault/vaults/kv", body={"properties": {}}),
            Attempt(who="dev", request=f"PUT azure{ACCOUNT_PATH}", body={"identity": {"type": "SystemAssigned"}}),
            Attempt(who="dev", request=f"PUT azure{ACCOUNT_PATH}2", body={"identity": {"type": "SystemAssigned"}}),
            Attempt(
                who="person", request=f"PUT azure{GROUP}/providers/{ASSIGNMENT}/22222222-2222-4222-8222-222222222222",
                body={"properties": {"principalId": "<lake>", "roleDefinitionId":
                                     f"/x/{ROLES['Key Vault Crypto Service Encryption User'].identity}"}},
            ),
        ),
        accepted=Attempt(who="dev", request=f"PATCH azure{ACCOUNT_PATH}", body={"properties": {"encryption": {
            "keyvaultproperties": {"keyvaulturi": "https://kv.vault.azure.net/", "keyname": "lake"}}}}),
        refused=Attempt(who="dev", request=f"PATCH azure{ACCOUNT_PATH}2", body={"properties": {"encryption": {
            "keyvaultproperties": {"keyvaulturi": "https://kv.vault.azure.net/", "keyname": "lake"}}}}),
    ),
)  # fmt: skip
