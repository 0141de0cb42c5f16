"""What is inside documents that stacks carry: policies, templates, notebooks, queries, serving declarations, command lines."""

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from infra.config.stack_names import is_branch
from infra.graph.estate import Estate, GraphResource, flat
from infra.graph.meanings import RuleContext, compared, meanings
from infra.graph.telemetry_contents import telemetry_findings
from pipelines.declarations.use_case import UseCase

Found = Iterator[tuple[str, str]]
POLICY = "databricks_cluster_policy"
ALERT_HOURLY = re.compile(r"^\S+ [\d,]+ [\d*,/-]+ ")
"""A Quartz expression that starts at stated seconds and minutes: at most some runs an hour."""


def content_findings(estate: Estate, contexts: Mapping[str, RuleContext], use_cases: Sequence[UseCase]) -> Found:
    """Yield resource and message of everything that a document contains and must not."""
    for policy in estate.of(POLICY):
        yield from ((policy.where, message) for message in _policy(estate, policy, contexts[policy.environment]))
    for template in estate.of("azurerm_resource_group_template_deployment"):
        yield from ((template.where, message) for message in _template(template))
    for notebook in estate.of("databricks_notebook"):
        yield from ((notebook.where, message) for message in _notebook(notebook))
    for file in estate.of("databricks_file"):
        if file.get("content_base64") is not None:
            yield from ((file.where, message) for message in _serving(file))
        elif file.get("source") is None:
            yield file.where, "has neither a source nor a content."
    yield from _queries(estate)
    yield from _jobs(estate, use_cases)
    yield from telemetry_findings(estate)
    for setting in estate.of("azurerm_monitor_diagnostic_setting"):
        target = estate.resolved(setting.stack, setting.get("target_resource_id"))
        if setting.get("enabled_log.category_group") is None and not target.endswith(
            "/azurerm_storage_account.lake.id}"
        ):
            yield setting.where, "sends no log; state enabled_log with category_group allLogs."
        if not target.startswith(f"@{{{setting.stack}/"):
            yield setting.where, f"is about {target}, which is nothing of its stack."


def _policy(estate: Estate, policy: GraphResource, context: RuleContext) -> Iterator[str]:
    try:
        rules = json.loads(str(policy.get("definition")))
    except ValueError:
        yield "its definition is not a JSON document that a check can read."
        return
    inner = replace(policy, type=f"{POLICY}:definition")
    yield from compared(estate, inner, meanings()[inner.type], tuple(flat(rules)), context)


_KEY = {
    "keyOps": ["wrapKey", "unwrapKey"],
    "keySize": 3072,
    "kty": "RSA-HSM",
    "rotationPolicy": {"lifetimeActions": [{"action": {"type": "rotate"}, "trigger": {"timeAfterCreate": "P22M"}}]},
}


def _template(template: GraphResource) -> Iterator[str]:
    try:
        document = json.loads(str(template.get("template_content")))
        made = document["resources"]
    except (ValueError, KeyError, TypeError):
        yield "its template_content is not a template that a check can read."
        return
    for resource in made:
        if resource.get("type") != "Microsoft.KeyVault/vaults/keys" or resource.get("properties") != _KEY:
            yield f"makes {resource.get('type')} {resource.get('properties')}, allowed is a key with {_KEY}."


