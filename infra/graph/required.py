"""What has to be there: resources of each environment, and what each resource needs beside it.

A control that is absent is a finding as much as a bad value. The table names types; `infra.graph.meanings` says what each
must state.
"""

from collections.abc import Iterator, Mapping

from infra.config.stack_names import Part, environment_of, is_branch, part_of
from infra.graph.estate import Estate, GraphResource
from infra.graph.settings_values import allowed
from pipelines.declarations.asset import Layer

Found = Iterator[tuple[str, str]]

ONCE: Mapping[Part, tuple[str, ...]] = {
    Part.PLATFORM: (
        "azurerm_resource_group", "azurerm_virtual_network", "azurerm_databricks_workspace", "azurerm_key_vault",
        "azurerm_databricks_access_connector", "azurerm_storage_account", "azurerm_storage_container",
        "azurerm_log_analytics_workspace", "azurerm_consumption_budget_subscription",
    ),
    Part.ENVIRONMENT_ACCOUNT: (
        "databricks_metastore_assignment", "databricks_mws_ncc_binding", "databricks_mws_network_connectivity_config",
        "databricks_workspace_network_option", "databricks_restrict_workspace_admins_setting", "databricks_grant",
    ),
    Part.WORKSPACE: (
        "databricks_catalog", "databricks_storage_credential", "databricks_external_location",
        "databricks_workspace_conf", "databricks_disable_legacy_access_setting", "databricks_disable_legacy_dbfs_setting",
        "databricks_automatic_cluster_update_workspace_setting",
        "databricks_enhanced_security_monitoring_workspace_setting", "databricks_default_namespace_setting",
        "databricks_instance_pool", "databricks_sql_endpoint",
    ),
}  # fmt: skip
"""By kind of stack, the types of which it has exactly one resource."""
IF_STATED: Mapping[str, Mapping[Part, tuple[str, ...]]] = {
    "telemetry.stated": {
        Part.PLATFORM: (
            "azurerm_application_insights", "azurerm_databricks_access_connector", "azurerm_monitor_action_group",
            "azurerm_application_insights_workbook",
        ),
        Part.WORKSPACE: ("databricks_credential",),
    },
    "online_store.stated": {Part.WORKSPACE: ("databricks_online_store",)},
    "telemetry.private_link": {Part.PLATFORM: ("azurerm_monitor_private_link_scope",)},
}  # fmt: skip
"""By setting and kind of stack, the types of which a stack has one more where the setting is true, and none for it elsewhere."""

BESIDE: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "azurerm_subnet": (("azurerm_subnet_network_security_group_association", "subnet_id", ""),),
    "azurerm_private_dns_zone": (("azurerm_private_dns_zone_virtual_network_link", "private_dns_zone_name", ""),),
    "azurerm_storage_account": (
        ("azurerm_storage_account_customer_managed_key", "storage_account_id", "customer_managed_keys"),
        ("azurerm_management_lock", "scope", "locks"),
        ("azurerm_role_assignment", "scope", ""),
    ),
    "azurerm_databricks_workspace": (
        ("azurerm_databricks_workspace_root_dbfs_customer_managed_key", "workspace_id", "customer_managed_keys"),
        ("azurerm_management_lock", "scope", "locks"),
    ),
    "azurerm_key_vault": (
        ("azurerm_management_lock", "scope", "locks"),
        ("azurerm_role_assignment", "scope", "customer_managed_keys"),
    ),
    "azurerm_log_analytics_workspace": (
        ("azurerm_management_lock", "scope", "locks"),
        ("azurerm_monitor_private_link_scoped_service", "linked_resource_id", "telemetry.private_link"),
    ),
    "azurerm_application_insights": (
        ("azurerm_role_assignment", "scope", ""),
        ("azurerm_monitor_private_link_scoped_service", "linked_resource_id", "telemetry.private_link"),
    ),
    "azurerm_monitor_private_link_scope": (
        ("azurerm_private_endpoint", "private_service_connection.private_connection_resource_id", ""),
    ),
    "databricks_catalog": (("databricks_grants", "catalog", ""),),
    "databricks_schema": (("databricks_grants", "schema", ""),),
    "databricks_volume": (("databricks_grants", "volume", ""),),
    "databricks_registered_model": (("databricks_grants", "model", ""),),
    "databricks_storage_credential": (("databricks_grants", "storage_credential", ""),),
    "databricks_credential": (("databricks_grants", "credential", ""),),
    "databricks_external_location": (("databricks_grants", "external_location", ""),),
    "databricks_job": (("databricks_permissions", "job_id", ""),),
    "databricks_cluster": (("databricks_permissions", "cluster_id", ""),),
    "databricks_cluster_policy": (("databricks_permissions", "cluster_policy_id", ""),),
    "databricks_instance_pool": (("databricks_permissions", "instance_pool_id", ""),),
    "databricks_sql_endpoint": (("databricks_permissions", "sql_endpoint_id", ""),),
    "databricks_directory": (("databricks_permissions", "directory_path", ""),),
    "databricks_mlflow_experiment": (("databricks_permissions", "experiment_id", ""),),
    "databricks_model_serving": (("databricks_permissions", "serving_endpoint_id", ""),),
    "databricks_alert_v2": (("databricks_permissions", "alert_v2_id", ""),),
    "databricks_dashboard": (("databricks_permissions", "dashboard_id", ""),),
    "databricks_secret_scope": (("databricks_secret_acl", "scope", ""),),
}
"""By type, what has to refer to each of its resources: type, argument, and the setting under which it must; empty for always."""


