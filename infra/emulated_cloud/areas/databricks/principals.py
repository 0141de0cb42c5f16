"""Users, service principals and groups: the account's directory and what a workspace shows of it.

Identities live in the account; a workspace reads them there (identity federation). Not known: synchronisation from
Entra, and personal access tokens.
"""

import copy
import re
from typing import Any

from infra.emulated_cloud.calls import (
    ACCOUNT,
    WORKSPACE,
    Area,
    Attempt,
    Call,
    CloudAnswer,
    Endpoint,
    ServiceRule,
    endpoints,
    invalid,
    not_found,
    taken,
)
from infra.emulated_cloud.collections_of import small_number
from infra.emulated_cloud.world import ADMINS, GROUP, SERVICE_PRINCIPAL, USER, USERS, Json, Store, World

SCHEMA = "urn:ietf:params:scim:schemas:core:2.0"
SCHEMAS = {USER: "User", SERVICE_PRINCIPAL: "ServicePrincipal", GROUP: "Group"}
NAMES = {USER: "userName", SERVICE_PRINCIPAL: "applicationId", GROUP: "displayName"}
ACCOUNT_ADMIN = "account_admin"
SCIM_PAGE = "https://learn.microsoft.com/en-us/azure/databricks/admin/users-groups/scim/"


def add_principal(world: World, kind: str, document: Json) -> Json:
    """Keep a new user, service principal or group and return it as the service shows it."""
    name = NAMES[kind]
    if any(one.get(name) == document.get(name) for one in world.scim(kind).values()):
        raise taken(f"{SCHEMAS[kind]} with {name} {document.get(name)}")
    kept = {**copy.deepcopy(document), "id": small_number(world), "schemas": [f"{SCHEMA}:{SCHEMAS[kind]}"]}
    kept["entitlements"] = [entry for entry in kept.get("entitlements", ()) if entry]
    if kind == SERVICE_PRINCIPAL:
        kept.setdefault("applicationId", world.new_uuid())
        kept.setdefault("active", True)
    if kind == USER:
        kept.setdefault("active", True)
        kept.setdefault("displayName", kept["userName"])
    world.scim(kind)[kept["id"]] = kept
    return kept


def _kind(call: Call) -> str:
    kind = call.arguments["kind"]
    if kind not in NAMES:
        raise not_found(f"SCIM resource {kind}")
    return kind


def _found(call: Call) -> Json:
    document = call.world.scim(_kind(call)).get(call.arguments["id"])
    if document is None:
        raise not_found(f"{SCHEMAS[_kind(call)]} with id {call.arguments['id']}")
    return document


def _create(call: Call) -> CloudAnswer:
    made = add_principal(call.world, _kind(call), call.fields)
    if call.service == ACCOUNT:
        _keep_admin(call, made)
    return CloudAnswer(status=201, body=made)


def _keep_admin(call: Call, document: Json) -> None:
    """Let a principal administer the account, or no longer, as its roles say."""
    roles = {role.get("value") for role in document.get("roles", ())}
    admins, name = call.world.account_admins, document[NAMES[_kind(call)]]
    (admins.add if ACCOUNT_ADMIN in roles else admins.discard)(name)


def _read(call: Call) -> Json:
    return copy.deepcopy(_found(call))


def _list(call: Call) -> Json:
    kind = _kind(call)
    found = [*call.world.scim(kind).values(), *_local_groups(call, kind)]
    asked = re.fullmatch(r"\s*(\w+)\s+eq\s+[\"']?(.*?)[\"']?\s*", call.query.get("filter", ""))
    if asked:
        found = [one for one in found if str(one.get(asked[1])).lower() == asked[2].lower()]
    start, count = int(call.query.get("startIndex", 1)), int(call.query.get("count", 100))
    page = found[start - 1 : start - 1 + count]
    return {"Resources": page, "totalResults": len(found), "startIndex": start, "itemsPerPage": len(page)}


