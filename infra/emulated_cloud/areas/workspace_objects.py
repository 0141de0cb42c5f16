"""Dashboards, alerts, serving endpoints, experiments, monitors of data quality, and secrets of a workspace.

Serving endpoints answer their description, not predictions. Experiments keep their description; runs and metrics
belong to an MLflow server.
"""

import copy
import json
import time

from infra.emulated_cloud.areas.object_permissions import holds_level
from infra.emulated_cloud.calls import WORKSPACE, Area, Attempt, Call, CloudAnswer, Rule, endpoints, not_found, taken
from infra.emulated_cloud.collections_of import Collection, long_hexadecimal, text_number, unique
from infra.emulated_cloud.world import ADMINS, Json

LEVELS = ("READ", "WRITE", "MANAGE")
SECRETS_PAGE = "https://docs.databricks.com/api/secrets/v1/put-acl"


def timestamp() -> str:
    """Return the time as the newer services write it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _dashboard(call: Call, document: Json) -> Json:
    parent = document.get("parent_path", f"/Users/{call.caller.principal}")
    now = timestamp()
    return {
        "create_time": now, "update_time": now, "etag": str(next(call.world.numbers)), "lifecycle_state": "ACTIVE",
        "parent_path": parent, "path": f"{parent}/{document.get('display_name')}.lvdash.json",
        "serialized_dashboard": _compact(document.get("serialized_dashboard", "")),
    }  # fmt: skip


def _compact(text: str) -> str:
    """Return a dashboard's definition as the service gives it back: without spaces, each page with its type, and a line end."""
    if not text:
        return text
    definition = json.loads(text)
    for page in definition.get("pages", ()):
        page.setdefault("pageType", "PAGE_TYPE_CANVAS")
    return json.dumps(definition, separators=(",", ":")) + "\n"


def _alert(call: Call, document: Json) -> Json:
    now = timestamp()
    return {"create_time": now, "update_time": now, "lifecycle_state": "ACTIVE", "owner_user_name": call.caller.principal,
            "run_as_user_name": (document.get("run_as") or {}).get("service_principal_name", call.caller.principal)}  # fmt: skip


def _endpoint(call: Call, document: Json) -> Json:
    now = call.world.now()
    ready = "READY" if document.get("config") else "NOT_READY"
    return {
        "id": call.world.new_uuid(), "creation_timestamp": now, "last_updated_timestamp": now, "description": "",
        "creator": call.caller.principal, "permission_level": "CAN_MANAGE", "route_optimized": False,
        "state": {"config_update": "NOT_UPDATING", "ready": ready},
    }  # fmt: skip


def _experiment(call: Call, document: Json) -> Json:
    owner = {"mlflow.ownerId": str(next(call.world.numbers)), "mlflow.ownerEmail": call.caller.principal,
             "mlflow.experiment.sourceName": document.get("name"), "mlflow.experimentType": "MLFLOW_EXPERIMENT"}  # fmt: skip
    return {
        "artifact_location": document.get("artifact_location") or f"dbfs:/databricks/mlflow-tracking/{document['experiment_id']}",
        "lifecycle_stage": "active", "creation_time": call.world.now(), "last_update_time": call.world.now(),
        "tags": [*document.get("tags", ()), *({"key": key, "value": value} for key, value in owner.items())],
    }  # fmt: skip


DASHBOARDS = Collection(
    service=WORKSPACE, kind="dashboard", key="dashboard_id", new_key=long_hexadecimal, adds=_dashboard,
    create="POST /api/2.0/lakeview/dashboards", read="GET /api/2.0/lakeview/dashboards/{id}",
    lists="GET /api/2.0/lakeview/dashboards", list_field="dashboards", change="PATCH /api/2.0/lakeview/dashboards/{id}",
)  # fmt: skip
ALERTS = Collection(
    service=WORKSPACE, kind="alert", key="id", new_key=unique, adds=_alert, create="POST /api/2.0/alerts",
    read="GET /api/2.0/alerts/{id}", lists="GET /api/2.0/alerts", list_field="alerts",
    change="PATCH /api/2.0/alerts/{id}", delete="DELETE /api/2.0/alerts/{id}",
)  # fmt: skip
SERVING = Collection(
    service=WORKSPACE, kind="serving endpoint", key="name", unique="name", adds=_endpoint,
    create="POST /api/2.0/serving-endpoints", read="GET /api/2.0/serving-endpoints/{id}",
    lists="GET /api/2.0/serving-endpoints", list_field="endpoints", delete="DELETE /api/2.0/serving-endpoints/{id}",
)  # fmt: skip
EXPERIMENTS = Collection(
    service=WORKSPACE, kind="experiment", key="experiment_id", new_key=text_number, unique="name", adds=_experiment,
    create="POST /api/2.0/mlflow/experiments/create", lists="GET /api/2.0/mlflow/experiments/list",
    list_field="experiments", answers=("experiment_id",),
)  # fmt: skip


def _trash_dashboard(call: Call) -> Json:
    document = DASHBOARDS.find(call)
    del call.store(DASHBOARDS.kind)[document["dashboard_id"]]
    return {}