def missing(estate: Estate) -> Found:
    """Yield stack or resource of everything that has to be there and is not."""
    for stack in estate.stacks:
        try:
            part = part_of(stack)
        except KeyError:
            continue
        for kind, wanted in _counts(estate, stack, part).items():
            count = sum(resource.stack == stack for resource in estate.of(kind))
            if count != wanted:
                yield stack, f"has {count or 'no'} {kind}, and needs {_NUMBERS[wanted]}."
    yield from _beside(estate)
    yield from _sources_of_code(estate)
    yield from _budgets(estate)
    yield from _kept(estate)
    yield from _destroyed_with_content(estate)
    yield from _monitored(estate)


_NUMBERS = ("none", "exactly one", "exactly two")


def _counts(estate: Estate, stack: str, part: Part) -> Mapping[str, int]:
    """Return how many resources of each type a stack needs."""
    found = dict.fromkeys(ONCE.get(part, ()), 1)
    for setting, by_part in IF_STATED.items():
        stated = "true" in allowed(estate.settings, environment_of(stack), setting)
        for kind in by_part.get(part, ()):
            found[kind] = found.get(kind, 0) + stated
    return found


def _beside(estate: Estate) -> Found:
    referring: dict[tuple[str, str], set[str]] = {}
    for needs in BESIDE.values():
        for kind, argument, _ in needs:
            if (kind, argument) not in referring:
                referring[kind, argument] = {
                    origin.where
                    for resource in estate.of(kind)
                    for value in resource.all(argument)
                    for origin in estate.origins(resource.stack, value)
                    if origin.stack == resource.stack
                }
    for kind, needs in BESIDE.items():
        for resource in estate.of(kind):
            for needed, argument, setting in needs:
                if _holds(estate, resource, setting) and resource.where not in referring[needed, argument]:
                    yield resource.where, f"has no {needed} beside it: a control that is absent protects nothing."


def _holds(estate: Estate, resource: GraphResource, setting: str) -> bool:
    return not setting or "true" in allowed(estate.settings, resource.environment, setting)


def _sources_of_code(estate: Estate) -> Found:
    """Yield workspaces without their code, and a wheel that Terraform would upload whatever its hash."""
    for stack in estate.stacks.values():
        if not stack.name.endswith("-workspace") and not is_branch(stack.name):
            continue
        files = {file.name: file for file in estate.of("databricks_file") if file.stack == stack.name}
        for name in ("wheel", "requirements"):
            if name not in files:
                yield stack.name, f"has no databricks_file.{name}: jobs would run what somebody left there."
        wheel = files.get("wheel")
        if wheel is not None and stack.wheel_sha256 is not None:
            wanted = f'${{filesha256("{wheel.get("source")}") == "{stack.wheel_sha256}"}}'
            if wheel.all("lifecycle.precondition.condition") != [wanted]:
                yield (
                    wheel.where,
                    "has no precondition on the hash of the wheel: another wheel would run as the environment.",
                )


def _budgets(estate: Estate) -> Found:
    wanted = {*estate.settings.environments, *(team.name for team in estate.settings.teams)}
    found = {
        str(value) for budget in estate.of("databricks_budget") for value in budget.all("filter.tags.value.values")
    }
    for name in sorted(wanted - found):
        yield "account", f"has no databricks_budget for {name}: nobody would hear of what it spends."


_OF_CODE = {"databricks_schema": "deployment", "databricks_volume": "releases"}
"""By type, the one resource that holds code and no data: a deployment fills it again."""


def _kept(estate: Estate) -> Found:
    for kind, of_code in _OF_CODE.items():
        for resource in estate.of(kind):
            kept = resource.get("lifecycle.prevent_destroy") is True or is_branch(resource.stack)
            if not kept and resource.get("name") != of_code and _holds(estate, resource, "locks"):
                yield resource.where, "holds data and may be destroyed; state lifecycle.prevent_destroy."


def _destroyed_with_content(estate: Estate) -> Found:
    for resource in estate.of("databricks_schema"):
        if resource.get("force_destroy") is True and not is_branch(resource.stack):
            yield resource.where, "is destroyed with its tables; only the schemas of a branch go with what they hold."


def _monitored(estate: Estate) -> Found:
    """Yield schemas of predictions that no monitor of data quality watches."""
    watched = {
        origin.where
        for monitor in estate.of("databricks_data_quality_monitor")
        for origin in estate.origins(monitor.stack, monitor.get("object_id"))
    }
    for schema in estate.of("databricks_schema"):
        if is_branch(schema.stack):
            continue  # nobody waits for the predictions of a branch
        if str(schema.get("name")).endswith(f"_{Layer.INFERENCE}") and schema.where not in watched:
            yield (
                schema.where,
                "has no databricks_data_quality_monitor beside it: nobody would hear that predictions stopped.",
            )
