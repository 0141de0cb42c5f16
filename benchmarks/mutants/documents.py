"""Mutants of what stacks carry as documents, of what jobs decide, and of Terraform itself, thought of as an attacker would.

Rules: learn.microsoft.com/azure/databricks/sql/language-manual/sql-ref-functions-builtin,
learn.microsoft.com/azure/azure-resource-manager/templates/syntax, developer.hashicorp.com/terraform/language/syntax/json.
"""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.mutants.operators import ANY, STRICT, Operator, custom, dropping, names, setting
from benchmarks.mutants.world import Content, NotApplicableError, World, filled

Edit = Callable[[Any], object]


def _in_base64(name: str, kind: str, *, harmful: bool = True, **edits: Edit) -> list[Operator]:
    """Change a JSON document that a resource keeps in base64."""

    def one(edit: Edit) -> Callable[[World], None]:
        def change(world: World) -> None:
            arguments = world.pick(kind, STRICT, lambda a: "content_base64" in a).arguments
            document = json.loads(base64.b64decode(arguments["content_base64"]))
            edit(document)
            arguments["content_base64"] = base64.b64encode(json.dumps(document).encode()).decode()

        return change

    return [custom(f"{name}: {what.replace('_', ' ')}", one(edit), harmful=harmful) for what, edit in edits.items()]


def _in_text(name: str, kind: str, argument: str, where: tuple[str, ...] = STRICT, **edits: Edit) -> list[Operator]:
    """Change a JSON document that an argument holds."""

    def one(edit: Edit) -> Callable[[World], None]:
        def change(world: World) -> None:
            arguments = world.pick(kind, where).arguments
            document = json.loads(arguments[argument])
            edit(document)
            arguments[argument] = json.dumps(document)

        return change

    return [custom(f"{name}: {what.replace('_', ' ')}", one(edit)) for what, edit in edits.items()]


def _line(line: str, *, harmful: bool = True) -> Operator:
    """Add a cell to a notebook."""

    def change(world: World) -> None:
        arguments = world.pick("databricks_notebook", STRICT).arguments
        text = base64.b64decode(arguments["content_base64"]).decode() + f"\n# COMMAND ----------\n\n{line}\n"
        arguments["content_base64"] = base64.b64encode(text.encode()).decode()

    return custom(f"notebook: {line}", change, harmful=harmful)


def _query(query: str, *, harmful: bool = True) -> Operator:
    """Let an alert run a query."""

    def change(world: World) -> None:
        target = world.pick("databricks_alert_v2", STRICT)
        target.arguments["query_text"] = filled(query, names(world, target.stack))

    return custom(f"alert: {query}", change, harmful=harmful)