def _local_groups(call: Call, kind: str) -> list[Json]:
    """Return the groups that each workspace has by itself: its admins and all its users."""
    if call.service != WORKSPACE or kind != GROUP:
        return []
    return [{"displayName": name, "id": f"{call.place}{index}", "meta": {"resourceType": "WorkspaceGroup"}}
            for index, name in enumerate((ADMINS, USERS))]  # fmt: skip


def _delete(call: Call) -> CloudAnswer:
    document = _found(call)
    del call.world.scim(_kind(call))[document["id"]]
    return CloudAnswer(status=204)


def _replace(call: Call) -> Json:
    document = _found(call)
    document.update({name: value for name, value in copy.deepcopy(call.fields).items() if name != "id"})
    document["entitlements"] = [entry for entry in document.get("entitlements", ()) if entry]
    return copy.deepcopy(document)


def _patch(call: Call) -> CloudAnswer:
    document = _found(call)
    for operation in call.fields.get("Operations", ()):
        _apply(document, operation)
    _keep_admin(call, document)
    return CloudAnswer(status=204)


def _apply(document: Json, operation: Json) -> None:
    path, value = operation.get("path", ""), copy.deepcopy(operation.get("value"))
    chosen = re.fullmatch(r"(\w+)\[value eq \"?(.+?)\"?\]", path)
    if chosen:
        document[chosen[1]] = [one for one in document.get(chosen[1], ()) if one["value"] != chosen[2]]
    elif operation["op"] == "remove":
        document.pop(path, None)
    elif isinstance(value, list):
        kept = [] if operation["op"] == "replace" else [one for one in document.get(path, ()) if one not in value]
        document[path] = kept + [one for one in value if one]
    elif path:
        document[path] = value
    elif isinstance(value, dict):
        document.update(value)
    else:
        raise invalid("A patch operation needs a path or an object.")


def _me(call: Call) -> Json:
    document = call.world.principal(call.caller.principal) or {}
    groups = [{"display": name, "value": name} for name in sorted(call.world.names_of(call.caller.principal))]
    groups += [{"display": ADMINS, "value": ADMINS}] if call.is_workspace_admin() else []
    return {**document, "userName": call.caller.principal, "groups": [{"display": USERS, "value": USERS}, *groups]}


def _principal_of_rule_set(call: Call) -> tuple[Store, str]:
    name = call.query.get("name") or str(call.fields.get("name", ""))
    return call.world.store("account", "rule sets"), name


def _read_rule_set(call: Call) -> Json:
    store, name = _principal_of_rule_set(call)
    return copy.deepcopy(store.setdefault(name, {"name": name, "etag": call.world.new_uuid(), "grant_rules": []}))


def _write_rule_set(call: Call) -> Json:
    store, name = _principal_of_rule_set(call)
    rules: Any = call.fields.get("rule_set", {}).get("grant_rules", [])
    store[name] = {"name": name, "etag": call.world.new_uuid(), "grant_rules": copy.deepcopy(rules)}
    return store[name]


def may_use(call: Call, service_principal: str) -> bool:
    """Return whether the caller has the role Service Principal User on a service principal."""
    ending = f"/servicePrincipals/{service_principal}/ruleSets/default"
    names = call.world.names_of(call.caller.principal)
    for name, rule_set in call.world.store("account", "rule sets").items():
        for rule in rule_set["grant_rules"] if name.endswith(ending) else ():
            granted = {principal.partition("/")[2] for principal in rule.get("principals", ())}
            if rule["role"] == "roles/servicePrincipal.user" and granted & names:
                return True
    return False


def _own_directory(call: Call) -> bool:
    return call.is_account_admin()


