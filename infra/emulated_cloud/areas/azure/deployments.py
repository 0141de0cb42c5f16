"""Deployments of templates by Azure Resource Manager, and keys of a vault that are made through it.

A deployment creates what its template holds as whoever deploys it; each resource keeps the rules of its own kind. Not known:
nested and linked templates, copies, deployments to a subscription or the tenant, and the complete mode.
"""

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from infra.emulated_cloud.areas.azure.ids import resources
from infra.emulated_cloud.areas.azure.resource_rules import GROUP, MADE_GROUP, NETWORK
from infra.emulated_cloud.areas.azure.resource_rules import RULES as RESOURCE_RULES
from infra.emulated_cloud.areas.azure.resources import delete_resource, put_resource
from infra.emulated_cloud.areas.azure.roles import ROLES, allows
from infra.emulated_cloud.calls import AZURE, Area, Attempt, Call, CloudRefusalError, ServiceRule, endpoints
from infra.emulated_cloud.template_expressions import filled, invalid_template
from infra.emulated_cloud.world import Json

DEPLOYMENTS = "/providers/Microsoft.Resources/deployments/"
KEY_TYPES = ("EC", "EC-HSM", "RSA", "RSA-HSM")
_REST = "https://learn.microsoft.com/en-us/rest/api"
_TEMPLATES = "https://learn.microsoft.com/en-us/azure/azure-resource-manager"


# Keys ---------------------------------------------------------------------------------------------------------------


