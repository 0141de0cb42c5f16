"""What each resource type of the stacks is billed by, or why it is free.

A test compares these tables with the stacks: each type is in one of them, by its whole name.
"""

from collections.abc import Mapping
from dataclasses import dataclass

BILLED_BY_HOUR: Mapping[str, str] = {
    "azurerm_nat_gateway": "nat gateway",
    "azurerm_public_ip": "public ip",
    "azurerm_private_endpoint": "private endpoint",
    "azurerm_private_dns_zone": "private DNS zone",
    "databricks_mws_ncc_private_endpoint_rule": "private endpoint of serverless compute",
}
"""Resource types that cost something for each hour in which they exist, with their words."""

BILLED_BY_USE: Mapping[str, tuple[str, str]] = {
    "azurerm_storage_account": ("storage, by what is stored", "storage"),
    "azurerm_log_analytics_workspace": ("logs, by what is written", "logs"),
    "azurerm_key_vault": ("key vault, by its operations", "key vault"),
    "azurerm_nat_gateway": ("data that leaves, by what passes", "data that leaves"),
    "databricks_cluster": ("interactive clusters, by their hours", "interactive clusters"),
    "databricks_data_quality_monitor": ("table monitors, by what they read", "table monitors"),
    "databricks_enhanced_security_monitoring_workspace_setting": (
        "enhanced security, a surcharge on what compute costs",
        "enhanced security",
    ),
}
"""Resource types that cost something as they are used, with the words and the key of the line; a type may be billed by hour as well.

A company that knows the bill of its month states it as the price of a month.
"""

SERVING_UNIT = "unit of serving"
SERVED_AT_ONCE: Mapping[str, tuple[int, int]] = {"Small": (4, 4), "Medium": (8, 16), "Large": (16, 64)}
"""Requests at once that an endpoint on processors answers while it is awake, at least and at most, by its size.

Each is a unit of Databricks an hour
(https://learn.microsoft.com/en-us/azure/databricks/machine-learning/model-serving/create-manage-serving-endpoints).
"""
LOGS = "gigabyte of logs"
ALERT_RULE = "alert rule every {minutes} minutes"
FREQUENCY = 15
"""Minutes; a rule that looks less often costs as much as one that looks so often."""

COUNTED_BY_SETTINGS = frozenset(
    {
        "azurerm_application_insights",
        "azurerm_monitor_scheduled_query_rules_alert_v2",
        "databricks_instance_pool",
        "databricks_job",
        "databricks_model_serving",
        "databricks_online_store",
        "databricks_sql_endpoint",
    }
)
"""Resource types whose machines and sizes the settings state; `infra.description.cost` counts these."""


@dataclass(frozen=True, kw_only=True)
class Free:
    """Resource types that cost nothing by themselves.

    Parameters
    ----------
    reason
        Why, and where what they arrange is counted.
    source
        The page that says what its service charges for.
    """

    reason: str
    source: str
    types: frozenset[str]


_DATABRICKS = "https://azure.microsoft.com/en-us/pricing/details/databricks/"

