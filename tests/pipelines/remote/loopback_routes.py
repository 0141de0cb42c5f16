"""What the workspace on loopback answers, request by request: the part of the API that our commands and tasks use."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from databricks.sdk.service import catalog, iam, jobs, serving, sql

if TYPE_CHECKING:
    from tests.pipelines.remote.loopback_workspace import LoopbackWorkspace


class RefusalError(Exception):
    """The workspace refuses a request: a status and an error code of the API."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.headers = status, code, dict(headers or {})


def _me(_server: "LoopbackWorkspace", _query: Any, _body: Any) -> dict[str, Any]:
    return iam.User(user_name="releases@meridian-air.example").as_dict()


def _list_jobs(server: "LoopbackWorkspace", query: dict[str, str], _body: Any) -> dict[str, Any]:
    wanted = query.get("name", "").lower()
    found = [job for job in server.held.jobs if not wanted or job.settings.name.lower() == wanted]
    brief = [jobs.BaseJob(job_id=job.job_id, settings=_without_tasks(job.settings)) for job in found]
    return server.paged(brief, query, "jobs")


def _without_tasks(settings: jobs.JobSettings) -> jobs.JobSettings:
    return jobs.JobSettings.from_dict({name: value for name, value in settings.as_dict().items() if name != "tasks"})


def _get_job(server: "LoopbackWorkspace", query: dict[str, str], _body: Any) -> dict[str, Any]:
    for job in server.held.jobs:
        if str(job.job_id) == query["job_id"]:
            start = int(query.get("page_token") or 0)
            shown = job.as_dict()
            tasks = shown["settings"].get("tasks", [])
            shown["settings"]["tasks"] = tasks[start : start + server.page]
            return shown | ({"next_page_token": str(start + server.page)} if start + server.page < len(tasks) else {})
    raise RefusalError(400, "INVALID_PARAMETER_VALUE", f"Job {query['job_id']} does not exist.")


def _run_now(server: "LoopbackWorkspace", _query: Any, body: dict[str, Any]) -> dict[str, Any]:
    token = body["idempotency_token"]
    if token not in server.tokens:
        server.tokens[token] = server.start_job(body["job_id"], body)
    return jobs.RunNowResponse(run_id=server.tokens[token]).as_dict()


def _get_run(server: "LoopbackWorkspace", query: dict[str, str], _body: Any) -> dict[str, Any]:
    snapshots = server.held.runs.get(int(query["run_id"]))
    if not snapshots:
        raise RefusalError(404, "RESOURCE_DOES_NOT_EXIST", f"Run {query['run_id']} does not exist.")
    start = int(query.get("page_token") or 0)
    shown = snapshots[0].as_dict()
    tasks = shown.get("tasks", [])
    more = start + server.page < len(tasks)
    shown["tasks"] = tasks[start : start + server.page]
    if not more and len(snapshots) > 1:
        snapshots.pop(0)
    return shown | ({"next_page_token": str(start + server.page)} if more else {})


def _list_runs(server: "LoopbackWorkspace", query: dict[str, str], _body: Any) -> dict[str, Any]:
    found = [snapshots[0] for _, snapshots in sorted(server.held.runs.items(), reverse=True)]
    found = [run for run in found if "job_id" not in query or str(run.job_id) == query["job_id"]]
    if query.get("active_only") == "true":
        found = [run for run in found if run.status.state is not jobs.RunLifecycleStateV2State.TERMINATED]
    brief = [jobs.BaseRun.from_dict({k: v for k, v in run.as_dict().items() if k != "tasks"}) for run in found]
    return server.paged(brief, query, "runs")


def _get_output(server: "LoopbackWorkspace", query: dict[str, str], _body: Any) -> dict[str, Any]:
    output = server.held.outputs.get(int(query["run_id"]))
    if output is None:
        raise RefusalError(400, "INVALID_PARAMETER_VALUE", f"Run {query['run_id']} has no output yet.")
    return output.as_dict()


def _cancel(server: "LoopbackWorkspace", _query: Any, body: dict[str, Any]) -> dict[str, Any]:
    last = server.held.runs[body["run_id"]][0]
    details = jobs.TerminationDetails(
        code=jobs.TerminationCodeCode.USER_CANCELED, type=jobs.TerminationTypeType.SUCCESS, message="Run cancelled."
    )
    status = jobs.RunStatus(state=jobs.RunLifecycleStateV2State.TERMINATED, termination_details=details)
    stopping = jobs.RunStatus(state=jobs.RunLifecycleStateV2State.TERMINATING, termination_details=details)
    server.held.runs[body["run_id"]] = [
        jobs.Run.from_dict(last.as_dict() | {"status": now.as_dict()}) for now in (stopping, status)
    ]
    return {}


