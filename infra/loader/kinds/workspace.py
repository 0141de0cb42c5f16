"""Files, folders, notebooks, secrets, experiments, endpoints, dashboards, alerts and monitors."""

import base64
from pathlib import Path

from infra.loader.kind import LoadedKind, State, found_in, rest
from infra.loader.session import Json, Session

W, S, M = "/api/2.0/workspace", "/api/2.0/secrets", "/api/2.0/mlflow/experiments"


def _content(plan: State) -> bytes:
    return Path(plan["source"]).read_bytes() if plan.get("source") else base64.b64decode(plan["content_base64"])


def _upload(session: Session, plan: State) -> Json:
    session.ask("PUT", f"/api/2.0/fs/files{plan['path']}", content=_content(plan))
    return {"id": plan["path"]}


def _make_folder(session: Session, plan: State) -> Json:
    session.ask("POST", f"{W}/mkdirs", {"path": plan["path"]})
    return {"id": plan["path"], **_status(session, plan["path"])}


def _status(session: Session, path: str) -> Json:
    return {"object_id": session.ask("GET", f"{W}/get-status", query={"path": path})["object_id"]}


def _import(session: Session, plan: State) -> Json:
    content = base64.b64encode(_content(plan)).decode()
    language = plan.get("language", "PYTHON")
    body = {"path": plan["path"], "content": content, "format": "SOURCE", "language": language, "overwrite": True}
    session.ask("POST", f"{W}/import", body)
    return {"id": plan["path"], **_status(session, plan["path"])}


def _remove(session: Session, state: State) -> None:
    session.ask("POST", f"{W}/delete", {"path": state["path"], "recursive": True})


def _exists(session: Session, state: State) -> Json:
    _status(session, state["path"])
    return {}


def _find_file(session: Session, parts: State) -> Json:
    session.ask("HEAD", f"/api/2.0/fs/files{parts['path']}")
    return {"id": parts["path"]}


def _find_in_tree(session: Session, parts: State) -> Json:
    found = session.ask("GET", f"{W}/get-status", query={"path": parts["path"]})
    return {**found, "id": parts["path"], "format": "SOURCE"}


def _make_dashboard(session: Session, plan: State) -> Json:
    names = ("display_name", "parent_path", "serialized_dashboard", "warehouse_id")
    made = session.ask("POST", "/api/2.0/lakeview/dashboards", {name: plan[name] for name in names if name in plan})
    _publish(session, made["dashboard_id"], plan)
    return {"id": made["dashboard_id"], "dashboard_id": made["dashboard_id"]}


def _publish(session: Session, dashboard: str, plan: State) -> None:
    body = {"embed_credentials": plan.get("embed_credentials", False), "warehouse_id": plan.get("warehouse_id")}
    session.ask("POST", f"/api/2.0/lakeview/dashboards/{dashboard}/published", body)


def _find_dashboard(session: Session, parts: State) -> Json:
    path = "/api/2.0/lakeview/dashboards/{dashboard_id}".format(**parts)
    found = session.ask("GET", path)
    published = session.ask("GET", f"{path}/published")
    return {**found, "embed_credentials": published.get("embed_credentials"), "id": parts["dashboard_id"]}


def _change_dashboard(session: Session, state: State, plan: State) -> Json:
    body = {name: plan[name] for name in ("display_name", "serialized_dashboard", "warehouse_id") if name in plan}
    session.ask("PATCH", f"/api/2.0/lakeview/dashboards/{state['id']}", body)
    _publish(session, state["id"], plan)
    return {}


def _make_endpoint(session: Session, plan: State) -> Json:
    made = session.ask("POST", "/api/2.0/serving-endpoints", {"name": plan["name"], "tags": plan.get("tags", [])})
    return {"id": plan["name"], "serving_endpoint_id": made["id"]}


def _find_endpoint(session: Session, parts: State) -> Json:
    found = session.ask("GET", f"/api/2.0/serving-endpoints/{parts['name']}")
    shown: Json = {name: found[name] for name in ("name", "tags", "description") if name in found}
    return {**shown, "id": parts["name"], "serving_endpoint_id": found["id"]}


def _change_endpoint(session: Session, state: State, plan: State) -> Json:
    session.ask("PATCH", f"/api/2.0/serving-endpoints/{state['id']}/tags", {"add_tags": plan.get("tags", [])})
    return {}


