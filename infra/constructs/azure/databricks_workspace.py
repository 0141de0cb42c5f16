"""The Azure resource of a workspace: premium, in the environment's network, without public addresses.

Azure creates the workspace's own storage account and disk encryption in a managed resource group. Both are closed and
encrypted here like everything else, which takes more than arguments of the workspace: private endpoints of the account, and
rights of two identities on the key, which exist only after the workspace does.
"""

from infra.config.naming import ResourceKind
from infra.config.network import Exposure
from infra.constructs.azure.encryption import Encryption, let_use_key
from infra.constructs.azure.lake_storage import LakeStorage
from infra.constructs.azure.network import VirtualNetwork
from infra.constructs.azure.private_endpoints import private_endpoint
from infra.constructs.deployment import Deployment
from infra.synthesis.stack import Provider, Resource, Stack

STORAGE_SERVICES = ("dfs", "blob")
"""What clusters use of the workspace's storage account
(learn.microsoft.com/azure/databricks/security/network/storage/firewall-support)."""


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
    key = encryption.key
    workspace = stack.add(
        "azurerm_databricks_workspace",
        "workspace",
        provider=provider,
        depends_on=key.usable if key else (),
        prevent_destroy=deployment.settings.locks,
        name=deployment.name(ResourceKind.WORKSPACE),
        location=deployment.settings.region,
        resource_group_name=group.attribute("name"),
        managed_resource_group_name=managed_group(deployment),
        sku="premium",
        public_network_access_enabled=public,
        network_security_group_rules_required="AllRules" if public else "NoAzureDatabricksRules",
        infrastructure_encryption_enabled=True,
        default_storage_firewall_enabled=True,
        access_connector_id=storage.connector.id,
        customer_managed_key_enabled=deployment.settings.customer_managed_keys,
        managed_services_cmk_key_vault_key_id=key.version_id if key else None,
        managed_disk_cmk_key_vault_key_id=key.version_id if key else None,
        managed_disk_cmk_rotation_to_latest_version_enabled=True if key else None,
        custom_parameters={
            "no_public_ip": True,
            "storage_account_name": _storage_name(deployment),
            "virtual_network_id": network.network.id,
            "public_subnet_name": network.host_subnet.attribute("name"),
            "private_subnet_name": network.container_subnet.attribute("name"),
            "public_subnet_network_security_group_association_id": network.host_association.id,
            "private_subnet_network_security_group_association_id": network.container_association.id,
        },
        tags=deployment.tags(),
    )
    endpoints = _endpoints(stack, group, workspace, deployment=deployment, network=network, provider=provider)
    _encrypt(stack, workspace, encryption, provider, after=endpoints)
    return workspace


def managed_group(deployment: Deployment) -> str:
    """Return the name of the resource group that the workspace fills by itself, with its storage and its machines."""
    return deployment.name(ResourceKind.RESOURCE_GROUP, "managed")


def workspace_storage_id(workspace: Resource, deployment: Deployment) -> str:
    """Return the expression for the resource id of the workspace's own storage account, in its managed resource group."""
    place = workspace.attribute("managed_resource_group_id")
    return f"{place}/providers/Microsoft.Storage/storageAccounts/{_storage_name(deployment)}"


def _storage_name(deployment: Deployment) -> str:
    return deployment.name(ResourceKind.STORAGE_ACCOUNT, "workspace")


def _endpoints(
    stack: Stack,
    group: Resource,
    workspace: Resource,
    *,
    deployment: Deployment,
    network: VirtualNetwork,
    provider: Provider,
) -> tuple[Resource, ...]:
    """Add the endpoints of the workspace and of its storage account; that of sign-in only where the settings say so.

    Sign-in: one endpoint "is shared among all workspaces in the region that share the same private DNS zone"
    (learn.microsoft.com/azure/databricks/security/network/classic/private-link-standard).
    """
    wanted = [("workspace_ui", workspace.id, "databricks_ui_api", "databricks")]
    if deployment.settings.network.web_authentication:
        wanted.append(("workspace_login", workspace.id, "browser_authentication", "databricks"))
    storage = workspace_storage_id(workspace, deployment)
    wanted += [(f"workspace_{service}", storage, service, service) for service in STORAGE_SERVICES]
    return tuple(
        private_endpoint(
            stack,
            label,
            target,
            subresource=subresource,
            zones=[network.zones[zone]],
            subnet=network.endpoint_subnet,
            group=group,
            deployment=deployment,
            provider=provider,
        )
        for label, target, subresource, zone in wanted
    )


def _encrypt(
    stack: Stack, workspace: Resource, encryption: Encryption, provider: Provider, *, after: tuple[Resource, ...]
) -> None:
    """Let the workspace's disks and storage use the key, and encrypt the storage with it.

    Clusters start only once the disk encryption set has the right
    (learn.microsoft.com/azure/databricks/security/keys/cmk-managed-disks-azure/cmk-managed-disks-azure); managed services
    need the right of the storage account's identity as well as that of the Azure Databricks application.
    """
    if encryption.key is None:
        return
    disks, storage = (
        let_use_key(stack, label, encryption, workspace.attribute(f"{identity}[0].principal_id"), provider)
        for label, identity in (
            ("managed_disk_key", "managed_disk_identity"),
            ("root_storage_key", "storage_account_identity"),
        )
    )
    stack.add(
        "azurerm_databricks_workspace_root_dbfs_customer_managed_key",
        "workspace",
        provider=provider,
        depends_on=(disks, storage, *after),
        workspace_id=workspace.id,
        key_vault_key_id=encryption.key.version_id,
    )
