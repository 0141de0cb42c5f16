"""Permissions on the objects of a workspace: pools, warehouses, jobs, experiments and the others.

Page: https://learn.microsoft.com/en-us/azure/databricks/security/auth/access-control/. Not known: what a folder's
permissions mean for what is in it, except for alerts and dashboards, whose workspace admins are shown as inherited.
"""

from dataclasses import dataclass
from typing import Any

from infra.emulated_cloud.calls import WORKSPACE, Area, Attempt, Call, CloudAnswer, ServiceRule, endpoints, not_found
from infra.emulated_cloud.collections_of import PERMISSIONS
from infra.emulated_cloud.world import ADMINS, Json

PAGE = "https://learn.microsoft.com/en-us/azure/databricks/security/auth/access-control/"
RESTRICT_PAGE = "https://learn.microsoft.com/en-us/azure/databricks/admin/workspace-settings/restrict-workspace-admins"
ROOT = "/api/2.0/permissions"
OWNER = "IS_OWNER"
CAN_MANAGE = "CAN_MANAGE"


@dataclass(frozen=True, kw_only=True)
class Guarded:
    """One kind of object with permissions: its name in answers, its store, the levels, and whether it has an owner."""

    shown: str
    store: str
    levels: tuple[str, ...]
    owned: bool = False


ITEMS = ("CAN_READ", "CAN_RUN", "CAN_EDIT", CAN_MANAGE)
KINDS: dict[str, Guarded] = {
    "jobs": Guarded(shown="job", store="job", levels=("CAN_VIEW", "CAN_MANAGE_RUN", CAN_MANAGE), owned=True),
    "clusters": Guarded(shown="cluster", store="cluster", levels=("CAN_ATTACH_TO", "CAN_RESTART", CAN_MANAGE)),
    "cluster-policies": Guarded(shown="cluster-policy", store="cluster policy", levels=("CAN_USE",)),
    "instance-pools": Guarded(shown="instance-pool", store="instance pool", levels=("CAN_ATTACH_TO", CAN_MANAGE)),
    "sql/warehouses": Guarded(
        shown="warehouses", store="warehouse", levels=("CAN_VIEW", "CAN_MONITOR", "CAN_USE", CAN_MANAGE), owned=True
    ),
    "experiments": Guarded(shown="mlflowExperiment", store="experiment", levels=("CAN_READ", "CAN_EDIT", CAN_MANAGE)),
    "serving-endpoints": Guarded(
        shown="serving-endpoint", store="serving endpoint", levels=("CAN_VIEW", "CAN_QUERY", CAN_MANAGE)
    ),
    "database-projects": Guarded(shown="database-projects", store="online store", levels=("CAN_USE", CAN_MANAGE)),
    "dashboards": Guarded(shown="dashboard", store="dashboard", levels=ITEMS),
    "alertsv2": Guarded(shown="alertv2", store="alert", levels=ITEMS),
    "directories": Guarded(shown="directory", store="workspace item", levels=ITEMS),
    "notebooks": Guarded(shown="notebook", store="workspace item", levels=ITEMS),
    "files": Guarded(shown="file", store="workspace item", levels=ITEMS),
}
"""Path of a kind to what is known of it."""
PRINCIPALS = ("user_name", "group_name", "service_principal_name")


def entries(call: Call, kind: str, identity: str) -> list[Json]:
    """Return the entries set on an object; the first one is its creator's, who manages or owns it."""
    guarded, store = KINDS[kind], call.store(PERMISSIONS)
    if f"{kind} {identity}" not in store:
        creator = _object(call, guarded, identity).get("~creator", call.caller.principal)
        level = OWNER if guarded.owned else CAN_MANAGE
        first = (
            [{_field(call, creator): creator, "permission_level": level}] if level in (*guarded.levels, OWNER) else []
        )
        store[f"{kind} {identity}"] = {"entries": first}
    return list(store[f"{kind} {identity}"]["entries"])


def holds_level(call: Call, kind: str, identity: str, level: str) -> bool:
    """Return whether the caller has a level, or a higher one, on an object; workspace admins have all."""
    order = (*KINDS[kind].levels, OWNER)
    names = call.world.names_of(call.caller.principal)
    held = [
        one["permission_level"]
        for one in entries(call, kind, identity)
        if names & {one.get(field) for field in PRINCIPALS}
    ]
    return call.is_workspace_admin() or any(order.index(one) >= order.index(level) for one in held if one in order)


def _object(call: Call, guarded: Guarded, identity: str) -> Json:
    for document in call.store(guarded.store).values():
        if identity in (
            str(document.get("id")),
            *(str(document.get(name)) for name in document if name.endswith("_id")),
        ):
            return document
    raise not_found(f"{guarded.shown} {identity}")


def _field(call: Call, principal: str) -> str:
    document = call.world.principal(principal) or {}
    return (
        "service_principal_name"
        if "applicationId" in document
        else "user_name"
        if "userName" in document
        else "group_name"
    )


def _known(call: Call, entry: Json) -> Json:
    """Return an entry whose principal is named by the right field: an application id is a service principal."""
    name = next(str(entry[field]) for field in PRINCIPALS if field in entry)
    return {_field(call, name): name, "permission_level": entry["permission_level"]}


