"""Jobs and their runs.

A run holds its tasks and parameters. Where the cloud has compute, they run; otherwise a run waits until it is
cancelled. Not known: schedules and file arrivals.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.emulated_cloud.areas.azure.databricks_workspaces import host_of
from infra.emulated_cloud.areas.databricks.compute import STARTS
from infra.emulated_cloud.areas.databricks.object_permissions import RESTRICT_PAGE, holds_level
from infra.emulated_cloud.areas.databricks.principals import may_use
from infra.emulated_cloud.calls import (
    WORKSPACE,
    Area,
    Attempt,
    Call,
    CloudRefusalError,
    ServiceRule,
    endpoints,
    invalid,
    not_found,
)
from infra.emulated_cloud.collections_of import forget_permissions
from infra.emulated_cloud.world import Json, World

JOBS, RUNS = "job", "run"
PAGE = "https://learn.microsoft.com/en-us/azure/databricks/security/auth/access-control/#jobs"
ROLE_PAGE = "https://learn.microsoft.com/en-us/azure/databricks/security/auth/access-control/service-principal-acl"
ANALYST = "analyst@meridian-air.example"
DONE = ("TERMINATED", "SKIPPED", "INTERNAL_ERROR")
CODES = {
    "SUCCESS": "SUCCESS", "SUCCESS_WITH_FAILURES": "SUCCESS_WITH_FAILURES", "CANCELED": "USER_CANCELED",
    "EXCLUDED": "SUCCESS", "MAXIMUM_CONCURRENT_RUNS_REACHED": "MAX_CONCURRENT_RUNS_EXCEEDED",
}  # fmt: skip


def normalized(settings: Json) -> Json:
    """Return a job's settings as the service gives them back: tasks sorted, policy defaults applied and forgotten."""
    kept = copy.deepcopy(settings)
    for cluster in kept.get("job_clusters", ()):
        if "apply_policy_default_values" in cluster["new_cluster"]:
            cluster["new_cluster"]["apply_policy_default_values"] = False
    for task in kept.get("tasks", ()):
        task["depends_on"] = sorted(task.get("depends_on", ()), key=lambda one: one["task_key"])
        if not task["depends_on"]:
            del task["depends_on"]
        task.setdefault("run_if", "ALL_SUCCESS")
        task.setdefault("email_notifications", {})
        task.setdefault("timeout_seconds", 0)
    if "tasks" in kept:
        kept["tasks"] = sorted(kept["tasks"], key=lambda task: task["task_key"])
    return {"email_notifications": {}, "webhook_notifications": {}, "max_concurrent_runs": 1, "timeout_seconds": 0,
            "format": "MULTI_TASK", **kept}  # fmt: skip


def run_as(job: Json) -> str:
    """Return the principal that a job runs as."""
    chosen = job["settings"].get("run_as") or {}
    return str(chosen.get("service_principal_name") or chosen.get("user_name") or job["creator_user_name"])


def _job(call: Call) -> Json:
    job = call.store(JOBS).get(call.asked("job_id"))
    if job is None:
        raise not_found(f"Job {call.asked('job_id')}")
    return job


def _create(call: Call) -> Json:
    number = call.world.new_number()
    call.store(JOBS)[str(number)] = {
        "job_id": number, "created_time": call.world.now(), "creator_user_name": call.caller.principal,
        "settings": normalized(call.fields), "~creator": call.caller.principal,
    }  # fmt: skip
    return {"job_id": number}


def _shown(job: Json) -> Json:
    shown = {name: copy.deepcopy(value) for name, value in job.items() if not name.startswith("~")}
    return {**shown, "run_as_user_name": run_as(job)}


def _get(call: Call) -> Json:
    return _shown(_job(call))


