"""The Azure resource of a workspace: premium, in the environment's network, without public addresses."""

from infra.config.model import Exposure
from infra.config.naming import ResourceKind
from infra.constructs.azure.encryption import Encryption, let_use_key
from infra.constructs.azure.lake_storage import LakeStorage
from infra.constructs.azure.network import VirtualNetwork, private_endpoint
from infra.constructs.deployment import Deployment
from infra.synthesis.stack import Provider, Resource, Stack

ENDPOINTS = {"workspace_ui": "databricks_ui_api", "workspace_login": "browser_authentication"}


def databricks_workspace(
    stack: Stack,
    group: Resource,
    *,
    deployment: Deployment,
    network: VirtualNetwork,
    storage: LakeStorage,
    encryption: Encryption,
    provider: Provider,
) -> Resource:
    """Add the workspace and its private endpoints; with public exposure it is reachable from the internet as well."""
    public = deployment.settings.network.exposure is Exposure.PUBLIC
    key = encryption.key.id if encryption.key else None
    workspace = stack.add(
        "azurerm_databricks_workspace",
        "workspace",
        provider=provider,
        depends_on=encryption.ready,
        prevent_destroy=deployment.settings.locks,
        name=deployment.name(ResourceKind.WORKSPACE),
        location=deployment.settings.region,
        resource_group_name=group.attribute("name"),
        managed_resource_group_name=deployment.name(ResourceKind.RESOURCE_GROUP, "managed"),
        sku="premium",
        public_network_access_enabled=public,
        network_security_group_rules_required="AllRules" if public else "NoAzureDatabricksRules",
        infrastructure_encryption_enabled=True,
        default_storage_firewall_enabled=True,
        access_connector_id=storage.connector.id,
        customer_managed_key_enabled=deployment.settings.customer_managed_keys,
        managed_services_cmk_key_vault_key_id=key,
        managed_disk_cmk_key_vault_key_id=key,
        managed_disk_cmk_rotation_to_latest_version_enabled=True if key else None,
        custom_parameters={
            "no_public_ip": True,
            "virtual_network_id": network.network.id,
            "public_subnet_name": network.host_subnet.attribute("name"),
            "private_subnet_name": network.container_subnet.attribute("name"),
            "public_subnet_network_security_group_association_id": network.host_association.id,
            "private_subnet_network_security_group_association_id": network.container_association.id,
        },
        tags=deployment.tags(),
    )
    for label, subresource in ENDPOINTS.items():
        private_endpoint(
            stack,
            label,
            workspace,
            subresource=subresource,
            zone=network.zones["databricks"],
            subnet=network.endpoint_subnet,
            group=group,
            deployment=deployment,
            provider=provider,
        )
    if encryption.key is not None:
        identity = workspace.attribute("storage_account_identity[0].principal_id")
        allowed = let_use_key(stack, "root_storage_key", encryption, identity, provider)
        stack.add(
            "azurerm_databricks_workspace_root_dbfs_customer_managed_key",
            "workspace",
            provider=provider,
            depends_on=(allowed,),
            workspace_id=workspace.id,
            key_vault_key_id=encryption.key.id,
        )
    return workspace