def _kind(call: Call) -> str:
    kind = call.arguments["kind"]
    if kind not in KINDS:
        raise not_found(f"Object type {kind}")
    return kind


def _answer(call: Call) -> Json:
    kind, identity = _kind(call), call.arguments["id"]
    shown: list[Json] = []
    for entry in entries(call, kind, identity):
        who = {field: entry[field] for field in PRINCIPALS if field in entry}
        display: Any = {} if "group_name" in who else {"display_name": next(iter(who.values()))}
        level = {"permission_level": entry["permission_level"], "inherited": False}
        shown.append({**who, **display, "all_permissions": [level]})
    if CAN_MANAGE in KINDS[kind].levels:
        root = f"/{kind}/"
        level = {"permission_level": CAN_MANAGE, "inherited": True, "inherited_from_object": [root]}
        shown.append({"group_name": ADMINS, "all_permissions": [level]})
    return {"object_id": f"/{kind}/{identity}", "object_type": KINDS[kind].shown, "access_control_list": shown}


def _read(call: Call) -> CloudAnswer:
    _object(call, KINDS[_kind(call)], call.arguments["id"])
    return CloudAnswer(body=_answer(call))


def _set(call: Call) -> CloudAnswer:
    kind, identity = _kind(call), call.arguments["id"]
    _object(call, KINDS[kind], identity)
    kept = [] if call.method == "PUT" else entries(call, kind, identity)
    wanted = [_known(call, entry) for entry in call.fields.get("access_control_list", ())]
    named = {next(iter(one.items())) for one in wanted}
    kept = [one for one in kept if next(iter(one.items())) not in named]
    call.store(PERMISSIONS)[f"{kind} {identity}"] = {"entries": kept + wanted}
    return CloudAnswer(body=_answer(call))


def _levels(call: Call) -> Json:
    guarded = KINDS[_kind(call)]
    names = (*guarded.levels, OWNER) if guarded.owned else guarded.levels
    return {
        "permission_levels": [{"permission_level": name, "description": f"{name} on {guarded.shown}"} for name in names]
    }


def _wanted(call: Call) -> list[Json]:
    return list(call.fields.get("access_control_list", ()))


def _is_manager(call: Call) -> bool:
    kind = _kind(call)
    level = CAN_MANAGE if CAN_MANAGE in KINDS[kind].levels else KINDS[kind].levels[-1]
    return (
        holds_level(call, kind, call.arguments["id"], level)
        if kind != "cluster-policies"
        else call.is_workspace_admin()
    )


def _principals_exist(call: Call) -> bool:
    names = [str(one[field]) for one in _wanted(call) for field in PRINCIPALS if field in one]
    return all(name in (ADMINS, "users") or call.world.principal(name) for name in names)


def _levels_exist(call: Call) -> bool:
    guarded = KINDS[_kind(call)]
    known = (*guarded.levels, *((OWNER,) if guarded.owned else ()))
    return all(one["permission_level"] in known for one in _wanted(call))


def _keeps_management(call: Call) -> bool:
    """Return whether who sets the permissions anew is still a manager by them, unless others already manage it."""
    guarded = KINDS[_kind(call)]
    if call.method == "PATCH" or CAN_MANAGE not in guarded.levels:
        return True
    own = [
        one["permission_level"] for one in _wanted(call)
        if call.caller.principal in {one.get(field) for field in PRINCIPALS}
    ]  # fmt: skip
    return not own or any(level in (CAN_MANAGE, OWNER) for level in own)


def _has_one_owner(call: Call) -> bool:
    guarded = KINDS[_kind(call)]
    owners = [one for one in _wanted(call) if one["permission_level"] == OWNER]
    return not guarded.owned or call.method == "PATCH" or (len(owners) == 1 and "group_name" not in owners[0])


def _owner_is_allowed(call: Call) -> bool:
    owners = [
        str(one.get(field))
        for one in _wanted(call)
        if one["permission_level"] == OWNER
        for field in PRINCIPALS
        if field in one
    ]
    if _kind(call) != "jobs" or not is_restricted(call):
        return True
    present = {str(one.get(field)) for one in entries(call, "jobs", call.arguments["id"]) for field in PRINCIPALS
               if one["permission_level"] == OWNER}  # fmt: skip
    return all(owner == call.caller.principal or owner in present for owner in owners)


def is_restricted(call: Call) -> bool:
    """Return whether the workspace restricts its admins (setting RestrictWorkspaceAdmins)."""
    setting = call.store("setting").get("restrict_workspace_admins", {})
    return bool(setting.get("restrict_workspace_admins", {}).get("status") == "RESTRICT_TOKENS_AND_JOB_RUN_AS")


DEV = "aaaaaaaa-0000-4000-8000-000000000001"
POOL = Attempt(who="dev", request="POST dev/api/2.0/instance-pools/create",
               body={"instance_pool_name": "pool", "node_type_id": "Standard_D4ds_v5"})  # fmt: skip