def _publish(call: Call) -> Json:
    document = DASHBOARDS.find(call)
    document["~published"] = {
        "display_name": document["display_name"], "revision_create_time": timestamp(), **copy.deepcopy(call.fields),
    }  # fmt: skip
    return dict(document["~published"])


def _published(call: Call) -> Json:
    published = DASHBOARDS.find(call).get("~published")
    if published is None:
        raise not_found(f"Published dashboard {call.arguments['id']}")
    return dict(published)


def _serve(call: Call) -> Json:
    document = SERVING.find(call)
    document["config"] = {
        **copy.deepcopy(call.fields),
        "config_version": document.get("config", {}).get("config_version", 0) + 1,
    }
    document["state"] = {"config_update": "NOT_UPDATING", "ready": "READY"}
    return SERVING.shown(call, document)


def _tag_endpoint(call: Call) -> Json:
    document = SERVING.find(call)
    gone = {tag["key"] for tag in call.fields.get("add_tags", ())} | set(call.fields.get("delete_tags", ()))
    kept = [tag for tag in document.get("tags", ()) if tag["key"] not in gone]
    document["tags"] = kept + copy.deepcopy(call.fields.get("add_tags", []))
    return {"tags": document["tags"]}


def _gateway(call: Call) -> Json:
    SERVING.find(call)["ai_gateway"] = copy.deepcopy(call.fields)
    return copy.deepcopy(call.fields)


def _experiment_answer(call: Call) -> Json:
    return {"experiment": EXPERIMENTS.shown(call, EXPERIMENTS.find(call))}


def _experiment_by_name(call: Call) -> Json:
    wanted = call.asked("experiment_name")
    for document in call.store(EXPERIMENTS.kind).values():
        if document["name"] == wanted:
            return {"experiment": EXPERIMENTS.shown(call, document)}
    raise not_found(f"Node {wanted}")


def _search_experiments(call: Call) -> Json:
    found = [EXPERIMENTS.shown(call, one) for one in call.store(EXPERIMENTS.kind).values()]
    return {"experiments": found[: int(call.asked("max_results") or 1000)]}


def _rename_experiment(call: Call) -> Json:
    EXPERIMENTS.find(call)["name"] = call.fields.get("new_name")
    return {}


def _tag_experiment(call: Call) -> Json:
    document = EXPERIMENTS.find(call)
    tag = {"key": call.fields["key"], "value": call.fields["value"]}
    document["tags"] = [*(one for one in document["tags"] if one["key"] != tag["key"]), tag]
    return {}


def _monitor(call: Call) -> Json:
    kept = copy.deepcopy(call.fields)
    call.store("monitor")[f"{kept['object_type']} {kept['object_id']}"] = kept
    return kept


def _monitor_key(call: Call) -> str:
    key = f"{call.arguments['kind']} {call.arguments['id']}"
    if key not in call.store("monitor"):
        raise not_found(f"Monitor of {key}")
    return key


def _read_monitor(call: Call) -> Json:
    return copy.deepcopy(call.store("monitor")[_monitor_key(call)])


def _change_monitor(call: Call) -> Json:
    call.store("monitor")[_monitor_key(call)].update(copy.deepcopy(call.fields))
    return _read_monitor(call)


def _delete_monitor(call: Call) -> Json:
    del call.store("monitor")[_monitor_key(call)]
    return {}


# Secrets -------------------------------------------------------------------------------------------------------------


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
    value = call.fields.get("bytes_value") or call.fields.get("string_value", "")
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


def _may_manage_endpoint(call: Call) -> bool:
    document = call.store(SERVING.kind).get(call.arguments.get("id", ""))
    return document is None or holds_level(call, "serving-endpoints", document["id"], "CAN_MANAGE")


def _may_write_experiment(call: Call) -> bool:
    identity = call.asked("experiment_id")
    level = "CAN_MANAGE" if call.path.endswith("/delete") else "CAN_EDIT"
    return identity not in call.store(EXPERIMENTS.kind) or holds_level(call, "experiments", identity, level)


S = "/api/2.0/secrets"
M = "/api/2.0/mlflow/experiments"
V = "/api/2.0/serving-endpoints"
_MAKE_SCOPE = Attempt(who="dev", request=f"POST dev{S}/scopes/create", body={"scope": "team"})
_ANALYST = "analyst@meridian-air.example"
_DENIED = (403, "PERMISSION_DENIED")