def _list(call: Call) -> Json:
    wanted, limit = call.query.get("name", ""), int(call.query.get("limit", 20))
    offset = int(call.query.get("offset") or call.query.get("page_token") or 0)
    found = [_shown(job) for job in call.store(JOBS).values()
             if wanted.lower() in ("", job["settings"].get("name", "").lower())
             and holds_level(call, "jobs", str(job["job_id"]), "CAN_VIEW")]  # fmt: skip
    more = offset + limit < len(found)
    page: Json = {"jobs": found[offset : offset + limit], "has_more": more}
    return page | ({"next_page_token": str(offset + limit)} if more else {})


def _reset(call: Call) -> Json:
    _job(call)["settings"] = normalized(call.fields.get("new_settings", {}))
    return {}


def _update(call: Call) -> Json:
    settings = _job(call)["settings"] | copy.deepcopy(call.fields.get("new_settings", {}))
    for name in call.fields.get("fields_to_remove", ()):
        settings.pop(name, None)
    _job(call)["settings"] = normalized(settings)
    return {}


def _delete(call: Call) -> Json:
    identity = str(_job(call)["job_id"])
    del call.store(JOBS)[identity]
    forget_permissions(call, identity)
    return {}


# Runs ----------------------------------------------------------------------------------------------------------------


def _run_now(call: Call) -> Json:
    job, token = _job(call), call.asked("idempotency_token")
    for run in call.store(RUNS).values():
        if token and run["~token"] == token:
            return {"run_id": run["run_id"], "number_in_job": run["number_in_job"]}
    wanted = AskedRun(
        only=frozenset(call.fields.get("only", ())), parameters=call.fields.get("job_parameters", {}), token=token,
        by=call.caller.principal,
    )  # fmt: skip
    run = new_run(call.world, call.place, job, wanted)
    return {"run_id": run["run_id"], "number_in_job": run["number_in_job"]}


@dataclass(frozen=True, kw_only=True)
class AskedRun:
    """What a run is asked for: tasks, none for all; parameters; the token that makes the request once; who asks."""

    only: frozenset[str] = frozenset()
    parameters: Mapping[str, str] = field(default_factory=dict)
    token: str = ""
    by: str = ""


def new_run(world: World, place: str, job: Json, wanted: AskedRun) -> Json:
    """Keep a new run of a job, with the tasks that it is to do, and let it begin where there is compute.

    Raises
    ------
    CloudRefusalError
        If the job has not one of the parameters.
    """
    number = next(world.numbers)
    only, given = wanted.only, wanted.parameters
    tasks = [task for task in job["settings"].get("tasks", ()) if not only or task["task_key"] in only]
    parameters = [
        {"name": one["name"], "default": one["default"], "value": given.get(one["name"], one["default"])}
        for one in job["settings"].get("parameters", ())
    ]  # fmt: skip
    unknown = set(given) - {one["name"] for one in parameters}
    if unknown:
        raise invalid(f"Job parameter {', '.join(sorted(unknown))} is not defined for job {job['job_id']}.")
    state = {"life_cycle_state": "PENDING", "state_message": ""}
    run = {
        "run_id": number, "number_in_job": number, "job_id": job["job_id"], "run_name": job["settings"].get("name", ""),
        "run_type": "JOB_RUN", "start_time": world.now(), "creator_user_name": wanted.by,
        "run_page_url": f"https://{host_of(place)}/jobs/{job['job_id']}/runs/{number}", "job_parameters": parameters,
        "state": dict(state), "status": {"state": "PENDING"}, "~token": wanted.token,
        "tasks": [{**copy.deepcopy(task), "run_id": next(world.numbers), "attempt_number": 0, "state": dict(state),
                   "status": {"state": "BLOCKED"}} for task in tasks],
    }  # fmt: skip
    world.store(f"workspace {place}", RUNS)[str(number)] = run
    if world.compute is not None:
        world.compute.start(place, run)
    return run


def _run(call: Call) -> Json:
    asked = call.asked("run_id")
    for run in call.store(RUNS).values():
        if asked in (str(run["run_id"]), *(str(task["run_id"]) for task in run["tasks"])):
            return run
    raise not_found(f"Run {asked}")