WAREHOUSE = Attempt(who="dev", request="POST dev/api/2.0/sql/warehouses", body={"name": "sql", "cluster_size": "Small"})
JOB = Attempt(who="dev", request="POST dev/api/2.2/jobs/create", body={"name": "job", "tasks": []})


def put(who: str, path: str, *levels: tuple[str, str]) -> Attempt:
    """Return the request that sets the permissions of the only object of a kind (``<kind>`` stands for its id)."""
    body = {"access_control_list": [
        {"service_principal_name" if len(name) == len(DEV) else "user_name" if "@" in name else "group_name": name,
         "permission_level": level} for name, level in levels
    ]}  # fmt: skip
    return Attempt(who=who, request=f"PUT dev{ROOT}/{path}/<{path}>", body=body)


_ON = tuple(f"workspace {method} {ROOT}/*" for method in ("PUT", "PATCH"))


AREA = Area(
    name="object permissions",
    endpoints=endpoints(WORKSPACE, {
        f"{method} {ROOT}/{{kind*}}/{{id}}": action
        for method, action in {"GET": _read, "PUT": _set, "PATCH": _set}.items()
    }) + endpoints(WORKSPACE, {f"GET {ROOT}/{{kind*}}/{{id}}/permissionLevels": _levels}),
    rules=(
        ServiceRule(
            rule="permissions-need-management",
            says="Permissions of an object are set by its managers; of a policy by workspace admins.",
            page=PAGE, on=_ON, holds=_is_manager,
            refusal=(403, "PERMISSION_DENIED", "{caller} does not have Manage permissions on {kind} {id}."),
            given=(POOL,),
            accepted=put("dev", "instance-pools", (DEV, "CAN_MANAGE")),
            refused=put("analyst", "instance-pools", ("analyst@meridian-air.example", "CAN_ATTACH_TO")),
        ),
        ServiceRule(
            rule="permissions-name-principals",
            says="Permissions are given to users, service principals and groups that exist.",
            page=PAGE, on=_ON, holds=_principals_exist,
            refusal=(404, "RESOURCE_DOES_NOT_EXIST", "A principal of the access control list does not exist."),
            given=(POOL,),
            accepted=put("dev", "instance-pools", (DEV, "CAN_MANAGE"), ("users", "CAN_ATTACH_TO")),
            refused=put("dev", "instance-pools", (DEV, "CAN_MANAGE"), ("no such group", "CAN_ATTACH_TO")),
        ),
        ServiceRule(
            rule="permission-levels-fit-the-object",
            says="Each kind of object has its own levels.",
            page=PAGE, on=_ON, holds=_levels_exist,
            refusal=(400, "INVALID_PARAMETER_VALUE", "A permission level is not one of {kind}."),
            given=(POOL,),
            accepted=put("dev", "instance-pools", (DEV, "CAN_MANAGE")),
            refused=put("dev", "instance-pools", (DEV, "CAN_MANAGE"), ("users", "CAN_QUERY")),
        ),
        ServiceRule(
            rule="own-management-stays",
            says="Nobody lowers their own permission on an object below management.",
            page="https://registry.terraform.io/providers/databricks/databricks/latest/docs/resources/permissions",
            on=_ON, holds=_keeps_management,
            refusal=(400, "INVALID_PARAMETER_VALUE",
                     "cannot remove management permissions for the current user for {kind}, allowed levels: CAN_MANAGE"),
            given=(POOL,),
            accepted=put("dev", "instance-pools", (DEV, "CAN_MANAGE")),
            refused=put("dev", "instance-pools", (DEV, "CAN_ATTACH_TO")),
        ),
        ServiceRule(
            rule="one-owner",
            says="A job and a warehouse have exactly one owner, and it is not a group.",
            page=PAGE, on=_ON, holds=_has_one_owner,
            refusal=(400, "INVALID_PARAMETER_VALUE", "The {kind} must have exactly one owner, which cannot be a group."),
            given=(WAREHOUSE,),
            accepted=put("dev", "sql/warehouses", (DEV, "IS_OWNER")),
            refused=put("dev", "sql/warehouses", (DEV, "CAN_MANAGE")),
        ),
        ServiceRule(
            rule="restricted-admins-own-their-jobs",
            says="Where workspace admins are restricted, they make only themselves the owner of a job.",
            page=RESTRICT_PAGE, on=_ON, holds=_owner_is_allowed,
            refusal=(403, "PERMISSION_DENIED", "Workspace admins can only change the owner of a job to themselves."),
            given=(
                Attempt(who="person", request="PATCH dev/api/2.0/settings/types/restrict_workspace_admins/names/default",
                        body={"allow_missing": True, "field_mask": "restrict_workspace_admins.status", "setting": {
                            "etag": "etag-0", "setting_name": "default",
                            "restrict_workspace_admins": {"status": "RESTRICT_TOKENS_AND_JOB_RUN_AS"}}}),
                JOB,
            ),
            accepted=put("dev", "jobs", (DEV, "IS_OWNER")),
            refused=put("dev", "jobs", ("analyst@meridian-air.example", "IS_OWNER"), (DEV, "CAN_MANAGE")),
        ),
    ),
)  # fmt: skip