def _repair(_server: "LoopbackWorkspace", _query: Any, _body: dict[str, Any]) -> dict[str, Any]:
    return jobs.RepairRunResponse(repair_id=77).as_dict()


def _get_catalog(server: "LoopbackWorkspace", _query: Any, _body: Any, name: str) -> dict[str, Any]:
    if name not in server.held.catalogs:
        raise RefusalError(404, "CATALOG_DOES_NOT_EXIST", f"Catalog '{name}' does not exist.")
    return catalog.CatalogInfo(name=name).as_dict()


def _get_model(server: "LoopbackWorkspace", _query: Any, _body: Any, name: str) -> dict[str, Any]:
    if name not in server.held.models:
        raise RefusalError(404, "RESOURCE_DOES_NOT_EXIST", f"Model {name} does not exist.")
    return server.held.models[name].as_dict()


def _get_version(server: "LoopbackWorkspace", _query: Any, _body: Any, name: str, number: str) -> dict[str, Any]:
    found = server.held.versions.get((name, int(number)))
    if found is None:
        raise RefusalError(404, "RESOURCE_DOES_NOT_EXIST", f"Version {number} of {name} does not exist.")
    return found.as_dict()


def _list_versions(server: "LoopbackWorkspace", query: dict[str, str], _body: Any, name: str) -> dict[str, Any]:
    if name not in server.held.models:
        raise RefusalError(404, "RESOURCE_DOES_NOT_EXIST", f"Model {name} does not exist.")
    found = [version for (model, _), version in sorted(server.held.versions.items()) if model == name]
    return server.paged(found, query, "model_versions")


def _delete_version(server: "LoopbackWorkspace", _query: Any, _body: Any, name: str, number: str) -> dict[str, Any]:
    _get_version(server, {}, {}, name, number)
    del server.held.versions[(name, int(number))]
    return {}


def _set_alias(server: "LoopbackWorkspace", _query: Any, body: Any, name: str, alias: str) -> dict[str, Any]:
    _delete_alias(server, {}, {}, name, alias)
    given = catalog.RegisteredModelAlias(alias_name=alias, version_num=body["version_num"])
    server.held.models[name].aliases = [*(server.held.models[name].aliases or []), given]
    return given.as_dict()


def _delete_alias(server: "LoopbackWorkspace", _query: Any, _body: Any, name: str, alias: str) -> dict[str, Any]:
    model = server.held.models[name]
    model.aliases = [one for one in model.aliases or [] if one.alias_name != alias]
    return {}


def _list_warehouses(server: "LoopbackWorkspace", query: dict[str, str], _body: Any) -> dict[str, Any]:
    return server.paged(server.held.warehouses, query, "warehouses")


def _execute(server: "LoopbackWorkspace", _query: Any, body: dict[str, Any]) -> dict[str, Any]:
    """Run a statement; after `polls` requests for its state its rows come in chunks of one page."""
    name = f"statement-{len(server.results)}"
    try:
        server.results[name] = server.statement(body["statement"], body["catalog"])
    except RefusalError as refusal:
        error = sql.ServiceError(error_code=sql.ServiceErrorCode(refusal.code), message=str(refusal))
        status = sql.StatementStatus(state=sql.StatementState.FAILED, error=error)
        return sql.StatementResponse(statement_id=name, status=status).as_dict()
    return _response(server, name)


def _response(server: "LoopbackWorkspace", name: str) -> dict[str, Any]:
    if server.polls:
        server.polls -= 1
        status = sql.StatementStatus(state=sql.StatementState.PENDING)
        return sql.StatementResponse(statement_id=name, status=status).as_dict()
    columns, _ = server.results[name]
    described = [sql.ColumnInfo(name=one, type_name=sql.ColumnInfoTypeName(kind)) for one, kind in columns]
    manifest = sql.ResultManifest(schema=sql.ResultSchema(columns=described, column_count=len(columns)))
    status = sql.StatementStatus(state=sql.StatementState.SUCCEEDED)
    shown = sql.StatementResponse(statement_id=name, status=status, manifest=manifest)
    return shown.as_dict() | {"result": _chunk(server, {}, {}, name, "0")}