def _shown_run(run: Json) -> Json:
    shown = {name: copy.deepcopy(value) for name, value in run.items() if not name.startswith("~")}
    shown["tasks"] = [
        {name: value for name, value in task.items() if not name.startswith("~")} for task in shown["tasks"]
    ]
    return shown


def _get_run(call: Call) -> Json:
    return _shown_run(_run(call))


def _list_runs(call: Call) -> Json:
    found = [_shown_run(run) for run in reversed(list(call.store(RUNS).values()))
             if call.asked("job_id") in ("", str(run["job_id"]))
             and (call.query.get("active_only") != "true" or run["state"]["life_cycle_state"] not in DONE)
             and (call.query.get("completed_only") != "true" or run["state"]["life_cycle_state"] in DONE)]  # fmt: skip
    limit = int(call.query.get("limit", 20))
    return {"runs": found[:limit], "has_more": len(found) > limit}


def _cancel(call: Call) -> Json:
    run = _run(call)
    if run["state"]["life_cycle_state"] not in DONE:
        run["~cancelled"] = True
        if call.world.compute is None:
            finish(run, "CANCELED", "Run cancelled.", call.world.now())
    return {}


def finish(document: Json, result: str, message: str, now: int) -> None:
    """Give a run or a task its end."""
    document["state"] = {"life_cycle_state": "TERMINATED", "result_state": result, "state_message": message}
    code = CODES.get(result, "RUN_EXECUTION_ERROR")
    document["status"] = {
        "state": "TERMINATED",
        "termination_details": {
            "code": code,
            "type": "SUCCESS" if code.startswith("SUCCESS") else "CLIENT_ERROR",
            "message": message,
        },
    }
    document["end_time"] = now


def _repair(call: Call) -> Json:
    run = _run(call)
    if run["state"]["life_cycle_state"] not in DONE:
        raise CloudRefusalError(400, "INVALID_STATE", f"Run {run['run_id']} is active and cannot be repaired.")
    again = set(call.fields.get("rerun_tasks", ()))
    if call.fields.get("rerun_all_failed_tasks"):
        again |= {task["task_key"] for task in run["tasks"] if task["state"].get("result_state") != "SUCCESS"}
    for task in run["tasks"]:
        if task["task_key"] in again:
            try_again(call.world, task)
    run["state"], run["status"] = {"life_cycle_state": "PENDING", "state_message": ""}, {"state": "PENDING"}
    run.pop("~cancelled", None)
    if call.world.compute is not None:
        call.world.compute.start(call.place, run)
    return {"repair_id": next(call.world.numbers)}


def try_again(world: World, task: Json) -> None:
    """Let a task wait for another attempt, which has an id of its own."""
    task["attempt_number"] += 1
    task["run_id"] = next(world.numbers)
    task["state"], task["status"] = {"life_cycle_state": "PENDING", "state_message": ""}, {"state": "BLOCKED"}


def _output(call: Call) -> Json:
    run = _run(call)
    for task in run["tasks"]:
        if call.asked("run_id") == str(task["run_id"]):
            shown = {name: copy.deepcopy(value) for name, value in task.items() if not name.startswith("~")}
            answer = {"metadata": shown, "logs": task.get("~logs", "")}
            if task["state"].get("result_state") in ("SUCCESS", "EXCLUDED"):
                return answer
            return {**answer, "error": task["state"]["state_message"], "error_trace": task.get("~logs", "")}
    raise invalid("Retrieving the output of runs with several tasks is not supported.")


# Rules ---------------------------------------------------------------------------------------------------------------


def _wanted_run_as(call: Call) -> str:
    settings = call.fields if call.path.endswith("/create") else call.fields.get("new_settings", {})
    return str((settings.get("run_as") or {}).get("service_principal_name", ""))


