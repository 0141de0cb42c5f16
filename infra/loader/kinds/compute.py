"""Pools, policies, clusters, warehouses and jobs."""

from infra.loader.kind import LoadedKind, State, rest
from infra.loader.session import Json, Session

LISTS = {"task": "tasks", "job_cluster": "job_clusters", "parameter": "parameters", "environment": "environments"}
"""Blocks of a job to the fields of the Jobs API."""
JOB_OWN = ("id", "always_running", "control_run_state", "url", "format")
CLUSTER_OWN = ("id", "library", "no_wait", "is_pinned")


def _job(plan: State) -> Json:
    settings = {LISTS.get(name, name): value for name, value in plan.items() if name not in JOB_OWN}
    tasks = [dict(task) for task in settings.get("tasks", ())]
    for task in tasks:
        if "library" in task:
            task["libraries"] = task.pop("library")
    return {**settings, "tasks": tasks}


def _make_job(session: Session, plan: State) -> Json:
    made = session.ask("POST", "/api/2.2/jobs/create", _job(plan))
    return {"id": str(made["job_id"])}


def _change_job(session: Session, state: State, plan: State) -> Json:
    session.ask("POST", "/api/2.2/jobs/reset", {"job_id": int(state["id"]), "new_settings": _job(plan)})
    return {}


def _read_job(session: Session, state: State) -> Json:
    found = session.ask("GET", "/api/2.2/jobs/get", query={"job_id": state["id"]})["settings"]
    names = ("name", "description", "tags", "timeout_seconds", "max_concurrent_runs")
    shown = {name: found[name] for name in names if name in found}
    for block in ("schedule", "continuous"):
        if found.get(block) and block in state:
            shown[block] = {key: found[block].get(key) for key in state[block]}
    return shown


def _find_job(session: Session, parts: State) -> Json:
    found = session.ask("GET", "/api/2.2/jobs/get", query={"job_id": parts["id"]})["settings"]
    blocks = {field: block for block, field in LISTS.items()}
    shown = {blocks.get(name, name): value for name, value in found.items()}
    tasks = [{**task, "library": task.get("libraries", [])} for task in shown.get("task", ())]
    return {**shown, "task": tasks, "id": parts["id"]}


def _delete_job(session: Session, state: State) -> None:
    session.ask("POST", "/api/2.2/jobs/delete", {"job_id": int(state["id"])})


def _make_cluster(session: Session, plan: State) -> Json:
    wanted = {name: value for name, value in plan.items() if name not in CLUSTER_OWN}
    identity = session.ask("POST", "/api/2.1/clusters/create", wanted)["cluster_id"]
    _install(session, identity, plan)
    return {"id": identity, "cluster_id": identity}


def _install(session: Session, cluster: str, plan: State) -> None:
    if plan.get("library"):
        session.ask("POST", "/api/2.0/libraries/install", {"cluster_id": cluster, "libraries": plan["library"]})


def _change_cluster(session: Session, state: State, plan: State) -> Json:
    wanted = {name: value for name, value in plan.items() if name not in CLUSTER_OWN}
    session.ask("POST", "/api/2.1/clusters/edit", {**wanted, "cluster_id": state["id"]})
    gone = [one for one in state.get("library", ()) if one not in plan.get("library", ())]
    if gone:
        session.ask("POST", "/api/2.0/libraries/uninstall", {"cluster_id": state["id"], "libraries": gone})
    _install(session, state["id"], plan)
    return {}


def _find_cluster(session: Session, parts: State) -> Json:
    identity = parts["cluster_id"]
    found = session.ask("GET", "/api/2.1/clusters/get", query={"cluster_id": identity})
    installed = session.ask("GET", "/api/2.0/libraries/cluster-status", query={"cluster_id": identity})
    libraries = [one["library"] for one in installed.get("library_statuses", ())]
    return {**found, "library": libraries, "id": identity}


def _posted(root: str, key: str, list_one: str) -> LoadedKind:
    """Return the kind of an older service, whose changes and deletions are POST requests."""
    return rest(
        create=f"POST {root}/create", get=f"GET {root}/get?{list_one}={{id}}", change=f"POST {root}/edit",
        delete=f"POST {root}/delete", key=key, keyed=True, gives={key: key} if key == "policy_id" else {},
        body=lambda plan: {name: value for name, value in plan.items() if name != "id"},
    )  # fmt: skip


KINDS = {
    "databricks_instance_pool": _posted("/api/2.0/instance-pools", "instance_pool_id", "instance_pool_id"),
    "databricks_cluster_policy": _posted("/api/2.0/policies/clusters", "policy_id", "policy_id"),
    "databricks_cluster": LoadedKind(
        create=_make_cluster, change=_change_cluster,
        read=lambda session, state: session.ask("GET", "/api/2.1/clusters/get", query={"cluster_id": state["id"]}) and {},
        delete=lambda session, state: session.ask("POST", "/api/2.1/clusters/permanent-delete", {"cluster_id": state["id"]}),
        find=_find_cluster,
    ),
    "databricks_sql_endpoint": rest(
        create="POST /api/2.0/sql/warehouses", one="/api/2.0/sql/warehouses/{id}",
        change="POST /api/2.0/sql/warehouses/{id}/edit", shows=("name", "cluster_size", "auto_stop_mins"),
    ),
    "databricks_job": LoadedKind(create=_make_job, change=_change_job, read=_read_job, delete=_delete_job, find=_find_job),
}  # fmt: skip