def _acl(session: Session, plan: State) -> Json:
    session.ask("POST", f"{S}/acls/put", {name: plan[name] for name in ("scope", "principal", "permission")})
    return {"id": f"{plan['scope']}|||{plan['principal']}"}


def _find_acl(session: Session, parts: State) -> Json:
    found = session.ask("GET", f"{S}/acls/get", query=dict(parts))
    return {"permission": found["permission"], "id": "{scope}|||{principal}".format(**parts)}


def _make_scope(session: Session, plan: State) -> Json:
    session.ask("POST", f"{S}/scopes/create", {"scope": plan["name"], "scope_backend_type": "DATABRICKS"})
    return {"id": plan["name"]}


def _find_scope(session: Session, parts: State) -> Json:
    found = found_in(session.ask("GET", f"{S}/scopes/list").get("scopes", []), "name", parts["name"], "secret scope")
    return {"id": parts["name"], "backend_type": found.get("backend_type")}


def _make_experiment(session: Session, plan: State) -> Json:
    made = session.ask("POST", f"{M}/create", {"name": plan["name"], "tags": plan.get("tags", [])})
    return {"id": made["experiment_id"], "experiment_id": made["experiment_id"]}


def _find_experiment(session: Session, parts: State) -> Json:
    found = session.ask("GET", f"{M}/get", query={"experiment_id": parts["experiment_id"]})["experiment"]
    return {"name": found["name"], "tags": found.get("tags"), "id": parts["experiment_id"]}


def _find_monitor(session: Session, parts: State) -> Json:
    found = session.ask("GET", "/api/data-quality/v1/monitors/{object_type}/{object_id}".format(**parts))
    return {**found, "id": "{object_type}|{object_id}".format(**parts)}


def _monitor(session: Session, plan: State) -> Json:
    session.ask(
        "POST",
        "/api/data-quality/v1/monitors",
        {k: v for k, v in plan.items() if k != "id"} | {"anomaly_detection_config": {}},
    )
    return {"id": f"{plan['object_type']}|{plan['object_id']}"}


FOLDER = LoadedKind(create=_make_folder, read=_exists, delete=_remove, find=_find_in_tree)
KINDS = {
    "databricks_file": LoadedKind(
        create=_upload, delete=lambda session, state: session.ask("DELETE", f"/api/2.0/fs/files{state['path']}"),
        find=_find_file,
    ),
    "databricks_directory": FOLDER,
    "databricks_notebook": LoadedKind(create=_import, read=_exists, delete=_remove, find=_find_in_tree),
    "databricks_dashboard": LoadedKind(
        create=_make_dashboard, change=_change_dashboard,
        delete=lambda session, state: session.ask("DELETE", f"/api/2.0/lakeview/dashboards/{state['id']}"),
        find=_find_dashboard,
    ),
    "databricks_alert_v2": rest(
        create="POST /api/2.0/alerts", one="/api/2.0/alerts/{id}", shows=("display_name",),
        body=lambda plan: {name: value for name, value in plan.items() if name != "id"},
    ),
    "databricks_model_serving": LoadedKind(
        create=_make_endpoint, change=_change_endpoint,
        read=lambda session, state: session.ask("GET", f"/api/2.0/serving-endpoints/{state['id']}") and {},
        delete=lambda session, state: session.ask("DELETE", f"/api/2.0/serving-endpoints/{state['id']}"),
        find=_find_endpoint,
    ),
    "databricks_secret_scope": LoadedKind(
        create=_make_scope, delete=lambda session, state: session.ask("POST", f"{S}/scopes/delete", {"scope": state["id"]}),
        find=_find_scope,
    ),
    "databricks_secret_acl": LoadedKind(create=_acl, delete=lambda session, state: session.ask(
        "POST", f"{S}/acls/delete", {"scope": state["scope"], "principal": state["principal"]}), find=_find_acl),
    "databricks_mlflow_experiment": LoadedKind(
        create=_make_experiment, change=lambda _session, _state, _plan: {},
        delete=lambda session, state: session.ask("POST", f"{M}/delete", {"experiment_id": state["id"]}),
        find=_find_experiment,
    ),
    "databricks_data_quality_monitor": LoadedKind(
        create=_monitor, delete=lambda session, state: session.ask(
            "DELETE", f"/api/data-quality/v1/monitors/{state['object_type']}/{state['object_id']}"),
        find=_find_monitor,
    ),
}  # fmt: skip