AREA = Area(
    name="workspace objects",
    endpoints=(
        *DASHBOARDS.endpoints(), *ALERTS.endpoints(), *SERVING.endpoints(), *EXPERIMENTS.endpoints(),
        *endpoints(WORKSPACE, {
            "DELETE /api/2.0/lakeview/dashboards/{id}": _trash_dashboard,
            "POST /api/2.0/lakeview/dashboards/{id}/published": _publish,
            "GET /api/2.0/lakeview/dashboards/{id}/published": _published,
            f"PUT {V}/{{id}}/config": _serve, f"PATCH {V}/{{id}}/tags": _tag_endpoint,
            f"PUT {V}/{{id}}/ai-gateway": _gateway,
            f"GET {M}/get": _experiment_answer, f"GET {M}/get-by-name": _experiment_by_name,
            f"POST {M}/search": _search_experiments, f"GET {M}/search": _search_experiments,
            f"POST {M}/update": _rename_experiment, f"POST {M}/set-experiment-tag": _tag_experiment,
            f"POST {M}/delete": EXPERIMENTS.on_delete,
            "POST /api/data-quality/v1/monitors": _monitor,
            "GET /api/data-quality/v1/monitors/{kind}/{id}": _read_monitor,
            "PATCH /api/data-quality/v1/monitors/{kind}/{id}": _change_monitor,
            "DELETE /api/data-quality/v1/monitors/{kind}/{id}": _delete_monitor,
            f"POST {S}/scopes/create": _create_scope, f"POST {S}/scopes/delete": _delete_scope,
            f"GET {S}/scopes/list": _list_scopes, f"POST {S}/acls/put": _put_acl, f"GET {S}/acls/get": _get_acl,
            f"GET {S}/acls/list": _list_acls, f"POST {S}/acls/delete": _delete_acl, f"POST {S}/put": _put_secret,
            f"GET {S}/list": _list_secrets, f"GET {S}/get": _get_secret, f"POST {S}/delete": _delete_secret,
        }),
    ),
    rules=(
        Rule(
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
        Rule(
            rule="secret-acls-name-principals", says="An ACL of a secret scope is given to a principal that exists.",
            page=SECRETS_PAGE, on=(f"workspace POST {S}/acls/put",), holds=_acl_principal_exists,
            refusal=(400, "INVALID_PARAMETER_VALUE", "User or Group {principal} does not exist."),
            given=(_MAKE_SCOPE,),
            accepted=Attempt(who="dev", request=f"POST dev{S}/acls/put",
                             body={"scope": "team", "principal": _ANALYST, "permission": "READ"}),
            refused=Attempt(who="dev", request=f"POST dev{S}/acls/put",
                            body={"scope": "team", "principal": "no such group", "permission": "READ"}),
        ),
        Rule(
            rule="secrets-need-write", says="Secrets are written by who has WRITE on the scope.",
            page="https://docs.databricks.com/api/workspace/secrets/putsecret",
            on=(f"workspace POST {S}/put", f"workspace POST {S}/delete"),
            holds=lambda call: _holds_acl(call, "WRITE"),
            refusal=(*_DENIED, "{caller} does not have WRITE permission on scope {scope}."),
            given=(_MAKE_SCOPE,),
            accepted=Attempt(who="dev", request=f"POST dev{S}/put", body={"scope": "team", "key": "k", "string_value": "v"}),
            refused=Attempt(who="analyst", request=f"POST dev{S}/put", body={"scope": "team", "key": "k", "string_value": "v"}),
        ),
        Rule(
            rule="secrets-need-read", says="Secrets are listed and read by who has READ on the scope.",
            page="https://docs.databricks.com/api/workspace/secrets/listsecrets",
            on=(f"workspace GET {S}/list", f"workspace GET {S}/get"),
            holds=lambda call: _holds_acl(call, "READ"),
            refusal=(*_DENIED, "{caller} does not have READ permission on scope {scope}."),
            given=(_MAKE_SCOPE,),
            accepted=Attempt(who="dev", request=f"GET dev{S}/list?scope=team"),
            refused=Attempt(who="analyst", request=f"GET dev{S}/list?scope=team"),
        ),
        Rule(
            rule="serving-needs-management", says="A serving endpoint is changed and deleted by who has CAN_MANAGE on it.",
            page="https://learn.microsoft.com/en-us/azure/databricks/security/auth/access-control/#serving",
            on=tuple(f"workspace {method} {V}/*" for method in ("PUT", "PATCH", "DELETE")),
            holds=_may_manage_endpoint,
            refusal=(*_DENIED, "{caller} does not have Manage permissions on serving endpoint {id}."),
            given=(Attempt(who="dev", request=f"POST dev{V}", body={"name": "score"}),),
            accepted=Attempt(who="dev", request=f"PATCH dev{V}/score/tags", body={"add_tags": [{"key": "team", "value": "a"}]}),
            refused=Attempt(who="analyst", request=f"DELETE dev{V}/score"),
        ),
        Rule(
            rule="experiments-need-permissions",
            says="An experiment is changed with CAN_EDIT and deleted with CAN_MANAGE.",
            page="https://learn.microsoft.com/en-us/azure/databricks/security/auth/access-control/#experiments",
            on=tuple(f"workspace POST {M}/{verb}" for verb in ("update", "delete", "set-experiment-tag")),
            holds=_may_write_experiment,
            refusal=(*_DENIED, "{caller} does not have permission on experiment {experiment_id}."),
            given=(Attempt(who="dev", request=f"POST dev{M}/create", body={"name": "/e"}),),
            accepted=Attempt(who="dev", request=f"POST dev{M}/update", body={"experiment_id": "<experiments>", "new_name": "/f"}),
            refused=Attempt(who="analyst", request=f"POST dev{M}/delete", body={"experiment_id": "<experiments>"}),
        ),
    ),
)  # fmt: skip
