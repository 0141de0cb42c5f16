"""Secret scopes of a workspace, their secrets and who may read them.

Not known: scopes that are backed by a vault.
"""

import base64

from infra.emulated_cloud.calls import (
    WORKSPACE,
    Area,
    Attempt,
    Call,
    CloudAnswer,
    ServiceRule,
    endpoints,
    not_found,
    taken,
)
from infra.emulated_cloud.world import ADMINS, Json

LEVELS = ("READ", "WRITE", "MANAGE")
SECRETS_PAGE = "https://docs.databricks.com/api/secrets/v1/put-acl"
S = "/api/2.0/secrets"


def _scope(call: Call) -> Json:
    name = call.asked("scope")
    found = call.store("secret scope").get(name)
    if found is None:
        raise not_found(f"Scope {name}")
    return found


def _create_scope(call: Call) -> CloudAnswer:
    name = call.asked("scope")
    if name in call.store("secret scope"):
        raise taken(f"Scope {name}")
    first = call.asked("initial_manage_principal") or call.caller.principal
    call.store("secret scope")[name] = {
        "name": name, "backend_type": call.asked("scope_backend_type") or "DATABRICKS", "~acls": {first: "MANAGE"},
        "~secrets": {},
    }  # fmt: skip
    return CloudAnswer()


def _delete_scope(call: Call) -> Json:
    del call.store("secret scope")[_scope(call)["name"]]
    return {}


def _list_scopes(call: Call) -> Json:
    found = call.store("secret scope").values()
    return {"scopes": [{name: value for name, value in one.items() if not name.startswith("~")} for one in found]}


def _put_acl(call: Call) -> Json:
    _scope(call)["~acls"][call.asked("principal")] = call.asked("permission")
    return {}


def _get_acl(call: Call) -> Json:
    who, acls = call.asked("principal"), _scope(call)["~acls"]
    if who not in acls:
        raise not_found(f"ACL of {who}")
    return {"principal": who, "permission": acls[who]}


def _list_acls(call: Call) -> Json:
    return {"items": [{"principal": who, "permission": level} for who, level in _scope(call)["~acls"].items()]}


def _delete_acl(call: Call) -> Json:
    _scope(call)["~acls"].pop(call.asked("principal"), None)
    return {}


def _put_secret(call: Call) -> Json:
    # A text is stored and given back as its bytes: https://docs.databricks.com/api/workspace/secrets/getsecret
    text = base64.b64encode(str(call.fields.get("string_value", "")).encode()).decode()
    value = call.fields.get("bytes_value") or text
    _scope(call)["~secrets"][call.asked("key")] = {"value": value, "time": call.world.now()}
    return {}


def _list_secrets(call: Call) -> Json:
    kept = _scope(call)["~secrets"]
    return {"secrets": [{"key": key, "last_updated_timestamp": one["time"]} for key, one in kept.items()]}


def _get_secret(call: Call) -> Json:
    key, kept = call.asked("key"), _scope(call)["~secrets"]
    if key not in kept:
        raise not_found(f"Secret {key}")
    return {"key": key, "value": kept[key]["value"]}


def _delete_secret(call: Call) -> Json:
    _scope(call)["~secrets"].pop(call.asked("key"), None)
    return {}


def _holds_acl(call: Call, needed: str) -> bool:
    scope = call.store("secret scope").get(call.asked("scope"))
    if scope is None:
        return True
    names = call.world.names_of(call.caller.principal) | ({ADMINS} if call.is_workspace_admin() else set())
    held = [level for who, level in scope["~acls"].items() if who in names]
    return call.is_workspace_admin() or any(LEVELS.index(level) >= LEVELS.index(needed) for level in held)


def _acl_principal_exists(call: Call) -> bool:
    name = call.asked("principal")
    return name in (ADMINS, "users") or call.world.principal(name) is not None


_MAKE_SCOPE = Attempt(who="dev", request=f"POST dev{S}/scopes/create", body={"scope": "team"})
_ANALYST = "analyst@meridian-air.example"
_DENIED = (403, "PERMISSION_DENIED")

AREA = Area(
    name="secrets",
    endpoints=endpoints(WORKSPACE, {
            f"POST {S}/scopes/create": _create_scope, f"POST {S}/scopes/delete": _delete_scope,
            f"GET {S}/scopes/list": _list_scopes, f"POST {S}/acls/put": _put_acl, f"GET {S}/acls/get": _get_acl,
            f"GET {S}/acls/list": _list_acls, f"POST {S}/acls/delete": _delete_acl, f"POST {S}/put": _put_secret,
            f"GET {S}/list": _list_secrets, f"GET {S}/get": _get_secret, f"POST {S}/delete": _delete_secret,
    }),
    rules=(
        ServiceRule(
            rule="secret-acls-need-manage", says="The ACLs of a secret scope are for who has MANAGE on it.",
            page=SECRETS_PAGE, on=(f"workspace * {S}/acls/*", f"workspace POST {S}/scopes/delete"),
            holds=lambda call: _holds_acl(call, "MANAGE"),
            refusal=(*_DENIED, "{caller} does not have MANAGE permission on scope {scope}."),
            given=(_MAKE_SCOPE,),
            accepted=Attempt(who="dev", request=f"POST dev{S}/acls/put",
                             body={"scope": "team", "principal": _ANALYST, "permission": "READ"}),
            refused=Attempt(who="analyst", request=f"POST dev{S}/acls/put",
                            body={"scope": "team", "principal": _ANALYST, "permission": "READ"}),
        ),
        ServiceRule(
            rule="secret-acls-name-principals", says="An ACL of a secret scope is given to a principal that exists.",
            page=SECRETS_PAGE, on=(f"workspace POST {S}/acls/put",), holds=_acl_principal_exists,
            refusal=(400, "INVALID_PARAMETER_VALUE", "User or Group {principal} does not exist."),
            given=(_MAKE_SCOPE,),
            accepted=Attempt(who="dev", request=f"POST dev{S}/acls/put",
                             body={"scope": "team", "principal": _ANALYST, "permission": "READ"}),
            refused=Attempt(who="dev", request=f"POST dev{S}/acls/put",
                            body={"scope": "team", "principal": "no such group", "permission": "READ"}),
        ),
        ServiceRule(
            rule="secrets-need-write", says="Secrets are written by who has WRITE on the scope.",
            page="https://docs.databricks.com/api/workspace/secrets/putsecret",
            on=(f"workspace POST {S}/put", f"workspace POST {S}/delete"),
            holds=lambda call: _holds_acl(call, "WRITE"),
            refusal=(*_DENIED, "{caller} does not have WRITE permission on scope {scope}."),
            given=(_MAKE_SCOPE,),
            accepted=Attempt(who="dev", request=f"POST dev{S}/put", body={"scope": "team", "key": "k", "string_value": "v"}),
            refused=Attempt(who="analyst", request=f"POST dev{S}/put", body={"scope": "team", "key": "k", "string_value": "v"}),
        ),
        ServiceRule(
            rule="secrets-need-read", says="Secrets are listed and read by who has READ on the scope.",
            page="https://docs.databricks.com/api/workspace/secrets/listsecrets",
            on=(f"workspace GET {S}/list", f"workspace GET {S}/get"),
            holds=lambda call: _holds_acl(call, "READ"),
            refusal=(*_DENIED, "{caller} does not have READ permission on scope {scope}."),
            given=(_MAKE_SCOPE,),
            accepted=Attempt(who="dev", request=f"GET dev{S}/list?scope=team"),
            refused=Attempt(who="analyst", request=f"GET dev{S}/list?scope=team"),
        ),
    ),
)  # fmt: skip