SCIM: tuple[Endpoint, ...] = tuple(
    endpoint
    for service, start in (
        (ACCOUNT, "/api/2.0/accounts/{account}/scim/v2"),
        (ACCOUNT, "/api/2.1/accounts/{account}/scim/v2"),
        (WORKSPACE, "/api/2.0/preview/scim/v2"),
        (WORKSPACE, "/api/2.0/account/scim/v2"),
    )
    for endpoint in endpoints(
        service,
        {
            f"GET {start}/Me": _me,
            f"POST {start}/{{kind}}": _create,
            f"GET {start}/{{kind}}": _list,
            f"GET {start}/{{kind}}/{{id}}": _read,
            f"PUT {start}/{{kind}}/{{id}}": _replace,
            f"PATCH {start}/{{kind}}/{{id}}": _patch,
            f"DELETE {start}/{{kind}}/{{id}}": _delete,
        },
    )
)
RULE_SETS = tuple(
    endpoint
    for service, path in (
        (ACCOUNT, "/api/2.0/preview/accounts/{account}/access-control/rule-sets"),
        (WORKSPACE, "/api/2.0/preview/accounts/access-control/rule-sets"),
    )
    for endpoint in endpoints(service, {f"GET {path}": _read_rule_set, f"PUT {path}": _write_rule_set})
)
_USERS = "account/api/2.0/accounts/7c1f2a54-3f0e-4a6b-9d57-2f8f4f0b6a11/scim/v2"

AREA = Area(
    name="principals",
    endpoints=SCIM + RULE_SETS,
    rules=(
        ServiceRule(
            rule="account-directory-needs-account-admin",
            says="Only an account admin writes users, service principals and groups of the account.",
            page="https://learn.microsoft.com/en-us/azure/databricks/admin/users-groups/groups",
            on=tuple(f"account {method} */scim/v2/*" for method in ("POST", "PUT", "PATCH", "DELETE")),
            holds=_own_directory,
            refusal=(403, "PERMISSION_DENIED", "Only account admins can change the directory of the account."),
            accepted=Attempt(who="person", request=f"POST {_USERS}/Groups", body={"displayName": "a group"}),
            refused=Attempt(who="dev", request=f"POST {_USERS}/Groups", body={"displayName": "a group"}),
        ),
        ServiceRule(
            rule="workspace-directory-needs-workspace-admin",
            says="In a workspace only its admins write users, service principals and groups.",
            page="https://learn.microsoft.com/en-us/azure/databricks/admin/users-groups/service-principals",
            on=tuple(f"workspace {method} */scim/v2/*" for method in ("POST", "PUT", "PATCH", "DELETE")),
            holds=Call.is_workspace_admin,
            refusal=(403, "PERMISSION_DENIED", "Only workspace admins can change the directory of the workspace."),
            accepted=Attempt(
                who="dev", request="POST dev/api/2.0/preview/scim/v2/Groups", body={"displayName": "a group"}
            ),
            refused=Attempt(
                who="analyst", request="POST dev/api/2.0/preview/scim/v2/Groups", body={"displayName": "a group"}
            ),
        ),
        ServiceRule(
            rule="service-principal-roles-need-its-manager",
            says="Account admins give roles on service principals.",
            page="https://learn.microsoft.com/en-us/azure/databricks/security/auth/access-control/service-principal-acl",
            on=("* PUT */access-control/rule-sets",),
            holds=_own_directory,
            refusal=(403, "PERMISSION_DENIED", "Only a Service Principal Manager can change its roles."),
            accepted=Attempt(
                who="person",
                request="PUT account/api/2.0/preview/accounts/7c1f2a54-3f0e-4a6b-9d57-2f8f4f0b6a11/access-control/rule-sets",
                body={"name": "accounts/a/servicePrincipals/s/ruleSets/default", "rule_set": {"grant_rules": []}},
            ),
            refused=Attempt(
                who="dev",
                request="PUT account/api/2.0/preview/accounts/7c1f2a54-3f0e-4a6b-9d57-2f8f4f0b6a11/access-control/rule-sets",
                body={"name": "accounts/a/servicePrincipals/s/ruleSets/default", "rule_set": {"grant_rules": []}},
            ),
        ),
    ),
)
