"""Checks on Azure resources: diagnostics and tags; what each may state is in `infra/graph/types/azure.yaml`."""

from collections.abc import Iterator

from infra.checks.compute import TAGS
from infra.checks.finding import PolicyCheck, Stacks
from infra.checks.reading import referenced, resources

LOGGED = (
    "azurerm_databricks_workspace", "azurerm_key_vault", "azurerm_network_security_group", "azurerm_virtual_network",
    "azurerm_public_ip", "azurerm_storage_account", "azurerm_log_analytics_workspace",
)  # fmt: skip
"""The resource types in use that have diagnostic settings; Azure has none for the others."""

UNTAGGED = frozenset(
    {
        "azurerm_subnet", "azurerm_role_assignment", "azurerm_monitor_diagnostic_setting", "azurerm_management_lock",
        "azurerm_consumption_budget_resource_group", "azurerm_consumption_budget_subscription",
        "azurerm_key_vault_access_policy", "azurerm_storage_management_policy", "azurerm_storage_container",
        "azurerm_storage_data_lake_gen2_filesystem", "azurerm_nat_gateway_public_ip_association",
        "azurerm_subnet_nat_gateway_association", "azurerm_subnet_network_security_group_association",
        "azurerm_network_security_rule", "azurerm_storage_account_customer_managed_key",
        "azurerm_route", "azurerm_subnet_route_table_association", "azurerm_virtual_network_peering",
        "azurerm_monitor_private_link_scoped_service", "azurerm_storage_account_network_rules", "azurerm_databricks_workspace_root_dbfs_customer_managed_key",
    }
)  # fmt: skip
"""Azure resource types without tags."""


def _diagnostics(stacks: Stacks) -> Iterator[tuple[str, str]]:
    logged = {
        name
        for setting in resources(stacks, "azurerm_monitor_diagnostic_setting")
        for name in referenced(stacks, setting.stack, setting.arguments.get("target_resource_id"))
    }
    for resource in resources(stacks, *LOGGED):
        if resource.where not in logged:
            yield resource.where, "has no diagnostic setting; its events are not recorded."


def _tags(stacks: Stacks) -> Iterator[tuple[str, str]]:
    for resource in resources(stacks):
        if resource.type.startswith("azurerm_") and resource.type not in UNTAGGED:
            missing = sorted(TAGS - set(resource.arguments.get("tags") or {}))
            if missing:
                yield resource.where, f"lacks the tags {', '.join(missing)}."


CHECKS = (
    PolicyCheck(
        id="diagnostics-are-kept",
        reason="an event that is not recorded cannot be explained afterwards",
        look=_diagnostics,
    ),
    PolicyCheck(id="azure-is-tagged", reason="costs are divided and owners found by tags", look=_tags),
)