WITHOUT_COST = (
    Free(
        reason="Applications and their sign-in belong to the free edition of Entra.",
        source="https://www.microsoft.com/en-us/security/business/microsoft-entra-pricing",
        types=frozenset(
            {"azuread_application", "azuread_application_federated_identity_credential", "azuread_service_principal"}
        ),
    ),
    Free(
        reason="Azure Resource Manager charges for none of its groups, locks, rights, deployments and budgets.",
        source="https://learn.microsoft.com/en-us/azure/azure-resource-manager/management/overview",
        types=frozenset(
            {
                "azurerm_consumption_budget_subscription",
                "azurerm_management_lock",
                "azurerm_resource_group",
                "azurerm_resource_group_template_deployment",
                "azurerm_role_assignment",
            }
        ),
    ),
    Free(
        reason="A network, its subnets, rules and links are free; gateways, addresses, endpoints and zones are counted by themselves.",
        source="https://azure.microsoft.com/en-us/pricing/details/virtual-network/",
        types=frozenset(
            {
                "azurerm_nat_gateway_public_ip_association",
                "azurerm_network_security_group",
                "azurerm_network_security_rule",
                "azurerm_private_dns_zone_virtual_network_link",
                "azurerm_subnet",
                "azurerm_subnet_nat_gateway_association",
                "azurerm_subnet_network_security_group_association",
                "azurerm_virtual_network",
            }
        ),
    ),
    Free(
        reason="What is written is counted as logs, an endpoint by itself; a thousand mails of a month are free.",
        source="https://azure.microsoft.com/en-us/pricing/details/monitor/",
        types=frozenset(
            {
                "azurerm_application_insights_workbook",
                "azurerm_monitor_action_group",
                "azurerm_monitor_diagnostic_setting",
                "azurerm_monitor_private_link_scope",
                "azurerm_monitor_private_link_scoped_service",
            }
        ),
    ),
    Free(
        reason="A container and a key of the company are free; what is stored and each use of the key are counted.",
        source="https://azure.microsoft.com/en-us/pricing/details/storage/data-lake/",
        types=frozenset({"azurerm_storage_account_customer_managed_key", "azurerm_storage_container"}),
    ),
    Free(
        reason="A workspace charges for compute and for what is stored, which are counted by themselves.",
        source=_DATABRICKS,
        types=frozenset(
            {
                "azurerm_databricks_access_connector",
                "azurerm_databricks_workspace",
                "azurerm_databricks_workspace_root_dbfs_customer_managed_key",
            }
        ),
    ),
    Free(
        reason="Entries of Unity Catalog and of the registry; what they hold is counted as storage, what reads them as compute.",
        source=_DATABRICKS,
        types=frozenset(
            {
                "databricks_catalog",
                "databricks_credential",
                "databricks_external_location",
                "databricks_metastore",
                "databricks_metastore_assignment",
                "databricks_mlflow_experiment",
                "databricks_registered_model",
                "databricks_schema",
                "databricks_storage_credential",
                "databricks_volume",
                "databricks_workspace_binding",
            }
        ),
    ),
    Free(
        reason="Groups, identities, rights and budgets of Databricks.",
        source=_DATABRICKS,
        types=frozenset(
            {
                "databricks_budget",
                "databricks_budget_policy",
                "databricks_grant",
                "databricks_grants",
                "databricks_group",
                "databricks_group_member",
                "databricks_mws_permission_assignment",
                "databricks_permissions",
                "databricks_secret_acl",
                "databricks_secret_scope",
                "databricks_service_principal",
                "databricks_service_principal_federation_policy",
            }
        ),
    ),
    Free(
        reason="Settings of an account or a workspace.",
        source=_DATABRICKS,
        types=frozenset(
            {
                "databricks_account_network_policy",
                "databricks_cluster_policy",
                "databricks_default_namespace_setting",
                "databricks_disable_legacy_access_setting",
                "databricks_disable_legacy_dbfs_setting",
                "databricks_mws_ncc_binding",
                "databricks_mws_network_connectivity_config",
                "databricks_restrict_workspace_admins_setting",
                "databricks_workspace_conf",
                "databricks_workspace_network_option",
            }
        ),
    ),
    Free(
        reason="Part of enhanced security, which is counted once.",
        source="https://learn.microsoft.com/en-us/azure/databricks/security/privacy/enhanced-security-compliance",
        types=frozenset({"databricks_automatic_cluster_update_workspace_setting"}),
    ),
    Free(
        reason="Files and pages of a workspace; the queries of dashboards and alerts run on the warehouse, which is counted.",
        source=_DATABRICKS,
        types=frozenset(
            {
                "databricks_alert_v2",
                "databricks_dashboard",
                "databricks_directory",
                "databricks_file",
                "databricks_notebook",
            }
        ),
    ),
)
"""Every other type of the stacks."""