def _chunk(server: "LoopbackWorkspace", _query: Any, _body: Any, name: str, index: str) -> dict[str, Any]:
    _, rows = server.results[name]
    start = int(index) * server.page
    following = int(index) + 1 if start + server.page < len(rows) else None
    shown = sql.ResultData(
        chunk_index=int(index), data_array=rows[start : start + server.page], next_chunk_index=following
    )
    return shown.as_dict()


def _get_statement(server: "LoopbackWorkspace", _query: Any, _body: Any, name: str) -> dict[str, Any]:
    return _response(server, name)


def _cancel_statement(_server: "LoopbackWorkspace", _query: Any, _body: Any, _name: str) -> dict[str, Any]:
    return {}


def _file(server: "LoopbackWorkspace", _query: Any, _body: Any, path: str) -> dict[str, Any]:
    if path not in server.held.files:
        raise RefusalError(404, "NOT_FOUND", f"The file {path} does not exist.")
    return {}


def _get_endpoint(server: "LoopbackWorkspace", _query: Any, _body: Any, name: str) -> dict[str, Any]:
    if server.held.endpoint is None or server.held.endpoint.name != name:
        raise RefusalError(404, "RESOURCE_DOES_NOT_EXIST", f"there is no such endpoint: {name}")
    return server.held.endpoint.as_dict()


def _configure_endpoint(server: "LoopbackWorkspace", _query: Any, body: dict[str, Any], name: str) -> dict[str, Any]:
    _get_endpoint(server, {}, {}, name)
    server.held.endpoint.config = serving.EndpointCoreConfigOutput.from_dict(body)
    return server.held.endpoint.as_dict()


def _set_gateway(server: "LoopbackWorkspace", _query: Any, body: dict[str, Any], name: str) -> dict[str, Any]:
    _get_endpoint(server, {}, {}, name)
    server.held.gateway = body
    return body


_MODELS = r"/api/2\.1/unity-catalog/models/([^/]+)"
_STATEMENTS = r"/api/2\.0/sql/statements"
_ENDPOINTS = r"/api/2\.0/serving-endpoints/([^/]+)"
ROUTES: tuple[tuple[str, str, Callable[..., dict[str, Any]]], ...] = (
    ("GET", r"/api/2\.0/preview/scim/v2/Me", _me),
    ("GET", r"/api/2\.2/jobs/list", _list_jobs),
    ("GET", r"/api/2\.2/jobs/get", _get_job),
    ("POST", r"/api/2\.2/jobs/run-now", _run_now),
    ("GET", r"/api/2\.2/jobs/runs/get", _get_run),
    ("GET", r"/api/2\.2/jobs/runs/list", _list_runs),
    ("GET", r"/api/2\.2/jobs/runs/get-output", _get_output),
    ("POST", r"/api/2\.2/jobs/runs/cancel", _cancel),
    ("POST", r"/api/2\.2/jobs/runs/repair", _repair),
    ("GET", r"/api/2\.1/unity-catalog/catalogs/([^/]+)", _get_catalog),
    ("GET", _MODELS, _get_model),
    ("GET", _MODELS + r"/versions", _list_versions),
    ("GET", _MODELS + r"/versions/(\d+)", _get_version),
    ("DELETE", _MODELS + r"/versions/(\d+)", _delete_version),
    ("PUT", _MODELS + r"/aliases/([^/]+)", _set_alias),
    ("DELETE", _MODELS + r"/aliases/([^/]+)", _delete_alias),
    ("GET", r"/api/2\.0/sql/warehouses", _list_warehouses),
    ("POST", _STATEMENTS, _execute),
    ("GET", _STATEMENTS + r"/([^/]+)", _get_statement),
    ("POST", _STATEMENTS + r"/([^/]+)/cancel", _cancel_statement),
    ("GET", _STATEMENTS + r"/([^/]+)/result/chunks/(\d+)", _chunk),
    ("HEAD", r"/api/2\.0/fs/files(/.+)", _file),
    ("GET", _ENDPOINTS, _get_endpoint),
    ("PUT", _ENDPOINTS + r"/config", _configure_endpoint),
    ("PUT", _ENDPOINTS + r"/ai-gateway", _set_gateway),
)
"""Method, path, and the function that answers: it takes the server, the query, the body and what the path names."""
