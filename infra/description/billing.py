"""What each resource type of the stacks is billed by. A test compares these tables with the stacks: no type is in none of them."""

from collections.abc import Mapping

BILLED_BY_HOUR: Mapping[str, str] = {
    "azurerm_nat_gateway": "nat gateway",
    "azurerm_public_ip": "public ip",
    "azurerm_private_endpoint": "private endpoint",
    "azurerm_private_dns_zone": "private DNS zone",
    "azurerm_monitor_scheduled_query_rules_alert_v2": "alert rule",
    "databricks_mws_ncc_private_endpoint_rule": "private endpoint of serverless compute",
}
"""Resource types that cost something for each hour in which they exist, with their words."""

BILLED_BY_USE: Mapping[str, str] = {
    "azurerm_storage_account": "storage, by what is stored",
    "azurerm_log_analytics_workspace": "logs, by what is written",
    "azurerm_key_vault": "key vault, by its operations",
    "azurerm_nat_gateway": "data that leaves, by what passes",
    "databricks_cluster": "interactive clusters, by their hours",
    "databricks_data_quality_monitor": "table monitors, by what they read",
}
"""Resource types that cost something as they are used, with the words of the line; a type may be billed by hour as well."""

COUNTED_BY_SETTINGS = frozenset(
    {
        "azurerm_application_insights",
        "databricks_instance_pool",
        "databricks_job",
        "databricks_model_serving",
        "databricks_online_store",
        "databricks_sql_endpoint",
    }
)
"""Resource types whose machines and sizes the settings state; `infra.description.cost` counts these."""

WITHOUT_COST = (
    "azuread_*",
    "azurerm_application_insights_workbook",
    "azurerm_consumption_budget_*",
    "azurerm_databricks_*",
    "azurerm_management_lock",
    "azurerm_monitor_action_group",
    "azurerm_monitor_diagnostic_setting",
    "azurerm_monitor_private_link_*",
    "azurerm_nat_gateway_public_ip_association",
    "azurerm_network_security_*",
    "azurerm_private_dns_zone_virtual_network_link",
    "azurerm_resource_group",
    "azurerm_resource_group_template_deployment",
    "azurerm_role_*",
    "azurerm_storage_account_customer_managed_key",
    "azurerm_storage_container",
    "azurerm_subnet*",
    "azurerm_virtual_network",
    "databricks_*",
)
"""Patterns of the types that only arrange what the others cost: rights, networks, settings, names, declarations of Databricks."""