def _may_run_as(call: Call) -> bool:
    wanted = _wanted_run_as(call)
    kept = call.store(JOBS).get(call.asked("job_id"))
    unchanged = kept is not None and run_as(kept) == wanted
    return not wanted or unchanged or wanted == call.caller.principal or may_use(call, wanted)


def _may_run_as_user(call: Call) -> bool:
    settings = call.fields if call.path.endswith("/create") else call.fields.get("new_settings", {})
    user = str((settings.get("run_as") or {}).get("user_name", ""))
    if not user or user == call.caller.principal:
        return True
    restricted = call.store("setting").get("restrict_workspace_admins", {}).get("restrict_workspace_admins", {})
    return call.is_workspace_admin() and restricted.get("status") != "RESTRICT_TOKENS_AND_JOB_RUN_AS"


def _level(level: str) -> Any:
    def holds(call: Call) -> bool:
        job = call.asked("job_id")
        if not job:
            run = next((one for one in call.store(RUNS).values() if str(one["run_id"]) == call.asked("run_id")), None)
            job = str(run["job_id"]) if run else ""
        return job not in call.store(JOBS) or holds_level(call, "jobs", job, level)

    return holds


def _keys_are_known(call: Call) -> bool:
    settings = call.fields if call.path.endswith("/create") else call.fields.get("new_settings", {})
    keys = [task["task_key"] for task in settings.get("tasks", ())]
    needed = {one["task_key"] for task in settings.get("tasks", ()) for one in task.get("depends_on", ())}
    return len(keys) == len(set(keys)) and needed <= set(keys)


_WRITE = tuple(f"workspace POST /api/2.?/jobs/{verb}" for verb in ("create", "reset", "update"))
_JOB = Attempt(who="dev", request="POST dev/api/2.2/jobs/create", body={"name": "job", "tasks": []})
_DENIED = (403, "PERMISSION_DENIED")
_VERBS = {
    "POST {root}/create": _create, "GET {root}/get": _get, "GET {root}/list": _list, "POST {root}/reset": _reset,
    "POST {root}/update": _update, "POST {root}/delete": _delete, "POST {root}/run-now": _run_now,
    "GET {root}/runs/get": _get_run, "GET {root}/runs/list": _list_runs, "POST {root}/runs/cancel": _cancel,
    "POST {root}/runs/repair": _repair, "GET {root}/runs/get-output": _output,
}  # fmt: skip


def _task(key: str, *needs: str) -> Json:
    return {"task_key": key, "depends_on": [{"task_key": need} for need in needs]}


