"""The storage account with the environment's tables, files and models, and the identity that accesses it."""

from collections.abc import Sequence
from dataclasses import dataclass

from infra.config.naming import ResourceKind
from infra.constructs.azure.encryption import Encryption, let_use_key
from infra.constructs.azure.network import VirtualNetwork
from infra.constructs.azure.private_endpoints import private_endpoint
from infra.constructs.deployment import Deployment
from infra.permissions.azure_roles import ASSIGNED_TO, DATA
from infra.synthesis.stack import Provider, Resource, Stack

CONTAINER = "catalog"


@dataclass(frozen=True, kw_only=True)
class LakeStorage:
    """The account, and the access connector: the only identity that reaches it, used by Unity Catalog."""

    account: Resource
    container: Resource
    connector: Resource

    @property
    def url(self) -> str:
        """The root of the catalog's files."""
        return f"abfss://{CONTAINER}@{self.account.attribute('name')}.dfs.core.windows.net/"


def lake_storage(
    stack: Stack,
    group: Resource,
    *,
    deployment: Deployment,
    network: VirtualNetwork,
    encryption: Encryption,
    provider: Provider,
) -> LakeStorage:
    """Add the storage: no shared keys, no public access, private endpoints, one identity with access."""
    connector = stack.add(
        "azurerm_databricks_access_connector",
        "connector",
        provider=provider,
        name=deployment.name(ResourceKind.ACCESS_CONNECTOR),
        location=deployment.settings.region,
        resource_group_name=group.attribute("name"),
        identity={"type": "SystemAssigned"},
        tags=deployment.tags(),
    )
    account = _account(stack, group, deployment, connector, provider)
    container = stack.add(
        "azurerm_storage_container",
        CONTAINER,
        provider=provider,
        prevent_destroy=deployment.settings.locks,
        name=CONTAINER,
        storage_account_id=account.id,
        container_access_type="private",
    )
    endpoints = [
        private_endpoint(
            stack,
            f"lake_{service}",
            account.id,
            subresource=service,
            zones=[network.zones[service]],
            subnet=network.endpoint_subnet,
            group=group,
            deployment=deployment,
            provider=provider,
        )
        for service in ("dfs", "blob")
    ]
    stack.add(
        "azurerm_role_assignment",
        "lake_data",
        provider=provider,
        scope=account.id,
        role_definition_name=DATA,
        principal_id=connector.attribute("identity[0].principal_id"),
        principal_type=ASSIGNED_TO,
    )
    _encrypt(stack, account, encryption, provider, after=endpoints)
    return LakeStorage(account=account, container=container, connector=connector)


def _account(
    stack: Stack, group: Resource, deployment: Deployment, connector: Resource, provider: Provider
) -> Resource:
    kept = deployment.settings.retention.deleted_data_days
    return stack.add(
        "azurerm_storage_account",
        "lake",
        provider=provider,
        prevent_destroy=deployment.settings.locks,
        name=deployment.name(ResourceKind.STORAGE_ACCOUNT, "lake"),
        location=deployment.settings.region,
        resource_group_name=group.attribute("name"),
        account_kind="StorageV2",
        account_tier="Standard",
        account_replication_type="ZRS",
        is_hns_enabled=True,
        min_tls_version="TLS1_2",
        https_traffic_only_enabled=True,
        shared_access_key_enabled=False,
        default_to_oauth_authentication=True,
        local_user_enabled=False,
        allow_nested_items_to_be_public=False,
        public_network_access_enabled=False,
        cross_tenant_replication_enabled=False,
        infrastructure_encryption_enabled=True,
        identity={"type": "SystemAssigned"},
        network_rules={
            "default_action": "Deny",
            "bypass": ["AzureServices"],
            "private_link_access": [{"endpoint_resource_id": connector.id}],
        },
        blob_properties={
            "delete_retention_policy": {"days": kept},
            "container_delete_retention_policy": {"days": kept},
        },
        tags=deployment.tags(),
    )


def _encrypt(
    stack: Stack, account: Resource, encryption: Encryption, provider: Provider, *, after: Sequence[Resource]
) -> None:
    """Encrypt the account with the customer-managed key, if there is one.

    The key is used last: a new right reaches the vault within minutes
    (learn.microsoft.com/azure/key-vault/general/rbac-guide), and `after` takes about as long to create.
    """
    if encryption.key is None:
        return
    allowed = let_use_key(stack, "lake_key", encryption, account.attribute("identity[0].principal_id"), provider)
    stack.add(
        "azurerm_storage_account_customer_managed_key",
        "lake",
        provider=provider,
        depends_on=(*encryption.key.usable, allowed, *after),
        storage_account_id=account.id,
        key_vault_id=encryption.vault.id,
        key_name=encryption.key.name,
    )
