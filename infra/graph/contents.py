"""What is inside documents that stacks carry: policies, templates, notebooks, queries, serving declarations, command lines."""

import base64
import binascii
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from infra.config.naming import ResourceKind, name
from infra.graph.estate import Estate, GraphResource, flat
from infra.graph.job_contents import job_findings
from infra.graph.meanings import RuleContext, compared, meanings
from infra.graph.notebook_contents import foreign_lines
from infra.graph.query_contents import query_findings
from infra.graph.telemetry_contents import telemetry_findings
from pipelines.declarations.online_store import ONLINE_STORE, store_address
from pipelines.declarations.use_case import UseCase

Found = Iterator[tuple[str, str]]
POLICY = "databricks_cluster_policy"


def content_findings(estate: Estate, contexts: Mapping[str, RuleContext], use_cases: Sequence[UseCase]) -> Found:
    """Yield resource and message of everything that a document contains and must not."""
    for policy in estate.of(POLICY):
        yield from ((policy.where, message) for message in _policy(estate, policy, contexts[policy.environment]))
    for template in estate.of("azurerm_resource_group_template_deployment"):
        yield from ((template.where, message) for message in _template(template, estate.settings.account.organisation))
    for notebook in estate.of("databricks_notebook"):
        yield from ((notebook.where, message) for message in _notebook(notebook))
    publishing = frozenset(use_case.name for use_case in use_cases if use_case.online is not None)
    for file in estate.of("databricks_file"):
        if file.get("content_base64") is not None:
            yield from ((file.where, message) for message in _serving(estate, file, publishing))
        elif file.get("source") is None:
            yield file.where, "has neither a source nor a content."
    yield from query_findings(estate)
    yield from job_findings(estate, use_cases)
    yield from _code(estate)
    yield from telemetry_findings(estate)
    yield from _watched(estate)


def _watched(estate: Estate) -> Found:
    """Yield settings of logs that send nothing, or watch what another one watches or what is elsewhere."""
    watched = Counter(
        estate.resolved(one.stack, one.get("target_resource_id"))
        for one in estate.of("azurerm_monitor_diagnostic_setting")
    )
    for setting in estate.of("azurerm_monitor_diagnostic_setting"):
        target = estate.resolved(setting.stack, setting.get("target_resource_id"))
        if setting.get("enabled_log.category_group") is None and not target.endswith(
            "/azurerm_storage_account.lake.id}"
        ):
            yield setting.where, "sends no log; state enabled_log with category_group allLogs."
        if watched[target] > 1:
            yield (
                setting.where,
                f"is about {target}, which another setting is about; what it should be about is not watched.",
            )
        if not target.startswith(f"@{{{setting.stack}/"):
            yield setting.where, f"is about {target}, which is nothing of its stack."


def _code(estate: Estate) -> Found:
    """Yield code whose path leaves the folder that it is said to be in."""
    for file in estate.of("databricks_file", "databricks_notebook", "databricks_directory"):
        if "/.." in str(file.get("path")):
            yield file.where, f"is put to {file.get('path')}, which leads out of its folder."
    for file in estate.of("databricks_file"):
        source = str(file.get("source") or "")
        if source and not _SOURCES[file.name == "requirements"].fullmatch(source):
            yield file.where, f"is taken from {source}; code comes from this checkout alone, its wheel from dist."


_SOURCES = (
    re.compile(r"\$\{path\.module\}(/[\w.-]+)*/dist/[\w.+-]+\.whl|dist/[\w.+-]+\.whl"),
    re.compile(r"(\$\{path\.module\}(/[\w.-]+)*/)?requirements/job\.txt"),
)
"""Where the wheel, and what it needs, are taken from."""


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


