"""Dashboards, alerts, serving endpoints, experiments and monitors of data quality of a workspace.

Serving endpoints answer their description, not predictions. Experiments keep their description; runs and metrics
belong to an MLflow server.
"""

import copy
import json
import time

from infra.emulated_cloud.areas.databricks.object_permissions import holds_level
from infra.emulated_cloud.calls import WORKSPACE, Area, Attempt, Call, ServiceRule, endpoints, not_found
from infra.emulated_cloud.collections_of import Collection, long_hexadecimal, text_number, unique
from infra.emulated_cloud.world import USER, Json


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
    """Return what the service adds to an alert; ``run_as_user_name``, which `run_as` replaces, stays as it was asked for."""
    now = timestamp()
    kind = "user_name" if call.caller.kind == USER else "service_principal_name"
    return {
        "create_time": now, "update_time": now, "lifecycle_state": "ACTIVE", "owner_user_name": call.caller.principal,
        "effective_run_as": document.get("run_as") or {kind: call.caller.principal},
    }  # fmt: skip


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


def _may_manage_endpoint(call: Call) -> bool:
    document = call.store(SERVING.kind).get(call.arguments.get("id", ""))
    return document is None or holds_level(call, "serving-endpoints", document["id"], "CAN_MANAGE")


def _may_write_experiment(call: Call) -> bool:
    identity = call.asked("experiment_id")
    level = "CAN_MANAGE" if call.path.endswith("/delete") else "CAN_EDIT"
    return identity not in call.store(EXPERIMENTS.kind) or holds_level(call, "experiments", identity, level)


M = "/api/2.0/mlflow/experiments"
V = "/api/2.0/serving-endpoints"
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
        }),
    ),
    rules=(
        ServiceRule(
            rule="serving-needs-management", says="A serving endpoint is changed and deleted by who has CAN_MANAGE on it.",
            page="https://learn.microsoft.com/en-us/azure/databricks/security/auth/access-control/#serving",
            on=tuple(f"workspace {method} {V}/*" for method in ("PUT", "PATCH", "DELETE")),
            holds=_may_manage_endpoint,
            refusal=(*_DENIED, "{caller} does not have Manage permissions on serving endpoint {id}."),
            given=(Attempt(who="dev", request=f"POST dev{V}", body={"name": "score"}),),
            accepted=Attempt(who="dev", request=f"PATCH dev{V}/score/tags", body={"add_tags": [{"key": "team", "value": "a"}]}),
            refused=Attempt(who="analyst", request=f"DELETE dev{V}/score"),
        ),
        ServiceRule(
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
