"""Azure Resource Manager: one store of resources by id, and what some types add.

Not known: quotas of regions, zones and sizes, prices, the values that a type allows, and operations that take long.
"""

import copy
import re
from collections.abc import Callable
from typing import Any

from infra.emulated_cloud.areas.azure.databricks_workspaces import workspace_added, workspace_removed
from infra.emulated_cloud.areas.azure.ids import ASSIGNMENT, FIXED, resource_type, resources
from infra.emulated_cloud.areas.azure.monitor_resources import RULES as MONITOR_RULES
from infra.emulated_cloud.areas.azure.monitor_resources import component_added, read_cap, write_cap
from infra.emulated_cloud.areas.azure.resource_rules import RULES
from infra.emulated_cloud.areas.azure.roles import BY_ID, ROLES
from infra.emulated_cloud.calls import AZURE, Area, Call, CloudAnswer, CloudRefusalError, Endpoint, endpoints
from infra.emulated_cloud.world import Json, World

ASSIGNMENTS = "role assignments"
ENDPOINTS = ("blob", "dfs", "file", "queue", "table", "web")
PROVIDERS = (
    "Authorization", "Compute", "Consumption", "Databricks", "Insights", "KeyVault", "ManagedIdentity", "Network",
    "OperationalInsights", "Resources", "Storage",
)  # fmt: skip


def _missing(path: str) -> CloudRefusalError:
    return CloudRefusalError(404, "ResourceNotFound", f"The Resource '{path}' was not found.")


def put_resource(call: Call) -> Json:
    """Keep a resource as it is asked for, with what its type adds, and answer it."""
    key = call.path.lower()
    document = copy.deepcopy(call.fields) | {
        "id": call.path, "name": call.path.rpartition("/")[2], "type": resource_type(call.path),
    }  # fmt: skip
    kept = resources(call).get(key, {})
    properties = document.setdefault("properties", {})
    properties["provisioningState"] = "Succeeded"
    _give_identity(call.world, document, kept)
    add = ADDED.get(resource_type(call.path).lower())
    if add is not None:
        add(call.world, document, kept)
    resources(call)[key] = document
    return copy.deepcopy(document)


def _patch(call: Call) -> Json:
    """Change what is named of a resource: its properties by the rules of a merge patch, everything else as a whole."""
    document = _resource(call)
    changes = copy.deepcopy(call.fields)
    document["properties"] = _merged(document.get("properties", {}), changes.pop("properties", {}))
    document.update(changes)
    return copy.deepcopy(document)


def _merged(kept: Any, changes: Any) -> Any:
    """Return a document with the changes of a merge patch (RFC 7396, section 2).

    What a key of the company's changes of an account's encryption leaves the second encryption that it was created with.
    """
    if not isinstance(changes, dict):
        return changes
    found = dict(kept) if isinstance(kept, dict) else {}
    for name, value in changes.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = _merged(found.get(name), value)
    return found


def _resource(call: Call) -> Json:
    document = resources(call).get(call.path.lower())
    if document is None:
        raise _missing(call.path)
    return document


def _get(call: Call) -> Json:
    """Answer a resource, or for the path of a type all resources of it below."""
    key = call.path.lower()
    if key in resources(call):
        return copy.deepcopy(resources(call)[key])
    fixed = FIXED.get(resource_type(call.path).lower())
    if fixed is not None:
        return {"id": call.path, "name": call.path.rpartition("/")[2], "properties": copy.deepcopy(fixed)}
    if len(call.path.strip("/").split("/")) % 2:
        found = [one for path, one in resources(call).items() if path.rpartition("/")[0] == key]
        if found or key.endswith(LISTED):
            return {"value": copy.deepcopy(found)}
    raise _missing(call.path)


def delete_resource(call: Call) -> CloudAnswer:
    """Delete a resource with everything below it."""
    _resource(call)
    key = call.path.lower()
    for path in [one for one in resources(call) if one == key or one.startswith(f"{key}/")]:
        document = resources(call).pop(path)
        if resource_type(path).lower() == "microsoft.databricks/workspaces":
            workspace_removed(call.world, document)
    return CloudAnswer()


def _give_identity(world: World, document: Json, kept: Json) -> None:
    """Give a resource its managed identity in Entra, the same one as long as the resource lives."""
    identity = document.get("identity") or {}
    if "SystemAssigned" in str(identity.get("type", "")):
        given = (kept.get("identity") or {}).get("principalId") or world.new_uuid()
        document["identity"] = {
            "userAssignedIdentities": None,
            **identity,
            "principalId": given,
            "tenantId": world.site.tenant,
        }


