"""What applying a resource of each type needs: one table, every entry with the documentation page of its rule."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from infra.permissions.azure_roles import ASSIGNS, BUILDS, LOCKS


class Authority(StrEnum):
    """Where a right is held."""

    AZURE = "Azure"
    ENTRA = "Microsoft Graph"
    ACCOUNT = "Databricks account"
    METASTORE = "metastore"
    WORKSPACE = "workspace"


@dataclass(frozen=True, kw_only=True)
class Need:
    """One right that a resource type needs.

    Attributes
    ----------
    right
        A role or a privilege, in the words of the service.
    page
        The documentation page of the rule.
    """

    authority: Authority
    right: str
    page: str


_LEARN = "https://learn.microsoft.com/en-us/azure"
_ADMIN = f"{_LEARN}/databricks/admin"
_CATALOG = f"{_LEARN}/databricks/data-governance/unity-catalog"
_PRIVILEGES = f"{_CATALOG}/manage-privileges/privileges"
_SERVERLESS_NETWORK = f"{_LEARN}/databricks/security/network/serverless-network-security"
_AZUREAD = "https://github.com/hashicorp/terraform-provider-azuread/blob/main/docs"

ACCOUNT_ADMIN, WORKSPACE_ADMIN = "account admin", "workspace admin"


def _account(page: str) -> tuple[Need, ...]:
    return (Need(authority=Authority.ACCOUNT, right=ACCOUNT_ADMIN, page=page),)


def _metastore(privilege: str, page: str = _PRIVILEGES) -> Need:
    return Need(authority=Authority.METASTORE, right=privilege, page=page)


_CONTRIBUTOR = Need(
    authority=Authority.AZURE, right=BUILDS, page=f"{_LEARN}/role-based-access-control/built-in-roles/privileged"
)
_ASSIGNS = Need(
    authority=Authority.AZURE,
    right=ASSIGNS,
    page=f"{_LEARN}/role-based-access-control/delegate-role-assignments-overview",
)
_LOCKS = Need(
    authority=Authority.AZURE,
    right=LOCKS,
    page=f"{_LEARN}/azure-resource-manager/management/lock-resources",
)
_IN_WORKSPACE = Need(
    authority=Authority.WORKSPACE, right=WORKSPACE_ADMIN, page=f"{_ADMIN}/users-groups/workspace-admin"
)

_AZURE_TYPES = (
    "azurerm_application_insights", "azurerm_application_insights_workbook", "azurerm_consumption_budget_subscription", "azurerm_databricks_access_connector",
    "azurerm_databricks_workspace", "azurerm_databricks_workspace_root_dbfs_customer_managed_key",
    "azurerm_key_vault", "azurerm_log_analytics_workspace", "azurerm_monitor_action_group", "azurerm_monitor_diagnostic_setting",
    "azurerm_monitor_private_link_scope", "azurerm_monitor_private_link_scoped_service",
    "azurerm_monitor_scheduled_query_rules_alert_v2",
    "azurerm_nat_gateway", "azurerm_nat_gateway_public_ip_association", "azurerm_network_security_group",
    "azurerm_network_security_rule", "azurerm_private_dns_zone", "azurerm_private_dns_zone_virtual_network_link",
    "azurerm_private_endpoint", "azurerm_public_ip", "azurerm_resource_group",
    "azurerm_resource_group_template_deployment", "azurerm_route", "azurerm_route_table", "azurerm_storage_account",
    "azurerm_storage_account_customer_managed_key", "azurerm_storage_container", "azurerm_subnet",
    "azurerm_subnet_nat_gateway_association", "azurerm_subnet_network_security_group_association",
    "azurerm_subnet_route_table_association", "azurerm_virtual_network", "azurerm_virtual_network_peering",
)  # fmt: skip
"""Types that a Contributor of the subscription creates; a template creates the key, without the data plane of its vault."""

_WORKSPACE_TYPES = (
    "databricks_alert_v2", "databricks_automatic_cluster_update_workspace_setting", "databricks_cluster",
    "databricks_cluster_policy", "databricks_dashboard", "databricks_data_quality_monitor",
    "databricks_default_namespace_setting", "databricks_directory", "databricks_disable_legacy_access_setting",
    "databricks_disable_legacy_dbfs_setting", "databricks_enhanced_security_monitoring_workspace_setting",
    "databricks_file", "databricks_grants", "databricks_instance_pool", "databricks_ip_access_list", "databricks_job",
    "databricks_mlflow_experiment", "databricks_model_serving", "databricks_notebook", "databricks_online_store",
    "databricks_permissions",
    "databricks_registered_model", "databricks_schema", "databricks_secret_acl", "databricks_secret_scope",
    "databricks_sql_endpoint", "databricks_volume", "databricks_workspace_binding", "databricks_workspace_conf",
)  # fmt: skip
"""Types that an admin of the workspace creates. What is in the catalog needs its owner, who is whoever created it."""

NEEDS: Mapping[str, tuple[Need, ...]] = MappingProxyType(
    {
        **dict.fromkeys(_AZURE_TYPES, (_CONTRIBUTOR,)),
        "azurerm_role_assignment": (_ASSIGNS,),
        "azurerm_management_lock": (_LOCKS,),
        **{
            f"azuread_{kind}": (
                Need(
                    authority=Authority.ENTRA,
                    right="Application.ReadWrite.OwnedBy",
                    page=f"{_AZUREAD}/resources/{kind}.md",
                ),
            )
            for kind in ("application", "service_principal", "application_federated_identity_credential")
        },
        "data.azuread_service_principal": (
            Need(
                authority=Authority.ENTRA,
                right="Application.Read.All",
                page=f"{_AZUREAD}/data-sources/service_principal.md",
            ),
        ),
        "data.databricks_group": _account(f"{_ADMIN}/users-groups/groups"),
        "data.databricks_metastore": _account(f"{_CATALOG}/create-metastore"),
        "data.databricks_service_principal": _account(f"{_ADMIN}/users-groups/service-principals"),
        "databricks_account_network_policy": _account(f"{_SERVERLESS_NETWORK}/manage-network-policies"),
        "databricks_budget": _account(f"{_ADMIN}/account-settings/budgets"),
        "databricks_budget_policy": _account(f"{_ADMIN}/usage/budget-policies"),
        "databricks_grant": _account(f"{_CATALOG}/manage-privileges/admin-privileges"),
        "databricks_group": _account(f"{_ADMIN}/users-groups/groups"),
        "databricks_group_member": _account(f"{_ADMIN}/users-groups/groups"),
        "databricks_metastore": _account(f"{_CATALOG}/create-metastore"),
        "databricks_metastore_assignment": _account(f"{_CATALOG}/enable-workspaces"),
        **dict.fromkeys(
            (
                "databricks_mws_ncc_binding",
                "databricks_mws_ncc_private_endpoint_rule",
                "databricks_mws_network_connectivity_config",
            ),
            _account(f"{_SERVERLESS_NETWORK}/serverless-private-link"),
        ),
        "databricks_mws_permission_assignment": _account(f"{_ADMIN}/users-groups/groups"),
        "databricks_restrict_workspace_admins_setting": _account(
            f"{_ADMIN}/workspace-settings/restrict-workspace-admins"
        ),
        "databricks_service_principal": _account(f"{_ADMIN}/users-groups/service-principals"),
        "databricks_service_principal_federation_policy": _account(
            f"{_LEARN}/databricks/dev-tools/auth/oauth-federation-policy"
        ),
        "databricks_workspace_network_option": _account(f"{_SERVERLESS_NETWORK}/manage-network-policies"),
        **dict.fromkeys(_WORKSPACE_TYPES, (_IN_WORKSPACE,)),
        "databricks_catalog": (_IN_WORKSPACE, _metastore("CREATE_CATALOG")),
        "databricks_credential": (_IN_WORKSPACE, _metastore("CREATE_SERVICE_CREDENTIAL")),
        "databricks_external_location": (_IN_WORKSPACE, _metastore("CREATE_EXTERNAL_LOCATION")),
        # Its creator contributes to the access connector as well, or is account admin: the identity of an environment is
        # Contributor of the subscription that its platform stack puts the connector into.
        "databricks_storage_credential": (
            _IN_WORKSPACE,
            _metastore(
                "CREATE_STORAGE_CREDENTIAL",
                "https://docs.databricks.com/api/uc-credentials/v1/create-storage-credential.md",
            ),
        ),
    }
)
"""The rights by resource type; ``data.`` before the type of a data source. A type that is missing is an error."""