NOTEBOOKS = [
    _line("x = 1; import os; os.popen('id')"),
    _line("__import__('os').popen('id')"),
    _line("spark.sql('GRANT ALL PRIVILEGES ON CATALOG prod TO `account users`')"),
    _line("spark.table('prod.air_time_bronze.flights').write.saveAsTable('dev.x.y')"),
    _line("kept = dbutils; kept.secrets.get('scope', 'key')"),
    _line("open('/Volumes/prod/deployment/releases/x.whl', 'wb').write(b'')"),
    _line("!cat /proc/self/environ"),
    _line("getattr(dbutils, 'sec' + 'rets').get('scope', 'key')"),
    _line("from pipelines.execution import os"),
    _line("main.__globals__['os'].system('id')"),
    _line("read = spark.read; read.parquet('abfss' + '://catalog@x.dfs.core.windows.net/')"),
    _line("dbutils.fs .cp('a', 'b')"),
    _line("stage('air_time.features', 'ingest', 'since')", harmful=False),
    _line("# MAGIC %md a sentence for people", harmful=False),
]
QUERIES = [
    _query("SELECT count(*) AS n FROM `dev`.`air_time_bronze`.`flights`"),
    _query("SELECT count(*) AS n FROM <env>.a.b, dev.a.b"),
    _query("SELECT count(*) AS n FROM <env>.a.b AS x, dev.a.b AS y"),
    _query("SELECT count(*) AS n FROM read_files('abfss://x@y.dfs.core.windows.net/')"),
    _query("SELECT secret('scope', 'key') AS n FROM <env>.a.b"),
    _query("SELECT ai_query('endpoint', 'text') AS n FROM <env>.a.b"),
    _query("SELECT http_request(conn => 'x', method => 'POST', path => '/') AS n FROM <env>.a.b"),
    _query("SELECT count(*) AS n FROM IDENTIFIER('dev' || '.a.b')"),
    _query("SELECT count(*) AS n FROM <env>.a.b; SELECT 1"),
    _query("SELECT 0 AS n"),
    _query("WITH x AS (SELECT * FROM `dev`.a.b) SELECT count(*) AS n FROM x"),
    _query("SELECT count(*) AS n FROM <env>.a.b /* ' */ JOIN dev.a.b /* ' */"),
    _query("SELECT count(*) AS n FROM system.access.audit"),
    _query(
        "WITH x AS (SELECT * FROM <env>.air_time_monitoring.findings_history) SELECT count(*) AS n FROM x",
        harmful=False,
    ),
    _query("SELECT coalesce(sum(predictions), 0) AS n FROM <env>.air_time_monitoring.estimates", harmful=False),
    setting(
        "databricks_alert_v2", "schedule.quartz_cron_schedule", "0 45 7 1 1 ?", "0 0 7 ? * MON", "0 0 7 29 2 ? 2028"
    ),
]
SERVING = _in_base64(
    "serving", "databricks_file",
    external_model=lambda d: d["served_entity"].update(external_model={"provider": "openai", "name": "x"}),
    requests_recorded_elsewhere=lambda d: d["ai_gateway"]["inference_table_config"].update(schema_name="deployment"),
    the_endpoint_of_another=lambda d: d.update(endpoint="serve-mrd-prod-another"),
    an_instance_profile=lambda d: d["served_entity"].update(instance_profile_arn="x"),
    a_huge_machine=lambda d: d["served_entity"].update(workload_size="Large", workload_type="GPU_LARGE"),
    a_million_calls=lambda d: d["ai_gateway"]["rate_limits"][0].update(calls=10**9),
    no_record_of_use=lambda d: d["ai_gateway"]["usage_tracking_config"].update(enabled=False),
)  # fmt: skip
TEMPLATE = _in_text(
    "template", "azurerm_resource_group_template_deployment", "template_content",
    gives_out_keys=lambda d: d["outputs"].update(k={"type": "string", "value": "[listKeys('x', '2023-01-01').keys[0].value]"}),
    makes_it_never=lambda d: d["resources"][0].update(condition=False),
    makes_more_inside=lambda d: d["resources"][0].update(resources=[{"type": "providers/roleAssignments"}]),
    a_key_of_another_vault=lambda d: d["resources"][0].update(name="kv-mrd-dev/cmk-mrd-dev"),
    another_scope=lambda d: d["resources"][0].update(scope="/subscriptions/x"),
    takes_parameters=lambda d: d.update(parameters={"x": {"type": "string"}}),
    makes_nothing=lambda d: d.update(resources=[]),
)  # fmt: skip
DASHBOARDS = _in_text(
    "dashboard", "databricks_dashboard", "serialized_dashboard",
    reads_quoted_names=lambda d: d["datasets"][0].update(queryLines=["SELECT * FROM `dev`.x.y"]),
    asks_an_address=lambda d: d["datasets"][0].update(queryLines=["SELECT http_request(conn => 'x') AS n FROM prod.a.b"]),
    shows_a_password=lambda d: d["pages"][0].update(displayName="password=Tr0ub4dor-3xyzzy9"),
)  # fmt: skip


def _tasks(
    name: str, kind: str, edit: Callable[[Content, Mapping[str, Any]], bool], *, harmful: bool = True
) -> Operator:
    """Change the tasks of a job that an edit is about."""

    def change(world: World) -> None:
        target = world.pick("databricks_job", ANY, lambda a: any(edit(_copy(one), {}) for one in a["task"]))
        for one in target.arguments["task"]:
            edit(one, target.arguments)

    return custom(f"{kind}: {name}", change, harmful=harmful)


def _copy(task: Content) -> Content:
    return dict(json.loads(json.dumps(task)))


def _turned(task: Content, _: Any) -> bool:
    those = [one for one in task.get("depends_on") or () if one.get("outcome")]
    for one in those:
        one["outcome"] = "false" if one["outcome"] == "true" else "true"
    return bool(those)


def _unordered(task: Content, _: Any) -> bool:
    return task["task_key"] == "promote" and task.pop("depends_on", None) is not None


def _anyway(task: Content, _: Any) -> bool:
    if task["task_key"] != "promote":
        return False
    task["run_if"] = "ALL_DONE"
    return True


def _condition(side: str, value: str) -> Callable[[Content, Any], bool]:
    def edit(task: Content, _: Any) -> bool:
        if "condition_task" not in task:
            return False
        task["condition_task"][side] = value
        return True

    return edit


def _starts(task: Content, _: Any) -> bool:
    if "run_job_task" not in task:
        return False
    task["run_job_task"]["job_id"] = "${databricks_job.flight_delay_rollback.id}"
    return True