def _vault(world: World, document: Json, kept: Json) -> None:  # noqa: ARG001 -- the interface of what a type adds
    document["properties"]["vaultUri"] = f"https://{document['name']}.vault.azure.net/"


def _account(world: World, document: Json, kept: Json) -> None:  # noqa: ARG001 -- the interface of what a type adds
    document["kind"] = document.get("kind", "StorageV2")
    document["properties"] |= {
        "primaryEndpoints": {name: f"https://{document['name']}.{name}.core.windows.net/" for name in ENDPOINTS},
        "primaryLocation": document.get("location"), "statusOfPrimary": "available",
    }  # fmt: skip


def _user_identity(world: World, document: Json, kept: Json) -> None:
    properties = kept.get("properties", {})
    document["properties"] |= {
        "principalId": properties.get("principalId") or world.new_uuid(), "tenantId": world.site.tenant,
        "clientId": properties.get("clientId") or world.new_uuid(),
    }  # fmt: skip


ADDED: dict[str, Callable[[World, Json, Json], None]] = {
    "microsoft.keyvault/vaults": _vault,
    "microsoft.storage/storageaccounts": _account,
    "microsoft.managedidentity/userassignedidentities": _user_identity,
    "microsoft.databricks/workspaces": workspace_added,
    "microsoft.insights/components": component_added,
}
"""Type to what it adds to a resource."""
LISTED = ("/resourcegroups", "/resources", "/deletedworkspaces", "/roleassignments")


# Role assignments and definitions ------------------------------------------------------------------------------------


def _definition(name: str) -> Json:
    role = ROLES[name]
    permissions = [{"actions": list(role.actions), "notActions": list(role.excepted), "dataActions": list(role.data)}]
    return {
        "id": f"/providers/Microsoft.Authorization/roleDefinitions/{role.identity}", "name": role.identity,
        "type": "Microsoft.Authorization/roleDefinitions",
        "properties": {"roleName": name, "type": "BuiltInRole", "permissions": permissions},
    }  # fmt: skip


def _list_definitions(call: Call) -> Json:
    asked = re.search(r"roleName eq '(.*)'", call.query.get("$filter", ""))
    return {"value": [_definition(name) for name in ROLES if asked is None or name == asked[1]]}


def _read_definition(call: Call) -> Json:
    name = BY_ID.get(call.arguments["id"])
    if name is None:
        raise _missing(call.path)
    return _definition(name)


def _assign(call: Call) -> Json:
    properties = call.fields.get("properties", {})
    kept = {
        "principalType": "ServicePrincipal", **copy.deepcopy(properties), "scope": "/" + call.arguments["scope"], "~id": call.path,
    }  # fmt: skip
    call.world.store("azure", ASSIGNMENTS)[call.path.lower()] = kept
    return _assignment(call.path, kept)


def _assignment(path: str, kept: Json) -> Json:
    """Return an assignment as the service shows it, with its id as it was written."""
    shown = {name: copy.deepcopy(value) for name, value in kept.items() if not name.startswith("~")}
    return {"id": kept.get("~id", path), "name": path.rpartition("/")[2], "type": ASSIGNMENT, "properties": shown}


def _read_assignment(call: Call) -> Json:
    kept = call.world.store("azure", ASSIGNMENTS).get(call.path.lower())
    if kept is None:
        raise _missing(call.path)
    return _assignment(call.path, kept)


def _list_assignments(call: Call) -> Json:
    """Answer the assignments at, above and below a scope; with ``atScope()`` none below.

    https://learn.microsoft.com/en-us/rest/api/authorization/role-assignments/list-for-scope
    """
    scope, asked = "/" + call.arguments["scope"].strip("/").lower(), call.query.get("$filter", "")
    who = re.search(r"(?:assignedTo\('|principalId eq '?)([\w-]+)", asked)
    found = [
        _assignment(path, kept) for path, kept in call.world.store("azure", ASSIGNMENTS).items()
        if (_is_within(scope, kept["scope"]) or ("atScope()" not in asked and _is_within(kept["scope"], scope)))
        and (who is None or kept["principalId"] == who[1])
    ]  # fmt: skip
    return {"value": found}


def _is_within(scope: str, other: str) -> bool:
    """Return whether a scope is another one or in it."""
    return f"{scope.lower().rstrip('/')}/".startswith(f"{other.lower().rstrip('/')}/")


def _unassign(call: Call) -> CloudAnswer:
    _read_assignment(call)
    del call.world.store("azure", ASSIGNMENTS)[call.path.lower()]
    return CloudAnswer()


def _providers(call: Call) -> Json:
    return {"value": [{"namespace": f"Microsoft.{name}", "registrationState": "Registered", "resourceTypes": [],
                       "id": f"{call.path}/Microsoft.{name}"} for name in PROVIDERS]}  # fmt: skip