AREA = Area(
    name="jobs",
    endpoints=tuple(
        endpoint for version in ("2.1", "2.2")
        for endpoint in endpoints(WORKSPACE, {
            verb.format(root=f"/api/{version}/jobs"): action for verb, action in _VERBS.items()
        })
    ),
    shared=STARTS,
    rules=(
        ServiceRule(
            rule="run-as-needs-service-principal-user",
            says="A job runs as a service principal only if who sets it is that principal or has Service Principal User on it.",
            page=ROLE_PAGE, on=_WRITE, holds=_may_run_as,
            refusal=(*_DENIED, "{caller} does not have permission to use the service principal of run_as."),
            given=(Attempt(
                who="person",
                request="PUT account/api/2.0/preview/accounts/7c1f2a54-3f0e-4a6b-9d57-2f8f4f0b6a11/access-control/rule-sets",
                body={"name": "accounts/7c1f2a54-3f0e-4a6b-9d57-2f8f4f0b6a11/servicePrincipals/"
                              "aaaaaaaa-0000-4000-8000-000000000002/ruleSets/default",
                      "rule_set": {"grant_rules": [{"principals": ["servicePrincipals/aaaaaaaa-0000-4000-8000-000000000001"],
                                                    "role": "roles/servicePrincipal.user"}]}},
            ),),
            accepted=Attempt(who="dev", request="POST dev/api/2.2/jobs/create", body={"name": "job", "run_as": {
                "service_principal_name": "aaaaaaaa-0000-4000-8000-000000000002"}}),
            refused=Attempt(who="person", request="POST dev/api/2.2/jobs/create", body={"name": "job", "run_as": {
                "service_principal_name": "aaaaaaaa-0000-4000-8000-000000000001"}}),
        ),
        ServiceRule(
            rule="run-as-a-person-needs-admin",
            says="A workspace admin lets a job run as another person unless workspace admins are restricted.",
            page=RESTRICT_PAGE, on=_WRITE, holds=_may_run_as_user,
            refusal=(*_DENIED, "{caller} cannot set run_as to another user."),
            accepted=Attempt(who="dev", request="POST dev/api/2.2/jobs/create", body={"name": "job", "run_as": {
                "user_name": ANALYST}}),
            refused=Attempt(who="analyst", request="POST dev/api/2.2/jobs/create", body={"name": "job", "run_as": {
                "user_name": "person@meridian-air.example"}}),
        ),
        ServiceRule(
            rule="job-run-needs-manage-run", says="A job is started, cancelled and repaired with CAN_MANAGE_RUN.",
            page=PAGE, on=("workspace POST /api/2.?/jobs/run-now", "workspace POST /api/2.?/jobs/runs/*"),
            holds=_level("CAN_MANAGE_RUN"), refusal=(*_DENIED, "{caller} does not have Manage Run permissions on the job."),
            given=(_JOB,),
            accepted=Attempt(who="dev", request="POST dev/api/2.2/jobs/run-now", body={"job_id": "<jobs>"}),
            refused=Attempt(who="analyst", request="POST dev/api/2.2/jobs/run-now", body={"job_id": "<jobs>"}),
        ),
        ServiceRule(
            rule="job-change-needs-manage", says="A job is changed and deleted with CAN_MANAGE.",
            page=PAGE, on=tuple(f"workspace POST /api/2.?/jobs/{verb}" for verb in ("reset", "update", "delete")),
            holds=_level("CAN_MANAGE"), refusal=(*_DENIED, "{caller} does not have Manage permissions on the job."),
            given=(_JOB,),
            accepted=Attempt(who="dev", request="POST dev/api/2.2/jobs/delete", body={"job_id": "<jobs>"}),
            refused=Attempt(who="analyst", request="POST dev/api/2.2/jobs/delete", body={"job_id": "<jobs>"}),
        ),
        ServiceRule(
            rule="job-read-needs-view", says="A job and its runs are shown with CAN_VIEW.",
            page=PAGE, on=("workspace GET /api/2.?/jobs/get", "workspace GET /api/2.?/jobs/runs/*"),
            holds=_level("CAN_VIEW"), refusal=(*_DENIED, "{caller} does not have View permissions on the job."),
            given=(_JOB,),
            accepted=Attempt(who="dev", request="GET dev/api/2.2/jobs/get?job_id=<jobs>"),
            refused=Attempt(who="analyst", request="GET dev/api/2.2/jobs/get?job_id=<jobs>"),
        ),
        ServiceRule(
            rule="task-keys-are-known", says="Each task of a job has a key of its own, and depends on tasks of the same job.",
            page="https://docs.databricks.com/api/workspace/jobs/create", on=_WRITE, holds=_keys_are_known,
            refusal=(400, "INVALID_PARAMETER_VALUE", "A task key is used twice, or a task depends on one that is not there."),
            accepted=Attempt(who="dev", request="POST dev/api/2.2/jobs/create",
                             body={"name": "job", "tasks": [_task("a"), _task("b", "a")]}),
            refused=Attempt(who="dev", request="POST dev/api/2.2/jobs/create",
                            body={"name": "job", "tasks": [_task("a"), _task("b", "c")]}),
        ),
    ),
)  # fmt: skip