def _default(name: str, value: str) -> Operator:
    def change(world: World) -> None:
        target = world.pick(
            "databricks_job", ANY, lambda a: any(one["name"] == name for one in a.get("parameter") or ())
        )
        next(one for one in target.arguments["parameter"] if one["name"] == name)["default"] = value

    return custom(f"job: {name} is {value} where no run states it", change)


DECISIONS = [
    _tasks("the gate's outcome is turned", "job", _turned),
    _tasks("promotes without its evaluation", "job", _unordered),
    _tasks("promotes whatever failed", "job", _anyway),
    _tasks("compares otherwise", "job", _condition("op", "NOT_EQUAL")),
    _tasks("compares with itself", "job", _condition("right", "{{tasks.x.values.y}}")),
    _tasks("starts a rollback", "job", _starts),
    _default("location", "abfss://x@elsewhere.dfs.core.windows.net/"),
    _default("evaluation_days", "0"),
    dropping("databricks_data_quality_monitor", where=ANY),
]


def _stack(name: str, part: str, edit: Callable[[Content], object], *, harmful: bool = True) -> Operator:
    def change(world: World) -> None:
        edit(world.content(part if part == "account" else f"{world.random.choice(STRICT)}-{part}"))

    return custom(f"terraform: {name}", change, harmful=harmful)


def _first(content: Content, kind: str) -> Content:
    those = content["resource"].get(kind)
    if not those:
        raise NotApplicableError(kind)
    found: Content = next(iter(those.values()))
    return found


TERRAFORM = [
    _stack("imports dev's catalog", "workspace", lambda c: c.update({"import": [{"to": "databricks_catalog.catalog", "id": "dev"}]})),
    _stack("checks by a program", "workspace", lambda c: c.update(check={"x": {"data": {"external": {"y": {"program": ["sh"]}}}}})),
    _stack("an ephemeral secret", "platform", lambda c: c.update(ephemeral={"azurerm_key_vault_secret": {"x": {"name": "a"}}})),
    _stack("a range of versions", "platform", lambda c: c["terraform"]["required_providers"]["azurerm"].update(version=">= 4.0.0")),
    _stack("another version than the rest", "platform", lambda c: c["terraform"]["required_providers"]["azurerm"].update(version="2.0.0")),
    _stack("more aliases", "platform", lambda c: c["terraform"]["required_providers"]["azurerm"].update(configuration_aliases=["azurerm.x"])),
    _stack("a state elsewhere", "platform", lambda c: c["terraform"].update(backend={"local": {"path": "/mnt/terraform.prod-platform.tfstate"}})),
    _stack("states in a folder", "platform", lambda c: next(iter(c["terraform"]["backend"].values())).update(workspace_dir="/mnt")),
    _stack("grants by a dynamic block", "workspace", lambda c: _first(c, "databricks_grants").update(
        dynamic={"grant": {"for_each": ["account users"], "content": {"principal": "${grant.value}", "privileges": ["SELECT"]}}})),
    _stack("a file of the agent in a comment", "workspace", lambda c: _first(c, "databricks_schema").update(
        comment="${file(\"/home/agent/.azure/msal_token_cache.json\")}")),
    _stack("a principal by the clock", "workspace", lambda c: _first(c, "databricks_grants")["grant"][0].update(
        principal="${timestamp() > \"2027\" ? \"account users\" : data.terraform_remote_state.account.outputs.runner_prod}")),
    _stack("grants whose changes are ignored", "workspace", lambda c: _first(c, "databricks_grants").update(lifecycle={"ignore_changes": ["grant"]})),
    _stack("forgets what it declares", "workspace", lambda c: c.update(removed=[
        {"from": f"databricks_schema.{next(iter(c['resource']['databricks_schema']))}", "lifecycle": {"destroy": False}}])),
    _stack("the deployer is Databricks' own application", "account", lambda c: c["data"]["azuread_service_principal"].update(
        deployer={"client_id": "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d", "provider": "azuread.entra"})),
    setting("databricks_file", "source", "/opt/evil-requirements/job.txt", "/opt/requirements/job.txt",
            fits=lambda a: str(a.get("source", "")).endswith("job.txt")),
    setting("databricks_file", "path", "${databricks_volume.releases.volume_path}/../../landing/x.whl",
            fits=lambda a: str(a.get("source", "")).endswith(".whl")),
    setting("azurerm_monitor_diagnostic_setting", "target_resource_id", "${azurerm_key_vault.vault.id}",
            fits=lambda a: "blobServices" in a["target_resource_id"]),
]  # fmt: skip

DOCUMENTS = [*NOTEBOOKS, *QUERIES, *SERVING, *TEMPLATE, *DASHBOARDS]