def _provider(call: Call) -> Json:
    return {
        "namespace": call.arguments["name"],
        "registrationState": "Registered",
        "id": call.path,
        "resourceTypes": [],
    }


def _subscriptions(call: Call) -> dict[str, Json]:
    tenant = call.world.site.tenant
    return {
        identity: {"id": f"/subscriptions/{identity}", "subscriptionId": identity, "displayName": environment,
                   "state": "Enabled", "tenantId": tenant, "managedByTenants": []}
        for environment, identity in call.world.site.subscriptions
    }  # fmt: skip


def _list_subscriptions(call: Call) -> Json:
    """Answer the subscriptions in which the caller holds a role, at whatever scope.

    https://learn.microsoft.com/en-us/rest/api/resources/subscriptions/list
    """
    held = [
        one["scope"] for one in call.world.store("azure", ASSIGNMENTS).values()
        if one["principalId"] == call.caller.object_id
    ]  # fmt: skip
    shown = [one for one in _subscriptions(call).values() if any(_is_within(scope, one["id"]) for scope in held)]
    return {"value": shown, "count": {"type": "Total", "value": len(shown)}}


def _subscription(call: Call) -> Json:
    found = _subscriptions(call).get(call.arguments["id"])
    if found is not None:
        return found
    raise CloudRefusalError(
        404, "SubscriptionNotFound", f"The subscription '{call.arguments['id']}' could not be found."
    )


def _tenants(call: Call) -> Json:
    tenant = call.world.site.tenant
    return {
        "value": [
            {"id": f"/tenants/{tenant}", "tenantId": tenant, "displayName": "meridian-air", "tenantCategory": "Home"}
        ]
    }


def _is_available(call: Call) -> Json:
    """Answer whether a name of a storage account is free, in all subscriptions.

    https://learn.microsoft.com/en-us/rest/api/storagerp/storage-accounts/check-name-availability
    """
    name = str(call.fields.get("name", "")).lower()
    if any(path.endswith(f"/storageaccounts/{name}") for path in resources(call)):
        return {
            "nameAvailable": False,
            "reason": "AlreadyExists",
            "message": f"The storage account named {name} is already taken.",
        }
    return {"nameAvailable": True}


def _keys(call: Call) -> Json:
    _ = call
    return {"keys": [{"keyName": name, "permissions": "FULL", "value": "a2V5"} for name in ("key1", "key2")]}


def _no_metadata(call: Call) -> Json:
    raise _missing(call.path)  # the addresses of the public cloud are known to its clients


def _empty(call: Call) -> Json:
    _ = call
    return {}


_SPECIAL = endpoints(AZURE, {
    "GET /metadata/endpoints": _no_metadata,
    "GET /subscriptions": _list_subscriptions,
    "GET /subscriptions/{id}": _subscription,
    "GET /subscriptions/{id}/providers": _providers,
    "GET /subscriptions/{id}/providers/{name}": _provider,
    "POST /subscriptions/{id}/providers/{name}/register": _provider,
    "POST /subscriptions/{id}/providers/Microsoft.Storage/checkNameAvailability": _is_available,
    "GET /{scope*}/providers/Microsoft.Authorization/roleDefinitions": _list_definitions,
    "GET /{scope*}/providers/Microsoft.Authorization/roleDefinitions/{id}": _read_definition,
    "GET /providers/Microsoft.Authorization/roleDefinitions/{id}": _read_definition,
    "PUT /{scope*}/providers/Microsoft.Authorization/roleAssignments/{id}": _assign,
    "GET /{scope*}/providers/Microsoft.Authorization/roleAssignments/{id}": _read_assignment,
    "GET /{scope*}/providers/Microsoft.Authorization/roleAssignments": _list_assignments,
    "DELETE /{scope*}/providers/Microsoft.Authorization/roleAssignments/{id}": _unassign,
    "GET /{scope*}/Microsoft.Insights/components/{name}/currentBillingFeatures": read_cap,
    "PUT /{scope*}/Microsoft.Insights/components/{name}/currentBillingFeatures": write_cap,
    "POST /{path*}/listKeys": _keys, "POST /{path*}/sharedKeys": _empty, "GET /tenants": _tenants,
})  # fmt: skip
_GENERIC: tuple[Endpoint, ...] = endpoints(AZURE, {
    "PUT /subscriptions/{path*}": put_resource, "PATCH /subscriptions/{path*}": _patch, "GET /subscriptions/{path*}": _get,
    "DELETE /subscriptions/{path*}": delete_resource,
})  # fmt: skip
AREA = Area(name="Azure Resource Manager", endpoints=_SPECIAL + _GENERIC, rules=RULES + MONITOR_RULES)
