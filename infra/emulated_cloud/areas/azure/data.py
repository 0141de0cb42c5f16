"""The data planes of Azure: keys and secrets of a vault, and the endpoints of a storage account.

A request comes from the internet, from a public address, or from a virtual network. A closed service answers where a
private endpoint for it lies in that network, and the addresses that its rules name.
"""

import copy
import ipaddress

from infra.emulated_cloud.areas.azure.resource_rules import ACCOUNT_PATH, GROUP, MADE_GROUP, NETWORK
from infra.emulated_cloud.areas.azure.roles import ROLES, allows_data
from infra.emulated_cloud.calls import (
    VAULT,
    Area,
    Attempt,
    Call,
    CloudRefusalError,
    ServiceRule,
    endpoints,
)
from infra.emulated_cloud.world import Json

_DOCS = "https://learn.microsoft.com/en-us/azure"


def _resource(call: Call) -> Json:
    kind = "/vaults/" if call.service == VAULT else "/storageaccounts/"
    name = call.place.partition(".")[0]
    for path, document in call.world.store("azure", "resources").items():
        if path.endswith(f"{kind}{name.lower()}"):
            return document
    raise CloudRefusalError(404, "ResourceNotFound", f"No resource {name} has this address.")


def is_open_to(call: Call) -> bool:
    """Return whether the network that a request comes from reaches the service's data."""
    properties = _resource(call).get("properties", {})
    rules = properties.get("networkAcls") or {}
    if properties.get("publicNetworkAccess") != "Disabled":
        listed = [str(rule.get("value", "")) for rule in rules.get("ipRules", ())]
        if rules.get("defaultAction", "Allow") == "Allow" or _is_listed(call.network, listed):
            return True
    group = "vault" if call.service == VAULT else call.place.partition(".")[2]
    return bool(call.network) and any(
        _leads(call, one, group) for one in call.world.store("azure", "resources").values()
    )


def _is_listed(origin: str, ranges: list[str]) -> bool:
    """Return whether a request comes from a public address in one of some ranges."""
    try:
        address = ipaddress.ip_address(origin)
    except ValueError:
        return False
    return any(address in ipaddress.ip_network(one) for one in ranges)


def _leads(call: Call, endpoint: Json, group: str) -> bool:
    """Return whether a private endpoint leads from the caller's network to the service that is asked."""
    properties = endpoint.get("properties", {})
    subnet = str((properties.get("subnet") or {}).get("id", "")).lower()
    target = _resource(call)["id"].lower()
    return f"/virtualnetworks/{call.network.lower()}/" in subnet and any(
        connection["properties"]["privateLinkServiceId"].lower() == target
        and group in connection["properties"]["groupIds"]
        for connection in properties.get("privateLinkServiceConnections", ())
    )


def _action(call: Call) -> str:
    kind = call.path.strip("/").split("/")[0]
    if kind == "secrets":
        return f"Microsoft.KeyVault/vaults/secrets/{'getSecret/action' if call.method == 'GET' else 'setSecret/action'}"
    verb = {"GET": "read", "DELETE": "delete", "POST": "create/action"}.get(call.method, "write")
    return f"Microsoft.KeyVault/vaults/{kind}/{verb}"


def _has_data_role(call: Call) -> bool:
    return allows_data(call.world, call.caller.object_id, _action(call), _resource(call)["id"])


def _may_use_blobs(call: Call) -> bool:
    verb = "read" if call.method in ("GET", "HEAD") else "write"
    action = f"Microsoft.Storage/storageAccounts/blobServices/containers/blobs/{verb}"
    container = call.path.strip("/").partition("/")[0]
    scope = f"{_resource(call)['id']}/blobServices/default/containers/{container}"
    return allows_data(call.world, call.caller.object_id, action, scope)


def _kept(call: Call) -> tuple[dict[str, Json], str, str]:
    kind, name = call.path.strip("/").split("/")[0], call.arguments["name"]
    return call.world.store(f"vault {call.place}", kind), kind, name