def _template(template: GraphResource, organisation: str) -> Iterator[str]:
    """Yield where the template is anything but the environment's key: a template can make, read and give out everything."""
    vault, key = (name(kind, organisation, template.environment) for kind in (ResourceKind.KEY_VAULT, ResourceKind.KEY))
    version = (
        f"[reference(resourceId('Microsoft.KeyVault/vaults/keys', '{vault}', '{key}'), '2023-07-01').keyUriWithVersion]"
    )
    try:
        document = json.loads(str(template.get("template_content")))
        made = [{**one, "apiVersion": ""} for one in document["resources"]]
    except (ValueError, KeyError, TypeError):
        yield "its template_content is not a template that a check can read."
        return
    wanted = {"apiVersion": "", "name": f"{vault}/{key}", "properties": _KEY, "type": "Microsoft.KeyVault/vaults/keys"}
    if made != [wanted]:
        yield f"makes {str(made)[:160]}, allowed is one key {vault}/{key} with {_KEY}."
    if document.get("outputs") != {"version": {"type": "string", "value": version}}:
        yield f"gives out {str(document.get('outputs'))[:160]}, allowed is the version of the key."
    for section in sorted({*document} - {"$schema", "contentVersion", "outputs", "resources"}):
        yield f"has a section {section!r}, which the template of a key needs not; leave it out."


def decoded(value: Any) -> str | None:
    """Return a text that is kept in base64; None if it is none."""
    try:
        return base64.b64decode(str(value), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None


def _notebook(notebook: GraphResource) -> Iterator[str]:
    text = decoded(notebook.get("content_base64"))
    if text is None:
        yield "its content is not text in base64 that a check can read."
        return
    for number, line in foreign_lines(text, notebook.environment):
        yield f"line {number} is {line.strip()[:80]!r}; a notebook installs this environment's release and calls it."


def _serving(estate: Estate, file: GraphResource, publishing: frozenset[str]) -> Iterator[str]:
    """Yield where a serving declaration is not the one that the settings give: the task that serves obeys every key of it."""
    text = decoded(file.get("content_base64"))
    try:
        document = json.loads(text or "")
        model, entity, gateway = str(document["model"]), dict(document["served_entity"]), document["ai_gateway"]
        endpoint, limits = str(document["endpoint"]), gateway["rate_limits"]
    except (ValueError, KeyError, TypeError):
        yield "its content is not a serving declaration that a check can read."
        return
    environment, use_case = file.environment, file.name.removeprefix("serving_")
    settings = estate.settings.environments[environment].serving
    organisation = estate.settings.account.organisation
    catalog, _, rest = model.partition(".")
    if document.get("alias") != "champion" or entity.get("entity_name") != model:
        yield "serves something other than the champion of its model."
    if catalog != environment or rest.partition("_models.")[0] != use_case:
        yield f"serves {model}; it must be the model of {use_case} in {environment}."
    if endpoint != name(ResourceKind.ENDPOINT, organisation, environment, use_case):
        yield f"is for the endpoint {endpoint}, which is not that of {use_case}."
    for key in sorted({*document} - _DOCUMENT) + sorted({*entity} - _ENTITY) + sorted({*gateway} - _GATEWAY):
        yield f"states {key}, which a serving declaration has not; leave it out."
    if settings is None or entity.get("workload_size") != settings.workload_size:
        yield f"serves with {entity.get('workload_size')}, the settings say {settings and settings.workload_size}."
    looks_up = settings is not None and settings.online_store is not None and use_case in publishing
    told = {ONLINE_STORE: store_address(environment)} if looks_up else None
    if entity.get("environment_vars") != told:
        yield f"tells its versions {entity.get('environment_vars')}, they must be told {told}: another store has other features."
    table = {
        "enabled": True,
        "catalog_name": environment,
        "schema_name": f"{use_case}_inference",
        "table_name_prefix": "online",
    }
    if gateway.get("inference_table_config") != table or gateway.get("usage_tracking_config") != {"enabled": True}:
        yield f"records its requests other than in {environment}.{use_case}_inference, or not at all; both are required."
    if settings is None or [one.get("calls") for one in limits] != [settings.calls_per_minute]:
        yield f"limits its calls to {limits}, the settings say {settings and settings.calls_per_minute} a minute."


_DOCUMENT = frozenset({"ai_gateway", "alias", "endpoint", "model", "served_entity"})
_ENTITY = frozenset({"entity_name", "environment_vars", "name", "scale_to_zero_enabled", "workload_size"})
_GATEWAY = frozenset({"inference_table_config", "rate_limits", "usage_tracking_config"})
