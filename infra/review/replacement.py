"""Which arguments cannot be changed in place: another value makes Terraform destroy and re-create the resource.

Facts from the providers' documentation ("Changing this forces a new resource to be created"), for the types in use.
The synthesized stacks do not state this. A real plan does, and takes precedence where there is one.
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType

FORCES_NEW: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "azurerm_": frozenset({"name", "location", "resource_group_name"}),
        "azurerm_application_insights": frozenset({"application_type"}),
        "azurerm_application_insights_workbook": frozenset({"storage_container_id", "identity"}),
        "azurerm_monitor_private_link_scoped_service": frozenset({"scope_name", "linked_resource_id"}),
        "azurerm_monitor_scheduled_query_rules_alert_v2": frozenset({"scopes"}),
        "azurerm_databricks_workspace": frozenset(
            {"managed_resource_group_name", "custom_parameters", "infrastructure_encryption_enabled"}
        ),
        "azurerm_key_vault": frozenset({"tenant_id"}),
        "azurerm_key_vault_key": frozenset({"key_vault_id", "key_type", "key_size", "curve"}),
        "azurerm_management_lock": frozenset({"scope", "lock_level", "notes"}),
        "azurerm_monitor_diagnostic_setting": frozenset({"target_resource_id"}),
        "azurerm_private_endpoint": frozenset({"subnet_id", "private_service_connection"}),
        "azurerm_role_assignment": frozenset({"scope", "principal_id", "role_definition_name", "role_definition_id"}),
        "azurerm_storage_account": frozenset(
            {"account_kind", "account_tier", "is_hns_enabled", "infrastructure_encryption_enabled", "nfsv3_enabled"}
        ),
        "azurerm_storage_container": frozenset({"storage_account_id", "storage_account_name"}),
        "azurerm_subnet": frozenset({"virtual_network_name"}),
        "azuread_application_federated_identity_credential": frozenset({"application_id", "display_name"}),
        "azuread_service_principal": frozenset({"client_id"}),
        "databricks_catalog": frozenset({"storage_root", "connection_name", "provider_name", "share_name"}),
        "databricks_external_location": frozenset({"name"}),
        "databricks_group": frozenset({"external_id"}),
        "databricks_storage_credential": frozenset({"name"}),
        "databricks_credential": frozenset({"name"}),
        "databricks_directory": frozenset({"path"}),
        "databricks_file": frozenset({"path"}),
        "databricks_grant": frozenset({"metastore", "principal"}),
        "databricks_grants": frozenset(
            {"catalog", "schema", "volume", "model", "external_location", "storage_credential", "credential"}
        ),
        "databricks_group_member": frozenset({"group_id", "member_id"}),
        "databricks_instance_pool": frozenset(
            {"node_type_id", "disk_spec", "preloaded_spark_versions", "azure_attributes", "enable_elastic_disk"}
        ),
        "databricks_metastore": frozenset({"region", "storage_root"}),
        "databricks_metastore_assignment": frozenset({"workspace_id"}),
        "databricks_mlflow_experiment": frozenset({"name", "artifact_location"}),
        "databricks_model_serving": frozenset({"name", "route_optimized"}),
        "databricks_mws_permission_assignment": frozenset({"workspace_id", "principal_id"}),
        "databricks_notebook": frozenset({"path"}),
        "databricks_permissions": frozenset(
            {"cluster_id", "cluster_policy_id", "instance_pool_id", "job_id", "experiment_id", "serving_endpoint_id"}
        ),
        "databricks_registered_model": frozenset({"name", "catalog_name", "schema_name"}),
        "databricks_schema": frozenset({"name", "catalog_name", "storage_root"}),
        "databricks_secret_acl": frozenset({"scope", "principal", "permission"}),
        "databricks_secret_scope": frozenset({"name", "backend_type", "initial_manage_principal"}),
        "databricks_service_principal": frozenset({"application_id"}),
        "databricks_volume": frozenset({"name", "catalog_name", "schema_name", "volume_type", "storage_location"}),
        "databricks_workspace_binding": frozenset({"securable_name", "securable_type", "workspace_id"}),
    }
)
"""Resource type, or prefix of types that ends in ``_``, to arguments."""


def forcing(kind: str, arguments: Collection[str]) -> tuple[str, ...]:
    """Return those of the changed arguments that are known to force a new resource."""
    known = FORCES_NEW.get(kind, frozenset()) | FORCES_NEW.get(f"{kind.partition('_')[0]}_", frozenset())
    return tuple(sorted(known & set(arguments)))