def _make_key(call: Call) -> Json:
    """Make the first version of a key; one that exists is answered as it is."""
    existing = resources(call).get(call.path.lower())
    if existing is not None:
        return copy.deepcopy(existing)
    vault, name = call.path.split("/")[-3], call.path.rpartition("/")[2]
    address = f"https://{vault.lower()}.vault.azure.net/keys/{name}"
    version, given = call.world.new_uuid().replace("-", ""), call.fields.get("properties", {})
    made = put_resource(replace(call, body={**call.fields, "properties": {
        **given, "keyUri": address, "keyUriWithVersion": f"{address}/{version}",
        "attributes": {"enabled": True, **given.get("attributes", {}), "created": call.world.now() // 1000},
    }}))  # fmt: skip
    call.world.store(f"vault {vault.lower()}", "keys")[name] = {
        "attributes": {"enabled": True, "recoveryLevel": "Recoverable+Purgeable", "created": call.world.now() // 1000},
        "tags": call.fields.get("tags", {}),
        "key": {"kid": f"{address}/{version}", "kty": given.get("kty", "RSA"), "key_ops": given.get("keyOps", []), "n": "AQAB", "e": "AQAB"},
    }  # fmt: skip
    return made


def _key_version(call: Call) -> Json:
    """Answer a version of a key; each has one, because only the vault itself makes others."""
    key = resources(call).get(call.path.partition("/versions")[0].lower())
    if key is None or not key["properties"]["keyUriWithVersion"].endswith(f"/{call.arguments['version']}"):
        raise CloudRefusalError(404, "ResourceNotFound", f"The Resource '{call.path}' was not found.")
    return copy.deepcopy(key)


def _no_deletion(call: Call) -> bool:
    _ = call
    return False


def _is_key_type(call: Call) -> bool:
    return call.fields.get("properties", {}).get("kty") in KEY_TYPES


# Deployments ----------------------------------------------------------------------------------------------------------


def _functions(call: Call) -> Mapping[str, Any]:
    """Return the functions of a template's expressions, with the values of the deployment."""
    group, properties = call.path.partition(DEPLOYMENTS)[0], call.fields.get("properties", {})
    template = properties.get("template", {})
    given = {name: one.get("value") for name, one in properties.get("parameters", {}).items()}
    defaults = {
        name: one["defaultValue"] for name, one in template.get("parameters", {}).items() if "defaultValue" in one
    }
    values = {**defaults, **given}
    found = resources(call).get(group.lower(), {})
    functions: dict[str, Any] = {
        "parameters": lambda name: filled(values[name], functions),
        "variables": lambda name: filled(template["variables"][name], functions),
        "concat": lambda *parts: "".join(str(part) for part in parts),
        "format": lambda text, *parts: str(text).format(*parts),
        "toLower": lambda text: str(text).lower(),
        "resourceGroup": lambda: {"id": group, "name": group.rpartition("/")[2], "location": found.get("location", "")},
        "resourceId": lambda kind, *names: _resource_id(group, str(kind), [str(name) for name in names]),
        "reference": lambda identity, *_more: _reference(call, group, str(identity)),
    }
    return functions


def _resource_id(group: str, kind: str, names: list[str]) -> str:
    space, *kinds = kind.split("/")
    return f"{group}/providers/{space}/" + "/".join(f"{one}/{name}" for one, name in zip(kinds, names, strict=True))


def _reference(call: Call, group: str, identity: str) -> Any:
    """Return the properties of a resource, by its id or by its name in the group."""
    known = resources(call)
    wanted = identity.lower()
    place = f"{group.lower()}/"
    found = known.get(wanted) or next(
        (one for path, one in known.items() if path.startswith(place) and path.endswith(f"/{wanted}")), None
    )
    if found is None:
        raise CloudRefusalError(404, "ResourceNotFound", f"The Resource '{identity}' was not found.")
    return found["properties"]


def _made_by(call: Call) -> list[Call]:
    """Return the request of each resource of a template, parents before their children."""
    functions, group = _functions(call), call.path.partition(DEPLOYMENTS)[0]
    template = call.fields.get("properties", {}).get("template", {})
    calls = []
    for stated in sorted(template.get("resources", ()), key=lambda one: str(one["type"]).count("/")):
        if filled(stated.get("condition", True), functions):
            path = _resource_id(group, stated["type"], str(filled(stated["name"], functions)).split("/"))
            calls.append(replace(call, path=path, body=stated, query={}, arguments={}))
    return calls


def _deploy(call: Call) -> Json:
    """Create what a template holds, and keep the deployment with its outputs."""
    properties = call.fields.get("properties", {})
    if properties.get("mode") != "Incremental":
        raise invalid_template(f"the deployment mode '{properties.get('mode')}' is not known here")
    for asked in _made_by(call):
        functions = _functions(call)
        body = {
            name: filled(value, functions)
            for name, value in asked.body.items()
            if name in ("location", "tags", "properties", "identity", "sku", "kind")
        }
        made = replace(asked, body=body)
        is_key = "/vaults/" in made.path.lower() and "/keys/" in made.path.lower()
        for rule in (*RESOURCE_RULES, *(RULES if is_key else ())):
            rule.enforce(made)
        (_make_key if is_key else put_resource)(made)
    outputs = properties.get("template", {}).get("outputs", {})
    kept = {
        name: {"type": one["type"], "value": filled(one["value"], _functions(call))} for name, one in outputs.items()
    }
    document = {**call.fields, "properties": {**properties, "outputs": kept, "timestamp": "2026-01-01T00:00:00Z"}}
    return put_resource(replace(call, body=document))


def _validate(call: Call) -> Json:
    _made_by(replace(call, path=call.path.removesuffix("/validate")))
    return {"properties": {**call.fields.get("properties", {}), "provisioningState": "Succeeded"}}


def _export(call: Call) -> Json:
    kept = resources(call).get(call.path.removesuffix("/exportTemplate").lower())
    if kept is None:
        raise CloudRefusalError(404, "DeploymentNotFound", f"Deployment '{call.arguments['name']}' could not be found.")
    return {"template": copy.deepcopy(kept["properties"].get("template", {}))}


def _may_make_all(call: Call) -> bool:
    """Return whether who deploys a template may write each of its resources."""
    return all(
        allows(call.world, call.caller.object_id, f"{one.body['type']}/write", one.path) for one in _made_by(call)
    )


def _parameters_have_values(call: Call) -> bool:
    properties = call.fields.get("properties", {})
    needed = {
        name for name, one in properties.get("template", {}).get("parameters", {}).items() if "defaultValue" not in one
    }
    return needed <= set(properties.get("parameters", {}))


_VAULT = f"{GROUP}/providers/Microsoft.KeyVault/vaults/kv"
_KEY = f"{_VAULT}/keys/disk"
_MADE_VAULT = Attempt(
    who="dev", request=f"PUT azure{_VAULT}",
    body={"location": "westeurope", "properties": {"publicNetworkAccess": "Disabled", "networkAcls": {"defaultAction": "Deny"}}},
)  # fmt: skip
_STAGING = "bbbbbbbb-0000-4000-8000-000000000002"
_NETWORKER = Attempt(
    who="person",
    request=f"PUT azure{GROUP}/providers/Microsoft.Authorization/roleAssignments/44444444-4444-4444-8444-444444444444",
    body={"properties": {"principalId": _STAGING, "roleDefinitionId": f"/x/{ROLES['Network Contributor'].identity}"}},
)


def _key(kind: str) -> Attempt:
    return Attempt(who="dev", request=f"PUT azure{_KEY}", body={"properties": {"kty": kind, "keySize": 2048}})


def _deployed(who: str, *made: Mapping[str, Any], **parameters: Any) -> Attempt:
    stated = {"vault": {"type": "string"}} if "vault" in parameters or not made else {}
    template = {"parameters": stated, "resources": list(made) or [_KEY_RESOURCE]}
    given = {name: {"value": value} for name, value in parameters.items()}
    properties = {"mode": "Incremental", "template": template, "parameters": given}
    return Attempt(
        who=who, request=f"PUT azure{GROUP}{DEPLOYMENTS}keys?api-version=2021-04-01", body={"properties": properties}
    )


_KEY_RESOURCE = {
    "type": "Microsoft.KeyVault/vaults/keys", "apiVersion": "2023-07-01", "name": "[concat(parameters('vault'), '/disk')]",
    "properties": {"kty": "RSA", "keySize": 2048},
}  # fmt: skip
_ROUTES = {
    "type": "Microsoft.Network/routeTables", "apiVersion": "2023-09-01", "name": "routes",
    "location": "[resourceGroup().location]", "properties": {},
}  # fmt: skip

RULES = (
    ServiceRule(
        rule="vault-key-has-a-known-type", says="A key that is made through Azure Resource Manager is of an elliptic curve or RSA.",
        page=f"{_REST}/keyvault/keyvault/keys/create-if-not-exist", on=("azure PUT */vaults/*/keys/*",), holds=_is_key_type,
        refusal=(400, "BadRequest", "The type of the key must be one of EC, EC-HSM, RSA, RSA-HSM."),
        given=(MADE_GROUP, _MADE_VAULT), accepted=_key("RSA"), refused=_key("AES"),
    ),
    ServiceRule(
        rule="vault-keys-stay", says="Azure Resource Manager makes, reads and lists keys; only the vault's own data plane deletes them.",
        page=f"{_REST}/keyvault/keyvault/keys", on=("azure DELETE */vaults/*/keys/*",), holds=_no_deletion,
        refusal=(405, "MethodNotAllowed", "The requested resource does not support http method 'DELETE'."),
        given=(MADE_GROUP, _MADE_VAULT, _key("RSA")),
        accepted=Attempt(who="dev", request=f"GET azure{_KEY}"),
        refused=Attempt(who="dev", request=f"DELETE azure{_KEY}"),
    ),
)  # fmt: skip
"""The rules of keys, for a request of their own and for one within a template."""

AREA = Area(
    name="templates of Azure Resource Manager",
    endpoints=endpoints(AZURE, {
        "PUT /{scope*}/providers/Microsoft.Resources/deployments/{name}": _deploy,
        "POST /{scope*}/providers/Microsoft.Resources/deployments/{name}/validate": _validate,
        "POST /{scope*}/providers/Microsoft.Resources/deployments/{name}/exportTemplate": _export,
        "PUT /{scope*}/providers/Microsoft.KeyVault/vaults/{vault}/keys/{name}": _make_key,
        "GET /{scope*}/providers/Microsoft.KeyVault/vaults/{vault}/keys/{name}/versions/{version}": _key_version,
        "DELETE /{scope*}/providers/Microsoft.KeyVault/vaults/{vault}/keys/{name}": delete_resource,
    }),
    shared=RESOURCE_RULES,
    rules=(
        *RULES,
        ServiceRule(
            rule="template-parameters-have-values", says="Each parameter of a template has a value or a default.",
            page=f"{_TEMPLATES}/templates/parameters", on=(f"azure PUT *{DEPLOYMENTS}*",), holds=_parameters_have_values,
            refusal=(400, "InvalidTemplate", "Deployment template validation failed: a template parameter has no value."),
            given=(MADE_GROUP, _MADE_VAULT), accepted=_deployed("dev", vault="kv"), refused=_deployed("dev"),
        ),
        ServiceRule(
            rule="template-needs-the-rights-of-its-resources",
            says="Who deploys a template needs write access to each resource in it, and to deployments.",
            page=f"{_TEMPLATES}/templates/deploy-rest", on=(f"azure PUT *{DEPLOYMENTS}*",), holds=_may_make_all,
            refusal=(403, "AuthorizationFailed",
                     "The client '{caller}' does not have authorization to write every resource of the template."),
            given=(MADE_GROUP, _MADE_VAULT, NETWORK, _NETWORKER),
            accepted=_deployed("staging", _ROUTES), refused=_deployed("staging", _KEY_RESOURCE, vault="kv"),
        ),
    ),
)  # fmt: skip