def _set(call: Call) -> Json:
    store, kind, name = _kept(call)
    version = call.world.new_uuid().replace("-", "")
    address = f"https://{call.place}.vault.azure.net/{kind}/{name}/{version}"
    given = copy.deepcopy(call.fields)
    attributes = {"enabled": True, "recoveryLevel": "Recoverable+Purgeable", "created": call.world.now() // 1000}
    store[name] = {"attributes": attributes, "tags": given.get("tags", {})}
    if kind == "keys":
        operations = given.get("key_ops", ["wrapKey", "unwrapKey"])
        store[name]["key"] = {
            "kid": address,
            "kty": given.get("kty", "RSA"),
            "key_ops": operations,
            "n": "AQAB",
            "e": "AQAB",
        }
    else:
        store[name] |= {"id": address, "value": given.get("value", "")}
    return copy.deepcopy(store[name])


def _get(call: Call) -> Json:
    store, kind, name = _kept(call)
    if name not in store:
        raise CloudRefusalError(404, f"{kind.rstrip('s').title()}NotFound", f"{name} was not found in this key vault.")
    return copy.deepcopy(store[name])


def _delete(call: Call) -> Json:
    _get(call)
    store, _, name = _kept(call)
    return store.pop(name)


def _contacts(call: Call) -> Json:
    raise CloudRefusalError(404, "ContactsNotFound", f"No certificate contacts in {call.place}.")


def _rotation(call: Call) -> Json:
    return {"id": call.path, "lifetimeActions": [], "attributes": {}}


_VAULT = f"{GROUP}/providers/Microsoft.KeyVault/vaults/kv"
_SUBNET = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/vnet/subnets/endpoints"
_CLOSED = {"publicNetworkAccess": "Disabled", "networkAcls": {"defaultAction": "Deny"}}


def _endpoint(name: str, target: str, group: str) -> Attempt:
    connection = {"name": name, "properties": {"privateLinkServiceId": target, "groupIds": [group]}}
    return Attempt(
        who="dev", request=f"PUT azure{GROUP}/providers/Microsoft.Network/privateEndpoints/{name}",
        body={"location": "westeurope", "properties": {"subnet": {"id": _SUBNET}, "privateLinkServiceConnections": [connection]}},
    )  # fmt: skip


def _give(principal: str, role: str) -> Attempt:
    return Attempt(
        who="person",
        request=f"PUT azure{GROUP}/providers/Microsoft.Authorization/roleAssignments/33333333-3333-4333-8333-333333333333",
        body={"properties": {"principalId": principal, "roleDefinitionId": f"/x/{ROLES[role].identity}"}},
    )


_DEV = "bbbbbbbb-0000-4000-8000-000000000001"
_PLACES = (
    MADE_GROUP,
    NETWORK,
    Attempt(who="dev", request=f"PUT azure{_SUBNET}", body={"properties": {"addressPrefix": "10.40.1.0/24"}}),
)
_OPEN_VAULT = Attempt(who="dev", request=f"PUT azure{_VAULT}", body={"properties": {}})
_CLOSED_VAULT = Attempt(who="dev", request=f"PUT azure{_VAULT}", body={"properties": _CLOSED})
_CLOSED_ACCOUNT = Attempt(who="dev", request=f"PUT azure{ACCOUNT_PATH}", body={"properties": _CLOSED})
_MAKE_KEY = "POST kv.vault/keys/disk/create?api-version=7.4"

STORAGE_RULES = (
    ServiceRule(
        rule="storage-is-reached-from-its-network",
        says="Each endpoint of a closed storage account answers only through a private endpoint of its own.",
        page=f"{_DOCS}/storage/common/storage-private-endpoints", on=("storage * *",), holds=is_open_to,
        refusal=(403, "AuthorizationFailure", "This request is not authorized to perform this operation."),
        given=(*_PLACES, _CLOSED_ACCOUNT, _endpoint("pep", ACCOUNT_PATH, "blob"), _give(_DEV, "Storage Blob Data Contributor")),
        accepted=Attempt(who="dev", request="GET lake.blob/?restype=service&comp=properties", network="vnet"),
        refused=Attempt(who="dev", request="GET lake.queue/?restype=service&comp=properties", network="vnet"),
    ),
    ServiceRule(
        rule="blobs-need-a-data-role", says="Blobs are read and written with a role on data.",
        page=f"{_DOCS}/storage/blobs/assign-azure-role-data-access", on=("storage * /*",), holds=_may_use_blobs,
        refusal=(403, "AuthorizationPermissionMismatch",
                 "This request is not authorized to perform this operation using this permission."),
        given=(MADE_GROUP, Attempt(who="dev", request=f"PUT azure{ACCOUNT_PATH}", body={"properties": {}}),
               _give(_DEV, "Storage Blob Data Reader")),
        accepted=Attempt(who="dev", request="GET lake.blob/catalog?restype=container"),
        refused=Attempt(who="person", request="GET lake.blob/catalog?restype=container"),
    ),
)  # fmt: skip
"""Of every request to a storage account."""

AREA = Area(
    name="data planes of Azure",
    endpoints=(
        *endpoints(VAULT, {
            "GET /certificates/contacts": _contacts,
            "POST /keys/{name}/create": _set, "GET /keys/{name}": _get, "GET /keys/{name}/": _get, "GET /keys/{name}/{version}": _get,
            "GET /keys/{name}/rotationpolicy": _rotation, "DELETE /keys/{name}": _delete,
            "PUT /secrets/{name}": _set, "GET /secrets/{name}": _get, "GET /secrets/{name}/{version}": _get,
            "DELETE /secrets/{name}": _delete,
        }),
    ),
    rules=(
        ServiceRule(
            rule="vault-is-reached-from-its-network",
            says="A vault that is closed to the internet answers only through its private endpoint.",
            page=f"{_DOCS}/key-vault/general/network-security", on=("vault * *",), holds=is_open_to,
            refusal=(403, "Forbidden", ("Public network access is disabled and request is not from a trusted service "
                                       "nor via an approved private link.")),
            given=(*_PLACES, _CLOSED_VAULT, _endpoint("pep", _VAULT, "vault"), _give(_DEV, "Key Vault Crypto Officer")),
            accepted=Attempt(who="dev", request=_MAKE_KEY, body={"kty": "RSA"}, network="vnet"),
            refused=Attempt(who="dev", request=_MAKE_KEY, body={"kty": "RSA"}),
        ),
        ServiceRule(
            rule="vault-data-needs-a-data-role",
            says="Keys and secrets need a role on data; Owner and Contributor give none.",
            page=f"{_DOCS}/key-vault/general/rbac-guide", on=("vault * /keys/*", "vault * /secrets/*"), holds=_has_data_role,
            refusal=(403, "Forbidden", "Caller is not authorized to perform action on resource. ForbiddenByRbac"),
            given=(MADE_GROUP, _OPEN_VAULT, _give(_DEV, "Key Vault Crypto Officer")),
            accepted=Attempt(who="dev", request=_MAKE_KEY, body={"kty": "RSA"}),
            refused=Attempt(who="person", request=_MAKE_KEY, body={"kty": "RSA"}),
        ),
    ),
)  # fmt: skip