def decoded(value: Any) -> str | None:
    """Return a text that is kept in base64; None if it is none."""
    try:
        return base64.b64decode(str(value), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None


_FOREIGN = re.compile(
    r"\bexec\(|\beval\(|\burllib\b|\brequests\b|\bsubprocess\b|\bos\.system\b|\bsocket\b|dbutils\.fs\b|"
    r"dbutils\.secrets\b|dbutils\.notebook\.run|https?://"
)
_INSTALLED = re.compile(r"%pip install --quiet (?:-r )?/Volumes/(\w+)/deployment/releases/[\w.+-]+$")
_IMPORTED = re.compile(r"^\s*(import|from)\s+(?!pipelines\b)")


def _notebook(notebook: GraphResource) -> Iterator[str]:
    text = decoded(notebook.get("content_base64"))
    if text is None:
        yield "its content is not text in base64 that a check can read."
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if _is_foreign(line, notebook.environment):
            yield f"line {number} is {line.strip()[:80]!r}; a notebook installs this environment's release and calls it."


def _is_foreign(line: str, environment: str) -> bool:
    """Return whether a line runs something other than the environment's release."""
    if line.startswith("# MAGIC %md"):
        return False
    if line.startswith("# MAGIC %"):
        installed = _INSTALLED.search(line)
        return installed is None or installed[1] != environment
    return not line.startswith("#") and (_FOREIGN.search(line) is not None or _IMPORTED.match(line) is not None)


def _serving(file: GraphResource) -> Iterator[str]:
    text = decoded(file.get("content_base64"))
    try:
        document = json.loads(text or "")
        model, entity, table = (
            document["model"],
            document["served_entity"],
            document["ai_gateway"]["inference_table_config"],
        )
    except (ValueError, KeyError, TypeError):
        yield "its content is not a serving declaration that a check can read."
        return
    environment = file.environment
    if document.get("alias") != "champion" or entity.get("entity_name") != model or "environment_vars" in entity:
        yield "serves something other than the champion of its model."
    if not str(model).startswith(f"{environment}.") or table.get("catalog_name") != environment:
        yield f"serves {model} and records requests in {table.get('catalog_name')}; both must be {environment}'s."
    if table.get("enabled") is not True or not document["ai_gateway"].get("rate_limits"):
        yield "records no requests or limits no rate; both are required."


_TABLE = re.compile(r"\b(?:FROM|JOIN)\s+([\w.]+)", re.IGNORECASE)
_CHANGES = re.compile(r"\b(DELETE|INSERT|UPDATE|MERGE|DROP|ALTER|GRANT|REVOKE|CREATE|TRUNCATE|COPY)\b", re.IGNORECASE)


def _queries(estate: Estate) -> Found:
    """Yield queries of alerts and dashboards that change something, or read another catalog."""
    texts = [(one, [str(one.get("query_text"))]) for one in estate.of("databricks_alert_v2")]
    for dashboard in estate.of("databricks_dashboard"):
        try:
            datasets = json.loads(str(dashboard.get("serialized_dashboard")))["datasets"]
            texts.append((dashboard, ["".join(one.get("queryLines", ())) for one in datasets]))
        except (ValueError, KeyError, TypeError):
            yield dashboard.where, "its serialized_dashboard is not a document that a check can read."
    for resource, queries in texts:
        for query in queries:
            bare = re.sub(r"'[^']*'", "''", query)
            for table in _TABLE.findall(bare):
                if "." in table and table.partition(".")[0] != resource.environment:
                    yield resource.where, f"reads {table}, which is not in the catalog of {resource.environment}."
            if _CHANGES.search(bare) or not bare.lstrip().upper().startswith(("SELECT", "WITH")):
                yield resource.where, f"runs {query[:80]!r}; a query of an alert or a dashboard only reads."


def _jobs(estate: Estate, use_cases: Sequence[UseCase]) -> Found:
    declared = {job.address: job for use_case in use_cases for job in use_case.jobs}
    for job in estate.of("databricks_job"):
        found = declared.get(str(job.get("name")))
        if found is None:
            yield job.where, f"deploys {job.get('name')!r}, which nobody declares."
            continue
        cron = found.schedule.cron if found.schedule and not is_branch(job.stack) else None
        if job.get("schedule.quartz_cron_expression") != cron:
            yield job.where, f"starts at {job.get('schedule.quartz_cron_expression')}, its declaration says {cron}."
        if bool(job.blocks("continuous")) != (found.continuous and not is_branch(job.stack)):
            yield (
                job.where,
                f"{'has no' if found.continuous else 'has a'} block continuous, its declaration says otherwise.",
            )
        for task in job.blocks("task"):
            yield from ((job.where, message) for message in _task(job, task))
    for alert in estate.of("databricks_alert_v2"):
        if not ALERT_HOURLY.match(str(alert.get("schedule.quartz_cron_schedule"))):
            yield alert.where, f"runs at {alert.get('schedule.quartz_cron_schedule')}; state minutes and seconds."


_KINDS = ("python_wheel_task", "condition_task", "run_job_task")


def _task(job: GraphResource, task: Mapping[str, Any]) -> Iterator[str]:
    key = task.get("task_key")
    if sum(kind in task for kind in _KINDS) != 1:
        yield f"task {key!r} is none of {', '.join(_KINDS)}, of which it must be one."
    elif "python_wheel_task" in task:
        given = [str(word) for word in task["python_wheel_task"].get("parameters") or ()]
        expected = ["task", str(job.get("name")), str(key), "--env", job.environment, "--engine", "databricks"]
        rest = given[len(expected) + 2 :]
        pairs = [rest[number : number + 2] for number in range(0, len(rest), 2)]
        if given[: len(expected) + 2] != [*expected, "--run-id", "{{job.run_id}}"]:
            yield f"task {key!r} calls {given[:9]}, must call {expected}."
        elif not all(pair[0] == "--param" and re.fullmatch(r"\w+=\{\{[\w.]+\}\}", pair[-1]) for pair in pairs):
            yield f"task {key!r} is given {rest}; allowed are --param NAME={{{{REFERENCE}}}}."
        if "job_cluster_key" in task and len(task.get("library") or ()) != 2:
            yield f"task {key!r} must install the release's wheel and its requirements, and nothing else."
        for needed in ("timeout_seconds", *(() if job.blocks("continuous") else ("max_retries",))):
            if task.get(needed) is None:
                yield f"task {key!r} does not state {needed}."
